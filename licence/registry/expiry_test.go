package registry_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"

	"github.com/google/go-cmp/cmp"
)

// expire has the register tell of all that has expired; the model says what that is: what is
// valid and over, and was not told before.
func (w *lives) expire(life modelLife) {
	w.t.Helper()
	want := 0
	for _, l := range append(w.before, life) {
		for _, v := range l {
			if _, told := w.expired[v.id]; told || v.seen(v.status, w.now()) != "expired" {
				continue
			}
			at := v.last.Add(24 * time.Hour)
			if since := v.past[len(v.past)-1].at; since.After(at) {
				at = since
			}
			w.expired[v.id] = at.UTC()
			want++
		}
	}
	w.logged["expired"] += want
	w.counts["expired"] += want
	if told, err := w.r.TellExpired(w.t.Context()); err != nil || told != want {
		w.t.Fatalf("told of %d that have expired, %v; want %d", told, err, want)
	}
}

// wantExpired wants the same told to those who subscribed, once each.
func (w *lives) wantExpired() {
	w.t.Helper()
	told := map[licence.Identifier]time.Time{}
	all := toldOf(w.t, w.Service, w.sub)
	for _, e := range all {
		told[e.Subject] = e.Time
	}
	if diff := cmp.Diff(told, w.expired); diff != "" || len(all) != len(told) {
		w.t.Errorf("told %d times to have expired (got, want):\n%s", len(all), diff)
	}
}

// ending issues a licence whose last day is so many days after the present one.
func (h *heard) ending(days int) licence.Identifier {
	h.t.Helper()
	body, _ := sample(h.t, "food-retail.json")
	day := func(days int) string { return h.Now().In(beijingDay).AddDate(0, 0, days).Format(time.DateOnly) }
	for old, new := range map[string]string{`"issued_on": "2026-04-08"`: day(min(days, 0)), `"effective_on": "2026-04-08"`: day(min(days, 0)), `"expires_on": "2031-04-07"`: day(days)} {
		if !bytes.Contains(body, []byte(old)) {
			h.t.Fatalf("the sample has no %s", old)
		}
		name, _, _ := bytes.Cut([]byte(old), []byte(":"))
		body = bytes.Replace(body, []byte(old), fmt.Appendf(nil, "%s: %q", name, new), 1)
	}
	issued, _, err := h.Issue(h.t.Context(), h.issuer, registry.IssueRequest{Key: h.next(), Body: body})
	must(h.t, err)
	return issued.Identifier
}

// tell has servers tell of what has expired, all at once, and wants so many told.
func (h *heard) tell(want int, servers ...*registry.Registry) {
	h.t.Helper()
	var all sync.WaitGroup
	told := make([]int, len(servers))
	errs := make([]error, len(servers))
	for i, r := range servers {
		all.Go(func() { told[i], errs[i] = r.TellExpired(h.t.Context()) })
	}
	all.Wait()
	sum := 0
	for _, n := range told {
		sum += n
	}
	if err := errors.Join(errs...); err != nil || sum != want {
		h.t.Errorf("told of %v, %v; want %d in all", told, err, want)
	}
}

// TestExpired: several servers tell once of what has expired, at the end of its last day in
// Beijing, and nobody of what was changed before, or who was not there then.
func TestExpired(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	other, err := registry.New(h.Config)
	must(t, err)
	long, renewed, suspended, revoked := h.ending(9), h.ending(1), h.ending(1), h.ending(1)
	var due []licence.Identifier
	for range 5 {
		due = append(due, h.ending(1))
	}
	q := func() registry.StatusRequest { return registry.StatusRequest{Key: h.next(), Reason: "r"} }
	_, _, err = h.Suspend(t.Context(), h.issuer, suspended, q())
	must(t, err)
	_, _, err = h.Revoke(t.Context(), h.issuer, revoked, q())
	must(t, err)
	_, _, err = h.Renew(t.Context(), h.issuer, renewed, registry.VersionRequest{Key: h.next(), Body: fmt.Appendf(nil, `{"reason": "r", "expires_on": %q}`, h.Now().AddDate(1, 0, 0).Format(time.DateOnly))})
	must(t, err)
	sub := h.subscribed(h.issuer)
	y, m, d := h.Now().In(beijingDay).Date()
	end := time.Date(y, m, d+2, 0, 0, 0, 0, beijingDay)
	h.Move(end.Sub(h.Now()) - time.Second)
	h.tell(0, h.Registry, other) // the last second of the last day
	h.Move(time.Minute)
	late := h.subscribed(h.issuer)
	from := size(t, h.Service)
	h.tell(len(due), h.Registry, other, h.Registry)
	h.tell(0, h.Registry, other)
	wantTrail(t, h.Service, from, slices.Repeat([]string{"expired allowed"}, len(due))...)
	got := toldOf(t, h.Service, sub)
	for i, e := range got {
		if got[i].ID = ""; !slices.Contains(due, e.Subject) || cmp.Diff(got[i], event.Event{Type: event.Expired, Subject: e.Subject, TypeCode: h.issuer.Types[0], Version: 1, Time: end.UTC()}) != "" {
			t.Errorf("told %+v", e)
		}
	}
	if len(got) != len(due) {
		t.Errorf("%d are told, want %d", len(got), len(due))
	}
	if got := toldOf(t, h.Service, late); got != nil {
		t.Errorf("who came later is told %v", eventNames(got))
	}
	_, _, err = h.Resume(t.Context(), h.issuer, suspended, q())
	must(t, err)
	resumed := h.Now().UTC().Truncate(time.Millisecond)
	h.Move(time.Minute)
	h.tell(1, h.Registry, other)
	for _, s := range []event.Subscription{sub, late} {
		got := toldOf(t, h.Service, s)
		if !slices.Equal(eventNames(got), []string{"resumed", "expired"}) || got[1].Subject != suspended || !got[1].Time.Equal(resumed) {
			t.Errorf("of one that was suspended told %+v", got)
		}
	}
	h.Move(7 * 24 * time.Hour)
	h.tell(0, h.Registry)
	h.Move(24 * time.Hour)
	h.tell(1, other)
	if got := toldOf(t, h.Service, sub); len(got) != 1 || got[0].Subject != long {
		t.Errorf("of the longer one told %+v", got)
	}
}

// TestExpiredStays: what could not be told is told later, and one damaged row holds up no other.
func TestExpiredStays(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	sub := h.subscribed(h.issuer)
	altered, fine := h.ending(-2), h.ending(-1)
	if got := toldOf(t, h.Service, sub); len(got) != 2 {
		t.Fatalf("told %v", eventNames(got))
	}
	from := size(t, h.Service)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := h.TellExpired(gone); n != 0 || err == nil {
		t.Errorf("after the end told of %d, %v", n, err)
	}
	path, _ := databases.Load(h.Service)
	db, err := sql.Open("sqlite", "file:"+path.(string)+"?_pragma=busy_timeout(10000)")
	must(t, err)
	defer db.Close()
	_, err = db.Exec(`UPDATE licence SET data = x'00' WHERE identifier = $1`, string(altered))
	must(t, err)
	n, err := h.TellExpired(t.Context())
	if n != 1 || err == nil {
		t.Errorf("beside a damaged one told of %d, %v", n, err)
	}
	if got := toldOf(t, h.Service, sub); len(got) != 1 || got[0].Subject != fine {
		t.Errorf("told %+v", got)
	}
	wantTrail(t, h.Service, from, "expired allowed")
}
