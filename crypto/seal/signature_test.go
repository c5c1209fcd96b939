package seal_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/crypto/tsa"

	"github.com/emmansun/gmsm/sm3"
)

func digest(text string) []byte {
	d := sm3.Sum([]byte(text))
	return d[:]
}

func TestSign(t *testing.T) {
	p := cryptotest.New(t)
	at := p.Now.Add(1500 * time.Millisecond)
	sig, err := seal.Sign(rand.Reader, p.SealSigner.Key, p.SealSigner.Certificate, p.Seal, digest("file"), "ByteRange", at)
	must(t, err)
	switch {
	case sig.CheckSignature() != nil || sig.Seal.CheckSignature() != nil:
		t.Error("signature does not verify")
	case !bytes.Equal(sig.DocumentDigest, digest("file")) || sig.PropertyInfo != "ByteRange" || sig.Version != 4:
		t.Errorf("digest %x, property %q, version %d", sig.DocumentDigest, sig.PropertyInfo, sig.Version)
	case !sig.SigningTime.Equal(p.Now.Add(time.Second)):
		t.Errorf("signing time %s", sig.SigningTime)
	case !sig.Certificate.Equal(p.SealSigner.Certificate) || !bytes.Equal(sig.Seal.Raw, p.Seal.Raw):
		t.Error("certificate or seal is another")
	case sig.Timestamp != nil:
		t.Error("a timestamp out of nowhere")
	}

	token := p.MustToken(t, sig.SignatureValue, p.Now)
	stamped, err := sig.WithTimestamp(token.Raw)
	must(t, err)
	if !bytes.Equal(stamped.TBSRaw, sig.TBSRaw) || !bytes.Equal(stamped.SignatureValue, sig.SignatureValue) || !bytes.Equal(stamped.Timestamp, token.Raw) {
		t.Error("WithTimestamp changed more than the timestamp")
	}
	must(t, stamped.CheckSignature())
	if again, err := stamped.WithTimestamp(stamped.Timestamp); err != nil || !bytes.Equal(again.Raw, stamped.Raw) {
		t.Errorf("the same token gives other bytes, error %v", err)
	}
	if sig.Timestamp != nil {
		t.Error("WithTimestamp changed its receiver")
	}
	for _, bad := range [][]byte{nil, {}, make([]byte, 64<<10+1)} {
		if _, err := sig.WithTimestamp(bad); err == nil {
			t.Errorf("timestamp of %d bytes accepted", len(bad))
		}
	}
}

// untouchable is a key that must not be used.
type untouchable struct {
	crypto.Signer
	t *testing.T
}

func (k untouchable) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	k.t.Error("the key was used")
	return nil, errors.New("not allowed")
}

