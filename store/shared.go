package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"
)

// sharedKey is what a key of shared state is looked up by: it may be somebody's session.
func (s Secrets) sharedKey(kind, key string) (index []byte, at place) {
	index = s.index("shared_state", kind, key)
	return index, place{"shared_state.value", kind + "\x00" + hex.EncodeToString(index)}
}

// Shared implements registry.Store.
func (r reader) Shared(ctx context.Context, kind, key string, now time.Time) ([]byte, error) {
	index, at := r.secrets.sharedKey(kind, key)
	var value []byte
	err := one(ctx, shortSession{r}, `SELECT value FROM shared_state WHERE kind = $1 AND key = $2 AND until_at > $3`,
		[]any{kind, index, nanos(now)}, &value)
	if err != nil {
		return nil, doing("reading shared state", err)
	}
	return r.secrets.open(at, value)
}

// PutShared implements registry.Tx.
func (t *transaction) PutShared(ctx context.Context, kind, key string, value []byte, now, until time.Time) error {
	index, at := t.secrets.sharedKey(kind, key)
	sealed, err := t.secrets.seal(at, value)
	if err != nil {
		return err
	}
	if err := t.later(ctx, `DELETE FROM shared_state WHERE until_at <= $1`, nanos(now)); err != nil {
		return fmt.Errorf("forgetting shared state: %w", err)
	}
	_, err = t.exec(ctx, `INSERT INTO shared_state (kind, key, value, until_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, until_at = excluded.until_at`,
		kind, index, sealed, nanos(until))
	return doing("sharing state", err)
}

// TakeShared implements registry.Tx.
func (t *transaction) TakeShared(ctx context.Context, kind, key string, now time.Time) error {
	index, _ := t.secrets.sharedKey(kind, key)
	err := changed(t.exec(ctx, `DELETE FROM shared_state WHERE kind = $1 AND key = $2 AND until_at > $3`, kind, index, nanos(now)))
	return doing("taking shared state", err)
}
