package subscriptions

import (
	"context"
	"fmt"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"
)

// MaxReplay is how many events one replay makes due.
const MaxReplay = 1000

// Dead lists the events that a subscription was not told, after the one of a Seq. It
// shows identifiers of licences, so nothing of a type that the client may not read any more.
// Errors: ErrForbidden, licence.ErrNotFound, ErrLog.
func (r *Register) Dead(ctx context.Context, c registry.Caller, id string, after int64, limit int) ([]event.Delivery, audit.Receipt, error) {
	s, found := r.gate.Store().Subscription(ctx, id)
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionDeadEventsRead, Object: "subscription/" + id, Check: func() error {
		if found != nil {
			return found
		}
		return mayManage(c, s)
	}})
	if err != nil {
		return nil, receipt, err
	}
	all, err := r.gate.Store().DeadEvents(ctx, id, after, min(max(limit, 1), registry.MaxPage))
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

// Replayed is the answer to a replay; it is stored with the key.
type Replayed struct {
	// Events is how many are due again: MaxReplay at most, more may be left.
	Events int `json:"events"`
}

// Replay has dead events of a subscription told once more, those that happened first, or
// the one of an identifier. They may come after later ones. Errors: ErrForbidden,
// licence.ErrNotFound, licence.ErrWrongStatus when the subscription is disabled, ErrKeyReused, ErrLog.
func (r *Register) Replay(ctx context.Context, c registry.Caller, id, eventID string, q registry.StatusRequest) (Replayed, audit.Receipt, error) {
	s, found := r.gate.Store().Subscription(ctx, id)
	var a Replayed
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionEventReplay, Object: "subscription/" + id, Digest: q.Body[:], PurposeField: "reason", Use: registry.Use{Purpose: q.Reason, Operator: q.Operator},
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
			return registry.CheckKey(q.Key)
		},
		Apply: func(ctx context.Context, tx registry.Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &a, func() (err error) {
				a.Events, err = tx.ReplayEvents(ctx, id, eventID, r.gate.Now(), MaxReplay)
				return err
			})
		}})
	return a, receipt, err
}
