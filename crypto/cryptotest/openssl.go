package cryptotest

import (
	"crypto"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/emmansun/gmsm/smx509"
)

// distid is the SM2 identifier as OpenSSL wants it told.
const distid = "distid:1234567812345678"

// OpenSSL runs openssl (3.0 or later), the outside judge, and reports whether it
// exits with 0, and what it said.
func OpenSSL(t testing.TB, args ...string) (ok bool, output string) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is missing: install OpenSSL 3.0 or later (Debian: openssl)")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return err == nil, string(out)
}

// OpenSSLVerifies reports whether OpenSSL takes der as pub's SM2 signature over
// message.
func OpenSSLVerifies(t testing.TB, pub crypto.PublicKey, message, der []byte) bool {
	t.Helper()
	spki, err := smx509.MarshalPKIXPublicKey(pub)
	must(t, err)
	dir := t.TempDir()
	key := mustWrite(t, dir, "pub.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	sig, tbs := mustWrite(t, dir, "s.sig", der), mustWrite(t, dir, "tbs.der", message)
	ok, _ := OpenSSL(t, "dgst", "-sm3", "-verify", key, "-sigopt", distid, "-signature", sig, tbs)
	return ok
}

// OpenSSLIssued reports whether OpenSSL finds that issuer signed cert at p.Now. It
// goes one step at a time, since longer SM2 chains are beyond it.
func (p *PKI) OpenSSLIssued(t testing.TB, issuer, cert []byte) bool {
	t.Helper()
	dir := t.TempDir()
	trusted := mustWrite(t, dir, "issuer.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer}))
	leaf := mustWrite(t, dir, "leaf.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	ok, _ := OpenSSL(t, "verify", "-vfyopt", distid, "-attime", strconv.FormatInt(p.Now.Unix(), 10), "-partial_chain", "-trusted", trusted, leaf)
	return ok
}

func mustWrite(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, data, 0o600))
	return path
}
