// Package seal makes, uses and reads electronic seals by GB/T 38540-2020.
//
// A seal (电子印章, SESeal) is a picture with a list of those who may use it, signed
// by a seal maker. A seal signature (电子签章, SES_Signature) is a seal together with
// the digest of a document, signed by one of them. Both are made in structure
// version 4 or 5 (GM/T 0031-2025, which lets a seal carry a timestamp token of its
// own), with SM2 and SM3; version 1 (GM/T 0031-2014) is read as well.
//
// Version 5 is inferred from another implementation: its text could not be had.
//
// Invariants:
//   - What is read marshals to the same bytes, or is refused: exact DER, BIT STRINGs
//     in whole bytes, no extension twice, none critical. On error the result is nil.
//   - What deviates from the standards is refused, unless the caller allows that
//     very Deviation; then the result names it. Nothing that deviates is made or
//     signed with.
//   - Signatures are checked over the bytes received (SignedRaw, TBSRaw), never over
//     a re-encoding.
//   - Sizes and counts are bounded before anything is decoded, and no input panics.
//     A picture is never decoded: its header is read, and one that would unfold to
//     more than 16 million pixels is refused.
//   - dataHash is the plain SM3 of the document. Values of the kind SM3(ZA‖M) are
//     told apart by CoversWithZA and ListsWithZA and by nothing else.
//
// It does not judge certificates (crypto/pki does), timestamp tokens (crypto/tsa)
// or documents: the caller gives and compares their digest.
package seal

import (
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/crypto/pki"
	"elicence/internal/lately"
)

const (
	maxSeal = 1 << 20 // bytes of a SESeal
	maxText = 1 << 10 // bytes of a name or an identifier
)

// Values of Template.Type and Seal.Type that the standard names. Seals of other
// makers use more: see TypeAboveTwo.
const (
	TypeUnit   = 1 // 单位印章
	TypePerson = 2 // 个人印章
)

// Seal is a parsed electronic seal. Its byte slices are parts of what was parsed
// and must not be changed.
type Seal struct {
	Raw       []byte // SESeal, DER
	InfoRaw   []byte // SES_SealInfo, DER
	SignedRaw []byte // what the maker signed: InfoRaw, except in version 1

	Version                       int // 1, 4 or 5
	ID, Vendor, Name              string
	Type                          int
	CertListType                  int // ListsCertificates or ListsDigests
	CertList                      []Listed
	CreatedAt, ValidFrom, ValidTo time.Time // ValidTo is inclusive
	Picture                       Picture
	Extensions                    []Extension

	Maker          *pki.Certificate // 制章者
	Algorithm      asn1.ObjectIdentifier
	SignatureValue []byte // DER
	Timestamp      []byte // version 5: token over SignatureValue, DER; nil: none

	Deviations []Deviation // those met, in the order of their names
}

// ParseSeal reads a SESeal of version 1, 4 or 5 that deviates from its standard in
// no way but those allowed. It checks form and bounds only: see CheckSignature for
// the maker's signature.
func ParseSeal(der []byte, allowed ...Deviation) (*Seal, error) {
	s, err := parseSeal(der, allowed)
	if err != nil {
		return nil, fmt.Errorf("seal: malformed SESeal: %w", err)
	}
	return s, nil
}

func parseSeal(der []byte, allowed []Deviation) (s *Seal, err error) {
	if len(der) > maxSeal {
		return nil, errors.New("over 1 MiB")
	}
	version, err := sealVersion(der)
	if err != nil {
		return nil, err
	}
	r := reading{allowed: allowed}
	switch version {
	case 1:
		s, err = r.sealV1(der)
	case 4, 5:
		s, err = r.sealV4(der, version)
	default:
		err = fmt.Errorf("structure version %d is not known", version)
	}
	if err != nil {
		return nil, err
	}
	s.Deviations = r.found
	return s, nil
}

func (r *reading) sealV4(der []byte, version int) (*Seal, error) {
	outer, err := readSigned(der)
	if err != nil {
		return nil, err
	}
	info, err := readSealInfo(outer.content, version)
	if err != nil {
		return nil, fmt.Errorf("SES_SealInfo: %w", err)
	}
	if version < 5 && outer.timestamp != nil {
		return nil, errors.New("a timestamp needs version 5")
	}
	p, err := pki.UnmarshalDER[sesPropertyInfo](info.property, "")
	if err != nil {
		return nil, fmt.Errorf("property: %w", err)
	}
	list, err := r.certList(p.CertListType, p.CertList.FullBytes)
	if err != nil {
		return nil, err
	}
	s := &Seal{
		Raw: der, InfoRaw: outer.content, SignedRaw: outer.content,
		Version: version, ID: info.esID, Vendor: info.header.Vid, Name: p.Name, Type: p.Type,
		CertListType: p.CertListType, CertList: list,
		CreatedAt: p.CreateDate, ValidFrom: p.ValidStart, ValidTo: p.ValidEnd,
		Picture: info.picture, Extensions: info.extensions, SignatureValue: outer.value, Timestamp: outer.timestamp,
	}
	return s, r.maker(s, outer.cert, outer.algorithm)
}

// maker takes the parts that all versions share and holds the seal to the bounds.
func (r *reading) maker(s *Seal, cert []byte, algorithm asn1.ObjectIdentifier) (err error) {
	if err := r.algorithm(algorithm); err != nil {
		return err
	}
	s.Algorithm = algorithm
	if s.Type > TypePerson {
		if err := r.meet(TypeAboveTwo, fmt.Sprintf("type %d", s.Type)); err != nil {
			return err
		}
	}
	if err := s.check(); err != nil {
		return err
	}
	s.Maker, err = pki.ParseCertificate(cert)
	return err
}

func (s *Seal) check() error {
	switch {
	case len(s.ID) > maxText || len(s.Vendor) > maxText || len(s.Name) > maxText || len(s.Picture.Type) > maxText:
		return errors.New("a name is over 1 KiB")
	case s.Type < 1:
		return fmt.Errorf("type %d is not positive", s.Type)
	}
	return s.Picture.check()
}

// CheckSignature reports by nil that the maker's signature over the seal is good.
// The maker's certificate is not judged here. An authority's seal comes with each of its
// files: of those met lately it is remembered that it is good.
func (s *Seal) CheckSignature() error {
	key := slices.Concat(s.Maker.RawSubjectPublicKeyInfo, s.SignedRaw, s.SignatureValue)
	key = binary.BigEndian.AppendUint32(key, uint32(len(s.SignatureValue))) // so that only these three make it
	if _, known := signed.Get(key); known {
		return nil
	}
	if !pki.VerifyMessage(s.Maker.PublicKey, s.SignedRaw, s.SignatureValue) {
		return errors.New("seal: the seal maker's signature does not verify")
	}
	if len(key) <= maxRemembered {
		signed.Put(key, struct{}{})
	}
	return nil
}

// signed are the seals whose makers' signatures are good, by all that the answer depends
// on: public key (which says how long it is), message and signature.
var signed = lately.Cache[struct{}]{Size: 32}

const maxRemembered = 64 << 10 // bytes of a seal; most have 20 KiB

// ValidAt reports whether t lies within the seal's validity, both ends included.
func (s *Seal) ValidAt(t time.Time) bool {
	return !t.Before(s.ValidFrom) && !t.After(s.ValidTo)
}
