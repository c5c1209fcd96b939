package verify_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/testdata/hostile"
	"elicence/verify"
)

func TestVerifyQR(t *testing.T) {
	const qr, structure, reg, state = verify.CheckQR, verify.CheckStructure, verify.CheckRegister, verify.CheckState
	p := cryptotest.New(t)
	good := mustQRText(t, p, p.QR, samplePayload(t))
	known := func(b *bench) { b.v.QRSigners = []*pki.Certificate{p.QR.Certificate} }
	stranger, _ := foreign(t, p, pki.UsageQR)
	old := mustIssue(t, p, pki.UsageQR, now.AddDate(-1, 0, 0), sealedAt)
	future := samplePayload(t)
	future.EffectiveOn = date("2026-07-01")
	for _, c := range []struct {
		text string
		fileCase
	}{
		{good, fileCase{name: "known signer", set: known, want: verify.TotalPassed, check: qr, code: "qr_ok"}},
		{strings.ToLower(good), fileCase{name: "in small letters", set: known, want: verify.TotalPassed, check: qr, code: "qr_ok"}},
		{good, fileCase{name: "signer in the trust list", want: verify.TotalPassed, check: state, code: "trust_list_older",
			set: func(b *bench) { b.v.Trust = mustTrustList(t, p, sampleList(p)) }}},
		{good, fileCase{name: "licence in the trust list", want: verify.TotalPassed, check: state, code: "state_revoked", state: "revoked",
			set: func(b *bench) {
				list := sampleList(p)
				list.States[licence.StatusRevoked] = []verify.StateKey{verify.StateKeyOf(samplePayload(t).Identifier)}
				b.v.Trust = mustTrustList(t, p, list)
			}}},
		{good, fileCase{name: "trust list of another authority", want: verify.TotalPassed, check: state, code: "trust_list_other_authority",
			set: func(b *bench) {
				list := sampleList(p)
				list.Authorities = []string{otherUSCC}
				b.v.Trust = mustTrustList(t, p, list)
			}}},
		{good, fileCase{name: "trust list expired", want: verify.TotalPassed, check: state, code: "trust_list_expired",
			set: func(b *bench) {
				list := sampleList(p)
				list.ExpiresAt = now
				b.v.Trust = mustTrustList(t, p, list)
			}}},
		{good, fileCase{name: "licence in an expired list of another authority", want: verify.TotalPassed, check: state, code: "state_cancelled",
			state: "cancelled", set: func(b *bench) {
				list := sampleList(p)
				list.ExpiresAt, list.Authorities = now, []string{otherUSCC}
				list.States[licence.StatusCancelled] = []verify.StateKey{verify.StateKeyOf(samplePayload(t).Identifier)}
				b.v.Trust = mustTrustList(t, p, list)
			}}},
		{good, fileCase{name: "signer pinned", want: verify.TotalPassed, check: qr, code: "qr_ok",
			set: func(b *bench) {
				b.v.Anchors = mustParseAnchors(t, pki.MarshalTrustAnchors([]*pki.Certificate{p.QR.Certificate}, nil))
			}}},
		{good, fileCase{name: "signer unknown", want: verify.Indeterminate, sub: verify.NoSigningCertificateFound, check: qr, code: "qr_key_unknown"}},
		{good, fileCase{name: "no anchors", want: verify.Indeterminate, sub: verify.NoCertificateChainFound, check: qr, code: "qr_signer_untrusted",
			set: func(b *bench) { known(b); b.v.Anchors = nil }}},
		{mustQRText(t, p, stranger, samplePayload(t)), fileCase{name: "signer untrusted", want: verify.Indeterminate, sub: verify.NoCertificateChainFound,
			check: qr, code: "qr_signer_untrusted", set: func(b *bench) { b.v.QRSigners = []*pki.Certificate{stranger.Certificate} }}},
		{mustQRText(t, p, p.SealSigner, samplePayload(t)), fileCase{name: "signer of other usage", want: verify.TotalFailed,
			sub: verify.ChainConstraintsFailure, check: qr, code: "qr_signer_wrong_usage",
			set: func(b *bench) { b.v.QRSigners = []*pki.Certificate{p.SealSigner.Certificate} }}},
		{mustQRText(t, p, cryptotest.Leaf{Certificate: p.QR.Certificate, Key: p.TSA.Key}, samplePayload(t)), fileCase{name: "another's key id",
			set: known, want: verify.TotalFailed, sub: verify.SigCryptoFailure, check: qr, code: "qr_signature_wrong"}},
		{mustQRText(t, p, old, samplePayload(t)), fileCase{name: "signer expired", want: verify.Indeterminate, sub: verify.OutOfBoundsNoPOE,
			check: qr, code: "qr_signer_outside_validity_no_poe", set: func(b *bench) { b.v.QRSigners = []*pki.Certificate{old.Certificate} }}},
		{good, fileCase{name: "signer revoked", want: verify.Indeterminate, sub: verify.RevokedNoPOE, check: qr, code: "qr_signer_revoked_no_poe",
			set: func(b *bench) { known(b); revoke(b, revoked(p.QR, now.Add(-time.Minute), pki.Superseded)) }}},
		{good, fileCase{name: "signer revoked after the log entry", want: verify.TotalPassed, check: qr, code: "qr_ok", state: "valid",
			set: func(b *bench) {
				known(b)
				registered(b, "valid", nil)
				revoke(b, revoked(p.QR, now.Add(-time.Minute), pki.Superseded))
			}}},
		{good, fileCase{name: "registered", want: verify.TotalPassed, check: reg, code: "registered", state: "suspended",
			set: func(b *bench) { known(b); registered(b, "suspended", nil) }}},
		{good, fileCase{name: "register holds other data", want: verify.TotalFailed, sub: verify.HashFailure, check: reg, code: "register_data_differs",
			set: func(b *bench) { known(b); registered(b, "valid", func(r *register) { r.Entry.DataDigest[0] ^= 1 }) }}},
		{good, fileCase{name: "not registered", want: verify.TotalPassed, check: reg, code: "not_registered",
			set: func(b *bench) { known(b); b.v.Register = &register{} }}},
		{good, fileCase{name: "expired", want: verify.TotalPassed, check: state, code: "state_expired", state: "expired",
			set: func(b *bench) { known(b); b.at = now.AddDate(5, 0, 0); b.v.Anchors = mustAnchors(t, p, b.at) }}},
		{mustQRText(t, p, p.QR, future), fileCase{name: "not yet valid", set: known, want: verify.TotalPassed, check: state,
			code: "state_not_yet_valid", state: "not_yet_valid"}},
		{"", fileCase{name: "empty", want: verify.TotalFailed, sub: verify.FormatFailure, check: structure, code: "qr_text_malformed"}},
		{"https://example.com/", fileCase{name: "another QR code", want: verify.TotalFailed, sub: verify.FormatFailure, check: structure, code: "qr_text_malformed"}},
		{good[:len(good)-1], fileCase{name: "cut", want: verify.TotalFailed, sub: verify.FormatFailure, check: structure, code: "qr_text_malformed"}},
		{good[:len(good)-17], fileCase{name: "cut by a group", want: verify.TotalFailed, sub: verify.FormatFailure, check: structure}},
		{good + strings.Repeat("0", 2000), fileCase{name: "too long", want: verify.TotalFailed, sub: verify.FormatFailure, check: structure, code: "qr_text_malformed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, p)
			if c.set != nil {
				c.set(b)
			}
			if c.code == "" {
				c.check = ""
			}
			compare(t, b.v.VerifyQR(context.Background(), c.text, b.at), c.fileCase)
		})
	}
}

