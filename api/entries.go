package api

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
)

// entryJSON is one entry of the access log. The members from time to request_id say
// again what is in record, for reading; what is proved is record.
type entryJSON struct {
	Index    uint64 `json:"index"`
	LeafHash string `json:"leaf_hash"` // SM3(0x00 ‖ record), hex
	Record   []byte `json:"record"`    // as it is logged, in base64
	// Proof leads from the leaf to the root of the answer's checkpoint, hex.
	Proof         []string     `json:"proof"`
	Time          time.Time    `json:"time"`
	Principal     string       `json:"principal"`
	AuthorityCode string       `json:"authority_code"`
	AuthorityName string       `json:"authority_name"` // as it is called now
	Action        audit.Action `json:"action"`
	Object        string       `json:"object"`
	Purpose       string       `json:"purpose"`
	CaseNumber    string       `json:"case_number"`
	MatterCode    string       `json:"matter_code"`
	Result        audit.Result `json:"result"`
	Code          string       `json:"code"`
	RequestID     string       `json:"request_id"`
	HeldUntil     *time.Time   `json:"held_until,omitempty"`
}

// entriesAnswer is one page of entries, newest first.
type entriesAnswer struct {
	Entries []entryJSON `json:"entries"`
	// Archived are those of the page that lie in files; it is absent when there are none.
	Archived []archivedJSON `json:"archived,omitempty"`
	// Checkpoint is the signed note that the proofs lead to, Size how many entries it covers.
	Checkpoint string `json:"checkpoint"`
	Size       uint64 `json:"size"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor"`
}

// archivedJSON is an entry that lies in a file.
type archivedJSON struct {
	Index    uint64   `json:"index"`
	LeafHash string   `json:"leaf_hash"`
	Proof    []string `json:"proof"`
	File     string   `json:"file"`
	SM3      string   `json:"sm3"` // of the file, hex
}

func newEntries(p accesslog.Page) entriesAnswer {
	a := entriesAnswer{Entries: make([]entryJSON, 0, len(p.Entries)), Checkpoint: string(p.Checkpoint), Size: p.Size}
	for _, e := range p.Entries {
		in := e.Entry
		j := entryJSON{
			Index: e.Index, LeafHash: hex.EncodeToString(e.Leaf[:]), Record: e.Raw, Proof: hexAll(e.Proof),
			Time: in.Time, Principal: in.Principal, AuthorityCode: in.Authority, AuthorityName: e.Department,
			Action: in.Action, Object: in.Object, Purpose: in.Purpose, CaseNumber: in.Case, MatterCode: in.Matter,
			Result: in.Result, Code: in.Code, RequestID: in.RequestID,
		}
		if !e.HeldUntil.IsZero() {
			until := e.HeldUntil.UTC()
			j.HeldUntil = &until
		}
		a.Entries = append(a.Entries, j)
	}
	for _, e := range p.Archived {
		a.Archived = append(a.Archived, archivedJSON{e.Index, hex.EncodeToString(e.Leaf[:]), hexAll(e.Proof), e.In.Name, hex.EncodeToString(e.In.Digest[:])})
	}
	if p.Next > 0 {
		a.NextCursor = cursorBelow(p.NextLog, p.Next)
	}
	return a
}

// cursorBelow is a cursor of entries: the index that those of the next page are below and,
// after a slash, which of the logs they are in, when it is not the present one.
func cursorBelow(log int, index uint64) string {
	b := strconv.AppendUint(nil, index, 10)
	if log > 0 {
		b = strconv.AppendInt(append(b, '/'), int64(log), 10)
	}
	return strictBase64.EncodeToString(b)
}

// below reads a cursor of entries; ok is false when it is none.
func below(cursor string) (log int, index uint64, ok bool) {
	if cursor == "" {
		return 0, 0, true
	}
	b, err := strictBase64.DecodeString(cursor)
	if err != nil {
		return 0, 0, false
	}
	first, second, older := strings.Cut(string(b), "/")
	if older {
		if log, err = strconv.Atoi(second); err != nil || log < 1 {
			return 0, 0, false
		}
	}
	index, err = strconv.ParseUint(first, 10, 63)
	return log, index, err == nil && index > 0
}

// parseEntries reads a search in the access log.
func parseEntries(body []byte) (accesslog.Query, error) { return parseJSON(body, readEntries) }

func readEntries(r *reader) accesslog.Query {
	q := accesslog.Query{
		Principal: r.text("principal", 256), Object: r.text("object", 256), Case: r.text("case_number", 128),
		Action: audit.Action(r.text("action", 64)), From: r.instant("from"), To: r.instant("to"),
		Limit: r.integer("limit", 1, registry.MaxPage),
	}
	if !q.From.IsZero() && !q.To.IsZero() && q.To.Before(q.From) {
		r.fault("to", licence.CodeDateOrder, "is before from")
	}
	var ok bool
	if q.Log, q.Below, ok = below(r.text("cursor", 64)); !ok {
		r.fault("cursor", licence.CodeBadFormat, "is not a cursor of this server")
	}
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	return q
}

