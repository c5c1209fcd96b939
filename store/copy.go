package store

import (
	"context"

	"elicence/licence"
	"elicence/licence/registry"
)

// selectCopy selects the columns that copyBy reads.
const selectCopy = `SELECT id, identifier, receiver, client, expires_on, data, data_digest, file_digest, range_digest, size, timestamped_at, sealed_at, made_at
	FROM annotated_copy `

// copyBy reads the one copy of a query that begins with selectCopy.
func copyBy(ctx context.Context, from session, s Secrets, query string, arg any) (registry.CopyRecord, error) {
	var c registry.CopyRecord
	var id, identifier, last string
	var data, dataDigest, file, covered []byte
	var timestamped, sealed, made int64
	err := one(ctx, from, query, []any{arg}, &id, &identifier, &c.Receiver, &c.Client, &last, &data, &dataDigest, &file, &covered, &c.File.Size, &timestamped, &sealed, &made)
	if err != nil {
		return registry.CopyRecord{}, doing("reading copy", err)
	}
	c.ID, c.Identifier = licence.CopyID(id), licence.Identifier(identifier)
	if err := c.ExpiresOn.UnmarshalText([]byte(last)); err != nil {
		return registry.CopyRecord{}, doing("reading annotated_copy.expires_on", err)
	}
	if c.Data, err = s.open(place{"annotated_copy.data", id}, data); err != nil {
		return registry.CopyRecord{}, err
	}
	for _, d := range []struct {
		to   *[32]byte
		from []byte
	}{{&c.DataDigest, dataDigest}, {&c.File.Digest, file}, {&c.File.RangeDigest, covered}} {
		copy(d.to[:], d.from)
	}
	c.File.Timestamped, c.File.TimestampedAt = timestamped != 0, instant(timestamped)
	c.File.SealedAt, c.File.CreatedAt = instant(sealed), instant(made)
	return c, nil
}

// Copy implements registry.Store.
func (r reader) Copy(ctx context.Context, id licence.CopyID) (registry.CopyRecord, error) {
	return copyBy(ctx, r, r.secrets, selectCopy+`WHERE id = $1`, string(id))
}

// CopyByFile implements registry.Store.
func (r reader) CopyByFile(ctx context.Context, digest [32]byte) (registry.CopyRecord, error) {
	return copyBy(ctx, r, r.secrets, selectCopy+`WHERE file_digest = $1`, digest[:])
}

// Copy implements registry.Tx.
func (t *transaction) Copy(ctx context.Context, id licence.CopyID) (registry.CopyRecord, error) {
	return copyBy(ctx, t, t.secrets, selectCopy+`WHERE id = $1`, string(id))
}

// InsertCopy implements registry.Tx.
func (t *transaction) InsertCopy(ctx context.Context, c registry.CopyRecord) error {
	data, err := t.secrets.seal(place{"annotated_copy.data", string(c.ID)}, c.Data)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `INSERT INTO annotated_copy (id, identifier, receiver, client, expires_on, data, data_digest, range_digest, size, timestamped_at, sealed_at, made_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, 0)`,
		string(c.ID), string(c.Identifier), c.Receiver, c.Client, c.ExpiresOn.String(), data, c.DataDigest[:], []byte{})
	return doing("storing copy", err)
}

// SetCopyFile implements registry.Tx.
func (t *transaction) SetCopyFile(ctx context.Context, id licence.CopyID, f registry.File) error {
	err := wrongStatus(t.exec(ctx, `UPDATE annotated_copy SET file_digest = $2, range_digest = $3, size = $4, timestamped_at = $5, sealed_at = $6, made_at = $7
		WHERE id = $1 AND file_digest IS NULL`, string(id), f.Digest[:], f.RangeDigest[:], f.Size, nanos(f.TimestampedAt), nanos(f.SealedAt), nanos(f.CreatedAt)))
	return doing("entering the file of a copy", err)
}
