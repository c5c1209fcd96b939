package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
	"github.com/gin-gonic/gin"
)

// The most bytes of UTF-8 of texts of a body. The register bounds what goes into
// the log more closely; maxText keeps nonsense from getting that far.
const (
	maxText     = 4096
	maxType     = 64
	maxCode     = 128
	maxCodeType = 16
)

// codeType takes the type of a holder's code.
func (r *reader) codeType() licence.HolderCodeType {
	return licence.HolderCodeType(r.text("code_type", maxCodeType))
}

// parseIssue leaves the body to the register, which reads it with the catalogue at hand.
func parseIssue(body []byte) (registry.IssueRequest, error) {
	return registry.IssueRequest{Body: body}, nil
}

// issue issues a licence.
func (x *exchange) issue(q registry.IssueRequest) (issued registry.Issued, receipt audit.Receipt, err error) {
	if q.Key, err = x.idempotencyKey(); err != nil {
		return issued, receipt, err
	}
	issued, receipt, err = x.cfg.Registry.Issue(x.r.Context(), x.caller, q)
	if err == nil {
		x.w.Header().Set("Location", "/api/v1/licences/"+string(issued.Identifier))
	}
	return issued, receipt, err
}

// change is one of the register's changes of status.
type change func(context.Context, registry.Caller, licence.Identifier, registry.StatusRequest) (registry.StatusChanged, audit.Receipt, error)

// parseChange reads a body of a change of status.
func parseChange(body []byte) (registry.StatusRequest, error) {
	return parseJSON(body, func(r *reader) registry.StatusRequest {
		return registry.StatusRequest{
			Body: sm3.Sum(body), Reason: r.required("reason", maxText), CaseNumber: r.text("case_number", maxText),
			MatterCode: r.text("matter_code", maxText), Operator: r.text("operator", maxText),
		}
	})
}

// serveChange makes a handler of a change of status.
func (s *Server) serveChange(action audit.Action, do change) gin.HandlerFunc {
	return serveJSON(s, action, http.StatusOK, parseChange,
		func(x *exchange, q registry.StatusRequest) (changed registry.StatusChanged, receipt audit.Receipt, err error) {
			id, err := x.path()
			if err != nil {
				return changed, receipt, err
			}
			if q.Key, err = x.idempotencyKey(); err != nil {
				return changed, receipt, err
			}
			// The same words about another licence, or to another end, are another request.
			q.Body = sm3.Sum(append([]byte(string(x.action)+"\n"+string(id)+"\n"), q.Body[:]...))
			return do(x.r.Context(), x.caller, id, q)
		})
}

// makeVersion is one of the register's operations that make a new version.
type makeVersion func(context.Context, registry.Caller, licence.Identifier, registry.VersionRequest) (registry.Issued, audit.Receipt, error)

// parseVersion leaves the body to the register, which reads it with the licence at hand.
func parseVersion(body []byte) (registry.VersionRequest, error) {
	return registry.VersionRequest{Body: body}, nil
}

// serveVersion makes a handler of an operation that makes a new version.
func (s *Server) serveVersion(action audit.Action, do makeVersion) gin.HandlerFunc {
	return serveJSON(s, action, http.StatusCreated, parseVersion,
		func(x *exchange, q registry.VersionRequest) (issued registry.Issued, receipt audit.Receipt, err error) {
			id, err := x.path()
			if err != nil {
				return issued, receipt, err
			}
			if q.Key, err = x.idempotencyKey(); err != nil {
				return issued, receipt, err
			}
			issued, receipt, err = do(x.r.Context(), x.caller, id, q)
			if err == nil {
				x.w.Header().Set("Location", "/api/v1/licences/"+string(issued.Identifier))
			}
			return issued, receipt, err
		})
}

// identifierForm bounds what may stand as an object in the log.
var identifierForm = regexp.MustCompile(`^[0-9A-Z.]{1,160}$`)

// errNoIdentifier is a path that no licence can have.
var errNoIdentifier = &refusal{code: "not_found", detail: details["not_found"]}

// path is the licence that the path names.
func (x *exchange) path() (licence.Identifier, error) {
	id, err := licence.ParseIdentifier(x.identifier)
	if err != nil {
		return "", errNoIdentifier
	}
	return id, nil
}

// use is what a GET says it is for, in headers, because addresses are kept in
// too many places. Values are UTF-8, percent-encoded; the register bounds them.
func (x *exchange) use() (use registry.Use, err error) {
	for name, to := range map[string]*string{
		"Elicence-Purpose": &use.Purpose, "Elicence-Case-Number": &use.Case,
		"Elicence-Matter-Code": &use.Matter, "Elicence-Operator": &use.Operator,
	} {
		if *to, err = url.PathUnescape(x.r.Header.Get(name)); err != nil {
			return registry.Use{}, &refusal{code: "malformed_header", detail: name + " is not percent-encoded"}
		}
	}
	return use, nil
}

