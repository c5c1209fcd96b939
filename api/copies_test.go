package api_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/verify"

	"github.com/emmansun/gmsm/sm3"
)

// copyBody asks for a copy in the world's case, with members replaced or left out.
func copyBody(t testing.TB, id licence.Identifier, members map[string]any) []byte {
	t.Helper()
	q := map[string]any{"identifier": id, "purpose": "核验建设工程项目部食堂的经营许可", "case_number": "C-2", "matter_code": matter, "operator": "王五"}
	for name, value := range members {
		if q[name] = value; value == nil {
			delete(q, name)
		}
	}
	b, err := json.Marshal(q)
	must(t, err)
	return b
}

// makeCopyAs makes a copy for a client.
func (w *world) makeCopyAs(client string, body []byte) (made registry.CopyMade) {
	w.t.Helper()
	sum := sm3.Sum(append([]byte(client), body...))
	a := w.do(ask{method: "POST", path: "/api/v1/reuse/copies", as: client, key: hex.EncodeToString(sum[:8]), body: body})
	if a.json(w.t, &made); a.StatusCode != http.StatusCreated {
		w.t.Fatalf("copy: %d %s", a.StatusCode, a.body)
	}
	return made
}

// makeCopy makes one for the partner, of an own key for each licence.
func (w *world) makeCopy(id licence.Identifier) registry.CopyMade {
	w.t.Helper()
	return w.makeCopyAs(partner, copyBody(w.t, id, nil))
}

// TestCopies takes a copy the way that a partner does: made, repeated, fetched, verified as a
// file and by its code on the page; then its licence is suspended, and then its time is over.
func TestCopies(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "c")
	made := w.makeCopy(issued.Identifier)
	if again := w.makeCopy(issued.Identifier); again != made {
		t.Errorf("the same request made %+v, first %+v", again, made)
	}
	path := "/api/v1/reuse/copies/" + string(made.Copy)
	a := w.do(ask{method: "GET", path: path, as: partner, query: "?purpose=%E5%AD%98%E6%A1%A3"})
	if sum := sm3.Sum(a.body); a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/pdf" || a.Header.Get("ETag") != `"`+made.FileDigest+`"` || hex.EncodeToString(sum[:]) != made.FileDigest {
		t.Fatalf("fetched: %d %v, digest %x", a.StatusCode, a.Header, sum)
	}
	f, err := pdfsig.Read(a.body)
	must(t, err)
	text, err := licence.NewQRText(w.Config.PublicURL, f.Attachments["qr.cbor"])
	must(t, err)
	wantCopy := func(when, tone, saying string) {
		t.Helper()
		for what, q := range map[string]ask{
			"file": {method: "POST", path: "/api/v1/verifications", mediaType: "application/pdf", body: a.body},
			"code": {method: "POST", path: "/api/v1/verifications", body: []byte(`{"qr":"` + text.String() + `"}`)},
		} {
			got := w.do(q)
			var r struct {
				Tone     string            `json:"tone"`
				Copy     verify.CopyReport `json:"copy"`
				Headline struct {
					ZH string `json:"zh"`
				} `json:"headline"`
			}
			if got.json(t, &r); r.Tone != tone || r.Copy.ID != made.Copy || r.Copy.ReceiverName == "" || r.Copy.Cause == "" || r.Copy.ExpiresOn != made.ExpiresOn || !strings.Contains(r.Headline.ZH, saying) {
				t.Errorf("%s, %s: %d %s", when, what, got.StatusCode, got.body)
			}
		}
		form := formOf(t, part{"file", "a.pdf", string(a.body)})
		form.method, form.path = "POST", "/V"
		if page := w.do(form); !bytes.Contains(page.body, []byte("这是加注件，不是证照原件")) || !bytes.Contains(page.body, []byte(`class="report `+tone)) || !bytes.Contains(page.body, []byte(made.Copy)) {
			t.Errorf("%s: the page says %s", when, page.body)
		}
	}
	wantCopy("valid", "good", "仅供")
	w.act(issued.Identifier, "suspend", "s", `{"reason":"r"}`)
	wantCopy("suspended", "unusable", "原证照当前已被暂停使用")
	w.Move(made.ExpiresOn.EndsAt().Sub(w.Now()))
	w.tokens[partner] = ""
	if late := w.do(ask{method: "GET", path: path, as: partner}); late.StatusCode != http.StatusGone || !bytes.Contains(late.body, []byte("copy_expired")) {
		t.Errorf("fetched late: %d %s", late.StatusCode, late.body)
	}
	wantCopy("over", "undecided", "已过有效期")
}

