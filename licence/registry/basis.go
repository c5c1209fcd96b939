package registry

import (
	"context"
	"fmt"
	"time"

	"elicence/licence/consent"
)

// Basis is what lets a reuse through, as it was found when that was decided. It is looked at
// again in the transaction of each entry: a case that is closed at the same moment, a grant
// that is withdrawn, a client that is disabled or braked, has its entry before or behind that
// of the reuse, and behind it nothing is let through.
type Basis struct {
	// Client is who reuses; empty where a licence is shown, which rests on the consent alone.
	Client string
	// Case is its CaseID; empty where a consent stands in its place, or none is needed.
	Case string
	// Grants are the identifiers of all grants that open something.
	Grants []string
	// Consent is a holder's, of which a use is counted when this is looked at; empty for none.
	Consent string
}

// spent is what remains to be looked at once the use of a consent is counted; nil for nothing.
func (b *Basis) spent() *Basis {
	if b == nil || b.Client == "" {
		return nil
	}
	rest := *b
	rest.Consent = ""
	return &rest
}

// BasisState is how a Basis stands inside a transaction.
type BasisState struct {
	Disabled, Braked bool
	// CaseOpen is false when there is no case, too; Grants is how many are approved.
	CaseOpen bool
	Grants   int
	// Used says that the consent stood, and that a use was counted.
	Used bool
}

// basis is what must still stand when the reuse is logged.
func (o opening) basis(c Caller) *Basis {
	b := &Basis{Client: c.Principal, Grants: o.grants}
	if o.kase.Number != "" {
		b.Case = CaseID(o.kase.Authority, o.kase.Number)
	}
	return b
}

// check says what of the basis is no more, or nil, and counts a use of its consent: with an
// error that is undone. That a day is over at this moment is not looked at.
func (b *Basis) check(ctx context.Context, tx Tx, now time.Time) error {
	if b == nil {
		return nil
	}
	s, err := tx.Basis(ctx, *b, now)
	switch {
	case err != nil:
		return err
	case s.Disabled:
		return ErrUnauthenticated
	case s.Braked:
		return ErrBraked
	case b.Case != "" && !s.CaseOpen:
		return fmt.Errorf("%w: it is closed", ErrCaseClosed)
	case s.Grants != len(b.Grants):
		return fmt.Errorf("%w: the grant is not in force", ErrForbidden)
	case b.Consent != "" && !s.Used:
		return consent.ErrSpent
	}
	return nil
}
