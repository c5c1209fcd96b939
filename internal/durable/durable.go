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
// there is the old file or the new one. Those who replace files of one folder at once, in
// other processes too, wait for each other, for they write beside under one name.
func Replace(file string, content []byte) (err error) {
	folder, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	if err := Lock(folder); err != nil {
		return err
	}
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
	return folder.Sync()
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
