package store

import (
	"context"

	"elicence/licence"
	"elicence/licence/registry"
)

// InsertImport implements registry.Tx.
func (t *transaction) InsertImport(ctx context.Context, i registry.Import) error {
	id := string(i.Identifier)
	sealed := make([][]byte, 3)
	for n, c := range []struct {
		column string
		value  []byte
	}{{"licence_import.given", []byte(i.Given)}, {"licence_import.override", []byte(i.Override)}, {"licence_import.report", i.Report}} {
		var err error
		if sealed[n], err = t.secrets.seal(place{c.column, id}, c.value); err != nil {
			return err
		}
	}
	err := t.later(ctx, `INSERT INTO licence_import (identifier, imported_at, given, platform, existing, verdict, override, report)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		id, nanos(i.At), sealed[0], i.Platform, i.Existing, string(i.Verdict), sealed[1], sealed[2])
	return doing("storing an import", err)
}

// Import implements registry.Store.
func (r reader) Import(ctx context.Context, id licence.Identifier) (registry.Import, error) {
	i := registry.Import{Identifier: id}
	var (
		given, override, report []byte
		at                      int64
		verdict                 string
	)
	err := one(ctx, r, `SELECT imported_at, given, platform, existing, verdict, override, report FROM licence_import
		WHERE identifier = $1 ORDER BY id DESC LIMIT 1`, []any{string(id)}, &at, &given, &i.Platform, &i.Existing, &verdict, &override, &report)
	if err != nil {
		return registry.Import{}, doing("reading an import", err)
	}
	i.At, i.Verdict = instant(at), registry.ImportVerdict(verdict)
	for _, c := range []struct {
		column string
		sealed []byte
		set    func([]byte)
	}{
		{"licence_import.given", given, func(b []byte) { i.Given = string(b) }},
		{"licence_import.override", override, func(b []byte) { i.Override = string(b) }},
		{"licence_import.report", report, func(b []byte) { i.Report = b }},
	} {
		value, err := r.secrets.open(place{c.column, string(id)}, c.sealed)
		if err != nil {
			return registry.Import{}, err
		}
		c.set(value)
	}
	return i, nil
}
