package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pades"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/verify"
)

// before is a file with another signature before the recipe's seal.
func before(b *bench, subFilter string, sign func(p *pdfsig.Prepared) []byte) []byte {
	b.t.Helper()
	o := pdfsig.Options{FieldName: "First", Page: 1, SubFilter: subFilter, Reserve: 3700,
		Later: []pdfsig.Field{{Name: "Seal1", X: 300, Y: 100, Width: 113.386, Height: 113.386}}}
	if subFilter == pdfsig.SubFilter {
		o.X, o.Y, o.Appearance = 100, 100, pdfsig.Appearance{Width: 113.386, Height: 113.386, Content: []byte("1 0 0 RG 5 5 100 100 re S\n")}
	}
	p, err := pdfsig.Prepare(b.r.render(b.t), o)
	must(b.t, err)
	file, err := p.Finish(sign(p))
	must(b.t, err)
	return b.r.sealOn(b.t, file, pdfsig.Options{})
}

// twoSeals is a file that another authority sealed first.
func twoSeals(b *bench) []byte {
	signer, s := otherSeal(b, nil)
	return before(b, pdfsig.SubFilter, sealFirst(b, signer, s, true, nil))
}

// padesAndSeal is a file with a signature for readers without SM2 before its seal.
func padesAndSeal(b *bench) []byte { return before(b, pdfsig.SubFilterPAdES, padesFirst(b, nil)) }

// otherSeal is the seal of another authority, whose holder signs with it.
func otherSeal(b *bench, change func(*seal.Template)) (cryptotest.Leaf, *seal.Seal) {
	signer := mustIssueFor(b.t, b.pki, otherUSCC, pki.UsageSealSigner, sealedAt.Add(-time.Hour), now.Add(24*time.Hour))
	b.others = append(b.others, signer.Certificate)
	return signer, mustSeal(b.t, b.pki, b.pki.SealMaker, func(t *seal.Template) {
		t.Signers = []*pki.Certificate{signer.Certificate}
		if change != nil {
			change(t)
		}
	})
}

// sealFirst signs with the other authority's seal.
func sealFirst(b *bench, signer cryptotest.Leaf, s *seal.Seal, token bool, digest func([32]byte) [32]byte) func(*pdfsig.Prepared) []byte {
	return func(p *pdfsig.Prepared) []byte {
		sum := p.Digest()
		if digest != nil {
			sum = digest(sum)
		}
		sig, err := seal.Sign(b.pki.Rand, signer.Key, signer.Certificate, s, sum[:], "ByteRange", sealedAt)
		must(b.t, err)
		if token {
			sig, err = sig.WithTimestamp(mustToken(b.t, b.pki, b.pki.TSA, sig.SignatureValue, sealedAt))
			must(b.t, err)
		}
		return sig.Raw
	}
}

// padesFirst signs for readers without SM2; change may spoil the digest.
func padesFirst(b *bench, change func([]byte)) func(*pdfsig.Prepared) []byte {
	return func(p *pdfsig.Prepared) []byte {
		key, cert := p256(b.t, b.pki)
		h := sha256.New()
		_, err := p.WriteTo(h)
		must(b.t, err)
		digest := h.Sum(nil)
		if change != nil {
			change(digest)
		}
		der, err := pades.Sign(nil, key, []*x509.Certificate{cert}, digest)
		must(b.t, err)
		return der
	}
}

// p256 is a signer for readers without SM2. The standard library takes no source of
// randomness for such keys: without one their signatures are fixed (RFC 6979).
func p256(t testing.TB, p *cryptotest.PKI) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	scalar := make([]byte, 32)
	_, err := io.ReadFull(p.Rand, scalar)
	must(t, err)
	ecdsaKey, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	must(t, err)
	key := fixedNonces{ecdsaKey}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "P-256"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return key, cert
}

// fixedNonces signs as RFC 6979 says, whatever randomness it is given.
type fixedNonces struct{ *ecdsa.PrivateKey }

func (k fixedNonces) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.PrivateKey.Sign(nil, digest, opts)
}

