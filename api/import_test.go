package api_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"elicence/api"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/verify"
)

const foreignFiles = "../testdata/foreign"

// foreignAnchors are the other platform's.
func foreignAnchors(t testing.TB) *pki.TrustAnchors {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(foreignFiles, "anchors.pem"))
	must(t, err)
	anchors, err := pki.ParseTrustAnchors(pem)
	must(t, err)
	return anchors
}

// externalForm is a form to import a file of testdata/foreign, as the licence that its own
// data state, with some members changed; empty: without a file.
func externalForm(t testing.TB, file string, changes map[string]any) ask {
	t.Helper()
	var m map[string]any
	must(t, json.Unmarshal(sample(t, food), &m))
	m["number"], m["authority"] = "JY23301050000777", map[string]any{"name": "外省测试机构", "code": "11330105002500287C", "division": "430100"}
	m["platform"] = "外省政务服务平台"
	maps.Copy(m, changes)
	request, err := json.Marshal(m)
	must(t, err)
	parts := []part{{"request", "", string(request)}}
	if file != "" {
		b, err := os.ReadFile(filepath.Join(foreignFiles, file))
		must(t, err)
		parts = append(parts, part{"file", file, string(b)})
	}
	q := formOf(t, parts...)
	q.method, q.path, q.as = http.MethodPost, "/api/v1/licences/imports", approval
	return q
}

// imported imports a file.
func (w *world) imported(file string, changes map[string]any) (i registry.Imported) {
	w.t.Helper()
	q := externalForm(w.t, file, changes)
	q.key = "import " + file
	q.key = strings.ReplaceAll(q.key, " ", "-")
	a := w.do(q)
	if a.json(w.t, &i); a.StatusCode != http.StatusCreated {
		w.t.Fatalf("import: %d %s", a.StatusCode, a.body)
	}
	return i
}

// refused wants a problem with a code.
func (w *world) refused(q ask, status int, code string) {
	w.t.Helper()
	if a := w.do(q); a.StatusCode != status || !bytes.Contains(a.body, []byte(`"code":"`+code+`"`)) {
		w.t.Errorf("%s %s: %d %s, want %d %s", q.method, q.path, a.StatusCode, a.body, status, code)
	}
}

var ofTheOthers = map[string]any{"identifier": "1.2.156.3005.2.11100000MB0143028R901.11330105002500287C.2025052201.001.Z"}

// TestImport imports an OFD of another platform, whose root is trusted, and looks at it
// through every answer: each says external, and none makes it a licence of our own.
func TestImport(t *testing.T) {
	w := open(t)
	w.server = w.serve(func(c *api.Config) {
		c.Verifier = func(r verify.Register) *verify.Verifier {
			return &verify.Verifier{Anchors: foreignAnchors(t), Register: r}
		}
	})
	file, err := os.ReadFile(filepath.Join(foreignFiles, "sealed.ofd"))
	must(t, err)
	before := w.verify(ask{mediaType: "application/ofd", body: file})
	if before.Indication != "Indeterminate" || before.Tone != "undecided" || before.Licence != nil {
		t.Errorf("before: %+v", before)
	}
	got := w.imported("sealed.ofd", ofTheOthers)
	if got.Verdict != registry.ImportValid || got.Origin != licence.OriginExternal || string(got.Identifier) != ofTheOthers["identifier"] || len(got.Codes) != 0 {
		t.Fatalf("%+v", got)
	}
	after := w.verify(ask{mediaType: "application/ofd", body: file})
	if after.Indication != "TotalPassed" || after.Tone != "good" || after.LicenceState != "valid" || after.Licence["number"] != "JY23301050000777" || after.Origin != "external" {
		t.Errorf("after: %+v", after)
	}
	form := formOf(t, part{"file", "sealed.ofd", string(file)}, part{"as_of", "", "2026-05-01"})
	form.method, form.path = http.MethodPost, "/V"
	if page := w.do(form); page.StatusCode != http.StatusOK || !bytes.Contains(page.body, []byte(`data-list="origin">来源：其他平台的文件`)) {
		t.Errorf("page: %d %s", page.StatusCode, page.body)
	}
	form.path = "/V/report"
	printed := w.do(form)
	text := exec.Command("pdftotext", "-", "-")
	text.Stdin = bytes.NewReader(printed.body)
	if out, err := text.Output(); err != nil || !strings.Contains(string(out), "其他平台签发") {
		t.Errorf("sealed report: %d, %v: %s", printed.StatusCode, err, out)
	}
	path := "/api/v1/licences/" + string(got.Identifier)
	for _, q := range []ask{{method: "GET", path: path}, {method: "GET", path: path + "/import"}, {method: "GET", path: path + "/history"},
		{method: "POST", path: "/api/v1/licences/search", body: []byte(`{"holder":{"code":"91330106MA0000A19Q","code_type":"001"}}`)}} {
		q.as = approval
		if a := w.do(q); a.StatusCode != http.StatusOK || !bytes.Contains(a.body, []byte(`"origin":"external"`)) {
			t.Errorf("%s: %d %s", q.path, a.StatusCode, a.body)
		}
	}
	a := w.do(ask{method: "GET", path: path + "/file", as: approval})
	if a.Header.Get("Content-Type") != "application/ofd" || !bytes.Equal(a.body, file) || !strings.HasSuffix(a.Header.Get("Content-Disposition"), `.ofd"`) {
		t.Errorf("file: %s %s, %d bytes", a.Header.Get("Content-Type"), a.Header.Get("Content-Disposition"), len(a.body))
	}
	csv := w.do(ask{method: "GET", path: "/api/v1/statistics?from=2026-01-01", as: approval, header: map[string]string{"Accept": "text/csv"}})
	if !bytes.Contains(csv.body, []byte(",1,external\r\n")) {
		t.Errorf("statistics: %s", csv.body)
	}
	for _, op := range []string{"amend", "renew", "reissue", "correct", "transfer"} {
		w.refused(ask{method: "POST", path: path + "/" + op, as: approval, key: op, body: []byte(versionBodies[op])}, http.StatusConflict, "external_licence")
	}
	w.refused(ask{method: "GET", path: path + "/bundle", as: approval}, http.StatusConflict, "external_licence")
	w.do(ask{method: "POST", path: path + "/revoke", as: approval, key: "revoke", body: []byte(`{"reason":"原发证机关已吊销"}`)})
	if r := w.verify(ask{mediaType: "application/ofd", body: file}); r.Indication != "TotalPassed" || r.Tone != "unusable" || r.LicenceState != "revoked" {
		t.Errorf("revoked: %+v", r)
	}
	again := externalForm(t, "sealed.ofd", ofTheOthers)
	again.key = "again"
	if a := w.do(again); a.StatusCode != http.StatusOK {
		t.Errorf("once more: %d %s", a.StatusCode, a.body)
	}
}

