package verify_test

import (
	"bytes"
	"context"
	"runtime"
	"sync"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/verify"
)

// sweep judges altered copies of a file and fails for each that is TotalPassed.
// change makes copy i, or returns nil to leave it out.
func sweep(t *testing.T, v *verify.Verifier, n int, change func(i int) []byte) {
	t.Helper()
	var wait sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wait.Go(func() {
			for i := w; i < n; i += workers {
				file := change(i)
				if file == nil {
					continue
				}
				if r := v.VerifyFile(context.Background(), file, now); r.Indication == verify.TotalPassed {
					t.Errorf("copy %d is TotalPassed", i)
				}
			}
		})
	}
	wait.Wait()
}

// TestEveryByte alters one sample in every place: no byte of a licence file can
// change unnoticed, those outside the byte range included.
func TestEveryByte(t *testing.T) {
	p := cryptotest.New(t)
	file := newRecipe(t, p).make(t)
	v := &verify.Verifier{Anchors: p.Anchors}
	if r := v.VerifyFile(context.Background(), file, now); r.Indication != verify.TotalPassed {
		t.Fatalf("sample is %s/%s", r.Indication, r.SubIndication)
	}
	stride := 1
	if raceEnabled || testing.Short() {
		stride = 11 // the whole sweep takes minutes under the race detector
	}
	for _, mask := range []byte{0x01, 0x20} {
		sweep(t, v, len(file), func(i int) []byte {
			if i%stride != int(mask)%stride {
				return nil
			}
			out := bytes.Clone(file)
			out[i] ^= mask
			return out
		})
	}
	sweep(t, v, len(file), func(i int) []byte {
		if i%stride != 0 {
			return nil
		}
		return file[:i]
	})
	sweep(t, v, 256, func(i int) []byte { return append(bytes.Clone(file), byte(i)) })
}

// TestEveryValueInTheGap puts other values into the signature, which is outside
// the byte range: what is not signed there must have one form only.
func TestEveryValueInTheGap(t *testing.T) {
	p := cryptotest.New(t)
	file := newRecipe(t, p).make(t)
	v := &verify.Verifier{Anchors: p.Anchors}
	f, err := pdfsig.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	start, der := int(f.Signatures[0].ByteRange[1])+1, f.Signatures[0].Contents
	sig := mustParse(t, der)
	tbs := bytes.Index(der, sig.TBSRaw)
	const stride = 211 // 255 values in every place take half an hour
	sweep(t, v, len(der)*255, func(n int) []byte {
		i, mask := n/255, byte(n%255+1)
		if n%stride != 0 || i > tbs && i < tbs+len(sig.TBSRaw) {
			return nil
		}
		out := bytes.Clone(file)
		const digits = "0123456789abcdef"
		out[start+2*i], out[start+2*i+1] = digits[(der[i]^mask)>>4], digits[(der[i]^mask)&15]
		return out
	})
}
