package verify_test

import (
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/verify"
)

// makerIs has another maker make the seal.
func makerIs(b *bench, maker cryptotest.Leaf) {
	b.r.seal = mustSeal(b.t, b.pki, maker, func(*seal.Template) {})
}

// foreignMaker is one of a CA that nobody here knows, for TLS clients, valid for two
// years.
func foreignMaker(b *bench, from time.Time) cryptotest.Leaf {
	return b.pki.MustForeignMaker(b.t, cryptotest.NewFrom(b.t, b.pki.Rand).Issuing, from, cryptotest.TLSClient)
}

// pinned has a maker make the seal whose certificate itself is among the anchors.
func pinned(b *bench, maker cryptotest.Leaf) {
	makerIs(b, maker)
	b.v.Anchors = pinning(b, maker)
}

// pinning are the anchors with a maker's own certificate among them.
func pinning(b *bench, maker cryptotest.Leaf) *pki.TrustAnchors {
	return mustParseAnchors(b.t, append(mustAnchorsPEM(b.t, b.pki, now), pki.MarshalTrustAnchors([]*pki.Certificate{maker.Certificate}, nil)...))
}

// revoke gives the verifier anchors whose CRL revokes a certificate.
func revoke(b *bench, line pki.Revoked) { b.v.Anchors = mustAnchors(b.t, b.pki, b.at, line) }

