package registry_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/templates"

	"github.com/emmansun/gmsm/sm3"
)

// newType is a code that the program ships no type of.
const newType = "11100000000013338W990"

// typeFiles are the files of a type like that of work safety, with texts replaced in them:
// old, new, old, new.
func typeFiles(t testing.TB, replace ...string) registry.CatalogueFiles {
	t.Helper()
	files := registry.CatalogueFiles{}
	for name, from := range map[string]fs.FS{licence.ItemFile: templates.Catalogue(), licence.SchemaFile: templates.Catalogue(), registry.LayoutFile: templates.Layouts()} {
		b, err := fs.ReadFile(from, "work-safety/"+name)
		must(t, err)
		files[name] = []byte(strings.NewReplacer(append([]string{"11100000000013338W901", newType}, replace...)...).Replace(string(b)))
	}
	return files
}

// keepers are two clients of the authority, and its approval system.
func keepers() (editor, publisher, approval registry.Caller) {
	approval = registrytest.Approval("11100000000013338W901")
	approval.Types = append(approval.Types, newType)
	editor, publisher = approval, approval
	editor.Principal, editor.Roles = "editor", []registry.Role{registry.RoleAuthority}
	publisher.Principal, publisher.Roles = "publisher", editor.Roles
	return editor, publisher, approval
}

var changes int

// reasoned is a change with a key of its own.
func reasoned() registry.CatalogueChange {
	changes++
	return registry.CatalogueChange{Key: fmt.Sprint("catalogue-", changes), Body: sm3.Sum(fmt.Append(nil, changes)), Reason: "新设证照类型"}
}

// published imports a version and publishes it, by two.
func published(t testing.TB, r *registry.Registry, files registry.CatalogueFiles) int {
	t.Helper()
	editor, publisher, _ := keepers()
	v, _, err := r.ImportCatalogue(t.Context(), editor, files, reasoned())
	must(t, err)
	v, _, err = r.PublishCatalogue(t.Context(), publisher, v.TypeCode, v.Version, reasoned())
	must(t, err)
	if v.Stage != registry.StagePublished {
		t.Errorf("published: %+v", v)
	}
	return v.Version
}

// requestFor is a request for a licence of the new type.
func requestFor(t testing.TB, key string) registry.IssueRequest {
	t.Helper()
	body, _ := sample(t, "safety-builder.json")
	return registry.IssueRequest{Key: key, Body: bytes.ReplaceAll(body, []byte("11100000000013338W901"), []byte(newType))}
}

