package event

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"elicence/licence"
)

// Status says whether a subscription is served.
type Status string

// The statuses of a subscription.
const (
	Active   Status = "active"
	Disabled Status = "disabled"
)

// Why the service disabled a subscription by itself: Subscription.Reason.
const (
	// ReasonGone: the receiver answered 410.
	ReasonGone = "receiver_gone"
	// ReasonBacklog: more events wait for the receiver than are kept for one.
	ReasonBacklog = "backlog"
)

// Bounds on subscriptions.
const (
	// MaxSubscriptions is how many a department has at most.
	MaxSubscriptions = 20
	// MaxTypes is how many licence types one names.
	MaxTypes = 100
	// MaxBacklog is how many events may be due for one subscription.
	MaxBacklog = 100_000
	// MaxDead is how many dead events of one subscription are kept, those that came last: a
	// whole backlog that died, and as much again.
	MaxDead = 2 * MaxBacklog
)

// Subscription says which events of which licence types a department is told, and where.
type Subscription struct {
	// ID is the register's, random.
	ID string
	// Client is whose right it rests on: the machine client of the department that reads what
	// it is told about.
	Client    string
	Authority licence.IssuingAuthority
	// URL is where events are posted to. It may hold a secret of the receiver's.
	URL string
	// Events are those that are wanted; none: all there are. TypeCodes are the licence types.
	Events    []Type
	TypeCodes []string
	// Division bounds the licences to a division and those below it; empty: all.
	Division string
	Status   Status
	// Reason is why it was disabled; of the service's own doing ReasonGone or ReasonBacklog.
	Reason string
	// CreatedAt is when it was made, StatusAt when it became what it is.
	CreatedAt, StatusAt time.Time
	// Failures counts the attempts that failed since one succeeded; until RestUntil there is none.
	Failures  int
	RestUntil time.Time
}

// Target is the URL as it may be shown: what stands behind a question mark may be a secret of
// the receiver's.
func (s Subscription) Target() string {
	shown, secret, _ := strings.Cut(s.URL, "?")
	if secret != "" {
		shown += "?…"
	}
	return shown
}

// Check names what is wrong with a subscription that is asked for, its URL aside: a
// *licence.RequestError.
func (s Subscription) Check() error {
	if len(s.TypeCodes) == 0 {
		return licence.InvalidField("types", licence.CodeTooFew, "names no licence type")
	}
	if len(s.TypeCodes) > MaxTypes {
		return licence.InvalidField("types", licence.CodeTooMany, fmt.Sprintf("names more than %d licence types", MaxTypes))
	}
	for i, code := range s.TypeCodes {
		at := fmt.Sprintf("types[%d]", i)
		switch {
		case licence.CheckTypeCode(code) != nil:
			return licence.InvalidField(at, licence.CodeBadFormat, "is no code of a licence type")
		case slices.Contains(s.TypeCodes[:i], code):
			return licence.InvalidField(at, licence.CodeRepeated, "stands there already")
		}
	}
	for i, t := range s.Events {
		at := fmt.Sprintf("events[%d]", i)
		switch {
		case !t.Known():
			return licence.InvalidField(at, licence.CodeNotAllowed, "is no type of event")
		case slices.Contains(s.Events[:i], t):
			return licence.InvalidField(at, licence.CodeRepeated, "stands there already")
		}
	}
	return nil
}

// Delivery is an event on its way to one subscription.
type Delivery struct {
	// Seq is its place among all deliveries of the register: of two about one licence the one
	// with the lower comes first.
	Seq          int64
	Subscription Subscription
	Event        Event
	// Attempts is how many were begun, this one included. Since is from when on the event is
	// tried: its time, or that of its replay.
	Attempts int
	Since    time.Time
	// Until is when the claim on it ends: whoever has not settled it by then may have lost it.
	Until time.Time
	// Fault is what came of the last attempt; empty while there was none, or it succeeded.
	Fault string
}

// Outcome is what came of one attempt.
type Outcome struct {
	// Delivered says that the receiver took the event, Gone that it wants no more at all.
	Delivered, Gone bool
	// Fault is a stable code, as http_500 or timeout; empty when it was delivered.
	Fault string
	// RetryAfter is how long the receiver asked to be left alone; zero when it did not.
	RetryAfter time.Duration
}

// Ruling is what is to be done after an attempt.
type Ruling struct {
	// Dead says that the event is tried no more, of itself. If not, DueAt is when.
	Dead  bool
	DueAt time.Time
	// Failures and RestUntil are those of the subscription from now on.
	Failures  int
	RestUntil time.Time
}

// Rule says what is to be done after a failed attempt that ended at an instant.
func (d Delivery) Rule(o Outcome, at time.Time, jitter float64) Ruling {
	wait := max(RetryAfter(d.Attempts, jitter), min(o.RetryAfter, longestRetry))
	failures := d.Subscription.Failures + 1
	return Ruling{
		DueAt: at.Add(wait), Dead: o.Gone || at.Add(wait).After(d.Since.Add(RetryFor)),
		Failures: failures, RestUntil: at.Add(max(RestAfter(failures, jitter), min(o.RetryAfter, longestRest))),
	}
}