// TestImportRefused imports what is altered, untrusted, or nothing of the kind.
func TestImportRefused(t *testing.T) {
	w := open(t)
	for _, c := range []struct {
		file   string
		status int
		code   string
	}{
		{"page-changed.ofd", 422, "import_invalid"},
		{"value-changed.ofd", 422, "import_invalid"},
		{"page-changed.pdf", 422, "import_invalid"},
		{"make.py", 422, "import_invalid"},
		{"", 422, "invalid_request"},
		{"other-authority.ofd", 201, ""},
		{"unsigned.ofd", 201, ""},
		{"../documents/approval.pdf", 201, ""},
	} {
		q := externalForm(t, c.file, map[string]any{"number": "N" + strings.Trim(c.file, "./")})
		q.key = "k" + strings.Trim(c.file, "./")
		if c.status != 201 {
			w.refused(q, c.status, c.code)
			continue
		}
		var i registry.Imported
		if a := w.do(q); a.StatusCode != c.status {
			t.Errorf("%s: %d %s", c.file, a.StatusCode, a.body)
		} else if a.json(t, &i); i.Verdict != registry.ImportIndeterminate || len(i.Codes) == 0 {
			t.Errorf("%s: %+v", c.file, i)
		}
	}
	q := externalForm(t, "sealed.ofd", nil)
	w.refused(q, http.StatusBadRequest, "idempotency_key_missing")
	q.as, q.key = partner, "p"
	w.refused(q, http.StatusForbidden, "forbidden")
	w.refused(ask{method: http.MethodPost, path: "/api/v1/licences/imports", as: approval, key: "j", body: []byte("{}")}, http.StatusUnsupportedMediaType, "unsupported_media_type")

	if i := w.imported("cms.pdf", map[string]any{"number": "JYP"}); i.Verdict != registry.ImportValid {
		t.Errorf("a PDF that the issuing authority signed: %+v", i)
	}

	// With a reason it comes in, and stays what it is.
	i := w.imported("page-changed.ofd", map[string]any{"number": "JYX", "override_reason": "原件核对一致，版式文件升级时被改写"})
	if i.Verdict != registry.ImportInvalid || i.Codes[0] != "external_content_changed" && len(i.Codes) < 2 {
		t.Errorf("%+v", i)
	}
	file, err := os.ReadFile(filepath.Join(foreignFiles, "page-changed.ofd"))
	must(t, err)
	if r := w.verify(ask{mediaType: "application/ofd", body: file}); r.Indication != "TotalFailed" || r.Origin != "external" || r.Licence != nil {
		t.Errorf("verified: %+v", r)
	}
}
