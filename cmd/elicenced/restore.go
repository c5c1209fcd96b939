package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"elicence/internal/durable"
	"elicence/internal/private"
)

// restoreCmd makes the keys of a new instance folder from a backup.
type restoreCmd struct {
	Dir       string   `help:"Folder of the new instance; it must hold no keys." required:"" type:"path"`
	File      string   `arg:"" help:"The backup." type:"path"`
	ShareFile []string `required:"" help:"File with one share; give every share of the backup." type:"path" sep:"none"`
}

// Run restores. The keys are written beside their place, checked, made durable, and
// renamed into place last: a fault or a crash leaves no keys, and the command may be
// given again.
func (r *restoreCmd) Run(context.Context) error {
	content, err := r.open()
	if err != nil {
		return err
	}
	keys := keyring{dir: filepath.Join(r.Dir, "keys"), passphrase: content.Passphrase}
	if there, err := exists(keys.dir); err != nil || there {
		return errors.Join(err, fmt.Errorf("%s is there already: restore into a folder without keys", keys.dir))
	}
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return err
	}
	passphrase := filepath.Join(r.Dir, "passphrase")
	if err := checkPassphrase(passphrase, content.Passphrase); err != nil {
		return err
	}
	staged := keyring{dir: keys.dir + ".new", passphrase: content.Passphrase}
	if err := staged.fill(content); err != nil {
		return errors.Join(fmt.Errorf("restoring %s: %w", r.File, err), os.RemoveAll(staged.dir))
	}
	if err := r.place(staged, keys, passphrase); err != nil {
		return err
	}
	fmt.Printf("%s: %d files of keys from %s; the passphrase is in %s\n", keys.dir, len(content.Files), r.File, passphrase)
	fmt.Println("the database, files and checkpoint of the instance belong beside them before it is served (docs/keys.md)")
	return nil
}

// open reads the backup with its shares.
func (r *restoreCmd) open() (backupContent, error) {
	var shares []share
	for _, file := range r.ShareFile {
		s, err := readShare(file)
		if err != nil {
			return backupContent{}, err
		}
		shares = append(shares, s)
	}
	archive, err := readAtMost(r.File, maxBackup)
	if err != nil {
		return backupContent{}, err
	}
	content, err := openBackup(archive, shares)
	if err != nil {
		return content, fmt.Errorf("opening %s: %w", r.File, err)
	}
	return content, nil
}

// checkPassphrase refuses a passphrase file that would have to be replaced.
func checkPassphrase(file string, passphrase []byte) error {
	there, err := exists(file)
	if err != nil || !there {
		return err
	}
	present, err := private.ReadFile(file)
	if err == nil && !bytes.Equal(bytes.TrimRight(present, "\r\n"), passphrase) {
		err = fmt.Errorf("%s holds another passphrase than the backup's keys have: move it away", file)
	}
	return err
}

// fill writes a backup's files into a new folder, and checks that they are a whole
// keyring.
func (k keyring) fill(c backupContent) error {
	if err := errors.Join(os.RemoveAll(k.dir), os.Mkdir(k.dir, 0o700)); err != nil {
		return err
	}
	for name, content := range c.Files {
		local, err := filepath.Localize(name)
		if err != nil {
			return fmt.Errorf("%q is not a name of a file in the folder", name)
		}
		if err := os.MkdirAll(filepath.Dir(k.path(local)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(k.path(local), content, 0o600); err != nil {
			return err
		}
	}
	return errors.Join(k.check(), syncTree(k.dir))
}

// place puts the passphrase and then the keys where an instance has them.
func (r *restoreCmd) place(staged, keys keyring, passphrase string) error {
	if there, err := exists(passphrase); err != nil {
		return err
	} else if !there {
		if err := durable.WriteNew(passphrase, keys.passphrase); err != nil {
			return err
		}
	}
	if err := os.Rename(staged.dir, keys.dir); err != nil {
		return err
	}
	return durable.Sync(r.Dir)
}
