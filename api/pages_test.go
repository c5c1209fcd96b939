package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"elicence/api"
	"elicence/audit"
)

// TestHeaders: every answer carries the security headers, and no page holds a
// script or style of its own, or anything from another server.
func TestHeaders(t *testing.T) {
	w := open(t)
	inline := regexp.MustCompile(`(?i)<style|<script(?:\s[^>]*)?>[^<]|\son[a-z]+\s*=|\sstyle\s*=|javascript:`)
	outside := regexp.MustCompile(`(?i)(?:src|href|action)="(?:[a-z]+:)?//`)
	for _, path := range []string{"/", "/V", "/v", "/holder", "/holder/sign-in?code=x", "/pages/style.css", "/pages/verify.js", "/openapi.yaml", "/healthz", "/metrics", "/nowhere"} {
		a := w.do(ask{method: "GET", path: path})
		csp := a.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: no %s in %q", path, part, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, a.Header)
		}
		if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			continue
		}
		if m := inline.FindString(string(a.body)); m != "" {
			t.Errorf("%s: inline %q", path, m)
		}
		if m := outside.FindString(string(a.body)); m != "" {
			t.Errorf("%s: loads from outside: %q", path, m)
		}
		if !strings.Contains(string(a.body), `<html lang="zh-CN">`) || !strings.Contains(string(a.body), "width=device-width") {
			t.Errorf("%s: no language or viewport", path)
		}
	}
}

// TestVerificationForm is the page without a script: an upload, a report.
func TestVerificationForm(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "f")
	file := w.download(issued.Identifier)
	post := func(file []byte) answer {
		mediaType, body := multipartOf(t, file)
		return w.do(ask{method: "POST", path: "/V", mediaType: mediaType, body: body})
	}
	page := string(post(file).body)
	for _, want := range []string{`<section class="report good"`, "文件真实，证照有效", issued.Number, "请逐项核对"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of a valid licence lacks %s", want)
		}
	}
	w.do(ask{method: "POST", path: "/api/v1/licences/" + string(issued.Identifier) + "/revoke", as: approval, key: "k", body: []byte(`{"reason":"r"}`)})
	if page := string(post(file).body); !strings.Contains(page, `<section class="report unusable"`) || strings.Contains(page, "report good") {
		t.Errorf("the page of a revoked licence: %s", page)
	}
	file[len(file)/2] ^= 1
	if page := string(post(file).body); !strings.Contains(page, `<section class="report failed"`) || strings.Contains(page, "report good") || strings.Contains(page, issued.Number) {
		t.Errorf("the page of a changed file: %s", page)
	}
	a := w.do(ask{method: "POST", path: "/V", mediaType: "text/plain", body: []byte("x")})
	if a.StatusCode != 400 || !strings.Contains(string(a.body), "没有收到文件") {
		t.Errorf("not an upload: %d %s", a.StatusCode, a.body)
	}
	before := w.size()
	mediaType, body := multipartOf(t, file)
	a = w.do(ask{method: "POST", path: "/V", mediaType: mediaType, body: body, header: map[string]string{"Sec-Fetch-Site": "cross-site"}})
	if a.StatusCode != http.StatusForbidden || w.size() != before+1 {
		t.Errorf("from another site: %d, %d entries", a.StatusCode, w.size()-before)
	}
}

