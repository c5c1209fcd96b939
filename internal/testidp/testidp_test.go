package testidp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

const (
	back     = "http://127.0.0.1:1/return"
	verifier = "0123456789012345678901234567890123456789012"
)

// serve is a provider of a citizen and an official.
func serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	c := config()
	c.Issuer = "http://" + server.Listener.Addr().String()
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	server.Config = Server(h)
	server.Start()
	t.Cleanup(server.Close)
	return c.Issuer
}

func config() Config {
	return Config{Issuer: "http://127.0.0.1:1", ClientID: "c", ClientSecret: "s", Returns: []string{back},
		People: []Person{{"citizen", "王<b>", "持证人", "330102199504080020"}, {"official", "陈", "", ""}}}
}

var browser = http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// ask sends a request; a form makes it a POST.
func ask(t *testing.T, address string, form url.Values, header http.Header) (*http.Response, string) {
	t.Helper()
	method, body := "GET", ""
	if form != nil {
		method, body = "POST", form.Encode()
	}
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, values := range header {
		r.Header[name] = values
	}
	a, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a, string(text)
}

// begins is where a service sends somebody to sign in.
func begins(issuer, client, to, scope string) string {
	challenge := sha256.Sum256([]byte(verifier))
	return issuer + "/authorize?" + url.Values{"client_id": {client}, "redirect_uri": {to}, "response_type": {"code"}, "scope": {scope}, "state": {"st"}, "nonce": {"n"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"}}.Encode()
}

var requestID = regexp.MustCompile(`name="id" value="([^"]+)"`)

// picks begins to sign in and picks somebody; it returns the answer to that.
func picks(t *testing.T, issuer, scope, subject string) *http.Response {
	t.Helper()
	a, _ := ask(t, begins(issuer, "c", back, scope), nil, nil)
	a, text := ask(t, issuer+a.Header.Get("Location"), nil, nil)
	id := requestID.FindStringSubmatch(text)
	if id == nil || !strings.Contains(text, "测试身份，仅供演示") || !strings.Contains(text, "王&lt;b&gt;（测试）") || !strings.Contains(text, `value="official"`) ||
		!strings.Contains(a.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("the page: %d %v %s", a.StatusCode, a.Header, text)
	}
	a, _ = ask(t, issuer+"/sign-in", url.Values{"id": {id[1]}, "subject": {subject}}, nil)
	return a
}

// codeOf is the code that somebody who signed in brings back.
func codeOf(t *testing.T, issuer, scope, subject string) string {
	t.Helper()
	a := picks(t, issuer, scope, subject)
	a, _ = ask(t, a.Header.Get("Location"), nil, nil)
	to, err := a.Location()
	if err != nil || !strings.HasPrefix(to.String(), back+"?") || to.Query().Get("state") != "st" {
		t.Fatalf("sent back to %v, %v", to, err)
	}
	return to.Query().Get("code")
}

// redeems redeems a code.
func redeems(t *testing.T, issuer, code, secret, verifier string) (status int, token struct {
	Access string `json:"access_token"`
	ID     string `json:"id_token"`
}) {
	t.Helper()
	a, text := ask(t, issuer+"/oauth/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {back}, "code_verifier": {verifier}},
		http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("c:"+secret))}})
	if a.StatusCode == http.StatusOK {
		if err := json.Unmarshal([]byte(text), &token); err != nil {
			t.Fatal(err)
		}
	}
	return a.StatusCode, token
}

// TestClaims: a citizen has a number where scope profile is asked for; an official has none.
func TestClaims(t *testing.T) {
	t.Parallel()
	issuer := serve(t)
	for _, c := range []struct{ subject, scope, number string }{
		{"citizen", "openid profile", "330102199504080020"}, {"citizen", "openid", ""}, {"official", "openid profile", ""},
	} {
		status, token := redeems(t, issuer, codeOf(t, issuer, c.scope, c.subject), "s", verifier)
		if status != http.StatusOK || token.ID == "" {
			t.Fatalf("%+v: %d", c, status)
		}
		_, text := ask(t, issuer+"/userinfo", nil, http.Header{"Authorization": {"Bearer " + token.Access}})
		var claims struct {
			Subject string `json:"sub"`
			Number  string `json:"id_number"`
		}
		if err := json.Unmarshal([]byte(text), &claims); err != nil || claims.Subject != c.subject || claims.Number != c.number {
			t.Errorf("%+v: %s, %v", c, text, err)
		}
	}
}

// TestRefused: nobody is signed in who was not picked, nor to another service, nor elsewhere.
func TestRefused(t *testing.T) {
	t.Parallel()
	issuer := serve(t)
	for _, c := range []struct{ name, client, to string }{
		{"another service", "x", back}, {"another return", "c", back + "/x"}, {"no return", "c", ""},
	} {
		if a, text := ask(t, begins(issuer, c.client, c.to, "openid"), nil, nil); a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" {
			t.Errorf("%s: %d %v %s", c.name, a.StatusCode, a.Header, text)
		}
	}
	for _, subject := range []string{"", "nobody", "Citizen", "王<b>"} {
		if a := picks(t, issuer, "openid", subject); a.StatusCode != http.StatusBadRequest {
			t.Errorf("picking %q: %d", subject, a.StatusCode)
		}
	}
	for _, path := range []string{"/login/username", "/login/username?authRequestID=x"} {
		if a, text := ask(t, issuer+path, nil, nil); a.StatusCode != http.StatusBadRequest || strings.Contains(text, "<form") || !strings.Contains(text, "无效或已结束") {
			t.Errorf("%s: %d %s", path, a.StatusCode, text)
		}
	}
	if a, _ := ask(t, issuer+"/sign-in", url.Values{"id": {"x"}, "subject": {"citizen"}}, nil); a.StatusCode != http.StatusBadRequest {
		t.Errorf("a request that nobody made: %d", a.StatusCode)
	}
	code := codeOf(t, issuer, "openid", "citizen")
	if status, _ := redeems(t, issuer, code, "wrong", verifier); status == http.StatusOK {
		t.Error("a wrong secret redeems a code")
	}
	if status, _ := redeems(t, issuer, code, "s", strings.Repeat("1", 43)); status == http.StatusOK {
		t.Error("a wrong verifier redeems a code")
	}
	code = codeOf(t, issuer, "openid", "citizen")
	if status, _ := redeems(t, issuer, code, "s", verifier); status != http.StatusOK {
		t.Errorf("the first time: %d", status)
	}
	if status, _ := redeems(t, issuer, code, "s", verifier); status == http.StatusOK {
		t.Error("a code is redeemed twice")
	}
}

// TestBadConfig is a table of providers that are not made.
func TestBadConfig(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"no client":    func(c *Config) { c.ClientID = "" },
		"no secret":    func(c *Config) { c.ClientSecret = "" },
		"no return":    func(c *Config) { c.Returns = nil },
		"nobody":       func(c *Config) { c.People = nil },
		"no subject":   func(c *Config) { c.People[1].Subject = "" },
		"no name":      func(c *Config) { c.People[1].Name = "" },
		"one twice":    func(c *Config) { c.People[1].Subject = "citizen" },
		"no issuer":    func(c *Config) { c.Issuer = "" },
		"a bad issuer": func(c *Config) { c.Issuer = "ftp://127.0.0.1" },
	} {
		c := config()
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
