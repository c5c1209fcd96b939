package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/dispute"
	"elicence/licence/registry"
)

// aDispute has every field of one that was just raised.
func aDispute(n int) dispute.Dispute {
	return dispute.Dispute{
		ID: fmt.Sprintf("%028x", n), Kind: dispute.WrongData, State: dispute.Open, Licence: identifier(n), TypeCode: typeCode, Entry: uint64(n),
		Holder:    licence.Holder{Code: "11010519491231002X", CodeType: licence.CodeTypeCitizenNumber},
		Authority: licence.IssuingAuthority{Name: "市场监督管理局", Code: "11440305MB2C92008N", Division: "440305"},
		Statement: dispute.Statement{Field: "holder.name", ShouldBe: "䶮记面馆", Text: "名称有误"},
		RaisedAt:  after(time.Duration(n) * time.Second), Due: after(time.Duration(100-n) * time.Hour),
	}
}

func testDisputes(t *testing.T, b Backend) {
	d := aDispute(1)
	_, err := b.Dispute(t.Context(), d.ID)
	wantError(t, "unknown dispute", err, licence.ErrNotFound)
	wantStored := func(want dispute.Dispute) {
		t.Helper()
		got, err := b.Dispute(t.Context(), want.ID)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("dispute differs (got, want): %v\n%s", err, diff)
		}
	}
	change(t, b, func(tx Tx) error { return tx.InsertDispute(t.Context(), d) })
	wantStored(d)
	same, other, another := aDispute(2), aDispute(3), aDispute(4)
	same.Licence, other.Licence, another.Licence = d.Licence, d.Licence, d.Licence
	other.Kind, another.Holder.Code = dispute.WrongLicence, "110105194912310011"
	change(t, b, func(tx Tx) error {
		wantError(t, "of the same kind about the same", tx.InsertDispute(t.Context(), same), registry.ErrDisputeStands)
		return errors.Join(tx.InsertDispute(t.Context(), other), tx.InsertDispute(t.Context(), another)) // which the transaction still takes
	})
	accepted := d
	accepted.State, accepted.Due, accepted.DecidedBy, accepted.DecidedAt, accepted.Acted, accepted.Reason = dispute.Accepted, after(200*time.Hour), "a", after(time.Hour), true, "属实"
	change(t, b, func(tx Tx) error { return tx.UpdateDispute(t.Context(), accepted, dispute.Open) })
	wantStored(accepted)
	err = rerun(t.Context(), b, func(tx Tx) error { return tx.UpdateDispute(t.Context(), accepted, dispute.Open) })
	wantError(t, "accepted twice", err, licence.ErrWrongStatus)
	err = rerun(t.Context(), b, func(tx Tx) error { return tx.InsertDispute(t.Context(), same) })
	wantError(t, "while one is accepted", err, registry.ErrDisputeStands)
	closed := accepted
	closed.State, closed.ClosedBy, closed.ClosedAt, closed.Version, closed.Remedy = dispute.Closed, "c", after(2*time.Hour), identifier(9), "已更正"
	change(t, b, func(tx Tx) error { return tx.UpdateDispute(t.Context(), closed, dispute.Accepted) })
	wantStored(closed)
	change(t, b, func(tx Tx) error { return tx.InsertDispute(t.Context(), same) }) // for the first is settled
	change(t, b, func(tx Tx) error {
		unsettled, recent, err := tx.CountDisputes(t.Context(), d.Holder, after(time.Second))
		if unsettled != 2 || recent != 2 {
			t.Errorf("%d unsettled and %d recent disputes, want 2 and 2", unsettled, recent)
		}
		return err
	})
}

