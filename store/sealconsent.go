package store

import (
	"context"

	"elicence/licence"
	"elicence/licence/registry"
)

// selectSealConsent selects the columns that sealConsents reads.
const selectSealConsent = `SELECT type_code, issuing_code, kind, authority_code, authority_name, basis, valid_from, valid_to FROM seal_consent `

// sealConsents reads a query that begins with selectSealConsent.
func sealConsents(ctx context.Context, from session, query string, args ...any) ([]registry.SealConsent, error) {
	var found []registry.SealConsent
	err := from.query(ctx, func(scan scan) error {
		var c registry.SealConsent
		var first, last string
		if err := scan(&c.TypeCode, &c.Issuing, &c.Kind, &c.CoSealer.Code, &c.CoSealer.Name, &c.Basis, &first, &last); err != nil {
			return err
		}
		if err := c.ValidFrom.UnmarshalText([]byte(first)); err != nil {
			return doing("reading seal_consent.valid_from", err)
		}
		found = append(found, c)
		return doing("reading seal_consent.valid_to", found[len(found)-1].ValidTo.UnmarshalText([]byte(last)))
	}, query, args...)
	return found, doing("reading consents", err)
}

// SealConsent implements registry.Store.
func (r reader) SealConsent(ctx context.Context, typeCode, issuing, kind string) (registry.SealConsent, error) {
	found, err := sealConsents(ctx, r, selectSealConsent+`WHERE type_code = $1 AND issuing_code = $2 AND kind = $3`, typeCode, issuing, kind)
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return registry.SealConsent{}, err
	}
	return found[0], nil
}

// SealConsents implements registry.Store.
func (r reader) SealConsents(ctx context.Context) ([]registry.SealConsent, error) {
	return sealConsents(ctx, r, selectSealConsent+`ORDER BY type_code, issuing_code, kind`)
}

// PutSealConsent implements registry.Tx.
func (t *transaction) PutSealConsent(ctx context.Context, c registry.SealConsent) error {
	_, err := t.exec(ctx, `INSERT INTO seal_consent (type_code, issuing_code, kind, authority_code, authority_name, basis, valid_from, valid_to)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (type_code, issuing_code, kind) DO UPDATE SET authority_code = excluded.authority_code,
			authority_name = excluded.authority_name, basis = excluded.basis,
			valid_from = excluded.valid_from, valid_to = excluded.valid_to`,
		c.TypeCode, c.Issuing, c.Kind, c.CoSealer.Code, c.CoSealer.Name, c.Basis, c.ValidFrom.String(), c.ValidTo.String())
	return doing("storing consent", err)
}

// DropSealConsent implements registry.Tx.
func (t *transaction) DropSealConsent(ctx context.Context, typeCode, issuing, kind string) error {
	err := changed(t.exec(ctx, `DELETE FROM seal_consent WHERE type_code = $1 AND issuing_code = $2 AND kind = $3`, typeCode, issuing, kind))
	return doing("ending consent", err)
}
