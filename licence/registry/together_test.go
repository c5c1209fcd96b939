package registry

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"elicence/licence"
)

// TestTogether has many ask at once while what they ask for changes: few questions are put, and nobody
// gets an answer that is older than his question.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g together[int64]
		var state, put atomic.Int64
		read := func(_ context.Context, names []string) (map[string]int64, error) {
			put.Add(1)
			v, answers := state.Load(), map[string]int64{}
			time.Sleep(time.Millisecond)
			for _, name := range names {
				answers[name] = v
			}
			return answers, nil
		}
		var askers sync.WaitGroup
		const many = 500
		for i := range many {
			askers.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Microsecond)
				least := state.Add(1)
				if got, err := g.ask(t.Context(), string(rune('a'+i%7)), read); err != nil || got < least {
					t.Errorf("answer %d, %v; was %d before the question", got, err, least)
				}
			})
		}
		askers.Wait()
		if n := put.Load(); n > 8 { // 5 ms, a millisecond each
			t.Errorf("%d questions for %d askers", n, many)
		}
	})
}

var errFault = errors.New("fault")

// echo answers names with themselves, but "unknown", and fails when "bad" is among them.
func echo(_ context.Context, names []string) (map[string]string, error) {
	time.Sleep(time.Millisecond)
	answers := map[string]string{}
	for _, name := range names {
		switch name {
		case "bad":
			return nil, errFault
		case "unknown":
		default:
			answers[name] = name
		}
	}
	return answers, nil
}

// TestTogetherFault has several ask in one question that fails for one of them.
func TestTogetherFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g together[string]
		var askers sync.WaitGroup
		askers.Go(func() { _, _ = g.ask(t.Context(), "first", echo) }) // the others gather behind it
		synctest.Wait()
		for name, want := range map[string]error{"a": nil, "b": nil, "bad": errFault, "unknown": licence.ErrNotFound} {
			askers.Go(func() {
				got, err := g.ask(t.Context(), name, echo)
				if !errors.Is(err, want) || want == nil && got != name {
					t.Errorf("%s: %q, %v", name, got, err)
				}
			})
		}
		askers.Wait()
	})
}

// TestTogetherAlone asks for two things, gets a failure, and goes away.
func TestTogetherAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g together[string]
		for _, name := range []string{"a", "b"} {
			if got, err := g.ask(t.Context(), name, echo); got != name || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		if _, err := g.ask(t.Context(), "bad", echo); !errors.Is(err, errFault) {
			t.Errorf("error %v", err)
		}
		if _, err := g.ask(t.Context(), "unknown", echo); !errors.Is(err, licence.ErrNotFound) {
			t.Errorf("of nothing: error %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		slow := func(ctx context.Context, names []string) (map[string]string, error) {
			time.Sleep(time.Second)
			return map[string]string{names[0]: "late"}, ctx.Err()
		}
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
				if _, err := g.ask(t.Context(), "b", func(context.Context, []string) (map[string]string, error) { panic("fault") }); err == nil {
					t.Error("an answer where none was given")
				}
			})
		}
		askers.Wait()
	})
}
