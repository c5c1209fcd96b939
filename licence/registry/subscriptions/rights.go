package subscriptions

import (
	"context"
	"errors"
	"slices"

	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"
)

// mayHear reports whether a client, as it is now, may be told of licences of a type by a
// subscription of its own.
func (r *Register) mayHear(ctx context.Context, n registry.Client, s event.Subscription, typeCode string) (bool, error) {
	switch {
	case n.Disabled || n.Authority.Code == "" || n.Authority.Code != s.Authority.Code:
		return false, nil
	case slices.Contains(n.Roles, registry.RoleApprovalSystem):
		return slices.Contains(n.Types, typeCode) && licence.Within(s.Division, n.Authority.Division), nil
	case slices.Contains(n.Roles, registry.RolePartner):
		return r.gate.Store().Granted(ctx, n.Authority.Code, typeCode, r.gate.Today())
	}
	return false, nil
}

// mayManage says whether a caller looks after a subscription: the system, and whoever is of
// its department.
func mayManage(c registry.Caller, s event.Subscription) error {
	if c.Has(registry.RoleSystem) || c.Authority.Code != "" && c.Authority.Code == s.Authority.Code {
		return nil
	}
	return registry.ErrOutOfReach
}

// hearing tells of which licence types the client of a subscription may be told now; each
// type is looked up once.
func (r *Register) hearing(ctx context.Context, s event.Subscription) (func(typeCode string) (bool, error), error) {
	n, err := r.gate.Store().Client(ctx, s.Client)
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		return nil, err
	}
	known := map[string]bool{}
	return func(typeCode string) (bool, error) {
		if may, asked := known[typeCode]; asked {
			return may, nil
		}
		may, err := r.mayHear(ctx, n, s, typeCode)
		if err == nil {
			known[typeCode] = may
		}
		return may, err
	}, nil
}
