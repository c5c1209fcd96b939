package registry_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/licence/registry"
	"elicence/licence/registry/batches"

	"github.com/google/go-cmp/cmp"
)

// TestBatchOfAnother: nobody else learns of a batch.
func TestBatchOfAnother(t *testing.T) {
	b := newBatching(t)
	batch := b.submit("k", b.itemJSON("", nil))
	_, other := sample(t, "qualification-one.json")
	twin := b.client
	twin.Principal = "twin" // of the same authority
	for _, c := range []registry.Caller{other, twin} {
		for name, do := range map[string]func() error{
			"read":   func() error { _, _, err := b.Batches().Read(t.Context(), c, batch.ID); return err },
			"items":  func() error { _, _, err := b.Batches().Items(t.Context(), c, batch.ID, 0, 1); return err },
			"cancel": func() error { _, _, err := b.Batches().Cancel(t.Context(), c, batch.ID, "x"); return err },
		} {
			from := size(t, b.Service)
			if err := do(); !errors.Is(err, registry.ErrNoBatch) {
				t.Errorf("%s by %s: %v", name, c.Principal, err)
			}
			if lines := trail(t, b.Service, from); len(lines) != 1 || !strings.HasSuffix(lines[0], "refused no_such_batch") {
				t.Errorf("%s by %s: the log has %v", name, c.Principal, lines)
			}
		}
	}
	b.register(b.client, true)
	b.work(b.Registry)
	if lines, _ := b.outcomes(batch.ID); !slices.Equal(lines, []string{"failed unauthenticated"}) {
		t.Errorf("of a client that was disabled: %v", lines)
	}
}

// TestBatchRefused: what is not taken in whole leaves nothing.
func TestBatchRefused(t *testing.T) {
	b := newBatching(t)
	broken := errors.New("broken")
	one := [][]byte{b.itemJSON("", nil)}
	many := slices.Repeat(one, 450)
	endless := func(yield func([]byte, error) bool) {
		for n := 0; yield(fmt.Appendf(nil, "%d", n), nil); n++ {
		}
	}
	b.submit("taken", one...)
	before := dump(t, b.Service)
	for _, c := range []struct {
		name, key string
		items     iter.Seq2[[]byte, error]
		want      error
		code      string
	}{
		{"no key", "", those(one, nil), registry.ErrKeyMissing, "idempotency_key_missing"},
		{"no items", "k", those(nil, nil), registry.ErrBatchSize, "batch_size"},
		{"too many items", "k", endless, registry.ErrBatchSize, "batch_size"},
		{"broken off", "k", those(many, broken), broken, "batch_unreadable"},
		{"key of another batch", "taken", those(many, nil), registry.ErrKeyReused, "idempotency_key_reused"},
	} {
		if c.name == "too many items" && testing.Short() {
			continue
		}
		from := size(t, b.Service)
		_, _, err := b.Batches().Submit(t.Context(), b.client, batches.Request{Key: c.key, Items: c.items})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		wantTrail(t, b.Service, from, "batch refused "+c.code)
		after := dump(t, b.Service)
		for _, table := range []string{"licence_batch", "licence_batch_item", "idempotency_key"} {
			if diff := cmp.Diff(after[table], before[table]); diff != "" {
				t.Errorf("%s: %s (-after +before):\n%.300s", c.name, table, diff)
			}
		}
	}
	first := b.submit("again", one...)
	if second := b.submit("again", one...); second.ID != first.ID {
		t.Errorf("repeated: %s, then %s", first.ID, second.ID)
	}
	for n := range registry.MaxOpenBatches - 2 {
		b.submit(fmt.Sprint("open", n), one...)
	}
	if _, _, err := b.Batches().Submit(t.Context(), b.client, batches.Request{Key: "one-more", Items: those(one, nil)}); !errors.Is(err, registry.ErrTooManyBatches) {
		t.Errorf("one batch more: %v", err)
	}
}

