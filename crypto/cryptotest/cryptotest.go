// Package cryptotest gives tests a whole PKI in memory, with a seal and a running
// timestamp authority.
//
// Invariants: the clock stands at 2026-06-01T00:00:00Z; every certificate is
// valid from a year before to nine years after; the CRLs in Anchors are current for
// 30 days around Now and revoke nothing. Keys are random, as in service, and no test
// may depend on them, but for those that give NewFrom a fixed stream and keep what is
// made of it. Whatever goes wrong ends the test.
//
// Only tests import it. It holds no fixtures on disk and takes no part in trust.
package cryptotest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509/pkix"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/crypto/tsa"
)

// Policy is the policy that the test authority issues tokens under.
const Policy = "2.25.561737094.100"

// USCC is the unified social credit code in the seal signer's certificate.
const USCC = "11330105002500287C"

// Leaf is a certificate with its key.
type Leaf struct {
	Certificate *pki.Certificate
	Key         crypto.Signer
}

// PKI is everything a city would set up: root, issuing CA, the five leaves, a seal
// and a timestamp authority. Nothing in it may be changed by a test.
type PKI struct {
	Now           time.Time // 2026-06-01T00:00:00Z: when tests take place
	Root, Issuing *pki.CA

	SealMaker, SealSigner, QR, TSA, TrustList Leaf

	RootCRL, IssuingCRL []byte            // DER, number 1, nothing revoked
	AnchorsPEM          []byte            // root and issuing CA with both CRLs
	Anchors             *pki.TrustAnchors // AnchorsPEM parsed

	Seal      *seal.Seal       // with a small picture: see MustSeal for another
	Authority *tsa.Authority   // its clock stands at Now
	TSAServer *httptest.Server // the Authority over HTTP, closed with the test
	Client    *tsa.Client      // asks TSAServer and insists on TSA's certificate

	// Rand is where keys, serial numbers and signatures come from, now and later.
	Rand io.Reader

	crlNumber atomic.Int64
}

// New makes a PKI for one test. Two calls make two PKIs of the same names that do
// not trust each other, so a second one serves as the foreign one.
func New(t testing.TB) *PKI {
	t.Helper()
	return NewFrom(t, rand.Reader)
}

// NewFrom is New with the source of all randomness: the same bytes make the same PKI,
// and later the same signatures.
func NewFrom(t testing.TB, random io.Reader) *PKI {
	t.Helper()
	p := &PKI{Now: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), Rand: random}
	p.crlNumber.Store(1)
	key := p.mustKey(t)
	root, err := pki.NewRootCA(p.Rand, key, p.request("测试根证书", pki.UsageCA, nil))
	must(t, err)
	p.Root = root
	issuing := p.MustIssue(t, p.Root, "测试签发证书", pki.UsageCA)
	p.Issuing = &pki.CA{Certificate: issuing.Certificate, Key: issuing.Key}
	p.SealMaker = p.MustIssue(t, p.Issuing, "测试制章者", pki.UsageSealMaker)
	p.SealSigner = p.MustIssue(t, p.Issuing, "测试市市场监督管理局", pki.UsageSealSigner)
	p.QR = p.MustIssue(t, p.Issuing, "测试二维码签名", pki.UsageQR)
	p.TSA = p.MustIssue(t, p.Issuing, "测试时间戳", pki.UsageTimestamp)
	p.TrustList = p.MustIssue(t, p.Issuing, "测试信任列表", pki.UsageTrustList)
	p.RootCRL = p.mustCRL(t, p.Root, 1)
	p.IssuingCRL = p.mustCRL(t, p.Issuing, 1)
	p.AnchorsPEM = pki.MarshalTrustAnchors(
		[]*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate}, [][]byte{p.RootCRL, p.IssuingCRL})
	p.Anchors, err = pki.ParseTrustAnchors(p.AnchorsPEM)
	must(t, err)
	p.Seal = p.MustSeal(t, smallPicture(t))
	p.startTSA(t)
	return p
}

func (p *PKI) startTSA(t testing.TB) {
	p.Authority = &tsa.Authority{
		Certificate: p.TSA.Certificate, Key: p.TSA.Key, Policy: Policy,
		Now: func() time.Time { return p.Now }, Rand: p.Rand,
	}
	p.TSAServer = httptest.NewServer(p.Authority)
	t.Cleanup(p.TSAServer.Close)
	p.Client = &tsa.Client{
		URL: p.TSAServer.URL, HTTP: p.TSAServer.Client(), Rand: p.Rand,
		Policy: Policy, Certificate: p.TSA.Certificate,
	}
}

