package api_test

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"elicence/api"
	"elicence/api/identity"
	"elicence/audit"
	"elicence/licence/brake"
	"elicence/licence/person"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// officialOf is the provider of officials, who knows people by user names, and a service that they sign in to.
func (w *world) officialOf(people ...string) (*identity.Provider, http.Handler) {
	w.t.Helper()
	p, _ := providerAt(w.t, api.OfficialReturn, "", people...)
	return p, w.serve(func(c *api.Config) { c.Officials = p })
}

// registers registers a user of a provider as somebody of the authority that decides on food licences.
func (w *world) registers(p *identity.Provider, id string, change func(*person.Person)) person.Person {
	w.t.Helper()
	who := person.Person{ID: id, Issuer: p.Issuer, Subject: id, Name: "张三", Roles: []person.Role{person.Authority}, Authority: registrytest.Authorities[foodType], Types: []string{foodType}}
	if change != nil {
		change(&who)
	}
	_, err := w.AddPerson(w.t.Context(), registry.System("test"), registry.PersonRequest{Key: "register-" + id, Person: who})
	must(w.t, err)
	return who
}

func auditing(p *person.Person) { p.Roles, p.Types = []person.Role{person.Auditor}, nil }

// official signs somebody in.
func (w *world) official(handler http.Handler, name string) *visitor {
	w.t.Helper()
	v := &visitor{w, handler, map[string]string{}}
	if a := v.get(v.signsInAt("/sign-in/official", name)); a.StatusCode != http.StatusOK || v.cookies["elicence_official"] == "" || v.cookies["elicence_official_sign_in"] != "" {
		w.t.Fatalf("%s signs in: %d %s", name, a.StatusCode, a.body)
	}
	return v
}

// form is what a page of the visitor's session has its forms hold.
func (v *visitor) form() url.Values {
	v.t.Helper()
	a := v.get("/official")
	token := regexp.MustCompile(`name="form" value="([0-9a-f]{64})"`).FindSubmatch(a.body)
	if token == nil {
		v.t.Fatalf("no form in %d %s", a.StatusCode, a.body)
	}
	return url.Values{"form": {string(token[1])}}
}

// sends is a form that the visitor's browser sends.
func (v *visitor) sends(path string, form url.Values) ask {
	header := map[string]string{}
	for name, value := range v.cookies {
		header["Cookie"] += name + "=" + value + "; "
	}
	return ask{method: "POST", path: path, handler: v.handler, mediaType: "application/x-www-form-urlencoded", body: []byte(form.Encode()), header: header}
}

// decide sends a decision, of a session's own form unless change makes it another.
func (v *visitor) decide(path, key string, change func(url.Values)) answer {
	v.t.Helper()
	form := v.form()
	form.Set("key", key)
	form.Set("reason", "核实无误")
	if change != nil {
		change(form)
	}
	return v.keep(v.do(v.sends(path, form)))
}