// TestCatalogueLife takes a type that the program does not know from its files to a licence,
// to a second version, and to its end, with every step in the log.
func TestCatalogueLife(t *testing.T) {
	s := open(t)
	editor, publisher, approval := keepers()
	_, _, err := s.Issue(t.Context(), approval, requestFor(t, "early"))
	wantCode(t, "a type that is not there", err, "invalid_request")
	from := size(t, s)
	imported := reasoned()
	draft, _, err := s.ImportCatalogue(t.Context(), editor, typeFiles(t), imported)
	must(t, err)
	again, _, err := s.ImportCatalogue(t.Context(), editor, typeFiles(t), imported)
	must(t, err)
	if draft.Version != 1 || draft.Stage != registry.StageDraft || draft.Digest != typeFiles(t).Digest() || again != draft {
		t.Errorf("imported %+v, again %+v", draft, again)
	}
	_, _, err = s.Issue(t.Context(), approval, requestFor(t, "draft"))
	wantCode(t, "a draft", err, "invalid_request")
	_, _, err = s.PublishCatalogue(t.Context(), editor, newType, 1, reasoned())
	wantCode(t, "who imported it", err, "forbidden")
	publish := reasoned()
	_, _, err = s.PublishCatalogue(t.Context(), publisher, newType, 1, publish)
	must(t, err)
	_, _, err = s.PublishCatalogue(t.Context(), publisher, newType, 1, publish)
	must(t, err) // the first answer
	_, _, err = s.PublishCatalogue(t.Context(), publisher, newType, 1, reasoned())
	wantCode(t, "publishing twice", err, "wrong_stage")
	wantTrail(t, s, from, "catalogue_import allowed", "catalogue_import allowed repeated", "issue refused invalid_request", "catalogue_publish refused forbidden",
		"catalogue_publish allowed", "catalogue_publish allowed repeated", "catalogue_publish refused wrong_stage")

	// The shipped types were the program's until the register had a catalogue of its own.
	first, _, err := s.Issue(t.Context(), approval, requestFor(t, "first"))
	must(t, err)
	if second := published(t, s.Registry, typeFiles(t, "编号：{number}", "证号：{number}", `"name": "安全生产许可证"`, `"name": "安全生产许可证二"`)); second != 2 {
		t.Errorf("the second version is %d", second)
	}
	renewed, _, err := s.Reissue(t.Context(), approval, first.Identifier, registry.VersionRequest{Key: "again", Body: []byte(`{"reason":"遗失"}`)})
	must(t, err)
	for id, want := range map[licence.Identifier]struct {
		version int
		name    string
	}{first.Identifier: {1, "安全生产许可证"}, renewed.Identifier: {2, "安全生产许可证二"}} {
		rec, err := s.Backend.Licence(t.Context(), id)
		must(t, err)
		l, err := licence.ParseData(rec.Data)
		must(t, err)
		if rec.CatalogueVersion != want.version || l.TypeName != want.name {
			t.Errorf("%s was made by version %d as %s, want %+v", id, rec.CatalogueVersion, l.TypeName, want)
		}
	}
	_, _, err = s.RetireCatalogue(t.Context(), publisher, newType, 2, reasoned())
	must(t, err)
	_, _, err = s.Issue(t.Context(), approval, requestFor(t, "late"))
	wantCode(t, "a retired type", err, "invalid_request")
	_, _, err = s.RetireCatalogue(t.Context(), publisher, newType, 2, reasoned())
	wantCode(t, "retiring twice", err, "wrong_stage")
	if v, _, err := s.Get(t.Context(), approval, renewed.Identifier, registry.Use{}); err != nil || v.Status != licence.StatusValid {
		t.Errorf("a licence of the retired type: %+v, %v", v, err)
	}
}

// TestCatalogueCrash: a licence that was reserved by one version is finished by it, though
// another was published since, or the type retired.
func TestCatalogueCrash(t *testing.T) {
	s := open(t)
	_, publisher, approval := keepers()
	published(t, s.Registry, typeFiles(t))
	dying := s.Config
	dying.Check = func(context.Context, *pdfsig.File, time.Time) error { return errors.New("killed here") }
	dead, err := registry.New(dying)
	must(t, err)
	must(t, dead.RefreshCatalogue(t.Context()))
	_, _, err = dead.Issue(t.Context(), approval, requestFor(t, "crash"))
	wantCode(t, "the crash", err, "unfinished")
	second := published(t, s.Registry, typeFiles(t, "编号：{number}", "证号：{number}"))
	_, _, err = s.RetireCatalogue(t.Context(), publisher, newType, second, reasoned())
	must(t, err)
	s.Move(registry.Lease + time.Second)
	finished, voided, err := s.Recover(t.Context())
	if err != nil || finished != 1 || voided != 0 {
		t.Fatalf("finished %d, voided %d, %v", finished, voided, err)
	}
	recs, err := s.Backend.NewestLicences(t.Context(), newType, "", 1)
	must(t, err)
	if recs[0].CatalogueVersion != 1 || recs[0].Status != licence.StatusValid {
		t.Errorf("finished by version %d, %s", recs[0].CatalogueVersion, recs[0].Status)
	}
	file, _, err := s.Download(t.Context(), approval, recs[0].Identifier, registry.Use{})
	must(t, err)
	passes(t, s, file)
}

