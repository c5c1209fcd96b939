package pki_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"
	"testing/iotest"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/testdata/hostile"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func TestIssue(t *testing.T) {
	p := cryptotest.New(t)
	cert := p.SealSigner.Certificate
	if cert.KeyUsage != smx509.KeyUsageDigitalSignature|smx509.KeyUsageContentCommitment || cert.IsCA {
		t.Errorf("key usage %b, CA %v", cert.KeyUsage, cert.IsCA)
	}
	if want := (asn1.ObjectIdentifier{2, 25, 561737094, 2}); len(cert.UnknownExtKeyUsage) != 1 || !cert.UnknownExtKeyUsage[0].Equal(want) {
		t.Errorf("extended key usage %v, want %v", cert.UnknownExtKeyUsage, want)
	}
	if digest := sm3.Sum([]byte("elicence certificate usage")); cert.UnknownExtKeyUsage[0][2] != int(digest[0])<<23|int(digest[1])<<15|int(digest[2])<<7|int(digest[3])>>1 {
		t.Error("the private arc is not what its comment says")
	}
	if printableString := "\x13\x12"; !bytes.Contains(cert.Raw, []byte(printableString+cryptotest.USCC)) {
		t.Error("no unified social credit code as PrintableString")
	}
	if !bytes.Equal(cert.AuthorityKeyId, p.Issuing.Certificate.SubjectKeyId) || len(cert.SubjectKeyId) != 20 {
		t.Error("key identifiers do not link the certificate to its CA")
	}
	if p.Root.Certificate.MaxPathLen != 1 || !p.Issuing.Certificate.MaxPathLenZero {
		t.Error("path lengths are not 1 and 0")
	}
	digest := sm3.Sum(cert.Raw)
	if id := pki.KeyID(cert); !bytes.Equal(id[:], digest[:8]) {
		t.Errorf("key id %x", id)
	}
	if !pki.SamePublicKey(cert, p.SealSigner.Key) || pki.SamePublicKey(cert, p.QR.Key) {
		t.Error("SamePublicKey is wrong")
	}
}

