package tsa_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"elicence/crypto/tsa"
)

// moody is an authority that fails until it is well, and counts who asks.
type moody struct {
	mu    sync.Mutex
	asked int
	err   error
	takes time.Duration
}

func (m *moody) ask(ctx context.Context, _ []byte) (*tsa.Token, error) {
	m.mu.Lock()
	m.asked++
	err, takes := m.err, m.takes
	m.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return &tsa.Token{}, nil
}

func (m *moody) become(err error, takes time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.takes, m.asked = err, takes, 0
}

var errAway = errors.New("connection refused")

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moody{}
		b := &tsa.Backoff{Ask: m.ask, Now: time.Now}
		ask := func() error { _, err := b.Timestamp(t.Context(), nil); return err }
		must(t, ask())

		m.become(errAway, 0)
		began := time.Now()
		var rests []time.Duration
		for last := began; len(rests) < 9; time.Sleep(100 * time.Millisecond) {
			before, resting := m.asked, b.Resting()
			if err := ask(); !errors.Is(err, errAway) || (m.asked == before) != errors.Is(err, tsa.ErrResting) || errors.Is(resting, tsa.ErrResting) != errors.Is(err, tsa.ErrResting) {
				t.Fatalf("asked %d more times: %v; beforehand %v", m.asked-before, err, resting)
			}
			if m.asked > before {
				rests, last = append(rests, time.Since(last)), time.Now()
			}
		}
		for i, want := range []time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60} {
			if got := rests[i].Truncate(time.Second); got != want*time.Second {
				t.Errorf("rest %d: %s, want %d s", i, got, want)
			}
		}

		m.become(nil, 0)
		if err := ask(); !errors.Is(err, tsa.ErrResting) {
			t.Errorf("in the last rest: %v", err)
		}
		time.Sleep(time.Minute)
		must(t, ask())
		must(t, ask())
		m.become(errAway, 0)
		_ = ask()
		time.Sleep(time.Second) // the first rest again
		if before := m.asked; ask() == nil || m.asked != before+1 {
			t.Error("the rest after a recovery is not the first one")
		}
	})
}

// TestBackoffHanging: of many callers one waits for an authority that hangs.
func TestBackoffHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moody{}
		b := &tsa.Backoff{Ask: m.ask, Now: time.Now}
		m.become(errAway, 5*time.Second)
		_, _ = b.Timestamp(t.Context(), nil)
		time.Sleep(time.Second)
		m.become(errAway, 5*time.Second)
		began := time.Now()
		var waiting sync.WaitGroup
		for range 50 {
			waiting.Go(func() {
				_, err := b.Timestamp(t.Context(), nil)
				if errors.Is(err, tsa.ErrResting) && time.Since(began) > 0 {
					t.Error("resting, but not at once")
				}
			})
		}
		waiting.Wait()
		if m.asked != 1 {
			t.Errorf("asked %d times at once", m.asked)
		}
	})
}

// TestBackoffGivenUp: a caller who goes away does not make the authority rest, and a
// trial that is given up is made again by the next.
func TestBackoffGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moody{}
		b := &tsa.Backoff{Ask: m.ask, Now: time.Now}
		give := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := b.Timestamp(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("given up: %v", err)
			}
		}
		m.become(nil, 3*time.Second)
		give()
		_, err := b.Timestamp(t.Context(), nil)
		must(t, err)
		m.become(errAway, 0)
		_, _ = b.Timestamp(t.Context(), nil)
		time.Sleep(time.Second)
		m.become(nil, 3*time.Second)
		give()
		_, err = b.Timestamp(t.Context(), nil)
		must(t, err)
	})
}