// TestCopiesRefused: bad requests are refused each by its reason and name their fields.
func TestCopiesRefused(t *testing.T) {
	w := open(t)
	id := w.issue(food, "c").Identifier
	for name, c := range map[string]struct {
		change map[string]any
		status int
		code   string
	}{
		"no purpose":       {map[string]any{"purpose": nil}, 422, "invalid_request"},
		"no identifier":    {map[string]any{"identifier": nil}, 422, "invalid_request"},
		"an identifier":    {map[string]any{"identifier": "../../etc/passwd"}, 422, "invalid_request"},
		"another member":   {map[string]any{"receiver": "我"}, 422, "invalid_request"},
		"a maker":          {map[string]any{"maker": map[string]any{"name": "我"}}, 422, "invalid_request"},
		"no day":           {map[string]any{"valid_to": "2026-02-30"}, 422, "invalid_request"},
		"a day too far":    {map[string]any{"valid_to": "2099-01-01"}, 422, "invalid_request"},
		"a phrase":         {map[string]any{"purpose": "业务需要"}, 422, "invalid_request"},
		"markup":           {map[string]any{"purpose": "核验许可\u202e<script>"}, 422, "invalid_request"},
		"an unknown case":  {map[string]any{"case_number": "C-9"}, 403, "case_unknown"},
		"another matter":   {map[string]any{"matter_code": "000000000000"}, 403, "forbidden"},
		"too long a cause": {map[string]any{"purpose": strings.Repeat("核验食堂的经营许可", 30)}, 422, "invalid_request"},
	} {
		a := w.do(ask{method: "POST", path: "/api/v1/reuse/copies", as: partner, key: hex.EncodeToString([]byte(name)), body: copyBody(t, id, c.change)})
		if a.StatusCode != c.status || !bytes.Contains(a.body, []byte(`"`+c.code+`"`)) {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	if a := w.do(ask{method: "POST", path: "/api/v1/reuse/copies", as: partner, body: copyBody(t, id, nil)}); a.StatusCode != 400 {
		t.Errorf("without a key: %d %s", a.StatusCode, a.body)
	}
	for _, name := range []string{"x", "00000000000000000000000000000000", "0000000000000000000000000000000G", "%2e%2e"} {
		if a := w.do(ask{method: "GET", path: "/api/v1/reuse/copies/" + name, as: partner}); a.StatusCode != 404 {
			t.Errorf("copy %q: %d %s", name, a.StatusCode, a.body)
		}
	}
}

// TestOriginalKept asks every route, as every role in every department, for what it gives; the
// licence's file, in whole or the seal and the code that make it one, goes to its holder, and to
// authorities that it is within the reach of, and to nobody else.
func TestOriginalKept(t *testing.T) {
	w := openMatrix(t)
	original := w.download(licence.Identifier(w.valid))
	f, err := pdfsig.Read(original)
	must(t, err)
	parts := map[string][]byte{"file": original[:1000], "seal": []byte(hex.EncodeToString(f.Signatures[0].Contents)), "code": f.Attachments["qr.cbor"]}
	roles, table := matrix(t)
	given := 0
	for route := range table {
		for _, role := range roles {
			for _, whose := range []string{"own", "above", "other"} {
				q := w.request(route, role, false)
				q.as = "matrix-" + role + "-" + whose
				if role == "anybody" {
					q.as = ""
				}
				a := w.do(q)
				for what, secret := range parts {
					switch found := bytes.Contains(a.body, secret); {
					case !found:
					case (strings.HasSuffix(route, "/file") || strings.HasSuffix(route, "/bundle")) && slices.Contains([]string{"approval_system", "holder"}, role) && whose != "other" && (role != "holder" || whose == "own"):
						given++
					default:
						t.Errorf("%s as %s of %s gives the licence's %s", route, role, whose, what)
					}
				}
				if strings.HasSuffix(route, "/bundle") && a.StatusCode == http.StatusOK && role != "approval_system" && role != "holder" {
					t.Errorf("%s as %s of %s gives a bundle", route, role, whose)
				}
			}
		}
	}
	if given == 0 {
		t.Error("the licence's file was given to nobody, so this looked for the wrong thing")
	}
}
