package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

// InsertLicence implements registry.Tx. A record that brings a file gets it by
// SetFile, not here.
func (t *transaction) InsertLicence(ctx context.Context, r registry.Record) error {
	return t.insert(ctx, r, t.secrets.index("number", r.TypeCode, r.AuthorityCode, r.Number))
}

// InsertVersion implements registry.Tx.
func (t *transaction) InsertVersion(ctx context.Context, r registry.Record) error {
	return t.insert(ctx, r, t.secrets.index("number kept", r.TypeCode, r.AuthorityCode, r.Number, string(r.Identifier)))
}

func (t *transaction) insert(ctx context.Context, r registry.Record, numberIndex []byte) error {
	id := string(r.Identifier)
	sealed := make([][]byte, 5)
	for i, c := range []struct{ column, value string }{
		{"licence.number", r.Number},
		{"licence.holder_name", r.Holder.Name},
		{"licence.holder_code", r.Holder.Code},
		{"licence.data", string(r.Data)},
		{"licence.status_reason", r.StatusReason},
	} {
		var err error
		if sealed[i], err = t.secrets.seal(place{c.column, id}, []byte(c.value)); err != nil {
			return err
		}
	}
	row := []any{id, numberIndex, r.TypeCode, r.AuthorityCode, r.Division, int64(r.Version), string(r.Holder.CodeType), t.secrets.holderIndex(r.Holder), r.DataDigest[:], r.Client, r.IdempotencyKey,
		r.CaseNumber, nanos(r.CreatedAt), string(r.Operation), string(r.Supersedes), r.IssuedOn.String(), r.EffectiveOn.String(), r.ExpiresOn.String(), int64(r.CatalogueVersion), r.Importer}
	standing := []any{string(r.Status), sealed[4], nanos(r.StatusAt)}
	args := append(row, t.secrets.mac(licenceTable, row...))
	args = append(append(args, standing...), t.secrets.mac(standingTable, id, standing[0], standing[1], standing[2], nil))
	// DO NOTHING rather than a violation: that would end the transaction in PostgreSQL.
	n, err := t.change(ctx, insertLicence, append(args, sealed[0], sealed[1], sealed[2], sealed[3], nanos(r.LeaseUntil))...)
	if err != nil {
		return fmt.Errorf("storing licence: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("storing licence %s: %w", id, licence.ErrNumberTaken)
	}
	return t.remember(ctx, r.Identifier, r.Status, registry.Change{Reason: r.StatusReason, CaseNumber: r.CaseNumber, At: r.StatusAt})
}

// insertLicence inserts what is reserved of a licence, how it stands, and what no MAC covers.
var insertLicence = `INSERT INTO licence (` + strings.Join(licenceTable.columns, ", ") + `, mac, status, status_reason, status_at, standing_mac,
	number, holder_name, holder_code, data, lease_until) VALUES ($1` + morePlaceholders(2, len(licenceTable.columns)+10) + `) ON CONFLICT DO NOTHING`

// remember appends a status to the history of a licence.
func (t *transaction) remember(ctx context.Context, id licence.Identifier, status licence.Status, c registry.Change) error {
	reason, err := t.secrets.seal(place{"licence_status.reason", string(id)}, []byte(c.Reason))
	if err != nil {
		return err
	}
	row := []any{string(id), string(status), reason, c.CaseNumber, nanos(c.At)}
	err = t.later(ctx, statusTable.insertion(), append(row, t.secrets.mac(statusTable, row...))...)
	return doing("storing status history", err)
}

// SetStatus implements registry.Tx.
func (t *transaction) SetStatus(ctx context.Context, id licence.Identifier, from []licence.Status, to licence.Status, c registry.Change) error {
	reason, err := t.secrets.seal(place{"licence.status_reason", string(id)}, []byte(c.Reason))
	if err != nil {
		return err
	}
	err = t.alterRow(ctx, standingTable, string(id), func(row map[string]any) error {
		if status := licence.Status(row["status"].(string)); !slices.Contains(from, status) {
			return notAmong(id, status, from)
		}
		row["status"], row["status_reason"], row["status_at"] = string(to), reason, nanos(c.At)
		return nil
	})
	if err != nil {
		return fmt.Errorf("changing status: %w", err)
	}
	return t.remember(ctx, id, to, c)
}

// notAmong is licence.ErrWrongStatus of a licence whose status is not one of several.
func notAmong(id licence.Identifier, status licence.Status, from []licence.Status) error {
	return fmt.Errorf("%s: %w: it is %s, not one of %s", id, licence.ErrWrongStatus, status, from)
}

// SetExpiryTold implements registry.Tx.
func (t *transaction) SetExpiryTold(ctx context.Context, id licence.Identifier) error {
	err := wrongStatus(t.exec(ctx, `UPDATE licence SET expiry_told = $2 WHERE identifier = $1 AND status = 'valid' AND NOT expiry_told`, string(id), true))
	return doing("noting that it was told of "+string(id), err)
}

// Issue implements registry.Tx.
func (t *transaction) Issue(ctx context.Context, id licence.Identifier, f registry.File, c registry.Change) error {
	reason, err := t.secrets.seal(place{"licence.status_reason", string(id)}, []byte(c.Reason))
	if err == nil {
		err = t.insertFile(ctx, id, f)
	}
	if err != nil {
		return err
	}
	n, err := t.change(ctx, `UPDATE licence SET status = 'valid', status_reason = $3, status_at = $4, file_digest = $2, standing_mac = $5
		WHERE identifier = $1 AND status = 'pending' AND EXISTS (SELECT 1 FROM licence_file WHERE digest = $2 AND identifier = $1)`,
		string(id), f.Digest[:], reason, nanos(c.At), t.secrets.mac(standingTable, string(id), string(licence.StatusValid), reason, nanos(c.At), f.Digest[:]))
	if err != nil {
		return fmt.Errorf("issuing %s: %w", id, err)
	}
	if n == 0 {
		return t.unissued(ctx, id)
	}
	return t.remember(ctx, id, licence.StatusValid, c)
}

// unissued says why a licence was not issued. licence.ErrNotFound when it could have been.
func (t *transaction) unissued(ctx context.Context, id licence.Identifier) error {
	status, _, err := t.standing(ctx, id)
	if err == nil && status == licence.StatusPending {
		err = licence.ErrNotFound
	}
	if err == nil {
		err = notAmong(id, status, []licence.Status{licence.StatusPending})
	}
	return fmt.Errorf("issuing: %w", err)
}

// standing reads the status and the lease of a licence.
func (t *transaction) standing(ctx context.Context, id licence.Identifier) (status licence.Status, leaseUntil time.Time, err error) {
	var (
		stored string
		until  int64
	)
	err = one(ctx, t, `SELECT status, lease_until FROM licence WHERE identifier = $1`, []any{string(id)}, &stored, &until)
	return licence.Status(stored), instant(until), err
}

// LastVersion implements registry.Tx.
func (t *transaction) LastVersion(ctx context.Context, id licence.Identifier) (registry.Version, error) {
	from, to := id.Versions()
	found, err := t.secrets.versions(ctx, t, selectStanding+`WHERE identifier > $1 AND identifier < $2
		ORDER BY identifier DESC LIMIT 1`, string(from), string(to))
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return registry.Version{}, doing("reading the last version", err)
	}
	return found[0], nil
}

