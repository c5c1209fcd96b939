package pki_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/testdata/hostile"

	"github.com/emmansun/gmsm/smx509"
)

func TestParseTrustAnchors(t *testing.T) {
	p, foreign := cryptotest.New(t), cryptotest.New(t)
	root, issuing := p.Root.Certificate, p.Issuing.Certificate
	good := string(p.AnchorsPEM)
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	flipped := bytes.Clone(p.IssuingCRL)
	flipped[len(flipped)-1] ^= 1
	for name, in := range map[string]string{
		"empty":                     "",
		"comments":                  "# 信任锚\n" + good + "\n# 2026\n",
		"CRLs first":                block("X509 CRL", p.IssuingCRL) + block("CERTIFICATE", issuing.Raw),
		"a certificate twice":       block("CERTIFICATE", root.Raw) + block("CERTIFICATE", root.Raw),
		"lines ending in CR and LF": strings.ReplaceAll(good, "\n", "\r\n"),
	} {
		if _, err := pki.ParseTrustAnchors([]byte(in)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, in := range map[string]string{
		"text between blocks":             good + "hello\n" + good,
		"text before":                     "hello\n" + good,
		"a private key":                   good + block("PRIVATE KEY", []byte{1}),
		"first block cut":                 good[40:],
		"last block cut":                  good[:len(good)-20],
		"a damaged line":                  strings.Replace(good, "MII", "M!I", 1),
		"certificate of nothing":          block("CERTIFICATE", nil),
		"certificate with a byte after":   block("CERTIFICATE", append(bytes.Clone(root.Raw), 0)),
		"CRL as certificate":              block("CERTIFICATE", p.RootCRL),
		"certificate as CRL":              block("X509 CRL", root.Raw),
		"CRL without its issuer":          block("CERTIFICATE", root.Raw) + block("X509 CRL", p.IssuingCRL),
		"CRL of a namesake":               good + block("X509 CRL", foreign.IssuingCRL),
		"CRL with a bit flipped":          block("CERTIFICATE", issuing.Raw) + block("X509 CRL", flipped),
		"CRL with a byte after":           block("CERTIFICATE", issuing.Raw) + block("X509 CRL", append(bytes.Clone(p.IssuingCRL), 0)),
		"257 certificates":                manyCertificates(t, p),
		"over 8 MiB":                      strings.Repeat("\n", 8<<20) + good,
		"CRL signed by a leaf":            leafCRL(t, p),
		"partial CRL":                     oddCRL(t, p, func(l *smx509.RevocationList) { l.ExtraExtensions = critical([]int{2, 5, 29, 28}) }),
		"delta CRL":                       oddCRL(t, p, func(l *smx509.RevocationList) { l.ExtraExtensions = critical([]int{2, 5, 29, 27}) }),
		"CRL entry with another's issuer": oddCRL(t, p, func(l *smx509.RevocationList) { l.RevokedCertificateEntries = indirect(p.Now) }),
	} {
		if a, err := pki.ParseTrustAnchors([]byte(in)); err == nil || a != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func critical(id []int) []pkix.Extension {
	return []pkix.Extension{{Id: id, Critical: true, Value: []byte{5, 0}}}
}

func indirect(at time.Time) []smx509.RevocationListEntry {
	return []smx509.RevocationListEntry{{SerialNumber: big.NewInt(1), RevocationTime: at, ExtraExtensions: critical([]int{2, 5, 29, 29})}}
}

// oddCRL signs a list that CA.CRL would not give.
func oddCRL(t *testing.T, p *cryptotest.PKI, alter func(*smx509.RevocationList)) string {
	t.Helper()
	list := &smx509.RevocationList{Number: big.NewInt(5), ThisUpdate: p.Now, NextUpdate: p.Now.AddDate(0, 0, 1)}
	alter(list)
	der, err := smx509.CreateRevocationList(rand.Reader, list, p.Issuing.Certificate, p.Issuing.Key)
	must(t, err)
	return string(pki.MarshalTrustAnchors([]*pki.Certificate{p.Issuing.Certificate}, [][]byte{der}))
}

// leafCRL has a certificate without the right to sign CRLs sign one.
func leafCRL(t *testing.T, p *cryptotest.PKI) string {
	t.Helper()
	key := mustKey(t)
	may := func(usage smx509.KeyUsage) *pki.Certificate {
		return custom(t, p.Issuing, key.Public(), p.Now, func(c *pki.Certificate) {
			c.SubjectKeyId, c.KeyUsage = []byte("leaf"), usage
		})
	}
	crl, err := (&pki.CA{Certificate: may(smx509.KeyUsageCRLSign), Key: key}).CRL(rand.Reader, 1, nil, p.Now, p.Now.Add(time.Hour))
	must(t, err)
	return string(pki.MarshalTrustAnchors([]*pki.Certificate{may(smx509.KeyUsageDigitalSignature)}, [][]byte{crl}))
}

func manyCertificates(t *testing.T, p *cryptotest.PKI) string {
	t.Helper()
	var certs []*pki.Certificate
	for range 257 {
		certs = append(certs, custom(t, p.Issuing, p.QR.Key.Public(), p.Now, func(c *pki.Certificate) {
			c.SerialNumber = big.NewInt(int64(len(certs) + 1))
		}))
	}
	return string(pki.MarshalTrustAnchors(certs, nil))
}

func FuzzParseTrustAnchors(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	f.Add(p.AnchorsPEM)
	f.Add(pki.MarshalTrustAnchors(nil, [][]byte{p.IssuingCRL}))
	f.Fuzz(func(t *testing.T, in []byte) {
		var a *pki.TrustAnchors
		var err error
		hostile.Within(t, func() { a, err = pki.ParseTrustAnchors(in) })
		if (err == nil) == (a == nil) {
			t.Errorf("anchors %v with error %v", a, err)
		}
	})
}
