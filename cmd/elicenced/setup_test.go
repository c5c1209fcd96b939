package main

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/crypto/pki"
)

func TestCheckSigner(t *testing.T) {
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	now := time.Now().Truncate(time.Second)
	ca, err := pki.NewRootCA(rand.Reader, key, pki.CertificateRequest{Subject: pkix.Name{CommonName: "root"}, NotBefore: now, NotAfter: now.Add(time.Hour)})
	must(t, err)
	a := demoAuthorities[0].authority
	for code, want := range map[string]string{
		a.Code: "", "": `states the unified social credit code ""`, demoAuthorities[1].Code: demoAuthorities[1].Code,
	} {
		cert, err := ca.Issue(rand.Reader, pki.CertificateRequest{Subject: pkix.Name{CommonName: a.Name}, PublicKey: key.Public(),
			Usage: pki.UsageSealSigner, USCC: code, NotBefore: now, NotAfter: now.Add(time.Hour)})
		must(t, err)
		if err := a.checkSigner(cert); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("code %q: %v", code, err)
		}
	}
	malformed := &pki.Certificate{Extensions: []pkix.Extension{{Id: []int{1, 2, 156, 10260, 4, 1, 4}, Value: []byte(a.Code)}}}
	if err := a.checkSigner(malformed); err == nil {
		t.Error("a malformed code is accepted")
	}
}

// TestDemoOfOlderFolder: a folder without a seal for the second authority of joint
// licences, and for reports, goes on without them.
func TestDemoOfOlderFolder(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	file := filepath.Join(s.Dir, "keys", "instance.json")
	set, err := s.settings()
	must(t, err)
	set.Authorities = slices.DeleteFunc(set.Authorities, func(a authority) bool { return a.Code == demoPlanning.Code || a.Code == demoPlatform.Code })
	set.Platform = ""
	b, err := json.Marshal(set)
	must(t, err)
	must(t, os.WriteFile(file, b, 0o644))
	out, err := s.command("demo", "--once", "--listen", "127.0.0.1:0").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "skipped  joint licences") || strings.Contains(string(out), "issued   joint") ||
		!strings.Contains(string(out), "skipped  verification report") {
		t.Errorf("%v\n%s", err, out)
	}
}
