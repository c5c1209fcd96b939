package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/emmansun/gmsm/sm3"

	"elicence/store"
)

func openFolder(t testing.TB, dir string) *store.Folder {
	t.Helper()
	f, err := store.OpenFolder(dir, secrets(t).Cipher)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFolderFull cannot write: the error is reported and nothing half written is
// left under a name that Get would read.
func TestFolderFull(t *testing.T) {
	dir := t.TempDir()
	f := openFolder(t, dir)
	data := []byte("data")
	digest := sm3.Sum(data)
	blocked := filepath.Join(dir, hexOf(digest[:1]))
	if err := os.WriteFile(blocked, nil, 0o600); err != nil { // a file where a folder must be
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), sm3.Sum(data), data); err == nil {
		t.Error("put reports success")
	}
	if left := stored(t, filepath.Join(dir, "tmp")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), sm3.Sum(data), data); err != nil {
		t.Errorf("put when there is room again: %v", err)
	}
}
