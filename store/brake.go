package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"elicence/licence"
	"elicence/licence/brake"
	"elicence/licence/registry"
)

// selectBrake selects the columns that brakes reads.
const selectBrake = `SELECT id, client, authority_name, authority_code, division, alarm, detail, braked_at, lifted_by, lifted_at, reason FROM reuse_brake `

// brakes reads a query that begins with selectBrake.
func brakes(ctx context.Context, from session, query string, args ...any) (found []registry.Brake, err error) {
	err = from.query(ctx, func(scan scan) error {
		var b registry.Brake
		var braked, lifted int64
		err := scan(&b.ID, &b.Client, &b.Authority.Name, &b.Authority.Code, &b.Authority.Division, &b.Alarm, &b.Detail, &braked, &b.LiftedBy, &lifted, &b.Reason)
		b.BrakedAt, b.LiftedAt = instant(braked), instant(lifted)
		found = append(found, b)
		return err
	}, query, args...)
	return found, doing("reading brakes", err)
}

// Brake implements registry.Store.
func (r reader) Brake(ctx context.Context, id string) (registry.Brake, error) {
	found, err := brakes(ctx, r, selectBrake+`WHERE id = $1`, id)
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return registry.Brake{}, err
	}
	return found[0], nil
}

// Brakes implements registry.Store.
func (r reader) Brakes(ctx context.Context, q registry.BrakeQuery) ([]registry.Brake, error) {
	return brakes(ctx, r, selectBrake+`WHERE ($1 = '' OR id < $1) AND (NOT $2 OR lifted_at = 0) AND ($3 = '' OR authority_code = $3)
		AND substr(division, 1, length(CAST($4 AS text))) = $4 ORDER BY id DESC LIMIT $5`,
		q.After, q.Standing, q.Authority, licence.Subtree(q.Division), int64(limit(q.Limit)))
}

// StandingBrakes implements registry.Store.
func (r reader) StandingBrakes(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	err := r.query(ctx, func(scan scan) error {
		var alarm string
		var n int64
		err := scan(&alarm, &n)
		counts[alarm] = int(n)
		return err
	}, `SELECT alarm, count(*) FROM reuse_brake WHERE lifted_at = 0 GROUP BY alarm`)
	return counts, doing("counting brakes", err)
}

// InsertBrake implements registry.Tx.
func (t *transaction) InsertBrake(ctx context.Context, b registry.Brake) error {
	n, err := t.exec(ctx, `INSERT INTO reuse_brake (id, client, authority_name, authority_code, division, alarm, detail, braked_at, lifted_by, lifted_at, reason)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (client) WHERE lifted_at = 0 DO NOTHING`,
		b.ID, b.Client, b.Authority.Name, b.Authority.Code, b.Authority.Division, b.Alarm, b.Detail, nanos(b.BrakedAt), b.LiftedBy, nanos(b.LiftedAt), b.Reason)
	if err == nil && n == 0 {
		err = registry.ErrBraked
	}
	return doing("storing brake", err)
}

// LiftBrake implements registry.Tx.
func (t *transaction) LiftBrake(ctx context.Context, b registry.Brake) error {
	err := wrongStatus(t.exec(ctx, `UPDATE reuse_brake SET lifted_by = $2, lifted_at = $3, reason = $4 WHERE id = $1 AND lifted_at = 0`,
		b.ID, b.LiftedBy, nanos(b.LiftedAt), b.Reason))
	return doing("lifting brake", err)
}

// CountReuses implements registry.Tx.
func (t *transaction) CountReuses(ctx context.Context, client string, lifted time.Time, add []brake.Count, before time.Time) ([]int64, error) {
	if err := t.later(ctx, `DELETE FROM reuse_count WHERE since_at < $1`, nanos(before)); err != nil {
		return nil, fmt.Errorf("forgetting counts: %w", err)
	}
	sums := make([]int64, len(add))
	for i, c := range add {
		// An operator is a person, so what is counted is looked up by a keyed digest.
		key := t.secrets.index("reuse_count", client, strconv.FormatInt(nanos(lifted), 10), c.Window.String(), c.Subject)
		err := one(ctx, t, `INSERT INTO reuse_count (key, since_at, n) VALUES ($1, $2, $3)
			ON CONFLICT (key, since_at) DO UPDATE SET n = reuse_count.n + excluded.n RETURNING n`, []any{key, nanos(c.Since), c.N}, &sums[i])
		if err != nil {
			return nil, doing("counting reuses", err)
		}
	}
	return sums, nil
}
