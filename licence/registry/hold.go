package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/licence"
)

// Hold keeps the log entries that a principal makes under a case number from the holders
// they are about, until an instant (依法暂缓告知). The entries themselves are logged like
// any other, at once; auditors see them at any time. What was logged before the hold was
// placed, or after it ended, is not covered.
type Hold struct {
	Principal, Case string
	// OrderedBy is the authority that ordered it, Basis the document in which it did.
	OrderedBy, Basis string
	PlacedAt, Until  time.Time
	// LiftedAt is when it was ended before Until; zero when it was not.
	LiftedAt time.Time
}

// MaxHold is how long a hold may last at most. It can be prolonged.
const MaxHold = 366 * 24 * time.Hour

// The actions on holds, as they stand in the access log.
const (
	ActionHold     audit.Action = "hold"
	ActionHoldLift audit.Action = "hold_lift"
)

// end is when the hold ends, or ended.
func (h Hold) end() time.Time {
	if !h.LiftedAt.IsZero() {
		return h.LiftedAt
	}
	return h.Until
}

// covers reports whether an entry logged at an instant falls under the hold.
func (h Hold) covers(logged time.Time) bool {
	return !logged.Before(h.PlacedAt) && logged.Before(h.end())
}

// PlaceHold places a hold, or prolongs the one in force for the same principal and case.
// h needs all but PlacedAt and LiftedAt. All of it stands in the log. Errors:
// *licence.RequestError, ErrReasonMissing.
func (r *Registry) PlaceHold(ctx context.Context, c Caller, h Hold) (audit.Receipt, error) {
	now := r.now()
	present, fault := r.holdInForce(ctx, h.Principal, h.Case)
	if errors.Is(fault, licence.ErrNotFound) {
		present.PlacedAt, fault = now, nil
	}
	h.PlacedAt, h.LiftedAt = present.PlacedAt, time.Time{}
	return r.gate.Pass(ctx, c, &Access{
		Action: ActionHold, Object: h.object(), PurposeField: "basis",
		Use: Use{Purpose: fmt.Sprintf("until %s, ordered by %s: %s", h.Until.UTC().Format(time.RFC3339), h.OrderedBy, h.Basis), Case: h.Case},
		Check: func() error {
			if fault != nil {
				return fault
			}
			return r.checkHold(ctx, h, now)
		},
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error { return tx.PutHold(ctx, h) },
	})
}

// object names a hold in the log.
func (h Hold) object() string { return "hold/" + h.Principal }

// checkHold names what is wrong with a hold that is placed now.
func (r *Registry) checkHold(ctx context.Context, h Hold, now time.Time) error {
	for field, value := range map[string]string{"principal": h.Principal, "case_number": h.Case, "ordered_by": h.OrderedBy, "basis": h.Basis} {
		if value == "" {
			return sealFault(field, licence.CodeMissing, "is required")
		}
	}
	if !h.Until.After(now) || h.Until.Sub(now) > MaxHold {
		return sealFault("until", licence.CodeOutOfRange, "is not within a year from now")
	}
	_, err := r.cfg.Store.Client(ctx, h.Principal)
	if errors.Is(err, licence.ErrNotFound) {
		return sealFault("principal", licence.CodeNotAllowed, "is no client")
	}
	return err
}

// LiftHold ends the hold in force before its time. Errors: licence.ErrNotFound when there
// is none, ErrReasonMissing.
func (r *Registry) LiftHold(ctx context.Context, c Caller, principal, caseNumber, reason string) (audit.Receipt, error) {
	h, err := r.holdInForce(ctx, principal, caseNumber)
	h.Principal, h.Case, h.LiftedAt = principal, caseNumber, r.now()
	return r.gate.Pass(ctx, c, &Access{
		Action: ActionHoldLift, Object: h.object(), Use: Use{Purpose: reason, Case: caseNumber}, PurposeField: "reason",
		Check: func() error {
			if err == nil && reason == "" {
				return ErrReasonMissing
			}
			return err
		},
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error { return tx.PutHold(ctx, h) },
	})
}

// holdInForce is the hold on a principal's case; licence.ErrNotFound when there is none.
func (r *Registry) holdInForce(ctx context.Context, principal, caseNumber string) (Hold, error) {
	holds, err := r.cfg.Store.Holds(ctx, principal, caseNumber)
	if err != nil {
		return Hold{}, err
	}
	for _, h := range holds {
		if h.covers(r.now()) {
			return h, nil
		}
	}
	return Hold{}, licence.ErrNotFound
}

// holds remembers the holds of principals and cases while one page is made.
type holds map[[2]string][]Hold

// of returns the hold that covers an entry, and whether there is one. Of several it is
// the one that ends last.
func (m holds) of(ctx context.Context, s Store, e *audit.Entry) (last Hold, held bool, err error) {
	if e.Case == "" {
		return last, false, nil
	}
	at := [2]string{e.Principal, e.Case}
	known, asked := m[at]
	if !asked {
		if known, err = s.Holds(ctx, e.Principal, e.Case); err != nil {
			return last, false, fmt.Errorf("reading holds: %w", err)
		}
		m[at] = known
	}
	for _, h := range known {
		if h.covers(e.Time) && h.end().After(last.end()) {
			last, held = h, true
		}
	}
	return last, held, nil
}
