package api_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"elicence/api"
	"elicence/api/identity"
	"elicence/audit"
	"elicence/internal/testidp"
	"elicence/licence/registry/registrytest"
)

// citizen is a holder's citizen number, with a right check digit.
const citizen = "11010519491231002X"

// visitor is a person with a browser.
type visitor struct {
	*world
	handler http.Handler
	cookies map[string]string // of our service
}

// provider starts an OpenID provider for a service, and returns the service's side of it.
// What the people are called stands for their citizen numbers.
func provider(t testing.TB, people ...string) (*identity.Provider, *httptest.Server) {
	t.Helper()
	return providerAt(t, api.SignInReturn, testidp.NumberClaim, people...)
}

// providerAt is provider for one of our two doors.
func providerAt(t testing.TB, path, claim string, people ...string) (*identity.Provider, *httptest.Server) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	c := testidp.Config{Issuer: "http://" + server.Listener.Addr().String(), ClientID: "elicence", ClientSecret: "client secret", Returns: []string{registrytest.PublicURL + path}}
	for _, name := range people {
		c.People = append(c.People, testidp.Person{Subject: name, Name: name, Number: name})
	}
	handler, err := testidp.New(c)
	must(t, err)
	server.Config.Handler = handler
	server.Start()
	t.Cleanup(server.Close)
	return identity.New(identity.Config{Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, RedirectURL: c.Returns[0],
		HolderClaim: claim, Scopes: []string{"profile"}, Now: time.Now}), server
}

// get asks our service as the visitor's browser does, and keeps its cookies.
func (v *visitor) get(path string) answer {
	v.t.Helper()
	q := ask{method: "GET", path: path, handler: v.handler, header: map[string]string{}}
	for name, value := range v.cookies {
		q.header["Cookie"] += name + "=" + value + "; "
	}
	return v.keep(v.do(q))
}

func (v *visitor) keep(a answer) answer {
	for _, c := range a.Cookies() {
		if v.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(v.cookies, c.Name)
		}
	}
	return a
}

// signsIn goes to the provider, signs in there, and returns where it sends the visitor back to.
func (v *visitor) signsIn(name string) string { return v.signsInAt("/sign-in/holder", name) }

// signsInAt is signsIn at one of our doors.
func (v *visitor) signsInAt(door, name string) string {
	v.t.Helper()
	start := v.get(door)
	if start.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("start: %d %s", start.StatusCode, start.body)
	}
	jar, err := cookiejar.New(nil)
	must(v.t, err)
	back := ""
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), registrytest.PublicURL) {
			back = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	a, err := browser.Get(start.Header.Get("Location"))
	must(v.t, err)
	page, err := io.ReadAll(a.Body)
	must(v.t, err)
	a.Body.Close()
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindSubmatch(page)
	if id == nil {
		v.t.Fatalf("the provider shows %s", page)
	}
	a, err = browser.PostForm(a.Request.URL.Scheme+"://"+a.Request.URL.Host+"/sign-in", url.Values{"subject": {name}, "id": {string(id[1])}})
	must(v.t, err)
	a.Body.Close()
	if back == "" {
		v.t.Fatalf("%s does not come back: %d", name, a.StatusCode)
	}
	return back
}

