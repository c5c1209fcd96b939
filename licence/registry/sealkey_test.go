package registry_test

import (
	"context"
	"crypto/rand"
	"crypto/x509/pkix"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/verify"

	"github.com/google/go-cmp/cmp"
)

// lineFor revokes a certificate.
func lineFor(cert *pki.Certificate, at time.Time, reason pki.RevocationReason) pki.Revoked {
	return pki.Revoked{SerialNumber: cert.SerialNumber, At: at, Reason: reason}
}

// mustTrust has the service rely on its anchors with certificates revoked.
func mustTrust(t testing.TB, s *registrytest.Service, lines ...pki.Revoked) *pki.TrustAnchors {
	t.Helper()
	_, anchors := s.PKI.MustAnchors(t, lines...)
	s.Trust(anchors)
	return anchors
}

// judged is how a stranger with anchors judges a file now.
func judged(t testing.TB, s *registrytest.Service, anchors *pki.TrustAnchors, file []byte) (string, []string) {
	t.Helper()
	v := verify.Verifier{Anchors: anchors}
	r := v.VerifyFile(t.Context(), file, s.Now())
	var codes []string
	for _, c := range r.Checks {
		codes = append(codes, c.Code)
	}
	return string(r.Indication) + "/" + string(r.SubIndication), codes
}

// TestSignerRevoked is what a lost seal key means: nothing more is sealed, what was
// sealed before still counts where a token proves it, and what the thief seals does not.
func TestSignerRevoked(t *testing.T) {
	s := open(t)
	body, c := sample(t, "food-retail.json")
	issued := issue(t, s, "food-retail.json", "before")
	before, _, err := s.Download(t.Context(), c, issued.Identifier, registry.Use{})
	must(t, err)
	s.Move(time.Hour)
	signer := s.Config.Seals[c.Authority.Code].Certificate
	anchors := mustTrust(t, s, lineFor(signer, s.Now(), pki.KeyCompromise))

	from := size(t, s)
	_, _, err = s.Issue(t.Context(), c, registry.IssueRequest{Key: "after", Body: body})
	if registry.Code(err) != "signer_not_usable" || !strings.Contains(err.Error(), "revoked: keyCompromise") {
		t.Errorf("after the revocation: %v", err)
	}
	wantTrail(t, s, from, "issue refused signer_not_usable")

	// thief has the key: a registry that asks nobody, with a clock of its own.
	thief := func(key string, claims time.Time, tokens registry.Timestamper) []byte {
		t.Helper()
		stolen := s.Config
		stolen.Trusted, stolen.TSA, stolen.Now = nil, tokens, func() time.Time { return claims }
		stolen.Check = func(context.Context, *pdfsig.File, time.Time) error { return nil }
		r, err := registry.New(stolen)
		must(t, err)
		issued, _, err := r.Issue(t.Context(), c, registry.IssueRequest{Key: key, Body: body})
		must(t, err)
		file, _, err := s.Download(t.Context(), c, issued.Identifier, registry.Use{})
		must(t, err)
		return file
	}
	s.Move(time.Hour)
	longAgo := s.Now().AddDate(0, 0, -20)
	for _, w := range []struct {
		name string
		file []byte
		want string
		code string
	}{
		{"sealed before, with a token", before, "TotalPassed/", "revoked_later"},
		{"dated back, without a token", thief("1", longAgo, awayTSA{}), "Indeterminate/RevokedNoPOE", "signer_revoked_no_poe"},
		{"dated now, without a token", thief("2", s.Now(), awayTSA{}), "Indeterminate/RevokedNoPOE", "signer_revoked_no_poe"},
		{"dated back, with a later token", thief("3", longAgo, s.Config.TSA), "TotalFailed/Revoked", "signer_revoked"},
	} {
		got, codes := judged(t, s, anchors, w.file)
		if got != w.want || !strings.Contains(strings.Join(codes, " "), w.code) {
			t.Errorf("%s: %s %v, want %s %s", w.name, got, codes, w.want, w.code)
		}
	}
	// What was not stolen before a date, if that is known, does not count either.
	lost := lineFor(signer, s.Now(), pki.KeyCompromise)
	lost.InvalidityDate = s.PKI.Now.Add(-time.Hour)
	if got, _ := judged(t, s, mustTrust(t, s, lost), before); got != "TotalFailed/Revoked" {
		t.Errorf("key lost before the token: %s", got)
	}
	mustTrust(t, s)
	issue(t, s, "food-retail.json", "again")
}

