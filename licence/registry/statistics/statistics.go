// Package statistics counts licences by type, division and month for those who issue them.
package statistics

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
)

// Register is the part of the register that counts. Its methods may be called concurrently.
type Register struct{ gate *registry.Gate }

// New returns the part of a register.
func New(r *registry.Registry) *Register { return &Register{r.Gate()} }

// Query asks how many licences there are; zero fields ask for the usual.
type Query struct {
	// Types are type codes; empty: all that the caller has.
	Types []string
	// From and To bound what was issued and ended, both inclusive: from the first of January
	// to today, without them.
	From, To licence.Date
	// ExpiringDays is how many days ahead a valid licence counts as expiring; 0: 90.
	ExpiringDays int
}

// The most months and days that Query may ask about.
const (
	maxYears = 10
	// MaxExpiringDays bounds Query.ExpiringDays.
	MaxExpiringDays = 3660
	expiringDays    = 90
)

// Count counts licences of the caller's own types, in their division and below.
func (r *Register) Count(ctx context.Context, c registry.Caller, q Query, use registry.Use) ([]registry.Count, registry.CountQuery, audit.Receipt, error) {
	count := registry.CountQuery{Types: q.Types, Division: c.Authority.Division, From: q.From, To: q.To, Today: r.gate.Today()}
	a := &registry.Access{Action: registry.ActionStatistics, Use: use}
	a.Check = func() error {
		err := complete(&count, c, q.ExpiringDays)
		a.Object = registry.Clip(fmt.Sprintf("%s/%s/%s", count.From, count.To, strings.Join(count.Types, " ")), 256)
		return err
	}
	receipt, err := r.gate.Pass(ctx, c, a)
	if err != nil {
		return nil, registry.CountQuery{}, receipt, err
	}
	counts, err := r.gate.Store().Counts(ctx, count)
	return counts, count, receipt, err
}

// complete fills in what was left out, and checks what was given.
func complete(q *registry.CountQuery, c registry.Caller, expiring int) error {
	if len(q.Types) == 0 {
		q.Types = c.Types
	}
	if len(q.Types) == 0 || slices.ContainsFunc(q.Types, func(t string) bool { return !slices.Contains(c.Types, t) }) {
		return fmt.Errorf("%w: the caller does not read licences of this type", registry.ErrForbidden)
	}
	if q.To.IsZero() {
		q.To = q.Today
	}
	if q.From.IsZero() {
		q.From = licence.DateOf(q.To.StartsAt().AddDate(0, 0, 1-q.To.StartsAt().YearDay()))
	}
	if expiring == 0 {
		expiring = expiringDays
	}
	q.Soon = licence.DateOf(q.Today.StartsAt().AddDate(0, 0, expiring))
	switch {
	case q.To.Compare(q.From) < 0:
		return licence.InvalidField("to", licence.CodeDateOrder, "is before from")
	case q.To.Year()-q.From.Year() > maxYears:
		return licence.InvalidField("from", licence.CodeOutOfRange, fmt.Sprintf("is more than %d years before to", maxYears))
	case expiring < 1 || expiring > MaxExpiringDays:
		return licence.InvalidField("expiring_days", licence.CodeOutOfRange, fmt.Sprintf("is not between 1 and %d", MaxExpiringDays))
	}
	return nil
}
