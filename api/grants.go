package api

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
	"github.com/gin-gonic/gin"
)

// nameForm is what the register calls a grant, a case, a brake or a subscription.
var nameForm = regexp.MustCompile(`^[0-9a-f]{28,32}$`)

// numberForm is a place in a list that is counted.
var numberForm = regexp.MustCompile(`^[0-9]{1,18}$`)

// grantJSON is a grant.
type grantJSON struct {
	ID            string               `json:"id"`
	AuthorityCode string               `json:"authority_code"`
	AuthorityName string               `json:"authority_name"`
	TypeCode      string               `json:"type_code"`
	MatterCode    string               `json:"matter_code"`
	Scenario      string               `json:"scenario"`
	Fields        []string             `json:"fields"`
	Masked        bool                 `json:"masked"`
	Questions     []string             `json:"questions"`
	How           registry.How         `json:"how"`
	LegalBasis    string               `json:"legal_basis"`
	ValidFrom     string               `json:"valid_from"`
	ValidTo       string               `json:"valid_to"` // empty for a grant without a last day
	Status        registry.GrantStatus `json:"status"`
	RequestedBy   string               `json:"requested_by"`
	RequestedAt   time.Time            `json:"requested_at"`
	ApprovedBy    string               `json:"approved_by"`
	ApprovedAt    *time.Time           `json:"approved_at,omitempty"`
	WithdrawnBy   string               `json:"withdrawn_by"`
	WithdrawnAt   *time.Time           `json:"withdrawn_at,omitempty"`
	Reason        string               `json:"reason"`
	// The people who did so, or who answer for the client that did; empty when nobody is named.
	RequestedPerson string `json:"requested_person"`
	ApprovedPerson  string `json:"approved_person"`
	WithdrawnPerson string `json:"withdrawn_person"`
}

func newGrant(g registry.Grant) grantJSON {
	return grantJSON{
		ID: g.ID, AuthorityCode: g.Authority.Code, AuthorityName: g.Authority.Name, TypeCode: g.TypeCode, MatterCode: g.MatterCode, Scenario: g.Scenario,
		Fields: listOf(g.Fields), Masked: g.Masked, Questions: listOf(g.Questions), How: g.How, LegalBasis: g.LegalBasis, ValidFrom: g.ValidFrom.String(), ValidTo: g.ValidTo.String(), Status: g.Status,
		RequestedBy: g.RequestedBy, RequestedAt: g.RequestedAt.UTC(), ApprovedBy: g.ApprovedBy, ApprovedAt: givenInstant(g.ApprovedAt),
		WithdrawnBy: g.WithdrawnBy, WithdrawnAt: givenInstant(g.WithdrawnAt), Reason: g.Reason,
		RequestedPerson: g.RequestedPerson, ApprovedPerson: g.ApprovedPerson, WithdrawnPerson: g.WithdrawnPerson,
	}
}

// listOf is a list that is never null.
func listOf(texts []string) []string { return append([]string{}, texts...) }

// grantsAnswer is one page of grants.
type grantsAnswer struct {
	Grants []grantJSON `json:"grants"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor"`
}

// parseGrant reads a body of POST /grants.
func parseGrant(body []byte) (registry.GrantRequest, error) {
	return parseJSON(body, func(r *reader) registry.GrantRequest {
		return registry.GrantRequest{Body: sm3.Sum(append([]byte("grants\n"), body...)), Grant: registry.Grant{
			TypeCode: r.required("type_code", maxType), MatterCode: r.required("matter_code", maxText), Scenario: r.required("scenario", maxText),
			Fields: r.texts("fields", 100, 128), Masked: r.truth("masked"), Questions: r.texts("questions", 100, 256), How: registry.How(r.required("how", 16)), LegalBasis: r.required("legal_basis", maxText),
			ValidFrom: r.date("valid_from"), ValidTo: r.date("valid_to"),
		}}
	})
}

// date takes a day; the zero date when absent.
func (r *reader) date(name string) licence.Date {
	s := r.text(name, 10)
	if s == "" {
		return licence.Date{}
	}
	d, err := licence.ParseDate(s)
	if err != nil {
		r.fault(name, licence.CodeBadFormat, "is no day that exists, as YYYY-MM-DD")
	}
	return d
}

// requestGrant asks for a grant.
func (x *exchange) requestGrant(q registry.GrantRequest) (a grantJSON, receipt audit.Receipt, err error) {
	if q.Key, err = x.idempotencyKey(); err != nil {
		return a, receipt, err
	}
	g, receipt, err := x.cfg.Registry.RequestGrant(x.r.Context(), x.caller, q)
	return newGrant(g), receipt, err
}

// parseDecision reads a body that may give a reason.
func parseDecision(body []byte) (registry.StatusRequest, error) {
	return parseJSON(body, func(r *reader) registry.StatusRequest {
		return registry.StatusRequest{Body: sm3.Sum(body), Reason: r.text("reason", maxText), Operator: r.text("operator", maxText)}
	})
}

// serveDecision makes a handler of a decision on what the path names.
func serveDecision[A, J any](s *Server, action audit.Action, do func(context.Context, registry.Caller, string, registry.StatusRequest) (A, audit.Receipt, error), show func(A) J) gin.HandlerFunc {
	return serveJSON(s, action, http.StatusOK, parseDecision,
		func(x *exchange, q registry.StatusRequest) (a J, receipt audit.Receipt, err error) {
			if err := x.decision(nameForm, &q); err != nil {
				return a, receipt, err
			}
			done, receipt, err := do(x.r.Context(), x.caller, x.name, q)
			return show(done), receipt, err
		})
}

// decision completes a decision on what the path names.
func (x *exchange) decision(form *regexp.Regexp, q *registry.StatusRequest) (err error) {
	if !form.MatchString(x.name) {
		return errNoIdentifier
	}
	// The same words about something else, or to another end, are another request.
	q.Body = sm3.Sum(append([]byte(string(x.action)+"\n"+x.name+"\n"), q.Body[:]...))
	q.Key, err = x.idempotencyKey()
	return err
}

// grants lists grants.
func (x *exchange) grants() (func(), audit.Receipt, error) {
	q := registry.GrantQuery{Limit: defaultPage}
	err := x.listQuery(nameForm, &q.After, &q.Limit, func(name, value string) bool {
		q.TypeCode = value
		return name == "type_code" && licence.CheckTypeCode(value) == nil
	})
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	grants, receipt, err := x.cfg.Registry.Grants(x.r.Context(), x.caller, q)
	a := grantsAnswer{Grants: make([]grantJSON, 0, len(grants))}
	for _, g := range grants {
		a.Grants = append(a.Grants, newGrant(g))
	}
	if len(grants) == q.Limit {
		a.NextCursor = strictBase64.EncodeToString([]byte(grants[len(grants)-1].ID))
	}
	return func() { x.json(http.StatusOK, a) }, receipt, err
}

// listQuery reads the query parameters of a list, each at most once: cursor, limit, and
// what other takes.
func (x *exchange) listQuery(form *regexp.Regexp, after *string, limit *int, other func(name, value string) bool) error {
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return errBadParameter
	}
	for name, value := range values {
		ok := len(value) == 1
		switch {
		case !ok:
		case name == "cursor":
			b, err := strictBase64.DecodeString(value[0])
			*after, ok = string(b), value[0] == "" || err == nil && form.Match(b)
		case name == "limit":
			*limit, err = strconv.Atoi(value[0])
			ok = err == nil && *limit >= 1 && *limit <= registry.MaxPage
		default:
			ok = other(name, value[0])
		}
		if !ok {
			return errBadParameter
		}
	}
	return nil
}
