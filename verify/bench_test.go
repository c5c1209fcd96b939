package verify_test

import (
	"context"
	"testing"

	"elicence/crypto/cryptotest"
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
