package licence_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"elicence/licence"
	"elicence/testdata/hostile"

	"github.com/emmansun/gmsm/sm3"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const publicURL = "https://licence.example"

// example is the worked example of docs/qr-format.md.
type example struct {
	text            string
	message, signed []byte
	payload         map[string]string
}

func readExample(t testing.TB) (e example) {
	t.Helper()
	e.text = readFile(t, "testdata/example/text.txt")
	e.message = unhex(t, readFile(t, "testdata/example/message.hex"))
	e.signed = unhex(t, readFile(t, "testdata/example/signed.hex"))
	if err := json.Unmarshal([]byte(readFile(t, "testdata/example/payload.json")), &e.payload); err != nil {
		t.Fatal(err)
	}
	return e
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// statements are the members that docs/qr-format.md names, of a parsed message.
func statements(m *licence.QRMessage) map[string]string {
	p := m.Payload
	return map[string]string{
		"identifier": string(p.Identifier), "type_name": p.TypeName, "number": p.Number, "holder_name": p.HolderName,
		"issued_on": p.IssuedOn.String(), "effective_on": p.EffectiveOn.String(), "expires_on": p.ExpiresOn.String(),
		"data_digest": hex.EncodeToString(p.DataDigest[:]), "key_id": hex.EncodeToString(m.KeyID[:]), "signature": hex.EncodeToString(m.Signature[:]),
	}
}

func TestQRExample(t *testing.T) {
	e := readExample(t)
	url, message, err := licence.ParseQRText(e.text)
	if err != nil || url != publicURL || !bytes.Equal(message, e.message) {
		t.Fatalf("ParseQRText: %q, %x, %v", url, message, err)
	}
	m, err := licence.ParseQRMessage(message)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(statements(m), e.payload); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(m.Signed, e.signed) {
		t.Errorf("signed bytes\n%x, want\n%x", m.Signed, e.signed)
	}
	l := issue(t, "food-canteen")
	data := []byte(readFile(t, "testdata/example/licence.json"))
	p := licence.NewQRPayload(l, data)
	if diff := cmp.Diff(p, m.Payload); diff != "" {
		t.Errorf("the payload of the example licence: %s", diff)
	}
	if sum := sm3.Sum(data); hex.EncodeToString(sum[:]) != e.payload["data_digest"] {
		t.Error("the digest is not the SM3 of licence.json")
	}
	again, err := p.Message(m.KeyID, m.Signature)
	if err != nil || !bytes.Equal(again, e.message) {
		t.Errorf("made again: %x, %v", again, err)
	}
	signed, err := p.SignedBytes(m.KeyID)
	if err != nil || !bytes.Equal(signed, e.signed) {
		t.Errorf("signed bytes made again: %x, %v", signed, err)
	}
	if q, err := licence.NewQRText(publicURL, again); err != nil || q.String() != e.text {
		t.Errorf("text made again: %s, %v", q, err)
	}
}

// TestQRDocument holds docs/qr-format.md to the example it prints.
func TestQRDocument(t *testing.T) {
	doc := readFile(t, "../docs/qr-format.md")
	for block, file := range map[string]string{
		"text": "text.txt", "hex": "message.hex", "hex-signed": "signed.hex", "json": "payload.json", "pem": "signer.pem",
	} {
		m := regexp.MustCompile("(?s)```" + block + "\n(.*?)```").FindStringSubmatch(doc)
		if m == nil {
			t.Fatalf("no block %s", block)
		}
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if want := readFile(t, "testdata/example/"+file); squeeze(m[1]) != squeeze(want) {
			t.Errorf("block %s differs from %s", block, file)
		}
	}
}

func tool(t *testing.T, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: install the package %s", name, install)
	}
	return path
}

