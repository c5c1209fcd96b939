package main

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"elicence/crypto/sdf"
	"elicence/internal/private"
)

// deviceNote is NAME.sdf.json: where in a device (GM/T 0018) the key of a
// certificate is. It is as private as a key file, because it says what to load.
type deviceNote struct {
	// Library is the absolute path of the vendor's shared library.
	Library string `json:"library"`
	// Index is the signature key's index in the device.
	Index uint32 `json:"index"`
	// PasswordFile (absolute) or PasswordEnv says where the password of the index is.
	PasswordFile string `json:"password_file,omitempty"`
	PasswordEnv  string `json:"password_env,omitempty"`
}

const (
	softwareKey   = ".key.pem"
	deviceKeyNote = ".sdf.json"
	maxDeviceNote = 4 << 10
)

// inDevice reports whether a key is in a device.
func (k keyring) inDevice(name string) (bool, error) {
	note, err := exists(k.path(name + deviceKeyNote))
	if err != nil || !note {
		return false, err
	}
	if file, err := exists(k.path(name + softwareKey)); err != nil || file {
		return false, errors.Join(err, fmt.Errorf("key %s: there are both %s and %s; move one away", name, name+softwareKey, name+deviceKeyNote))
	}
	return true, nil
}

func exists(file string) (bool, error) {
	_, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// deviceKey opens a key in a device.
func (k keyring) deviceKey(name string) (crypto.Signer, error) {
	note, err := k.deviceNote(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", k.path(name+deviceKeyNote), err)
	}
	password, err := note.password()
	if err != nil {
		return nil, fmt.Errorf("reading the device password of key %s: %w", name, err)
	}
	device, err := k.devices.open(note.Library)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	key, err := device.Key(note.Index, password)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	return key, nil
}

// deviceNote reads and checks NAME.sdf.json.
func (k keyring) deviceNote(name string) (n deviceNote, err error) {
	text, err := private.ReadFile(k.path(name + deviceKeyNote))
	if err != nil {
		return n, err
	}
	if len(text) > maxDeviceNote {
		return n, errors.New("it is over 4 KiB")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&n); err != nil {
		return n, err
	}
	if _, err := d.Token(); err != io.EOF {
		return n, errors.New("something stands behind the JSON object")
	}
	return n, n.check()
}

// check refuses relative paths, which would mean another file in another folder.
func (n deviceNote) check() error {
	switch {
	case !filepath.IsAbs(n.Library):
		return errors.New("library is not an absolute path")
	case n.Index == 0:
		return errors.New("index is missing; keys of a device count from 1")
	case (n.PasswordFile == "") == (n.PasswordEnv == ""):
		return errors.New("give one of password_file and password_env")
	case n.PasswordFile != "" && !filepath.IsAbs(n.PasswordFile):
		return errors.New("password_file is not an absolute path")
	}
	return nil
}

// password reads the password of the key's index.
func (n deviceNote) password() ([]byte, error) {
	if n.PasswordEnv != "" {
		p := os.Getenv(n.PasswordEnv)
		if p == "" {
			return nil, fmt.Errorf("the environment has no %s", n.PasswordEnv)
		}
		return []byte(p), nil
	}
	p, err := private.ReadFile(n.PasswordFile)
	return bytes.TrimRight(p, "\r\n"), err
}

// devices are those that an instance has open, one for each library.
type devices struct {
	mu     sync.Mutex
	opened map[string]*sdf.Device // guarded by mu
}

// open returns the device of a library, opened once.
func (d *devices) open(library string) (*sdf.Device, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if device := d.opened[library]; device != nil {
		return device, nil
	}
	device, err := sdf.Open(library)
	if err != nil {
		return nil, err
	}
	if d.opened == nil {
		d.opened = map[string]*sdf.Device{}
	}
	d.opened[library] = device
	return device, nil
}

// close closes all of them. That one which is gone cannot be closed is no fault.
func (d *devices) close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, device := range d.opened {
		_ = device.Close()
	}
	d.opened = nil
}
