package seal

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"time"

	"elicence/crypto/pki"

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

// signedParts are the four or five elements of a SESeal and of a SES_Signature of
// version 4 and 5, as they stand in the input.
type signedParts struct {
	content   []byte // SES_SealInfo or TBS_Sign, DER
	cert      []byte
	algorithm asn1.ObjectIdentifier
	value     []byte
	timestamp []byte // nil: none
}

// Pictures are large, so what holds one is read in place here, and only the small
// parts go through pki.UnmarshalDER. cryptobyte is as strict: definite lengths in the
// fewest octets, minimal integers and object identifiers.

// readSigned reads a SESeal or a SES_Signature.
func readSigned(der []byte) (p signedParts, err error) {
	var body, content, cert, tagged cryptobyte.String
	var dated bool
	input := cryptobyte.String(der)
	switch {
	case !input.ReadASN1(&body, cbasn1.SEQUENCE) || !input.Empty():
		return p, errors.New("not one SEQUENCE")
	case !body.ReadASN1Element(&content, cbasn1.SEQUENCE) || !body.ReadASN1(&cert, cbasn1.OCTET_STRING) ||
		!body.ReadASN1ObjectIdentifier(&p.algorithm):
		return p, errors.New("not SEQUENCE, OCTET STRING, OBJECT IDENTIFIER")
	case !body.ReadASN1BitStringAsBytes(&p.value) || len(p.value) == 0:
		return p, errors.New("signature value is not a BIT STRING of whole bytes")
	case !body.ReadOptionalASN1(&tagged, &dated, contextTag) || !body.Empty():
		return p, errors.New("something stands behind the signature value")
	}
	p.content, p.cert = content, cert
	if !dated {
		return p, nil
	}
	if !tagged.ReadASN1BitStringAsBytes(&p.timestamp) || !tagged.Empty() {
		return p, errors.New("timeStamp is not a BIT STRING of whole bytes")
	}
	if p.timestamp, err = checkToken(p.timestamp); err != nil {
		return p, fmt.Errorf("timeStamp: %w", err)
	}
	return p, nil
}

// contextTag is [0], constructed.
var contextTag = cbasn1.Tag(0).Constructed().ContextSpecific()

// sealInfo is SES_SealInfo, in which property differs from version to version.
type sealInfo struct {
	header     sesHeader
	esID       string
	property   []byte // DER
	picture    Picture
	extensions []Extension
}

// readSealInfo reads SES_SealInfo. The picture's bytes are those of the input.
func readSealInfo(der []byte, version int) (info sealInfo, err error) {
	var body, header, property, picture cryptobyte.String
	input := cryptobyte.String(der)
	if !input.ReadASN1(&body, cbasn1.SEQUENCE) || !input.Empty() || !body.ReadASN1Element(&header, cbasn1.SEQUENCE) ||
		!readIA5(&body, &info.esID) || !body.ReadASN1Element(&property, cbasn1.SEQUENCE) || !body.ReadASN1(&picture, cbasn1.SEQUENCE) {
		return info, errors.New("not header, esID, property and picture")
	}
	info.property = property
	if info.header, err = pki.UnmarshalDER[sesHeader](header, ""); err != nil {
		return info, fmt.Errorf("header: %w", err)
	}
	p := &info.picture
	if !readIA5(&picture, &p.Type) || !picture.ReadASN1Bytes(&p.Data, cbasn1.OCTET_STRING) ||
		!picture.ReadASN1Integer(&p.Width) || !picture.ReadASN1Integer(&p.Height) || !picture.Empty() {
		return info, errors.New("picture is not type, data, width and height")
	}
	if body.Empty() {
		return info, nil
	}
	extensions := body
	if version == 1 && (!body.ReadASN1(&extensions, contextTag) || !body.Empty()) {
		return info, errors.New("what stands behind the picture is not extDatas")
	}
	info.extensions, err = readExtensions(extensions)
	return info, err
}

// readTBS reads TBS_Sign. The seal's bytes are those of the input.
func readTBS(der []byte) (tbs tbsSign, err error) {
	var body, inner, at, extensions cryptobyte.String
	var digest []byte
	var extended bool
	input := cryptobyte.String(der)
	if !input.ReadASN1(&body, cbasn1.SEQUENCE) || !input.Empty() || !body.ReadASN1Integer(&tbs.Version) ||
		!body.ReadASN1Element(&inner, cbasn1.SEQUENCE) || !body.ReadASN1Element(&at, cbasn1.GeneralizedTime) {
		return tbs, errors.New("not version, eseal and timeInfo")
	}
	if !body.ReadASN1BitStringAsBytes(&digest) || !readIA5(&body, &tbs.PropertyInfo) ||
		!body.ReadOptionalASN1(&extensions, &extended, contextTag) || !body.Empty() {
		return tbs, errors.New("not dataHash, propertyInfo and perhaps extDatas after timeInfo")
	}
	tbs.Eseal.FullBytes, tbs.DataHash = inner, wholeBytes(digest)
	if tbs.TimeInfo, err = pki.UnmarshalDER[time.Time](at, "generalized"); err != nil {
		return tbs, fmt.Errorf("timeInfo: %w", err)
	}
	if extended {
		tbs.ExtDatas, err = readExtensions(extensions)
	}
	return tbs, err
}

// countElements returns the number of elements in a list, and whether they are well
// formed and no more than limit: what is counted first costs nothing to refuse.
func countElements(list cryptobyte.String, limit int) (n int, ok bool) {
	for ; !list.Empty(); n++ {
		var element cryptobyte.String
		if n == limit || !list.ReadAnyASN1Element(&element, new(cbasn1.Tag)) {
			return 0, false
		}
	}
	return n, true
}

// readIA5 reads an IA5String, which is ASCII.
func readIA5(s *cryptobyte.String, out *string) bool {
	var b cryptobyte.String
	if !s.ReadASN1(&b, cbasn1.IA5String) {
		return false
	}
	*out = string(b)
	return strings.IndexFunc(*out, func(r rune) bool { return r >= 0x80 }) < 0
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

// checkToken bounds a timestamp token, into which this package does not look.
func checkToken(token []byte) ([]byte, error) {
	if len(token) == 0 || len(token) > maxTimestamp {
		return nil, fmt.Errorf("token of %d bytes, not 1 to %d", len(token), maxTimestamp)
	}
	return token, nil
}

// tokenBits is timeStamp; nil is left out.
func tokenBits(token []byte) (b asn1.BitString) {
	if token != nil {
		b = wholeBytes(token)
	}
	return b
}

func wholeBytes(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
