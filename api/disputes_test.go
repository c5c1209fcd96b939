package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/dispute"
)

// disputeBody disputes a licence.
func disputeBody(id licence.Identifier) []byte {
	return fmt.Appendf(nil, `{"kind":"wrong_licence","licence":%q,"text":"本单位没有申请过这份证照"}`, id)
}

// dispute has the holder of the tests dispute a licence.
func (w *world) dispute(key string, id licence.Identifier) string {
	w.t.Helper()
	return w.made("/api/v1/disputes", holder, key, disputeBody(id))
}

// disputeShown is a dispute as an answer has it.
type disputeShown struct {
	ID, Kind, State, Licence, Text, Reason, Version string
	ShouldBe                                        string `json:"should_be"`
	Entry                                           uint64
	AuthorityCode                                   string `json:"authority_code"`
	DecidedBy                                       string `json:"decided_by"`
	DeciderActed                                    bool   `json:"decider_acted"`
	Due                                             time.Time
	Overdue                                         bool
	Holder                                          *struct{ Code string }
}

func (w *world) disputed(as, id string) (d disputeShown) {
	w.t.Helper()
	w.do(ask{method: "GET", path: "/api/v1/disputes/" + id, as: as}).json(w.t, &d)
	return d
}

func (w *world) disputes(as, query string) (all []disputeShown, next string) {
	w.t.Helper()
	var page struct {
		Disputes   []disputeShown
		NextCursor string `json:"next_cursor"`
	}
	a := w.do(ask{method: "GET", path: "/api/v1/disputes" + query, as: as})
	if a.json(w.t, &page); a.StatusCode != http.StatusOK {
		w.t.Errorf("%s: %d %s", query, a.StatusCode, a.body)
	}
	return page.Disputes, page.NextCursor
}

// TestDisputes takes disputes of two kinds through the interface: raised, listed by deadline
// without what the holder wrote, answered, put right by a correction, late and counted.
func TestDisputes(t *testing.T) {
	t.Parallel()
	w := open(t)
	id := w.issue(food, "d").Identifier
	data := w.made("/api/v1/disputes", holder, "data", fmt.Appendf(nil, `{"kind":"wrong_data","licence":%q,"field":"holder.name","should_be":"杭州㛃记样例餐饮有限公司"}`, id))
	use := w.do(ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, nil)})
	entry := use.Header.Get("Elicence-Log-Index")
	w.Move(time.Millisecond) // the order of identifiers is that of time
	unknown := w.made("/api/v1/disputes", holder, "use", []byte(`{"kind":"unknown_use","entry":`+entry+`,"text":"本单位没有这个项目"}`))

	if d := w.disputed(holder, data); d.State != "open" || d.ShouldBe == "" || d.Licence != string(id) || d.AuthorityCode != "11330106002504122C" || d.Overdue {
		t.Errorf("the holder's: %+v", d)
	}
	if d := w.disputed(auditor, unknown); fmt.Sprint(d.Entry) != entry || d.Text == "" || d.Holder == nil || d.AuthorityCode != "113301000024903302" {
		t.Errorf("the auditor's: %+v", d)
	}
	for as, want := range map[string]string{auditor: data + unknown, keeper: data, requester: unknown, holder: unknown + data, approver: data} {
		all, _ := w.disputes(as, "")
		got := ""
		for _, d := range all {
			got += d.ID
			if as != holder && (d.Holder != nil || d.Text+d.ShouldBe+d.Licence != "" || d.Entry != 0) {
				t.Errorf("%s finds %+v in the list", as, d)
			}
		}
		if got != want {
			t.Errorf("%s finds %s, want %s", as, got, want)
		}
	}
	first, next := w.disputes(auditor, "?limit=1")
	second, last := w.disputes(auditor, "?limit=1&cursor="+next)
	third, end := w.disputes(auditor, "?limit=1&cursor="+last)
	if len(first) != 1 || len(second) != 1 || first[0].ID == second[0].ID || len(third) != 0 || end != "" {
		t.Errorf("pages: %+v, %+v, %+v", first, second, third)
	}
	for query, want := range map[string]int{"?state=open": 2, "?state=accepted": 0, "?kind=unknown_use": 1, "?overdue=true": 0, "?overdue=false&state=open&kind=wrong_data": 1} {
		if all, _ := w.disputes(auditor, query); len(all) != want {
			t.Errorf("%s: %+v", query, all)
		}
	}

	w.step(keeper, data, "accept", `{"reason":"经核实属实"}`, http.StatusOK)
	a := w.act(id, "correct", "c", `{"reason":"更正错字","holder":{"name":"杭州㛃记样例餐饮有限公司"}}`)
	var corrected struct{ Identifier string }
	if a.json(t, &corrected); a.StatusCode != http.StatusCreated {
		t.Fatalf("correction: %d %s", a.StatusCode, a.body)
	}
	if d := w.disputed(holder, data); d.State != "closed" || d.Version != corrected.Identifier || d.DecidedBy != keeper || d.Reason == "" || d.DeciderActed {
		t.Errorf("corrected: %+v", d)
	}

	w.Move(w.disputed(holder, unknown).Due.Sub(w.Now()))
	w.tokens = map[string]string{}
	if all, _ := w.disputes(auditor, "?overdue=true"); len(all) != 1 || !all[0].Overdue {
		t.Errorf("late: %+v", all)
	}
	metrics := string(w.do(ask{method: "GET", path: "/metrics"}).body)
	for _, kind := range dispute.Kinds {
		want := fmt.Sprintf("elicence_disputes_overdue{kind=%q} %d", kind, map[bool]int{true: 1}[kind == dispute.UnknownUse])
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	w.step(auditor, unknown, "accept", `{"reason":"办件已撤销"}`, http.StatusOK)
	w.step(requester, unknown, "close", `{"reason":"已停用该账号"}`, http.StatusOK)
	w.step(requester, unknown, "close", `{"reason":"已停用该账号"}`, http.StatusConflict)
}

