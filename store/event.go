package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"
)

// subscriptionColumns are those that a subscriptionRow reads.
const subscriptionColumns = `s.id, s.client, s.authority_name, s.authority_code, s.division, s.url, s.events, s.types, s.within,
	s.status, s.reason, s.created_at, s.status_at, s.failures, s.rest_until`

// subscriptions reads a query of subscriptionColumns.
func (r reader) subscriptions(ctx context.Context, query string, args ...any) (found []event.Subscription, err error) {
	err = r.query(ctx, func(scan scan) error {
		var s event.Subscription
		var url []byte
		var events, types, status string
		var created, at, failures, rest int64
		if err := scan(&s.ID, &s.Client, &s.Authority.Name, &s.Authority.Code, &s.Authority.Division, &url, &events, &types, &s.Division,
			&status, &s.Reason, &created, &at, &failures, &rest); err != nil {
			return err
		}
		opened, err := r.secrets.open(place{"event_subscription.url", s.ID}, url)
		for _, t := range strings.Fields(events) {
			s.Events = append(s.Events, event.Type(t))
		}
		s.URL, s.TypeCodes, s.Status, s.Failures = string(opened), strings.Fields(types), event.Status(status), int(failures)
		s.CreatedAt, s.StatusAt, s.RestUntil = instant(created), instant(at), instant(rest)
		found = append(found, s)
		return err
	}, query, args...)
	return found, doing("reading subscriptions", err)
}

// Subscription implements registry.Store.
func (r reader) Subscription(ctx context.Context, id string) (event.Subscription, error) {
	found, err := r.subscriptions(ctx, `SELECT `+subscriptionColumns+` FROM event_subscription s WHERE s.id = $1`, id)
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return event.Subscription{}, err
	}
	return found[0], nil
}

// Subscriptions implements registry.Store.
func (r reader) Subscriptions(ctx context.Context, q registry.SubscriptionQuery) ([]event.Subscription, error) {
	return r.subscriptions(ctx, `SELECT `+subscriptionColumns+` FROM event_subscription s
		WHERE ($1 = '' OR s.authority_code = $1) AND s.id > $2 ORDER BY s.id LIMIT $3`, q.Authority, q.After, int64(limit(q.Limit)))
}

// Granted implements registry.Store.
func (r reader) Granted(ctx context.Context, authority, typeCode string, day licence.Date) (bool, error) {
	var n int64
	err := one(ctx, r, `SELECT count(*) FROM (SELECT 1 FROM reuse_grant WHERE authority_code = $1 AND type_code = $2 AND status = 'approved' AND how = 'function'
		AND valid_from <= $3 AND (valid_to = '' OR valid_to >= $3) LIMIT 1) g`, []any{authority, typeCode, day.String()}, &n)
	return n > 0, doing("reading grants", err)
}

// deliveryColumns are those that deliveries reads.
const deliveryColumns = `seq, event_id, type, subject, supersedes, type_code, version, at, attempts, since_at, due_at, fault`

// deliveries reads a query of deliveryColumns, all of one subscription.
func deliveries(ctx context.Context, from session, of event.Subscription, query string, args ...any) (found []event.Delivery, err error) {
	err = from.query(ctx, func(scan scan) error {
		d := event.Delivery{Subscription: of}
		var typ, subject, supersedes string
		var version, at, attempts, since, due int64
		err := scan(&d.Seq, &d.Event.ID, &typ, &subject, &supersedes, &d.Event.TypeCode, &version, &at, &attempts, &since, &due, &d.Fault)
		d.Event.Type, d.Event.Subject, d.Event.Supersedes = event.Type(typ), licence.Identifier(subject), licence.Identifier(supersedes)
		d.Event.Version, d.Event.Time, d.Attempts, d.Since = int(version), instant(at), int(attempts), instant(since)
		d.Until = instant(due)
		found = append(found, d)
		return err
	}, query, args...)
	return found, err
}

// DeadEvents implements registry.Store.
func (r reader) DeadEvents(ctx context.Context, subscription string, after int64, n int) ([]event.Delivery, error) {
	found, err := deliveries(ctx, r, event.Subscription{ID: subscription}, `SELECT `+deliveryColumns+` FROM event_delivery
		WHERE subscription = $1 AND state = 'dead' AND seq > $2 ORDER BY seq LIMIT $3`, subscription, after, int64(limit(n)))
	return found, doing("reading dead events", err)
}

