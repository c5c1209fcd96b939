package seal_test

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"

	"github.com/emmansun/gmsm/sm3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustMarshal(t testing.TB, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	must(t, err)
	return der
}

func TestMake(t *testing.T) {
	p := cryptotest.New(t)
	template := p.Template(seal.Picture{Type: "PNG", Data: []byte("picture"), Width: 42, Height: 42})
	template.Signers = append(template.Signers, p.QR.Certificate)
	template.CreatedAt = template.CreatedAt.Add(time.Millisecond) // not kept
	s, err := seal.Make(rand.Reader, p.SealMaker.Certificate, p.SealMaker.Key, template)
	must(t, err)
	want := &seal.Seal{
		Version: 4, ID: template.ID, Vendor: template.Vendor, Name: template.Name, Type: seal.TypeUnit,
		CertListType: seal.ListsCertificates, CertList: [][]byte{p.SealSigner.Certificate.Raw, p.QR.Certificate.Raw},
		CreatedAt: template.CreatedAt.Truncate(time.Second), ValidFrom: template.ValidFrom, ValidTo: template.ValidTo,
		Picture: template.Picture,
	}
	ignore := cmpopts.IgnoreFields(seal.Seal{}, "Raw", "InfoRaw", "SignedRaw", "Maker", "SignatureValue")
	if diff := cmp.Diff(s, want, ignore); diff != "" {
		t.Errorf("seal (-got +want):\n%s", diff)
	}
	if !s.Maker.Equal(p.SealMaker.Certificate) || !bytes.Equal(s.InfoRaw, s.SignedRaw) || !bytes.Contains(s.Raw, s.InfoRaw) {
		t.Error("maker or raw parts are wrong")
	}
	must(t, s.CheckSignature())
	if again, err := seal.Remarshal(s); err != nil || !bytes.Equal(again, s.Raw) {
		t.Errorf("fields marshal to other bytes, error %v", err)
	}
	if !s.Lists(p.SealSigner.Certificate) || !s.Lists(p.QR.Certificate) || s.Lists(p.SealMaker.Certificate) {
		t.Error("Lists is wrong")
	}
	if !s.ValidAt(s.ValidFrom) || !s.ValidAt(s.ValidTo) || s.ValidAt(s.ValidFrom.Add(-1)) || s.ValidAt(s.ValidTo.Add(1)) {
		t.Error("ValidAt is wrong at the ends")
	}
}