func TestIssueRefuses(t *testing.T) {
	p := cryptotest.New(t)
	key := mustKey(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	good := pki.CertificateRequest{
		Subject: pkix.Name{CommonName: "x"}, PublicKey: key.Public(), Usage: pki.UsageQR,
		NotBefore: p.Now, NotAfter: p.Now.AddDate(1, 0, 0), CRLURL: "http://127.0.0.1/ca.crl",
	}
	cert, err := p.Issuing.Issue(rand.Reader, good)
	must(t, err)
	if len(cert.CRLDistributionPoints) != 1 {
		t.Error("CRL address is missing")
	}
	other := &pki.CA{Certificate: p.Issuing.Certificate, Key: p.Root.Key}
	for name, alter := range map[string]func(*pki.CertificateRequest){
		"outlives the CA":      func(r *pki.CertificateRequest) { r.NotAfter = p.Issuing.Certificate.NotAfter.Add(time.Second) },
		"begins before the CA": func(r *pki.CertificateRequest) { r.NotBefore = p.Issuing.Certificate.NotBefore.Add(-time.Second) },
		"empty validity":       func(r *pki.CertificateRequest) { r.NotAfter = r.NotBefore },
		"no usage":             func(r *pki.CertificateRequest) { r.Usage = "" },
		"unknown usage":        func(r *pki.CertificateRequest) { r.Usage = "seal" },
		"no key":               func(r *pki.CertificateRequest) { r.PublicKey = nil },
		"P-256 key":            func(r *pki.CertificateRequest) { r.PublicKey = ec.Public() },
		"USCC not ASCII":       func(r *pki.CertificateRequest) { r.USCC = "统一社会信用" },
		"USCC too short":       func(r *pki.CertificateRequest) { r.USCC = cryptotest.USCC[:17] },
		"USCC too long":        func(r *pki.CertificateRequest) { r.USCC = cryptotest.USCC + "0" },
		"USCC in small":        func(r *pki.CertificateRequest) { r.USCC = "11330105002500287c" },
	} {
		r := good
		alter(&r)
		if cert, err := p.Issuing.Issue(rand.Reader, r); err == nil || cert != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := other.Issue(rand.Reader, good); err == nil {
		t.Error("a CA issued with a key that is not its own")
	}
	if _, err := p.Issuing.Issue(iotest.ErrReader(errors.New("dry")), good); err == nil {
		t.Error("issued without randomness")
	}
	if _, err := p.Issuing.CRL(rand.Reader, -1, nil, p.Now, p.Now.Add(1)); err == nil {
		t.Error("CRL with a negative number")
	}
	if _, err := p.Issuing.CRL(rand.Reader, 1, nil, p.Now, p.Now); err == nil {
		t.Error("CRL that is never current")
	}
	if _, err := p.Issuing.CRL(rand.Reader, 1, []pki.Revoked{{At: p.Now}}, p.Now, p.Now.Add(1)); err == nil {
		t.Error("CRL entry without serial number")
	}
}

// TestDeviceCA runs a whole CA on keys that only sign digests.
func TestDeviceCA(t *testing.T) {
	p := cryptotest.New(t)
	ca, err := pki.NewRootCA(rand.Reader, device{mustKey(t)}, pki.CertificateRequest{
		Subject: pkix.Name{CommonName: "root"}, NotBefore: p.Now, NotAfter: p.Now.AddDate(1, 0, 0),
	})
	must(t, err)
	cert, err := ca.Issue(rand.Reader, pki.CertificateRequest{
		Subject: pkix.Name{CommonName: "leaf"}, PublicKey: mustKey(t).Public(), Usage: pki.UsageQR, NotBefore: p.Now, NotAfter: p.Now.AddDate(1, 0, 0),
	})
	must(t, err)
	crl, err := ca.CRL(rand.Reader, 1, nil, p.Now, p.Now.AddDate(0, 0, 1))
	must(t, err)
	a := anchors(t, []*pki.Certificate{ca.Certificate}, crl)
	if _, err := a.CheckPath(cert, pki.PathOptions{Usage: pki.UsageQR, At: p.Now, Now: p.Now}); err != nil {
		t.Error(err)
	}
}

// TestCertificatesOpenSSL has OpenSSL follow the chain step by step and check a CRL.
func TestCertificatesOpenSSL(t *testing.T) {
	p := cryptotest.New(t)
	root, issuing := p.Root.Certificate.Raw, p.Issuing.Certificate.Raw
	if !p.OpenSSLIssued(t, root, issuing) {
		t.Error("root has not issued the issuing CA")
	}
	for _, leaf := range []cryptotest.Leaf{p.SealMaker, p.SealSigner, p.QR, p.TSA, p.TrustList} {
		raw := leaf.Certificate.Raw
		if !p.OpenSSLIssued(t, issuing, raw) {
			t.Errorf("issuing CA has not issued %s", leaf.Certificate.Subject)
		}
		if p.OpenSSLIssued(t, root, raw) {
			t.Errorf("root has issued %s", leaf.Certificate.Subject)
		}
		flipped := bytes.Clone(raw)
		flipped[len(raw)-1] ^= 1
		if p.OpenSSLIssued(t, issuing, flipped) {
			t.Errorf("%s passes with a bit flipped", leaf.Certificate.Subject)
		}
	}
	crl, err := smx509.ParseRevocationList(p.MustCRL(t, pki.Revoked{SerialNumber: p.QR.Certificate.SerialNumber, At: p.Now, Reason: pki.KeyCompromise, InvalidityDate: p.Now}))
	must(t, err)
	if !cryptotest.OpenSSLVerifies(t, p.Issuing.Certificate.PublicKey, crl.RawTBSRevocationList, crl.Signature) {
		t.Error("CRL does not verify")
	}
	tbs := bytes.Clone(crl.RawTBSRevocationList)
	tbs[len(tbs)/2] ^= 1
	if cryptotest.OpenSSLVerifies(t, p.Issuing.Certificate.PublicKey, tbs, crl.Signature) {
		t.Error("CRL verifies with a bit flipped")
	}
}

// resigned builds a certificate's outer SEQUENCE anew from chosen parts.
func resigned(parts func(b *cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, parts)
	return b.BytesOrPanic()
}

func TestParseCertificate(t *testing.T) {
	p := cryptotest.New(t)
	cert := p.QR.Certificate
	again, err := pki.ParseCertificate(cert.Raw)
	must(t, err)
	if !again.Equal(cert) {
		t.Error("certificate read back differs")
	}
	algorithm := []byte{0x30, 0x0a, 6, 8, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 1, 0x83, 0x75}
	if !bytes.Contains(cert.Raw, algorithm) {
		t.Fatal("algorithm not found")
	}
	with := func(algorithm []byte, unused byte, tail []byte) []byte {
		return resigned(func(b *cryptobyte.Builder) {
			b.AddBytes(cert.RawTBSCertificate)
			b.AddBytes(algorithm)
			b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) { b.AddUint8(unused); b.AddBytes(cert.Signature) })
			b.AddBytes(tail)
		})
	}
	if !bytes.Equal(with(algorithm, 0, nil), cert.Raw) {
		t.Fatal("parts do not make up the certificate")
	}
	withNull := append([]byte{0x30, 0x0c}, append(bytes.Clone(algorithm[2:]), 5, 0)...)
	for name, der := range map[string][]byte{
		"empty":                         nil,
		"not DER":                       []byte("certificate"),
		"trailing byte":                 append(bytes.Clone(cert.Raw), 0),
		"truncated":                     cert.Raw[:len(cert.Raw)-1],
		"a fourth element":              with(algorithm, 0, []byte{5, 0}),
		"unused bits in the signature":  with(algorithm, 1, nil),
		"outer algorithm with NULL":     with(withNull, 0, nil),
		"length in a longer form":       append([]byte{0x30, 0x83, 0}, cert.Raw[2:]...),
		"over 16 KiB":                   with(algorithm, 0, make([]byte, 16<<10)),
		"the tbsCertificate alone":      cert.RawTBSCertificate,
		"a CRL":                         p.IssuingCRL,
		"two certificates back to back": append(bytes.Clone(cert.Raw), cert.Raw...),
	} {
		if got, err := pki.ParseCertificate(der); err == nil || got != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseCertificate(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	f.Add(p.Root.Certificate.Raw)
	f.Add(p.SealSigner.Certificate.Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		var cert *pki.Certificate
		var err error
		hostile.Within(t, func() { cert, err = pki.ParseCertificate(der) })
		if err != nil {
			if cert != nil {
				t.Error("error with a certificate")
			}
			return
		}
		if !bytes.Equal(cert.Raw, der) {
			t.Error("certificate is not the whole input")
		}
		hostile.CheckDER(t, der)
		if code, err := pki.USCC(cert); err != nil && code != "" {
			t.Error("error with a unified social credit code")
		}
		_, _ = p.Anchors.CheckPath(cert, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now})
	})
}
