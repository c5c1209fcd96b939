package api

import (
	"cmp"
	"encoding/hex"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
)

// searchRequest is a body of POST /licences/search.
type searchRequest struct {
	query registry.Query
	use   registry.Use
	// own says that the body names no holder: a holder means themselves.
	own bool
}

// parseSearch makes a reader of searches.
func (s *Server) parseSearch(body []byte) (searchRequest, error) {
	return parseJSON(body, func(r *reader) searchRequest { return readSearch(r, s.cfg.Now) })
}

func readSearch(r *reader, now func() time.Time) searchRequest {
	_, named := r.members["holder"]
	holder := r.sub("holder")
	q := searchRequest{own: !named, query: registry.Query{
		Holder: licence.Holder{Code: holder.text("code", maxCode), CodeType: holder.codeType()},
		After:  r.cursor("cursor"), Limit: r.integer("limit", 1, registry.MaxPage), AsOf: r.asOf("as_of", now),
	}}
	q.use = registry.Use{Purpose: r.text("purpose", maxText), Case: r.text("case_number", maxText),
		Matter: r.text("matter_code", maxText), Operator: r.text("operator", maxText)}
	if t := r.text("type_code", maxType); t != "" {
		q.query.Types = []string{t}
	}
	if q.query.Limit == 0 {
		q.query.Limit = defaultPage
	}
	return q
}

// defaultPage is how many licences a page has when the request does not say.
const defaultPage = 20

// A cursor is the identifier of the last licence of a page, in base64url, so that
// nobody builds on what is in it.
func cursorAfter(id licence.Identifier) string { return strictBase64.EncodeToString([]byte(id)) }

// cursor takes a cursor; the zero identifier when absent.
func (r *reader) cursor(name string) licence.Identifier {
	s := r.text(name, 256)
	if s == "" {
		return ""
	}
	b, err := strictBase64.DecodeString(s)
	if err == nil {
		var id licence.Identifier
		if id, err = licence.ParseIdentifier(string(b)); err == nil {
			return id
		}
	}
	r.fault(name, licence.CodeBadFormat, "is not a cursor of this server")
	return ""
}

// summaryJSON is a licence in a list.
type summaryJSON struct {
	Identifier    licence.Identifier `json:"identifier"`
	Number        string             `json:"number"`
	TypeCode      string             `json:"type_code"`
	TypeName      string             `json:"type_name"`
	HolderName    string             `json:"holder_name"`
	AuthorityName string             `json:"authority_name"`
	Version       int                `json:"version"`
	Status        licence.Status     `json:"status"`
	Origin        licence.Origin     `json:"origin,omitempty"`
	linksJSON
	// TypeStatusCode is what the type's own specification calls the status, where it is known.
	TypeStatusCode string `json:"type_status_code,omitempty"`
	IssuedOn       string `json:"issued_on"`
	EffectiveOn    string `json:"effective_on"`
	// ExpiresOn is empty for a licence without a last day.
	ExpiresOn  string `json:"expires_on"`
	FileDigest string `json:"file_digest"`
}

func newSummary(v registry.View) summaryJSON {
	return summaryJSON{
		Identifier: v.Identifier, Number: v.Number, TypeCode: v.TypeCode, TypeName: v.TypeName,
		HolderName: v.Holder.Name, AuthorityName: v.Authority.Name, Version: v.Version, Status: v.Status, Origin: v.Origin, linksJSON: newLinks(v), TypeStatusCode: v.StatusCode,
		IssuedOn: v.IssuedOn.String(), EffectiveOn: v.EffectiveOn.String(), ExpiresOn: v.ExpiresOn.String(),
		FileDigest: hex.EncodeToString(v.File.Digest[:]),
	}
}

// searchAnswer is one page of a search.
type searchAnswer struct {
	Licences []summaryJSON `json:"licences"`
	// AsOf is the instant that was asked for; absent when none was.
	AsOf *time.Time `json:"as_of,omitempty"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor"`
}

