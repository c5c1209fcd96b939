package api

import (
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/registry"
	"elicence/licence/render/qr"
	"elicence/verify"

	"github.com/emmansun/gmsm/sm3"
)

// consentChoice is one field that a holder may agree to.
type consentChoice struct {
	Name, Label, Value string
	Usual              bool
}

// portraitChoice is what the holder is shown in place of the name of a portrait.
const portraitChoice = "证照上的照片"

// usualFields are ticked when the form comes: what tells a licence from another.
var usualFields = []string{"type_name", "number", "status", "expires_on", "holder.name", "authority.name"}

// consentForm is what the form of a new consent shows.
type consentForm struct {
	Key       string // Idempotency-Key of the form, so that two clicks make one consent
	Licences  []summaryJSON
	Choices   []consentChoice
	Receivers []licence.IssuingAuthority
}

// holderSession begins a page of a holder's; false when there is no session, and the page says so.
func (x *exchange) holderSession() bool {
	x.page = true
	if _, err := x.session(); err != nil {
		x.failSession(err)
		return false
	}
	return true
}

// consentForm shows the form of a new consent to the licences that the address names.
func (x *exchange) consentForm() {
	if !x.holderSession() {
		return
	}
	ids, err := chosen(x.r.URL.Query()["licence"])
	if err != nil {
		x.refuse(err)
		return
	}
	var form consentForm
	if form.Key, err = x.random(); err != nil {
		x.fail(err)
		return
	}
	for _, id := range ids {
		view, receipt, err := x.cfg.Registry.Get(x.r.Context(), x.caller, id, selfService)
		if !x.settle(receipt, err) {
			return
		}
		form.Licences = append(form.Licences, newSummary(view))
		form.choices(x.cfg.Registry, view)
		receivers, receipt, err := x.cfg.Registry.Receivers(x.r.Context(), x.caller, view.TypeCode)
		if !x.settle(receipt, err) {
			return
		}
		for _, d := range receivers {
			if !slices.Contains(form.Receivers, d) {
				form.Receivers = append(form.Receivers, d)
			}
		}
	}
	x.show(http.StatusOK, "consent_form", form)
}

// chosen are the licences that a form names.
func chosen(given []string) (ids []licence.Identifier, err error) {
	if len(given) == 0 || len(given) > consent.MaxLicences {
		return nil, errNoChoice
	}
	for _, s := range given {
		id, err := licence.ParseIdentifier(s)
		if err != nil {
			return nil, errNoIdentifier
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// choices adds the fields that a licence has.
func (f *consentForm) choices(r *registry.Registry, v registry.View) {
	names := slices.Clone(registry.ReusableFields)
	if item := v.Item(); item != nil {
		for _, key := range item.FieldOrder {
			names = append(names, "fields."+key)
		}
	}
	picked := v.Pick(names)
	for _, name := range names {
		text := printed(v.Item(), name, picked[name])
		usual := slices.Contains(usualFields, name)
		switch _, isPortrait := licence.ParsePortraitReference(text); {
		case name == "status":
			text = verify.StateLabel(v.Status)
		case isPortrait:
			text, usual = portraitChoice, true // by which an official knows whose licence it is
		}
		at := slices.IndexFunc(f.Choices, func(c consentChoice) bool { return c.Name == name })
		switch {
		case text == "":
		case at >= 0:
			f.Choices[at].Value += "；" + text
		default:
			f.Choices = append(f.Choices, consentChoice{name, r.FieldLabel([]licence.Identifier{v.Identifier}, name), text, usual})
		}
	}
}

// valueText is a field's value as a line of text: the items of a list, the cells of a row.
func valueText(v any) string {
	var parts []string
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		for _, item := range v {
			parts = append(parts, valueText(item))
		}
		return strings.Join(parts, "、")
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, valueText(v[name]))
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprint(v)
}

// printed is a field's value as a line of text, days and times as licences print them.
func printed(item *licence.CatalogueItem, name string, value any) string {
	text := valueText(value)
	key, own := strings.CutPrefix(name, "fields.")
	if dated := !own && strings.HasSuffix(name, "_on") || own && item != nil && item.Dated(key); !dated {
		return text
	}
	date, clock, timed := strings.Cut(text, "T")
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return text
	}
	shown := day.Format("2006年1月2日")
	if at, err := time.Parse("15:04", clock); timed && err == nil {
		shown += fmt.Sprintf("%d时%d分", at.Hour(), at.Minute())
	}
	return shown
}

// maxConsentForm bounds the form of a new consent.
const maxConsentForm = 64 << 10

// ownForm reads a form of a holder's page, of so many bytes at most; false when it was
// refused, and the page says why.
func (x *exchange) ownForm(most int64) bool {
	x.page = true
	if crossOrigin.Check(x.r) != nil {
		x.refuse(x.stranger(errCrossOrigin))
		return false
	}
	if !x.holderSession() {
		return false
	}
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, most)
	if err := x.r.ParseForm(); err != nil {
		x.refuse(bodyFault(err, errUnreadable))
		return false
	}
	return true
}

