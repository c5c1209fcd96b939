package api_test

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/api"
	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// problem is a problem document.
type problem struct {
	Type, Title, Detail, Code string
	Status                    int
	RequestID                 string `json:"request_id"`
	Errors                    []struct{ Field, Code, Detail string }
}

// problemIn reads a problem document and what must hold for every one.
func problemIn(t testing.TB, a answer) problem {
	t.Helper()
	var p problem
	a.json(t, &p)
	if a.Header.Get("Content-Type") != "application/problem+json" || p.Status != a.StatusCode ||
		p.RequestID == "" || p.RequestID != a.Header.Get("X-Request-Id") || p.Type != "urn:elicence:problem:"+p.Code {
		t.Errorf("problem document %+v under status %d, headers %v", p, a.StatusCode, a.Header)
	}
	return p
}

// TestBadIssue sends what must not become a licence: each refusal names the
// field, is logged exactly once, and reserves nothing.
func TestBadIssue(t *testing.T) {
	w := open(t)
	w.issue(food, "used")
	births := registry.Client{ID: "births", Salt: []byte("salt"), SecretHash: registry.HashSecret([]byte("salt"), "births"),
		Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: registrytest.Authorities[birthType], Types: []string{birthType}}
	_, err := w.PutClient(t.Context(), registry.System("test"), births)
	must(t, err)
	w.token(births.ID)
	in := func(name, value string) []byte { return change(t, food, map[string]any{name: value}) }
	raw := func(old, new string) []byte { return bytes.Replace(sample(t, food), []byte(old), []byte(new), 1) }
	for _, c := range []struct {
		name   string
		body   []byte
		status int
		code   string
		field  string
		fault  string // code of that field
	}{
		{"no JSON", []byte("hello"), 400, "malformed_json", "", "malformed_json"},
		{"empty", nil, 400, "malformed_json", "", "malformed_json"},
		{"cut off", sample(t, food)[:200], 400, "malformed_json", "", "malformed_json"},
		{"trailing data", append(sample(t, food), "{}"...), 400, "malformed_json", "", "malformed_json"},
		{"a list", []byte("[]"), 422, "invalid_request", "", "wrong_type"},
		{"member twice", raw(`"type_code"`, `"type_code":"x","type_code"`), 422, "invalid_request", "type_code", "duplicate_member"},
		{"too deep", raw(`"fields"`, `"deep":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`,"fields"`), 422, "invalid_request", "", "too_deep"},
		{"half a surrogate pair", raw(`"name": "`, `"name": "\ud83d`), 422, "invalid_request", "holder.name", "invalid_utf8"},
		{"invalid UTF-8", raw(`"name": "`, "\"name\": \"\xff"), 422, "invalid_request", "holder.name", "invalid_utf8"},
		{"a fraction", change(t, "birth-two-parents.json", map[string]any{"fields.weight_grams": 3280.5}), 422, "invalid_request", "fields.weight_grams", "not_an_integer"},
		{"null", raw(`"holder"`, `"number":null,"holder"`), 422, "invalid_request", "number", "wrong_type"},
		{"unknown member", in("colour", "red"), 422, "invalid_request", "colour", "unknown_field"},
		{"issuing authority given", in("authority", "x"), 422, "invalid_request", "authority", "unknown_field"},
		{"unknown type", in("type_code", "11100000MB0143028R999"), 422, "invalid_request", "type_code", "unknown_type"},
		{"a very long type", in("type_code", strings.Repeat("9", 9000)), 422, "invalid_request", "type_code", "unknown_type"},
		{"no holder", change(t, food, map[string]any{"holder": nil}), 422, "invalid_request", "holder.name", "missing"},
		{"holder is a text", in("holder", "x"), 422, "invalid_request", "holder", "wrong_type"},
		{"wrong check digit of a company", in("holder.code", "91330106MA2H41QX6B"), 422, "invalid_request", "holder.code", "bad_code"},
		{"unknown code type", in("holder.code_type", "777"), 422, "invalid_request", "holder.code_type", "not_allowed"},
		{"wrong check digit of a person", change(t, "birth-two-parents.json", map[string]any{"holder.code": "330102199504082460"}), 422, "invalid_request", "holder.code", "bad_code"},
		{"name of 1,000 characters", in("holder.name", strings.Repeat("名", 1000)), 422, "invalid_request", "holder.name", "too_long"},
		{"control character", in("holder.name", "甲\u0007乙"), 422, "invalid_request", "holder.name", "control_character"},
		{"bidirectional control", in("holder.name", "甲\u202e乙"), 422, "invalid_request", "holder.name", "bidi_control"},
		{"private use", in("holder.name", "甲\ue000乙"), 422, "invalid_request", "holder.name", "private_use"},
		{"missing field of the type", change(t, food, map[string]any{"fields.premises": nil}), 422, "invalid_request", "fields.premises", "missing"},
		{"extra field of the type", in("fields.colour", "red"), 422, "invalid_request", "fields.colour", "unknown_field"},
		{"no such day", in("issued_on", "2026-02-30"), 422, "invalid_request", "issued_on", "bad_format"},
		{"dates the wrong way round", in("expires_on", "2020-01-01"), 422, "invalid_request", "expires_on", "date_order"},
		{"no last day", change(t, food, map[string]any{"expires_on": nil}), 422, "invalid_request", "expires_on", "missing"},
		{"no case", change(t, food, map[string]any{"case_number": nil}), 422, "invalid_request", "case_number", "missing"},
		{"no operator", in("operator", ""), 422, "invalid_request", "operator", "too_short"},
		{"a photograph and more", append(sample(t, food), bytes.Repeat([]byte(" "), licence.MaxRequest)...), 413, "too_large", "", ""},
		{"10 MB", bytes.Repeat([]byte("["), 10<<20), 413, "too_large", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, as := w.size(), approval
			if bytes.Contains(c.body, []byte(birthType)) {
				as = births.ID
			}
			a := w.do(ask{method: "POST", path: "/api/v1/licences", as: as, key: "bad", body: c.body, header: map[string]string{"X-Request-Id": "bad-1"}})
			p := problemIn(t, a)
			if p.Status != c.status || p.Code != c.code {
				t.Fatalf("got %+v, want %d %s", p, c.status, c.code)
			}
			at := slices.IndexFunc(p.Errors, func(e struct{ Field, Code, Detail string }) bool {
				return (c.field == "" || e.Field == c.field) && e.Code == c.fault
			})
			if c.fault != "" && at < 0 {
				t.Errorf("errors %+v; want %s %s", p.Errors, c.field, c.fault)
			}
			w.loggedOnce(t, before, "bad-1", "issue")
		})
	}
	w.issue(food, "bad") // none of them took the key
}

