package api

import (
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
	Identifier   licence.Identifier `json:"identifier"`
	Number       string             `json:"number"`
	TypeCode     string             `json:"type_code"`
	TypeName     string             `json:"type_name"`
	Version      int                `json:"version"`
	Status       licence.Status     `json:"status"`
	StatusReason string             `json:"status_reason"`
	StatusAt     time.Time          `json:"status_at"`
	DataDigest   string             `json:"data_digest"`
	File         *fileJSON          `json:"file,omitempty"`
	Metadata     json.RawMessage    `json:"metadata"`
	Fields       json.RawMessage    `json:"fields"`
}

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
	l := licenceJSON{
		Identifier: v.Identifier, Number: v.Number, TypeCode: v.TypeCode, TypeName: v.TypeName, Version: v.Version,
		Status: v.Status, StatusReason: v.StatusReason, StatusAt: v.StatusAt.UTC(),
		DataDigest: hex.EncodeToString(v.DataDigest[:]), File: newFileJSON(v.File),
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
	v, receipt, err := x.cfg.Registry.Get(x.r.Context(), x.caller, id, use)
	if err != nil {
		return nil, receipt, err
	}
	l, err := newLicenceJSON(v)
	return func() { x.json(http.StatusOK, l) }, receipt, err
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
	raw, receipt, err := x.cfg.Registry.Bundle(x.r.Context(), x.caller, id, use)
	return func() {
		x.w.Header().Set("Content-Disposition", `attachment; filename="`+string(id)+`.zip"`)
		x.bytes("application/zip", raw)
	}, receipt, err
}

// pdf answers with a licence file. Its ETag is SM3 of the bytes, so that whoever
// keeps them can name what was fetched.
func (x *exchange) pdf(id licence.Identifier, file []byte) {
	digest := sm3.Sum(file)
	h := x.w.Header()
	h.Set("ETag", `"`+hex.EncodeToString(digest[:])+`"`)
	h.Set("Content-Disposition", `attachment; filename="`+string(id)+`.pdf"`)
	x.bytes("application/pdf", file)
}
