package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"elicence/api"
	"elicence/audit"
	"elicence/licence/registry"
	"elicence/verify"
)

// TestAtOnce sends one request many times at once: one licence comes of it, and
// every answer is the first one or says that the first is still running.
func TestAtOnce(t *testing.T) {
	w := open(t)
	w.token(approval)
	var wait sync.WaitGroup
	answers := make([]answer, 8)
	for i := range answers {
		wait.Go(func() {
			answers[i] = w.do(ask{method: "POST", path: "/api/v1/licences", as: approval, key: "once", body: sample(t, food)})
		})
	}
	wait.Wait()
	numbers := map[string]bool{}
	for _, a := range answers {
		switch a.StatusCode {
		case http.StatusCreated:
			var issued registry.Issued
			a.json(t, &issued)
			numbers[issued.Number] = true
		case http.StatusConflict:
			if p := problemIn(t, a); p.Code != "request_running" || a.Header.Get("Retry-After") != "1" {
				t.Errorf("%+v, Retry-After %q", p, a.Header.Get("Retry-After"))
			}
		default:
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	if len(numbers) != 1 {
		t.Errorf("numbers: %v", numbers)
	}
}

// TestInternal: what goes wrong inside is told to the operator and to nobody else.
func TestInternal(t *testing.T) {
	w := open(t)
	w.token(approval)
	panics := w.serve(func(c *api.Config) {
		c.Verifier = func(verify.Register) *verify.Verifier { panic("secret cause") }
	})
	a := w.do(ask{method: "POST", path: "/api/v1/verifications", body: []byte(`{"qr":"x"}`), handler: panics})
	if p := problemIn(t, a); p.Status != 500 || p.Code != "internal" || strings.Contains(string(a.body), "secret") {
		t.Errorf("panic: %s", a.body)
	}
	if len(w.failed.all()) != 1 || !strings.Contains(w.failed.all()[0].Error(), "secret cause") {
		t.Errorf("told: %v", w.failed.all())
	}
	link := linkOf(t, w.server, holder)
	must(t, w.Backend.(io.Closer).Close())
	a = w.do(ask{method: "GET", path: "/api/v1/licences/" + string(otherIdentifier(t)), as: approval})
	if p := problemIn(t, a); p.Code != "internal" || strings.Contains(string(a.body), "sql") || len(w.failed.all()) != 2 {
		t.Errorf("closed database: %s, told %v", a.body, w.failed.all())
	}
	// Who somebody is cannot be found out: that is no refusal of theirs.
	session := map[string]string{"Cookie": "elicence_session=" + api.Mint(bytes.Repeat([]byte{7}, 32), 2, holder, w.Now())}
	for _, q := range []ask{
		{method: "POST", path: "/api/v1/oauth/token", mediaType: "application/x-www-form-urlencoded", body: []byte("grant_type=client_credentials&client_id=" + approval + "&client_secret=" + approval)},
		{method: "POST", path: "/api/v1/verifications", as: approval, body: []byte(`{"qr":"x"}`)},
		{method: "GET", path: "/holder", header: session},
		{method: "GET", path: link},
		{method: "POST", path: "/holder/sign-in", mediaType: "application/x-www-form-urlencoded", body: []byte(strings.TrimPrefix(link, "/holder/sign-in?"))},
	} {
		if a := w.do(q); a.StatusCode != http.StatusInternalServerError {
			t.Errorf("closed database: %s: %d", q.path, a.StatusCode)
		}
	}
}

// TestBrokenBody: a body that ends early is refused, and the refusal logged.
func TestBrokenBody(t *testing.T) {
	w := open(t)
	before := w.size()
	r := httptest.NewRequest("POST", "/api/v1/verifications", io.MultiReader(strings.NewReader("%PDF"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	r.Header.Set("Content-Type", "application/pdf")
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	p := problemIn(t, answer{rec.Result(), rec.Body.Bytes()})
	if e := w.loggedOnce(t, before, p.RequestID, "verify"); p.Code != "body_unreadable" || e.Code != p.Code {
		t.Errorf("%+v, log %+v", p, e)
	}
	mediaType, body := multipartOf(t, make([]byte, api.MaxFile+1))
	a := w.do(ask{method: "POST", path: "/api/v1/verifications", mediaType: mediaType, body: body})
	if p := problemIn(t, a); p.Code != "too_large" {
		t.Errorf("an upload over 20 MiB: %+v", p)
	}
}

// TestLongTexts: the longest texts that a request may hold fit the log.
func TestLongTexts(t *testing.T) {
	w := open(t)
	long := func(n int) string { return strings.Repeat("案", n) }
	body := change(t, food, map[string]any{"case_number": long(42), "matter_code": long(64), "operator": long(170)})
	if a := w.do(ask{method: "POST", path: "/api/v1/licences", as: approval, key: "long", body: body}); a.StatusCode != http.StatusCreated {
		t.Errorf("issue: %d %s", a.StatusCode, a.body)
	}
	for _, n := range []int{43, 65, 100_000} {
		body := change(t, food, map[string]any{"case_number": long(n)})
		if p := problemIn(t, w.do(ask{method: "POST", path: "/api/v1/licences", as: approval, key: "longer", body: body})); p.Status/100 != 4 {
			t.Errorf("a case number of %d characters: %+v", n, p)
		}
	}
	members := map[string]any{"purpose": "为某企业办" + long(165), "case_number": long(42), "matter_code": matter, "operator": long(170)}
	w.made("/api/v1/cases", elsewhere, "long-case", caseBody(t, map[string]any{"case_number": long(42)}))
	if a := w.do(ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, members)}); a.StatusCode != http.StatusOK {
		t.Errorf("reuse: %d %s", a.StatusCode, a.body)
	}
	name := bytes.Repeat([]byte("x"), 64)
	a := w.do(ask{method: "POST", path: "/api/v1/oauth/token", mediaType: "application/x-www-form-urlencoded",
		body: append([]byte("grant_type=client_credentials&client_secret=s&client_id="), name...)})
	if a.StatusCode != http.StatusUnauthorized {
		t.Errorf("token: %d %s", a.StatusCode, a.body)
	}
}

// severed is a storage that commits, and whose answer is lost.
type severed struct{ audit.Storage }

func (s severed) Batch(ctx context.Context, fn func(audit.Tx) error) error {
	return errors.Join(s.Storage.Batch(ctx, fn), errors.New("connection reset by peer"))
}

// TestOutcomeUnknown: whoever is not told whether a change was stored is told just that, and a
// repeat with the same key finds out without a second change.
func TestOutcomeUnknown(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "v")
	revoke := ask{method: "POST", path: "/api/v1/licences/" + string(issued.Identifier) + "/revoke", as: approval, key: "k", body: []byte(`{"reason":"r"}`)}
	w.token(approval)
	before := w.size()
	revoke.handler = w.serveOver(severed{w.Backend}, func(*api.Config) {})
	a := w.do(revoke)
	if p := problemIn(t, a); p.Status != 503 || p.Code != "outcome_unknown" || a.Header.Get("Retry-After") == "" || a.Header.Get("Elicence-Log-Index") != "" {
		t.Errorf("%+v %v", p, a.Header)
	}
	if e := w.since(before); len(e) != 1 || e[0].Action != "revoke" || e[0].Code != "" {
		t.Errorf("log: %+v", e)
	}
	revoke.handler = nil
	if a := w.do(revoke); a.StatusCode != http.StatusOK {
		t.Errorf("repeated: %d %s", a.StatusCode, a.body)
	}
	if e := w.since(before); len(e) != 2 || e[1].Action != "revoke" || e[1].Code != "repeated" {
		t.Errorf("log: %+v", e)
	}
}
