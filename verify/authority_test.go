package verify_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/verify"
)

// signerOf is a genuine seal signer with a code, valid for two years around now.
func signerOf(b *bench, code string) cryptotest.Leaf {
	return mustIssueFor(b.t, b.pki, code, pki.UsageSealSigner, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
}

// signerStating is a seal signer whose CA writes the extension with the code its
// own way.
func signerStating(b *bench, value string) cryptotest.Leaf {
	key, err := pki.GenerateKey(b.pki.Rand)
	must(b.t, err)
	der, err := smx509.CreateCertificate(b.pki.Rand, &pki.Certificate{
		SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "测试市市场监督管理局"},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0), KeyUsage: smx509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 156, 10260, 4, 1, 4}, Value: []byte(value)}},
	}, b.pki.Issuing.Certificate, key.Public(), b.pki.Issuing.Key)
	must(b.t, err)
	cert, err := pki.ParseCertificate(der)
	must(b.t, err)
	return cryptotest.Leaf{Certificate: cert, Key: key}
}

// licenceOf has the licence name another issuing authority, in data, identifier and QR code.
func licenceOf(b *bench, code string) {
	id, err := licence.NewIdentifier(b.r.licence.TypeCode, code, "2026000001", 1)
	must(b.t, err)
	b.r.licence.Identifier, b.r.licence.Authority.Code = id, code
}

// TestSignerAuthority has every body with a genuine seal try to seal for another.
func authorityCases() []fileCase {
	const signer = verify.CheckSignerCertificate
	noToken := func(b *bench) { b.r.token = nil }
	failed := func(name, code string, sub verify.SubIndication, set func(*bench)) fileCase {
		return fileCase{name: name, set: set, want: verify.TotalFailed, sub: sub, check: signer, code: code}
	}
	other := func(name string, set func(*bench)) fileCase {
		return failed(name, "signer_other_authority", verify.SigConstraintsFailure, set)
	}
	open := func(name, code string, sub verify.SubIndication, set func(*bench)) fileCase {
		return fileCase{name: name, set: set, want: verify.Indeterminate, sub: sub, check: signer, code: code}
	}
	absent := func(name string, set func(*bench)) fileCase {
		return open(name, "signer_uscc_absent", verify.SigConstraintsFailure, set)
	}
	malformed := func(name, value string) fileCase {
		return open("code "+name, "signer_uscc_malformed", verify.SigConstraintsFailure, func(b *bench) { sealedBy(b, signerStating(b, value)) })
	}
	passes := func(name string, set func(*bench)) fileCase {
		return fileCase{name: name, set: set, want: verify.TotalPassed, check: signer, code: "signer_trusted"}
	}
	return []fileCase{
		passes("its own", func(b *bench) { sealedBy(b, signerOf(b, uscc)) }),
		passes("another authority's, of its own licence", func(b *bench) { sealedBy(b, signerOf(b, otherUSCC)); licenceOf(b, otherUSCC) }),
		passes("code as UTF8String", func(b *bench) { sealedBy(b, signerStating(b, "\x0c\x12"+uscc)) }),
		passes("code as IA5String", func(b *bench) { sealedBy(b, signerStating(b, "\x16\x12"+uscc)) }),
		other("another authority's seal", func(b *bench) { sealedBy(b, signerOf(b, otherUSCC)) }),
		other("another authority's licence", func(b *bench) { licenceOf(b, otherUSCC) }),
		other("another authority, as UTF8String", func(b *bench) { sealedBy(b, signerStating(b, "\x0c\x12"+otherUSCC)) }),
		other("another body on the list of the seal", func(b *bench) {
			b.r.signer = signerOf(b, otherUSCC)
			b.r.seal = mustSeal(b.t, b.pki, b.pki.SealMaker, func(t *seal.Template) { t.Signers = append(t.Signers, b.r.signer.Certificate) })
		}),
		other("one character different", func(b *bench) { sealedBy(b, signerOf(b, "11330105002500287D")) }),
		other("another authority, no token", func(b *bench) { noToken(b); sealedBy(b, signerOf(b, otherUSCC)) }),
		other("another authority, registered", func(b *bench) { sealedBy(b, signerOf(b, otherUSCC)); registered(b, "valid", nil) }),
		other("another authority, no anchors", func(b *bench) { sealedBy(b, signerOf(b, otherUSCC)); b.v.Anchors = nil }),
		other("another authority, seal expired now", func(b *bench) {
			noToken(b)
			sealedBy(b, mustIssueFor(b.t, b.pki, otherUSCC, pki.UsageSealSigner, now.AddDate(-1, 0, 0), now.Add(-30*time.Minute)))
		}),
		other("another authority, revoked", func(b *bench) {
			leaf := signerOf(b, otherUSCC)
			sealedBy(b, leaf)
			revoke(b, revoked(leaf, sealedAt.Add(-time.Hour), pki.Superseded))
		}),
		failed("another authority, expired when used", "signer_expired", verify.Expired, func(b *bench) {
			sealedBy(b, mustIssueFor(b.t, b.pki, otherUSCC, pki.UsageSealSigner, now.AddDate(-1, 0, 0), now.Add(-2*time.Hour)))
			b.r.claimed = now.Add(-3 * time.Hour)
		}),
		failed("another authority's QR signer", "signer_wrong_usage", verify.ChainConstraintsFailure, func(b *bench) {
			sealedBy(b, mustIssueFor(b.t, b.pki, otherUSCC, pki.UsageQR, now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0)))
		}),
		{name: "data malformed", comment: "which leaves nothing to compare another authority's seal with", want: verify.TotalFailed, sub: verify.FormatFailure,
			check: verify.CheckAttachedData, code: "licence_malformed", set: func(b *bench) {
				sealedBy(b, signerOf(b, otherUSCC))
				b.r.attach = func(f map[string][]byte) { f["licence.json"] = []byte("{}") }
			}},
		absent("no code", func(b *bench) { sealedBy(b, signerOf(b, "")) }),
		absent("no code, no token", func(b *bench) { noToken(b); sealedBy(b, signerOf(b, "")) }),
		absent("no code, signer pinned", func(b *bench) {
			leaf := signerOf(b, "")
			sealedBy(b, leaf)
			b.v.Anchors = mustParseAnchors(b.t, append(mustAnchorsPEM(b.t, b.pki, now), pki.MarshalTrustAnchors([]*pki.Certificate{leaf.Certificate}, nil)...))
		}),
		open("no code, untrusted", "signer_untrusted", verify.NoCertificateChainFound, func(b *bench) {
			sealedBy(b, signerOf(b, ""))
			b.v.Anchors = mustParseAnchors(b.t, pki.MarshalTrustAnchors([]*pki.Certificate{b.pki.SealMaker.Certificate}, nil))
		}),
		open("no code, revoked now", "signer_uscc_absent", verify.SigConstraintsFailure, func(b *bench) {
			leaf := signerOf(b, "")
			noToken(b)
			sealedBy(b, leaf)
			revoke(b, revoked(leaf, now.Add(-30*time.Minute), pki.Superseded))
		}),
		malformed("empty", ""),
		malformed("without a type", uscc),
		malformed("as OCTET STRING", "\x04\x12"+uscc),
		malformed("in small letters", "\x13\x1211330105002500287c"),
		malformed("too short", "\x13\x09002500287"),
		malformed("with something after it", "\x13\x12"+uscc+"\x00"),
		malformed("of another, malformed", "\x13\x13"+otherUSCC+" "),
	}
}