// TestOfficials: an official signs in, sees what they may do, approves and withdraws a grant;
// an auditor lifts a brake and searches the log. Each is an entry that names the person.
func TestOfficials(t *testing.T) {
	w := open(t)
	p, handler := w.officialOf("zhang", "li", "wang")
	w.registers(p, "zhang", nil)
	asking := w.registers(p, "li", nil)
	w.registers(p, "wang", auditing)
	if a := (&visitor{w, handler, map[string]string{}}).get("/official"); a.StatusCode != http.StatusUnauthorized || !bytes.Contains(a.body, []byte(`href="/sign-in/official"`)) {
		t.Fatalf("without a session: %d %s", a.StatusCode, a.body)
	}
	g, _, err := w.RequestGrant(t.Context(), registry.Caller{Principal: asking.Principal(), Person: asking.ID, Roles: asking.Roles, Authority: asking.Authority, Types: asking.Types, RequestID: "r"},
		registry.GrantRequest{Key: "asks", Grant: registry.Grant{TypeCode: foodType, MatterCode: "m", Scenario: "开办<b>", Fields: []string{"number"}, How: registry.HowFunction, LegalBasis: "条例"}})
	must(t, err)
	before := w.size()
	v := w.official(handler, "zhang")
	if a := v.get("/official"); !bytes.Contains(a.body, []byte("张三")) || !bytes.Contains(a.body, []byte(">授权审批 <")) || bytes.Contains(a.body, []byte(`href="/official/log"`)) {
		t.Errorf("who is signed in: %s", a.body)
	}
	if a := v.get("/official/grants"); !bytes.Contains(a.body, []byte("待您审批（1）")) || bytes.Count(a.body, []byte("/official/grants/"+g.ID+"/approve")) != 1 || !bytes.Contains(a.body, []byte("没有其他授权")) {
		t.Errorf("what awaits: %d %s", a.StatusCode, a.body)
	}
	list := v.get("/official/grants?type_code=" + foodType)
	if !bytes.Contains(list.body, []byte(`<a href="/official">工作人员</a></nav>`)) {
		t.Errorf("no way back in the header: %s", list.body)
	}
	if !bytes.Contains(list.body, []byte("开办&lt;b&gt;")) || !bytes.Contains(list.body, []byte("/official/grants/"+g.ID+"/approve")) ||
		!bytes.Contains(list.body, []byte(`食品经营许可证 <span class="code">`+foodType)) || !bytes.Contains(list.body, []byte(`证照编号 <span class="code">number<`)) {
		t.Errorf("grants: %d %s", list.StatusCode, list.body)
	}
	ofType := func(form url.Values) { form.Set("type_code", foodType) }
	if a := v.decide("/official/grants/"+g.ID+"/approve", "k1", ofType); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/official/grants?type_code="+foodType {
		t.Errorf("approve: %d %v %s", a.StatusCode, a.Header, a.body)
	}
	if a := v.decide("/official/grants/"+g.ID+"/withdraw", "k2", func(f url.Values) { f.Set("type_code", "x\r\nSet-Cookie: a=b") }); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/official/grants" || len(a.Cookies()) != 0 {
		t.Errorf("withdraw, a header in the field: %d %v %s", a.StatusCode, a.Header, a.body)
	}
	kept, err := w.Backend.Grant(t.Context(), g.ID)
	must(t, err)
	if kept.Status != registry.GrantWithdrawn || kept.ApprovedPerson != "zhang" || kept.WithdrawnPerson != "zhang" || kept.RequestedPerson != "li" || kept.Reason != "核实无误" {
		t.Errorf("the grant: %+v", kept)
	}
	session := v.cookies["elicence_official"]
	if a := v.keep(v.do(v.sends("/official/sign-out", v.form()))); a.StatusCode != http.StatusSeeOther || v.cookies["elicence_official"] != "" {
		t.Errorf("sign-out: %d", a.StatusCode)
	}
	wantActions(t, w, before, "person.zhang", "authenticate read_grants read_grants grant_approve grant_withdraw sign_out")
	v.cookies["elicence_official"] = session
	if a := v.get("/official"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the sign-out: %d", a.StatusCode)
	}

	before = w.size()
	v = w.official(handler, "wang")
	brake := registry.Brake{ID: strings.Repeat("a", 28), Client: partner, Authority: registrytest.Department, Alarm: brake.AlarmBurst, Detail: "200", BrakedAt: w.Now()}
	must(t, w.Backend.Batch(t.Context(), func(tx audit.Tx) error { return tx.(registry.Tx).InsertBrake(t.Context(), brake) }))
	if a := v.get("/official/brakes"); !bytes.Contains(a.body, []byte(brake.ID+"/lift")) {
		t.Errorf("brakes: %d %s", a.StatusCode, a.body)
	}
	if a := v.decide("/official/brakes/"+brake.ID+"/lift", "k", nil); a.StatusCode != http.StatusSeeOther {
		t.Errorf("lift: %d %s", a.StatusCode, a.body)
	}
	if a := v.get("/official/log"); a.StatusCode != http.StatusOK || !bytes.Contains(a.body, []byte(`name="principal"`)) {
		t.Errorf("the form of a search: %d %s", a.StatusCode, a.body)
	}
	day := w.Now().In(time.FixedZone("", 8*3600)).Format(time.DateOnly)
	find := func(f url.Values) {
		f.Set("principal", "person.zhang")
		f.Set("action", "grant_approve")
		f.Set("from", day)
		f.Set("to", day)
	}
	if a := v.decide("/official/log", "k", find); a.StatusCode != http.StatusOK || !bytes.Contains(a.body, []byte(`用证授权 <span class="code">grant/`+g.ID)) || !bytes.Contains(a.body, []byte("批准用证授权")) || bytes.Count(a.body, []byte(`class="card"`)) != 2 {
		t.Errorf("search: %d %s", a.StatusCode, a.body)
	}
	wantActions(t, w, before, "person.wang", "authenticate read_brakes brake_lift search_log")
	if a := v.get("/official/grants"); a.StatusCode != http.StatusForbidden {
		t.Errorf("an auditor and the grants: %d", a.StatusCode)
	}
}

