package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/internal/durable"
	"elicence/licence/registry"
)

// A set of keys is changed in three steps, so that a crash leaves the old set or the
// new one, whole. The new files are written into stagedDir; renaming that to
// committedDir decides; its files are moved into place, by whoever finds it: the
// command itself, or the next process that reads the keys. An empty file NAME.drop
// among them stands for the removal of NAME.
const (
	stagedDir    = "rotating.new"
	committedDir = "rotating"
	retiredDir   = "retired" // certificates and keys that were replaced
	dropSuffix   = ".drop"
)

// stage makes the folder for a new set. There is one at a time.
func (k keyring) stage() (keyring, error) {
	staged := keyring{k.path(stagedDir), k.passphrase, k.devices}
	err := os.Mkdir(staged.dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return staged, fmt.Errorf("%s is there: another command works on the keys, or one was cut short; if none does, remove that folder and try again", staged.dir)
	}
	// The command before this one may have committed since the keyring was opened.
	return staged, errors.Join(err, finishRotation(k.dir), os.Mkdir(staged.path(retiredDir), 0o700))
}

// drop notes in a staged set that a file is to go.
func (k keyring) drop(name string) error { return os.WriteFile(k.path(name+dropSuffix), nil, 0o600) }

// commitRotation makes the staged set the set of the keyring.
func commitRotation(dir string) error {
	staged := filepath.Join(dir, stagedDir)
	if err := syncTree(staged); err != nil {
		return err
	}
	if err := os.Rename(staged, filepath.Join(dir, committedDir)); err != nil {
		return err
	}
	if err := durable.Sync(dir); err != nil {
		return err
	}
	return finishRotation(dir)
}

// finishRotation moves a committed set into place: the archive first, so that nothing
// is replaced before it is kept. Done again after a crash it goes on where it ended.
func finishRotation(dir string) error {
	committed := filepath.Join(dir, committedDir)
	if there, err := exists(committed); err != nil || !there {
		return err
	}
	for _, part := range []string{retiredDir, "."} {
		if err := moveFiles(filepath.Join(committed, part), filepath.Join(dir, part)); err != nil {
			return fmt.Errorf("moving the new keys into place: %w", err)
		}
	}
	return errors.Join(removeIfThere(filepath.Join(committed, retiredDir)), removeIfThere(committed), durable.Sync(dir))
}

// moveFiles moves the files of one folder into another, and does what NAME.drop says.
func moveFiles(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if name, dropped := strings.CutSuffix(e.Name(), dropSuffix); dropped {
			err = errors.Join(removeIfThere(filepath.Join(to, name)), removeIfThere(filepath.Join(from, e.Name())))
		} else {
			err = os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // another process moved it
			return err
		}
	}
	return durable.Sync(to)
}

func removeIfThere(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncTree makes a folder with all that is in it durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, durable.Sync(path))
	})
}

// everCertified are the present certificate of a name and those of all before it: codes on
// paper, and answers in files, name the one of their day.
func (k keyring) everCertified(name string) ([]*pki.Certificate, error) {
	present, err := k.certificate(name)
	if err != nil {
		return nil, err
	}
	certs := []*pki.Certificate{present}
	files, err := filepath.Glob(k.path(retiredDir + "/" + name + "-*.cer.pem"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		cert, err := k.certificate(filepath.Join(retiredDir, strings.TrimSuffix(filepath.Base(file), ".cer.pem")))
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

// The actions of the commands that work on keys, as they stand in the access log.
const (
	actionRotate  audit.Action = "rotate_key"  // permits the issuing and the maker's key; digest: SM3 of the new public key
	actionRotated audit.Action = "key_rotated" // digest: SM3 of the new certificate
	actionBackup  audit.Action = "backup_keys" // digest: SM3 of the archive that is about to be written
)

// appendLog writes one entry about the keys into the access log of an instance, which
// may be served meanwhile. Who works at the machine is not known: the entry says
// "system". The checkpoint kept outside the database is compared, and left to the
// service.
func (l location) appendLog(ctx context.Context, keys keyring, action audit.Action, object string, digest [32]byte) error {
	return l.withLog(ctx, keys, func(in *instance) error {
		_, err := in.log.Append(ctx, &audit.Entry{
			Principal: registry.System("").Principal, Action: action, Object: object, Result: audit.ResultAllowed,
			RequestID: "elicenced keys", Digest: digest[:],
		}, nil)
		return err
	})
}

// withLog opens database and log of an instance for one command.
func (l location) withLog(ctx context.Context, keys keyring, use func(*instance) error) (err error) {
	in := &instance{keys: keys, memory: checkpointFile{path: filepath.Join(l.Dir, "checkpoint")}}
	if in.settings, err = l.settings(); err != nil {
		return err
	}
	secrets, err := keys.secrets()
	if err != nil {
		return err
	}
	if err = in.openStorage(ctx, options{location: l}, secrets); err == nil {
		err = errors.Join(use(in), in.log.Close())
	}
	if in.database != nil {
		err = errors.Join(err, in.database.Close())
	}
	return err
}