func certificateCases() []fileCase {
	const maker, signer = verify.CheckSealMaker, verify.CheckSignerCertificate
	half := now.Add(-30 * time.Minute) // between sealedAt and now
	return []fileCase{
		{name: "no anchors", set: func(b *bench) { b.v.Anchors = nil }, want: verify.Indeterminate, sub: verify.NoCertificateChainFound,
			check: maker, code: "maker_untrusted"},
		{name: "anchors of somebody else", want: verify.Indeterminate, sub: verify.NoCertificateChainFound, check: maker, code: "maker_untrusted",
			set: func(b *bench) {
				_, root := foreign(b.t, b.pki, pki.UsageQR)
				b.v.Anchors = mustParseAnchors(b.t, pki.MarshalTrustAnchors([]*pki.Certificate{root.Certificate}, nil))
			}},
		{name: "anchors of the same name", want: verify.Indeterminate, sub: verify.CertificateChainGeneralFailure, check: maker,
			code: "maker_chain_broken", set: func(b *bench) { b.v.Anchors = cryptotest.NewFrom(b.t, b.pki.Rand).Anchors }},
		{name: "maker untrusted", want: verify.Indeterminate, sub: verify.NoCertificateChainFound, check: maker, code: "maker_untrusted",
			set: func(b *bench) { leaf, _ := foreign(b.t, b.pki, pki.UsageSealMaker); makerIs(b, leaf) }},
		{name: "signer untrusted", want: verify.Indeterminate, sub: verify.NoCertificateChainFound, check: signer, code: "signer_untrusted",
			set: func(b *bench) { leaf, _ := foreign(b.t, b.pki, pki.UsageSealSigner); sealedBy(b, leaf) }},
		{name: "maker is no seal maker", want: verify.TotalFailed, sub: verify.ChainConstraintsFailure, check: maker, code: "maker_wrong_usage",
			set: func(b *bench) { makerIs(b, b.pki.QR) }},
		{name: "maker for TLS clients, itself an anchor", want: verify.TotalPassed, check: maker, code: "maker_trusted_other_usage",
			set: func(b *bench) { pinned(b, foreignMaker(b, now.AddDate(-1, 0, 0))) }},
		{name: "maker for TLS clients, under an anchor", want: verify.TotalFailed, sub: verify.ChainConstraintsFailure, check: maker, code: "maker_wrong_usage",
			set: func(b *bench) {
				makerIs(b, b.pki.MustForeignMaker(b.t, b.pki.Issuing, now.AddDate(-1, 0, 0), cryptotest.TLSClient))
			}},
		{name: "maker for TLS clients, another of them an anchor", want: verify.TotalFailed, sub: verify.ChainConstraintsFailure, check: maker,
			code: "maker_wrong_usage", set: func(b *bench) {
				pinned(b, foreignMaker(b, now.AddDate(-1, 0, 0)))
				makerIs(b, foreignMaker(b, now.AddDate(-1, 0, 0)))
			}},
		{name: "maker is a TSA, itself an anchor", want: verify.TotalFailed, sub: verify.ChainConstraintsFailure, check: maker, code: "maker_wrong_usage",
			set: func(b *bench) { leaf, _ := foreign(b.t, b.pki, pki.UsageTimestamp); pinned(b, leaf) }},
		{name: "maker for TLS clients, expired before the token", want: verify.TotalFailed, sub: verify.Expired, check: maker, code: "maker_expired",
			set: func(b *bench) { pinned(b, foreignMaker(b, sealedAt.AddDate(-2, 0, 0).Add(-time.Hour))) }},
		{name: "maker for TLS clients, expired now, token within", want: verify.TotalPassed, check: maker, code: "maker_trusted_other_usage",
			set: func(b *bench) { pinned(b, foreignMaker(b, sealedAt.AddDate(-2, 0, 0).Add(time.Second))) }},
		{name: "maker for TLS clients, expired now, no token", want: verify.Indeterminate, sub: verify.OutOfBoundsNoPOE, check: maker,
			code: "maker_outside_validity_no_poe", set: func(b *bench) {
				b.r.token = nil
				pinned(b, foreignMaker(b, sealedAt.AddDate(-2, 0, 0)))
			}},
		{name: "signer is a QR signer", want: verify.TotalFailed, sub: verify.ChainConstraintsFailure, check: signer, code: "signer_wrong_usage",
			set: func(b *bench) { sealedBy(b, b.pki.QR) }},
		{name: "signer certified by a P-256 authority", comment: "its own key is SM2", want: verify.Indeterminate, sub: verify.CryptoConstraintsFailure,
			check: signer, code: "signer_algorithm", set: func(b *bench) {
				leaf, root := otherAlgorithmSigner(b)
				sealedBy(b, leaf)
				b.v.Anchors = mustParseAnchors(b.t, append(pki.MarshalTrustAnchors([]*pki.Certificate{root}, nil), b.pki.AnchorsPEM...))
			}},
		{name: "signer certified by a leaf", comment: "the QR signer, an anchor itself, signs a certificate", want: verify.TotalFailed, sub: verify.ChainConstraintsFailure,
			check: signer, code: "signer_wrong_usage", set: func(b *bench) {
				sealedBy(b, b.pki.MustIssue(b.t, &pki.CA{Certificate: b.pki.QR.Certificate, Key: b.pki.QR.Key}, "测试市市场监督管理局", pki.UsageSealSigner))
				b.v.Anchors = mustParseAnchors(b.t, append(pki.MarshalTrustAnchors([]*pki.Certificate{b.pki.QR.Certificate}, nil), b.pki.AnchorsPEM...))
			}},
		{name: "signer is a CA", want: verify.TotalFailed, sub: verify.ChainConstraintsFailure, check: signer, code: "signer_wrong_usage",
			set: func(b *bench) {
				sealedBy(b, cryptotest.Leaf{Certificate: b.pki.Issuing.Certificate, Key: b.pki.Issuing.Key})
			}},
		{name: "signer expired before the token", want: verify.TotalFailed, sub: verify.Expired, check: signer, code: "signer_expired",
			set: func(b *bench) {
				sealedBy(b, mustIssue(b.t, b.pki, pki.UsageSealSigner, now.AddDate(-1, 0, 0), now.Add(-2*time.Hour)))
				b.r.claimed = now.Add(-3 * time.Hour)
			}},
		{name: "signer not yet valid at the token", want: verify.TotalFailed, sub: verify.NotYetValid, check: signer, code: "signer_not_yet_valid",
			set: func(b *bench) {
				leaf := mustIssue(b.t, b.pki, pki.UsageSealSigner, half, now.AddDate(1, 0, 0))
				sealedBy(b, leaf)
				forged(b, leaf, 4, b.r.seal.Raw)
			}},
		{name: "signer expired now, token within", want: verify.TotalPassed, check: signer, code: "signer_trusted",
			set: func(b *bench) {
				sealedBy(b, mustIssue(b.t, b.pki, pki.UsageSealSigner, now.AddDate(-1, 0, 0), half))
			}},
		{name: "signer expired now, no token", want: verify.Indeterminate, sub: verify.OutOfBoundsNoPOE, check: signer,
			code: "signer_outside_validity_no_poe", set: func(b *bench) {
				b.r.token = nil
				sealedBy(b, mustIssue(b.t, b.pki, pki.UsageSealSigner, now.AddDate(-1, 0, 0), half))
			}},
	}
}