// wantActions compares what was logged, all allowed and by one principal.
func wantActions(t *testing.T, w *world, before uint64, principal, want string) {
	t.Helper()
	var actions []string
	for _, e := range w.since(before) {
		actions = append(actions, string(e.Action))
		if e.Principal != principal || e.Result != audit.ResultAllowed {
			t.Errorf("entry %+v", e)
		}
	}
	if got := strings.Join(actions, " "); got != want {
		t.Errorf("logged: %s, want %s", got, want)
	}
}

// TestBadOfficialSignIn brings back what no provider sent, or not to this browser, or
// whom nobody registered: each is refused with an entry, and there is no session.
func TestBadOfficialSignIn(t *testing.T) {
	w := open(t)
	p, _ := w.officialOf("zhang", "stranger", "soon", "ended")
	holders, _ := provider(t, citizen)
	both := w.serve(func(c *api.Config) { c.Officials, c.Identity = p, holders })
	w.registers(p, "zhang", nil)
	w.registers(p, "soon", func(q *person.Person) { q.From = w.Now().Add(24 * time.Hour) })
	w.registers(p, "ended", nil)
	_, err := w.DisablePerson(t.Context(), registry.System("test"), "ended", registry.StatusRequest{Key: "k", Reason: "r"})
	must(t, err)
	same := func(_ *visitor, back string) string { return back }
	put := func(old, new string) func(*visitor, string) string {
		return func(_ *visitor, back string) string { return regexp.MustCompile(old).ReplaceAllString(back, new) }
	}
	key := bytes.Repeat([]byte{7}, 32)
	for name, c := range map[string]struct {
		who    string
		change func(v *visitor, back string) string
		code   string
	}{
		"nobody registered":  {"stranger", same, "person_unknown"},
		"not yet":            {"soon", same, "person_unknown"},
		"disabled":           {"ended", same, "person_unknown"},
		"another state":      {"zhang", put(`state=[^&]*`, "state=x"), "sign_in_failed"},
		"two states":         {"zhang", put(`(state=[^&]*)`, "$1&$1"), "sign_in_failed"},
		"another code":       {"zhang", put(`code=[^&]*`, "code=x"), "sign_in_failed"},
		"no code":            {"zhang", put(`code=[^&]*`, "error=access_denied"), "sign_in_failed"},
		"a header in a code": {"zhang", put(`code=[^&]*`, "code=x%0d%0aSet-Cookie:%20a=b"), "sign_in_failed"},
		"another browser":    {"zhang", func(v *visitor, back string) string { clear(v.cookies); return back }, "sign_in_failed"},
		"a later attempt":    {"zhang", func(v *visitor, back string) string { v.get("/sign-in/official"); return back }, "sign_in_failed"},
		"a forged cookie":    {"zhang", func(v *visitor, back string) string { v.cookies["elicence_official_sign_in"] += "A"; return back }, "sign_in_failed"},
		"a holder's attempt": {"zhang", func(v *visitor, back string) string {
			v.cookies["elicence_official_sign_in"] = api.Mint(key, 4, strings.Repeat("0", 32), w.Now())
			return back
		}, "sign_in_failed"},
		"at the holders' door": {"zhang", func(v *visitor, back string) string {
			v.cookies["elicence_sign_in"] = v.cookies["elicence_official_sign_in"]
			return strings.Replace(back, api.OfficialReturn, api.SignInReturn, 1)
		}, "sign_in_failed"},
		"a quarter of an hour": {"zhang", func(_ *visitor, back string) string { w.Move(15 * time.Minute); return back }, "sign_in_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			v := &visitor{w, both, map[string]string{}}
			back := c.change(v, v.signsInAt("/sign-in/official", c.who))
			before := w.size()
			a := v.get(back)
			if !bytes.Contains(a.body, []byte(">"+c.code+"<")) || v.cookies["elicence_official"] != "" || v.cookies["a"] != "" {
				t.Errorf("%d %s, want %s", a.StatusCode, a.body, c.code)
			}
			if c.code == "person_unknown" && (a.StatusCode != http.StatusForbidden || !bytes.Contains(a.body, []byte("没有在本平台登记"))) {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			if e := w.since(before); len(e) != 1 || e[0].Result != audit.ResultRefused || e[0].Action != "authenticate" || e[0].Code != c.code || e[0].Principal != "anonymous" || strings.Contains(e[0].Object, "stranger") {
				t.Errorf("log: %+v", e)
			}
		})
	}
	w.t = t
	none := &visitor{w, w.server, map[string]string{}}
	if a := none.get("/sign-in/official"); a.StatusCode != http.StatusNotFound {
		t.Errorf("without a provider: %d", a.StatusCode)
	}
}

