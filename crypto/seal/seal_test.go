package seal_test

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"slices"
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

// extension is one with the given last number.
func extension(n int, critical bool) seal.Extension {
	return seal.Extension{ID: asn1.ObjectIdentifier{1, 2, 3, n}, Critical: critical, Value: []byte{byte(n)}}
}

func TestMake(t *testing.T) {
	p := cryptotest.New(t)
	signer := sm3.Sum(p.SealSigner.Certificate.Raw)
	qr := sm3.Sum(p.QR.Certificate.Raw)
	certificates := []seal.Listed{{Value: p.SealSigner.Certificate.Raw}, {Value: p.QR.Certificate.Raw}}
	digests := []seal.Listed{{Value: signer[:], DigestType: "SM3"}, {Value: qr[:], DigestType: "SM3"}}
	for _, c := range []struct {
		name          string
		version, want int
		digests       bool
		extensions    []seal.Extension
	}{
		{"version 4 by default", 0, 4, false, nil},
		{"version 4 with digests", 4, 4, true, nil},
		{"version 5", 5, 5, false, nil},
		{"version 5 with digests and extensions", 5, 5, true, []seal.Extension{extension(7, false), extension(3, false)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			template := p.Template(p.Seal.Picture)
			template.Version, template.ListDigests, template.Extensions = c.version, c.digests, c.extensions
			template.Signers = append(template.Signers, p.QR.Certificate)
			template.CreatedAt = template.CreatedAt.Add(time.Millisecond) // not kept
			s, err := seal.Make(rand.Reader, p.SealMaker.Certificate, p.SealMaker.Key, template)
			must(t, err)
			want := &seal.Seal{
				Version: c.want, ID: template.ID, Vendor: template.Vendor, Name: template.Name, Type: seal.TypeUnit,
				CertListType: seal.ListsCertificates, CertList: certificates,
				CreatedAt: template.CreatedAt.Truncate(time.Second), ValidFrom: template.ValidFrom, ValidTo: template.ValidTo,
				Picture: template.Picture, Extensions: c.extensions, Algorithm: seal.SM2WithSM3,
			}
			if c.digests {
				want.CertListType, want.CertList = seal.ListsDigests, digests
			}
			ignore := cmpopts.IgnoreFields(seal.Seal{}, "Raw", "InfoRaw", "SignedRaw", "Maker", "SignatureValue")
			if diff := cmp.Diff(s, want, ignore); diff != "" {
				t.Errorf("seal (-got +want):\n%s", diff)
			}
			checkMade(t, p, s)
		})
	}
}

// checkMade holds a new seal, which lists seal signer and QR signer, to what all
// seals promise.
func checkMade(t *testing.T, p *cryptotest.PKI, s *seal.Seal) {
	t.Helper()
	if !s.Maker.Equal(p.SealMaker.Certificate) || !bytes.Equal(s.InfoRaw, s.SignedRaw) || !bytes.Contains(s.Raw, s.InfoRaw) {
		t.Error("maker or raw parts are wrong")
	}
	must(t, s.CheckSignature())
	if again, err := seal.Remarshal(s); err != nil || !bytes.Equal(again, s.Raw) {
		t.Errorf("fields marshal to other bytes, error %v", err)
	}
	if !s.Lists(p.SealSigner.Certificate) || !s.Lists(p.QR.Certificate) || s.Lists(p.SealMaker.Certificate) || s.ListsWithZA(p.SealSigner.Certificate) {
		t.Error("Lists is wrong")
	}
	if !s.ValidAt(s.ValidFrom) || !s.ValidAt(s.ValidTo) || s.ValidAt(s.ValidFrom.Add(-1)) || s.ValidAt(s.ValidTo.Add(1)) {
		t.Error("ValidAt is wrong at the ends")
	}
	sig, err := seal.Sign(rand.Reader, p.SealSigner.Key, p.SealSigner.Certificate, s, digest("file"), "ByteRange", p.Now)
	must(t, err)
	must(t, sig.CheckSignature())
	if again, err := seal.RemarshalSignature(sig); sig.Version != s.Version || err != nil || !bytes.Equal(again, sig.Raw) {
		t.Errorf("signature of version %d, marshals to other bytes, error %v", sig.Version, err)
	}
}

