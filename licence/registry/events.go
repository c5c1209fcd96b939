package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/event"
)

// How long events are kept that are not due any more.
const (
	keepDelivered = 7 * 24 * time.Hour
	keepDead      = 30 * 24 * time.Hour
)

// tell has an event about a licence, as it is after an operation, told to those who
// subscribed to it. It is part of the operation's transaction: there is no change that is not
// told, and nothing is told that did not happen.
func (r *Registry) tell(ctx context.Context, tx Tx, rec *Record, op licence.Operation, at time.Time) error {
	e := event.Event{Type: event.Of(op), Time: at}
	if op == "" || op.MakesVersion() {
		e.Supersedes = rec.Supersedes
	}
	return r.insertEvent(ctx, tx, rec, e, at)
}

// insertEvent names an event and the licence that it is about; see EventTx.InsertEvent.
func (r *Registry) insertEvent(ctx context.Context, tx Tx, rec *Record, e event.Event, from time.Time) (err error) {
	if e.ID, err = r.gate.NewID(); err != nil {
		return err
	}
	e.Subject, e.TypeCode, e.Version = rec.Identifier, rec.TypeCode, rec.Version
	return tx.InsertEvent(ctx, e, rec.Division, from)
}

// WaitingSubscriptions are those with events due that do not rest.
func (r *Registry) WaitingSubscriptions(ctx context.Context) ([]event.Subscription, error) {
	return r.cfg.Store.Waiting(ctx, r.now())
}

// ClaimEvents hands out up to limit events of a subscription, to be settled within a time. What
// its client may not be told any more, because a grant has ended say, is dropped. A crash after it
// leaves events that are claimed again when the time is over: they may be delivered twice.
func (r *Registry) ClaimEvents(ctx context.Context, s event.Subscription, within time.Duration, limit int) ([]event.Delivery, error) {
	now := r.now()
	claimed, err := r.cfg.Store.ClaimEvents(ctx, s, now, now.Add(within), limit)
	if err != nil || len(claimed) == 0 {
		return nil, err
	}
	hears, err := r.hearing(ctx, s)
	if err != nil {
		return nil, err
	}
	told := claimed[:0]
	for _, d := range claimed {
		may, err := hears(d.Event.TypeCode)
		if err == nil && !may {
			err = r.cfg.Store.DropEvent(ctx, d)
		}
		if err != nil {
			return nil, err
		}
		if may {
			told = append(told, d)
		}
	}
	return told, nil
}

// SettleEvent notes what came of an attempt. jitter is from 0 to below 1. The subscription of a receiver
// that wants no more is disabled, with an entry in the log.
func (r *Registry) SettleEvent(ctx context.Context, d event.Delivery, o event.Outcome, jitter float64) error {
	now := r.now()
	if o.Delivered {
		return r.cfg.Store.DeliverEvent(ctx, d, now)
	}
	if err := r.cfg.Store.FailEvent(ctx, d, o.Fault, d.Rule(o, now, jitter), now); err != nil || !o.Gone {
		return err
	}
	return r.disable(ctx, d.Subscription.ID, event.ReasonGone)
}

// disable ends the service of a subscription until a person enables it.
func (r *Registry) disable(ctx context.Context, id, reason string) error {
	_, err := r.gate.Step(ctx, System("events"), &Access{Action: ActionSubscriptionDisable, Object: "subscription/" + id, Use: Use{Purpose: reason},
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error {
			return tx.DisableSubscription(ctx, id, reason, r.now())
		}})
	if errors.Is(err, licence.ErrWrongStatus) { // another server was first, or it was removed
		return nil
	}
	return err
}

// TidyEvents keeps the store of events bounded: what is too old dies, what is dead or delivered
// is forgotten after a time, of one subscription also when too many are dead, and a subscription with too many events due is disabled.
func (r *Registry) TidyEvents(ctx context.Context) error {
	now := r.now()
	if err := r.cfg.Store.TidyEvents(ctx, now, now.Add(-event.RetryFor), now.Add(-keepDelivered), now.Add(-keepDead), event.MaxDead); err != nil {
		return err
	}
	ids, err := r.cfg.Store.Backlogged(ctx, event.MaxBacklog)
	for _, id := range ids {
		if fault := r.disable(ctx, id, event.ReasonBacklog); fault != nil {
			err = errors.Join(err, fmt.Errorf("disabling subscription %s: %w", id, fault))
		}
	}
	return err
}

// EventCounts counts events and subscriptions, for those who watch.
func (r *Registry) EventCounts(ctx context.Context) (EventCounts, error) {
	return r.cfg.Store.EventCounts(ctx)
}
