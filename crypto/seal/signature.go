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
	maxSignature = maxSeal + 256<<10 // bytes of a SES_Signature
	maxTimestamp = 64 << 10          // bytes of a timestamp token
)

// ErrNotListed is the refusal to sign with a seal whose list lacks the signer.
var ErrNotListed = errors.New("seal: signer is not in the seal's certificate list")

// Signature is a parsed seal signature. Its byte slices are parts of what was
// parsed and must not be changed.
type Signature struct {
	Raw    []byte // SES_Signature, DER
	TBSRaw []byte // TBS_Sign, DER: what the signer signed

	Version        int // 1, 4 or 5
	Seal           *Seal
	SigningTime    time.Time // timeInfo: what the signer claims, proved by nothing; zero with a TimeToken
	TimeToken      []byte    // version 1: timeInfo as a timestamp token, DER; nil: it is a time
	DocumentDigest []byte    // dataHash: SM3, 32 bytes
	PropertyInfo   string    // how the digest came about
	Extensions     []Extension
	Certificate    *pki.Certificate
	Algorithm      asn1.ObjectIdentifier
	SignatureValue []byte // DER; also what a timestamp token is over
	Timestamp      []byte // timestamp token, DER; nil: none. Version 1 has none

	Deviations []Deviation // those of the seal too, in the order of their names
}

// Sign makes a seal signature of the seal's version over a document's SM3 digest.
// It refuses, before the key is used, a seal that deviates or is of version 1, a
// key that is not the certificate's, a signer whom the seal does not list
// (ErrNotListed), and a time outside the validity of seal or certificate (GM/T
// 0031-2014 §6.2.2). at is kept to the second.
func Sign(rand io.Reader, key crypto.Signer, cert *pki.Certificate, s *Seal, digest []byte, propertyInfo string, at time.Time) (*Signature, error) {
	sig := &Signature{
		Version: s.Version, Seal: s, SigningTime: wholeSecond(at), DocumentDigest: digest,
		PropertyInfo: propertyInfo, Certificate: cert, Algorithm: oidSM2WithSM3,
	}
	if err := sig.mayBeMade(key); err != nil {
		return nil, err
	}
	var err error
	if sig.TBSRaw, err = sig.marshalTBS(s.Raw); err != nil {
		return nil, fmt.Errorf("encoding TBS_Sign: %w", err)
	}
	if sig.SignatureValue, err = pki.SignMessage(rand, key, sig.TBSRaw); err != nil {
		return nil, fmt.Errorf("signing with the seal: %w", err)
	}
	return sig.finish()
}

// mayBeMade are the conditions of Sign.
func (s *Signature) mayBeMade(key crypto.Signer) error {
	at, cert := s.SigningTime, s.Certificate
	switch {
	case s.Version < 4:
		return fmt.Errorf("seal: a seal of version %d is read, not signed with", s.Version)
	case len(s.Seal.Deviations) > 0:
		return fmt.Errorf("seal: the seal deviates from the standard: %s", s.Seal.Deviations)
	case !pki.SamePublicKey(cert, key):
		return errors.New("seal: key is not the signer's")
	case !s.Seal.Lists(cert):
		return ErrNotListed
	case !s.Seal.ValidAt(at):
		return errors.New("seal: the seal is not valid at the signing time")
	case at.Before(cert.NotBefore) || at.After(cert.NotAfter):
		return errors.New("seal: the signer's certificate is not valid at the signing time")
	}
	return nil
}

// WithTimestamp returns the signature with a timestamp token (DER) in place of
// any it had. The token must be over SignatureValue; that is the caller's to see to.
func (s *Signature) WithTimestamp(token []byte) (*Signature, error) {
	switch {
	case s.Version < 4:
		return nil, fmt.Errorf("seal: a seal signature of version %d holds no timestamp", s.Version)
	case len(token) == 0:
		return nil, errors.New("seal: empty timestamp token")
	}
	stamped := *s
	stamped.Timestamp = token
	return stamped.finish()
}

// finish encodes a signature and reads it back, so that none leaves this package
// that it would not take in.
func (s *Signature) finish() (*Signature, error) {
	der, err := s.marshal(s.TBSRaw)
	if err != nil {
		return nil, fmt.Errorf("encoding SES_Signature: %w", err)
	}
	made, err := parseSignature(der, reading{allowed: s.Deviations, known: s})
	if err != nil {
		return nil, fmt.Errorf("seal: a SES_Signature would be malformed: %w", err)
	}
	return made, nil
}

