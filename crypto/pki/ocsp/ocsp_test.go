package ocsp_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/pki/ocsp"

	"github.com/emmansun/gmsm/smx509"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bench is an issuer with a responder, and a certificate to ask about.
type bench struct {
	*cryptotest.PKI
	responder *ocsp.Responder
	client    *ocsp.Client
	revoked   map[string]*pki.Revoked // by serial number
	now       time.Time
}

// newBench has the issuing CA delegate its answers, unless it signs them itself.
func newBench(t testing.TB, delegated bool) *bench {
	p := cryptotest.New(t)
	b := &bench{PKI: p, revoked: map[string]*pki.Revoked{}, now: p.Now}
	clock := func() time.Time { return b.now }
	b.responder = &ocsp.Responder{
		Issuer: p.Issuing.Certificate, Certificate: p.Issuing.Certificate, Key: p.Issuing.Key,
		Revoked:  func(serial *big.Int) (*pki.Revoked, error) { return b.revoked[serial.String()], nil },
		Lifetime: time.Hour, Now: clock, Rand: rand.Reader,
	}
	if delegated {
		leaf := p.MustIssue(t, p.Issuing, "OCSP", pki.UsageOCSP)
		b.responder.Certificate, b.responder.Key = leaf.Certificate, leaf.Key
	}
	b.client = &ocsp.Client{Rand: rand.Reader, Now: clock, RequireNonce: true}
	return b
}

// ask asks a handler about a certificate.
func (b *bench) ask(t testing.TB, h http.Handler, cert *pki.Certificate) (*pki.Status, error) {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	return b.client.Status(t.Context(), server.URL, cert, b.Issuing.Certificate)
}

func TestAnswers(t *testing.T) {
	for _, delegated := range []bool{false, true} {
		b := newBench(t, delegated)
		at, lost := b.Now.Add(-time.Hour), b.Now.AddDate(0, 0, -3)
		lines := map[*pki.Certificate]*pki.Revoked{
			b.SealSigner.Certificate: nil,
			b.QR.Certificate:         {At: at, Reason: pki.Unspecified},
			b.TSA.Certificate:        {At: at, Reason: pki.KeyCompromise, InvalidityDate: lost},
			b.SealMaker.Certificate:  {At: at, Reason: pki.AACompromise},
		}
		for cert, line := range lines {
			if line != nil {
				line.SerialNumber = cert.SerialNumber
				b.revoked[cert.SerialNumber.String()] = line
			}
			s, err := b.ask(t, b.responder, cert)
			must(t, err)
			if b.now.Sub(s.ThisUpdate) != time.Minute || !s.NextUpdate.Equal(b.now.Add(time.Hour)) || (s.Revoked == nil) != (line == nil) {
				t.Errorf("%s: %+v", cert.Subject, s)
			}
			if r := s.Revoked; r != nil && (r.Reason != line.Reason || !r.At.Equal(line.At) || !r.InvalidityDate.Equal(line.InvalidityDate) || r.SerialNumber.Cmp(cert.SerialNumber) != 0) {
				t.Errorf("%s: %+v, want %+v", cert.Subject, r, line)
			}
		}
		if _, err := b.ask(t, b.responder, b.Issuing.Certificate); err != nil {
			t.Errorf("a serial number that the issuer never gave out: %v", err)
		}
		other := *b.responder
		other.Issuer = b.Root.Certificate
		if _, err := b.ask(t, &other, b.SealSigner.Certificate); delegated && !errors.Is(err, ocsp.ErrUnknown) || err == nil {
			t.Errorf("a responder of another issuer: %v", err)
		}
	}
}

