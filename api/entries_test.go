package api_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence/registry"

	"github.com/google/go-cmp/cmp"
	"github.com/transparency-dev/merkle/proof"
)

// entriesAnswer is a page of entries as a client sees it.
type entriesAnswer struct {
	Entries []struct {
		Index                                      uint64
		LeafHash                                   string `json:"leaf_hash"`
		Record                                     []byte
		Proof                                      []string
		Time                                       time.Time
		Principal, Action, Object, Purpose, Result string
		CaseNumber                                 string `json:"case_number"`
		AuthorityCode                              string `json:"authority_code"`
		AuthorityName                              string `json:"authority_name"`
		HeldUntil                                  string `json:"held_until"`
	}
	Checkpoint string
	Size       uint64
	NextCursor string `json:"next_cursor"`
}

// page reads a page of entries, and holds each to its proof with a library that is not
// ours.
func (w *world) page(a answer) (p entriesAnswer) {
	w.t.Helper()
	if a.json(w.t, &p); a.StatusCode != 200 {
		w.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	size, root := head(w.t, []byte(p.Checkpoint))
	if size != p.Size {
		w.t.Errorf("size %d, the checkpoint's is %d", p.Size, size)
	}
	for _, e := range p.Entries {
		leaf := hasher{}.HashLeaf(e.Record)
		hashes := make([][]byte, len(e.Proof))
		for i := range hashes {
			var err error
			hashes[i], err = hex.DecodeString(e.Proof[i])
			must(w.t, err)
		}
		if err := proof.VerifyInclusion(hasher{}, e.Index, size, leaf, hashes, root); err != nil || e.LeafHash != hex.EncodeToString(leaf) {
			w.t.Errorf("entry %d: %v", e.Index, err)
		}
		r, err := audit.ParseRecord(e.Record)
		in := r.Entry
		if err != nil || r.Index != e.Index || string(in.Action) != e.Action || in.Principal != e.Principal || in.Object != e.Object || in.Purpose != e.Purpose ||
			in.Case != e.CaseNumber || in.Authority != e.AuthorityCode || string(in.Result) != e.Result || !in.Time.Equal(e.Time) {
			w.t.Errorf("entry %+v repeats otherwise what its record %+v says", e, r)
		}
	}
	return p
}

// used is a world in which a licence was read twice by its authority, reused by a
// partner, and refused to that partner; with another holder's licence.
func used(t testing.TB) (w *world, issued registry.Issued) {
	w = open(t)
	issued = w.issue(food, "u")
	read := ask{method: "GET", path: "/api/v1/licences/" + string(issued.Identifier), as: approval,
		header: map[string]string{"Elicence-Purpose": url.PathEscape("现场核查"), "Elicence-Case-Number": "C-1"}}
	w.do(read)
	w.Move(time.Minute)
	w.do(read)
	w.do(ask{method: "POST", path: "/api/v1/reuse", as: partner, body: reuseBody(t, nil)})
	read.as = partner
	w.do(read)
	w.issue("food-retail.json", "v")
	return w, issued
}

// TestOwnLog: a holder is told by the API, in pages, what was done with their licences.
func TestOwnLog(t *testing.T) {
	w, issued := used(t)
	var got []string
	cursor := ""
	for {
		p := w.page(w.do(ask{method: "GET", path: "/api/v1/log/own?limit=3&cursor=" + cursor, as: holder}))
		for _, e := range p.Entries {
			if e.Action != "read_own_log" {
				got = append(got, strings.Join([]string{e.Action, e.Result, e.AuthorityName, e.Purpose, e.CaseNumber}, "|"))
			}
			if e.Action == "reuse" && (e.Object != string(issued.Identifier) || e.Principal != partner) {
				t.Errorf("%+v", e)
			}
		}
		if cursor = p.NextCursor; cursor == "" {
			break
		}
	}
	slices.Reverse(got)
	market, city := "杭州市西湖区市场监督管理局", "杭州市城乡建设委员会"
	var sampled struct {
		Case string `json:"case_number"`
	}
	must(t, json.Unmarshal(sample(t, food), &sampled))
	want := []string{
		"case_open|allowed|||C-2",
		"issue|allowed|" + market + "||" + sampled.Case, "reserved|allowed|" + market + "||" + sampled.Case, "sealing|allowed|" + market + "|seal/" + w.Config.Seals["11330106002504122C"].Seal.ID + "|" + sampled.Case, "issued|allowed|" + market + "||" + sampled.Case,
		"read|allowed|" + market + "|现场核查|C-1", "read|allowed|" + market + "|现场核查|C-1", "reuse|allowed|" + city + "|核验建设工程项目部食堂的经营许可|C-2", "read|refused|" + city + "|现场核查|C-1",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("told (-got +want):\n%s", diff)
	}
	for query, code := range map[string]string{"?limit=0": "malformed_parameter", "?limit=101": "malformed_parameter", "?limit=x": "malformed_parameter", "?cursor=x": "malformed_parameter",
		"?cursor=MA": "malformed_parameter", "?limit=1&limit=2": "malformed_parameter", "?since=1": "malformed_parameter", "?%zz": "malformed_parameter"} {
		before := w.size()
		if p := problemIn(t, w.do(ask{method: "GET", path: "/api/v1/log/own" + query, as: holder})); p.Code != code || w.size() != before+1 {
			t.Errorf("%s: %+v", query, p)
		}
	}
	for _, as := range []string{approval, partner, verifier, auditor} {
		if p := problemIn(t, w.do(ask{method: "GET", path: "/api/v1/log/own", as: as})); p.Code != "forbidden" {
			t.Errorf("%s: %+v", as, p)
		}
	}
}

// TestSearchLog: an auditor searches by what a body names, and nothing else.
func TestSearchLog(t *testing.T) {
	w, issued := used(t)
	find := func(body string) answer {
		return w.do(ask{method: "POST", path: "/api/v1/log/search", as: auditor, body: []byte(body)})
	}
	now := w.Now().UTC().Format(time.RFC3339)
	for body, want := range map[string]int{
		`{"action":"read"}`: 3,
		`{"action":"read","principal":"` + approval + `"}`: 2,
		`{"action":"read","from":"` + now + `"}`:           2,
		`{"action":"read","to":"` + now + `"}`:             1,
		`{"case_number":"C-2"}`:                            2, // registered, and reused for
		`{"object":"` + string(issued.Identifier) + `","action":"read","case_number":"C-1","principal":"` + partner + `"}`: 1,
		`{"principal":"nobody"}`: 0,
	} {
		if p := w.page(find(body)); len(p.Entries) != want || p.NextCursor != "" {
			t.Errorf("%s: %d entries", body, len(p.Entries))
		}
	}
	all, cursor := 0, ""
	for end := w.size(); ; {
		p := w.page(find(`{"limit":7,"to":"` + now + `","cursor":"` + cursor + `"}`))
		all += len(p.Entries)
		for _, e := range p.Entries {
			if e.Index >= end {
				t.Errorf("entry %d after %d", e.Index, end)
			}
			end = e.Index
		}
		if cursor = p.NextCursor; cursor == "" {
			break
		}
	}
	if all < 14 {
		t.Errorf("%d entries in all", all)
	}
	for body, code := range map[string]string{
		`{"action":1}`: "wrong_type", `{"holder":{"code":"x"}}`: "unknown_field", `{"limit":0}`: "out_of_range", `{"limit":101}`: "out_of_range", `{"cursor":"x"}`: "bad_format", `{"cursor":"LTE"}`: "bad_format",
		`{"from":"yesterday"}`: "bad_format", `{"from":"1969-01-01T00:00:00Z"}`: "bad_format", `{"from":"` + now + `","to":"2020-01-01T00:00:00Z"}`: "date_order",
		`{"principal":"` + strings.Repeat("x", 257) + `"}`: "too_long", `{"case_number":"a\nb"}`: "control_character",
	} {
		if p := problemIn(t, find(body)); p.Code != "invalid_request" || len(p.Errors) != 1 || p.Errors[0].Code != code {
			t.Errorf("%s: %+v", body, p)
		}
	}
	for _, as := range []string{approval, partner, verifier, holder} {
		if p := problemIn(t, w.do(ask{method: "POST", path: "/api/v1/log/search", as: as, body: []byte(`{}`)})); p.Code != "forbidden" {
			t.Errorf("%s: %+v", as, p)
		}
	}
}

// TestHolderLogPage: the same on the page, and as a file to keep.
func TestHolderLogPage(t *testing.T) {
	w, issued := used(t)
	_, err := w.AccessLog().PlaceHold(t.Context(), registry.System("test"), registry.Hold{Principal: approval, Case: "H-1", OrderedBy: "局", Basis: "函", Until: w.Now().Add(time.Hour)})
	must(t, err)
	w.do(ask{method: "GET", path: "/api/v1/licences/" + string(issued.Identifier), as: approval, header: map[string]string{"Elicence-Case-Number": "H-1"}})
	session := func() map[string]string {
		code := strings.TrimPrefix(linkOf(t, w.server, holder), "/holder/sign-in?")
		c := w.do(ask{method: "POST", path: "/holder/sign-in", mediaType: "application/x-www-form-urlencoded", body: []byte(code)}).Cookies()[0]
		return map[string]string{"Cookie": c.Name + "=" + c.Value}
	}
	signedIn := session()
	w.do(ask{method: "GET", path: "/holder", header: signedIn})
	a := w.do(ask{method: "GET", path: "/holder/log", header: signedIn})
	for _, want := range []string{"杭州市城乡建设委员会", "核验建设工程项目部食堂的经营许可", "C-2", "用证", "现场核查", "C-1", "已拒绝", `证照 <span class="code">` + string(issued.Identifier), `电子印章 <span class="code">seal/`, "签发完成"} {
		if a.StatusCode != 200 || !strings.Contains(string(a.body), want) {
			t.Errorf("the page lacks %s: %d", want, a.StatusCode)
		}
	}
	if bytes.Contains(a.body, []byte("<dd>本人")) || bytes.Contains(a.body, []byte("查询证照")) {
		t.Errorf("the page of others shows what the holder did")
	}
	if all := w.do(ask{method: "GET", path: "/holder/log?who=all", header: signedIn}); !bytes.Contains(all.body, []byte("<dd>本人")) || !bytes.Contains(all.body, []byte("查看使用记录")) {
		t.Errorf("all: %s", all.body)
	}
	if bytes.Contains(a.body, []byte("H-1")) || bytes.Contains(a.body, []byte("暂缓告知，至")) {
		t.Errorf("the page tells of a held entry")
	}
	a = w.do(ask{method: "GET", path: "/holder/log?limit=2", header: signedIn})
	if !strings.Contains(string(a.body), `href="/holder/log?cursor=`) {
		t.Errorf("no way to older entries: %s", a.body)
	}
	for who, keeps := range map[string]bool{"": false, "&who=all": true} {
		a = w.do(ask{method: "GET", path: "/holder/log?limit=2" + who, header: signedIn})
		next := regexp.MustCompile(`href="/holder/log\?cursor=([^"]+)"`).FindSubmatch(a.body)
		if n := bytes.Count(a.body, []byte(`class="card"`)); next == nil || n != 2 || bytes.Contains(next[1], []byte("who=all")) != keeps {
			t.Errorf("a page of two, %s: %d entries, then %s", who, n, next)
		}
	}
	cards := func(query string) (n int, next []byte) {
		page := w.do(ask{method: "GET", path: "/holder/log?" + query, header: signedIn}).body
		if m := regexp.MustCompile(`href="/holder/log\?(cursor=[^"]+)"`).FindSubmatch(page); m != nil {
			next = m[1]
		}
		return bytes.Count(page, []byte(`class="card"`)), next
	}
	whole, _ := cards("")
	paged, next := cards("limit=3")
	for next != nil {
		var n int
		n, next = cards("limit=3&" + string(next))
		paged += n
	}
	if paged != whole || whole < 8 {
		t.Errorf("page by page %d entries of others, at once %d", paged, whole)
	}
	a = w.do(ask{method: "GET", path: "/holder/log.json", header: signedIn})
	if p := w.page(a); len(p.Entries) < 9 || !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment") || bytes.Contains(a.body, []byte("H-1")) {
		t.Errorf("the file: %d entries, %v", len(p.Entries), a.Header)
	}
	w.judged(t, a.body)

	w.Move(time.Hour)
	a = w.do(ask{method: "GET", path: "/holder/log", header: session()})
	if !bytes.Contains(a.body, []byte("H-1")) || !bytes.Contains(a.body, []byte("依法暂缓告知，至")) {
		t.Errorf("after the hold the page says nothing of it")
	}
	for _, path := range []string{"/holder/log", "/holder/log.json"} {
		if a := w.do(ask{method: "GET", path: path}); a.StatusCode != 401 || bytes.Contains(a.body, []byte("C-1")) {
			t.Errorf("%s without a session: %d", path, a.StatusCode)
		}
		for _, query := range []string{"cursor=x", "who=x", "who=all&who=all", "since=1"} {
			if a := w.do(ask{method: "GET", path: path + "?" + query, header: session()}); a.StatusCode != 400 {
				t.Errorf("%s?%s: %d", path, query, a.StatusCode)
			}
		}
	}
}

