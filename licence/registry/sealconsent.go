package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"elicence/audit"
	"elicence/licence"
)

// SealConsent is an authority's standing agreement that its seal stands on licences of one
// type that another authority issues (联合用印授权). There is at most one for a type, an
// issuing authority and a kind: it also says which authority of that kind seals.
type SealConsent struct {
	// TypeCode is the licence type, Issuing the USCC of the authority that issues it,
	// Kind one of the kinds in the type's co_seals.
	TypeCode, Issuing, Kind string
	// CoSealer is the authority that consents; its name stands on the licences.
	CoSealer licence.CoSealer
	// Basis is the document in which it does.
	Basis string
	// ValidFrom and ValidTo bound the consent in days, both inclusive; a zero ValidTo is
	// unbounded.
	ValidFrom, ValidTo licence.Date
}

// The actions on consents, as they stand in the access log.
const (
	ActionSealConsent    audit.Action = "seal_consent"
	ActionSealConsentEnd audit.Action = "seal_consent_end"
)

// PutSealConsent registers a consent, or replaces the one for the same type, issuing
// authority and kind.
func (r *Registry) PutSealConsent(ctx context.Context, c Caller, consent SealConsent) (audit.Receipt, error) {
	return r.gate.Pass(ctx, c, &Access{
		Action: ActionSealConsent, Object: consent.object(), Use: Use{Purpose: consent.Basis}, PurposeField: "basis",
		Check: func() error { return r.checkSealConsent(ctx, consent) },
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error { return tx.PutSealConsent(ctx, consent) },
	})
}

// object names a consent in the log.
func (c SealConsent) object() string {
	return "consent/" + c.CoSealer.Code + "/" + c.TypeCode + "/" + c.Issuing
}

// checkSealConsent names what is wrong with a consent: a *licence.RequestError.
func (r *Registry) checkSealConsent(ctx context.Context, c SealConsent) error {
	if err := c.CoSealer.Check(); err != nil {
		return err
	}
	if err := licence.CheckUSCC(c.Issuing); err != nil {
		return licence.InvalidField("issuing", licence.CodeBadHolderCode, "is wrong: "+err.Error())
	}
	item, err := r.catalogue().Item(c.TypeCode)
	if err != nil {
		return licence.InvalidField("type_code", licence.CodeUnknownType, "is not in the catalogue")
	}
	switch {
	case !slices.Contains(item.CoSeals, c.Kind):
		return licence.InvalidField("kind", licence.CodeNotAllowed, fmt.Sprintf("is not among the co-seals of %s: %q", item.Name, item.CoSeals))
	case c.CoSealer.Code == c.Issuing:
		return licence.InvalidField("co_sealer.code", licence.CodeRepeated, "is the issuing authority's own")
	case r.cfg.Seals[c.CoSealer.Code] == nil:
		return licence.InvalidField("co_sealer.code", licence.CodeNotAllowed, "names an authority whose seal is not kept here")
	case c.Basis == "":
		return licence.InvalidField("basis", licence.CodeMissing, "is required")
	case c.ValidFrom.IsZero():
		return licence.InvalidField("valid_from", licence.CodeMissing, "is required")
	case !c.ValidTo.IsZero() && c.ValidTo.Compare(c.ValidFrom) < 0:
		return licence.InvalidField("valid_to", licence.CodeDateOrder, "is before valid_from")
	}
	return r.sealsOnce(ctx, item, c)
}

// sealsOnce refuses a consent of an authority that seals the same licences already.
func (r *Registry) sealsOnce(ctx context.Context, item *licence.CatalogueItem, c SealConsent) error {
	for _, kind := range item.CoSeals {
		other, err := r.cfg.Store.SealConsent(ctx, c.TypeCode, c.Issuing, kind)
		switch {
		case errors.Is(err, licence.ErrNotFound) || kind == c.Kind:
		case err != nil:
			return err
		case other.CoSealer.Code == c.CoSealer.Code:
			return licence.InvalidField("co_sealer.code", licence.CodeRepeated, "seals these licences already, as "+kind)
		}
	}
	return nil
}

// EndSealConsent takes a consent back. What was sealed by it stays good; what is reserved and
// not sealed yet waits for another. Errors: licence.ErrNotFound, ErrReasonMissing.
func (r *Registry) EndSealConsent(ctx context.Context, c Caller, typeCode, issuing, kind, reason string) (audit.Receipt, error) {
	consent, found := r.cfg.Store.SealConsent(ctx, typeCode, issuing, kind)
	consent.TypeCode, consent.Issuing = typeCode, issuing
	return r.gate.Pass(ctx, c, &Access{
		Action: ActionSealConsentEnd, Object: consent.object(), Use: Use{Purpose: reason}, PurposeField: "reason",
		Check: func() error {
			if found == nil && reason == "" {
				return ErrReasonMissing
			}
			return found
		},
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error {
			return tx.DropSealConsent(ctx, typeCode, issuing, kind)
		},
	})
}

// SealConsents are all consents. Like the seals, they are no personal data, so that reading
// them is no operation.
func (r *Registry) SealConsents(ctx context.Context) ([]SealConsent, error) {
	return r.cfg.Store.SealConsents(ctx)
}

// coSealers are the authorities whose seals stand on licences of a type beside those of
// the issuing authority, in order. A *SealFault when one has not consented.
func (r *Registry) coSealers(ctx context.Context, item *licence.CatalogueItem, issuing string) (found []licence.CoSealer, err error) {
	for _, kind := range item.CoSeals {
		consent, err := r.consent(ctx, item.TypeCode, issuing, kind)
		if err != nil {
			return nil, err
		}
		found = append(found, consent.CoSealer)
	}
	return found, nil
}

// consent is the one that holds today; a *SealFault when there is none.
func (r *Registry) consent(ctx context.Context, typeCode, issuing, kind string) (SealConsent, error) {
	c, err := r.cfg.Store.SealConsent(ctx, typeCode, issuing, kind)
	today := r.today()
	switch {
	case errors.Is(err, licence.ErrNotFound):
		return c, &SealFault{"consent_missing", "of the kind " + kind, ErrNoConsent}
	case err != nil:
		return c, err
	case today.Compare(c.ValidFrom) < 0:
		return c, &SealFault{"consent_not_yet_valid", "that of " + c.CoSealer.Name + " begins on " + c.ValidFrom.String(), ErrNoConsent}
	case !c.ValidTo.IsZero() && today.Compare(c.ValidTo) > 0:
		return c, &SealFault{"consent_ended", "that of " + c.CoSealer.Name + " ended on " + c.ValidTo.String(), ErrNoConsent}
	}
	return c, nil
}