// TestSealRefusals is a table of seals and certificates that take no new licence.
func TestSealRefusals(t *testing.T) {
	s := open(t)
	body, c := sample(t, "food-retail.json")
	own := s.Config.Seals[c.Authority.Code]
	day := func(n int) time.Time { return s.Now().AddDate(0, 0, n) }
	// with is the authority's seal for a certificate and a validity of their own.
	with := func(certFrom, certTo, sealFrom, sealTo time.Time, listed bool) *registry.SealKey {
		cert, err := s.PKI.Issuing.Issue(rand.Reader, pki.CertificateRequest{
			Subject: pkix.Name{CommonName: "signer"}, PublicKey: own.Key.Public(), Usage: pki.UsageSealSigner, USCC: c.Authority.Code, NotBefore: certFrom, NotAfter: certTo})
		must(t, err)
		signers := []*pki.Certificate{cert}
		if !listed {
			signers = []*pki.Certificate{own.Certificate}
		}
		made, err := seal.Make(rand.Reader, s.PKI.SealMaker.Certificate, s.PKI.SealMaker.Key, seal.Template{
			ID: rand.Text(), Vendor: "test", Type: seal.TypeUnit, Name: "x", Signers: signers,
			CreatedAt: sealFrom, ValidFrom: sealFrom, ValidTo: sealTo, Picture: own.Seal.Picture})
		must(t, err)
		return &registry.SealKey{Seal: made, Certificate: cert, Key: own.Key, Appearance: own.Appearance, Picture: own.Picture}
	}
	revoking := func(cert *pki.Certificate, reason pki.RevocationReason) *pki.TrustAnchors {
		_, anchors := s.PKI.MustAnchors(t, lineFor(cert, s.Now(), reason))
		return anchors
	}
	withoutCRL, err := pki.ParseTrustAnchors(pki.MarshalTrustAnchors([]*pki.Certificate{s.PKI.Root.Certificate, s.PKI.Issuing.Certificate}, nil))
	must(t, err)
	const week = 7 * 24 * time.Hour
	for _, w := range []struct {
		name    string
		key     *registry.SealKey
		anchors *pki.TrustAnchors
		margin  time.Duration
		code    string
		reason  string
		says    string
	}{
		{"good", with(day(-9), day(9), day(-9), day(9), true), nil, week, "", "", ""},
		{"near its end, no margin", with(day(-9), day(1), day(-9), day(9), true), nil, 0, "", "", ""},
		{"no seal", nil, nil, week, "no_seal", "seal_missing", "none"},
		{"signer not listed", with(day(-9), day(9), day(-9), day(9), false), nil, week, "no_seal", "signer_not_listed", "list"},
		{"seal not yet valid", with(day(-9), day(9), day(1), day(9), true), nil, week, "no_seal", "seal_not_yet_valid", day(1).Format(time.RFC3339)},
		{"seal expired", with(day(-9), day(9), day(-9), day(-1), true), nil, week, "no_seal", "seal_expired", day(-1).Format(time.RFC3339)},
		{"certificate not yet valid", with(day(1), day(20), day(-9), day(20), true), nil, week, "signer_not_usable", "signer_not_yet_valid", day(1).Format(time.RFC3339)},
		{"certificate expired", with(day(-9), day(-1), day(-9), day(9), true), nil, week, "signer_not_usable", "signer_expired", day(-1).Format(time.RFC3339)},
		{"certificate expires soon", with(day(-9), day(6), day(-9), day(9), true), nil, week, "signer_not_usable", "expires_soon", day(6).Format(time.RFC3339)},
		{"seal expires soon", with(day(-9), day(9), day(-9), day(6), true), nil, week, "signer_not_usable", "expires_soon", day(6).Format(time.RFC3339)},
		{"signer revoked", own, revoking(own.Certificate, pki.Superseded), week, "signer_not_usable", "signer_revoked", "superseded"},
		{"signer on hold", own, revoking(own.Certificate, pki.CertificateHold), week, "signer_not_usable", "signer_revoked", "certificateHold"},
		{"maker revoked", own, revoking(s.PKI.SealMaker.Certificate, pki.KeyCompromise), week, "signer_not_usable", "maker_revoked", "keyCompromise"},
		{"QR signer revoked", own, revoking(s.PKI.QR.Certificate, pki.KeyCompromise), week, "signer_not_usable", "qr_signer_revoked", "keyCompromise"},
		{"no CRL", own, withoutCRL, week, "signer_not_usable", "signer_revocation_unknown", "no CRL"},
		{"unknown CA", own, mustParse(t, nil), week, "signer_not_usable", "signer_no_path", "anchor"},
	} {
		t.Run(w.name, func(t *testing.T) {
			anchors := w.anchors
			if anchors == nil {
				anchors = s.PKI.Anchors
			}
			s.Trust(anchors)
			cfg := s.Config
			cfg.SealMargin, cfg.Seals = w.margin, maps.Clone(cfg.Seals)
			cfg.Seals[c.Authority.Code] = w.key
			if w.key == nil {
				delete(cfg.Seals, c.Authority.Code)
			}
			r, err := registry.New(cfg)
			must(t, err)
			must(t, r.RegisterSeals(t.Context(), registry.System("test")))
			from := size(t, s)
			_, _, err = r.Issue(t.Context(), c, registry.IssueRequest{Key: strings.ReplaceAll(w.name, " ", "-"), Body: body})
			if w.code == "" {
				must(t, err)
				return
			}
			var fault *registry.SealFault
			if !errors.As(err, &fault) || registry.Code(err) != w.code || fault.Reason != w.reason || !strings.Contains(err.Error(), w.says) {
				t.Fatalf("got %v, want %s %s %q", err, w.code, w.reason, w.says)
			}
			wantTrail(t, s, from, "issue refused "+w.code)
			for _, state := range r.SealStates() {
				if state.Authority == c.Authority.Code && (state.Fault == nil || state.Fault.Reason != w.reason) {
					t.Errorf("state %+v", state)
				}
			}
		})
	}
}