// SetFile implements registry.Tx. Setting a file that is on record already makes
// it the current one again; a file of another licence is refused.
func (t *transaction) SetFile(ctx context.Context, id licence.Identifier, f registry.File) error {
	err := t.insertFile(ctx, id, f)
	if err == nil {
		err = one(ctx, t, `SELECT identifier FROM licence_file WHERE digest = $2 AND identifier = $1`, []any{string(id), f.Digest[:]}, new(string))
	}
	if err == nil {
		err = t.alterRow(ctx, standingTable, string(id), func(row map[string]any) error {
			row["file_digest"] = f.Digest[:]
			return nil
		})
	}
	return doing("storing file of "+string(id), err)
}

// insertFile puts a file of a licence on record, unless its digest is.
func (t *transaction) insertFile(ctx context.Context, id licence.Identifier, f registry.File) error {
	row := []any{string(id), f.Digest[:], f.RangeDigest[:], f.Size, f.Timestamped, nanos(f.TimestampedAt), nanos(f.SealedAt), nanos(f.CreatedAt)}
	err := t.later(ctx, insertFile, append(row, t.secrets.mac(fileTable, row...))...)
	return doing("storing file", err)
}

// insertFile inserts a file of a licence that there is.
var insertFile = `INSERT INTO licence_file (` + strings.Join(fileTable.columns, ", ") + `, mac)
	SELECT identifier` + morePlaceholders(2, len(fileTable.columns)+1) + ` FROM licence WHERE identifier = $1 ON CONFLICT (digest) DO NOTHING`

// Lease implements registry.Tx; licence.ErrWrongStatus when the licence is not pending.
func (t *transaction) Lease(ctx context.Context, id licence.Identifier, now, until time.Time) error {
	n, err := t.exec(ctx, `UPDATE licence SET lease_until = $3
		WHERE identifier = $1 AND status = 'pending' AND lease_until < $2`, string(id), nanos(now), nanos(until))
	if err != nil {
		return fmt.Errorf("leasing licence: %w", err)
	}
	if n == 1 {
		return nil
	}
	status, held, err := t.standing(ctx, id)
	switch {
	case err != nil:
		return fmt.Errorf("leasing licence: %w", err)
	case status != licence.StatusPending:
		return fmt.Errorf("leasing licence %s: %w: it is %s", id, licence.ErrWrongStatus, status)
	}
	return fmt.Errorf("leasing licence %s: %w: leased until %s", id, registry.ErrRunning, held.Format(time.RFC3339))
}