// EventCounts implements registry.Store.
func (r reader) EventCounts(ctx context.Context) (c registry.EventCounts, err error) {
	var due, dead, oldest, failing int64
	err = one(ctx, r, `SELECT count(*), coalesce(min(since_at), 0) FROM event_delivery WHERE state = 'due'`, nil, &due, &oldest)
	if err == nil {
		err = one(ctx, r, `SELECT count(*) FROM event_delivery WHERE state = 'dead'`, nil, &dead)
	}
	if err == nil {
		err = one(ctx, r, `SELECT count(*) FROM event_subscription WHERE status = 'active' AND failures > 0`, nil, &failing)
	}
	c = registry.EventCounts{Due: int(due), Dead: int(dead), Oldest: instant(oldest), Failing: int(failing), Disabled: map[string]int{}}
	if err == nil {
		err = r.query(ctx, func(scan scan) error {
			var reason string
			var n int64
			err := scan(&reason, &n)
			c.Disabled[reason] = int(n)
			return err
		}, `SELECT reason, count(*) FROM event_subscription WHERE status = 'disabled' GROUP BY reason`)
	}
	return c, doing("counting events", err)
}

// Waiting implements registry.Store. At most 1,000 are returned.
func (r reader) Waiting(ctx context.Context, now time.Time) ([]event.Subscription, error) {
	return r.subscriptions(ctx, `SELECT `+subscriptionColumns+` FROM event_subscription s WHERE s.status = 'active' AND s.rest_until <= $1
		AND EXISTS (SELECT 1 FROM event_delivery d WHERE d.subscription = s.id AND d.state = 'due' AND d.due_at <= $1) ORDER BY s.id LIMIT $2`, nanos(now), int64(maxRows))
}

// ClaimEvents implements registry.Store.
func (r reader) ClaimEvents(ctx context.Context, s event.Subscription, now, until time.Time, n int) ([]event.Delivery, error) {
	found, err := deliveries(ctx, r.writing, s, r.picked(`d.subscription = $1 AND d.state = 'due' AND d.due_at <= $2 AND NOT EXISTS (SELECT 1 FROM event_delivery e
			WHERE e.subscription = d.subscription AND e.licence = d.licence AND e.state = 'due' AND e.seq < d.seq)
		ORDER BY d.due_at, d.seq LIMIT $3`)+`UPDATE event_delivery SET attempts = attempts + 1, due_at = $4 WHERE seq IN (SELECT seq FROM picked) RETURNING `+deliveryColumns,
		s.ID, nanos(now), int64(limit(n)), nanos(until))
	slices.SortFunc(found, func(a, b event.Delivery) int { return int(a.Seq - b.Seq) })
	return found, doing("claiming events", err)
}

// stillClaimed is the condition under which a claim is settled: the row, and until when it was
// claimed, which differs from claim to claim.
const stillClaimed = ` WHERE seq = $1 AND due_at = $2 AND state = 'due'`

// picked are rows of event_delivery as d, passing over those that another picks at the moment.
func (r reader) picked(where string) string {
	return `WITH picked AS MATERIALIZED (SELECT d.seq FROM event_delivery d WHERE ` + where + r.skip + `) `
}

// DeliverEvent implements registry.Store. A crash between its statements leaves a
// subscription that rests once more.
func (r reader) DeliverEvent(ctx context.Context, d event.Delivery, at time.Time) error {
	n, err := r.writing.exec(ctx, `UPDATE event_delivery SET state = 'delivered', fault = '', due_at = $3`+stillClaimed, d.Seq, nanos(d.Until), nanos(at))
	if err == nil && n > 0 && d.Subscription.Failures > 0 {
		_, err = r.writing.exec(ctx, `UPDATE event_subscription SET failures = 0, rest_until = 0 WHERE id = $1`, d.Subscription.ID)
	}
	return doing("noting a delivery", err)
}

// FailEvent implements registry.Store. A crash between its statements leaves a subscription
// that does not rest yet.
func (r reader) FailEvent(ctx context.Context, d event.Delivery, fault string, rule event.Ruling, at time.Time) error {
	state, due := "due", rule.DueAt
	if rule.Dead {
		state, due = "dead", at
	}
	n, err := r.writing.exec(ctx, `UPDATE event_delivery SET state = $3, fault = $4, due_at = $5`+stillClaimed, d.Seq, nanos(d.Until), state, fault, nanos(due))
	if err == nil && n > 0 && rule.Failures != d.Subscription.Failures {
		_, err = r.writing.exec(ctx, `UPDATE event_subscription SET failures = $2, rest_until = $3 WHERE id = $1`,
			d.Subscription.ID, int64(rule.Failures), nanos(rule.RestUntil))
	}
	return doing("noting a failed delivery", err)
}

