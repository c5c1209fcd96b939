// Package seal makes, uses and reads electronic seals by GB/T 38540-2020.
//
// A seal (电子印章, SESeal) is a picture with the certificates of those who may use
// it, signed by a seal maker. A seal signature (电子签章, SES_Signature) is a seal
// together with the digest of a document, signed by one of them. Both are written
// in structure version 4 with SM2 and SM3. Seals of version 1 (GM/T 0031-2014) and
// 5 (GM/T 0031-2025) are read as well, seal signatures of version 4 and 5.
//
// Invariants:
//   - What is read marshals to the same bytes, or is refused: exact DER, BIT STRINGs
//     in whole bytes, no critical extension that is not understood.
//   - Signatures are checked over the bytes received (InfoRaw, TBSRaw), never over
//     a re-encoding.
//   - Sizes are bounded before anything is decoded, and no input panics.
//   - dataHash is the plain SM3 of the document; values of the kind SM3(ZA‖M), which
//     some products put there, do not pass.
//
// It does not judge certificates (crypto/pki does), timestamp tokens (crypto/tsa)
// or documents: the caller gives and compares their digest.
package seal

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm3"
)

const (
	maxSeal      = 1 << 20 // bytes of a SESeal
	maxPicture   = 512 << 10
	maxText      = 1 << 10 // bytes of a name or an identifier
	maxSigners   = 256     // certificates in the list of a seal
	maxDimension = 1000    // millimetres
)

// Values of Template.Type and Seal.Type that the standard names. Seals of other
// makers use more.
const (
	TypeUnit   = 1 // 单位印章
	TypePerson = 2 // 个人印章
)

// Values of Seal.CertListType.
const (
	ListsCertificates = 1 // the list holds whole certificates
	ListsDigests      = 2 // the list holds their SM3 digests
)

// Picture is what a seal looks like (印章图像).
type Picture struct {
	Type          string // format of Data, such as "PNG"
	Data          []byte
	Width, Height int // true size in millimetres
}

// Template says what a new seal holds. All fields are required; times are kept to
// the second.
type Template struct {
	ID                            string // esID, ASCII; unique per maker
	Vendor                        string // Vid, ASCII: the product that makes it
	Type                          int    // TypeUnit or TypePerson
	Name                          string // 印章名称
	Signers                       []*pki.Certificate
	CreatedAt, ValidFrom, ValidTo time.Time // ValidTo is inclusive
	Picture                       Picture
}

// Seal is a parsed electronic seal. Its byte slices are parts of what was parsed
// and must not be changed.
type Seal struct {
	Raw       []byte // SESeal, DER
	InfoRaw   []byte // SES_SealInfo, DER
	SignedRaw []byte // what the maker signed: InfoRaw, except in version 1

	Version                       int // 1, 4 or 5
	ID, Vendor, Name              string
	Type                          int
	CertListType                  int      // ListsCertificates or ListsDigests
	CertList                      [][]byte // DER certificates, or SM3 digests
	CreatedAt, ValidFrom, ValidTo time.Time
	Picture                       Picture

	Maker          *pki.Certificate // 制章者
	SignatureValue []byte           // DER
	Timestamp      []byte           // version 5: token over SignatureValue, DER; nil: none
}

