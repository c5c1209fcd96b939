package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"
)

// subscription is one of the suite's department to every event of its type.
func subscription(id string) event.Subscription {
	return event.Subscription{
		ID: id, Client: "approval", Authority: licence.IssuingAuthority{Name: "局", Code: authority, Division: "440305"}, URL: "https://a.example/hook?token=" + id,
		TypeCodes: []string{typeCode}, Status: event.Active, CreatedAt: base, StatusAt: base,
	}
}

func subscribe(t *testing.T, b Backend, all ...event.Subscription) {
	t.Helper()
	for _, s := range all {
		change(t, b, func(tx Tx) error { return tx.InsertSubscription(t.Context(), s) })
	}
}

// happened is event n about a licence.
func happened(n, licence int) event.Event {
	return event.Event{ID: fmt.Sprintf("e%d", n), Type: event.Suspended, Subject: identifier(licence), TypeCode: typeCode, Version: 1, Time: after(time.Duration(n) * time.Millisecond)}
}

func emit(t *testing.T, b Backend, events ...event.Event) {
	t.Helper()
	change(t, b, func(tx Tx) error {
		for _, e := range events {
			if err := tx.InsertEvent(t.Context(), e, "440305", e.Time); err != nil {
				return err
			}
		}
		return nil
	})
}

