package main

import (
	"context"
	"crypto/rand"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/crypto/pki"
	"elicence/crypto/tsa"
	"elicence/licence/registry"
)

// wantRefusedStart checks that serve ends by itself, naming what is wrong.
func (s *site) wantRefusedStart(t *testing.T, name, says string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := s.command(append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil || !strings.Contains(string(out), says) {
		t.Errorf("%s: %v: %s; want a refusal that says %q", name, err, out, says)
	}
}

// issueOne issues the first sample under a key.
func (s *site) issueOne(t *testing.T, r *running, key string) (registry.Issued, error) {
	t.Helper()
	samples, err := loadSamples()
	must(t, err)
	var issued registry.Issued
	err = s.as(t, r, clientFor(samples[0])).post(t.Context(), "/licences", key, samples[0].body, &issued)
	return issued, err
}

// TestDatabasePutBack: a database older than the checkpoint kept beside it, or
// empty, does not start, and so gives out no number twice.
func TestDatabasePutBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	file := filepath.Join(s.Dir, "elicence.db")
	old, err := os.ReadFile(file)
	must(t, err)
	r := s.serve(t)
	if _, err := s.issueOne(t, r, "later"); err != nil {
		t.Fatal(err)
	}
	r.stop(t)
	newest, err := os.ReadFile(file)
	must(t, err)
	put := func(content []byte) {
		for _, suffix := range []string{"-wal", "-shm"} {
			_ = os.Remove(file + suffix) // of the database that is replaced
		}
		must(t, os.WriteFile(file, content, 0o600))
	}
	put(old)
	s.wantRefusedStart(t, "put back", "backwards")
	put(nil)
	s.wantRefusedStart(t, "emptied", "backwards")
	must(t, os.WriteFile(filepath.Join(s.Dir, "checkpoint"), []byte("elicence/00000000\n1\n"), 0o644))
	s.wantRefusedStart(t, "foreign checkpoint", "checkpoint")
	must(t, os.Remove(filepath.Join(s.Dir, "checkpoint")))
	put(newest)
	s.serve(t).stop(t)
}

// TestRefusedStarts is a table of what serve does not start with.
func TestRefusedStarts(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.wantRefusedStart(t, "public URL of another scheme", "--public-url", "--public-url", "ftp://example.org")
	s.wantRefusedStart(t, "public URL with a path", "--public-url", "--public-url", "https://example.org/a")
	s.wantRefusedStart(t, "public URL with a quotation mark", "--public-url", "--public-url", `https://a"b`)
	s.wantRefusedStart(t, "not loopback", "--behind-proxy", "--listen", "0.0.0.0:0")
	s.wantRefusedStart(t, "timestamps not on loopback", "--tsa-listen 0.0.0.0:0 is not loopback", "--tsa-listen", "0.0.0.0:0")
	s.wantRefusedStart(t, "timestamps at no address", "--tsa-listen here", "--tsa-listen", "here")
	for _, name := range []string{"keys/qr.key.pem", "keys/secrets.sealed", "passphrase"} {
		path := filepath.Join(s.Dir, name)
		must(t, os.Chmod(path, 0o604))
		s.wantRefusedStart(t, name+" open to everybody", "chmod o=")
		must(t, os.Chmod(path, 0o640))
	}
	passphrase, err := os.ReadFile(filepath.Join(s.Dir, "passphrase"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.Dir, "passphrase"), append(passphrase, '\n'), 0o600))
	s.serve(t).stop(t) // an editor's line feed is not part of it
	other := "seal-" + demoAuthorities[1].Code + ".esl"
	foreign, err := os.ReadFile(filepath.Join(s.Dir, "keys", other))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.Dir, "keys", "seal-"+demoAuthorities[0].Code+".esl"), foreign, 0o644))
	s.wantRefusedStart(t, "seal of another authority", "does not list")
}

