package verify_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/verify"
)

// replaceOnce replaces a text that must be there.
func replaceOnce(b []byte, old, new string) []byte {
	if !bytes.Contains(b, []byte(old)) {
		panic(old + " is not there")
	}
	return bytes.Replace(b, []byte(old), []byte(new), 1)
}

// payload changes the payload of the QR code.
func payload(change func(*licence.QRPayload)) func(*bench) {
	return func(b *bench) {
		p := samplePayload(b.t)
		change(&p)
		b.r.payload = &p
	}
}

// attach changes the attached files.
func attach(change func(files map[string][]byte)) func(*bench) {
	return func(b *bench) { b.r.attach = change }
}

func dataCases() []fileCase {
	const attached, qr = verify.CheckAttachedData, verify.CheckQR
	failed := func(name string, sub verify.SubIndication, check verify.Name, code string, set func(*bench)) fileCase {
		return fileCase{name: name, set: set, want: verify.TotalFailed, sub: sub, check: check, code: code}
	}
	half := now.Add(-30 * time.Minute)
	return []fileCase{
		failed("no licence data", verify.FormatFailure, attached, "attachments_wrong", attach(func(f map[string][]byte) { delete(f, "licence.json") })),
		failed("no pinyin form", verify.FormatFailure, attached, "attachments_wrong", attach(func(f map[string][]byte) { delete(f, "metadata-pinyin.json") })),
		failed("another file for the pinyin form", verify.FormatFailure, attached, "attachments_wrong", attach(func(f map[string][]byte) {
			f["extra.txt"] = f["metadata-pinyin.json"]
			delete(f, "metadata-pinyin.json")
		})),
		failed("name in the pinyin form altered", verify.SigConstraintsFailure, attached, "pinyin_differs", attach(func(f map[string][]byte) {
			f["metadata-pinyin.json"] = replaceOnce(f["metadata-pinyin.json"], "䶮记", "龙记")
		})),
		failed("pinyin form with an element more", verify.SigConstraintsFailure, attached, "pinyin_differs", attach(func(f map[string][]byte) {
			f["metadata-pinyin.json"] = replaceOnce(f["metadata-pinyin.json"], `{"CZZT"`, `{"AAA":"","CZZT"`)
		})),
		failed("pinyin form without a field", verify.SigConstraintsFailure, attached, "pinyin_differs", attach(func(f map[string][]byte) {
			f["metadata-pinyin.json"] = replaceOnce(f["metadata-pinyin.json"], `"KZ_address":"测试市测试路1号",`, "")
		})),
		failed("pinyin form not canonical", verify.SigConstraintsFailure, attached, "pinyin_differs",
			attach(func(f map[string][]byte) { f["metadata-pinyin.json"] = append(f["metadata-pinyin.json"], '\n') })),
		failed("no QR message", verify.FormatFailure, attached, "attachments_wrong", attach(func(f map[string][]byte) { delete(f, "qr.cbor") })),
		failed("no certificate", verify.FormatFailure, attached, "attachments_wrong", attach(func(f map[string][]byte) { delete(f, "qr-signer.cer") })),
		failed("one file more", verify.FormatFailure, attached, "attachments_wrong", attach(func(f map[string][]byte) { f["extra.txt"] = []byte("x") })),
		failed("data not canonical", verify.FormatFailure, attached, "licence_malformed",
			attach(func(f map[string][]byte) { f["licence.json"] = append([]byte(" "), f["licence.json"]...) })),
		failed("data not JSON", verify.FormatFailure, attached, "licence_malformed",
			attach(func(f map[string][]byte) { f["licence.json"] = []byte("licence") })),
		failed("data altered", verify.HashFailure, attached, "data_digest_differs", attach(func(f map[string][]byte) {
			f["licence.json"] = replaceOnce(f["licence.json"], "2031-05-19", "2032-05-19")
		})),
		failed("QR code of another licence", verify.HashFailure, attached, "data_digest_differs", func(b *bench) {
			other := sampleLicence(b.t)
			other.Holder.Name = "另一家公司"
			data, err := other.Data()
			if err != nil {
				b.t.Fatal(err)
			}
			p := licence.NewQRPayload(other, data)
			b.r.payload = &p
		}),
		failed("number in the QR code altered", verify.SigConstraintsFailure, attached, "qr_data_differ",
			payload(func(p *licence.QRPayload) { p.Number = "JY0" })),
		failed("name in the QR code altered", verify.SigConstraintsFailure, attached, "qr_data_differ",
			payload(func(p *licence.QRPayload) { p.HolderName = "别家公司" })),
		failed("last day in the QR code altered", verify.SigConstraintsFailure, attached, "qr_data_differ",
			payload(func(p *licence.QRPayload) { p.ExpiresOn = date("2041-05-19") })),
		{name: "name left out of the QR code", want: verify.TotalPassed, check: attached, code: "attached_data_ok",
			set: payload(func(p *licence.QRPayload) { p.HolderName = "" })},
		{name: "type name left out of the QR code", want: verify.TotalPassed, check: attached, code: "attached_data_ok",
			set: payload(func(p *licence.QRPayload) { p.TypeName = "" })},
		failed("QR message malformed", verify.FormatFailure, qr, "qr_malformed",
			attach(func(f map[string][]byte) { f["qr.cbor"] = append(f["qr.cbor"], 0) })),
		failed("QR message too long", verify.FormatFailure, qr, "qr_malformed",
			attach(func(f map[string][]byte) { f["qr.cbor"] = []byte(strings.Repeat("x", 10_000)) })),
		failed("QR signer's certificate malformed", verify.FormatFailure, qr, "qr_certificate_malformed",
			attach(func(f map[string][]byte) { f["qr-signer.cer"] = f["qr-signer.cer"][1:] })),
		failed("QR signature wrong", verify.SigCryptoFailure, qr, "qr_signature_wrong", func(b *bench) {
			b.r.qr = cryptotest.Leaf{Certificate: b.pki.QR.Certificate, Key: b.pki.TSA.Key}
		}),
		failed("certificate of another QR signer", verify.SigConstraintsFailure, qr, "qr_other_key", func(b *bench) {
			other := b.pki.MustIssue(b.t, b.pki.Issuing, "另一个", pki.UsageQR)
			b.r.attach = func(f map[string][]byte) { f["qr-signer.cer"] = other.Certificate.Raw }
		}),
		failed("QR signer is a seal signer", verify.ChainConstraintsFailure, qr, "qr_signer_wrong_usage",
			func(b *bench) { b.r.qr = b.pki.SealSigner }),
		{name: "QR signer untrusted", want: verify.Indeterminate, sub: verify.NoCertificateChainFound, check: qr, code: "qr_signer_untrusted",
			set: func(b *bench) { b.r.qr, _ = foreign(b.t, b.pki, pki.UsageQR) }},
		failed("QR signer revoked before", verify.Revoked, qr, "qr_signer_revoked",
			func(b *bench) { revoke(b, revoked(b.pki.QR, sealedAt.Add(-time.Hour), pki.Superseded)) }),
		{name: "QR signer revoked after", want: verify.TotalPassed, check: qr, code: "qr_ok",
			set: func(b *bench) { revoke(b, revoked(b.pki.QR, half, pki.Superseded)) }},
		{name: "QR signer revoked, no token", want: verify.Indeterminate, sub: verify.RevokedNoPOE, check: qr, code: "qr_signer_revoked_no_poe",
			set: func(b *bench) { b.r.token = nil; revoke(b, revoked(b.pki.QR, half, pki.Superseded)) }},
		failed("QR signer expired before", verify.Expired, qr, "qr_signer_expired", func(b *bench) {
			b.r.qr = mustIssue(b.t, b.pki, pki.UsageQR, now.AddDate(-1, 0, 0), sealedAt.Add(-time.Hour))
		}),
	}
}

