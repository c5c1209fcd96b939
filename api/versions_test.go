package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/api"
	"elicence/licence"
	"elicence/licence/registry"
)

// versionBodies are requests that a food licence may be replaced by.
var versionBodies = map[string]string{
	"amend":    `{"reason": "名称变更", "holder": {"name": "样例餐饮店"}}`,
	"renew":    `{"reason": "准予延续", "expires_on": "2036-02-29"}`,
	"reissue":  `{"reason": "遗失补发", "case_number": "C-1", "matter_code": "M", "operator": "O"}`,
	"correct":  `{"reason": "更正错字", "holder": {"name": "样例餐饮号"}}`,
	"transfer": `{"reason": "转让", "holder": {"name": "样例二店", "code": "92330106MA0000A35B", "code_type": "001"}}`,
}

// openTransferable is open with food licences that pass to others.
func openTransferable(t testing.TB) *world {
	t.Helper()
	w := open(t)
	w.Config = w.Transferable(t)
	var err error
	w.Registry, err = registry.New(w.Config)
	must(t, err)
	w.server = w.serve(func(*api.Config) {})
	return w
}

// act does something to a licence by HTTP.
func (w *world) act(id licence.Identifier, action, key, body string) answer {
	return w.do(ask{method: "POST", path: "/api/v1/licences/" + string(id) + "/" + action, as: approval, key: key, body: []byte(body)})
}

// TestVersions replaces a licence five times by HTTP, and looks at everything that
// shows it: answers, search, history, holder page, verification and its page.
func TestVersions(t *testing.T) {
	w := openTransferable(t)
	issued := w.issue(food, "v")
	began := w.Now()
	w.Move(time.Minute)
	chain := []licence.Identifier{issued.Identifier}
	for _, op := range []string{"amend", "renew", "correct", "reissue"} {
		a := w.act(chain[0], op, op, versionBodies[op])
		var next struct {
			Identifier licence.Identifier `json:"identifier"`
			Supersedes licence.Identifier `json:"supersedes"`
		}
		if a.json(t, &next); a.StatusCode != http.StatusCreated || next.Supersedes != chain[0] || a.Header.Get("Location") != "/api/v1/licences/"+string(next.Identifier) {
			t.Fatalf("%s: %d %s", op, a.StatusCode, a.body)
		}
		if again := w.act(chain[0], op, op, versionBodies[op]); string(again.body) != string(a.body) {
			t.Errorf("%s again: %d %s", op, again.StatusCode, again.body)
		}
		chain = append([]licence.Identifier{next.Identifier}, chain...)
	}
	oldest, newest := issued.Identifier, chain[0]

	var l map[string]any
	w.do(ask{method: "GET", path: "/api/v1/licences/" + string(oldest), as: approval}).json(t, &l)
	if l["status"] != "superseded" || l["superseded_by"] != string(chain[3]) || l["newest_version"] != string(newest) || l["type_status_code"] != "99" || l["supersedes"] != nil || l["operation"] != nil {
		t.Errorf("the oldest: %v", l)
	}
	l = nil
	w.do(ask{method: "GET", path: "/api/v1/licences/" + string(newest), as: approval}).json(t, &l)
	if m := l["metadata"].(map[string]any); l["version"] != 5.0 || l["operation"] != "reissue" || l["supersedes"] != string(chain[1]) || m["certificateAssociatedIdentifier"] != string(chain[1]) {
		t.Errorf("the newest: %v", l)
	}
	for _, asOf := range []string{began.Format(time.RFC3339), strings.Replace(began.Add(8*time.Hour).Format(time.RFC3339), "Z", "%2B08:00", 1)} {
		l = nil
		w.do(ask{method: "GET", path: "/api/v1/licences/" + string(oldest) + "?as_of=" + asOf, as: approval}).json(t, &l)
		if l["status"] != "valid" || l["superseded_by"] != nil || l["newest_version"] != string(oldest) || l["as_of"] != began.Format(time.RFC3339) {
			t.Errorf("the oldest as of %s: %v", asOf, l)
		}
	}
	var found struct {
		AsOf     time.Time `json:"as_of"`
		Licences []struct {
			Identifier   licence.Identifier `json:"identifier"`
			Version      int                `json:"version"`
			Status       string             `json:"status"`
			SupersededBy licence.Identifier `json:"superseded_by"`
		} `json:"licences"`
	}
	w.do(ask{method: "POST", path: "/api/v1/licences/search", as: holder, body: []byte(`{}`)}).json(t, &found)
	for i, l := range found.Licences {
		if l.Identifier != chain[i] || l.Version != 5-i || (i > 0) != (l.Status == "superseded" && l.SupersededBy == chain[max(i-1, 0)]) {
			t.Errorf("search, %d: %+v", i, l)
		}
	}
	found.Licences = nil
	w.do(ask{method: "POST", path: "/api/v1/licences/search", as: holder, body: []byte(`{"as_of": "` + began.Format(time.RFC3339) + `"}`)}).json(t, &found)
	if len(found.Licences) != 1 || found.Licences[0].Status != "valid" || !found.AsOf.Equal(began) {
		t.Errorf("search of the past: %+v", found)
	}
	var history struct {
		Versions []struct {
			Identifier licence.Identifier `json:"identifier"`
			Changes    []struct{ Status, Reason string }
		} `json:"versions"`
	}
	w.do(ask{method: "GET", path: "/api/v1/licences/" + string(chain[2]) + "/history", as: holder}).json(t, &history)
	if len(history.Versions) != 5 || history.Versions[0].Identifier != newest || history.Versions[4].Changes[0].Reason != "名称变更" {
		t.Errorf("history: %+v", history)
	}
	w.verifiesOld(oldest, newest)
	w.holderSees(chain)

	// The old holder sees the versions that were theirs, and who has the licence now does not see those.
	if a := w.act(newest, "transfer", "transfer", versionBodies["transfer"]); a.StatusCode != http.StatusCreated {
		t.Fatalf("transfer: %s", a.body)
	}
	last, err := newest.Next()
	must(t, err)
	w.do(ask{method: "GET", path: "/api/v1/licences/" + string(oldest) + "/history", as: holder}).json(t, &history)
	if len(history.Versions) != 5 {
		t.Errorf("the old holder's history has %d versions", len(history.Versions))
	}
	if p := problemIn(t, w.do(ask{method: "GET", path: "/api/v1/licences/" + string(last) + "/history", as: holder})); p.Code != "not_found" {
		t.Errorf("the old holder asks for the new one's: %+v", p)
	}
}