// judged has an outside program verify an answer, and refuse it when anything of it is
// changed.
func (w *world) judged(t *testing.T, raw []byte) {
	t.Helper()
	dir := t.TempDir()
	vkey, err := w.LogKey.VerifierKey()
	must(t, err)
	policy, err := audit.NewPolicy(vkey)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "policy"), policy.Marshal(), 0o600))
	args := []string{"../testdata/audit/verify_entries.py", filepath.Join(dir, "policy")}
	var names []string
	add := func(name string, change func(entries []any)) {
		var answer map[string]any
		decode := json.NewDecoder(bytes.NewReader(raw))
		decode.UseNumber()
		must(t, decode.Decode(&answer))
		change(answer["entries"].([]any))
		b, err := json.Marshal(answer)
		must(t, err)
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, b, 0o600))
		args, names = append(args, file), append(names, name)
	}
	var members []string
	add("as it came", func(entries []any) { members = slices.Sorted(maps.Keys(entries[0].(map[string]any))) })
	for _, name := range members {
		if name == "authority_name" { // not in the record
			continue
		}
		add(name, func(entries []any) {
			first := entries[0].(map[string]any)
			switch v := first[name].(type) {
			case string:
				first[name] = other(v)
			case json.Number:
				first[name] = json.Number(v.String() + "1")
			case []any:
				v[0] = other(v[0].(string))
			}
		})
	}
	add("order", func(entries []any) { entries[0], entries[1] = entries[1], entries[0] })
	out, _ := exec.Command("python3", args...).CombinedOutput() // the lines say it
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(names) || len(names) < 17 {
		t.Fatalf("%d verdicts on %v:\n%s", len(lines), names, out)
	}
	for i, line := range lines {
		if strings.HasPrefix(line, "good: ") != (i == 0) {
			t.Errorf("with another %s: %s", names[i], line)
		}
	}
}

// other is a text with its first character changed.
func other(s string) string {
	if s == "" {
		return "x"
	}
	c := byte('1')
	if s[0] == c {
		c = '2'
	}
	return string(c) + s[1:]
}