// TestEveryDigit alters each digit of a QR text: none may pass.
func TestEveryDigit(t *testing.T) {
	p := cryptotest.New(t)
	good := mustQRText(t, p, p.QR, samplePayload(t))
	v := &verify.Verifier{Anchors: p.Anchors, QRSigners: []*pki.Certificate{p.QR.Certificate}}
	for i := strings.IndexByte(good, '#') + 1; i < len(good); i++ {
		for digit := byte('0'); digit <= '9'; digit += 3 {
			if good[i] == digit {
				continue
			}
			altered := good[:i] + string(digit) + good[i+1:]
			if r := v.VerifyQR(context.Background(), altered, now); r.Indication == verify.TotalPassed {
				t.Errorf("digit %d altered to %c is TotalPassed", i, digit)
			}
		}
	}
}

// FuzzVerifyQR wants of any text a whole report and no panic.
func FuzzVerifyQR(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	good := mustQRText(f, p, p.QR, samplePayload(f))
	v := &verify.Verifier{Anchors: p.Anchors, QRSigners: []*pki.Certificate{p.QR.Certificate}}
	f.Add(good)
	f.Add("HTTPS://H/V#00000000000000000")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		var r *verify.Report
		hostile.Within(t, func() { r = v.VerifyQR(context.Background(), text, now) })
		wellFormed(t, r)
		if r.Indication == verify.TotalPassed && !strings.EqualFold(text[strings.IndexByte(text, '#'):], good[strings.IndexByte(good, '#'):]) {
			t.Error("a text that was not signed is TotalPassed")
		}
	})
}