// TestRevokedStaysRevoked: a renewed CRL says all that the one before said.
func TestRevokedStaysRevoked(t *testing.T) {
	s := newSite(t, "")
	keys, err := s.keys("")
	must(t, err)
	root, err := keys.certificate("root")
	must(t, err)
	cert, key, err := keys.pair("issuing")
	must(t, err)
	revoked := pki.Revoked{SerialNumber: big.NewInt(4711), At: time.Now().Add(-time.Hour).UTC().Truncate(time.Second), Reason: pki.KeyCompromise}
	list, err := (&pki.CA{Certificate: cert, Key: key}).CRL(rand.Reader, time.Now().Unix(), []pki.Revoked{revoked}, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	must(t, err)
	file, last := keys.path(ownAnchors), []byte(nil)
	must(t, os.WriteFile(file, pki.MarshalTrustAnchors([]*pki.Certificate{root, cert}, [][]byte{list}), 0o644))
	for i := range time.Duration(3) { // the last is not due yet
		must(t, refreshCRLs(keys, time.Now().Add(min(i+1, 2)*2*crlRenewal)))
		anchors, err := readAnchors(file)
		must(t, err)
		renewed, _ := anchors.CRL(cert)
		if due := time.Now().Add(min(i+1, 2) * 2 * crlRenewal); renewed.ThisUpdate.Before(due.Add(-2*time.Minute)) || i == 2 && string(renewed.Raw) != string(last) {
			t.Errorf("renewal %d: a list of %s", i, renewed.ThisUpdate)
		}
		last = renewed.Raw
		got := anchors.Revoked(cert)
		if len(got) != 1 || got[0].SerialNumber.Cmp(revoked.SerialNumber) != 0 || got[0].Reason != revoked.Reason || !got[0].At.Equal(revoked.At) {
			t.Fatalf("after renewal: %+v", got)
		}
	}
	must(t, os.WriteFile(file, []byte("damaged"), 0o644))
	if err := refreshCRLs(keys, time.Now()); err == nil {
		t.Error("a damaged list was replaced by one without its revocations")
	}
}

// TestOutsideTSA issues with a foreign timestamp authority: without its anchor the
// tokens count as none, with it they are taken, and the pending file gets one.
func TestOutsideTSA(t *testing.T) {
	t.Parallel()
	authority, anchors := outsideAuthority(t)
	server := httptest.NewServer(authority)
	defer server.Close()

	s := newSite(t, "")
	for i, trusted := range []bool{false, true} {
		if trusted {
			must(t, os.WriteFile(filepath.Join(s.Dir, "keys", outsideAnchors), anchors, 0o644))
		}
		r := s.serve(t, "--tsa-url", server.URL)
		issued, err := s.issueOne(t, r, fmt.Sprint("outside-", i))
		if err != nil || issued.Timestamped != trusted {
			t.Errorf("trusted %t: timestamped %t, %v", trusted, issued.Timestamped, err)
		}
		r.stop(t)
	}
}

// outsideAuthority is a timestamp authority under a root of its own, with what an
// operator who trusts it adds to the anchors.
func outsideAuthority(t *testing.T) (authority *tsa.Authority, anchors []byte) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	request := func(name string, usage pki.Usage) (pki.CertificateRequest, pki.CA) {
		key, err := pki.GenerateKey(rand.Reader)
		must(t, err)
		return pki.CertificateRequest{Subject: pkix.Name{CommonName: name}, PublicKey: key.Public(), Usage: usage,
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}, pki.CA{Key: key}
	}
	asked, ca := request("foreign root", pki.UsageCA)
	root, err := pki.NewRootCA(rand.Reader, ca.Key, asked)
	must(t, err)
	asked, leaf := request("foreign TSA", pki.UsageTimestamp)
	leaf.Certificate, err = root.Issue(rand.Reader, asked)
	must(t, err)
	list, err := root.CRL(rand.Reader, 1, nil, now.Add(-time.Hour), now.Add(time.Hour))
	must(t, err)
	return &tsa.Authority{Certificate: leaf.Certificate, Key: leaf.Key, Policy: "1.2.3", Now: time.Now, Rand: rand.Reader},
		pki.MarshalTrustAnchors([]*pki.Certificate{root.Certificate}, [][]byte{list})
}
