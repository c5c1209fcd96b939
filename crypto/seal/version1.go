package seal

import (
	"encoding/asn1"
	"fmt"
	"time"

	"elicence/crypto/pki"
)

// Version 1, GM/T 0031-2014, is read and never made.

// SESeal ::= SEQUENCE { esealInfo SES_SealInfo, signInfo SES_SignInfo }
type sesSealV1 struct {
	ESealInfo asn1.RawValue
	SignInfo  sesSignInfoV1
}

// SES_SignInfo ::= SEQUENCE { cert OCTET STRING, signatureAlgorithm OBJECT IDENTIFIER,
//
//	signData BIT STRING }
type sesSignInfoV1 struct {
	Cert               []byte
	SignatureAlgorithm asn1.ObjectIdentifier
	SignData           asn1.BitString
}

// sesSignedV1 is what the maker of a seal signs (GM/T 0031-2014 §6.1.1).
type sesSignedV1 struct {
	ESealInfo          asn1.RawValue
	Cert               []byte
	SignatureAlgorithm asn1.ObjectIdentifier
}

// SES_SealInfo, as later, but extDatas is tagged.
type sesSealInfoV1 struct {
	Header   sesHeader
	EsID     string `asn1:"ia5"`
	Property sesPropertyInfoV1
	Picture  sesPictureInfo
	ExtDatas []Extension `asn1:"optional,explicit,tag:0"`
}

// SES_ESPropertyInfo, without certListType, and with UTCTime.
type sesPropertyInfoV1 struct {
	Type       int
	Name       string `asn1:"utf8"`
	CertList   asn1.RawValue
	CreateDate time.Time `asn1:"utc"`
	ValidStart time.Time `asn1:"utc"`
	ValidEnd   time.Time `asn1:"utc"`
}

// SES_Signature ::= SEQUENCE { toSign TBS_Sign, signature BIT STRING }
type sesSignatureV1 struct {
	ToSign    asn1.RawValue
	Signature asn1.BitString
}

// TBS_Sign ::= SEQUENCE { version INTEGER, eseal SESeal, timeInfo BIT STRING,
//
//	dataHash BIT STRING, propertyInfo IA5String, cert OCTET STRING,
//	signatureAlgorithm OBJECT IDENTIFIER }
//
// timeInfo holds the DER of a UTCTime or of a timestamp token (§6.2.1).
type tbsSignV1 struct {
	Version            int
	Eseal              asn1.RawValue
	TimeInfo           asn1.BitString
	DataHash           asn1.BitString
	PropertyInfo       string `asn1:"ia5"`
	Cert               []byte
	SignatureAlgorithm asn1.ObjectIdentifier
}

// sealV1 reads a seal. Its maker signs the certificate and the algorithm too.
func (r *reading) sealV1(der []byte) (*Seal, error) {
	outer, err := pki.UnmarshalDER[sesSealV1](der, "")
	if err != nil {
		return nil, err
	}
	info, err := readSealInfo(outer.ESealInfo.FullBytes, 1)
	if err != nil {
		return nil, fmt.Errorf("SES_SealInfo: %w", err)
	}
	signed, err := asn1.Marshal(sesSignedV1{outer.ESealInfo, outer.SignInfo.Cert, outer.SignInfo.SignatureAlgorithm})
	if err != nil {
		return nil, err
	}
	value, err := byteString(outer.SignInfo.SignData)
	if err != nil {
		return nil, fmt.Errorf("signData: %w", err)
	}
	p, err := pki.UnmarshalDER[sesPropertyInfoV1](info.property, "")
	if err != nil {
		return nil, fmt.Errorf("property: %w", err)
	}
	list, err := r.certList(ListsCertificates, p.CertList.FullBytes)
	if err != nil {
		return nil, err
	}
	s := &Seal{
		Raw: der, InfoRaw: outer.ESealInfo.FullBytes, SignedRaw: signed,
		Version: 1, ID: info.esID, Vendor: info.header.Vid, Name: p.Name, Type: p.Type,
		CertListType: ListsCertificates, CertList: list,
		CreatedAt: p.CreateDate, ValidFrom: p.ValidStart, ValidTo: p.ValidEnd,
		Picture: info.picture, Extensions: info.extensions, SignatureValue: value,
	}
	return s, r.maker(s, outer.SignInfo.Cert, outer.SignInfo.SignatureAlgorithm)
}

// signatureV1 reads a seal signature. Certificate and algorithm are signed with it.
func (r *reading) signatureV1(der []byte) (*Signature, error) {
	outer, err := pki.UnmarshalDER[sesSignatureV1](der, "")
	if err != nil {
		return nil, err
	}
	tbs, err := pki.UnmarshalDER[tbsSignV1](outer.ToSign.FullBytes, "")
	if err != nil {
		return nil, fmt.Errorf("TBS_Sign: %w", err)
	}
	value, err := byteString(outer.Signature)
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	s := &Signature{Raw: der, TBSRaw: outer.ToSign.FullBytes, Version: tbs.Version, PropertyInfo: tbs.PropertyInfo, SignatureValue: value}
	if err := s.setTimeInfo(tbs.TimeInfo); err != nil {
		return nil, fmt.Errorf("timeInfo: %w", err)
	}
	if s.DocumentDigest, err = byteString(tbs.DataHash); err != nil {
		return nil, fmt.Errorf("dataHash: %w", err)
	}
	return s, r.signer(s, tbs.Eseal.FullBytes, tbs.Cert, tbs.SignatureAlgorithm)
}

// setTimeInfo reads the DER inside timeInfo.
func (s *Signature) setTimeInfo(b asn1.BitString) error {
	der, err := byteString(b)
	if err != nil {
		return err
	}
	if der[0] == asn1.TagSequence|constructed {
		s.TimeToken, err = checkToken(der)
		return err
	}
	s.SigningTime, err = pki.UnmarshalDER[time.Time](der, "utc")
	return err
}

const constructed = 0x20 // bit 6 of an identifier octet (X.690, 8.1.2.5)
