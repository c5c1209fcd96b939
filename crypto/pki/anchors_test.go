package pki_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
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

// TestWith lets anchors take in what they vouch for themselves, and nothing else.
func TestWith(t *testing.T) {
	p, foreign := cryptotest.New(t), cryptotest.New(t)
	root, issuing, leaf := p.Root.Certificate, p.Issuing.Certificate, p.SealSigner.Certificate
	day := func(n int) time.Time { return p.Now.AddDate(0, 0, n) }
	revokedIssuing, err := p.Root.CRL(rand.Reader, 2, []pki.Revoked{{SerialNumber: issuing.SerialNumber, At: day(-1)}}, day(-2), day(2))
	must(t, err)
	revokedLeaf := p.MustCRL(t, pki.Revoked{SerialNumber: leaf.SerialNumber, At: day(-1)})
	rootAlone := anchors(t, []*pki.Certificate{root}, p.RootCRL)
	issuers := []*pki.Certificate{issuing}
	for name, c := range map[string]struct {
		to    *pki.TrustAnchors
		certs []*pki.Certificate
		crls  [][]byte
		at    time.Time // zero: now
		want  pki.PathReason
	}{
		"issuing CA and its list":       {to: rootAlone, certs: issuers, crls: [][]byte{p.IssuingCRL}},
		"lists of both":                 {to: anchors(t, []*pki.Certificate{root}), certs: issuers, crls: [][]byte{p.IssuingCRL, p.RootCRL}},
		"list alone":                    {to: anchors(t, []*pki.Certificate{root, issuing}, p.RootCRL), crls: [][]byte{p.IssuingCRL}},
		"nothing":                       {to: rootAlone, want: pki.NoPath},
		"no list of the root":           {to: anchors(t, []*pki.Certificate{root}), certs: issuers, crls: [][]byte{p.IssuingCRL}, want: pki.NoPath},
		"no list of the issuing CA":     {to: rootAlone, certs: issuers, want: pki.RevocationUnknown},
		"issuing CA revoked":            {to: rootAlone, certs: issuers, crls: [][]byte{p.IssuingCRL, revokedIssuing}, want: pki.NoPath},
		"leaf revoked":                  {to: p.Anchors, crls: [][]byte{revokedLeaf}, want: pki.RevokedLink},
		"older list without revocation": {to: anchors(t, []*pki.Certificate{root, issuing}, p.RootCRL, revokedLeaf), crls: [][]byte{p.IssuingCRL}, want: pki.RevokedLink},
		"leaf as a CA":                  {to: rootAlone, certs: []*pki.Certificate{leaf}, crls: [][]byte{p.IssuingCRL}, want: pki.NoPath},
		"namesakes":                     {to: rootAlone, certs: []*pki.Certificate{foreign.Root.Certificate, foreign.Issuing.Certificate}, crls: [][]byte{foreign.RootCRL, foreign.IssuingCRL}, want: pki.NoPath},
		"long after":                    {to: rootAlone, certs: issuers, crls: [][]byte{p.IssuingCRL}, at: day(3650), want: pki.NoPath},
	} {
		at := c.at
		if at.IsZero() {
			at = p.Now
		}
		before := len(c.to.Certificates())
		more, err := c.to.With(c.certs, c.crls, at)
		must(t, err)
		_, err = more.CheckPath(leaf, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now})
		if got := reason(t, err); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if len(c.to.Certificates()) != before {
			t.Errorf("%s: the anchors themselves were changed", name)
		}
	}
	for name, c := range map[string]struct {
		certs []*pki.Certificate
		crls  [][]byte
	}{
		"no CRL":               {nil, [][]byte{root.Raw}},
		"CRL cut short":        {nil, [][]byte{p.RootCRL[:len(p.RootCRL)-1]}},
		"257 certificates":     {slices.Repeat(issuers, 257), nil},
		"more CRLs than count": {nil, slices.Repeat([][]byte{p.RootCRL}, 257)},
	} {
		if more, err := rootAlone.With(c.certs, c.crls, p.Now); err == nil || more != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestCheckPathLongAfter judges a path with lists of different times.
func TestCheckPathLongAfter(t *testing.T) {
	p := cryptotest.New(t)
	leaf := p.SealSigner.Certificate
	day := func(n int) time.Time { return p.Now.AddDate(0, 0, n) }
	revoked := pki.Revoked{SerialNumber: leaf.SerialNumber, At: day(-1)}
	t.Run("what was current then proves a revocation, though a newer list forgot it", func(t *testing.T) {
		then, err := p.Issuing.CRL(rand.Reader, 2, []pki.Revoked{revoked}, day(-1), day(1))
		must(t, err)
		later, err := p.Issuing.CRL(rand.Reader, 3, nil, day(3650), day(3651))
		must(t, err)
		a := anchors(t, []*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate}, p.RootCRL, then, later)
		_, err = a.CheckPath(leaf, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now})
		if got := reason(t, err); got != pki.RevokedLink {
			t.Errorf("got %q", got)
		}
	})
	t.Run("since when", func(t *testing.T) {
		certs := []*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate}
		newer, err := p.Issuing.CRL(rand.Reader, 2, nil, day(-1), day(1))
		must(t, err)
		for _, c := range []struct {
			name  string
			lists [][]byte
			since int // days from now
			want  pki.PathReason
		}{
			{"all newer", [][]byte{p.RootCRL, p.IssuingCRL}, -31, ""},
			{"made then", [][]byte{p.RootCRL, p.IssuingCRL}, -30, ""},
			{"all older", [][]byte{p.RootCRL, p.IssuingCRL}, -29, pki.RevocationUnknown},
			{"the root's older", [][]byte{p.RootCRL, newer}, -1, ""},
			{"newer than all", [][]byte{p.RootCRL, newer}, 0, pki.RevocationUnknown},
		} {
			_, err := anchors(t, certs, c.lists...).CheckPath(leaf, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now, Since: day(c.since)})
			if got := reason(t, err); got != c.want {
				t.Errorf("%s: got %q, want %q", c.name, got, c.want)
			}
		}
	})
}
