package api_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/bundle"

	"github.com/emmansun/gmsm/sm3"
	"github.com/google/go-cmp/cmp"
)

// TestMainJob walks issue, read, download, search, reuse, suspend, resume, revoke.
func TestMainJob(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "job-1")
	path := "/api/v1/licences/" + string(issued.Identifier)

	a := w.do(ask{method: "GET", path: path, as: approval, header: map[string]string{"Elicence-Purpose": "%E6%A0%B8%E5%AF%B9", "Elicence-Case-Number": "C-1"}})
	var l struct {
		Number   string          `json:"number"`
		Status   string          `json:"status"`
		Metadata json.RawMessage `json:"metadata"`
		Fields   json.RawMessage `json:"fields"`
		Pinyin   json.RawMessage `json:"metadata_pinyin"`
		File     struct {
			Digest string `json:"digest"`
			Size   int    `json:"size"`
		} `json:"file"`
	}
	a.json(t, &l)
	if l.Number != issued.Number || l.Status != "valid" || l.File.Digest != issued.FileDigest {
		t.Errorf("read: %s", a.body)
	}
	if e := w.since(w.size() - 1)[0]; e.Purpose != "核对" || e.Case != "C-1" || e.Action != "read" || e.Result != audit.ResultAllowed {
		t.Errorf("log entry of the read: %+v", e)
	}
	data, err := licence.MarshalCanonical(mustParse(t, []byte(`{"fields":`+string(l.Fields)+`,"format":"elicence-licence/1","metadata":`+string(l.Metadata)+`}`)))
	must(t, err)
	if digest := sm3.Sum(data); hex.EncodeToString(digest[:]) != issued.DataDigest {
		t.Errorf("metadata and fields are not those of licence.json: %s", data)
	}

	a = w.do(ask{method: "GET", path: path + "/file", as: approval})
	if f, err := pdfsig.Read(a.body); err != nil || !bytes.Equal(f.Attachments[licence.PinyinFile], l.Pinyin) {
		t.Errorf("metadata_pinyin is not what is attached: %s, %v", l.Pinyin, err)
	}
	if digest := sm3.Sum(a.body); a.Header.Get("ETag") != `"`+hex.EncodeToString(digest[:])+`"` || a.Header.Get("ETag") != `"`+issued.FileDigest+`"` {
		t.Errorf("ETag %s of a file with digest %x", a.Header.Get("ETag"), digest)
	}
	if a.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment;") || len(a.body) != l.File.Size {
		t.Errorf("download: %v", a.Header)
	}

	a = w.do(ask{method: "GET", path: path + "/bundle", as: approval, header: map[string]string{"Elicence-Purpose": "%E8%AF%89%E8%AE%BC"}})
	b, err := bundle.Parse(a.body)
	must(t, err)
	if e := w.since(w.size() - 1)[0]; e.Action != "bundle" || e.Purpose != "诉讼" || b.Identifier != issued.Identifier || a.Header.Get("ETag") != "" ||
		a.Header.Get("Content-Disposition") != `attachment; filename="`+string(issued.Identifier)+`.zip"` {
		t.Errorf("bundle of %s, %v, logged %+v", b.Identifier, a.Header, e)
	}

	var found struct {
		Licences []struct {
			Identifier string `json:"identifier"`
		} `json:"licences"`
	}
	w.do(ask{method: "POST", path: "/api/v1/licences/search", as: holder, body: []byte(`{}`)}).json(t, &found)
	if len(found.Licences) != 1 || found.Licences[0].Identifier != string(issued.Identifier) {
		t.Errorf("the holder's own search: %+v", found)
	}

	var reused struct {
		Licences []struct {
			Fields map[string]any `json:"fields"`
		} `json:"licences"`
	}
	w.do(ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, nil)}).json(t, &reused)
	if len(reused.Licences) != 1 || reused.Licences[0].Fields["number"] != issued.Number || len(reused.Licences[0].Fields) != 4 {
		t.Errorf("reuse: %+v", reused)
	}

	for _, step := range []struct{ action, status string }{{"suspend", "suspended"}, {"resume", "valid"}, {"revoke", "revoked"}} {
		a := w.do(ask{method: "POST", path: path + "/" + step.action, as: approval, key: "job-" + step.action, body: []byte(`{"reason":"测试"}`)})
		var changed struct {
			Status string `json:"status"`
		}
		if a.json(t, &changed); a.StatusCode != http.StatusOK || changed.Status != step.status {
			t.Errorf("%s: %d %s", step.action, a.StatusCode, a.body)
		}
	}
}

func mustParse(t testing.TB, b []byte) any {
	t.Helper()
	v, err := licence.ParseJSON(b)
	must(t, err)
	return v
}

