// Package ocsp says, and asks, whether a certificate is revoked: OCSP (RFC 6960) with
// SM2 and SM3.
//
// A [Responder] answers for one issuer, over HTTP; a [Client] asks one; an [Evidence]
// keeps what a Client learnt, and is the Status of [pki.PathOptions].
//
// Profile: a request names certificates by CertIDs over SM3, SHA-1 or SHA-256, is not
// signed, and may hold a nonce. An answer is a basic response signed by SM2 with SM3,
// by the issuer itself, or by a certificate that the issuer gave the extended key usage
// OCSPSigning and id-pkix-ocsp-nocheck, and no other.
//
// Invariants:
//   - What parses marshals to the same bytes, or is refused. Sizes are bounded before
//     anything is decoded, and no input panics.
//   - "good" means: not revoked. The responder keeps no list of what its CA issued, so
//     it says good of a serial number that was never given out.
//   - Client takes no answer for another certificate, from anybody else, out of its
//     time, or to another nonce. An answer without the nonce can be a replay, within
//     its time: responders that sign in advance send none.
//   - A date since when a lost key is not to be trusted goes along as a single
//     extension (RFC 6960 §4.4.5), so that OCSP and CRL say the same.
//
// It is used by cmd/elicenced. It knows no files, and trusts nobody: the caller knows
// the issuer.
package ocsp

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"hash"
	"math/big"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm3"
)

const (
	maxRequest   = 4 << 10  // bytes; a request for one certificate takes some 160
	maxResponse  = 64 << 10 // bytes
	maxIDs       = 8        // certificates in one request
	maxAnswers   = 64       // in one response
	maxCerts     = 4        // certificates in a response
	maxNonce     = 128      // bytes (RFC 9654 §2.1)
	requestType  = "application/ocsp-request"
	responseType = "application/ocsp-response"
)

var (
	oidSM2WithSM3     = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 501}
	oidSM3            = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 401}
	oidSHA1           = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256         = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidBasicResponse  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidNonce          = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidNoCheck        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
	oidInvalidityDate = asn1.ObjectIdentifier{2, 5, 29, 24}
)

// CertID names a certificate by its issuer and serial number, RFC 6960 §4.1.1:
//
//	CertID ::= SEQUENCE {
//	    hashAlgorithm   AlgorithmIdentifier,
//	    issuerNameHash  OCTET STRING,  -- of the issuer's DER name
//	    issuerKeyHash   OCTET STRING,  -- of the value of the issuer's key BIT STRING
//	    serialNumber    CertificateSerialNumber }
type CertID struct {
	HashAlgorithm  pkix.AlgorithmIdentifier
	IssuerNameHash []byte
	IssuerKeyHash  []byte
	SerialNumber   *big.Int
}

// NewCertID names a certificate with SM3.
func NewCertID(issuer *pki.Certificate, serial *big.Int) (CertID, error) {
	id := CertID{HashAlgorithm: pkix.AlgorithmIdentifier{Algorithm: oidSM3}, SerialNumber: serial}
	var err error
	id.IssuerNameHash, id.IssuerKeyHash, err = hashes(issuer, sm3.New)
	return id, err
}

func hashes(issuer *pki.Certificate, newHash func() hash.Hash) (name, key []byte, err error) {
	point, err := pki.PublicKeyBytes(issuer.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	h := newHash()
	h.Write(issuer.RawSubject)
	name = h.Sum(nil)
	h.Reset()
	h.Write(point)
	return name, h.Sum(nil), nil
}

// hashes that a CertID may use. SHA-1 serves to name an issuer among those known, which
// nobody gains by forging.
func (id *CertID) hash() (func() hash.Hash, error) {
	switch oid := id.HashAlgorithm.Algorithm; {
	case !absentOrNull(id.HashAlgorithm.Parameters):
	case oid.Equal(oidSM3):
		return sm3.New, nil
	case oid.Equal(oidSHA1):
		return sha1.New, nil
	case oid.Equal(oidSHA256):
		return sha256.New, nil
	}
	return nil, fmt.Errorf("ocsp: hash algorithm %s is not known", id.HashAlgorithm.Algorithm)
}

// isOf reports whether the certificate named is one of issuer's.
func (id *CertID) isOf(issuer *pki.Certificate) bool {
	newHash, err := id.hash()
	if err != nil {
		return false
	}
	name, key, err := hashes(issuer, newHash)
	return err == nil && bytes.Equal(name, id.IssuerNameHash) && bytes.Equal(key, id.IssuerKeyHash)
}

// equal reports whether both name the same certificate by the same hash.
func (id *CertID) equal(other *CertID) bool {
	return id.HashAlgorithm.Algorithm.Equal(other.HashAlgorithm.Algorithm) && bytes.Equal(id.IssuerNameHash, other.IssuerNameHash) &&
		bytes.Equal(id.IssuerKeyHash, other.IssuerKeyHash) && id.SerialNumber.Cmp(other.SerialNumber) == 0
}

// absentOrNull accepts both forms of an algorithm without parameters.
func absentOrNull(p asn1.RawValue) bool {
	return len(p.FullBytes) == 0 || bytes.Equal(p.FullBytes, asn1.NullBytes)
}

// nonceExtension is RFC 9654 §2.1: Nonce ::= OCTET STRING (SIZE(1..128)).
func nonceExtension(nonce []byte) ([]pkix.Extension, error) {
	if len(nonce) == 0 {
		return nil, nil
	}
	value, err := asn1.Marshal(nonce)
	return []pkix.Extension{{Id: oidNonce, Value: value}}, err
}

// readNonce takes the nonce from extensions, nil when there is none. Another critical
// extension is not acted upon here, and so is an error.
func readNonce(extensions []pkix.Extension) (nonce []byte, err error) {
	if err := pki.CheckExtensions(extensions, oidNonce); err != nil {
		return nil, err
	}
	for _, ext := range extensions {
		if !ext.Id.Equal(oidNonce) {
			continue
		}
		nonce, err = pki.UnmarshalDER[[]byte](ext.Value, "")
		if err != nil || len(nonce) == 0 || len(nonce) > maxNonce {
			return nil, fmt.Errorf("nonce is not 1 to %d bytes", maxNonce)
		}
	}
	return nonce, nil
}
