package pades_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"io"
	mathrand "math/rand/v2"
	"os"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pades"
	"elicence/crypto/seal"
	"elicence/licence/render/pdf"
	"elicence/licence/render/sealpicture"
	"elicence/licence/render/typeface"

	digitorus "github.com/digitorus/pdf"
	"github.com/digitorus/pdfsign/sign"
	"github.com/emmansun/gmsm/sm3"
)

// BenchmarkSign is one P-256 signature in our CMS, without a file.
func BenchmarkSign(b *testing.B) {
	good, _ := keys(b)
	certs, digest := chain(b, good["P-256"]), make([]byte, 32)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pades.Sign(rand.Reader, good["P-256"], certs, digest); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSealAndEmbed seals a file of 100 kB with a full-size picture, against one
// SM2 signature and SM3 over the file, and against what pdfsign needs for a signature
// with P-256 and SHA-256 of the same file, without anything to be seen. What lies beyond
// the raw cost includes SM3 over the seal, which is signed again with every file, and
// over what the seal adds to the page.
func BenchmarkSealAndEmbed(b *testing.B) {
	p, file := cryptotest.New(b), rendered()
	ours, sealed := sealing(b, p, file)
	theirs, signed := pdfsign(b, file)
	fixed := make([]byte, 32)
	medians := cryptotest.Alternate(b,
		cryptotest.Timed{Name: "raw", Run: func() {
			_ = sm3.Sum(file)
			_, err := p.SealSigner.Key.Sign(rand.Reader, fixed, nil)
			must(b, err)
		}},
		cryptotest.Timed{Name: "all", Run: ours},
		cryptotest.Timed{Name: "pdfsign", Run: theirs})
	b.ReportMetric(float64(medians[1])/float64(medians[2]), "all/pdfsign")
	b.Logf("file of %d bytes; %d sealed, %d signed by pdfsign", len(file), len(sealed()), len(signed()))
	if f, err := pdfsig.Read(sealed()); err != nil || len(f.Signatures) != 1 {
		b.Errorf("reading what was sealed: %v", err)
	}
	judgedByPoppler(b, signed())
}

// sealing returns what seals the file, and what gives the last file that it made.
func sealing(b *testing.B, p *cryptotest.PKI, file []byte) (run func(), last func() []byte) {
	fonts, err := typeface.Open(fontFolder())
	must(b, err)
	picture, err := sealpicture.Draw(fonts, sealpicture.Design{Name: "杭州市市场监督管理局", Lower: "证照专用章", DiameterMM: 45})
	must(b, err)
	s := p.MustSeal(b, seal.Picture{Type: "PNG", Data: picture.PNG, Width: picture.WidthMM, Height: picture.HeightMM})
	b.Logf("picture of %d bytes, seal of %d bytes", len(picture.PNG), len(s.Raw))
	appearance, err := pdfsig.Appearance{Width: picture.Width, Height: picture.Height, Content: picture.Content}.Deflated()
	must(b, err)
	options := pdfsig.Options{FieldName: "Seal1", Page: 1, X: 340, Y: 120, ClaimedTime: p.Now,
		Appearance: appearance, Reserve: len(s.Raw) + 8<<10}
	var sealed []byte
	return func() {
		prepared, err := pdfsig.Prepare(file, options)
		must(b, err)
		d := prepared.Digest()
		sig, err := seal.Sign(rand.Reader, p.SealSigner.Key, p.SealSigner.Certificate, s, d[:], "ByteRange", p.Now)
		must(b, err)
		sealed, err = prepared.Finish(sig.Raw)
		must(b, err)
	}, func() []byte { return sealed }
}

// pdfsign returns what signs the file with github.com/digitorus/pdfsign, and what gives
// the last file that it made.
func pdfsign(b *testing.B, file []byte) (run func(), last func() []byte) {
	good, _ := keys(b)
	certs := chain(b, good["P-256"])
	var signed bytes.Buffer
	return func() {
		signed.Reset()
		in := bytes.NewReader(file)
		reader, err := digitorus.NewReader(in, int64(len(file)))
		must(b, err)
		must(b, sign.Sign(in, io.Writer(&signed), reader, int64(len(file)), sign.SignData{
			Signature: sign.SignDataSignature{CertType: sign.CertificationSignature, DocMDPPerm: sign.DoNotAllowAnyChangesPerms,
				Info: sign.SignDataSignatureInfo{Date: time.Now()}},
			Signer: good["P-256"], DigestAlgorithm: crypto.SHA256, Certificate: certs[0], CertificateChains: [][]*x509.Certificate{certs},
		}))
	}, signed.Bytes
}

func fontFolder() string {
	if dir := os.Getenv("ELICENCE_FONTS"); dir != "" {
		return dir
	}
	return "../../../fonts"
}

// rendered is a file of 100 kB, most of it a font as in a licence, without a signature.
func rendered() []byte {
	random := mathrand.New(mathrand.NewPCG(3, 4))
	font := make([]byte, 95_000)
	for i := range font {
		font[i] = byte(random.Uint32())
	}
	return pdf.Write(pdf.Document{Width: 595, Height: 842, Title: "Licence", CreatedAt: time.Unix(1780000000, 0),
		Font:        pdf.Font{Data: font, Ascent: 900, Descent: -200, Widths: []int{600}, Runes: []rune{'x'}},
		Attachments: []pdf.Attachment{{Name: "licence.json", Data: font[:3000]}}, Pages: [][]byte{[]byte("0 0 9 9 re f\n")}})
}
