package registry_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/licence/registry/subscriptions"

	"github.com/google/go-cmp/cmp"
)

// toldOf are all events that a subscription has due, in order, each delivered.
func toldOf(t *testing.T, s *registrytest.Service, sub event.Subscription) (all []event.Event) {
	t.Helper()
	for {
		claimed, err := s.Subscriptions().Claim(t.Context(), sub, time.Minute, 10)
		must(t, err)
		if len(claimed) == 0 {
			return all
		}
		for _, d := range claimed {
			all = append(all, d.Event)
			must(t, s.Subscriptions().Settle(t.Context(), d, event.Outcome{Delivered: true}, 0))
		}
	}
}

// eventNames is what an event says, in short.
func eventNames(all []event.Event) (list []string) {
	for _, e := range all {
		list = append(list, strings.TrimPrefix(string(e.Type), "elicence.licence."))
	}
	return list
}

// TestEvents walks a licence through its whole life: each step is told once, in order, with
// nothing personal, and what was refused or repeated is not.
func TestEvents(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	s := l.Service
	s.Registry = l.r // of a type that passes to others
	s.Register(t, l.c)
	sub, _, err := s.Subscriptions().Subscribe(t.Context(), l.c, subscriptions.Request{Key: "s", URL: "https://receiver.example.gov.cn/", TypeCodes: l.c.Types})
	must(t, err)
	if got := toldOf(t, s, sub); got != nil {
		t.Errorf("told of what was before: %v", eventNames(got))
	}
	id := l.first.Identifier
	n := 0
	change := func(op licence.Operation) {
		t.Helper()
		n++
		q := registry.StatusRequest{Key: fmt.Sprint("c", n), Reason: "r"}
		for range 2 { // the second is a repetition
			_, _, err := changers(s.Registry)[op](t.Context(), l.c, id, q)
			must(t, err)
		}
		q.Key += "again"
		if _, _, err := changers(s.Registry)[op](t.Context(), l.c, id, q); !errors.Is(err, licence.ErrWrongStatus) {
			t.Errorf("%s twice: %v", op, err)
		}
	}
	var want []event.Event
	expect := func(typ event.Type, subject, supersedes licence.Identifier) {
		want = append(want, event.Event{Type: typ, Subject: subject, Supersedes: supersedes, TypeCode: l.first.TypeCode, Version: subject.Version(), Time: s.Now().UTC().Truncate(time.Millisecond)})
	}
	for _, op := range []licence.Operation{licence.OpAmend, licence.OpRenew, licence.OpCorrect, licence.OpReissue, licence.OpTransfer} {
		s.Move(24 * time.Hour)
		issued, _, err := replacers(s.Registry)[op](t.Context(), l.c, id, registry.VersionRequest{Key: string(op), Body: []byte(bodies[op])})
		must(t, err)
		expect(event.Of(op), issued.Identifier, id)
		id = issued.Identifier
	}
	for _, op := range []licence.Operation{licence.OpSuspend, licence.OpResume, licence.OpRevoke} {
		change(op)
		expect(event.Of(op), id, "")
	}
	got := toldOf(t, s, sub)
	ids := map[string]bool{}
	for i, e := range got {
		ids[e.ID] = true
		got[i].ID = ""
		body, err := e.Body(registrytest.PublicURL)
		must(t, err)
		for _, personal := range []string{l.first.Number, "杭州", "张", "91330106"} {
			if bytes.Contains(body, []byte(personal)) {
				t.Errorf("the event tells %q: %s", personal, body)
			}
		}
	}
	if diff := cmp.Diff(got, want); diff != "" || len(ids) != len(want) {
		t.Errorf("told with %d identifiers (got, want):\n%s", len(ids), diff)
	}
	for op, last := range map[licence.Operation]event.Type{licence.OpWithdraw: event.Withdrawn, licence.OpCancel: event.Cancelled} {
		id = issue(t, s, "food-retail.json", string(op)).Identifier
		change(op)
		if got := eventNames(toldOf(t, s, sub)); !slices.Equal(got, eventNames([]event.Event{{Type: event.Issued}, {Type: last}})) {
			t.Errorf("%s: told %v", op, got)
		}
	}
}

