package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/verify"
)

// TestSealsOfOthers judges them with and without their makers' certificates.
// inspect_anchors.txt does the same with one of ours, where there are none.
func TestSealsOfOthers(t *testing.T) {
	for _, file := range cryptotest.SealsOfOthers(t) {
		t.Run(filepath.Base(file), func(t *testing.T) { judgeSealOfOther(t, file) })
	}
}

func judgeSealOfOther(t *testing.T, file string) {
	der, err := os.ReadFile(file)
	must(t, err)
	parts, err := verify.InspectSeal(der)
	must(t, err)
	out := t.TempDir()
	writeSamples(t, out)
	given := filepath.Join(out, "maker.pem")
	must(t, os.WriteFile(given, pemCertificate(parts.Seal.Maker), 0o644))
	maker, later := parts.Seal.Maker, parts.Seal.ValidTo.Add(time.Second)
	for _, c := range []struct {
		anchors     string
		at          time.Time
		seal, maker string
	}{
		{given, maker.NotAfter, sealCode(parts, maker.NotAfter), "maker_trusted_other_usage"},
		{given, maker.NotAfter.Add(time.Second), sealCode(parts, maker.NotAfter.Add(time.Second)), "maker_outside_validity_no_poe"},
		{given, later, "bare_seal_outside_validity", "maker_outside_validity_no_poe"},
		{filepath.Join(out, "anchors.pem"), maker.NotAfter, sealCode(parts, maker.NotAfter), "maker_wrong_usage"},
	} {
		var stdout, stderr bytes.Buffer
		code := run([]string{"inspect", "--json", "--anchors", c.anchors, "--at", c.at.UTC().Format(time.RFC3339), file}, terminal{&stdout, &stderr})
		var found inspection
		must(t, json.Unmarshal(stdout.Bytes(), &found))
		if code != exitGood || !found.Signatures[0].SignatureValid || found.Checks[0].Code != c.seal || found.Checks[1].Code != c.maker {
			t.Errorf("exit code %d, %+v, want %s and %s", code, found, c.seal, c.maker)
		}
	}
}

// sealCode is what a seal with a right signature value is by its dates.
func sealCode(parts *verify.Parts, at time.Time) string {
	if at.Before(parts.Seal.ValidFrom) || at.After(parts.Seal.ValidTo) {
		return "bare_seal_outside_validity"
	}
	return "bare_seal_ok"
}
