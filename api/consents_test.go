package api_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"image"
	"image/draw"
	"image/png"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"elicence/api"
	"elicence/licence/consent"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// consentBody asks for a consent to a licence.
func consentBody(t testing.TB, id string, members map[string]any) []byte {
	return with(t, map[string]any{"kind": "reuse", "licences": []string{id}, "fields": []string{"number", "fields.business_items"},
		"purpose": "办理社会保险登记", "minutes": 10}, members)
}

// presented is what makes a consent one of a presentation.
var presented = map[string]any{"kind": "presentation", "fields": []string{"number", "holder.name", "fields.business_items"}}

// held is a licence that the holder of the tests has.
func (w *world) held() string { return string(w.issue(food, "held").Identifier) }

// agree has the holder make a consent.
func (w *world) agree(members map[string]any) string {
	w.t.Helper()
	return w.made("/api/v1/consents", holder, rand.Text(), consentBody(w.t, w.held(), members))
}

// codeOf is a code that the holder shows.
func (w *world) codeOf(id string) string {
	w.t.Helper()
	a := w.do(ask{method: "POST", path: "/api/v1/consents/" + id + "/code", as: holder, body: []byte("{}")})
	var got struct{ Code, QR string }
	if a.json(w.t, &got); a.StatusCode != http.StatusCreated || got.QR != strings.ToUpper(registrytest.PublicURL)+"/S/"+got.Code {
		w.t.Fatalf("code: %d %s", a.StatusCode, a.body)
	}
	return got.Code
}

// byCode asks for a reuse by a code.
func byCode(t testing.TB, code string, members map[string]any) []byte {
	body := map[string]any{"consent_code": code, "type_code": foodType, "purpose": "为企业办理社会保险登记，核对经营许可", "matter_code": "330100000009", "operator": "王五"}
	return with(t, body, members)
}

// TestConsentByCode: the holder agrees, the department reuses what both grant and consent
// name, once; each refusal is a problem of its own code, and the holder sees it all.
func TestConsentByCode(t *testing.T) {
	w := open(t)
	w.Grant(t, registry.Grant{Authority: registrytest.Authorities["11100000000013338W901"], TypeCode: foodType, MatterCode: "330100000009",
		Fields: []string{"number", "status", "fields.business_items"}, How: registry.HowConsent})
	reuse := func(code string, members map[string]any) answer {
		return w.do(ask{method: "POST", path: "/api/v1/reuse", as: partner, body: byCode(t, code, members)})
	}
	id := w.agree(nil)
	code := w.codeOf(id)
	for name, c := range map[string]struct {
		members map[string]any
		want    string
	}{
		"a case beside it":      {map[string]any{"case_number": "C-2"}, "invalid_request"},
		"a cursor beside it":    {map[string]any{"cursor": "x"}, "invalid_request"},
		"half a holder":         {map[string]any{"holder": map[string]string{"code": "x"}}, "invalid_request"},
		"a field not agreed to": {map[string]any{"fields": []string{"status"}}, "forbidden"},
		"no such code":          {map[string]any{"consent_code": strings.Repeat("A", 32)}, "consent_unknown"},
		"a code of no text":     {map[string]any{"consent_code": 1}, "invalid_request"},
		"a text too long":       {map[string]any{"consent_code": strings.Repeat("A", 5000)}, "invalid_request"},
		"neither code nor case": {map[string]any{"consent_code": nil}, "invalid_request"},
	} {
		if p := problemIn(t, reuse(code, c.members)); p.Code != c.want {
			t.Errorf("%s: %+v, want %s", name, p, c.want)
		}
	}
	a := reuse("HTTPS://X/S/"+code, nil)
	var got struct {
		Licences []struct{ Fields map[string]any }
		Next     string `json:"next_cursor"`
	}
	if a.json(t, &got); a.StatusCode != 200 || len(got.Licences) != 1 || len(got.Licences[0].Fields) != 2 || got.Licences[0].Fields["number"] == nil {
		t.Fatalf("reuse: %d %s", a.StatusCode, a.body)
	}
	if p := problemIn(t, reuse(code, nil)); p.Code != "consent_spent" || p.Status != 403 {
		t.Errorf("twice: %+v", p)
	}
	w.Move(time.Second)
	other := w.agree(map[string]any{"minutes": 60, "uses": 5})
	code = w.codeOf(other)
	if a := w.do(ask{method: "POST", path: "/api/v1/consents/" + other + "/revoke", as: holder, key: "r", body: []byte(`{"reason":"不需要了"}`)}); a.StatusCode != 200 {
		t.Fatalf("revoke: %d %s", a.StatusCode, a.body)
	}
	if p := problemIn(t, reuse(code, nil)); p.Code != "consent_revoked" {
		t.Errorf("revoked: %+v", p)
	}
	list := w.do(ask{method: "GET", path: "/api/v1/consents?limit=1", as: holder})
	var page struct {
		Consents []struct{ ID, Status string }
		Next     string `json:"next_cursor"`
	}
	if list.json(t, &page); len(page.Consents) != 1 || page.Consents[0].Status != "revoked" || page.Next == "" {
		t.Errorf("list: %s", list.body)
	}
	list = w.do(ask{method: "GET", path: "/api/v1/consents?cursor=" + page.Next, as: holder})
	if list.json(t, &page); len(page.Consents) != 1 || page.Consents[0].ID != id || page.Consents[0].Status != "spent" {
		t.Errorf("next page: %s", list.body)
	}
	for _, q := range []string{"?standing=maybe", "?standing=true&standing=true", "?cursor=x", "?limit=0", "?x=1"} {
		if p := problemIn(t, w.do(ask{method: "GET", path: "/api/v1/consents" + q, as: holder})); p.Code != "malformed_parameter" {
			t.Errorf("%s: %+v", q, p)
		}
	}
}

