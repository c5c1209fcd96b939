package api_test

import (
	"bytes"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"elicence/licence/person"
	"elicence/licence/registry"
)

// asksFor is what an official gives in the form of a grant.
func asksFor() url.Values {
	return url.Values{"type_code": {foodType}, "matter_code": {"330114007009"}, "scenario": {"社会保险登记核验经营场所"}, "fields": {"number", "fields.premises"},
		"how": {"function"}, "questions": {"valid\r\n equals:number "}, "legal_basis": {"社会保险法第五十七条"}, "valid_to": {"2027-12-31"}}
}

// faultsIn are what a page says of fields, without its first words.
func faultsIn(page []byte) (all []string) {
	for _, m := range regexp.MustCompile(`<p class="fault" role="alert">([^<]+)</p>`).FindAllSubmatch(page, -1) {
		all = append(all, string(m[1]))
	}
	return all
}

// TestGrantForm: an official asks on the page for a grant, once however often it is sent, which
// somebody else approves there; who asks cannot.
func TestGrantForm(t *testing.T) {
	w := open(t)
	p, handler := w.officialOf("zhang", "li")
	w.registers(p, "zhang", nil)
	asking := w.registers(p, "li", func(q *person.Person) { q.Types = nil }) // of a department that issues none of them
	v := w.official(handler, "li")
	before := w.size()
	if a := v.get("/official/grants"); !bytes.Contains(a.body, []byte(`href="/official/grants/new"`)) {
		t.Errorf("no way to the form: %s", a.body)
	}
	if a := v.get("/official/grants/new"); a.StatusCode != 200 || !bytes.Contains(a.body, []byte("食品经营许可证")) || bytes.Contains(a.body, []byte(`name="fields"`)) {
		t.Errorf("the types: %d %s", a.StatusCode, a.body)
	}
	page := v.get("/official/grants/new?type_code=" + foodType)
	key := regexp.MustCompile(`name="key" value="([0-9a-f]{32})"`).FindSubmatch(page.body)
	for _, want := range []string{`value="fields.premises"`, `value="copy"`, "经营场所", "持证主体名称", `value="function" checked`, asking.Authority.Name} {
		if !bytes.Contains(page.body, []byte(want)) {
			t.Errorf("the form lacks %s", want)
		}
	}
	if key == nil || len(faultsIn(page.body)) > 0 {
		t.Fatalf("the form: %s", page.body)
	}
	send := func() answer {
		return v.decide("/official/grants", string(key[1]), func(f url.Values) {
			f.Del("reason")
			for name, values := range asksFor() {
				f[name] = values
			}
		})
	}
	for range 2 {
		if a := send(); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/official/grants" {
			t.Fatalf("sent: %d %s", a.StatusCode, a.body)
		}
	}
	wantActions(t, w, before, "person.li", "read_grants grant_request grant_request")
	grants, err := w.Backend.Grants(t.Context(), registry.GrantQuery{Authority: asking.Authority.Code, Limit: 10})
	must(t, err)
	grants = slices.DeleteFunc(grants, func(g registry.Grant) bool { return g.MatterCode != "330114007009" })
	if len(grants) != 1 {
		t.Fatalf("%d grants", len(grants))
	}
	g := grants[0]
	if g.Status != registry.GrantRequested || g.RequestedPerson != "li" || g.TypeCode != foodType || !slices.Equal(g.Fields, []string{"number", "fields.premises"}) || g.Masked ||
		!slices.Equal(g.Questions, []string{"valid", "equals:number"}) || g.How != registry.HowFunction || g.ValidTo.String() != "2027-12-31" || g.LegalBasis != "社会保险法第五十七条" {
		t.Errorf("the grant: %+v", g)
	}
	approve := "/official/grants/" + g.ID + "/approve"
	if a := v.decide(approve, "own", nil); a.StatusCode != 404 && a.StatusCode != 403 {
		t.Errorf("who asked approves: %d", a.StatusCode)
	}
	if a := w.official(handler, "zhang").decide(approve, "other", nil); a.StatusCode != http.StatusSeeOther {
		t.Errorf("somebody else: %d %s", a.StatusCode, a.body)
	}
}

