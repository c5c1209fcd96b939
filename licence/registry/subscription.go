package registry

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
)

// The actions on subscriptions to events, as they stand in the access log.
const (
	ActionSubscribe          audit.Action = "event_subscribe"
	ActionUnsubscribe        audit.Action = "event_unsubscribe"
	ActionSubscriptionEnable audit.Action = "event_enable"
	ActionSubscriptionRead   audit.Action = "read_subscriptions"
	ActionDeadEventsRead     audit.Action = "read_dead_events"
	ActionEventReplay        audit.Action = "event_replay"
	// ActionSubscriptionDisable is the service's own; see disable.
	ActionSubscriptionDisable audit.Action = "event_disable"
)

// MaxReplay is how many events one replay makes due.
const MaxReplay = 1000

// SubscriptionRequest asks that a department be told of licences.
type SubscriptionRequest struct {
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
// department has a grant for by its function. It ends with that right: see ClaimEvents. Errors:
// ErrForbidden, *licence.RequestError, licence.ErrNotFound when there is no such client,
// ErrTooManySubscriptions, ErrKeyReused, ErrLog.
func (r *Registry) Subscribe(ctx context.Context, c Caller, q SubscriptionRequest) (event.Subscription, audit.Receipt, error) {
	if !c.Has(RoleSystem) {
		q.Client = c.Principal
	}
	id, fault := r.gate.NewID()
	n, found := r.cfg.Store.Client(ctx, q.Client)
	now := r.now()
	s := event.Subscription{ID: id, Client: q.Client, Authority: n.Authority, URL: q.URL, Events: q.Events, TypeCodes: q.TypeCodes, Status: event.Active, CreatedAt: now, StatusAt: now}
	if slices.Contains(n.Roles, RoleApprovalSystem) {
		s.Division = n.Authority.Division
	}
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: ActionSubscribe, Object: "subscription/" + s.ID, Digest: q.Body[:], Use: Use{Purpose: Clip(fmt.Sprintf("for %s at %s, %d types", q.Client, hostOf(q.URL), len(q.TypeCodes)), 512)},
		Check: func() error {
			if err := errors.Join(CheckKey(q.Key), fault); err != nil {
				return err
			}
			if found != nil {
				return found
			}
			return r.checkSubscription(ctx, n, s)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
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

// checkSubscription says what is wrong with a subscription of a client, its rights included.
func (r *Registry) checkSubscription(ctx context.Context, n Client, s event.Subscription) error {
	if err := s.Check(); err != nil {
		return err
	}
	for i, code := range s.TypeCodes {
		may, err := r.mayHear(ctx, n, s, code)
		if err != nil {
			return err
		}
		if !may {
			return fmt.Errorf("%w: types[%d]: the client may not read licences of this type", ErrForbidden, i)
		}
	}
	if r.cfg.CheckTarget == nil {
		return fmt.Errorf("%w: this service sends no events", ErrForbidden)
	}
	return r.cfg.CheckTarget(ctx, s.URL)
}

// mayHear reports whether a client, as it is now, may be told of licences of a type by a
// subscription of its own.
func (r *Registry) mayHear(ctx context.Context, n Client, s event.Subscription, typeCode string) (bool, error) {
	switch {
	case n.Disabled || n.Authority.Code == "" || n.Authority.Code != s.Authority.Code:
		return false, nil
	case slices.Contains(n.Roles, RoleApprovalSystem):
		return slices.Contains(n.Types, typeCode) && licence.Within(s.Division, n.Authority.Division), nil
	case slices.Contains(n.Roles, RolePartner):
		return r.cfg.Store.Granted(ctx, n.Authority.Code, typeCode, r.today())
	}
	return false, nil
}

// mayManage says whether a caller looks after a subscription: the system, and whoever is of
// its department.
func mayManage(c Caller, s event.Subscription) error {
	if c.Has(RoleSystem) || c.Authority.Code != "" && c.Authority.Code == s.Authority.Code {
		return nil
	}
	return ErrOutOfReach
}

// Unsubscribe ends a subscription for a reason, and forgets what was still to be told by it.
// Errors: ErrForbidden, ErrReasonMissing, licence.ErrNotFound, ErrKeyReused, ErrLog.
func (r *Registry) Unsubscribe(ctx context.Context, c Caller, id string, q StatusRequest) (audit.Receipt, error) {
	_, receipt, err := r.changeSubscription(ctx, c, ActionUnsubscribe, id, q, func(ctx context.Context, tx Tx, s *event.Subscription) error {
		return tx.DropSubscription(ctx, id)
	})
	return receipt, err
}

// EnableSubscription has a subscription served again that the service disabled, for a
// reason. What happened meanwhile is not told; what was dead is replayed by ReplayEvents. Its
// right and its target are looked at as if it were new. Errors: as of Subscribe,
// ErrReasonMissing, licence.ErrWrongStatus.
func (r *Registry) EnableSubscription(ctx context.Context, c Caller, id string, q StatusRequest) (event.Subscription, audit.Receipt, error) {
	return r.changeSubscription(ctx, c, ActionSubscriptionEnable, id, q, func(ctx context.Context, tx Tx, s *event.Subscription) error {
		s.Status, s.Reason, s.StatusAt, s.Failures, s.RestUntil = event.Active, "", r.now(), 0, time.Time{}
		return tx.EnableSubscription(ctx, id, s.StatusAt)
	})
}

// changeSubscription changes a subscription in one transaction with its entry and the answer
// of its key.
func (r *Registry) changeSubscription(ctx context.Context, c Caller, action audit.Action, id string, q StatusRequest, do func(context.Context, Tx, *event.Subscription) error) (event.Subscription, audit.Receipt, error) {
	s, found := r.cfg.Store.Subscription(ctx, id)
	removed := errors.Is(found, licence.ErrNotFound) && action == ActionUnsubscribe // by this key, perhaps
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: action, Object: "subscription/" + id, Digest: q.Body[:], PurposeField: "reason", Use: Use{Purpose: q.Reason, Operator: q.Operator},
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
				return ErrReasonMissing
			}
			if action == ActionSubscriptionEnable {
				n, err := r.cfg.Store.Client(ctx, s.Client)
				if err == nil {
					err = r.checkSubscription(ctx, n, s)
				}
				if err != nil {
					return err
				}
			}
			return CheckKey(q.Key)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &s, func() error { return do(ctx, tx, &s) })
		},
	})
	return s, receipt, err
}

