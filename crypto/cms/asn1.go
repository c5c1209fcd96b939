package cms

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
	oidSignedData   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidData         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedDataGM = asn1.ObjectIdentifier{1, 2, 156, 10197, 6, 1, 4, 2, 2}
	oidDataGM       = asn1.ObjectIdentifier{1, 2, 156, 10197, 6, 1, 4, 2, 1}
	oidSM3          = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 401}
	oidSM2Sign      = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 301, 1} // GB/T 35275: SM2-1
	oidSM2WithSM3   = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 501}    // as others write it

	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
)

const tagSetOf = 0x31 // SET OF, constructed

// ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT ANY }
//
// The tag is taken off by explicit, because Go's decoder does not compare its length
// with what it holds.
type contentInfo struct {
	ContentType asn1.ObjectIdentifier
	Content     asn1.RawValue `asn1:"tag:0"`
}

// SignedData ::= SEQUENCE { version INTEGER, digestAlgorithms SET OF AlgorithmIdentifier,
//
//	encapContentInfo EncapsulatedContentInfo,
//	certificates [0] IMPLICIT SET OF Certificate OPTIONAL,
//	crls [1] IMPLICIT SET OF CertificateList OPTIONAL,   -- not looked into
//	signerInfos SET OF SignerInfo }
type signedData struct {
	Version          int
	DigestAlgorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	EncapContentInfo encapContentInfo
	Certificates     []asn1.RawValue `asn1:"set,optional,tag:0"`
	CRLs             asn1.RawValue   `asn1:"optional,tag:1"`
	SignerInfos      []signerInfo    `asn1:"set"`
}

// EncapsulatedContentInfo ::= SEQUENCE { eContentType OBJECT IDENTIFIER,
//
//	eContent [0] EXPLICIT OCTET STRING OPTIONAL }   -- ContentInfo of data in GB/T 35275
type encapContentInfo struct {
	EContentType asn1.ObjectIdentifier
	EContent     asn1.RawValue `asn1:"optional,tag:0"`
}

// SignerInfo ::= SEQUENCE { version INTEGER (1), sid IssuerAndSerialNumber,
//
//	digestAlgorithm AlgorithmIdentifier,
//	signedAttrs [0] IMPLICIT SET OF Attribute OPTIONAL,
//	signatureAlgorithm AlgorithmIdentifier, signature OCTET STRING,
//	unsignedAttrs [1] IMPLICIT SET OF Attribute OPTIONAL }   -- not looked into
type signerInfo struct {
	Version            int
	SID                issuerAndSerialNumber
	DigestAlgorithm    pkix.AlgorithmIdentifier
	SignedAttrs        asn1.RawValue `asn1:"optional,tag:0"`
	SignatureAlgorithm pkix.AlgorithmIdentifier
	Signature          []byte
	UnsignedAttrs      asn1.RawValue `asn1:"optional,tag:1"`
}

// IssuerAndSerialNumber ::= SEQUENCE { issuer Name, serialNumber INTEGER }
type issuerAndSerialNumber struct {
	Issuer       asn1.RawValue
	SerialNumber *big.Int
}

// Attribute ::= SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF ANY }
type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// unmarshal decodes a value that fills der.
func unmarshal(der []byte, value any, params string) error {
	rest, err := asn1.UnmarshalWithParams(der, value, params)
	if err == nil && len(rest) > 0 {
		err = errors.New("trailing data")
	}
	return err
}

// explicit decodes the value that fills an EXPLICIT tag.
func explicit(tagged asn1.RawValue, value any) error {
	if !tagged.IsCompound {
		return errors.New("explicit tag holds no value")
	}
	return unmarshal(tagged.Bytes, value, "")
}

func parse(der []byte) (*Signed, error) {
	var content contentInfo
	var signed signedData
	if err := unmarshal(der, &content, ""); err != nil {
		return nil, err
	}
	s := &Signed{}
	switch {
	case content.ContentType.Equal(oidSignedData):
		s.Family = FamilyRFC
	case content.ContentType.Equal(oidSignedDataGM):
		s.Family = FamilyGM
	default:
		return nil, fmt.Errorf("content type %s is not signedData", content.ContentType)
	}
	if err := explicit(content.Content, &signed); err != nil {
		return nil, err
	}
	if err := checkProfile(signed); err != nil {
		return nil, err
	}
	if err := s.setContent(signed.EncapContentInfo); err != nil {
		return nil, err
	}
	signer := signed.SignerInfos[0]
	s.Algorithm, s.signature = signer.SignatureAlgorithm.Algorithm.String(), signer.Signature
	if err := s.setCertificate(signer.SID, signed.Certificates); err != nil {
		return nil, err
	}
	return s, s.setAttributes(signer.SignedAttrs, signed.EncapContentInfo.EContentType)
}

