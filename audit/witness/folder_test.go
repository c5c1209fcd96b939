package witness_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elicence/audit/witness"
)

var passphrase = []byte("a passphrase of the tests")

// newFolder makes the folder of a witness and returns its verifier key too.
func newFolder(t *testing.T) (dir, vkey string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "witness")
	vkey, err := witness.Create(dir, "w1.example", passphrase)
	must(t, err)
	return dir, vkey
}

// TestFolder: key and checkpoints are there again after the folder was closed.
func TestFolder(t *testing.T) {
	dir, vkey := newFolder(t)
	f := newFixture(t)
	for from := 0; from < 60; from += 20 {
		folder, err := witness.OpenFolder(dir, passphrase)
		must(t, err)
		if key, err := folder.Signer.WitnessKey(); err != nil || key != vkey {
			t.Fatalf("key %s, %v; made as %s", key, err, vkey)
		}
		f.config.Signer, f.config.Store = folder.Signer, folder
		f.open(t)
		if size, _ := f.latest(t); size != uint64(from) {
			t.Errorf("the folder has %d, want %d", size, from)
		}
		f.mustAdd(t, from, from+20)
		must(t, folder.Close())
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", "*.new"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFolderRefused(t *testing.T) {
	replace := func(name string, change func([]byte) []byte) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			file := filepath.Join(dir, name)
			content, err := os.ReadFile(file)
			must(t, err)
			must(t, os.WriteFile(file, change(content), 0o600))
		}
	}
	tests := map[string]struct {
		spoil func(t *testing.T, dir string)
		says  string
	}{
		"no key":             {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, witness.KeyFile))) }, "no such file"},
		"key for everybody":  {func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, witness.KeyFile), 0o644)) }, "chmod o="},
		"name changed":       {replace(witness.KeyFile, func(b []byte) []byte { return bytes.Replace(b, []byte("w1."), []byte("w2."), 1) }), "not that of its first line"},
		"no verifier key":    {replace(witness.KeyFile, func(b []byte) []byte { return b[bytes.IndexByte(b, '\n')+1:] }), "opening the key"},
		"key cut":            {replace(witness.KeyFile, func(b []byte) []byte { return b[:len(b)-60] }), "opening the key"},
		"no checkpoints":     {func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "checkpoints"))) }, "checkpoints: no such file"},
		"no folder":          {func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) }, "no such file"},
		"another witness up": {func(t *testing.T, dir string) { keepOpen(t, dir) }, "another witness runs"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir, _ := newFolder(t)
			tt.spoil(t, dir)
			if _, err := witness.OpenFolder(dir, passphrase); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want one that says %q", err, tt.says)
			}
		})
	}
	dir, _ := newFolder(t)
	if _, err := witness.OpenFolder(dir, []byte("another passphrase")); err == nil || !strings.Contains(err.Error(), "wrong passphrase?") {
		t.Errorf("another passphrase: %v", err)
	}
	if _, err := witness.Create(dir, "w2.example", passphrase); err == nil || !strings.Contains(err.Error(), "there already") {
		t.Errorf("made a key over another: %v", err)
	}
	for _, name := range []string{"", "a b", "a+b", "a\nb", strings.Repeat("n", 101)} {
		if _, err := witness.Create(t.TempDir(), name, passphrase); err == nil {
			t.Errorf("made a key called %q", name)
		}
	}
	// What a crash in the middle of making the key leaves is in nobody's way.
	dir = t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, witness.KeyFile+".new"), []byte("w1."), 0o600))
	if _, err := witness.Create(dir, "w1.example", passphrase); err != nil {
		t.Error(err)
	}
	if _, err := witness.OpenFolder(dir, passphrase); err != nil {
		t.Error(err)
	}
}

// keepOpen runs another witness on a folder.
func keepOpen(t *testing.T, dir string) {
	f, err := witness.OpenFolder(dir, passphrase)
	must(t, err)
	t.Cleanup(func() { f.Close() })
}

// TestFolderContent: what is not whole is not taken for nothing.
func TestFolderContent(t *testing.T) {
	dir, _ := newFolder(t)
	folder, err := witness.OpenFolder(dir, passphrase)
	must(t, err)
	defer folder.Close()
	f := newFixture(t)
	f.config.Signer, f.config.Store = folder.Signer, folder
	f.open(t)
	f.mustAdd(t, 0, 20)
	file := filepath.Join(dir, "checkpoints", witness.Hash(origin))
	whole, err := os.ReadFile(file)
	must(t, err)
	for name, content := range map[string][]byte{
		"empty": nil, "cut": whole[:len(whole)/2], "a line more": append(bytes.Clone(whole), "x\n"...), "enormous": bytes.Repeat(whole, 200),
	} {
		must(t, os.WriteFile(file, content, 0o600))
		if w, err := witness.Open(f.config); err == nil || w != nil {
			t.Errorf("%s: opened", name)
		}
	}
	must(t, os.WriteFile(file, whole, 0o600))
	must(t, os.WriteFile(file+".new", whole[:9], 0o600)) // as a crash in Keep leaves it
	f.open(t)
	if size, _ := f.latest(t); size != 20 {
		t.Errorf("latest is %d", size)
	}
	f.mustAdd(t, 20, 40)
}