// TestCatalogueShared: what one server publishes another uses after its next look, and not
// before; a version that is damaged in the database is used by nobody, and the one known
// before stays.
func TestCatalogueShared(t *testing.T) {
	s := open(t)
	_, _, approval := keepers()
	other, err := registry.New(s.Config)
	must(t, err)
	published(t, s.Registry, typeFiles(t))
	_, _, err = other.Issue(t.Context(), approval, requestFor(t, "before"))
	wantCode(t, "before the look", err, "invalid_request")
	must(t, other.RefreshCatalogue(t.Context()))
	_, _, err = other.Issue(t.Context(), approval, requestFor(t, "after"))
	must(t, err)
	second := published(t, s.Registry, typeFiles(t, "编号：{number}", "证号：{number}"))
	path, _ := databases.Load(s)
	db, err := sql.Open("sqlite", "file:"+path.(string))
	must(t, err)
	defer db.Close()
	for _, damage := range []string{`DROP TRIGGER catalogue_file_update`, `UPDATE catalogue_file SET content = CAST(replace(CAST(content AS TEXT), '证号', '假号') AS BLOB) WHERE version = 2`} {
		_, err = db.Exec(damage)
		must(t, err)
	}
	for range 2 { // and it is looked at again
		if err := other.RefreshCatalogue(t.Context()); err == nil || !strings.Contains(err.Error(), newType) || !strings.Contains(err.Error(), "not those that were imported") {
			t.Errorf("the damaged version %d: %v", second, err)
		}
	}
	issued, _, err := other.Issue(t.Context(), approval, requestFor(t, "damaged"))
	must(t, err)
	if rec, err := s.Backend.Licence(t.Context(), issued.Identifier); err != nil || rec.CatalogueVersion != 1 {
		t.Errorf("made by version %d, %v", rec.CatalogueVersion, err)
	}
}

