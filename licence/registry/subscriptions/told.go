package subscriptions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"
)

// How long events are kept that are not due any more.
const (
	keepDelivered = 7 * 24 * time.Hour
	keepDead      = 30 * 24 * time.Hour
)

// Waiting are those with events due that do not rest.
func (r *Register) Waiting(ctx context.Context) ([]event.Subscription, error) {
	return r.gate.Store().Waiting(ctx, r.gate.Now())
}

// Claim hands out up to limit events of a subscription, to be settled within a time. What
// its client may not be told any more, because a grant has ended say, is dropped. A crash after it
// leaves events that are claimed again when the time is over: they may be delivered twice.
func (r *Register) Claim(ctx context.Context, s event.Subscription, within time.Duration, limit int) ([]event.Delivery, error) {
	now := r.gate.Now()
	claimed, err := r.gate.Store().ClaimEvents(ctx, s, now, now.Add(within), limit)
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
			err = r.gate.Store().DropEvent(ctx, d)
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

// Settle notes what came of an attempt. jitter is from 0 to below 1. The subscription of a receiver
// that wants no more is disabled, with an entry in the log.
func (r *Register) Settle(ctx context.Context, d event.Delivery, o event.Outcome, jitter float64) error {
	now := r.gate.Now()
	if o.Delivered {
		return r.gate.Store().DeliverEvent(ctx, d, now)
	}
	if err := r.gate.Store().FailEvent(ctx, d, o.Fault, d.Rule(o, now, jitter), now); err != nil || !o.Gone {
		return err
	}
	return r.disable(ctx, d.Subscription.ID, event.ReasonGone)
}

// disable ends the service of a subscription until a person enables it.
func (r *Register) disable(ctx context.Context, id, reason string) error {
	_, err := r.gate.Step(ctx, registry.System("events"), &registry.Access{Action: registry.ActionSubscriptionDisable, Object: "subscription/" + id, Use: registry.Use{Purpose: reason},
		Apply: func(ctx context.Context, tx registry.Tx, _ *audit.Entry) error {
			return tx.DisableSubscription(ctx, id, reason, r.gate.Now())
		}})
	if errors.Is(err, licence.ErrWrongStatus) { // another server was first, or it was removed
		return nil
	}
	return err
}

// Tidy keeps the store of events bounded: what is too old dies, what is dead or delivered
// is forgotten after a time, of one subscription also when too many are dead, and a subscription with too many events due is disabled.
func (r *Register) Tidy(ctx context.Context) error {
	now := r.gate.Now()
	if err := r.gate.Store().TidyEvents(ctx, now, now.Add(-event.RetryFor), now.Add(-keepDelivered), now.Add(-keepDead), event.MaxDead); err != nil {
		return err
	}
	ids, err := r.gate.Store().Backlogged(ctx, event.MaxBacklog)
	for _, id := range ids {
		if fault := r.disable(ctx, id, event.ReasonBacklog); fault != nil {
			err = errors.Join(err, fmt.Errorf("disabling subscription %s: %w", id, fault))
		}
	}
	return err
}

// Counts counts events and subscriptions, for those who watch.
func (r *Register) Counts(ctx context.Context) (registry.EventCounts, error) {
	return r.gate.Store().EventCounts(ctx)
}
