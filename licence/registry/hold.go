package registry

import (
	"context"
	"fmt"
	"time"

	"elicence/audit"
)

// Hold keeps the log entries that a principal makes under a case number from the holders
// they are about, until an instant (依法暂缓告知). The entries themselves are logged like
// any other, at once; auditors see them at any time. What was logged before the hold was
// placed, or after it ended, is not covered.
type Hold struct {
	Principal, Case string
	// OrderedBy is the authority that ordered it, Basis the document in which it did.
	OrderedBy, Basis string
	PlacedAt, Until  time.Time
	// LiftedAt is when it was ended before Until; zero when it was not.
	LiftedAt time.Time
}

// End is when the hold ends, or ended.
func (h Hold) End() time.Time {
	if !h.LiftedAt.IsZero() {
		return h.LiftedAt
	}
	return h.Until
}

// Covers reports whether an entry logged at an instant falls under the hold.
func (h Hold) Covers(logged time.Time) bool {
	return !logged.Before(h.PlacedAt) && logged.Before(h.End())
}

// Holds finds the holds that cover entries.
type Holds struct {
	gate *Gate
	// known are those of principals and cases, which it remembers.
	known map[[2]string][]Hold
}

// Holds is for one page of entries: it remembers what it has found.
func (g *Gate) Holds() Holds { return Holds{g, map[[2]string][]Hold{}} }

// Of returns the hold that covers an entry, and whether there is one. Of several it is
// the one that ends last.
func (m Holds) Of(ctx context.Context, e *audit.Entry) (last Hold, held bool, err error) {
	if e.Case == "" {
		return last, false, nil
	}
	at := [2]string{e.Principal, e.Case}
	known, asked := m.known[at]
	if !asked {
		if known, err = m.gate.Store().Holds(ctx, e.Principal, e.Case); err != nil {
			return last, false, fmt.Errorf("reading holds: %w", err)
		}
		m.known[at] = known
	}
	for _, h := range known {
		if h.Covers(e.Time) && h.End().After(last.End()) {
			last, held = h, true
		}
	}
	return last, held, nil
}

// Held reports which entries are under a hold that lasts.
func (g *Gate) Held(ctx context.Context) func(*audit.Record) (bool, error) {
	holds, now := g.Holds(), g.Now()
	return func(e *audit.Record) (bool, error) {
		h, held, err := holds.Of(ctx, &e.Entry)
		return held && now.Before(h.End()), err
	}
}