func registerCases() []fileCase {
	const reg, state, timestamp = verify.CheckRegister, verify.CheckState, verify.CheckTimestamp
	half := now.Add(-30 * time.Minute)
	noToken := func(b *bench) { b.r.token = nil }
	return []fileCase{
		{name: "registered", want: verify.TotalPassed, check: reg, code: "registered", state: "valid",
			set: func(b *bench) { registered(b, "valid", nil) }},
		{name: "empty register", want: verify.TotalPassed, check: reg, code: "not_registered", set: func(b *bench) { b.v.Register = &register{} }},
		{name: "register down", want: verify.TotalPassed, check: reg, code: "register_unavailable",
			set: func(b *bench) { away(b) }},
		{name: "revoked", want: verify.TotalPassed, check: state, code: "state_revoked", state: "revoked",
			set: func(b *bench) { registered(b, "revoked", nil) }},
		{name: "suspended", want: verify.TotalPassed, check: state, code: "state_suspended", state: "suspended",
			set: func(b *bench) { registered(b, "suspended", nil) }},
		{name: "superseded", want: verify.TotalPassed, check: state, code: "state_superseded", state: "superseded",
			set: func(b *bench) { registered(b, "superseded", nil) }},
		{name: "sealed but not issued", want: verify.TotalPassed, check: state, code: "state_pending", state: "pending",
			set: func(b *bench) { registered(b, "pending", nil) }},
		{name: "other data", want: verify.TotalFailed, sub: verify.HashFailure, check: reg, code: "register_data_differs",
			set: func(b *bench) {
				registered(b, "valid", func(r *register) { r.whole = false; r.Entry.DataDigest = [32]byte{1} })
			}},
		{name: "another file of the same data", want: verify.Indeterminate, sub: verify.NoPOE, check: reg, code: "register_file_differs",
			state: "valid", set: func(b *bench) {
				registered(b, "valid", func(r *register) { r.whole, r.ranged = false, false })
			}},
		{name: "another token", want: verify.Indeterminate, sub: verify.NoPOE, check: reg, code: "register_file_differs", state: "valid",
			comment: "a later one in the place of the registered file's", tamper: laterToken, set: func(b *bench) { registered(b, "valid", nil) }},
		{name: "token stripped", want: verify.Indeterminate, sub: verify.NoPOE, check: timestamp, code: "timestamp_stripped", state: "valid",
			comment: "the token of the registered file is cut out", tamper: stripToken,
			set: func(b *bench) { registered(b, "valid", nil) }},
		{name: "token pending", want: verify.TotalPassed, check: timestamp, code: "timestamp_pending", state: "valid",
			set: func(b *bench) { noToken(b); registered(b, "valid", func(r *register) { r.Entry.Timestamped = false }) }},
		{name: "token available", want: verify.TotalPassed, check: timestamp, code: "timestamp_available", state: "valid",
			set: func(b *bench) { noToken(b); registered(b, "valid", nil) }},
		{name: "signer revoked after the log entry", want: verify.TotalPassed, check: verify.CheckRevocation, code: "revoked_later", state: "valid",
			set: func(b *bench) {
				noToken(b)
				registered(b, "valid", nil)
				revoke(b, revoked(b.pki.SealSigner, half, pki.Superseded))
			}},
		{name: "signer revoked before the log entry", want: verify.TotalFailed, sub: verify.Revoked, check: verify.CheckRevocation,
			code: "signer_revoked", set: func(b *bench) {
				noToken(b)
				registered(b, "valid", nil)
				revoke(b, revoked(b.pki.SealSigner, sealedAt.Add(-time.Hour), pki.Superseded))
			}},
		{name: "log entry is not for this file", want: verify.Indeterminate, sub: verify.RevokedNoPOE, check: verify.CheckRevocation, code: "signer_revoked_no_poe",
			state: "valid", set: func(b *bench) {
				noToken(b)
				registered(b, "valid", func(r *register) { r.whole = false })
				revoke(b, revoked(b.pki.SealSigner, half, pki.Superseded))
			}},
		{name: "byte after a registered file", want: verify.TotalFailed, sub: verify.FormatFailure, check: verify.CheckCoverage, code: "pdf_revisions",
			tamper: add("\n"), set: func(b *bench) { registered(b, "valid", nil) }},
		{name: "expired though registered as valid", want: verify.TotalPassed, check: state, code: "state_expired", state: "expired",
			set: func(b *bench) {
				b.at = time.Date(2031, 5, 20, 0, 0, 0, 0, time.FixedZone("", 8*60*60))
				b.v.Anchors = mustAnchors(b.t, b.pki, b.at)
				registered(b, "valid", nil)
			}},
		{name: "last moment of the last day", want: verify.TotalPassed, check: state, code: "state_valid", state: "valid",
			set: func(b *bench) {
				b.at = time.Date(2031, 5, 19, 23, 59, 59, 0, time.FixedZone("", 8*60*60))
				b.v.Anchors = mustAnchors(b.t, b.pki, b.at)
				registered(b, "valid", nil)
			}},
		{name: "expired, offline", want: verify.TotalPassed, check: state, code: "state_expired", state: "expired",
			set: func(b *bench) {
				b.at = now.AddDate(5, 0, 0)
				b.v.Anchors = mustAnchors(b.t, b.pki, b.at)
			}},
		{name: "not yet valid, offline", want: verify.TotalPassed, check: state, code: "state_not_yet_valid", state: "not_yet_valid",
			set: func(b *bench) { b.r.licence.EffectiveOn = date("2026-07-01") }},
	}
}

