package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elicence/licence"
)

// testShared shares values, lets them lapse, and takes them.
func testShared(t *testing.T, b Backend) {
	put := func(kind, key, value string, now, until time.Time) {
		t.Helper()
		change(t, b, func(tx Tx) error { return tx.PutShared(t.Context(), kind, key, []byte(value), now, until) })
	}
	take := func(kind, key string, now time.Time) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.TakeShared(t.Context(), kind, key, now) })
	}
	want := func(kind, key string, at time.Time, value string, fault error) {
		t.Helper()
		got, err := b.Shared(t.Context(), kind, key, at)
		if !errors.Is(err, fault) || string(got) != value {
			t.Errorf("%s %s at %v: %q, %v; want %q, %v", kind, key, at, got, err, value, fault)
		}
	}
	want("link", "a", base, "", licence.ErrNotFound)
	put("link", "a", "one", base, after(time.Minute))
	put("link", "b", "", base, after(time.Minute))
	put("session", "a", "another", base, after(time.Hour))
	want("link", "a", base, "one", nil)
	want("link", "b", base, "", nil)
	want("session", "a", base, "another", nil)
	put("link", "a", "two", base, after(2*time.Minute))
	want("link", "a", after(time.Minute), "two", nil)
	want("link", "b", after(time.Minute), "", licence.ErrNotFound)
	wantError(t, "taking what has lapsed", take("link", "a", after(2*time.Minute)), licence.ErrNotFound)
	put("link", "c", "", after(2*time.Minute), after(3*time.Minute)) // which forgets what has lapsed
	want("link", "a", base, "", licence.ErrNotFound)
	want("session", "a", base, "another", nil)

	var taken atomic.Int32
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			switch err := take("session", "a", base); {
			case err == nil:
				taken.Add(1)
			case !errors.Is(err, licence.ErrNotFound):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if taken.Load() != 1 {
		t.Errorf("taken %d times", taken.Load())
	}
	want("session", "a", base, "", licence.ErrNotFound)
}
