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
	"elicence/licence/registry"
	"elicence/store"
	"elicence/store/s3test"
)

// fileStore is a fresh storage of files that can be opened more than once.
type fileStore struct {
	name string
	open func(*pki.Cipher) (registry.Files, error)
	dir  string // where the files lie, for whoever damages them
	// mends says that storing a file again replaces what is damaged.
	mends bool
}

func folderFiles(t testing.TB) fileStore {
	dir := filepath.Join(t.TempDir(), "new", "files")
	return fileStore{"folder", func(c *pki.Cipher) (registry.Files, error) {
		f, err := store.OpenFolder(dir, c)
		return f, err
	}, dir, true}
}

func s3Config(t testing.TB) store.S3Config {
	return store.S3Config{
		Endpoint: s3.Endpoint(t), Region: "us-east-1", Bucket: s3.Bucket(t), Prefix: "a/prefix",
		AccessKey: s3test.AccessKey, SecretKey: s3test.SecretKey,
	}
}

func s3Files(t testing.TB) fileStore {
	config := s3Config(t)
	return fileStore{"S3", func(c *pki.Cipher) (registry.Files, error) {
		f, err := store.OpenS3(t.Context(), config, c)
		return f, err
	}, filepath.Join(s3.Folder(config.Bucket), "a", "prefix"), false}
}

// eachFiles runs a test on both storages.
func eachFiles(t *testing.T, test func(*testing.T, fileStore)) {
	for _, fresh := range []func(testing.TB) fileStore{folderFiles, s3Files} {
		s := fresh(t)
		t.Run(s.name, func(t *testing.T) { test(t, s) })
	}
}

// opened opens the storage under the key of the tests.
func (s fileStore) opened(t testing.TB) registry.Files {
	t.Helper()
	f, err := s.open(secrets(t).Cipher)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// stored lists the files that Put made.
func (s fileStore) stored(t *testing.T) []string {
	t.Helper()
	return stored(t, s.dir)
}

// stored lists the files of licences below a folder.
func stored(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name()[:8] != probeName {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// probeName begins the name of the object that opening a bucket makes.
var probeName = hexOf(probeDigest[:4])

var probeDigest = sm3.Sum([]byte("elicence files\n"))

func put(t *testing.T, f registry.Files, data []byte) [32]byte {
	t.Helper()
	digest := sm3.Sum(data)
	if err := f.Put(t.Context(), digest, data); err != nil {
		t.Fatalf("put %.10q: %v", data, err)
	}
	return digest
}

func TestFiles(t *testing.T) {
	eachFiles(t, func(t *testing.T, s fileStore) {
		f := s.opened(t)
		for _, data := range [][]byte{[]byte("%PDF-1.7 one"), []byte("%PDF-1.7 two"), {}, bytes.Repeat([]byte("x"), 8<<20)} {
			put(t, f, data)
			put(t, f, data) // storing twice is fine
			got, err := s.opened(t).Get(t.Context(), sm3.Sum(data))
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("get: %v, %d bytes, want %d", err, len(got), len(data))
			}
		}
		files := s.stored(t)
		if len(files) != 4 {
			t.Errorf("files: %v", files)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil || !bytes.HasPrefix(b, []byte("ELC1")) || bytes.Contains(b, []byte("%PDF-1.7")) {
				t.Errorf("%s is not encrypted: %v", name, err)
			}
		}
		if _, err := f.Get(t.Context(), sm3.Sum([]byte("unknown"))); !errors.Is(err, licence.ErrNotFound) {
			t.Errorf("unknown file: %v", err)
		}
		if err := f.Put(t.Context(), [32]byte{}, make([]byte, 64<<20)); err == nil {
			t.Error("a file of 64 MiB was stored, which could not be read again")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.Put(ctx, sm3.Sum([]byte("late")), []byte("late")); !errors.Is(err, context.Canceled) {
			t.Errorf("put with a cancelled context: %v", err)
		}
		if _, err := f.Get(ctx, sm3.Sum(nil)); !errors.Is(err, context.Canceled) {
			t.Errorf("get with a cancelled context: %v", err)
		}
	})
}

// TestFilesSame copies the files of a folder into a bucket by hand: both storages give
// them the same names and form.
func TestFilesSame(t *testing.T) {
	from, to := folderFiles(t), s3Files(t)
	digest := put(t, from.opened(t), []byte("moved"))
	name := from.stored(t)[0]
	sealed, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	rel, err := filepath.Rel(from.dir, name)
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(to.dir, rel)
	if err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o700), os.WriteFile(target, sealed, 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, err := to.opened(t).Get(t.Context(), digest); err != nil || string(got) != "moved" {
		t.Errorf("a file of a folder, read from a bucket: %q, %v", got, err)
	}
}

// TestFilesDamage damages a stored file: no wrong content is ever returned. Storing it
// again repairs it in a folder; in a bucket, where nothing is replaced, it is refused.
func TestFilesDamage(t *testing.T) {
	eachFiles(t, func(t *testing.T, s fileStore) {
		f := s.opened(t)
		data := []byte("the content of a licence file")
		digest := put(t, f, data)
		path := s.stored(t)[0]
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		put(t, f, []byte("another file"))
		other := good
		for _, name := range s.stored(t) {
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
			if err := f.Put(t.Context(), sm3.Sum(data), data); (err == nil) != s.mends {
				t.Errorf("%s: storing again: %v", name, err)
			}
			if !s.mends {
				if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, content) {
					t.Errorf("%s: the object was replaced: %v", name, err)
				}
				continue
			}
			if got, err := f.Get(t.Context(), digest); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: after storing again: %q, %v", name, got, err)
			}
		}
	})
}

// TestFilesKey opens a storage under another key, and without one.
func TestFilesKey(t *testing.T) {
	eachFiles(t, func(t *testing.T, s fileStore) {
		digest := put(t, s.opened(t), []byte("data"))
		c, err := pki.NewCipher(bytes.Repeat([]byte{8}, 16))
		if err != nil {
			t.Fatal(err)
		}
		wrong, err := s.open(c)
		if err == nil {
			_, err = wrong.Get(t.Context(), digest)
		}
		if err == nil {
			t.Error("a file opened under another key")
		}
		if _, err := s.open(nil); err == nil {
			t.Error("opened without a cipher")
		}
	})
}

func TestFilesInParallel(t *testing.T) {
	eachFiles(t, func(t *testing.T, s fileStore) {
		f := s.opened(t)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				data := bytes.Repeat([]byte{byte(i % 2)}, 10_000) // four write the same
				digest := sm3.Sum(data)
				if err := f.Put(t.Context(), digest, data); err != nil {
					t.Error(err)
					return
				}
				if got, err := f.Get(t.Context(), digest); err != nil || !bytes.Equal(got, data) {
					t.Errorf("get: %v", err)
				}
			})
		}
		wg.Wait()
		if files := s.stored(t); len(files) != 2 {
			t.Errorf("files: %v", files)
		}
	})
}