// questionBody asks whether the licence of the tests is valid.
func questionBody(t testing.TB, members map[string]any) []byte {
	t.Helper()
	var q map[string]any
	must(t, json.Unmarshal(reuseBody(t, members), &q))
	if _, given := members["questions"]; !given {
		q["questions"] = []any{map[string]any{"question": "valid"}}
	}
	b, err := json.Marshal(q)
	must(t, err)
	return b
}

// reuseBody is a reuse that is granted, with members replaced or taken out.
func reuseBody(t testing.TB, members map[string]any) []byte {
	t.Helper()
	var asks struct {
		Holder struct {
			Code     string `json:"code"`
			CodeType string `json:"code_type"`
		} `json:"holder"`
	}
	must(t, json.Unmarshal(sample(t, food), &asks))
	q := map[string]any{
		"holder": map[string]any{"code": asks.Holder.Code, "code_type": asks.Holder.CodeType}, "type_code": foodType,
		"purpose": "核验建设工程项目部食堂的经营许可", "case_number": "C-2", "matter_code": matter, "operator": "王五",
	}
	for name, value := range members {
		if q[name] = value; value == nil {
			delete(q, name)
		}
	}
	b, err := json.Marshal(q)
	must(t, err)
	return b
}

// TestRepeats: the same key and body get the first answer; another body, another
// licence or another action does not.
func TestRepeats(t *testing.T) {
	w := open(t)
	first := w.issue(food, "repeat")
	if diff := cmp.Diff(first, w.issue(food, "repeat")); diff != "" {
		t.Errorf("the repeat got another answer (-first +second):\n%s", diff)
	}
	second := w.issue("food-retail.json", "other")
	revoke := func(id licence.Identifier, action, key, reason string) answer {
		return w.do(ask{method: "POST", path: "/api/v1/licences/" + string(id) + "/" + action, as: approval, key: key, body: []byte(`{"reason":"` + reason + `"}`)})
	}
	a := revoke(first.Identifier, "suspend", "change", "甲")
	if b := revoke(first.Identifier, "suspend", "change", "甲"); string(a.body) != string(b.body) || b.StatusCode != http.StatusOK {
		t.Errorf("first %s, repeat %d %s", a.body, b.StatusCode, b.body)
	}
	for name, b := range map[string]answer{
		"other reason":  revoke(first.Identifier, "suspend", "change", "乙"),
		"other licence": revoke(second.Identifier, "suspend", "change", "甲"),
		"other action":  revoke(first.Identifier, "revoke", "change", "甲"),
		"key of issue":  revoke(first.Identifier, "revoke", "repeat", "甲"),
	} {
		if p := problemIn(t, b); p.Status != 422 || p.Code != "idempotency_key_reused" || p.Errors[0].Field != "Idempotency-Key" {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// TestPages of a search: every licence once, in a bounded page, with an opaque cursor.
func TestSearchPages(t *testing.T) {
	w := open(t)
	want := map[string]bool{}
	for _, key := range []string{"p1", "p2", "p3"} {
		want[string(w.issue(food, key).Identifier)] = true
	}
	got, cursor := map[string]bool{}, ""
	for range 4 {
		body, err := json.Marshal(map[string]any{"limit": 2, "cursor": cursor})
		must(t, err)
		var page struct {
			Licences []struct {
				Identifier string `json:"identifier"`
			} `json:"licences"`
			NextCursor string `json:"next_cursor"`
		}
		w.do(ask{method: "POST", path: "/api/v1/licences/search", as: holder, body: body}).json(t, &page)
		for _, l := range page.Licences {
			got[l.Identifier] = true
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-issued +found):\n%s", diff)
	}
}

func holderCode(t testing.TB) string {
	t.Helper()
	var q struct {
		Holder json.RawMessage `json:"holder"`
	}
	must(t, json.Unmarshal(reuseBody(t, nil), &q))
	return string(q.Holder)
}

// TestReusePages: a reuse says that there are more licences than it gave, and the cursor
// leads to each of them once.
func TestReusePages(t *testing.T) {
	w := open(t)
	w.token(partner)
	want := map[string]bool{}
	for _, key := range []string{"a", "b", "c"} {
		want[string(w.issue(food, key).Identifier)] = true
	}
	cursor := any(nil)
	for page := 0; ; page++ {
		var got struct {
			Licences []struct {
				Identifier string `json:"identifier"`
			} `json:"licences"`
			NextCursor string `json:"next_cursor"`
		}
		w.do(ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, map[string]any{"limit": 2, "cursor": cursor})}).json(t, &got)
		for _, l := range got.Licences {
			if !want[l.Identifier] {
				t.Errorf("page %d: %s again, or not of this holder", page, l.Identifier)
			}
			delete(want, l.Identifier)
		}
		if got.NextCursor == "" {
			break
		}
		if cursor = got.NextCursor; page > 2 {
			t.Fatal("no end")
		}
	}
	if len(want) != 0 {
		t.Errorf("never shown: %v", want)
	}
}
