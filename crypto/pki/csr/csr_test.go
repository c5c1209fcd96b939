package csr_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/pki/csr"
	"elicence/testdata/hostile"

	"github.com/google/go-cmp/cmp"
)

var subject = pkix.Name{Country: []string{"CN"}, Organization: []string{"测试市市场监督管理局"}, CommonName: "测试市市场监督管理局"}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustMake(t testing.TB) []byte {
	t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	der, err := csr.Make(rand.Reader, key, subject)
	must(t, err)
	return der
}

// TestIssueFromRequest: the CA takes name and key, and decides the rest.
func TestIssueFromRequest(t *testing.T) {
	p := cryptotest.New(t)
	der := mustMake(t)
	r, err := csr.ParsePEM(csr.MarshalPEM(der))
	must(t, err)
	if !bytes.Equal(r.Raw, der) {
		t.Error("the request read back differs")
	}
	cert, err := p.Issuing.Issue(rand.Reader, pki.CertificateRequest{
		Subject: r.Subject, PublicKey: r.PublicKey, Usage: pki.UsageSealSigner, NotBefore: p.Now, NotAfter: p.Now.AddDate(1, 0, 0),
	})
	must(t, err)
	if diff := cmp.Diff(cert.Subject.String(), subject.String()); diff != "" {
		t.Errorf("subject (-got +want):\n%s", diff)
	}
	if _, err := p.Anchors.CheckPath(cert, pki.PathOptions{Usage: pki.UsageSealSigner, At: p.Now, Now: p.Now}); err != nil {
		t.Error(err)
	}
}

// TestOpenSSL: OpenSSL takes ours, and we take OpenSSL's; what its maker asks for in
// extensions is not in the certificate.
func TestOpenSSL(t *testing.T) {
	p := cryptotest.New(t)
	dir := t.TempDir()
	ours, key, theirs := filepath.Join(dir, "ours.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "theirs.pem")
	const distid = "distid:1234567812345678"
	must(t, os.WriteFile(ours, csr.MarshalPEM(mustMake(t)), 0o600))
	if ok, out := cryptotest.OpenSSL(t, "req", "-in", ours, "-verify", "-noout", "-vfyopt", distid); !ok || !strings.Contains(out, "OK") {
		t.Errorf("OpenSSL on ours: %s", out)
	}
	if ok, out := cryptotest.OpenSSL(t, "ecparam", "-genkey", "-name", "SM2", "-noout", "-out", key); !ok {
		t.Fatal(out)
	}
	ok, out := cryptotest.OpenSSL(t, "req", "-new", "-utf8", "-key", key, "-sm3", "-sigopt", distid, "-subj", "/C=CN/O=测试市/CN=测试市公安局",
		"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign", "-out", theirs)
	if !ok {
		t.Fatal(out)
	}
	text, err := os.ReadFile(theirs)
	must(t, err)
	r, err := csr.ParsePEM(text)
	must(t, err)
	cert, err := p.Issuing.Issue(rand.Reader, pki.CertificateRequest{
		Subject: r.Subject, PublicKey: r.PublicKey, Usage: pki.UsageSealSigner, NotBefore: p.Now, NotAfter: p.Now.AddDate(1, 0, 0),
	})
	must(t, err)
	if cert.IsCA || cert.Subject.CommonName != "测试市公安局" || pki.CheckUsage(cert, pki.UsageSealSigner) != nil {
		t.Errorf("got %v, CA %t", cert.Subject, cert.IsCA)
	}
}

func TestParseRefuses(t *testing.T) {
	der, other := mustMake(t), mustMake(t)
	flip := func(at int) []byte { b := bytes.Clone(der); b[at] ^= 1; return b }
	type request struct {
		Info, Algorithm asn1.RawValue
		Signature       asn1.BitString
	}
	parts := func(der []byte) (r request) {
		_, err := asn1.Unmarshal(der, &r)
		must(t, err)
		return r
	}
	mixed := func(change func(r *request)) []byte {
		r := parts(der)
		change(&r)
		b, err := asn1.Marshal(r)
		must(t, err)
		return b
	}
	if !bytes.Equal(mixed(func(*request) {}), der) {
		t.Fatal("parts do not make up the request")
	}
	for name, in := range map[string][]byte{
		"empty":               nil,
		"not DER":             []byte("request"),
		"truncated":           der[:len(der)-1],
		"trailing byte":       append(bytes.Clone(der), 0),
		"signature flipped":   flip(len(der) - 1),
		"key or name flipped": flip(len(der) / 2),
		"another's signature": mixed(func(r *request) { r.Signature = parts(other).Signature }),
		"unused bits":         mixed(func(r *request) { r.Signature.BitLength-- }),
		"signed by SM3 alone": mixed(func(r *request) {
			r.Algorithm.FullBytes = []byte{0x30, 0x0a, 6, 8, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 1, 0x83, 0x11}
		}),
		"length in a longer form":   append([]byte{0x30, 0x83, 0}, der[2:]...),
		"over 16 KiB":               append(bytes.Clone(der), make([]byte, 16<<10)...),
		"two requests back to back": append(bytes.Clone(der), der...),
	} {
		if r, err := csr.Parse(in); err == nil || r != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, text := range map[string]string{
		"no PEM":       "hello",
		"other type":   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"text after":   string(csr.MarshalPEM(der)) + "hello",
		"two requests": string(csr.MarshalPEM(der)) + string(csr.MarshalPEM(other)),
		"too long":     strings.Repeat("\n", 64<<10) + string(csr.MarshalPEM(der)),
	} {
		if r, err := csr.ParsePEM([]byte(text)); err == nil || r != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestNames: a name that our certificates could not repeat makes no request.
func TestNames(t *testing.T) {
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	email := pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "a@example.org"}
	twice := pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "b"}
	for name, subject := range map[string]pkix.Name{
		"nothing":              {},
		"no common name":       {Organization: []string{"x"}},
		"mail address":         {CommonName: "x", ExtraNames: []pkix.AttributeTypeAndValue{email}},
		"two common names":     {CommonName: "a", ExtraNames: []pkix.AttributeTypeAndValue{{Type: twice.Type, Value: "a"}, twice}},
		"65 characters":        {CommonName: strings.Repeat("长", 65)},
		"empty organisation":   {CommonName: "x", Organization: []string{""}},
		"line break":           {CommonName: "a\nb"},
		"change of direction":  {CommonName: "a\u202eb"},
		"an integer as a name": {CommonName: "x", ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: 1}}},
	} {
		if _, err := csr.Make(rand.Reader, key, subject); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := csr.Make(iotest.ErrReader(errors.New("dry")), key, subject); err == nil {
		t.Error("signed without randomness")
	}
}

// FuzzParse: whatever parses is the whole input and signed by the key it holds.
func FuzzParse(f *testing.F) {
	f.Add(mustMake(f))
	f.Fuzz(func(t *testing.T, der []byte) {
		var r *csr.Request
		var err error
		hostile.Within(t, func() { r, err = csr.Parse(der) })
		if (err == nil) == (r == nil) {
			t.Errorf("request %v with error %v", r, err)
		}
		if r != nil && (!bytes.Equal(r.Raw, der) || r.Subject.CommonName == "" || r.PublicKey == nil) {
			t.Errorf("%+v", r)
		}
		if r != nil {
			hostile.CheckDER(t, der)
		}
	})
}
