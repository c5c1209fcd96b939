package api

import (
	"encoding/json"
	"net/http"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/verify"
)

// importLicence enters a licence that another platform issued: a form of what is stated of
// it, in JSON, and its file.
func (x *exchange) importLicence() {
	x.sent(func(request, file []byte) {
		key, err := x.idempotencyKey()
		if err != nil {
			x.refuse(err)
			return
		}
		imported, receipt, err := x.cfg.Registry.Import(x.r.Context(), x.caller, registry.ImportRequest{Key: key, Body: request, File: file})
		if !x.settle(receipt, err) {
			return
		}
		x.w.Header().Set("Location", "/api/v1/licences/"+string(imported.Identifier))
		status := http.StatusCreated
		if imported.Repeated {
			status = http.StatusOK
		}
		x.json(status, imported)
	})
}

// importJSON is how a licence of another platform came.
type importJSON struct {
	Identifier licence.Identifier `json:"identifier"`
	Origin     licence.Origin     `json:"origin"`
	// Given is the identifier as it came; absent when there was none.
	Given          string                 `json:"given_identifier,omitempty"`
	Platform       string                 `json:"platform,omitempty"`
	Existing       bool                   `json:"existing"`
	ImportedAt     time.Time              `json:"imported_at"`
	Verdict        registry.ImportVerdict `json:"verdict"`
	OverrideReason string                 `json:"override_reason,omitempty"`
	// Report is the verification report of that time; absent when no file came.
	Report json.RawMessage `json:"report,omitempty"`
}

// readImport reads how a licence of another platform came.
func (x *exchange) readImport() (func(), audit.Receipt, error) {
	id, use, err := x.asked()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	i, receipt, err := x.cfg.Registry.ReadImport(x.r.Context(), x.caller, id, use)
	return func() {
		x.json(http.StatusOK, importJSON{Identifier: i.Identifier, Origin: licence.OriginExternal, Given: i.Given, Platform: i.Platform, Existing: i.Existing,
			ImportedAt: i.At.UTC(), Verdict: i.Verdict, OverrideReason: i.Override, Report: i.Report})
	}, receipt, err
}

// Judged is what the register is told of a report on a file that is to be imported.
func Judged(r *verify.Report) (registry.Judgement, error) {
	j := registry.Judgement{Verdict: registry.ImportIndeterminate, Codes: []string{}}
	switch r.Indication {
	case verify.TotalPassed:
		j.Verdict = registry.ImportValid
	case verify.TotalFailed:
		j.Verdict = registry.ImportInvalid
	}
	for _, c := range r.Checks {
		if c.Result == verify.ResultFailed && c.Name != verify.CheckState || c.Result == verify.ResultIndeterminate && j.Verdict == registry.ImportIndeterminate {
			j.Codes = append(j.Codes, c.Code)
		}
	}
	var err error
	j.Report, err = json.Marshal(r)
	return j, err
}
