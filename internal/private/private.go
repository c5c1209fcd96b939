// Package private reads what nobody else on the machine may: keys and passphrases.
package private

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"elicence/internal/durable"
)

// minPassphrase is the least length of a passphrase in a file, in bytes.
const minPassphrase = 16

// ReadFile reads a file, and refuses one that others than owner and group can read or
// write.
func ReadFile(file string) ([]byte, error) {
	st, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if st.Mode()&0o007 != 0 {
		return nil, fmt.Errorf("%s is open to every user of this machine: chmod o= %s", file, file)
	}
	return os.ReadFile(file)
}

// Passphrase takes a passphrase from the environment variable, or from the file;
// never from the command line, where other users of the machine could see it.
func Passphrase(variable, file string) ([]byte, error) {
	if p := os.Getenv(variable); p != "" {
		return []byte(p), nil
	}
	b, err := ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the passphrase (set %s or --passphrase-file): %w", variable, err)
	}
	if b = bytes.TrimRight(b, "\r\n"); len(b) < minPassphrase {
		return nil, fmt.Errorf("passphrase file %s: shorter than %d bytes", file, minPassphrase)
	}
	return b, nil
}

// EnsurePassphrase is Passphrase for whoever may have none yet: it then draws one and
// writes the file.
func EnsurePassphrase(variable, file string) ([]byte, error) {
	if os.Getenv(variable) == "" {
		if err := durable.WriteNew(file, []byte(rand.Text())); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return Passphrase(variable, file)
}
