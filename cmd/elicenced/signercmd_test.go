package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
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

// signedSearch asks for the licences of a holder with a signature, and returns the
// answer's status, its log index and its body.
func signedSearch(t *testing.T, r *running, key crypto.Signer, body string) (status int, index, answer string) {
	t.Helper()
	const path = "/api/v1/licences/search"
	q, err := http.NewRequestWithContext(t.Context(), "POST", r.baseURL+path, bytes.NewReader([]byte(body)))
	must(t, err)
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Content-Digest", httpsig.ContentDigest([]byte(body)))
	must(t, httpsig.Sign(rand.Reader, key, httpsig.Message{Method: "POST", Origin: r.baseURL, Target: path, Header: q.Header}, time.Now(), "content-type", "content-digest"))
	a, err := http.DefaultClient.Do(q)
	must(t, err)
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	must(t, err)
	return a.StatusCode, a.Header.Get("Elicence-Log-Index"), string(b)
}

// TestSignerCommands registers keys of a client beside the running service, has it sign, and
// takes out a request that OpenSSL finds to be the client's.
func TestSignerCommands(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	r := s.serve(t)
	defer r.stop(t)
	samples, err := loadSamples()
	must(t, err)
	client, holder := clientFor(samples[0]), samples[0].asks.Holder
	dir := t.TempDir()
	newKey := func(name string) (crypto.Signer, string) {
		key, err := pki.GenerateKey(rand.Reader)
		must(t, err)
		der, err := pki.MarshalPublicKeyInfo(key.Public())
		must(t, err)
		file := filepath.Join(dir, name+".pem")
		must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
		return key, file
	}
	key, file := newKey("first")
	id, err := httpsig.KeyID(key.Public())
	must(t, err)
	s.mustRun(t, id, "signer", "add", "--client", client, "--key", file)
	s.mustRun(t, "done, and logged", "signer", "require", client, "signature")
	s.mustRun(t, client+"\t"+id+"\t", "signer", "list", "--client", client)

	body := `{"holder":{"code":"` + holder.Code + `","code_type":"` + holder.CodeType + `"}}`
	status, index, answer := signedSearch(t, r, key, body)
	if status != http.StatusOK {
		t.Fatalf("signed: %d %s", status, answer)
	}
	if _, err := newAPIClient(t.Context(), r.baseURL, client, "x"); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("token: %v", err)
	}
	request := filepath.Join(dir, "request.json")
	s.mustRun(t, "", "log", "request", index, "--reason", "测试", "-o", request)
	out, err := exec.Command("python3", filepath.Join("..", "..", "testdata", "signatures", "verify_request.py"), "evidence", request).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "entry "+index+": leaf ") || !strings.Contains(string(out), `"@target-uri": `+r.baseURL+"/api/v1/licences/search\n") {
		t.Errorf("evidence: %v (it needs python3 and openssl): %s", err, out)
	}
	if _, err := readSignerKey(filepath.Join(s.Dir, "demo.json")); err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("demo.json for a key: %v", err)
	}
	changed, err := os.ReadFile(request)
	must(t, err)
	other := bytes.Replace(changed, []byte(`"record": "k`), []byte(`"record": "l`), 1)
	must(t, os.WriteFile(request, other, 0o600))
	if out, err := exec.Command("python3", filepath.Join("..", "..", "testdata", "signatures", "verify_request.py"), "evidence", request).CombinedOutput(); err == nil || bytes.Equal(changed, other) {
		t.Errorf("evidence with another record: %s", out)
	}

	next, file := newKey("second")
	s.mustRun(t, "", "signer", "add", "--client", client, "--key", file)
	s.mustRun(t, "done, and logged", "signer", "end", id, "--reason", "更换")
	s.wantRefused(t, exitUsage, "there is no key", "signer", "end", id, "--reason", "更换")
	if status, _, answer := signedSearch(t, r, key, body); status != http.StatusUnauthorized || !strings.Contains(answer, "signature_key_ended") {
		t.Errorf("by the old key: %d %s", status, answer)
	}
	if status, _, answer := signedSearch(t, r, next, body); status != http.StatusOK {
		t.Errorf("by the new key: %d %s", status, answer)
	}
	s.clientCommands(t)
}
