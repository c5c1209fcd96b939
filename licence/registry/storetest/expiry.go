package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"
)

// testExpired: licences are named that are valid, over and not told yet, and no others.
func testExpired(t *testing.T, b Backend) {
	records := make([]registry.Record, 8)
	for i := range records {
		records[i] = record(i)
	}
	for i, last := range []string{"2026-03-01", "2026-02-28", "2026-02-27", "", "2026-02-28", "2020-02-29", "2026-02-28"} {
		if records[i].ExpiresOn = (licence.Date{}); last != "" {
			records[i].ExpiresOn = day(last)
		}
		records[i].Status, records[i].File = licence.StatusValid, file(i+1)
	}
	records[4].Status, records[5].Status = licence.StatusSuspended, licence.StatusSuperseded
	records[7].ExpiresOn = day("2020-01-01") // pending
	insert(t, b, records...)
	want := func(on string, limit int, want ...int) {
		t.Helper()
		var ids []licence.Identifier
		for _, n := range want {
			ids = append(ids, identifier(n))
		}
		got, err := b.Expired(t.Context(), day(on), limit)
		if diff := cmp.Diff(got, ids); err != nil || diff != "" {
			t.Errorf("expired on %s (got, want): %v\n%s", on, err, diff)
		}
	}
	want("2026-02-27", 10)
	want("2026-02-28", 10, 2)
	want("2026-03-01", 10, 2, 1, 6)
	want("2026-03-01", 2, 2, 1)
	want("2026-03-02", 10, 2, 1, 6, 0)
	told := func(n int) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.SetExpiryTold(t.Context(), identifier(n)) })
	}
	wantError(t, "told", told(1), nil)
	wantError(t, "told twice", told(1), licence.ErrWrongStatus)
	wantError(t, "told of one that is suspended", told(4), licence.ErrWrongStatus)
	wantError(t, "told of one that is pending", told(7), licence.ErrWrongStatus)
	wantError(t, "told of none", told(9), licence.ErrWrongStatus)
	want("2026-03-01", 10, 2, 6)
	err := rerun(t.Context(), b, func(tx Tx) error {
		if err := tx.SetExpiryTold(t.Context(), identifier(2)); err != nil {
			return err
		}
		return licence.ErrNotFound
	})
	wantError(t, "undone", err, licence.ErrNotFound)
	want("2026-03-01", 10, 2, 6)
}

// testEventOfBefore: of what happened before nobody hears who was not there then; whoever does
// has as long to hear of it as of anything else.
func testEventOfBefore(t *testing.T, b Backend) {
	there, late := subscription("there"), subscription("late")
	late.StatusAt = after(time.Minute)
	subscribe(t, b, there, late)
	e := happened(1, 1)
	e.Type, e.Time = event.Expired, after(time.Minute-1)
	now := after(time.Hour)
	change(t, b, func(tx Tx) error { return tx.InsertEvent(t.Context(), e, "440305", now) })
	e = happened(2, 2)
	e.Time = after(time.Minute)
	change(t, b, func(tx Tx) error { return tx.InsertEvent(t.Context(), e, "440305", now) })
	e = happened(3, 3) // by a clock that is behind
	change(t, b, func(tx Tx) error { return tx.InsertEvent(t.Context(), e, "440305", e.Time) })
	if _, names := claim(t, b, "late", now, 10); names != "e2 e3 " {
		t.Errorf("who came later is told %q", names)
	}
	got, names := claim(t, b, "there", now, 10)
	if names != "e1 e2 e3 " || !got[0].Event.Time.Equal(after(time.Minute-1)) || !got[0].Since.Equal(now) || !got[2].Since.Equal(e.Time) {
		t.Errorf("who was there is told %q: %+v", names, got)
	}
}
