package tsa

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrResting is why Backoff asked nobody: the authority failed a moment ago.
var ErrResting = errors.New("tsa: the authority failed a moment ago and is not asked yet")

// The rest after a failure: the first, and the longest.
const (
	firstRest   = time.Second
	longestRest = time.Minute
)

// Backoff asks a timestamp authority through Ask and lets it rest after a failure,
// twice as long after each one in a row up to a minute. While it rests Timestamp
// fails at once, so that an authority that hangs delays no more than one issue at a
// time; after the rest one caller tries, and the first token ends all waiting.
//
// It is safe for concurrent use if Ask is.
type Backoff struct {
	// Ask obtains a token, as Client.Timestamp does.
	Ask func(ctx context.Context, message []byte) (*Token, error)
	// Now is the clock that rests are measured by; no token takes a time from it.
	Now func() time.Time

	mu     sync.Mutex
	rest   time.Duration // after the last failure; zero: the last answer was a token
	until  time.Time     // end of the rest
	trying bool          // one caller is out to see whether the authority is back
	fault  error         // the last failure
}

// Timestamp asks for a token over message, or fails with ErrResting and the failure
// that the authority rests for. A caller who gave up says nothing about the authority.
func (b *Backoff) Timestamp(ctx context.Context, message []byte) (*Token, error) {
	trial, err := b.enter()
	if err != nil {
		return nil, err
	}
	token, err := b.Ask(ctx, message)
	b.leave(trial, err, ctx.Err() != nil)
	return token, err
}

// Resting is the error with which Timestamp would fail at once, nil when it would ask:
// for callers who had better not begin what they cannot end.
func (b *Backoff) Resting() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.resting()
}

// resting is Resting, for the holder of the lock.
func (b *Backoff) resting() error {
	if b.rest > 0 && (b.trying || b.Now().Before(b.until)) {
		return fmt.Errorf("%w: %w", ErrResting, b.fault)
	}
	return nil
}

// enter reports whether the call is the trial after a rest.
func (b *Backoff) enter() (trial bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.resting(); err != nil {
		return false, err
	}
	trial = b.rest > 0
	b.trying = b.trying || trial
	return trial, nil
}

// leave learns from an answer. Of calls that were under way when the rest began, a
// failure does not make it longer.
func (b *Backoff) leave(trial bool, err error, gaveUp bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if trial {
		b.trying = false
	}
	switch {
	case err == nil:
		b.rest = 0
	case !gaveUp && (trial || b.rest == 0):
		b.rest = min(max(2*b.rest, firstRest), longestRest)
		b.until, b.fault = b.Now().Add(b.rest), err
	}
}
