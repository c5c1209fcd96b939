package httpsig_test

import (
	"bufio"
	"bytes"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/crypto/httpsig"
	"elicence/crypto/pki"
)

const origin = "https://zz.example.gov.cn"

// vectors is the folder of the published test vectors.
var vectors = filepath.Join("..", "..", "testdata", "signatures")

func vector(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	must(t, err)
	return b
}

// TestVectors verifies the published request, and finds the page's copies equal to the files.
func TestVectors(t *testing.T) {
	block, _ := pem.Decode(vector(t, "key.pem"))
	pub, err := pki.ParsePublicKeyInfo(block.Bytes)
	must(t, err)
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(vector(t, "request.http"))))
	must(t, err)
	s, err := httpsig.Parse(r.Header)
	must(t, err)
	base, err := s.Base(httpsig.Message{Method: r.Method, Origin: origin, Target: r.RequestURI, Header: r.Header})
	must(t, err)
	id, err := httpsig.KeyID(pub)
	must(t, err)
	if base != string(vector(t, "base.txt")) || !s.Verify(pub, base) || s.KeyID != id {
		t.Errorf("the vector does not verify with the base\n%s", base)
	}
	must(t, s.Covers("content-type", "content-digest", "idempotency-key"))
	must(t, s.Current(time.Date(2026, 3, 1, 8, 5, 0, 0, time.UTC)))
	body, err := httpsig.Body(r.Header, r.Body)
	must(t, err)
	_, err = io.ReadAll(body)
	must(t, err)
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "request-signatures.md"))
	must(t, err)
	for _, name := range []string{"key.pem", "request.http", "base.txt"} {
		text := strings.TrimSuffix(strings.ReplaceAll(string(vector(t, name)), "\r", ""), "\n")
		indented := strings.ReplaceAll("    "+strings.ReplaceAll(text, "\n", "\n    "), "\n    \n", "\n\n")
		if !strings.Contains(string(page), indented+"\n") {
			t.Errorf("docs/request-signatures.md has not %s as it is", name)
		}
	}
}

// TestVectorsByOpenSSL has the script that was written from the page judge the vectors, and
// requests that were changed.
func TestVectorsByOpenSSL(t *testing.T) {
	wire := string(vector(t, "request.http"))
	for name, c := range map[string]struct{ old, new, verdict string }{
		"as it is":  {"", "", ""},
		"path":      {"/revoke ", "/resume ", "bad: the signature does not verify"},
		"body":      {"CF-2026-3\"}", "CF-2026-4\"}", "bad: the body is not the one"},
		"signature": {"elicence=:ayW3", "elicence=:ayW4", "bad: the signature does not verify"},
	} {
		file := filepath.Join(t.TempDir(), "request.http")
		must(t, os.WriteFile(file, []byte(strings.Replace(wire, c.old, c.new, 1)), 0o600))
		out, err := exec.Command("python3", filepath.Join(vectors, "verify_request.py"), "request", filepath.Join(vectors, "key.pem"), origin, file).CombinedOutput()
		switch {
		case c.verdict == "" && (err != nil || string(out) != string(vector(t, "base.txt"))+"\n"):
			t.Errorf("%s: %v (it needs python3 and openssl): %s", name, err, out)
		case c.verdict != "" && (err == nil || !strings.HasPrefix(string(out), c.verdict)):
			t.Errorf("%s: %v: %s, want %s", name, err, out, c.verdict)
		}
	}
}
