// Package pades makes and checks the signature of a licence for PDF readers that
// know no SM2: detached CMS over the byte range, at PAdES baseline level B-B (ETSI
// EN 319 142-1), with ECDSA on P-256 or RSA and SHA-256.
//
// It writes the CMS itself: the Go libraries that sign PDF files write the older
// adbe.pkcs7.detached, put a signing time among the attributes, which the baseline
// forbids, and an update of their own form, which no strict reader could hold to
// its bytes.
//
// Invariants: what Parse accepts is exact DER of the one shape that Sign writes;
// Check never looks at anything but the parsed attributes. Certificates are not
// judged: readers have their own trust lists.
package pades

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
)

// Bounds of Parse.
const (
	maxCMS          = 64 << 10 // bytes
	maxCertificates = 8
)

var (
	oidData               = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCertificate = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidSHA256             = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidECDSAWithSHA256    = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidRSAEncryption      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
)

// contentInfo and signedData are RFC 5652 §3 and §5.1.
type contentInfo struct {
	ContentType asn1.ObjectIdentifier
	Content     asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version          int
	DigestAlgorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	EncapContentInfo struct{ ContentType asn1.ObjectIdentifier }
	Certificates     asn1.RawValue `asn1:"tag:0"`
	SignerInfos      []signerInfo  `asn1:"set"`
}

type signerInfo struct {
	Version            int
	SID                issuerAndSerialNumber
	DigestAlgorithm    pkix.AlgorithmIdentifier
	SignedAttrs        asn1.RawValue `asn1:"tag:0"`
	SignatureAlgorithm pkix.AlgorithmIdentifier
	Signature          []byte
}

type issuerAndSerialNumber struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values asn1.RawValue
}

// essCertIDv2 is RFC 5035 §4, with SHA-256, which is its default.
type essCertIDv2 struct {
	Hash []byte
}

type signingCertificateV2 struct{ Certs []essCertIDv2 }

// Sign signs the SHA-256 digest of a file's byte range. chain begins with the
// signer's certificate, whose key is P-256 or RSA of at least 2,048 bits.
func Sign(rand io.Reader, key crypto.Signer, chain []*x509.Certificate, digest []byte) ([]byte, error) {
	if len(chain) == 0 || len(chain) > maxCertificates || len(digest) != sha256.Size {
		return nil, fmt.Errorf("pades: %d certificates and a digest of %d bytes", len(chain), len(digest))
	}
	algorithm, err := algorithmOf(chain[0])
	if err != nil {
		return nil, err
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(chain[0].PublicKey) {
		return nil, errors.New("pades: key is not the signer's")
	}
	attributes, err := signedAttributes(chain[0], digest)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(attributes)
	signature, err := key.Sign(rand, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("pades: signing: %w", err)
	}
	der, err := marshal(chain, attributes, algorithm, signature)
	if err != nil {
		return nil, err
	}
	s, err := Parse(der)
	if err != nil {
		return nil, err
	}
	return der, s.Check(digest)
}

// algorithmOf is the signature algorithm that goes with a certificate's key.
func algorithmOf(cert *x509.Certificate) (pkix.AlgorithmIdentifier, error) {
	switch key := cert.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize == 256 {
			return pkix.AlgorithmIdentifier{Algorithm: oidECDSAWithSHA256}, nil
		}
	case *rsa.PublicKey:
		if key.N.BitLen() >= 2048 {
			return pkix.AlgorithmIdentifier{Algorithm: oidRSAEncryption, Parameters: asn1.NullRawValue}, nil
		}
	}
	return pkix.AlgorithmIdentifier{}, errors.New("pades: the signer's key is neither P-256 nor RSA of 2,048 bits")
}

// signedAttributes is the SET OF that is signed, in DER.
func signedAttributes(cert *x509.Certificate, digest []byte) ([]byte, error) {
	id := sha256.Sum256(cert.Raw)
	var encoded [][]byte
	for _, a := range []struct {
		oid   asn1.ObjectIdentifier
		value any
	}{{oidContentType, oidData}, {oidMessageDigest, digest}, {oidSigningCertificate, signingCertificateV2{[]essCertIDv2{{id[:]}}}}} {
		value, err := asn1.Marshal(a.value)
		if err != nil {
			return nil, err
		}
		one, err := asn1.Marshal(attribute{a.oid, asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: value}})
		if err != nil {
			return nil, err
		}
		encoded = append(encoded, one)
	}
	slices.SortFunc(encoded, bytes.Compare) // X.690, 11.6
	return asn1.Marshal(asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: slices.Concat(encoded...)})
}

// marshal writes the ContentInfo.
func marshal(chain []*x509.Certificate, attributes []byte, algorithm pkix.AlgorithmIdentifier, signature []byte) ([]byte, error) {
	var certs [][]byte
	for _, c := range chain {
		certs = append(certs, c.Raw)
	}
	slices.SortFunc(certs, bytes.Compare)
	sha := pkix.AlgorithmIdentifier{Algorithm: oidSHA256}
	inner, err := asn1.Marshal(signedData{
		Version: 1, DigestAlgorithms: []pkix.AlgorithmIdentifier{sha},
		EncapContentInfo: struct{ ContentType asn1.ObjectIdentifier }{oidData},
		Certificates:     asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: slices.Concat(certs...)},
		SignerInfos: []signerInfo{{
			Version: 1, SID: issuerAndSerialNumber{asn1.RawValue{FullBytes: chain[0].RawIssuer}, chain[0].SerialNumber},
			DigestAlgorithm: sha, SignatureAlgorithm: algorithm, Signature: signature,
			SignedAttrs: asn1.RawValue{FullBytes: append([]byte{0xa0}, attributes[1:]...)}, // IMPLICIT [0]
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("pades: encoding SignedData: %w", err)
	}
	return asn1.Marshal(contentInfo{oidSignedData, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner}})
}
