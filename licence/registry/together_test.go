package registry

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestTogether has many ask at once while what they ask for changes: few questions are put, and nobody
// gets an answer that is older than his question.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g together[int64]
		var state, put atomic.Int64
		read := func(context.Context) (int64, error) {
			put.Add(1)
			v := state.Load()
			time.Sleep(time.Millisecond)
			return v, nil
		}
		var askers sync.WaitGroup
		const many = 500
		for i := range many {
			askers.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Microsecond)
				least := state.Add(1)
				if got, err := g.ask(t.Context(), "x", read); err != nil || got < least {
					t.Errorf("answer %d, %v; was %d before the question", got, err, least)
				}
			})
		}
		askers.Wait()
		if n := put.Load(); n > 8 { // 5 ms, a millisecond each
			t.Errorf("%d questions for %d askers", n, many)
		}
		if len(g.gathered)+len(g.put) != 0 {
			t.Errorf("%d and %d questions are left", len(g.gathered), len(g.put))
		}
	})
}

// TestTogetherAlone asks for two things, gets a failure, and goes away.
func TestTogetherAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g together[string]
		for _, name := range []string{"a", "b"} {
			if got, err := g.ask(t.Context(), name, func(context.Context) (string, error) { return name, nil }); got != name || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		fault := errors.New("fault")
		if _, err := g.ask(t.Context(), "a", func(context.Context) (string, error) { return "", fault }); !errors.Is(err, fault) {
			t.Errorf("error %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		slow := func(ctx context.Context) (string, error) { time.Sleep(time.Second); return "late", ctx.Err() }
		var askers sync.WaitGroup
		askers.Go(func() { g.ask(t.Context(), "a", slow) })
		synctest.Wait()
		askers.Go(func() { // puts the next one, for himself and the one who stays
			if got, err := g.ask(ctx, "a", slow); got != "late" || err != nil {
				t.Errorf("the one who asked first: %q, %v", got, err)
			}
		})
		synctest.Wait()
		askers.Go(func() {
			if _, err := g.ask(ctx, "a", slow); !errors.Is(err, context.Canceled) {
				t.Errorf("the one who went away: %v", err)
			}
		})
		askers.Go(func() {
			if got, err := g.ask(t.Context(), "a", slow); got != "late" || err != nil {
				t.Errorf("the one who stayed: %q, %v", got, err)
			}
		})
		synctest.Wait()
		cancel()
		askers.Wait()
		askers.Go(func() {
			defer func() { _ = recover() }()
			g.ask(t.Context(), "b", slow)
		})
		synctest.Wait()
		for range 2 { // one puts it and fails, the other waits for the answer
			askers.Go(func() {
				defer func() { _ = recover() }()
				if _, err := g.ask(t.Context(), "b", func(context.Context) (string, error) { panic("fault") }); err == nil {
					t.Error("an answer where none was given")
				}
			})
		}
		askers.Wait()
	})
}
