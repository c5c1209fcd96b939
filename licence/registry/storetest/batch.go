package storetest

import (
	"bytes"
	stdcmp "cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/transparency-dev/merkle/compact"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
)

// row is an entry of a log; odd ones have no opening.
func row(n uint64) audit.Row {
	r := audit.Row{Index: n, Record: fmt.Appendf(nil, "record %d \x00", n), Leaf: digest(int(n))}
	if n%2 == 0 {
		r.Opening = fmt.Appendf(nil, "opening %d", n)
	}
	return r
}

// head is the head of a log of n rows.
func head(n uint64) audit.Head {
	h := audit.Head{Size: n, LastLeaf: row(n - 1).Leaf, LastRecord: row(n - 1).Record, Checkpoint: fmt.Appendf(nil, "note %d", n)}
	for i := range n % 3 {
		hash := digest(int(i))
		h.Range = append(h.Range, hash[:])
	}
	return h
}

// appendTo appends rows from index from to index to, the first on its own when there are
// more.
func appendTo(ctx context.Context, tx Tx, logID string, from, to uint64) error {
	var rows []audit.Row
	for n := from; n < to; n++ {
		rows = append(rows, row(n))
	}
	if len(rows) > 1 {
		if err := tx.Append(ctx, logID, rows[:1], nodes(from, from+1), audit.Head{}); err != nil {
			return err
		}
		from, rows = from+1, rows[1:]
	}
	return tx.Append(ctx, logID, rows, nodes(from, to), head(to))
}

// nodes are those that rows from index from to index to complete.
func nodes(from, to uint64) (all []audit.Node) {
	for n := from; n < to; n++ {
		for level := uint(1); (n+1)%(1<<level) == 0; level++ {
			all = append(all, node(level, n>>level))
		}
	}
	return all
}

func node(level uint, index uint64) audit.Node {
	return audit.Node{NodeID: compact.NewNodeID(level, index), Hash: digest(int(level)<<20 + int(index))}
}