// loggedOnce checks that one refusal was logged since before, and nothing else.
func (w *world) loggedOnce(t testing.TB, before uint64, requestID string, action audit.Action) audit.Entry {
	t.Helper()
	entries := w.since(before)
	if len(entries) != 1 || entries[0].Result != audit.ResultRefused || entries[0].RequestID != requestID || entries[0].Action != action {
		t.Fatalf("log: %+v; want one refusal of %s", entries, action)
	}
	return entries[0]
}

// TestBadRequest sends what is wrong with a request whatever its operation is.
func TestBadRequest(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "used")
	w.token(holder)
	w.token(partner)
	w.token(auditor)
	w.token(requester)
	w.token(approver)
	w.token(elsewhere)
	path := "/api/v1/licences/" + string(issued.Identifier)
	reason := []byte(`{"reason":"r"}`)
	key := []byte(bytes.Repeat([]byte{7}, 32))
	bearer := func(token string) map[string]string { return map[string]string{"Authorization": token} }
	for _, c := range []struct {
		name string
		ask
		status int
		code   string
		field  string
		action audit.Action
	}{
		{"no key", ask{method: "POST", path: "/api/v1/licences", as: approval, body: sample(t, food)}, 400, "idempotency_key_missing", "Idempotency-Key", "issue"},
		{"key with a space", ask{method: "POST", path: "/api/v1/licences", as: approval, key: "a b", body: sample(t, food)}, 400, "idempotency_key_malformed", "Idempotency-Key", "issue"},
		{"long key", ask{method: "POST", path: "/api/v1/licences", as: approval, key: strings.Repeat("k", 129), body: sample(t, food)}, 400, "idempotency_key_malformed", "Idempotency-Key", "issue"},
		{"key of another body", ask{method: "POST", path: "/api/v1/licences", as: approval, key: "used", body: sample(t, "food-retail.json")}, 422, "idempotency_key_reused", "Idempotency-Key", "issue"},
		{"number taken", ask{method: "POST", path: "/api/v1/licences", as: approval, key: "n", body: change(t, food, map[string]any{"number": issued.Number})}, 409, "number_taken", "number", "issue"},
		{"revoke without key", ask{method: "POST", path: path + "/revoke", as: approval, body: reason}, 400, "idempotency_key_missing", "Idempotency-Key", "revoke"},
		{"resume what is valid", ask{method: "POST", path: path + "/resume", as: approval, key: "r", body: reason}, 409, "wrong_status", "", "resume"},
		{"no reason", ask{method: "POST", path: path + "/revoke", as: approval, key: "r", body: []byte(`{}`)}, 422, "invalid_request", "reason", "revoke"},
		{"blank reason", ask{method: "POST", path: path + "/revoke", as: approval, key: "r", body: []byte(`{"reason":"  "}`)}, 422, "invalid_request", "reason", "revoke"},
		{"reason too long for the log", ask{method: "POST", path: path + "/revoke", as: approval, key: "r", body: []byte(`{"reason":"` + strings.Repeat("长", 200) + `"}`)}, 422, "invalid_request", "reason", "revoke"},
		{"reason with a control character", ask{method: "POST", path: path + "/revoke", as: approval, key: "r", body: []byte(`{"reason":"a\u0000b"}`)}, 422, "invalid_request", "reason", "revoke"},
		{"no such licence", ask{method: "GET", path: "/api/v1/licences/" + string(otherIdentifier(t)), as: approval}, 404, "not_found", "", "read"},
		{"no identifier", ask{method: "GET", path: "/api/v1/licences/1.2.3", as: approval}, 404, "not_found", "", "read"},
		{"an identifier like nothing", ask{method: "GET", path: "/api/v1/licences/%00%ff" + strings.Repeat("A", 5000), as: approval}, 404, "not_found", "", "read"},
		{"out of reach", ask{method: "POST", path: path + "/revoke", as: elsewhere, key: "r", body: reason}, 403, "forbidden", "", "revoke"},
		{"somebody else's licences", ask{method: "POST", path: "/api/v1/licences/search", as: holder, body: []byte(`{"holder":{"code":"113301000024903302","code_type":"001"}}`)}, 403, "forbidden", "", "search"},
		{"search by a wrong code", ask{method: "POST", path: "/api/v1/licences/search", as: approval, body: []byte(`{"holder":{"code":"1","code_type":"001"}}`)}, 422, "invalid_request", "holder.code", "search"},
		{"search with a made-up cursor", ask{method: "POST", path: "/api/v1/licences/search", as: holder, body: []byte(`{"cursor":"MQ"}`)}, 422, "invalid_request", "cursor", "search"},
		{"a page of 101", ask{method: "POST", path: "/api/v1/licences/search", as: holder, body: []byte(`{"limit":101}`)}, 422, "invalid_request", "limit", "search"},
		{"reuse without purpose", ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"purpose": nil})}, 422, "invalid_request", "purpose", "reuse"},
		{"reuse without case", ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"case_number": ""})}, 422, "invalid_request", "case_number", "reuse"},
		{"reuse for another matter", ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"matter_code": "000000000000"})}, 403, "case_mismatch", "", "reuse"},
		{"reuse in a case that nobody registered", ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"case_number": "C-9"})}, 403, "case_unknown", "", "reuse"},
		{"reuse for a phrase", ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"purpose": "证照 查询。"})}, 422, "invalid_request", "purpose", "reuse"},
		{"reuse of a wrong code", ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"holder": map[string]any{"code": "91330106MA2H41QX6B", "code_type": "001"}})}, 422, "invalid_request", "holder.code", "reuse"},
		{"reuse as somebody else", ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"client": "other"})}, 422, "invalid_request", "client", "reuse"},
		{"a grant that is approved from the start", ask{method: "POST", path: "/api/v1/grants", as: requester, key: "r", body: grantBody(t, map[string]any{"status": "approved"})}, 422, "invalid_request", "status", "grant_request"},
		{"a grant for another department", ask{method: "POST", path: "/api/v1/grants", as: requester, key: "r", body: grantBody(t, map[string]any{"authority_code": "11330100MB1K0321XR"})}, 422, "invalid_request", "authority_code", "grant_request"},
		{"a grant of a field that there is not", ask{method: "POST", path: "/api/v1/grants", as: requester, key: "r", body: grantBody(t, map[string]any{"fields": []string{"fields.colour"}})}, 422, "invalid_request", "fields[0]", "grant_request"},
		{"a masked grant of copies", ask{method: "POST", path: "/api/v1/grants", as: requester, key: "r", body: grantBody(t, map[string]any{"fields": []string{"copy"}, "masked": true})}, 422, "invalid_request", "fields[0]", "grant_request"},
		{"a grant of copies by consent", ask{method: "POST", path: "/api/v1/grants", as: requester, key: "r", body: grantBody(t, map[string]any{"fields": []string{"copy"}, "how": "consent"})}, 422, "invalid_request", "fields[0]", "grant_request"},
		{"a case that passes for a consent", ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"case_number": "consent/1"})}, 403, "case_unknown", "", "reuse"},
		{"a grant without a key", ask{method: "POST", path: "/api/v1/grants", as: requester, body: grantBody(t, nil)}, 400, "idempotency_key_missing", "Idempotency-Key", "grant_request"},
		{"a grant asked for by a machine", ask{method: "POST", path: "/api/v1/grants", as: partner, key: "r", body: grantBody(t, nil)}, 403, "forbidden", "", "grant_request"},
		{"no such grant", ask{method: "POST", path: "/api/v1/grants/" + strings.Repeat("0", 32) + "/approve", as: approver, key: "r", body: []byte(`{}`)}, 404, "not_found", "", "grant_approve"},
		{"a name like no grant's", ask{method: "POST", path: "/api/v1/grants/1%27%20OR%201/approve", as: approver, key: "r", body: []byte(`{}`)}, 404, "not_found", "", "grant_approve"},
		{"grants of a type that is none", ask{method: "GET", path: "/api/v1/grants?type_code=x", as: approver}, 400, "malformed_parameter", "", "read_grants"},
		{"grants past a cursor that is none", ask{method: "GET", path: "/api/v1/grants?cursor=MQ", as: partner}, 400, "malformed_parameter", "", "read_grants"},
		{"a page of grants of 101", ask{method: "GET", path: "/api/v1/grants?limit=101", as: partner}, 400, "malformed_parameter", "", "read_grants"},
		{"a case with its department", ask{method: "POST", path: "/api/v1/cases", as: elsewhere, key: "r", body: caseBody(t, map[string]any{"authority_code": "x"})}, 422, "invalid_request", "authority_code", "case_open"},
		{"a case of a wrong code", ask{method: "POST", path: "/api/v1/cases", as: elsewhere, key: "r", body: caseBody(t, map[string]any{"holder": map[string]any{"code": "91330106MA2H41QX6B", "code_type": "001"}})}, 422, "invalid_request", "holder.code", "case_open"},
		{"a case number again", ask{method: "POST", path: "/api/v1/cases", as: elsewhere, key: "r", body: caseBody(t, map[string]any{"case_number": "C-2"})}, 409, "case_taken", "", "case_open"},
		{"another department's case", ask{method: "POST", path: "/api/v1/cases/" + registry.CaseID(registrytest.Authorities["11100000000013338W901"].Code, "C-2") + "/close", as: approval, key: "r", body: reason}, 404, "not_found", "", "case_close"},
		{"a case closed without a reason", ask{method: "POST", path: "/api/v1/cases/" + registry.CaseID(registrytest.Authorities["11100000000013338W901"].Code, "C-2") + "/close", as: elsewhere, key: "r", body: []byte(`{}`)}, 422, "reason_missing", "", "case_close"},
		{"brakes that stand perhaps", ask{method: "GET", path: "/api/v1/brakes?standing=maybe", as: auditor}, 400, "malformed_parameter", "", "read_brakes"},
		{"no such brake", ask{method: "POST", path: "/api/v1/brakes/" + strings.Repeat("0", 28) + "/lift", as: auditor, key: "r", body: reason}, 404, "not_found", "", "brake_lift"},
		{"reuse of a field not granted", ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"fields": []string{"holder.code"}})}, 403, "forbidden", "", "reuse"},
		{"reuse of too many", ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"limit": 101})}, 422, "invalid_request", "limit", "reuse"},
		{"reuse of fields that are no texts", ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"fields": []int{1}})}, 422, "invalid_request", "fields[0]", "reuse"},
		{"form instead of JSON", ask{method: "POST", path: path + "/revoke", as: approval, key: "r", mediaType: "application/x-www-form-urlencoded", body: reason}, 415, "unsupported_media_type", "", "revoke"},
		{"another charset", ask{method: "POST", path: path + "/revoke", as: approval, key: "r", mediaType: "application/json; charset=gbk", body: reason}, 415, "unsupported_media_type", "", "revoke"},
		{"compressed", ask{method: "POST", path: path + "/revoke", as: approval, key: "r", body: reason, header: map[string]string{"Content-Encoding": "gzip"}}, 415, "unsupported_media_type", "", "revoke"},
		{"purpose header cut off", ask{method: "GET", path: path, as: approval, header: map[string]string{"Elicence-Purpose": "%f"}}, 400, "malformed_header", "", "read"},
		{"purpose header not UTF-8", ask{method: "GET", path: path, as: approval, header: map[string]string{"Elicence-Purpose": "%ff"}}, 422, "invalid_request", "purpose", "read"},
		{"no token", ask{method: "GET", path: path}, 401, "unauthenticated", "", "read"},
		{"not a bearer token", ask{method: "GET", path: path, header: bearer("Basic YTpi")}, 401, "token_malformed", "", "read"},
		{"nonsense for a token", ask{method: "GET", path: path, header: bearer("Bearer nonsense")}, 401, "token_malformed", "", "read"},
		{"token of another key", ask{method: "GET", path: path, header: bearer("Bearer " + api.Mint(make([]byte, 32), 1, approval, w.Now()))}, 401, "token_malformed", "", "read"},
		{"session for a token", ask{method: "GET", path: path, header: bearer("Bearer " + api.Mint(key, 2, approval, w.Now()))}, 401, "token_malformed", "", "read"},
		{"expired token", ask{method: "GET", path: path, header: bearer("Bearer " + api.Mint(key, 1, approval, w.Now().Add(-10*time.Minute)))}, 401, "token_expired", "", "read"},
		{"token of a client that is gone", ask{method: "GET", path: path, header: bearer("Bearer " + api.Mint(key, 1, "gone", w.Now()))}, 401, "token_client_gone", "", "read"},
		{"under-privileged token", ask{method: "POST", path: "/api/v1/licences", as: partner, key: "u", body: sample(t, food)}, 403, "forbidden", "", "issue"},
		{"bad token on a verification", ask{method: "POST", path: "/api/v1/verifications", body: []byte(`{"qr":"x"}`), header: bearer("Bearer x")}, 401, "token_malformed", "", "verify"},
		{"verification of nothing", ask{method: "POST", path: "/api/v1/verifications", body: []byte(`{}`)}, 422, "invalid_request", "qr", "verify"},
		{"QR text too long", ask{method: "POST", path: "/api/v1/verifications", body: []byte(`{"qr":"` + strings.Repeat("1", 5000) + `"}`)}, 422, "invalid_request", "qr", "verify"},
		{"picture instead of PDF", ask{method: "POST", path: "/api/v1/verifications", mediaType: "image/png", body: []byte("x")}, 415, "unsupported_media_type", "", "verify"},
		{"upload without a part", ask{method: "POST", path: "/api/v1/verifications", mediaType: "multipart/form-data; boundary=b", body: []byte("--b--\r\n")}, 400, "malformed_upload", "", "verify"},
		{"upload of another part", ask{method: "POST", path: "/api/v1/verifications", mediaType: "multipart/form-data; boundary=b", body: []byte("--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b--\r\n")}, 400, "malformed_upload", "", "verify"},
		{"file over 20 MiB", ask{method: "POST", path: "/api/v1/verifications", mediaType: "application/pdf", body: make([]byte, api.MaxFile+1)}, 413, "too_large", "", "verify"},
		{"proof without size", ask{method: "GET", path: "/api/v1/log/proof?index=1", as: auditor}, 400, "malformed_parameter", "", "read_log"},
		{"proof of two kinds", ask{method: "GET", path: "/api/v1/log/proof?index=1&size=2&from=1&to=2", as: auditor}, 400, "malformed_parameter", "", "read_log"},
		{"index below zero", ask{method: "GET", path: "/api/v1/log/proof?index=-1&size=2", as: auditor}, 400, "malformed_parameter", "", "read_log"},
		{"index twice", ask{method: "GET", path: "/api/v1/log/proof?index=1&index=1&size=2", as: auditor}, 400, "malformed_parameter", "", "read_log"},
		{"checkpoint with a parameter", ask{method: "GET", path: "/api/v1/log/checkpoint?size=1", as: auditor}, 400, "malformed_parameter", "", "read_log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.as != "" {
				w.token(c.as)
			}
			if c.header == nil {
				c.header = map[string]string{}
			}
			c.header["X-Request-Id"] = "bad-2"
			before := w.size()
			a := w.do(c.ask)
			p := problemIn(t, a)
			if p.Status != c.status || p.Code != c.code {
				t.Fatalf("got %+v, want %d %s", p, c.status, c.code)
			}
			if c.field != "" && (len(p.Errors) != 1 || p.Errors[0].Field != c.field) {
				t.Errorf("errors %+v; want %s", p.Errors, c.field)
			}
			if (a.StatusCode == 401) != (a.Header.Get("WWW-Authenticate") != "") {
				t.Errorf("WWW-Authenticate %q with status %d", a.Header.Get("WWW-Authenticate"), a.StatusCode)
			}
			if c.code == "number_taken" || c.code == "idempotency_key_reused" {
				before++ // found out at the reservation, after the attempt was logged
			}
			w.loggedOnce(t, before, "bad-2", c.action)
			if a.Header.Get("Elicence-Log-Checkpoint") == "" {
				t.Error("the refusal has no receipt")
			}
		})
	}
	if now := w.size(); w.do(ask{method: "GET", path: path, as: approval}).StatusCode != http.StatusOK || w.size() != now+1 {
		t.Error("a good request does not work after the bad ones")
	}
}