// verifiesOld: the file of an old version is genuine and superseded, and report and page
// name the newest.
func (w *world) verifiesOld(oldest, newest licence.Identifier) {
	w.t.Helper()
	file := w.download(oldest)
	r := w.reportOn(formOf(w.t, part{"file", "a.pdf", string(file)}))
	if r["indication"] != "TotalPassed" || r["licence_state"] != "superseded" || r["superseded_by"] != string(newest) || r["tone"] != "unusable" {
		w.t.Errorf("report on the oldest: %v %v, newest %v", r["indication"], r["licence_state"], r["superseded_by"])
	}
	q := formOf(w.t, part{"file", "a.pdf", string(file)})
	q.method, q.path = "POST", "/V"
	page := string(w.do(q).body)
	if i := strings.Index(page, `data-slot="superseded-by">`+string(newest)); i < 0 || !strings.Contains(page, "已被新版本替代") {
		w.t.Error("the page does not name the newest version")
	}
	q.path = reportPath
	sealed := w.do(q)
	if !bytes.HasPrefix(sealed.body, []byte("%PDF")) {
		w.t.Errorf("sealed report: %d %.200s", sealed.StatusCode, sealed.body)
	}
	r = w.reportOn(formOf(w.t, part{"file", "a.pdf", string(w.download(newest))}))
	if r["licence_state"] != "valid" || r["superseded_by"] != nil || r["tone"] != "good" {
		w.t.Errorf("report on the newest: %v by %v", r["licence_state"], r["superseded_by"])
	}
}

// holderSees: the holder's page has the newest version first and marks the old ones.
func (w *world) holderSees(chain []licence.Identifier) {
	w.t.Helper()
	cookie := "elicence_session=" + api.Mint(bytes.Repeat([]byte{7}, 32), 2, holder, w.Now())
	page := string(w.do(ask{method: "GET", path: "/holder", header: map[string]string{"Cookie": cookie}}).body)
	places := []int{}
	for _, id := range chain {
		places = append(places, strings.Index(page, "/holder/licences/"+string(id)+"/file"))
	}
	if !slices.IsSorted(places) || places[0] < 0 || strings.Count(page, "card licence old") != len(chain)-1 || strings.Count(page, "新版本标识</dt>") != len(chain)-1 {
		w.t.Errorf("the holder's page has the versions at %v", places)
	}
}

