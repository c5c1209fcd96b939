package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"

	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/templates"
)

// importBody asks for a type like that of food, with files replaced.
func importBody(t testing.TB, replaced map[string]string) []byte {
	t.Helper()
	files := map[string]string{}
	for name, from := range map[string]fs.FS{"item.json": templates.Catalogue(), "fields.schema.json": templates.Catalogue(), "layout.json": templates.Layouts()} {
		b, err := fs.ReadFile(from, "food-business/"+name)
		must(t, err)
		files[name] = strings.ReplaceAll(string(b), foodType, keptType)
	}
	for name, content := range replaced {
		files[name] = content
	}
	b, err := json.Marshal(map[string]any{"files": files, "reason": "新设"})
	must(t, err)
	return b
}

// versionAnswer is what the tests read of a version.
type versionAnswer struct {
	Version    int
	Stage      string
	ImportedBy string `json:"imported_by"`
	Files      map[string]string
}

// TestCatalogueAPI takes a type from its files to its end, by two clients.
func TestCatalogueAPI(t *testing.T) {
	w := open(t)
	w.raster = func(file []byte, page int) ([]byte, error) {
		if page > 1 {
			return nil, errors.New("no such page")
		}
		return append([]byte("\x89PNG of "), file[:5]...), nil
	}
	at := "/api/v1/catalogue"
	send := func(as, path, key string, body string) answer {
		t.Helper()
		return w.do(ask{method: "POST", path: path, as: as, key: key, body: []byte(body)})
	}
	get := func(as, path string) answer { t.Helper(); return w.do(ask{method: "GET", path: path, as: as}) }
	wants := func(what string, a answer, status int, code string) {
		t.Helper()
		var p struct{ Code string }
		if a.StatusCode >= 400 {
			a.json(t, &p)
		}
		if a.StatusCode != status || p.Code != code {
			t.Errorf("%s: %d %s, want %d %s: %.300s", what, a.StatusCode, p.Code, status, code, a.body)
		}
	}
	body := string(importBody(t, nil))
	created := send(keeper, at, "i1", body)
	wants("import", created, 201, "")
	var v versionAnswer
	if created.json(t, &v); v.Version != 1 || v.Stage != "draft" || v.ImportedBy != keeper {
		t.Errorf("imported %+v", v)
	}
	wants("the same again", send(keeper, at, "i1", body), 201, "")
	wants("the key for another body", send(keeper, at, "i1", strings.Replace(body, "新设", "又设", 1)), 422, "idempotency_key_reused")
	wants("import without a key", send(keeper, at, "", body), 400, "idempotency_key_missing")
	wants("import by an approval system", send(approval, at, "i2", body), 403, "forbidden")
	wants("another file", send(keeper, at, "i3", string(importBody(t, map[string]string{"../x": "y"}))), 422, "invalid_request")
	wants("files that are no texts", send(keeper, at, "i4", `{"files": {"item.json": 1}, "reason": "r"}`), 422, "invalid_request")
	wants("nothing", send(keeper, at, "i5", `{}`), 422, "invalid_request")
	bad := send(keeper, at, "i6", string(importBody(t, map[string]string{"layout.json": "{\n\n?"})))
	if wants("a layout", bad, 422, "invalid_request"); !bytes.Contains(bad.body, []byte("layout.json:3:")) {
		t.Errorf("no file and line: %s", bad.body)
	}
	type1 := at + "/" + keptType
	wants("publish by who imported", send(keeper, type1+"/publish", "p1", `{"version":1,"reason":"r"}`), 403, "forbidden")
	wants("publish without a version", send(publisher, type1+"/publish", "p2", `{"reason":"r"}`), 422, "invalid_request")
	wants("publish what is not there", send(publisher, type1+"/publish", "p3", `{"version":9,"reason":"r"}`), 404, "not_found")
	wants("publish", send(publisher, type1+"/publish", "p4", `{"version":1,"reason":"r"}`), 200, "")
	wants("publish again", send(publisher, type1+"/publish", "p4", `{"version":1,"reason":"r"}`), 200, "")
	wants("publish twice", send(publisher, type1+"/publish", "p5", `{"version":1,"reason":"r"}`), 409, "wrong_stage")

	shown := get(keeper, type1)
	if shown.json(t, &v); shown.StatusCode != 200 || v.Stage != "published" || !strings.Contains(v.Files["item.json"], keptType) || len(v.Files) != 3 {
		t.Errorf("shown: %d %+v", shown.StatusCode, v)
	}
	if a := get(keeper, type1+"/preview"); a.StatusCode != 200 || !bytes.HasPrefix(a.body, []byte("%PDF-")) {
		t.Errorf("preview: %d %.40q", a.StatusCode, a.body)
	}
	if a := get(keeper, type1+"/preview?format=png"); a.StatusCode != 200 || string(a.body) != "\x89PNG of %PDF-" {
		t.Errorf("preview as PNG: %d %.40q", a.StatusCode, a.body)
	}
	wants("a page that is not there", get(keeper, type1+"/preview?format=png&page=2"), 400, "malformed_parameter")
	drawn, codes := 0, []int{}
	w.raster = func([]byte, int) ([]byte, error) {
		if drawn++; drawn <= 2 { // while one is at work another comes, and while both are a third
			codes = append(codes, get(keeper, type1+"/preview?format=png").StatusCode, get(keeper, type1+"/dry-run").StatusCode)
		}
		return []byte("\x89PNG"), nil
	}
	if a := get(keeper, type1+"/preview?format=png"); a.StatusCode != 200 || !slices.Equal(codes, []int{503, 503, 200, 200}) {
		t.Errorf("previews at once: %d, inside %v", a.StatusCode, codes)
	}
	w.raster = func([]byte, int) ([]byte, error) { return nil, registry.ErrNoRaster }
	wants("no poppler", get(keeper, type1+"/preview?format=png"), 501, "no_raster")
	w.issue(food, "dry")
	dry := get(keeper, at+"/"+keptType+"/dry-run?version=1&last=5")
	wants("dry run", dry, 200, "")
	for _, query := range []string{"?version=0", "?version=x", "?version=1&version=1", "?last=-1", "?format=jpeg", "?other=1", "?version=%zz"} {
		for _, path := range []string{"", "/preview", "/dry-run"} {
			wants(path+query, get(keeper, type1+path+query), 400, "malformed_parameter")
		}
	}
	wants("too many", get(keeper, type1+"/dry-run?last=201"), 422, "invalid_request")
	wants("preview by an approval system", get(approval, at+"/"+foodType+"/preview"), 403, "forbidden")
	wants("a type of others", get(keeper, at+"/11100000000013338W901"), 403, "forbidden")
	if list := get(approval, at); list.StatusCode != 200 || bytes.Contains(list.body, []byte(keptType)) {
		t.Errorf("an approval system lists %d %s", list.StatusCode, list.body)
	}
	if list := get(keeper, at); !bytes.Contains(list.body, []byte(keptType)) {
		t.Errorf("the keeper lists %s", list.body)
	}
	wants("retire", send(keeper, type1+"/retire", "r1", `{"version":1,"reason":"r"}`), 200, "")
	wants("what was published", get(keeper, type1), http.StatusNotFound, "not_found")
}

