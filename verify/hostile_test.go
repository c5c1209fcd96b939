package verify_test

import (
	"context"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/testdata/hostile"
	"elicence/verify"
)

// TestHostileFiles holds reports on hostile files to what they should say, and their
// making to its bound on memory.
func TestHostileFiles(t *testing.T) {
	p := cryptotest.New(t)
	v := &verify.Verifier{Anchors: p.Anchors}
	for f := range hostile.Files(t, p, newRecipe(t, p).make(t)) {
		t.Run(f.Name, func(t *testing.T) {
			var r *verify.Report
			hostile.Within(t, func() { r = v.VerifyFile(context.Background(), f.Data, now) })
			wellFormed(t, r)
			if got := r.Check(verify.Name(f.Check)); r.Indication != verify.TotalFailed || got.Code != f.Code {
				t.Errorf("%s: %s is %s, not %s: %s", r.Indication, f.Check, got.Code, f.Code, got.Evidence)
			}
		})
	}
}
