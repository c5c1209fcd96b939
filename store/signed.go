package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

var selectClientKey = clientKeyTable.selection()

// ClientKey implements registry.Store.
func (r reader) ClientKey(ctx context.Context, keyID string) (registry.ClientKey, error) {
	var row clientKeyRow
	err := one(ctx, shortSession{r}, selectClientKey+`WHERE key_id = $1`, []any{keyID}, append(row.columns(), &row.mac)...)
	if err == nil {
		err = r.secrets.authentic(clientKeyTable, row.mac, row.columns()...)
	}
	if err != nil {
		return registry.ClientKey{}, doing("reading client key", err)
	}
	return row.key(), nil
}

// ClientKeys implements registry.Store. At most 1,000 keys are returned.
func (r reader) ClientKeys(ctx context.Context, client string) ([]registry.ClientKey, error) {
	var found []registry.ClientKey
	err := r.query(ctx, func(scan scan) error {
		var row clientKeyRow
		if err := scan(append(row.columns(), &row.mac)...); err != nil {
			return err
		}
		found = append(found, row.key())
		return r.secrets.authentic(clientKeyTable, row.mac, row.columns()...)
	}, selectClientKey+`WHERE $1 = '' OR client = $1 ORDER BY client, valid_from, key_id LIMIT $2`, client, int64(maxRows))
	return found, doing("reading client keys", err)
}

// clientKeyRow is a key as its columns hold it.
type clientKeyRow struct {
	registry.ClientKey
	from, until, ended int64
	mac                []byte
}

func (r *clientKeyRow) columns() []any {
	return []any{&r.KeyID, &r.Client, &r.PublicKey, &r.from, &r.until, &r.ended}
}

func (r *clientKeyRow) key() registry.ClientKey {
	r.ValidFrom, r.ValidUntil, r.EndedAt = instant(r.from), instant(r.until), instant(r.ended)
	return r.ClientKey
}

// SetAuthentication implements registry.Tx.
func (t *transaction) SetAuthentication(ctx context.Context, client string, a registry.Authentication) error {
	err := t.alterRow(ctx, clientTable, client, func(row map[string]any) error {
		row["authentication"] = string(a)
		return nil
	})
	return doing("changing a client's authentication", err)
}

// InsertClientKey implements registry.Tx.
func (t *transaction) InsertClientKey(ctx context.Context, k registry.ClientKey) error {
	n, err := t.insertRow(ctx, clientKeyTable, `ON CONFLICT (key_id) DO NOTHING`,
		k.KeyID, k.Client, k.PublicKey, nanos(k.ValidFrom), nanos(k.ValidUntil), nanos(k.EndedAt))
	if err == nil && n == 0 {
		err = registry.ErrKeyTaken
	}
	return doing("storing client key", err)
}

// EndClientKey implements registry.Tx.
func (t *transaction) EndClientKey(ctx context.Context, keyID string, at time.Time) error {
	err := t.alterRow(ctx, clientKeyTable, keyID, endAt("ended_at", at))
	if errors.Is(err, licence.ErrWrongStatus) {
		err = licence.ErrNotFound
	}
	return doing("ending client key", err)
}

// TakeNonce implements registry.Tx. One in 256 forgets what has lapsed, for them all.
func (t *transaction) TakeNonce(ctx context.Context, digest [32]byte, owner [16]byte, now, until time.Time) error {
	if digest[0] == 0 {
		if err := t.later(ctx, `DELETE FROM request_nonce WHERE until_at <= $1`, nanos(now)); err != nil {
			return fmt.Errorf("forgetting nonces: %w", err)
		}
	}
	n, err := t.exec(ctx, `INSERT INTO request_nonce (digest, owner, until_at) VALUES ($1, $2, $3)
		ON CONFLICT (digest) DO UPDATE SET until_at = excluded.until_at WHERE request_nonce.owner = excluded.owner`,
		digest[:], owner[:], nanos(until))
	if err == nil && n == 0 {
		err = registry.ErrReplayed
	}
	return doing("taking nonce", err)
}
