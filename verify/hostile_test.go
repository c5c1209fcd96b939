package verify_test

import (
	"context"
	"strings"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/licence"
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

// TestHostileTrustLists has somebody with a certificate that passes, but for its path,
// sign lists of 10 MB; and checks that a good list of that size keeps to the bound.
func TestHostileTrustLists(t *testing.T) {
	p, stranger := cryptotest.New(t), cryptotest.New(t)
	const size = 10 << 20
	fill := func(before, piece, after string) string {
		return signBody(t, stranger.TrustList, before+strings.Repeat(piece, size/len(piece))+after)
	}
	for name, list := range map[string]string{
		"empty authorities":     fill(`{"authorities":[`, `"",`, `""]}`),
		"empty certificates":    fill(`{"qr_signers":[`, `"",`, `""]}`),
		"nothing, in a list":    fill(`{"crls":[`, `null,`, `null]}`),
		"states without keys":   fill(`{"states":{`, `"a":"",`, `"a":""}}`),
		"members of no meaning": fill(`{`, `"":0,`, `"":0}`),
		"lists in one another":  fill(`{"crls":`, `[`, ``),
		"objects in each other": fill(``, `{"":`, ``),
		"one text":              fill(`{"format":"`, `x`, `"}`),
		"escapes":               fill(`{"format":"`, `\u0000`, `"}`),
		"members of the file":   `{"body":` + strings.Repeat(`,"certificate":"","signature":"`, size/31) + "\"}\n",
		"longer than a list":    strings.Repeat(" ", verify.MaxTrustList+1),
	} {
		hostile.Within(t, func() {
			if got, err := verify.ParseTrustList([]byte(list), p.Anchors, now); err == nil || got != nil || len(err.Error()) > 1000 {
				t.Errorf("%s: %.100v", name, err)
			}
		})
		if t.Failed() {
			t.Fatal(name)
		}
	}
	large := sampleList(p)
	large.States = verify.States{licence.StatusRevoked: manyKeys(size * 3 / 4 / len(verify.StateKey{}))}
	list := mustSignTrustList(t, p.TrustList, large)
	hostile.Within(t, func() {
		if _, err := verify.ParseTrustList(list, p.Anchors, now); err != nil {
			t.Error(err)
		}
	})
}
