package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/registry"
)

// batchItems are items of batch b: the third has the key of the first, the fourth its
// content, and the last two have neither.
func batchItems() []registry.BatchItem {
	item := func(position int, key string, content int) registry.BatchItem {
		i := registry.BatchItem{Batch: "b", Position: position, Key: key, Body: fmt.Appendf(nil, "body %d", position)}
		if content > 0 {
			i.Content = digest(content)
		}
		return i
	}
	return []registry.BatchItem{item(0, "k0", 1), item(1, "k1", 2), item(2, "k0", 3), item(3, "", 1), item(4, "", 0), item(5, "", 0)}
}

// positions are those of items, and their bodies.
func positions(items []registry.BatchItem) (all []int, bodies string) {
	for _, i := range items {
		all, bodies = append(all, i.Position), bodies+string(i.Body)
	}
	slices.Sort(all)
	return all, bodies
}

// takeIn begins a batch, and stores its items in two parts.
func takeIn(t *testing.T, b Backend, id string) {
	t.Helper()
	items := batchItems()
	for i := range items {
		items[i].Batch = id
	}
	change(t, b, func(tx Tx) error {
		if err := tx.InsertBatch(t.Context(), registry.Batch{ID: id, Client: "c", CreatedAt: base}); err != nil {
			return err
		}
		return tx.InsertItems(t.Context(), items[:4])
	})
	change(t, b, func(tx Tx) error { return tx.InsertItems(t.Context(), items[4:]) })
}

// claimItems claims items of batch b for ten seconds.
func claimItems(t *testing.T, b Backend, now time.Time, limit int) []registry.BatchItem {
	t.Helper()
	claimed, err := b.ClaimItems(t.Context(), registry.Batch{ID: "b", Client: "c"}, now, now.Add(10*time.Second), limit)
	must(t, err)
	return claimed
}

// wantItems compares positions.
func wantItems(t *testing.T, what string, items []registry.BatchItem, want ...int) {
	t.Helper()
	if got, _ := positions(items); !slices.Equal(got, want) {
		t.Errorf("%s: items %v, want %v", what, got, want)
	}
}

// wantBatch compares a batch.
func wantBatch(t *testing.T, b Backend, what string, want registry.Batch) {
	t.Helper()
	got, err := b.LicenceBatch(t.Context(), want.ID)
	if err == nil {
		got.Counts, err = b.BatchCounts(t.Context(), want.ID)
	}
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("%s (got, want): %v\n%s", what, err, diff)
	}
}

