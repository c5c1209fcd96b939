package pki_test

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
)

// text is what OpenSSL prints of a certificate, its lines trimmed.
func text(t *testing.T, cert *pki.Certificate) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cert.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600))
	ok, out := cryptotest.OpenSSL(t, "x509", "-in", file, "-noout", "-text")
	if !ok {
		t.Fatal(out)
	}
	var lines []string
	for line := range strings.Lines(out) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}

// TestProfile reads each kind of certificate with OpenSSL.
func TestProfile(t *testing.T) {
	p := cryptotest.New(t)
	issue := func(usage pki.Usage) *pki.Certificate {
		cert, err := p.Issuing.Issue(rand.Reader, pki.CertificateRequest{
			Subject: pkix.Name{CommonName: "x"}, PublicKey: mustKey(t).Public(), Usage: usage, USCC: cryptotest.USCC,
			NotBefore: p.Now, NotAfter: p.Now.AddDate(1, 0, 0), CRLURL: "http://pki.example.org/pki/issuing.crl", OCSPURL: "http://pki.example.org/pki/ocsp",
		})
		must(t, err)
		return cert
	}
	leaf := []string{
		"Signature Algorithm: SM2-with-SM3",
		"X509v3 Key Usage: critical\nDigital Signature, Non Repudiation",
		"X509v3 Basic Constraints: critical\nCA:FALSE",
		"X509v3 Subject Key Identifier:", "X509v3 Authority Key Identifier:",
		"X509v3 CRL Distribution Points:\nFull Name:\nURI:http://pki.example.org/pki/issuing.crl",
		"Authority Information Access:\nOCSP - URI:http://pki.example.org/pki/ocsp",
		"1.2.156.10260.4.1.4:\n..11330105002500287C",
	}
	const purpose = "X509v3 Extended Key Usage:"
	for _, c := range []struct {
		name  string
		cert  *pki.Certificate
		holds []string
		lacks string
	}{
		{"root", p.Root.Certificate, []string{"X509v3 Key Usage: critical\nCertificate Sign, CRL Sign", "CA:TRUE, pathlen:1",
			"X509v3 Subject Key Identifier:", "X509v3 Authority Key Identifier:"}, purpose},
		{"issuing CA", p.Issuing.Certificate, []string{"X509v3 Key Usage: critical\nCertificate Sign, CRL Sign", "CA:TRUE, pathlen:0",
			"X509v3 Subject Key Identifier:", "X509v3 Authority Key Identifier:"}, "CRL Distribution"},
		{"seal signer", issue(pki.UsageSealSigner), append(leaf, purpose+"\n2.25.561737094.2"), "OCSP No Check"},
		{"timestamps", issue(pki.UsageTimestamp), append(leaf, "X509v3 Extended Key Usage: critical\nTime Stamping"), "OCSP No Check"},
		{"OCSP signer", issue(pki.UsageOCSP), append(leaf, purpose+"\nOCSP Signing", "OCSP No Check:"), "Time Stamping"},
	} {
		got := text(t, c.cert)
		for _, want := range c.holds {
			if !strings.Contains(got, want) {
				t.Errorf("%s: OpenSSL does not read %q in\n%s", c.name, want, got)
			}
		}
		if strings.Contains(got, c.lacks) {
			t.Errorf("%s: OpenSSL reads %q", c.name, c.lacks)
		}
	}
	for _, address := range []string{"ftp://example.org/a", "/pki/ocsp", "http://", "http://示例.cn/", "http://a b/", "http://a/\x00"} {
		r := pki.CertificateRequest{Subject: pkix.Name{CommonName: "x"}, PublicKey: mustKey(t).Public(), Usage: pki.UsageQR, NotBefore: p.Now, NotAfter: p.Now.AddDate(1, 0, 0)}
		r.CRLURL = address
		if _, err := p.Issuing.Issue(rand.Reader, r); err == nil {
			t.Errorf("CRL address %q accepted", address)
		}
		r.CRLURL, r.OCSPURL = "", address
		if _, err := p.Issuing.Issue(rand.Reader, r); err == nil {
			t.Errorf("OCSP address %q accepted", address)
		}
	}
}

