package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/registry"
)

// selectConsent selects the columns that consents reads.
var selectConsent = consentTable.selection()

// consents reads a query that begins with selectConsent.
func (r reader) consents(ctx context.Context, from session, query string, args ...any) (found []consent.Consent, err error) {
	err = from.query(ctx, r.consentRow(func(c consent.Consent) { found = append(found, c) }), query, args...)
	return found, doing("reading consents", err)
}

// consentRow takes a row of selectConsent.
func (r reader) consentRow(take func(consent.Consent)) func(scan) error {
	return func(scan scan) error {
		var c consent.Consent
		var index, code, purpose, mac []byte
		var codeType, kind, licences, fields string
		var uses, used, made, ends, revoked int64
		row := []any{&c.ID, &index, &code, &codeType, &kind, &licences, &fields, &purpose, &c.Receiver, &c.ReceiverName, &uses, &used, &made, &ends, &revoked}
		if err := scan(append(row, &mac)...); err != nil {
			return err
		}
		if err := r.secrets.authentic(consentTable, mac, row...); err != nil {
			return err
		}
		c.Kind, c.Uses, c.Used = consent.Kind(kind), int(uses), int(used)
		c.MadeAt, c.EndsAt, c.RevokedAt = instant(made), instant(ends), instant(revoked)
		for column, to := range map[string]struct {
			text string
			list any
		}{"licences": {licences, &c.Licences}, "fields": {fields, &c.Fields}} {
			if err := json.Unmarshal([]byte(to.text), to.list); err != nil {
				return doing("reading holder_consent."+column, err)
			}
		}
		holder, err := r.secrets.open(place{"holder_consent.holder_code", c.ID}, code)
		if err != nil {
			return err
		}
		text, err := r.secrets.open(place{"holder_consent.purpose", c.ID}, purpose)
		c.Holder, c.Purpose = licence.Holder{Code: string(holder), CodeType: licence.HolderCodeType(codeType)}, string(text)
		take(c)
		return err
	}
}

// Consent implements registry.Store.
func (r reader) Consent(ctx context.Context, id string) (consent.Consent, error) {
	found, err := r.consents(ctx, shortSession{r}, selectConsent+`WHERE id = $1`, id)
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return consent.Consent{}, err
	}
	return found[0], nil
}

// Consents implements registry.Store.
func (r reader) Consents(ctx context.Context, q registry.ConsentQuery) ([]consent.Consent, error) {
	return r.consents(ctx, r, selectConsent+`WHERE holder_index = $1 AND ($2 = '' OR id < $2)
		AND (CAST($3 AS bigint) = 0 OR revoked_at = 0 AND used < uses AND ends_at > $3) ORDER BY id DESC LIMIT $4`,
		r.secrets.holderIndex(q.Holder), q.After, nanos(q.StandingAt), int64(limit(q.Limit)))
}

// InsertConsent implements registry.Tx.
func (t *transaction) InsertConsent(ctx context.Context, c consent.Consent) error {
	code, err := t.secrets.seal(place{"holder_consent.holder_code", c.ID}, []byte(c.Holder.Code))
	if err != nil {
		return err
	}
	purpose, err := t.secrets.seal(place{"holder_consent.purpose", c.ID}, []byte(c.Purpose))
	if err != nil {
		return err
	}
	licences, err := json.Marshal(c.Licences)
	if err != nil {
		return fmt.Errorf("storing holder_consent.licences: %w", err)
	}
	fields, err := json.Marshal(c.Fields)
	if err != nil {
		return fmt.Errorf("storing holder_consent.fields: %w", err)
	}
	_, err = t.insertRow(ctx, consentTable, ``,
		c.ID, t.secrets.holderIndex(c.Holder), code, string(c.Holder.CodeType), string(c.Kind), string(licences), string(fields), purpose, c.Receiver, c.ReceiverName,
		int64(c.Uses), int64(c.Used), nanos(c.MadeAt), nanos(c.EndsAt), nanos(c.RevokedAt))
	return doing("storing consent", err)
}

// useConsent counts one use of a consent; licence.ErrWrongStatus when it is none that stands.
func (t *transaction) useConsent(ctx context.Context, id string, at time.Time) error {
	err := t.alterRow(ctx, consentTable, id, func(row map[string]any) error {
		used, uses := row["used"].(int64), row["uses"].(int64)
		if used >= uses || row["revoked_at"] != int64(0) || row["ends_at"].(int64) <= nanos(at) {
			return licence.ErrWrongStatus
		}
		row["used"] = used + 1
		return nil
	})
	return doing("using consent", missing(err))
}

// RevokeConsent implements registry.Tx.
func (t *transaction) RevokeConsent(ctx context.Context, id string, at time.Time) error {
	end := endAt("revoked_at", at)
	err := t.alterRow(ctx, consentTable, id, func(row map[string]any) error {
		if row["used"].(int64) >= row["uses"].(int64) || row["ends_at"].(int64) <= nanos(at) {
			return licence.ErrWrongStatus
		}
		return end(row)
	})
	return doing("revoking consent", missing(err))
}