// otherIdentifier is a well-formed identifier that no licence has.
func otherIdentifier(t testing.TB) licence.Identifier {
	t.Helper()
	id, err := licence.NewIdentifier(foodType, "11330106002504122C", "NOSUCH", 1)
	must(t, err)
	return id
}

// TestNowhere: addresses and methods that do not exist are problems, and nothing
// in the log.
func TestNowhere(t *testing.T) {
	w := open(t)
	before := w.size()
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/nowhere", 404, "no_such_route"},
		{"GET", "/api/v1/", 404, "no_such_route"},
		{"GET", "/api/v1/licences/", 404, "no_such_route"},
		{"GET", "/pages/../errors.go", 404, "no_such_route"},
		{"DELETE", "/api/v1/licences", 405, "no_such_method"},
		{"GET", "/api/v1/oauth/token", 405, "no_such_method"},
		{"BREW", "/V", 405, "no_such_method"},
	} {
		a := w.do(ask{method: c.method, path: c.path})
		if p := problemIn(t, a); p.Status != c.status || p.Code != c.code {
			t.Errorf("%s %s: %+v", c.method, c.path, p)
		}
		if c.status == 405 && a.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
	for _, c := range []struct{ accept, mediaType string }{
		{"text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"},
		{"application/json", "application/problem+json"},
		{"*/*", "application/problem+json"},
	} {
		for path, status := range map[string]int{"/nowhere": 404, "/holder/sign-out": 405} {
			a := w.do(ask{method: "GET", path: path, header: map[string]string{"Accept": c.accept}})
			if a.StatusCode != status || a.Header.Get("Content-Type") != c.mediaType {
				t.Errorf("%s for %s: %d %s", path, c.accept, a.StatusCode, a.Header.Get("Content-Type"))
			}
			if page := string(a.body); strings.HasPrefix(c.mediaType, "text/html") && (!strings.Contains(page, `<html lang="zh-CN">`) || !strings.Contains(page, `href="/V"`)) {
				t.Errorf("%s: %s", path, page)
			}
		}
	}
	for _, path := range []string{"/V/", "/v/"} { // the code's payload stays: it is in the fragment
		if a := w.do(ask{method: "GET", path: path}); a.StatusCode != http.StatusPermanentRedirect || a.Header.Get("Location") != "/V" {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
		}
	}
	if w.size() != before {
		t.Error("the log grew")
	}
}

