package verify_test

import (
	"context"
	"testing"

	"elicence/crypto/cryptotest"
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