// TestSealTimestamp puts a token over the maker's signature into a seal.
func TestSealTimestamp(t *testing.T) {
	p := cryptotest.New(t)
	template := p.Template(p.Seal.Picture)
	template.Version = 5
	s, err := seal.Make(rand.Reader, p.SealMaker.Certificate, p.SealMaker.Key, template)
	must(t, err)
	token := p.MustToken(t, s.SignatureValue, p.Now)
	stamped, err := s.WithTimestamp(token.Raw)
	must(t, err)
	must(t, stamped.CheckSignature())
	must(t, token.Check(stamped.SignatureValue))
	if !bytes.Equal(stamped.Timestamp, token.Raw) || !bytes.Equal(stamped.InfoRaw, s.InfoRaw) || s.Timestamp != nil {
		t.Error("WithTimestamp changed more, or less, than the timestamp")
	}
	if again, err := seal.Remarshal(stamped); err != nil || !bytes.Equal(again, stamped.Raw) {
		t.Errorf("fields marshal to other bytes, error %v", err)
	}
	sig, err := seal.Sign(rand.Reader, p.SealSigner.Key, p.SealSigner.Certificate, stamped, digest("file"), "", p.Now)
	if err != nil || !bytes.Equal(sig.Seal.Timestamp, token.Raw) {
		t.Errorf("signing with a dated seal: %v", err)
	}
	for _, bad := range [][]byte{nil, {}, make([]byte, 64<<10+1)} {
		if got, err := s.WithTimestamp(bad); err == nil || got != nil {
			t.Errorf("timestamp of %d bytes accepted", len(bad))
		}
	}
	if got, err := p.Seal.WithTimestamp(token.Raw); err == nil || got != nil {
		t.Error("a seal of version 4 took a timestamp")
	}
}

func TestMakeRefuses(t *testing.T) {
	p := cryptotest.New(t)
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
		"picture of 1 MiB":     func(t *seal.Template) { t.Picture.Data = append(bytes.Clone(t.Picture.Data), make([]byte, 1<<20)...) },
		"picture bomb":         func(t *seal.Template) { t.Picture.Data = bomb(t.Picture.Data) },
		"PNG that is none":     func(t *seal.Template) { t.Picture.Data = []byte("picture") },
		"PNG said to be JPG":   func(t *seal.Template) { t.Picture.Type = "jpg" },
		"version 1":            func(t *seal.Template) { t.Version = 1 },
		"version 6":            func(t *seal.Template) { t.Version = 6 },
		"critical extension":   func(t *seal.Template) { t.Extensions = []seal.Extension{extension(1, true)} },
		"extension twice":      func(t *seal.Template) { t.Extensions = []seal.Extension{extension(1, false), extension(1, false)} },
		"extension unnamed":    func(t *seal.Template) { t.Extensions = []seal.Extension{{Value: []byte{1}}} },
		"no picture type":      func(t *seal.Template) { t.Picture.Type = "" },
		"no width":             func(t *seal.Template) { t.Picture.Width = 0 },
		"negative height":      func(t *seal.Template) { t.Picture.Height = -40 },
		"seal of two metres":   func(t *seal.Template) { t.Picture.Width = 2000 },
		"valid beyond year 9999": func(t *seal.Template) {
			t.ValidTo = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
		},
	} {
		template := p.Template(p.Seal.Picture)
		alter(&template)
		if s, err := seal.Make(rand.Reader, p.SealMaker.Certificate, p.SealMaker.Key, template); err == nil || s != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := seal.Make(rand.Reader, p.SealMaker.Certificate, p.QR.Key, p.Template(p.Seal.Picture)); err == nil {
		t.Error("made with a key that is not the maker's")
	}
}