// checkProfile refuses what is not one SM2 signature.
func checkProfile(s signedData) error {
	switch {
	case s.Version != 1 && s.Version != 3: // RFC 5652 §5.1; GB/T 35275 has 1
		return fmt.Errorf("SignedData version %d", s.Version)
	case len(s.SignerInfos) != 1:
		return fmt.Errorf("%d signers, not 1", len(s.SignerInfos))
	case len(s.DigestAlgorithms) != 1 || !isAlgorithm(s.DigestAlgorithms[0], oidSM3):
		return errors.New("digest algorithm is not SM3 alone")
	}
	switch si := s.SignerInfos[0]; {
	case si.Version != 1:
		return fmt.Errorf("SignerInfo version %d, not 1", si.Version)
	case !isAlgorithm(si.DigestAlgorithm, oidSM3):
		return fmt.Errorf("signer's digest algorithm %s is not SM3", si.DigestAlgorithm.Algorithm)
	case !isAlgorithm(si.SignatureAlgorithm, oidSM2Sign, oidSM2WithSM3):
		return fmt.Errorf("signer's algorithm %s is not SM2", si.SignatureAlgorithm.Algorithm)
	}
	return nil
}

// isAlgorithm reports whether a names one of the algorithms, with its parameters
// absent or NULL.
func isAlgorithm(a pkix.AlgorithmIdentifier, ids ...asn1.ObjectIdentifier) bool {
	none := len(a.Parameters.FullBytes) == 0 || bytes.Equal(a.Parameters.FullBytes, asn1.NullBytes)
	return none && slices.ContainsFunc(ids, a.Algorithm.Equal)
}

// setContent takes eContent; the two families may be mixed here, and are.
func (s *Signed) setContent(e encapContentInfo) error {
	if !e.EContentType.Equal(oidData) && !e.EContentType.Equal(oidDataGM) {
		return fmt.Errorf("content %s is not data", e.EContentType)
	}
	if len(e.EContent.FullBytes) == 0 {
		return nil
	}
	if err := explicit(e.EContent, &s.Content); err != nil {
		return fmt.Errorf("eContent: %w", err)
	}
	if len(s.Content) == 0 {
		return errors.New("eContent is empty")
	}
	return nil
}

// setCertificate finds the signer's certificate among those that are sent along.
func (s *Signed) setCertificate(sid issuerAndSerialNumber, raw []asn1.RawValue) error {
	if len(raw) > maxCertificates {
		return fmt.Errorf("%d certificates, not up to %d", len(raw), maxCertificates)
	}
	for _, r := range raw {
		cert, err := pki.ParseCertificate(r.FullBytes)
		if err != nil {
			return err
		}
		if bytes.Equal(cert.RawIssuer, sid.Issuer.FullBytes) && cert.SerialNumber.Cmp(sid.SerialNumber) == 0 {
			if s.Certificate != nil {
				return errors.New("two certificates of the signer")
			}
			s.Certificate = cert
		}
	}
	if s.Certificate == nil {
		return errors.New("signer's certificate is not among those sent")
	}
	return nil
}

// setAttributes reads signedAttrs, which are signed as SET OF but written with the
// tag [0] (RFC 5652 §5.4). Beside the two that must be there any others may be, once.
func (s *Signed) setAttributes(tagged asn1.RawValue, content asn1.ObjectIdentifier) error {
	if len(tagged.FullBytes) == 0 {
		return nil
	}
	s.attributes = bytes.Clone(tagged.FullBytes)
	s.attributes[0] = tagSetOf
	var list []attribute
	if err := unmarshal(s.attributes, &list, "set"); err != nil {
		return fmt.Errorf("signed attributes: %w", err)
	}
	values := map[string][]byte{}
	for _, a := range list {
		if id := a.Type.String(); values[id] != nil || len(a.Values) != 1 {
			return fmt.Errorf("attribute %s has not exactly one value", id)
		}
		values[a.Type.String()] = a.Values[0].FullBytes
	}
	var kind asn1.ObjectIdentifier
	if err := unmarshal(values[oidContentType.String()], &kind, ""); err != nil || !kind.Equal(content) {
		return errors.New("attribute contentType is not the content's type")
	}
	if err := unmarshal(values[oidMessageDigest.String()], &s.messageDigest, ""); err != nil {
		return errors.New("no attribute messageDigest")
	}
	return s.setClaimedTime(values[oidSigningTime.String()])
}

func (s *Signed) setClaimedTime(value []byte) error {
	if value == nil {
		return nil
	}
	var at time.Time
	if err := unmarshal(value, &at, ""); err != nil {
		return fmt.Errorf("attribute signingTime: %w", err)
	}
	s.ClaimedTime = at.UTC()
	return nil
}
