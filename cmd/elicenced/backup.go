package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"elicence/crypto/pki"
	"elicence/internal/durable"

	"github.com/emmansun/gmsm/sm3"
)

// A key backup is a file in the form
//
//	"elicence-key-backup-1\n" ‖ backup id (8 bytes) ‖ number of shares (1)
//	‖ first 8 bytes of HMAC-SM3(secret, "elicence key backup") ‖ sealed
//
// sealed is SM4-GCM under the secret of shares (see pki.Cipher), bound to all before
// it, of the JSON of backupContent. The secret is random, so nothing slows a guess down.
const (
	backupFormat = "elicence-key-backup-1\n"
	backupHeader = len(backupFormat) + 8 + 1 + 8
	maxBackup    = 64 << 20 // bytes
	backupCheck  = "elicence key backup"
)

// backupContent is all of D/keys with the passphrase that opens it.
type backupContent struct {
	Passphrase []byte            `json:"passphrase"`
	Files      map[string][]byte `json:"files"` // by path under keys, with slashes
}

// backupCmd writes a backup of the keys, for a ceremony: docs/keys.md.
type backupCmd struct {
	location
	PassphraseFile string `help:"File that holds the passphrase of the keys (or set ELICENCE_PASSPHRASE; default: passphrase in the folder)." type:"path"`
	Output         string `short:"o" required:"" help:"File to write; it must not be there yet." type:"path"`
	Shares         int    `required:"" help:"How many shares the backup's secret is split into, all of which are needed to restore (2 to 16)."`
	ShareDir       string `help:"Folder to write the shares into, one file each (default: print them)." type:"path"`
}

// Run backs up. The archive is read back with its shares before anything is written,
// and the log has its entry before the archive leaves.
func (b *backupCmd) Run(ctx context.Context) error {
	keys, err := b.keys(b.PassphraseFile)
	if err != nil {
		return err
	}
	content, err := keys.content()
	if err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	archive, shares, err := sealBackup(content, b.Shares)
	if err != nil {
		return err
	}
	digest := sm3.Sum(archive)
	if err := b.appendLog(ctx, keys, actionBackup, filepath.Base(b.Output), digest); err != nil {
		return err
	}
	if err := b.write(archive, shares); err != nil {
		return err
	}
	fmt.Printf("%s: %d files of keys, SM3 %x\n", b.Output, len(content.Files), digest)
	fmt.Printf("backup %x opens with all of its %d shares and with nothing else: give each to another person, and rehearse (docs/keys.md)\n", shares[0].backup, b.Shares)
	return nil
}

// write writes the archive and the shares: all of them, or nothing is left.
func (b *backupCmd) write(archive []byte, shares []share) (err error) {
	var written []string
	defer func() {
		if err != nil {
			for _, file := range written {
				err = errors.Join(err, os.Remove(file))
			}
		}
	}()
	put := func(file string, content []byte) error {
		if err := durable.WriteNew(file, content); err != nil {
			return err
		}
		written = append(written, file)
		return nil
	}
	if err := put(b.Output, archive); err != nil {
		return err
	}
	for _, s := range shares {
		if b.ShareDir == "" {
			continue
		}
		file := filepath.Join(b.ShareDir, fmt.Sprintf("share-%x-%d-of-%d.txt", s.backup, s.number, s.of))
		if err := put(file, []byte(s.String()+"\n")); err != nil {
			return err
		}
	}
	for _, s := range shares {
		if b.ShareDir == "" {
			fmt.Printf("\nshare %d of %d:\n%s\n\n", s.number, s.of, s)
		}
	}
	return nil
}

// content reads the whole keyring while no rotation runs, and checks that it opens.
func (k keyring) content() (c backupContent, err error) {
	lock, err := k.stage()
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(lock.dir)
	if err := k.check(); err != nil {
		return c, err
	}
	c = backupContent{k.passphrase, map[string][]byte{}}
	size := 0
	err = filepath.WalkDir(k.dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == lock.dir:
			return filepath.SkipDir
		case e.IsDir() || strings.HasSuffix(path, ".new"): // being written by durable.Replace
			return nil
		}
		name, err := filepath.Rel(k.dir, path)
		if err != nil {
			return err
		}
		file, err := readAtMost(path, maxBackup)
		c.Files[filepath.ToSlash(name)] = file
		if size += len(file); size > maxBackup/2 { // which base64 makes a third longer
			return fmt.Errorf("%s holds over %d bytes", k.dir, maxBackup/2)
		}
		return err
	})
	return c, err
}

