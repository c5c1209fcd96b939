// Package pki holds the keys, certificates and trust decisions of the licence
// service: SM2 with SM3 throughout (GB/T 32918, GM/T 0009, GB/T 20518), certificates
// and CRLs in the shape of RFC 5280, and SM4 for what is stored.
//
// Invariants:
//   - Every SM2 signature is over SM3(ZA‖M) with the default identifier
//     1234567812345678 (GM/T 0009-2012 §10), and its DER form is the only one:
//     minimal positive INTEGERs r and s, both below the order of the curve.
//   - A private key needs to do nothing but [crypto.Signer.Sign] over a 32-byte
//     digest e = SM3(ZA‖M), so that a key in a device serves as well as one in memory.
//   - ParseCertificate accepts exactly one encoding of what a CA's signature
//     does not cover, so a certificate cannot be altered unnoticed.
//   - A path is judged at a proven time given by the caller. Without a current
//     CRL or OCSP answer the result is RevocationUnknown, never "good".
//   - TrustAnchors are immutable once parsed and safe for concurrent use.
//
// It is used by the packages that make and check seals, timestamp tokens, QR
// payloads and log checkpoints. It knows nothing of licences, reads no clock and
// no file, and fetches nothing: certification requests (PKCS#10) are in pki/csr, OCSP
// is in pki/ocsp, and comes into a path by PathOptions.Status. Certificates are never
// downloaded.
package pki

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"

	"elicence/internal/lately"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Certificate is an X.509 certificate (数字证书, GB/T 20518) that may carry an SM2
// key. The name is here so that the rest of the project needs no other import.
type Certificate = smx509.Certificate

// maxCertificate bounds a certificate before it is looked into: an SM2
// certificate takes some 700 bytes.
const maxCertificate = 16 << 10

// ParseCertificate reads one DER certificate of at most 16 KiB with nothing before
// or after it. Beyond what X.509 parsers usually insist on, the outer structure
// must be exact, since a CA's signature covers only the part inside:
//
//	Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue BIT STRING }
//
// The same few certificates come with every file: those met lately are remembered, so
// that what is returned is shared, and must not be changed.
func ParseCertificate(der []byte) (*Certificate, error) {
	if len(der) > maxCertificate {
		return nil, fmt.Errorf("pki: certificate of %d bytes is over the limit of %d", len(der), maxCertificate)
	}
	if cert, ok := parsed.Get(der); ok {
		return cert, nil
	}
	cert, err := parseCertificate(der)
	if err == nil {
		parsed.Put(der, cert)
	}
	return cert, err
}

// parsed are certificates by their bytes, out of which they come the same each time.
var parsed = lately.Cache[*Certificate]{Size: 128}

func parseCertificate(der []byte) (*Certificate, error) {
	der = bytes.Clone(der) // what is remembered must not hold a whole file
	if err := checkSignedShape(der); err != nil {
		return nil, fmt.Errorf("pki: malformed certificate: %w", err)
	}
	cert, err := smx509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("pki: malformed certificate: %w", err)
	}
	return cert, nil
}

// checkSignedShape holds the SIGNED{} macro of X.509 to its one DER form: three
// elements, no more, and a signature without unused bits. Inside, decoders pass over
// some of what they do not need; there too must be elements and nothing else.
func checkSignedShape(der []byte) error {
	var body, tbs, algorithm cryptobyte.String
	var value []byte
	input := cryptobyte.String(der)
	switch {
	case !input.ReadASN1(&body, asn1.SEQUENCE) || !input.Empty():
		return errors.New("not one SEQUENCE")
	case !body.ReadASN1(&tbs, asn1.SEQUENCE) || !body.ReadASN1(&algorithm, asn1.SEQUENCE):
		return errors.New("no signed part with its algorithm")
	case !body.ReadASN1BitStringAsBytes(&value) || !body.Empty():
		return errors.New("signature is not the last BIT STRING in whole bytes")
	}
	return checkElements(der)
}

// KeyID is the short name by which a QR payload points at its signer: the first
// 8 bytes of SM3 over the certificate's DER. It is a look-up key, not a proof:
// two certificates with the same KeyID can be made in about 2^32 tries.
func KeyID(cert *Certificate) [8]byte {
	digest := sm3.Sum(cert.Raw)
	return [8]byte(digest[:8])
}

// SamePublicKey reports whether a certificate certifies the key's public half.
func SamePublicKey(cert *Certificate, key crypto.Signer) bool {
	certified, err := sm2Key(cert.PublicKey)
	if err != nil {
		return false
	}
	public, err := sm2Key(key.Public())
	return err == nil && certified.Equal(public)
}

// usesSM2 reports whether a certificate holds an SM2 key and an SM2-with-SM3
// signature: no other algorithm is followed.
func usesSM2(cert *Certificate) bool {
	return cert.SignatureAlgorithm == smx509.SM2WithSM3 && sm2.IsSM2PublicKey(cert.PublicKey)
}
