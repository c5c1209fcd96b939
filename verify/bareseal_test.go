package verify_test

import (
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
)

// TestJudgeSeal judges seals that nothing was sealed with, at now.
func TestJudgeSeal(t *testing.T) {
	const untouched = "revocation_not_reached"
	year := now.AddDate(-1, 0, 0)
	for _, c := range []struct {
		name                    string
		set                     func(*bench)
		seal, maker, revocation string
	}{
		{"ours", nil, "bare_seal_ok", "maker_trusted", "not_revoked"},
		{"no anchors", func(b *bench) { b.v.Anchors = nil }, "bare_seal_ok", "maker_untrusted", untouched},
		{"maker's certificate not given", func(b *bench) { makerIs(b, foreignMaker(b, year)) }, "bare_seal_ok", "maker_wrong_usage", untouched},
		{"maker's certificate given", func(b *bench) { pinned(b, foreignMaker(b, year)) }, "bare_seal_ok", "maker_trusted_other_usage", "not_revoked"},
		{"maker's certificate given, in its last second", func(b *bench) { pinned(b, foreignMaker(b, now.AddDate(-2, 0, 0))) }, "bare_seal_ok", "maker_trusted_other_usage", "not_revoked"},
		{"maker's certificate given, expired", func(b *bench) { pinned(b, foreignMaker(b, now.AddDate(-2, 0, 0).Add(-time.Second))) },
			"bare_seal_ok", "maker_outside_validity_no_poe", untouched},
		{"seal expired", func(b *bench) { validity(b, year, now.Add(-time.Second)) }, "bare_seal_outside_validity", "maker_trusted", "not_revoked"},
		{"seal not yet valid", func(b *bench) { validity(b, now.Add(time.Second), now.AddDate(1, 0, 0)) }, "bare_seal_outside_validity", "maker_trusted", "not_revoked"},
		{"version 5", func(b *bench) {
			b.r.seal = mustSeal(b.t, b.pki, b.pki.SealMaker, func(t *seal.Template) { t.Version = 5 })
		}, "bare_seal_ok", "maker_trusted", "not_revoked"},
		{"signature value of another seal", func(b *bench) { b.r.seal.SignatureValue = b.pki.Seal.SignatureValue }, "seal_maker_signature_wrong", "maker_trusted", "not_revoked"},
		{"maker revoked", func(b *bench) { revoke(b, revoked(b.pki.SealMaker, now.Add(-time.Hour), pki.Superseded)) }, "bare_seal_ok", "maker_trusted", "maker_revoked_no_poe"},
		{"CRL out of date", func(b *bench) { b.at = now.AddDate(0, 2, 0) }, "bare_seal_ok", "maker_trusted", "maker_revocation_unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, cryptotest.New(t))
			validity(b, year, now.AddDate(1, 0, 0))
			if c.set != nil {
				c.set(b)
			}
			checks := b.v.JudgeSeal(b.r.seal, b.at)
			for i, want := range []string{c.seal, c.maker, c.revocation} {
				if got := checks[i]; got.Code != want || got.Result == "" || got.ZH == "" || !documented(want) {
					t.Errorf("check %s: %+v, want %s, documented", got.Name, got, want)
				}
			}
		})
	}
}