// testBatches takes a batch in, works on it, and forgets it.
func testBatches(t *testing.T, b Backend) {
	takeIn(t, b, "b")
	_, err := b.LicenceBatch(t.Context(), "b")
	wantError(t, "a batch that is being taken in", err, licence.ErrNotFound)
	wantItems(t, "claimed of a batch that is being taken in", claimItems(t, b, base, 10))
	wantError(t, "submitting no batch", rerun(t.Context(), b, func(tx Tx) error { return tx.SubmitBatch(t.Context(), "x", 1, base) }), licence.ErrNotFound)
	change(t, b, func(tx Tx) error { return tx.SubmitBatch(t.Context(), "b", 6, after(time.Second)) })
	wantError(t, "submitting twice", rerun(t.Context(), b, func(tx Tx) error { return tx.SubmitBatch(t.Context(), "b", 1, base) }), licence.ErrNotFound)
	want := registry.Batch{ID: "b", Client: "c", Items: 6, CreatedAt: base, SubmittedAt: after(time.Second),
		Counts: map[registry.ItemState]int{registry.ItemWaiting: 4, registry.ItemDuplicate: 2}}
	wantBatch(t, b, "submitted", want)

	first := claimItems(t, b, after(2*time.Second), 2)
	wantItems(t, "first claim", first, 0, 1)
	if _, bodies := positions(first); len(bodies) != len("body 0body 1") || first[0].Client != "c" || first[0].Batch != "b" || first[0].State != registry.ItemRunning {
		t.Errorf("claimed %+v", first)
	}
	wantItems(t, "second claim", claimItems(t, b, after(3*time.Second), 10), 4, 5)
	wantItems(t, "third claim", claimItems(t, b, after(4*time.Second), 10))
	change(t, b, func(tx Tx) error {
		for _, i := range []registry.BatchItem{
			{Batch: "b", Client: "c", Position: 0, State: registry.ItemIssued, Result: []byte("licence")},
			{Batch: "b", Client: "c", Position: 1, State: registry.ItemFailed, Result: []byte("problem")},
			{Batch: "b", Client: "c", Position: 2, State: registry.ItemIssued, Result: []byte("of a duplicate")},
			{Batch: "b", Client: "d", Position: 4, State: registry.ItemFailed, Result: []byte("another client's")},
			{Batch: "b", Client: "c", Position: 9, State: registry.ItemFailed, Result: []byte("of none")},
		} {
			if err := tx.SettleItem(t.Context(), i); err != nil {
				return err
			}
		}
		return tx.SettleItem(t.Context(), registry.BatchItem{Batch: "b", Client: "c", Position: 0, State: registry.ItemFailed, Result: []byte("again")})
	})
	end := func(at time.Time) {
		must(t, b.EndBatch(t.Context(), "b", at))
	}
	end(after(5 * time.Second)) // two are still running
	want.Counts = map[registry.ItemState]int{registry.ItemIssued: 1, registry.ItemFailed: 1, registry.ItemDuplicate: 2, registry.ItemRunning: 2}
	wantBatch(t, b, "at work", want)
	wantItems(t, "claimed when leases lapsed", claimItems(t, b, after(13*time.Second+1), 10), 4, 5)
	change(t, b, func(tx Tx) error {
		for _, position := range []int{4, 5} {
			if err := tx.SettleItem(t.Context(), registry.BatchItem{Batch: "b", Client: "c", Position: position, State: registry.ItemIssued}); err != nil {
				return err
			}
		}
		return nil
	})
	end(after(time.Minute))
	want.Counts = map[registry.ItemState]int{registry.ItemIssued: 3, registry.ItemFailed: 1, registry.ItemDuplicate: 2}
	want.EndedAt = after(time.Minute)
	wantBatch(t, b, "ended", want)
	wantOutcomes(t, b)
	testForgetting(t, b)
}

func wantOutcomes(t *testing.T, b Backend) {
	t.Helper()
	got, err := b.BatchItems(t.Context(), "b", 0, 4)
	want := []registry.BatchItem{
		{Batch: "b", Position: 0, Key: "k0", State: registry.ItemIssued, First: -1, Result: []byte("licence")},
		{Batch: "b", Position: 1, Key: "k1", State: registry.ItemFailed, First: -1, Result: []byte("problem")},
		{Batch: "b", Position: 2, Key: "k0", State: registry.ItemDuplicate, First: 0},
		{Batch: "b", Position: 3, State: registry.ItemDuplicate, First: 0},
	}
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("items (got, want): %v\n%s", err, diff)
	}
	got, err = b.BatchItems(t.Context(), "b", 5, 10)
	if wantItems(t, "the last page", got, 5); err != nil {
		t.Error(err)
	}
}