// TestBadOfficialForms sends what is not the session's own form, or not the person's to
// decide: nothing is changed, and each leaves one entry of a refusal.
func TestBadOfficialForms(t *testing.T) {
	w := open(t)
	p, handler := w.officialOf("zhang", "li", "wang", "lei")
	zhang := w.registers(p, "zhang", nil)
	w.registers(p, "li", nil)
	w.registers(p, "wang", auditing)
	w.registers(p, "lei", func(q *person.Person) { q.Types = nil })
	g, _, err := w.RequestGrant(t.Context(), registry.Caller{Principal: zhang.Principal(), Person: zhang.ID, Roles: zhang.Roles, Authority: zhang.Authority, Types: zhang.Types, RequestID: "r"},
		registry.GrantRequest{Key: "asks", Grant: registry.Grant{TypeCode: foodType, MatterCode: "m", Scenario: "s", Fields: []string{"number"}, How: registry.HowFunction, LegalBasis: "条例"}})
	must(t, err)
	in := map[string]*visitor{}
	for _, name := range []string{"zhang", "li", "wang", "lei"} {
		in[name] = w.official(handler, name)
	}
	approve := "/official/grants/" + g.ID + "/approve"
	key := bytes.Repeat([]byte{7}, 32)
	for name, c := range map[string]struct {
		who, path string
		form      func(url.Values)
		ask       func(*ask)
		status    int
		code      string
	}{
		"one's own":              {who: "zhang", status: 403, code: "forbidden"},
		"an auditor":             {who: "wang", status: 403, code: "forbidden"},
		"of no such type":        {who: "lei", status: 404, code: "out_of_reach"},
		"no form token":          {who: "li", form: func(f url.Values) { f.Del("form") }, status: 403, code: "forbidden"},
		"another's form token":   {who: "li", form: func(f url.Values) { f["form"] = in["zhang"].form()["form"] }, status: 403, code: "forbidden"},
		"two form tokens":        {who: "li", form: func(f url.Values) { f.Add("form", "x") }, status: 403, code: "forbidden"},
		"the token in the query": {who: "li", path: approve + "?form=" + in["li"].form().Get("form"), form: func(f url.Values) { f.Del("form") }, status: 403, code: "forbidden"},
		"from another site":      {who: "li", ask: func(q *ask) { q.header["Sec-Fetch-Site"] = "cross-site" }, status: 403, code: "forbidden"},
		"from another origin":    {who: "li", ask: func(q *ask) { q.header["Origin"] = "https://evil.example" }, status: 403, code: "forbidden"},
		"no key":                 {who: "li", form: func(f url.Values) { f.Del("key") }, status: 400, code: "idempotency_key_missing"},
		"a header in the key":    {who: "li", form: func(f url.Values) { f.Set("key", "k\r\nSet-Cookie: a=b") }, status: 400, code: "idempotency_key_malformed"},
		"hidden text":            {who: "li", form: func(f url.Values) { f.Set("reason", "好\u202e") }, status: 422, code: "invalid_request"},
		"too long":               {who: "li", form: func(f url.Values) { f.Set("reason", strings.Repeat("x", 9<<10)) }, status: 413, code: "too_large"},
		"another thing's name":   {who: "li", path: "/official/grants/x%0d%0aa/approve", status: 404, code: "not_found"},
		"no such grant":          {who: "li", path: "/official/grants/" + strings.Repeat("0", 32) + "/approve", status: 404, code: "not_found"},
		"withdrawn for nothing":  {who: "li", path: "/official/grants/" + g.ID + "/withdraw", form: func(f url.Values) { f.Set("reason", " \r\n ") }, status: 422, code: "reason_missing"},
		"an authority's search":  {who: "li", path: "/official/log", status: 403, code: "forbidden"},
		"a search of no day":     {who: "wang", path: "/official/log", form: func(f url.Values) { f.Set("from", "2026-02-30") }, status: 422, code: "invalid_request"},
		"a search that is cut":   {who: "wang", path: "/official/log", form: func(f url.Values) { f.Set("object", strings.Repeat("x", 257)) }, status: 422, code: "invalid_request"},
		"days out of order":      {who: "wang", path: "/official/log", form: func(f url.Values) { f.Set("from", "2026-03-01"); f.Set("to", "2026-02-28") }, status: 422, code: "invalid_request"},
		"a forged cursor":        {who: "wang", path: "/official/log", form: func(f url.Values) { f.Set("cursor", "x") }, status: 422, code: "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			v := in[c.who]
			form := v.form()
			form.Set("key", "key-"+strings.ReplaceAll(name, " ", "-"))
			form.Set("reason", "理由")
			if c.form != nil {
				c.form(form)
			}
			if c.path == "" {
				c.path = approve
			}
			q := v.sends(c.path, form)
			q.remote = "198.18.0." + string(rune('1'+len(name)%9)) + ":1"
			if c.ask != nil {
				c.ask(&q)
			}
			before := w.size()
			a := v.do(q)
			if a.StatusCode != c.status || len(a.Cookies()) != 0 {
				t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
			}
			if e := w.since(before); len(e) != 1 || e[0].Result != audit.ResultRefused || e[0].Code != c.code {
				t.Errorf("log: %+v", e)
			}
			if kept, err := w.Backend.Grant(t.Context(), g.ID); err != nil || kept.Status != registry.GrantRequested {
				t.Errorf("the grant is %s, %v", kept.Status, err)
			}
		})
	}
	w.t = t
	// Sessions that are none, or are no official's.
	good := in["li"].cookies["elicence_official"]
	for name, cookies := range map[string]map[string]string{
		"forged":                              {"elicence_official": good + "A"},
		"of another key":                      {"elicence_official": api.Mint(bytes.Repeat([]byte{8}, 32), 5, strings.Repeat("0", 32), w.Now())},
		"of no session":                       {"elicence_official": api.Mint(key, 5, strings.Repeat("0", 32), w.Now())},
		"a holder's":                          {"elicence_official": api.Mint(key, 2, holder, w.Now())},
		"a client's token":                    {"elicence_official": api.Mint(key, 1, approver, w.Now())},
		"an official's, at the holders' page": {"elicence_session": good},
		"expired":                             {"elicence_official": api.Mint(key, 5, strings.Repeat("0", 32), w.Now().Add(-time.Hour))},
	} {
		v := &visitor{w, handler, maps.Clone(cookies)}
		for _, path := range []string{"/official", "/official/grants", "/official/log", "/holder"} {
			if a := v.get(path); a.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s, %s: %d", name, path, a.StatusCode)
			}
		}
	}
	if a := w.do(ask{method: "GET", path: "/api/v1/grants", header: map[string]string{"Authorization": "Bearer " + good}, remote: "198.18.1.1:1"}); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a session for a bearer token: %d", a.StatusCode)
	}
	// Whose access ended has no session any more, and the log says who came.
	_, err = w.DisablePerson(t.Context(), registry.System("test"), "li", registry.StatusRequest{Key: "k", Reason: "r"})
	must(t, err)
	before := w.size()
	if a := in["li"].get("/official/grants"); a.StatusCode != http.StatusForbidden || in["li"].cookies["elicence_official"] != "" {
		t.Errorf("a disabled person: %d, %v", a.StatusCode, in["li"].cookies)
	}
	if e := w.since(before); len(e) != 1 || e[0].Principal != "person.li" || e[0].Result != audit.ResultRefused || e[0].Code != "person_unknown" {
		t.Errorf("log: %+v", e)
	}
	w.Move(15 * time.Minute)
	if a := in["zhang"].get("/official"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("after a quarter of an hour: %d", a.StatusCode)
	}
}

