package seal_test

import (
	"bytes"
	"encoding/asn1"
	"slices"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/seal"
	"elicence/testdata/hostile"
)

// samples are seals and seal signatures of all versions, plain and deviating.
func samples(t testing.TB, p *cryptotest.PKI) (seals, signatures map[string][]byte) {
	t.Helper()
	template := p.Template(p.Seal.Picture)
	template.Version, template.ListDigests, template.Extensions = 5, true, []seal.Extension{extension(1, false)}
	five := mustMake(t, p, template)
	dated, err := five.WithTimestamp([]byte("token"))
	must(t, err)
	one := makeV1(t, p, asIs, seal.SM2WithSM3)
	seals = map[string][]byte{"1": one, "4": p.Seal.Raw, "5": five.Raw, "5 dated": dated.Raw}
	stamped, err := p.MustSign(t, digest("file")).WithTimestamp([]byte("token"))
	must(t, err)
	signatures = map[string][]byte{
		"1": signV1(t, p, one, func(*seal.TBSSignV1) {}), "1 with a token": signV1(t, p, one, func(s *seal.TBSSignV1) { s.TimeInfo = bits([]byte{0x30, 0}) }),
		"4": stamped.Raw, "5": resign(t, p, dated.Raw, seal.SM2WithSM3, digest("file")),
	}
	for name, der := range deviating(t, p) {
		seals[name], signatures[name] = der, resign(t, p, der, seal.SM2WithSM3Alias, digest("file"))
	}
	return seals, signatures
}

// spoilt are the ways to spoil any DER that starts with a SEQUENCE of three length
// octets or more.
func spoilt(der []byte) map[string][]byte {
	body := der[4:] // 30 82 hi lo
	join := func(head ...byte) []byte { return append(head, body...) }
	return map[string][]byte{
		"nothing":                 {},
		"byte after":              append(bytes.Clone(der), 0),
		"itself after":            slices.Repeat(der, 2),
		"byte missing":            der[:len(der)-1],
		"tag alone":               der[:1],
		"indefinite length":       append(join(0x30, 0x80), 0, 0),
		"indefinite, unfinished":  join(0x30, 0x80),
		"length with a zero":      join(0x30, 0x83, 0, der[2], der[3]),
		"length of 4 GiB":         join(0x30, 0x84, 0xff, 0xff, 0xff, 0xff),
		"length of 2^63":          join(0x30, 0x88, 0x80, 0, 0, 0, 0, 0, 0, 0),
		"length of 127 octets":    join(0x30, 0xff),
		"SET":                     join(0x31, der[1], der[2], der[3]),
		"primitive SEQUENCE":      join(0x10, der[1], der[2], der[3]),
		"in another SEQUENCE":     append([]byte{0x30, 0x82, byte((len(der)) >> 8), byte(len(der))}, der...),
		"PEM":                     []byte("-----BEGIN SEAL-----\nMAA=\n-----END SEAL-----\n"),
		"100,000 SEQUENCEs begun": bytes.Repeat([]byte{0x30, 0x80}, 100_000),
		"2 MiB":                   append(bytes.Clone(der), make([]byte, 2<<20)...),
	}
}

func TestMalformed(t *testing.T) {
	p := cryptotest.New(t)
	seals, signatures := samples(t, p)
	for version, der := range seals {
		for name, bad := range spoilt(der) {
			if s, err := seal.ParseSeal(bad, seal.Deviations()...); err == nil || s != nil {
				t.Errorf("seal %s, %s: taken in", version, name)
			}
		}
		if s, err := seal.ParseSignature(der, seal.Deviations()...); err == nil || s != nil || seal.IsSignature(der) {
			t.Errorf("seal %s taken for a seal signature", version)
		}
	}
	for version, der := range signatures {
		for name, bad := range spoilt(der) {
			if s, err := seal.ParseSignature(bad, seal.Deviations()...); err == nil || s != nil {
				t.Errorf("seal signature %s, %s: taken in", version, name)
			}
		}
		if s, err := seal.ParseSeal(der, seal.Deviations()...); err == nil || s != nil || !seal.IsSignature(der) {
			t.Errorf("seal signature %s taken for a seal", version)
		}
	}
}

