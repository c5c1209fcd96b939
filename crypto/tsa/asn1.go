package tsa

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"elicence/crypto/pki"
)

var (
	oidSignedData   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}        // RFC 5652
	oidSignedDataGM = asn1.ObjectIdentifier{1, 2, 156, 10197, 6, 1, 4, 2, 2}   // GM/T 0010-2012
	oidTSTInfo      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4} // RFC 3161
	oidSM3          = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 401}          // GB/T 33560
	oidSM2Sign      = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 301, 1}       // GM/T 0010: SM2-1
	oidSM2WithSM3   = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 501}          // as others write it

	oidContentType          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidMinimalForm          = asn1.ObjectIdentifier{2, 25, 561737094, 50} // see parseAttributes
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
)

const (
	tagSetOf       = 0x31 // SET OF, constructed
	tagSignedAttrs = 0xa0 // [0] IMPLICIT, constructed
)

// TimeStampReq ::= SEQUENCE { version INTEGER { v1(1) }, messageImprint MessageImprint,
//
//	reqPolicy OBJECT IDENTIFIER OPTIONAL, nonce INTEGER OPTIONAL,
//	certReq BOOLEAN DEFAULT FALSE, extensions [0] IMPLICIT Extensions OPTIONAL }
type timeStampReq struct {
	Version        int
	MessageImprint messageImprint
	ReqPolicy      asn1.ObjectIdentifier `asn1:"optional"`
	Nonce          *big.Int              `asn1:"optional"`
	CertReq        bool                  `asn1:"optional"`
	Extensions     []pkix.Extension      `asn1:"optional,tag:0"`
}

// MessageImprint ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier, hashedMessage OCTET STRING }
type messageImprint struct {
	HashAlgorithm pkix.AlgorithmIdentifier
	HashedMessage []byte
}

// TimeStampResp ::= SEQUENCE { status PKIStatusInfo, timeStampToken ContentInfo OPTIONAL }
type timeStampResp struct {
	Status         pkiStatusInfo
	TimeStampToken asn1.RawValue `asn1:"optional"`
}

// PKIStatusInfo ::= SEQUENCE { status INTEGER, statusString SEQUENCE OF UTF8String OPTIONAL,
//
//	failInfo BIT STRING OPTIONAL }
type pkiStatusInfo struct {
	Status       int
	StatusString []asn1.RawValue `asn1:"optional"`
	FailInfo     asn1.BitString  `asn1:"optional"`
}

// ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT ANY }
type contentInfo struct {
	ContentType asn1.ObjectIdentifier
	Content     signedData `asn1:"explicit,tag:0"`
}

// SignedData ::= SEQUENCE { version INTEGER, digestAlgorithms SET OF AlgorithmIdentifier,
//
//	encapContentInfo EncapsulatedContentInfo,
//	certificates [0] IMPLICIT SET OF Certificate OPTIONAL,
//	crls [1] …,   -- not accepted
//	signerInfos SET OF SignerInfo }
type signedData struct {
	Version          int
	DigestAlgorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	EncapContentInfo encapContentInfo
	Certificates     []asn1.RawValue `asn1:"set,optional,tag:0"`
	SignerInfos      []signerInfo    `asn1:"set"`
}

// EncapsulatedContentInfo ::= SEQUENCE { eContentType OBJECT IDENTIFIER,
//
//	eContent [0] EXPLICIT OCTET STRING }
type encapContentInfo struct {
	EContentType asn1.ObjectIdentifier
	EContent     []byte `asn1:"explicit,tag:0"`
}

// SignerInfo ::= SEQUENCE { version INTEGER (1), sid IssuerAndSerialNumber,
//
//	digestAlgorithm AlgorithmIdentifier, signedAttrs [0] IMPLICIT SET OF Attribute,
//	signatureAlgorithm AlgorithmIdentifier, signature OCTET STRING,
//	unsignedAttrs [1] … }   -- not accepted
type signerInfo struct {
	Version            int
	SID                issuerAndSerialNumber
	DigestAlgorithm    pkix.AlgorithmIdentifier
	SignedAttrs        asn1.RawValue `asn1:"tag:0"`
	SignatureAlgorithm pkix.AlgorithmIdentifier
	Signature          []byte
}

// IssuerAndSerialNumber ::= SEQUENCE { issuer Name, serialNumber INTEGER }
type issuerAndSerialNumber struct {
	Issuer       asn1.RawValue
	SerialNumber *big.Int
}

// family is the set of identifiers that a token is written in.
type family struct {
	signedData, signature asn1.ObjectIdentifier
	version               int // of SignedData
}

var (
	familyGM  = family{oidSignedDataGM, oidSM2Sign, 1}
	familyRFC = family{oidSignedData, oidSM2WithSM3, 3}
)