// TestBadGrantForm: what is wrong is said of each field, beside what was given, and nothing is
// asked for; what is not the session's form, or no such person's, is refused whole.
func TestBadGrantForm(t *testing.T) {
	w := open(t)
	p, handler := w.officialOf("li", "wang")
	who := w.registers(p, "li", nil)
	w.registers(p, "wang", auditing)
	in := map[string]*visitor{"li": w.official(handler, "li"), "wang": w.official(handler, "wang")}
	set := func(name string, values ...string) func(url.Values) { return func(f url.Values) { f[name] = values } }
	for name, c := range map[string]struct {
		change func(url.Values)
		status int
		faults []string
	}{
		"no matter, a day that is none": {func(f url.Values) { f.Del("matter_code"); f.Set("valid_from", "2026-02-30") }, 422, []string{"请填写", "格式不对"}},
		"no scenario":                   {set("scenario", " \r\n "), 422, []string{"请填写"}},
		"no basis":                      {set("legal_basis"), 422, []string{"请填写"}},
		"no field":                      {func(f url.Values) { f.Del("fields"); f.Del("questions") }, 422, []string{"请至少选择一个字段，或填写一个问题"}},
		"another type's field":          {set("fields", "number", "fields.<b>"), 422, []string{"fields.&lt;b&gt;：不能这样选择"}},
		"a field twice":                 {set("fields", "number", "number"), 422, []string{"证照编号：重复"}},
		"a field without a mask":        {func(f url.Values) { f.Set("masked", "true") }, 422, []string{"证照编号：不能这样选择"}},
		"copies by consent":             {func(f url.Values) { f.Set("how", "consent"); f["fields"] = []string{"copy"} }, 422, []string{"加注件（限依职能、不脱敏）：不能这样选择"}},
		"another way":                   {set("how", "any"), 422, []string{"不能这样选择"}},
		"a question that is none":       {set("questions", "valid\nwho"), 422, []string{"who：不能这样选择"}},
		"days out of order":             {func(f url.Values) { f.Set("valid_from", "2028-01-01") }, 422, []string{"早于起始日期"}},
		"days that are over":            {func(f url.Values) { f.Set("valid_from", "2020-01-01"); f.Set("valid_to", "2020-01-02") }, 422, []string{"日期已过，或超出范围"}},
		"hidden text":                   {set("legal_basis", "法\u202e"), 422, []string{"含有不可见的字符"}},
		"a type that there is none of":  {set("type_code", "11100000MB0143028R999"), 422, []string{"没有这种证照"}},
		"no type":                       {set("type_code"), 422, []string{"请填写"}},
		"no key":                        {set("key"), 400, nil},
		"no form token":                 {set("form"), 403, nil},
		"another's form token":          {func(f url.Values) { f["form"] = in["wang"].form()["form"] }, 403, nil},
		"too much":                      {set("scenario", strings.Repeat("x", 9<<10)), 413, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			v := in["li"]
			form := v.form()
			form.Set("key", strings.ReplaceAll("key "+name, " ", "-"))
			for field, values := range asksFor() {
				form[field] = values
			}
			c.change(form)
			before := w.size()
			a := v.do(v.sends("/official/grants", form))
			if got := faultsIn(a.body); a.StatusCode != c.status || !slices.Equal(got, c.faults) {
				t.Errorf("%d %q, want %d %q", a.StatusCode, got, c.status, c.faults)
			}
			if c.status == 422 && form.Get("type_code") == foodType && !bytes.Contains(a.body, []byte(`name="legal_basis" maxlength="170" required autocomplete="off" value="`+form.Get("legal_basis")+`"`)) {
				t.Errorf("what was given is gone: %s", a.body)
			}
			if e := w.since(before); len(e) != 1 || e[0].Result != "refused" || e[0].Action != registry.ActionGrantRequest || e[0].Principal != "person.li" {
				t.Errorf("log: %+v", e)
			}
		})
	}
	w.t = t
	for _, path := range []string{"/official/grants/new?type_code=x", "/official/grants/new?type_code=%0d%0a"} {
		if a := in["li"].get(path); a.StatusCode != 400 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	before := w.size()
	if a := in["wang"].get("/official/grants/new"); a.StatusCode != 403 {
		t.Errorf("an auditor's form: %d", a.StatusCode)
	}
	if a := in["wang"].decide("/official/grants", "k", func(f url.Values) { f.Set("type_code", foodType) }); a.StatusCode != 403 {
		t.Errorf("an auditor asks: %d", a.StatusCode)
	}
	if e := w.since(before); len(e) != 2 || e[0].Code != "forbidden" || e[1].Code != "forbidden" {
		t.Errorf("log: %+v", e)
	}
	grants, err := w.Backend.Grants(t.Context(), registry.GrantQuery{Authority: who.Authority.Code, Limit: 10})
	if err != nil || slices.ContainsFunc(grants, func(g registry.Grant) bool { return g.RequestedPerson == "li" }) {
		t.Errorf("asked for all the same: %+v, %v", grants, err)
	}
}
