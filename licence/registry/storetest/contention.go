package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"elicence/audit"
	"elicence/licence"
)

func testConflict(t *testing.T, b Backend) {
	change(t, b, func(tx Tx) error { return appendTo(t.Context(), tx, "log", 0, 3) })
	for _, c := range []struct {
		name     string
		from, to uint64
		ignore   bool
	}{
		{"last index taken", 2, 4, false},
		{"all taken", 0, 3, false},
		{"ignored by the caller", 2, 4, true},
	} {
		err := b.Batch(t.Context(), func(tx audit.Tx) error {
			if err := tx.(Tx).InsertLicence(t.Context(), record(1)); err != nil {
				return err
			}
			if err := appendTo(t.Context(), tx.(Tx), "log", c.from, c.to); !c.ignore {
				return err
			}
			return nil
		})
		wantError(t, c.name, err, audit.ErrConflict)
	}
	_, err := b.Licence(t.Context(), identifier(1))
	wantError(t, "licence of a batch that lost", err, licence.ErrNotFound)
	got, err := b.Head(t.Context(), "log")
	wantHead(t, "head", got, err, head(3))
	if rows := stored(t, b, "log", 0, 10); len(rows) != 3 {
		t.Errorf("%d rows, want 3", len(rows))
	}
}

// testWriters appends from several sides, each to the head that it saw: no entry
// may be lost, doubled or out of order.
func testWriters(t *testing.T, b Backend) {
	const writers, rounds = 5, 12
	parallel(t, writers, func(i int) error {
		for round := range rounds {
			err := rerun(t.Context(), b, func(tx Tx) error {
				h, err := tx.Head(t.Context(), "log")
				if err != nil {
					return err
				}
				if err := appendTo(t.Context(), tx, "log", h.Size, h.Size+2); err != nil {
					return err
				}
				return tx.InsertLicence(t.Context(), record(100*i+round))
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	const n = 2 * writers * rounds
	got, err := b.Head(t.Context(), "log")
	wantHead(t, "head", got, err, head(n))
	for i, r := range stored(t, b, "log", 0, math.MaxUint64) {
		if diff := cmp.Diff(r, row(uint64(i))); diff != "" {
			t.Fatalf("row %d differs (got, want):\n%s", i, diff)
		}
	}
	for i := range writers {
		for round := range rounds {
			if _, err := b.Licence(t.Context(), identifier(100*i+round)); err != nil {
				t.Errorf("licence of writer %d: %v", i, err)
			}
		}
	}
}

// testCancelled ends the context inside a batch: nothing is stored, not even what
// the caller goes on to write, and the store remains usable.
func testCancelled(t *testing.T, b Backend) {
	ctx, cancel := context.WithCancel(t.Context())
	err := b.Batch(ctx, func(tx audit.Tx) error {
		if err := write(ctx, tx.(Tx)); err != nil {
			t.Errorf("before the end: %v", err)
		}
		cancel()
		if err := tx.(Tx).InsertLicence(ctx, record(2)); err == nil {
			t.Error("a cancelled context was ignored")
		}
		_ = tx.(Tx).InsertLicence(t.Context(), record(3)) // nor may this slip out of the transaction
		return nil
	})
	if err == nil {
		t.Error("the batch committed")
	}
	wantNothing(t, b)
	for n := range 4 {
		_, err := b.Licence(t.Context(), identifier(n))
		wantError(t, fmt.Sprintf("licence %d", n), err, licence.ErrNotFound)
	}
	if err := b.Batch(ctx, func(audit.Tx) error { return nil }); err == nil {
		t.Error("a batch began with a cancelled context")
	}
	change(t, b, func(tx Tx) error { return write(t.Context(), tx) })
}

// testCallerGone ends the context of one caller of a batch: its own changes are
// undone, and those of the others commit.
func testCallerGone(t *testing.T, b Backend) {
	change(t, b, func(tx Tx) error {
		ctx, cancel := context.WithCancel(t.Context())
		err := tx.Savepoint(ctx, func() error {
			if err := tx.InsertLicence(ctx, record(1)); err != nil {
				return err
			}
			cancel()
			return tx.InsertLicence(ctx, record(2))
		})
		wantError(t, "savepoint of the caller who is gone", err, context.Canceled)
		return errors.Join(tx.InsertLicence(t.Context(), record(3)), appendTo(t.Context(), tx, "log", 0, 2))
	})
	for n, want := range map[int]error{1: licence.ErrNotFound, 2: licence.ErrNotFound, 3: nil} {
		_, err := b.Licence(t.Context(), identifier(n))
		wantError(t, fmt.Sprintf("licence %d", n), err, want)
	}
}