// TestEnterCatalogue: a fresh register begins with what the program ships, published; a
// newer program's types come as drafts, once, and change nothing.
func TestEnterCatalogue(t *testing.T) {
	s := open(t)
	system := registry.System("set-up")
	shipped := []registry.CatalogueFiles{typeFiles(t), typeFiles(t)}
	shipped[1][licence.ItemFile] = bytes.ReplaceAll(shipped[1][licence.ItemFile], []byte(newType), []byte(newType[:18]+"991"))
	newer := []registry.CatalogueFiles{typeFiles(t, "编号：", "证号：")}
	for range 2 {
		must(t, s.EnterCatalogue(t.Context(), system, shipped))
	}
	for range 2 {
		must(t, s.EnterCatalogue(t.Context(), system, newer))
		must(t, s.EnterCatalogue(t.Context(), system, shipped)) // an older server beside it
	}
	all, _, err := s.Catalogue(t.Context(), system)
	must(t, err)
	var got []string
	for _, v := range all {
		got = append(got, v.TypeCode[18:]+" "+string(rune('0'+v.Version))+" "+string(v.Stage))
	}
	if want := "990 1 published, 990 2 draft, 991 1 published"; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// TestCatalogueRoles: who may see and change which type.
func TestCatalogueRoles(t *testing.T) {
	s := open(t)
	editor, publisher, approval := keepers()
	published(t, s.Registry, typeFiles(t))
	elsewhere := publisher
	elsewhere.Types = []string{"11100000000013338W901"}
	for name, do := range map[string]func() error{
		"approval imports": func() error {
			_, _, err := s.ImportCatalogue(t.Context(), approval, typeFiles(t), reasoned())
			return err
		},
		"approval publishes": func() error {
			_, _, err := s.PublishCatalogue(t.Context(), approval, newType, 1, reasoned())
			return err
		},
		"approval retires": func() error {
			_, _, err := s.RetireCatalogue(t.Context(), approval, newType, 1, reasoned())
			return err
		},
		"approval previews": func() error { _, _, err := s.PreviewCatalogue(t.Context(), approval, newType, 1); return err },
		"approval runs dry": func() error { _, _, err := s.DryRunCatalogue(t.Context(), approval, newType, 1, 1); return err },
		"another type imported": func() error {
			_, _, err := s.ImportCatalogue(t.Context(), elsewhere, typeFiles(t), reasoned())
			return err
		},
		"another type retired": func() error {
			_, _, err := s.RetireCatalogue(t.Context(), elsewhere, newType, 1, reasoned())
			return err
		},
		"another type read": func() error { _, _, _, err := s.CatalogueFiles(t.Context(), elsewhere, newType, 1); return err },
	} {
		wantCode(t, name, do(), "forbidden")
	}
	_, _, err := s.ImportCatalogue(t.Context(), editor, typeFiles(t), registry.CatalogueChange{Reason: "r"})
	wantCode(t, "no key", err, "idempotency_key_missing")
	_, _, err = s.ImportCatalogue(t.Context(), editor, typeFiles(t), registry.CatalogueChange{Key: "k"})
	wantCode(t, "no reason", err, "reason_missing")
	_, _, err = s.RetireCatalogue(t.Context(), editor, newType, 7, reasoned())
	wantCode(t, "a version that is not there", err, "not_found")
	v, files, _, err := s.CatalogueFiles(t.Context(), approval, newType, 0)
	if err != nil || v.Version != 1 || !maps.EqualFunc(files, typeFiles(t), bytes.Equal) {
		t.Errorf("read: %+v, %v", v, err)
	}
	all, _, err := s.Catalogue(t.Context(), elsewhere)
	if err != nil || len(all) != 0 {
		t.Errorf("lists %+v, %v", all, err)
	}
}

// TestCatalogueRefuses is a table of files that are no licence type; the fault names file,
// fault and, in a layout, the line.
func TestCatalogueRefuses(t *testing.T) {
	s := open(t)
	editor, _, _ := keepers()
	deep := strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)
	for _, w := range []struct {
		name, file, old, new string // an empty old: the whole file, an empty new besides: no file
		says                 string
	}{
		{"no item", licence.ItemFile, "", "", "item.json is missing"},
		{"no layout", registry.LayoutFile, "", "", "layout.json is missing"},
		{"not JSON", licence.ItemFile, "", "name: x", "item.json: "},
		{"schema not JSON", licence.SchemaFile, "", "<xml/>", "fields.schema.json: "},
		{"too deep", licence.SchemaFile, "", deep, "fields.schema.json: "},
		{"too large", licence.SchemaFile, "", strings.Repeat(" ", licence.MaxJSON) + "{}", "fields.schema.json: larger than"},
		{"recursion", licence.SchemaFile, `"type": "string",`, `"$ref": "#",`, `the keyword "$ref" is not supported`},
		{"another file", "../evil.json", "", "{}", "is no file of a licence type"},
		{"check character of the type code", licence.ItemFile, newType, "11100000000013338X990", "type"},
		{"a field that the schema lacks", registry.LayoutFile, "{fields.scope}", "{fields.area}", "layout.json:37: {fields.area} is no field of the licence type"},
		{"layout not JSON", registry.LayoutFile, `"pages": [`, `"pages": [}`, "layout.json:16: "},
		{"off the page", registry.LayoutFile, `"x": 48.5`, `"x": 480`, "layout.json:18: the element lies outside the page"},
		{"range", licence.ItemFile, `"3年"`, `"3 years"`, "validity_range"},
		{"two sequences", licence.ItemFile, "{sequence:6}", "{sequence:6}{sequence:6}", "number_rule"},
		{"category", licence.ItemFile, `"level": 1`, `"level": 1}, "holder_category": "自然人", "x": {"y": 1`, "item.json: "},
		{"example", registry.ExampleFile, "", `{"holder": {}, "fields": {"scope": 1}}`, "example.json: "},
		{"example not JSON", registry.ExampleFile, "", `[`, "example.json: "},
	} {
		files := typeFiles(t)
		if w.old != "" && !bytes.Contains(files[w.file], []byte(w.old)) {
			t.Fatalf("%s: %s lacks %s", w.name, w.file, w.old)
		}
		switch {
		case w.old != "":
			files[w.file] = bytes.Replace(files[w.file], []byte(w.old), []byte(w.new), 1)
		case w.new != "":
			files[w.file] = []byte(w.new)
		default:
			delete(files, w.file)
		}
		from := size(t, s)
		_, _, err := s.ImportCatalogue(t.Context(), editor, files, reasoned())
		if err == nil || !strings.Contains(err.Error(), w.says) || registry.Code(err) != "invalid_request" {
			t.Errorf("%s: %v, want %q", w.name, err, w.says)
		}
		wantTrail(t, s, from, "catalogue_import refused invalid_request")
	}
}

// TestNumbersExhausted: when the sequence has outgrown its digits nothing is reserved.
func TestNumbersExhausted(t *testing.T) {
	s := open(t)
	_, _, approval := keepers()
	published(t, s.Registry, typeFiles(t, "{sequence:6}", "{sequence:1}"))
	for i := range 9 {
		_, _, err := s.Issue(t.Context(), approval, requestFor(t, "n"+strings.Repeat("i", i)))
		must(t, err)
	}
	from := size(t, s)
	for range 2 {
		_, _, err := s.Issue(t.Context(), approval, requestFor(t, "one-too-many"))
		wantCode(t, "the tenth of nine", err, "numbers_exhausted")
	}
	wantTrail(t, s, from, "issue allowed", "issue refused numbers_exhausted", "issue allowed", "issue refused numbers_exhausted")
	if recs, err := s.Backend.NewestLicences(t.Context(), newType, "", 100); err != nil || len(recs) != 9 {
		t.Errorf("%d licences, %v", len(recs), err)
	}
}

