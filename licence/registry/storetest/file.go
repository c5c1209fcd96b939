package storetest

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/registry"
)

func testFiles(t *testing.T, b Backend) {
	insert(t, b, record(1), record(2))
	first, upgraded := file(1), file(2)
	upgraded.RangeDigest, upgraded.Timestamped, upgraded.TimestampedAt = first.RangeDigest, true, after(time.Minute)

	wantFiled(t, "unknown file", b, nil, first)

	for _, step := range []struct {
		name    string
		set     registry.File
		current []registry.File // every file on record after the step
	}{
		{"first file", first, []registry.File{first}},
		{"upgraded file", upgraded, []registry.File{first, upgraded}},
		{"first file again", first, []registry.File{first, upgraded}},
	} {
		change(t, b, func(tx Tx) error { return tx.SetFile(t.Context(), identifier(1), step.set) })
		rec := record(1)
		rec.File = step.set
		var want []registry.Filed
		for _, f := range step.current {
			want = append(want, registry.Filed{Record: rec, File: f})
			wantFiled(t, step.name, b, want[len(want)-1:], f)
		}
		wantFiled(t, step.name+", all", b, want, append(step.current, file(9))...)
	}

	for name, id := range map[string]licence.Identifier{"file of another licence": identifier(2), "unknown licence": identifier(3)} {
		err := rerun(t.Context(), b, func(tx Tx) error { return tx.SetFile(t.Context(), id, first) })
		wantError(t, name, err, licence.ErrNotFound)
	}
}

// testManyFiles asks for more files than one statement does.
func testManyFiles(t *testing.T, b Backend) {
	var files []registry.File
	var want []registry.Filed
	for i := range 40 {
		rec := record(i)
		rec.File = file(i)
		insert(t, b, record(i))
		change(t, b, func(tx Tx) error { return tx.SetFile(t.Context(), rec.Identifier, rec.File) })
		files, want = append(files, rec.File), append(want, registry.Filed{Record: rec, File: rec.File})
	}
	wantFiled(t, "all files", b, want, files...)
	wantFiled(t, "no file", b, nil)
}

// wantFiled fails unless the licences of files, by their digests, are those in want, in any
// order.
func wantFiled(t *testing.T, name string, b Backend, want []registry.Filed, files ...registry.File) {
	t.Helper()
	var digests []string
	for _, f := range files {
		digests = append(digests, string(f.Digest[:]))
	}
	got, err := b.LicencesByFile(t.Context(), digests)
	byDigest := func(x, y registry.Filed) int { return bytes.Compare(x.File.Digest[:], y.File.Digest[:]) }
	slices.SortFunc(got, byDigest)
	slices.SortFunc(want, byDigest)
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("%s: licences by file differ (got, want): %v\n%s", name, err, diff)
	}
}