func make257(p *cryptotest.PKI) (certs []*pki.Certificate) {
	for range 257 {
		certs = append(certs, p.QR.Certificate)
	}
	return certs
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
	plain := func(*seal.SESeal) {}
	many := make([]seal.Extension, 65)
	for n := range many {
		many[n] = extension(n, false)
	}
	list := func(kind int, entries any) func(*seal.SESSealInfo) {
		return func(i *seal.SESSealInfo) {
			i.Property.CertListType, i.Property.CertList.FullBytes = kind, mustMarshal(t, entries)
		}
	}
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
		{"extensions", true, func(i *seal.SESSealInfo) { i.ExtDatas = many[:64] }, plain},
		{"no extensions, in a list", true, func(i *seal.SESSealInfo) { i.ExtDatas = []seal.Extension{} }, plain},
		{"65 extensions", false, func(i *seal.SESSealInfo) { i.ExtDatas = many }, plain},
		{"extension twice", false, func(i *seal.SESSealInfo) { i.ExtDatas = append(many[:3:3], many[1]) }, plain},
		{"version 5 with a timestamp", true, func(i *seal.SESSealInfo) { i.Header.Version = 5 }, func(s *seal.SESeal) {
			s.TimeStamp = asn1.BitString{Bytes: []byte{1}, BitLength: 8}
		}},
		{"critical extension", false, func(i *seal.SESSealInfo) { i.ExtDatas = []seal.Extension{extension(1, true)} }, plain},
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
		{"digest of 31 bytes", false, list(seal.ListsDigests, []seal.CertDigest{{Type: "SM3", Value: digest[1:]}}), plain},
		{"digest without a type", false, list(seal.ListsDigests, []seal.CertDigest{{Value: digest[:]}}), plain},
		{"list of integers", false, list(seal.ListsCertificates, []int{1, 2}), plain},
		{"list of digests and a number", false, list(seal.ListsDigests, []any{seal.CertDigest{Type: "SM3", Value: digest[:]}, 1}), plain},
		{"list of 256", true, list(seal.ListsCertificates, slices.Repeat([][]byte{p.SealSigner.Certificate.Raw}, 256)), plain},
		{"list of 257", false, list(seal.ListsDigests, slices.Repeat([]seal.CertDigest{{Type: "SM3", Value: digest[:]}}, 257)), plain},
		{"list of 10,000", false, list(seal.ListsDigests, slices.Repeat([]seal.CertDigest{{Type: "SM3", Value: digest[:]}}, 10_000)), plain},
		{"list is a SET", false, func(i *seal.SESSealInfo) {
			i.Property.CertList.FullBytes = append([]byte{0x31}, i.Property.CertList.FullBytes[1:]...)
		}, plain},
		{"list in BER", false, func(i *seal.SESSealInfo) {
			i.Property.CertList.FullBytes = append([]byte{0x30, 0x83, 0}, i.Property.CertList.FullBytes[2:]...)
		}, plain},
		{"no picture", false, func(i *seal.SESSealInfo) { i.Picture.Data = nil }, plain},
		{"picture bomb", false, func(i *seal.SESSealInfo) { i.Picture.Data = bomb(i.Picture.Data) }, plain},
		{"picture of another kind", true, func(i *seal.SESSealInfo) { i.Picture.Type, i.Picture.Data = "OFD", []byte("PK") }, plain},
		{"no height", false, func(i *seal.SESSealInfo) { i.Picture.Height = 0 }, plain},
		{"maker's certificate damaged", false, func(*seal.SESSealInfo) {}, func(s *seal.SESeal) { s.Cert = s.Cert[1:] }},
		{"other algorithm", false, func(*seal.SESSealInfo) {}, func(s *seal.SESeal) { s.SignAlgID = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 301} }},
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
			s, err := seal.ParseSeal(mustMarshal(t, altered), seal.Deviations()...)
			if (err == nil) != c.good || (s != nil) != c.good {
				t.Fatalf("error %v, seal %v", err, s != nil)
			}
			if c.good && (s.CheckSignature() != nil || !s.Lists(p.SealSigner.Certificate) || s.Lists(p.QR.Certificate)) {
				t.Error("signature or list is wrong")
			}
			if !c.good {
				return
			}
			if again, err := seal.Remarshal(s); err != nil || !bytes.Equal(again, s.Raw) || len(s.Deviations) > 0 {
				t.Errorf("marshals to other bytes or deviates in %s, error %v", s.Deviations, err)
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

// TestSealRemembered changes, one at a time, what a seal was found good by: that it is remembered
// must not stand for anything else.
func TestSealRemembered(t *testing.T) {
	p := cryptotest.New(t)
	good := p.Seal
	for range 2 {
		must(t, good.CheckSignature())
	}
	for name, change := range map[string]func(*seal.Seal){
		"message": func(s *seal.Seal) {
			s.SignedRaw = append(bytes.Clone(s.SignedRaw[:len(s.SignedRaw)-1]), s.SignedRaw[len(s.SignedRaw)-1]^1)
		},
		"signature":          func(s *seal.Seal) { s.SignatureValue = bytes.Clone(s.SignatureValue); s.SignatureValue[40] ^= 1 },
		"maker":              func(s *seal.Seal) { s.Maker = p.QR.Certificate },
		"end of the message": func(s *seal.Seal) { s.SignedRaw, s.SignatureValue = moved(s.SignedRaw, s.SignatureValue, 1) },
		"start of the other": func(s *seal.Seal) { s.SignedRaw, s.SignatureValue = moved(s.SignedRaw, s.SignatureValue, -1) },
	} {
		changed := *good
		change(&changed)
		if changed.CheckSignature() == nil {
			t.Errorf("%s: a changed seal is good", name)
		}
	}
	must(t, good.CheckSignature())
}

// moved divides two texts that stand one after the other n bytes earlier.
func moved(a, b []byte, n int) (_, _ []byte) {
	both := append(bytes.Clone(a), b...)
	return both[:len(a)-n], both[len(a)-n:]
}

func mustMake(t testing.TB, p *cryptotest.PKI, template seal.Template) *seal.Seal {
	t.Helper()
	s, err := seal.Make(rand.Reader, p.SealMaker.Certificate, p.SealMaker.Key, template)
	must(t, err)
	return s
}
