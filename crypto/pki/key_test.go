package pki_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/pkcs"
	"github.com/emmansun/gmsm/pkcs8"
	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func mustKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	return key
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPrivateKeyFile(t *testing.T) {
	key, pass := mustKey(t), []byte("口令 pass")
	file, err := pki.MarshalPrivateKey(rand.Reader, key, pass)
	must(t, err)
	again, err := pki.ParsePrivateKey(file, pass)
	must(t, err)
	if !key.(*sm2.PrivateKey).Equal(again) {
		t.Error("key read back differs")
	}

	foreign := func(e pkcs.PBESEncrypter) []byte {
		der, err := pkcs8.MarshalPrivateKey(key, pass, e)
		must(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})
	}
	block, _ := pem.Decode(file)
	plain, err := pkcs8.MarshalPrivateKey(key, nil, nil)
	must(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	p256, err := pkcs8.MarshalPrivateKey(ec, pass, pkcs.NewPBESEncrypter(pkcs.SM4CBC, pkcs.NewPBKDF2Opts(pkcs.SM3, 16, 1000)))
	must(t, err)
	bad := map[string]struct{ file, pass []byte }{
		"wrong passphrase":  {file, []byte("pass")},
		"empty passphrase":  {file, nil},
		"empty file":        {nil, pass},
		"two keys":          {append(bytes.Clone(file), file...), pass},
		"other PEM type":    {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: block.Bytes}), pass},
		"not encrypted":     {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: plain}), pass},
		"trailing data":     {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: append(bytes.Clone(block.Bytes), 0)}), pass},
		"AES":               {foreign(pkcs.NewPBESEncrypter(pkcs.AES256CBC, pkcs.NewPBKDF2Opts(pkcs.SM3, 16, 1000))), pass},
		"HMAC-SHA-1":        {foreign(pkcs.NewPBESEncrypter(pkcs.SM4CBC, pkcs.NewPBKDF2Opts(pkcs.SHA1, 16, 1000))), pass},
		"scrypt":            {foreign(pkcs.NewPBESEncrypter(pkcs.SM4CBC, pkcs.NewScryptOpts(16, 2, 1, 1))), pass},
		"P-256 key":         {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: p256}), pass},
		"over 4 KiB":        {append(bytes.Repeat([]byte("\n"), 4<<10), file...), pass},
		"endless iteration": {withIterations(t, block.Bytes), pass},
	}
	for name, c := range bad {
		t.Run(name, func(t *testing.T) {
			if key, err := pki.ParsePrivateKey(c.file, c.pass); err == nil || key != nil {
				t.Errorf("got key %v, error %v", key != nil, err)
			}
		})
	}
}

// TestAlteredKeyFile changes what is encrypted: nothing but the key itself shows that
// it was, and no key comes out.
func TestAlteredKeyFile(t *testing.T) {
	file, err := pki.MarshalPrivateKey(rand.Reader, mustKey(t), []byte("secret"))
	must(t, err)
	block, _ := pem.Decode(file)
	const encrypted = 144 // bytes at the end
	for i := len(block.Bytes) - encrypted; i < len(block.Bytes); i += 5 {
		altered := bytes.Clone(block.Bytes)
		altered[i] ^= 1
		key, err := pki.ParsePrivateKey(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: altered}), []byte("secret"))
		if err == nil || key != nil {
			t.Errorf("byte %d of %d altered: the file opens", i, len(altered))
		}
	}
}

// withIterations rewrites 50,000 (3 bytes) to a count of the same length.
func withIterations(t *testing.T, der []byte) []byte {
	t.Helper()
	old := []byte{2, 3, 0x00, 0xc3, 0x50}
	if bytes.Count(der, old) != 1 {
		t.Fatal("iteration count not found")
	}
	if pki.MaxIterations > 0x7fffff {
		t.Fatal("limit does not fit")
	}
	changed := bytes.Replace(der, old, []byte{2, 3, 0x7f, 0xff, 0xff}, 1)
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: changed})
}

