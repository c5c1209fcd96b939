package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/registry"
)

// counted are licences of two types and three divisions, on and around the days that
// decide.
func counted() (records []registry.Record) {
	add := func(status licence.Status, issued, effective, expires string, change func(r *registry.Record)) {
		r := record(len(records))
		r.Status, r.IssuedOn, r.EffectiveOn, r.ExpiresOn = status, day(issued), day(effective), licence.Date{}
		if expires != "" {
			r.ExpiresOn = day(expires)
		}
		if change != nil {
			change(&r)
		}
		records = append(records, r)
	}
	district := func(r *registry.Record) { r.Division = "440306" }
	// The day of status_at, base, is 2026-03-01 in Beijing; that of late the next one.
	late := func(r *registry.Record) { r.StatusAt = base.Add(8 * time.Hour) }
	add("valid", "2026-01-31", "2026-03-01", "2026-03-01", nil)
	add("valid", "2026-02-01", "2026-03-02", "2031-03-01", nil)
	add("valid", "2026-02-28", "2026-02-28", "2026-02-28", nil)
	add("valid", "2026-02-28", "2026-02-28", "2026-03-31", district)
	add("valid", "2026-03-01", "2026-03-01", "2026-04-01", district)
	add("valid", "2025-12-31", "2026-01-01", "", nil)
	add("suspended", "2026-02-10", "2026-02-10", "2026-02-11", nil)
	add("pending", "2026-02-10", "2026-02-10", "", nil)
	add("voided", "2026-02-10", "2026-02-10", "", nil)
	add("revoked", "2026-02-10", "2026-02-10", "", nil)
	add("revoked", "2026-02-10", "2026-02-10", "", late)
	add("withdrawn", "2025-02-10", "2026-02-10", "", nil)
	add("superseded", "2026-02-10", "2026-02-10", "", nil)
	add("valid", "2026-02-10", "2026-02-10", "", func(r *registry.Record) { r.TypeCode = "another" })
	add("valid", "2026-02-10", "2026-02-10", "", func(r *registry.Record) { r.Division = "440100" })
	add("valid", "2025-02-10", "2026-02-10", "", func(r *registry.Record) { r.Division = "440306100" })
	return records
}

func testCounts(t *testing.T, b Backend) {
	renewed := version(12, 2)
	renewed.Operation, renewed.Status, renewed.IssuedOn, renewed.EffectiveOn, renewed.ExpiresOn = licence.OpRenew, licence.StatusValid, day("2026-02-20"), day("2026-02-20"), licence.Date{}
	insert(t, b, counted()...)
	change(t, b, func(tx Tx) error { return tx.InsertVersion(t.Context(), renewed) })

	q := registry.CountQuery{Types: []string{typeCode}, Division: "440300", From: day("2026-02-01"), To: day("2026-03-01"), Today: day("2026-03-01"), Soon: day("2026-03-31")}
	row := func(measure, division, month string, n int64) registry.Count {
		return registry.Count{Measure: measure, TypeCode: typeCode, Division: division, Month: month, Count: n}
	}
	got, err := b.Counts(t.Context(), q)
	want := []registry.Count{
		row("expired", "440305", "", 1), row("expiring", "440305", "", 1), row("expiring", "440306", "", 1),
		row("issued", "440305", "2026-02", 6), row("issued", "440306", "2026-02", 1), row("issued", "440306", "2026-03", 1),
		row("not_yet_valid", "440305", "", 1), row("renew", "440305", "2026-02", 1), row("revoked", "440305", "2026-03", 1),
		row("suspended", "440305", "", 1), row("valid", "440305", "", 3), row("valid", "440306", "", 2), row("valid", "440306100", "", 1), row("withdrawn", "440305", "2026-03", 1),
	}
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Errorf("counts (got, want): %v\n%s", err, diff)
	}
	town := q
	town.Division = "440306100"
	if got, err = b.Counts(t.Context(), town); err != nil || len(got) != 1 || got[0] != row("valid", "440306100", "", 1) {
		t.Errorf("of a township: %v, %v", got, err)
	}
	q.To = day("2026-03-02")
	if got, err = b.Counts(t.Context(), q); err != nil || got[8] != row("revoked", "440305", "2026-03", 2) {
		t.Errorf("with the day after: %v, %v", got, err)
	}
	for name, none := range map[string]func(q *registry.CountQuery){
		"of no type":      func(q *registry.CountQuery) { q.Types = []string{"no type"} },
		"of another city": func(q *registry.CountQuery) { q.Division = "440200" },
		"of no division":  func(q *registry.CountQuery) { q.Division = "%" },
	} {
		q := q
		none(&q)
		if got, err := b.Counts(t.Context(), q); err != nil || len(got) != 0 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
