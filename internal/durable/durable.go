// Package durable writes files that a crash leaves whole or not there at all.
//
// What a function has written is on the disk when it returns nil: the content before
// the name, and the name before the return.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace writes a file beside the old one and renames it into place: after a crash
// there is the old file or the new one. One caller at a time may replace a file.
func Replace(file string, content []byte) error {
	f, err := os.Create(file + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	return Sync(filepath.Dir(file))
}

// WriteNew writes a file that must not be there yet, for its owner alone. A crash
// may leave a part of it.
func WriteNew(file string, content []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return Sync(filepath.Dir(file))
}

// Sync makes a file, or the names in a folder, durable.
func Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