// marshalTBS encodes TBS_Sign, with the seal as given, from the signature's fields.
func (s *Signature) marshalTBS(seal []byte) (der []byte, err error) {
	raw, digest := asn1.RawValue{FullBytes: seal}, wholeBytes(s.DocumentDigest)
	if s.Version >= 4 {
		return asn1.Marshal(tbsSign{s.Version, raw, s.SigningTime, digest, s.PropertyInfo, s.Extensions})
	}
	info := s.TimeToken
	if info == nil {
		if info, err = asn1.MarshalWithParams(s.SigningTime, "utc"); err != nil {
			return nil, err
		}
	}
	return asn1.Marshal(tbsSignV1{s.Version, raw, wholeBytes(info), digest, s.PropertyInfo, s.Certificate.Raw, s.Algorithm})
}

// marshal encodes the SES_Signature around a TBS_Sign.
func (s *Signature) marshal(tbs []byte) ([]byte, error) {
	raw, value := asn1.RawValue{FullBytes: tbs}, wholeBytes(s.SignatureValue)
	if s.Version == 1 {
		return asn1.Marshal(sesSignatureV1{raw, value})
	}
	return asn1.Marshal(sesSignature{raw, s.Certificate.Raw, s.Algorithm, value, tokenBits(s.Timestamp)})
}

// ParseSignature reads a SES_Signature of version 1, 4 or 5 with the seal inside it,
// neither of which may deviate from its standard but as allowed. It checks form and
// bounds only: see CheckSignature, and Seal.CheckSignature for the seal.
func ParseSignature(der []byte, allowed ...Deviation) (*Signature, error) {
	s, err := parseSignature(der, reading{allowed: allowed})
	if err != nil {
		return nil, fmt.Errorf("seal: malformed SES_Signature: %w", err)
	}
	return s, nil
}

func parseSignature(der []byte, r reading) (s *Signature, err error) {
	if len(der) > maxSignature {
		return nil, errors.New("over its limit")
	}
	version, ok := signatureVersion(der)
	if !ok {
		return nil, errors.New("no version")
	}
	switch version {
	case 1:
		s, err = r.signatureV1(der)
	case 4, 5:
		s, err = r.signatureV4(der)
	default:
		err = fmt.Errorf("structure version %d is not known", version)
	}
	if err != nil {
		return nil, err
	}
	s.Deviations = union(r.found, s.Seal.Deviations)
	return s, nil
}

func (r *reading) signatureV4(der []byte) (*Signature, error) {
	outer, err := readSigned(der)
	if err != nil {
		return nil, err
	}
	tbs, err := readTBS(outer.content)
	if err != nil {
		return nil, fmt.Errorf("TBS_Sign: %w", err)
	}
	s := &Signature{
		Raw: der, TBSRaw: outer.content, Version: tbs.Version, SigningTime: tbs.TimeInfo, DocumentDigest: tbs.DataHash.Bytes,
		PropertyInfo: tbs.PropertyInfo, Extensions: tbs.ExtDatas, SignatureValue: outer.value, Timestamp: outer.timestamp,
	}
	return s, r.signer(s, tbs.Eseal.FullBytes, outer.cert, outer.algorithm)
}

// signer takes the parts that all versions share.
func (r *reading) signer(s *Signature, sealDER, cert []byte, algorithm asn1.ObjectIdentifier) (err error) {
	switch {
	case len(s.PropertyInfo) > maxText:
		return errors.New("propertyInfo is over 1 KiB")
	case len(s.DocumentDigest) != sm3.Size:
		return errors.New("dataHash is not an SM3 digest")
	}
	if err := r.algorithm(algorithm); err != nil {
		return err
	}
	s.Algorithm = algorithm
	if known := r.known; known != nil && bytes.Equal(cert, known.Certificate.Raw) && bytes.Equal(sealDER, known.Seal.Raw) {
		s.Certificate, s.Seal = known.Certificate, known.Seal
	} else if s.Certificate, err = pki.ParseCertificate(cert); err != nil {
		return err
	} else if s.Seal, err = parseSeal(sealDER, r.allowed); err != nil {
		return fmt.Errorf("SESeal: %w", err)
	}
	if slices.Contains(r.allowed, DigestWithZA) && s.Seal.ListsWithZA(s.Certificate) {
		return r.meet(DigestWithZA, "certDigest")
	}
	return nil
}

// CheckSignature reports by nil that the signer's signature is good. Neither the
// signer's certificate nor the seal is judged here.
func (s *Signature) CheckSignature() error {
	if !pki.VerifyMessage(s.Certificate.PublicKey, s.TBSRaw, s.SignatureValue) {
		return errors.New("seal: the signer's signature does not verify")
	}
	return nil
}

// CoversWithZA reports whether dataHash is SM3(ZA‖document), ZA being that of the
// signer, which is inferred: see DigestWithZA. Of our own files it is never true.
func (s *Signature) CoversWithZA(document []byte) bool {
	digest := digestWithZA(s.Certificate, document)
	return digest != nil && bytes.Equal(s.DocumentDigest, digest)
}