// TestRequestID: a client may name its request, within bounds.
func TestRequestID(t *testing.T) {
	w := open(t)
	for given, kept := range map[string]bool{"abc-1._Z": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "a b": false, "中": false, "": false, "elicence:summed": false} {
		a := w.do(ask{method: "GET", path: "/healthz", header: map[string]string{"X-Request-Id": given}})
		got := a.Header.Get("X-Request-Id")
		if (got == given) != kept || !kept && len(got) != 32 {
			t.Errorf("named %q, answered as %q", given, got)
		}
	}
}

// TestConfig: a server does not start with a weak key or a bad address.
func TestConfig(t *testing.T) {
	for _, c := range []api.Config{
		{TokenKey: make([]byte, 31), PublicURL: "https://a.example"},
		{TokenKey: make([]byte, 32), PublicURL: "https://a.example/path"},
		{TokenKey: make([]byte, 32), PublicURL: "nonsense"},
		{TokenKey: make([]byte, 32), PublicURL: "https://a.example"}, // no key for answers
	} {
		if s, err := api.New(c); err == nil || s != nil {
			t.Errorf("%q with a key of %d bytes: %v", c.PublicURL, len(c.TokenKey), err)
		}
	}
	got := (&api.Server{}).HTTPServer()
	if diff := cmp.Diff([]any{5 * time.Second, api.PortionTime, 32 << 10}, []any{got.ReadHeaderTimeout, got.ReadTimeout, got.MaxHeaderBytes}); diff != "" {
		t.Error(diff)
	}
}

