package pki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/smx509"
	"github.com/google/go-cmp/cmp"
)

// chain names the certificates of a path from the leaf up.
func chain(p pki.Path) (names []string) {
	for _, c := range p.Chain {
		names = append(names, c.Subject.CommonName)
	}
	return names
}

// reason is the fault that CheckPath found; "" when it found none.
func reason(t *testing.T, err error) pki.PathReason {
	t.Helper()
	var fault *pki.PathError
	if err == nil {
		return ""
	}
	if !errors.As(err, &fault) {
		t.Fatalf("%v is not a *PathError", err)
	}
	if fault.Certificate == nil || !strings.Contains(err.Error(), string(fault.Reason)) {
		t.Errorf("error %q does not name certificate and reason", err)
	}
	return fault.Reason
}

func anchors(t *testing.T, certs []*pki.Certificate, crls ...[]byte) *pki.TrustAnchors {
	t.Helper()
	a, err := pki.ParseTrustAnchors(pki.MarshalTrustAnchors(certs, crls))
	must(t, err)
	return a
}

// custom signs a certificate that no CertificateRequest would give: alter changes
// the template of an ordinary leaf.
func custom(t *testing.T, ca *pki.CA, pub crypto.PublicKey, at time.Time, alter func(*pki.Certificate)) *pki.Certificate {
	t.Helper()
	template := &pki.Certificate{
		SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "custom"},
		NotBefore: at.AddDate(-1, 0, 0), NotAfter: at.AddDate(1, 0, 0),
		BasicConstraintsValid: true, MaxPathLen: -1, KeyUsage: smx509.KeyUsageDigitalSignature,
	}
	alter(template)
	der, err := smx509.CreateCertificate(rand.Reader, template, ca.Certificate, pub, ca.Key)
	must(t, err)
	cert, err := pki.ParseCertificate(der)
	must(t, err)
	return cert
}

func TestCheckPathAnchors(t *testing.T) {
	p, foreign := cryptotest.New(t), cryptotest.New(t)
	root, issuing, leaf := p.Root.Certificate, p.Issuing.Certificate, p.SealSigner.Certificate
	both := []*pki.Certificate{root, issuing}
	staleCRL, err := p.Issuing.CRL(rand.Reader, 9, nil, p.Now.AddDate(0, 0, -9), p.Now.AddDate(0, 0, -2))
	must(t, err)
	cases := []struct {
		name          string
		anchors       *pki.TrustAnchors
		leaf          *pki.Certificate
		intermediates []*pki.Certificate
		want          pki.PathReason
		links         int
	}{
		{"root and issuing CA", p.Anchors, leaf, nil, "", 3},
		{"issuing CA alone ends the path", anchors(t, both[1:], p.IssuingCRL), leaf, nil, "", 2},
		{"root alone, issuing CA brought along: its CRL is not known", anchors(t, both[:1], p.RootCRL), leaf, both[1:], pki.RevocationUnknown, 0},
		{"root alone, nothing brought along", anchors(t, both[:1], p.RootCRL), leaf, nil, pki.NoPath, 0},
		{"pinned leaf", anchors(t, []*pki.Certificate{leaf}), leaf, nil, "", 1},
		{"pinned leaf with its CA, no CRL", anchors(t, []*pki.Certificate{leaf, issuing}), leaf, nil, pki.RevocationUnknown, 0},
		{"pinned leaf with its CA and CRL", anchors(t, []*pki.Certificate{leaf, issuing}, p.IssuingCRL), leaf, nil, "", 2},
		{"a pinned leaf is an anchor for itself only", anchors(t, []*pki.Certificate{p.QR.Certificate}), leaf, nil, pki.NoPath, 0},
		{"no anchors", anchors(t, nil), leaf, nil, pki.NoPath, 0},
		{"no CRL at all", anchors(t, both), leaf, nil, pki.RevocationUnknown, 0},
		{"no CRL of the root", anchors(t, both, p.IssuingCRL), leaf, nil, pki.RevocationUnknown, 0},
		{"no CRL of the issuing CA", anchors(t, both, p.RootCRL), leaf, nil, pki.RevocationUnknown, 0},
		{"only an old CRL", anchors(t, both, p.RootCRL, staleCRL), leaf, nil, pki.RevocationUnknown, 0},
		{"an old CRL beside a current one", anchors(t, both, p.RootCRL, staleCRL, p.IssuingCRL), leaf, nil, "", 3},
		{"foreign PKI of the same names", foreign.Anchors, leaf, nil, pki.BadSignature, 0},
		{"foreign issuing CA brought along", foreign.Anchors, leaf, both, pki.NoPath, 0},
		{"brought-along root cannot bend an anchored path", anchors(t, both[1:], p.IssuingCRL), leaf, both[:1], "", 2},
		{"too many brought along", p.Anchors, leaf, make([]*pki.Certificate, 17), pki.NoPath, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path, err := c.anchors.CheckPath(c.leaf, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now, Intermediates: c.intermediates})
			if got := reason(t, err); got != c.want || len(path.Chain) != c.links {
				t.Errorf("got %q with path %q, want %q with %d links", got, chain(path), c.want, c.links)
			}
		})
	}
}