// step takes a step with a dispute.
func (w *world) step(as, id, step, body string, want int) answer {
	w.t.Helper()
	a := w.do(ask{method: "POST", path: "/api/v1/disputes/" + id + "/" + step, as: as, key: fmt.Sprint(step, id, w.size()), body: []byte(body)})
	if a.StatusCode != want {
		w.t.Errorf("%s by %s: %d %s", step, as, a.StatusCode, a.body)
	}
	return a
}

// TestDisputesRefused: bodies, queries and names that are none.
func TestDisputesRefused(t *testing.T) {
	t.Parallel()
	w := open(t)
	id := w.issue(food, "d").Identifier
	for body, field := range map[string]string{
		`{}`:                          "kind",
		`{"kind":"fraud","text":"x"}`: "licence",
		`{"kind":1}`:                  "kind",
		`{"kind":"unknown_use"}`:      "text",
		`{"kind":"unknown_use","entry":-1,"text":"错"}`:                                                      "entry",
		`{"kind":"unknown_use","entry":1.5,"text":"错"}`:                                                     "entry",
		`{"kind":"unknown_use","entry":9007199254740993,"text":"错"}`:                                        "entry",
		`{"kind":"unknown_use","entry":5,"licence":"x","text":"错"}`:                                         "licence",
		`{"kind":"missing_licence","type_code":"` + foodType + `","text":"错"}`:                              "authority_code",
		`{"kind":"missing_licence","type_code":"x","authority_code":"11330106002504122C","text":"错"}`:       "type_code",
		`{"kind":"wrong_data","licence":"` + string(id) + `","field":"holder.name"}`:                        "should_be",
		`{"kind":"wrong_data","licence":"` + string(id) + `","field":"state","should_be":"x"}`:              "field",
		`{"kind":"wrong_data","licence":"` + string(id) + `","field":"holder.name","should_be":"a\u200bb"}`: "should_be",
		`{"kind":"wrong_licence","licence":"` + string(id) + `","field":"number","text":"错"}`:               "field",
		`{"kind":"wrong_licence","licence":"` + string(id) + `","text":"a\nb"}`:                             "text",
		`{"kind":"wrong_licence","licence":"` + string(id) + `","text":"` + strings.Repeat("长", 251) + `"}`: "text",
		`{"kind":"wrong_licence","licence":"` + string(id) + `","text":"错","state":"accepted"}`:             "state",
		`{"kind":"wrong_licence","licence":"` + string(id) + `","text":"错","decided_by":"x"}`:               "decided_by",
	} {
		p := problemIn(t, w.do(ask{method: "POST", path: "/api/v1/disputes", as: holder, key: "k", body: []byte(body)}))
		if p.Code != "invalid_request" || !strings.Contains(fmt.Sprint(p.Errors), field) {
			t.Errorf("%s: %+v, want %s", body, p, field)
		}
	}
	for query, code := range map[string]string{
		"?cursor=x": "malformed_parameter", "?cursor=MjAyNg": "malformed_parameter", "?limit=0": "malformed_parameter", "?limit=101": "malformed_parameter", "?overdue=yes": "malformed_parameter",
		"?state=" + strings.Repeat("x", 17): "malformed_parameter", "?holder=x": "malformed_parameter", "?state=open&state=open": "malformed_parameter",
		"?cursor=" + url.QueryEscape("OTk5OS05OS05OVQ5OTo5OTo5OVovMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMA"): "malformed_parameter",
		"/" + strings.Repeat("0", 28): "not_found", "/x": "not_found", "/" + strings.Repeat("0", 99): "not_found",
	} {
		if p := problemIn(t, w.do(ask{method: "GET", path: "/api/v1/disputes" + query, as: auditor})); p.Code != code {
			t.Errorf("%s: %+v, want %s", query, p, code)
		}
	}
	name := w.dispute("d", id)
	for _, c := range []struct{ as, step, body, code string }{
		{keeper, "accept", `{}`, "reason_missing"}, {keeper, "reject", `{"reason":"` + strings.Repeat("长", 251) + `"}`, "invalid_request"},
		{keeper, "close", `{"reason":"r","version":"x"}`, "invalid_request"}, {keeper, "close", `{"reason":"r"}`, "not_remedied"},
		{keeper, "close", `{"reason":"r","remedy":"x"}`, "invalid_request"}, {requester, "accept", `{"reason":"r"}`, "not_found"},
		{approval, "accept", `{"reason":"r"}`, "forbidden"}, {auditor, "reject", `{"reason":"r"}`, "not_found"}, {holder, "accept", `{"reason":"r"}`, "forbidden"}, {keeper, "withdraw", `{}`, "forbidden"},
	} {
		a := w.do(ask{method: "POST", path: "/api/v1/disputes/" + name + "/" + c.step, as: c.as, key: "k", body: []byte(c.body)})
		if p := problemIn(t, a); p.Code != c.code {
			t.Errorf("%s by %s of %.80s: %+v, want %s", c.step, c.as, c.body, p, c.code)
		}
	}
	if p := problemIn(t, w.do(ask{method: "POST", path: "/api/v1/disputes", as: holder, key: "again", body: disputeBody(id)})); p.Code != "dispute_stands" {
		t.Errorf("again: %+v", p)
	}
	if p := problemIn(t, w.do(ask{method: "POST", path: "/api/v1/disputes", as: holder, body: disputeBody(id)})); p.Code != "idempotency_key_missing" {
		t.Errorf("without a key: %+v", p)
	}
}

