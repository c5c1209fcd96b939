package seal_test

import (
	"bytes"
	"crypto/rand"
	"image"
	"image/png"
	mathrand "math/rand/v2"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
)

// fullSize is a picture of as many bytes as one of 45 mm has: what is checked is
// hashed, not looked at.
func fullSize(tb testing.TB) seal.Picture {
	tb.Helper()
	img := image.NewGray(image.Rect(0, 0, 531, 30))
	random := mathrand.New(mathrand.NewPCG(3, 4))
	for i := range img.Pix {
		img.Pix[i] = byte(random.Uint32())
	}
	var data bytes.Buffer
	must(tb, png.Encode(&data, img))
	return seal.Picture{Type: "PNG", Data: data.Bytes(), Width: 45, Height: 45}
}

// BenchmarkCheckWithChain reads and checks one seal signature with its seal and both
// certificates' paths, against the SM2 and SM3 work in that: two signatures if the
// anchors have met the certificates before, else five.
func BenchmarkCheckWithChain(b *testing.B) {
	p := cryptotest.New(b)
	s := p.MustSeal(b, fullSize(b))
	sig, err := seal.Sign(rand.Reader, p.SealSigner.Key, p.SealSigner.Certificate, s, digest("file"), "ByteRange", p.Now)
	must(b, err)
	two := func() {
		if !pki.VerifyMessage(p.SealSigner.Certificate.PublicKey, sig.TBSRaw, sig.SignatureValue) ||
			!pki.VerifyMessage(p.SealMaker.Certificate.PublicKey, s.SignedRaw, s.SignatureValue) {
			b.Fatal("does not verify")
		}
	}
	five := func() {
		two()
		for cert, issuer := range map[*pki.Certificate]*pki.CA{p.SealSigner.Certificate: p.Issuing, p.SealMaker.Certificate: p.Issuing, p.Issuing.Certificate: p.Root} {
			if !pki.VerifyMessage(issuer.Certificate.PublicKey, cert.RawTBSCertificate, cert.Signature) {
				b.Fatal("does not verify")
			}
		}
	}
	b.Run("known", func(b *testing.B) {
		cryptotest.Alternate(b, cryptotest.Timed{Name: "raw", Run: two},
			cryptotest.Timed{Name: "all", Run: func() { mustPass(b, p, p.Anchors, sig.Raw) }})
	})
	b.Run("new", func(b *testing.B) {
		var anchors *pki.TrustAnchors // fresh ones have nothing cached; reading them is not what is measured
		parse := func() {
			var err error
			anchors, err = pki.ParseTrustAnchors(p.AnchorsPEM)
			must(b, err)
		}
		cryptotest.Alternate(b, cryptotest.Timed{Name: "raw", Run: five},
			cryptotest.Timed{Name: "all", Before: parse, Run: func() { mustPass(b, p, anchors, sig.Raw) }})
	})
}

func mustPass(b *testing.B, p *cryptotest.PKI, anchors *pki.TrustAnchors, der []byte) {
	sig, err := seal.ParseSignature(der)
	must(b, err)
	must(b, sig.CheckSignature())
	must(b, sig.Seal.CheckSignature())
	if !sig.Seal.Lists(sig.Certificate) || !sig.Seal.ValidAt(p.Now) {
		b.Fatal("seal does not serve")
	}
	for cert, usage := range map[*pki.Certificate]pki.Usage{sig.Certificate: pki.UsageSealSigner, sig.Seal.Maker: pki.UsageSealMaker} {
		_, err := anchors.CheckPath(cert, pki.PathOptions{Usage: usage, At: p.Now, Now: p.Now})
		must(b, err)
	}
}
func BenchmarkParseSignature(b *testing.B) {
	p := cryptotest.New(b)
	sig := p.MustSign(b, digest("file"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := seal.ParseSignature(sig.Raw); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify is all that a seal signature with a timestamp costs a verifier.
func BenchmarkVerify(b *testing.B) {
	p := cryptotest.New(b)
	sig := p.MustSign(b, digest("file"))
	stamped, err := sig.WithTimestamp(p.MustToken(b, sig.SignatureValue, p.Now).Raw)
	must(b, err)
	for b.Loop() {
		if !verified(p, stamped.Raw) {
			b.Fatal("does not verify")
		}
	}
}

func BenchmarkSign(b *testing.B) {
	p := cryptotest.New(b)
	for b.Loop() {
		p.MustSign(b, digest("file"))
	}
}
