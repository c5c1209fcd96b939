package licence

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/emmansun/gmsm/sm3"
	"github.com/fxamacker/cbor/v2"
)

// qrAlgorithm is the COSE algorithm of a QR message: SM2 with SM3 (GB/T 32918.2),
// user id 1234567812345678, signature value r‖s. COSE has registered no number for
// it; this is the first below -65536, where its registry leaves numbers to private use.
const qrAlgorithm = -65537

// maxMessageBytes bounds a QR message. A symbol of version 13 holds about 300.
const maxMessageBytes = 600

var errMessageTooLong = errors.New("licence: QR message too long")

// QRPayload is what the QR code of a licence states and the QR signer signs.
type QRPayload struct {
	// Identifier of the licence.
	Identifier Identifier
	// TypeName, Number and HolderName are as on the licence. TypeName or HolderName
	// is empty when there was no room for it; DataDigest binds it all the same, and
	// the type's code is in Identifier.
	TypeName, Number, HolderName string
	// IssuedOn and EffectiveOn are never zero; a zero ExpiresOn means no last day.
	IssuedOn, EffectiveOn, ExpiresOn Date
	// DataDigest is the SM3 of the licence data (licence.json).
	DataDigest [32]byte
	// CopyID and CopyExpiresOn are those of an annotated copy (加注件), whose data
	// DataDigest is of; both are zero for the licence itself.
	CopyID        CopyID
	CopyExpiresOn Date
}

// NewQRPayload is the payload for l, whose licence data is data.
func NewQRPayload(l *Licence, data []byte) QRPayload {
	p := QRPayload{
		Identifier: l.Identifier, TypeName: l.TypeName, Number: l.Number, HolderName: l.Holder.Name,
		IssuedOn: l.IssuedOn, EffectiveOn: l.EffectiveOn, ExpiresOn: l.ExpiresOn, DataDigest: sm3.Sum(data),
	}
	if l.Copy != nil {
		p.CopyID, p.CopyExpiresOn = l.Copy.ID, l.Copy.ExpiresOn
	}
	return p
}

// QRMessage is a parsed QR message. Its signature has not been checked.
type QRMessage struct {
	Payload QRPayload
	// KeyID is the first 8 bytes of SM3 over the QR signer's certificate (DER). It
	// finds a key; it proves nothing.
	KeyID [8]byte
	// Signature is r‖s, each 32 bytes big-endian.
	Signature [64]byte
	// Signed is what the signature is over: the Sig_structure of RFC 9052 §4.4.
	Signed []byte
}

// The wire forms, in CDDL:
//
//	message   = #6.18([protected: bstr .cbor header, unprotected: {}, payload: bstr .cbor claims, signature: bstr .size 64])
//	header    = {1: -65537, 4: bstr .size 8}
//	claims    = {1: tstr, ? 2: tstr, 3: tstr, ? 4: tstr, 5: int, ? 6: int, ? 7: int, 8: bstr .size 32,
//	             ? (9: bstr .size 16, 10: int)}
type qrSign1 struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected map[int]int
	Payload     []byte
	Signature   []byte
}

type qrHeader struct {
	Algorithm int64  `cbor:"1,keyasint"`
	KeyID     []byte `cbor:"4,keyasint"`
}

// qrClaims leaves out an effective date that is the date of issue, for each byte
// makes the symbol larger. The identifier is whole all the same: it is what a reader
// compares with licence.json and the register. Dates are days since 1970-01-01 (RFC 8943).
type qrClaims struct {
	Identifier  string `cbor:"1,keyasint"`
	TypeName    string `cbor:"2,keyasint,omitempty"`
	Number      string `cbor:"3,keyasint"`
	HolderName  string `cbor:"4,keyasint,omitempty"`
	IssuedOn    int64  `cbor:"5,keyasint"`
	EffectiveOn *int64 `cbor:"6,keyasint,omitempty"`
	ExpiresOn   *int64 `cbor:"7,keyasint,omitempty"`
	DataDigest  []byte `cbor:"8,keyasint"`
	CopyID      []byte `cbor:"9,keyasint,omitempty"`
	CopyExpires *int64 `cbor:"10,keyasint,omitempty"`
}

