package seal

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"time"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm3"
)

// Template says what a new seal holds. All fields are required but the first three;
// times are kept to the second.
type Template struct {
	Version     int         // 4 or 5; 0 is 4
	ListDigests bool        // list the SM3 digests of the signers' certificates instead
	Extensions  []Extension // 自定义数据; none critical

	ID                            string // esID, ASCII; unique per maker
	Vendor                        string // Vid, ASCII: the product that makes it
	Type                          int    // TypeUnit or TypePerson
	Name                          string // 印章名称
	Signers                       []*pki.Certificate
	CreatedAt, ValidFrom, ValidTo time.Time // ValidTo is inclusive
	Picture                       Picture
}

// Make signs a new seal with the seal maker's key. A token for a seal of version 5
// is added by WithTimestamp.
func Make(rand io.Reader, maker *pki.Certificate, key crypto.Signer, t Template) (*Seal, error) {
	if !pki.SamePublicKey(maker, key) {
		return nil, errors.New("seal: key is not the seal maker's")
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	s := t.seal()
	s.Maker, s.Algorithm = maker, oidSM2WithSM3
	var err error
	if s.InfoRaw, err = s.marshalInfo(); err != nil {
		return nil, fmt.Errorf("encoding SES_SealInfo: %w", err)
	}
	if s.SignatureValue, err = pki.SignMessage(rand, key, s.InfoRaw); err != nil {
		return nil, fmt.Errorf("signing seal: %w", err)
	}
	return s.finish()
}

func (t *Template) check() error {
	switch {
	case t.Version != 0 && t.Version != 4 && t.Version != 5:
		return fmt.Errorf("version %d is not made", t.Version)
	case t.Type != TypeUnit && t.Type != TypePerson:
		return fmt.Errorf("type %d is neither unit nor person", t.Type)
	case len(t.Signers) == 0:
		return errors.New("no signer is listed")
	case !t.ValidFrom.Before(t.ValidTo):
		return errors.New("validity is empty")
	case t.CreatedAt.IsZero():
		return errors.New("no date of creation")
	case t.ID == "" || t.Vendor == "" || t.Name == "" || t.Picture.Type == "":
		return errors.New("identifier, vendor, name and picture type must not be empty")
	}
	return t.Picture.checkDeclared() // ParseSeal, through which every seal goes, holds the bounds
}

// seal is the template as the fields of a seal.
func (t *Template) seal() *Seal {
	s := &Seal{
		Version: max(t.Version, 4), ID: t.ID, Vendor: t.Vendor, Name: t.Name, Type: t.Type,
		CertListType: ListsCertificates, Picture: t.Picture, Extensions: t.Extensions,
		CreatedAt: wholeSecond(t.CreatedAt), ValidFrom: wholeSecond(t.ValidFrom), ValidTo: wholeSecond(t.ValidTo),
	}
	if t.ListDigests {
		s.CertListType = ListsDigests
	}
	for _, cert := range t.Signers {
		entry := Listed{Value: cert.Raw}
		if t.ListDigests {
			digest := sm3.Sum(cert.Raw)
			entry = Listed{digest[:], digestType}
		}
		s.CertList = append(s.CertList, entry)
	}
	return s
}

// WithTimestamp returns a seal of version 5 with a timestamp token (DER) in place of
// any it had. The token must be over SignatureValue; that is the caller's to see to.
func (s *Seal) WithTimestamp(token []byte) (*Seal, error) {
	switch {
	case s.Version != 5:
		return nil, fmt.Errorf("seal: a seal of version %d holds no timestamp", s.Version)
	case len(token) == 0:
		return nil, errors.New("seal: empty timestamp token")
	}
	stamped := *s
	stamped.Timestamp = token
	return stamped.finish()
}

// finish encodes a seal and reads it back, so that none leaves this package that it
// would not take in.
func (s *Seal) finish() (*Seal, error) {
	der, err := s.marshal(s.InfoRaw)
	if err != nil {
		return nil, fmt.Errorf("encoding SESeal: %w", err)
	}
	return ParseSeal(der, s.Deviations...)
}

// marshalInfo encodes SES_SealInfo from the seal's fields.
func (s *Seal) marshalInfo() ([]byte, error) {
	list, err := s.marshalCertList()
	if err != nil {
		return nil, err
	}
	header := sesHeader{ID: headerID, Version: s.Version, Vid: s.Vendor}
	if s.Version == 1 {
		return asn1.Marshal(sesSealInfoV1{header, s.ID, sesPropertyInfoV1{
			s.Type, s.Name, list, s.CreatedAt, s.ValidFrom, s.ValidTo,
		}, sesPictureInfo(s.Picture), s.Extensions})
	}
	return asn1.Marshal(sesSealInfo{header, s.ID, sesPropertyInfo{
		s.Type, s.Name, s.CertListType, list, s.CreatedAt, s.ValidFrom, s.ValidTo,
	}, sesPictureInfo(s.Picture), s.Extensions})
}

// marshal encodes the SESeal around an SES_SealInfo.
func (s *Seal) marshal(info []byte) ([]byte, error) {
	raw := asn1.RawValue{FullBytes: info}
	if s.Version == 1 {
		return asn1.Marshal(sesSealV1{raw, sesSignInfoV1{s.Maker.Raw, s.Algorithm, wholeBytes(s.SignatureValue)}})
	}
	return asn1.Marshal(sesSeal{raw, s.Maker.Raw, s.Algorithm, wholeBytes(s.SignatureValue), tokenBits(s.Timestamp)})
}
