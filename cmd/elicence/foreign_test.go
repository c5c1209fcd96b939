package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"elicence/crypto/cryptotest"
)

// TestForeignRows has every container of other makers inspected and verified: all of it
// is read, and none passes.
func TestForeignRows(t *testing.T) {
	dir := t.TempDir()
	writeSamples(t, dir)
	for _, row := range cryptotest.Rows() {
		var out, faults bytes.Buffer
		file := dir + "/foreign-" + row.Name + ".pdf"
		code := run([]string{"inspect", "--json", file}, terminal{&out, &faults})
		var report foreignInspection
		must(t, json.Unmarshal(out.Bytes(), &report))
		format := "GB/T 38540"
		if row.CMS != nil {
			format = map[bool]string{true: "GB/T 35275", false: "RFC 5652"}[row.CMS.GM]
		}
		if s := report.Foreign[0]; code != exitGood || len(report.Foreign) != 1 || s.Filter != row.Filter || s.SubFilter != row.SubFilter ||
			s.Format != format || !s.CoversFile || !s.DocumentMatches || !s.SignatureValid {
			t.Errorf("%s: exit code %d, %+v", row.Name, code, report)
		}
		at := []string{"verify", "--at", "2026-06-01T00:00:00Z", "--anchors", dir + "/anchors.pem", file}
		if code := run(at, terminal{&out, &faults}); code != exitBad {
			t.Errorf("%s: verified with exit code %d", row.Name, code)
		}
	}
}
