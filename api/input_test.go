package api_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm3"
)

// part is one part of a form; a file when it has a file name.
type part struct{ name, fileName, content string }

// formOf is a form with parts in order.
func formOf(t testing.TB, parts ...part) ask {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for _, p := range parts {
		create := func() (io.Writer, error) { return m.CreateFormField(p.name) }
		if p.fileName != "" {
			create = func() (io.Writer, error) { return m.CreateFormFile(p.name, p.fileName) }
		}
		w, err := create()
		must(t, err)
		w.Write([]byte(p.content))
	}
	must(t, m.Close())
	return ask{mediaType: m.FormDataContentType(), body: b.Bytes()}
}

func sm3Hex(b []byte) string {
	sum := sm3.Sum(b)
	return hex.EncodeToString(sum[:])
}

// reportOn verifies a form, by the machine interface.
func (w *world) reportOn(q ask) map[string]any {
	w.t.Helper()
	q.method, q.path = "POST", "/api/v1/verifications"
	a := w.do(q)
	var r map[string]any
	if a.json(w.t, &r); a.StatusCode != http.StatusOK {
		w.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	return r
}

// TestFileWithQR sends a file together with the text of a QR code: its own, and that
// of another licence which is as genuine. One log entry each, of the file.
func TestFileWithQR(t *testing.T) {
	w := open(t)
	one, two := w.issue(food, "one"), w.issue("food-retail.json", "two")
	file, other := w.download(one.Identifier), w.download(two.Identifier)
	own, lifted := qrText(t, file), qrText(t, other)
	for _, c := range []struct {
		name             string
		parts            []part
		indication, code string
	}{
		{"its own", []part{{"file", "a.pdf", string(file)}, {"qr", "", own}}, "TotalPassed", "qr_text_ok"},
		{"its own, the text first", []part{{"qr", "", own}, {"file", "a.pdf", string(file)}}, "TotalPassed", "qr_text_ok"},
		{"of another licence", []part{{"file", "a.pdf", string(file)}, {"qr", "", lifted}}, "TotalFailed", "qr_text_of_other_file"},
		{"no licence's", []part{{"file", "a.pdf", string(file)}, {"qr", "", "https://example.com/"}}, "TotalFailed", "qr_text_malformed"},
		{"left empty", []part{{"file", "a.pdf", string(file)}, {"qr", "", ""}, {"as_of", "", ""}}, "TotalPassed", "qr_ok"},
		{"no file chosen", []part{{"file", "", ""}, {"qr", "", own}}, "TotalPassed", "qr_ok"},
		{"an empty file", []part{{"file", "a.pdf", ""}, {"qr", "", own}}, "TotalFailed", "not_reached"},
	} {
		before := w.size()
		r := w.reportOn(formOf(t, c.parts...))
		code := r["checks"].([]any)[9].(map[string]any)["code"]
		if r["indication"] != c.indication || code != c.code {
			t.Errorf("%s: %v, %v", c.name, r["indication"], code)
		}
		e := w.since(before)
		if digest := r["file_digest"]; len(e) != 1 || digest != nil && hex.EncodeToString(e[0].Digest) != digest || digest == nil && hex.EncodeToString(e[0].Digest) != r["qr_digest"] {
			t.Errorf("%s: log %+v", c.name, e)
		}
	}
	r := w.reportOn(formOf(t, part{"file", "a.pdf", string(file)}, part{"qr", "", own}))
	if r["file_digest"] != sm3Hex(file) || r["qr_digest"] != sm3Hex([]byte(own)) || r["verified_at"] != w.Now().Format(time.RFC3339) {
		t.Errorf("what was verified: %v %v %v", r["file_digest"], r["qr_digest"], r["verified_at"])
	}
	if r := w.reportOn(ask{mediaType: "application/pdf", body: file}); r["file_digest"] != sm3Hex(file) || r["qr_digest"] != nil || r["as_of"] != nil {
		t.Errorf("a file alone: %v %v", r["file_digest"], r["qr_digest"])
	}
}

// TestAsOf asks for past days of a licence that was suspended and resumed.
func TestAsOf(t *testing.T) {
	w := open(t)
	id := w.issue(food, "v").Identifier
	file := w.download(id)
	change := func(action string) {
		w.Move(24 * time.Hour)
		w.do(ask{method: "POST", path: "/api/v1/licences/" + string(id) + "/" + action, as: approval, key: action, body: []byte(`{"reason":"r"}`)})
	}
	w.tokens[approval] = ""
	first := w.Now() // 2026-06-01, 08:00 in Shanghai
	change("suspend")
	w.tokens[approval] = ""
	change("resume")
	w.Move(24 * time.Hour)
	day := func(n int) string { return first.AddDate(0, 0, n).Format(time.DateOnly) }
	for n, want := range []struct{ state, code string }{
		{"valid", "as_of_changed"}, {"suspended", "as_of_changed"}, {"valid", "as_of_changed"}, {"valid", "as_of_valid"},
	} {
		in, err := json.Marshal(map[string]string{"qr": qrText(t, file), "as_of": day(n)})
		must(t, err)
		for name, q := range map[string]ask{"form": formOf(t, part{"file", "a.pdf", string(file)}, part{"as_of", "", day(n)}), "JSON": {body: in}} {
			r := w.reportOn(q)
			got := r["as_of"].(map[string]any)
			if got["date"] != day(n) || got["licence_state"] != want.state || got["code"] != want.code || r["licence_state"] != "valid" || r["tone"] != "good" {
				t.Errorf("%s by %s: %v; now %v", day(n), name, got, r["licence_state"])
			}
		}
	}
	r := w.reportOn(formOf(t, part{"file", "a.pdf", string(file)}, part{"as_of", "", "2026-05-31"}))
	if got := r["as_of"].(map[string]any); got["code"] != "as_of_pending" || got["licence_state"] != "pending" {
		t.Errorf("before it was issued: %v", got)
	}
}

// TestBadInput sends what names nothing to verify, or no day: one refusal each.
func TestBadInput(t *testing.T) {
	w := open(t)
	pdf := part{"file", "a.pdf", "%PDF-1.7"}
	body := func(s string) ask { return ask{body: []byte(s)} }
	w.token(verifier)
	for _, c := range []struct {
		name string
		ask
		status      int
		code, field string
		fault       string
	}{
		{"two files", formOf(t, pdf, pdf), 400, "malformed_upload", "", ""},
		{"two texts", formOf(t, part{"qr", "", "a"}, part{"qr", "", "a"}), 400, "malformed_upload", "", ""},
		{"no part", formOf(t), 400, "malformed_upload", "", ""},
		{"all empty", formOf(t, part{"file", "", ""}, part{"qr", "", ""}), 400, "malformed_upload", "", ""},
		{"a day alone", formOf(t, part{"as_of", "", "2026-05-01"}), 400, "malformed_upload", "", ""},
		{"another part", formOf(t, pdf, part{"colour", "", "red"}), 400, "malformed_upload", "", ""},
		{"a text of 4 KiB and more", formOf(t, pdf, part{"qr", "", strings.Repeat("9", 5000)}), 413, "too_large", "", ""},
		{"a control character", formOf(t, part{"qr", "", "a\x00"}), 422, "invalid_request", "qr", "control_character"},
		{"no day", formOf(t, pdf, part{"as_of", "", "yesterday"}), 422, "invalid_request", "as_of", "bad_format"},
		{"a day that is not", formOf(t, pdf, part{"as_of", "", "2026-02-30"}), 422, "invalid_request", "as_of", "bad_format"},
		{"an instant", formOf(t, pdf, part{"as_of", "", "2026-05-01T00:00:00Z"}), 422, "invalid_request", "as_of", "bad_format"},
		{"tomorrow", formOf(t, pdf, part{"as_of", "", "2026-06-02"}), 422, "invalid_request", "as_of", "out_of_range"},
		{"the year 1", body(`{"qr":"x","as_of":"0001-01-01"}`), 422, "invalid_request", "as_of", "out_of_range"},
		{"tomorrow in JSON", body(`{"qr":"x","as_of":"2026-06-02"}`), 422, "invalid_request", "as_of", "out_of_range"},
		{"a number for a day", body(`{"qr":"x","as_of":20260501}`), 422, "invalid_request", "as_of", "wrong_type"},
		{"a file in JSON", body(`{"file":"JVBERi0="}`), 422, "invalid_request", "file", "unknown_field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := c.ask
			q.method, q.path, q.as = "POST", "/api/v1/verifications", verifier
			before := w.size()
			p := problemIn(t, w.do(q))
			found := c.fault == ""
			for _, e := range p.Errors {
				found = found || e.Field == c.field && e.Code == c.fault
			}
			if p.Status != c.status || p.Code != c.code || !found {
				t.Errorf("%+v", p)
			}
			w.loggedOnce(t, before, p.RequestID, "verify")
		})
	}
}
