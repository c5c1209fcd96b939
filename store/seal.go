package store

import (
	"context"
	"slices"

	"elicence/licence"
	"elicence/licence/registry"
)

// Both select the columns that seals reads, the second without the SESeal.
const (
	selectSeal  = `SELECT id, authority_code, name, status, der, record_number, replaces, reason, at FROM seal `
	selectStage = `SELECT id, authority_code, name, status, NULL, record_number, replaces, reason, at FROM seal `
)

// seals reads a query that begins with selectSeal.
func seals(ctx context.Context, from session, query string, args ...any) ([]registry.SealRecord, error) {
	var found []registry.SealRecord
	err := from.query(ctx, func(scan scan) error {
		var s registry.SealRecord
		var status string
		var at int64
		err := scan(&s.ID, &s.Authority, &s.Name, &status, &s.DER, &s.RecordNumber, &s.Replaces, &s.Reason, &at)
		s.Status, s.At = registry.SealStatus(status), instant(at)
		s.DER = slices.Clone(s.DER)
		found = append(found, s)
		return err
	}, query, args...)
	return found, err
}

// oneSeal reads the single seal of a query; licence.ErrNotFound when there is none.
func oneSeal(ctx context.Context, from session, query string, args ...any) (registry.SealRecord, error) {
	found, err := seals(ctx, from, query, args...)
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return registry.SealRecord{}, doing("reading seal", err)
	}
	return found[0], nil
}

// Seal implements registry.Store.
func (r reader) Seal(ctx context.Context, id string) (registry.SealRecord, error) {
	return oneSeal(ctx, r, selectSeal+`WHERE id = $1`, id)
}

// SealStage implements registry.Store.
func (r reader) SealStage(ctx context.Context, id string) (registry.SealRecord, error) {
	return oneSeal(ctx, r, selectStage+`WHERE id = $1`, id)
}

// Seals implements registry.Store.
func (r reader) Seals(ctx context.Context) ([]registry.SealRecord, error) {
	found, err := seals(ctx, r, selectSeal+`ORDER BY authority_code, id`)
	return found, doing("reading seals", err)
}

// InsertSeal implements registry.Tx.
func (t *transaction) InsertSeal(ctx context.Context, s registry.SealRecord) error {
	n, err := t.exec(ctx, `INSERT INTO seal (id, authority_code, name, status, der, record_number, replaces, reason, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
		s.ID, s.Authority, s.Name, string(s.Status), s.DER, s.RecordNumber, s.Replaces, s.Reason, nanos(s.At))
	if err == nil && n == 0 {
		err = registry.ErrSealTaken
	}
	if err != nil {
		return doing("storing seal", err)
	}
	return t.noteSeal(ctx, s)
}

// UpdateSeal implements registry.Tx.
func (t *transaction) UpdateSeal(ctx context.Context, s registry.SealRecord, from []registry.SealStatus) error {
	old, err := oneSeal(ctx, t, selectStage+`WHERE id = $1`, s.ID)
	if err != nil {
		return err
	}
	if !slices.Contains(from, old.Status) {
		return doing("changing seal "+s.ID+", which is "+string(old.Status), licence.ErrWrongStatus)
	}
	n, err := t.exec(ctx, `UPDATE seal SET status = $2, der = coalesce($3, der),
			record_number = CASE WHEN $4 = '' THEN record_number ELSE $4 END, reason = $5, at = $6 WHERE id = $1 AND status = $7`,
		s.ID, string(s.Status), s.DER, s.RecordNumber, s.Reason, nanos(s.At), string(old.Status))
	if err == nil && n == 0 {
		err = licence.ErrWrongStatus // somebody changed it meanwhile
	}
	if err != nil {
		return doing("changing seal", err)
	}
	return t.noteSeal(ctx, s)
}

// noteSeal adds a status to a seal's history.
func (t *transaction) noteSeal(ctx context.Context, s registry.SealRecord) error {
	_, err := t.exec(ctx, `INSERT INTO seal_status (seal, status, reason, at) VALUES ($1, $2, $3, $4)`,
		s.ID, string(s.Status), s.Reason, nanos(s.At))
	return doing("noting a seal's status", err)
}