// TestDisputePages: the holder raises disputes of every kind from the pages, sees what came
// of them, and takes one back. Nothing of a page runs what the holder wrote.
func TestDisputePages(t *testing.T) {
	t.Parallel()
	w := open(t)
	id := w.issue(food, "d").Identifier
	use := w.do(ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, nil)}).Header.Get("Elicence-Log-Index")
	code := strings.TrimPrefix(linkOf(t, w.server, holder), "/holder/sign-in?")
	c := w.do(ask{method: "POST", path: "/holder/sign-in", mediaType: "application/x-www-form-urlencoded", body: []byte(code)}).Cookies()[0]
	session := map[string]string{"Cookie": c.Name + "=" + c.Value}
	page := func(path string, want ...string) string {
		t.Helper()
		a := w.do(ask{method: "GET", path: path, header: session})
		for _, text := range want {
			if a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), text) {
				t.Errorf("%s lacks %s: %d", path, text, a.StatusCode)
			}
		}
		return string(a.body)
	}
	post := func(path, form string, want int) answer {
		t.Helper()
		a := w.do(ask{method: "POST", path: path, mediaType: "application/x-www-form-urlencoded", body: []byte(form), header: session})
		w.Move(time.Millisecond) // the order of identifiers is that of time
		if a.StatusCode != want {
			t.Errorf("%s, %s: %d %s", path, form, a.StatusCode, a.body)
		}
		return a
	}
	// fill takes the hidden values of the form of a kind, and adds what a person fills in.
	fill := func(page, kind string, filled url.Values) string {
		t.Helper()
		_, form, found := strings.Cut(page, `value="`+kind+`"`)
		form, _, _ = strings.Cut(form, "</form>")
		filled.Set("kind", kind)
		for _, m := range regexp.MustCompile(`type="hidden" name="([a-z_]+)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
			filled.Set(m[1], m[2])
		}
		if !found || filled.Get("key") == "" {
			t.Errorf("no form of the kind %s", kind)
		}
		return filled.Encode()
	}
	page("/holder", "/holder/disputes/new?licence="+string(id), `href="/holder/disputes"`)
	page("/holder/log", "/holder/disputes/new?entry="+use, "事项编码", matter)
	ofLicence := page("/holder/disputes/new?licence="+string(id), "食品经营许可证", "持证主体名称", "经营项目")
	data := fill(ofLicence, "wrong_data", url.Values{"field": {"fields.business_items"}, "should_be": {"<b>热食类\r\n食品</b>"}, "text": {""}})
	for range 2 { // a form that is sent twice is one dispute
		post("/holder/disputes", data, http.StatusSeeOther)
	}
	post("/holder/disputes", fill(ofLicence, "wrong_licence", url.Values{"text": {""}}), http.StatusUnprocessableEntity)
	post("/holder/disputes", fill(ofLicence, "wrong_licence", url.Values{"text": {"没有申请过"}}), http.StatusSeeOther)
	ofUse := page("/holder/disputes/new?entry="+use, "核验建设工程项目部食堂的经营许可", "杭州市城乡建设委员会")
	post("/holder/disputes", fill(ofUse, "unknown_use", url.Values{"text": {"没有这个项目"}}), http.StatusSeeOther)
	missing := page("/holder/disputes/new", "食品经营许可证", "杭州市西湖区市场监督管理局", "11330106002504122C")
	post("/holder/disputes", fill(missing, "missing_licence", url.Values{"type_code": {foodType}, "authority_code": {"11330106002504122C"}, "text": {"纸质证书已领取"}}), http.StatusSeeOther)
	list := page("/holder/disputes", "数据有误", "经营项目", "&lt;b&gt;热食类 食品&lt;/b&gt;", "错证", "缺证", "不知情的使用", "等待答复", "答复期限", "撤回这件异议")
	if strings.Count(list, `<li class="card">`) != 4 || strings.Contains(list, "<b>") {
		t.Errorf("the list: %s", list)
	}
	all, _ := w.disputes(holder, "")
	w.step(keeper, all[2].ID, "reject", `{"reason":"申请材料有法定代表人签字"}`, http.StatusOK)
	w.step(keeper, all[3].ID, "accept", `{"reason":"经核实属实"}`, http.StatusOK)
	page("/holder/disputes", "不予认可", "申请材料有法定代表人签字", "属实，正在处理", "处理期限", keeper)
	post("/holder/disputes/"+all[0].ID+"/withdraw", "key=w", http.StatusSeeOther)
	post("/holder/disputes/"+all[2].ID+"/withdraw", "key=w2", http.StatusConflict)
	post("/holder/disputes/x/withdraw", "key=w3", http.StatusNotFound)
	page("/holder/disputes", "已撤回")
	page("/holder/log?who=all", "提出异议", "撤回异议", "异议：认定属实", "异议：不予认可")

	for path, want := range map[string]int{
		"/holder/disputes/new?licence=x": 404, "/holder/disputes/new?entry=x": 400, "/holder/disputes/new?entry=0": 404, "/holder/disputes/new?entry=9007199254740991": 404, "/holder/disputes?cursor=x": 400,
		"/holder/disputes/new?licence=" + strings.Replace(string(id), ".001.", ".002.", 1): 404,
	} {
		if a := w.do(ask{method: "GET", path: path, header: session}); a.StatusCode != want {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	for _, path := range []string{"/holder/disputes", "/holder/disputes/new"} {
		if a := w.do(ask{method: "GET", path: path}); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a session: %d", path, a.StatusCode)
		}
	}
	foreign := map[string]string{"Cookie": session["Cookie"], "Sec-Fetch-Site": "cross-site"}
	for _, path := range []string{"/holder/disputes", "/holder/disputes/" + all[1].ID + "/withdraw"} {
		a := w.do(ask{method: "POST", path: path, mediaType: "application/x-www-form-urlencoded", body: []byte("key=k"), header: foreign})
		if a.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another site: %d", path, a.StatusCode)
		}
	}
	if a := post("/holder/disputes", "text="+strings.Repeat("x", 20<<10), http.StatusRequestEntityTooLarge); json.Valid(a.body) {
		t.Errorf("a problem document on a page: %s", a.body)
	}
}
