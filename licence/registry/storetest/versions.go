package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/registry"
)

// version is the v-th version of record n, pending, that amends the one before.
func version(n, v int) registry.Record {
	r := record(n)
	id := func(v int) licence.Identifier {
		return licence.Identifier(fmt.Sprintf("%s%03d.X", r.Identifier[:len(r.Identifier)-len("001.X")], v))
	}
	r.Identifier, r.Supersedes, r.Version, r.Operation = id(v), id(v-1), v, licence.OpAmend
	r.DataDigest = digest(1000*v + n)
	return r
}

func testVersions(t *testing.T, b Backend) {
	first, second, third := record(1), version(1, 2), version(1, 3)
	third.Supersedes = first.Identifier // the second is given up
	insert(t, b, first, record(2), record(11))
	move := func(r registry.Record, to licence.Status, at time.Duration) {
		t.Helper()
		change(t, b, func(tx Tx) error {
			rec, err := tx.Licence(t.Context(), r.Identifier)
			if err != nil {
				return err
			}
			return tx.SetStatus(t.Context(), r.Identifier, []licence.Status{rec.Status}, to, registry.Change{Reason: "r", CaseNumber: "c", At: after(at)})
		})
	}
	last := func(id licence.Identifier, want registry.Version) {
		t.Helper()
		change(t, b, func(tx Tx) error {
			got, err := tx.LastVersion(t.Context(), id)
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("last version of %s (got, want):\n%s", id, diff)
			}
			return err
		})
	}
	links := func(id licence.Identifier, supersedes, by licence.Identifier) {
		t.Helper()
		got, err := b.Licence(t.Context(), id)
		if err != nil || got.Supersedes != supersedes || got.SupersededBy != by {
			t.Errorf("%s supersedes %q and is superseded by %q, want %q and %q: %v", id, got.Supersedes, got.SupersededBy, supersedes, by, err)
		}
	}
	insertVersion := func(r registry.Record) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.InsertVersion(t.Context(), r) })
	}
	move(first, licence.StatusValid, time.Second)
	last(first.Identifier, registry.Version{Identifier: first.Identifier, Status: licence.StatusValid})
	wantError(t, "second version, its number made anew", rerun(t.Context(), b, func(tx Tx) error { return tx.InsertLicence(t.Context(), second) }), licence.ErrNumberTaken)
	wantError(t, "second version", insertVersion(second), nil)
	wantError(t, "second version again", insertVersion(second), licence.ErrNumberTaken)
	wantError(t, "another in place of the same", insertVersion(third), licence.ErrNumberTaken)
	last(first.Identifier, registry.Version{Identifier: second.Identifier, Status: licence.StatusPending})
	links(first.Identifier, "", "")
	links(second.Identifier, first.Identifier, "")
	if got, err := b.Licence(t.Context(), second.Identifier); err != nil || cmp.Diff(got, second) != "" {
		t.Errorf("second version (got, want): %v\n%s", err, cmp.Diff(got, second))
	}

	move(second, licence.StatusVoided, time.Minute)
	links(first.Identifier, "", "")
	wantError(t, "third version, the second voided", insertVersion(third), nil)
	move(first, licence.StatusSuperseded, time.Hour)
	move(third, licence.StatusValid, time.Hour)
	links(first.Identifier, "", third.Identifier)
	links(third.Identifier, first.Identifier, "")
	move(third, licence.StatusRevoked, 2*time.Hour)
	links(first.Identifier, "", third.Identifier)

	want := []registry.Version{{Identifier: first.Identifier, Status: licence.StatusSuperseded},
		{Identifier: second.Identifier, Status: licence.StatusVoided}, {Identifier: third.Identifier, Status: licence.StatusRevoked}}
	for _, id := range []licence.Identifier{first.Identifier, second.Identifier, third.Identifier} {
		got, err := b.Versions(t.Context(), id)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("versions (got, want): %v\n%s", err, diff)
		}
		last(id, want[2])
	}
	if got, err := b.Versions(t.Context(), identifier(3)); err != nil || len(got) != 0 {
		t.Errorf("versions of an unknown licence: %v, %v", got, err)
	}
	wantError(t, "last version of an unknown licence", rerun(t.Context(), b, func(tx Tx) error { _, err := tx.LastVersion(t.Context(), identifier(3)); return err }), licence.ErrNotFound)

	past := []registry.Past{
		{Status: licence.StatusRevoked, Change: registry.Change{Reason: "r", CaseNumber: "c", At: after(2 * time.Hour)}},
		{Status: licence.StatusValid, Change: registry.Change{Reason: "r", CaseNumber: "c", At: after(time.Hour)}},
		{Status: licence.StatusPending, Change: registry.Change{Reason: "reserved", CaseNumber: "2026-0301", At: base}},
	}
	for _, n := range []int{2, 3, 100} {
		got, err := b.History(t.Context(), third.Identifier, n)
		if diff := cmp.Diff(got, past[:min(n, 3)]); err != nil || diff != "" {
			t.Errorf("history of %d (got, want): %v\n%s", n, err, diff)
		}
	}
	if got, err := b.StatusAsOf(t.Context(), third.Identifier, after(90*time.Minute)); err != nil || cmp.Diff(got, past[1]) != "" {
		t.Errorf("status as of: %+v, %v", got, err)
	}
	query := registry.Query{Holder: first.Holder, Issued: true, AsOf: after(time.Minute)}
	if got, err := b.Search(t.Context(), query); err != nil || cmp.Diff(identifiers(got), []licence.Identifier{first.Identifier}) != "" {
		t.Errorf("issued after a minute: %v, %v", identifiers(got), err)
	}
	query.AsOf = after(time.Hour)
	if got, err := b.Search(t.Context(), query); err != nil || cmp.Diff(identifiers(got), []licence.Identifier{third.Identifier, first.Identifier}) != "" {
		t.Errorf("issued after an hour: %v, %v", identifiers(got), err)
	}
}

func testFileAsOf(t *testing.T, b Backend) {
	insert(t, b, record(1), record(2))
	early, late := file(1), file(2)
	late.CreatedAt = after(time.Hour)
	for _, f := range []registry.File{early, late} {
		change(t, b, func(tx Tx) error { return tx.SetFile(t.Context(), identifier(1), f) })
	}
	for _, c := range []struct {
		id   licence.Identifier
		at   time.Time
		want registry.File
		err  error
	}{
		{identifier(1), base, registry.File{}, licence.ErrNotFound},
		{identifier(1), early.CreatedAt, early, nil},
		{identifier(1), late.CreatedAt.Add(-1), early, nil},
		{identifier(1), late.CreatedAt, late, nil},
		{identifier(2), late.CreatedAt, registry.File{}, licence.ErrNotFound},
	} {
		got, err := b.FileAsOf(t.Context(), c.id, c.at)
		if diff := cmp.Diff(got, c.want); diff != "" {
			t.Errorf("file of %s at %s (got, want):\n%s", c.id, c.at, diff)
		}
		wantError(t, "file as of "+c.at.String(), err, c.err)
	}
}
