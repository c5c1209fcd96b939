package ocsp_test

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elicence/crypto/pki"
	"elicence/crypto/pki/ocsp"
)

// TestEvidence: a path whose issuer has no CRL is good by OCSP; answers are kept, and
// renewed, and a revocation is noticed.
func TestEvidence(t *testing.T) {
	b := newBench(t, true)
	var asked atomic.Int32
	var away atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked.Add(1)
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		b.responder.ServeHTTP(w, q)
	}))
	defer server.Close()
	leaf := func(address string) *pki.Certificate {
		key, err := pki.GenerateKey(rand.Reader)
		must(t, err)
		cert, err := b.Issuing.Issue(rand.Reader, pki.CertificateRequest{Subject: pkix.Name{CommonName: "x"}, PublicKey: key.Public(),
			Usage: pki.UsageSealSigner, OCSPURL: address, NotBefore: b.Now.AddDate(0, 0, -1), NotAfter: b.Now.AddDate(1, 0, 0)})
		must(t, err)
		return cert
	}
	cert, without := leaf(server.URL), leaf("")
	anchors, err := pki.ParseTrustAnchors(pki.MarshalTrustAnchors([]*pki.Certificate{b.Root.Certificate, b.Issuing.Certificate}, [][]byte{b.RootCRL}))
	must(t, err)
	e := &ocsp.Evidence{Client: b.client}
	path := func(cert *pki.Certificate, status func(cert, issuer *pki.Certificate) *pki.Status) string {
		_, err := anchors.CheckPath(cert, pki.PathOptions{Usage: pki.UsageSealSigner, At: b.now, Now: b.now, Status: status})
		if err == nil {
			return "good"
		}
		return string(err.(*pki.PathError).Reason)
	}
	want := func(step string, cert *pki.Certificate, status func(cert, issuer *pki.Certificate) *pki.Status, says string, times int32) {
		t.Helper()
		if got := path(cert, status); got != says || asked.Load() != times {
			t.Errorf("%s: %s after %d questions, want %s after %d", step, got, asked.Load(), says, times)
		}
	}
	refresh := func(good bool) {
		t.Helper()
		if err := e.Refresh(t.Context()); (err == nil) != good {
			t.Errorf("refresh: %v", err)
		}
	}
	want("never asked", cert, e.Known, "revocation_unknown", 0)
	want("no address", without, e.Known, "revocation_unknown", 0)
	want("no address to ask", without, e.Asking, "revocation_unknown", 0)
	refresh(true)
	want("asked in the background", cert, e.Known, "good", 1)
	want("known already", cert, e.Asking, "good", 1)
	refresh(true)
	want("asked just now", cert, e.Known, "good", 1)

	b.now = b.now.Add(ocsp.AskAgain)
	away.Store(true)
	refresh(false)
	want("responder away, answer current", cert, e.Known, "good", 2)
	b.now = b.now.Add(2 * time.Hour)
	want("responder away, answer old", cert, e.Asking, "revocation_unknown", 3)
	away.Store(false)
	want("not asked again at once", cert, e.Asking, "revocation_unknown", 3)
	b.now = b.now.Add(ocsp.AskAgain)
	b.revoked[cert.SerialNumber.String()] = &pki.Revoked{SerialNumber: cert.SerialNumber, At: b.now, Reason: pki.KeyCompromise}
	refresh(true)
	want("revoked", cert, e.Known, "revoked", 4)

	b.now = b.now.Add(ocsp.Forget + time.Second)
	refresh(true)
	want("forgotten", cert, e.Known, "revocation_unknown", 4)

	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { path(cert, e.Asking) })
	}
	all.Wait()
	want("eight at once", cert, e.Known, "revoked", 5)
}
