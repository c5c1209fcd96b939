package verify_test

import (
	"testing"
	"time"

	"elicence/crypto/pki"
	"elicence/verify"
)

// TestStatus: OCSP evidence stands in for a CRL, and says what a CRL would.
func TestStatus(t *testing.T) {
	withoutCRL := func(b *bench) {
		b.v.Anchors = mustParseAnchors(b.t, pki.MarshalTrustAnchors(
			[]*pki.Certificate{b.pki.Root.Certificate, b.pki.Issuing.Certificate}, [][]byte{b.pki.RootCRL}))
	}
	// saying is a status that revokes the signer, or nobody.
	saying := func(revoked *pki.Revoked, from, to time.Time) func(*bench) {
		return func(b *bench) {
			withoutCRL(b)
			b.v.Status = func(cert, _ *pki.Certificate) *pki.Status {
				s := &pki.Status{ThisUpdate: from, NextUpdate: to}
				if cert.Equal(b.r.signer.Certificate) {
					s.Revoked = revoked
				}
				return s
			}
		}
	}
	before, after := sealedAt.Add(-time.Minute), sealedAt.Add(time.Minute)
	line := func(at time.Time) *pki.Revoked { return &pki.Revoked{At: at, Reason: pki.KeyCompromise} }
	const revocation = verify.CheckRevocation
	run(t, []fileCase{
		{name: "nobody asked", set: withoutCRL, want: verify.Indeterminate, sub: verify.TryLater, check: revocation, code: "signer_revocation_unknown"},
		{name: "good", set: saying(nil, before, now), want: verify.TotalPassed, check: revocation, code: "not_revoked"},
		{name: "out of date", set: saying(nil, before, after), want: verify.Indeterminate, sub: verify.TryLater, check: revocation, code: "signer_revocation_unknown"},
		{name: "revoked before the token", set: saying(line(before), before, now), want: verify.TotalFailed, sub: verify.Revoked, check: revocation, code: "signer_revoked"},
		{name: "revoked after the token", set: saying(line(after), before, now), want: verify.TotalPassed, check: revocation, code: "revoked_later"},
		{name: "revoked, no token", set: func(b *bench) { saying(line(after), before, now)(b); b.r.token = nil },
			want: verify.Indeterminate, sub: verify.RevokedNoPOE, check: revocation, code: "signer_revoked_no_poe"},
	})
}
