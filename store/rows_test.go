package store_test

import (
	"bytes"
	"errors"
	"testing"

	"elicence/audit"
)

// TestRows appends rows, few and many, in one call and in several of one transaction, and reads
// all of them back.
func TestRows(t *testing.T) {
	t.Parallel()
	for _, open := range engines {
		e := open(t)
		t.Run(e.name, func(t *testing.T) {
			db := migrated(t, e)
			var want []audit.Row
			for _, calls := range [][]int{{1}, {64, 64, 1}, {3, 500}} {
				batch := append(calls[:len(calls):len(calls)], 0) // the head comes with nothing
				must(t, db.Batch(t.Context(), func(tx audit.Tx) error {
					for i, n := range batch {
						rows := rowsFrom(len(want), n)
						want = append(want, rows...)
						if err := tx.Append(t.Context(), "log", rows, nil, headOf(len(want), i == len(batch)-1)); err != nil {
							return err
						}
					}
					return nil
				}))
			}
			sameRows(t, db, want)
			const n = 32
			err := db.Batch(t.Context(), func(tx audit.Tx) error {
				return tx.Append(t.Context(), "log", rowsFrom(len(want)-1, n), nil, headOf(len(want)+n-1, true))
			})
			if !errors.Is(err, audit.ErrConflict) {
				t.Errorf("%d rows, the first of them taken: %v", n, err)
			}
			takenBack(t, db, len(want), n)
			sameRows(t, db, want)
		})
	}
}

// takenBack appends rows in a savepoint that is rolled back, and what comes after it stands.
func takenBack(t *testing.T, db backend, at, n int) {
	t.Helper()
	must(t, db.Batch(t.Context(), func(tx audit.Tx) error {
		refused := errors.New("refused")
		err := tx.Savepoint(t.Context(), func() error {
			if err := tx.Append(t.Context(), "log", rowsFrom(at, n), nil, headOf(at+n, true)); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) {
			return err
		}
		return tx.PutCosigned(t.Context(), "log", audit.Cosigned{Size: uint64(at), Checkpoint: []byte("note")})
	}))
}

// rowsFrom are rows of different lengths; every third has no opening.
func rowsFrom(at, n int) []audit.Row {
	rows := make([]audit.Row, n)
	for i := range rows {
		index := at + i
		rows[i] = audit.Row{Index: uint64(index), Record: bytes.Repeat([]byte{byte(index)}, 1+index*7%600), Leaf: digest(byte(index)),
			Keys: []audit.Key{{Kind: audit.KeyPrincipal, Value: "p"}, {Kind: audit.KeyAction, Value: "a"}}}
		if index%3 > 0 {
			rows[i].Opening = bytes.Repeat([]byte("opening"), 1+index%50)
		}
	}
	return rows
}

// headOf is a head of so many entries; the zero Head where more follows.
func headOf(size int, last bool) audit.Head {
	if !last {
		return audit.Head{}
	}
	return audit.Head{Size: uint64(size), Checkpoint: []byte("note")}
}

func sameRows(t *testing.T, db backend, want []audit.Row) {
	t.Helper()
	at := 0
	must(t, db.Rows(t.Context(), "log", 0, 1<<40, func(r audit.Row) error {
		if at >= len(want) {
			t.Fatalf("%d rows were appended; there is row %d", len(want), r.Index)
		}
		if w := want[at]; r.Index != w.Index || !bytes.Equal(r.Record, w.Record) || r.Leaf != w.Leaf || !bytes.Equal(r.Opening, w.Opening) {
			t.Fatalf("row %d is not what was appended", at)
		}
		at++
		return nil
	}))
	if at != len(want) {
		t.Fatalf("%d rows, want %d", at, len(want))
	}
	found, err := db.Keyed(t.Context(), "log", audit.Key{Kind: audit.KeyPrincipal, Value: "p"}, 1<<40, 1)
	must(t, err)
	if len(found) != 1 || found[0] != uint64(len(want)-1) {
		t.Fatalf("the newest row by its key: %v, want %d", found, len(want)-1)
	}
}