// TestOpenSSL: OpenSSL asks with each hash and reads our answers; it also takes the
// signature over them.
func TestOpenSSL(t *testing.T) {
	b := newBench(t, true)
	b.revoked[b.QR.Certificate.SerialNumber.String()] = &pki.Revoked{SerialNumber: b.QR.Certificate.SerialNumber, At: b.Now, Reason: pki.Superseded}
	dir := t.TempDir()
	file := func(name string, cert *pki.Certificate) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o600))
		return path
	}
	issuer := file("issuer.pem", b.Issuing.Certificate)
	for cert, says := range map[string]string{file("good.pem", b.SealSigner.Certificate): "good", file("revoked.pem", b.QR.Certificate): "superseded"} {
		for _, digest := range []string{"-sha1", "-sha256", "-sm3"} {
			request, response := filepath.Join(dir, "request.der"), filepath.Join(dir, "response.der")
			if ok, out := cryptotest.OpenSSL(t, "ocsp", digest, "-issuer", issuer, "-cert", cert, "-reqout", request); !ok {
				t.Fatal(out)
			}
			asked, err := os.ReadFile(request)
			must(t, err)
			q, err := ocsp.ParseRequest(asked)
			must(t, err)
			if len(q.IDs) != 1 || len(q.Nonce) == 0 {
				t.Errorf("%s: %d certificates, nonce %x", digest, len(q.IDs), q.Nonce)
			}
			answer := b.responder.Respond(asked)
			must(t, os.WriteFile(response, answer, 0o600))
			_, out := cryptotest.OpenSSL(t, "ocsp", digest, "-issuer", issuer, "-cert", cert, "-reqin", request, "-respin", response, "-noverify", "-validity_period", "2000000000")
			if !strings.Contains(out, says) {
				t.Errorf("%s: OpenSSL does not read %q:\n%s", digest, says, out)
			}
			tbs, signature := signedParts(t, answer)
			if !cryptotest.OpenSSLVerifies(t, b.responder.Certificate.PublicKey, tbs, signature) {
				t.Error("OpenSSL does not take the signature")
			}
		}
	}
}

// signedParts cuts a response into what was signed and the signature.
func signedParts(t testing.TB, der []byte) (tbs, signature []byte) {
	t.Helper()
	var outer struct {
		Status asn1.Enumerated
		Bytes  struct {
			Type  asn1.ObjectIdentifier
			Basic []byte
		} `asn1:"explicit,tag:0"`
	}
	_, err := asn1.Unmarshal(der, &outer)
	must(t, err)
	var basic struct {
		TBS          asn1.RawValue
		Algorithm    pkix.AlgorithmIdentifier
		Signature    asn1.BitString
		Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional"`
	}
	_, err = asn1.Unmarshal(outer.Bytes.Basic, &basic)
	must(t, err)
	return basic.TBS.FullBytes, basic.Signature.Bytes
}

// answering serves fixed bytes.
func answering(status int, contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		w.Write(body)
	}
}

