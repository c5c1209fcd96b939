package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

// selectClient selects the columns that clients reads; of brakes, the last time that one
// was lifted, or the greatest number when one stands.
var selectClient = `SELECT ` + strings.Join(clientTable.columns, ", ") + `, mac,
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
		var mac []byte
		row := []any{&c.ID, &c.SecretHash, &c.Salt, &roles, &c.Authority.Name, &c.Authority.Code, &c.Authority.Division,
			&code, &codeType, &c.Disabled, &types, &c.DailyReuses, &c.OldSecretHash, &c.OldSalt, &oldUntil, (*string)(&c.Authentication), &c.Person}
		if err := scan(append(row, &mac, &braked)...); err != nil {
			return err
		}
		if err := r.secrets.authentic(clientTable, mac, row...); err != nil {
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
		q.After, licence.Subtree(q.Division), int64(limit(q.Limit)))
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
	n, err := t.insertRow(ctx, clientTable, `ON CONFLICT (id) `+conflict,
		c.ID, c.SecretHash, c.Salt, string(roles), c.Authority.Name, c.Authority.Code,
		c.Authority.Division, code, string(c.HolderCodeType), c.Disabled, string(types),
		c.DailyReuses, c.OldSecretHash, c.OldSalt, nanos(c.OldUntil), string(c.Authentication), c.Person)
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
			authentication = excluded.authentication, person = excluded.person, mac = excluded.mac`)
	return err
}

// alike reports whether a table has a row whose key differs from one in case at most. There are
// few clients and people, and an index would serve nothing but this.
func (t *transaction) alike(ctx context.Context, table macTable, key string) (bool, error) {
	var n int64
	err := one(ctx, t, `SELECT count(*) FROM `+table.name+` WHERE lower(id) = lower($1)`, []any{key}, &n)
	return n > 0, doing("looking for "+table.name+"s", err)
}

// InsertClient implements registry.Tx.
func (t *transaction) InsertClient(ctx context.Context, c registry.Client) error {
	if alike, err := t.alike(ctx, clientTable, c.ID); err != nil || alike {
		return cmp.Or(err, registry.ErrClientTaken)
	}
	n, err := t.putClient(ctx, c, `DO NOTHING`)
	if err == nil && n == 0 {
		err = registry.ErrClientTaken
	}
	return err
}

// RotateClient implements registry.Tx.
func (t *transaction) RotateClient(ctx context.Context, id string, salt, hash []byte, oldUntil time.Time) error {
	err := t.alterRow(ctx, clientTable, id, func(row map[string]any) error {
		row["old_secret_hash"], row["old_salt"], row["old_until"] = row["secret_hash"], row["salt"], nanos(oldUntil)
		row["secret_hash"], row["salt"] = hash, salt
		return nil
	})
	return doing("rotating client", err)
}

// DisableClient implements registry.Tx.
func (t *transaction) DisableClient(ctx context.Context, id string) error {
	return doing("disabling client", t.alterRow(ctx, clientTable, id, disabled))
}