// Make signs a new seal of version 4 with the seal maker's key.
func Make(rand io.Reader, maker *pki.Certificate, key crypto.Signer, t Template) (*Seal, error) {
	if !pki.SamePublicKey(maker, key) {
		return nil, errors.New("seal: key is not the seal maker's")
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	certs := make([][]byte, len(t.Signers))
	for i, cert := range t.Signers {
		certs[i] = cert.Raw
	}
	list, err := asn1.Marshal(certs)
	if err != nil {
		return nil, fmt.Errorf("encoding certificate list: %w", err)
	}
	info, err := asn1.Marshal(sesSealInfo{
		Header: sesHeader{ID: headerID, Version: 4, Vid: t.Vendor},
		EsID:   t.ID,
		Property: sesPropertyInfo{
			Type: t.Type, Name: t.Name,
			CertListType: ListsCertificates, CertList: asn1.RawValue{FullBytes: list},
			CreateDate: wholeSecond(t.CreatedAt), ValidStart: wholeSecond(t.ValidFrom), ValidEnd: wholeSecond(t.ValidTo),
		},
		Picture: sesPictureInfo(t.Picture),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding SES_SealInfo: %w", err)
	}
	value, err := pki.SignMessage(rand, key, info)
	if err != nil {
		return nil, fmt.Errorf("signing seal: %w", err)
	}
	der, err := asn1.Marshal(sesSeal{
		ESealInfo: asn1.RawValue{FullBytes: info}, Cert: maker.Raw,
		SignAlgID: oidSM2WithSM3, SignedValue: wholeBytes(value),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding SESeal: %w", err)
	}
	return ParseSeal(der)
}

func (t *Template) check() error {
	switch {
	case t.Type != TypeUnit && t.Type != TypePerson:
		return fmt.Errorf("seal: type %d is neither unit nor person", t.Type)
	case len(t.Signers) == 0:
		return errors.New("seal: no signer is listed")
	case !t.ValidFrom.Before(t.ValidTo):
		return errors.New("seal: validity is empty")
	case t.CreatedAt.IsZero():
		return errors.New("seal: no date of creation")
	case t.ID == "" || t.Vendor == "" || t.Name == "" || t.Picture.Type == "":
		return errors.New("seal: identifier, vendor, name and picture type must not be empty")
	}
	return nil // ParseSeal, through which every seal goes, holds the bounds
}

// ParseSeal reads a SESeal of version 1, 4 or 5. It checks form and bounds only:
// see CheckSignature for the maker's signature.
func ParseSeal(der []byte) (*Seal, error) {
	if len(der) > maxSeal {
		return nil, errors.New("seal: SESeal is over 1 MiB")
	}
	version, err := sealVersion(der)
	if err != nil {
		return nil, fmt.Errorf("seal: malformed SESeal: %w", err)
	}
	var s *Seal
	switch version {
	case 1:
		s, err = parseSealV1(der)
	case 4, 5:
		s, err = parseSealV4(der, version)
	default:
		err = fmt.Errorf("structure version %d is not known", version)
	}
	if err == nil {
		err = s.checkBounds()
	}
	if err != nil {
		return nil, fmt.Errorf("seal: malformed SESeal: %w", err)
	}
	return s, nil
}

func parseSealV4(der []byte, version int) (*Seal, error) {
	outer, err := pki.UnmarshalDER[sesSeal](der, "")
	if err != nil {
		return nil, err
	}
	info, err := pki.UnmarshalDER[sesSealInfo](outer.ESealInfo.FullBytes, "")
	if err != nil {
		return nil, fmt.Errorf("SES_SealInfo: %w", err)
	}
	token, err := optionalToken(outer.TimeStamp)
	if err != nil {
		return nil, err
	}
	if version < 5 && token != nil {
		return nil, errors.New("a timestamp needs version 5")
	}
	p := info.Property
	list, err := parseCertList(p.CertListType, p.CertList)
	if err != nil {
		return nil, err
	}
	s := &Seal{
		Raw: der, InfoRaw: outer.ESealInfo.FullBytes, SignedRaw: outer.ESealInfo.FullBytes,
		Version: version, ID: info.EsID, Vendor: info.Header.Vid, Name: p.Name, Type: p.Type,
		CertListType: p.CertListType, CertList: list,
		CreatedAt: p.CreateDate, ValidFrom: p.ValidStart, ValidTo: p.ValidEnd,
		Picture: Picture(info.Picture), Timestamp: token,
	}
	return s, s.setMaker(info.ExtDatas, outer.Cert, outer.SignAlgID, outer.SignedValue)
}

// parseSealV1 reads the older structure. Its maker signs the certificate and the
// algorithm too.
func parseSealV1(der []byte) (*Seal, error) {
	outer, err := pki.UnmarshalDER[sesSealV1](der, "")
	if err != nil {
		return nil, err
	}
	info, err := pki.UnmarshalDER[sesSealInfoV1](outer.ESealInfo.FullBytes, "")
	if err != nil {
		return nil, fmt.Errorf("SES_SealInfo: %w", err)
	}
	signed, err := asn1.Marshal(sesSignedV1{outer.ESealInfo, outer.SignInfo.Cert, outer.SignInfo.SignatureAlgorithm})
	if err != nil {
		return nil, err
	}
	p := info.Property
	s := &Seal{
		Raw: der, InfoRaw: outer.ESealInfo.FullBytes, SignedRaw: signed,
		Version: 1, ID: info.EsID, Vendor: info.Header.Vid, Name: p.Name, Type: p.Type,
		CertListType: ListsCertificates,
		CreatedAt:    p.CreateDate, ValidFrom: p.ValidStart, ValidTo: p.ValidEnd,
		Picture: Picture(info.Picture),
	}
	for _, cert := range p.CertList {
		s.CertList = append(s.CertList, certBytesV1(cert))
	}
	return s, s.setMaker(info.ExtDatas, outer.SignInfo.Cert, outer.SignInfo.SignatureAlgorithm, outer.SignInfo.SignData)
}

// setMaker takes the parts that all versions share.
func (s *Seal) setMaker(extensions []extData, cert []byte, algorithm asn1.ObjectIdentifier, value asn1.BitString) (err error) {
	if err := checkExtensions(extensions); err != nil {
		return err
	}
	if !algorithm.Equal(oidSM2WithSM3) {
		return fmt.Errorf("signature algorithm %s is not SM2 with SM3", algorithm)
	}
	if s.SignatureValue, err = byteString(value); err != nil {
		return fmt.Errorf("signedValue: %w", err)
	}
	s.Maker, err = pki.ParseCertificate(cert)
	return err
}

func (s *Seal) checkBounds() error {
	switch p := s.Picture; {
	case len(s.ID) > maxText || len(s.Vendor) > maxText || len(s.Name) > maxText || len(p.Type) > maxText:
		return errors.New("a name is over 1 KiB")
	case s.Type < 1:
		return fmt.Errorf("type %d is not positive", s.Type)
	case len(s.CertList) == 0 || len(s.CertList) > maxSigners:
		return fmt.Errorf("certificate list holds %d entries, not 1 to %d", len(s.CertList), maxSigners)
	case len(p.Data) == 0 || len(p.Data) > maxPicture:
		return fmt.Errorf("picture has %d bytes, not 1 to %d", len(p.Data), maxPicture)
	case p.Width < 1 || p.Height < 1 || p.Width > maxDimension || p.Height > maxDimension:
		return fmt.Errorf("picture measures %d by %d mm", p.Width, p.Height)
	}
	return nil
}

// CheckSignature reports by nil that the maker's signature over the seal is good.
// The maker's certificate is not judged here.
func (s *Seal) CheckSignature() error {
	if !pki.VerifyMessage(s.Maker.PublicKey, s.SignedRaw, s.SignatureValue) {
		return errors.New("seal: the seal maker's signature does not verify")
	}
	return nil
}

// Lists reports whether a certificate is in the seal's list of those who may sign
// with it.
func (s *Seal) Lists(cert *pki.Certificate) bool {
	entry := cert.Raw
	if s.CertListType == ListsDigests {
		digest := sm3.Sum(cert.Raw)
		entry = digest[:]
	}
	return slices.ContainsFunc(s.CertList, func(b []byte) bool { return bytes.Equal(b, entry) })
}

// ValidAt reports whether t lies within the seal's validity, both ends included.
func (s *Seal) ValidAt(t time.Time) bool {
	return !t.Before(s.ValidFrom) && !t.After(s.ValidTo)
}