// makeConsentForm makes the consent of a form, and leads to its code.
func (x *exchange) makeConsentForm() {
	if !x.ownForm(maxConsentForm) {
		return
	}
	f := x.r.PostForm
	ids, err := chosen(f["licence"])
	if err != nil {
		x.refuse(err)
		return
	}
	uses, _ := strconv.Atoi(f.Get("uses")) // what is no number is out of range
	minutes, _ := strconv.Atoi(f.Get("minutes"))
	q := registry.ConsentRequest{Key: f.Get("key"), Body: sm3.Sum([]byte("consents\n" + f.Encode())), Life: time.Duration(min(minutes, maxMinutes)) * time.Minute,
		Consent: consent.Consent{Kind: consent.Kind(f.Get("kind")), Licences: ids, Fields: f["field"], Purpose: strings.TrimSpace(f.Get("purpose")), Receiver: f.Get("receiver"), Uses: uses}}
	k, receipt, err := x.cfg.Registry.MakeConsent(x.r.Context(), x.caller, q)
	if x.settle(receipt, err) {
		x.redirect(http.StatusSeeOther, "/holder/consents/"+k.ID)
	}
}

// maxMinutes keeps a number of minutes from overflowing; it is more than any consent lasts.
const maxMinutes = 1_000_000

// consentsPage lists the holder's consents.
func (x *exchange) consentsPage() {
	if !x.holderSession() {
		return
	}
	q := registry.ConsentQuery{Limit: defaultPage}
	if err := x.listQuery(nameForm, &q.After, &q.Limit, func(string, string) bool { return false }); err != nil {
		x.refuse(err)
		return
	}
	all, receipt, err := x.cfg.Registry.Consents(x.r.Context(), x.caller, q)
	if !x.settle(receipt, err) {
		return
	}
	var shown struct {
		Consents   []consentShown
		NextCursor string
	}
	for _, k := range all {
		shown.Consents = append(shown.Consents, x.shown(k))
	}
	shown.NextCursor = x.newConsents(all, q.Limit).NextCursor
	x.show(http.StatusOK, "consents", shown)
}

// consentShown is a consent as pages show it.
type consentShown struct {
	consentJSON
	Labels []string // of its fields
	Left   int      // uses
	Now    time.Time
}

func (x *exchange) shown(k consent.Consent) consentShown {
	s := consentShown{consentJSON: x.newConsent(k), Left: k.Uses - k.Used, Now: x.now()}
	for _, name := range k.Fields {
		s.Labels = append(s.Labels, x.cfg.Registry.FieldLabel(k.Licences, name))
	}
	return s
}

// consentCodePage shows a consent's code, a new one each time: the page asks again by itself
// every minute, so that a picture of it is soon worth nothing.
func (x *exchange) consentCodePage() {
	if !x.holderSession() {
		return
	}
	if !nameForm.MatchString(x.name) {
		x.refuse(errNoIdentifier)
		return
	}
	code, receipt, err := x.cfg.Registry.NewConsentCode(x.r.Context(), x.caller, x.name)
	if !x.settle(receipt, err) {
		return
	}
	drawn, err := x.symbol(code.Code)
	if err != nil {
		x.fail(err)
		return
	}
	x.show(http.StatusOK, "consent_code", struct {
		consentShown
		Code   []string // in groups of four
		Symbol symbol
		Period int
	}{x.shown(code.Consent), slices.Collect(groups(code.Code)), drawn, int(consent.CodePeriod / time.Second)})
}