func TestCheckPathTime(t *testing.T) {
	p := cryptotest.New(t)
	leaf := p.SealSigner.Certificate
	for _, c := range []struct {
		name    string
		at, now time.Time
		want    pki.PathReason
	}{
		{"first second", leaf.NotBefore, p.Now, ""},
		{"last second", leaf.NotAfter, p.Now, ""},
		{"before the first", leaf.NotBefore.Add(-time.Second), p.Now, pki.NotYetValid},
		{"after the last", leaf.NotAfter.Add(time.Second), p.Now, pki.Expired},
		{"CRL at its last moment", p.Now, p.Now.AddDate(0, 0, 30), ""},
		{"CRL out of date", p.Now, p.Now.AddDate(0, 0, 30).Add(time.Second), pki.RevocationUnknown},
		{"CRL not yet issued", p.Now, p.Now.AddDate(0, 0, -30).Add(-time.Second), pki.RevocationUnknown},
	} {
		_, err := p.Anchors.CheckPath(leaf, pki.PathOptions{Usage: pki.UsageSealSigner, At: c.at, Now: c.now})
		if got := reason(t, err); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCheckPathRevocation(t *testing.T) {
	p := cryptotest.New(t)
	leaf := p.SealSigner.Certificate
	day := func(n int) time.Time { return p.Now.AddDate(0, 0, n) }
	line := func(at time.Time, r pki.RevocationReason, invalid time.Time) pki.Revoked {
		return pki.Revoked{SerialNumber: leaf.SerialNumber, At: at, Reason: r, InvalidityDate: invalid}
	}
	for _, c := range []struct {
		name  string
		line  pki.Revoked
		want  pki.PathReason
		since time.Time
	}{
		{"before", line(day(-1), pki.Superseded, time.Time{}), pki.RevokedLink, day(-1)},
		{"at the same second", line(day(0), pki.Superseded, time.Time{}), pki.RevokedLink, day(0)},
		{"later", line(day(1), pki.Superseded, time.Time{}), "", time.Time{}},
		{"later, but the key was lost before", line(day(1), pki.KeyCompromise, day(-2)), pki.RevokedLink, day(-2)},
		{"later, the key lost later too", line(day(2), pki.KeyCompromise, day(1)), "", time.Time{}},
		{"later, key lost, date not stated", line(day(1), pki.KeyCompromise, time.Time{}), "", time.Time{}},
		{"later, invalid before for another reason", line(day(1), pki.CessationOfOperation, day(-2)), "", time.Time{}},
		{"before, stated as lost afterwards", line(day(-1), pki.KeyCompromise, day(1)), pki.RevokedLink, day(-1)},
		{"on hold", line(day(-1), pki.CertificateHold, time.Time{}), pki.RevokedLink, day(-1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, a := p.MustAnchors(t, c.line)
			path, err := a.CheckPath(leaf, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now})
			if got := reason(t, err); got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			var fault *pki.PathError
			if errors.As(err, &fault) && !fault.RevokedAt.Equal(c.since) {
				t.Errorf("revoked since %s, want %s", fault.RevokedAt, c.since)
			}
			if err == nil {
				if diff := cmp.Diff(path.RevokedLater, &c.line, cmp.Comparer(func(x, y *big.Int) bool { return x.Cmp(y) == 0 })); diff != "" {
					t.Errorf("RevokedLater (-got +want):\n%s", diff)
				}
			}
			if _, err := a.CheckPath(p.QR.Certificate, pki.PathOptions{Usage: pki.UsageQR, At: p.Now, Now: p.Now}); err != nil {
				t.Errorf("another leaf: %v", err)
			}
		})
	}

	revoked := pki.Revoked{SerialNumber: leaf.SerialNumber, At: day(-1)}
	t.Run("the higher number is believed", func(t *testing.T) {
		certs := []*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate}
		with, without := p.MustCRL(t, revoked), p.MustCRL(t)
		again := p.MustCRL(t, revoked)
		for name, c := range map[string]struct {
			lists [][]byte
			want  pki.PathReason
		}{
			"resumed":         {[][]byte{p.RootCRL, with, without}, ""},
			"in other order":  {[][]byte{without, p.RootCRL, with}, ""},
			"revoked anew":    {[][]byte{p.RootCRL, with, again, without}, pki.RevokedLink},
			"revoked at last": {[][]byte{p.RootCRL, without, again}, pki.RevokedLink},
		} {
			_, err := anchors(t, certs, c.lists...).CheckPath(leaf, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now})
			if got := reason(t, err); got != c.want {
				t.Errorf("%s: got %q, want %q", name, got, c.want)
			}
		}
	})
	t.Run("an old list still proves a revocation", func(t *testing.T) {
		_, a := p.MustAnchors(t, revoked)
		_, err := a.CheckPath(leaf, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now.AddDate(1, 0, 0)})
		if got := reason(t, err); got != pki.RevokedLink {
			t.Errorf("got %q", got)
		}
	})
	t.Run("issuing CA revoked", func(t *testing.T) {
		crl, err := p.Root.CRL(rand.Reader, 2, []pki.Revoked{{SerialNumber: p.Issuing.Certificate.SerialNumber, At: day(-1), Reason: pki.CACompromise}}, day(-1), day(1))
		must(t, err)
		for name, certs := range map[string][]*pki.Certificate{
			"above the leaf":   {p.Root.Certificate, p.Issuing.Certificate},
			"leaf pinned, too": {p.Root.Certificate, p.Issuing.Certificate, leaf},
		} {
			_, err = anchors(t, certs, crl, p.IssuingCRL).CheckPath(leaf, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now})
			if got := reason(t, err); got != pki.RevokedLink {
				t.Errorf("%s: got %q", name, got)
			}
		}
	})
}