type qrSigStructure struct {
	_           struct{} `cbor:",toarray"`
	Context     string
	Protected   []byte
	ExternalAAD []byte
	Payload     []byte
}

const coseSign1Tag = 18

// qrEncoding is deterministic CBOR (RFC 8949 §4.2.1); qrDecoding bounds what is
// read. That the bytes were deterministic is checked by encoding them again.
var (
	qrEncoding = must(cbor.CoreDetEncOptions().EncMode())
	qrDecoding = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
		MaxNestedLevels: 4, MaxArrayElements: 16, MaxMapPairs: 16,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, UTF8: cbor.UTF8RejectInvalid,
	}.DecMode())
)

// must is for options that are constants: it fails on the first run, or never.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// SignedBytes is what the QR signer signs, as message M of SM2: the Sig_structure
// ["Signature1", protected, h”, payload] of RFC 9052 §4.4.
func (p QRPayload) SignedBytes(keyID [8]byte) ([]byte, error) {
	m, err := p.sign1(keyID)
	if err != nil {
		return nil, err
	}
	return m.signedBytes()
}

func (m qrSign1) signedBytes() ([]byte, error) {
	return qrEncoding.Marshal(qrSigStructure{
		Context: "Signature1", Protected: m.Protected, ExternalAAD: []byte{}, Payload: m.Payload,
	})
}

// Message is the QR message, attached to the licence file as qr.cbor.
func (p QRPayload) Message(keyID [8]byte, signature [64]byte) ([]byte, error) {
	m, err := p.sign1(keyID)
	if err != nil {
		return nil, err
	}
	m.Signature = signature[:]
	b, err := qrEncoding.Marshal(cbor.Tag{Number: coseSign1Tag, Content: m})
	if err != nil {
		return nil, fmt.Errorf("licence: encoding the QR message: %w", err)
	}
	if len(b) > maxMessageBytes {
		return nil, fmt.Errorf("%w: %d of %d bytes", errMessageTooLong, len(b), maxMessageBytes)
	}
	return b, nil
}

// sign1 is the message without its signature.
func (p QRPayload) sign1(keyID [8]byte) (qrSign1, error) {
	claims, err := p.claims()
	if err != nil {
		return qrSign1{}, err
	}
	header, err := qrEncoding.Marshal(qrHeader{qrAlgorithm, keyID[:]})
	if err != nil {
		return qrSign1{}, fmt.Errorf("licence: encoding the QR header: %w", err)
	}
	payload, err := qrEncoding.Marshal(claims)
	if err != nil {
		return qrSign1{}, fmt.Errorf("licence: encoding the QR payload: %w", err)
	}
	return qrSign1{Protected: header, Unprotected: map[int]int{}, Payload: payload}, nil
}

func (p QRPayload) claims() (qrClaims, error) {
	if err := p.check(); err != nil {
		return qrClaims{}, err
	}
	c := qrClaims{
		Identifier: string(p.Identifier), TypeName: p.TypeName, Number: p.Number, HolderName: p.HolderName,
		IssuedOn: p.IssuedOn.days(), DataDigest: p.DataDigest[:],
	}
	if !p.EffectiveOn.Equal(p.IssuedOn) {
		c.EffectiveOn = new(p.EffectiveOn.days())
	}
	if !p.ExpiresOn.IsZero() {
		c.ExpiresOn = new(p.ExpiresOn.days())
	}
	if p.CopyID != "" {
		c.CopyID, c.CopyExpires = p.CopyID.bytes(), new(p.CopyExpiresOn.days())
	}
	return c, nil
}

