package storetest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/registry"
)

// agreed is a holder's consent, with every field set.
func agreed(id string) consent.Consent {
	return consent.Consent{
		ID: id, Holder: licence.Holder{Code: "11010519491231002X", CodeType: licence.CodeTypeCitizenNumber}, Kind: consent.Reuse,
		Licences: []licence.Identifier{identifier(1), identifier(2)}, Fields: []string{"number", "fields.业务"}, Purpose: "办理租房补贴", Receiver: authority, ReceiverName: "市人力资源和社会保障局",
		Uses: 2, MadeAt: base, EndsAt: after(time.Hour),
	}
}

func testConsents(t *testing.T, b Backend) {
	first, second, other := agreed("c1"), agreed("c2"), agreed("c3")
	second.Kind, second.Receiver, second.ReceiverName, second.Uses, second.EndsAt = consent.Presentation, "", "", 1, after(time.Minute)
	other.Holder = licence.Holder{Code: "91440300MA5DA1234X", CodeType: licence.CodeTypeUSCC}
	_, err := b.Consent(t.Context(), first.ID)
	wantError(t, "unknown consent", err, licence.ErrNotFound)
	for _, want := range []consent.Consent{first, second, other} {
		change(t, b, func(tx Tx) error { return tx.InsertConsent(t.Context(), want) })
		got, err := b.Consent(t.Context(), want.ID)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("consent differs (got, want): %v\n%s", err, diff)
		}
		found, err := b.ForReuse(t.Context(), registry.ReuseQuery{Consent: want.ID})
		if diff := cmp.Diff(found, registry.ReuseRecords{Consent: want}); err != nil || diff != "" {
			t.Errorf("what a reuse rests on differs (got, want): %v\n%s", err, diff)
		}
	}
	use := func(id string, at time.Time) error {
		return rerun(t.Context(), b, func(tx Tx) error { return useConsent(t, tx, id, at) })
	}
	revoke := func(id string, at time.Time) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.RevokeConsent(t.Context(), id, at) })
	}
	list := func(what string, q registry.ConsentQuery, want ...consent.Consent) {
		t.Helper()
		got, err := b.Consents(t.Context(), q)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("%s (got, want): %v\n%s", what, err, diff)
		}
	}
	own := registry.ConsentQuery{Holder: first.Holder, Limit: 10}
	standing := func(at time.Time) registry.ConsentQuery {
		q := own
		q.StandingAt = at
		return q
	}
	list("a holder's", own, second, first)
	list("its next page", registry.ConsentQuery{Holder: first.Holder, After: "c2", Limit: 1}, first)
	list("those that stand", standing(base), second, first)
	list("those that stand later", standing(after(time.Minute)), first)
	wantError(t, "use when it is over", use("c2", after(time.Minute)), licence.ErrWrongStatus)
	wantError(t, "revoked when it is over", revoke("c2", after(time.Minute)), licence.ErrWrongStatus)
	wantError(t, "one of one", use("c2", base), nil)
	wantError(t, "two of one", use("c2", base), licence.ErrWrongStatus)
	wantError(t, "revoked when it is spent", revoke("c2", base), licence.ErrWrongStatus)
	wantError(t, "one of two", use("c1", base), nil)
	wantError(t, "revoked", revoke("c1", after(time.Second)), nil)
	wantError(t, "revoked twice", revoke("c1", after(time.Second)), licence.ErrWrongStatus)
	wantError(t, "use when it is revoked", use("c1", base), licence.ErrWrongStatus)
	wantError(t, "use of none", use("c9", base), licence.ErrWrongStatus)
	second.Used, first.Used, first.RevokedAt = 1, 1, after(time.Second)
	list("all after that", own, second, first)
	list("none stands", standing(base))
}

// useConsent counts a use; licence.ErrWrongStatus when none was counted.
func useConsent(t *testing.T, tx Tx, id string, at time.Time) error {
	s, err := tx.Basis(t.Context(), registry.Basis{Consent: id}, at)
	if err == nil && !s.Used {
		return licence.ErrWrongStatus
	}
	return err
}

// testUsesInParallel uses a consent from several sides at once: as often as it says.
func testUsesInParallel(t *testing.T, b Backend) {
	c := agreed("c1")
	change(t, b, func(tx Tx) error { return tx.InsertConsent(t.Context(), c) })
	var used atomic.Int32
	parallel(t, 6, func(int) error {
		err := rerun(t.Context(), b, func(tx Tx) error { return useConsent(t, tx, c.ID, base) })
		if errors.Is(err, licence.ErrWrongStatus) {
			return nil
		}
		used.Add(1)
		return err
	})
	got, err := b.Consent(t.Context(), c.ID)
	if err != nil || used.Load() != 2 || got.Used != 2 {
		t.Errorf("used %d times, and %d stand in it: %v", used.Load(), got.Used, err)
	}
}