// check reports by nil that a keyring is whole: settings and secrets are there, and
// every key in a file opens and belongs to its certificate, retired ones included.
// Keys in devices are not asked for.
func (k keyring) check() error {
	var set settings
	text, err := os.ReadFile(k.path("instance.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &set); err != nil || set.LogID == "" {
		return errors.Join(errors.New("instance.json is not the settings of an instance"), err)
	}
	if _, err := k.secrets(); err != nil {
		return err
	}
	if _, err := k.key("log"); err != nil {
		return err
	}
	if _, err := k.pades(); err != nil {
		return err
	}
	files, err := filepath.Glob(k.path("*.cer.pem"))
	if err != nil {
		return err
	}
	retired, err := filepath.Glob(k.path(retiredDir + "/*.cer.pem"))
	if err != nil {
		return err
	}
	var names []string
	for _, file := range append(files, retired...) {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(file, k.dir+string(filepath.Separator)), ".cer.pem"))
	}
	return k.checkPairs(names)
}

// checkPairs wants a key for every certificate: beside it or, for a retired one that
// was renewed with the same key, beside another of that name.
func (k keyring) checkPairs(names []string) error {
	renewed, held := map[string]*pki.Certificate{}, map[string]bool{}
	for _, name := range names {
		cert, err := k.certificate(name)
		if err != nil {
			return err
		}
		inFile, err := exists(k.path(name + softwareKey))
		if err != nil {
			return err
		}
		inDevice, err := k.inDevice(name)
		if err != nil {
			return err
		}
		if !inFile && !inDevice && strings.HasPrefix(name, retiredDir+"/") {
			renewed[name] = cert
			continue
		}
		if err := k.checkPair(name); err != nil {
			return err
		}
		held[keyOf(name, cert)] = true
	}
	for name, cert := range renewed {
		if !held[keyOf(name, cert)] {
			return fmt.Errorf("certificate %s: its key is missing", name)
		}
	}
	return nil
}

// keyOf tells the keys of a name, retired or not, apart: by the public half.
func keyOf(name string, cert *pki.Certificate) string {
	if former, found := strings.CutPrefix(name, retiredDir+"/"); found {
		name = former[:max(0, strings.LastIndexByte(former, '-'))] // without the certificate's key id
	}
	return name + " " + string(cert.RawSubjectPublicKeyInfo)
}

// checkPair checks a certificate with its key, or with the note of where that is.
func (k keyring) checkPair(name string) error {
	inDevice, err := k.inDevice(name)
	if err != nil {
		return err
	}
	if inDevice {
		_, err = k.deviceNote(name)
		return err
	}
	_, _, err = k.pair(name)
	return err
}

// sealBackup encrypts a backup under a new secret, and opens it again with the shares.
func sealBackup(c backupContent, n int) ([]byte, []share, error) {
	var id [8]byte
	rand.Read(id[:])
	secret, shares, err := splitSecret(id, n)
	if err != nil {
		return nil, nil, err
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, nil, err
	}
	check := pki.BlindIndex(secret[:], []byte(backupCheck))
	header := append(append(append([]byte(backupFormat), id[:]...), byte(n)), check[:8]...)
	cipher, err := pki.NewCipher(secret[:])
	if err != nil {
		return nil, nil, err
	}
	sealed, err := cipher.Seal(rand.Reader, plain, header)
	if err != nil {
		return nil, nil, err
	}
	archive := append(header, sealed...)
	if _, err := openBackup(archive, shares); err != nil {
		return nil, nil, fmt.Errorf("reading the backup again: %w", err)
	}
	return archive, shares, nil
}

// openBackup is the content of an archive, given all shares.
func openBackup(archive []byte, shares []share) (c backupContent, err error) {
	if len(archive) < backupHeader || !bytes.HasPrefix(archive, []byte(backupFormat)) {
		return c, errors.New("not a backup of keys, or cut short")
	}
	header := archive[:backupHeader]
	rest := header[len(backupFormat):]
	secret, err := joinShares([8]byte(rest[:8]), int(rest[8]), shares)
	if err != nil {
		return c, err
	}
	if check := pki.BlindIndex(secret[:], []byte(backupCheck)); !bytes.Equal(check[:8], rest[9:]) {
		return c, errors.New("the shares do not give the secret of this backup, or the beginning of the archive was altered")
	}
	cipher, err := pki.NewCipher(secret[:])
	if err != nil {
		return c, err
	}
	plain, err := cipher.Open(archive[backupHeader:], header)
	if err != nil {
		return c, errors.New("the shares are right, but the archive was cut short or altered")
	}
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, err
	}
	if _, err := d.Token(); err != io.EOF {
		return c, errors.New("something stands behind the backup's content")
	}
	return c, nil
}
