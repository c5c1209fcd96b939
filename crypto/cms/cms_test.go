package cms_test

import (
	"bytes"
	"strings"
	"testing"

	"elicence/crypto/cms"
	"elicence/crypto/cryptotest"
	"elicence/testdata/hostile"
)

var document = []byte("the bytes that a file protects")

// TestRows reads every container that other makers are known to write.
func TestRows(t *testing.T) {
	p := cryptotest.New(t)
	for _, row := range cryptotest.Rows() {
		if row.CMS == nil {
			continue
		}
		s, err := cms.Parse(p.MustCMS(t, *row.CMS, document))
		if err != nil {
			t.Errorf("%s: %v", row.Name, err)
			continue
		}
		family, algorithm := cms.FamilyRFC, "1.2.156.10197.1.301.1"
		if row.CMS.GM {
			family = cms.FamilyGM
		}
		if row.CMS.SM2WithSM3 {
			algorithm = "1.2.156.10197.1.501"
		}
		if s.Family != family || s.Algorithm != algorithm || !s.Certificate.Equal(p.SealSigner.Certificate) ||
			(s.Content != nil) != row.CMS.Digest || s.HasAttributes() != row.CMS.Attributes || s.ClaimedTime.IsZero() == row.CMS.Attributes {
			t.Errorf("%s: read as %+v", row.Name, s)
		}
		if got := s.Check(document); got != (cms.Verdict{DocumentMatches: true, SignatureValid: true}) {
			t.Errorf("%s: %+v", row.Name, got)
		}
		// Without content and attributes, the signature value alone knows the document.
		bound := row.CMS.Digest || row.CMS.Attributes
		if got := s.Check(document[1:]); got != (cms.Verdict{SignatureValid: bound}) {
			t.Errorf("%s, another document: %+v", row.Name, got)
		}
	}
}

// TestEveryBit changes every byte of every container: it is refused, or found wrong,
// or changed where nobody signs.
func TestEveryBit(t *testing.T) {
	p := cryptotest.New(t)
	for _, row := range cryptotest.Rows() {
		if row.CMS == nil {
			continue
		}
		der := p.MustCMS(t, *row.CMS, document)
		cert := bytes.Index(der, p.SealSigner.Certificate.Raw)
		for i := range der {
			changed := bytes.Clone(der)
			changed[i] ^= 1
			s, err := cms.Parse(changed)
			if err != nil {
				if s != nil || !strings.HasPrefix(err.Error(), "cms: ") {
					t.Fatalf("%s: byte %d: %v with a value %t", row.Name, i, err, s != nil)
				}
				continue
			}
			unsigned := i >= cert && i < cert+len(p.SealSigner.Certificate.Raw)
			if v := s.Check(document); v.DocumentMatches && v.SignatureValid && !unsigned {
				t.Errorf("%s: byte %d of %d changed, and nobody sees it", row.Name, i, len(der))
			}
		}
	}
}

// swap replaces bytes that must be there once.
func swap(t *testing.T, der, old, by []byte) []byte {
	t.Helper()
	if bytes.Count(der, old) < 1 || len(old) != len(by) {
		t.Fatalf("%x cannot become %x", old, by)
	}
	return bytes.Replace(der, old, by, 1)
}

func TestRefused(t *testing.T) {
	p := cryptotest.New(t)
	der := p.MustCMS(t, cryptotest.CMS{SM2WithSM3: true, Attributes: true}, document)
	oid := func(last byte) []byte { return []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, last} }
	sm3 := []byte{6, 8, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 1, 0x83, 0x11}
	for _, c := range []struct {
		name, says string
		der        []byte
	}{
		{"empty", "syntax", nil},
		{"text", "structure error", []byte("hello")},
		{"cut", "truncated", der[:len(der)-1]},
		{"a byte more", "trailing", append(bytes.Clone(der), 0)},
		{"indefinite length", "indefinite", append([]byte{0x30, 0x80}, der[2:]...)},
		{"over its limit", "256 KiB", append(bytes.Clone(der), make([]byte, 256<<10)...)},
		{"content type envelopedData", "not signedData", swap(t, der, oid(2), oid(3))},
		{"content envelopedData", "not data", swap(t, der, oid(1), oid(3))},
		{"digest of another kind", "SM3", swap(t, der, sm3, append(bytes.Clone(sm3[:9]), 0x12))},
		{"another's certificate", "not among those sent", swap(t, der, p.SealSigner.Certificate.SerialNumber.Bytes(), p.TSA.Certificate.SerialNumber.Bytes())},
		{"a licence's own token", "not data", p.MustToken(t, document, p.Now).Raw},
		{"a seal signature", "structure error", p.MustSign(t, make([]byte, 32)).Raw},
	} {
		if s, err := cms.Parse(c.der); s != nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want one that says %q", c.name, err, c.says)
		}
	}
}

func FuzzParse(f *testing.F) {
	p := cryptotest.New(f)
	for _, row := range cryptotest.Rows() {
		if row.CMS != nil {
			f.Add(p.MustCMS(f, *row.CMS, document))
		}
	}
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		var s *cms.Signed
		var err error
		hostile.Within(t, func() { s, err = cms.Parse(der) })
		if (err == nil) == (s == nil) {
			t.Fatalf("value %t with error %v", s != nil, err)
		}
		if err == nil {
			s.Check(document)
		}
	})
}