// qrCases are texts of QR codes, judged with the QR signer pinned among the anchors.
func qrCases() []fileCase {
	const qr, structure = verify.CheckQR, verify.CheckStructure
	genuine := func(b *bench) string { return mustQRText(b.t, b.pki, b.pki.QR, samplePayload(b.t)) }
	host := func(text, host string) string { return "HTTPS://" + host + text[strings.Index(text, "/V#"):] }
	c := func(name, comment string, want verify.Indication, sub verify.SubIndication, check verify.Name, code string, text func(*bench) string) fileCase {
		return fileCase{name: name, comment: comment, want: want, sub: sub, check: check, code: code, qr: text, set: func(b *bench) {
			b.v.Anchors = mustParseAnchors(b.t, append(pki.MarshalTrustAnchors([]*pki.Certificate{b.pki.QR.Certificate}, nil), b.pki.AnchorsPEM...))
		}}
	}
	passes := func(name, comment string, text func(*bench) string) fileCase {
		return c(name, comment, verify.TotalPassed, "", qr, "qr_ok", text)
	}
	malformed := func(name, comment, code string, text func(*bench) string) fileCase {
		return c(name, comment, verify.TotalFailed, verify.FormatFailure, structure, code, text)
	}
	signedBy := func(make func(b *bench) cryptotest.Leaf) func(*bench) string {
		return func(b *bench) string { return mustQRText(b.t, b.pki, make(b), samplePayload(b.t)) }
	}
	stranger := signedBy(func(b *bench) cryptotest.Leaf { leaf, _ := foreign(b.t, b.pki, pki.UsageQR); return leaf })
	return []fileCase{
		passes("genuine", "", genuine),
		passes("small letters", "some scanners change the case", func(b *bench) string { return strings.ToLower(genuine(b)) }),
		passes("look-alike address, genuine message", "who scans it reaches another site; the message itself is right", func(b *bench) string {
			return host(genuine(b), "LICENCE.EXAMP1E.GOV.CN")
		}),
		c("look-alike address, forger's own key", "", verify.Indeterminate, verify.NoSigningCertificateFound, qr, "qr_key_unknown", func(b *bench) string {
			return host(stranger(b), "LICENCE.EXAMP1E.GOV.CN")
		}),
		c("forger's own key", "", verify.Indeterminate, verify.NoSigningCertificateFound, qr, "qr_key_unknown", stranger),
		c("our key id over a forger's signature", "", verify.TotalFailed, verify.SigCryptoFailure, qr, "qr_signature_wrong",
			signedBy(func(b *bench) cryptotest.Leaf {
				return cryptotest.Leaf{Certificate: b.pki.QR.Certificate, Key: b.pki.TSA.Key}
			})),
		c("last day altered under a genuine signature", "", verify.TotalFailed, verify.SigCryptoFailure, qr, "qr_signature_wrong", func(b *bench) string {
			return alteredQR(b, func(p *licence.QRPayload) { p.ExpiresOn = date("2041-05-19") })
		}),
		c("holder altered under a genuine signature", "", verify.TotalFailed, verify.SigCryptoFailure, qr, "qr_signature_wrong", func(b *bench) string {
			return alteredQR(b, func(p *licence.QRPayload) { p.HolderName = "别家公司" })
		}),
		malformed("another QR code", "one that leads to a payment page", "qr_text_malformed", func(*bench) string { return "https://pay.example.com/p?a=1" }),
		malformed("address in the path", "", "qr_text_malformed", func(b *bench) string { return strings.Replace(genuine(b), "/V#", "/evil/V#", 1) }),
		malformed("one digit cut", "", "qr_text_malformed", func(b *bench) string { text := genuine(b); return text[:len(text)-1] }),
		malformed("over-long", "", "qr_text_malformed", func(b *bench) string { return genuine(b) + strings.Repeat("0", 2000) }),
		malformed("digits of nothing", "", "qr_malformed", func(*bench) string { return "HTTPS://LICENCE.EXAMPLE.GOV.CN/V#" + strings.Repeat("0", 17) }),
	}
}

// alteredQR is a text whose payload was changed after it was signed.
func alteredQR(b *bench, change func(*licence.QRPayload)) string {
	p := samplePayload(b.t)
	_, message, err := licence.ParseQRText(mustQRText(b.t, b.pki, b.pki.QR, p))
	must(b.t, err)
	m, err := licence.ParseQRMessage(message)
	must(b.t, err)
	change(&p)
	message, err = p.Message(m.KeyID, m.Signature)
	must(b.t, err)
	text, err := licence.NewQRText("https://licence.example.gov.cn", message)
	must(b.t, err)
	return text.String()
}