// TestBadVersions: transitions out of order or twice, and requests that nobody can
// grant, each by its code, logged once or twice, with nothing done.
func TestBadVersions(t *testing.T) {
	w := openTransferable(t)
	first := w.issue(food, "v").Identifier
	if a := w.act(first, "amend", "a", versionBodies["amend"]); a.StatusCode != http.StatusCreated {
		t.Fatalf("%s", a.body)
	}
	second, err := first.Next()
	must(t, err)
	for i, c := range []struct {
		id           licence.Identifier
		action, body string
		status       int
		code         string
	}{
		{first, "amend", versionBodies["amend"], 409, "wrong_status"},
		{first, "renew", versionBodies["renew"], 409, "wrong_status"},
		{first, "revoke", `{"reason":"r"}`, 409, "wrong_status"},
		{first, "transfer", `{"reason":"r"}`, 409, "wrong_status"},
		{second, "resume", `{"reason":"r"}`, 409, "wrong_status"},
		{second, "reissue", `{}`, 422, "invalid_request"},
		{second, "reissue", `{"reason":"` + strings.Repeat("长", 600) + `"}`, 422, "invalid_request"},
		{second, "reissue", `{"reason":"r","reason":"s"}`, 422, "invalid_request"},
		{second, "reissue", `{"reason":"r","holder":{"name":"x"}}`, 422, "invalid_request"},
		{second, "reissue", `[]`, 422, "invalid_request"},
		{second, "reissue", `{`, 400, "malformed_json"},
		{second, "renew", `{"reason":"r","expires_on":"2027-02-29"}`, 422, "invalid_request"},
		{second, "renew", `{"reason":"r","expires_on":"2026-06-02"}`, 422, "invalid_request"},
		{second, "cancel", `{}`, 422, "invalid_request"},
		{second, "withdraw", `{"reason":"r","colour":"red"}`, 422, "invalid_request"},
		{"x", "amend", versionBodies["amend"], 404, "not_found"},
	} {
		before := w.size()
		p := problemIn(t, w.act(c.id, c.action, fmt.Sprint("bad-", i), c.body))
		if p.Status != c.status || p.Code != c.code {
			t.Errorf("%s %s: %d %s (%+v), want %d %s", c.action, c.body, p.Status, p.Code, p.Errors, c.status, c.code)
		}
		if stands := map[licence.Identifier]string{first: "superseded", second: "valid"}[c.id]; p.Code == "wrong_status" && p.Detail != "its status, "+stands+", does not permit this" {
			t.Errorf("%s %s: %s", c.action, c.body, p.Detail)
		}
		if logged := w.since(before); len(logged) == 0 || len(logged) > 2 || logged[len(logged)-1].Result != "refused" {
			t.Errorf("%s %s: the log has %+v", c.action, c.body, logged)
		}
	}
	if p := problemIn(t, w.do(ask{method: "POST", path: "/api/v1/licences/" + string(second) + "/amend", as: approval, body: []byte(versionBodies["amend"])})); p.Code != "idempotency_key_missing" {
		t.Errorf("without a key: %+v", p)
	}
	for query, want := range map[string]int{
		"?as_of=": 400, "?as_of=yesterday": 400, "?as_of=2026-02-30": 400, "?as_of=2026-06-01&as_of=2026-06-01": 400, "?colour=red": 400, "?as_of=%zz": 400,
		"?as_of=1969-12-31": 400, "?as_of=2026-01-01": 404, "?as_of=2026-05-31T00:00:00Z": 404, "?as_of=2038-01-20": 422, "?as_of=9999-12-31": 422,
	} {
		if a := w.do(ask{method: "GET", path: "/api/v1/licences/" + string(second) + query, as: approval}); a.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", query, a.StatusCode, a.body, want)
		}
	}
	for _, body := range []string{`{"as_of":"yesterday"}`, `{"as_of":"2038-01-20"}`, `{"as_of":1}`} {
		if p := problemIn(t, w.do(ask{method: "POST", path: "/api/v1/licences/search", as: holder, body: []byte(body)})); p.Status != 422 || p.Errors[0].Field != "as_of" {
			t.Errorf("search %s: %+v", body, p)
		}
	}
	q := reuseBody(t, map[string]any{"as_of": w.Now().Format(time.RFC3339)})
	var reused struct {
		AsOf     time.Time `json:"as_of"`
		Licences []struct{ Status string }
	}
	if w.do(ask{method: "POST", path: "/api/v1/reuse", as: partner, body: q}).json(t, &reused); len(reused.Licences) != 2 || reused.Licences[0].Status != "valid" || reused.Licences[1].Status != "superseded" || !reused.AsOf.Equal(w.Now()) {
		t.Errorf("reuse as of now: %+v", reused)
	}
	if p := problemIn(t, w.do(ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"as_of": "2038-01-20"})})); p.Code != "invalid_request" {
		t.Errorf("reuse of the future: %+v", p)
	}
	var stored struct{ Status json.RawMessage }
	w.do(ask{method: "GET", path: "/api/v1/licences/" + string(second), as: approval}).json(t, &stored)
	if versions, err := w.Backend.Versions(t.Context(), first); err != nil || len(versions) != 2 || string(stored.Status) != `"valid"` {
		t.Errorf("after all refusals: %v, %s, %v", versions, stored.Status, err)
	}
}