func TestCheckPathCertificates(t *testing.T) {
	p := cryptotest.New(t)
	key := mustKey(t)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	extension := func(id []int, critical bool) func(*pki.Certificate) {
		return func(c *pki.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Critical: critical, Value: []byte{5, 0}})
		}
	}
	purposes := func(critical bool, ids ...asn1.ObjectIdentifier) func(*pki.Certificate) {
		return func(c *pki.Certificate) {
			value, err := asn1.Marshal(ids)
			must(t, err)
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: []int{2, 5, 29, 37}, Critical: critical, Value: value})
		}
	}
	stamping, email := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 4}
	anyPurpose := asn1.ObjectIdentifier{2, 5, 29, 37, 0}
	for _, c := range []struct {
		name   string
		usage  pki.Usage
		pub    crypto.PublicKey
		alter  func(*pki.Certificate)
		pinned bool
		want   pki.PathReason
	}{
		{"no purpose, as a seal signer", pki.UsageSealSigner, key.Public(), func(*pki.Certificate) {}, false, ""},
		{"no purpose, as a seal maker", pki.UsageSealMaker, key.Public(), func(*pki.Certificate) {}, false, pki.WrongUsage},
		{"no purpose, as a QR signer", pki.UsageQR, key.Public(), func(*pki.Certificate) {}, false, pki.WrongUsage},
		{"no purpose, as a TSA", pki.UsageTimestamp, key.Public(), func(*pki.Certificate) {}, false, pki.WrongUsage},
		{"no purpose, as a TSA, pinned", pki.UsageTimestamp, key.Public(), func(*pki.Certificate) {}, true, ""},
		{"no purpose, as a seal maker, pinned", pki.UsageSealMaker, key.Public(), func(*pki.Certificate) {}, true, ""},
		{"other purpose, pinned", pki.UsageSealMaker, key.Public(), purposes(false, email), true, pki.WrongUsage},
		{"other purpose, as a seal signer", pki.UsageSealSigner, key.Public(), purposes(false, email), false, pki.WrongUsage},
		{"any purpose", pki.UsageSealSigner, key.Public(), purposes(false, anyPurpose), false, pki.WrongUsage},
		{"timestamping, critical", pki.UsageTimestamp, key.Public(), purposes(true, stamping), false, ""},
		{"timestamping, not critical", pki.UsageTimestamp, key.Public(), purposes(false, stamping), false, pki.WrongUsage},
		{"timestamping among others", pki.UsageTimestamp, key.Public(), purposes(true, stamping, email), false, pki.WrongUsage},
		{"key usage for encryption", pki.UsageSealSigner, key.Public(), func(c *pki.Certificate) { c.KeyUsage = smx509.KeyUsageKeyEncipherment }, false, pki.WrongUsage},
		{"a CA as a leaf", pki.UsageSealSigner, key.Public(), func(c *pki.Certificate) { c.IsCA = true }, false, pki.WrongUsage},
		{"a leaf as a CA", pki.UsageCA, key.Public(), func(*pki.Certificate) {}, false, pki.WrongUsage},
		{"usage that is none", "", key.Public(), func(*pki.Certificate) {}, true, pki.WrongUsage},
		{"P-256 key", pki.UsageSealSigner, p256.Public(), func(*pki.Certificate) {}, false, pki.WrongAlgorithm},
		{"P-256 key, pinned", pki.UsageSealSigner, p256.Public(), func(*pki.Certificate) {}, true, pki.WrongAlgorithm},
		{"unknown critical extension", pki.UsageSealSigner, key.Public(), extension([]int{1, 2, 3, 4}, true), false, pki.WrongUsage},
		{"unknown extension", pki.UsageSealSigner, key.Public(), extension([]int{1, 2, 3, 4}, false), false, ""},
		{"expired", pki.UsageSealSigner, key.Public(), func(c *pki.Certificate) { c.NotAfter = p.Now.Add(-1e9) }, true, pki.Expired},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaf := custom(t, p.Issuing, c.pub, p.Now, c.alter)
			a := p.Anchors
			if c.pinned {
				a = anchors(t, []*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate, leaf}, p.RootCRL, p.IssuingCRL)
			}
			_, err := a.CheckPath(leaf, pki.PathOptions{Usage: c.usage, At: p.Now, Now: p.Now})
			if got := reason(t, err); got != c.want {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
		})
	}
}

