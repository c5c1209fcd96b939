package registry

import (
	"context"
	"time"

	"elicence/licence"
	"elicence/licence/event"
)

// EventStore is the part of Store about events. Its methods that change something do so
// without a Tx and without a log entry: that an event was sent changes nothing of a licence,
// and must not wait in the line of those who do. They are durable on return.
type EventStore interface {
	// Subscription returns a subscription; licence.ErrNotFound when there is none.
	Subscription(ctx context.Context, id string) (event.Subscription, error)
	// Subscriptions returns the subscriptions that q asks for; see SubscriptionQuery.
	Subscriptions(ctx context.Context, q SubscriptionQuery) ([]event.Subscription, error)
	// Granted reports whether on a day a department has a grant in force by its function for
	// licences of a type, in any matter.
	Granted(ctx context.Context, authority, typeCode string, day licence.Date) (bool, error)
	// DeadEvents returns at most limit dead events of a subscription, in the order of Seq,
	// after one; their Subscription has its ID alone.
	DeadEvents(ctx context.Context, subscription string, after int64, limit int) ([]event.Delivery, error)
	// EventCounts counts what those who watch want to know.
	EventCounts(ctx context.Context) (EventCounts, error)
	// Waiting returns the active subscriptions that do not rest and have events due.
	Waiting(ctx context.Context, now time.Time) ([]event.Subscription, error)
	// ClaimEvents counts an attempt at up to limit due events of a subscription, which nobody
	// else then claims until an instant, and returns them in the order of Seq. Of those about one
	// licence only the first that is due, claimed or not, is claimed.
	ClaimEvents(ctx context.Context, s event.Subscription, now, until time.Time, limit int) ([]event.Delivery, error)
	// DeliverEvent notes that a claimed event was delivered, unless it was claimed again
	// meanwhile; its subscription has no failures any more.
	DeliverEvent(ctx context.Context, d event.Delivery, at time.Time) error
	// FailEvent does what a ruling says with a claimed event, unless it was claimed again
	// meanwhile, and with its subscription.
	FailEvent(ctx context.Context, d event.Delivery, fault string, r event.Ruling, at time.Time) error
	// DropEvent forgets a claimed event, unless it was claimed again meanwhile.
	DropEvent(ctx context.Context, d event.Delivery) error
	// TidyEvents makes dead what is due of a disabled subscription, or is due since before one
	// instant and not claimed, and forgets what was delivered before the second, died before the
	// third, or is of a subscription that was removed. Of the dead of one subscription it leaves
	// the newest most, about.
	TidyEvents(ctx context.Context, now, since, delivered, died time.Time, most int) error
	// Backlogged names the active subscriptions with more than limit events due.
	Backlogged(ctx context.Context, limit int) ([]string, error)
}

// EventTx is the part of Tx about events.
type EventTx interface {
	// InsertEvent has an event told, from an instant on, to every active subscription to it:
	// those to its type, its licence type and a division that the licence's is in. Of one that
	// happened before that instant no subscription is told that was not active then. It is one
	// statement, which inserts nothing when there is none.
	InsertEvent(ctx context.Context, e event.Event, division string, from time.Time) error
	// InsertSubscription stores a subscription that is new; ErrTooManySubscriptions when its
	// department has as many as it may.
	InsertSubscription(ctx context.Context, s event.Subscription) error
	// DropSubscription removes one; licence.ErrNotFound when there is none.
	DropSubscription(ctx context.Context, id string) error
	// DisableSubscription disables one; licence.ErrWrongStatus when it is none that is active.
	DisableSubscription(ctx context.Context, id, reason string, at time.Time) error
	// EnableSubscription makes a disabled one active, without failures; licence.ErrWrongStatus
	// when it is none.
	EnableSubscription(ctx context.Context, id string, at time.Time) error
	// ReplayEvents makes at most limit dead events of a subscription due, as if they had happened
	// now, those that happened first, or the one of an identifier, and returns how many.
	ReplayEvents(ctx context.Context, subscription, eventID string, at time.Time, limit int) (int, error)
}

// SubscriptionQuery asks for subscriptions, in the order of their identifiers.
type SubscriptionQuery struct {
	// Authority is set by the register: the department, empty for all.
	Authority string
	After     string
	Limit     int // 1 to MaxPage
}

// EventCounts are numbers about events and subscriptions, of the whole register.
type EventCounts struct {
	// Due and Dead count deliveries.
	Due, Dead int
	// Oldest is since when the oldest of those due has been; zero when there is none.
	Oldest time.Time
	// Failing counts active subscriptions whose last attempt failed, Disabled those that the
	// service disabled, by reason.
	Failing  int
	Disabled map[string]int
}
