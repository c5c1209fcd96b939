package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/crypto/tsa"

	"golang.org/x/time/rate"
)

// openSSLQuery is a timestamp query over a file, made by OpenSSL.
func openSSLQuery(t *testing.T, file string, args ...string) []byte {
	t.Helper()
	query, err := exec.Command("openssl", append([]string{"ts", "-query", "-data", file}, args...)...).Output()
	if err != nil {
		t.Fatalf("openssl ts -query: %v", err)
	}
	return query
}

// post asks a timestamp authority and returns the status and what it said.
func post(t *testing.T, url string, query []byte) (status int, reply []byte) {
	t.Helper()
	answer, err := http.Post(url, "application/timestamp-query", bytes.NewReader(query))
	must(t, err)
	defer answer.Body.Close()
	reply, err = io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, reply
}

// openSSLReads is what OpenSSL makes of a reply.
func openSSLReads(t *testing.T, reply []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "reply")
	must(t, os.WriteFile(file, reply, 0o600))
	text, err := exec.Command("openssl", "ts", "-reply", "-in", file, "-text").CombinedOutput()
	if err != nil {
		t.Errorf("openssl ts -reply: %v", err)
	}
	return string(text)
}

// TestTimestampsForOthers has strangers ask: OpenSSL makes the queries and reads the
// replies that are in its identifiers. (make interop has BouncyCastle check signatures.)
func TestTimestampsForOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	keys, err := s.keys("")
	must(t, err)
	cert, err := keys.certificate("tsa")
	must(t, err)
	before := s.logged(t)
	r := s.serve(t, "--tsa-listen", "127.0.0.1:0")
	defer r.stop(t)
	rfc := strings.TrimSuffix(r.tsaURL, "/") + rfcPath
	document := filepath.Join(t.TempDir(), "document")
	must(t, os.WriteFile(document, []byte("document"), 0o600))
	for _, w := range []struct {
		name, says string
		args       []string
	}{
		{"good", "Status: Granted.", []string{"-sm3", "-cert"}},
		{"our policy", "Policy OID: " + tsaPolicy, []string{"-sm3", "-cert", "-tspolicy", tsaPolicy}},
		{"without nonce", "Nonce: unspecified", []string{"-sm3", "-cert", "-no_nonce"}},
		{"without certificate", "Status: Granted.", []string{"-sm3"}},
		{"another policy", "policy is not supported by the TSA", []string{"-sm3", "-tspolicy", "1.2.3"}},
		{"SHA-256", "unrecognized or unsupported algorithm", []string{"-sha256"}},
	} {
		status, reply := post(t, rfc, openSSLQuery(t, document, w.args...))
		if text := openSSLReads(t, reply); status != http.StatusOK || !strings.Contains(text, w.says) {
			t.Errorf("%s: status %d, %s", w.name, status, text)
		}
	}
	for _, url := range []string{r.tsaURL, rfc} {
		client := &tsa.Client{URL: url, Rand: rand.Reader, Policy: tsaPolicy, Now: time.Now, Certificate: cert}
		if _, err := client.Timestamp(t.Context(), []byte("document")); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, w := range []struct {
		name, method, url, contentType string
		body                           []byte
		want                           int
	}{
		{"GET", "GET", r.tsaURL, "application/timestamp-query", nil, http.StatusMethodNotAllowed},
		{"form", "POST", r.tsaURL, "application/x-www-form-urlencoded", []byte("a=b"), http.StatusUnsupportedMediaType},
		{"over 4 KiB", "POST", rfc, "application/timestamp-query", make([]byte, 4<<10+1), http.StatusBadRequest},
		{"another path", "POST", r.tsaURL + "metrics", "application/timestamp-query", nil, http.StatusNotFound},
	} {
		request, err := http.NewRequestWithContext(t.Context(), w.method, w.url, bytes.NewReader(w.body))
		must(t, err)
		request.Header.Set("Content-Type", w.contentType)
		answer, err := http.DefaultClient.Do(request)
		must(t, err)
		answer.Body.Close()
		if answer.StatusCode != w.want {
			t.Errorf("%s: status %d, want %d", w.name, answer.StatusCode, w.want)
		}
	}
	answer, err := http.Get(r.baseURL + "/metrics")
	must(t, err)
	defer answer.Body.Close()
	metrics, err := io.ReadAll(answer.Body)
	must(t, err)
	for _, want := range []string{`{method="POST",route="tsa",status="200"} 8`, `{method="GET",route="tsa",status="405"} 1`, `{method="POST",route="tsa",status="404"} 1`} {
		if !bytes.Contains(metrics, []byte("elicence_http_request_duration_seconds_count"+want)) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if after := s.logged(t); len(after) != len(before) {
		t.Errorf("entries in the access log: %v, then %v", before, after)
	}
	wantNoTokens(t, s, r)
}

// wantNoTokens revokes the authority's certificate: it says that it makes no tokens, and
// licences are issued as timestamp pending.
func wantNoTokens(t *testing.T, s *site, r *running) {
	t.Helper()
	s.output(t, "ca", "revoke", filepath.Join(s.Dir, "keys", "tsa.cer.pem"), "--reason", "cessationOfOperation")
	client := &tsa.Client{URL: r.tsaURL, Rand: rand.Reader}
	var rejection *tsa.RejectionError
	waitFor(t, "the authority to refuse", func() bool {
		_, err := client.Timestamp(t.Context(), []byte("document"))
		return errors.As(err, &rejection)
	})
	if rejection.FailInfo != 25 || strings.Contains(rejection.Text, "revoked") {
		t.Errorf("%v", rejection)
	}
	if issued, err := s.issueOne(t, r, "without-token"); err != nil || issued.Timestamped {
		t.Errorf("timestamped %t, %v", issued.Timestamped, err)
	}
	if told := r.faults.String(); !strings.Contains(told, "our timestamp authority makes no tokens") || !strings.Contains(told, "revoked") {
		t.Errorf("the operator is told %q", told)
	}
}

// TestTimestampsOverTLS: the listener for others speaks TLS when the other one does.
func TestTimestampsOverTLS(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	cert, key := tlsPair(t)
	r := s.serve(t, "--tsa-listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
	defer r.stop(t)
	text, err := os.ReadFile(cert)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	transport := tsa.Transport()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	client := &tsa.Client{URL: r.tsaURL, HTTP: &http.Client{Transport: transport}, Rand: rand.Reader}
	if _, err := client.Timestamp(t.Context(), []byte("document")); err != nil || !strings.HasPrefix(r.tsaURL, "https://") {
		t.Errorf("%s: %v", r.tsaURL, err)
	}
	client.URL, client.HTTP = strings.Replace(r.tsaURL, "https", "http", 1), nil
	if _, err := client.Timestamp(t.Context(), []byte("document")); err == nil {
		t.Error("a token without TLS")
	}
}

// tlsPair is a certificate for 127.0.0.1 with its key, in two files.
func tlsPair(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	certFile, keyFile = filepath.Join(t.TempDir(), "tls.pem"), filepath.Join(t.TempDir(), "tls.key")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return certFile, keyFile
}

// TestTimestampsCrowded: what all ask together is bounded.
func TestTimestampsCrowded(t *testing.T) {
	t.Parallel()
	served := 0
	h := limited(rate.NewLimiter(0, 2), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests, http.StatusTooManyRequests} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
		if w.Code != want || (w.Header().Get("Retry-After") == "") == (want != http.StatusOK) {
			t.Errorf("query %d: status %d, headers %v", i, w.Code, w.Header())
		}
	}
	if served != 2 {
		t.Errorf("%d served", served)
	}
}