// revocationCases are certificates that are revoked, or not known to be good.
func revocationCases() []fileCase {
	const revocation = verify.CheckRevocation
	half := now.Add(-30 * time.Minute)
	return []fileCase{
		{name: "no CRL", want: verify.Indeterminate, sub: verify.TryLater, check: revocation, code: "signer_revocation_unknown",
			set: func(b *bench) {
				b.v.Anchors = mustParseAnchors(b.t, pki.MarshalTrustAnchors([]*pki.Certificate{b.pki.Root.Certificate, b.pki.Issuing.Certificate}, nil))
			}},
		{name: "CRL out of date", want: verify.Indeterminate, sub: verify.TryLater, check: revocation, code: "signer_revocation_unknown",
			set: func(b *bench) { b.at = now.AddDate(0, 2, 0) }},
		{name: "signer revoked before the token", want: verify.TotalFailed, sub: verify.Revoked, check: revocation, code: "signer_revoked",
			set: func(b *bench) { revoke(b, revoked(b.pki.SealSigner, sealedAt.Add(-time.Hour), pki.Superseded)) }},
		{name: "signer revoked after the token", want: verify.TotalPassed, check: revocation, code: "revoked_later",
			set: func(b *bench) { revoke(b, revoked(b.pki.SealSigner, half, pki.KeyCompromise)) }},
		{name: "signer's key lost before the token", want: verify.TotalFailed, sub: verify.Revoked, check: revocation, code: "signer_revoked",
			set: func(b *bench) {
				line := revoked(b.pki.SealSigner, half, pki.KeyCompromise)
				line.InvalidityDate = sealedAt.Add(-time.Hour)
				revoke(b, line)
			}},
		{name: "signer revoked, no token", want: verify.Indeterminate, sub: verify.RevokedNoPOE, check: revocation, code: "signer_revoked_no_poe",
			set: func(b *bench) { b.r.token = nil; revoke(b, revoked(b.pki.SealSigner, half, pki.Superseded)) }},
		{name: "signer revoked, dated back, no token", want: verify.Indeterminate, sub: verify.RevokedNoPOE, check: revocation,
			code: "signer_revoked_no_poe", set: func(b *bench) {
				b.r.token, b.r.claimed = nil, now.AddDate(0, 0, -20)
				revoke(b, revoked(b.pki.SealSigner, now.AddDate(0, 0, -10), pki.KeyCompromise))
			}},
		{name: "signer revoked and later judged at an earlier time", want: verify.TotalPassed, check: revocation, code: "revoked_later",
			set: func(b *bench) {
				b.r.token = nil
				revoke(b, revoked(b.pki.SealSigner, now.Add(-time.Minute), pki.Superseded))
				b.at = half
			}},
		{name: "maker revoked before the token", want: verify.TotalFailed, sub: verify.Revoked, check: revocation, code: "maker_revoked",
			set: func(b *bench) { revoke(b, revoked(b.pki.SealMaker, sealedAt.Add(-time.Hour), pki.Superseded)) }},
		// The token comes from under the same CA, so nothing proves a time.
		{name: "issuing CA revoked", want: verify.Indeterminate, sub: verify.RevokedNoPOE, check: revocation, code: "signer_revoked_no_poe",
			set: func(b *bench) {
				line := pki.Revoked{SerialNumber: b.pki.Issuing.Certificate.SerialNumber, At: sealedAt.Add(-time.Hour), Reason: pki.CACompromise}
				list := mustCRL(b.t, b.pki, b.pki.Root, now, line)
				b.v.Anchors = mustParseAnchors(b.t, pki.MarshalTrustAnchors(
					[]*pki.Certificate{b.pki.Root.Certificate, b.pki.Issuing.Certificate}, [][]byte{list, b.pki.IssuingCRL}))
			}},
	}
}