// TestSignInAtProvider: a citizen signs in at a provider, sees their own licences and what
// was done with them, and signs out; each leaves an entry, in which they have no number.
func TestSignInAtProvider(t *testing.T) {
	w := open(t)
	p, _ := provider(t, citizen)
	v := &visitor{w, w.serve(func(c *api.Config) { c.Identity = p }), map[string]string{}}
	if a := v.get("/holder"); a.StatusCode != http.StatusUnauthorized || !bytes.Contains(a.body, []byte(`href="/sign-in/holder"`)) {
		t.Fatalf("without a session: %d %s", a.StatusCode, a.body)
	}
	back := v.signsIn(citizen)
	before := w.size()
	if a := v.get(back); a.StatusCode != http.StatusOK || v.cookies["elicence_session"] == "" || v.cookies["elicence_sign_in"] != "" {
		t.Fatalf("back: %d %s, cookies %v", a.StatusCode, a.body, v.cookies)
	}
	for _, path := range []string{"/holder", "/holder/log"} {
		if a := v.get(path); a.StatusCode != http.StatusOK || bytes.Contains(a.body, []byte("authenticate")) {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
	session := v.cookies["elicence_session"]
	out := v.keep(v.do(ask{method: "POST", path: "/holder/sign-out", handler: v.handler, mediaType: "application/x-www-form-urlencoded",
		header: map[string]string{"Cookie": "elicence_session=" + session}}))
	if out.StatusCode != http.StatusSeeOther || out.Header.Get("Elicence-Log-Index") == "" {
		t.Errorf("sign-out: %d", out.StatusCode)
	}
	var actions []string
	for i, e := range w.since(before) {
		actions = append(actions, string(e.Action))
		if !strings.HasPrefix(e.Principal, "holder.") || strings.Contains(e.Principal+e.Object, citizen) || e.Result != audit.ResultAllowed {
			t.Errorf("entry %+v", e)
		}
		row, err := w.Config.Log.Entry(t.Context(), before+uint64(i))
		must(t, err)
		if about, ok := audit.HolderOf(row.Opening); !ok || about != audit.HolderKey("111", citizen) {
			t.Errorf("entry %s is about %v", e.Action, about)
		}
	}
	if got := strings.Join(actions, " "); got != "authenticate search read_own_log sign_out" {
		t.Errorf("logged: %s", got)
	}
	v.cookies["elicence_session"] = session
	if a := v.get("/holder"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the sign-out: %d", a.StatusCode)
	}
}

// TestSignInLimit: whoever fails again and again has nothing taken to the provider any more,
// be it good.
func TestSignInLimit(t *testing.T) {
	w := open(t)
	p, server := provider(t, citizen)
	v := &visitor{w, w.serve(func(c *api.Config) { c.Identity = p }), map[string]string{}}
	back := v.signsIn(citizen)
	attempt := v.cookies["elicence_sign_in"]
	for range 20 {
		if a := v.get("/sign-in/return?state=x&code=x"); a.StatusCode != http.StatusUnauthorized {
			t.Fatalf("a guess: %d", a.StatusCode)
		}
	}
	server.Close() // asking it would be 503
	before := w.size()
	v.cookies["elicence_sign_in"] = attempt
	if a := v.get(back); a.StatusCode != http.StatusTooManyRequests || w.size() != before {
		t.Errorf("after the guesses: %d, %d entries", a.StatusCode, w.size()-before)
	}
}

// TestBadSignIn brings back what no provider sent, or not to this browser, or not now.
func TestBadSignIn(t *testing.T) {
	w := open(t)
	p, server := provider(t, citizen, "11010519491231002Y", "zhang")
	handler := w.serve(func(c *api.Config) { c.Identity = p })
	fresh := func() *visitor { return &visitor{w, handler, map[string]string{}} }
	change := func(old, new string) func(*visitor, string) string {
		return func(_ *visitor, back string) string {
			changed := regexp.MustCompile(old).ReplaceAllString(back, new)
			if changed == back {
				t.Fatalf("%s has no %s", back, old)
			}
			return changed
		}
	}
	for name, c := range map[string]struct {
		who    string
		change func(v *visitor, back string) string
		code   string
	}{
		"another state":        {citizen, change(`state=[^&]*`, "state=x"), "sign_in_failed"},
		"no state":             {citizen, change(`state=[^&]*`, ""), "sign_in_failed"},
		"two states":           {citizen, change(`(state=[^&]*)`, "$1&$1"), "sign_in_failed"},
		"another code":         {citizen, change(`code=[^&]*`, "code=x"), "sign_in_failed"},
		"no code":              {citizen, change(`code=[^&]*`, "error=access_denied"), "sign_in_failed"},
		"another browser":      {citizen, func(v *visitor, back string) string { v.cookies = map[string]string{}; return back }, "sign_in_failed"},
		"a browser that began": {citizen, func(v *visitor, back string) string { v.get("/sign-in/holder"); return back }, "sign_in_failed"},
		"a forged cookie":      {citizen, func(v *visitor, back string) string { v.cookies["elicence_sign_in"] += "A"; return back }, "sign_in_failed"},
		"a session for a cookie": {citizen, func(v *visitor, back string) string {
			v.cookies["elicence_sign_in"] = api.Mint(bytes.Repeat([]byte{7}, 32), 2, holder, w.Now())
			return back
		}, "sign_in_failed"},
		"a quarter of an hour": {citizen, func(_ *visitor, back string) string { w.Move(15 * time.Minute); return back }, "sign_in_failed"},
		"a wrong check digit":  {"11010519491231002Y", func(_ *visitor, back string) string { return back }, "sign_in_unknown"},
		"a name for a number":  {"zhang", func(_ *visitor, back string) string { return back }, "sign_in_unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			v := fresh()
			back := c.change(v, v.signsIn(c.who))
			before := w.size()
			a := v.get(back)
			if !bytes.Contains(a.body, []byte(">"+c.code+"<")) || v.cookies["elicence_session"] != "" {
				t.Errorf("%d %s, want %s", a.StatusCode, a.body, c.code)
			}
			if e := w.since(before); len(e) != 1 || e[0].Result != audit.ResultRefused || e[0].Action != "authenticate" || e[0].Principal != "anonymous" {
				t.Errorf("log: %+v", e)
			}
		})
	}
	w.t = t
	v := fresh()
	back := v.signsIn(citizen)
	v.get(back)
	v.cookies = map[string]string{}
	if a := v.get(back); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a second time: %d", a.StatusCode)
	}
	v = fresh()
	back = v.signsIn(citizen)
	server.Close()
	before := w.size()
	if a := v.get(back); a.StatusCode != http.StatusServiceUnavailable || len(v.cookies) != 0 || w.size() != before {
		t.Errorf("the provider is away: %d, cookies %v", a.StatusCode, v.cookies)
	}
	none := &visitor{w, w.server, map[string]string{}}
	if a := none.get("/sign-in/holder"); a.StatusCode != http.StatusNotFound {
		t.Errorf("without a provider: %d", a.StatusCode)
	}
	gone := identity.New(identity.Config{Issuer: server.URL, Now: time.Now})
	v = &visitor{w, w.serve(func(c *api.Config) { c.Identity = gone }), map[string]string{}}
	for range 2 {
		if a := v.get("/sign-in/holder"); a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("a provider that never was: %d", a.StatusCode)
		}
	}
}
