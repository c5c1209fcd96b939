package pki_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/smx509"
)

// TestCheckPathOtherUsage has certificates for other purposes make seals.
func TestCheckPathOtherUsage(t *testing.T) {
	p := cryptotest.New(t)
	ours := func(last int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 25, 561737094, last} }
	kp := func(last int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, last} }
	server, client, email, stamping, ocsp := kp(1), kp(2), kp(4), kp(8), kp(9)
	both := func(certs ...*pki.Certificate) *pki.TrustAnchors {
		return anchors(t, append(certs, p.Root.Certificate, p.Issuing.Certificate), p.RootCRL, p.IssuingCRL)
	}
	self := func(leaf *pki.Certificate) *pki.TrustAnchors { return anchors(t, []*pki.Certificate{leaf}) }
	withCA := func(leaf *pki.Certificate) *pki.TrustAnchors { return both(leaf) }
	caAlone := func(*pki.Certificate) *pki.TrustAnchors { return both() }
	sameKey := func(leaf *pki.Certificate) *pki.TrustAnchors { // another certificate of the maker's key and name
		return both(custom(t, p.Issuing, leaf.PublicKey, p.Now, func(c *pki.Certificate) { c.Subject = leaf.Subject }))
	}
	type ids = []asn1.ObjectIdentifier
	for _, c := range []struct {
		name     string
		usage    pki.Usage
		purposes ids
		anchors  func(leaf *pki.Certificate) *pki.TrustAnchors
		forbid   bool // the verifier does not allow it
		alter    func(*pki.Certificate)
		want     pki.PathReason
		other    string
	}{
		{name: "TLS client, pinned alone", purposes: ids{client}, anchors: self, other: client.String()},
		{name: "TLS client, pinned with its CA", purposes: ids{client}, anchors: withCA, other: client.String()},
		{name: "two others, pinned", purposes: ids{server, email}, anchors: self, other: server.String() + " " + email.String()},
		{name: "ours among others, pinned: nothing to report", purposes: ids{client, ours(1)}, anchors: self},
		{name: "not allowed by the verifier", purposes: ids{client}, anchors: self, forbid: true, want: pki.WrongUsage},
		{name: "TLS client under a pinned CA", purposes: ids{client}, anchors: caAlone, want: pki.WrongUsage},
		{name: "TLS server under a pinned CA", purposes: ids{server}, anchors: caAlone, want: pki.WrongUsage},
		{name: "TSA under a pinned CA", purposes: ids{stamping}, anchors: caAlone, want: pki.WrongUsage},
		{name: "another certificate of the same key is pinned", purposes: ids{client}, anchors: sameKey, want: pki.WrongUsage},
		{name: "TSA, pinned for its tokens", purposes: ids{stamping}, anchors: self, want: pki.WrongUsage},
		{name: "TSA and TLS client, pinned", purposes: ids{client, stamping}, anchors: self, want: pki.WrongUsage},
		{name: "OCSP signer, pinned", purposes: ids{ocsp}, anchors: self, want: pki.WrongUsage},
		{name: "seal signer, pinned", purposes: ids{ours(2)}, anchors: self, want: pki.WrongUsage},
		{name: "QR signer, pinned", purposes: ids{ours(3)}, anchors: withCA, want: pki.WrongUsage},
		{name: "trust list, pinned", purposes: ids{ours(4)}, anchors: self, want: pki.WrongUsage},
		{name: "as a seal signer, pinned", usage: pki.UsageSealSigner, purposes: ids{client}, anchors: self, want: pki.WrongUsage},
		{name: "as a QR signer, pinned", usage: pki.UsageQR, purposes: ids{client}, anchors: self, want: pki.WrongUsage},
		{name: "as a TSA, pinned", usage: pki.UsageTimestamp, purposes: ids{client}, anchors: self, want: pki.WrongUsage},
		{name: "critical, pinned", anchors: self, want: pki.WrongUsage, alter: func(c *pki.Certificate) {
			value, err := asn1.Marshal(ids{client})
			must(t, err)
			c.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 37}, Critical: true, Value: value}}
		}},
		{name: "empty, pinned", anchors: self, want: pki.WrongUsage, alter: func(c *pki.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 37}, Value: []byte{0x30, 0}}}
		}},
		{name: "a CA, pinned", purposes: ids{client}, anchors: self, want: pki.WrongUsage, alter: func(c *pki.Certificate) { c.IsCA = true }},
		{name: "key for encryption, pinned", purposes: ids{client}, anchors: self, want: pki.WrongUsage,
			alter: func(c *pki.Certificate) { c.KeyUsage = smx509.KeyUsageKeyEncipherment }},
		{name: "expired, pinned", purposes: ids{client}, anchors: self, want: pki.Expired, alter: func(c *pki.Certificate) { c.NotAfter = p.Now.Add(-time.Second) }},
		{name: "not yet valid, pinned", purposes: ids{client}, anchors: self, want: pki.NotYetValid, alter: func(c *pki.Certificate) { c.NotBefore = p.Now.Add(time.Second) }},
		{name: "revoked by its pinned CA", purposes: ids{client}, want: pki.RevokedLink, anchors: func(leaf *pki.Certificate) *pki.TrustAnchors {
			list := p.MustCRL(t, pki.Revoked{SerialNumber: leaf.SerialNumber, At: p.Now.Add(-time.Hour)})
			return anchors(t, []*pki.Certificate{p.Root.Certificate, p.Issuing.Certificate, leaf}, p.RootCRL, list)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaf := custom(t, p.Issuing, mustKey(t).Public(), p.Now, func(cert *pki.Certificate) {
				cert.UnknownExtKeyUsage = c.purposes
				if c.alter != nil {
					c.alter(cert)
				}
			})
			if c.usage == "" {
				c.usage = pki.UsageSealMaker
			}
			path, err := c.anchors(leaf).CheckPath(leaf, pki.PathOptions{Usage: c.usage, At: p.Now, Now: p.Now, AllowOtherUsage: !c.forbid})
			if got := reason(t, err); got != c.want || strings.Join(path.OtherUsage, " ") != c.other {
				t.Errorf("got %q (%v) and other usage %q, want %q and %q", got, err, path.OtherUsage, c.want, c.other)
			}
		})
	}
}