// heard is a service with somebody who is told.
type heard struct {
	*registrytest.Service
	t       *testing.T
	issuer  registry.Caller
	partner registry.Caller
	n       int
}

func newHeard(t *testing.T) *heard {
	s := open(t)
	_, issuer := sample(t, "food-retail.json")
	h := &heard{s, t, issuer, registrytest.Partner(), 0}
	s.Register(t, h.issuer)
	s.Register(t, h.partner)
	return h
}

func (h *heard) next() string { h.n++; return fmt.Sprint("k", h.n) }

// subscribe subscribes somebody to licences of the issuer's type.
func (h *heard) subscribe(c registry.Caller) (event.Subscription, error) {
	s, _, err := h.Subscriptions().Subscribe(h.t.Context(), c, subscriptions.Request{Key: h.next(), URL: "https://receiver.example.gov.cn/a?token=secret", TypeCodes: h.issuer.Types})
	return s, err
}

func (h *heard) subscribed(c registry.Caller) event.Subscription {
	h.t.Helper()
	s, err := h.subscribe(c)
	must(h.t, err)
	return s
}

func (h *heard) issue() { h.t.Helper(); issue(h.t, h.Service, "food-retail.json", h.next()) }

// TestEventRights: nobody is told of what they may not read, when they subscribe or later.
func TestEventRights(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	issuer := h.subscribed(h.issuer)
	if _, err := h.subscribe(h.partner); !errors.Is(err, registry.ErrForbidden) {
		t.Errorf("without a grant: %v", err)
	}
	g := h.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: h.issuer.Types[0], Fields: []string{"number"}, MatterCode: "m"})
	partner := h.subscribed(h.partner)
	elsewhere := h.issuer
	elsewhere.Principal, elsewhere.Authority.Division = "elsewhere", "330105"
	h.Register(t, elsewhere)
	beside := h.subscribed(elsewhere)
	for what, c := range map[string]registry.Caller{
		"another's type": registrytest.Approval(registrytest.JointType),
		"no client":      {Principal: "nobody", Roles: []registry.Role{registry.RolePartner}, Authority: registrytest.Department},
		"a holder":       {Principal: "holder", Roles: []registry.Role{registry.RoleHolder}},
		"an auditor":     walkAuditor,
	} {
		if what == "another's type" {
			h.Register(t, c)
		}
		if _, err := h.subscribe(c); err == nil {
			t.Errorf("%s is told", what)
		}
	}
	h.issue()
	for what, c := range map[string]struct {
		sub  event.Subscription
		want int
	}{"the issuer": {issuer, 1}, "the partner": {partner, 1}, "beside": {beside, 0}} {
		if got := toldOf(t, h.Service, c.sub); len(got) != c.want {
			t.Errorf("%s is told %v, want %d", what, eventNames(got), c.want)
		}
	}
	h.issue()
	_, _, err := h.WithdrawGrant(t.Context(), registrytest.Approver(h.issuer.Types[0]), g.ID, registry.StatusRequest{Key: h.next(), Reason: "r"})
	must(t, err)
	if got := toldOf(t, h.Service, partner); got != nil {
		t.Errorf("told %v after the grant was withdrawn", eventNames(got))
	}
	_, err = h.DisableClient(t.Context(), walkSystem, h.issuer.Principal, registry.StatusRequest{Key: h.next(), Reason: "r"})
	must(t, err)
	if got := toldOf(t, h.Service, issuer); got != nil {
		t.Errorf("told %v after the client was disabled", eventNames(got))
	}
	if counts, err := h.Subscriptions().Counts(t.Context()); err != nil || counts.Due != 0 {
		t.Errorf("what nobody may be told waits: %+v, %v", counts, err)
	}
}

