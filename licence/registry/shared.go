package registry

import (
	"context"
	"time"
)

// Shared state is what one server of the register knows and the others must find, for a
// while and under a key that whoever asks has to know: that a sign-in link is not used yet,
// that a session was signed out of, what came of a batch, what was revoked. It shows nothing
// of the register, so it makes no entry.

// Share keeps a value under a kind and a key until an instant, in place of the one before.
// An error is ErrLog: the storage is the log's.
func (r *Registry) Share(ctx context.Context, kind, key string, value []byte, until time.Time) error {
	return r.gate.Unlogged(ctx, func(ctx context.Context, tx Tx) error { return tx.PutShared(ctx, kind, key, value, r.now(), until) })
}

// Shared is the value that any server keeps; licence.ErrNotFound when there is none any more.
func (r *Registry) Shared(ctx context.Context, kind, key string) ([]byte, error) {
	return r.cfg.Store.Shared(ctx, kind, key, r.now())
}
