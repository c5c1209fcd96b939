package seal

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"elicence/crypto/pki"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The structures below carry the names of GB/T 38540-2020, as far as they could be
// established: its tags are those that deployed implementations write. Where the
// standard and such a file might differ ([0] is EXPLICIT here), the file decided.

// oidSM2WithSM3 is the only signature algorithm (GB/T 33560-2017 App. A). The
// misprint 1.2.156.10197.501 found in some products is not accepted.
var oidSM2WithSM3 = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 501}

const headerID = "ES"

// SES_Header ::= SEQUENCE { ID IA5String ("ES"), version INTEGER, Vid IA5String }
type sesHeader struct {
	ID      string `asn1:"ia5"`
	Version int
	Vid     string `asn1:"ia5"`
}

// SES_SealInfo ::= SEQUENCE { header SES_Header, esID IA5String,
//
//	property SES_ESPropertyInfo, picture SES_ESPictureInfo,
//	extDatas ExtensionDatas OPTIONAL }
type sesSealInfo struct {
	Header   sesHeader
	EsID     string `asn1:"ia5"`
	Property sesPropertyInfo
	Picture  sesPictureInfo
	ExtDatas []extData `asn1:"optional"`
}

// SES_ESPropertyInfo ::= SEQUENCE { type INTEGER, name UTF8String,
//
//	certListType INTEGER, certList SES_CertList, createDate GeneralizedTime,
//	validStart GeneralizedTime, validEnd GeneralizedTime }
type sesPropertyInfo struct {
	Type         int
	Name         string `asn1:"utf8"`
	CertListType int
	CertList     asn1.RawValue
	CreateDate   time.Time `asn1:"generalized"`
	ValidStart   time.Time `asn1:"generalized"`
	ValidEnd     time.Time `asn1:"generalized"`
}

// SES_ESPictureInfo ::= SEQUENCE { type IA5String, data OCTET STRING,
//
//	width INTEGER, height INTEGER }
type sesPictureInfo struct {
	Type          string `asn1:"ia5"`
	Data          []byte
	Width, Height int
}

// ExtData ::= SEQUENCE { extnID OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE,
//
//	extnValue OCTET STRING }
type extData struct {
	ExtnID    asn1.ObjectIdentifier
	Critical  bool `asn1:"optional"`
	ExtnValue []byte
}

// SESeal ::= SEQUENCE { eSealInfo SES_SealInfo, cert OCTET STRING,
//
//	signAlgID OBJECT IDENTIFIER, signedValue BIT STRING,
//	timeStamp [0] EXPLICIT BIT STRING OPTIONAL }   -- version 5 only
type sesSeal struct {
	ESealInfo   asn1.RawValue
	Cert        []byte
	SignAlgID   asn1.ObjectIdentifier
	SignedValue asn1.BitString
	TimeStamp   asn1.BitString `asn1:"optional,explicit,tag:0"`
}

// certDigestObj is an element of the other arm of SES_CertList:
//
//	SES_CertList  ::= CHOICE { certs SEQUENCE OF OCTET STRING,
//	                           certDigestList SEQUENCE OF CertDigestObj }
//	CertDigestObj ::= SEQUENCE { type PrintableString, value OCTET STRING }
type certDigestObj struct {
	Type  string `asn1:"printable"`
	Value []byte
}

// SES_Signature ::= SEQUENCE { toSign TBS_Sign, cert OCTET STRING,
//
//	signatureAlgID OBJECT IDENTIFIER, signature BIT STRING,
//	timeStamp [0] EXPLICIT BIT STRING OPTIONAL }
type sesSignature struct {
	ToSign         asn1.RawValue
	Cert           []byte
	SignatureAlgID asn1.ObjectIdentifier
	Signature      asn1.BitString
	TimeStamp      asn1.BitString `asn1:"optional,explicit,tag:0"`
}

// TBS_Sign ::= SEQUENCE { version INTEGER, eseal SESeal, timeInfo GeneralizedTime,
//
//	dataHash BIT STRING, propertyInfo IA5String,
//	extDatas [0] EXPLICIT ExtensionDatas OPTIONAL }
type tbsSign struct {
	Version      int
	Eseal        asn1.RawValue
	TimeInfo     time.Time `asn1:"generalized"`
	DataHash     asn1.BitString
	PropertyInfo string    `asn1:"ia5"`
	ExtDatas     []extData `asn1:"optional,explicit,tag:0"`
}

