package main

import (
	"os"
	"strings"
	"testing"

	"elicence/cmd/elicenced/rewrite"
)

// TestRewritePDF takes a document apart by the program itself, as the server has it done.
func TestRewritePDF(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../../testdata/documents/approval.pdf")
	if err != nil {
		t.Fatal(err)
	}
	p := rewrite.NewProcesses(binary, "rewrite-pdf")
	d, err := p.Rewrite(t.Context(), file)
	if err != nil || len(d.Pages) != 2 || strings.Join(d.Removed, " ") != "bookmarks links opening_view" {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := p.Rewrite(t.Context(), []byte("no PDF")); err == nil || !strings.Contains(err.Error(), "file") {
		t.Errorf("no PDF: %+v, %v", d, err)
	}
}
