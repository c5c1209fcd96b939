package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"elicence/audit"
	"elicence/licence"
)

// StatisticsQuery asks how many licences there are; zero fields ask for the usual.
type StatisticsQuery struct {
	// Types are type codes; empty: all that the caller has.
	Types []string
	// From and To bound what was issued and ended, both inclusive: from the first of January
	// to today, without them.
	From, To licence.Date
	// ExpiringDays is how many days ahead a valid licence counts as expiring; 0: 90.
	ExpiringDays int
}

// The most months and days that StatisticsQuery may ask about.
const (
	maxStatisticsYears = 10
	// MaxExpiringDays bounds StatisticsQuery.ExpiringDays.
	MaxExpiringDays = 3660
	expiringDays    = 90
)

// MeasureExpiring is the measure of valid licences that will soon expire.
const MeasureExpiring = "expiring"

// Count is how many licences of a type and a division a measure counts.
//
// By month of their day of issue: "issued", first versions, and each operation that makes a
// new version, by its name. By month of the change, in Asia/Shanghai: "revoked", "withdrawn",
// "cancelled". As they are now, without a month: "valid", of which "expiring", "not_yet_valid",
// "expired", "suspended". What was never issued is not counted.
type Count struct {
	Measure, TypeCode, Division string
	// Origin is licence.OriginExternal of those that other platforms issued, which are counted
	// where they were imported.
	Origin string
	Month  string // YYYY-MM, or empty
	Count  int64
}

// CountQuery is a StatisticsQuery whose fields are all set.
type CountQuery struct {
	Types []string
	// Division is the one whose subtree is counted.
	Division string
	From, To licence.Date
	// Today decides what has expired, Soon is the last day that counts as expiring.
	Today, Soon licence.Date
}

// Statistics counts licences of the caller's own types, in their division and below.
func (r *Registry) Statistics(ctx context.Context, c Caller, q StatisticsQuery, use Use) ([]Count, CountQuery, audit.Receipt, error) {
	count := CountQuery{Types: q.Types, Division: c.Authority.Division, From: q.From, To: q.To, Today: r.today()}
	a := &Access{Action: ActionStatistics, Use: use}
	a.Check = func() error {
		err := count.complete(c, q.ExpiringDays)
		a.Object = Clip(fmt.Sprintf("%s/%s/%s", count.From, count.To, strings.Join(count.Types, " ")), 256)
		return err
	}
	receipt, err := r.gate.Pass(ctx, c, a)
	if err != nil {
		return nil, CountQuery{}, receipt, err
	}
	counts, err := r.cfg.Store.Counts(ctx, count)
	return counts, count, receipt, err
}

// complete fills in what was left out, and checks what was given.
func (q *CountQuery) complete(c Caller, expiring int) error {
	if len(q.Types) == 0 {
		q.Types = c.Types
	}
	if len(q.Types) == 0 || slices.ContainsFunc(q.Types, func(t string) bool { return !slices.Contains(c.Types, t) }) {
		return fmt.Errorf("%w: the caller does not read licences of this type", ErrForbidden)
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
		return statisticsFault("to", licence.CodeDateOrder, "is before from")
	case q.To.Year()-q.From.Year() > maxStatisticsYears:
		return statisticsFault("from", licence.CodeOutOfRange, fmt.Sprintf("is more than %d years before to", maxStatisticsYears))
	case expiring < 1 || expiring > MaxExpiringDays:
		return statisticsFault("expiring_days", licence.CodeOutOfRange, fmt.Sprintf("is not between 1 and %d", MaxExpiringDays))
	}
	return nil
}

func statisticsFault(field, code, detail string) error {
	return &licence.RequestError{Fields: []licence.FieldError{{Field: field, Code: code, Detail: detail}}}
}
