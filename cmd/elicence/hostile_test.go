package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"elicence/crypto/cryptotest"
	"elicence/testdata/hostile"
	"elicence/verify"
)

// TestHostileFiles has the command line verify and inspect each hostile file: the
// verdict that package verify gives, never an internal fault, and within the bound on
// memory, the file itself included.
func TestHostileFiles(t *testing.T) {
	p, dir := cryptotest.New(t), t.TempDir()
	anchors, name := filepath.Join(dir, "anchors.pem"), filepath.Join(dir, "hostile.pdf")
	must(t, os.WriteFile(anchors, p.AnchorsPEM, 0o600))
	n := 0
	for f := range hostile.Files(t, p, makeFile(t, p, sampleLicence(t, "2026000001"), true)) {
		n++
		must(t, os.WriteFile(name, f.Data, 0o600))
		var out, faults bytes.Buffer
		var code int
		hostile.Within(t, func() {
			code = run([]string{"verify", "--json", "--at", "2026-06-01T00:00:00Z", "--anchors", anchors, name}, terminal{&out, &faults})
		})
		var l line
		if err := json.Unmarshal(out.Bytes(), &l); err != nil || code != exitBad || faults.Len() > 0 {
			t.Fatalf("%s: exit code %d, %v, %s", f.Name, code, err, faults.String())
		}
		if got := l.Check(verify.Name(f.Check)).Code; got != f.Code {
			t.Errorf("%s: %s is %s, not %s", f.Name, f.Check, got, f.Code)
		}
		out.Reset()
		hostile.Within(t, func() { code = run([]string{"inspect", "--json", name}, terminal{&out, &faults}) })
		if code != exitBad && code != exitGood || code == exitGood && !json.Valid(out.Bytes()) {
			t.Errorf("%s: inspect exits with %d: %s", f.Name, code, faults.String())
		}
		if t.Failed() {
			t.Fatal(f.Name)
		}
	}
	if n < 80 {
		t.Errorf("%d hostile files", n)
	}
}