// groups cuts a code into groups of four, for people who read it out.
func groups(code string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for part := range slices.Chunk([]byte(code), 4) {
			if !yield(string(part)) {
				return
			}
		}
	}
}

// symbol is a QR symbol as a path of SVG: a box of modules, with its quiet zone around it.
type symbol struct {
	Path string
	Side int
}

func (x *exchange) symbol(code string) (symbol, error) {
	text, err := licence.NewCodeText(x.cfg.PublicURL, code)
	if err != nil {
		return symbol{}, err
	}
	drawn, err := qr.Encode(text)
	if err != nil {
		return symbol{}, err
	}
	var path strings.Builder
	for row := range drawn.Size() {
		for column := range drawn.Size() {
			if drawn.Module(column, row) {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", column+qr.QuietZone, row+qr.QuietZone)
			}
		}
	}
	return symbol{path.String(), drawn.Size() + 2*qr.QuietZone}, nil
}

// revokeConsentForm revokes a consent, from its page.
func (x *exchange) revokeConsentForm() {
	if !x.ownForm(maxConsentForm) {
		return
	}
	q := registry.StatusRequest{Body: sm3.Sum(nil)}
	key, err := x.random()
	if err == nil && !nameForm.MatchString(x.name) {
		err = errNoIdentifier
	}
	if err != nil {
		x.refuse(err)
		return
	}
	q.Key = key
	_, receipt, err := x.cfg.Registry.RevokeConsent(x.r.Context(), x.caller, x.name, q)
	if errors.Is(err, licence.ErrWrongStatus) { // it opens nothing already, and the list says so
		err = nil
	}
	if x.settle(receipt, err) {
		x.redirect(http.StatusSeeOther, "/holder/consents")
	}
}

// lookPage asks for one click before a code is used: programs that look at addresses before
// people do open it too.
func (x *exchange) lookPage() {
	x.page = true
	code, ok := consent.ParseCode(x.name)
	if !ok {
		x.fail(errNoRoute)
		return
	}
	x.show(http.StatusOK, "look", code)
}

// shownField is one line of what is presented.
type shownField struct{ Label, Value string }

// shownLicence is one licence that is presented.
type shownLicence struct {
	TypeName string
	Status   licence.Status
	Origin   licence.Origin
	Fields   []shownField
	// Portrait is a picture in the page itself, so that it has no address of its own; empty
	// when there is none.
	Portrait template.URL
}

// lookForm shows what a code presents, to whoever has it.
func (x *exchange) lookForm() {
	x.page = true
	if crossOrigin.Check(x.r) != nil {
		x.refuse(x.stranger(errCrossOrigin))
		return
	}
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, maxSignIn)
	p, receipt, err := x.look(registry.LookRequest{Code: x.r.PostFormValue("code"), From: x.addressClass()})
	if !x.settle(receipt, err) {
		return
	}
	body := struct {
		Purpose  string
		SeenAt   time.Time
		LogIndex uint64
		Licences []shownLicence
	}{Purpose: p.Consent.Purpose, SeenAt: p.SeenAt, LogIndex: receipt.Index}
	for _, l := range p.Licences {
		s := shownLicence{TypeName: l.TypeName, Status: l.Status, Origin: l.Origin}
		if l.Portrait != nil {
			s.Portrait = template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(l.Portrait))
			x.allowInlineImages()
		}
		for _, name := range l.Names {
			if name == "status" || name == "type_name" { // the page's headline
				continue
			}
			if text := printed(x.cfg.Registry.LastItem(l.Identifier.TypeCode()), name, l.Fields[name]); text != "" {
				s.Fields = append(s.Fields, shownField{l.Labels[name], text})
			}
		}
		body.Licences = append(body.Licences, s)
	}
	x.show(http.StatusOK, "presentation", body)
}
