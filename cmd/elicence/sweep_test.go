package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"elicence/verify"
)

// TestSweep has one command line judge some hundreds of changed copies of a file: not
// one is TotalPassed, though the file itself is.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	writeSamples(t, dir)
	good, err := os.ReadFile(filepath.Join(dir, "good.pdf"))
	must(t, err)
	args := []string{"verify", "--json", "--at", "2026-06-01T02:00:00Z", "--anchors", filepath.Join(dir, "anchors.pem"), filepath.Join(dir, "good.pdf")}
	add := func(mutant []byte) {
		name := filepath.Join(dir, fmt.Sprintf("mutant-%d.pdf", len(args)))
		must(t, os.WriteFile(name, mutant, 0o600))
		args = append(args, name)
	}
	for i := 0; i < len(good); i += len(good)/200 + 1 {
		for _, mask := range []byte{0x01, 0x20} {
			mutant := bytes.Clone(good)
			mutant[i] ^= mask
			add(mutant)
		}
		add(good[:i])
	}
	add(append(bytes.Clone(good), 0))
	var out, faults bytes.Buffer
	if code := run(args, terminal{&out, &faults}); code != exitBad || faults.Len() > 0 {
		t.Fatalf("exit code %d: %s", code, faults.String())
	}
	passed, lines := 0, bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	for i, text := range lines {
		var l line
		must(t, json.Unmarshal(text, &l))
		if l.Indication == verify.TotalPassed {
			if passed++; i != 0 {
				t.Errorf("%s: TotalPassed", l.File)
			}
		}
	}
	if want := len(args) - 6; len(lines) != want || want < 500 || passed != 1 {
		t.Errorf("%d verdicts on %d files, %d of them TotalPassed", len(lines), want, passed)
	}
}
