package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/licence/dispute"
)

// TestDisputeRules: a file in place of the program's rules counts, and a wrong one keeps the
// service from starting.
func TestDisputeRules(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile("../../licence/dispute/rules.json")
	must(t, err)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	at := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	slow := file("slow.json", strings.ReplaceAll(string(shipped), `"decide": 5`, `"decide": 6`))
	rules, err := (&disputeFlags{slow}).rules()
	if err != nil || !rules.Answer(dispute.WrongData, at).Equal(dispute.Shipped().Answer(dispute.WrongData, at).Add(24*time.Hour)) {
		t.Errorf("a day more: %v", err)
	}
	for name, path := range map[string]string{"none": filepath.Join(dir, "none"), "empty": file("empty.json", ""), "half": file("half.json", string(shipped[:len(shipped)/2]))} {
		if _, err := (&disputeFlags{path}).rules(); !errors.Is(err, errUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