func testDisputeLists(t *testing.T, b Backend) {
	below, beside, use := aDispute(2), aDispute(3), aDispute(4)
	below.Authority.Code, below.Authority.Division = "114403060000000000", "440306"
	beside.Authority.Code = "another" // of the same division
	use.Kind, use.TypeCode, use.State = dispute.UnknownUse, "", dispute.Accepted
	last := aDispute(5)
	last.Holder.Code, last.State = "110105194912310011", dispute.Rejected
	change(t, b, func(tx Tx) error {
		for _, d := range []dispute.Dispute{aDispute(1), below, beside, use, last} {
			if err := tx.InsertDispute(t.Context(), d); err != nil {
				return err
			}
		}
		return nil
	})
	town := aDispute(6) // what it goes by is the code, which says the county
	town.Authority.Code, town.Authority.Division, town.Holder.Code, town.State = "11440305TOWNTOWN00", "440305", "110105194912310011", dispute.Rejected
	change(t, b, func(tx Tx) error { return tx.InsertDispute(t.Context(), town) })
	own := aDispute(1).Authority
	city := licence.IssuingAuthority{Code: "114403000000000000", Division: "440300"}
	of := func(a licence.IssuingAuthority, types ...string) registry.DisputeQuery {
		return registry.DisputeQuery{Authority: a.Code, Division: a.Division, Types: types, Limit: 10}
	}
	for _, c := range []struct {
		name string
		q    registry.DisputeQuery
		want string
	}{
		{"all, by deadline", registry.DisputeQuery{Limit: 10}, "654321"},
		{"a page", registry.DisputeQuery{Limit: 2, AfterDue: use.Due, AfterID: use.ID}, "32"},
		{"a state", registry.DisputeQuery{State: dispute.Open, Limit: 10}, "321"},
		{"a kind", registry.DisputeQuery{Kind: dispute.UnknownUse, Limit: 10}, "4"},
		{"overdue, the settled ones not", registry.DisputeQuery{OverdueAt: beside.Due, Limit: 10}, "43"},
		{"of the own department", of(own, typeCode), "541"},
		{"of the own department, elsewhere", of(licence.IssuingAuthority{Code: own.Code, Division: "440399"}, typeCode), ""},
		{"of those below", of(city, typeCode), "65421"},
		{"of the own township, by its code", of(licence.IssuingAuthority{Code: town.Authority.Code, Division: "440305001"}, typeCode), "6"},
		{"of a township's county", of(licence.IssuingAuthority{Code: "11440305OTHER00000", Division: "440305001"}, typeCode), ""},
		{"of another type, but for uses", of(own, "11100000000013338W901"), "4"},
		{"without a type", of(own), "4"},
		{"from beside, nothing", of(licence.IssuingAuthority{Code: "114403059999999999", Division: "440305"}, typeCode), ""},
		{"of the division below that of the code", of(licence.IssuingAuthority{Code: "114403060000000000", Division: "440306"}, typeCode), "2"},
		{"a holder's, newest first", registry.DisputeQuery{Holder: use.Holder, Limit: 10}, "4321"},
		{"its next page", registry.DisputeQuery{Holder: use.Holder, AfterID: beside.ID, Limit: 1}, "2"},
		{"another holder's", registry.DisputeQuery{Holder: last.Holder, Limit: 10}, "65"},
		{"nobody's", registry.DisputeQuery{Holder: licence.Holder{Code: "x", CodeType: "001"}, Limit: 10}, ""},
	} {
		found, err := b.Disputes(t.Context(), c.q)
		got := ""
		for _, d := range found {
			got += d.ID[len(d.ID)-1:]
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %s, want %s, %v", c.name, got, c.want, err)
		}
	}
	wantDisputes(t, b, beside, use)
}

// wantDisputes counts what is overdue when one was due, and finds what is accepted of the
// licence of another.
func wantDisputes(t *testing.T, b Backend, beside, use dispute.Dispute) {
	t.Helper()
	counts, err := b.OverdueDisputes(t.Context(), beside.Due)
	if diff := cmp.Diff(counts, map[dispute.Kind]int{dispute.UnknownUse: 1, dispute.WrongData: 1}); err != nil || diff != "" {
		t.Errorf("overdue (got, want): %v\n%s", err, diff)
	}
	for _, kind := range []dispute.Kind{dispute.UnknownUse, dispute.WrongData} {
		found, err := b.AcceptedDisputes(t.Context(), kind, use.Licence)
		if err != nil || (len(found) == 1) != (kind == dispute.UnknownUse) {
			t.Errorf("accepted ones of kind %s: %+v, %v", kind, found, err)
		}
	}
}

func testErasedDisputes(t *testing.T, b Backend) {
	settled, open, others := aDispute(1), aDispute(2), aDispute(3)
	settled.State, settled.ClosedAt, settled.Reason, settled.Remedy = dispute.Closed, after(time.Hour), "r", "m"
	others.Holder.Code, others.State, others.ClosedAt = "110105194912310011", dispute.Withdrawn, after(time.Hour)
	change(t, b, func(tx Tx) error {
		return errors.Join(tx.InsertDispute(t.Context(), settled), tx.InsertDispute(t.Context(), open), tx.InsertDispute(t.Context(), others))
	})
	erased := func(d dispute.Dispute) dispute.Dispute {
		d.Holder, d.Statement, d.Reason, d.Remedy = licence.Holder{}, dispute.Statement{}, "", ""
		return d
	}
	for _, c := range []struct {
		name   string
		holder licence.Holder
		before time.Time
		want   []dispute.Dispute
	}{
		{"not yet", settled.Holder, after(time.Hour), []dispute.Dispute{settled, open, others}},
		{"of one holder", settled.Holder, after(2 * time.Hour), []dispute.Dispute{erased(settled), open, others}},
		{"again", settled.Holder, after(2 * time.Hour), []dispute.Dispute{erased(settled), open, others}},
		{"of everybody", licence.Holder{}, after(2 * time.Hour), []dispute.Dispute{erased(settled), open, erased(others)}},
	} {
		change(t, b, func(tx Tx) error { return tx.EraseDisputes(t.Context(), c.holder, c.before) })
		for _, want := range c.want {
			got, err := b.Dispute(t.Context(), want.ID)
			if diff := cmp.Diff(got, want); err != nil || diff != "" {
				t.Errorf("%s (got, want): %v\n%s", c.name, err, diff)
			}
		}
	}
	if found, err := b.Disputes(t.Context(), registry.DisputeQuery{Holder: settled.Holder, Limit: 10}); err != nil || len(found) != 1 {
		t.Errorf("the holder still finds %+v, %v", found, err)
	}
}
