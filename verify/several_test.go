package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
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

// before has another signature made before the recipe's seal.
func before(b *bench, subFilter string, sign func(p *pdfsig.Prepared) []byte) func(*bench, []byte) []byte {
	return func(b *bench, _ []byte) []byte {
		b.t.Helper()
		o := pdfsig.Options{FieldName: "First", Page: 1, SubFilter: subFilter, Reserve: 6000,
			Later: []pdfsig.Field{{Name: "Seal1", X: 300, Y: 100, Width: 113.386, Height: 113.386}}}
		if subFilter == pdfsig.SubFilter {
			o.X, o.Y, o.Appearance = 100, 100, pdfsig.Appearance{Width: 113.386, Height: 113.386, Content: []byte("1 0 0 RG 5 5 100 100 re S\n")}
		}
		p, err := pdfsig.Prepare(b.r.render(b.t), o)
		if err != nil {
			b.t.Fatal(err)
		}
		file, err := p.Finish(sign(p))
		if err != nil {
			b.t.Fatal(err)
		}
		return b.r.sealOn(b.t, file, pdfsig.Options{})
	}
}

// otherSeal is the seal of another authority, whose holder signs with it.
func otherSeal(b *bench, change func(*seal.Template)) (cryptotest.Leaf, *seal.Seal) {
	signer := mustIssueFor(b.t, b.pki, otherUSCC, pki.UsageSealSigner, sealedAt.Add(-time.Hour), now.Add(24*time.Hour))
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
		sig, err := seal.Sign(rand.Reader, signer.Key, signer.Certificate, s, sum[:], "ByteRange", sealedAt)
		if err != nil {
			b.t.Fatal(err)
		}
		if token {
			if sig, err = sig.WithTimestamp(mustToken(b.t, b.pki.TSA, sig.SignatureValue, sealedAt)); err != nil {
				b.t.Fatal(err)
			}
		}
		return sig.Raw
	}
}

// padesFirst signs for readers without SM2; change may spoil the digest.
func padesFirst(b *bench, change func([]byte)) func(*pdfsig.Prepared) []byte {
	return func(p *pdfsig.Prepared) []byte {
		key, cert := p256(b.t)
		h := sha256.New()
		if _, err := p.WriteTo(h); err != nil {
			b.t.Fatal(err)
		}
		digest := h.Sum(nil)
		if change != nil {
			change(digest)
		}
		der, err := pades.Sign(rand.Reader, key, []*x509.Certificate{cert}, digest)
		if err != nil {
			b.t.Fatal(err)
		}
		return der
	}
}

func p256(t testing.TB) (crypto.Signer, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "P-256"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

// TestSeveralSignatures: what is wrong with one of them is wrong with the file.
func TestSeveralSignatures(t *testing.T) {
	second := func(name string, want verify.Indication, sub verify.SubIndication, check verify.Name, code string, make func(b *bench) func(*bench, []byte) []byte) fileCase {
		return fileCase{name: name, want: want, sub: sub, check: check, code: code,
			tamper: func(b *bench, file []byte) []byte { return make(b)(b, file) }}
	}
	const passed, failed = verify.TotalPassed, verify.TotalFailed
	run(t, []fileCase{
		second("two seals", passed, "", verify.CheckSealSignature, "seal_signature_ok", func(b *bench) func(*bench, []byte) []byte {
			signer, s := otherSeal(b, nil)
			return before(b, pdfsig.SubFilter, sealFirst(b, signer, s, true, nil))
		}),
		second("first seal without a token, proven by the last", passed, "", verify.CheckTimestamp, "timestamp_own", func(b *bench) func(*bench, []byte) []byte {
			signer, s := otherSeal(b, nil)
			return before(b, pdfsig.SubFilter, sealFirst(b, signer, s, false, nil))
		}),
		second("PAdES and seal", passed, "", verify.CheckSealSignature, "seal_signature_ok", func(b *bench) func(*bench, []byte) []byte {
			return before(b, pdfsig.SubFilterPAdES, padesFirst(b, nil))
		}),
		second("PAdES over another file", failed, verify.SigCryptoFailure, verify.CheckSealSignature, "pades_wrong", func(b *bench) func(*bench, []byte) []byte {
			return before(b, pdfsig.SubFilterPAdES, padesFirst(b, func(d []byte) { d[0] ^= 1 }))
		}),
		second("PAdES that is none", failed, verify.SigCryptoFailure, verify.CheckSealSignature, "pades_wrong", func(b *bench) func(*bench, []byte) []byte {
			return before(b, pdfsig.SubFilterPAdES, func(*pdfsig.Prepared) []byte { return []byte{0x30, 3, 2, 1, 4} })
		}),
		second("first seal over another file", failed, verify.HashFailure, verify.CheckDocumentDigest, "document_digest_differs", func(b *bench) func(*bench, []byte) []byte {
			signer, s := otherSeal(b, nil)
			return before(b, pdfsig.SubFilter, sealFirst(b, signer, s, true, func(d [32]byte) [32]byte { d[5] ^= 1; return d }))
		}),
		second("first seal of strangers", verify.Indeterminate, verify.CertificateChainGeneralFailure, verify.CheckSealMaker, "maker_chain_broken", func(b *bench) func(*bench, []byte) []byte {
			p := cryptotest.New(b.t)
			return before(b, pdfsig.SubFilter, sealFirst(b, p.SealSigner, p.Seal, false, nil))
		}),
		second("first seal expired", failed, verify.SigConstraintsFailure, verify.CheckSeal, "seal_expired", func(b *bench) func(*bench, []byte) []byte {
			signer, s := otherSeal(b, func(t *seal.Template) { t.ValidTo = sealedAt.Add(time.Minute) })
			b.r.token = func(message []byte) []byte { return mustToken(b.t, b.pki.TSA, message, sealedAt.Add(10*time.Minute)) }
			return before(b, pdfsig.SubFilter, sealFirst(b, signer, s, false, nil))
		}),
		second("first one no seal", failed, verify.FormatFailure, verify.CheckSealSignature, "seal_signature_malformed", func(b *bench) func(*bench, []byte) []byte {
			return before(b, pdfsig.SubFilter, func(*pdfsig.Prepared) []byte { return []byte{0x30, 3, 2, 1, 4} })
		}),
		second("last one for readers without SM2", failed, verify.FormatFailure, verify.CheckStructure, "foreign_signature", func(b *bench) func(*bench, []byte) []byte {
			return func(b *bench, _ []byte) []byte {
				p, err := pdfsig.Prepare(b.r.render(b.t), pdfsig.Options{FieldName: "a", Page: 1, SubFilter: pdfsig.SubFilterPAdES, Reserve: 4000})
				if err != nil {
					b.t.Fatal(err)
				}
				file, err := p.Finish(padesFirst(b, nil)(p))
				if err != nil {
					b.t.Fatal(err)
				}
				return file
			}
		}),
	})
}
