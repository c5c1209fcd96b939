package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"
	"elicence/licence/registry/subscriptions"

	"github.com/emmansun/gmsm/sm3"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

// subscriptionJSON is a subscription to events.
type subscriptionJSON struct {
	ID            string `json:"id"`
	Client        string `json:"client"`
	AuthorityCode string `json:"authority_code"`
	AuthorityName string `json:"authority_name"`
	// URL is shown without what stands behind a question mark.
	URL    string   `json:"url"`
	Types  []string `json:"types"`
	Events []string `json:"events"` // empty for all
	// Division bounds the licences to those of a division and below it; empty for all.
	Division  string       `json:"division"`
	Status    event.Status `json:"status"`
	Reason    string       `json:"reason"`
	CreatedAt time.Time    `json:"created_at"`
	StatusAt  time.Time    `json:"status_at"`
	// Failures counts attempts that failed since one succeeded.
	Failures int `json:"failures"`
}

func newSubscription(s event.Subscription) subscriptionJSON {
	j := subscriptionJSON{ID: s.ID, Client: s.Client, AuthorityCode: s.Authority.Code, AuthorityName: s.Authority.Name, URL: s.Target(), Types: append([]string{}, s.TypeCodes...),
		Events: []string{}, Division: s.Division, Status: s.Status, Reason: s.Reason, CreatedAt: s.CreatedAt.UTC(), StatusAt: s.StatusAt.UTC(), Failures: s.Failures}
	for _, t := range s.Events {
		j.Events = append(j.Events, string(t))
	}
	return j
}

// subscriptionsAnswer is one page of subscriptions.
type subscriptionsAnswer struct {
	Subscriptions []subscriptionJSON `json:"subscriptions"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor"`
}

// deadEventJSON is an event that was not told.
type deadEventJSON struct {
	ID   string     `json:"id"`
	Type event.Type `json:"type"`
	// Subject is empty when the client may not read such licences any more.
	Subject  licence.Identifier `json:"subject"`
	TypeCode string             `json:"type_code"`
	Time     time.Time          `json:"time"`
	Attempts int                `json:"attempts"`
	Fault    string             `json:"fault"`
}

// deadEventsAnswer is one page of them, in the order in which they happened.
type deadEventsAnswer struct {
	Events     []deadEventJSON `json:"events"`
	NextCursor string          `json:"next_cursor"`
}

// eventRoutes are those of subscriptions to events.
func (s *Server) eventRoutes(g *gin.RouterGroup) {
	g.POST("", serveJSON(s, registry.ActionSubscribe, http.StatusCreated, parseSubscription, (*exchange).subscribe))
	g.GET("", serveGet(s, registry.ActionSubscriptionRead, (*exchange).subscriptions))
	g.POST("/:subscription/enable", serveDecision(s, registry.ActionSubscriptionEnable, s.cfg.Subscriptions.Enable, newSubscription))
	g.POST("/:subscription/remove", serveJSON(s, registry.ActionUnsubscribe, http.StatusOK, parseDecision, (*exchange).unsubscribe))
	g.GET("/:subscription/dead", serveGet(s, registry.ActionDeadEventsRead, (*exchange).deadEvents))
	g.POST("/:subscription/replay", serveJSON(s, registry.ActionEventReplay, http.StatusOK, parseReplay, (*exchange).replayEvents))
}

// parseSubscription reads a body of POST /subscriptions.
func parseSubscription(body []byte) (subscriptions.Request, error) {
	return parseJSON(body, func(r *reader) subscriptions.Request {
		q := subscriptions.Request{Body: sm3.Sum(append([]byte("subscriptions\n"), body...)), URL: r.required("url", event.MaxTarget), TypeCodes: r.texts("types", event.MaxTypes, maxType)}
		for _, t := range r.texts("events", len(event.Types()), 64) {
			q.Events = append(q.Events, event.Type(t))
		}
		return q
	})
}

// subscribe has the caller told of licences.
func (x *exchange) subscribe(q subscriptions.Request) (a subscriptionJSON, receipt audit.Receipt, err error) {
	if q.Key, err = x.idempotencyKey(); err != nil {
		return a, receipt, err
	}
	s, receipt, err := x.cfg.Subscriptions.Subscribe(x.r.Context(), x.caller, q)
	return newSubscription(s), receipt, err
}

// unsubscribe ends a subscription.
func (x *exchange) unsubscribe(q registry.StatusRequest) (a idJSON, receipt audit.Receipt, err error) {
	if err := x.decision(nameForm, &q); err != nil {
		return a, receipt, err
	}
	receipt, err = x.cfg.Subscriptions.Unsubscribe(x.r.Context(), x.caller, x.name, q)
	return idJSON{x.name}, receipt, err
}

// idJSON names what something was done with.
type idJSON struct {
	ID string `json:"id"`
}

