package seal_test

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence/render/pdf"
	"elicence/licence/render/sealpicture"
	"elicence/licence/render/typeface"

	"github.com/emmansun/gmsm/sm3"
)

// fullSize is the seal of a city's department, 45 mm, as it goes into seal and page.
func fullSize(tb testing.TB) sealpicture.Picture {
	tb.Helper()
	dir := os.Getenv("ELICENCE_FONTS")
	if dir == "" {
		dir = "../../fonts"
	}
	fonts, err := typeface.Open(dir)
	must(tb, err)
	picture, err := sealpicture.Draw(fonts, sealpicture.Design{Name: "杭州市市场监督管理局", Lower: "证照专用章", DiameterMM: 45})
	must(tb, err)
	return picture
}

func pictureOf(p sealpicture.Picture) seal.Picture {
	return seal.Picture{Type: "PNG", Data: p.PNG, Width: p.WidthMM, Height: p.HeightMM}
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

// beyond times two things alternately and reports the median of both, and by how
// much the second takes longer, in microseconds. before goes before each round and is
// not timed.
func beyond(b *testing.B, raw, all func(), before ...func()) {
	b.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as elicenced does
	var rawTimes, allTimes, differences []time.Duration
	for b.Loop() {
		for _, prepare := range before {
			prepare()
		}
		start := time.Now()
		raw()
		between := time.Now()
		all()
		end := time.Now()
		rawTimes, allTimes = append(rawTimes, between.Sub(start)), append(allTimes, end.Sub(between))
		differences = append(differences, end.Sub(between)-between.Sub(start))
	}
	for unit, times := range map[string][]time.Duration{"µs-raw": rawTimes, "µs-all": allTimes, "µs-beyond": differences} {
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1000, unit)
	}
}

// BenchmarkSealAndEmbed seals a file of 100 kB with a full-size picture, against one
// SM2 signature and SM3 over the file. What lies beyond includes SM3 over the seal,
// which is signed again with every file, and over what the seal adds to the page.
func BenchmarkSealAndEmbed(b *testing.B) {
	p := cryptotest.New(b)
	picture, file := fullSize(b), rendered()
	s := p.MustSeal(b, pictureOf(picture))
	appearance, err := pdfsig.Appearance{Width: picture.Width, Height: picture.Height, Content: picture.Content}.Deflated()
	must(b, err)
	options := pdfsig.Options{FieldName: "Seal1", Page: 1, X: 340, Y: 120, ClaimedTime: p.Now,
		Appearance: appearance, Reserve: len(s.Raw) + 8<<10}
	b.Logf("file of %d bytes, seal of %d bytes", len(file), len(s.Raw))
	fixed := digest("")
	beyond(b, func() {
		_ = sm3.Sum(file)
		_, err := p.SealSigner.Key.Sign(rand.Reader, fixed, nil)
		must(b, err)
	}, func() {
		prepared, err := pdfsig.Prepare(file, options)
		must(b, err)
		d := prepared.Digest()
		sig, err := seal.Sign(rand.Reader, p.SealSigner.Key, p.SealSigner.Certificate, s, d[:], "ByteRange", p.Now)
		must(b, err)
		_, err = prepared.Finish(sig.Raw)
		must(b, err)
	})
}

// BenchmarkCheckWithChain reads and checks one seal signature with its seal and both
// certificates' paths, against the SM2 and SM3 work in that: two signatures if the
// anchors have met the certificates before, else five.
func BenchmarkCheckWithChain(b *testing.B) {
	p := cryptotest.New(b)
	s := p.MustSeal(b, pictureOf(fullSize(b)))
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
		beyond(b, two, func() { mustPass(b, p, p.Anchors, sig.Raw) })
	})
	b.Run("new", func(b *testing.B) {
		var anchors *pki.TrustAnchors // fresh ones have nothing cached; reading them is not what is measured
		beyond(b, five, func() { mustPass(b, p, anchors, sig.Raw) }, func() {
			var err error
			anchors, err = pki.ParseTrustAnchors(p.AnchorsPEM)
			must(b, err)
		})
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
