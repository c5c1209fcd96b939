package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/verify"
)

// TestTrustListOfDemo verifies what the demo made with its own trust list: the list
// speaks for every authority that has a seal here, and so clears the samples.
func TestTrustListOfDemo(t *testing.T) {
	s := newSite(t, "")
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(s.Dir, name))
		must(t, err)
		return b
	}
	now := time.Now()
	anchors, err := pki.ParseTrustAnchors(read("anchors.pem"))
	must(t, err)
	list, err := verify.ParseTrustList(read("trust.json"), anchors, now)
	must(t, err)
	var want []string
	for _, a := range demoAuthorities {
		want = append(want, a.Code)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, list.Authorities); diff != "" {
		t.Error(diff)
	}
	v, other := &verify.Verifier{Anchors: anchors, Trust: list}, *list
	other.Authorities = []string{"11330105002500287C"}
	elsewhere := &verify.Verifier{Anchors: anchors, Trust: &other}
	for _, l := range s.demo.Licences {
		file := read(l.File)
		want, unscoped := licence.Status(l.Status), licence.Status(l.Status)
		if want == licence.StatusValid {
			unscoped = licence.StatusUnknown
		}
		if r := v.VerifyFile(context.Background(), file, now); r.Indication != verify.TotalPassed || r.LicenceState != want {
			t.Errorf("%s: %s, %s; want %s", l.File, r.Indication, r.LicenceState, want)
		}
		if r := elsewhere.VerifyFile(context.Background(), file, now); r.Indication != verify.TotalPassed || r.LicenceState != unscoped {
			t.Errorf("%s by the list of another platform: %s, %s; want %s", l.File, r.Indication, r.LicenceState, unscoped)
		}
	}
}
