package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/registry"
)

func testIssue(t *testing.T, b Backend) {
	valid := record(3)
	valid.Status, valid.File = licence.StatusValid, file(3)
	insert(t, b, record(1), record(2), valid)
	issued := registry.Change{Reason: "issued", CaseNumber: "c1", At: after(time.Second)}
	for _, c := range []struct {
		name string
		id   licence.Identifier
		file registry.File
		want error
	}{
		{"pending", identifier(1), file(1), nil},
		{"again", identifier(1), file(2), licence.ErrWrongStatus},
		{"valid", identifier(3), file(4), licence.ErrWrongStatus},
		{"file of another licence", identifier(2), file(1), licence.ErrNotFound},
		{"unknown licence", identifier(4), file(5), licence.ErrNotFound},
	} {
		err := rerun(t.Context(), b, func(tx Tx) error { return tx.Issue(t.Context(), c.id, c.file, issued) })
		wantError(t, c.name, err, c.want)
	}
	want := record(1)
	want.Status, want.StatusReason, want.StatusAt, want.File = licence.StatusValid, issued.Reason, issued.At, file(1)
	for _, want := range []registry.Record{want, record(2), valid} {
		got, err := b.Licence(t.Context(), want.Identifier)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("%s differs (got, want): %v\n%s", want.Identifier, err, diff)
		}
	}
	wantFiled(t, "files of what was not issued", b, nil, file(2), file(4), file(5))
	past, err := b.StatusAsOf(t.Context(), identifier(1), issued.At)
	if err != nil || past.Status != licence.StatusValid {
		t.Errorf("status in the history: %+v, %v", past, err)
	}
}