// TestHolderPage signs in by a link, once; lists and downloads what is the holder's.
func TestHolderPage(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "h")
	link := linkOf(t, w.server, holder)
	code := strings.TrimPrefix(link, "/holder/sign-in?code=")

	if a := w.do(ask{method: "GET", path: "/holder"}); a.StatusCode != 401 || strings.Contains(string(a.body), issued.Number) {
		t.Errorf("without a session: %d", a.StatusCode)
	}
	for range 2 { // a preview opens the link without spending it
		if a := w.do(ask{method: "GET", path: link}); a.StatusCode != 200 || len(a.Cookies()) != 0 {
			t.Errorf("the link: %d %v", a.StatusCode, a.Cookies())
		}
	}
	signIn := ask{method: "POST", path: "/holder/sign-in", mediaType: "application/x-www-form-urlencoded", body: []byte("code=" + code)}
	before := w.size()
	a := w.do(signIn)
	if a.StatusCode != http.StatusSeeOther || len(a.Cookies()) != 1 || len(w.since(before)) != 1 {
		t.Fatalf("sign-in: %d %v", a.StatusCode, a.Cookies())
	}
	c := a.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || !c.Secure || c.Path != "/holder" || c.MaxAge != 15*60 {
		t.Errorf("cookie %+v", c)
	}
	before = w.size()
	if a := w.do(ask{method: "GET", path: link}); a.StatusCode != 401 || !strings.Contains(string(a.body), "登录链接已失效") || strings.Contains(string(a.body), code) || w.size() != before {
		t.Errorf("the spent link: %d %s", a.StatusCode, a.body)
	}
	if again := w.do(signIn); again.StatusCode != 401 || len(again.Cookies()) != 0 {
		t.Errorf("the link worked twice: %d", again.StatusCode)
	}

	session := map[string]string{"Cookie": c.Name + "=" + c.Value}
	a = w.do(ask{method: "GET", path: "/holder", header: session})
	if a.StatusCode != 200 || !strings.Contains(string(a.body), issued.Number) || !strings.Contains(string(a.body), "食品经营许可证") {
		t.Errorf("list: %d %s", a.StatusCode, a.body)
	}
	file := "/holder/licences/" + string(issued.Identifier) + "/file"
	before = w.size()
	a = w.do(ask{method: "GET", path: file, header: session})
	if a.StatusCode != 200 || !strings.HasPrefix(string(a.body), "%PDF") || w.since(before)[0].Action != "download" || w.since(before)[0].Principal != holder {
		t.Errorf("download: %d", a.StatusCode)
	}
	if a := w.do(ask{method: "GET", path: "/holder/licences/" + string(otherIdentifier(t)) + "/file", header: session}); a.StatusCode != 404 {
		t.Errorf("somebody else's: %d", a.StatusCode)
	}
	if a := w.do(ask{method: "GET", path: file}); a.StatusCode != 401 {
		t.Errorf("download without a session: %d", a.StatusCode)
	}
	bearer := map[string]string{"Cookie": c.Name + "=" + w.token(holder)}
	if a := w.do(ask{method: "GET", path: "/holder", header: bearer}); a.StatusCode != 401 {
		t.Errorf("a bearer token as a session: %d", a.StatusCode)
	}
	if a := w.do(ask{method: "POST", path: "/holder/sign-out"}); a.StatusCode != 303 || len(a.Cookies()) != 1 || a.Cookies()[0].MaxAge != -1 {
		t.Errorf("sign-out: %d %v", a.StatusCode, a.Cookies())
	}
	w.Move(15 * time.Minute)
	if a := w.do(ask{method: "GET", path: "/holder", header: session}); a.StatusCode != 401 {
		t.Errorf("after 15 minutes: %d", a.StatusCode)
	}
}

// TestSignOut ends one session for good: not another one of the same holder, and
// not when another site asks for it.
func TestSignOut(t *testing.T) {
	w := open(t)
	signIn := func() map[string]string {
		code := strings.TrimPrefix(linkOf(t, w.server, holder), "/holder/sign-in?")
		c := w.do(ask{method: "POST", path: "/holder/sign-in", mediaType: "application/x-www-form-urlencoded", body: []byte(code)}).Cookies()[0]
		return map[string]string{"Cookie": c.Name + "=" + c.Value}
	}
	list := func(session map[string]string) int {
		return w.do(ask{method: "GET", path: "/holder", header: session}).StatusCode
	}
	one := signIn()
	w.Move(time.Millisecond)
	other := signIn()
	before := w.size()
	foreign := map[string]string{"Cookie": one["Cookie"], "Sec-Fetch-Site": "cross-site"}
	if a := w.do(ask{method: "POST", path: "/holder/sign-out", header: foreign}); a.StatusCode != 403 || len(a.Cookies()) != 0 || w.size() != before+1 {
		t.Errorf("from another site: %d %v", a.StatusCode, a.Cookies())
	}
	if got := list(one); got != 200 {
		t.Errorf("after that: %d", got)
	}
	w.do(ask{method: "POST", path: "/holder/sign-out", header: one})
	w.Move(time.Minute)
	if a, b := list(one), list(other); a != 401 || b != 200 {
		t.Errorf("signed out: %d, the other session: %d", a, b)
	}
	elsewhere := ask{method: "GET", path: "/holder", header: one, handler: w.serve(func(*api.Config) {})}
	if got := w.do(elsewhere).StatusCode; got != 401 {
		t.Errorf("signed out, on another server: %d", got)
	}
}

