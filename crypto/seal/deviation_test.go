package seal_test

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"slices"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
)

// remake alters a seal of version 4 and signs it again.
func remake(t testing.TB, p *cryptotest.PKI, alter func(*seal.SESSealInfo), oid asn1.ObjectIdentifier) []byte {
	t.Helper()
	var info seal.SESSealInfo
	_, err := asn1.Unmarshal(p.Seal.InfoRaw, &info)
	must(t, err)
	alter(&info)
	return sealV4(t, p, mustMarshal(t, info), oid)
}

// sealV4 signs any SES_SealInfo as version 4 does.
func sealV4(t testing.TB, p *cryptotest.PKI, der []byte, oid asn1.ObjectIdentifier) []byte {
	t.Helper()
	return mustMarshal(t, seal.SESeal{ESealInfo: raw(der), Cert: p.SealMaker.Certificate.Raw, SignAlgID: oid, SignedValue: bits(mustValue(t, p.SealMaker, der))})
}

// resign makes a seal signature of version 4 around any seal.
func resign(t testing.TB, p *cryptotest.PKI, sealDER []byte, oid asn1.ObjectIdentifier, hash []byte) []byte {
	t.Helper()
	der := mustMarshal(t, seal.TBSSign{Version: 4, Eseal: raw(sealDER), TimeInfo: p.Now, DataHash: bits(hash), PropertyInfo: "ByteRange"})
	return mustMarshal(t, seal.SESSignature{ToSign: raw(der), Cert: p.SealSigner.Certificate.Raw, SignatureAlgID: oid, Signature: bits(mustValue(t, p.SealSigner, der))})
}

// deviating are seals that deviate in one way each, of versions 4 and 1.
func deviating(t testing.TB, p *cryptotest.PKI) map[string][]byte {
	bare := raw(mustMarshal(t, []asn1.RawValue{raw(p.SealSigner.Certificate.Raw), raw(p.QR.Certificate.Raw)}))
	plain := func(*seal.SESSealInfo) {}
	return map[string][]byte{
		"raw_certificate_elements 4": remake(t, p, func(i *seal.SESSealInfo) { i.Property.CertList = bare }, seal.SM2WithSM3),
		"raw_certificate_elements 1": makeV1(t, p, func(i *seal.SESSealInfoV1) { i.Property.CertList = bare }, seal.SM2WithSM3),
		"type_above_2 4":             remake(t, p, func(i *seal.SESSealInfo) { i.Property.Type = 3 }, seal.SM2WithSM3),
		"type_above_2 1":             makeV1(t, p, func(i *seal.SESSealInfoV1) { i.Property.Type = 99 }, seal.SM2WithSM3),
		"signature_oid_alias 4":      remake(t, p, plain, seal.SM2WithSM3Alias),
		"signature_oid_alias 1":      makeV1(t, p, asIs, seal.SM2WithSM3Alias),
	}
}

// TestDeviations: each is refused unless that very one is allowed, and then named.
func TestDeviations(t *testing.T) {
	p := cryptotest.New(t)
	for name, der := range deviating(t, p) {
		t.Run(name, func(t *testing.T) {
			d := seal.Deviation(name[:len(name)-2])
			others := slices.DeleteFunc(seal.Deviations(), func(o seal.Deviation) bool { return o == d })
			sig := resign(t, p, der, seal.SM2WithSM3, digest("file"))
			for _, allowed := range [][]seal.Deviation{nil, others} {
				if s, err := seal.ParseSeal(der, allowed...); err == nil || s != nil {
					t.Errorf("taken in with %s", allowed)
				}
				if s, err := seal.ParseSignature(sig, allowed...); err == nil || s != nil {
					t.Errorf("taken in within a signature with %s", allowed)
				}
			}
			for _, allowed := range [][]seal.Deviation{{d}, seal.Deviations()} {
				checkDeviating(t, p, d, der, sig, allowed)
			}
		})
	}
}