func (p QRPayload) check() error {
	if _, err := ParseIdentifier(string(p.Identifier)); err != nil {
		return err
	}
	var f faults
	if p.TypeName != "" {
		f.text("type name", p.TypeName, maxNameRunes)
	}
	f.text("number", p.Number, maxNumberRunes)
	if p.HolderName != "" {
		f.text("holder name", p.HolderName, maxNameRunes)
	}
	Request{IssuedOn: p.IssuedOn, EffectiveOn: p.EffectiveOn, ExpiresOn: p.ExpiresOn}.checkDates(&f)
	if p.CopyID != "" || !p.CopyExpiresOn.IsZero() {
		p.CopyID.check(&f, p.CopyExpiresOn)
	}
	return f.first()
}

// ParseQRMessage reads a QR message: at most 600 bytes, and exactly those that
// Message writes for the same values. It does not check the signature.
func ParseQRMessage(b []byte) (*QRMessage, error) {
	m, err := parseQRMessage(b)
	if err != nil {
		return nil, fmt.Errorf("licence: malformed QR message: %w", err)
	}
	return m, nil
}

func parseQRMessage(b []byte) (*QRMessage, error) {
	if len(b) > maxMessageBytes {
		return nil, fmt.Errorf("longer than %d bytes", maxMessageBytes)
	}
	var tag cbor.RawTag
	if err := qrDecoding.Unmarshal(b, &tag); err != nil {
		return nil, err
	}
	if tag.Number != coseSign1Tag {
		return nil, fmt.Errorf("tag %d is not COSE_Sign1", tag.Number)
	}
	var s qrSign1
	if err := qrDecoding.Unmarshal(tag.Content, &s); err != nil {
		return nil, err
	}
	var header qrHeader
	if err := qrDecoding.Unmarshal(s.Protected, &header); err != nil {
		return nil, fmt.Errorf("protected header: %w", err)
	}
	switch {
	case header.Algorithm != qrAlgorithm:
		return nil, fmt.Errorf("algorithm %d is not %d", header.Algorithm, qrAlgorithm)
	case len(header.KeyID) != 8:
		return nil, errors.New("the key id is not 8 bytes")
	case len(s.Signature) != 64:
		return nil, errors.New("the signature is not 64 bytes")
	}
	p, err := parseClaims(s.Payload)
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	m := &QRMessage{Payload: p, KeyID: [8]byte(header.KeyID), Signature: [64]byte(s.Signature)}
	again, err := p.Message(m.KeyID, m.Signature)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, errors.New("not deterministic CBOR")
	}
	m.Signed, err = s.signedBytes()
	return m, err
}

func parseClaims(b []byte) (QRPayload, error) {
	var c qrClaims
	if err := qrDecoding.Unmarshal(b, &c); err != nil {
		return QRPayload{}, err
	}
	if len(c.DataDigest) != 32 {
		return QRPayload{}, errors.New("the data digest is not 32 bytes")
	}
	p := QRPayload{
		Identifier: Identifier(c.Identifier), TypeName: c.TypeName, Number: c.Number, HolderName: c.HolderName,
		DataDigest: [32]byte(c.DataDigest),
	}
	var err error
	if p.IssuedOn, err = dateOfDays(c.IssuedOn); err != nil {
		return QRPayload{}, err
	}
	if p.EffectiveOn = p.IssuedOn; c.EffectiveOn != nil {
		if p.EffectiveOn, err = dateOfDays(*c.EffectiveOn); err != nil {
			return QRPayload{}, err
		}
	}
	if c.ExpiresOn != nil {
		if p.ExpiresOn, err = dateOfDays(*c.ExpiresOn); err != nil {
			return QRPayload{}, err
		}
	}
	if c.CopyID != nil || c.CopyExpires != nil {
		if len(c.CopyID) != 16 || c.CopyExpires == nil {
			return QRPayload{}, errors.New("an annotated copy has an identifier of 16 bytes and a last day")
		}
		p.CopyID = copyIDOf(c.CopyID)
		if p.CopyExpiresOn, err = dateOfDays(*c.CopyExpires); err != nil {
			return QRPayload{}, err
		}
	}
	return p, nil
}