// TestClientRefuses is a table of answers that a client must not believe.
func TestClientRefuses(t *testing.T) {
	b := newBench(t, true)
	foreign := newBench(t, true)
	// with is the responder changed.
	with := func(change func(r *ocsp.Responder)) http.Handler { r := *b.responder; change(&r); return &r }
	// signer has another certificate sign.
	signer := func(usage func(c *pki.Certificate)) http.Handler {
		key, err := pki.GenerateKey(rand.Reader)
		must(t, err)
		cert := custom(t, b.Issuing, key.Public(), b.now, usage)
		return with(func(r *ocsp.Responder) { r.Certificate, r.Key = cert, key })
	}
	usage := func(ids ...asn1.ObjectIdentifier) pkix.Extension {
		value, err := asn1.Marshal(ids)
		must(t, err)
		return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: value}
	}
	signing := usage(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 9})
	noCheck := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}
	// altered changes the bytes of a good answer.
	altered := func(change func(der []byte) []byte) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			body, err := io.ReadAll(q.Body)
			must(t, err)
			answering(200, "application/ocsp-response", change(b.responder.Respond(body)))(w, q)
		})
	}
	id, err := ocsp.NewCertID(b.Issuing.Certificate, b.QR.Certificate.SerialNumber)
	must(t, err)
	about := func(ids []ocsp.CertID, nonce []byte) []byte {
		q, err := ocsp.MarshalRequest(ids, nonce)
		must(t, err)
		return b.responder.Respond(q)
	}
	own, err := ocsp.NewCertID(b.Issuing.Certificate, b.SealSigner.Certificate.SerialNumber)
	must(t, err)
	const ok, response = 200, "application/ocsp-response"
	for _, c := range []struct {
		name    string
		handler http.Handler
		says    string
	}{
		{"good, delegated by hand", signer(func(c *pki.Certificate) { c.ExtraExtensions = []pkix.Extension{signing, noCheck} }), ""},
		{"another nonce", answering(ok, response, about([]ocsp.CertID{own}, []byte("another nonce"))), "another request"},
		{"no nonce", answering(ok, response, about([]ocsp.CertID{own}, nil)), "no nonce"},
		{"about another certificate", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			body, err := io.ReadAll(q.Body)
			must(t, err)
			asked, err := ocsp.ParseRequest(body)
			must(t, err)
			answering(ok, response, about([]ocsp.CertID{id}, asked.Nonce))(w, q)
		}), "another certificate"},
		{"of an issuer of the same name", with(func(r *ocsp.Responder) {
			r.Certificate, r.Key = foreign.responder.Certificate, foreign.responder.Key
		}), "not of the issuer"},
		{"signed by another key of the issuer's name", with(func(r *ocsp.Responder) {
			r.Certificate, r.Key = r.Issuer, foreign.Issuing.Key
		}), "does not verify"},
		{"signer of the root, not of the issuer", with(func(r *ocsp.Responder) {
			leaf := b.MustIssue(t, b.Root, "OCSP", pki.UsageOCSP)
			r.Certificate, r.Key = leaf.Certificate, leaf.Key
		}), "not of the issuer"},
		{"signer without the right", with(func(r *ocsp.Responder) { r.Certificate, r.Key = b.QR.Certificate, b.QR.Key }), "nocheck"},
		{"signer with nocheck, without the right", signer(func(c *pki.Certificate) { c.ExtraExtensions = []pkix.Extension{noCheck} }), "does not allow ocsp"},
		{"signer with the right, without nocheck", signer(func(c *pki.Certificate) { c.ExtraExtensions = []pkix.Extension{signing} }), "nocheck"},
		{"signer for something else", signer(func(c *pki.Certificate) {
			c.ExtraExtensions = []pkix.Extension{usage(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}), noCheck}
		}), "does not allow ocsp"},
		{"signer that may not sign", signer(func(c *pki.Certificate) {
			c.KeyUsage, c.ExtraExtensions = smx509.KeyUsageKeyEncipherment, []pkix.Extension{signing, noCheck}
		}), "key usage"},
		{"signer expired", signer(func(c *pki.Certificate) {
			c.NotAfter, c.ExtraExtensions = b.now.Add(-time.Second), []pkix.Extension{signing, noCheck}
		}), "out of its validity"},
		{"signer not yet valid", signer(func(c *pki.Certificate) {
			c.NotBefore, c.ExtraExtensions = b.now.Add(time.Second), []pkix.Extension{signing, noCheck}
		}), "out of its validity"},
		{"signer with a critical extension", signer(func(c *pki.Certificate) {
			c.ExtraExtensions = []pkix.Extension{signing, noCheck, {Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}), "critical"},
		{"of yesterday", with(func(r *ocsp.Responder) { r.Now = func() time.Time { return b.now.AddDate(0, 0, -1) } }), "not current"},
		{"of tomorrow", with(func(r *ocsp.Responder) { r.Now = func() time.Time { return b.now.AddDate(0, 0, 1) } }), "not current"},
		{"half a minute ahead", with(func(r *ocsp.Responder) { r.Now = func() time.Time { return b.now.Add(30 * time.Second) } }), ""},
		{"source away", with(func(r *ocsp.Responder) {
			r.Revoked = func(*big.Int) (*pki.Revoked, error) { return nil, errors.New("no list") }
		}), "try later"},
		{"signature flipped", altered(func(der []byte) []byte {
			_, signature := signedParts(t, der)
			der[bytes.Index(der, signature)+len(signature)-1] ^= 1
			return der
		}), "verify"},
		{"good made of revoked", altered(func(der []byte) []byte {
			tbs, _ := signedParts(t, der)
			der[bytes.Index(der, tbs)+len(tbs)/2] ^= 1
			return der
		}), ""},
		{"a byte behind", altered(func(der []byte) []byte { return append(der, 0) }), "malformed"},
		{"cut short", altered(func(der []byte) []byte { return der[:len(der)-1] }), "malformed"},
		{"empty", answering(ok, response, nil), "malformed"},
		{"refusal", answering(ok, response, ocsp.Refusal(ocsp.TryLater)), "try later"},
		{"success without an answer", answering(ok, response, []byte{0x30, 3, 0x0a, 1, 0}), "basic"},
		{"other content type", answering(ok, "text/html", nil), "content type"},
		{"HTTP 500", answering(500, response, ocsp.Refusal(ocsp.TryLater)), "500"},
		{"redirect", http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound), "302"},
		{"endless", http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", response)
			for q.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}), "64 KiB"},
		{"slow", http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
			select {
			case <-q.Context().Done():
			case <-time.After(time.Second):
			}
		}), "deadline"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.client.Timeout = 5 * time.Second
			if c.name == "slow" {
				b.client.Timeout = 50 * time.Millisecond
			}
			s, err := b.ask(t, c.handler, b.SealSigner.Certificate)
			if strings.HasPrefix(c.name, "good,") || c.name == "half a minute ahead" {
				must(t, err)
				return
			}
			if err == nil || s != nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %+v, %v; want an error that says %q", s, err, c.says)
			}
		})
	}
	if _, err := b.client.Status(t.Context(), "http://127.0.0.1:1/", b.SealSigner.Certificate, b.Issuing.Certificate); err == nil {
		t.Error("an answer from nobody")
	}
	b.client.RequireNonce = false
	if _, err := b.ask(t, answering(ok, response, about([]ocsp.CertID{own}, nil)), b.SealSigner.Certificate); err != nil {
		t.Errorf("signed in advance: %v", err)
	}
}

