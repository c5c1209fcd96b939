package pki

import (
	"crypto/cipher"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
)

// sealedHeader begins everything that a Cipher encrypted, so that a later format
// can be told apart. It is authenticated with the rest.
const sealedHeader = "ELC1"

// Cipher encrypts what lies at rest: SM4-GCM (GB/T 32907, RFC 8998 §2) in the form
//
//	"ELC1" ‖ nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)
//
// It is safe for concurrent use. Nonces are random: one key is good for some 2^32
// values.
type Cipher struct{ aead cipher.AEAD }

// NewCipher makes a Cipher from a 16-byte key.
func NewCipher(key []byte) (*Cipher, error) {
	block, err := sm4.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("setting SM4 key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("setting up SM4-GCM: %w", err)
	}
	return &Cipher{aead}, nil
}

// Seal encrypts plaintext and binds it to aad, which says where the value belongs
// (table, column, row), so that a ciphertext moved elsewhere does not open.
func (c *Cipher) Seal(rand io.Reader, plaintext, aad []byte) ([]byte, error) {
	start := len(sealedHeader) + c.aead.NonceSize()
	out := make([]byte, start, start+len(plaintext)+c.aead.Overhead())
	copy(out, sealedHeader)
	if _, err := io.ReadFull(rand, out[len(sealedHeader):]); err != nil {
		return nil, fmt.Errorf("drawing nonce: %w", err)
	}
	return c.aead.Seal(out, out[len(sealedHeader):], plaintext, boundTo(aad)), nil
}

// Open decrypts what Seal made with the same key and aad.
func (c *Cipher) Open(sealed, aad []byte) ([]byte, error) {
	start := len(sealedHeader) + c.aead.NonceSize()
	if len(sealed) < start+c.aead.Overhead() || string(sealed[:len(sealedHeader)]) != sealedHeader {
		return nil, errors.New("pki: value is not in the form ELC1")
	}
	plaintext, err := c.aead.Open(nil, sealed[len(sealedHeader):start], sealed[start:], boundTo(aad))
	if err != nil {
		return nil, errors.New("pki: value does not open with this key in this place")
	}
	return plaintext, nil
}

func boundTo(aad []byte) []byte { return append([]byte(sealedHeader), aad...) }

// BlindIndex is HMAC-SM3 of value: a column by which an encrypted value is found
// again, without showing it to those who lack the key.
func BlindIndex(key, value []byte) [32]byte {
	mac := hmac.New(sm3.New, key)
	mac.Write(value)
	return [32]byte(mac.Sum(nil))
}