// MustIssue makes a key and has ca certify it.
func (p *PKI) MustIssue(t testing.TB, ca *pki.CA, name string, usage pki.Usage) Leaf {
	t.Helper()
	key := p.mustKey(t)
	cert, err := ca.Issue(p.Rand, p.request(name, usage, key.Public()))
	must(t, err)
	return Leaf{cert, key}
}

// MustSeal makes a seal with the given picture for the seal signer.
func (p *PKI) MustSeal(t testing.TB, picture seal.Picture) *seal.Seal {
	t.Helper()
	s, err := seal.Make(p.Rand, p.SealMaker.Certificate, p.SealMaker.Key, p.Template(picture))
	must(t, err)
	return s
}

// Template is what MustSeal makes seals from, for tests that want another.
func (p *PKI) Template(picture seal.Picture) seal.Template {
	return seal.Template{
		ID: "33010500000001", Vendor: "elicence-test", Type: seal.TypeUnit, Name: "测试市市场监督管理局",
		Signers:   []*pki.Certificate{p.SealSigner.Certificate},
		CreatedAt: p.Now.AddDate(0, -1, 0), ValidFrom: p.Now.AddDate(0, -1, 0), ValidTo: p.Now.AddDate(5, 0, 0),
		Picture: picture,
	}
}

// MustSign signs an SM3 digest with the PKI's seal at Now.
func (p *PKI) MustSign(t testing.TB, digest []byte) *seal.Signature {
	t.Helper()
	sig, err := seal.Sign(p.Rand, p.SealSigner.Key, p.SealSigner.Certificate, p.Seal, digest, "ByteRange", p.Now)
	must(t, err)
	return sig
}

// MustToken has the timestamp authority date message at the given time.
func (p *PKI) MustToken(t testing.TB, message []byte, at time.Time) *tsa.Token {
	t.Helper()
	authority := *p.Authority
	authority.Now = func() time.Time { return at }
	server := httptest.NewServer(&authority)
	defer server.Close()
	client := *p.Client
	client.URL, client.HTTP = server.URL, server.Client()
	token, err := client.Timestamp(context.Background(), message)
	must(t, err)
	return token
}

// MustCRL signs a CRL of the issuing CA with the next number, current around Now.
func (p *PKI) MustCRL(t testing.TB, revoked ...pki.Revoked) []byte {
	t.Helper()
	return p.mustCRL(t, p.Issuing, p.crlNumber.Add(1), revoked...)
}

// MustAnchors are p's anchors with the given leaves revoked, as PEM and parsed.
func (p *PKI) MustAnchors(t testing.TB, revoked ...pki.Revoked) ([]byte, *pki.TrustAnchors) {
	t.Helper()
	pemBytes := pki.MarshalTrustAnchors(
		[]*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate}, [][]byte{p.RootCRL, p.MustCRL(t, revoked...)})
	anchors, err := pki.ParseTrustAnchors(pemBytes)
	must(t, err)
	return pemBytes, anchors
}

func (p *PKI) mustCRL(t testing.TB, ca *pki.CA, number int64, revoked ...pki.Revoked) []byte {
	t.Helper()
	der, err := ca.CRL(p.Rand, number, revoked, p.Now.AddDate(0, 0, -30), p.Now.AddDate(0, 0, 30))
	must(t, err)
	return der
}

func (p *PKI) request(name string, usage pki.Usage, pub crypto.PublicKey) pki.CertificateRequest {
	r := pki.CertificateRequest{
		Subject:   pkix.Name{Country: []string{"CN"}, Organization: []string{"测试市"}, CommonName: name},
		PublicKey: pub, Usage: usage,
		NotBefore: p.Now.AddDate(-1, 0, 0), NotAfter: p.Now.AddDate(9, 0, 0),
	}
	if usage == pki.UsageSealSigner {
		r.USCC = USCC
	}
	return r
}

func (p *PKI) mustKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := pki.GenerateKey(p.Rand)
	must(t, err)
	return key
}

// smallPicture is a red square of 40 mm.
func smallPicture(t testing.TB) seal.Picture {
	t.Helper()
	img := image.NewPaletted(image.Rect(0, 0, 16, 16), color.Palette{color.RGBA{R: 0xd0, A: 0xff}})
	var data bytes.Buffer
	must(t, png.Encode(&data, img))
	return seal.Picture{Type: "PNG", Data: data.Bytes(), Width: 40, Height: 40}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
