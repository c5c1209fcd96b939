package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReuseWalk runs the walk of docs/reuse.md as it stands there, beside a service.
func TestReuseWalk(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	r := s.serve(t)
	defer r.stop(t)
	dir, out := s.walked(t, r, "../../docs/reuse.md")
	for _, want := range []string{
		`"status":"open"`, `"fields.business_items"`, "\nforbidden\n", `"file_digest"`,
		"copy.pdf: 加注件真实，仅供杭州市人力资源和社会保障局使用，有效期至",
		"TotalPassed valid 加注件真实，仅供杭州市人力资源和社会保障局使用，有效期至", "；原证照有效\n", "[copy_expired]",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the walk lacks %q", want)
		}
	}
	if file, err := os.ReadFile(filepath.Join(dir, "copy.pdf")); err != nil || !bytes.HasPrefix(file, []byte("%PDF-1.7")) {
		t.Errorf("the copy: %v, %.8q", err, file)
	}
	s.wantVerdict(t, "after the walk", "")
}