// claim claims events of a subscription, and names them.
func claim(t *testing.T, b Backend, id string, now time.Time, limit int) (claimed []event.Delivery, names string) {
	t.Helper()
	s, err := b.Subscription(t.Context(), id)
	if err == nil {
		claimed, err = b.ClaimEvents(t.Context(), s, now, now.Add(time.Minute), limit)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range claimed {
		names += d.Event.ID + " "
	}
	return claimed, names
}

func testSubscriptions(t *testing.T, b Backend) {
	_, err := b.Subscription(t.Context(), "s1")
	wantError(t, "unknown subscription", err, licence.ErrNotFound)
	first, other := subscription("s1"), subscription("s2")
	first.Events, first.Division, first.TypeCodes = []event.Type{event.Revoked, event.Issued}, "440300", []string{typeCode, "another"}
	other.Authority.Code = "another"
	subscribe(t, b, first, other)
	got, err := b.Subscription(t.Context(), first.ID)
	if diff := cmp.Diff(got, first); err != nil || diff != "" {
		t.Errorf("subscription differs (got, want): %v\n%s", err, diff)
	}
	for q, want := range map[registry.SubscriptionQuery][]event.Subscription{
		{Limit: 5}: {first, other}, {Authority: authority, Limit: 5}: {first}, {After: "s1", Limit: 5}: {other}, {Limit: 1}: {first}, {Authority: "nobody", Limit: 5}: nil,
	} {
		if got, err := b.Subscriptions(t.Context(), q); err != nil || cmp.Diff(got, want) != "" {
			t.Errorf("%+v: %v\n%s", q, err, cmp.Diff(got, want))
		}
	}
	for n := 2; n <= event.MaxSubscriptions; n++ {
		subscribe(t, b, subscription(fmt.Sprintf("more%02d", n)))
	}
	err = rerun(t.Context(), b, func(tx Tx) error { return tx.InsertSubscription(t.Context(), subscription("one more")) })
	wantError(t, "one more", err, registry.ErrTooManySubscriptions)

}

// testDisabled: what a disabled subscription was not told dies, and a removed one leaves nothing.
func testDisabled(t *testing.T, b Backend) {
	subscribe(t, b, subscription("more02"), subscription("more03"))
	emit(t, b, happened(1, 1), happened(2, 2))
	change(t, b, func(tx Tx) error {
		return tx.DisableSubscription(t.Context(), "more02", event.ReasonGone, after(time.Hour))
	})
	got, err := b.Subscription(t.Context(), "more02")
	if err != nil || got.Status != event.Disabled || got.Reason != event.ReasonGone || !got.StatusAt.Equal(after(time.Hour)) {
		t.Errorf("disabled: %+v, %v", got, err)
	}
	tidied := func() {
		t.Helper()
		if err := b.TidyEvents(t.Context(), after(time.Hour), base, base, base, 10); err != nil {
			t.Error(err)
		}
	}
	tidied()
	if dead, err := b.DeadEvents(t.Context(), "more02", 0, 10); err != nil || len(dead) != 2 || dead[0].Fault != event.ReasonGone || dead[0].Event.ID != "e1" {
		t.Errorf("dead of a disabled one: %+v, %v", dead, err)
	}
	for what, do := range map[string]func(Tx) error{
		"disabling twice":   func(tx Tx) error { return tx.DisableSubscription(t.Context(), "more02", "r", base) },
		"disabling nothing": func(tx Tx) error { return tx.DisableSubscription(t.Context(), "none", "r", base) },
		"enabling nothing":  func(tx Tx) error { return tx.EnableSubscription(t.Context(), "none", base) },
		"enabling twice":    func(tx Tx) error { return tx.EnableSubscription(t.Context(), "more03", base) },
	} {
		wantError(t, what, rerun(t.Context(), b, do), licence.ErrWrongStatus)
	}
	emit(t, b, happened(3, 3)) // of which a disabled one hears nothing
	change(t, b, func(tx Tx) error { return tx.EnableSubscription(t.Context(), "more02", after(2*time.Hour)) })
	if _, names := claim(t, b, "more02", after(3*time.Hour), 10); names != "" {
		t.Errorf("claimed of one that was disabled: %s", names)
	}
	change(t, b, func(tx Tx) error { return tx.DropSubscription(t.Context(), "more02") })
	tidied()
	if dead, err := b.DeadEvents(t.Context(), "more02", 0, 10); err != nil || len(dead) != 0 {
		t.Errorf("left of one that was removed: %+v, %v", dead, err)
	}
	err = rerun(t.Context(), b, func(tx Tx) error { return tx.DropSubscription(t.Context(), "more02") })
	wantError(t, "removing twice", err, licence.ErrNotFound)
}

func testEventsMatched(t *testing.T, b Backend) {
	all, revoked, elsewhere, inside, otherType := subscription("all"), subscription("revoked"), subscription("elsewhere"), subscription("inside"), subscription("type")
	revoked.Events = []event.Type{event.Amended, event.Revoked}
	elsewhere.Division, inside.Division = "440400", "440300"
	otherType.TypeCodes = []string{typeCode[:20] + "X", "11100000MB0328437K00"}
	subscribe(t, b, all, revoked, elsewhere, inside, otherType)
	amended := happened(2, 1)
	amended.Type, amended.Version, amended.Supersedes = event.Amended, 2, identifier(9)
	emit(t, b, happened(1, 1), amended)
	err := rerun(t.Context(), b, func(tx Tx) error {
		if err := tx.InsertEvent(t.Context(), happened(3, 3), "440305", base); err != nil {
			return err
		}
		return licence.ErrWrongStatus
	})
	wantError(t, "undone", err, licence.ErrWrongStatus)
	for id, want := range map[string]string{"all": "e1 ", "revoked": "e2 ", "elsewhere": "", "inside": "e1 ", "type": ""} {
		if _, names := claim(t, b, id, after(time.Hour), 10); names != want {
			t.Errorf("%s is told %q, want %q", id, names, want)
		}
	}
	got, _ := claim(t, b, "revoked", after(2*time.Hour), 10)
	want := []event.Delivery{{Seq: got[0].Seq, Subscription: revoked, Event: amended, Attempts: 2, Since: amended.Time, Until: after(2*time.Hour + time.Minute)}}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("claimed (got, want):\n%s", diff)
	}
}