// otherAlgorithmSigner is a seal signer with an SM2 key, certified by a root with P-256.
func otherAlgorithmSigner(b *bench) (cryptotest.Leaf, *pki.Certificate) {
	rootKey, _ := p256(b.t, b.pki)
	issue := func(template, parent *pki.Certificate, public crypto.PublicKey) *pki.Certificate {
		der, err := smx509.CreateCertificate(b.pki.Rand, template, parent, public, rootKey)
		must(b.t, err)
		cert, err := pki.ParseCertificate(der)
		must(b.t, err)
		return cert
	}
	template := &pki.Certificate{SerialNumber: big.NewInt(4712), Subject: pkix.Name{CommonName: "P-256 根证书"}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: smx509.KeyUsageCertSign, SignatureAlgorithm: smx509.ECDSAWithSHA256}
	root := issue(template, template, rootKey.Public())
	key, err := pki.GenerateKey(b.pki.Rand)
	must(b.t, err)
	leaf := *template
	leaf.SerialNumber, leaf.Subject, leaf.IsCA, leaf.KeyUsage = big.NewInt(4713), b.pki.SealSigner.Certificate.Subject, false, smx509.KeyUsageDigitalSignature
	return cryptotest.Leaf{Certificate: issue(&leaf, root, key.Public()), Key: key}, root
}

func mustParseAnchors(t testing.TB, pemBytes []byte) *pki.TrustAnchors {
	t.Helper()
	anchors, err := pki.ParseTrustAnchors(pemBytes)
	must(t, err)
	return anchors
}

// stripToken cuts the token out of the seal signature.
func stripToken(b *bench, file []byte) []byte {
	sig := mustSignature(b.t, file)
	return mustContents(b.t, file, mustDER(b.t, forgedSignature{asn1.RawValue{FullBytes: sig.TBSRaw}, sig.Certificate.Raw, oidSM2WithSM3, bits(sig.SignatureValue)}))
}

// laterToken puts a later token in the place of the first.
func laterToken(b *bench, file []byte) []byte {
	sig := mustSignature(b.t, file)
	sig, err := sig.WithTimestamp(mustToken(b.t, b.pki, b.pki.TSA, sig.SignatureValue, now.Add(-30*time.Minute)))
	must(b.t, err)
	return mustContents(b.t, file, sig.Raw)
}

