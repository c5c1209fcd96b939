package witness

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/internal/durable"
	"elicence/internal/private"
)

// Folder is where a witness lives: its key in DIR/witness.key, and the last
// checkpoint of each log as a file DIR/checkpoints/<Hash of the origin>. It is a Store.
//
// A folder must never be put back from a backup: the witness would forget what it
// cosigned, and cosign another history. A witness that lost its folder begins anew,
// with a new key.
type Folder struct {
	Signer audit.Signer
	dir    string
	lock   *os.File
}

// KeyFile is the file of the key in a witness's folder, and PassphraseVariable the
// environment variable that may hold its passphrase.
const (
	KeyFile            = "witness.key"
	PassphraseVariable = "ELICENCE_WITNESS_PASSPHRASE"
)

// ErrInUse says that another process runs a witness on the folder.
var ErrInUse = errors.New("another witness runs on it")

// Create makes the folder of a new witness with a new key under a name, encrypted
// with the passphrase, and returns its verifier key. The folder may be there, but no
// key in it. A crash leaves a key, whole, or none.
func Create(dir, name string, passphrase []byte) (string, error) {
	key, err := pki.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	vkey, err := audit.Signer{Name: name, Key: key}.WitnessKey()
	if err != nil {
		return "", err
	}
	text, err := pki.MarshalPrivateKey(rand.Reader, key, passphrase)
	if err != nil {
		return "", fmt.Errorf("encrypting the witness's key: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "checkpoints"), 0o700); err != nil {
		return "", err
	}
	file := filepath.Join(dir, KeyFile)
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return "", errors.Join(err, fmt.Errorf("%s is there already", file))
	}
	if err := os.Remove(file + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := durable.WriteNew(file+".new", append([]byte(vkey+"\n"), text...)); err != nil {
		return "", err
	}
	return vkey, errors.Join(os.Rename(file+".new", file), durable.Sync(dir), durable.Sync(filepath.Dir(dir)))
}

// OpenFolder opens the folder of a witness and keeps other processes out of it until
// Close.
func OpenFolder(dir string, passphrase []byte) (_ *Folder, err error) {
	f := &Folder{dir: dir}
	defer func() {
		if err != nil && f.lock != nil {
			f.lock.Close()
		}
	}()
	if f.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	// Create makes it: a folder without it has forgotten what it cosigned.
	if _, err = os.Stat(filepath.Join(dir, "checkpoints")); err != nil {
		return nil, fmt.Errorf("opening the witness's folder: %w", err)
	}
	free, err := durable.TryLock(f.lock)
	if err == nil && !free {
		err = ErrInUse
	}
	if err == nil {
		err = f.readKey(passphrase)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the witness's folder %s: %w", dir, err)
	}
	return f, nil
}

// readKey reads the key and checks that it is the one of the verifier key beside it.
func (f *Folder) readKey(passphrase []byte) error {
	text, err := private.ReadFile(filepath.Join(f.dir, KeyFile))
	if err != nil {
		return err
	}
	vkey, text, _ := bytes.Cut(text, []byte("\n"))
	name, _, _ := bytes.Cut(vkey, []byte("+"))
	f.Signer.Name = string(name)
	if f.Signer.Key, err = pki.ParsePrivateKey(text, passphrase); err != nil {
		return fmt.Errorf("opening the key (wrong passphrase?): %w", err)
	}
	own, err := f.Signer.WitnessKey()
	if err == nil && own != string(vkey) {
		err = fmt.Errorf("the key in %s is not that of its first line", KeyFile)
	}
	return err
}

// Close lets others into the folder.
func (f *Folder) Close() error { return f.lock.Close() }

func (f *Folder) path(origin string) string { return filepath.Join(f.dir, "checkpoints", Hash(origin)) }

// Latest implements Store.
func (f *Folder) Latest(origin string) ([]byte, error) {
	file, err := os.Open(f.path(origin))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	signed, err := io.ReadAll(io.LimitReader(file, audit.MaxNote+1))
	if err == nil && len(signed) == 0 {
		err = errors.New("the file is empty")
	}
	return signed, err
}

// Keep implements Store.
func (f *Folder) Keep(origin string, signed []byte) error {
	return durable.Replace(f.path(origin), signed)
}
