package pki

import (
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/smx509"
)

var oidExtendedKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}

// CA is a certification authority: a certificate that may sign others, and its key.
type CA struct {
	Certificate *Certificate
	Key         crypto.Signer
}

// CertificateRequest says what a new certificate holds. All fields but USCC and
// CRLURL are required.
type CertificateRequest struct {
	Subject   pkix.Name
	PublicKey crypto.PublicKey // SM2
	Usage     Usage
	NotBefore time.Time // inclusive; whole seconds
	NotAfter  time.Time // inclusive; never after the issuing CA's own
	USCC      string    // unified social credit code of the subject; empty: left out
	CRLURL    string    // where the CRL that covers this certificate lies; empty: left out
}

// NewRootCA makes a self-signed root whose path may hold one subordinate CA. The
// request's PublicKey is ignored: a root certifies key's own.
func NewRootCA(rand io.Reader, key crypto.Signer, r CertificateRequest) (*CA, error) {
	r.PublicKey, r.Usage = key.Public(), UsageCA
	template, err := certificateTemplate(rand, r)
	if err != nil {
		return nil, err
	}
	template.MaxPathLen, template.MaxPathLenZero = 1, false
	cert, err := createCertificate(rand, template, template, key, r.PublicKey)
	if err != nil {
		return nil, err
	}
	return &CA{Certificate: cert, Key: key}, nil
}

// Issue signs a certificate for a request. Usage "ca" gives a subordinate CA that
// may sign leaves only. It refuses a validity that ends after the CA's, because a
// path is valid only while all its links are.
func (ca *CA) Issue(rand io.Reader, r CertificateRequest) (*Certificate, error) {
	if r.NotBefore.Before(ca.Certificate.NotBefore) || r.NotAfter.After(ca.Certificate.NotAfter) {
		return nil, fmt.Errorf("pki: validity of %q is not within the CA's", r.Subject.CommonName)
	}
	template, err := certificateTemplate(rand, r)
	if err != nil {
		return nil, err
	}
	return createCertificate(rand, template, ca.Certificate, ca.Key, r.PublicKey)
}

func createCertificate(rand io.Reader, template, parent *Certificate, key crypto.Signer, pub crypto.PublicKey) (*Certificate, error) {
	der, err := smx509.CreateCertificate(rand, template, parent, pub, messageKey{key})
	if err != nil {
		return nil, fmt.Errorf("signing certificate: %w", err)
	}
	return ParseCertificate(der)
}

func certificateTemplate(rand io.Reader, r CertificateRequest) (*Certificate, error) {
	if !r.NotBefore.Before(r.NotAfter) {
		return nil, fmt.Errorf("pki: validity of %q is empty", r.Subject.CommonName)
	}
	point, err := PublicKeyBytes(r.PublicKey)
	if err != nil {
		return nil, err
	}
	serial, err := newSerialNumber(rand)
	if err != nil {
		return nil, err
	}
	keyDigest := sm3.Sum(point)
	template := &Certificate{
		SerialNumber:          serial,
		Subject:               r.Subject,
		NotBefore:             r.NotBefore,
		NotAfter:              r.NotAfter,
		SignatureAlgorithm:    smx509.SM2WithSM3,
		SubjectKeyId:          keyDigest[:20],
		BasicConstraintsValid: true,
	}
	if r.CRLURL != "" {
		template.CRLDistributionPoints = []string{r.CRLURL}
	}
	if err := addUsage(template, r.Usage); err != nil {
		return nil, err
	}
	return template, addUSCC(template, r.USCC)
}

// newSerialNumber draws 127 random bits, so that a serial number is unique
// without a counter and unknown before it is used (RFC 5280 §4.1.2.2).
func newSerialNumber(rand io.Reader) (*big.Int, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(rand, b); err != nil {
		return nil, fmt.Errorf("drawing serial number: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40 // positive, and always 16 bytes long
	return new(big.Int).SetBytes(b), nil
}

func addUsage(template *Certificate, u Usage) error {
	if u == UsageCA {
		template.IsCA, template.MaxPathLenZero = true, true
		template.KeyUsage = smx509.KeyUsageCertSign | smx509.KeyUsageCRLSign
		return nil
	}
	purpose, err := u.purpose()
	if err != nil {
		return err
	}
	value, err := asn1.Marshal([]asn1.ObjectIdentifier{purpose})
	if err != nil {
		return err
	}
	template.MaxPathLen = -1
	template.KeyUsage = smx509.KeyUsageDigitalSignature | smx509.KeyUsageContentCommitment
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{
		Id:       oidExtendedKeyUsage,
		Critical: u == UsageTimestamp, // RFC 3161 §2.3
		Value:    value,
	})
	return nil
}