// subscriptions lists subscriptions.
func (x *exchange) subscriptions() (func(), audit.Receipt, error) {
	q := registry.SubscriptionQuery{Limit: defaultPage}
	if err := x.listQuery(nameForm, &q.After, &q.Limit, func(string, string) bool { return false }); err != nil {
		return nil, audit.Receipt{}, err
	}
	all, receipt, err := x.cfg.Subscriptions.List(x.r.Context(), x.caller, q)
	a := subscriptionsAnswer{Subscriptions: make([]subscriptionJSON, 0, len(all))}
	for _, s := range all {
		a.Subscriptions = append(a.Subscriptions, newSubscription(s))
	}
	if len(all) == q.Limit {
		a.NextCursor = strictBase64.EncodeToString([]byte(all[len(all)-1].ID))
	}
	return func() { x.json(http.StatusOK, a) }, receipt, err
}

// deadEvents lists events that were not told.
func (x *exchange) deadEvents() (func(), audit.Receipt, error) {
	if !nameForm.MatchString(x.name) {
		return nil, audit.Receipt{}, errNoIdentifier
	}
	after, limit := "", defaultPage
	if err := x.listQuery(numberForm, &after, &limit, func(string, string) bool { return false }); err != nil {
		return nil, audit.Receipt{}, err
	}
	seq, _ := strconv.ParseInt(after, 10, 64) // of the form, or empty
	all, receipt, err := x.cfg.Subscriptions.Dead(x.r.Context(), x.caller, x.name, seq, limit)
	a := deadEventsAnswer{Events: make([]deadEventJSON, 0, len(all))}
	for _, d := range all {
		e := d.Event
		a.Events = append(a.Events, deadEventJSON{e.ID, e.Type, e.Subject, e.TypeCode, e.Time.UTC(), d.Attempts, d.Fault})
	}
	if len(all) == limit {
		a.NextCursor = strictBase64.EncodeToString(strconv.AppendInt(nil, all[len(all)-1].Seq, 10))
	}
	return func() { x.json(http.StatusOK, a) }, receipt, err
}

// replay is a body of POST /subscriptions/{subscription}/replay.
type replay struct {
	event string // empty for all that are dead
	registry.StatusRequest
}

func parseReplay(body []byte) (replay, error) {
	return parseJSON(body, func(r *reader) replay {
		return replay{r.text("event", 32), registry.StatusRequest{Body: sm3.Sum(body), Reason: r.text("reason", maxText), Operator: r.text("operator", maxText)}}
	})
}

// replayEvents tells dead events once more.
func (x *exchange) replayEvents(q replay) (a subscriptions.Replayed, receipt audit.Receipt, err error) {
	if err := x.decision(nameForm, &q.StatusRequest); err != nil {
		return a, receipt, err
	}
	return x.cfg.Subscriptions.Replay(x.r.Context(), x.caller, x.name, q.event, q.StatusRequest)
}

// eventGauges show what is to be told when metrics are asked for.
type eventGauges struct {
	counts func(context.Context) (registry.EventCounts, error)
	now    func() time.Time
}

var (
	eventsDue     = prometheus.NewDesc("elicence_events_due", "Events that are still to be delivered, one for each subscription.", nil, nil)
	eventsOldest  = prometheus.NewDesc("elicence_events_oldest_seconds", "How long the oldest of them has been due; 0 without any.", nil, nil)
	eventsDead    = prometheus.NewDesc("elicence_events_dead", "Events that were given up and may be replayed.", nil, nil)
	subsFailing   = prometheus.NewDesc("elicence_event_subscriptions_failing", "Subscriptions whose last delivery failed.", nil, nil)
	subsDisabled  = prometheus.NewDesc("elicence_event_subscriptions_disabled", "Subscriptions that the service disabled, by reason, until a person enables them.", []string{"reason"}, nil)
	allEventDescs = []*prometheus.Desc{eventsDue, eventsOldest, eventsDead, subsFailing, subsDisabled}
)

// Describe implements prometheus.Collector.
func (g eventGauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range allEventDescs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g eventGauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricTime)
	defer cancel()
	c, err := g.counts(ctx)
	if err != nil {
		return
	}
	var age float64
	if !c.Oldest.IsZero() {
		age = max(0, g.now().Sub(c.Oldest).Seconds())
	}
	for desc, value := range map[*prometheus.Desc]float64{eventsDue: float64(c.Due), eventsOldest: age, eventsDead: float64(c.Dead), subsFailing: float64(c.Failing)} {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	for _, reason := range []string{event.ReasonGone, event.ReasonBacklog} {
		ch <- prometheus.MustNewConstMetric(subsDisabled, prometheus.GaugeValue, float64(c.Disabled[reason]), reason)
	}
}