// Subscriptions lists the subscriptions of the caller's department; the system sees all.
func (r *Registry) Subscriptions(ctx context.Context, c Caller, q SubscriptionQuery) ([]event.Subscription, audit.Receipt, error) {
	q.Authority, q.Limit = c.Authority.Code, min(max(q.Limit, 1), MaxPage)
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionSubscriptionRead, Object: "subscriptions", Check: func() error {
		if q.Authority == "" && !c.Has(RoleSystem) {
			return fmt.Errorf("%w: the caller is of no department", ErrForbidden)
		}
		return nil
	}})
	if err != nil {
		return nil, receipt, err
	}
	all, err := r.cfg.Store.Subscriptions(ctx, q)
	return all, receipt, err
}

// DeadEvents lists the events that a subscription was not told, after the one of a Seq. It
// shows identifiers of licences, so nothing of a type that the client may not read any more.
// Errors: ErrForbidden, licence.ErrNotFound, ErrLog.
func (r *Registry) DeadEvents(ctx context.Context, c Caller, id string, after int64, limit int) ([]event.Delivery, audit.Receipt, error) {
	s, found := r.cfg.Store.Subscription(ctx, id)
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionDeadEventsRead, Object: "subscription/" + id, Check: func() error {
		if found != nil {
			return found
		}
		return mayManage(c, s)
	}})
	if err != nil {
		return nil, receipt, err
	}
	all, err := r.cfg.Store.DeadEvents(ctx, id, after, min(max(limit, 1), MaxPage))
	if err != nil {
		return nil, receipt, err
	}
	hears, err := r.hearing(ctx, s)
	if err != nil {
		return nil, receipt, err
	}
	for i := range all {
		may, err := hears(all[i].Event.TypeCode)
		if err != nil {
			return nil, receipt, err
		}
		if !may {
			all[i].Event.Subject, all[i].Event.Supersedes = "", ""
		}
	}
	return all, receipt, nil
}

// hearing tells of which licence types the client of a subscription may be told now; each
// type is looked up once.
func (r *Registry) hearing(ctx context.Context, s event.Subscription) (func(typeCode string) (bool, error), error) {
	n, err := r.cfg.Store.Client(ctx, s.Client)
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

// Replayed is the answer to a replay; it is stored with the key.
type Replayed struct {
	// Events is how many are due again: MaxReplay at most, more may be left.
	Events int `json:"events"`
}

// ReplayEvents has dead events of a subscription told once more, those that happened first, or
// the one of an identifier. They may come after later ones. Errors: ErrForbidden,
// licence.ErrNotFound, licence.ErrWrongStatus when the subscription is disabled, ErrKeyReused, ErrLog.
func (r *Registry) ReplayEvents(ctx context.Context, c Caller, id, eventID string, q StatusRequest) (Replayed, audit.Receipt, error) {
	s, found := r.cfg.Store.Subscription(ctx, id)
	var a Replayed
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionEventReplay, Object: "subscription/" + id, Digest: q.Body[:], PurposeField: "reason", Use: Use{Purpose: q.Reason, Operator: q.Operator},
		Check: func() error {
			if found != nil {
				return found
			}
			if err := mayManage(c, s); err != nil {
				return err
			}
			if s.Status != event.Active {
				return fmt.Errorf("%w: the subscription is disabled", licence.ErrWrongStatus)
			}
			return CheckKey(q.Key)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &a, func() (err error) {
				a.Events, err = tx.ReplayEvents(ctx, id, eventID, r.now(), MaxReplay)
				return err
			})
		}})
	return a, receipt, err
}
