package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPAdESKeyInstalled installs a key that OpenSSL made; a served instance opens
// it, and bad ones are refused before anything is written.
func TestPAdESKeyInstalled(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	dir := t.TempDir()
	openssl := func(args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	for _, curve := range []string{"P-256", "P-384"} {
		openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:"+curve, "-nodes", "-keyout", curve+".key", "-out", curve+".pem", "-subj", "/CN="+curve, "-days", "2")
	}
	openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "RSA.key", "-out", "RSA.pem", "-subj", "/CN=RSA", "-days", "2")
	must(t, os.WriteFile(filepath.Join(dir, "none"), []byte("none"), 0o600))
	for _, tt := range []struct{ chain, key, says string }{
		{"P-384.pem", "P-384.key", "neither P-256 nor RSA"},
		{"P-256.pem", "RSA.key", "key is not the signer's"},
		{"none", "P-256.key", "no certificate"},
		{"P-256.pem", "none", "PRIVATE KEY"},
		{"P-256.pem", "missing", "no such file"},
		{"P-256.pem", "P-256.key", ""},
		{"RSA.pem", "RSA.key", ""},
	} {
		out, err := s.command("pades", "--chain", filepath.Join(dir, tt.chain), "--key", filepath.Join(dir, tt.key)).CombinedOutput()
		if (err == nil) != (tt.says == "") || !strings.Contains(string(out), tt.says) {
			t.Errorf("%s with %s: %v: %s", tt.key, tt.chain, err, out)
		}
		if _, missing := os.Stat(filepath.Join(s.Dir, "keys", padesChain)); (missing == nil) != (tt.says == "") && tt.says != "" {
			t.Errorf("%s with %s: written although refused", tt.key, tt.chain)
		}
	}
	s.serve(t).stop(t)
	must(t, os.WriteFile(filepath.Join(s.Dir, "keys", padesChain), []byte("spoilt"), 0o644))
	s.wantRefusedStart(t, "spoilt chain", padesChain)
}
