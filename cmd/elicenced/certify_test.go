package main

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/pki/csr"
	"elicence/crypto/pki/ocsp"
	"elicence/licence/registry"
	"elicence/verify"

	"golang.org/x/time/rate"
)

// outsideCA is somebody else's CA, with a responder whose word can be changed.
type outsideCA struct {
	*pki.CA
	revoked atomic.Pointer[pki.Revoked]
	url     string
	uscc    string // that seal signers are certified with
}

func newOutsideCA(t testing.TB) *outsideCA {
	t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	now := time.Now().UTC().Truncate(time.Second)
	ca, err := pki.NewRootCA(rand.Reader, key, pki.CertificateRequest{
		Subject: pkix.Name{CommonName: "outside CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0)})
	must(t, err)
	o := &outsideCA{CA: ca}
	server := httptest.NewServer(&ocsp.Responder{Issuer: ca.Certificate, Certificate: ca.Certificate, Key: key, Lifetime: time.Hour, Now: time.Now, Rand: rand.Reader,
		Revoked: func(*big.Int) (*pki.Revoked, error) { return o.revoked.Load(), nil }})
	t.Cleanup(server.Close)
	o.url = server.URL
	return o
}

// certify answers a request file with a certificate file.
func (o *outsideCA) certify(t testing.TB, request, file string, usage pki.Usage, days int, ocspURL string) *pki.Certificate {
	t.Helper()
	text, err := os.ReadFile(request)
	must(t, err)
	asked, err := csr.ParsePEM(text)
	must(t, err)
	now := time.Now().UTC().Truncate(time.Second)
	uscc := ""
	if usage == pki.UsageSealSigner {
		uscc = o.uscc
	}
	cert, err := o.Issue(rand.Reader, pki.CertificateRequest{Subject: asked.Subject, PublicKey: asked.PublicKey, Usage: usage, USCC: uscc,
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, days), OCSPURL: ocspURL})
	must(t, err)
	must(t, os.WriteFile(file, pki.MarshalTrustAnchors([]*pki.Certificate{cert}, nil), 0o644))
	return cert
}

// trusted makes the site trust the CA, with its list or without.
func (o *outsideCA) trusted(t testing.TB, s *site, withList bool) {
	t.Helper()
	var lists [][]byte
	if withList {
		now := time.Now().UTC().Truncate(time.Second)
		list, err := o.CRL(rand.Reader, now.Unix(), nil, now.Add(-time.Hour), now.Add(time.Hour))
		must(t, err)
		lists = append(lists, list)
	}
	must(t, os.WriteFile(filepath.Join(s.Dir, "keys", outsideAnchors), pki.MarshalTrustAnchors([]*pki.Certificate{o.Certificate}, lists), 0o644))
}

// TestOutsideCA has an outside CA certify a seal signer, and seals with it: with its list,
// then by OCSP alone, until it revokes.
func TestOutsideCA(t *testing.T) {
	t.Parallel()
	s, o := newSite(t, ""), newOutsideCA(t)
	samples, err := loadSamples()
	must(t, err)
	name := "seal-" + issuerOf(samples[0].asks.TypeCode).Code
	dir := t.TempDir()
	request, file, qrRequest := filepath.Join(dir, "signer.csr"), filepath.Join(dir, "signer.pem"), filepath.Join(dir, "qr.csr")
	s.mustRun(t, "request for", "ca", "csr", name, "-o", request)
	s.mustRun(t, "request for", "ca", "csr", "qr", "-o", qrRequest)

	install := func(name string) []string { return []string{"ca", "install", name, file} }
	s.wantRefused(t, exitUsage, "there is no key", "ca", "csr", "root", "-o", request)
	s.wantRefused(t, exitUsage, "there is no key", "ca", "csr", "../log", "-o", request)
	o.certify(t, request, file, pki.UsageSealSigner, 365, "")
	s.wantRefused(t, exitUsage, "cannot be used", install(name)...) // not trusted yet
	o.trusted(t, s, false)
	s.wantRefused(t, exitUsage, "revocation_unknown", install(name)...)
	o.trusted(t, s, true)
	s.wantRefused(t, exitUsage, "there is no key", install("ocsp")...)
	s.wantRefused(t, exitUsage, "not for key qr", install("qr")...)
	o.certify(t, qrRequest, file, pki.UsageQR, 365, "")
	s.wantRefused(t, exitUsage, "not for key "+name, install(name)...)
	o.certify(t, request, file, pki.UsageTimestamp, 365, "")
	s.wantRefused(t, exitUsage, "does not allow seal_signer", install(name)...)
	must(t, os.WriteFile(file, []byte("certificate"), 0o644))
	s.wantRefused(t, exitUsage, "not one PEM certificate", install(name)...)

	o.certify(t, request, file, pki.UsageSealSigner, 365, "")
	s.wantRefused(t, exitUsage, "unified social credit code", install(name)...)
	o.uscc = strings.TrimPrefix(name, "seal-")
	cert := o.certify(t, request, file, pki.UsageSealSigner, 365, "")
	s.mustRun(t, "installed", install(name)...)
	s.mustRun(t, "installed", install(name)...) // again, as after a crash
	r := s.serve(t)
	if issued, err := s.issueOne(t, r, "by-list"); err != nil {
		t.Errorf("by list: %v", err)
	} else if got := s.signerOf(t, r, issued); got != cert.Issuer.CommonName {
		t.Errorf("sealed with a certificate of %s", got)
	}
	if issued, err := s.issueOne(t, r, "by-list"); err != nil {
		t.Errorf("again: %v", err)
	} else if _, err := s.as(t, r, issuerOf(issued.TypeCode).client).get(t.Context(), "/licences/"+string(issued.Identifier)+"/bundle"); err == nil || !strings.Contains(err.Error(), "evidence_unavailable") {
		t.Errorf("a bundle with a list of the CA that is older than the seal: %v", err)
	}
	s.wantIndications(t, r)
	r.stop(t)

	o.certify(t, request, file, pki.UsageSealSigner, 365, o.url)
	o.trusted(t, s, false)
	s.mustRun(t, "installed", install(name)...)
	r = s.serve(t)
	if issued, err := s.issueOne(t, r, "by-ocsp"); err != nil {
		t.Errorf("by OCSP: %v", err)
	} else {
		roots := []*pki.Certificate{s.rootAlone(t).Certificates()[0], o.Certificate}
		anchors, err := pki.ParseTrustAnchors(pki.MarshalTrustAnchors(roots, nil))
		must(t, err)
		if b := s.wantBundle(t, r, anchors, issued.TypeCode, string(issued.Identifier)); len(b.OCSP) != 1 {
			t.Errorf("%d answers of the outside CA in the bundle", len(b.OCSP))
		}
	}
	r.stop(t)
	o.revoked.Store(&pki.Revoked{At: time.Now().Add(-time.Second).UTC().Truncate(time.Second), Reason: pki.CessationOfOperation})
	r = s.serve(t)
	if _, err = s.issueOne(t, r, "revoked"); err == nil || !strings.Contains(err.Error(), "revoked: cessationOfOperation") {
		t.Errorf("revoked by its CA: %v", err)
	}
	r.stop(t)
	s.wantRefused(t, exitUsage, "revoked", install(name)...)

	o.certify(t, request, file, pki.UsageSealSigner, 5, "")
	o.trusted(t, s, true)
	s.mustRun(t, "installed", install(name)...)
	r = s.serve(t)
	if _, err = s.issueOne(t, r, "soon"); err == nil || !strings.Contains(err.Error(), "too soon for a new licence") {
		t.Errorf("five days before its end: %v", err)
	}
	r.stop(t)
	r = s.serve(t, "--seal-margin", "24h")
	if _, err = s.issueOne(t, r, "late"); err != nil {
		t.Errorf("with a smaller margin: %v", err)
	}
	r.stop(t)
}

// signerOf is who issued the certificate of a licence's seal signature, by inspection
// of its verification report.
func (s *site) signerOf(t testing.TB, r *running, issued registry.Issued) string {
	t.Helper()
	samples, err := loadSamples()
	must(t, err)
	file, err := s.as(t, r, clientFor(samples[0])).get(t.Context(), "/licences/"+string(issued.Identifier)+"/file")
	must(t, err)
	anchors, err := s.mustKeys(t).anchors()
	must(t, err)
	v := verify.Verifier{Anchors: anchors}
	report := v.VerifyFile(t.Context(), file, time.Now())
	if report.Indication != verify.TotalPassed {
		t.Errorf("%s/%s: %+v", report.Indication, report.SubIndication, report.Checks)
	}
	for _, c := range report.Checks {
		if c.Name == verify.CheckSignerCertificate && strings.Contains(c.Evidence, "outside CA") {
			return "outside CA"
		}
	}
	return "another CA"
}

// wantIndications verifies every licence of the demo: certificates were replaced since.
func (s *site) wantIndications(t testing.TB, r *running) {
	t.Helper()
	anybody := &apiClient{base: r.baseURL}
	for _, l := range s.demo.Licences {
		file, err := os.ReadFile(filepath.Join(s.Dir, l.File))
		must(t, err)
		var report struct{ Indication string }
		must(t, anybody.send(t.Context(), "POST", "/api/v1/verifications", "application/pdf", "", file, &report))
		if report.Indication != "TotalPassed" {
			t.Errorf("%s: %s", l.File, report.Indication)
		}
	}
}

// TestOwnCertificates renews certificates of the instance's own keys, and issues to others.
func TestOwnCertificates(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	dir := t.TempDir()
	request, file := filepath.Join(dir, "a.csr"), filepath.Join(dir, "a.pem")
	for name, usage := range map[string]string{"qr": "qr", "tsa": "timestamp", "trust-list": "trust-list", "maker": "seal-maker"} {
		s.mustRun(t, "request", "ca", "csr", name, "-o", request)
		s.mustRun(t, "issued", "ca", "issue", request, "--usage", usage, "--days", "100", "-o", file)
		s.mustRun(t, "installed", "ca", "install", name, file)
	}
	r := s.serve(t)
	if _, err := s.issueOne(t, r, "renewed"); err != nil {
		t.Error(err)
	}
	s.wantIndications(t, r)
	r.stop(t)
	keys := s.mustKeys(t)
	qr, err := keys.everCertified("qr")
	if err != nil || len(qr) != 2 || qr[0].Equal(qr[1]) {
		t.Errorf("%d QR certificates, %v", len(qr), err)
	}

	o := newOutsideCA(t) // as the city's root above our issuing CA
	o.trusted(t, s, true)
	s.mustRun(t, "request", "ca", "csr", "issuing", "-o", request)
	o.certify(t, request, file, pki.UsageCA, 3650, "")
	s.mustRun(t, "installed", "ca", "install", "issuing", file)
	r = s.serve(t)
	if _, err := s.issueOne(t, r, "under-the-citys-root"); err != nil {
		t.Error(err)
	}
	s.wantIndications(t, r)
	r.stop(t)

	issue := func(args ...string) []string { return append([]string{"ca", "issue", request, "-o", file}, args...) }
	s.wantRefused(t, exitUsage, "--days", issue("--usage", "qr", "--days", "0")...)
	s.wantRefused(t, exitUsage, "give --uscc", issue("--usage", "seal-signer", "--days", "1")...)
	s.wantRefused(t, exitUsage, "--usage", issue("--usage", "ca", "--days", "1")...)
	s.wantRefused(t, exitUsage, "not within the CA's", issue("--usage", "qr", "--days", "7300")...)
	must(t, os.WriteFile(request, []byte("request"), 0o644))
	s.wantRefused(t, exitUsage, "CERTIFICATE REQUEST", issue("--usage", "qr", "--days", "1")...)
}

// TestStatusService asks a running server for lists and by OCSP, as anybody may.
func TestStatusService(t *testing.T) {
	t.Parallel()
	s := &site{location: location{Dir: t.TempDir()}}
	s.wantRefused(t, exitUsage, "--pki-url", "demo", "--once", "--pki-url", "http://a/b")
	s.mustRun(t, "", "demo", "--once", "--listen", "127.0.0.1:0", "--pki-url", "http://pki.example.org")
	keys := s.mustKeys(t)
	issuing, err := keys.certificate("issuing")
	must(t, err)
	qr, err := keys.certificate("qr")
	must(t, err)
	if got := append(append(qr.CRLDistributionPoints, qr.OCSPServer...), issuing.CRLDistributionPoints...); strings.Join(got, " ") !=
		"http://pki.example.org/pki/issuing.crl http://pki.example.org/pki/ocsp http://pki.example.org/pki/root.crl" {
		t.Errorf("addresses %q", got)
	}
	r := s.serve(t)
	defer func() { r.stop(t) }()
	logged := func() map[audit.Action]int {
		count := s.actions(t)
		delete(count, registry.ActionTrustList) // the service makes lists by itself
		return count
	}
	r.trustList(t, s.rootAlone(t))
	before := logged()
	get := func(method, path string) (int, http.Header, []byte) {
		q, err := http.NewRequest(method, r.baseURL+path, nil)
		must(t, err)
		answer, err := http.DefaultClient.Do(q)
		must(t, err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		must(t, err)
		return answer.StatusCode, answer.Header, body
	}
	for _, name := range caNames {
		status, header, list := get("GET", "/pki/"+name+".crl")
		file := filepath.Join(t.TempDir(), "list.crl")
		must(t, os.WriteFile(file, list, 0o644))
		ca, err := keys.certificate(name)
		must(t, err)
		ok, out := cryptotest.OpenSSL(t, "crl", "-inform", "DER", "-in", file, "-noout", "-issuer", "-nameopt", "utf8")
		if status != 200 || header.Get("Content-Type") != "application/pkix-crl" || !ok || !strings.Contains(out, ca.Subject.CommonName) {
			t.Errorf("%s: %d, %s: %s", name, status, header.Get("Content-Type"), out)
		}
	}
	client := &ocsp.Client{Rand: rand.Reader, Now: time.Now, RequireNonce: true}
	if st, err := client.Status(t.Context(), r.baseURL+"/pki/ocsp", qr, issuing); err != nil || st.Revoked != nil {
		t.Errorf("%+v, %v", st, err)
	}
	id, err := ocsp.NewCertID(issuing, qr.SerialNumber)
	must(t, err)
	request, err := ocsp.MarshalRequest([]ocsp.CertID{id}, nil)
	must(t, err)
	text := base64.StdEncoding.EncodeToString(request)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/pki/ocsp/" + url.PathEscape(text), 200},
		{"GET", "/pki/ocsp/***", 400},
		{"PUT", "/pki/ocsp", 405},
		{"POST", "/pki/ocsp", 415},
		{"POST", "/pki/issuing.crl", 405},
		{"HEAD", "/pki/issuing.crl", 200},
		{"GET", "/pki/", 404},
		{"GET", "/pki/maker.crl", 404},
		{"GET", "/pki/issuing.key.pem", 404},
		{"GET", "/pki/../keys/passphrase", 404},
		{"GET", "/pki/ocspx", 404},
	} {
		if status, _, body := get(c.method, c.path); status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
	if after := logged(); !maps.Equal(after, before) {
		t.Errorf("the status service made entries in the access log: %v, before %v", after, before)
	}
	s.mustRun(t, "", "ca", "revoke", keys.path("qr.cer.pem"), "--reason", "superseded")
	var st *pki.Status
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if st, err = client.Status(t.Context(), r.baseURL+"/pki/ocsp", qr, issuing); err != nil || st.Revoked != nil {
			break
		}
	}
	if err != nil || st.Revoked == nil || st.Revoked.Reason != pki.Superseded {
		t.Errorf("after the revocation: %+v, %v", st, err)
	}
	s.mustRun(t, "", "ca", "revoke", keys.path("ocsp.cer.pem"), "--reason", "keyCompromise")
	r.stop(t)
	r = s.serve(t)
	if st, err = client.Status(t.Context(), r.baseURL+"/pki/ocsp", qr, issuing); err != nil || st.Revoked == nil {
		t.Errorf("with its own signer revoked: %+v, %v", st, err)
	}
}

// TestStatusServiceLimit: beyond its rate it refuses, and the API goes on.
func TestStatusServiceLimit(t *testing.T) {
	s := &statusService{cas: map[string]*pki.Certificate{"/pki/issuing.crl": {}}, in: &instance{}, limit: rate.NewLimiter(0, 1)}
	s.in.anchors.Store(&pki.TrustAnchors{})
	for _, want := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", "/pki/issuing.crl", nil))
		if w.Code != want {
			t.Errorf("got %d, want %d", w.Code, want)
		}
	}
}

// TestCertificatesSession runs the session of docs/certificates.md as it stands there,
// twice, and backs the keys up after it.
func TestCertificatesSession(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/certificates.md")
	must(t, err)
	_, session, found := strings.Cut(string(page), "<!-- session -->\n```sh\n")
	session, _, closed := strings.Cut(session, "```\n<!-- /session -->")
	if !found || !closed {
		t.Fatal("docs/certificates.md has no session")
	}
	install, rest, _ := strings.Cut(session, "```\n")
	_, revoke, found := strings.Cut(rest, "```sh\n") // behind the words on starting anew
	if !found {
		t.Fatal("the session is not of two parts")
	}
	s := newSite(t, "")
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	must(t, os.Symlink(binary, filepath.Join(dir, "bin", "elicenced")))
	var out []byte
	part := func(script string) {
		t.Helper()
		r := s.serve(t)
		defer r.stop(t)
		if script == revoke {
			s.issueFile(t, r, "sealed with the new certificate, "+rand.Text())
		}
		cmd := exec.Command("bash", "-eo", "pipefail", "-c", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "D="+s.Dir, "BASE="+r.baseURL, "NAME=seal-11330100002490170T")
		said, err := cmd.CombinedOutput()
		if out = append(out, said...); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	for range 2 {
		part(install)
		part(revoke)
	}
	archive, shares := s.backUp(t)
	s.restore(t, archive, shares)
	for _, want := range []string{"request for", "issued ", "installed ", "revoked ", "Superseded", ": revoked", "Reason: superseded"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the session does not say %q:\n%s", want, out)
		}
	}
	logged := s.actions(t)
	for _, action := range []audit.Action{actionIssueCertificate, actionInstallCertificate, actionRevokeCertificate} {
		if logged[action] != 2 {
			t.Errorf("the access log has %d entries %s", logged[action], action)
		}
	}
}

// actions counts the entries of the access log.
func (s *site) actions(t testing.TB) map[audit.Action]int {
	t.Helper()
	logID, db := s.logOf(t)
	defer db.Close()
	head, err := db.Head(t.Context(), logID)
	must(t, err)
	count := map[audit.Action]int{}
	must(t, db.Rows(t.Context(), logID, 0, head.Size, func(row audit.Row) error {
		r, err := audit.ParseRecord(row.Record)
		count[r.Entry.Action]++
		return err
	}))
	return count
}