// strippedCases take the token, or put another in its place, after the file was made.
func strippedCases() []fileCase {
	const timestamp = verify.CheckTimestamp
	half := now.Add(-30 * time.Minute)
	return []fileCase{
		{name: "token stripped, signer revoked", comment: "the token, which proved that the seal came first, is cut out of the gap", want: verify.Indeterminate,
			sub: verify.RevokedNoPOE, check: verify.CheckRevocation, code: "signer_revoked_no_poe", tamper: stripToken,
			set: func(b *bench) { revoke(b, revoked(b.pki.SealSigner, half, pki.KeyCompromise)) }},
		{name: "token stripped, signer expired", want: verify.Indeterminate, sub: verify.OutOfBoundsNoPOE, check: verify.CheckSignerCertificate,
			code: "signer_outside_validity_no_poe", tamper: stripToken,
			set: func(b *bench) {
				sealedBy(b, mustIssue(b.t, b.pki, pki.UsageSealSigner, now.AddDate(-1, 0, 0), half))
			}},
		{name: "token stripped, nothing else", comment: "a file may lack a token; without a register nobody can say that it had one", want: verify.TotalPassed,
			check: timestamp, code: "timestamp_absent", tamper: stripToken},
		{name: "token cut short", want: verify.TotalFailed, sub: verify.FormatFailure, check: timestamp, code: "timestamp_malformed",
			set: func(b *bench) {
				b.r.token = func(message []byte) []byte {
					der := mustToken(b.t, b.pki, b.pki.TSA, message, sealedAt)
					return der[:len(der)-40]
				}
			}},
		{name: "token of another file", comment: "a genuine one, of a licence sealed in time", want: verify.TotalFailed, sub: verify.HashFailure,
			check: timestamp, code: "timestamp_other_signature",
			tamper: func(b *bench, file []byte) []byte {
				sig, err := mustSignature(b.t, file).WithTimestamp(mustSignature(b.t, b.r.make(b.t)).Timestamp)
				must(b.t, err)
				return mustContents(b.t, file, sig.Raw)
			}},
		{name: "later token in the place of the first", comment: "the first proved that the seal came before the revocation", want: verify.TotalFailed, sub: verify.Revoked,
			check: verify.CheckRevocation, code: "signer_revoked", tamper: laterToken,
			set: func(b *bench) { revoke(b, revoked(b.pki.SealSigner, now.Add(-40*time.Minute), pki.Superseded)) }},
	}
}