// licenceJSON is a licence as the interface shows it. Within metadata the names
// are those of GB/T 36903; it and fields are exactly what is attached to the file.
type licenceJSON struct {
	Identifier licence.Identifier `json:"identifier"`
	Number     string             `json:"number"`
	TypeCode   string             `json:"type_code"`
	TypeName   string             `json:"type_name"`
	Version    int                `json:"version"`
	// Origin is "external" of a licence that another platform issued; absent for our own.
	Origin licence.Origin `json:"origin,omitempty"`
	// AsOf is the instant that all of this was so.
	AsOf   time.Time      `json:"as_of"`
	Status licence.Status `json:"status"`
	// TypeStatusCode is what the type's own specification calls the status, where it is known.
	TypeStatusCode string    `json:"type_status_code,omitempty"`
	StatusReason   string    `json:"status_reason"`
	StatusAt       time.Time `json:"status_at"`
	linksJSON
	// NewestVersion is the newest version that had been issued; absent when there was none.
	NewestVersion licence.Identifier `json:"newest_version,omitempty"`
	DataDigest    string             `json:"data_digest"`
	File          *fileJSON          `json:"file,omitempty"`
	Metadata      json.RawMessage    `json:"metadata"`
	Fields        json.RawMessage    `json:"fields"`
	// MetadataPinyin is metadata-pinyin.json, as attached to the file.
	MetadataPinyin json.RawMessage `json:"metadata_pinyin"`
}

// linksJSON are a version's links to its neighbours; absent where there is none.
type linksJSON struct {
	// Operation is what made a version after the first.
	Operation    licence.Operation  `json:"operation,omitempty"`
	Supersedes   licence.Identifier `json:"supersedes,omitempty"`
	SupersededBy licence.Identifier `json:"superseded_by,omitempty"`
}

func newLinks(v registry.View) linksJSON { return linksJSON{v.Operation, v.Supersedes, v.SupersededBy} }

// fileJSON describes the current file of a licence.
type fileJSON struct {
	Digest        string     `json:"digest"`
	Size          int64      `json:"size"`
	SealedAt      time.Time  `json:"sealed_at"`
	Timestamped   bool       `json:"timestamped"`
	TimestampedAt *time.Time `json:"timestamped_at,omitempty"`
}

// newLicenceJSON shows a view.
func newLicenceJSON(v registry.View) (licenceJSON, error) {
	data, err := v.Data()
	if err != nil {
		return licenceJSON{}, fmt.Errorf("writing licence data: %w", err)
	}
	pinyin, err := v.PinyinData()
	if err != nil {
		return licenceJSON{}, fmt.Errorf("writing the metadata in pinyin initials: %w", err)
	}
	l := licenceJSON{
		Identifier: v.Identifier, Number: v.Number, TypeCode: v.TypeCode, TypeName: v.TypeName, Version: v.Version, Origin: v.Origin,
		AsOf: v.AsOf.UTC(), Status: v.Status, TypeStatusCode: v.StatusCode, StatusReason: v.StatusReason, StatusAt: v.StatusAt.UTC(), linksJSON: newLinks(v), NewestVersion: v.Newest,
		DataDigest: hex.EncodeToString(v.DataDigest[:]), File: newFileJSON(v.File), MetadataPinyin: pinyin,
	}
	parts := struct {
		Metadata *json.RawMessage `json:"metadata"`
		Fields   *json.RawMessage `json:"fields"`
	}{&l.Metadata, &l.Fields}
	return l, json.Unmarshal(data, &parts)
}

func newFileJSON(f registry.File) *fileJSON {
	if f.Digest == ([32]byte{}) {
		return nil
	}
	j := &fileJSON{Digest: hex.EncodeToString(f.Digest[:]), Size: f.Size, SealedAt: f.SealedAt.UTC(), Timestamped: f.Timestamped}
	if f.Timestamped {
		at := f.TimestampedAt.UTC()
		j.TimestampedAt = &at
	}
	return j
}

// licence reads one licence.
func (x *exchange) licence() (func(), audit.Receipt, error) {
	id, use, err := x.asked()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	masked, err := x.masked()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	asOf, err := x.asOf()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	v, receipt, err := x.cfg.Registry.GetAsOf(x.r.Context(), x.caller, id, asOf, use)
	if err != nil {
		return nil, receipt, err
	}
	if masked {
		v = v.Masked()
	}
	l, err := newLicenceJSON(v)
	return func() { x.json(http.StatusOK, l) }, receipt, err
}