// TestCheckPathIssuers puts certificates that may not sign others between leaf and root.
func TestCheckPathIssuers(t *testing.T) {
	p := cryptotest.New(t)
	crlSigner := func(c *pki.Certificate) {
		c.IsCA, c.MaxPathLenZero, c.SubjectKeyId = true, true, []byte("middle")
		c.MaxPathLen = 0
		c.KeyUsage = smx509.KeyUsageCertSign | smx509.KeyUsageCRLSign
	}
	for _, c := range []struct {
		name  string
		alter func(*pki.Certificate)
		want  pki.PathReason
	}{
		{"a CA", func(*pki.Certificate) {}, ""},
		{"not a CA", func(c *pki.Certificate) { c.IsCA, c.MaxPathLenZero, c.MaxPathLen = false, false, -1 }, pki.NotCA},
		{"no basic constraints", func(c *pki.Certificate) { c.BasicConstraintsValid = false }, pki.NotCA},
		{"key usage without certificates", func(c *pki.Certificate) { c.KeyUsage = smx509.KeyUsageCRLSign }, pki.NotCA},
		{"name constraints", func(c *pki.Certificate) { c.PermittedDNSDomains = []string{"gov.cn"} }, pki.NotCA},
		{"expired", func(c *pki.Certificate) { c.NotAfter = p.Now.Add(-time.Hour) }, pki.Expired},
		{"not yet valid", func(c *pki.Certificate) { c.NotBefore = p.Now.Add(time.Hour) }, pki.NotYetValid},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := mustKey(t)
			good := custom(t, p.Root, key.Public(), p.Now, crlSigner)
			middle := custom(t, p.Root, key.Public(), p.Now, func(m *pki.Certificate) { crlSigner(m); c.alter(m) })
			leaf := custom(t, &pki.CA{Certificate: good, Key: key}, mustKey(t).Public(), p.Now, func(*pki.Certificate) {})
			crl, err := (&pki.CA{Certificate: good, Key: key}).CRL(rand.Reader, 1, nil, p.Now, p.Now.Add(time.Hour))
			must(t, err)
			// The list is filed under the key, so the good certificate may bring it in;
			// only the other one is offered in the path.
			a, err := pki.ParseTrustAnchors(pki.MarshalTrustAnchors([]*pki.Certificate{p.Root.Certificate, middle}, [][]byte{p.RootCRL, crl}))
			if err != nil { // a list that this certificate may not sign is refused at once
				a = anchors(t, []*pki.Certificate{p.Root.Certificate, middle}, p.RootCRL)
			}
			_, err = a.CheckPath(leaf, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now})
			if got := reason(t, err); got != c.want {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
		})
	}
}

