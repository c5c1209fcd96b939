package tsa_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/tsa"
	"elicence/testdata/hostile"

	"github.com/emmansun/gmsm/sm3"
)

var message = []byte("signature value")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustMarshal(t testing.TB, value any, params string) []byte {
	t.Helper()
	der, err := asn1.MarshalWithParams(value, params)
	must(t, err)
	return der
}

func algorithm(id ...int) pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{Algorithm: id}
}

// parts are what a token is made of, taken apart for a test to change.
type parts struct {
	info       tsa.TSTInfo
	attributes []tsa.Attribute // messageDigest is set afterwards, from info
	content    tsa.ContentInfo // SignedAttrs and Signature are set afterwards
	raw        func([]byte) []byte
}

// rebuilt takes a token apart, has alter change it, and signs it again, so that only
// the change itself can be the reason to refuse.
func rebuilt(t *testing.T, p *cryptotest.PKI, alter func(*parts)) []byte {
	t.Helper()
	var x parts
	_, err := asn1.Unmarshal(p.MustToken(t, message, p.Now).Raw, &x.content)
	must(t, err)
	signed := &x.content.Content
	_, err = asn1.Unmarshal(signed.EncapContentInfo.EContent, &x.info)
	must(t, err)
	si := &signed.SignerInfos[0]
	set := bytes.Clone(si.SignedAttrs.FullBytes)
	set[0] = 0x31
	_, err = asn1.UnmarshalWithParams(set, &x.attributes, "set")
	must(t, err)
	x.drop(tsa.OIDMinimalForm)
	before := mustMarshal(t, x.info, "")

	alter(&x)

	if info := mustMarshal(t, x.info, ""); !bytes.Equal(info, before) {
		signed.EncapContentInfo.EContent = info
		digest := sm3.Sum(info)
		for i, a := range x.attributes {
			if a.Type.Equal(tsa.OIDMessageDigest) {
				x.attributes[i].Values = []asn1.RawValue{{FullBytes: mustMarshal(t, digest[:], "")}}
			}
		}
	}
	set = mustMarshal(t, x.attributes, "set")
	signature, err := pki.SignMessage(rand.Reader, p.TSA.Key, set)
	must(t, err)
	if len(signed.SignerInfos) > 0 {
		tagged := bytes.Clone(set)
		tagged[0] = 0xa0
		signed.SignerInfos[0].SignedAttrs = asn1.RawValue{FullBytes: tagged}
		signed.SignerInfos[0].Signature = signature
	}
	der := mustMarshal(t, x.content, "")
	if x.raw != nil {
		der = x.raw(der)
	}
	return der
}

func (x *parts) attribute(id asn1.ObjectIdentifier) *tsa.Attribute {
	i := slices.IndexFunc(x.attributes, func(a tsa.Attribute) bool { return a.Type.Equal(id) })
	return &x.attributes[i]
}

func (x *parts) drop(id asn1.ObjectIdentifier) {
	x.attributes = slices.DeleteFunc(x.attributes, func(a tsa.Attribute) bool { return a.Type.Equal(id) })
}

func TestToken(t *testing.T) {
	p := cryptotest.New(t)
	token := p.MustToken(t, message, p.Now.Add(1700*time.Millisecond))
	imprint := sm3.Sum(message)
	switch {
	case !token.Time.Equal(p.Now.Add(time.Second)) || token.Accuracy != time.Second:
		t.Errorf("time %s ± %s", token.Time, token.Accuracy)
	case !bytes.Equal(token.Imprint, imprint[:]) || token.Policy != cryptotest.Policy:
		t.Errorf("imprint %x, policy %s", token.Imprint, token.Policy)
	case token.SerialNumber.Sign() <= 0 || token.Nonce == nil:
		t.Errorf("serial number %v, nonce %v", token.SerialNumber, token.Nonce)
	case !token.Certificate.Equal(p.TSA.Certificate) || len(token.Intermediates) != 0:
		t.Error("certificates are others")
	}
	must(t, token.Check(message))
	if token.Check([]byte("another")) == nil {
		t.Error("token is good for another message")
	}
	if _, err := p.Anchors.CheckPath(token.Certificate, pki.PathOptions{Usage: pki.UsageTimestamp, At: token.Time, Now: p.Now}); err != nil {
		t.Error(err)
	}
}