func TestMarshalPrivateKeyRefuses(t *testing.T) {
	if _, err := pki.MarshalPrivateKey(rand.Reader, mustKey(t), nil); err == nil {
		t.Error("empty passphrase was accepted")
	}
	if _, err := pki.MarshalPrivateKey(rand.Reader, device{mustKey(t)}, []byte("x")); err == nil {
		t.Error("key of a device was written")
	}
}

// TestPrivateKeyOpenSSL opens a key file by OpenSSL's derivation and cipher, step by
// step: its own PKCS#8 reader does not know HMAC-SM3.
func TestPrivateKeyOpenSSL(t *testing.T) {
	key := mustKey(t)
	file, err := pki.MarshalPrivateKey(rand.Reader, key, []byte("secret"))
	must(t, err)
	block, _ := pem.Decode(file)
	var info struct {
		Algorithm struct {
			OID    asn1.ObjectIdentifier
			Params struct {
				KDF struct {
					OID    asn1.ObjectIdentifier
					Params struct {
						Salt          []byte
						Iterations, N int
						PRF           asn1.RawValue
					}
				}
				Cipher struct {
					OID asn1.ObjectIdentifier
					IV  []byte
				}
			}
		}
		Data []byte
	}
	_, err = asn1.Unmarshal(block.Bytes, &info)
	must(t, err)
	kdf := info.Algorithm.Params.KDF.Params
	ok, out := cryptotest.OpenSSL(t, "kdf", "-keylen", "16", "-kdfopt", "digest:SM3", "-kdfopt", "pass:secret",
		"-kdfopt", fmt.Sprintf("hexsalt:%x", kdf.Salt), "-kdfopt", fmt.Sprintf("iter:%d", kdf.Iterations), "PBKDF2")
	if !ok {
		t.Fatalf("openssl kdf: %s", out)
	}
	in, plain := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "plain")
	must(t, os.WriteFile(in, info.Data, 0o600))
	ok, out = cryptotest.OpenSSL(t, "enc", "-d", "-sm4-cbc", "-K", strings.ReplaceAll(strings.TrimSpace(out), ":", ""),
		"-iv", hex.EncodeToString(info.Algorithm.Params.Cipher.IV), "-in", in, "-out", plain)
	if !ok {
		t.Fatalf("openssl enc: %s", out)
	}
	got, err := os.ReadFile(plain)
	must(t, err)
	want, err := smx509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("openssl decrypts %x, want %x", got, want)
	}
}

func TestPublicKeyBytes(t *testing.T) {
	key := mustKey(t)
	b, err := pki.PublicKeyBytes(key.Public())
	must(t, err)
	again, err := pki.ParsePublicKey(b)
	must(t, err)
	if !key.Public().(*ecdsa.PublicKey).Equal(again) {
		t.Error("public key read back differs")
	}
	offCurve := bytes.Clone(b)
	offCurve[64] ^= 1
	for name, in := range map[string][]byte{"empty": nil, "short": b[:64], "long": append(b, 0), "compressed": b[:33], "off the curve": offCurve, "infinity": {0}} {
		if pub, err := pki.ParsePublicKey(in); err == nil || pub != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	if _, err := pki.PublicKeyBytes(ec.Public()); err == nil {
		t.Error("P-256 key passed for SM2")
	}
}

// device is a key of which nothing is known but that it signs 32-byte digests.
type device struct{ crypto.Signer }

func (d device) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if len(digest) != 32 || opts.HashFunc() != 0 {
		panic("a device signs e = SM3(ZA‖M) and nothing else")
	}
	return d.Signer.Sign(rand, digest, opts)
}

// brokenDevice answers with what it likes.
type brokenDevice struct {
	crypto.Signer
	answer []byte
}

func (d brokenDevice) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return d.answer, nil
}

