package verify_test

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/licence/render/pdf"
	"elicence/testdata/hostile"
	"elicence/verify"
)

// BenchmarkVerifyFile verifies a file offline, with a token and cached anchors.
func BenchmarkVerifyFile(b *testing.B) {
	p := cryptotest.New(b)
	file := newRecipe(b, p).make(b)
	v := &verify.Verifier{Anchors: p.Anchors}
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if r := v.VerifyFile(context.Background(), file, now); r.Indication != verify.TotalPassed {
			b.Fatal(r.Indication, r.SubIndication)
		}
	}
}

// BenchmarkVerifyOffline verifies files of two sizes with a trust list that was read
// before, against the SM2 and SM3 work in that: the digest of the signed bytes, and the
// signatures of seal, seal maker, timestamp token and QR code. Those of the CAs were met
// before, and so was the seal: its maker's signature, which is in the raw work, is not
// checked again.
func BenchmarkVerifyOffline(b *testing.B) {
	for kB, picture := range map[int]int{40: 4_000, 110: 17_000} {
		b.Run(fmt.Sprintf("%d kB", kB), func(b *testing.B) { benchmarkOffline(b, kB*1000, picture) })
	}
}

func benchmarkOffline(b *testing.B, size, picture int) {
	p := cryptotest.New(b)
	r := newRecipe(b, p)
	random := mathrand.NewChaCha8([32]byte{1})
	noise := make([]byte, size)
	random.Read(noise)
	looks := p.Seal.Picture
	looks.Data = append(looks.Data, noise[:picture-len(looks.Data)]...) // hashed, not looked at
	r.seal, r.reserve = p.MustSeal(b, looks), picture+3700
	drawn := 0 // bytes of noise on the page
	r.page = func(d *pdf.Document) { d.Pages[0] = fmt.Appendf(nil, "%% %x\n", noise[:drawn]) }
	bare := len(r.make(b))
	drawn = size / 10
	drawn = (size - bare) * drawn / (len(r.make(b)) - bare)
	file := r.make(b)
	if off := len(file) - size; off < -size/20 || off > size/20 {
		b.Fatalf("%d bytes, want %d", len(file), size)
	}
	b.SetBytes(int64(len(file)))
	v := &verify.Verifier{Anchors: p.Anchors, Trust: mustTrustList(b, p, sampleList(p))}
	cryptotest.Alternate(b, cryptotest.Timed{Name: "raw", Run: rawWork(b, p, file)}, cryptotest.Timed{Name: "all", Run: func() {
		if r := v.VerifyFile(context.Background(), file, now); r.Indication != verify.TotalPassed || r.LicenceState != licence.StatusValid {
			b.Fatal(r.Indication, r.SubIndication, r.LicenceState)
		}
	}})
}

// rawWork is the SM2 and SM3 work of verifying a file. Messages of the usual sizes stand
// for those of token and QR code.
func rawWork(b *testing.B, p *cryptotest.PKI, file []byte) func() {
	f, err := pdfsig.Read(file)
	must(b, err)
	sig, err := seal.ParseSignature(f.Signatures[0].Contents)
	must(b, err)
	short := [][]byte{make([]byte, 150), make([]byte, 250)}
	signed := make([][]byte, len(short))
	for i, message := range short {
		signed[i], err = pki.SignMessage(rand.Reader, p.QR.Key, message)
		must(b, err)
	}
	return func() {
		good := pki.VerifyMessage(sig.Certificate.PublicKey, sig.TBSRaw, sig.SignatureValue) &&
			pki.VerifyMessage(sig.Seal.Maker.PublicKey, sig.Seal.SignedRaw, sig.Seal.SignatureValue)
		for i, message := range short {
			good = good && pki.VerifyMessage(p.QR.Certificate.PublicKey, message, signed[i])
		}
		if !good || f.Digest(0) == [32]byte{} {
			b.Fatal("does not verify")
		}
	}
}

// BenchmarkHostile refuses each hostile file. None should cost more than ten files of
// BenchmarkVerifyFile: how many it does cost, in processor time, is the last figure.
func BenchmarkHostile(b *testing.B) {
	p := cryptotest.New(b)
	v := &verify.Verifier{Anchors: p.Anchors}
	good := newRecipe(b, p).make(b)
	judge := func(file []byte, want verify.Indication) {
		if r := v.VerifyFile(context.Background(), file, now); r.Indication != want {
			b.Fatal(r.Indication, r.SubIndication)
		}
	}
	const goods = 500
	began := hostile.ProcessorTime()
	for range goods {
		judge(good, verify.TotalPassed)
	}
	unit := (hostile.ProcessorTime() - began) / goods
	for f := range hostile.Files(b, p, good) {
		b.Run(f.Name, func(b *testing.B) {
			b.ReportAllocs()
			began, n := hostile.ProcessorTime(), 0
			for b.Loop() {
				judge(f.Data, verify.TotalFailed)
				n++
			}
			b.ReportMetric(float64(hostile.ProcessorTime()-began)/float64(n)/float64(unit), "good-files/op")
		})
	}
}
