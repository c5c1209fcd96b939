package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"

	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// RevocationReason is a CRLReason of RFC 5280 §5.3.1 (吊销原因), under its name there.
type RevocationReason int

// The reasons of RFC 5280; the numbers are those on the wire.
const (
	Unspecified          RevocationReason = 0
	KeyCompromise        RevocationReason = 1
	CACompromise         RevocationReason = 2
	AffiliationChanged   RevocationReason = 3
	Superseded           RevocationReason = 4
	CessationOfOperation RevocationReason = 5
	CertificateHold      RevocationReason = 6
	PrivilegeWithdrawn   RevocationReason = 9
	AACompromise         RevocationReason = 10
)

// ParseRevocationReason reads a name of RFC 5280, such as "keyCompromise".
func ParseRevocationReason(name string) (RevocationReason, error) {
	for r := Unspecified; r <= AACompromise; r++ {
		if r.Known() && r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("pki: %q is no reason of RFC 5280", name)
}

// Known reports whether r is a reason of RFC 5280 for which a certificate is revoked:
// 7 is not used, and 8 (removeFromCRL) takes a revocation back.
func (r RevocationReason) Known() bool {
	return r >= Unspecified && r <= AACompromise && r != 7 && r != 8
}

// LostKey reports whether the reason says that somebody else may have the key.
func (r RevocationReason) LostKey() bool {
	return r == KeyCompromise || r == CACompromise || r == AACompromise
}

// String gives the name of RFC 5280, such as "keyCompromise".
func (r RevocationReason) String() string {
	switch r {
	case Unspecified:
		return "unspecified"
	case KeyCompromise:
		return "keyCompromise"
	case CACompromise:
		return "cACompromise"
	case AffiliationChanged:
		return "affiliationChanged"
	case Superseded:
		return "superseded"
	case CessationOfOperation:
		return "cessationOfOperation"
	case CertificateHold:
		return "certificateHold"
	case PrivilegeWithdrawn:
		return "privilegeWithdrawn"
	case AACompromise:
		return "aACompromise"
	}
	return fmt.Sprintf("reason %d", int(r))
}

// Status is an issuer's word on one certificate, given otherwise than by a CRL
// (OCSP, RFC 6960).
type Status struct {
	Revoked                *Revoked // nil: not revoked
	ThisUpdate, NextUpdate time.Time
	Raw                    []byte // the issuer's signed statement, for those who keep it as evidence; may be nil
}

// earlier is the revocation that took effect first; nil when there is none.
func earlier(x, y *Revoked) *Revoked {
	if x == nil || y != nil && y.Effective().Before(x.Effective()) {
		return y
	}
	return x
}

// Revoked is one line of a CRL.
type Revoked struct {
	SerialNumber   *big.Int
	At             time.Time        // when the CA revoked it
	Reason         RevocationReason // zero: unspecified
	InvalidityDate time.Time        // since when the key is not to be trusted; zero: not stated
}

// Effective is the moment from which signatures do not count. For a lost key that
// is the InvalidityDate where one is stated and earlier: whoever holds the key
// could sign before the loss was noticed (RFC 5280 §5.3.2).
func (r *Revoked) Effective() time.Time {
	if r.Reason.LostKey() && !r.InvalidityDate.IsZero() && r.InvalidityDate.Before(r.At) {
		return r.InvalidityDate
	}
	return r.At
}

var (
	oidInvalidityDate = asn1.ObjectIdentifier{2, 5, 29, 24}
	oidReasonCode     = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidCRLNumber      = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidAuthorityKeyID = asn1.ObjectIdentifier{2, 5, 29, 35}
)

// CRL signs the list of what this CA revoked, in DER. number must rise with every
// list and is not negative; of two lists the one with the higher number is believed.
func (ca *CA) CRL(rand io.Reader, number int64, revoked []Revoked, thisUpdate, nextUpdate time.Time) ([]byte, error) {
	if number < 0 || !thisUpdate.Before(nextUpdate) {
		return nil, errors.New("pki: CRL needs a number, and a next update after this one")
	}
	template := &smx509.RevocationList{
		SignatureAlgorithm: smx509.SM2WithSM3,
		Number:             big.NewInt(number),
		ThisUpdate:         thisUpdate,
		NextUpdate:         nextUpdate,
	}
	for _, r := range revoked {
		entry := smx509.RevocationListEntry{SerialNumber: r.SerialNumber, RevocationTime: r.At, ReasonCode: int(r.Reason)}
		if !r.InvalidityDate.IsZero() {
			value, err := asn1.MarshalWithParams(r.InvalidityDate.UTC(), "generalized")
			if err != nil {
				return nil, fmt.Errorf("encoding invalidity date: %w", err)
			}
			entry.ExtraExtensions = []pkix.Extension{{Id: oidInvalidityDate, Value: value}}
		}
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, entry)
	}
	der, err := smx509.CreateRevocationList(rand, template, ca.Certificate, messageKey{ca.Key})
	if err != nil {
		return nil, fmt.Errorf("signing CRL: %w", err)
	}
	return der, nil
}

