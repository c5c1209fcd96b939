package seal_test

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
)

func bits(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

func raw(der []byte) asn1.RawValue { return asn1.RawValue{FullBytes: der} }

func mustValue(t testing.TB, key cryptotest.Leaf, message []byte) []byte {
	t.Helper()
	value, err := pki.SignMessage(rand.Reader, key.Key, message)
	must(t, err)
	return value
}

// makeV1 makes a seal of version 1, which the package only reads.
func makeV1(t testing.TB, p *cryptotest.PKI, alter func(*seal.SESSealInfoV1), oid asn1.ObjectIdentifier) []byte {
	t.Helper()
	var header seal.SESSealInfo
	_, err := asn1.Unmarshal(p.Seal.InfoRaw, &header)
	must(t, err)
	info := seal.SESSealInfoV1{Header: header.Header, EsID: header.EsID, Picture: header.Picture, Property: seal.SESPropertyV1{
		Type: 1, Name: "旧章", CertList: raw(mustMarshal(t, [][]byte{p.SealSigner.Certificate.Raw})),
		CreateDate: p.Seal.CreatedAt, ValidStart: p.Seal.ValidFrom, ValidEnd: p.Seal.ValidTo,
	}}
	info.Header.Version = 1
	alter(&info)
	return sealV1(t, p, mustMarshal(t, info), oid)
}

// sealV1 signs any SES_SealInfo as version 1 does.
func sealV1(t testing.TB, p *cryptotest.PKI, info []byte, oid asn1.ObjectIdentifier) []byte {
	t.Helper()
	infoRaw, maker := raw(info), p.SealMaker.Certificate.Raw
	value := mustValue(t, p.SealMaker, mustMarshal(t, seal.SESSignedV1{ESealInfo: infoRaw, Cert: maker, SignatureAlgorithm: oid}))
	return mustMarshal(t, seal.SESSealV1{ESealInfo: infoRaw, SignInfo: seal.SESSignInfoV1{Cert: maker, SignatureAlgorithm: oid, SignData: bits(value)}})
}

func asIs(*seal.SESSealInfoV1) {}

// signV1 makes a seal signature of version 1.
func signV1(t testing.TB, p *cryptotest.PKI, sealDER []byte, alter func(*seal.TBSSignV1)) []byte {
	t.Helper()
	at, err := asn1.MarshalWithParams(p.Now, "utc")
	must(t, err)
	tbs := seal.TBSSignV1{Version: 1, Eseal: raw(sealDER), TimeInfo: bits(at), DataHash: bits(digest("file")),
		PropertyInfo: "ByteRange", Cert: p.SealSigner.Certificate.Raw, SignatureAlgorithm: seal.SM2WithSM3}
	alter(&tbs)
	der := mustMarshal(t, tbs)
	return mustMarshal(t, seal.SESSignatureV1{ToSign: raw(der), Signature: bits(mustValue(t, p.SealSigner, der))})
}

func TestSignatureV1(t *testing.T) {
	p := cryptotest.New(t)
	sealDER := makeV1(t, p, asIs, seal.SM2WithSM3)
	token := p.MustToken(t, digest("file"), p.Now).Raw
	generalized, err := asn1.MarshalWithParams(p.Now, "generalized")
	must(t, err)
	for _, c := range []struct {
		name string
		good bool
		tbs  func(*seal.TBSSignV1)
	}{
		{"time", true, func(*seal.TBSSignV1) {}},
		{"time in Beijing", true, func(s *seal.TBSSignV1) { s.TimeInfo = bits([]byte("\x17\x11260601080000+0800")) }},
		{"token", true, func(s *seal.TBSSignV1) { s.TimeInfo = bits(token) }},
		{"seal of version 4", true, func(s *seal.TBSSignV1) { s.Eseal = raw(p.Seal.Raw) }},
		{"nothing for a time", false, func(s *seal.TBSSignV1) { s.TimeInfo = asn1.BitString{} }},
		{"time without its tag", false, func(s *seal.TBSSignV1) { s.TimeInfo = bits([]byte("260601000000Z")) }},
		{"time without seconds", false, func(s *seal.TBSSignV1) { s.TimeInfo = bits([]byte("\x17\x0b2606010000Z")) }},
		{"time with a byte after", false, func(s *seal.TBSSignV1) { s.TimeInfo = bits(append(s.TimeInfo.Bytes, 0)) }},
		{"GeneralizedTime", false, func(s *seal.TBSSignV1) { s.TimeInfo = bits(generalized) }},
		{"time with unused bits", false, func(s *seal.TBSSignV1) { s.TimeInfo.BitLength-- }},
		{"token of 65 KiB", false, func(s *seal.TBSSignV1) { s.TimeInfo = bits(append([]byte{0x30}, make([]byte, 64<<10)...)) }},
		{"digest of 20 bytes", false, func(s *seal.TBSSignV1) { s.DataHash = bits(make([]byte, 20)) }},
		{"version 4", false, func(s *seal.TBSSignV1) { s.Version = 4 }},
		{"version 2", false, func(s *seal.TBSSignV1) { s.Version = 2 }},
		{"no certificate", false, func(s *seal.TBSSignV1) { s.Cert = nil }},
		{"other algorithm", false, func(s *seal.TBSSignV1) { s.SignatureAlgorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2} }},
		{"no seal", false, func(s *seal.TBSSignV1) { s.Eseal = raw([]byte{0x30, 0}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			der := signV1(t, p, sealDER, c.tbs)
			s, err := seal.ParseSignature(der, seal.Deviations()...)
			if (err == nil) != c.good || (s != nil) != c.good {
				t.Fatalf("error %v, signature %v", err, s != nil)
			}
			if c.good {
				checkV1(t, p, s, der)
			}
		})
	}
}

func checkV1(t *testing.T, p *cryptotest.PKI, s *seal.Signature, der []byte) {
	t.Helper()
	must(t, s.CheckSignature())
	must(t, s.Seal.CheckSignature())
	if (s.TimeToken == nil) != s.SigningTime.Equal(p.Now) || s.Version != 1 || !s.Seal.Lists(s.Certificate) || len(s.Deviations) > 0 {
		t.Errorf("version %d at %s, token %v, deviations %s", s.Version, s.SigningTime, s.TimeToken != nil, s.Deviations)
	}
	if again, err := seal.RemarshalSignature(s); err != nil || !bytes.Equal(again, der) {
		t.Errorf("marshals to other bytes, error %v", err)
	}
	if got, err := s.WithTimestamp([]byte("token")); err == nil || got != nil {
		t.Error("took a timestamp, for which version 1 has no place")
	}
	if !cryptotest.OpenSSLVerifies(t, s.Certificate.PublicKey, s.TBSRaw, s.SignatureValue) {
		t.Error("OpenSSL does not verify it")
	}
}

// TestSealV1 alters single parts of a seal of version 1 before it is signed.
func TestSealV1(t *testing.T) {
	p := cryptotest.New(t)
	for _, c := range []struct {
		name  string
		good  bool
		alter func(*seal.SESSealInfoV1)
	}{
		{"nothing", true, asIs},
		{"extensions", true, func(i *seal.SESSealInfoV1) { i.ExtDatas = []seal.Extension{extension(1, false)} }},
		{"critical extension", false, func(i *seal.SESSealInfoV1) { i.ExtDatas = []seal.Extension{extension(1, true)} }},
		{"extension twice", false, func(i *seal.SESSealInfoV1) { i.ExtDatas = []seal.Extension{extension(1, false), extension(1, false)} }},
		{"empty list", false, func(i *seal.SESSealInfoV1) { i.Property.CertList = raw([]byte{0x30, 0}) }},
		{"no list", false, func(i *seal.SESSealInfoV1) { i.Property.CertList = raw([]byte{5, 0}) }},
		{"picture bomb", false, func(i *seal.SESSealInfoV1) { i.Picture.Data = bomb(i.Picture.Data) }},
		{"version 4 in this structure", false, func(i *seal.SESSealInfoV1) { i.Header.Version = 4 }},
		{"type 0", false, func(i *seal.SESSealInfoV1) { i.Property.Type = 0 }},
	} {
		der := makeV1(t, p, c.alter, seal.SM2WithSM3)
		s, err := seal.ParseSeal(der, seal.Deviations()...)
		if (err == nil) != c.good || (s != nil) != c.good {
			t.Errorf("%s: error %v, seal %v", c.name, err, s != nil)
			continue
		}
		if !c.good {
			continue
		}
		if again, err := seal.Remarshal(s); err != nil || !bytes.Equal(again, der) || s.CheckSignature() != nil || !s.ValidAt(p.Now.Add(time.Hour)) {
			t.Errorf("%s: marshals to other bytes or does not verify, error %v", c.name, err)
		}
		if _, err := seal.Sign(rand.Reader, p.SealSigner.Key, p.SealSigner.Certificate, s, digest("file"), "", p.Now); err == nil {
			t.Error("signed with a seal of version 1")
		}
	}
}