// masked takes the query parameter masked, which is true where it is given, out of the
// query.
func (x *exchange) masked() (bool, error) {
	at := *x.r.URL
	values, err := url.ParseQuery(at.RawQuery)
	given, there := values["masked"]
	if err != nil || there && (len(given) != 1 || given[0] != "true") {
		return false, errBadParameter
	}
	values.Del("masked")
	at.RawQuery = values.Encode()
	x.r.URL = &at
	return there, nil
}

// asOf reads the query parameter as_of, at most once, and no other.
func (x *exchange) asOf() (time.Time, error) {
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	given, there := values["as_of"]
	if err != nil || len(values) > 1 || there != (len(values) == 1) || len(given) > 1 {
		return time.Time{}, errBadParameter
	}
	if !there {
		return time.Time{}, nil
	}
	at, ok := parseAsOf(given[0], x.now())
	if !ok {
		return time.Time{}, errBadParameter
	}
	return at, nil
}

// parseAsOf reads an instant (RFC 3339) or a day, which stands for its last instant in
// Asia/Shanghai, and today for the present one. Whether it is to come is for the register to say.
func parseAsOf(s string, now time.Time) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, at.Year() >= 1970
	}
	day, err := licence.ParseDate(s)
	if err != nil || day.Year() < 1970 {
		return time.Time{}, false
	}
	if day == licence.DateOf(now) {
		return now, true
	}
	return day.EndsAt().Add(-1), true
}

// asOf takes an instant or a day; the zero time when absent.
func (r *reader) asOf(name string, now func() time.Time) time.Time {
	s := r.text(name, 40)
	if s == "" {
		return time.Time{}
	}
	at, ok := parseAsOf(s, now())
	if !ok {
		r.fault(name, licence.CodeBadFormat, "is neither a day that exists nor an instant as in RFC 3339")
	}
	return at
}

// historyJSON is one version of a licence with its statuses.
type historyJSON struct {
	summaryJSON
	Changes []changeJSON `json:"changes"`
}

// changeJSON is a status from an instant on.
type changeJSON struct {
	Status     licence.Status `json:"status"`
	Reason     string         `json:"reason"`
	CaseNumber string         `json:"case_number"`
	At         time.Time      `json:"at"`
}

// historyAnswer are the versions of one licence, newest first.
type historyAnswer struct {
	Versions []historyJSON `json:"versions"`
}

// history reads the versions of a licence.
func (x *exchange) history() (func(), audit.Receipt, error) {
	id, use, err := x.asked()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	versions, receipt, err := x.cfg.Registry.History(x.r.Context(), x.caller, id, use)
	var a historyAnswer
	for _, v := range versions {
		h := historyJSON{summaryJSON: newSummary(v.View)}
		for _, p := range v.Changes {
			h.Changes = append(h.Changes, changeJSON{p.Status, p.Reason, p.CaseNumber, p.At.UTC()})
		}
		a.Versions = append(a.Versions, h)
	}
	return func() { x.json(http.StatusOK, a) }, receipt, err
}

// asked is what a read names and what it is for.
func (x *exchange) asked() (id licence.Identifier, use registry.Use, err error) {
	if id, err = x.path(); err == nil {
		use, err = x.use()
	}
	return id, use, err
}

// file downloads the current file of a licence.
func (x *exchange) file() (func(), audit.Receipt, error) {
	id, use, err := x.asked()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	file, receipt, err := x.cfg.Registry.Download(x.r.Context(), x.caller, id, use)
	return func() { x.pdf(id, file) }, receipt, err
}

// bundle makes an evidence bundle of a licence.
func (x *exchange) bundle() (func(), audit.Receipt, error) {
	id, use, err := x.asked()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	raw, receipt, err := x.cfg.Bundles.Make(x.r.Context(), x.caller, id, use)
	return func() {
		x.w.Header().Set("Content-Disposition", `attachment; filename="`+string(id)+`.zip"`)
		x.bytes("application/zip", raw)
	}, receipt, err
}

// pdf answers with a licence file, one of another platform as it came. Its ETag is SM3 of
// the bytes, so that whoever keeps them can name what was fetched.
func (x *exchange) pdf(id licence.Identifier, file []byte) {
	mediaType, ending := "application/pdf", ".pdf"
	if bytes.HasPrefix(file, []byte("PK")) {
		mediaType, ending = "application/ofd", ".ofd"
	}
	digest := sm3.Sum(file)
	h := x.w.Header()
	h.Set("ETag", `"`+hex.EncodeToString(digest[:])+`"`)
	h.Set("Content-Disposition", `attachment; filename="`+string(id)+ending+`"`)
	x.bytes(mediaType, file)
}
