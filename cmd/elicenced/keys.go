package main

import (
	"crypto"
	"crypto/pbkdf2"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"elicence/crypto/pki"
	"elicence/internal/private"

	"github.com/emmansun/gmsm/sm3"
)

// keyring is the folder of an instance's keys: every private key a PKCS#8 file
// encrypted with SM4 under the passphrase, or a note of where in a device it is,
// beside its certificate, and the symmetric secrets in one sealed file.
type keyring struct {
	dir        string
	passphrase []byte
	devices    *devices
}

// passphraseVariable may hold the passphrase of an instance's keys.
const passphraseVariable = "ELICENCE_PASSPHRASE"

func (k keyring) path(name string) string { return filepath.Join(k.dir, name) }

// saveKey writes a private key, encrypted.
func (k keyring) saveKey(name string, key crypto.Signer) error {
	text, err := pki.MarshalPrivateKey(rand.Reader, key, k.passphrase)
	if err != nil {
		return fmt.Errorf("encrypting key %s: %w", name, err)
	}
	return os.WriteFile(k.path(name+".key.pem"), text, 0o600)
}

// key reads a private key: NAME.key.pem, or the one in a device that NAME.sdf.json
// names. Both at once are an error.
func (k keyring) key(name string) (crypto.Signer, error) {
	inDevice, err := k.inDevice(name)
	if err != nil {
		return nil, err
	}
	if inDevice {
		return k.deviceKey(name)
	}
	text, err := private.ReadFile(k.path(name + ".key.pem"))
	if err != nil {
		return nil, err
	}
	key, err := pki.ParsePrivateKey(text, k.passphrase)
	if err != nil {
		return nil, fmt.Errorf("opening key %s: %w", name, err)
	}
	return key, nil
}

// saveCertificate writes a certificate as PEM.
func (k keyring) saveCertificate(name string, cert *pki.Certificate) error {
	return os.WriteFile(k.path(name+".cer.pem"), pki.MarshalTrustAnchors([]*pki.Certificate{cert}, nil), 0o644)
}

// certificate reads a certificate.
func (k keyring) certificate(name string) (*pki.Certificate, error) {
	text, err := os.ReadFile(k.path(name + ".cer.pem"))
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || len(rest) != 0 {
		return nil, fmt.Errorf("certificate %s: not one PEM block", name)
	}
	return pki.ParseCertificate(block.Bytes)
}

// pair reads a key with its certificate, and refuses a pair that does not match.
func (k keyring) pair(name string) (*pki.Certificate, crypto.Signer, error) {
	cert, err := k.certificate(name)
	if err != nil {
		return nil, nil, err
	}
	key, err := k.key(name)
	if err != nil {
		return nil, nil, err
	}
	if !pki.SamePublicKey(cert, key) {
		return nil, nil, fmt.Errorf("key %s does not belong to its certificate", name)
	}
	return cert, key, nil
}

// secrets are the symmetric keys: storage encryption, holder look-up, tokens.
type secrets struct {
	storage, index, token []byte
}

const (
	secretsFile       = "secrets.sealed"
	secretsIterations = 100_000
	saltSize          = 16
)

// wrap is the cipher that the passphrase opens, after PBKDF2 with HMAC-SM3.
func (k keyring) wrap(salt []byte) (*pki.Cipher, error) {
	key, err := pbkdf2.Key(sm3.New, string(k.passphrase), salt, secretsIterations, 16)
	if err != nil {
		return nil, err
	}
	return pki.NewCipher(key)
}

// newSecrets draws the symmetric keys and writes them: salt, then the sealed bytes.
func (k keyring) newSecrets() error {
	salt, plain := make([]byte, saltSize), make([]byte, 16+32+32)
	rand.Read(salt)
	rand.Read(plain)
	c, err := k.wrap(salt)
	if err != nil {
		return err
	}
	sealed, err := c.Seal(rand.Reader, plain, []byte(secretsFile))
	if err != nil {
		return err
	}
	return os.WriteFile(k.path(secretsFile), append(salt, sealed...), 0o600)
}

// secrets reads the symmetric keys.
func (k keyring) secrets() (secrets, error) {
	b, err := private.ReadFile(k.path(secretsFile))
	if err != nil {
		return secrets{}, err
	}
	if len(b) < saltSize {
		return secrets{}, errors.New("secrets file is cut short")
	}
	c, err := k.wrap(b[:saltSize])
	if err != nil {
		return secrets{}, err
	}
	plain, err := c.Open(b[saltSize:], []byte(secretsFile))
	if err != nil {
		return secrets{}, fmt.Errorf("opening the secrets (wrong passphrase?): %w", err)
	}
	return secrets{storage: plain[:16], index: plain[16:48], token: plain[48:]}, nil
}