// TestStatistics counts a small register, as JSON and as CSV.
func TestStatistics(t *testing.T) {
	w := openTransferable(t)
	kept, gone := w.issue(food, "a").Identifier, w.issue(food, "b").Identifier
	w.act(kept, "renew", "r", versionBodies["renew"])
	w.act(gone, "revoke", "x", `{"reason":"r"}`)
	var a struct {
		From, To, AsOf string
		Counts         []struct {
			Measure, Division, Month string
			Count                    int
		}
	}
	get := func(query, accept string) answer {
		return w.do(ask{method: "GET", path: "/api/v1/statistics" + query, as: approval, header: map[string]string{"Accept": accept}})
	}
	get("", "*/*").json(t, &a)
	got := ""
	for _, c := range a.Counts {
		got += fmt.Sprintf("%s %s %s %d\n", c.Measure, c.Division, c.Month, c.Count)
	}
	issued := w.Now().Format("2006-01")
	if want := "issued 330106 2026-03 2\nrenew 330106 " + issued + " 1\nrevoked 330106 " + issued + " 1\nvalid 330106  1\n"; got != want || a.From != "2026-01-01" {
		t.Errorf("from %s to %s:\n%swant:\n%s", a.From, a.To, got, want)
	}
	if csv := get("?expiring_days=3660", "text/csv"); csv.Header.Get("Content-Type") != "text/csv; charset=utf-8" ||
		!strings.HasPrefix(string(csv.body), "measure,type_code,division,month,count,origin\r\nexpiring,"+foodType+",330106,,1,\r\n") {
		t.Errorf("CSV: %v\n%s", csv.Header, csv.body)
	}
	if e := w.since(w.size() - 1)[0]; e.Action != "statistics" || e.Result != "allowed" || e.Object != "2026-01-01/2026-06-01/"+foodType {
		t.Errorf("logged: %+v", e)
	}
	for query, want := range map[string]int{
		"?from=2026-06-01&to=2026-05-01": 422, "?from=2000-01-01": 422, "?expiring_days=3661": 422, "?expiring_days=-1": 422, "?type_code=" + birthType: 403,
		"?expiring_days=0": 400, "?expiring_days=x": 400, "?from=2026-02-30": 400, "?to=": 400, "?colour=red": 400, "?to=2026-01-01&to=2026-01-01": 400, "?%zz": 400,
		"?type_code=" + strings.Repeat("1", 65): 400, "?from=2025-01-01&to=2025-12-31": 200,
	} {
		if got := get(query, "").StatusCode; got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	for _, client := range []string{holder, partner, auditor} {
		if p := problemIn(t, w.do(ask{method: "GET", path: "/api/v1/statistics", as: client})); p.Code != "forbidden" {
			t.Errorf("%s: %+v", client, p)
		}
	}
}
