package store

import (
	"context"
	"time"

	"elicence/licence/registry"
)

// Holds implements registry.Store.
func (r reader) Holds(ctx context.Context, principal, caseNumber string) ([]registry.Hold, error) {
	var found []registry.Hold
	err := r.query(ctx, func(scan scan) error {
		h := registry.Hold{Principal: principal, Case: caseNumber}
		var placed, until, lifted int64
		err := scan(&placed, &until, &lifted, &h.OrderedBy, &h.Basis)
		h.PlacedAt, h.Until, h.LiftedAt = instant(placed), instant(until), instant(lifted)
		found = append(found, h)
		return err
	}, `SELECT placed_at, until_at, lifted_at, ordered_by, basis FROM log_hold
		WHERE principal = $1 AND case_number = $2 ORDER BY placed_at`, principal, caseNumber)
	return found, doing("reading holds", err)
}

// HeldSince implements registry.Store.
func (r reader) HeldSince(ctx context.Context, now time.Time) (time.Time, error) {
	var placed int64
	err := one(ctx, r, `SELECT coalesce(min(placed_at), 0) FROM log_hold WHERE lifted_at = 0 AND until_at > $1`, []any{nanos(now)}, &placed)
	return instant(placed), doing("reading holds", err)
}

// PutHold implements registry.Tx.
func (t *transaction) PutHold(ctx context.Context, h registry.Hold) error {
	err := changed(t.exec(ctx, `INSERT INTO log_hold (principal, case_number, placed_at, until_at, lifted_at, ordered_by, basis)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (principal, case_number, placed_at) DO UPDATE SET until_at = excluded.until_at,
			lifted_at = excluded.lifted_at, ordered_by = excluded.ordered_by, basis = excluded.basis
			WHERE log_hold.lifted_at = 0`,
		h.Principal, h.Case, nanos(h.PlacedAt), nanos(h.Until), nanos(h.LiftedAt), h.OrderedBy, h.Basis))
	return doing("storing hold", err)
}