// search finds the licences of a holder.
func (x *exchange) search(q searchRequest) (searchAnswer, audit.Receipt, error) {
	if q.own {
		q.query.Holder = x.caller.Holder
	}
	views, receipt, err := x.cfg.Registry.Search(x.r.Context(), x.caller, q.query, q.use)
	if err != nil {
		return searchAnswer{}, receipt, err
	}
	a := searchAnswer{Licences: make([]summaryJSON, 0, len(views)), AsOf: givenInstant(q.query.AsOf)}
	for _, v := range views {
		a.Licences = append(a.Licences, newSummary(v))
	}
	if len(views) == q.query.Limit {
		a.NextCursor = cursorAfter(views[len(views)-1].Identifier)
	}
	return a, receipt, nil
}

// givenInstant is an instant that was asked for, in UTC; nil when none was.
func givenInstant(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

// parseReuse reads a body of POST /reuse.
func (s *Server) parseReuse(body []byte) (registry.ReuseRequest, error) {
	return parseJSON(body, func(r *reader) registry.ReuseRequest { return readReuse(r, s.cfg.Now) })
}

func readReuse(r *reader, now func() time.Time) registry.ReuseRequest {
	// A holder's code says whose licences they are, and stands in place of a case.
	code, needed := r.text("consent_code", maxText), (*reader).required
	if code != "" {
		needed = (*reader).text
	}
	return registry.ReuseRequest{
		Code:     code,
		Holder:   r.caseHolder(needed),
		TypeCode: r.required("type_code", maxType), Fields: r.texts("fields", 100, 128),
		After: r.cursor("cursor"), Limit: cmp.Or(r.integer("limit", 1, registry.MaxPage), registry.MaxPage), AsOf: r.asOf("as_of", now),
		Use: r.caseUse(needed),
	}
}

// caseHolder takes the holder whom a reuse is about, as (*reader).required or text does.
func (r *reader) caseHolder(text func(r *reader, key string, most int) string) licence.Holder {
	holder := r.sub("holder")
	return licence.Holder{Code: text(holder, "code", maxCode), CodeType: licence.HolderCodeType(text(holder, "code_type", maxCodeType))}
}

// caseUse takes what a reuse is for; text takes the number of its case.
func (r *reader) caseUse(text func(r *reader, key string, most int) string) registry.Use {
	return registry.Use{Purpose: r.required("purpose", maxText), Case: text(r, "case_number", maxText),
		Matter: r.required("matter_code", maxText), Operator: r.required("operator", maxText)}
}

// reusedJSON is what a reuse gives of one licence.
type reusedJSON struct {
	Identifier licence.Identifier `json:"identifier"`
	Status     licence.Status     `json:"status"`
	Origin     licence.Origin     `json:"origin,omitempty"`
	Fields     map[string]any     `json:"fields"`
	Masked     []string           `json:"masked"`
}

// reuseAnswer is the answer to a reuse.
type reuseAnswer struct {
	Licences []reusedJSON `json:"licences"`
	// AsOf is the instant that was asked for; absent when none was.
	AsOf *time.Time `json:"as_of,omitempty"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor"`
}

// reuse reads granted fields of a holder's licences for one case.
func (x *exchange) reuse(q registry.ReuseRequest) (reuseAnswer, audit.Receipt, error) {
	reused, receipt, err := x.cfg.Registry.Reuse(x.r.Context(), x.caller, q)
	a := reuseAnswer{Licences: make([]reusedJSON, 0, len(reused)), AsOf: givenInstant(q.AsOf)}
	for _, l := range reused {
		a.Licences = append(a.Licences, reusedJSON(l))
	}
	if len(reused) == q.Limit && q.Code == "" {
		a.NextCursor = cursorAfter(reused[q.Limit-1].Identifier)
	}
	return a, receipt, err
}