// Version 1, GM/T 0031-2014: SESeal ::= SEQUENCE { esealInfo SES_SealInfo, signInfo SES_SignInfo }
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

// sesSignedV1 is what the maker of a version 1 seal signs (GM/T 0031-2014 §6.1.1).
type sesSignedV1 struct {
	ESealInfo          asn1.RawValue
	Cert               []byte
	SignatureAlgorithm asn1.ObjectIdentifier
}

// Version 1 of SES_SealInfo: extDatas is tagged.
type sesSealInfoV1 struct {
	Header   sesHeader
	EsID     string `asn1:"ia5"`
	Property sesPropertyInfoV1
	Picture  sesPictureInfo
	ExtDatas []extData `asn1:"optional,explicit,tag:0"`
}

// Version 1 of SES_ESPropertyInfo: no certListType, and UTCTime.
type sesPropertyInfoV1 struct {
	Type       int
	Name       string `asn1:"utf8"`
	CertList   []asn1.RawValue
	CreateDate time.Time `asn1:"utc"`
	ValidStart time.Time `asn1:"utc"`
	ValidEnd   time.Time `asn1:"utc"`
}

// sealVersion looks ahead to header.version, which decides the rest. Both
// structures begin SEQUENCE { SEQUENCE { SES_Header, … } … }.
func sealVersion(der []byte) (version int, err error) {
	var outer, info, header cryptobyte.String
	var id []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&outer, cbasn1.SEQUENCE) || !outer.ReadASN1(&info, cbasn1.SEQUENCE) ||
		!info.ReadASN1(&header, cbasn1.SEQUENCE) || !header.ReadASN1Bytes(&id, cbasn1.IA5String) ||
		!header.ReadASN1Integer(&version) {
		return 0, errors.New("no SES_Header")
	}
	if string(id) != headerID {
		return 0, fmt.Errorf("header says %q, not %q", id, headerID)
	}
	return version, nil
}

// parseCertList reads the arm of SES_CertList that certListType picks.
func parseCertList(kind int, list asn1.RawValue) ([][]byte, error) {
	switch kind {
	case ListsCertificates:
		certs, err := pki.UnmarshalDER[[][]byte](list.FullBytes, "")
		if err != nil {
			return nil, fmt.Errorf("certList: %w", err)
		}
		return certs, nil
	case ListsDigests:
		objects, err := pki.UnmarshalDER[[]certDigestObj](list.FullBytes, "")
		if err != nil {
			return nil, fmt.Errorf("certDigestList: %w", err)
		}
		digests := make([][]byte, len(objects))
		for i, o := range objects {
			digests[i] = o.Value
		}
		return digests, nil
	}
	return nil, fmt.Errorf("certListType %d is neither 1 nor 2", kind)
}

// certBytesV1 takes an element of a version 1 list, which some makers wrap in an
// OCTET STRING and others do not.
func certBytesV1(v asn1.RawValue) []byte {
	if v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString {
		return v.Bytes
	}
	return v.FullBytes
}

func checkExtensions(extensions []extData) error {
	for _, e := range extensions {
		if e.Critical {
			return fmt.Errorf("critical extension %s is not supported", e.ExtnID)
		}
	}
	return nil
}

// byteString insists on a BIT STRING of whole bytes that is not empty.
func byteString(b asn1.BitString) ([]byte, error) {
	if b.BitLength == 0 || b.BitLength%8 != 0 {
		return nil, fmt.Errorf("BIT STRING of %d bits", b.BitLength)
	}
	return b.Bytes, nil
}

// optionalToken reads timeStamp; absent is nil.
func optionalToken(b asn1.BitString) ([]byte, error) {
	if b.Bytes == nil {
		return nil, nil
	}
	token, err := byteString(b)
	if err != nil {
		return nil, fmt.Errorf("timeStamp: %w", err)
	}
	if len(token) > maxTimestamp {
		return nil, errors.New("timeStamp is over 64 KiB")
	}
	return token, nil
}

func wholeBytes(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