// TestQRSignature lets OpenSSL, which shares no code with us, judge the example, and
// the example with each of some bits flipped.
func TestQRSignature(t *testing.T) {
	openssl := tool(t, "openssl", "openssl (3.0 or later)")
	e, dir := readExample(t), t.TempDir()
	m, err := licence.ParseQRMessage(e.message)
	if err != nil {
		t.Fatal(err)
	}
	public, err := exec.Command(openssl, "x509", "-in", "testdata/example/signer.pem", "-noout", "-pubkey").Output()
	if err != nil {
		t.Fatal(err)
	}
	var der cryptobyte.Builder
	der.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(m.Signature[:32]))
		b.AddASN1BigInt(new(big.Int).SetBytes(m.Signature[32:]))
	})
	write := func(name string, b []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	key, signature := write("public.pem", public), write("s.der", der.BytesOrPanic())
	verify := func(signed []byte) error {
		return exec.Command(openssl, "dgst", "-sm3", "-verify", key, "-sigopt", "distid:1234567812345678",
			"-signature", signature, write("m.bin", signed)).Run()
	}
	if err := verify(m.Signed); err != nil {
		t.Errorf("the example does not verify: %v", err)
	}
	for i := 0; i < len(m.Signed); i += 20 {
		bad := bytes.Clone(m.Signed)
		bad[i] ^= 1
		if verify(bad) == nil {
			t.Errorf("verifies with byte %d changed", i)
		}
	}
}

// TestDecoder runs the stranger's decoder on the example and on every sample.
func TestDecoder(t *testing.T) {
	python := tool(t, "python3", "python3")
	e := readExample(t)
	texts := []string{e.text, strings.ToLower(e.text)}
	for _, name := range sampleNames(t) {
		texts = append(texts, textOf(t, payload(t, name), publicURL))
	}
	p := payload(t, "birth-one-parent")
	for _, p := range leftOut(p) {
		texts = append(texts, textOf(t, p, "http://127.0.0.1:8080"))
	}
	out, err := exec.Command(python, append([]string{"testdata/decode_qr.py"}, texts...)...).Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != len(texts) {
		t.Fatalf("%v: %d lines for %d texts", err, len(lines), len(texts))
	}
	for i, text := range texts {
		_, message, err := licence.ParseQRText(text)
		if err != nil {
			t.Fatal(err)
		}
		m, err := licence.ParseQRMessage(message)
		if err != nil {
			t.Fatal(err)
		}
		want := statements(m)
		want["signed"] = hex.EncodeToString(m.Signed)
		var got map[string]string
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%v: %s", err, cmp.Diff(got, want))
		}
	}
	bad := []string{"", "HTTPS://LICENCE.EXAMPLE/V#", "HTTPS://LICENCE.EXAMPLE/V#99999999999999999", e.text[:200], e.text + "1", e.text + "000"}
	out, err = exec.Command(python, append([]string{"testdata/decode_qr.py"}, bad...)...).Output()
	if want := strings.Repeat("null\n", len(bad)); err == nil || string(out) != want {
		t.Errorf("bad texts: %v\n%s", err, out)
	}
}

func payload(t testing.TB, name string) licence.QRPayload {
	t.Helper()
	l := issue(t, name)
	data, err := l.Data()
	if err != nil {
		t.Fatal(err)
	}
	return licence.NewQRPayload(l, data)
}

func textOf(t testing.TB, p licence.QRPayload, publicURL string) string {
	t.Helper()
	m, err := p.Message([8]byte{1, 2, 3}, [64]byte{4, 5, 6})
	if err != nil {
		t.Fatal(err)
	}
	q, err := licence.NewQRText(publicURL, m)
	if err != nil {
		t.Fatal(err)
	}
	return q.String()
}

func TestQRPayloadRefuses(t *testing.T) {
	for name, change := range map[string]func(*licence.QRPayload){
		"zero":         func(p *licence.QRPayload) { *p = licence.QRPayload{} },
		"identifier":   func(p *licence.QRPayload) { p.Identifier = "1" },
		"no root":      func(p *licence.QRPayload) { p.Identifier = p.Identifier[len("1.2.156.3005.2."):] },
		"type name":    func(p *licence.QRPayload) { p.TypeName = " " },
		"no number":    func(p *licence.QRPayload) { p.Number = "" },
		"long number":  func(p *licence.QRPayload) { p.Number = strings.Repeat("1", 65) },
		"control":      func(p *licence.QRPayload) { p.HolderName = "a\nb" },
		"UTF-8":        func(p *licence.QRPayload) { p.HolderName = "\xff" },
		"not issued":   func(p *licence.QRPayload) { p.IssuedOn = licence.Date{} },
		"no effect":    func(p *licence.QRPayload) { p.EffectiveOn = licence.Date{} },
		"before issue": func(p *licence.QRPayload) { p.ExpiresOn = date("1999-01-01") },
		"1899":         func(p *licence.QRPayload) { p.EffectiveOn = date("1899-12-31") },
		"too long":     func(p *licence.QRPayload) { p.HolderName = strings.Repeat("长", 200) },
	} {
		p := payload(t, "food-canteen")
		change(&p)
		if b, err := p.Message([8]byte{}, [64]byte{}); err == nil || b != nil {
			t.Errorf("%s: %x", name, b)
		}
		if b, err := p.SignedBytes([8]byte{}); name != "too long" && (err == nil || b != nil) {
			t.Errorf("%s: signed bytes %x", name, b)
		}
	}
}