// custom signs a certificate that no CertificateRequest would give.
func custom(t testing.TB, ca *pki.CA, pub crypto.PublicKey, at time.Time, alter func(*pki.Certificate)) *pki.Certificate {
	t.Helper()
	template := &pki.Certificate{
		SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "custom"}, NotBefore: at.AddDate(-1, 0, 0), NotAfter: at.AddDate(1, 0, 0),
		BasicConstraintsValid: true, MaxPathLen: -1, KeyUsage: smx509.KeyUsageDigitalSignature,
	}
	alter(template)
	der, err := smx509.CreateCertificate(rand.Reader, template, ca.Certificate, pub, ca.Key)
	must(t, err)
	cert, err := pki.ParseCertificate(der)
	must(t, err)
	return cert
}

// TestResponderHTTP asks by POST and GET, and in ways that are neither.
func TestResponderHTTP(t *testing.T) {
	b := newBench(t, true)
	id, err := ocsp.NewCertID(b.Issuing.Certificate, b.SealSigner.Certificate.SerialNumber)
	must(t, err)
	request, err := ocsp.MarshalRequest([]ocsp.CertID{id, id}, []byte{1})
	must(t, err)
	text := base64.StdEncoding.EncodeToString(request)
	many, err := ocsp.MarshalRequest([]ocsp.CertID{id, id, id, id, id, id, id, id, id}, nil)
	must(t, err)
	none, err := ocsp.MarshalRequest(nil, nil)
	must(t, err)
	long, err := ocsp.MarshalRequest([]ocsp.CertID{id}, make([]byte, 129))
	must(t, err)
	const kind = "application/ocsp-request"
	for _, c := range []struct {
		name, method, path, kind string
		body                     []byte
		status                   int
		good                     bool // else, with status 200: a refusal
	}{
		{"POST", "POST", "/", kind, request, 200, true},
		{"GET", "GET", "/" + url.PathEscape(text), "", nil, 200, true},
		{"GET, not escaped", "GET", "/" + text, "", nil, 200, true},
		{"GET of nothing", "GET", "/", "", nil, 200, false},
		{"GET of no base64", "GET", "/***", "", nil, 400, false},
		{"GET, over the limit", "GET", "/" + strings.Repeat("A", 9000), "", nil, 400, false},
		{"other content type", "POST", "/", "text/plain", request, 415, false},
		{"other method", "PUT", "/", kind, request, 405, false},
		{"empty body", "POST", "/", kind, nil, 200, false},
		{"garbage", "POST", "/", kind, []byte("garbage"), 200, false},
		{"trailing byte", "POST", "/", kind, append(bytes.Clone(request), 0), 200, false},
		{"over 4 KiB", "POST", "/", kind, make([]byte, 4<<10+1), 400, false},
		{"nine certificates", "POST", "/", kind, many, 200, false},
		{"no certificate", "POST", "/", kind, none, 200, false},
		{"nonce of 129 bytes", "POST", "/", kind, long, 200, false},
	} {
		w := httptest.NewRecorder()
		q := httptest.NewRequest(c.method, c.path, bytes.NewReader(c.body))
		q.Header.Set("Content-Type", c.kind)
		b.responder.ServeHTTP(w, q)
		if w.Code != c.status {
			t.Errorf("%s: status %d", c.name, w.Code)
			continue
		}
		if c.status != 200 {
			continue
		}
		r, err := ocsp.ParseResponse(w.Body.Bytes())
		var refused ocsp.StatusError
		if c.good && (err != nil || len(r.Answers) != 2 || r.Answers[0].Status != ocsp.Good) || !c.good && !errors.As(err, &refused) {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
	}
}

// TestCertIDs: an issuer is known by its name and its key together.
func TestCertIDs(t *testing.T) {
	b, foreign := newBench(t, false), cryptotest.New(t)
	good, err := ocsp.NewCertID(b.Issuing.Certificate, b.QR.Certificate.SerialNumber)
	must(t, err)
	namesake, err := ocsp.NewCertID(foreign.Issuing.Certificate, b.QR.Certificate.SerialNumber)
	must(t, err)
	for name, c := range map[string]struct {
		alter func(id *ocsp.CertID)
		want  ocsp.CertStatus
	}{
		"good":               {func(*ocsp.CertID) {}, ocsp.Good},
		"hash with NULL":     {func(id *ocsp.CertID) { id.HashAlgorithm.Parameters = asn1.NullRawValue }, ocsp.Good},
		"hash with a number": {func(id *ocsp.CertID) { id.HashAlgorithm.Parameters.FullBytes = []byte{2, 1, 1} }, ocsp.Unknown},
		"hash not known":     {func(id *ocsp.CertID) { id.HashAlgorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 3} }, ocsp.Unknown},
		"hash of another":    {func(id *ocsp.CertID) { id.HashAlgorithm.Algorithm = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26} }, ocsp.Unknown},
		"key of a namesake":  {func(id *ocsp.CertID) { id.IssuerKeyHash = namesake.IssuerKeyHash }, ocsp.Unknown},
		"other name":         {func(id *ocsp.CertID) { id.IssuerNameHash = make([]byte, 32) }, ocsp.Unknown},
		"no key":             {func(id *ocsp.CertID) { id.IssuerKeyHash = nil }, ocsp.Unknown},
	} {
		id := good
		c.alter(&id)
		q, err := ocsp.MarshalRequest([]ocsp.CertID{id}, nil)
		must(t, err)
		r, err := ocsp.ParseResponse(b.responder.Respond(q))
		must(t, err)
		if got := r.Answers[0].Status; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
