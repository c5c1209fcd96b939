package api_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"elicence/api"
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
	link := w.server.HolderLink(holder)
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

// TestStaleLink: a link lasts 15 minutes, works on the server that made it only,
// and not for a client that is gone.
func TestStaleLink(t *testing.T) {
	w := open(t)
	use := func(link string) int {
		return w.do(ask{method: "POST", path: "/holder/sign-in", mediaType: "application/x-www-form-urlencoded",
			body: []byte(strings.TrimPrefix(link, "/holder/sign-in?"))}).StatusCode
	}
	old := w.server.HolderLink(holder)
	w.Move(15 * time.Minute)
	other := w.serve(func(*api.Config) {}).HolderLink(holder)
	for name, link := range map[string]string{"old": old, "another server's": other, "of nobody": w.server.HolderLink("nobody"), "made up": "code=x", "empty": ""} {
		if got := use(link); got != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, got)
		}
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