func TestParseQRMessageRefuses(t *testing.T) {
	good := hex.EncodeToString(readExample(t).message)
	payload := good[strings.Index(good, "a801"):strings.Index(good, "5840")]
	// with puts other claims into the message, with the right length before them.
	with := func(claims string) string {
		return strings.Replace(good, "58c8"+payload, fmt.Sprintf("58%02x%s", len(claims)/2, claims), 1)
	}
	swap := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the example", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	claims := func(old, new string) string {
		if !strings.Contains(payload, old) {
			t.Fatalf("%s is not in the claims", old)
		}
		return with(strings.Replace(payload, old, new, 1))
	}
	expiry, root := "07195742", hex.EncodeToString([]byte("1.2.156.3005.2."))
	for name, s := range map[string]string{
		"empty":                   "",
		"one byte":                "d2",
		"byte behind":             good + "00",
		"byte short":              good[:len(good)-2],
		"no tag":                  good[2:],
		"other tag":               "d1" + good[2:],
		"tag twice":               "d2" + good,
		"long tag":                "d812" + good[2:],
		"array of five":           swap("d284", "d285") + "00",
		"array of three":          "d283" + good[4:len(good)-132],
		"indefinite array":        "d29f" + good[4:] + "ff",
		"long array":              "d29804" + good[4:],
		"a map":                   "d2a0",
		"unprotected header":      swap("a058c8", "a1010058c8"),
		"unprotected null":        swap("a058c8", "f658c8"),
		"unprotected list":        swap("a058c8", "8058c8"),
		"protected a text":        swap("d28451", "d28471"),
		"payload a text":          swap("58c8a8", "78c8a8"),
		"long length":             swap("58c8", "5900c8"),
		"signature of 63":         good[:len(good)-130] + "583f" + good[len(good)-126:],
		"signature a text":        swap("5840", "7840"),
		"no signature":            good[:len(good)-132] + "40",
		"algorithm -65536":        swap("3a00010000", "39ffff0000"[:6]),
		"algorithm -7":            swap("51a2013a00010000", "4da20126"),
		"algorithm -65538":        swap("3a00010000", "3a00010001"),
		"long algorithm":          swap("51a2013a00010000", "55a2013b0000000000010000"),
		"no key id":               swap("51a2013a000100000448dbaba1b09bc9b314", "47a1013a00010000"),
		"key id of 7":             swap("51a2013a000100000448dbaba1b09bc9b314", "50a2013a000100000447dbaba1b09bc9b3"),
		"header in another order": swap("a2013a000100000448dbaba1b09bc9b314", "a20448dbaba1b09bc9b314013a00010000"),
		"header key twice":        swap("51a2013a000100000448dbaba1b09bc9b314", "57a3013a00010000013a000100000448dbaba1b09bc9b314"),
		"more in the header":      swap("51a2013a000100000448dbaba1b09bc9b314", "53a3013a000100000448dbaba1b09bc9b3140500"),
		"empty header":            swap("51a2013a000100000448dbaba1b09bc9b314", "40"),
		"no claims":               with("a0"),
		"claims a list":           with("80"),
		"unknown claim":           claims("a801", "a901") + "",
		"claim 9":                 with("a9" + payload[2:] + "0900"),
		"claim twice":             with("a9" + payload[2:] + payload[len(payload)-70:]),
		"claim missing":           with("a7" + payload[2:len(payload)-70]),
		"claims in another order": with("a8" + strings.Replace(payload[2:], expiry, "", 1) + expiry),
		"text key":                claims(expiry, "6137"+expiry[2:]),
		"negative key":            claims(expiry, "26"+expiry[2:]),
		"empty name":              claims("0478", "0460"+"0978"),
		"no name but a null":      claims("19501e06", "19501e06f606"),
		"effective as issued":     claims("06195021", "0619501e"),
		"effective null":          claims("06195021", "06f6"),
		"expires null":            claims(expiry, "07f6"),
		"expires a float":         claims(expiry, "07fb40d5d08000000000"),
		"expires a half float":    claims(expiry, "07f97bff"),
		"expires a text":          claims(expiry, "076a323033312d30322d3238"),
		"expires with a tag":      claims(expiry, "07d864195742"),
		"expires in 2201":         claims(expiry, "071a00014993"),
		"expires in 1899":         claims(expiry, "073963df"),
		"expires beyond 64 bits":  claims(expiry, "07c249010000000000000000"),
		"expires before issue":    claims(expiry, "0719501d"),
		"long day":                claims(expiry, "071a00005742"),
		"digest of 31":            with(strings.Replace(payload[:len(payload)-2], "085820", "08581f", 1)),
		"digest a text":           claims("085820", "087820"),
		"number empty":            claims("03704a593333333031303630303030303139", "0360"),
		"empty type name":         claims("0275e9a39fe59381e7bb8fe890a5e8aeb8e58fafe8af81", "0260"),
		"identifier's check":      claims("30312e41", "30312e42"),
		"identifier without root": claims("017848"+root, "017839"),
		"identifier's root twice": claims("017848", "017857"+root),
		"identifier's other root": claims("017848312e322e31", "017848322e322e31"),
		"invalid UTF-8":           claims("e69dad", "ff9dad"),
		"zero-width in the name":  claims("e69dad", "e2808b"),
		"indefinite text":         claims("03704a59", "037f704a59"),
		"nested arrays":           "d2" + strings.Repeat("81", 300) + "00",
		"huge array":              "d29b7fffffffffffffff",
		"huge bytes":              "d2845b7fffffffffffffff",
		"601 bytes":               good + strings.Repeat("00", 601-len(good)/2),
	} {
		m, err := licence.ParseQRMessage(unhex(t, s))
		if err == nil || m != nil {
			t.Errorf("%s: %v, %v; want an error", name, m, err)
		}
	}
	// Every byte counts: a changed one is refused, or says something else.
	e := readExample(t)
	for i := range e.message {
		for _, mask := range []byte{0x01, 0x20, 0x80} {
			bad := bytes.Clone(e.message)
			bad[i] ^= mask
			if m, err := licence.ParseQRMessage(bad); err == nil && cmp.Equal(statements(m), e.payload) {
				t.Errorf("byte %d with mask %#x makes no difference", i, mask)
			}
		}
	}
}