func TestCheckPathLength(t *testing.T) {
	p := cryptotest.New(t)
	// Issue never gives this: a CA below one whose path length is zero.
	key := mustKey(t)
	sub := custom(t, p.Issuing, key.Public(), p.Now, func(c *pki.Certificate) {
		c.IsCA, c.MaxPathLen, c.KeyUsage, c.SubjectKeyId = true, -1, smx509.KeyUsageCertSign|smx509.KeyUsageCRLSign, []byte("sub")
	})
	ca := &pki.CA{Certificate: sub, Key: key}
	leaf := custom(t, ca, mustKey(t).Public(), p.Now, func(*pki.Certificate) {})
	crl, err := ca.CRL(rand.Reader, 1, nil, p.Now, p.Now.Add(time.Hour))
	must(t, err)
	a := anchors(t, []*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate, sub}, p.RootCRL, p.IssuingCRL, crl)
	_, err = a.CheckPath(leaf, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now})
	if got := reason(t, err); got != pki.NotCA {
		t.Errorf("got %q", got)
	}
}

// TestCheckPathBounds goes to the limits of the search, beyond which nothing passes:
// a fault could lie in what was not looked at.
func TestCheckPathBounds(t *testing.T) {
	p := cryptotest.New(t)
	o := pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now}
	for cas, want := range map[int]pki.PathReason{5: "", 6: pki.NoPath} {
		var certs []*pki.Certificate
		var crls [][]byte
		above := p.Root
		for i := range cas { // an anchor above an anchor, the highest not self-signed
			key := mustKey(t)
			cert := custom(t, above, key.Public(), p.Now, func(c *pki.Certificate) {
				c.Subject.CommonName = strings.Repeat("x", i+1)
				c.IsCA, c.KeyUsage, c.SubjectKeyId = true, smx509.KeyUsageCertSign|smx509.KeyUsageCRLSign, []byte{byte(i)}
			})
			above = &pki.CA{Certificate: cert, Key: key}
			crl, err := above.CRL(rand.Reader, 1, nil, p.Now, p.Now.Add(time.Hour))
			must(t, err)
			certs, crls = append(certs, cert), append(crls, crl)
		}
		leaf := custom(t, above, mustKey(t).Public(), p.Now, func(*pki.Certificate) {})
		_, err := anchors(t, certs, crls...).CheckPath(leaf, o)
		if got := reason(t, err); got != want {
			t.Errorf("%d CAs above the leaf: got %q, want %q", cas, got, want)
		}
	}
	var namesakes []*pki.Certificate
	for range 70 {
		namesakes = append(namesakes, custom(t, p.Root, mustKey(t).Public(), p.Now, func(c *pki.Certificate) { c.Subject = p.Issuing.Certificate.Subject }))
	}
	pinned := append(namesakes, p.SealSigner.Certificate)
	_, err := anchors(t, pinned).CheckPath(p.SealSigner.Certificate, o)
	if got := reason(t, err); got != pki.NoPath {
		t.Errorf("70 possible issuers: got %q", got)
	}
}

// TestCheckPathConcurrently shares anchors between goroutines, for the race detector.
func TestCheckPathConcurrently(t *testing.T) {
	p := cryptotest.New(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if _, err := p.Anchors.CheckPath(p.QR.Certificate, pki.PathOptions{Usage: pki.UsageQR, At: p.Now, Now: p.Now}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestCheckPathCache flips bits of a certificate that has just passed: what is
// remembered must not stand for what is different.
func TestCheckPathCache(t *testing.T) {
	p := cryptotest.New(t)
	o := pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now}
	raw := p.SealSigner.Certificate.Raw
	for i := range raw {
		twisted := bytes.Clone(raw)
		twisted[i] ^= 1 << (i % 8)
		cert, err := pki.ParseCertificate(twisted)
		if err != nil {
			continue
		}
		if _, err := p.Anchors.CheckPath(cert, o); err == nil {
			t.Errorf("passes with byte %d changed", i)
		}
	}
	if _, err := p.Anchors.CheckPath(p.SealSigner.Certificate, o); err != nil {
		t.Error(err)
	}
}
