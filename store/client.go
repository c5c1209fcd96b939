package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

// selectClient selects the columns that clients reads; of brakes, the last time that one
// was lifted, or the greatest number when one stands.
const selectClient = `SELECT id, secret_hash, salt, roles, authority_name, authority_code, division,
	holder_code, holder_code_type, disabled, types, daily_reuses, old_secret_hash, old_salt, old_until, authentication,
	(SELECT coalesce(max(CASE WHEN lifted_at = 0 THEN 9223372036854775807 ELSE lifted_at END), 0) FROM reuse_brake WHERE client = client.id)
	FROM client `

// clients reads a query that begins with selectClient.
func (r reader) clients(ctx context.Context, from session, query string, args ...any) (found []registry.Client, err error) {
	var codes [][]byte
	err = from.query(ctx, func(scan scan) error {
		var c registry.Client
		var roles, types, codeType string
		var code []byte
		var oldUntil, braked int64
		if err := scan(&c.ID, &c.SecretHash, &c.Salt, &roles, &c.Authority.Name, &c.Authority.Code, &c.Authority.Division,
			&code, &codeType, &c.Disabled, &types, &c.DailyReuses, &c.OldSecretHash, &c.OldSalt, &oldUntil, (*string)(&c.Authentication), &braked); err != nil {
			return err
		}
		c.HolderCodeType, c.OldUntil = licence.HolderCodeType(codeType), instant(oldUntil)
		if c.Brake.Standing = braked == math.MaxInt64; !c.Brake.Standing {
			c.Brake.LiftedAt = instant(braked)
		}
		if err := json.Unmarshal([]byte(roles), &c.Roles); err != nil {
			return doing("reading client.roles", err)
		}
		found, codes = append(found, c), append(codes, code)
		return doing("reading client.types", json.Unmarshal([]byte(types), &found[len(found)-1].Types))
	}, query, args...)
	if err != nil {
		return nil, doing("reading clients", err)
	}
	for i := range found {
		value, err := r.secrets.open(place{"client.holder_code", found[i].ID}, codes[i])
		if err != nil {
			return nil, err
		}
		found[i].HolderCode = string(value)
	}
	return found, nil
}

// Client implements registry.Store.
func (r reader) Client(ctx context.Context, id string) (registry.Client, error) {
	found, err := r.clients(ctx, shortSession{r}, selectClient+`WHERE id = $1`, id)
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return registry.Client{}, err
	}
	return found[0], nil
}

// Clients implements registry.Store.
func (r reader) Clients(ctx context.Context, q registry.ClientQuery) ([]registry.Client, error) {
	return r.clients(ctx, r, selectClient+`WHERE id > $1 AND substr(division, 1, length(CAST($2 AS text))) = $2 ORDER BY id LIMIT $3`,
		q.After, subtree(q.Division), int64(limit(q.Limit)))
}

// putClient stores a client; what becomes of one of the same identifier is in conflict.
func (t *transaction) putClient(ctx context.Context, c registry.Client, conflict string) (int64, error) {
	roles, err := json.Marshal(c.Roles)
	if err != nil {
		return 0, fmt.Errorf("storing client.roles: %w", err)
	}
	types, err := json.Marshal(c.Types)
	if err != nil {
		return 0, fmt.Errorf("storing client.types: %w", err)
	}
	code, err := t.secrets.seal(place{"client.holder_code", c.ID}, []byte(c.HolderCode))
	if err != nil {
		return 0, err
	}
	n, err := t.exec(ctx, `INSERT INTO client (id, secret_hash, salt, roles, authority_name, authority_code,
			division, holder_code, holder_code_type, disabled, types, daily_reuses, old_secret_hash, old_salt, old_until, authentication)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT (id) `+conflict,
		c.ID, c.SecretHash, c.Salt, string(roles), c.Authority.Name, c.Authority.Code,
		c.Authority.Division, code, string(c.HolderCodeType), c.Disabled, string(types),
		c.DailyReuses, c.OldSecretHash, c.OldSalt, nanos(c.OldUntil), string(c.Authentication))
	return n, doing("storing client", err)
}

// PutClient implements registry.Tx.
func (t *transaction) PutClient(ctx context.Context, c registry.Client) error {
	_, err := t.putClient(ctx, c, `DO UPDATE SET secret_hash = excluded.secret_hash, salt = excluded.salt,
			roles = excluded.roles, authority_name = excluded.authority_name,
			authority_code = excluded.authority_code, division = excluded.division,
			holder_code = excluded.holder_code, holder_code_type = excluded.holder_code_type,
			disabled = excluded.disabled, types = excluded.types, daily_reuses = excluded.daily_reuses,
			old_secret_hash = excluded.old_secret_hash, old_salt = excluded.old_salt, old_until = excluded.old_until,
			authentication = excluded.authentication`)
	return err
}

// InsertClient implements registry.Tx.
func (t *transaction) InsertClient(ctx context.Context, c registry.Client) error {
	n, err := t.putClient(ctx, c, `DO NOTHING`)
	if err == nil && n == 0 {
		err = registry.ErrClientTaken
	}
	return err
}

// RotateClient implements registry.Tx.
func (t *transaction) RotateClient(ctx context.Context, id string, salt, hash []byte, oldUntil time.Time) error {
	err := changed(t.exec(ctx, `UPDATE client SET old_secret_hash = secret_hash, old_salt = salt, old_until = $4, secret_hash = $3, salt = $2 WHERE id = $1`,
		id, salt, hash, nanos(oldUntil)))
	return doing("rotating client", err)
}

// DisableClient implements registry.Tx.
func (t *transaction) DisableClient(ctx context.Context, id string) error {
	return doing("disabling client", changed(t.exec(ctx, `UPDATE client SET disabled = $2 WHERE id = $1`, id, true)))
}
