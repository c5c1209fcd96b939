//go:build faults

package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elicence/crypto/pki"
	"elicence/verify"
)

// TestFaultSweep takes one sample of the demo and verifies it with every byte
// changed by the masks 0x01 and 0x20, cut at every length, and with any one byte
// appended. None may be TotalPassed.
func TestFaultSweep(t *testing.T) {
	s := newSite(t, "")
	file, err := os.ReadFile(filepath.Join(s.Dir, "sample-safety-builder.pdf"))
	must(t, err)
	text, err := os.ReadFile(filepath.Join(s.Dir, "anchors.pem"))
	must(t, err)
	anchors, err := pki.ParseTrustAnchors(text)
	must(t, err)
	v := &verify.Verifier{Anchors: anchors}
	at := time.Now()
	if r := v.VerifyFile(context.Background(), file, at); r.Indication != verify.TotalPassed {
		t.Fatalf("the untouched sample is %s", r.Indication)
	}
	var tried atomic.Int64
	try := func(what string, position int, mutant []byte) {
		tried.Add(1)
		if r := v.VerifyFile(context.Background(), mutant, at); r.Indication == verify.TotalPassed {
			t.Errorf("%s at %d of %d: TotalPassed", what, position, len(file))
		}
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			mutant := slices.Clone(file)
			for i := int(next.Add(1)) - 1; i < len(file); i = int(next.Add(1)) - 1 {
				for _, mask := range []byte{0x01, 0x20} {
					mutant[i] ^= mask
					try("flipped", i, mutant)
					mutant[i] = file[i]
				}
				try("cut", i, file[:i])
			}
		})
	}
	wg.Wait()
	for b := range 256 {
		try("appended", b, append(slices.Clone(file), byte(b)))
	}
	t.Logf("%d mutants of %d bytes, none TotalPassed", tried.Load(), len(file))
}