// DropEvent implements registry.Store.
func (r reader) DropEvent(ctx context.Context, d event.Delivery) error {
	_, err := r.writing.exec(ctx, `DELETE FROM event_delivery`+stillClaimed, d.Seq, nanos(d.Until))
	return doing("dropping an event", err)
}

// TidyEvents implements registry.Store. Each statement is repeated in pages, so that none holds
// up others for long.
func (r reader) TidyEvents(ctx context.Context, now, since, delivered, died time.Time, most int) error {
	const forget = `DELETE FROM event_delivery WHERE seq IN (SELECT seq FROM picked)`
	for _, s := range []struct {
		query string
		args  []any
	}{
		{r.picked(`d.state = 'due' AND d.since_at < $1 AND d.due_at <= $2 LIMIT $3`) + `UPDATE event_delivery SET state = 'dead', due_at = $2,
			fault = CASE WHEN fault = '' THEN 'too_old' ELSE fault END WHERE seq IN (SELECT seq FROM picked)`, []any{nanos(since), nanos(now)}},
		{r.picked(`d.state = 'due' AND EXISTS (SELECT 1 FROM event_subscription s WHERE s.id = d.subscription AND s.status = 'disabled') LIMIT $2`) + `UPDATE event_delivery
			SET state = 'dead', due_at = $1, fault = CASE WHEN fault = '' THEN (SELECT reason FROM event_subscription s WHERE s.id = subscription) ELSE fault END
			WHERE seq IN (SELECT seq FROM picked)`, []any{nanos(now)}},
		{r.picked(`d.state IN ('due', 'dead') AND NOT EXISTS (SELECT 1 FROM event_subscription s WHERE s.id = d.subscription) LIMIT $1`) + forget, nil},
		{r.picked(`d.state = 'delivered' AND d.due_at < $1 LIMIT $2`) + forget, []any{nanos(delivered)}},
		{r.picked(`d.state = 'dead' AND d.due_at < $1 LIMIT $2`) + forget, []any{nanos(died)}},
	} {
		if err := r.inPages(ctx, s.query, s.args...); err != nil {
			return doing("tidying events", err)
		}
	}
	return doing("tidying events", r.forgetDead(ctx, most))
}

// inPages repeats a statement, whose last parameter is how many rows it may change, until none
// is left.
func (r reader) inPages(ctx context.Context, query string, args ...any) error {
	for n := int64(maxRows); n == maxRows; {
		var err error
		if n, err = r.writing.exec(ctx, query, append(args, int64(maxRows))...); err != nil {
			return err
		}
	}
	return nil
}

// forgetDead leaves of the dead events of each subscription the newest. One that is replayed
// meanwhile stays.
func (r reader) forgetDead(ctx context.Context, most int) error {
	var full []string
	err := r.query(ctx, func(scan scan) error {
		full = append(full, "")
		return scan(&full[len(full)-1])
	}, `SELECT subscription FROM event_delivery WHERE state = 'dead' GROUP BY subscription HAVING count(*) > $1 LIMIT $2`, int64(most), int64(maxRows))
	for i := 0; i < len(full) && err == nil; i++ {
		var last int64
		err = one(ctx, r, `SELECT seq FROM event_delivery WHERE subscription = $1 AND state = 'dead' ORDER BY seq DESC LIMIT 1 OFFSET $2`, []any{full[i], int64(most)}, &last)
		if err == nil {
			err = r.inPages(ctx, r.picked(`d.subscription = $1 AND d.state = 'dead' AND d.seq <= $2 LIMIT $3`)+`DELETE FROM event_delivery WHERE seq IN (SELECT seq FROM picked)`, full[i], last)
		}
		if notFound(err) { // somebody else did
			err = nil
		}
	}
	return err
}