func TestSignMessage(t *testing.T) {
	key, message := mustKey(t), []byte("message")
	for name, k := range map[string]crypto.Signer{"memory": key, "device": device{key}} {
		der, err := pki.SignMessage(rand.Reader, k, message)
		must(t, err)
		if !pki.VerifyMessage(key.Public(), message, der) || !cryptotest.OpenSSLVerifies(t, key.Public(), message, der) {
			t.Errorf("%s: signature does not verify", name)
		}
		if pki.VerifyMessage(key.Public(), []byte("massage"), der) || cryptotest.OpenSSLVerifies(t, key.Public(), []byte("massage"), der) {
			t.Errorf("%s: signature verifies over another message", name)
		}
		if pki.VerifyMessage(mustKey(t).Public(), message, der) {
			t.Errorf("%s: signature verifies with another key", name)
		}
	}
	if _, err := pki.SignMessage(rand.Reader, brokenDevice{key, make([]byte, 64)}, message); err == nil {
		t.Error("a device's raw r‖s passed for DER")
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	if _, err := pki.SignMessage(rand.Reader, ec, message); err == nil {
		t.Error("a P-256 key signed")
	}
	if pki.VerifyMessage(ec.Public(), message, nil) || pki.VerifyMessage(nil, message, nil) {
		t.Error("something verifies with no SM2 key")
	}
}

// integers encodes SEQUENCE { r, s } from the contents of two INTEGERs, right or not.
func integers(r, s []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(r) })
		b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(s) })
	})
	return b.BytesOrPanic()
}

func TestRawSignature(t *testing.T) {
	key := mustKey(t)
	der, err := pki.SignMessage(rand.Reader, key, nil)
	must(t, err)
	raw, err := pki.RawSignature(der)
	must(t, err)
	if !bytes.Equal(pki.DERSignature(raw), der) {
		t.Error("r‖s and DER are not each other's inverse")
	}
	n := sm2.P256().Params().N
	below := new(big.Int).Sub(n, big.NewInt(1))
	zeroPrefixed := func(x *big.Int) []byte { return append([]byte{0}, x.Bytes()...) }
	if _, err := pki.RawSignature(integers([]byte{1}, zeroPrefixed(below))); err != nil {
		t.Errorf("r = 1, s = n-1: %v", err)
	}
	long := append([]byte{0x30, 0x81, der[1]}, der[2:]...)
	indefinite := append(append([]byte{0x30, 0x80}, der[2:]...), 0, 0)
	var longInt []byte // r with its length in two bytes
	longInt = append(longInt, 0x30, der[1]+1, 2, 0x81)
	longInt = append(longInt, der[3:]...)
	bad := map[string][]byte{
		"empty":                 nil,
		"r = 0":                 integers([]byte{0}, []byte{1}),
		"s = 0":                 integers([]byte{1}, []byte{0}),
		"r = n":                 integers(zeroPrefixed(n), []byte{1}),
		"s = n":                 integers([]byte{1}, zeroPrefixed(n)),
		"s = 2^256":             integers([]byte{1}, append([]byte{1}, make([]byte, 32)...)),
		"r of 300 bytes":        integers(append([]byte{1}, make([]byte, 299)...), []byte{1}),
		"r negative":            integers([]byte{0xff}, []byte{1}),
		"s negative":            integers([]byte{1}, below.Bytes()),
		"r not minimal":         integers([]byte{0, 1}, []byte{1}),
		"r without content":     integers(nil, []byte{1}),
		"trailing byte":         append(bytes.Clone(der), 0),
		"long-form length":      long,
		"indefinite length":     indefinite,
		"long-form inner":       longInt,
		"third INTEGER":         append([]byte{0x30, der[1] + 3}, append(bytes.Clone(der[2:]), 2, 1, 1)...),
		"SET":                   append([]byte{0x31}, der[1:]...),
		"truncated":             der[:len(der)-1],
		"raw r‖s, not DER":      raw[:],
		"one INTEGER only":      {0x30, 3, 2, 1, 1},
		"DER of 64 zero bytes":  pki.DERSignature([64]byte{}),
		"DER of 64 bytes of ff": pki.DERSignature([64]byte(bytes.Repeat([]byte{0xff}, 64))),
	}
	for name, in := range bad {
		if got, err := pki.RawSignature(in); err == nil || got != [64]byte{} {
			t.Errorf("%s: got %x, error %v", name, got, err)
		}
		if pki.VerifyMessage(key.Public(), nil, in) {
			t.Errorf("%s: verifies", name)
		}
	}
	for i := range der {
		for bit := range 8 {
			twisted := bytes.Clone(der)
			twisted[i] ^= 1 << bit
			if pki.VerifyMessage(key.Public(), nil, twisted) {
				t.Errorf("verifies with bit %d of byte %d flipped", bit, i)
			}
		}
	}
}