// severalCases: what is wrong with one of the signatures is wrong with the file.
func severalCases() []fileCase {
	const passed, failed = verify.TotalPassed, verify.TotalFailed
	const value, digest = verify.CheckSealSignature, verify.CheckDocumentDigest
	c := func(name string, want verify.Indication, sub verify.SubIndication, check verify.Name, code string, base func(b *bench) []byte) fileCase {
		return fileCase{name: name, want: want, sub: sub, check: check, code: code, base: base}
	}
	// other has the other authority seal first, with a seal that is changed.
	other := func(change func(*seal.Template), token bool, spoil func([32]byte) [32]byte) func(*bench) []byte {
		return func(b *bench) []byte {
			signer, s := otherSeal(b, change)
			return before(b, pdfsig.SubFilter, sealFirst(b, signer, s, token, spoil))
		}
	}
	noSeal := func(*pdfsig.Prepared) []byte { return []byte{0x30, 3, 2, 1, 4} }
	none := func(subFilter string) func(*bench) []byte {
		return func(b *bench) []byte { return before(b, subFilter, noSeal) }
	}
	return []fileCase{
		c("two seals", passed, "", value, "seal_signature_ok", twoSeals),
		c("first seal without a token, proven by the last", passed, "", verify.CheckTimestamp, "timestamp_own", other(nil, false, nil)),
		c("PAdES and seal", passed, "", value, "seal_signature_ok", padesAndSeal),
		c("PAdES over another file", failed, verify.SigCryptoFailure, value, "pades_wrong", func(b *bench) []byte {
			return before(b, pdfsig.SubFilterPAdES, padesFirst(b, func(d []byte) { d[0] ^= 1 }))
		}),
		c("PAdES that is none", failed, verify.SigCryptoFailure, value, "pades_wrong", none(pdfsig.SubFilterPAdES)),
		c("first seal over another file", failed, verify.HashFailure, digest, "document_digest_differs",
			other(nil, true, func(d [32]byte) [32]byte { d[5] ^= 1; return d })),
		c("first seal of strangers", verify.Indeterminate, verify.CertificateChainGeneralFailure, verify.CheckSealMaker, "maker_chain_broken", func(b *bench) []byte {
			p := cryptotest.NewFrom(b.t, b.pki.Rand)
			return before(b, pdfsig.SubFilter, sealFirst(b, p.SealSigner, p.Seal, false, nil))
		}),
		c("first seal by a maker for other uses", passed, "", verify.CheckSealMaker, "maker_trusted_other_usage", func(b *bench) []byte {
			last := b.r.seal
			pinned(b, foreignMaker(b, now.AddDate(-1, 0, 0)))
			first := b.r.seal
			b.r.seal = last
			return before(b, pdfsig.SubFilter, sealFirst(b, b.r.signer, first, false, nil))
		}),
		{name: "first seal expired", want: failed, sub: verify.SigConstraintsFailure, check: verify.CheckSeal, code: "seal_expired",
			set: func(b *bench) {
				b.r.token = func(message []byte) []byte {
					return mustToken(b.t, b.pki, b.pki.TSA, message, sealedAt.Add(10*time.Minute))
				}
			}, base: other(func(t *seal.Template) { t.ValidTo = sealedAt.Add(time.Minute) }, false, nil)},
		{name: "first signer revoked before", want: failed, sub: verify.Revoked, check: verify.CheckRevocation, code: "signer_revoked",
			base: func(b *bench) []byte {
				file := twoSeals(b)
				revoke(b, pki.Revoked{SerialNumber: b.others[0].SerialNumber, At: sealedAt.Add(-time.Minute), Reason: pki.Superseded})
				return file
			}},
		{name: "first seal's token over another signature", want: failed, sub: verify.HashFailure, check: verify.CheckTimestamp, code: "timestamp_other_signature",
			base: func(b *bench) []byte {
				signer, s := otherSeal(b, nil)
				return before(b, pdfsig.SubFilter, func(p *pdfsig.Prepared) []byte {
					sum := p.Digest()
					sig, err := seal.Sign(b.pki.Rand, signer.Key, signer.Certificate, s, sum[:], "ByteRange", sealedAt)
					must(b.t, err)
					sig, err = sig.WithTimestamp(mustToken(b.t, b.pki, b.pki.TSA, []byte("another"), sealedAt))
					must(b.t, err)
					return sig.Raw
				})
			}},
		c("first one no seal", failed, verify.FormatFailure, value, "seal_signature_malformed", none(pdfsig.SubFilter)),
		c("PAdES alone", failed, verify.FormatFailure, verify.CheckStructure, "foreign_signature", func(b *bench) []byte {
			p, err := pdfsig.Prepare(b.r.render(b.t), pdfsig.Options{FieldName: "a", Page: 1, SubFilter: pdfsig.SubFilterPAdES, Reserve: 3700})
			must(b.t, err)
			file, err := p.Finish(padesFirst(b, nil)(p))
			must(b.t, err)
			return file
		}),
	}
}