func mustParse(t testing.TB, pemBytes []byte) *pki.TrustAnchors {
	t.Helper()
	anchors, err := pki.ParseTrustAnchors(pemBytes)
	must(t, err)
	return anchors
}

// TestPendingWaits: what was reserved before a revocation is not sealed after it, and
// is finished once the seal can be used again.
func TestPendingWaits(t *testing.T) {
	s := open(t)
	body, c := sample(t, "food-retail.json")
	dying := s.Config
	dying.Check = func(context.Context, *pdfsig.File, time.Time) error { return errors.New("killed here") }
	dead, err := registry.New(dying)
	must(t, err)
	if _, _, err = dead.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: body}); !errors.Is(err, registry.ErrUnfinished) {
		t.Fatal(err)
	}
	mustTrust(t, s, lineFor(s.Config.Seals[c.Authority.Code].Certificate, s.Now(), pki.KeyCompromise))
	s.Move(registry.Lease + time.Second)
	from := size(t, s)
	if finished, voided, err := s.Recover(t.Context()); finished+voided != 0 || err != nil {
		t.Errorf("%d finished, %d voided, %v", finished, voided, err)
	}
	wantTrail(t, s, from, "reserved allowed taken_over")
	mustTrust(t, s)
	s.Move(registry.Lease + time.Second)
	if finished, voided, err := s.Recover(t.Context()); finished != 1 || voided != 0 || err != nil {
		t.Errorf("with the seal back: %d finished, %d voided, %v", finished, voided, err)
	}
	states := map[string]bool{}
	for _, state := range s.SealStates() {
		states[state.Authority] = state.Fault == nil
	}
	want := map[string]bool{registrytest.CoSealer.Code: true, registrytest.Platform.Code: true}
	for _, a := range registrytest.Authorities {
		want[a.Code] = true
	}
	if diff := cmp.Diff(states, want); diff != "" {
		t.Errorf("states (-got +want):\n%s", diff)
	}
}
