package main

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/crypto/pki"
	"elicence/licence/registry"
)

// run runs a command on the site's folder.
func (s *site) run(args ...string) (string, error) {
	out, err := s.command(args...).CombinedOutput()
	return string(out), err
}

// mustRun runs a command that must succeed and say something.
func (s *site) mustRun(t testing.TB, says string, args ...string) {
	t.Helper()
	if out, err := s.run(args...); err != nil || !strings.Contains(out, says) {
		t.Fatalf("elicenced %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// wantRefused runs a command that must fail with a code, saying why.
func (s *site) wantRefused(t testing.TB, code int, says string, args ...string) {
	t.Helper()
	out, err := s.run(args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code || !strings.Contains(out, says) {
		t.Errorf("elicenced %s: %v, want code %d and %q\n%s", strings.Join(args, " "), err, code, says, out)
	}
}

// mustKeys opens the site's keyring.
func (s *site) mustKeys(t testing.TB) keyring {
	t.Helper()
	keys, err := s.keys("")
	must(t, err)
	return keys
}

// revoked is what the issuing CA's list says of a serial number; nil: nothing.
func (s *site) revoked(t testing.TB, serial *big.Int) *pki.Revoked {
	t.Helper()
	keys := s.mustKeys(t)
	anchors, err := readAnchors(keys.path(ownAnchors))
	must(t, err)
	ca, err := keys.certificate("issuing")
	must(t, err)
	for _, r := range anchors.Revoked(ca) {
		if r.SerialNumber.Cmp(serial) == 0 {
			return &r
		}
	}
	return nil
}

// TestRevoke revokes by file and by number, and refuses what is none of its business.
func TestRevoke(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	keys := s.mustKeys(t)
	qr, err := keys.certificate("qr")
	must(t, err)
	file := keys.path("qr.cer.pem")
	foreignKey, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	now := time.Now().UTC().Truncate(time.Second)
	foreign, err := pki.NewRootCA(rand.Reader, foreignKey, pki.CertificateRequest{Subject: pkix.Name{CommonName: "foreign"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0)})
	must(t, err)
	foreignFile := filepath.Join(s.Dir, "foreign.pem")
	must(t, os.WriteFile(foreignFile, pki.MarshalTrustAnchors([]*pki.Certificate{foreign.Certificate}, nil), 0o644))

	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitUsage, "either a certificate or --serial", []string{"--reason", "superseded"}},
		{exitUsage, "either a certificate or --serial", []string{file, "--serial", "4711", "--reason", "superseded"}},
		{exitUsage, "no reason of RFC 5280", []string{file, "--reason", "removeFromCRL"}},
		{exitUsage, "no reason of RFC 5280", []string{file, "--reason", "lost"}},
		{exitUsage, "--reason", []string{file}},
		{exitUsage, "goes with a lost key", []string{file, "--reason", "superseded", "--since", "2026-01-01T00:00:00Z"}},
		{exitUsage, "--since", []string{file, "--reason", "keyCompromise", "--since", "yesterday"}},
		{exitUsage, "in the future", []string{file, "--reason", "keyCompromise", "--since", now.Add(time.Hour).Format(time.RFC3339)}},
		{exitUsage, "before the certificate's validity", []string{file, "--reason", "keyCompromise", "--since", qr.NotBefore.Add(-time.Second).Format(time.RFC3339)}},
		{exitUsage, "hexadecimal", []string{"--serial", "xyz", "--reason", "superseded"}},
		{exitUsage, "hexadecimal", []string{"--serial=-1", "--reason", "superseded"}},
		{exitUsage, "hexadecimal", []string{"--serial", strings.Repeat("f", 41), "--reason", "superseded"}},
		{exitUsage, "not issued by a CA of this instance", []string{foreignFile, "--reason", "superseded"}},
		{exitUsage, "not issued by a CA of this instance", []string{keys.path("root.cer.pem"), "--reason", "superseded"}},
		{exitUsage, "not one PEM certificate", []string{filepath.Join(s.Dir, "demo.json"), "--reason", "superseded"}},
	} {
		s.wantRefused(t, c.code, c.says, append([]string{"ca", "revoke"}, c.args...)...)
	}
	if r := s.revoked(t, qr.SerialNumber); r != nil {
		t.Fatalf("a refused command revoked: %+v", r)
	}

	s.mustRun(t, "certificateHold", "ca", "revoke", file, "--reason", "certificateHold")
	first := s.revoked(t, qr.SerialNumber)
	if first == nil || first.At.Before(now) {
		t.Fatalf("%+v", first)
	}
	s.wantRefused(t, exitUsage, "revoked already", "ca", "revoke", file, "--reason", "certificateHold")
	s.mustRun(t, "superseded", "ca", "revoke", file, "--reason", "superseded")
	s.wantRefused(t, exitUsage, "revoked already", "ca", "revoke", "--serial", fmt.Sprintf("%x", qr.SerialNumber), "--reason", "cessationOfOperation")
	since := qr.NotBefore // a minute before it was made
	s.mustRun(t, since.Format(time.RFC3339), "ca", "revoke", file, "--reason", "keyCompromise", "--since", since.Format(time.RFC3339))
	s.wantRefused(t, exitUsage, "revoked already", "ca", "revoke", file, "--reason", "keyCompromise")
	must(t, refreshCRLs(keys, time.Now().Add(2*crlRenewal)))
	got := s.revoked(t, qr.SerialNumber)
	if got == nil || !got.At.Equal(first.At) || got.Reason != pki.KeyCompromise || !got.Effective().Equal(since) {
		t.Errorf("after renewal: %+v", got)
	}

	list := filepath.Join(t.TempDir(), "issuing.crl")
	s.mustRun(t, "until", "ca", "crl", "-o", list)
	anchors, err := readAnchors(keys.path(ownAnchors))
	must(t, err)
	issuing, err := keys.certificate("issuing")
	must(t, err)
	written, err := os.ReadFile(list)
	must(t, err)
	if newest, ok := anchors.CRL(issuing); !ok || string(newest.Raw) != string(written) {
		t.Error("the list written is not the newest")
	}
}

// TestRevokeTogether: what is revoked at the same time, and during a renewal, is revoked.
func TestRevokeTogether(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	keys := s.mustKeys(t)
	number := func() int64 {
		anchors, err := readAnchors(keys.path(ownAnchors))
		must(t, err)
		issuing, err := keys.certificate("issuing")
		must(t, err)
		list, _ := anchors.CRL(issuing)
		return list.Number.Int64()
	}
	before := number()
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			if out, err := s.run("ca", "revoke", "--serial", fmt.Sprintf("%x", 0x4700+i), "--reason", "superseded"); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
		all.Go(func() {
			must(t, keys.lockAnchors(func() error {
				return keys.writeCRLs(time.Now(), func(_ *pki.Certificate, r []pki.Revoked) ([]pki.Revoked, error) { return r, nil })
			}))
		})
	}
	all.Wait()
	for i := range 6 {
		if s.revoked(t, big.NewInt(int64(0x4700+i))) == nil {
			t.Errorf("revocation %d was lost", i)
		}
	}
	if after := number(); after < before+12 {
		t.Errorf("12 lists, and the number went from %d to %d", before, after)
	}
}

// TestRevokeWhileServing revokes a seal signer under a running server: it stops within
// seconds and says why, other authorities go on, and what was sealed before still counts.
// It runs beside no other, for it says by when.
func TestRevokeWhileServing(t *testing.T) {
	s := newSite(t, "")
	r := s.serve(t)
	defer r.stop(t)
	if _, err := s.issueOne(t, r, "before"); err != nil {
		t.Fatal(err)
	}
	samples, err := loadSamples()
	must(t, err)
	code := issuerOf(samples[0].asks.TypeCode).Code
	time.Sleep(1100 * time.Millisecond) // a revocation counts from the whole second on
	s.mustRun(t, "keyCompromise", "ca", "revoke", filepath.Join(s.Dir, "keys", "seal-"+code+".cer.pem"), "--reason", "keyCompromise")
	start := time.Now()
	for n := 0; ; n++ {
		_, err = s.issueOne(t, r, fmt.Sprint("after-", n))
		caught := err != nil && strings.Contains(err.Error(), `"unfinished"`) // between its check and its seal
		if err != nil && !caught || time.Since(start) > 10*time.Second {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if err == nil || !strings.Contains(err.Error(), "signer_not_usable") || !strings.Contains(err.Error(), "revoked: keyCompromise") {
		t.Fatalf("after the revocation: %v", err)
	}
	if took := time.Since(start); took > trustInterval+2*time.Second {
		t.Errorf("sealing stopped after %s", took)
	}
	for _, sample := range samples {
		if client := clientFor(sample); client != clientFor(samples[0]) {
			var issued registry.Issued
			must(t, s.as(t, r, client).post(t.Context(), "/licences", "others", sample.body, &issued))
			break
		}
	}
	anybody := &apiClient{base: r.baseURL}
	ready, err := anybody.get(t.Context(), "/readyz")
	if err != nil || !strings.Contains(string(ready), `"authority":"`+code+`","use":"licences","reason":"signer_revoked"`) {
		t.Errorf("%s, %v", ready, err)
	}
	var report struct{ Indication string }
	file, err := os.ReadFile(filepath.Join(s.Dir, s.demo.Licences[0].File))
	must(t, err)
	must(t, anybody.send(t.Context(), "POST", "/api/v1/verifications", "application/pdf", "", file, &report))
	if report.Indication != "TotalPassed" {
		t.Errorf("sealed before: %s", report.Indication)
	}
}