// TestMaskedReading: a holder who is a natural person is shown in part, and the data
// digest is still that of the whole.
func TestMaskedReading(t *testing.T) {
	w := open(t)
	health := registrytest.Authorities[birthType]
	c := registry.Client{ID: "health", Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: health, Types: []string{birthType}, Salt: []byte("s")}
	c.SecretHash = registry.HashSecret(c.Salt, c.ID)
	_, err := w.PutClient(t.Context(), registry.System("test"), c)
	must(t, err)
	a := w.do(ask{method: "POST", path: "/api/v1/licences", as: c.ID, key: "birth", body: sample(t, "birth-one-parent.json")})
	var issued struct{ Identifier string }
	a.json(t, &issued)
	type shown struct {
		DataDigest string `json:"data_digest"`
		Metadata   map[string]any
	}
	read := func(query string) (s shown) {
		t.Helper()
		w.do(ask{method: "GET", path: "/api/v1/licences/" + issued.Identifier + query, as: c.ID}).json(t, &s)
		return s
	}
	whole, part := read(""), read("?masked=true")
	code, masked := whole.Metadata["certificateHolderCode"].(string), part.Metadata["certificateHolderCode"].(string)
	if masked != code[:3]+strings.Repeat("*", 11)+code[14:] || part.DataDigest != whole.DataDigest || part.Metadata["certificateNumber"] != whole.Metadata["certificateNumber"] {
		t.Errorf("whole %+v\npart %+v", whole, part)
	}
	for _, query := range []string{"?masked=false", "?masked=", "?masked=true&masked=true", "?masked=true&other=1"} {
		if a := w.do(ask{method: "GET", path: "/api/v1/licences/" + issued.Identifier + query, as: c.ID}); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", query, a.StatusCode)
		}
	}
}