// linkOf is a sign-in link that a server made.
func linkOf(t testing.TB, s *api.Server, client string) string {
	t.Helper()
	link, err := s.HolderLink(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// TestStaleLink: a link lasts 15 minutes, works on every server, once, and not for a client
// that is gone.
func TestStaleLink(t *testing.T) {
	w := open(t)
	use := func(link string) int {
		return w.do(ask{method: "POST", path: "/holder/sign-in", mediaType: "application/x-www-form-urlencoded",
			body: []byte(strings.TrimPrefix(link, "/holder/sign-in?"))}).StatusCode
	}
	old := linkOf(t, w.server, holder)
	w.Move(15 * time.Minute)
	other := linkOf(t, w.serve(func(*api.Config) {}), holder)
	if got := use(other); got != http.StatusSeeOther {
		t.Errorf("another server's: %d", got)
	}
	for name, link := range map[string]string{"old": old, "another server's again": other, "of nobody": linkOf(t, w.server, "nobody"), "made up": "code=x", "empty": ""} {
		if got := use(link); got != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// flaky is a storage of the log that cannot commit while it is away.
type flaky struct {
	audit.Storage
	away bool
}

func (f *flaky) Batch(ctx context.Context, fn func(audit.Tx) error) error {
	if f.away {
		return errors.New("disk I/O error")
	}
	return f.Storage.Batch(ctx, fn)
}

// TestReadiness: a server whose log cannot be written is not ready until it can,
// which it finds out by logging once what it had to refuse.
func TestReadiness(t *testing.T) {
	w := open(t)
	disk := &flaky{Storage: w.Backend}
	s := w.serveOver(disk, func(*api.Config) {})
	ready := func() int { return w.do(ask{method: "GET", path: "/readyz", handler: s}).StatusCode }
	verify := ask{method: "POST", path: "/api/v1/verifications", body: []byte(`{"qr":"x"}`), handler: s}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	before := w.size()
	for range 10 {
		q := httptest.NewRequestWithContext(gone, "POST", verify.path, bytes.NewReader(verify.body))
		q.Header.Set("Content-Type", "application/json")
		s.ServeHTTP(httptest.NewRecorder(), q)
	}
	if got := ready(); got != 200 || w.size() != before {
		t.Errorf("after callers who went away: %d, %d entries", got, w.size()-before)
	}
	w.failed.forget()
	disk.away = true
	if got := ready(); got != 200 {
		t.Errorf("before anybody found out: %d", got)
	}
	for range 3 {
		w.do(verify)
	}
	for range 5 {
		if got := ready(); got != 503 {
			t.Errorf("while the log cannot be written: %d", got)
		}
	}
	if len(w.failed.all()) != 3+1 {
		t.Errorf("the operator was told %v", w.failed.all())
	}
	disk.away = false
	before = w.size()
	for range 5 {
		if got := ready(); got != 200 {
			t.Errorf("afterwards: %d", got)
		}
	}
	if e := w.since(before); len(e) != 1 || e[0].Action != "append_log" || e[0].Code != "log_unavailable*3" || e[0].Result != audit.ResultRefused {
		t.Errorf("log: %+v", e)
	}
}

// TestService: health, readiness and metrics.
func TestService(t *testing.T) {
	w := open(t)
	w.token(approval)
	if a := w.do(ask{method: "GET", path: "/readyz"}); a.StatusCode != 200 {
		t.Errorf("ready: %d %s", a.StatusCode, a.body)
	}
	w.ready = http.ErrServerClosed
	a := w.do(ask{method: "GET", path: "/readyz"})
	if p := problemIn(t, a); p.Code != "not_ready" || a.StatusCode != 503 || strings.Contains(string(a.body), "closed") {
		t.Errorf("not ready: %+v", p)
	}
	if a := w.do(ask{method: "GET", path: "/healthz"}); a.StatusCode != 200 {
		t.Errorf("health: %d", a.StatusCode)
	}
	w.do(ask{method: "GET", path: "/secret/path"})
	metrics := string(w.do(ask{method: "GET", path: "/metrics"}).body)
	for _, want := range []string{`elicence_http_request_duration_seconds_count{method="POST",route="/api/v1/oauth/token",status="200"} 1`, `route="none",status="404"`, fmt.Sprint("elicence_log_size ", w.size())} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(metrics, "secret") {
		t.Error("metrics hold a path")
	}
}
