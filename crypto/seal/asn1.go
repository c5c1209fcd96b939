package seal

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The structures below carry the names of GB/T 38540-2020, as far as they could be
// established: its tags are those that deployed implementations write. Where the
// standard and such a file might differ ([0] is EXPLICIT here), the file decided.

// oidSM2WithSM3 is the only signature algorithm (GB/T 33560-2017 App. A);
// oidSM2WithSM3Alias is how some products misspell it (SignatureOIDAlias).
var (
	oidSM2WithSM3      = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 501}
	oidSM2WithSM3Alias = asn1.ObjectIdentifier{1, 2, 156, 10197, 501}
)

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
	ExtDatas []Extension `asn1:"optional"`
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
	PropertyInfo string      `asn1:"ia5"`
	ExtDatas     []Extension `asn1:"optional,explicit,tag:0"`
}

// sealVersion looks ahead to header.version, which decides the rest. All SESeal
// begin SEQUENCE { SEQUENCE { SES_Header, … } … }.
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

// signatureVersion looks ahead to the version that every SES_Signature begins
// with: SEQUENCE { SEQUENCE { INTEGER, … } … }.
func signatureVersion(der []byte) (version int, ok bool) {
	var outer, tbs cryptobyte.String
	input := cryptobyte.String(der)
	ok = input.ReadASN1(&outer, cbasn1.SEQUENCE) && outer.ReadASN1(&tbs, cbasn1.SEQUENCE) && tbs.ReadASN1Integer(&version)
	return version, ok
}

// IsSignature reports whether a DER value is built like a SES_Signature and not
// like a SESeal, as far as its first element goes.
func IsSignature(der []byte) bool {
	_, ok := signatureVersion(der)
	return ok
}

// algorithm lets SM2 with SM3 pass, by its misspelt name as a deviation.
func (r *reading) algorithm(oid asn1.ObjectIdentifier) error {
	switch {
	case oid.Equal(oidSM2WithSM3):
		return nil
	case oid.Equal(oidSM2WithSM3Alias):
		return r.meet(SignatureOIDAlias, "signature algorithm "+oid.String())
	}
	return fmt.Errorf("signature algorithm %s is not SM2 with SM3", oid)
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
	if err == nil {
		token, err = checkToken(token)
	}
	if err != nil {
		return nil, fmt.Errorf("timeStamp: %w", err)
	}
	return token, nil
}

// checkToken bounds a timestamp token, into which this package does not look.
func checkToken(token []byte) ([]byte, error) {
	if len(token) == 0 || len(token) > maxTimestamp {
		return nil, fmt.Errorf("token of %d bytes, not 1 to %d", len(token), maxTimestamp)
	}
	return token, nil
}

// tokenBits is the inverse of optionalToken.
func tokenBits(token []byte) (b asn1.BitString) {
	if token != nil {
		b = wholeBytes(token)
	}
	return b
}

func wholeBytes(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