func FuzzRawSignature(f *testing.F) {
	f.Add(integers([]byte{1}, []byte{1}))
	f.Add(integers([]byte{0, 0x80}, []byte{0x7f}))
	f.Add([]byte{0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		raw, err := pki.RawSignature(der)
		if err != nil && raw != [64]byte{} {
			t.Error("error with a value")
		}
		if err == nil && !bytes.Equal(pki.DERSignature(raw), der) {
			t.Errorf("%x marshals to other bytes", der)
		}
	})
}

func TestCipher(t *testing.T) {
	c, err := pki.NewCipher([]byte("0123456789abcdef"))
	must(t, err)
	plain, aad := []byte("11010119900307781X"), []byte("licence.holder_code:7")
	sealed, err := c.Seal(rand.Reader, plain, aad)
	must(t, err)
	if got, err := c.Open(sealed, aad); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("got %q, error %v", got, err)
	}
	if again, err := c.Seal(rand.Reader, plain, aad); err != nil || bytes.Equal(again, sealed) {
		t.Errorf("the same value twice is the same bytes, error %v", err)
	}
	if empty, err := c.Seal(rand.Reader, nil, nil); err != nil {
		t.Error(err)
	} else if got, err := c.Open(empty, nil); err != nil || len(got) != 0 {
		t.Errorf("empty value: got %q, error %v", got, err)
	}
	for i := range sealed {
		twisted := bytes.Clone(sealed)
		twisted[i] ^= 0x20
		if got, err := c.Open(twisted, aad); err == nil || got != nil {
			t.Errorf("opens with byte %d changed", i)
		}
		if _, err := c.Open(sealed[:i], aad); err == nil {
			t.Errorf("opens cut to %d bytes", i)
		}
	}
	if _, err := c.Open(sealed, []byte("licence.holder_code:8")); err == nil {
		t.Error("opens in another place")
	}
	other, err := pki.NewCipher([]byte("0123456789abcdeX"))
	must(t, err)
	if _, err := other.Open(sealed, aad); err == nil {
		t.Error("opens with another key")
	}
	for _, size := range []int{0, 15, 17, 32} {
		if _, err := pki.NewCipher(make([]byte, size)); err == nil {
			t.Errorf("key of %d bytes accepted", size)
		}
	}
}

func TestBlindIndex(t *testing.T) {
	a := pki.BlindIndex([]byte("key"), []byte("value"))
	if a != pki.BlindIndex([]byte("key"), []byte("value")) {
		t.Error("not repeatable")
	}
	if a == pki.BlindIndex([]byte("key"), []byte("other")) || a == pki.BlindIndex([]byte("kez"), []byte("value")) {
		t.Error("does not depend on key and value")
	}
	// HMAC-SM3 by OpenSSL: printf value | openssl dgst -sm3 -hmac key
	path := filepath.Join(t.TempDir(), "value")
	must(t, os.WriteFile(path, []byte("value"), 0o600))
	ok, out := cryptotest.OpenSSL(t, "dgst", "-sm3", "-hmac", "key", "-r", path)
	if want := hex.EncodeToString(a[:]); !ok || !strings.HasPrefix(out, want) {
		t.Errorf("openssl says %s, not %s", out, want)
	}
}