// testForgetting forgets batch b, which has ended, and one that never came in whole.
func testForgetting(t *testing.T, b Backend) {
	takeIn(t, b, "half")
	wantError(t, "abandoning what was submitted", rerun(t.Context(), b, func(tx Tx) error { return tx.AbandonBatch(t.Context(), "b", base) }), licence.ErrNotFound)
	past := func(ended, begun time.Time) (ids []string) {
		t.Helper()
		change(t, b, func(tx Tx) (err error) {
			ids, err = tx.PastBatches(t.Context(), ended, begun, 10)
			return err
		})
		return ids
	}
	for _, c := range []struct {
		ended, begun time.Time
		want         []string
	}{
		{after(time.Minute), base, nil},
		{after(time.Minute + 1), base, []string{"b"}},
		{after(time.Minute), base.Add(1), []string{"half"}},
	} {
		if got := past(c.ended, c.begun); !slices.Equal(got, c.want) {
			t.Errorf("past %v", got)
		}
	}
	for i, more := range []bool{true, false} {
		change(t, b, func(tx Tx) error {
			got, err := tx.DropBatch(t.Context(), "b", 4)
			if got != more {
				t.Errorf("dropping %d: more %t", i, got)
			}
			return err
		})
	}
	_, err := b.LicenceBatch(t.Context(), "b")
	wantError(t, "a batch that was forgotten", err, licence.ErrNotFound)
	open, err := b.OpenBatches(t.Context(), "c")
	if err != nil || len(open) != 1 || open[0].ID != "half" || !open[0].SubmittedAt.IsZero() {
		t.Errorf("open: %+v, %v", open, err)
	}
	change(t, b, func(tx Tx) error { return tx.AbandonBatch(t.Context(), "half", base) })
	wantError(t, "submitting what was abandoned", rerun(t.Context(), b, func(tx Tx) error { return tx.SubmitBatch(t.Context(), "half", 6, base) }), licence.ErrNotFound)
	if open, err := b.OpenBatches(t.Context(), ""); err != nil || len(open) > 0 {
		t.Errorf("open when all were abandoned or ended: %+v, %v", open, err)
	}
	if got := past(base, base.Add(1)); !slices.Equal(got, []string{"half"}) {
		t.Errorf("past of what was abandoned: %v", got)
	}
	if open, err := b.OpenBatches(t.Context(), "d"); err != nil || len(open) > 0 {
		t.Errorf("open of another client: %+v, %v", open, err)
	}
}

// testBatchCancelled cancels a batch: what was begun can still be claimed and settled.
func testBatchCancelled(t *testing.T, b Backend) {
	takeIn(t, b, "b")
	change(t, b, func(tx Tx) error { return tx.SubmitBatch(t.Context(), "b", 6, base) })
	wantItems(t, "claimed", claimItems(t, b, base, 1), 0)
	for _, at := range []time.Time{after(time.Second), after(time.Hour)} { // the second changes nothing
		change(t, b, func(tx Tx) error { return tx.CancelBatch(t.Context(), "b", at) })
	}
	wantItems(t, "claimed while one is running", claimItems(t, b, after(2*time.Second), 10))
	must(t, b.EndBatch(t.Context(), "b", after(3*time.Second)))
	wantItems(t, "claimed when its lease lapsed", claimItems(t, b, after(time.Minute), 10), 0)
	change(t, b, func(tx Tx) error {
		return tx.SettleItem(t.Context(), registry.BatchItem{Batch: "b", Client: "c", State: registry.ItemIssued})
	})
	must(t, b.EndBatch(t.Context(), "b", after(time.Hour)))
	wantBatch(t, b, "cancelled", registry.Batch{ID: "b", Client: "c", Items: 6, CreatedAt: base, SubmittedAt: base, CancelledAt: after(time.Second), EndedAt: after(time.Hour),
		Counts: map[registry.ItemState]int{registry.ItemIssued: 1, registry.ItemWaiting: 3, registry.ItemDuplicate: 2}})
}

// testClaimsInParallel has several claim the items of a batch: each is claimed once.
func testClaimsInParallel(t *testing.T, b Backend) {
	const items = 40
	change(t, b, func(tx Tx) error {
		if err := tx.InsertBatch(t.Context(), registry.Batch{ID: "b", Client: "c", CreatedAt: base}); err != nil {
			return err
		}
		var all []registry.BatchItem
		for n := range items {
			all = append(all, registry.BatchItem{Batch: "b", Position: n, Body: []byte("x")})
		}
		if err := tx.InsertItems(t.Context(), all); err != nil {
			return err
		}
		return tx.SubmitBatch(t.Context(), "b", items, base)
	})
	claimed := make([][]registry.BatchItem, 4)
	parallel(t, len(claimed), func(i int) error {
		for range items / len(claimed) / 2 {
			got, err := b.ClaimItems(t.Context(), registry.Batch{ID: "b", Client: "c"}, base, after(time.Minute), 2)
			if err != nil {
				return err
			}
			claimed[i] = append(claimed[i], got...)
		}
		return nil
	})
	all, _ := positions(slices.Concat(claimed...))
	if len(all) != items || len(slices.Compact(all)) != items {
		t.Errorf("claimed %v", all)
	}
}
