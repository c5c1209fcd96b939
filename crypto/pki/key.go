package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/emmansun/gmsm/pkcs"
	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

const (
	keyPEMType    = "ENCRYPTED PRIVATE KEY"
	maxKeyPEM     = 4 << 10
	keySaltSize   = 16
	keyIterations = 50_000    // some 30 ms: paid once per key when the server starts
	maxIterations = 1_000_000 // a key file that would take longer than a second is refused
)

var (
	oidPBES2       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACWithSM3 = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 401, 2}
	oidSM4CBC      = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 104, 2}
)

// GenerateKey makes an SM2 key with randomness from rand.
func GenerateKey(rand io.Reader) (crypto.Signer, error) {
	key, err := sm2.GenerateKey(rand)
	if err != nil {
		return nil, fmt.Errorf("generating SM2 key: %w", err)
	}
	return key, nil
}

// encryptedPrivateKeyInfo is RFC 5958 §3:
//
//	EncryptedPrivateKeyInfo ::= SEQUENCE {
//	    encryptionAlgorithm  AlgorithmIdentifier,
//	    encryptedData        OCTET STRING }
type encryptedPrivateKeyInfo struct {
	EncryptionAlgorithm pkix.AlgorithmIdentifier
	EncryptedData       []byte
}

// pbkdf2Params is RFC 8018 §A.2, in the one form written here:
//
//	PBKDF2-params ::= SEQUENCE {
//	    salt            OCTET STRING,
//	    iterationCount  INTEGER (1..MAX),
//	    keyLength       INTEGER (1..MAX) OPTIONAL,
//	    prf             AlgorithmIdentifier }
type pbkdf2Params struct {
	Salt           []byte
	IterationCount int
	KeyLength      int `asn1:"optional"`
	PRF            pkix.AlgorithmIdentifier
}

// MarshalPrivateKey encrypts a key, SM2, ECDSA or RSA, under a passphrase and
// returns it as PEM: PKCS#8 with PBES2, PBKDF2 by HMAC-SM3 and SM4-CBC. A key
// that lives in a device cannot be written and is an error.
func MarshalPrivateKey(rand io.Reader, key crypto.Signer, passphrase []byte) ([]byte, error) {
	switch key.(type) {
	case *sm2.PrivateKey, *ecdsa.PrivateKey, *rsa.PrivateKey:
	default:
		return nil, fmt.Errorf("pki: key of type %T cannot be written", key)
	}
	if len(passphrase) == 0 {
		return nil, errors.New("pki: empty passphrase")
	}
	plain, err := smx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding private key: %w", err)
	}
	encrypter := pkcs.NewPBESEncrypter(pkcs.SM4CBC, pkcs.NewPBKDF2Opts(pkcs.SM3, keySaltSize, keyIterations))
	algorithm, data, err := encrypter.Encrypt(rand, passphrase, plain)
	if err != nil {
		return nil, fmt.Errorf("encrypting private key: %w", err)
	}
	der, err := asn1.Marshal(encryptedPrivateKeyInfo{*algorithm, data})
	if err != nil {
		return nil, fmt.Errorf("encoding private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyPEMType, Bytes: der}), nil
}

// ParsePrivateKey reads an SM2 key that MarshalPrivateKey wrote. Only that profile
// is accepted, so a key file can choose neither a weaker cipher nor a derivation
// that never ends. A wrong passphrase is an error.
func ParsePrivateKey(pemBytes, passphrase []byte) (crypto.Signer, error) {
	parsed, err := openPrivateKey(pemBytes, passphrase)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*sm2.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("pki: private key is a %T, not SM2", parsed)
	}
	return key, nil
}

// ParseForeignKey is ParsePrivateKey for a key of another kind, ECDSA or RSA: one
// that signs for programs that know no SM2.
func ParseForeignKey(pemBytes, passphrase []byte) (crypto.Signer, error) {
	parsed, err := openPrivateKey(pemBytes, passphrase)
	if err != nil {
		return nil, err
	}
	switch key := parsed.(type) {
	case *ecdsa.PrivateKey:
		return key, nil
	case *rsa.PrivateKey:
		return key, nil
	}
	return nil, fmt.Errorf("pki: private key is a %T, neither ECDSA nor RSA", parsed)
}

