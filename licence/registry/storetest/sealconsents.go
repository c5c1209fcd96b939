package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/registry"
)

func testSealConsents(t *testing.T, b Backend) {
	day := func(s string) licence.Date {
		d, err := licence.ParseDate(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := registry.SealConsent{TypeCode: typeCode, Issuing: authority, Kind: "规划和自然资源主管部门", Basis: "函〔2026〕1号",
		CoSealer: licence.CoSealer{Name: "市规划和自然资源局", Code: "11440300MB2C92091A"}, ValidFrom: day("2026-01-01"), ValidTo: day("2026-12-31")}
	second, elsewhere := first, first
	second.Kind, second.ValidTo = "财政部门", licence.Date{}
	elsewhere.Issuing = "11440300MB2C92008M"
	put := func(c registry.SealConsent) {
		t.Helper()
		change(t, b, func(tx Tx) error { return tx.PutSealConsent(t.Context(), c) })
	}
	for _, c := range []registry.SealConsent{first, second, elsewhere} {
		put(c)
	}
	want := func(want ...registry.SealConsent) {
		t.Helper()
		all, err := b.SealConsents(t.Context())
		if diff := cmp.Diff(all, want); err != nil || diff != "" {
			t.Errorf("consents (got, want): %v\n%s", err, diff)
		}
		for _, c := range want {
			got, err := b.SealConsent(t.Context(), c.TypeCode, c.Issuing, c.Kind)
			if diff := cmp.Diff(got, c); err != nil || diff != "" {
				t.Errorf("consent (got, want): %v\n%s", err, diff)
			}
		}
	}
	want(elsewhere, first, second)
	first.CoSealer, first.Basis, first.ValidFrom, first.ValidTo = licence.CoSealer{Name: "另一局", Code: "another"}, "另一函", day("2027-01-01"), licence.Date{}
	put(first)
	want(elsewhere, first, second)

	drop := func(c registry.SealConsent) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.DropSealConsent(t.Context(), c.TypeCode, c.Issuing, c.Kind) })
	}
	wantError(t, "ending one", drop(first), nil)
	wantError(t, "ending it again", drop(first), licence.ErrNotFound)
	_, err := b.SealConsent(t.Context(), first.TypeCode, first.Issuing, first.Kind)
	wantError(t, "one that ended", err, licence.ErrNotFound)
	want(elsewhere, second)
}
