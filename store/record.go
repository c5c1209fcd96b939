package store

import (
	"context"
	"errors"

	"elicence/licence"
	"elicence/licence/registry"
)

// Columns of a licence and of a file, in the order in which row scans them. A
// licence may have no file, hence the defaults.
const (
	licenceColumns = `l.identifier, l.number, l.type_code, l.authority_code, l.division, l.version,
		l.holder_name, l.holder_code, l.holder_code_type, l.data, l.data_digest,
		l.status, l.status_reason, l.status_at, l.client, l.idempotency_key, l.case_number,
		l.created_at, l.lease_until, l.issued_on, l.effective_on, l.expires_on, l.operation, l.supersedes, l.catalogue_version, l.importer, coalesce((SELECT n.identifier FROM licence n
			WHERE n.supersedes = l.identifier AND n.supersedes <> '' AND n.status <> 'voided' AND n.status <> 'pending'), ''),
		l.number_index, l.holder_index, l.mac, l.standing_mac`
	currentColumns = `l.file_digest, c.range_digest, coalesce(c.size, 0), coalesce(c.timestamped, false),
		coalesce(c.timestamped_at, 0), coalesce(c.sealed_at, 0), coalesce(c.created_at, 0), c.mac`
	foundColumns = `f.digest, f.range_digest, f.size, f.timestamped, f.timestamped_at, f.sealed_at, f.created_at, f.mac`

	selectLicence = `SELECT ` + licenceColumns + `, ` + currentColumns + `
		FROM licence l LEFT JOIN licence_file c ON c.digest = l.file_digest `
	selectByFile = `SELECT ` + licenceColumns + `, ` + currentColumns + `, ` + foundColumns + `
		FROM licence_file f JOIN licence l ON l.identifier = f.identifier
		LEFT JOIN licence_file c ON c.digest = l.file_digest `
)

// licenceRow is a licence as its columns hold it.
type licenceRow struct {
	identifier, status, holderCodeType                   string
	operation, supersedes, supersededBy                  string
	issuedOn, effectiveOn, expiresOn                     string
	number, holderName, holderCode, data, reason, digest []byte
	version, statusAt, createdAt, leaseUntil             int64
	catalogueVersion                                     int64
	numberIndex, holderIndex, mac, standingMAC           []byte
	record                                               registry.Record
	file                                                 fileRow
}

func (r *licenceRow) dest() []any {
	rec := &r.record
	return append([]any{
		&r.identifier, &r.number, &rec.TypeCode, &rec.AuthorityCode, &rec.Division, &r.version,
		&r.holderName, &r.holderCode, &r.holderCodeType, &r.data, &r.digest,
		&r.status, &r.reason, &r.statusAt, &rec.Client, &rec.IdempotencyKey, &rec.CaseNumber,
		&r.createdAt, &r.leaseUntil, &r.issuedOn, &r.effectiveOn, &r.expiresOn, &r.operation, &r.supersedes, &r.catalogueVersion, &rec.Importer, &r.supersededBy,
		&r.numberIndex, &r.holderIndex, &r.mac, &r.standingMAC,
	}, r.file.dest()...)
}

// authentic says that a row is not as the register stored it, or nil.
func (r *licenceRow) authentic(s Secrets) error {
	rec := &r.record
	err := s.authentic(licenceTable, r.mac, r.identifier, r.numberIndex, rec.TypeCode, rec.AuthorityCode, rec.Division, r.version, r.holderCodeType, r.holderIndex, r.digest, rec.Client, rec.IdempotencyKey,
		rec.CaseNumber, r.createdAt, r.operation, r.supersedes, r.issuedOn, r.effectiveOn, r.expiresOn, r.catalogueVersion, rec.Importer)
	if err != nil {
		return err
	}
	return s.authentic(standingTable, r.standingMAC, r.identifier, r.status, r.reason, r.statusAt, r.file.digest)
}