func TestMakeRefuses(t *testing.T) {
	p := cryptotest.New(t)
	picture := seal.Picture{Type: "PNG", Data: []byte("picture"), Width: 42, Height: 42}
	for name, alter := range map[string]func(*seal.Template){
		"no identifier":        func(t *seal.Template) { t.ID = "" },
		"identifier not ASCII": func(t *seal.Template) { t.ID = "编号" },
		"no vendor":            func(t *seal.Template) { t.Vendor = "" },
		"no name":              func(t *seal.Template) { t.Name = "" },
		"name not UTF-8":       func(t *seal.Template) { t.Name = "\xff" },
		"name of 2 KiB":        func(t *seal.Template) { t.Name = strings.Repeat("x", 2<<10) },
		"no type":              func(t *seal.Template) { t.Type = 0 },
		"type 3":               func(t *seal.Template) { t.Type = 3 },
		"no signers":           func(t *seal.Template) { t.Signers = nil },
		"257 signers":          func(t *seal.Template) { t.Signers = make257(p) },
		"no date of creation":  func(t *seal.Template) { t.CreatedAt = time.Time{} },
		"validity empty":       func(t *seal.Template) { t.ValidTo = t.ValidFrom },
		"no picture":           func(t *seal.Template) { t.Picture.Data = nil },
		"picture of 1 MiB":     func(t *seal.Template) { t.Picture.Data = make([]byte, 1<<20) },
		"no picture type":      func(t *seal.Template) { t.Picture.Type = "" },
		"no width":             func(t *seal.Template) { t.Picture.Width = 0 },
		"negative height":      func(t *seal.Template) { t.Picture.Height = -40 },
		"seal of two metres":   func(t *seal.Template) { t.Picture.Width = 2000 },
		"valid beyond year 9999": func(t *seal.Template) {
			t.ValidTo = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
		},
	} {
		template := p.Template(picture)
		alter(&template)
		if s, err := seal.Make(rand.Reader, p.SealMaker.Certificate, p.SealMaker.Key, template); err == nil || s != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := seal.Make(rand.Reader, p.SealMaker.Certificate, p.QR.Key, p.Template(picture)); err == nil {
		t.Error("made with a key that is not the maker's")
	}
}

func make257(p *cryptotest.PKI) (certs []*pki.Certificate) {
	for range 257 {
		certs = append(certs, p.QR.Certificate)
	}
	return certs
}

// TestForeignSeals reads seals that another implementation made, one of each version.
// They lie outside the repository; the folder is named by ELICENCE_VECTORS.
func TestForeignSeals(t *testing.T) {
	dir := os.Getenv("ELICENCE_VECTORS")
	if dir == "" {
		dir = "../shared/vectors"
	}
	if !filepath.IsAbs(dir) { // from the module's root
		dir = filepath.Join("..", "..", dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "seals", "*.esl"))
	must(t, err)
	if len(files) == 0 {
		t.Logf("no seals in %s: set ELICENCE_VECTORS to check those of others; ours are checked all the same", dir)
	}
	versions := map[string]int{"ofdrw-UserV1.esl": 1, "ofdrw-UserV4.esl": 4, "ofdrw-UserV5.esl": 5}
	for _, file := range files {
		der, err := os.ReadFile(file)
		must(t, err)
		s, err := seal.ParseSeal(der)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if s.Version != versions[filepath.Base(file)] || s.Picture.Type != "PNG" || s.Picture.Width != 40 || len(s.CertList) != 1 || !strings.Contains(s.Name, "测试") {
			t.Errorf("%s: version %d, %s picture of %d mm, %d signers, name %q", file, s.Version, s.Picture.Type, s.Picture.Width, len(s.CertList), s.Name)
		}
		if err := s.CheckSignature(); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if !cryptotest.OpenSSLVerifies(t, s.Maker.PublicKey, s.SignedRaw, s.SignatureValue) {
			t.Errorf("%s: OpenSSL does not verify it", file)
		}
		if again, err := seal.Remarshal(s); err != nil || !bytes.Equal(again, der) {
			t.Errorf("%s: fields marshal to other bytes, error %v", file, err)
		}
		signer, err := pki.ParseCertificate(s.CertList[0])
		if err != nil || !s.Lists(signer) {
			t.Errorf("%s: signer is not found in the list, error %v", file, err)
		}
		checkRefusals(t, s, 7)
	}
}

// checkRefusals changes every step-th byte of a seal outside its picture, and cuts it
// short there: nothing that still parses may verify.
func checkRefusals(t *testing.T, s *seal.Seal, step int) {
	t.Helper()
	at := bytes.Index(s.Raw, s.Picture.Data)
	for i := 0; i < len(s.Raw); i += step {
		if i > at+4 && i < at+len(s.Picture.Data)-4 {
			continue
		}
		for _, mask := range []byte{0x01, 0x20} {
			twisted := bytes.Clone(s.Raw)
			twisted[i] ^= mask
			if got, err := seal.ParseSeal(twisted); err == nil && got.CheckSignature() == nil && got.Maker.Equal(s.Maker) {
				t.Errorf("verifies with byte %d changed by %#x", i, mask)
			}
		}
		if _, err := seal.ParseSeal(s.Raw[:i]); err == nil {
			t.Errorf("parses cut to %d bytes", i)
		}
	}
	if _, err := seal.ParseSeal(append(bytes.Clone(s.Raw), 0)); err == nil {
		t.Error("parses with a byte after it")
	}
}

func TestSealRefusals(t *testing.T) {
	p := cryptotest.New(t)
	checkRefusals(t, p.Seal, 1)
}

// TestSealVariants alters single parts of a good seal and signs it again, so that
// only the part itself can be the reason to refuse.
func TestSealVariants(t *testing.T) {
	p := cryptotest.New(t)
	var outer seal.SESeal
	_, err := asn1.Unmarshal(p.Seal.Raw, &outer)
	must(t, err)
	digest := sm3.Sum(p.SealSigner.Certificate.Raw)
	digests := mustMarshal(t, []seal.CertDigest{{Type: "SM3", Value: digest[:]}})
	extension := func(critical bool) []seal.ExtData {
		return []seal.ExtData{{ExtnID: asn1.ObjectIdentifier{1, 2, 3}, Critical: critical, ExtnValue: []byte{1}}}
	}
	plain := func(*seal.SESeal) {}
	for _, c := range []struct {
		name string
		good bool
		info func(*seal.SESSealInfo)
		seal func(*seal.SESeal)
	}{
		{"nothing", true, func(*seal.SESSealInfo) {}, plain},
		{"list of digests", true, func(i *seal.SESSealInfo) {
			i.Property.CertListType, i.Property.CertList.FullBytes = seal.ListsDigests, digests
		}, plain},
		{"type 3, as seen in the field", true, func(i *seal.SESSealInfo) { i.Property.Type = 3 }, plain},
		{"extension", true, func(i *seal.SESSealInfo) { i.ExtDatas = extension(false) }, plain},
		{"version 5 with a timestamp", true, func(i *seal.SESSealInfo) { i.Header.Version = 5 }, func(s *seal.SESeal) {
			s.TimeStamp = asn1.BitString{Bytes: []byte{1}, BitLength: 8}
		}},
		{"critical extension", false, func(i *seal.SESSealInfo) { i.ExtDatas = extension(true) }, plain},
		{"version 4 with a timestamp", false, func(*seal.SESSealInfo) {}, func(s *seal.SESeal) {
			s.TimeStamp = asn1.BitString{Bytes: []byte{1}, BitLength: 8}
		}},
		{"timestamp with unused bits", false, func(i *seal.SESSealInfo) { i.Header.Version = 5 }, func(s *seal.SESeal) {
			s.TimeStamp = asn1.BitString{Bytes: []byte{0x80}, BitLength: 7}
		}},
		{"empty timestamp", false, func(i *seal.SESSealInfo) { i.Header.Version = 5 }, func(s *seal.SESeal) {
			s.TimeStamp = asn1.BitString{Bytes: []byte{}}
		}},
		{"version 2", false, func(i *seal.SESSealInfo) { i.Header.Version = 2 }, plain},
		{"version 1 in this structure", false, func(i *seal.SESSealInfo) { i.Header.Version = 1 }, plain},
		{"negative version", false, func(i *seal.SESSealInfo) { i.Header.Version = -4 }, plain},
		{"header says SE", false, func(i *seal.SESSealInfo) { i.Header.ID = "SE" }, plain},
		{"type 0", false, func(i *seal.SESSealInfo) { i.Property.Type = 0 }, plain},
		{"certListType 3", false, func(i *seal.SESSealInfo) { i.Property.CertListType = 3 }, plain},
		{"digests said to be certificates", false, func(i *seal.SESSealInfo) { i.Property.CertList.FullBytes = digests }, plain},
		{"certificates said to be digests", false, func(i *seal.SESSealInfo) { i.Property.CertListType = seal.ListsDigests }, plain},
		{"empty list", false, func(i *seal.SESSealInfo) { i.Property.CertList.FullBytes = []byte{0x30, 0} }, plain},
		{"list in BER", false, func(i *seal.SESSealInfo) {
			i.Property.CertList.FullBytes = append([]byte{0x30, 0x83, 0}, i.Property.CertList.FullBytes[2:]...)
		}, plain},
		{"no picture", false, func(i *seal.SESSealInfo) { i.Picture.Data = nil }, plain},
		{"no height", false, func(i *seal.SESSealInfo) { i.Picture.Height = 0 }, plain},
		{"maker's certificate damaged", false, func(*seal.SESSealInfo) {}, func(s *seal.SESeal) { s.Cert = s.Cert[1:] }},
		{"other algorithm", false, func(*seal.SESSealInfo) {}, func(s *seal.SESeal) { s.SignAlgID = asn1.ObjectIdentifier{1, 2, 156, 10197, 501} }},
		{"signature with unused bits", false, func(*seal.SESSealInfo) {}, func(s *seal.SESeal) { s.SignedValue.BitLength -= 1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var info seal.SESSealInfo
			_, err := asn1.Unmarshal(p.Seal.InfoRaw, &info)
			must(t, err)
			c.info(&info)
			altered := outer
			altered.ESealInfo = asn1.RawValue{FullBytes: mustMarshal(t, info)}
			value, err := pki.SignMessage(rand.Reader, p.SealMaker.Key, altered.ESealInfo.FullBytes)
			must(t, err)
			altered.SignedValue = asn1.BitString{Bytes: value, BitLength: 8 * len(value)}
			c.seal(&altered)
			s, err := seal.ParseSeal(mustMarshal(t, altered))
			if (err == nil) != c.good || (s != nil) != c.good {
				t.Fatalf("error %v, seal %v", err, s != nil)
			}
			if c.good && (s.CheckSignature() != nil || !s.Lists(p.SealSigner.Certificate) || s.Lists(p.QR.Certificate)) {
				t.Error("signature or list is wrong")
			}
		})
	}
}

// TestSealOpenSSL has OpenSSL judge the maker's signature.
func TestSealOpenSSL(t *testing.T) {
	s := cryptotest.New(t).Seal
	if !cryptotest.OpenSSLVerifies(t, s.Maker.PublicKey, s.InfoRaw, s.SignatureValue) {
		t.Error("OpenSSL does not verify the seal")
	}
	flipped := bytes.Clone(s.InfoRaw)
	flipped[len(flipped)/2] ^= 1
	if cryptotest.OpenSSLVerifies(t, s.Maker.PublicKey, flipped, s.SignatureValue) {
		t.Error("OpenSSL verifies the seal with a bit flipped")
	}
}

func FuzzParseSeal(f *testing.F) {
	p := cryptotest.New(f)
	f.Add(p.Seal.Raw)
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		s, err := seal.ParseSeal(der)
		if err != nil {
			if s != nil {
				t.Error("error with a seal")
			}
			return
		}
		if !bytes.Equal(s.Raw, der) || !bytes.Contains(der, s.InfoRaw) {
			t.Error("raw parts are not those of the input")
		}
		_ = s.CheckSignature()
		_ = s.Lists(p.SealSigner.Certificate)
		if _, err := seal.ParseSeal(append(bytes.Clone(der), 0)); err == nil {
			t.Error("parses with a byte after it")
		}
	})
}
