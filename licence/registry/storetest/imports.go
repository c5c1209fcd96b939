package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/registry"
)

// testImports: what came with a licence of another platform, the newest counting; and what
// such a licence is left out of.
func testImports(t *testing.T, b Backend) {
	external, own := record(1), record(2)
	external.Status, external.Importer, external.File = licence.StatusValid, "11440300MB2C92008M", file(1)
	own.Status, own.File = licence.StatusValid, file(2)
	insert(t, b, external, own)
	_, err := b.Import(t.Context(), external.Identifier)
	wantError(t, "before it came", err, licence.ErrNotFound)

	first := registry.Import{Identifier: external.Identifier, At: base, Platform: "外省", Existing: true, Verdict: registry.ImportNoFile}
	later := registry.Import{Identifier: external.Identifier, At: base, Given: "闽证字1号", Override: "已核实", Verdict: registry.ImportInvalid, Report: []byte(`{}`)}
	for _, i := range []registry.Import{first, later} {
		change(t, b, func(tx Tx) error { return tx.InsertImport(t.Context(), i) })
		got, err := b.Import(t.Context(), external.Identifier)
		if len(got.Report) == 0 {
			got.Report = nil
		}
		if diff := cmp.Diff(got, i); err != nil || diff != "" {
			t.Errorf("import (got, want): %v\n%s", err, diff)
		}
	}
	_, err = b.Import(t.Context(), own.Identifier)
	wantError(t, "of our own", err, licence.ErrNotFound)

	rec, err := b.Licence(t.Context(), external.Identifier)
	if err != nil || rec.Importer != external.Importer {
		t.Errorf("importer %q, %v", rec.Importer, err)
	}
	untimestamped, err := b.Untimestamped(t.Context(), 10)
	if diff := cmp.Diff(untimestamped, []licence.Identifier{own.Identifier}); err != nil || diff != "" {
		t.Errorf("without timestamp (got, want): %v\n%s", err, diff)
	}
	newest, err := b.NewestLicences(t.Context(), typeCode, "", 10)
	if err != nil || len(newest) != 1 || newest[0].Identifier != own.Identifier {
		t.Errorf("newest: %d, %v", len(newest), err)
	}
	q := registry.CountQuery{Types: []string{typeCode}, Division: "440300", From: day("2020-01-01"), To: day("2029-01-01"), Today: day("2026-03-01"), Soon: day("2026-03-31")}
	counts, err := b.Counts(t.Context(), q)
	origins := map[string]int64{}
	for _, c := range counts {
		origins[c.Measure+c.Origin] += c.Count
	}
	if err != nil || origins["issued"] != 1 || origins["issuedexternal"] != 1 {
		t.Errorf("counts by origin: %v, %v", origins, err)
	}
	lost := registry.Import{Identifier: identifier(9), At: base.Add(time.Hour)}
	if err := rerun(t.Context(), b, func(tx Tx) error { return tx.InsertImport(t.Context(), lost) }); err == nil {
		t.Error("an import of a licence that there is none of is stored")
	}
}
