package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"elicence/internal/listen"
)

// TestNoWitness: a folder without a witness is a fault of the command line, which says
// how to make one.
func TestNoWitness(t *testing.T) {
	f, err := folder{Dir: filepath.Join(t.TempDir(), "absent")}.open()
	if f != nil || !errors.Is(err, listen.ErrUsage) || !strings.Contains(err.Error(), "elicence-witness init --dir") {
		t.Errorf("%v", err)
	}
}
