package accesslog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
)

// MaxHold is how long a hold may last at most. It can be prolonged.
const MaxHold = 366 * 24 * time.Hour

// PlaceHold places a hold, or prolongs the one in force for the same principal and case.
// h needs all but PlacedAt and LiftedAt. All of it stands in the log. Errors:
// *licence.RequestError, ErrReasonMissing.
func (r *Register) PlaceHold(ctx context.Context, c registry.Caller, h registry.Hold) (audit.Receipt, error) {
	now := r.gate.Now()
	present, fault := r.holdInForce(ctx, h.Principal, h.Case)
	if errors.Is(fault, licence.ErrNotFound) {
		present.PlacedAt, fault = now, nil
	}
	h.PlacedAt, h.LiftedAt = present.PlacedAt, time.Time{}
	return r.gate.Pass(ctx, c, &registry.Access{
		Action: registry.ActionHold, Object: holdObject(h), PurposeField: "basis",
		Use: registry.Use{Purpose: fmt.Sprintf("until %s, ordered by %s: %s", h.Until.UTC().Format(time.RFC3339), h.OrderedBy, h.Basis), Case: h.Case},
		Check: func() error {
			if fault != nil {
				return fault
			}
			return r.checkHold(ctx, h, now)
		},
		Apply: func(ctx context.Context, tx registry.Tx, _ *audit.Entry) error { return tx.PutHold(ctx, h) },
	})
}

// holdObject names a hold in the log.
func holdObject(h registry.Hold) string { return "hold/" + h.Principal }

// checkHold names what is wrong with a hold that is placed now.
func (r *Register) checkHold(ctx context.Context, h registry.Hold, now time.Time) error {
	for field, value := range map[string]string{"principal": h.Principal, "case_number": h.Case, "ordered_by": h.OrderedBy, "basis": h.Basis} {
		if value == "" {
			return licence.InvalidField(field, licence.CodeMissing, "is required")
		}
	}
	if !h.Until.After(now) || h.Until.Sub(now) > MaxHold {
		return licence.InvalidField("until", licence.CodeOutOfRange, "is not within a year from now")
	}
	_, err := r.gate.Store().Client(ctx, h.Principal)
	if errors.Is(err, licence.ErrNotFound) {
		return licence.InvalidField("principal", licence.CodeNotAllowed, "is no client")
	}
	return err
}

// LiftHold ends the hold in force before its time. Errors: licence.ErrNotFound when there
// is none, ErrReasonMissing.
func (r *Register) LiftHold(ctx context.Context, c registry.Caller, principal, caseNumber, reason string) (audit.Receipt, error) {
	h, err := r.holdInForce(ctx, principal, caseNumber)
	h.Principal, h.Case, h.LiftedAt = principal, caseNumber, r.gate.Now()
	return r.gate.Pass(ctx, c, &registry.Access{
		Action: registry.ActionHoldLift, Object: holdObject(h), Use: registry.Use{Purpose: reason, Case: caseNumber}, PurposeField: "reason",
		Check: func() error {
			if err == nil && reason == "" {
				return registry.ErrReasonMissing
			}
			return err
		},
		Apply: func(ctx context.Context, tx registry.Tx, _ *audit.Entry) error { return tx.PutHold(ctx, h) },
	})
}

// holdInForce is the hold on a principal's case; licence.ErrNotFound when there is none.
func (r *Register) holdInForce(ctx context.Context, principal, caseNumber string) (registry.Hold, error) {
	holds, err := r.gate.Store().Holds(ctx, principal, caseNumber)
	if err != nil {
		return registry.Hold{}, err
	}
	for _, h := range holds {
		if h.Covers(r.gate.Now()) {
			return h, nil
		}
	}
	return registry.Hold{}, licence.ErrNotFound
}
