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

// chain moves the versions of one licence and looks at them.
type chain struct {
	*testing.T
	Backend
}

func (c chain) move(r registry.Record, to licence.Status, at time.Duration) {
	c.Helper()
	change(c.T, c.Backend, func(tx Tx) error {
		rec, err := tx.Licence(c.Context(), r.Identifier)
		if err != nil {
			return err
		}
		return tx.SetStatus(c.Context(), r.Identifier, []licence.Status{rec.Status}, to, registry.Change{Reason: "r", CaseNumber: "c", At: after(at)})
	})
}

func (c chain) last(id licence.Identifier, want registry.Version) {
	c.Helper()
	change(c.T, c.Backend, func(tx Tx) error {
		got, err := tx.LastVersion(c.Context(), id)
		if diff := cmp.Diff(got, want); diff != "" {
			c.Errorf("last version of %s (got, want):\n%s", id, diff)
		}
		return err
	})
}

func (c chain) links(id licence.Identifier, supersedes, by licence.Identifier) {
	c.Helper()
	got, err := c.Licence(c.Context(), id)
	if err != nil || got.Supersedes != supersedes || got.SupersededBy != by {
		c.Errorf("%s supersedes %q and is superseded by %q, want %q and %q: %v", id, got.Supersedes, got.SupersededBy, supersedes, by, err)
	}
}

// testVersions supersedes a licence by its third version, after the second was given up.
func testVersions(t *testing.T, b Backend) {
	first, second, third := record(1), version(1, 2), version(1, 3)
	third.Supersedes = first.Identifier
	insert(t, b, first, record(2), record(11))
	c := chain{t, b}
	insertVersion := func(r registry.Record) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.InsertVersion(t.Context(), r) })
	}
	c.move(first, licence.StatusValid, time.Second)
	c.last(first.Identifier, registry.Version{Identifier: first.Identifier, Status: licence.StatusValid})
	wantError(t, "second version, its number made anew", rerun(t.Context(), b, func(tx Tx) error { return tx.InsertLicence(t.Context(), second) }), licence.ErrNumberTaken)
	wantError(t, "second version", insertVersion(second), nil)
	wantError(t, "second version again", insertVersion(second), licence.ErrNumberTaken)
	wantError(t, "another in place of the same", insertVersion(third), licence.ErrNumberTaken)
	c.last(first.Identifier, registry.Version{Identifier: second.Identifier, Status: licence.StatusPending})
	c.links(first.Identifier, "", "")
	c.links(second.Identifier, first.Identifier, "")
	if got, err := b.Licence(t.Context(), second.Identifier); err != nil || cmp.Diff(got, second) != "" {
		t.Errorf("second version (got, want): %v\n%s", err, cmp.Diff(got, second))
	}

	c.move(second, licence.StatusVoided, time.Minute)
	c.links(first.Identifier, "", "")
	wantError(t, "third version, the second voided", insertVersion(third), nil)
	c.move(first, licence.StatusSuperseded, time.Hour)
	c.move(third, licence.StatusValid, time.Hour)
	c.links(first.Identifier, "", third.Identifier)
	c.links(third.Identifier, first.Identifier, "")
	c.move(third, licence.StatusRevoked, 2*time.Hour)
	c.links(first.Identifier, "", third.Identifier)
	testChain(c, first, second, third)
	testPast(c, first, third)
}

// testChain reads the versions of a licence from each of them.
func testChain(c chain, first, second, third registry.Record) {
	want := []registry.Version{{Identifier: first.Identifier, Status: licence.StatusSuperseded},
		{Identifier: second.Identifier, Status: licence.StatusVoided}, {Identifier: third.Identifier, Status: licence.StatusRevoked}}
	for _, id := range []licence.Identifier{first.Identifier, second.Identifier, third.Identifier} {
		got, err := c.Versions(c.Context(), id)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			c.Errorf("versions (got, want): %v\n%s", err, diff)
		}
		c.last(id, want[2])
	}
	if got, err := c.Versions(c.Context(), identifier(3)); err != nil || len(got) != 0 {
		c.Errorf("versions of an unknown licence: %v, %v", got, err)
	}
	wantError(c.T, "last version of an unknown licence", rerun(c.Context(), c.Backend, func(tx Tx) error { _, err := tx.LastVersion(c.Context(), identifier(3)); return err }), licence.ErrNotFound)
}

// testPast reads what the third version was before, and what a holder had when.
func testPast(c chain, first, third registry.Record) {
	past := []registry.Past{
		{Status: licence.StatusRevoked, Change: registry.Change{Reason: "r", CaseNumber: "c", At: after(2 * time.Hour)}},
		{Status: licence.StatusValid, Change: registry.Change{Reason: "r", CaseNumber: "c", At: after(time.Hour)}},
		{Status: licence.StatusPending, Change: registry.Change{Reason: "reserved", CaseNumber: "2026-0301", At: base}},
	}
	for _, n := range []int{2, 3, 100} {
		got, err := c.History(c.Context(), third.Identifier, n)
		if diff := cmp.Diff(got, past[:min(n, 3)]); err != nil || diff != "" {
			c.Errorf("history of %d (got, want): %v\n%s", n, err, diff)
		}
	}
	if got, err := c.StatusAsOf(c.Context(), third.Identifier, after(90*time.Minute)); err != nil || cmp.Diff(got, past[1]) != "" {
		c.Errorf("status as of: %+v, %v", got, err)
	}
	query := registry.Query{Holder: first.Holder, Issued: true, AsOf: after(time.Minute)}
	if got, err := c.Search(c.Context(), query); err != nil || cmp.Diff(identifiers(got), []licence.Identifier{first.Identifier}) != "" {
		c.Errorf("issued after a minute: %v, %v", identifiers(got), err)
	}
	query.AsOf = after(time.Hour)
	if got, err := c.Search(c.Context(), query); err != nil || cmp.Diff(identifiers(got), []licence.Identifier{third.Identifier, first.Identifier}) != "" {
		c.Errorf("issued after an hour: %v, %v", identifiers(got), err)
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
