package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

// CatalogueChange implements registry.Store.
func (r reader) CatalogueChange(ctx context.Context) (n int64, err error) {
	err = one(ctx, r, `SELECT coalesce(max(change), 0) FROM catalogue_version`, nil, &n)
	return n, doing("reading the catalogue's changes", err)
}

// CatalogueVersions implements registry.Store.
func (r reader) CatalogueVersions(ctx context.Context, typeCode string) (found []registry.CatalogueVersion, err error) {
	which, args := "", []any(nil)
	if typeCode != "" {
		which, args = `WHERE type_code = $1`, []any{typeCode}
	}
	err = r.query(ctx, func(scan scan) error {
		var v registry.CatalogueVersion
		var version, imported, changed int64
		var stage string
		var sum []byte
		if err := scan(&v.TypeCode, &version, &stage, &v.Name, &sum, &v.ImportedBy, &imported, &v.ChangedBy, &changed, &v.Reason); err != nil {
			return err
		}
		v.Version, v.Stage, v.ImportedAt, v.ChangedAt = int(version), registry.Stage(stage), instant(imported), instant(changed)
		err := digest(&v.Digest, sum)
		found = append(found, v)
		return err
	}, `SELECT type_code, version, stage, name, digest, imported_by, imported_at, changed_by, changed_at, reason
		FROM catalogue_version `+which+` ORDER BY type_code, version`, args...)
	return found, doing("reading the catalogue", err)
}

// CatalogueFiles implements registry.Store.
func (r reader) CatalogueFiles(ctx context.Context, typeCode string, version int) (registry.CatalogueFiles, error) {
	files := registry.CatalogueFiles{}
	err := r.query(ctx, func(scan scan) error {
		var name string
		var content []byte
		err := scan(&name, &content)
		files[name] = bytes.Clone(content)
		return err
	}, `SELECT name, content FROM catalogue_file WHERE type_code = $1 AND version = $2`, typeCode, int64(version))
	if err == nil && len(files) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return nil, doing("reading files of the catalogue", err)
	}
	return files, nil
}

// NewestLicences implements registry.Store.
func (r reader) NewestLicences(ctx context.Context, typeCode, division string, n int) ([]registry.Record, error) {
	records, err := r.secrets.records(ctx, r, selectLicence+`WHERE l.type_code = $1
		AND substr(l.division, 1, length(CAST($2 AS text))) = $2 AND l.file_digest IS NOT NULL AND l.importer = ''
		ORDER BY l.created_at DESC, l.identifier LIMIT $3`, typeCode, licence.Subtree(division), int64(limit(n)))
	return records, doing("reading the newest licences", err)
}

// nextChange is the counter's next value, in a statement that changes the catalogue.
const nextChange = `(SELECT coalesce(max(change), 0) + 1 FROM catalogue_version)`

// InsertCatalogueVersion implements registry.Tx.
func (t *transaction) InsertCatalogueVersion(ctx context.Context, v registry.CatalogueVersion, files registry.CatalogueFiles) error {
	n, err := t.exec(ctx, `INSERT INTO catalogue_version (type_code, version, stage, name, digest, imported_by, imported_at,
			changed_by, changed_at, reason, change)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, `+nextChange+`) ON CONFLICT DO NOTHING`,
		v.TypeCode, int64(v.Version), string(v.Stage), v.Name, v.Digest[:], v.ImportedBy, nanos(v.ImportedAt),
		v.ChangedBy, nanos(v.ChangedAt), v.Reason)
	if err == nil && n == 0 {
		err = registry.ErrVersionTaken
	}
	if err != nil {
		return doing("storing a version of the catalogue", err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := t.later(ctx, `INSERT INTO catalogue_file (type_code, version, name, content) VALUES ($1, $2, $3, $4)`,
			v.TypeCode, int64(v.Version), name, files[name]); err != nil {
			return fmt.Errorf("storing %s of the catalogue: %w", name, err)
		}
	}
	return nil
}

// MoveCatalogueVersion implements registry.Tx.
func (t *transaction) MoveCatalogueVersion(ctx context.Context, typeCode string, version int, from, to registry.Stage, by, reason string, at time.Time) error {
	n, err := t.exec(ctx, `UPDATE catalogue_version SET stage = $4, changed_by = $5, reason = $6, changed_at = $7, change = `+nextChange+`
		WHERE type_code = $1 AND version = $2 AND stage = $3`, typeCode, int64(version), string(from), string(to), by, reason, nanos(at))
	if err == nil && n == 0 {
		err = registry.ErrWrongStage
	}
	return doing("moving a version of the catalogue", err)
}
