package pki

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"

	"github.com/emmansun/gmsm/smx509"
)

// MarshalPublicKeyInfo encodes an SM2 public key as a SubjectPublicKeyInfo in DER (RFC 5280
// §4.1.2.7), 91 bytes: what `openssl pkey -pubin -outform DER` writes.
func MarshalPublicKeyInfo(pub crypto.PublicKey) ([]byte, error) {
	key, err := sm2Key(pub)
	if err != nil {
		return nil, err
	}
	der, err := smx509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding public key: %w", err)
	}
	return der, nil
}

// ParsePublicKeyInfo parses what MarshalPublicKeyInfo gives, and nothing else: no other
// algorithm, curve or form of the point.
func ParsePublicKeyInfo(der []byte) (crypto.PublicKey, error) {
	pub, err := smx509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("pki: malformed public key: %w", err)
	}
	again, err := MarshalPublicKeyInfo(pub)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, der) {
		return nil, errors.New("pki: malformed public key: not in the one form of an SM2 key")
	}
	return pub, nil
}