// TestEveryElement spoils the head of every element, at any depth, of a seal
// signature of each version: a length one too long or too short, indefinite, or in
// more octets than it needs. What is inside a listed certificate is crypto/pki's.
func TestEveryElement(t *testing.T) {
	_, signatures := samples(t, cryptotest.New(t))
	for version, der := range signatures {
		elements := 0
		inside := insideListed(t, der)
		walk(der, 0, func(at int) {
			if inside(at) {
				return
			}
			elements++
			for name, bad := range map[string][]byte{
				"longer":     replaced(der, at+1, der[at+1]+1),
				"shorter":    replaced(der, at+1, der[at+1]-1),
				"indefinite": replaced(der, at+1, 0x80),
				"huge":       replaced(der, at+1, 0x84),
				"padded":     slices.Insert(bytes.Clone(der), at+1, 0x81),
				"gone":       slices.Delete(bytes.Clone(der), at, at+1),
			} {
				s, err := seal.ParseSignature(bad, seal.Deviations()...)
				if err == nil || s != nil {
					t.Errorf("version %s: element at %d with its length %s is taken in", version, at, name)
				}
			}
		})
		if elements < 20 {
			t.Errorf("version %s: %d elements", version, elements)
		}
	}
}

// insideListed tells whether a place in a seal signature is within a listed
// certificate, after its head.
func insideListed(t *testing.T, der []byte) func(at int) bool {
	t.Helper()
	s, err := seal.ParseSignature(der, seal.Deviations()...)
	must(t, err)
	return func(at int) bool {
		return slices.ContainsFunc(s.Seal.CertList, func(l seal.Listed) bool {
			start := bytes.Index(der, l.Value)
			return at > start && at < start+len(l.Value)
		})
	}
}

// walk calls visit with the place of each element of der, which is well-formed.
func walk(der []byte, offset int, visit func(at int)) {
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return
		}
		visit(offset)
		if v.IsCompound {
			walk(v.Bytes, offset+len(v.FullBytes)-len(v.Bytes), visit)
		}
		offset += len(v.FullBytes)
		der = rest
	}
}

func replaced(der []byte, at int, b byte) []byte {
	out := bytes.Clone(der)
	out[at] = b
	return out
}

// TestElementTooMany puts one more element behind SES_SealInfo, with
// extensions before it and without, and has the whole signed.
func TestElementTooMany(t *testing.T) {
	p := cryptotest.New(t)
	with := p.Template(p.Seal.Picture)
	with.Extensions = []seal.Extension{extension(1, false)}
	oneWith, err := seal.ParseSeal(makeV1(t, p, func(i *seal.SESSealInfoV1) { i.ExtDatas = with.Extensions }, seal.SM2WithSM3))
	must(t, err)
	one, err := seal.ParseSeal(makeV1(t, p, asIs, seal.SM2WithSM3))
	must(t, err)
	for name, s := range map[string]*seal.Seal{"4": p.Seal, "4 with extensions": mustMake(t, p, with), "1": one, "1 with extensions": oneWith} {
		again := sealV4
		if s.Version == 1 {
			again = sealV1
		}
		if _, err := seal.ParseSeal(again(t, p, s.InfoRaw, seal.SM2WithSM3)); err != nil {
			t.Errorf("version %s as it is: %v", name, err)
		}
		for _, more := range [][]byte{{2, 1, 0}, {0x30, 0}, {0xa0, 2, 0x30, 0}, {0}} {
			if got, err := seal.ParseSeal(again(t, p, longer(t, s.InfoRaw, more), seal.SM2WithSM3), seal.Deviations()...); (err == nil || got != nil) && !lawful(s, more) {
				t.Errorf("version %s with %x behind: taken in", name, more)
			}
		}
	}
}

// lawful reports whether more is an empty list of extensions in its right place.
func lawful(s *seal.Seal, more []byte) bool {
	return s.Extensions == nil && (s.Version == 4 && more[0] == 0x30 || s.Version == 1 && more[0] == 0xa0)
}

// longer puts more at the end of a SEQUENCE.
func longer(t *testing.T, der, more []byte) []byte {
	t.Helper()
	var v asn1.RawValue
	_, err := asn1.Unmarshal(der, &v)
	must(t, err)
	return mustMarshal(t, asn1.RawValue{Tag: v.Tag, IsCompound: true, Bytes: slices.Concat(v.Bytes, more)})
}

