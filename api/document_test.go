package api_test

import (
	"bytes"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"elicence/licence/registry"
)

const documents = "../testdata/documents/"

// documentForm is the sample form.
func documentForm(t testing.TB) ask {
	t.Helper()
	request, err := os.ReadFile(documents + "approval.json")
	must(t, err)
	file, err := os.ReadFile(documents + "approval.pdf")
	must(t, err)
	q := formOf(t, part{"request", "", string(request)}, part{"file", "approval.pdf", string(file)})
	q.method, q.path = http.MethodPost, "/api/v1/licences/documents"
	return q
}

// TestDocument issues on a document by HTTP, repeats it, and verifies the file by HTTP.
func TestDocument(t *testing.T) {
	w := open(t)
	q := documentForm(t)
	q.as, q.key = elsewhere, "d"
	var issued, again registry.Issued
	a := w.do(q)
	if a.json(t, &issued); a.StatusCode != http.StatusCreated || issued.Removed != "bookmarks links opening_view" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if w.do(q).json(t, &again); again != issued {
		t.Errorf("repeat: %+v, not %+v", again, issued)
	}
	file := w.do(ask{method: "GET", path: "/api/v1/licences/" + string(issued.Identifier) + "/file", as: elsewhere})
	report := w.reportOn(ask{mediaType: "application/pdf", body: file.body})
	if report["indication"] != "TotalPassed" || report["licence_state"] != "valid" {
		t.Errorf("verified as %v, %v", report["indication"], report["licence_state"])
	}
}

// TestDocumentRefused sends what is no document, each refused with its code and logged,
// and nothing reserved.
func TestDocumentRefused(t *testing.T) {
	w := open(t)
	request, err := os.ReadFile(documents + "approval.json")
	must(t, err)
	file, err := os.ReadFile(documents + "approval.pdf")
	must(t, err)
	with := func(old, new string) string { return strings.Replace(string(request), old, new, 1) }
	script := strings.Replace(string(file), "/OpenAction[", "/OpenAction<</S/JavaScript/JS(x)>>/X[", 1)
	if script == string(file) {
		script = string(bytes.Replace(file, []byte("/URI("), []byte("/JS ("), 1))
	}
	for name, tt := range map[string]struct {
		form   ask
		status int
		code   string
		field  string // of the one error
	}{
		"no form":              {ask{body: request}, 415, "unsupported_media_type", ""},
		"no file":              {formOf(t, part{"request", "", string(request)}), 400, "malformed_upload", ""},
		"no request":           {formOf(t, part{"file", "a.pdf", string(file)}), 400, "malformed_upload", ""},
		"file not chosen":      {formOf(t, part{"request", "", string(request)}, part{"file", "", ""}), 400, "malformed_upload", ""},
		"two files":            {formOf(t, part{"request", "", string(request)}, part{"file", "a", "x"}, part{"file", "b", "x"}), 400, "malformed_upload", ""},
		"part of another name": {formOf(t, part{"request", "", string(request)}, part{"file", "a", "x"}, part{"c", "", "x"}), 400, "malformed_upload", ""},
		"file too large":       {formOf(t, part{"request", "", string(request)}, part{"file", "a", strings.Repeat("x", 21<<20)}), 413, "too_large", ""},
		"no PDF":               {formOf(t, part{"request", "", string(request)}, part{"file", "a", "x"}), 422, "invalid_request", "file unreadable"},
		"JavaScript":           {formOf(t, part{"request", "", string(request)}, part{"file", "a", script}), 422, "invalid_request", "file javascript"},
		"no places":            {formOf(t, part{"request", "", with(`"document"`, `"paper"`)}, part{"file", "a", string(file)}), 422, "invalid_request", "document missing"},
		"page not there":       {formOf(t, part{"request", "", with(`"page": 2`, `"page": 3`)}, part{"file", "a", string(file)}), 422, "invalid_request", "document.seal.page out_of_range"},
		"page 0":               {formOf(t, part{"request", "", with(`"page": 2`, `"page": 0`)}, part{"file", "a", string(file)}), 422, "invalid_request", "document.seal.page out_of_range"},
		"half a millimetre":    {formOf(t, part{"request", "", with(`"x": 160`, `"x": 160.5`)}, part{"file", "a", string(file)}), 422, "invalid_request", "document.qr.x not_an_integer"},
		"text for a number":    {formOf(t, part{"request", "", with(`"x": 160`, `"x": "160"`)}, part{"file", "a", string(file)}), 422, "invalid_request", "document.qr.x wrong_type"},
		"block off the page":   {formOf(t, part{"request", "", with(`"x": 160`, `"x": 180`)}, part{"file", "a", string(file)}), 422, "invalid_request", "document.qr out_of_range"},
		"seal off the page":    {formOf(t, part{"request", "", with(`"y": 200`, `"y": 290`)}, part{"file", "a", string(file)}), 422, "invalid_request", "document.seal out_of_range"},
		"seal on the symbol":   {formOf(t, part{"request", "", with(`"seal": {"page": 2, "x": 150, "y": 200}`, `"seal": {"page": 1, "x": 170, "y": 65}`)}, part{"file", "a", string(file)}), 422, "invalid_request", "document.seal out_of_range"},
		"two places for one":   {formOf(t, part{"request", "", with(`"qr": {`, `"qr": {"z": 1, `)}, part{"file", "a", string(file)}), 422, "invalid_request", "document.qr.z unknown_field"},
		"type without":         {formOf(t, part{"request", "", string(change(t, "joint-school.json", nil))}, part{"file", "a", string(file)}), 422, "invalid_request", "file not_allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			q := tt.form
			q.method, q.path, q.as, q.key = http.MethodPost, "/api/v1/licences/documents", elsewhere, "k "+name
			q.key = strings.ReplaceAll(q.key, " ", "-")
			a := w.do(q)
			var p struct {
				Code   string `json:"code"`
				Errors []struct {
					Field string `json:"field"`
					Code  string `json:"code"`
				} `json:"errors"`
			}
			a.json(t, &p)
			found := tt.field == "" || slices.ContainsFunc(p.Errors, func(e struct {
				Field string `json:"field"`
				Code  string `json:"code"`
			}) bool {
				return e.Field+" "+e.Code == tt.field
			})
			if a.StatusCode != tt.status || p.Code != tt.code || !found {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
	a := w.do(ask{method: "POST", path: "/api/v1/licences", as: elsewhere, key: "json", body: request})
	if a.StatusCode != 422 || !bytes.Contains(a.body, []byte(`"field":"file"`)) {
		t.Errorf("without a file: %d %s", a.StatusCode, a.body)
	}
	a = w.do(ask{method: "POST", path: "/api/v1/licences/search", as: elsewhere, body: []byte(`{"holder":{"code":"12330106MB0000D380","code_type":"001"}}`)})
	if !bytes.Contains(a.body, []byte(`"licences":[]`)) {
		t.Errorf("something was reserved: %s", a.body)
	}
}
