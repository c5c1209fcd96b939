package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/registry"
)

func testCatalogue(t *testing.T, b Backend) {
	version := func(code string, n int, stage registry.Stage) registry.CatalogueVersion {
		return registry.CatalogueVersion{TypeCode: code, Version: n, Stage: stage, Name: "样例证", Digest: digest(n), ImportedBy: "甲", ImportedAt: base,
			ChangedBy: "甲", ChangedAt: base, Reason: "新设"}
	}
	files := registry.CatalogueFiles{"item.json": []byte("{}"), "layout.json": []byte("[]")}
	insert := func(v registry.CatalogueVersion) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.InsertCatalogueVersion(t.Context(), v, files) })
	}
	move := func(n int, from, to registry.Stage) error {
		return rerun(t.Context(), b, func(tx Tx) error {
			return tx.MoveCatalogueVersion(t.Context(), typeCode, n, from, to, "乙", "发布", after(time.Hour))
		})
	}
	counted := func(want int64) {
		t.Helper()
		if n, err := b.CatalogueChange(t.Context()); err != nil || n != want {
			t.Errorf("%d changes, %v; want %d", n, err, want)
		}
	}
	counted(0)
	first, second, other := version(typeCode, 1, registry.StageDraft), version(typeCode, 2, registry.StageDraft), version("B", 1, registry.StagePublished)
	for _, v := range []registry.CatalogueVersion{second, first, other} {
		wantError(t, "inserting", insert(v), nil)
	}
	wantError(t, "inserting again", insert(first), registry.ErrVersionTaken)
	counted(3)
	wantError(t, "publishing", move(1, registry.StageDraft, registry.StagePublished), nil)
	wantError(t, "publishing twice", move(1, registry.StageDraft, registry.StagePublished), registry.ErrWrongStage)
	wantError(t, "moving what is not there", move(3, registry.StageDraft, registry.StagePublished), registry.ErrWrongStage)
	wantError(t, "a second published one", insert(version(typeCode, 3, registry.StagePublished)), registry.ErrVersionTaken)
	if err := move(2, registry.StageDraft, registry.StagePublished); err == nil {
		t.Error("two versions of a type are published")
	}
	counted(4)
	first.Stage, first.ChangedBy, first.ChangedAt, first.Reason = registry.StagePublished, "乙", after(time.Hour), "发布"
	for of, want := range map[string][]registry.CatalogueVersion{"": {first, second, other}, typeCode: {first, second}, "B": {other}, "C": nil} {
		got, err := b.CatalogueVersions(t.Context(), of)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("versions of %q: %v\n%s", of, err, diff)
		}
	}
	got, err := b.CatalogueFiles(t.Context(), typeCode, 2)
	if diff := cmp.Diff(got, files); err != nil || diff != "" {
		t.Errorf("files: %v\n%s", err, diff)
	}
	_, err = b.CatalogueFiles(t.Context(), typeCode, 3)
	wantError(t, "files of what is not there", err, licence.ErrNotFound)
}

func testNewestLicences(t *testing.T, b Backend) {
	for n := 1; n <= 4; n++ {
		r := record(n)
		r.CreatedAt = after(time.Duration(n) * time.Minute)
		if n == 2 {
			r.Division = "330100"
		}
		change(t, b, func(tx Tx) error {
			if err := tx.InsertLicence(t.Context(), r); err != nil || n == 4 { // the fourth has no file
				return err
			}
			return tx.SetFile(t.Context(), r.Identifier, file(n))
		})
	}
	for _, w := range []struct {
		division string
		limit    int
		want     []licence.Identifier
	}{
		{"", 9, []licence.Identifier{identifier(3), identifier(2), identifier(1)}},
		{"", 1, []licence.Identifier{identifier(3)}},
		{"440300", 9, []licence.Identifier{identifier(3), identifier(1)}},
		{"330106", 9, nil},
	} {
		found, err := b.NewestLicences(t.Context(), typeCode, w.division, w.limit)
		var got []licence.Identifier
		for _, r := range found {
			got = append(got, r.Identifier)
		}
		if diff := cmp.Diff(got, w.want); err != nil || diff != "" {
			t.Errorf("%+v: %v\n%s", w, err, diff)
		}
	}
}