// asRequestError is the faults of a request error, which err must be.
func asRequestError(err error) []licence.FieldError {
	var invalid *licence.RequestError
	if !errors.As(err, &invalid) {
		panic(err)
	}
	return invalid.Fields
}

// TestRefusalsSayWhy: a refusal names what is accepted, or which right is missing, and a
// client that may not issue a type hears that before any fault of the body.
func TestRefusalsSayWhy(t *testing.T) {
	w := open(t)
	for _, as := range []string{approval, partner} {
		w.token(as)
	}
	verify, issue, reuse := "/api/v1/verifications", "/api/v1/licences", "/api/v1/reuse"
	for _, c := range []struct {
		ask
		status int
		want   string
	}{
		{ask{path: verify, mediaType: "image/png", body: []byte("x")}, 415, "application/pdf or application/ofd or application/json or multipart/form-data"},
		{ask{path: verify, mediaType: "/", body: []byte("x")}, 415, "application/pdf or application/ofd or application/json or multipart/form-data"},
		{ask{path: issue, as: approval, key: "k", mediaType: "text/plain", body: sample(t, food)}, 415, "must be application/json,"},
		{ask{path: issue, as: approval, key: "k", body: []byte(`{"type_code":"` + birthType + `"}`)}, 403, "does not issue licences of type " + birthType},
		{ask{path: issue, as: partner, key: "k", body: sample(t, food)}, 403, "your role may not issue"},
		{ask{path: reuse, as: partner, body: reuseBody(t, map[string]any{"matter_code": "000000000000"})}, 403, "it is of another matter"},
		{ask{path: reuse, as: partner, body: reuseBody(t, map[string]any{"fields": []string{"holder.code"}})}, 403, "field holder.code is not granted"},
		{ask{path: reuse, as: partner, body: reuseBody(t, map[string]any{"type_code": birthType})}, 403, "does not need licences of this type"},
	} {
		c.method = "POST"
		if p := problemIn(t, w.do(c.ask)); p.Status != c.status || !strings.Contains(p.Detail, c.want) || len(p.Errors) != 0 {
			t.Errorf("%s: %+v; want %d %s", c.path, p, c.status, c.want)
		}
	}
}
