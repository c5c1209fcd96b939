package api

import (
	"context"
	"slices"
	"sync"
	"time"
)

// places are for verifications that want the processors: more of them at once would only take
// turns, and whoever came first would be no sooner done than who came last.
type places struct {
	mu      sync.Mutex
	free    int
	waiting []*turn // who came first before the others
}

// turn is one verification's, from its arrival to its end. It has a place or has none, and is
// for one goroutine.
type turn struct {
	places *places
	came   time.Time     // in the order of which places are given
	given  chan struct{} // closed when a place is; nil while none is waited for
	has    bool
}

// take waits for a place until ctx ends.
func (t *turn) take(ctx context.Context) error {
	if t.has = t.places.ask(t); t.has {
		return nil
	}
	select {
	case <-t.given:
		t.has = true
		return nil
	case <-ctx.Done():
		t.places.withdraw(t)
		return ctx.Err()
	}
}

// leave gives the place back, if there is one.
func (t *turn) leave() {
	if t.has {
		t.has = false
		t.places.hand()
	}
}

// ask gives a place at once, or enters t among those who wait.
func (p *places) ask(t *turn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free > 0 {
		p.free--
		return true
	}
	t.given = make(chan struct{})
	i, _ := slices.BinarySearchFunc(p.waiting, t, func(a, b *turn) int {
		if a.came.After(b.came) {
			return 1
		}
		return -1 // of those who came at once, too: the last waits longest
	})
	p.waiting = slices.Insert(p.waiting, i, t)
	return false
}

// hand gives a place that is free to who waits first.
func (p *places) hand() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		p.free++
		return
	}
	close(p.waiting[0].given)
	p.waiting = slices.Delete(p.waiting, 0, 1)
}

// withdraw takes t from those who wait. A place that it was given meanwhile goes on.
func (p *places) withdraw(t *turn) {
	p.mu.Lock()
	i := slices.Index(p.waiting, t)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	p.mu.Unlock()
	if i < 0 {
		p.hand()
	}
}

// aside asks somebody else, a database say, without keeping the place meanwhile.
func aside[A any](ctx context.Context, t *turn, ask func() (A, error)) (A, error) {
	t.leave()
	answer, err := ask()
	if fault := t.take(ctx); fault != nil && err == nil {
		var none A
		return none, fault
	}
	return answer, err
}
