package pki_test

import (
	"bytes"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/testdata/hostile"
)

// The places of parts in a CRL with lines: the lines themselves, and its extensions.
var crlLines, crlExtensions = []int{0, 5}, []int{0, 6, 0}

func sampleCRL(t testing.TB, p *cryptotest.PKI) []byte {
	t.Helper()
	return p.MustCRL(t, pki.Revoked{SerialNumber: p.QR.Certificate.SerialNumber, At: p.Now, Reason: pki.KeyCompromise, InvalidityDate: p.Now})
}

// TestExtensionTwice puts an extension into a CRL and its lines again. Who would be
// revoked since when would depend on the reader.
func TestExtensionTwice(t *testing.T) {
	der := sampleCRL(t, cryptotest.New(t))
	if _, err := pki.ParseCRL(der); err != nil {
		t.Fatal(err)
	}
	entry := append(slices.Clone(crlLines), 0, 2)
	for name, path := range map[string][]int{"key identifier": crlExtensions, "number": crlExtensions, "reason": entry, "invalidity date": entry} {
		place := 0
		if name == "number" || name == "reason" {
			place = 1
		}
		one := append(slices.Clone(path), place)
		twice := bytes.Repeat(hostile.Find(t, der, one...), 2)
		list, err := pki.ParseCRL(hostile.Replace(t, der, twice, one...))
		if list != nil || err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%s: list %t, %v", name, list != nil, err)
		}
	}
}

// TestHostileAnchors: what nobody signed is not taken apart, and nothing costs more
// than its bound.
func TestHostileAnchors(t *testing.T) {
	p := cryptotest.New(t)
	der := sampleCRL(t, p)
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	with := func(path []int, by []byte) []byte {
		return slices.Concat(p.AnchorsPEM, block("X509 CRL", hostile.Replace(t, der, by, path...)))
	}
	line := hostile.Find(t, der, append(slices.Clone(crlLines), 0)...)
	bare := hostile.Element(0x30, hostile.Find(t, line, 0), hostile.Find(t, line, 1))
	extension := hostile.Find(t, der, append(slices.Clone(crlExtensions), 0)...)
	for name, text := range map[string][]byte{
		"hundreds of thousands of lines": with(crlLines, hostile.Element(0x30, bytes.Repeat(bare, 5_500_000/len(bare)))),
		"lines of one serial number":     with(crlLines, hostile.Element(0x30, bytes.Repeat(line, 5_500_000/len(line)))),
		"extensions":                     with(crlExtensions, hostile.Element(0x30, bytes.Repeat(extension, 5_500_000/len(extension)))),
		"elements in one another":        with(crlLines, hostile.Nested(1_000_000)),
		"indefinite length":              with([]int{0}, hostile.Indefinite(t, hostile.Find(t, der, 0))),
		"blocks of nothing":              bytes.Repeat([]byte("-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n"), 150_000),
		"beginnings of blocks":           bytes.Repeat([]byte("-----BEGIN X509 CRL-----\n"), 300_000),
		"headers of a block":             []byte("-----BEGIN X509 CRL-----\n" + strings.Repeat("A: b\n", 1_600_000) + "\n-----END X509 CRL-----\n"),
		"a certificate and its like":     slices.Concat(bytes.Repeat(block("CERTIFICATE", p.Root.Certificate.Raw), 8_000), []byte("x")),
		"9 MiB":                          bytes.Repeat([]byte("#\n"), 9<<19),
	} {
		hostile.Within(t, func() {
			if a, err := pki.ParseTrustAnchors(text); err == nil || a != nil {
				t.Errorf("%s: taken in", name)
			}
		})
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestJunkInName puts bytes that are no element behind an attribute of a name, where
// X.509 decoders do not look.
func TestJunkInName(t *testing.T) {
	p := cryptotest.New(t)
	cert, list := p.QR.Certificate.Raw, sampleCRL(t, p)
	certIssuer, listIssuer := []int{0, 3, 0, 0}, []int{0, 2, 0, 0}
	junk := func(der []byte, path []int) []byte {
		attribute := hostile.Find(t, der, path...)
		body := attribute[2:]
		return hostile.Replace(t, der, hostile.Element(0x30, body, []byte{0, 0, 4, 0, 0xad}), path...)
	}
	if got, err := pki.ParseCertificate(junk(cert, certIssuer)); err == nil || got != nil {
		t.Error("certificate taken in")
	}
	if got, err := pki.ParseCRL(junk(list, listIssuer)); err == nil || got != nil {
		t.Error("CRL taken in")
	}
}
