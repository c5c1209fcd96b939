package store_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/emmansun/gmsm/sm3"

	"elicence/crypto/pki"
	"elicence/licence"
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

// stored lists the files below a folder.
func stored(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "files")
	f := openFolder(t, dir)
	for _, data := range [][]byte{[]byte("%PDF-1.7 one"), []byte("%PDF-1.7 two"), {}, bytes.Repeat([]byte("x"), 1<<20)} {
		for range 2 { // storing twice is fine
			digest, err := f.Put(t.Context(), data)
			if err != nil || digest != sm3.Sum(data) {
				t.Fatalf("put %.10q: %v, digest %x", data, err, digest)
			}
		}
		got, err := openFolder(t, dir).Get(t.Context(), sm3.Sum(data))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("get: %v, %d bytes, want %d", err, len(got), len(data))
		}
	}
	files := stored(t, dir)
	if len(files) != 4 {
		t.Errorf("files: %v", files)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil || bytes.Contains(b, []byte("%PDF-1.7")) {
			t.Errorf("%s is not encrypted: %v", name, err)
		}
	}
	if _, err := f.Get(t.Context(), sm3.Sum([]byte("unknown"))); !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("unknown file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Put(ctx, []byte("late")); !errors.Is(err, context.Canceled) {
		t.Errorf("put with a cancelled context: %v", err)
	}
	if _, err := f.Get(ctx, sm3.Sum(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("get with a cancelled context: %v", err)
	}
}

// TestFolderDamage damages the stored file: no wrong content is ever returned,
// and storing it again repairs it.
func TestFolderDamage(t *testing.T) {
	dir := t.TempDir()
	f := openFolder(t, dir)
	data, another := []byte("the content of a licence file"), []byte("another file")
	digest, err := f.Put(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	path := stored(t, dir)[0]
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Put(t.Context(), another); err != nil {
		t.Fatal(err)
	}
	other := good
	for _, name := range stored(t, dir) {
		if name != path {
			if other, err = os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	for name, content := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-1], "flipped": flipped, "clear": data, "another file's": other,
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Get(t.Context(), digest); err == nil || errors.Is(err, licence.ErrNotFound) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if _, err := f.Put(t.Context(), data); err != nil {
			t.Errorf("%s: storing again: %v", name, err)
		}
		if got, err := f.Get(t.Context(), digest); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: after storing again: %q, %v", name, got, err)
		}
	}

	c, err := pki.NewCipher(bytes.Repeat([]byte{8}, 16))
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := store.OpenFolder(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := wrong.Get(t.Context(), digest); err == nil {
		t.Errorf("opened with another key: %q", got)
	}
	if _, err := store.OpenFolder(dir, nil); err == nil {
		t.Error("a folder opened without a cipher")
	}
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
	if _, err := f.Put(t.Context(), data); err == nil {
		t.Error("put reports success")
	}
	if left := stored(t, filepath.Join(dir, "tmp")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Put(t.Context(), data); err != nil {
		t.Errorf("put when there is room again: %v", err)
	}
}

func TestFolderInParallel(t *testing.T) {
	dir := t.TempDir()
	f := openFolder(t, dir)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			data := bytes.Repeat([]byte{byte(i % 2)}, 10_000) // four write the same
			digest, err := f.Put(t.Context(), data)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := f.Get(t.Context(), digest); err != nil || !bytes.Equal(got, data) {
				t.Errorf("get: %v", err)
			}
		})
	}
	wg.Wait()
	if files := stored(t, dir); len(files) != 2 {
		t.Errorf("files: %v", files)
	}
}