// stored reads the rows of a log in a range.
func stored(t *testing.T, b Backend, logID string, from, to uint64) []audit.Row {
	t.Helper()
	var rows []audit.Row
	err := b.Rows(t.Context(), logID, from, to, func(r audit.Row) error {
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func wantHead(t *testing.T, what string, got audit.Head, err error, want audit.Head) {
	t.Helper()
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("%s differs (got, want): %v\n%s", what, err, diff)
	}
}

func testBatch(t *testing.T, b Backend) {
	fault := errors.New("fault")
	err := b.Batch(t.Context(), func(tx audit.Tx) error {
		return errors.Join(write(t.Context(), tx.(Tx)), fault)
	})
	wantError(t, "failed batch", err, fault)
	wantNothing(t, b)

	change(t, b, func(Tx) error { return nil }) // a batch of nothing is fine
	change(t, b, func(tx Tx) error { return write(t.Context(), tx) })
	if _, err := b.Licence(t.Context(), identifier(1)); err != nil {
		t.Errorf("licence after the batch: %v", err)
	}
	got, err := b.Head(t.Context(), "log")
	wantHead(t, "head after the batch", got, err, head(2))
}

// write changes a little of everything.
func write(ctx context.Context, tx Tx) error {
	if err := tx.PutClient(ctx, registry.Client{ID: "c", SecretHash: []byte{1}, Salt: []byte{1}}); err != nil {
		return err
	}
	if _, err := tx.TakeKey(ctx, registry.Key{Client: "c", Key: "k", LeaseUntil: base}, base); err != nil {
		return err
	}
	if _, err := tx.NextNumber(ctx, "a"); err != nil {
		return err
	}
	if err := tx.InsertLicence(ctx, record(1)); err != nil {
		return err
	}
	if err := tx.SetFile(ctx, identifier(1), file(1)); err != nil {
		return err
	}
	return appendTo(ctx, tx, "log", 0, 2)
}

// wantNothing fails when anything of write is stored.
func wantNothing(t *testing.T, b Backend) {
	t.Helper()
	_, err := b.Client(t.Context(), "c")
	wantError(t, "client", err, licence.ErrNotFound)
	_, err = b.Licence(t.Context(), identifier(1))
	wantError(t, "licence", err, licence.ErrNotFound)
	_, err = b.StatusAsOf(t.Context(), identifier(1), after(time.Hour))
	wantError(t, "history", err, licence.ErrNotFound)
	wantFiled(t, "file", b, nil, file(1))
	got, err := b.Head(t.Context(), "log")
	wantHead(t, "head", got, err, audit.Head{})
	if rows := stored(t, b, "log", 0, math.MaxUint64); len(rows) != 0 {
		t.Errorf("%d log entries are stored", len(rows))
	}
}

// testIsolation looks from outside at a batch that has not committed.
func testIsolation(t *testing.T, b Backend) {
	change(t, b, func(tx Tx) error {
		err := write(t.Context(), tx)
		wantNothing(t, b)
		return err
	})
	if _, err := b.Licence(t.Context(), identifier(1)); err != nil {
		t.Errorf("licence after the commit: %v", err)
	}
}

func testSavepoint(t *testing.T, b Backend) {
	fault := errors.New("fault")
	change(t, b, func(tx Tx) error {
		put := func(n int, result error) error {
			return tx.Savepoint(t.Context(), func() error {
				return errors.Join(tx.InsertLicence(t.Context(), record(n)), result)
			})
		}
		if err := errors.Join(put(1, nil), put(2, nil)); err != nil {
			return err
		}
		wantError(t, "failed savepoint", put(3, fault), fault)
		if err := tx.Savepoint(t.Context(), func() error { return fault }); err != fault {
			t.Errorf("error of a savepoint is %v, want it unchanged", err)
		}
		if err := tx.Savepoint(t.Context(), func() error { return nil }); err != nil {
			t.Errorf("empty savepoint: %v", err)
		}
		taken := put(1, nil)
		_, err := tx.Licence(t.Context(), identifier(3))
		if errors.Is(err, audit.ErrConflict) { // its success was presumed
			return err
		}
		wantError(t, "taken number", taken, licence.ErrNumberTaken)
		if !errors.Is(err, licence.ErrNotFound) {
			t.Errorf("undone licence inside the transaction: %v", err)
		}
		return put(4, nil)
	})
	for n, want := range map[int]error{1: nil, 2: nil, 3: licence.ErrNotFound, 4: nil} {
		_, err := b.Licence(t.Context(), identifier(n))
		wantError(t, fmt.Sprintf("licence %d", n), err, want)
		_, err = b.StatusAsOf(t.Context(), identifier(n), base)
		wantError(t, fmt.Sprintf("history of licence %d", n), err, want)
	}
}

func testNestedSavepoint(t *testing.T, b Backend) {
	fault := errors.New("fault")
	change(t, b, func(tx Tx) error {
		insert := func(n int) error { return tx.InsertLicence(t.Context(), record(n)) }
		err := tx.Savepoint(t.Context(), func() error {
			wantError(t, "inner", tx.Savepoint(t.Context(), func() error { return errors.Join(insert(1), fault) }), fault)
			return errors.Join(insert(2), tx.Savepoint(t.Context(), func() error { return insert(3) }))
		})
		if err != nil {
			return err
		}
		err = tx.Savepoint(t.Context(), func() error {
			return errors.Join(tx.Savepoint(t.Context(), func() error { return insert(4) }), fault)
		})
		wantError(t, "outer", err, fault)
		return insert(5)
	})
	for n, want := range map[int]error{1: licence.ErrNotFound, 2: nil, 3: nil, 4: licence.ErrNotFound, 5: nil} {
		_, err := b.Licence(t.Context(), identifier(n))
		wantError(t, fmt.Sprintf("licence %d", n), err, want)
	}
}

func testLog(t *testing.T, b Backend) {
	got, err := b.Head(t.Context(), "log")
	wantHead(t, "head of an empty log", got, err, audit.Head{})
	_, err = b.CheckpointAt(t.Context(), "log", 0)
	wantError(t, "checkpoint of an empty log", err, audit.ErrNoCheckpoint)

	for _, r := range [][2]uint64{{0, 1}, {1, 4}, {4, 9}} {
		change(t, b, func(tx Tx) error {
			if err := appendTo(t.Context(), tx, "log", r[0], r[1]); err != nil {
				return err
			}
			got, err := tx.Head(t.Context(), "log")
			wantHead(t, "head inside the transaction", got, err, head(r[1]))
			for n, want := range map[uint64][32]byte{r[1] - 1: row(r[1] - 1).Leaf, r[1]: {}} {
				if leaf, err := tx.Leaf(t.Context(), "log", n); err != nil || leaf != want {
					t.Errorf("leaf %d inside the transaction: %x, %v", n, leaf, err)
				}
			}
			return err
		})
		got, err := b.Head(t.Context(), "log")
		wantHead(t, "head", got, err, head(r[1]))
	}
	change(t, b, func(tx Tx) error { return appendTo(t.Context(), tx, "another log", 0, 2) })

	for size, want := range map[uint64]uint64{0: 1, 1: 1, 2: 4, 4: 4, 5: 9, 9: 9} {
		got, err := b.CheckpointAt(t.Context(), "log", size)
		wantHead(t, fmt.Sprintf("checkpoint at %d", size), got, err, head(want))
	}
	for _, size := range []uint64{10, math.MaxUint64} {
		_, err := b.CheckpointAt(t.Context(), "log", size)
		wantError(t, "checkpoint beyond the head", err, audit.ErrNoCheckpoint)
	}
	wantNodes(t, b, "log", nodes(0, 9))
	testCosigned(t, b)
	for _, r := range [][3]uint64{{0, 9, 9}, {0, math.MaxUint64, 9}, {3, 5, 2}, {5, 5, 0}, {6, 5, 0}, {9, 20, 0}} {
		rows := stored(t, b, "log", r[0], r[1])
		var want []audit.Row
		for n := range r[2] {
			want = append(want, row(r[0]+n))
		}
		if diff := cmp.Diff(rows, want); diff != "" {
			t.Errorf("rows %d to %d differ (got, want):\n%s", r[0], r[1], diff)
		}
		err := b.Leaves(t.Context(), "log", r[0], r[1], func(index uint64, leaf [32]byte) error {
			if len(want) == 0 || want[0].Index != index || want[0].Leaf != leaf {
				t.Errorf("leaf %d is %x; leaves %d to %d", index, leaf, r[0], r[1])
				return nil
			}
			want = want[1:]
			return nil
		})
		if err != nil || len(want) > 0 {
			t.Errorf("leaves %d to %d: %d are missing, %v", r[0], r[1], len(want), err)
		}
	}
}

func testCosigned(t *testing.T, b Backend) {
	_, err := b.NewestCosigned(t.Context(), "log")
	wantError(t, "newest cosigned of none", err, audit.ErrNoCheckpoint)
	for _, c := range []audit.Cosigned{{Size: 4, Checkpoint: []byte("four")}, {Size: 9, Checkpoint: []byte("nine")}, {Size: 4, Checkpoint: []byte("later")}} {
		change(t, b, func(tx Tx) error { return tx.PutCosigned(t.Context(), "log", c) })
	}
	change(t, b, func(tx Tx) error {
		return tx.PutCosigned(t.Context(), "another log", audit.Cosigned{Size: 99, Checkpoint: []byte("other")})
	})
	got, err := b.NewestCosigned(t.Context(), "log")
	if diff := cmp.Diff(got, audit.Cosigned{Size: 9, Checkpoint: []byte("nine")}); err != nil || diff != "" {
		t.Errorf("newest cosigned differs (got, want): %v\n%s", err, diff)
	}
	for size, want := range map[uint64]string{0: "four", 4: "four", 5: "nine", 9: "nine"} {
		got, err := b.CosignedAt(t.Context(), "log", size)
		if err != nil || string(got.Checkpoint) != want {
			t.Errorf("cosigned at %d is %+v, %v; want %s", size, got, err, want)
		}
	}
	_, err = b.CosignedAt(t.Context(), "log", 10)
	wantError(t, "cosigned beyond the newest", err, audit.ErrNoCheckpoint)
}

// wantNodes asks for nodes that are stored and, among them, for some that are not.
func wantNodes(t *testing.T, b Backend, logID string, want []audit.Node) {
	t.Helper()
	var ids []compact.NodeID
	for _, n := range want {
		ids = append(ids, compact.NewNodeID(n.Level+30, n.Index), n.NodeID)
	}
	got, err := b.Nodes(t.Context(), logID, ids)
	slices.SortFunc(got, compareNodes)
	got = slices.Compact(got) // each may come more than once
	slices.SortFunc(want, compareNodes)
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("nodes differ (got, want): %v\n%s", err, diff)
	}
}

func compareNodes(a, b audit.Node) int {
	return stdcmp.Or(stdcmp.Compare(a.Level, b.Level), stdcmp.Compare(a.Index, b.Index))
}

// testLogPages has more entries than a store may read at a time.
func testLogPages(t *testing.T, b Backend) {
	const n = 2100
	change(t, b, func(tx Tx) error { return appendTo(t.Context(), tx, "log", 0, n) })
	wantNodes(t, b, "log", nodes(0, n)[:300])
	rows := stored(t, b, "log", 0, n)
	if len(rows) != n {
		t.Fatalf("%d rows, want %d", len(rows), n)
	}
	for i, r := range rows {
		if r.Index != uint64(i) || !bytes.Equal(r.Record, row(r.Index).Record) {
			t.Fatalf("row %d is %d: %q", i, r.Index, r.Record)
		}
	}
	stop, calls := errors.New("stop"), 0
	err := b.Rows(t.Context(), "log", 0, n, func(audit.Row) error {
		calls++
		return stop
	})
	wantError(t, "stopped", err, stop)
	if calls != 1 {
		t.Errorf("fn was called %d times after it failed", calls)
	}
}