// TestBounds: what is large is refused before it costs anything.
func TestBounds(t *testing.T) {
	p := cryptotest.New(t)
	list := raw(mustMarshal(t, slices.Repeat([]seal.CertDigest{{Type: "SM3", Value: digest("")}}, 10_000)))
	picture := slices.Repeat([]byte{7}, 513<<10)
	many := slices.Repeat([]seal.Extension{extension(1, false)}, 50_000)
	for name, der := range map[string][]byte{
		"list of 10,000": remake(t, p, func(i *seal.SESSealInfo) { i.Property.CertListType, i.Property.CertList = 2, list }, seal.SM2WithSM3),
		"list of 10,000 in version 1": makeV1(t, p, func(i *seal.SESSealInfoV1) {
			i.Property.CertList = raw(mustMarshal(t, slices.Repeat([][]byte{{0x30, 0}}, 10_000)))
		}, seal.SM2WithSM3),
		"50,000 extensions":              remake(t, p, func(i *seal.SESSealInfo) { i.ExtDatas = many }, seal.SM2WithSM3),
		"50,000 extensions in version 1": makeV1(t, p, func(i *seal.SESSealInfoV1) { i.ExtDatas = many }, seal.SM2WithSM3),
		"picture of 513 KiB":             remake(t, p, func(i *seal.SESSealInfo) { i.Picture.Type, i.Picture.Data = "OFD", picture }, seal.SM2WithSM3),
	} {
		allocated := testing.AllocsPerRun(10, func() {
			if s, err := seal.ParseSeal(der, seal.Deviations()...); err == nil || s != nil {
				t.Errorf("%s: taken in", name)
			}
		})
		if allocated > 1000 {
			t.Errorf("%s: %v allocations", name, allocated)
		}
	}
}

func FuzzParseSeal(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	seals, _ := samples(f, p)
	seed(f, seals)
	f.Fuzz(func(t *testing.T, der []byte) {
		if s, err := seal.ParseSeal(der); err == nil && len(s.Deviations) > 0 {
			t.Errorf("deviates without leave: %s", s.Deviations)
		}
		var s *seal.Seal
		var err error
		hostile.Within(t, func() { s, err = seal.ParseSeal(der, seal.Deviations()...) })
		if err != nil {
			if s != nil {
				t.Error("error with a seal")
			}
			return
		}
		if !bytes.Equal(s.Raw, der) || !bytes.Contains(der, s.InfoRaw) {
			t.Error("raw parts are not those of the input")
		}
		if again, err := seal.Remarshal(s); err != nil || !bytes.Equal(again, der) {
			t.Errorf("marshals to other bytes, error %v", err)
		}
		_ = s.CheckSignature()
		_, _ = s.Lists(p.SealSigner.Certificate), s.ListsWithZA(p.SealSigner.Certificate)
		if _, err := seal.ParseSeal(append(bytes.Clone(der), 0), seal.Deviations()...); err == nil {
			t.Error("parses with a byte after it")
		}
	})
}

func FuzzParseSignature(f *testing.F) {
	cryptotest.Fixed(f)
	_, signatures := samples(f, cryptotest.New(f))
	seed(f, signatures)
	f.Fuzz(func(t *testing.T, der []byte) {
		if s, err := seal.ParseSignature(der); err == nil && len(s.Deviations) > 0 {
			t.Errorf("deviates without leave: %s", s.Deviations)
		}
		var s *seal.Signature
		var err error
		hostile.Within(t, func() { s, err = seal.ParseSignature(der, seal.Deviations()...) })
		if err != nil {
			if s != nil {
				t.Error("error with a signature")
			}
			return
		}
		if !bytes.Equal(s.Raw, der) || !bytes.Contains(der, s.TBSRaw) || !seal.IsSignature(der) {
			t.Error("raw parts are not those of the input")
		}
		if again, err := seal.RemarshalSignature(s); err != nil || !bytes.Equal(again, der) {
			t.Errorf("marshals to other bytes, error %v", err)
		}
		_ = s.CheckSignature()
		if s.Timestamp == nil {
			return
		}
		if again, err := s.WithTimestamp(s.Timestamp); err != nil || !bytes.Equal(again.Raw, der) {
			t.Errorf("the same token gives other bytes, error %v", err)
		}
	})
}

// seed adds good values and, of each, some that differ in a bit, end early or
// are spoilt otherwise.
func seed(f *testing.F, good map[string][]byte) {
	for _, der := range good {
		f.Add(der)
		f.Add(der[:len(der)/2])
		for i := 5; i < len(der); i += 1 + len(der)/12 {
			f.Add(replaced(der, i, der[i]^1))
		}
		for _, bad := range spoilt(der) {
			if len(bad) < 1<<16 { // large ones slow the fuzzer down
				f.Add(bad)
			}
		}
	}
}
