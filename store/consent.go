package store

import (
	"context"

	"elicence/licence"
	"elicence/licence/registry"
)

// selectConsent selects the columns that consents reads.
const selectConsent = `SELECT type_code, issuing_code, kind, authority_code, authority_name, basis, valid_from, valid_to FROM seal_consent `

// consents reads a query that begins with selectConsent.
func consents(ctx context.Context, from session, query string, args ...any) ([]registry.Consent, error) {
	var found []registry.Consent
	err := from.query(ctx, func(scan scan) error {
		var c registry.Consent
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

// Consent implements registry.Store.
func (r reader) Consent(ctx context.Context, typeCode, issuing, kind string) (registry.Consent, error) {
	found, err := consents(ctx, r, selectConsent+`WHERE type_code = $1 AND issuing_code = $2 AND kind = $3`, typeCode, issuing, kind)
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return registry.Consent{}, err
	}
	return found[0], nil
}

// Consents implements registry.Store.
func (r reader) Consents(ctx context.Context) ([]registry.Consent, error) {
	return consents(ctx, r, selectConsent+`ORDER BY type_code, issuing_code, kind`)
}

// PutConsent implements registry.Tx.
func (t *transaction) PutConsent(ctx context.Context, c registry.Consent) error {
	_, err := t.exec(ctx, `INSERT INTO seal_consent (type_code, issuing_code, kind, authority_code, authority_name, basis, valid_from, valid_to)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (type_code, issuing_code, kind) DO UPDATE SET authority_code = excluded.authority_code,
			authority_name = excluded.authority_name, basis = excluded.basis,
			valid_from = excluded.valid_from, valid_to = excluded.valid_to`,
		c.TypeCode, c.Issuing, c.Kind, c.CoSealer.Code, c.CoSealer.Name, c.Basis, c.ValidFrom.String(), c.ValidTo.String())
	return doing("storing consent", err)
}

// DropConsent implements registry.Tx.
func (t *transaction) DropConsent(ctx context.Context, typeCode, issuing, kind string) error {
	err := changed(t.exec(ctx, `DELETE FROM seal_consent WHERE type_code = $1 AND issuing_code = $2 AND kind = $3`, typeCode, issuing, kind))
	return doing("ending consent", err)
}
