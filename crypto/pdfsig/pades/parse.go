package pades

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// Signature is a parsed signature.
type Signature struct {
	Raw []byte // ContentInfo, DER
	// Chain holds the certificates that came with it, the signer's first.
	Chain []*x509.Certificate

	attributes []byte // SET OF, DER: what is signed
	algorithm  pkix.AlgorithmIdentifier
	value      []byte
}

// Parse reads what Sign writes, and nothing else.
func Parse(der []byte) (*Signature, error) {
	if len(der) > maxCMS {
		return nil, errors.New("pades: CMS is over 64 KiB")
	}
	s, err := parse(der)
	if err != nil {
		return nil, fmt.Errorf("pades: malformed CMS: %w", err)
	}
	return s, nil
}

func parse(der []byte) (*Signature, error) {
	var outer contentInfo
	if err := exact(der, &outer); err != nil {
		return nil, err
	}
	var data signedData
	if err := exact(outer.Content.Bytes, &data); err != nil {
		return nil, err
	}
	if !outer.ContentType.Equal(oidSignedData) || len(data.SignerInfos) != 1 {
		return nil, errors.New("not signed data of one signer")
	}
	info := data.SignerInfos[0]
	s := &Signature{Raw: der, algorithm: info.SignatureAlgorithm, value: info.Signature,
		attributes: append([]byte{0x31}, info.SignedAttrs.FullBytes[1:]...)}
	if err := s.readCertificates(data.Certificates.Bytes, info.SID); err != nil {
		return nil, err
	}
	// The shape that Sign writes is the only one: whatever else could stand in CMS
	// would make another encoding.
	again, err := marshal(s.Chain, s.attributes, s.algorithm, s.value)
	if err != nil || !bytes.Equal(again, der) {
		return nil, errors.New("not what this package writes")
	}
	return s, nil
}

// exact decodes all of der, and insists on one encoding.
func exact[T any](der []byte, into *T) error {
	rest, err := asn1.Unmarshal(der, into)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return errors.New("bytes after the end")
	}
	return nil
}

// readCertificates takes the certificates, the signer's to the front.
func (s *Signature) readCertificates(der []byte, signer issuerAndSerialNumber) error {
	certs, err := x509.ParseCertificates(der)
	if err != nil {
		return err
	}
	if len(certs) > maxCertificates {
		return fmt.Errorf("%d certificates", len(certs))
	}
	for i, c := range certs {
		if bytes.Equal(c.RawIssuer, signer.Issuer.FullBytes) && signer.Serial != nil && c.SerialNumber.Cmp(signer.Serial) == 0 {
			certs[0], certs[i] = certs[i], certs[0]
			s.Chain = certs
			return nil
		}
	}
	return errors.New("the signer's certificate is not among them")
}

// Check reports by nil that the signature is the signer's over a file's SHA-256
// digest. The certificate is not judged.
func (s *Signature) Check(digest []byte) error {
	want, err := signedAttributes(s.Chain[0], digest)
	if err != nil {
		return err
	}
	if !bytes.Equal(want, s.attributes) {
		return errors.New("pades: the signature is over another file, or of another certificate")
	}
	if algorithm, err := algorithmOf(s.Chain[0]); err != nil || !algorithm.Algorithm.Equal(s.algorithm.Algorithm) {
		return errors.New("pades: the signature algorithm is not that of the signer's key")
	}
	sum := sha256.Sum256(s.attributes)
	switch key := s.Chain[0].PublicKey.(type) {
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(key, sum[:], s.value) {
			return nil
		}
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], s.value) == nil {
			return nil
		}
	}
	return errors.New("pades: the signer's signature does not verify")
}