// Backlogged implements registry.Store.
func (r reader) Backlogged(ctx context.Context, n int) (ids []string, err error) {
	err = r.query(ctx, func(scan scan) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT s.id FROM event_subscription s WHERE s.status = 'active'
		AND (SELECT count(*) FROM event_delivery d WHERE d.subscription = s.id AND d.state = 'due') > $1 ORDER BY s.id LIMIT $2`, int64(n), int64(maxRows))
	return ids, doing("counting events", err)
}

// InsertEvent implements registry.Tx. What happens now is told whatever status_at is: it may be
// of a server whose clock is a little ahead.
func (t *transaction) InsertEvent(ctx context.Context, e event.Event, division string, from time.Time) error {
	stem, _ := e.Subject.Versions()
	err := t.later(ctx, `INSERT INTO event_delivery (subscription, licence, event_id, type, subject, supersedes, type_code, version, at, state, attempts, since_at, due_at, fault)
		SELECT s.id, CAST($1 AS text), CAST($2 AS text), CAST($3 AS text), CAST($4 AS text), CAST($5 AS text), CAST($6 AS text), CAST($7 AS bigint), CAST($8 AS bigint),
			'due', 0, CAST($10 AS bigint), CAST($10 AS bigint), ''
		FROM event_subscription s WHERE s.status = 'active' AND (s.events = '' OR s.events LIKE '% ' || $3 || ' %') AND s.types LIKE '% ' || $6 || ' %'
			AND substr(CAST($9 AS text), 1, length(s.prefix)) = s.prefix AND (CAST($8 AS bigint) >= CAST($10 AS bigint) OR s.status_at <= CAST($8 AS bigint))`,
		string(stem), e.ID, string(e.Type), string(e.Subject), string(e.Supersedes), e.TypeCode, int64(e.Version), nanos(e.Time), division, nanos(from))
	return doing("storing event", err)
}

// InsertSubscription implements registry.Tx.
func (t *transaction) InsertSubscription(ctx context.Context, s event.Subscription) error {
	url, err := t.secrets.seal(place{"event_subscription.url", s.ID}, []byte(s.URL))
	if err != nil {
		return err
	}
	var n int64
	if err := one(ctx, t, `SELECT count(*) FROM event_subscription WHERE authority_code = $1`, []any{s.Authority.Code}, &n); err != nil {
		return doing("counting subscriptions", err)
	}
	if n >= event.MaxSubscriptions {
		return registry.ErrTooManySubscriptions
	}
	var events []string
	for _, e := range s.Events {
		events = append(events, string(e))
	}
	_, err = t.exec(ctx, `INSERT INTO event_subscription (id, client, authority_name, authority_code, division, within, url, events, types, status, reason,
			created_at, status_at, failures, rest_until, prefix)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 0, $14)`,
		s.ID, s.Client, s.Authority.Name, s.Authority.Code, s.Authority.Division, s.Division, url, typeList(events), typeList(s.TypeCodes),
		string(s.Status), s.Reason, nanos(s.CreatedAt), nanos(s.StatusAt), licence.Subtree(s.Division))
	return doing("storing subscription", err)
}

// DropSubscription implements registry.Tx.
func (t *transaction) DropSubscription(ctx context.Context, id string) error {
	return doing("removing subscription", changed(t.exec(ctx, `DELETE FROM event_subscription WHERE id = $1`, id)))
}

// DisableSubscription implements registry.Tx.
func (t *transaction) DisableSubscription(ctx context.Context, id, reason string, at time.Time) error {
	err := wrongStatus(t.exec(ctx, `UPDATE event_subscription SET status = 'disabled', reason = $2, status_at = $3 WHERE id = $1 AND status = 'active'`, id, reason, nanos(at)))
	return doing("disabling subscription", err)
}

// EnableSubscription implements registry.Tx.
func (t *transaction) EnableSubscription(ctx context.Context, id string, at time.Time) error {
	err := wrongStatus(t.exec(ctx, `UPDATE event_subscription SET status = 'active', reason = '', status_at = $2, failures = 0, rest_until = 0
		WHERE id = $1 AND status = 'disabled'`, id, nanos(at)))
	return doing("enabling subscription", err)
}

// ReplayEvents implements registry.Tx.
func (t *transaction) ReplayEvents(ctx context.Context, subscription, eventID string, at time.Time, n int) (int, error) {
	replayed, err := t.exec(ctx, `UPDATE event_delivery SET state = 'due', attempts = 0, since_at = $3, due_at = $3, fault = ''
		WHERE seq IN (SELECT seq FROM event_delivery WHERE subscription = $1 AND state = 'dead' AND ($2 = '' OR event_id = $2) ORDER BY seq LIMIT $4)`,
		subscription, eventID, nanos(at), int64(n))
	return int(replayed), doing("replaying events", err)
}
