package subscriptions

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"
)

// Request asks that a department be told of licences.
type Request struct {
	// Key is the Idempotency-Key, Body SM3 of the request body it came with.
	Key  string
	Body [32]byte
	// Client is whom the system subscribes; anybody else subscribes themselves, whatever it is.
	Client    string
	URL       string
	Events    []event.Type
	TypeCodes []string
}

// Subscribe has a department told of licences that one of its clients may read: an approval
// system those of its types in its own division and below, a partner those of types that the
// department has a grant for by its function. It ends with that right: see Claim. Errors:
// ErrForbidden, *licence.RequestError, licence.ErrNotFound when there is no such client,
// ErrTooManySubscriptions, ErrKeyReused, ErrLog.
func (r *Register) Subscribe(ctx context.Context, c registry.Caller, q Request) (event.Subscription, audit.Receipt, error) {
	if !c.Has(registry.RoleSystem) {
		q.Client = c.Principal
	}
	id, fault := r.gate.NewID()
	n, found := r.gate.Store().Client(ctx, q.Client)
	now := r.gate.Now()
	s := event.Subscription{ID: id, Client: q.Client, Authority: n.Authority, URL: q.URL, Events: q.Events, TypeCodes: q.TypeCodes, Status: event.Active, CreatedAt: now, StatusAt: now}
	if slices.Contains(n.Roles, registry.RoleApprovalSystem) {
		s.Division = n.Authority.Division
	}
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{
		Action: registry.ActionSubscribe, Object: "subscription/" + s.ID, Digest: q.Body[:], Use: registry.Use{Purpose: registry.Clip(fmt.Sprintf("for %s at %s, %d types", q.Client, hostOf(q.URL), len(q.TypeCodes)), 512)},
		Check: func() error {
			if err := errors.Join(registry.CheckKey(q.Key), fault); err != nil {
				return err
			}
			if found != nil {
				return found
			}
			return r.check(ctx, n, s)
		},
		Apply: func(ctx context.Context, tx registry.Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &s, func() error { return tx.InsertSubscription(ctx, s) })
		},
	})
	return s, receipt, err
}

// hostOf is what the log shows of an address: the rest may hold a secret.
func hostOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return u.Host
}

// check says what is wrong with a subscription of a client, its rights included.
func (r *Register) check(ctx context.Context, n registry.Client, s event.Subscription) error {
	if err := s.Check(); err != nil {
		return err
	}
	for i, code := range s.TypeCodes {
		may, err := r.mayHear(ctx, n, s, code)
		if err != nil {
			return err
		}
		if !may {
			return fmt.Errorf("%w: types[%d]: the client may not read licences of this type", registry.ErrForbidden, i)
		}
	}
	if r.checkTarget == nil {
		return fmt.Errorf("%w: this service sends no events", registry.ErrForbidden)
	}
	return r.checkTarget(ctx, s.URL)
}

// Unsubscribe ends a subscription for a reason, and forgets what was still to be told by it.
// Errors: ErrForbidden, ErrReasonMissing, licence.ErrNotFound, ErrKeyReused, ErrLog.
func (r *Register) Unsubscribe(ctx context.Context, c registry.Caller, id string, q registry.StatusRequest) (audit.Receipt, error) {
	_, receipt, err := r.change(ctx, c, registry.ActionUnsubscribe, id, q, func(ctx context.Context, tx registry.Tx, s *event.Subscription) error {
		return tx.DropSubscription(ctx, id)
	})
	return receipt, err
}

// Enable has a subscription served again that the service disabled, for a
// reason. What happened meanwhile is not told; what was dead is replayed by Replay. Its
// right and its target are looked at as if it were new. Errors: as of Subscribe,
// ErrReasonMissing, licence.ErrWrongStatus.
func (r *Register) Enable(ctx context.Context, c registry.Caller, id string, q registry.StatusRequest) (event.Subscription, audit.Receipt, error) {
	return r.change(ctx, c, registry.ActionSubscriptionEnable, id, q, func(ctx context.Context, tx registry.Tx, s *event.Subscription) error {
		s.Status, s.Reason, s.StatusAt, s.Failures, s.RestUntil = event.Active, "", r.gate.Now(), 0, time.Time{}
		return tx.EnableSubscription(ctx, id, s.StatusAt)
	})
}

// change changes a subscription in one transaction with its entry and the answer
// of its key.
func (r *Register) change(ctx context.Context, c registry.Caller, action audit.Action, id string, q registry.StatusRequest, do func(context.Context, registry.Tx, *event.Subscription) error) (event.Subscription, audit.Receipt, error) {
	s, found := r.gate.Store().Subscription(ctx, id)
	removed := errors.Is(found, licence.ErrNotFound) && action == registry.ActionUnsubscribe // by this key, perhaps
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{
		Action: action, Object: "subscription/" + id, Digest: q.Body[:], PurposeField: "reason", Use: registry.Use{Purpose: q.Reason, Operator: q.Operator},
		Check: func() error {
			if found != nil && !removed {
				return found
			}
			if !removed {
				if err := mayManage(c, s); err != nil {
					return err
				}
			}
			if q.Reason == "" {
				return registry.ErrReasonMissing
			}
			if action == registry.ActionSubscriptionEnable {
				n, err := r.gate.Store().Client(ctx, s.Client)
				if err == nil {
					err = r.check(ctx, n, s)
				}
				if err != nil {
					return err
				}
			}
			return registry.CheckKey(q.Key)
		},
		Apply: func(ctx context.Context, tx registry.Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &s, func() error { return do(ctx, tx, &s) })
		},
	})
	return s, receipt, err
}

// List lists the subscriptions of the caller's department; the system sees all.
func (r *Register) List(ctx context.Context, c registry.Caller, q registry.SubscriptionQuery) ([]event.Subscription, audit.Receipt, error) {
	q.Authority, q.Limit = c.Authority.Code, min(max(q.Limit, 1), registry.MaxPage)
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionSubscriptionRead, Object: "subscriptions", Check: func() error {
		if q.Authority == "" && !c.Has(registry.RoleSystem) {
			return fmt.Errorf("%w: the caller is of no department", registry.ErrForbidden)
		}
		return nil
	}})
	if err != nil {
		return nil, receipt, err
	}
	all, err := r.gate.Store().Subscriptions(ctx, q)
	return all, receipt, err
}