// TestBatchForgotten: what came of a batch is kept for BatchKept, what never came in whole
// for an hour.
func TestBatchForgotten(t *testing.T) {
	b := newBatching(t)
	batch := b.submit("k", b.itemJSON("", nil))
	b.work(b.Registry)
	must(t, b.Backend.Batch(t.Context(), func(tx audit.Tx) error {
		both := tx.(registry.Tx)
		return errors.Join(both.InsertBatch(t.Context(), registry.Batch{ID: "half", Client: "c", CreatedAt: b.Now()}),
			both.InsertItems(t.Context(), []registry.BatchItem{{Batch: "half", Body: []byte("x")}}))
	}))
	for _, c := range []struct {
		move  time.Duration
		items int
	}{{0, 2}, {time.Hour + time.Second, 1}, {batches.Kept - 2*time.Hour, 1}, {time.Hour, 0}} {
		b.Move(c.move)
		must(t, b.Batches().Tidy(t.Context()))
		if got := dump(t, b.Service); len(got["licence_batch_item"]) != c.items || len(got["licence_batch"]) != c.items {
			t.Errorf("after %v: %d batches, %d items", c.move, len(got["licence_batch"]), len(got["licence_batch_item"]))
		}
	}
	if _, _, err := b.Batches().Read(t.Context(), b.client, batch.ID); !errors.Is(err, registry.ErrNoBatch) {
		t.Error(err)
	}
}

// TestBatchHoldsUpNoOther: items that are left for later hold up the batches of no other client.
func TestBatchHoldsUpNoOther(t *testing.T) {
	b := newBatching(t)
	pending, _ := sample(t, "food-retail.json")
	first, _, err := b.Issue(t.Context(), b.client, registry.IssueRequest{Key: "first", Body: pending})
	must(t, err)
	stuck := b.Config
	stuck.Check = func(context.Context, *pdfsig.File, time.Time) error { return errors.New("killed here") }
	dead, err := registry.New(stuck)
	must(t, err)
	_, _, err = dead.Renew(t.Context(), b.client, first.Identifier, registry.VersionRequest{Key: "renew", Body: []byte(`{"reason":"r","expires_on":"2032-01-01"}`)})
	if !errors.Is(err, registry.ErrUnfinished) {
		t.Fatal(err)
	}
	twin := b.client
	twin.Principal = "twin"
	b.register(twin, false)
	var left, items [][]byte
	for n := range 20 {
		left = append(left, renewal(first.Identifier, fmt.Sprintf(`{"reason":"r%d","expires_on":"2032-01-01"}`, n)))
		items = append(items, b.itemJSON("", nil))
	}
	b.submit("left", left...)
	theirs, _, err := b.Batches().Submit(t.Context(), twin, batches.Request{Key: "k", Items: those(items, nil)})
	must(t, err)
	if err := b.Batches().Work(t.Context()); !errors.Is(err, registry.ErrVersionPending) {
		t.Errorf("what was left: %v", err)
	}
	theirs, _, err = b.Batches().Read(t.Context(), twin, theirs.ID)
	must(t, err)
	if theirs.Counts[registry.ItemIssued] != len(items) {
		t.Errorf("of another client's batch: %v", theirs.Counts)
	}
}

// TestBatchesAtOnce: of batches that begin to come in at the same moment no more are taken in
// than of those that come one after the other.
func TestBatchesAtOnce(t *testing.T) {
	b := newBatching(t)
	const many = 3 * registry.MaxOpenBatches
	came, release := make(chan bool, many), make(chan struct{})
	item := b.itemJSON("", nil)
	var all sync.WaitGroup
	for n := range many {
		all.Go(func() {
			_, _, err := b.Batches().Submit(t.Context(), b.client, batches.Request{Key: fmt.Sprint("k", n), Items: func(yield func([]byte, error) bool) {
				came <- true
				<-release
				yield(item, nil)
			}})
			if errors.Is(err, registry.ErrTooManyBatches) {
				came <- false
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	taken := 0
	for range many {
		if <-came {
			taken++
		}
	}
	close(release)
	all.Wait()
	if taken > registry.MaxOpenBatches {
		t.Errorf("%d batches are taken in at once, want %d at most", taken, registry.MaxOpenBatches)
	}
}