func TestRevocationReasons(t *testing.T) {
	for _, name := range []string{"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded",
		"cessationOfOperation", "certificateHold", "privilegeWithdrawn", "aACompromise"} {
		r, err := pki.ParseRevocationReason(name)
		if err != nil || r.String() != name || !r.Known() {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	for _, name := range []string{"", "KeyCompromise", "removeFromCRL", "reason 7", "reason 8", "7", "lost"} {
		if r, err := pki.ParseRevocationReason(name); err == nil {
			t.Errorf("%q is %v", name, r)
		}
	}
}

// TestStatus: another word than a CRL counts where no CRL is current, and only there.
func TestStatus(t *testing.T) {
	p := cryptotest.New(t)
	leaf := p.SealSigner.Certificate
	both := []*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate}
	day := func(n int) time.Time { return p.Now.AddDate(0, 0, n) }
	list := func(next time.Time, lines ...pki.Revoked) []byte {
		der, err := p.Issuing.CRL(rand.Reader, 50, lines, day(-20), next)
		must(t, err)
		return der
	}
	line := func(at time.Time) *pki.Revoked {
		return &pki.Revoked{SerialNumber: leaf.SerialNumber, At: at, Reason: pki.Superseded}
	}
	good := &pki.Status{ThisUpdate: day(-1), NextUpdate: day(1)}
	revoked := func(at time.Time) *pki.Status {
		return &pki.Status{Revoked: line(at), ThisUpdate: day(-1), NextUpdate: day(1)}
	}
	rootOnly, stale := anchors(t, both, p.RootCRL), anchors(t, both, p.RootCRL, list(day(-2)))
	for _, c := range []struct {
		name    string
		anchors *pki.TrustAnchors
		status  *pki.Status
		want    pki.PathReason
		later   bool
		asked   bool
	}{
		{"good, no CRL", rootOnly, good, "", false, true},
		{"good, old CRL", stale, good, "", false, true},
		{"revoked before, no CRL", rootOnly, revoked(day(-1)), pki.RevokedLink, false, true},
		{"revoked later, old CRL", stale, revoked(day(1)), "", true, true},
		{"nothing known", rootOnly, nil, pki.RevocationUnknown, false, true},
		{"of yesterday", rootOnly, &pki.Status{ThisUpdate: day(-3), NextUpdate: day(-1)}, pki.RevocationUnknown, false, true},
		{"of tomorrow", rootOnly, &pki.Status{ThisUpdate: day(1), NextUpdate: day(2)}, pki.RevocationUnknown, false, true},
		{"without an end", rootOnly, &pki.Status{ThisUpdate: day(-1)}, pki.RevocationUnknown, false, true},
		{"good, but an old CRL revokes", anchors(t, both, p.RootCRL, list(day(-2), *line(day(-3)))), good, pki.RevokedLink, false, true},
		{"not asked where a CRL is current", p.Anchors, revoked(day(-1)), "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := false
			status := func(cert, issuer *pki.Certificate) *pki.Status {
				asked = asked || cert.Equal(leaf) && issuer.Equal(p.Issuing.Certificate)
				return c.status
			}
			path, err := c.anchors.CheckPath(leaf, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now, Status: status})
			if got := reason(t, err); got != c.want || (path.RevokedLater != nil) != c.later || asked != c.asked {
				t.Errorf("got %q (%v), revoked later %v, asked %t", got, err, path.RevokedLater, asked)
			}
		})
	}
	t.Run("not asked of an issuer that is no anchor", func(t *testing.T) {
		status := func(cert, issuer *pki.Certificate) *pki.Status { return good }
		_, err := anchors(t, both[:1], p.RootCRL).CheckPath(leaf, pki.PathOptions{
			Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now, Status: status, Intermediates: both[1:]})
		if got := reason(t, err); got != pki.RevocationUnknown {
			t.Errorf("got %q", got)
		}
	})
}

// TestNewestCRL: of several lists the one with the highest number is given out.
func TestNewestCRL(t *testing.T) {
	p := cryptotest.New(t)
	newest := p.MustCRL(t)
	a := anchors(t, []*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate}, newest, p.IssuingCRL)
	got, ok := a.CRL(p.Issuing.Certificate)
	if !ok || string(got.Raw) != string(newest) || got.Number.Int64() != 2 || !got.ThisUpdate.Before(got.NextUpdate) {
		t.Errorf("%t, number %v", ok, got.Number)
	}
	if _, ok := a.CRL(p.Root.Certificate); ok {
		t.Error("a list of the root from nowhere")
	}
}