func TestSignRefuses(t *testing.T) {
	p := cryptotest.New(t)
	key := untouchable{p.SealSigner.Key, t}
	cert, d := p.SealSigner.Certificate, digest("file")
	short, err := p.Issuing.Issue(rand.Reader, pki.CertificateRequest{
		Subject: cert.Subject, PublicKey: key.Public(), Usage: pki.UsageSealSigner, NotBefore: p.Now, NotAfter: p.Now.AddDate(0, 1, 0),
	})
	must(t, err)
	template := p.Template(p.Seal.Picture)
	template.Signers = append(template.Signers, short)
	both, err := seal.Make(rand.Reader, p.SealMaker.Certificate, p.SealMaker.Key, template)
	must(t, err)
	old := *p.Seal
	old.Version = 1
	for name, sign := range map[string]func() (*seal.Signature, error){
		"another's key": func() (*seal.Signature, error) {
			return seal.Sign(rand.Reader, untouchable{p.QR.Key, t}, cert, p.Seal, d, "", p.Now)
		},
		"before the seal is valid": func() (*seal.Signature, error) {
			return seal.Sign(rand.Reader, key, cert, p.Seal, d, "", p.Seal.ValidFrom.Add(-time.Second))
		},
		"after the seal is valid": func() (*seal.Signature, error) {
			return seal.Sign(rand.Reader, key, cert, p.Seal, d, "", p.Seal.ValidTo.Add(time.Second))
		},
		"before the certificate is valid": func() (*seal.Signature, error) {
			return seal.Sign(rand.Reader, key, short, both, d, "", p.Now.Add(-time.Second))
		},
		"after the certificate is valid": func() (*seal.Signature, error) {
			return seal.Sign(rand.Reader, key, short, both, d, "", p.Now.AddDate(0, 2, 0))
		},
		"seal of version 1": func() (*seal.Signature, error) {
			return seal.Sign(rand.Reader, key, cert, &old, d, "", p.Now)
		},
		"property not ASCII": func() (*seal.Signature, error) {
			return seal.Sign(rand.Reader, key, cert, p.Seal, d, "字节", p.Now)
		},
	} {
		if sig, err := sign(); err == nil || sig != nil {
			t.Errorf("%s: signed", name)
		}
	}
	// A renewed certificate of the same key is not the listed one.
	if _, err := seal.Sign(rand.Reader, key, short, p.Seal, d, "", p.Now); !errors.Is(err, seal.ErrNotListed) {
		t.Errorf("not listed: %v", err)
	}
	for name, d := range map[string][]byte{"no digest": nil, "digest of 20 bytes": make([]byte, 20), "digest of 64 bytes": make([]byte, 64)} {
		if _, err := seal.Sign(rand.Reader, p.SealSigner.Key, cert, p.Seal, d, "", p.Now); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := seal.Sign(rand.Reader, p.SealSigner.Key, cert, p.Seal, d, strings.Repeat("x", 2<<10), p.Now); err == nil {
		t.Error("property of 2 KiB: signed")
	}
}

// verified does what a verifier does with a seal signature found in a file.
func verified(p *cryptotest.PKI, der []byte) bool {
	sig, err := seal.ParseSignature(der)
	if err != nil || sig.CheckSignature() != nil || sig.Seal.CheckSignature() != nil || !sig.Seal.Lists(sig.Certificate) {
		return false
	}
	token, err := tsa.ParseToken(sig.Timestamp)
	if err != nil || token.Check(sig.SignatureValue) != nil {
		return false
	}
	at := func(usage pki.Usage) pki.PathOptions {
		return pki.PathOptions{Usage: usage, At: token.Time, Now: p.Now, Intermediates: token.Intermediates}
	}
	for cert, usage := range map[*pki.Certificate]pki.Usage{
		sig.Certificate: pki.UsageSealSigner, sig.Seal.Maker: pki.UsageSealMaker, token.Certificate: pki.UsageTimestamp,
	} {
		if _, err := p.Anchors.CheckPath(cert, at(usage)); err != nil {
			return false
		}
	}
	return true
}

// TestNoByteChanges is the promise of the canonical form: a seal signature with its
// timestamp, as it stands in a file, has no byte that could be another.
func TestNoByteChanges(t *testing.T) {
	p := cryptotest.New(t)
	sig := p.MustSign(t, digest("file"))
	stamped, err := sig.WithTimestamp(p.MustToken(t, sig.SignatureValue, p.Now).Raw)
	must(t, err)
	der := stamped.Raw
	if !verified(p, der) {
		t.Fatal("the signature itself does not verify")
	}
	for i := range der {
		for _, mask := range []byte{0x01, 0x20} {
			twisted := bytes.Clone(der)
			twisted[i] ^= mask
			if verified(p, twisted) {
				t.Errorf("verifies with byte %d changed by %#x", i, mask)
			}
		}
		if verified(p, der[:i]) {
			t.Errorf("verifies cut to %d bytes", i)
		}
	}
	if verified(p, append(bytes.Clone(der), 0)) {
		t.Error("verifies with a byte after it")
	}
}

// TestSignatureVariants alters single parts of a good signature and signs it again.
func TestSignatureVariants(t *testing.T) {
	p := cryptotest.New(t)
	good := p.MustSign(t, digest("file"))
	var outer seal.SESSignature
	_, err := asn1.Unmarshal(good.Raw, &outer)
	must(t, err)
	nothing, plain := func(*seal.TBSSign) {}, func(*seal.SESSignature) {}
	for _, c := range []struct {
		name string
		good bool
		tbs  func(*seal.TBSSign)
		sig  func(*seal.SESSignature)
	}{
		{"nothing", true, nothing, plain},
		{"version 5", true, func(s *seal.TBSSign) { s.Version = 5 }, plain},
		{"extensions", true, func(s *seal.TBSSign) { s.ExtDatas = []seal.Extension{extension(2, false), extension(1, false)} }, plain},
		{"extension twice", false, func(s *seal.TBSSign) { s.ExtDatas = []seal.Extension{extension(1, false), extension(1, false)} }, plain},
		{"critical extension", false, func(s *seal.TBSSign) { s.ExtDatas = []seal.Extension{extension(1, true)} }, plain},
		{"property of 2 KiB", false, func(s *seal.TBSSign) { s.PropertyInfo = strings.Repeat("x", 2<<10) }, plain},
		{"version 1", false, func(s *seal.TBSSign) { s.Version = 1 }, plain},
		{"version 6", false, func(s *seal.TBSSign) { s.Version = 6 }, plain},
		{"digest of 31 bytes", false, func(s *seal.TBSSign) { s.DataHash = asn1.BitString{Bytes: make([]byte, 31), BitLength: 248} }, plain},
		{"digest with unused bits", false, func(s *seal.TBSSign) { s.DataHash = asn1.BitString{Bytes: make([]byte, 32), BitLength: 255} }, plain},
		{"no digest", false, func(s *seal.TBSSign) { s.DataHash = asn1.BitString{} }, plain},
		{"seal with a byte missing", false, func(s *seal.TBSSign) { s.Eseal.FullBytes = s.Eseal.FullBytes[:len(s.Eseal.FullBytes)-1] }, plain},
		{"no seal", false, func(s *seal.TBSSign) { s.Eseal.FullBytes = []byte{5, 0} }, plain},
		{"other algorithm", false, nothing, func(s *seal.SESSignature) { s.SignatureAlgID = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 301} }},
		{"no signature", false, nothing, func(s *seal.SESSignature) { s.Signature = asn1.BitString{} }},
		{"signature with unused bits", false, nothing, func(s *seal.SESSignature) { s.Signature.BitLength-- }},
		{"empty timestamp", false, nothing, func(s *seal.SESSignature) { s.TimeStamp = asn1.BitString{Bytes: []byte{}} }},
		{"timestamp with unused bits", false, nothing, func(s *seal.SESSignature) { s.TimeStamp = asn1.BitString{Bytes: []byte{0}, BitLength: 1} }},
		{"certificate with a byte after", false, nothing, func(s *seal.SESSignature) { s.Cert = append(bytes.Clone(s.Cert), 0) }},
		{"no certificate", false, nothing, func(s *seal.SESSignature) { s.Cert = nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tbs seal.TBSSign
			_, err := asn1.Unmarshal(good.TBSRaw, &tbs)
			must(t, err)
			c.tbs(&tbs)
			altered := outer
			altered.ToSign = asn1.RawValue{FullBytes: mustMarshal(t, tbs)}
			value, err := pki.SignMessage(rand.Reader, p.SealSigner.Key, altered.ToSign.FullBytes)
			must(t, err)
			altered.Signature = asn1.BitString{Bytes: value, BitLength: 8 * len(value)}
			c.sig(&altered)
			sig, err := seal.ParseSignature(mustMarshal(t, altered), seal.Deviations()...)
			if (err == nil) != c.good || (sig != nil) != c.good {
				t.Fatalf("error %v, signature %v", err, sig != nil)
			}
			if !c.good {
				return
			}
			must(t, sig.CheckSignature())
			if again, err := seal.RemarshalSignature(sig); err != nil || !bytes.Equal(again, sig.Raw) {
				t.Errorf("marshals to other bytes, error %v", err)
			}
		})
	}
	if _, err := seal.ParseSignature(make([]byte, 2<<20)); err == nil {
		t.Error("2 MiB accepted")
	}
}

// TestSignatureOpenSSL has OpenSSL judge the signer's signature.
func TestSignatureOpenSSL(t *testing.T) {
	p := cryptotest.New(t)
	sig := p.MustSign(t, digest("file"))
	if !cryptotest.OpenSSLVerifies(t, sig.Certificate.PublicKey, sig.TBSRaw, sig.SignatureValue) {
		t.Error("OpenSSL does not verify the seal signature")
	}
	flipped := bytes.Clone(sig.TBSRaw)
	flipped[len(flipped)-1] ^= 1
	if cryptotest.OpenSSLVerifies(t, sig.Certificate.PublicKey, flipped, sig.SignatureValue) {
		t.Error("OpenSSL verifies the seal signature with a bit flipped")
	}
}