func checkDeviating(t *testing.T, p *cryptotest.PKI, d seal.Deviation, der, sigDER []byte, allowed []seal.Deviation) {
	t.Helper()
	s, err := seal.ParseSeal(der, allowed...)
	must(t, err)
	must(t, s.CheckSignature())
	if !slices.Equal(s.Deviations, []seal.Deviation{d}) || !s.Lists(p.SealSigner.Certificate) || s.Lists(p.SealMaker.Certificate) {
		t.Errorf("deviations %s; or it lists others", s.Deviations)
	}
	if again, err := seal.Remarshal(s); err != nil || !bytes.Equal(again, der) {
		t.Errorf("marshals to other bytes, error %v", err)
	}
	sig, err := seal.ParseSignature(sigDER, allowed...)
	must(t, err)
	if again, err := seal.RemarshalSignature(sig); err != nil || !bytes.Equal(again, sigDER) || !slices.Equal(sig.Deviations, s.Deviations) {
		t.Errorf("signature deviates in %s or marshals to other bytes, error %v", sig.Deviations, err)
	}
	if _, err := sig.WithTimestamp([]byte("token")); err != nil {
		t.Errorf("dating it: %v", err)
	}
	key := untouchable{p.SealSigner.Key, t}
	if got, err := seal.Sign(rand.Reader, key, p.SealSigner.Certificate, s, digest("file"), "", p.Now); err == nil || got != nil {
		t.Error("signed with a seal that deviates")
	}
}

// TestSignatureDeviations are those of the signature itself.
func TestSignatureDeviations(t *testing.T) {
	p := cryptotest.New(t)
	listed := func(value []byte) []byte {
		return remake(t, p, func(i *seal.SESSealInfo) {
			i.Property.CertListType = seal.ListsDigests
			i.Property.CertList = raw(mustMarshal(t, []seal.CertDigest{{Type: "SM3", Value: value}}))
		}, seal.SM2WithSM3)
	}
	cert := p.SealSigner.Certificate
	withZA := seal.DigestWithZAOf(cert, cert.Raw)
	otherZA := seal.DigestWithZAOf(p.QR.Certificate, cert.Raw)
	for _, c := range []struct {
		name    string
		der     []byte
		want    seal.Deviation
		strict  bool // taken in without leave
		lists   bool
		listsZA bool
	}{
		{"misspelt algorithm", resign(t, p, p.Seal.Raw, seal.SM2WithSM3Alias, digest("file")), seal.SignatureOIDAlias, false, true, false},
		{"misspelt algorithm in version 1", signV1(t, p, p.Seal.Raw, func(s *seal.TBSSignV1) { s.SignatureAlgorithm = seal.SM2WithSM3Alias }), seal.SignatureOIDAlias, false, true, false},
		{"listed with ZA", resign(t, p, listed(withZA), seal.SM2WithSM3, digest("file")), seal.DigestWithZA, true, false, true},
		{"listed with another's ZA", resign(t, p, listed(otherZA), seal.SM2WithSM3, digest("file")), "", true, false, false},
		{"listed by its digest", resign(t, p, listed(digest(string(cert.Raw))), seal.SM2WithSM3, digest("file")), "", true, true, false},
	} {
		strict, err := seal.ParseSignature(c.der)
		if (err == nil) != c.strict || err == nil && len(strict.Deviations) > 0 {
			t.Errorf("%s: without leave: %v", c.name, err)
		}
		s, err := seal.ParseSignature(c.der, seal.Deviations()...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := []seal.Deviation{c.want}
		if c.want == "" {
			want = nil
		}
		if !slices.Equal(s.Deviations, want) || s.Seal.Lists(cert) != c.lists || s.Seal.ListsWithZA(cert) != c.listsZA {
			t.Errorf("%s: deviations %s, listed %v, with ZA %v", c.name, s.Deviations, s.Seal.Lists(cert), s.Seal.ListsWithZA(cert))
		}
	}
}

// TestCoversWithZA: a digest of the kind is told apart, and is not the document's.
func TestCoversWithZA(t *testing.T) {
	p := cryptotest.New(t)
	plain := p.MustSign(t, digest("file"))
	deviating := p.MustSign(t, seal.DigestWithZAOf(p.SealSigner.Certificate, []byte("file")))
	if plain.CoversWithZA([]byte("file")) || !deviating.CoversWithZA([]byte("file")) || deviating.CoversWithZA([]byte("files")) {
		t.Error("digests with and without ZA are not told apart")
	}
	if got := seal.DigestWithZAOf(&pki.Certificate{}, []byte("file")); got != nil {
		t.Errorf("a certificate without a key gives %x", got)
	}
}