// open decrypts a row into a record.
func (r *licenceRow) open(s Secrets) (registry.Record, error) {
	if err := r.authentic(s); err != nil {
		return registry.Record{}, err
	}
	rec := r.record
	rec.Identifier, rec.Status = licence.Identifier(r.identifier), licence.Status(r.status)
	rec.Operation, rec.Supersedes, rec.SupersededBy = licence.Operation(r.operation), licence.Identifier(r.supersedes), licence.Identifier(r.supersededBy)
	rec.Version, rec.CatalogueVersion, rec.StatusAt = int(r.version), int(r.catalogueVersion), instant(r.statusAt)
	rec.CreatedAt, rec.LeaseUntil = instant(r.createdAt), instant(r.leaseUntil)
	rec.Holder.CodeType = licence.HolderCodeType(r.holderCodeType)
	for _, c := range []struct {
		column string
		sealed []byte
		set    func([]byte)
	}{
		{"licence.number", r.number, func(b []byte) { rec.Number = string(b) }},
		{"licence.holder_name", r.holderName, func(b []byte) { rec.Holder.Name = string(b) }},
		{"licence.holder_code", r.holderCode, func(b []byte) { rec.Holder.Code = string(b) }},
		{"licence.status_reason", r.reason, func(b []byte) { rec.StatusReason = string(b) }},
		{"licence.data", r.data, func(b []byte) { rec.Data = b }},
	} {
		value, err := s.open(place{c.column, r.identifier}, c.sealed)
		if err != nil {
			return registry.Record{}, err
		}
		c.set(value)
	}
	if err := digest(&rec.DataDigest, r.digest); err != nil {
		return registry.Record{}, doing("reading licence.data_digest of "+r.identifier, err)
	}
	err := errors.Join(rec.IssuedOn.UnmarshalText([]byte(r.issuedOn)), rec.EffectiveOn.UnmarshalText([]byte(r.effectiveOn)), rec.ExpiresOn.UnmarshalText([]byte(r.expiresOn)))
	if err != nil {
		return registry.Record{}, doing("reading the dates of "+r.identifier, err)
	}
	file, err := r.file.file(s, r.identifier)
	rec.File = file
	return rec, err
}

// fileRow is a file as its columns hold it.
type fileRow struct {
	digest, rangeDigest, mac                 []byte
	size, timestampedAt, sealedAt, createdAt int64
	timestamped                              bool
}

func (r *fileRow) dest() []any {
	return []any{&r.digest, &r.rangeDigest, &r.size, &r.timestamped, &r.timestampedAt, &r.sealedAt, &r.createdAt, &r.mac}
}

// file is the file of a licence; without a digest there is none.
func (r *fileRow) file(s Secrets, identifier string) (registry.File, error) {
	if len(r.digest) == 0 {
		return registry.File{}, nil
	}
	if err := s.authentic(fileTable, r.mac, identifier, r.digest, r.rangeDigest, r.size, r.timestamped, r.timestampedAt, r.sealedAt, r.createdAt); err != nil {
		return registry.File{}, err
	}
	f := registry.File{
		Size: r.size, Timestamped: r.timestamped, TimestampedAt: instant(r.timestampedAt),
		SealedAt: instant(r.sealedAt), CreatedAt: instant(r.createdAt),
	}
	if err := digest(&f.Digest, r.digest); err != nil {
		return registry.File{}, doing("reading licence_file.digest", err)
	}
	if err := digest(&f.RangeDigest, r.rangeDigest); err != nil {
		return registry.File{}, doing("reading licence_file.range_digest", err)
	}
	return f, nil
}

// records reads the licences of a query that begins with selectLicence.
func (s Secrets) records(ctx context.Context, from session, query string, args ...any) ([]registry.Record, error) {
	var records []registry.Record
	if err := from.query(ctx, s.recordRow(&records), query, args...); err != nil {
		return nil, err
	}
	return records, nil
}

// recordRow takes a row of selectLicence.
func (s Secrets) recordRow(records *[]registry.Record) func(scan) error {
	return func(scan scan) error {
		var row licenceRow
		if err := scan(row.dest()...); err != nil {
			return err
		}
		rec, err := row.open(s)
		*records = append(*records, rec)
		return err
	}
}

// record reads one licence; licence.ErrNotFound when there is none.
func (s Secrets) record(ctx context.Context, from session, query string, args ...any) (registry.Record, error) {
	records, err := s.records(ctx, from, query, args...)
	switch {
	case err != nil:
		return registry.Record{}, err
	case len(records) == 0:
		return registry.Record{}, licence.ErrNotFound
	}
	return records[0], nil
}

// filed reads the licences of a query that begins with selectByFile, with the files they
// were found by.
func (s Secrets) filed(ctx context.Context, from session, query string, args ...any) (all []registry.Filed, err error) {
	err = from.query(ctx, func(scan scan) error {
		var (
			row   licenceRow
			found fileRow
		)
		if err := scan(append(row.dest(), found.dest()...)...); err != nil {
			return err
		}
		rec, err := row.open(s)
		file, fault := found.file(s, row.identifier)
		all = append(all, registry.Filed{Record: rec, File: file})
		return errors.Join(err, fault)
	}, query, args...)
	return all, err
}