func TestTrustListStates(t *testing.T) {
	const state = verify.CheckState
	half := now.Add(-30 * time.Minute)
	list := func(b *bench, issued, expires time.Time, status licence.Status, authorities ...string) {
		l := &verify.TrustList{Counter: 1, IssuedAt: issued, ExpiresAt: expires, Authorities: authorities}
		if authorities == nil {
			l.Authorities = []string{uscc}
		}
		if status != "" {
			l.States = verify.States{status: {verify.StateKeyOf(sampleLicence(t).Identifier)}}
		}
		b.v.Trust = mustTrustList(b.t, b.pki, l)
	}
	cases := []fileCase{
		{name: "listed", want: verify.TotalPassed, check: state, code: "state_revoked", state: "revoked",
			set: func(b *bench) { list(b, half, now.Add(time.Hour), "revoked") }},
		{name: "listed, sealed after the list", want: verify.TotalPassed, check: state, code: "state_revoked", state: "revoked",
			set: func(b *bench) { list(b, sealedAt.Add(-time.Hour), now.Add(time.Hour), "revoked") }},
		{name: "not listed, sealed before the list", want: verify.TotalPassed, check: state, code: "state_valid", state: "valid",
			set: func(b *bench) { list(b, half, now.Add(time.Hour), "") }},
		{name: "not listed, sealed in the second of the list", want: verify.TotalPassed, check: state, code: "state_valid", state: "valid",
			set: func(b *bench) { list(b, sealedAt, now.Add(time.Hour), "") }},
		{name: "not listed, sealed a second after the list", want: verify.TotalPassed, check: state, code: "trust_list_older",
			set: func(b *bench) { list(b, sealedAt.Add(-time.Second), now.Add(time.Hour), "") }},
		{name: "not listed, sealed after the list", want: verify.TotalPassed, check: state, code: "trust_list_older",
			set: func(b *bench) { list(b, sealedAt.Add(-time.Hour), now.Add(time.Hour), "") }},
		{name: "not listed, no token", want: verify.TotalPassed, check: state, code: "trust_list_older",
			set: func(b *bench) { b.r.token = nil; list(b, half, now.Add(time.Hour), "") }},
		{name: "register before list", want: verify.TotalPassed, check: state, code: "state_valid", state: "valid",
			set: func(b *bench) { list(b, half, now.Add(time.Hour), "revoked"); registered(b, "valid", nil) }},
		{name: "list when the register is down", want: verify.TotalPassed, check: state, code: "state_revoked", state: "revoked",
			set: func(b *bench) { list(b, half, now.Add(time.Hour), "revoked"); away(b) }},
		{name: "one of two authorities", want: verify.TotalPassed, check: state, code: "state_valid", state: "valid",
			set: func(b *bench) { list(b, half, now.Add(time.Hour), "", otherUSCC, uscc) }},
		{name: "list of another authority", want: verify.TotalPassed, check: state, code: "trust_list_other_authority",
			set: func(b *bench) { list(b, half, now.Add(time.Hour), "", otherUSCC) }},
		{name: "list of other authorities", want: verify.TotalPassed, check: state, code: "trust_list_other_authority",
			set: func(b *bench) { list(b, half, now.Add(time.Hour), "", otherUSCC, "113301000024903302") }},
		{name: "list of another authority, no token", want: verify.TotalPassed, check: state, code: "trust_list_other_authority",
			set: func(b *bench) { b.r.token = nil; list(b, half, now.Add(time.Hour), "", otherUSCC) }},
		{name: "list of another authority when the register is down", want: verify.TotalPassed, check: state, code: "trust_list_other_authority",
			set: func(b *bench) { list(b, half, now.Add(time.Hour), "", otherUSCC); away(b) }},
		{name: "list of another authority, last day over", want: verify.TotalPassed, check: state, code: "state_expired", state: "expired",
			set: func(b *bench) {
				list(b, half, now.AddDate(9, 0, 0), "", otherUSCC)
				b.at = now.AddDate(5, 0, 0)
				b.v.Anchors = mustAnchors(b.t, b.pki, b.at)
			}},
		{name: "listed by another authority", want: verify.TotalPassed, check: state, code: "state_revoked", state: "revoked",
			set: func(b *bench) { list(b, half, now.Add(time.Hour), "revoked", otherUSCC) }},
		{name: "suspended by another authority's list", want: verify.TotalPassed, check: state, code: "state_suspended", state: "suspended",
			set: func(b *bench) { list(b, half, now.Add(time.Hour), "suspended", otherUSCC) }},
		{name: "list expired, not listed", want: verify.TotalPassed, check: state, code: "trust_list_expired",
			set: func(b *bench) { list(b, half, now, "") }},
		{name: "list of another authority expired, not listed", want: verify.TotalPassed, check: state, code: "trust_list_expired",
			set: func(b *bench) { list(b, half, now, "", otherUSCC) }},
		{name: "list of another authority expired, listed", want: verify.TotalPassed, check: state, code: "state_revoked", state: "revoked",
			set: func(b *bench) { list(b, half, now, "revoked", otherUSCC) }},
		{name: "list long expired", want: verify.TotalPassed, check: state, code: "state_revoked", state: "revoked",
			set: func(b *bench) { list(b, now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0), "revoked") }},
		{name: "list not yet expired", want: verify.TotalPassed, check: state, code: "state_suspended", state: "suspended",
			set: func(b *bench) { list(b, half, now.Add(time.Second), "suspended") }},
		{name: "list expired and file failed", want: verify.TotalFailed, sub: verify.FormatFailure, check: state, code: "state_not_judged",
			set: func(b *bench) { list(b, half, now, "revoked") }, tamper: add("\n")},
		{name: "list expired, register knows better", want: verify.TotalPassed, check: state, code: "state_valid", state: "valid",
			set: func(b *bench) { list(b, half, now, "revoked"); registered(b, "valid", nil) }},
	}
	for status, final := range map[licence.Status]bool{"revoked": true, "withdrawn": true, "cancelled": true, "voided": true, "superseded": true,
		"pending": false, "suspended": false} {
		c := fileCase{name: "list expired, " + string(status), want: verify.TotalPassed, check: state, code: "trust_list_expired",
			set: func(b *bench) { list(b, half, now, status) }}
		if final {
			c.code, c.state = "state_"+string(status), status
		}
		cases = append(cases, c)
	}
	run(t, cases)
}
