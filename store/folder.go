package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"elicence/crypto/pki"
	"elicence/licence"
)

// Folder keeps licence files in a local folder, encrypted, as
// DIR/ab/abcd….sm4 by the SM3 digest of their content. It is safe for
// concurrent use, also by several processes. One level of 256 folders is soon
// complete, so that few files wait for a new folder's name to be durable; a hundred
// million files make 400,000 a folder, which ext4 and XFS look up by hash.
//
// A crash may leave a file in DIR/tmp. Nothing reads those, and they may be
// removed while no service runs on the folder.
type Folder struct {
	dir    string
	cipher fileCipher
	known  sync.Map // folders whose names are durable
}

// OpenFolder opens the folder at dir, and makes it, readable for its owner only,
// when there is none.
func OpenFolder(dir string, c *pki.Cipher) (*Folder, error) {
	if c == nil {
		return nil, errors.New("store: a folder needs a cipher")
	}
	f := &Folder{dir: dir, cipher: fileCipher{c}}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = syncDir(filepath.Dir(dir))
	}
	if err == nil {
		err = f.makeDir(f.tmp())
	}
	if err != nil {
		return nil, fmt.Errorf("opening folder: %w", err)
	}
	return f, nil
}

func (f *Folder) tmp() string { return filepath.Join(f.dir, "tmp") }

// Reach looks whether the folder is there, as one that is mounted may not be.
func (f *Folder) Reach(context.Context) error {
	_, err := os.Stat(f.tmp())
	return doing("reaching the files", err)
}

// Put implements registry.Files. It writes also when the file is there: the
// earlier Put may have crashed before the name was durable.
func (f *Folder) Put(ctx context.Context, digest [32]byte, data []byte) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("storing file: %w", err)
	}
	sealed, err := f.cipher.seal(digest, data)
	if err == nil {
		err = f.write(f.path(digest), sealed)
	}
	return doing("storing file", err)
}

// Get implements registry.Files.
func (f *Folder) Get(ctx context.Context, digest [32]byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading file: %w", err)
	}
	sealed, err := f.read(f.path(digest))
	if err != nil {
		return nil, fmt.Errorf("reading file: %w", err)
	}
	data, err := f.cipher.open(digest, sealed)
	return data, doing("reading file", err)
}

func (f *Folder) path(digest [32]byte) string {
	return filepath.Join(f.dir, filepath.FromSlash(fileName(digest)))
}

func (f *Folder) read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, licence.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	sealed, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(sealed) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return sealed, err
}

// write makes a file durable before its name, and the name before it returns: a
// crash leaves the whole file under its name, or no file of that name.
func (f *Folder) write(path string, sealed []byte) (err error) {
	tmp, err := os.CreateTemp(f.tmp(), "file-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	if err := writeSync(tmp, sealed); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := f.makeDir(dir); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeSync(file *os.File, b []byte) error {
	_, err := file.Write(b)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// makeDir makes a folder and its name durable, once for each process: that the
// folder exists does not say that whoever made it has come to the second.
func (f *Folder) makeDir(dir string) error {
	if _, known := f.known.Load(dir); known {
		return nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return errors.Join(err, fmt.Errorf("%s is not a folder", dir))
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	f.known.Store(dir, true)
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
