package seal

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const maxSigners = 256 // entries in the list of a seal

// Values of Seal.CertListType.
const (
	ListsCertificates = 1 // the list holds whole certificates
	ListsDigests      = 2 // the list holds their SM3 digests
)

// Listed is an entry of a seal's list of those who may sign with it.
//
//	SES_CertList  ::= CHOICE { certs SEQUENCE OF OCTET STRING,
//	                           certDigestList SEQUENCE OF CertDigestObj }
//	CertDigestObj ::= SEQUENCE { type PrintableString, value OCTET STRING }
type Listed struct {
	Value []byte // the certificate in DER, or the SM3 digest of it
	// DigestType is what the maker calls the digest, "" in a list of certificates.
	// The standard leaves the word open; the values are compared whatever it says.
	DigestType string
}

// digestType is the word that Make writes.
const digestType = "SM3"

// certDigestObj is CertDigestObj.
type certDigestObj struct {
	Type  string `asn1:"printable"`
	Value []byte
}

// certList reads the arm of SES_CertList that certListType picks. It counts before
// it keeps anything.
func (r *reading) certList(kind int, der []byte) ([]Listed, error) {
	var list cryptobyte.String
	input := cryptobyte.String(der)
	if !input.ReadASN1(&list, cbasn1.SEQUENCE) || !input.Empty() {
		return nil, errors.New("certList is not a SEQUENCE")
	}
	n, ok := countElements(list, maxSigners)
	switch {
	case !ok:
		return nil, fmt.Errorf("certList is malformed or has over %d entries", maxSigners)
	case n == 0:
		return nil, errors.New("certList is empty")
	case kind == ListsCertificates:
		return r.certificates(list, n)
	case kind == ListsDigests:
		return digests(list, n)
	}
	return nil, fmt.Errorf("certListType %d is neither 1 nor 2", kind)
}

// certificates reads n of them, all in OCTET STRINGs or, as a deviation, all bare.
// What is in an OCTET STRING is compared and never looked into; what is bare has to
// be a certificate, or any SEQUENCE would do.
func (r *reading) certificates(list cryptobyte.String, n int) ([]Listed, error) {
	certs := make([]Listed, n)
	raw := list.PeekASN1Tag(cbasn1.SEQUENCE)
	if raw {
		if err := r.meet(RawCertificateElements, "certificates in certList without OCTET STRING"); err != nil {
			return nil, err
		}
	}
	for i := range certs {
		var cert cryptobyte.String
		if raw && !list.ReadASN1Element(&cert, cbasn1.SEQUENCE) || !raw && !list.ReadASN1(&cert, cbasn1.OCTET_STRING) {
			return nil, errors.New("certList has an entry of another kind")
		}
		if certs[i].Value = cert; !raw {
			continue
		}
		if _, err := pki.ParseCertificate(cert); err != nil {
			return nil, fmt.Errorf("certList: %w", err)
		}
	}
	return certs, nil
}

func digests(list cryptobyte.String, n int) ([]Listed, error) {
	entries := make([]Listed, n)
	for i := range entries {
		var element cryptobyte.String
		if !list.ReadASN1Element(&element, cbasn1.SEQUENCE) {
			return nil, errors.New("certDigestList has an entry of another kind")
		}
		object, err := pki.UnmarshalDER[certDigestObj](element, "")
		if err != nil {
			return nil, fmt.Errorf("certDigestList: %w", err)
		}
		if len(object.Value) != sm3.Size || object.Type == "" || len(object.Type) > maxText {
			return nil, fmt.Errorf("certDigestList: digest of %d bytes named %.20q", len(object.Value), object.Type)
		}
		entries[i] = Listed{object.Value, object.Type}
	}
	return entries, nil
}

// marshalCertList is the inverse of certList.
func (s *Seal) marshalCertList() (asn1.RawValue, error) {
	elements := make([]asn1.RawValue, len(s.CertList))
	bare := slices.Contains(s.Deviations, RawCertificateElements)
	for i, l := range s.CertList {
		switch {
		case s.CertListType == ListsDigests:
			der, err := asn1.Marshal(certDigestObj{l.DigestType, l.Value})
			if err != nil {
				return asn1.RawValue{}, err
			}
			elements[i].FullBytes = der
		case bare:
			elements[i].FullBytes = l.Value
		default:
			elements[i] = asn1.RawValue{Tag: asn1.TagOctetString, Bytes: l.Value}
		}
	}
	der, err := asn1.Marshal(elements)
	return asn1.RawValue{FullBytes: der}, err
}

// Lists reports whether a certificate is in the seal's list of those who may sign
// with it.
func (s *Seal) Lists(cert *pki.Certificate) bool {
	if s.CertListType == ListsCertificates {
		return s.listsValue(cert.Raw)
	}
	digest := sm3.Sum(cert.Raw)
	return s.listsValue(digest[:])
}

// ListsWithZA reports whether the seal lists the certificate by SM3(ZA‖certificate),
// ZA being that of the certificate's own key, which is inferred: see DigestWithZA.
func (s *Seal) ListsWithZA(cert *pki.Certificate) bool {
	digest := digestWithZA(cert, cert.Raw)
	return digest != nil && s.CertListType == ListsDigests && s.listsValue(digest)
}

func (s *Seal) listsValue(value []byte) bool {
	return slices.ContainsFunc(s.CertList, func(l Listed) bool { return bytes.Equal(l.Value, value) })
}

// digestWithZA is SM3(ZA‖message) with the certificate's key and the default
// identifier (GB/T 32918.2 §5.5); nil if the key is not SM2.
func digestWithZA(cert *pki.Certificate, message []byte) []byte {
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || !sm2.IsSM2PublicKey(key) {
		return nil
	}
	h, err := sm2.NewHash(key)
	if err != nil {
		return nil
	}
	h.Write(message)
	return h.Sum(nil)
}
