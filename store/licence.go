package store

import (
	"context"
	"fmt"
	"slices"
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
	// DO NOTHING rather than a violation: that would end the transaction in PostgreSQL.
	n, err := t.exec(ctx, `INSERT INTO licence (identifier, number, number_index, type_code, authority_code, division,
			version, holder_name, holder_code, holder_code_type, holder_index, data, data_digest, status, status_reason,
			status_at, client, idempotency_key, case_number, created_at, lease_until, operation, supersedes,
			issued_on, effective_on, expires_on, catalogue_version, importer)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)
		ON CONFLICT DO NOTHING`,
		id, sealed[0], numberIndex, r.TypeCode, r.AuthorityCode,
		r.Division, int64(r.Version), sealed[1], sealed[2], string(r.Holder.CodeType), t.secrets.holderIndex(r.Holder),
		sealed[3], r.DataDigest[:], string(r.Status), sealed[4], nanos(r.StatusAt), r.Client, r.IdempotencyKey,
		r.CaseNumber, nanos(r.CreatedAt), nanos(r.LeaseUntil), string(r.Operation), string(r.Supersedes),
		r.IssuedOn.String(), r.EffectiveOn.String(), r.ExpiresOn.String(), int64(r.CatalogueVersion), r.Importer)
	if err != nil {
		return fmt.Errorf("storing licence: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("storing licence %s: %w", id, licence.ErrNumberTaken)
	}
	return t.remember(ctx, r.Identifier, r.Status, registry.Change{Reason: r.StatusReason, CaseNumber: r.CaseNumber, At: r.StatusAt})
}

// remember appends a status to the history of a licence.
func (t *transaction) remember(ctx context.Context, id licence.Identifier, status licence.Status, c registry.Change) error {
	reason, err := t.secrets.seal(place{"licence_status.reason", string(id)}, []byte(c.Reason))
	if err != nil {
		return err
	}
	err = t.later(ctx, `INSERT INTO licence_status (identifier, status, reason, case_number, at)
		VALUES ($1, $2, $3, $4, $5)`, string(id), string(status), reason, c.CaseNumber, nanos(c.At))
	return doing("storing status history", err)
}

// SetStatus implements registry.Tx.
func (t *transaction) SetStatus(ctx context.Context, id licence.Identifier, from []licence.Status, to licence.Status, c registry.Change) error {
	reason, err := t.secrets.seal(place{"licence.status_reason", string(id)}, []byte(c.Reason))
	if err != nil {
		return err
	}
	n, err := t.exec(ctx, `UPDATE licence SET status = $3, status_reason = $4, status_at = $5
		WHERE identifier = $1 AND $2 LIKE '%,' || status || ',%'`, string(id), listed(from), string(to), reason, nanos(c.At))
	if err != nil {
		return fmt.Errorf("changing status: %w", err)
	}
	if n == 0 {
		return t.unchanged(ctx, id, from)
	}
	return t.remember(ctx, id, to, c)
}

// unchanged says why a status did not change from one of several. licence.ErrNotFound when it
// could have.
func (t *transaction) unchanged(ctx context.Context, id licence.Identifier, from []licence.Status) error {
	status, _, err := t.standing(ctx, id)
	if err == nil && slices.Contains(from, status) {
		err = licence.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("changing status: %w", err)
	}
	return fmt.Errorf("changing status of %s: %w: it is %s, not one of %s", id, licence.ErrWrongStatus, status, from)
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
	n, err := t.exec(ctx, `UPDATE licence SET status = 'valid', status_reason = $3, status_at = $4, file_digest = $2
		WHERE identifier = $1 AND status = 'pending' AND EXISTS (SELECT 1 FROM licence_file WHERE digest = $2 AND identifier = $1)`,
		string(id), f.Digest[:], reason, nanos(c.At))
	if err != nil {
		return fmt.Errorf("issuing %s: %w", id, err)
	}
	if n == 0 {
		return t.unchanged(ctx, id, []licence.Status{licence.StatusPending})
	}
	return t.remember(ctx, id, licence.StatusValid, c)
}

// listed is a list of statuses in a form that both engines can look into.
func listed(statuses []licence.Status) string {
	list := ","
	for _, s := range statuses {
		list += string(s) + ","
	}
	return list
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
	var last, status string
	err := one(ctx, t, `SELECT identifier, status FROM licence WHERE identifier > $1 AND identifier < $2
		ORDER BY identifier DESC LIMIT 1`, []any{string(from), string(to)}, &last, &status)
	return registry.Version{Identifier: licence.Identifier(last), Status: licence.Status(status)}, doing("reading the last version", err)
}

// SetFile implements registry.Tx. Setting a file that is on record already makes
// it the current one again; a file of another licence is refused.
func (t *transaction) SetFile(ctx context.Context, id licence.Identifier, f registry.File) error {
	err := t.insertFile(ctx, id, f)
	if err != nil {
		return err
	}
	err = changed(t.exec(ctx, `UPDATE licence SET file_digest = $2 WHERE identifier = $1
		AND EXISTS (SELECT 1 FROM licence_file WHERE digest = $2 AND identifier = $1)`, string(id), f.Digest[:]))
	return doing("storing file of "+string(id), err)
}

// insertFile puts a file of a licence on record, unless its digest is.
func (t *transaction) insertFile(ctx context.Context, id licence.Identifier, f registry.File) error {
	err := t.later(ctx, `INSERT INTO licence_file (digest, identifier, range_digest, size, timestamped,
			timestamped_at, sealed_at, created_at)
		SELECT $2, identifier, $3, $4, $5, $6, $7, $8 FROM licence WHERE identifier = $1
		ON CONFLICT (digest) DO NOTHING`,
		string(id), f.Digest[:], f.RangeDigest[:], f.Size, f.Timestamped,
		nanos(f.TimestampedAt), nanos(f.SealedAt), nanos(f.CreatedAt))
	return doing("storing file", err)
}

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
