package pades_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pades"
	"elicence/licence/render/pdf"
	"elicence/testdata/hostile"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keys are the kinds of key that may sign, and some that may not.
func keys(t testing.TB) (good, bad map[string]crypto.Signer) {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return map[string]crypto.Signer{"P-256": p256, "RSA": rsa2048}, map[string]crypto.Signer{"P-384": p384}
}

// chain is a certificate for the key, and its CA's.
func chain(t testing.TB, key crypto.Signer) []*x509.Certificate {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ca := certify(t, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true}, nil, caKey.Public(), caKey)
	return []*x509.Certificate{certify(t, &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "市场监督管理局"}}, ca, key.Public(), caKey), ca}
}

func certify(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert
}

// signed is a PDF file with the signature, and the digest it is over.
func signed(t testing.TB, key crypto.Signer, certs []*x509.Certificate) (file, digest []byte) {
	t.Helper()
	rendered := pdf.Write(pdf.Document{Width: 595, Height: 842, Title: "a", CreatedAt: time.Now(), Metadata: []byte("<x/>"),
		Pages: [][]byte{[]byte("0 0 9 9 re f\n")}, Attachments: []pdf.Attachment{{Name: "a", Data: []byte("b")}}})
	p, err := pdfsig.Prepare(rendered, pdfsig.Options{FieldName: "PAdES", Page: 1, SubFilter: pdfsig.SubFilterPAdES, Reserve: 4000, ClaimedTime: time.Now()})
	must(t, err)
	h := sha256.New()
	_, err = p.WriteTo(h)
	must(t, err)
	digest = h.Sum(nil)
	der, err := pades.Sign(rand.Reader, key, certs, digest)
	must(t, err)
	file, err = p.Finish(der)
	must(t, err)
	return file, digest
}

func TestSign(t *testing.T) {
	good, bad := keys(t)
	for name, key := range good {
		t.Run(name, func(t *testing.T) {
			certs := chain(t, key)
			file, digest := signed(t, key, certs)
			f, err := pdfsig.Read(file)
			must(t, err)
			s, err := pades.Parse(f.Signatures[0].Contents)
			must(t, err)
			must(t, s.Check(digest))
			if !s.Chain[0].Equal(certs[0]) || len(s.Chain) != 2 {
				t.Errorf("chain of %d", len(s.Chain))
			}
			other := bytes.Clone(digest)
			other[0] ^= 1
			if s.Check(other) == nil {
				t.Error("the signature is good for another file")
			}
			judged(t, file, certs[1])
		})
	}
	for name, key := range bad {
		if _, err := pades.Sign(rand.Reader, key, chain(t, key), make([]byte, 32)); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	key := good["P-256"]
	for name, call := range map[string]func() ([]byte, error){
		"no certificate": func() ([]byte, error) { return pades.Sign(rand.Reader, key, nil, make([]byte, 32)) },
		"short digest":   func() ([]byte, error) { return pades.Sign(rand.Reader, key, chain(t, key), make([]byte, 20)) },
		"other's key":    func() ([]byte, error) { return pades.Sign(rand.Reader, key, chain(t, good["RSA"]), make([]byte, 32)) },
	} {
		if der, err := call(); err == nil || der != nil {
			t.Errorf("%s: signed", name)
		}
	}
}

// judged has poppler and OpenSSL look at the file.
func judged(t *testing.T, file []byte, ca *x509.Certificate) {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	f, err := pdfsig.Read(file)
	must(t, err)
	must(t, os.WriteFile(path("bytes"), f.SignedBytes(0), 0o600))
	must(t, os.WriteFile(path("cms"), f.Signatures[0].Contents, 0o600))
	must(t, os.WriteFile(path("ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o600))
	if out := judgedByPoppler(t, file); !strings.Contains(out, "ETSI.CAdES.detached") {
		t.Errorf("pdfsig: %s", out)
	}
	verify := []string{"cms", "-verify", "-binary", "-inform", "DER", "-in", path("cms"), "-content", path("bytes"), "-CAfile", path("ca.pem"), "-purpose", "any", "-cades", "-out", path("out")}
	if out, err := exec.Command("openssl", verify...).CombinedOutput(); err != nil {
		t.Errorf("openssl: %v\n%s", err, out)
	}
	must(t, os.WriteFile(path("bytes"), append(f.SignedBytes(0), 0), 0o600))
	if out, err := exec.Command("openssl", verify...).CombinedOutput(); err == nil {
		t.Errorf("openssl accepts other bytes: %s", out)
	}
}

// judgedByPoppler has poppler look at the one signature of a file, and returns its words.
func judgedByPoppler(t testing.TB, file []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.pdf")
	must(t, os.WriteFile(path, file, 0o600))
	out, err := exec.Command("pdfsig", "-nocert", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Signature is Valid") {
		t.Errorf("pdfsig: %v\n%s", err, out)
	}
	return string(out)
}

// TestEveryBit flips bits in every byte: refused by Parse or by Check.
func TestEveryBit(t *testing.T) {
	good, _ := keys(t)
	digest := make([]byte, 32)
	der, err := pades.Sign(rand.Reader, good["P-256"], chain(t, good["P-256"]), digest)
	must(t, err)
	for i := range der {
		for _, mask := range []byte{0x01, 0x20, 0x80} {
			flipped := bytes.Clone(der)
			flipped[i] ^= mask
			s, err := pades.Parse(flipped)
			if err != nil {
				if s != nil {
					t.Fatal("something with an error")
				}
				continue
			}
			// A certificate's own signature is judged with its path, not here; that a
			// bit of the CA's certificate changed is no matter of the signer's.
			if s.Check(digest) == nil && s.Chain[0].Equal(mustParse(t, der).Chain[0]) && bytes.Equal(s.Chain[1].Raw, mustParse(t, der).Chain[1].Raw) {
				t.Errorf("byte %d with %#x flipped changes nothing", i, mask)
			}
		}
	}
	for _, n := range []int{0, 1, len(der) - 1} {
		if _, err := pades.Parse(der[:n]); err == nil {
			t.Errorf("cut to %d bytes: accepted", n)
		}
	}
	if _, err := pades.Parse(append(bytes.Clone(der), 0)); err == nil {
		t.Error("a byte appended: accepted")
	}
	if _, err := pades.Parse(make([]byte, 1<<20)); err == nil {
		t.Error("1 MiB: accepted")
	}
}

func mustParse(t testing.TB, der []byte) *pades.Signature {
	t.Helper()
	s, err := pades.Parse(der)
	must(t, err)
	return s
}

func FuzzParse(f *testing.F) {
	good, _ := keys(f)
	for _, key := range good {
		der, err := pades.Sign(rand.Reader, key, chain(f, key), make([]byte, 32))
		must(f, err)
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		var s *pades.Signature
		var err error
		hostile.Within(t, func() { s, err = pades.Parse(der) })
		if (err == nil) != (s != nil) {
			t.Fatalf("%v, %v", s, err)
		}
		if err == nil {
			if !bytes.Equal(s.Raw, der) {
				t.Fatal("not the bytes that were parsed")
			}
			_ = s.Check(make([]byte, 32))
		}
	})
}