// TestBadConsent: what a body of a consent must not hold.
func TestBadConsent(t *testing.T) {
	w := open(t)
	id := w.held()
	w.token(holder)
	for name, c := range map[string]struct {
		members     map[string]any
		code, field string
	}{
		"no kind":            {map[string]any{"kind": nil}, "invalid_request", "kind"},
		"another kind":       {map[string]any{"kind": "original"}, "invalid_request", "kind"},
		"no licence":         {map[string]any{"licences": nil}, "invalid_request", "licences"},
		"another's licence":  {map[string]any{"licences": []string{string(otherIdentifier(t))}}, "not_found", ""},
		"no field":           {map[string]any{"fields": []string{}}, "invalid_request", "fields"},
		"an unknown field":   {map[string]any{"fields": []string{"data"}}, "invalid_request", "fields[0]"},
		"no purpose":         {map[string]any{"purpose": nil}, "invalid_request", "purpose"},
		"no minutes":         {map[string]any{"minutes": nil}, "invalid_request", "minutes"},
		"too many minutes":   {map[string]any{"minutes": 10081}, "invalid_request", "minutes"},
		"no number of uses":  {map[string]any{"uses": "1"}, "invalid_request", "uses"},
		"no use":             {map[string]any{"uses": 0}, "invalid_request", "uses"},
		"too many uses":      {map[string]any{"uses": 101}, "invalid_request", "uses"},
		"a receiver by name": {map[string]any{"receiver": "人社局"}, "invalid_request", "receiver"},
		"a holder set":       {map[string]any{"holder": "x"}, "invalid_request", "holder"},
		"uses counted":       {map[string]any{"used": -5}, "invalid_request", "used"},
		"an identifier set":  {map[string]any{"id": strings.Repeat("0", 28)}, "invalid_request", "id"},
	} {
		before := w.size()
		p := problemIn(t, w.do(ask{method: "POST", path: "/api/v1/consents", as: holder, key: rand.Text(), body: consentBody(t, id, c.members)}))
		if p.Code != c.code || c.field != "" && (len(p.Errors) == 0 || p.Errors[0].Field != c.field) || w.size() != before+1 {
			t.Errorf("%s: %+v, %d entries", name, p, w.size()-before)
		}
	}
	for _, path := range []string{"/api/v1/consents/x/code", "/api/v1/consents/" + strings.Repeat("0", 28) + "/code"} {
		if p := problemIn(t, w.do(ask{method: "POST", path: path, as: holder, body: []byte("{}")})); p.Code != "not_found" {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

// TestPresentationPages: the holder chooses licence and fields and shows a symbol that an
// official's phone opens; the page shows those fields alone, once, and who looked is logged.
func TestPresentationPages(t *testing.T) {
	w := open(t)
	id := w.held()
	session := map[string]string{"Cookie": "elicence_session=" + api.Mint(bytes.Repeat([]byte{7}, 32), 2, holder, w.Now())}
	get := func(path string) answer { return w.do(ask{method: "GET", path: path, header: session}) }
	post := func(path string, form url.Values, header map[string]string, remote string) answer {
		return w.do(ask{method: "POST", path: path, header: header, remote: remote, mediaType: "application/x-www-form-urlencoded", body: []byte(form.Encode())})
	}
	if page := string(get("/holder").body); !strings.Contains(page, `name="licence" value="`+id+`"`) {
		t.Errorf("the holder's page offers no choice: %s", page)
	}
	form := string(get("/holder/consents/new?licence=" + id).body)
	key := regexp.MustCompile(`name="key" value="([0-9a-f]{32})"`).FindStringSubmatch(form)
	if key == nil || !strings.Contains(form, "经营项目") || !strings.Contains(form, `value="fields.premises"`) {
		t.Fatalf("the form: %s", form)
	}
	for _, path := range []string{"/holder/consents/new", "/holder/consents/new?licence=x", "/holder/consents/new?licence=" + string(otherIdentifier(t)), "/holder/consents/x", "/holder/consents?cursor=x"} {
		if a := get(path); a.StatusCode != 400 && a.StatusCode != 404 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	values := url.Values{"key": {key[1]}, "licence": {id}, "kind": {"presentation"}, "field": {"number", "fields.business_items"}, "purpose": {"出示给检查人员"}, "receiver": {""}, "uses": {"1"}, "minutes": {"10"}}
	made := post("/holder/consents", values, session, "")
	path := made.Header.Get("Location")
	if made.StatusCode != http.StatusSeeOther || !strings.HasPrefix(path, "/holder/consents/") {
		t.Fatalf("made: %d %s", made.StatusCode, made.body)
	}
	if again := post("/holder/consents", values, session, ""); again.Header.Get("Location") != path {
		t.Errorf("two clicks: %d %s", again.StatusCode, again.Header.Get("Location"))
	}
	for name, value := range map[string]string{"purpose": "", "uses": "x", "minutes": "99999999999999", "kind": "x", "field": "data"} {
		wrong := url.Values{}
		for k, v := range values {
			wrong[k] = v
		}
		wrong.Set(name, value)
		wrong.Set("key", "another-"+name)
		if a := post("/holder/consents", wrong, session, ""); a.StatusCode != 422 || !strings.Contains(string(a.body), "写明用途") {
			t.Errorf("%s %q: %d %s", name, value, a.StatusCode, a.body)
		}
	}
	shown := string(get(path).body)
	code := codeIn(t, shown)
	if !strings.Contains(shown, `http-equiv="refresh" content="60"`) || !strings.Contains(shown, "<svg") || strings.Contains(shown, "unsafe") {
		t.Errorf("the page of the code: %s", shown)
	}
	if next := codeIn(t, string(get(path).body)); next == code {
		t.Error("the code does not renew itself")
	}
	if text := scanned(t, shown); text != "HTTPS://"+strings.ToUpper(strings.TrimPrefix(registrytest.PublicURL, "https://"))+"/S/"+code {
		t.Errorf("the symbol says %s, the page %s", text, code)
	}

	before := w.size()
	if a := w.do(ask{method: "GET", path: "/S/" + code}); a.StatusCode != 200 || !strings.Contains(string(a.body), code) || w.size() != before {
		t.Errorf("the page that the symbol leads to: %d, %d entries", a.StatusCode, w.size()-before)
	}
	if a := w.do(ask{method: "GET", path: "/S/" + code[1:]}); a.StatusCode != 404 {
		t.Errorf("a code that is none: %d", a.StatusCode)
	}
	if a := post("/S", url.Values{"code": {code}}, map[string]string{"Sec-Fetch-Site": "cross-site"}, ""); a.StatusCode != 403 {
		t.Errorf("from another site: %d", a.StatusCode)
	}
	a := post("/S", url.Values{"code": {code}}, nil, "10.3.4.5:1000")
	page := string(a.body)
	if a.StatusCode != 200 || !strings.Contains(page, "热食类食品制售") || !strings.Contains(page, "有效") || !strings.Contains(page, "data-clock") || strings.Contains(page, "周海明") || strings.Contains(page, "知味") {
		t.Errorf("shown: %d %s", a.StatusCode, page)
	}
	entries := w.since(before)
	if e := entries[len(entries)-1]; e.Action != registry.ActionPresent || e.Principal != "anonymous" || e.Code != "address_private" || e.Object != id {
		t.Errorf("logged: %+v", e)
	}
	if a := post("/S", url.Values{"code": {code}}, nil, ""); a.StatusCode != 403 || !strings.Contains(string(a.body), "已用完授权的次数") {
		t.Errorf("again: %d", a.StatusCode)
	}
	for _, path := range []string{"/holder/consents", "/holder/log"} {
		if page := string(get(path).body); !strings.Contains(page, "亮证") || !strings.Contains(page, "出示给检查人员") {
			t.Errorf("%s: %s", path, page)
		}
	}
	if a := get(path); a.StatusCode != 403 || !strings.Contains(string(a.body), "已用完") {
		t.Errorf("the page of what is spent: %d %s", a.StatusCode, a.body)
	}
	if a := post(path+"/revoke", nil, session, ""); a.StatusCode != 303 {
		t.Errorf("revoking what is spent leads back to the list: %d", a.StatusCode)
	}
}

// codeIn is the code that a page spells.
func codeIn(t *testing.T, page string) string {
	t.Helper()
	spelt := regexp.MustCompile(`<span>([A-Z2-7]{4})</span>`).FindAllStringSubmatch(page, -1)
	code := ""
	for _, part := range spelt {
		code += part[1]
	}
	if _, ok := consent.ParseCode(code); !ok {
		t.Fatalf("no code in %s", page)
	}
	return code
}

// scanned is what zbar reads in the symbol of a page, each module of which is drawn as a
// square of 8 pixels.
func scanned(t *testing.T, page string) string {
	t.Helper()
	box := regexp.MustCompile(`viewBox="0 0 (\d+) \d+"`).FindStringSubmatch(page)
	path := regexp.MustCompile(`<path d="([^"]+)"`).FindStringSubmatch(page)
	if box == nil || path == nil {
		t.Fatal("no symbol")
	}
	const module = 8
	side, err := strconv.Atoi(box[1])
	must(t, err)
	picture := image.NewGray(image.Rect(0, 0, side*module, side*module))
	draw.Draw(picture, picture.Bounds(), image.White, image.Point{}, draw.Src)
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h1v1h-1z`).FindAllStringSubmatch(path[1], -1) {
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		draw.Draw(picture, image.Rect(x*module, y*module, (x+1)*module, (y+1)*module), image.Black, image.Point{}, draw.Src)
	}
	var b bytes.Buffer
	must(t, png.Encode(&b, picture))
	name := filepath.Join(t.TempDir(), "symbol.png")
	must(t, os.WriteFile(name, b.Bytes(), 0o600))
	out, err := exec.Command("zbarimg", "-q", "--raw", "-Sdisable", "-Sqrcode.enable", name).Output()
	if err != nil {
		t.Fatalf("zbarimg, of the Debian package zbar-tools: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// TestGuesses: whoever tries codes at the page, or by a token, is limited, and whoever else
// is there is not.
func TestGuesses(t *testing.T) {
	w := open(t)
	page := func(remote string) int {
		return w.do(ask{method: "POST", path: "/S", remote: remote, mediaType: "application/x-www-form-urlencoded", body: []byte("code=" + strings.Repeat("A", 32))}).StatusCode
	}
	client := func(as string) int {
		body, err := json.Marshal(map[string]string{"code": strings.Repeat("B", 32), "operator": "王五"})
		must(t, err)
		return w.do(ask{method: "POST", path: "/api/v1/presentations", as: as, body: body}).StatusCode
	}
	w.token(verifier)
	for name, try := range map[string]func() int{"page": func() int { return page("203.0.113.5:1") }, "client": func() int { return client(verifier) }} {
		before, counts := w.size(), map[int]int{}
		for range 30 {
			counts[try()]++
		}
		if counts[403] != 10 || counts[429] != 20 || w.size() != before+10 {
			t.Errorf("%s: %v, %d entries", name, counts, w.size()-before)
		}
	}
	if got := page("203.0.113.6:1"); got != 403 {
		t.Errorf("another address: %d", got)
	}
	if got := client(partner); got != 403 {
		t.Errorf("another client: %d", got)
	}
	w.Move(6 * time.Second)
	if got := page("203.0.113.5:1"); got != 403 {
		t.Errorf("later: %d", got)
	}
}

// TestPrinted: days and times are shown as licences print them, by what the type says of a
// field; other texts stay, whatever they look like.
func TestPrinted(t *testing.T) {
	w := open(t)
	birth, foods := w.LastItem(birthType), w.LastItem(foodType)
	for name, c := range map[string]struct {
		got, want string
	}{
		"a time":             {api.Printed(birth, "fields.born_at", "2026-03-05T08:02"), "2026年3月5日8时2分"},
		"a number":           {api.Printed(birth, "fields.weight_grams", int64(3280)), "3280"},
		"a day":              {api.Printed(foods, "expires_on", "2031-12-01"), "2031年12月1日"},
		"no last day":        {api.Printed(foods, "expires_on", ""), ""},
		"a masked day":       {api.Printed(foods, "issued_on", "2026-**-**"), "2026-**-**"},
		"a name like a day":  {api.Printed(foods, "holder.name", "2026-03-05"), "2026-03-05"},
		"a field of no type": {api.Printed(nil, "fields.born_at", "2026-03-05T08:02"), "2026-03-05T08:02"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
}