// personBody registers somebody of the authority that decides on food licences.
func personBody(t testing.TB, id string) []byte {
	return with(t, map[string]any{"id": id, "issuer": "https://id.example.gov.cn", "subject": "s-" + id, "name": "张三", "roles": []string{"authority"},
		"authority": map[string]string{"name": "杭州市西湖区市场监督管理局", "code": "11330106002504122C", "division": "330106"}}, nil)
}

// newPersonOf is somebody of the department whose things are concerned.
func (w *accessWorld) newPersonOf() string {
	p := person.Person{ID: w.next(), Issuer: "https://id.example.gov.cn", Name: "张三", Roles: []person.Role{person.Authority}, Authority: w.own}
	p.Subject = p.ID
	_, err := w.AddPerson(w.t.Context(), registry.System("test"), registry.PersonRequest{Key: w.next(), Person: p})
	must(w.t, err)
	return p.ID
}

// inSession is a request of an official of a role; gone is one whose access ended.
func (w *routeWalk) inSession(role string) ask {
	w.t.Helper()
	id := w.next()
	p := w.registers(&identity.Provider{Config: identity.Config{Issuer: "https://id.example.gov.cn"}}, id, func(p *person.Person) {
		if role != "authority" {
			auditing(p)
		}
	})
	_, err := w.SignInPerson(w.t.Context(), p.Issuer, p.Subject, id, w.Now().Add(time.Hour), "r")
	must(w.t, err)
	if role == "gone" {
		_, err := w.DisablePerson(w.t.Context(), registry.System("test"), id, registry.StatusRequest{Key: w.next(), Reason: "r"})
		must(w.t, err)
	}
	v := &visitor{w.world, w.server, map[string]string{"elicence_official": api.Mint(bytes.Repeat([]byte{7}, 32), 5, id, w.Now())}}
	form := url.Values{}
	if role != "gone" {
		form = v.form()
	}
	form.Set("key", w.next())
	form.Set("reason", "r")
	return v.sends("", form)
}

// ofOfficials is a request that one role may send and another may not.
func (w *routeWalk) ofOfficials(may, mayNot string) walkStep {
	return walkStep{w.inSession(may), w.inSession(mayNot)}
}

// grantOfPerson is a grant that somebody requested who is nobody of the walk.
func (w *routeWalk) grantOfPerson() string {
	w.t.Helper()
	p := w.registers(&identity.Provider{Config: identity.Config{Issuer: "https://id.example.gov.cn"}}, w.next(), nil)
	g, _, err := w.RequestGrant(w.t.Context(), registry.Caller{Principal: p.Principal(), Person: p.ID, Roles: p.Roles, Authority: p.Authority, Types: p.Types, RequestID: "r"},
		registry.GrantRequest{Key: w.next(), Grant: registry.Grant{TypeCode: foodType, MatterCode: w.next(), Scenario: "s", Fields: []string{"number"}, How: registry.HowFunction, LegalBasis: "条例"}})
	must(w.t, err)
	return g.ID
}
