package pki

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/emmansun/gmsm/sm2"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// SignMessage signs message with an SM2 key and returns the signature in DER:
//
//	SM2Signature ::= SEQUENCE { r INTEGER, s INTEGER }   -- GM/T 0009-2012 §7.3
//
// It computes e = SM3(ZA‖message) itself and hands the key those 32 bytes only.
// What the key returns is held to the strict form, so a device that answers
// otherwise is found out here and not by a verifier.
func SignMessage(rand io.Reader, key crypto.Signer, message []byte) ([]byte, error) {
	digest, err := messageDigest(key.Public(), message)
	if err != nil {
		return nil, err
	}
	der, err := key.Sign(rand, digest, crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("signing with SM2 key: %w", err)
	}
	if _, err := RawSignature(der); err != nil {
		return nil, fmt.Errorf("signing with SM2 key: %w", err)
	}
	return der, nil
}

// VerifyMessage reports whether der is pub's signature over message, in the one
// encoding that SignMessage gives. Any other key type is false.
func VerifyMessage(pub crypto.PublicKey, message, der []byte) bool {
	digest, err := messageDigest(pub, message)
	return err == nil && VerifyDigest(pub, digest, der)
}

// VerifyDigest is VerifyMessage for whoever has e = SM3(ZA‖M) and not the message: a
// key that checks what its device signed.
func VerifyDigest(pub crypto.PublicKey, e, der []byte) bool {
	key, err := sm2Key(pub)
	if err != nil {
		return false
	}
	_, err = RawSignature(der)
	return err == nil && sm2.VerifyASN1(key, e, der)
}

// messageDigest is e = SM3(ZA‖M) of GB/T 32918.2 §6.1 with the default identifier.
func messageDigest(pub crypto.PublicKey, message []byte) ([]byte, error) {
	key, err := sm2Key(pub)
	if err != nil {
		return nil, err
	}
	h, err := sm2.NewHash(key)
	if err != nil {
		return nil, fmt.Errorf("hashing for SM2: %w", err)
	}
	h.Write(message)
	return h.Sum(nil), nil
}

// RawSignature turns a DER signature into r‖s, 32 bytes each, big-endian. It
// refuses everything but minimal DER with 0 < r, s < n and nothing behind it.
func RawSignature(der []byte) ([64]byte, error) {
	var raw [64]byte
	var body cryptobyte.String
	var r, s []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&body, asn1.SEQUENCE) || !input.Empty() ||
		!body.ReadASN1Integer(&r) || !body.ReadASN1Integer(&s) || !body.Empty() {
		return raw, errors.New("pki: malformed SM2 signature")
	}
	if !validScalar(r) || !validScalar(s) {
		return raw, errors.New("pki: SM2 signature value out of range")
	}
	copy(raw[32-len(r):32], r)
	copy(raw[64-len(s):], s)
	return raw, nil
}

func validScalar(b []byte) bool {
	n := new(big.Int).SetBytes(b)
	return n.Sign() > 0 && n.Cmp(sm2.P256().Params().N) < 0
}

// DERSignature is the inverse of RawSignature. Of 64 bytes that are no signature
// it makes DER that RawSignature and VerifyMessage refuse.
func DERSignature(raw [64]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:32]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[32:]))
	})
	return b.BytesOrPanic() // two integers of 32 bytes always fit
}

// messageKey lets the X.509 encoder use a key through SignMessage, which is all
// that a key in a device can do.
type messageKey struct{ crypto.Signer }

// SignMessage implements crypto.MessageSigner; the options are always SM2 with SM3.
func (k messageKey) SignMessage(rand io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
	return SignMessage(rand, k.Signer, message)
}