// TestSubscriptionRefused tries subscriptions, and what others would do with them.
func TestSubscriptionRefused(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	for what, q := range map[string]subscriptions.Request{
		"url":       {URL: "https://127.0.0.1/", TypeCodes: h.issuer.Types},
		"url#2":     {URL: "http://receiver.example.gov.cn/", TypeCodes: h.issuer.Types},
		"url#3":     {TypeCodes: h.issuer.Types},
		"types":     {URL: "https://receiver.example.gov.cn/"},
		"types[0]":  {URL: "https://receiver.example.gov.cn/", TypeCodes: []string{"%"}},
		"events[0]": {URL: "https://receiver.example.gov.cn/", TypeCodes: h.issuer.Types, Events: []event.Type{"%"}},
	} {
		q.Key = h.next()
		_, _, err := h.Subscriptions().Subscribe(t.Context(), h.issuer, q)
		var refused *licence.RequestError
		field, _, _ := strings.Cut(what, "#")
		if !errors.As(err, &refused) || refused.Fields[0].Field != field {
			t.Errorf("%s: %v", what, err)
		}
	}
	sub := h.subscribed(h.issuer)
	other := registrytest.Approval(registrytest.JointType)
	h.Register(t, other)
	q := func() registry.StatusRequest { return registry.StatusRequest{Key: h.next(), Reason: "r"} }
	for what, do := range map[string]func(registry.Caller, registry.StatusRequest) error{
		"remove": func(c registry.Caller, q registry.StatusRequest) error {
			_, err := h.Subscriptions().Unsubscribe(t.Context(), c, sub.ID, q)
			return err
		},
		"enable": func(c registry.Caller, q registry.StatusRequest) error {
			_, _, err := h.Subscriptions().Enable(t.Context(), c, sub.ID, q)
			return err
		},
		"replay": func(c registry.Caller, q registry.StatusRequest) error {
			_, _, err := h.Subscriptions().Replay(t.Context(), c, sub.ID, "", q)
			return err
		},
		"dead": func(c registry.Caller, q registry.StatusRequest) error {
			_, _, err := h.Subscriptions().Dead(t.Context(), c, sub.ID, 0, 1)
			return err
		},
	} {
		if err := do(other, q()); !errors.Is(err, licence.ErrNotFound) {
			t.Errorf("%s by another department: %v", what, err)
		}
		if err := do(walkAuditor, q()); !errors.Is(err, registry.ErrForbidden) {
			t.Errorf("%s by an auditor: %v", what, err)
		}
		if what != "dead" {
			if err := do(h.issuer, registry.StatusRequest{Reason: "r"}); !errors.Is(err, registry.ErrKeyMissing) && !errors.Is(err, licence.ErrWrongStatus) {
				t.Errorf("%s without a key: %v", what, err)
			}
		}
	}
	if _, err := h.Subscriptions().Unsubscribe(t.Context(), h.issuer, sub.ID, registry.StatusRequest{Key: h.next()}); !errors.Is(err, registry.ErrReasonMissing) {
		t.Errorf("removed without a reason: %v", err)
	}
	if all, _, err := h.Subscriptions().List(t.Context(), other, registry.SubscriptionQuery{}); err != nil || len(all) != 0 {
		t.Errorf("another department sees %v, %v", all, err)
	}
	q1 := q()
	for range 2 {
		_, err := h.Subscriptions().Unsubscribe(t.Context(), h.issuer, sub.ID, q1)
		must(t, err)
	}
	if _, err := h.Subscriptions().Unsubscribe(t.Context(), h.issuer, sub.ID, q()); !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

// TestEventsDisabled: a receiver that wants no more, or takes too few, is told no more, and the
// log says so; a person has it told again, and what it missed.
func TestEventsDisabled(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	sub := h.subscribed(h.issuer)
	h.issue()
	h.issue()
	claimed, err := h.Subscriptions().Claim(t.Context(), sub, time.Minute, 1)
	must(t, err)
	from := size(t, h.Service)
	must(t, h.Subscriptions().Settle(t.Context(), claimed[0], event.Outcome{Gone: true, Fault: "http_410"}, 0))
	wantTrail(t, h.Service, from, "event_disable allowed")
	must(t, h.Subscriptions().Tidy(t.Context()))
	if waiting, err := h.Subscriptions().Waiting(t.Context()); err != nil || len(waiting) != 0 {
		t.Errorf("%v wait, %v", waiting, err)
	}
	h.issue() // which is not told
	if _, _, err := h.Subscriptions().Replay(t.Context(), h.issuer, sub.ID, "", registry.StatusRequest{Key: h.next()}); !errors.Is(err, licence.ErrWrongStatus) {
		t.Errorf("replayed to one that is disabled: %v", err)
	}
	enabled, _, err := h.Subscriptions().Enable(t.Context(), h.issuer, sub.ID, registry.StatusRequest{Key: h.next(), Reason: "r"})
	must(t, err)
	if enabled.Status != event.Active {
		t.Errorf("enabled: %+v", enabled)
	}
	dead, _, err := h.Subscriptions().Dead(t.Context(), h.issuer, sub.ID, 0, 10)
	must(t, err)
	if len(dead) != 2 || dead[0].Fault != "http_410" || dead[1].Fault != event.ReasonGone || dead[0].Event.Subject == "" {
		t.Errorf("dead: %+v", dead)
	}
	q := registry.StatusRequest{Key: h.next()}
	for range 2 {
		n, _, err := h.Subscriptions().Replay(t.Context(), h.issuer, sub.ID, "", q)
		must(t, err)
		if n.Events != 2 {
			t.Errorf("replayed %+v", n)
		}
	}
	if got := toldOf(t, h.Service, sub); len(got) != 2 || got[0].ID != dead[0].Event.ID {
		t.Errorf("told again: %v", got)
	}

	h.issue()
	claimed, err = h.Subscriptions().Claim(t.Context(), sub, time.Minute, 1)
	must(t, err)
	must(t, h.Subscriptions().Settle(t.Context(), claimed[0], event.Outcome{Fault: "http_500"}, 0))
	h.Move(event.RetryFor + time.Hour)
	must(t, h.Subscriptions().Tidy(t.Context()))
	counts, err := h.Subscriptions().Counts(t.Context())
	if want := (registry.EventCounts{Dead: 1, Failing: 1, Disabled: map[string]int{}}); err != nil || cmp.Diff(counts, want) != "" {
		t.Errorf("too old: %v\n%s", err, cmp.Diff(counts, want))
	}
	h.Move(31 * 24 * time.Hour)
	must(t, h.Subscriptions().Tidy(t.Context()))
	if counts, err := h.Subscriptions().Counts(t.Context()); err != nil || counts.Dead != 0 {
		t.Errorf("dead for a month: %+v, %v", counts, err)
	}
}

// TestEventBacklog: a subscription with more events due than are kept is disabled, with an entry,
// and others are not.
func TestEventBacklog(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	full, other := h.subscribed(h.issuer), h.subscribed(h.issuer)
	h.issue()
	path, _ := databases.Load(h.Service)
	db, err := sql.Open("sqlite", "file:"+path.(string)+"?_pragma=busy_timeout(10000)")
	must(t, err)
	defer db.Close()
	copies := func(n int) {
		t.Helper()
		_, err := db.Exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			INSERT INTO event_delivery (subscription, licence, event_id, type, subject, supersedes, type_code, version, at, state, attempts, since_at, due_at, fault)
			SELECT subscription, licence || i, event_id, type, subject, supersedes, type_code, version, at, state, attempts, since_at, due_at, fault
			FROM n, (SELECT * FROM event_delivery WHERE subscription = $2 LIMIT 1)`, n, full.ID)
		must(t, err)
	}
	copies(event.MaxBacklog - 1)
	from := size(t, h.Service)
	must(t, h.Subscriptions().Tidy(t.Context()))
	wantTrail(t, h.Service, from)
	copies(1)
	must(t, h.Subscriptions().Tidy(t.Context()))
	must(t, h.Subscriptions().Tidy(t.Context()))
	wantTrail(t, h.Service, from, "event_disable allowed")
	counts, err := h.Subscriptions().Counts(t.Context())
	if err != nil || counts.Due != 1 || counts.Dead != event.MaxBacklog+1 || counts.Disabled[event.ReasonBacklog] != 1 {
		t.Errorf("counts: %+v, %v", counts, err)
	}
	if got := toldOf(t, h.Service, other); len(got) != 1 {
		t.Errorf("the other is told %v", eventNames(got))
	}
}