// TestPreviewAndDryRun: a preview takes no number and is no licence; a dry run says what a
// draft would change, and keeps nothing.
func TestPreviewAndDryRun(t *testing.T) {
	s := open(t)
	editor, _, approval := keepers()
	published(t, s.Registry, typeFiles(t))
	issued, _, err := s.Issue(t.Context(), approval, requestFor(t, "one"))
	must(t, err)
	file, _, err := s.PreviewCatalogue(t.Context(), editor, newType, 0)
	must(t, err)
	if !bytes.HasPrefix(file, []byte("%PDF-")) {
		t.Errorf("the preview is %.20q", file)
	}
	if f, err := pdfsig.Read(file); err == nil && len(f.Signatures) > 0 {
		t.Error("the preview is signed")
	}
	for _, w := range []struct {
		name    string
		replace []string
		fault   string
		changes string
	}{
		{"nothing", nil, "", ""},
		{"fixed text", []string{"编号：{number}", "证号：{number}"}, "", "not printed any more: 编号：{number}; printed now: 证号：{number}"},
		{"form of a date", []string{"{issued_on|date}", "{issued_on}"}, "", "not printed any more: {issued_on|date}; printed now: {issued_on}"},
		{"size", []string{`"size": 15, "min": 8`, `"size": 14, "min": 8`}, "", "14 pt instead of 15: {effective_on|date}至{expires_on|date}; 14 pt instead of 15: {fields.economic_type}"},
		{"no room", []string{`"text": "{fields.scope}", "style": "value"`, `"text": "{fields.scope}{fields.scope}{fields.scope}{fields.scope}", "style": "title"`}, "fields.scope does_not_fit", ""},
		{"schema", []string{`"economic_type",`, `"economic_type", "sector",`, `"scope": {`, `"sector": {"title": "行业", "type": "string", "maxLength": 20}, "scope": {`}, "fields.sector missing", ""},
	} {
		draft, _, err := s.ImportCatalogue(t.Context(), editor, typeFiles(t, w.replace...), reasoned())
		must(t, err)
		from := size(t, s)
		runs, _, err := s.DryRunCatalogue(t.Context(), editor, newType, draft.Version, 5)
		must(t, err)
		wantTrail(t, s, from, "catalogue_dry_run allowed")
		if len(runs) != 1 || runs[0].Identifier != issued.Identifier || runs[0].MadeBy != 1 {
			t.Fatalf("%s: %+v", w.name, runs)
		}
		var faults []string
		for _, f := range runs[0].Faults {
			faults = append(faults, f.Field+" "+f.Code)
		}
		if got := strings.Join(faults, "; "); got != w.fault {
			t.Errorf("%s: faults %q, want %q", w.name, got, w.fault)
		}
		if got := strings.Join(runs[0].Changes, "; "); !strings.HasPrefix(got, w.changes) || w.changes == "" && got != "" {
			t.Errorf("%s: changes %q, want %q", w.name, got, w.changes)
		}
		for _, value := range []string{"浙江", "91330"} {
			if strings.Contains(strings.Join(runs[0].Changes, ""), value) {
				t.Errorf("%s: the report holds a value of the licence: %v", w.name, runs[0].Changes)
			}
		}
	}
	_, _, err = s.DryRunCatalogue(t.Context(), editor, newType, 1, registry.MaxDryRun+1)
	wantCode(t, "too many", err, "invalid_request")
	if recs, err := s.Backend.NewestLicences(t.Context(), newType, "", 100); err != nil || len(recs) != 1 {
		t.Errorf("%d licences, %v", len(recs), err)
	}
	next, _, err := s.Issue(t.Context(), approval, requestFor(t, "two"))
	if err != nil || strings.TrimSuffix(issued.Number, "000001") != strings.TrimSuffix(next.Number, "000002") {
		t.Errorf("numbers %s and %s, %v", issued.Number, next.Number, err)
	}
}