// wantWaiting counts the subscriptions that have something due.
func wantWaiting(t *testing.T, b Backend, now time.Time, want int) {
	t.Helper()
	if all, err := b.Waiting(t.Context(), now); err != nil || len(all) != want {
		t.Errorf("at %v %d subscriptions wait, want %d: %v", now, len(all), want, err)
	}
}

func testEventOrder(t *testing.T, b Backend) {
	subscribe(t, b, subscription("s"))
	wantWaiting(t, b, after(time.Hour), 0) // for nothing
	emit(t, b, happened(1, 1), happened(2, 1), happened(3, 2), happened(4, 1), happened(5, 3))
	wantWaiting(t, b, base, 0)
	wantWaiting(t, b, after(time.Hour), 1)
	now := after(time.Hour)
	first, names := claim(t, b, "s", now, 2)
	if names != "e1 e3 " {
		t.Fatalf("claimed first: %s", names)
	}
	if _, names := claim(t, b, "s", now, 10); names != "e5 " {
		t.Errorf("claimed beside: %s, for those of licence 1 wait", names)
	}
	for _, d := range first {
		if err := b.DeliverEvent(t.Context(), d, now); err != nil {
			t.Error(err)
		}
	}
	second, names := claim(t, b, "s", now, 10)
	if names != "e2 " {
		t.Fatalf("claimed second: %s", names)
	}
	// What fails holds up its licence alone, and then not even that.
	fail := func(d event.Delivery, r event.Ruling) {
		t.Helper()
		if err := b.FailEvent(t.Context(), d, "http_500", r, now); err != nil {
			t.Error(err)
		}
	}
	fail(second[0], event.Ruling{DueAt: now.Add(10 * time.Minute), Failures: 1, RestUntil: now.Add(time.Minute)})
	wantWaiting(t, b, now.Add(30*time.Second), 0) // for the receiver rests
	if _, names := claim(t, b, "s", now.Add(2*time.Minute), 10); names != "e5 " {
		t.Errorf("after two minutes: %s", names)
	}
	third, names := claim(t, b, "s", now.Add(10*time.Minute), 10)
	if names != "e2 e5 " || third[0].Attempts != 2 || third[0].Fault != "http_500" || third[0].Subscription.Failures != 1 {
		t.Fatalf("after ten: %s%+v", names, third)
	}
	fail(third[0], event.Ruling{Dead: true, Failures: 1})
	fourth, names := claim(t, b, "s", now.Add(10*time.Minute), 10)
	if names != "e4 " {
		t.Fatalf("after a death: %s", names)
	}
	if err := b.DeliverEvent(t.Context(), fourth[0], now); err != nil {
		t.Error(err)
	}
	if s, err := b.Subscription(t.Context(), "s"); err != nil || s.Failures != 0 || !s.RestUntil.IsZero() {
		t.Errorf("after a success: %+v, %v", s, err)
	}
	dead, err := b.DeadEvents(t.Context(), "s", 0, 10)
	if err != nil || len(dead) != 1 || dead[0].Event.ID != "e2" || dead[0].Fault != "http_500" || dead[0].Subscription.ID != "s" {
		t.Errorf("dead: %+v, %v", dead, err)
	}
}

