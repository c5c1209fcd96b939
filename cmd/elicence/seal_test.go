package main

import (
	"bytes"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
)

// The parts of a seal and of a seal signature of version 1 (GM/T 0031-2014), which
// nothing of ours writes.
type (
	headerV1 struct {
		ID      string `asn1:"ia5"`
		Version int
		Vid     string `asn1:"ia5"`
	}
	propertyV1 struct {
		Type     int
		Name     string `asn1:"utf8"`
		CertList [][]byte
		Created  time.Time `asn1:"utc"`
		From, To time.Time `asn1:"utc"`
	}
	pictureV1 struct {
		Type          string `asn1:"ia5"`
		Data          []byte
		Width, Height int
	}
	infoV1 struct {
		Header   headerV1
		ID       string `asn1:"ia5"`
		Property propertyV1
		Picture  pictureV1
	}
	signedV1 struct {
		Info      asn1.RawValue
		Cert      []byte
		Algorithm asn1.ObjectIdentifier
	}
	signInfoV1 struct {
		Cert      []byte
		Algorithm asn1.ObjectIdentifier
		Value     asn1.BitString
	}
	sealV1 struct {
		Info     asn1.RawValue
		SignInfo signInfoV1
	}
	tbsV1 struct {
		Version        int
		Seal           asn1.RawValue
		Time, DataHash asn1.BitString
		Property       string `asn1:"ia5"`
		Cert           []byte
		Algorithm      asn1.ObjectIdentifier
	}
	signatureV1 struct {
		TBS   asn1.RawValue
		Value asn1.BitString
	}
	sealV4 struct {
		Info      asn1.RawValue
		Cert      []byte
		Algorithm asn1.ObjectIdentifier
		Value     asn1.BitString
	}
)

var sm2WithSM3 = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 501}

func bits(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

func mustDER(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	must(t, err)
	return der
}

func mustValue(t testing.TB, by cryptotest.Leaf, message []byte) asn1.BitString {
	t.Helper()
	value, err := pki.SignMessage(rand.Reader, by.Key, message)
	must(t, err)
	return bits(value)
}

// sealFiles are bare seals and seal signatures of all versions by file name.
func sealFiles(t testing.TB, p *cryptotest.PKI) map[string][]byte {
	t.Helper()
	template := p.Template(p.Seal.Picture)
	template.Version, template.ListDigests = 5, true
	template.Extensions = []seal.Extension{{ID: asn1.ObjectIdentifier{2, 25, 7}, Value: []byte("x")}}
	five, err := seal.Make(rand.Reader, p.SealMaker.Certificate, p.SealMaker.Key, template)
	must(t, err)
	five, err = five.WithTimestamp(p.MustToken(t, five.SignatureValue, p.Now.Add(-time.Hour)).Raw)
	must(t, err)
	digest := make([]byte, 32)
	sig, err := seal.Sign(rand.Reader, p.SealSigner.Key, p.SealSigner.Certificate, five, digest, "ByteRange", p.Now)
	must(t, err)
	sig, err = sig.WithTimestamp(p.MustToken(t, sig.SignatureValue, p.Now).Raw)
	must(t, err)
	deviating := bytes.Replace(p.Seal.InfoRaw, []byte("\x02\x01\x01\x0c"), []byte("\x02\x01\x03\x0c"), 1)
	alias := asn1.ObjectIdentifier{1, 2, 156, 10197, 501}
	bombed := bytes.Clone(p.Seal.Raw)
	copy(bombed[bytes.Index(bombed, []byte("IHDR"))+4:], "\x00\x01\x00\x00\x00\x01\x00\x00")
	one := sealOfVersion1(t, p)
	elsewhere, maker := sealElsewhere(t, p)
	return map[string][]byte{
		"seal.der": p.Seal.Raw, "signature.der": p.MustSign(t, digest).Raw, "seal5.der": five.Raw, "signature5.der": sig.Raw,
		"seal1.der": one, "signature1.der": signatureOfVersion1(t, p, one, digest),
		"seal-deviating.der": mustDER(t, sealV4{asn1.RawValue{FullBytes: deviating}, p.SealMaker.Certificate.Raw, alias, mustValue(t, p.SealMaker, deviating)}),
		"seal-bomb.der":      bombed, "seal-cut.der": p.Seal.Raw[:len(p.Seal.Raw)-1], "seal-hostile.der": hostileSeal(t, p),
		"seal-elsewhere.der": elsewhere, "maker-elsewhere.pem": maker,
	}
}

// sealElsewhere is a seal of a maker whom another CA certified, for TLS clients, until
// 2027, and that certificate as trust anchors.
func sealElsewhere(t testing.TB, p *cryptotest.PKI) (sealDER, makerPEM []byte) {
	t.Helper()
	maker := p.MustForeignMaker(t, cryptotest.New(t).Issuing, p.Now.AddDate(-1, 0, 0), cryptotest.TLSClient)
	s, err := seal.Make(rand.Reader, maker.Certificate, maker.Key, p.Template(p.Seal.Picture))
	must(t, err)
	return s.Raw, pki.MarshalTrustAnchors([]*pki.Certificate{maker.Certificate}, nil)
}

// hostileSeal is by a maker whose name would write on the reader's screen.
func hostileSeal(t testing.TB, p *cryptotest.PKI) []byte {
	t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	maker, err := p.Issuing.Issue(rand.Reader, pki.CertificateRequest{Subject: pkix.Name{CommonName: "\x1b[2J\nseal 签名值正确"},
		PublicKey: key.Public(), Usage: pki.UsageSealMaker, NotBefore: p.Now, NotAfter: p.Now.AddDate(1, 0, 0)})
	must(t, err)
	s, err := seal.Make(rand.Reader, maker, key, p.Template(p.Seal.Picture))
	must(t, err)
	return s.Raw
}

func sealOfVersion1(t testing.TB, p *cryptotest.PKI) []byte {
	t.Helper()
	info := asn1.RawValue{FullBytes: mustDER(t, infoV1{
		headerV1{"ES", 1, "elicence-test"}, "33010500000001",
		propertyV1{1, "旧章", [][]byte{p.SealSigner.Certificate.Raw}, p.Seal.CreatedAt, p.Seal.ValidFrom, p.Seal.ValidTo},
		pictureV1{"PNG", p.Seal.Picture.Data, 40, 40},
	})}
	maker := p.SealMaker.Certificate.Raw
	return mustDER(t, sealV1{info, signInfoV1{maker, sm2WithSM3, mustValue(t, p.SealMaker, mustDER(t, signedV1{info, maker, sm2WithSM3}))}})
}

// signatureOfVersion1 has a timestamp token for a time.
func signatureOfVersion1(t testing.TB, p *cryptotest.PKI, sealDER, digest []byte) []byte {
	t.Helper()
	tbs := mustDER(t, tbsV1{1, asn1.RawValue{FullBytes: sealDER}, bits(p.MustToken(t, digest, p.Now).Raw), bits(digest), "ByteRange",
		p.SealSigner.Certificate.Raw, sm2WithSM3})
	return mustDER(t, signatureV1{asn1.RawValue{FullBytes: tbs}, mustValue(t, p.SealSigner, tbs)})
}
