package main

import (
	"bytes"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/testdata/hostile"
)

// FuzzInspect takes apart any file: a licence file, a bare seal, or one of another maker.
func FuzzInspect(f *testing.F) {
	cryptotest.Fixed(f)
	p := cryptotest.New(f)
	f.Add(makeFile(f, p, sampleLicence(f, "2026000001"), true))
	f.Add(p.Seal.Raw)
	f.Add(p.MustSign(f, make([]byte, 32)).Raw)
	for _, file := range foreignSamples(f, p) {
		f.Add(file)
	}
	for _, file := range hostile.Corpus(f, "../..") {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		var out bytes.Buffer
		hostile.Within(t, func() {
			c := &inspectCommand{}
			if parts, err := parse(file); err == nil {
				must(t, printInspection(terminal{&out, &out}, inspect(parts)))
				must(t, printJSON(terminal{&out, &out}, inspect(parts)))
			} else if found, fault := findForeign(file); len(found) > 0 {
				_ = c.runForeign(terminal{&out, &out}, found, fault)
			}
		})
		if i := bytes.IndexAny(out.Bytes(), "\x1b\x07\u009b\u202e\u2066"); i >= 0 {
			t.Errorf("what a terminal would act upon is printed: %q", out.Bytes()[i:])
		}
	})
}