// signedCRL is a CRL as far as is needed to check its signature.
type signedCRL struct{ tbs, issuer, signature []byte } // issuer is a DER name

// peelCRL takes a CRL (RFC 5280 §5.1) apart without looking at its lines:
//
//	CertificateList ::= SEQUENCE { tbsCertList TBSCertList, signatureAlgorithm, signatureValue BIT STRING }
//	TBSCertList ::= SEQUENCE { version INTEGER OPTIONAL, signature AlgorithmIdentifier, issuer Name, … }
func peelCRL(der []byte) (c signedCRL, err error) {
	if err := checkSignedShape(der); err != nil {
		return c, fmt.Errorf("malformed CRL: %w", err)
	}
	var outer, tbs, body, issuer cryptobyte.String
	input := cryptobyte.String(der)
	if !input.ReadASN1(&outer, cbasn1.SEQUENCE) || !outer.ReadASN1Element(&tbs, cbasn1.SEQUENCE) || !outer.SkipASN1(cbasn1.SEQUENCE) ||
		!outer.ReadASN1BitStringAsBytes(&c.signature) {
		return c, errors.New("malformed CRL")
	}
	c.tbs = tbs
	if !tbs.ReadASN1(&body, cbasn1.SEQUENCE) || !body.SkipOptionalASN1(cbasn1.INTEGER) || !body.SkipASN1(cbasn1.SEQUENCE) ||
		!body.ReadASN1Element(&issuer, cbasn1.SEQUENCE) {
		return c, errors.New("malformed CRL: no issuer")
	}
	c.issuer = issuer
	return c, nil
}

// crl is a parsed CRL with its lines by serial number.
type crl struct {
	raw                    []byte // DER
	number                 *big.Int
	thisUpdate, nextUpdate time.Time
	revoked                map[string]*Revoked // by SerialNumber.String()
}

// parseCRL reads a complete CRL for one issuer. A delta or partial list, which
// says so by a critical extension, proves nothing of what it leaves out and is
// refused; so is any other critical extension.
func parseCRL(der []byte) (*crl, error) {
	if err := checkSignedShape(der); err != nil {
		return nil, fmt.Errorf("malformed CRL: %w", err)
	}
	list, err := smx509.ParseRevocationList(der)
	switch {
	case err != nil:
		return nil, fmt.Errorf("malformed CRL: %w", err)
	case list.Number == nil || list.NextUpdate.IsZero():
		return nil, errors.New("CRL has no number or no next update")
	case list.SignatureAlgorithm != smx509.SM2WithSM3:
		return nil, errors.New("CRL is not signed by SM2 with SM3")
	}
	if err := CheckExtensions(list.Extensions, oidCRLNumber, oidAuthorityKeyID); err != nil {
		return nil, fmt.Errorf("CRL: %w", err)
	}
	c := &crl{der, list.Number, list.ThisUpdate, list.NextUpdate, map[string]*Revoked{}}
	for _, entry := range list.RevokedCertificateEntries {
		r, err := parseRevoked(entry)
		if err != nil {
			return nil, fmt.Errorf("CRL entry %s: %w", entry.SerialNumber, err)
		}
		serial := r.SerialNumber.String()
		c.revoked[serial] = earlier(c.revoked[serial], r)
	}
	return c, nil
}

// newest is the list with the highest number.
func newest(lists []*crl) *crl {
	return slices.MaxFunc(lists, func(x, y *crl) int { return x.number.Cmp(y.number) })
}

func parseRevoked(entry smx509.RevocationListEntry) (*Revoked, error) {
	if err := CheckExtensions(entry.Extensions, oidReasonCode, oidInvalidityDate); err != nil {
		return nil, err
	}
	r := &Revoked{SerialNumber: entry.SerialNumber, At: entry.RevocationTime, Reason: RevocationReason(entry.ReasonCode)}
	for _, ext := range entry.Extensions {
		if !ext.Id.Equal(oidInvalidityDate) {
			continue
		}
		if rest, err := asn1.UnmarshalWithParams(ext.Value, &r.InvalidityDate, "generalized"); err != nil || len(rest) > 0 {
			return nil, errors.New("malformed invalidity date")
		}
	}
	return r, nil
}