// marshalToken writes the one form of a token that Authority gives in a family: no
// parameters, and no certificate but the signer's (or none at all). signedAttrs carry
// the tag [0].
func marshalToken(f family, signer *pki.Certificate, withCertificate bool, info, signedAttrs, signature []byte) ([]byte, error) {
	signed := signedData{
		Version:          f.version,
		DigestAlgorithms: []pkix.AlgorithmIdentifier{{Algorithm: oidSM3}},
		EncapContentInfo: encapContentInfo{EContentType: oidTSTInfo, EContent: info},
		SignerInfos: []signerInfo{{
			Version:            1,
			SID:                issuerAndSerialNumber{asn1.RawValue{FullBytes: signer.RawIssuer}, signer.SerialNumber},
			DigestAlgorithm:    pkix.AlgorithmIdentifier{Algorithm: oidSM3},
			SignedAttrs:        asn1.RawValue{FullBytes: signedAttrs},
			SignatureAlgorithm: pkix.AlgorithmIdentifier{Algorithm: f.signature},
			Signature:          signature,
		}},
	}
	if withCertificate {
		signed.Certificates = []asn1.RawValue{{FullBytes: signer.Raw}}
	}
	return asn1.Marshal(contentInfo{ContentType: f.signedData, Content: signed})
}

// Attribute ::= SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF ANY }
type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// SigningCertificateV2 ::= SEQUENCE { certs SEQUENCE OF ESSCertIDv2, policies … OPTIONAL }
type signingCertificateV2 struct {
	Certs    []essCertIDv2
	Policies []asn1.RawValue `asn1:"optional"`
}

// ESSCertIDv2 ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier DEFAULT { sha256 },
//
//	certHash OCTET STRING, issuerSerial IssuerSerial OPTIONAL }
type essCertIDv2 struct {
	HashAlgorithm pkix.AlgorithmIdentifier `asn1:"optional"`
	CertHash      []byte
	IssuerSerial  asn1.RawValue `asn1:"optional"`
}

// TSTInfo ::= SEQUENCE { version INTEGER { v1(1) }, policy OBJECT IDENTIFIER,
//
//	messageImprint MessageImprint, serialNumber INTEGER, genTime GeneralizedTime,
//	accuracy Accuracy OPTIONAL, ordering BOOLEAN DEFAULT FALSE, nonce INTEGER OPTIONAL,
//	tsa [0] EXPLICIT GeneralName OPTIONAL, extensions [1] IMPLICIT Extensions OPTIONAL }
type tstInfo struct {
	Version        int
	Policy         asn1.ObjectIdentifier
	MessageImprint messageImprint
	SerialNumber   *big.Int
	GenTime        asn1.RawValue
	Accuracy       accuracy         `asn1:"optional"`
	Ordering       bool             `asn1:"optional"`
	Nonce          *big.Int         `asn1:"optional"`
	TSA            asn1.RawValue    `asn1:"optional,tag:0"`
	Extensions     []pkix.Extension `asn1:"optional,tag:1"`
}

// Accuracy ::= SEQUENCE { seconds INTEGER OPTIONAL, millis [0] INTEGER (1..999) OPTIONAL,
//
//	micros [1] INTEGER (1..999) OPTIONAL }
type accuracy struct {
	Seconds int `asn1:"optional"`
	Millis  int `asn1:"optional,tag:0"`
	Micros  int `asn1:"optional,tag:1"`
}

func (a accuracy) duration() (time.Duration, error) {
	if a.Seconds < 0 || a.Seconds > 86400 || a.Millis < 0 || a.Millis > 999 || a.Micros < 0 || a.Micros > 999 {
		return 0, errors.New("accuracy out of range")
	}
	return time.Duration(a.Seconds)*time.Second + time.Duration(a.Millis)*time.Millisecond + time.Duration(a.Micros)*time.Microsecond, nil
}

// genTimeFormat is the DER form of RFC 3161 §2.4.2: UTC, and no trailing zeros in
// the fraction, which Go's own decoder does not take at all.
const genTimeFormat = "20060102150405.999999999Z"

func parseGenTime(v asn1.RawValue) (time.Time, error) {
	if v.Class != asn1.ClassUniversal || v.Tag != asn1.TagGeneralizedTime || v.IsCompound {
		return time.Time{}, errors.New("genTime is not a GeneralizedTime")
	}
	t, err := time.Parse(genTimeFormat, string(v.Bytes))
	if err != nil || t.Format(genTimeFormat) != string(v.Bytes) {
		return time.Time{}, fmt.Errorf("malformed genTime %q", v.Bytes)
	}
	return t, nil
}

// isAlgorithm reports whether a names one of the algorithms, with its parameters
// absent or NULL.
func isAlgorithm(a pkix.AlgorithmIdentifier, ids ...asn1.ObjectIdentifier) bool {
	none := len(a.Parameters.FullBytes) == 0 || bytes.Equal(a.Parameters.FullBytes, asn1.NullBytes)
	return none && slices.ContainsFunc(ids, a.Algorithm.Equal)
}
