package api

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/person"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"

	"github.com/emmansun/gmsm/sm3"
)

// What is called how to officials.
var (
	roleLabels  = map[person.Role]string{person.Authority: "授权审批", person.Auditor: "电子监察", person.System: "系统运维"}
	grantLabels = map[registry.GrantStatus]string{registry.GrantRequested: "待审批", registry.GrantApproved: "已批准", registry.GrantWithdrawn: "已撤回", registry.GrantExpired: "已到期"}
	howLabels   = map[registry.How]string{registry.HowFunction: "依职能", registry.HowConsent: "依授权（持证主体同意）"}
)

// officialBody is what every page of officials has.
type officialBody struct {
	Person person.Person
	// Form is the token of the session's forms, Key becomes the Idempotency-Key.
	Form, Key string
	// Decides, Audits and Brakes say which pages the person's roles open.
	Decides, Audits, Brakes bool
	Types                   []*licence.CatalogueItem
	TypeCode                string
	Awaiting, Grants        []grantShown
	// Decider says that the page begins with those that await, AwaitingCount how many they
	// are, be they shown or not.
	Decider       bool
	AwaitingCount int
	BrakeList     []brakeJSON
	Entries       *entriesAnswer
	Asked         url.Values
	NextCursor    string
}

// grantShown is a grant as pages show it.
type grantShown struct {
	grantJSON
	TypeName string
	Named    []namedField // its fields
}

func (x *exchange) shownGrants(grants []registry.Grant) (shown []grantShown) {
	for _, g := range grants {
		s := grantShown{grantJSON: newGrant(g)}
		item := x.cfg.Registry.LastItem(g.TypeCode)
		if item != nil {
			s.TypeName = item.Name
		}
		for _, name := range g.Fields {
			s.Named = append(s.Named, namedField{name, grantFieldLabel(item, name)})
		}
		shown = append(shown, s)
	}
	return shown
}

// grantFieldLabel is what a field of a grant is called; its name where nothing says that.
func grantFieldLabel(item *licence.CatalogueItem, name string) string {
	label := registry.FieldLabels[name]
	if key, own := strings.CutPrefix(name, "fields."); own && item != nil {
		label = item.Label(key)
	}
	if name == registry.FieldCopy {
		label = "加注件"
	}
	return cmp.Or(label, name)
}

// grantCard is what the card of a grant is made of.
type grantCard struct {
	officialBody
	Grant grantShown
}

// Card is the card of a grant on the page.
func (b officialBody) Card(g grantShown) grantCard { return grantCard{b, g} }

// ApprovedByOther reports whether a grant can be approved by the one who looks.
func (b officialBody) ApprovedByOther(g grantShown) bool {
	return g.Status == registry.GrantRequested && slices.Contains(b.Person.Types, g.TypeCode) && g.RequestedPerson != b.Person.ID
}

// officialBody is what every page has; ok is false where it has answered.
func (x *exchange) officialBody() (b officialBody, ok bool) {
	key, err := x.formKey()
	if err != nil {
		x.fail(err)
		return b, false
	}
	may := x.caller.MayAct
	b = officialBody{Person: x.person, Form: x.formToken(), Key: key, Decides: may(registry.ActionGrantApprove), Audits: may(registry.ActionLogSearch), Brakes: may(registry.ActionBrakeLift)}
	for _, item := range x.cfg.Registry.PublishedTypes() {
		if slices.Contains(x.person.Types, item.TypeCode) {
			b.Types = append(b.Types, item)
		}
	}
	return b, true
}

// officialPage says who is signed in, and what they may do.
func (x *exchange) officialPage() {
	if !x.officialSession() {
		return
	}
	if b, ok := x.officialBody(); ok {
		x.show(http.StatusOK, "official", b)
	}
}

// officialGrants lists the grants of the own department, and before them those of all types
// that await the official's approval; or those of a type.
func (x *exchange) officialGrants() {
	if !x.officialSession() {
		return
	}
	q := registry.GrantQuery{Limit: defaultPage}
	err := x.listQuery(nameForm, &q.After, &q.Limit, func(name, value string) bool {
		q.TypeCode = value
		return name == "type_code" && licence.CheckTypeCode(value) == nil
	})
	if err != nil {
		x.refuse(err)
		return
	}
	board, receipt, err := x.cfg.Registry.GrantBoard(x.r.Context(), x.caller, q)
	if !x.settle(receipt, err) {
		return
	}
	b, ok := x.officialBody()
	if !ok {
		return
	}
	b.TypeCode = q.TypeCode
	if q.TypeCode == "" && q.After == "" && len(b.Types) > 0 {
		b.Decider, b.AwaitingCount = true, len(board.Awaiting)
		b.Awaiting = x.shownGrants(board.Awaiting[:min(len(board.Awaiting), registry.MaxPage)])
	}
	b.Grants = x.shownGrants(board.Listed)
	if n := len(board.Listed); n == q.Limit {
		b.NextCursor = strictBase64.EncodeToString([]byte(board.Listed[n-1].ID))
	}
	x.show(http.StatusOK, "official_grants", b)
}