// TestTokenVariants reads what other authorities write, and what none should.
func TestTokenVariants(t *testing.T) {
	p := cryptotest.New(t)
	sha := sha256.Sum256(p.TSA.Certificate.Raw)
	binding := func(t *testing.T, ids ...tsa.ESSCertIDv2) []asn1.RawValue {
		return []asn1.RawValue{{FullBytes: mustMarshal(t, tsa.SigningCertificateV2{Certs: ids}, "")}}
	}
	certs := func(list ...*pki.Certificate) (raw []asn1.RawValue) {
		for _, c := range list {
			raw = append(raw, asn1.RawValue{FullBytes: c.Raw})
		}
		return raw
	}
	leaf, issuing, root := p.TSA.Certificate, p.Issuing.Certificate, p.Root.Certificate
	null := asn1.RawValue{FullBytes: []byte{5, 0}}
	genTime := func(x *parts, text string) {
		x.info.GenTime = asn1.RawValue{Tag: asn1.TagGeneralizedTime, Bytes: []byte(text)}
	}
	extension := func(critical bool) []pkix.Extension {
		return []pkix.Extension{{Id: []int{1, 2, 3}, Critical: critical, Value: []byte{5, 0}}}
	}
	const (
		good = iota
		unparsed
		unchecked // parses, but Check refuses
	)
	for _, c := range []struct {
		name  string
		want  int
		alter func(*parts)
	}{
		{"nothing", good, func(*parts) {}},
		{"RFC 5652 identifiers", good, func(x *parts) { x.content.ContentType, x.content.Content.Version = tsa.OIDSignedData, 3 }},
		{"GM identifiers with version 3", good, func(x *parts) { x.content.Content.Version = 3 }},
		{"SM2 as 1.2.156.10197.1.501", good, func(x *parts) { x.content.Content.SignerInfos[0].SignatureAlgorithm = algorithm(tsa.OIDSM2WithSM3...) }},
		{"NULL parameters", good, func(x *parts) {
			x.content.Content.DigestAlgorithms[0].Parameters = null
			x.content.Content.SignerInfos[0].DigestAlgorithm.Parameters = null
			x.content.Content.SignerInfos[0].SignatureAlgorithm.Parameters = null
		}},
		{"the whole chain", good, func(x *parts) { x.content.Content.Certificates = certs(leaf, issuing, root) }},
		{"fraction of a second", good, func(x *parts) { genTime(x, "20260601000000.123Z") }},
		{"accuracy in parts", good, func(x *parts) { x.info.Accuracy = tsa.Accuracy{Seconds: 1, Millis: 500, Micros: 250} }},
		{"no accuracy", good, func(x *parts) { x.info.Accuracy = tsa.Accuracy{} }},
		{"no nonce", good, func(x *parts) { x.info.Nonce = nil }},
		{"ordering, TSA name, extension", good, func(x *parts) {
			x.info.Ordering, x.info.Extensions = true, extension(false)
			x.info.TSA = asn1.RawValue{FullBytes: []byte{0xa0, 4, 0x86, 2, 'x', ':'}}
		}},
		{"bound by SHA-256", good, func(x *parts) {
			x.attribute(tsa.OIDSigningCertificateV2).Values = binding(t, tsa.ESSCertIDv2{CertHash: sha[:]})
		}},
		{"one more attribute", good, func(x *parts) {
			x.attributes = append(x.attributes, tsa.Attribute{Type: []int{1, 2, 3}, Values: []asn1.RawValue{null}})
		}},

		{"content type data", unparsed, func(x *parts) { x.content.ContentType = []int{1, 2, 840, 113549, 1, 7, 1} }},
		{"RFC 5652 with version 1", unparsed, func(x *parts) { x.content.ContentType = tsa.OIDSignedData }},
		{"version 4", unparsed, func(x *parts) { x.content.Content.Version = 4 }},
		{"two digest algorithms", unparsed, func(x *parts) {
			x.content.Content.DigestAlgorithms = append(x.content.Content.DigestAlgorithms, algorithm(1, 2, 3))
		}},
		{"digest SHA-256", unparsed, func(x *parts) { x.content.Content.DigestAlgorithms[0] = algorithm(2, 16, 840, 1, 101, 3, 4, 2, 1) }},
		{"signer's digest SHA-256", unparsed, func(x *parts) {
			x.content.Content.SignerInfos[0].DigestAlgorithm = algorithm(2, 16, 840, 1, 101, 3, 4, 2, 1)
		}},
		{"digest parameters of another kind", unparsed, func(x *parts) {
			x.content.Content.DigestAlgorithms[0].Parameters = asn1.RawValue{FullBytes: []byte{4, 0}}
		}},
		{"signed by ECDSA", unparsed, func(x *parts) {
			x.content.Content.SignerInfos[0].SignatureAlgorithm = algorithm(1, 2, 840, 10045, 4, 3, 2)
		}},
		{"SignerInfo version 3", unparsed, func(x *parts) { x.content.Content.SignerInfos[0].Version = 3 }},
		{"content of another type", unparsed, func(x *parts) { x.content.Content.EncapContentInfo.EContentType = []int{1, 2, 3} }},
		{"no signer", unparsed, func(x *parts) { x.content.Content.SignerInfos = nil }},
		{"two signers", unparsed, func(x *parts) {
			x.content.Content.SignerInfos = append(x.content.Content.SignerInfos, x.content.Content.SignerInfos[0])
		}},
		{"no certificates", unparsed, func(x *parts) { x.content.Content.Certificates = nil }},
		{"another's certificate", unparsed, func(x *parts) { x.content.Content.Certificates = certs(p.QR.Certificate) }},
		{"a spare certificate", unparsed, func(x *parts) { x.content.Content.Certificates = certs(leaf, p.QR.Certificate) }},
		{"a chain with a gap", unparsed, func(x *parts) { x.content.Content.Certificates = certs(leaf, root) }},
		{"its certificate twice", unparsed, func(x *parts) { x.content.Content.Certificates = certs(leaf, leaf) }},
		{"a namesake of its issuer", unparsed, func(x *parts) {
			x.content.Content.Certificates = certs(leaf, cryptotest.New(t).Issuing.Certificate)
		}},
		{"nine certificates", unparsed, func(x *parts) {
			x.content.Content.Certificates = certs(leaf, issuing, root, issuing, issuing, issuing, issuing, issuing, issuing)
		}},
		{"something that is no certificate", unparsed, func(x *parts) {
			x.content.Content.Certificates = append(certs(leaf), asn1.RawValue{FullBytes: []byte{0x30, 0}})
		}},
		{"certificates out of order", unparsed, func(x *parts) {
			x.content.Content.Certificates = certs(leaf, issuing)
			x.raw = func(der []byte) []byte { return swapped(t, der, leaf.Raw, issuing.Raw) }
		}},
		{"a byte after it", unparsed, func(x *parts) { x.raw = func(der []byte) []byte { return append(der, 0) } }},
		{"longer length", unparsed, func(x *parts) {
			x.raw = func(der []byte) []byte { return append([]byte{0x30, 0x83, 0}, der[2:]...) }
		}},
		{"over 64 KiB", unparsed, func(x *parts) {
			x.attributes = append(x.attributes, tsa.Attribute{Type: []int{1, 2, 3}, Values: []asn1.RawValue{{Tag: 4, Bytes: make([]byte, 64<<10)}}})
		}},
		{"TSTInfo version 2", unparsed, func(x *parts) { x.info.Version = 2 }},
		{"imprint by SHA-256", unparsed, func(x *parts) { x.info.MessageImprint.HashAlgorithm = algorithm(2, 16, 840, 1, 101, 3, 4, 2, 1) }},
		{"imprint too short", unparsed, func(x *parts) { x.info.MessageImprint.HashedMessage = x.info.MessageImprint.HashedMessage[:20] }},
		{"an extension twice", unparsed, func(x *parts) { x.info.Extensions = slices.Repeat(extension(false), 2) }},
		{"critical extension", unparsed, func(x *parts) { x.info.Extensions = extension(true) }},
		{"time with an offset", unparsed, func(x *parts) { genTime(x, "20260601000000+0800") }},
		{"time with trailing zeros", unparsed, func(x *parts) { genTime(x, "20260601000000.10Z") }},
		{"time with a comma", unparsed, func(x *parts) { genTime(x, "20260601000000,1Z") }},
		{"time without seconds", unparsed, func(x *parts) { genTime(x, "202606010000Z") }},
		{"30 February", unparsed, func(x *parts) { genTime(x, "20260230000000Z") }},
		{"time as UTCTime", unparsed, func(x *parts) { x.info.GenTime = asn1.RawValue{Tag: asn1.TagUTCTime, Bytes: []byte("260601000000Z")} }},
		{"accuracy below zero", unparsed, func(x *parts) { x.info.Accuracy.Seconds = -1 }},
		{"accuracy of 1000 ms", unparsed, func(x *parts) { x.info.Accuracy.Millis = 1000 }},
		{"accuracy of two days", unparsed, func(x *parts) { x.info.Accuracy.Seconds = 2 * 86400 }},
		{"no contentType", unparsed, func(x *parts) { x.drop(tsa.OIDContentType) }},
		{"no messageDigest", unparsed, func(x *parts) { x.drop(tsa.OIDMessageDigest) }},
		{"no signingCertificateV2", unparsed, func(x *parts) { x.drop(tsa.OIDSigningCertificateV2) }},
		{"contentType data", unparsed, func(x *parts) {
			x.attribute(tsa.OIDContentType).Values = []asn1.RawValue{{FullBytes: mustMarshal(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, "")}}
		}},
		{"an attribute twice", unparsed, func(x *parts) { x.attributes = append(x.attributes, *x.attribute(tsa.OIDContentType)) }},
		{"an attribute with two values", unparsed, func(x *parts) {
			a := x.attribute(tsa.OIDContentType)
			a.Values = append(a.Values, null)
		}},
		{"bound to nothing", unparsed, func(x *parts) { x.attribute(tsa.OIDSigningCertificateV2).Values = binding(t) }},
		{"bound by an unknown digest", unparsed, func(x *parts) {
			x.attribute(tsa.OIDSigningCertificateV2).Values = binding(t, tsa.ESSCertIDv2{HashAlgorithm: algorithm(1, 2, 3), CertHash: sha[:]})
		}},

		{"bound to another certificate", unchecked, func(x *parts) {
			other := sm3.Sum(p.QR.Certificate.Raw)
			x.attribute(tsa.OIDSigningCertificateV2).Values = binding(t, tsa.ESSCertIDv2{HashAlgorithm: algorithm(tsa.OIDSM3...), CertHash: other[:]})
		}},
		{"bound second", unchecked, func(x *parts) {
			other := sha256.Sum256(p.QR.Certificate.Raw)
			x.attribute(tsa.OIDSigningCertificateV2).Values = binding(t, tsa.ESSCertIDv2{CertHash: other[:]}, tsa.ESSCertIDv2{CertHash: sha[:]})
		}},
		{"over another message", unchecked, func(x *parts) { x.info.MessageImprint.HashedMessage = make([]byte, 32) }},
		{"content changed after signing", unchecked, func(x *parts) {
			e := &x.content.Content.EncapContentInfo
			e.EContent = bytes.Replace(e.EContent, []byte("20260601000000Z"), []byte("20250601000000Z"), 1)
		}},
		{"digest of another content", unchecked, func(x *parts) {
			x.attribute(tsa.OIDMessageDigest).Values = []asn1.RawValue{{FullBytes: mustMarshal(t, make([]byte, 32), "")}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			token, err := tsa.ParseToken(rebuilt(t, p, c.alter))
			if (err == nil) == (c.want == unparsed) || (token == nil) != (err != nil) {
				t.Fatalf("token %v, error %v", token != nil, err)
			}
			if err == nil {
				if err := token.Check(message); (err == nil) != (c.want == good) {
					t.Errorf("Check: %v", err)
				}
				minimal, err := tsa.ParseToken(token.Minimal())
				must(t, err)
				if err := minimal.Check(message); (err == nil) != (c.want == good) || !bytes.Equal(minimal.Minimal(), minimal.Raw) {
					t.Errorf("in its minimal form: %v", err)
				}
			}
		})
	}
}

// TestMinimalForm rewrites the parts of our own authority's tokens that its signature
// does not cover, without changing what they say.
func TestMinimalForm(t *testing.T) {
	p := cryptotest.New(t)
	minimal := func(x *parts) {
		x.attributes = append(x.attributes, tsa.Attribute{Type: tsa.OIDMinimalForm, Values: []asn1.RawValue{{FullBytes: []byte{5, 0}}}})
	}
	null := asn1.RawValue{FullBytes: []byte{5, 0}}
	if _, err := tsa.ParseToken(rebuilt(t, p, minimal)); err != nil {
		t.Fatal(err)
	}
	for name, alter := range map[string]func(*tsa.SignedData){
		"version 3":                  func(s *tsa.SignedData) { s.Version = 3 },
		"SM2 as 1.2.156.10197.1.501": func(s *tsa.SignedData) { s.SignerInfos[0].SignatureAlgorithm = algorithm(tsa.OIDSM2WithSM3...) },
		"NULL beside the digest":     func(s *tsa.SignedData) { s.DigestAlgorithms[0].Parameters = null },
		"NULL beside the signature":  func(s *tsa.SignedData) { s.SignerInfos[0].SignatureAlgorithm.Parameters = null },
		"with its issuer": func(s *tsa.SignedData) {
			s.Certificates = append(s.Certificates, asn1.RawValue{FullBytes: p.Issuing.Certificate.Raw})
		},
		"NULL beside signer's digest": func(s *tsa.SignedData) { s.SignerInfos[0].DigestAlgorithm.Parameters = null },
	} {
		for _, rfc := range []bool{false, true} {
			der := rebuilt(t, p, func(x *parts) {
				minimal(x)
				alter(&x.content.Content)
				if rfc {
					x.content.ContentType, x.content.Content.Version = tsa.OIDSignedData, 3
				}
			})
			if _, err := tsa.ParseToken(der); err == nil {
				t.Errorf("%s (RFC 5652 %v): accepted", name, rfc)
			}
		}
	}
}

// TestClientMinimizes: whatever form an authority writes, the client hands out one.
func TestClientMinimizes(t *testing.T) {
	p := cryptotest.New(t)
	nonce := bytes.Repeat([]byte{7}, 16)
	token := rebuilt(t, p, func(x *parts) {
		x.info.Nonce = new(big.Int).SetBytes(nonce)
		x.content.ContentType, x.content.Content.Version = tsa.OIDSignedData, 3
		x.content.Content.Certificates = append(x.content.Content.Certificates, asn1.RawValue{FullBytes: p.Issuing.Certificate.Raw})
	})
	client := *p.Client
	client.Rand = bytes.NewReader(nonce)
	client.URL = answering(t, 200, "application/timestamp-reply", mustMarshal(t, tsa.TimeStampResp{TimeStampToken: asn1.RawValue{FullBytes: token}}, ""))
	got, err := client.Timestamp(t.Context(), message)
	must(t, err)
	if bytes.Equal(got.Raw, token) || !bytes.Equal(got.Raw, got.Minimal()) || len(got.Intermediates) != 1 {
		t.Errorf("token of %d bytes, with %d certificates of issuers", len(got.Raw), len(got.Intermediates))
	}
}

// swapped exchanges two certificates that lie side by side in der.
func swapped(t *testing.T, der, x, y []byte) []byte {
	t.Helper()
	for _, pair := range [][2][]byte{{x, y}, {y, x}} {
		old := append(bytes.Clone(pair[0]), pair[1]...)
		if bytes.Contains(der, old) {
			return bytes.Replace(der, old, append(bytes.Clone(pair[1]), pair[0]...), 1)
		}
	}
	t.Fatal("certificates are not side by side")
	return nil
}

// TestTokenDetails compares what the less common parts are read as.
func TestTokenDetails(t *testing.T) {
	p := cryptotest.New(t)
	token, err := tsa.ParseToken(rebuilt(t, p, func(x *parts) {
		x.info.GenTime = asn1.RawValue{Tag: asn1.TagGeneralizedTime, Bytes: []byte("20260601000000.25Z")}
		x.info.Accuracy = tsa.Accuracy{Seconds: 1, Millis: 500, Micros: 250}
		x.info.Nonce = big.NewInt(-7)
		x.content.Content.Certificates = []asn1.RawValue{{FullBytes: p.Root.Certificate.Raw}, {FullBytes: p.TSA.Certificate.Raw}, {FullBytes: p.Issuing.Certificate.Raw}}
	}))
	must(t, err)
	if !token.Time.Equal(p.Now.Add(250*time.Millisecond)) || token.Accuracy != 1500250*time.Microsecond || token.Nonce.Int64() != -7 {
		t.Errorf("time %s ± %s, nonce %s", token.Time, token.Accuracy, token.Nonce)
	}
	if len(token.Intermediates) != 2 || !token.Intermediates[0].Equal(p.Issuing.Certificate) || !token.Intermediates[1].Equal(p.Root.Certificate) {
		t.Error("intermediates are not issuing CA, then root")
	}
}

func TestTokenOpenSSL(t *testing.T) {
	p := cryptotest.New(t)
	signed, signature := p.MustToken(t, message, p.Now).SignedBytes()
	if !cryptotest.OpenSSLVerifies(t, p.TSA.Certificate.PublicKey, signed, signature) {
		t.Error("OpenSSL does not verify the token")
	}
	flipped := bytes.Clone(signed)
	flipped[len(flipped)-1] ^= 1
	if cryptotest.OpenSSLVerifies(t, p.TSA.Certificate.PublicKey, flipped, signature) {
		t.Error("OpenSSL verifies the token with a bit flipped")
	}
}

func FuzzParseToken(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	f.Add(p.MustToken(f, message, p.Now).Raw)
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		var token *tsa.Token
		var err error
		hostile.Within(t, func() { token, err = tsa.ParseToken(der) })
		if err != nil {
			if token != nil {
				t.Error("error with a token")
			}
			return
		}
		if !bytes.Equal(token.Raw, der) {
			t.Error("token is not the whole input")
		}
		_ = token.Check(message)
		var content tsa.ContentInfo
		_, err = asn1.Unmarshal(der, &content)
		must(t, err)
		if !bytes.Equal(mustMarshal(t, content, ""), der) {
			t.Error("token marshals to other bytes")
		}
		if _, err := tsa.ParseToken(append(bytes.Clone(der), 0)); err == nil {
			t.Error("parses with a byte after it")
		}
	})
}

func BenchmarkParseToken(b *testing.B) {
	p := cryptotest.New(b)
	raw := p.MustToken(b, message, p.Now).Raw
	b.ReportAllocs()
	for b.Loop() {
		token, err := tsa.ParseToken(raw)
		if err != nil || token.Check(message) != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRespond(b *testing.B) {
	p := cryptotest.New(b)
	request := mustMarshal(b, tsa.Request(make([]byte, 32), big.NewInt(1)), "")
	for b.Loop() {
		p.Authority.Respond(request)
	}
}