func timeCases() []fileCase {
	const timestamp = verify.CheckTimestamp
	half := now.Add(-30 * time.Minute)
	// tokenOf has another authority make the token.
	tokenOf := func(b *bench, leaf cryptotest.Leaf) {
		b.r.token = func(message []byte) []byte { return mustToken(b.t, b.pki, leaf, message, sealedAt) }
	}
	// altered changes the bytes of the good token.
	altered := func(change func(der []byte) []byte) func(*bench) {
		return func(b *bench) {
			good := b.r.token
			b.r.token = func(message []byte) []byte { return change(good(message)) }
		}
	}
	return []fileCase{
		{name: "good", want: verify.TotalPassed, check: timestamp, code: "timestamp_own"},
		{name: "none", set: func(b *bench) { b.r.token = nil }, want: verify.TotalPassed, check: timestamp, code: "timestamp_absent"},
		{name: "over another message", want: verify.TotalFailed, sub: verify.HashFailure, check: timestamp, code: "timestamp_other_signature",
			set: func(b *bench) {
				b.r.token = func([]byte) []byte { return mustToken(b.t, b.pki, b.pki.TSA, []byte("another"), sealedAt) }
			}},
		{name: "not a token", want: verify.TotalFailed, sub: verify.FormatFailure, check: timestamp, code: "timestamp_malformed",
			set: altered(func([]byte) []byte { return []byte{0x30, 0x00} })},
		{name: "bytes after it", want: verify.TotalFailed, sub: verify.FormatFailure, check: timestamp, code: "timestamp_malformed",
			set: altered(func(der []byte) []byte { return append(der, 0) })},
		{name: "version altered", want: verify.TotalFailed, sub: verify.FormatFailure, check: timestamp, code: "timestamp_malformed",
			set: altered(func(der []byte) []byte {
				const version, sm3Set = "\x02\x01", "\x31" // SignedData.version, the SET of digestAlgorithms
				return replaceOnce(der, version+"\x01"+sm3Set, version+"\x03"+sm3Set)
			})},
		{name: "signature value wrong", want: verify.TotalFailed, sub: verify.SigCryptoFailure, check: timestamp, code: "timestamp_wrong",
			set: altered(func(der []byte) []byte { der[len(der)-1] ^= 1; return der })},
		{name: "time altered", want: verify.TotalFailed, sub: verify.SigCryptoFailure, check: timestamp, code: "timestamp_wrong",
			set: altered(func(der []byte) []byte { return replaceOnce(der, "20260531230000Z", "20260430230000Z") })},
		{name: "authority untrusted", want: verify.Indeterminate, sub: verify.NoCertificateChainFound, check: timestamp, code: "tsa_untrusted",
			set: func(b *bench) { leaf, _ := foreign(b.t, b.pki, pki.UsageTimestamp); tokenOf(b, leaf) }},
		{name: "authority untrusted, signer revoked", want: verify.Indeterminate, sub: verify.RevokedNoPOE, check: verify.CheckRevocation, code: "signer_revoked_no_poe",
			set: func(b *bench) {
				leaf, _ := foreign(b.t, b.pki, pki.UsageTimestamp)
				tokenOf(b, leaf)
				revoke(b, revoked(b.pki.SealSigner, half, pki.Superseded))
			}},
		{name: "authority outside", want: verify.TotalPassed, check: timestamp, code: "timestamp_outside", set: func(b *bench) {
			leaf, root := foreign(b.t, b.pki, pki.UsageTimestamp)
			tokenOf(b, leaf)
			list := mustCRL(b.t, b.pki, root, now)
			b.v.Anchors = mustParseAnchors(b.t, append(mustAnchorsPEM(b.t, b.pki, now),
				pki.MarshalTrustAnchors([]*pki.Certificate{root.Certificate}, [][]byte{list})...))
		}},
		{name: "authority revoked before", want: verify.Indeterminate, sub: verify.RevokedNoPOE, check: timestamp, code: "tsa_revoked_no_poe",
			set: func(b *bench) { revoke(b, revoked(b.pki.TSA, sealedAt.Add(-time.Hour), pki.Superseded)) }},
		{name: "authority retired later", want: verify.TotalPassed, check: timestamp, code: "timestamp_own",
			set: func(b *bench) { revoke(b, revoked(b.pki.TSA, half, pki.CessationOfOperation)) }},
		{name: "authority's key lost later", want: verify.Indeterminate, sub: verify.RevokedNoPOE, check: timestamp, code: "tsa_revoked_no_poe",
			set: func(b *bench) { revoke(b, revoked(b.pki.TSA, half, pki.KeyCompromise)) }},
		{name: "authority revoked later without a reason", want: verify.Indeterminate, sub: verify.RevokedNoPOE, check: timestamp,
			code: "tsa_revoked_no_poe", set: func(b *bench) { revoke(b, revoked(b.pki.TSA, half, pki.Unspecified)) }},
		{name: "authority expired", want: verify.Indeterminate, sub: verify.OutOfBoundsNoPOE, check: timestamp, code: "tsa_outside_validity_no_poe",
			set: func(b *bench) {
				tokenOf(b, mustIssue(b.t, b.pki, pki.UsageTimestamp, now.AddDate(-1, 0, 0), sealedAt.Add(-time.Hour)))
			}},
		{name: "later than the validation time", want: verify.Indeterminate, sub: verify.TimestampOrderFailure, check: timestamp,
			code: "timestamp_in_future", set: func(b *bench) { b.at = sealedAt.Add(-10 * time.Minute) }},
		{name: "earlier than the claimed time", want: verify.Indeterminate, sub: verify.TimestampOrderFailure, check: timestamp,
			code: "timestamp_before_claimed", set: func(b *bench) { b.r.claimed = sealedAt.Add(10 * time.Minute) }},
		{name: "added later in place", want: verify.TotalPassed, check: timestamp, code: "timestamp_own", set: func(b *bench) { b.r.token = nil },
			tamper: func(b *bench, file []byte) []byte {
				sig := mustSignature(b.t, file)
				sig, err := sig.WithTimestamp(mustToken(b.t, b.pki, b.pki.TSA, sig.SignatureValue, half))
				if err != nil {
					b.t.Fatal(err)
				}
				return mustContents(b.t, file, sig.Raw)
			}},
		{name: "token after the revocation", want: verify.TotalFailed, sub: verify.Revoked, check: verify.CheckRevocation, code: "signer_revoked",
			set: func(b *bench) {
				b.r.token = func(message []byte) []byte { return mustToken(b.t, b.pki, b.pki.TSA, message, half) }
				revoke(b, revoked(b.pki.SealSigner, sealedAt, pki.Superseded))
			}},
	}
}
