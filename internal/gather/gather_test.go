package gather

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestGroup has many ask at once while what they ask for changes: few questions are put, one
// at a time, each asks once, and nobody's question was put before he came.
func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[*atomic.Int64]
		var state, puts, working atomic.Int64
		put := func(_ context.Context, all []*atomic.Int64) {
			puts.Add(1)
			if working.Add(1) != 1 {
				t.Error("two questions at once")
			}
			defer working.Add(-1)
			v := state.Load()
			time.Sleep(time.Millisecond)
			for _, asked := range all {
				if asked.Swap(v) != 0 {
					t.Error("asked twice")
				}
			}
		}
		var askers sync.WaitGroup
		const many = 500
		for i := range many {
			askers.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Microsecond)
				least, answer := state.Add(1), new(atomic.Int64)
				if err := g.Do(t.Context(), answer, put); err != nil || answer.Load() < least {
					t.Errorf("answer %d, %v; was %d before the question", answer.Load(), err, least)
				}
			})
		}
		askers.Wait()
		if n := puts.Load(); n > 8 { // 5 ms, a millisecond each
			t.Errorf("%d questions for %d askers", n, many)
		}
		if g.gathered != nil || g.put != nil {
			t.Errorf("questions are left: %v, %v", g.gathered, g.put)
		}
	})
}

// TestGroupLeft: who goes away does not wait, who put the question goes on, and a panic is the
// fault of who put it.
func TestGroupLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[string]
		slow := func(ctx context.Context, _ []string) {
			time.Sleep(time.Second)
			if ctx.Err() != nil {
				t.Error("the question ended with who put it")
			}
		}
		ctx, leave := context.WithCancel(t.Context())
		var askers sync.WaitGroup
		askers.Go(func() { _ = g.Do(t.Context(), "before", slow) }) // the others gather behind it
		synctest.Wait()
		askers.Go(func() {
			if err := g.Do(ctx, "first", slow); err != nil {
				t.Errorf("who put it: %v", err)
			}
		})
		synctest.Wait()
		askers.Go(func() {
			if err := g.Do(ctx, "second", slow); !errors.Is(err, context.Canceled) {
				t.Errorf("who went away: %v", err)
			}
		})
		synctest.Wait()
		leave()
		askers.Wait()
		askers.Go(func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = g.Do(t.Context(), "third", func(context.Context, []string) { time.Sleep(time.Second); panic("fault") })
		})
		synctest.Wait()
		if err := g.Do(t.Context(), "fourth", func(context.Context, []string) {}); err != nil {
			t.Errorf("behind a panic: %v", err)
		}
		askers.Wait()
	})
}