// instant takes an instant; the zero time when absent.
func (r *reader) instant(name string) time.Time {
	s := r.text(name, 40)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() < 1970 {
		r.fault(name, licence.CodeBadFormat, "is not an instant as in RFC 3339")
	}
	return t
}

// searchLog finds entries for an auditor.
func (x *exchange) searchLog(q accesslog.Query) (entriesAnswer, audit.Receipt, error) {
	page, receipt, err := x.cfg.AccessLog.Search(x.r.Context(), x.caller, q)
	return newEntries(page), receipt, err
}

// ownLog answers with the entries about the holder who asks.
func (x *exchange) ownLog() (func(), audit.Receipt, error) {
	q, err := x.ownQuery()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	use, err := x.use()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	page, receipt, err := x.cfg.AccessLog.Own(x.r.Context(), x.caller, q, use)
	return func() { x.json(http.StatusOK, newEntries(page)) }, receipt, err
}

// ownQuery reads the query parameters limit and cursor, each at most once; others are its
// caller's to read.
func (x *exchange) ownQuery(others ...string) (accesslog.Query, error) {
	q := accesslog.Query{Limit: defaultPage}
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return q, errBadParameter
	}
	for name, value := range values {
		ok := slices.Contains(others, name)
		switch {
		case ok || len(value) != 1:
		case name == "cursor":
			q.Log, q.Below, ok = below(value[0])
		case name == "limit":
			q.Limit, err = strconv.Atoi(value[0])
			ok = err == nil && q.Limit >= 1 && q.Limit <= registry.MaxPage
		}
		if !ok {
			return q, errBadParameter
		}
	}
	return q, nil
}

// holderLogBody is the page of who used a holder's licences.
type holderLogBody struct {
	entriesAnswer
	Self    []string // the principals that the holder acts as
	Present bool     // of the present log, whose entries can be disputed
	All     bool     // what the holder did too
}

// Own reports whether the holder did it.
func (b holderLogBody) Own(e entryJSON) bool { return slices.Contains(b.Self, e.Principal) }

// holderLog shows the holder who used their licences, and for what: others, or by who=all
// the holder too.
func (x *exchange) holderLog() {
	if !x.holderSession() {
		return
	}
	who := x.r.URL.Query()["who"]
	b := holderLogBody{Self: []string{x.caller.Principal, x.pseudonym(x.caller.Holder)}, All: slices.Equal(who, []string{"all"})}
	q, err := x.ownQuery("who")
	if err == nil && len(who) > 0 && !b.All {
		err = errBadParameter
	}
	if !b.All {
		q.Without = b.Self
	}
	x.holderEntries(q, err, func(a entriesAnswer) {
		b.entriesAnswer, b.Present = a, q.Log == 0
		x.show(http.StatusOK, "holder_log", b)
	})
}

// holderLogFile gives all entries, with their proofs, as a file to keep.
func (x *exchange) holderLogFile() {
	if !x.holderSession() {
		return
	}
	q, err := x.ownQuery()
	x.holderEntries(q, err, func(a entriesAnswer) {
		x.w.Header().Set("Content-Disposition", `attachment; filename="access-log.json"`)
		x.json(http.StatusOK, a)
	})
}

// holderEntries writes the entries of a query that was read, or not.
func (x *exchange) holderEntries(q accesslog.Query, err error, write func(entriesAnswer)) {
	if err != nil {
		x.refuse(err)
		return
	}
	page, receipt, err := x.cfg.AccessLog.Own(x.r.Context(), x.caller, q, selfService)
	if x.settle(receipt, err) {
		write(newEntries(page))
	}
}

// outcomeLabels name to people what came of it.
var outcomeLabels = map[audit.Result]string{audit.ResultAllowed: "已进行", audit.ResultRefused: "已拒绝", audit.ResultFailed: "未完成"}

// groundLabel says to people what an entry names as what it rests on: a case, or a consent.
func groundLabel(number string) string {
	if strings.HasPrefix(number, "consent/") {
		return "授权编号"
	}
	return "办件编号"
}

// addressLabels name to people where somebody unknown looked from; see addressClass.
var addressLabels = map[string]string{"address_public": "，来自公网", "address_private": "，来自内部网络", "address_local": "，来自本机"}

// Who names to people who acted.
func (e entryJSON) Who() string {
	switch {
	case e.AuthorityName != "":
		return e.AuthorityName
	case e.Principal == "anonymous":
		return "公众（未登录" + addressLabels[e.Code] + "）"
	case e.Principal == "system":
		return "本平台"
	case e.AuthorityCode != "":
		return e.AuthorityCode
	}
	return e.Principal
}

// Seals reports whether a seal was used; the entry names it as its purpose.
func (e entryJSON) Seals() bool {
	return e.Action == registry.ActionSeal || e.Action == registry.ActionCopySeal
}