func FuzzQRMessage(f *testing.F) {
	f.Add(readExample(f).message)
	for _, p := range append(leftOut(payload(f, "birth-two-parents")), payload(f, "driver-freight")) {
		b, err := p.Message([8]byte{1}, [64]byte{2})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m *licence.QRMessage
		var err error
		hostile.Within(t, func() { m, err = licence.ParseQRMessage(b) })
		if err != nil {
			if m != nil {
				t.Fatal("a message with an error")
			}
			return
		}
		again, err := m.Payload.Message(m.KeyID, m.Signature)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x, %v", b, again, err)
		}
		if signed, err := m.Payload.SignedBytes(m.KeyID); err != nil || !bytes.Equal(signed, m.Signed) {
			t.Fatalf("signed bytes %x, then %x, %v", m.Signed, signed, err)
		}
	})
}

// TestQRMutations throws noise at both parsers: fast, and on every run.
func TestQRMutations(t *testing.T) {
	e, r := readExample(t), rand.New(rand.NewPCG(1, 2))
	for range 5_000 {
		b := bytes.Clone(e.message)
		for range 1 + r.IntN(4) {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
		b = b[:len(b)-r.IntN(2)*r.IntN(len(b))]
		m, err := licence.ParseQRMessage(b)
		if err != nil {
			continue
		}
		if again, err := m.Payload.Message(m.KeyID, m.Signature); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x, %v", b, again, err)
		}
	}
	if _, err := licence.ParseQRMessage(make([]byte, 601)); err == nil || errors.Is(err, licence.ErrNotFound) {
		t.Error(err)
	}
}