// openPrivateKey decrypts a key file.
func openPrivateKey(pemBytes, passphrase []byte) (any, error) {
	if len(pemBytes) > maxKeyPEM {
		return nil, errors.New("pki: private key file is over 4 KiB")
	}
	block, rest := pem.Decode(pemBytes)
	if block == nil || block.Type != keyPEMType || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("pki: private key file is not one %s block", keyPEMType)
	}
	info, err := UnmarshalDER[encryptedPrivateKeyInfo](block.Bytes, "")
	if err != nil {
		return nil, fmt.Errorf("pki: malformed private key: %w", err)
	}
	params, err := checkedPBES2(info.EncryptionAlgorithm)
	if err != nil {
		return nil, fmt.Errorf("pki: private key: %w", err)
	}
	plain, _, err := params.Decrypt(passphrase, info.EncryptedData)
	if err != nil {
		return nil, errors.New("pki: private key does not open with this passphrase")
	}
	parsed, err := smx509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, errors.New("pki: private key does not open with this passphrase")
	}
	// Nothing else vouches for what the cipher gives: a file that was altered could
	// open all the same, with another key or with the public one that it holds wrong.
	again, err := smx509.MarshalPKCS8PrivateKey(parsed)
	if err != nil || !bytes.Equal(again, plain) {
		return nil, errors.New("pki: private key file was altered, or is not what is written here")
	}
	return parsed, nil
}

// checkedPBES2 returns the parameters when they are those that we write.
func checkedPBES2(algorithm pkix.AlgorithmIdentifier) (*pkcs.PBES2Params, error) {
	params, err := UnmarshalDER[pkcs.PBES2Params](algorithm.Parameters.FullBytes, "")
	if err != nil || !algorithm.Algorithm.Equal(oidPBES2) {
		return nil, errors.New("encryption is not PBES2")
	}
	kdf, err := UnmarshalDER[pbkdf2Params](params.KeyDerivationFunc.Parameters.FullBytes, "")
	switch {
	case err != nil || !params.KeyDerivationFunc.Algorithm.Equal(oidPBKDF2):
		return nil, errors.New("key derivation is not PBKDF2")
	case !params.EncryptionScheme.Algorithm.Equal(oidSM4CBC):
		return nil, errors.New("cipher is not SM4-CBC")
	case !kdf.PRF.Algorithm.Equal(oidHMACWithSM3):
		return nil, errors.New("key derivation does not use HMAC-SM3")
	case kdf.IterationCount < 1 || kdf.IterationCount > maxIterations:
		return nil, fmt.Errorf("iteration count %d is out of range", kdf.IterationCount)
	}
	return &params, nil
}

// PublicKeyBytes encodes an SM2 public key in 65 bytes: 04‖x‖y.
func PublicKeyBytes(pub crypto.PublicKey) ([]byte, error) {
	key, err := sm2Key(pub)
	if err != nil {
		return nil, err
	}
	point, err := sm2.PublicKeyToECDH(key)
	if err != nil {
		return nil, fmt.Errorf("encoding public key: %w", err)
	}
	return point.Bytes(), nil
}

// ParsePublicKey decodes the 65 bytes of PublicKeyBytes and refuses a point that
// is not on the curve.
func ParsePublicKey(b []byte) (crypto.PublicKey, error) {
	key, err := sm2.NewPublicKey(b)
	if err != nil {
		return nil, fmt.Errorf("pki: malformed public key: %w", err)
	}
	return key, nil
}

func sm2Key(pub crypto.PublicKey) (*ecdsa.PublicKey, error) {
	key, ok := pub.(*ecdsa.PublicKey)
	if !ok || !sm2.IsSM2PublicKey(key) {
		return nil, fmt.Errorf("pki: public key of type %T is not SM2", pub)
	}
	return key, nil
}
