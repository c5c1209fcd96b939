package verify_test

import (
	"bytes"
	"encoding/asn1"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/verify"
)

// sealedBy has another signer use a seal that lists it.
func sealedBy(b *bench, signer cryptotest.Leaf) {
	b.r.signer = signer
	b.r.seal = mustSeal(b.t, b.pki, b.pki.SealMaker, func(t *seal.Template) {
		t.Signers = []*pki.Certificate{signer.Certificate}
	})
}

// validity makes a seal that is valid between two instants.
func validity(b *bench, from, to time.Time) {
	b.r.seal = mustSeal(b.t, b.pki, b.pki.SealMaker, func(t *seal.Template) { t.ValidFrom, t.ValidTo = from, to })
}

// forged has the seal signature written by hand, with a seal given as DER.
func forged(b *bench, signer cryptotest.Leaf, version int, sealDER []byte) {
	b.r.signature = func(digest []byte) *seal.Signature { return forge(b.t, b.pki, signer, version, sealDER, digest) }
}

// swapped returns the seal with something else in the place of some of its bytes.
func swapped(b *bench, old, new []byte) []byte {
	if !bytes.Contains(b.r.seal.Raw, old) || len(old) != len(new) {
		b.t.Fatal("nothing to swap")
	}
	return bytes.Replace(b.r.seal.Raw, old, new, 1)
}

func sealCases() []fileCase {
	failed := func(name string, sub verify.SubIndication, check verify.Name, code string, set func(*bench)) fileCase {
		return fileCase{name: name, set: set, want: verify.TotalFailed, sub: sub, check: check, code: code}
	}
	const sealSignature, theSeal = verify.CheckSealSignature, verify.CheckSeal
	return []fileCase{
		failed("signature value wrong", verify.SigCryptoFailure, sealSignature, "seal_signature_wrong", func(b *bench) {
			b.r.signature = func(digest []byte) *seal.Signature {
				sig := b.r.mustSign(b.t, digest)
				return mustParse(b.t, mustDER(b.t, forgedSignature{asn1.RawValue{FullBytes: sig.TBSRaw},
					sig.Certificate.Raw, oidSM2WithSM3, bits(another(b.t, sig.SignatureValue))}))
			}
		}),
		failed("signed with another key", verify.SigCryptoFailure, sealSignature, "seal_signature_wrong", func(b *bench) {
			forged(b, cryptotest.Leaf{Certificate: b.pki.SealSigner.Certificate, Key: b.pki.QR.Key}, 4, b.r.seal.Raw)
		}),
		failed("certificate replaced", verify.SigCryptoFailure, sealSignature, "seal_signature_wrong", func(b *bench) {
			b.r.signature = func(digest []byte) *seal.Signature {
				sig := b.r.mustSign(b.t, digest)
				return mustParse(b.t, mustDER(b.t, forgedSignature{asn1.RawValue{FullBytes: sig.TBSRaw},
					b.pki.QR.Certificate.Raw, oidSM2WithSM3, bits(sig.SignatureValue)}))
			}
		}),
		failed("seal of another file", verify.HashFailure, verify.CheckDocumentDigest, "document_digest_differs", func(b *bench) {
			b.r.digest = bytes.Repeat([]byte{7}, 32)
		}),
		failed("picture swapped", verify.SigCryptoFailure, theSeal, "seal_maker_signature_wrong", func(b *bench) {
			picture := b.r.seal.Picture.Data
			other := bytes.Clone(picture)
			other[len(other)-20] ^= 1
			forged(b, b.r.signer, 4, swapped(b, picture, other))
		}),
		failed("seal's validity extended", verify.SigCryptoFailure, theSeal, "seal_maker_signature_wrong", func(b *bench) {
			forged(b, b.r.signer, 4, swapped(b, []byte("20310601000000Z"), []byte("20410601000000Z")))
		}),
		failed("seal's name altered", verify.SigCryptoFailure, theSeal, "seal_maker_signature_wrong", func(b *bench) {
			forged(b, b.r.signer, 4, swapped(b, []byte("elicence-test"), []byte("elicence-tess")))
		}),
		failed("seal signed by another maker's key", verify.SigCryptoFailure, theSeal, "seal_maker_signature_wrong", func(b *bench) {
			value, err := pki.SignMessage(b.pki.Rand, b.pki.QR.Key, b.r.seal.InfoRaw)
			if err != nil {
				b.t.Fatal(err)
			}
			forged(b, b.r.signer, 4, mustDER(b.t, forgedSeal{asn1.RawValue{FullBytes: b.r.seal.InfoRaw},
				b.r.seal.Maker.Raw, oidSM2WithSM3, bits(value)}))
		}),
		failed("signer not listed", verify.SigConstraintsFailure, theSeal, "signer_not_listed", func(b *bench) {
			forged(b, b.pki.MustIssue(b.t, b.pki.Issuing, "别人", pki.UsageSealSigner), 4, b.r.seal.Raw)
		}),
		failed("seal expired when used", verify.SigConstraintsFailure, theSeal, "seal_expired", func(b *bench) {
			validity(b, now.AddDate(0, -1, 0), now.Add(-2*time.Hour))
			b.r.claimed = now.Add(-3 * time.Hour)
		}),
		failed("seal not yet valid when used", verify.SigConstraintsFailure, theSeal, "seal_not_yet_valid", func(b *bench) {
			validity(b, now.Add(-30*time.Minute), now.AddDate(1, 0, 0))
			forged(b, b.r.signer, 4, b.r.seal.Raw)
		}),
		{name: "seal expired now, no token", want: verify.Indeterminate, sub: verify.OutOfBoundsNoPOE, check: theSeal,
			code: "seal_outside_validity_no_poe", set: func(b *bench) {
				validity(b, now.AddDate(0, -1, 0), now.Add(-10*time.Minute))
				b.r.token = nil
			}},
		{name: "seal expired now, token within", want: verify.TotalPassed, check: theSeal, code: "seal_ok", set: func(b *bench) {
			validity(b, now.AddDate(0, -1, 0), now.Add(-10*time.Minute))
		}},
		{name: "seal signature of version 5", want: verify.Indeterminate, sub: verify.SigConstraintsFailure, check: theSeal,
			code: "seal_foreign_version", set: func(b *bench) { forged(b, b.r.signer, 5, b.r.seal.Raw) }},
		{name: "second signer of the list", want: verify.TotalPassed, check: theSeal, code: "seal_ok", set: func(b *bench) {
			second := b.pki.MustIssue(b.t, b.pki.Issuing, "副章", pki.UsageSealSigner)
			b.r.seal = mustSeal(b.t, b.pki, b.pki.SealMaker, func(t *seal.Template) { t.Signers = append(t.Signers, second.Certificate) })
			b.r.signer = second
		}},
	}
}