// testEventClaims: a claim that ended is another's, and whoever lost it changes nothing.
func testEventClaims(t *testing.T, b Backend) {
	subscribe(t, b, subscription("s"))
	emit(t, b, happened(1, 1))
	lost, _ := claim(t, b, "s", after(time.Hour), 1)
	again, names := claim(t, b, "s", after(2*time.Hour), 1)
	if names != "e1 " || again[0].Attempts != 2 {
		t.Fatalf("claimed again: %s", names)
	}
	for what, err := range map[string]error{
		"delivering": b.DeliverEvent(t.Context(), lost[0], after(2*time.Hour)),
		"failing":    b.FailEvent(t.Context(), lost[0], "timeout", event.Ruling{Dead: true, Failures: 7, RestUntil: after(9 * time.Hour)}, after(2*time.Hour)),
		"dropping":   b.DropEvent(t.Context(), lost[0]),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	counts, err := b.EventCounts(t.Context())
	if want := (registry.EventCounts{Due: 1, Oldest: happened(1, 1).Time, Disabled: map[string]int{}}); err != nil || cmp.Diff(counts, want) != "" {
		t.Errorf("counts: %v\n%s", err, cmp.Diff(counts, want))
	}
	if err := b.DropEvent(t.Context(), again[0]); err != nil {
		t.Error(err)
	}
	if counts, err := b.EventCounts(t.Context()); err != nil || counts.Due != 0 {
		t.Errorf("after dropping: %+v, %v", counts, err)
	}

}

// testEventsClaimedAtOnce: of several that claim at once each event is one's alone.
func testEventsClaimedAtOnce(t *testing.T, b Backend) {
	subscribe(t, b, subscription("s"))
	const events, workers = 200, 4
	var many []event.Event
	for n := range events {
		many = append(many, happened(n, n))
	}
	emit(t, b, many...)
	s, err := b.Subscription(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []string
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				claimed, err := b.ClaimEvents(t.Context(), s, after(time.Hour), after(2*time.Hour), 7)
				if err != nil {
					t.Error(err)
				}
				if len(claimed) == 0 {
					return
				}
				mu.Lock()
				for _, d := range claimed {
					got = append(got, d.Event.ID)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(got)
	if n := len(got); n != events || len(slices.Compact(got)) != events {
		t.Errorf("%d claims of %d events, %d different", n, events, len(slices.Compact(got)))
	}
}

func testEventLife(t *testing.T, b Backend) {
	subscribe(t, b, subscription("s"))
	emit(t, b, happened(1, 1), happened(2, 1), happened(3, 2), happened(4, 3), happened(5, 4))
	now := after(time.Hour)
	claimed, names := claim(t, b, "s", now, 3)
	if names != "e1 e3 e4 " {
		t.Fatal(names)
	}
	dead := event.Ruling{Dead: true, Failures: 1, RestUntil: now}
	for _, err := range []error{
		b.DeliverEvent(t.Context(), claimed[0], now),
		b.FailEvent(t.Context(), claimed[1], "http_404", dead, now.Add(time.Minute)),
		b.FailEvent(t.Context(), claimed[2], "timeout", dead, now.Add(2*time.Minute)),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	counts, err := b.EventCounts(t.Context())
	if want := (registry.EventCounts{Due: 2, Dead: 2, Oldest: happened(2, 1).Time, Failing: 1, Disabled: map[string]int{}}); err != nil || cmp.Diff(counts, want) != "" {
		t.Errorf("counts: %v\n%s", err, cmp.Diff(counts, want))
	}
	if ids, err := b.Backlogged(t.Context(), 1); err != nil || !slices.Equal(ids, []string{"s"}) {
		t.Errorf("more than one due: %v, %v", ids, err)
	}
	if ids, err := b.Backlogged(t.Context(), 2); err != nil || len(ids) != 0 {
		t.Errorf("more than two due: %v, %v", ids, err)
	}
	now = now.Add(time.Hour)
	replayDead(t, b, now)
	tidyEvents(t, b, now)
}

// replayDead has the dead e3 and e4 told once more, and claims all that is due.
func replayDead(t *testing.T, b Backend, later time.Time) {
	t.Helper()
	replay := func(id string, at time.Time, limit, want int) {
		t.Helper()
		var n int
		change(t, b, func(tx Tx) (err error) { n, err = tx.ReplayEvents(t.Context(), "s", id, at, limit); return err })
		if n != want {
			t.Errorf("replayed %d of %q, want %d", n, id, want)
		}
	}
	replay("none", later, 10, 0)
	replay("e4", later, 10, 1)
	replay("e4", later, 10, 0)
	replay("", later, 1, 1)
	replay("", later, 10, 0)
	again, names := claim(t, b, "s", later, 10)
	if names != "e2 e3 e4 e5 " || again[1].Attempts != 1 || !again[1].Since.Equal(later) || again[1].Fault != "" {
		t.Errorf("after the replay: %s%+v", names, again)
	}
}

// tidyEvents: claimed events are left alone; those too old die; then they are forgotten.
func tidyEvents(t *testing.T, b Backend, later time.Time) {
	t.Helper()
	tidy := func(at, since, delivered, died time.Time) {
		t.Helper()
		if err := b.TidyEvents(t.Context(), at, since, delivered, died, 2); err != nil {
			t.Error(err)
		}
	}
	tidy(later, later, base, base)
	if counts, err := b.EventCounts(t.Context()); err != nil || counts.Due != 4 {
		t.Errorf("claimed events died: %+v, %v", counts, err)
	}
	ended := later.Add(time.Hour)
	tidy(ended, later, base, base) // e2 and e5; e3 and e4 are since later
	left, err := b.DeadEvents(t.Context(), "s", 0, 10)
	if err != nil || len(left) != 2 || left[0].Fault != "too_old" || left[0].Event.ID != "e2" || left[1].Event.ID != "e5" {
		t.Errorf("dead of age: %+v, %v", left, err)
	}
	if page, err := b.DeadEvents(t.Context(), "s", left[0].Seq, 1); err != nil || len(page) != 1 || page[0].Event.ID != "e5" {
		t.Errorf("the next page: %+v, %v", page, err)
	}
	if err := b.TidyEvents(t.Context(), ended, base, base, base, 1); err != nil {
		t.Error(err)
	}
	if left, err = b.DeadEvents(t.Context(), "s", 0, 10); err != nil || len(left) != 1 || left[0].Event.ID != "e5" {
		t.Errorf("the newest dead one: %+v, %v", left, err)
	}
	tidy(ended, base, ended, ended) // not those of this instant
	if left, err := b.DeadEvents(t.Context(), "s", 0, 10); err != nil || len(left) != 1 {
		t.Errorf("%+v, %v", left, err)
	}
	tidy(ended, base, ended, ended.Add(1))
	if counts, err := b.EventCounts(t.Context()); err != nil || counts.Dead != 0 || counts.Due != 2 {
		t.Errorf("after all: %+v, %v", counts, err)
	}
}

func testGranted(t *testing.T, b Backend) {
	g := registry.Grant{ID: "g1", Authority: licence.IssuingAuthority{Name: "局", Code: authority, Division: "440305"}, TypeCode: typeCode, MatterCode: "m", Fields: []string{"number"},
		How: registry.HowFunction, ValidFrom: day("2026-01-01"), ValidTo: day("2026-12-31"), Status: registry.GrantApproved, RequestedAt: base}
	requested, consent, unbounded := g, g, g
	requested.ID, requested.Status, requested.TypeCode = "g2", registry.GrantRequested, "requested"
	consent.ID, consent.How, consent.TypeCode = "g3", registry.HowConsent, "consent"
	unbounded.ID, unbounded.ValidTo, unbounded.TypeCode = "g4", licence.Date{}, "unbounded"
	change(t, b, func(tx Tx) error {
		for _, g := range []registry.Grant{g, requested, consent, unbounded} {
			if err := tx.InsertGrant(t.Context(), g); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range []struct {
		authority, typeCode, day string
		want                     bool
	}{
		{authority, typeCode, "2026-01-01", true}, {authority, typeCode, "2026-12-31", true}, {authority, typeCode, "2025-12-31", false}, {authority, typeCode, "2027-01-01", false},
		{authority, "unbounded", "2099-01-01", true}, {authority, "requested", "2026-06-01", false}, {authority, "consent", "2026-06-01", false}, {"another", typeCode, "2026-06-01", false},
	} {
		if got, err := b.Granted(t.Context(), c.authority, c.typeCode, day(c.day)); err != nil || got != c.want {
			t.Errorf("%+v: %t, %v", c, got, err)
		}
	}
}