// formDecision is the decision of a form on what the path names.
func (x *exchange) formDecision() (q registry.StatusRequest, ok bool) {
	if !x.officialForm() {
		return q, false
	}
	if !nameForm.MatchString(x.name) {
		x.refuse(errNoIdentifier)
		return q, false
	}
	reason := formLines(x.r.PostForm.Get("reason"))
	return registry.StatusRequest{Key: x.r.PostForm.Get("key"), Reason: reason, Body: sm3.Sum([]byte(string(x.action) + "\n" + x.name + "\n" + reason))}, true
}

func (x *exchange) approveGrantForm() {
	if q, ok := x.formDecision(); ok {
		_, receipt, err := x.cfg.Registry.ApproveGrant(x.r.Context(), x.caller, x.name, q)
		x.backToGrants(receipt, err)
	}
}

func (x *exchange) withdrawGrantForm() {
	if q, ok := x.formDecision(); ok {
		_, receipt, err := x.cfg.Registry.WithdrawGrant(x.r.Context(), x.caller, x.name, q)
		x.backToGrants(receipt, err)
	}
}

// backToGrants leads back to the list that a decision was made in.
func (x *exchange) backToGrants(receipt audit.Receipt, err error) {
	if !x.settle(receipt, err) {
		return
	}
	path := "/official/grants"
	if code := x.r.PostForm.Get("type_code"); licence.CheckTypeCode(code) == nil {
		path += "?" + url.Values{"type_code": {code}}.Encode()
	}
	x.redirect(http.StatusSeeOther, path)
}

// officialBrakes lists the brakes that stand.
func (x *exchange) officialBrakes() {
	if !x.officialSession() {
		return
	}
	q := registry.BrakeQuery{Standing: true, Limit: defaultPage}
	if err := x.listQuery(nameForm, &q.After, &q.Limit, func(string, string) bool { return false }); err != nil {
		x.refuse(err)
		return
	}
	brakes, receipt, err := x.cfg.Registry.Brakes(x.r.Context(), x.caller, q)
	if !x.settle(receipt, err) {
		return
	}
	b, ok := x.officialBody()
	if !ok {
		return
	}
	for _, k := range brakes {
		b.BrakeList = append(b.BrakeList, newBrake(k))
	}
	if len(brakes) == q.Limit {
		b.NextCursor = strictBase64.EncodeToString([]byte(brakes[len(brakes)-1].ID))
	}
	x.show(http.StatusOK, "official_brakes", b)
}

func (x *exchange) liftBrakeForm() {
	q, ok := x.formDecision()
	if !ok {
		return
	}
	_, receipt, err := x.cfg.Registry.LiftBrake(x.r.Context(), x.caller, x.name, q)
	if x.settle(receipt, err) {
		x.redirect(http.StatusSeeOther, "/official/brakes")
	}
}

// officialLog shows the form of a search in the access log.
func (x *exchange) officialLog() {
	if !x.officialSession() {
		return
	}
	if b, ok := x.officialBody(); ok {
		x.show(http.StatusOK, "official_log", b)
	}
}

// officialLogSearch finds entries. What is looked for travels in the body.
func (x *exchange) officialLogSearch() {
	if !x.officialForm() {
		return
	}
	q, err := x.logForm()
	if err != nil {
		x.refuse(err)
		return
	}
	page, receipt, err := x.cfg.AccessLog.Search(x.r.Context(), x.caller, q)
	if !x.settle(receipt, err) {
		return
	}
	b, ok := x.officialBody()
	if !ok {
		return
	}
	found := newEntries(page)
	b.Entries, b.Asked, b.NextCursor = &found, x.r.PostForm, found.NextCursor
	x.show(http.StatusOK, "official_log", b)
}

// Names are the fields of a search in the access log.
func (officialBody) Names() []string {
	return []string{"principal", "object", "action", "case_number", "from", "to"}
}

// logForm reads a search, which is then what an auditor's program asks; days are those of
// Beijing, the last one included.
func (x *exchange) logForm() (accesslog.Query, error) {
	asked := map[string]string{}
	for _, name := range append(officialBody{}.Names(), "cursor") {
		given := x.r.PostForm.Get(name)
		if given == "" {
			continue
		}
		day, err := time.ParseInLocation(time.DateOnly, given, beijing)
		switch {
		case err == nil && name == "from":
			given = day.Format(time.RFC3339)
		case err == nil && name == "to":
			given = day.AddDate(0, 0, 1).Format(time.RFC3339)
		}
		asked[name] = given
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return accesslog.Query{}, err
	}
	q, err := parseEntries(body)
	if err == nil && !q.From.IsZero() && !q.To.IsZero() && !q.To.After(q.From) { // the day before from
		err = &licence.RequestError{Fields: []licence.FieldError{{Field: "to", Code: licence.CodeDateOrder, Detail: "is before from"}}}
	}
	return q, err
}
