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

	Version        int // 4 or 5
	Seal           *Seal
	SigningTime    time.Time // timeInfo: what the signer claims, proved by nothing
	DocumentDigest []byte    // dataHash: SM3, 32 bytes
	PropertyInfo   string    // how the digest came about
	Certificate    *pki.Certificate
	SignatureValue []byte // DER; also what a timestamp token is over
	Timestamp      []byte // timestamp token, DER; nil: none
}

// Sign makes a seal signature over a document's SM3 digest. It refuses, before
// the key is used, a key that is not the certificate's, a signer whom the seal
// does not list (ErrNotListed), and a time outside the validity of seal or
// certificate (GM/T 0031-2014 §6.2.2). at is kept to the second.
func Sign(rand io.Reader, key crypto.Signer, cert *pki.Certificate, s *Seal, digest []byte, propertyInfo string, at time.Time) (*Signature, error) {
	at = wholeSecond(at)
	switch {
	case s.Version < 4:
		return nil, fmt.Errorf("seal: a seal of version %d is read, not signed with", s.Version)
	case !pki.SamePublicKey(cert, key):
		return nil, errors.New("seal: key is not the signer's")
	case !s.Lists(cert):
		return nil, ErrNotListed
	case !s.ValidAt(at):
		return nil, errors.New("seal: the seal is not valid at the signing time")
	case at.Before(cert.NotBefore) || at.After(cert.NotAfter):
		return nil, errors.New("seal: the signer's certificate is not valid at the signing time")
	}
	tbs, err := asn1.Marshal(tbsSign{
		Version: s.Version, Eseal: asn1.RawValue{FullBytes: s.Raw}, TimeInfo: at,
		DataHash: wholeBytes(digest), PropertyInfo: propertyInfo,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding TBS_Sign: %w", err)
	}
	value, err := pki.SignMessage(rand, key, tbs)
	if err != nil {
		return nil, fmt.Errorf("signing with the seal: %w", err)
	}
	return marshalSignature(sesSignature{
		ToSign: asn1.RawValue{FullBytes: tbs}, Cert: cert.Raw,
		SignatureAlgID: oidSM2WithSM3, Signature: wholeBytes(value),
	})
}

// marshalSignature encodes a signature and reads it back, so that none leaves
// this package that it would not take in.
func marshalSignature(ses sesSignature) (*Signature, error) {
	der, err := asn1.Marshal(ses)
	if err != nil {
		return nil, fmt.Errorf("encoding SES_Signature: %w", err)
	}
	return ParseSignature(der)
}

// ParseSignature reads a SES_Signature of version 4 or 5 with the seal inside it.
// It checks form and bounds only: see CheckSignature, and Seal.CheckSignature for
// the seal.
func ParseSignature(der []byte) (*Signature, error) {
	if len(der) > maxSignature {
		return nil, errors.New("seal: SES_Signature is over its limit")
	}
	sig, err := parseSignature(der)
	if err != nil {
		return nil, fmt.Errorf("seal: malformed SES_Signature: %w", err)
	}
	return sig, nil
}

func parseSignature(der []byte) (*Signature, error) {
	outer, err := pki.UnmarshalDER[sesSignature](der, "")
	if err != nil {
		return nil, err
	}
	if !outer.SignatureAlgID.Equal(oidSM2WithSM3) {
		return nil, fmt.Errorf("signature algorithm %s is not SM2 with SM3", outer.SignatureAlgID)
	}
	sig, err := parseTBS(outer.ToSign.FullBytes)
	if err != nil {
		return nil, fmt.Errorf("TBS_Sign: %w", err)
	}
	sig.Raw = der
	if sig.SignatureValue, err = byteString(outer.Signature); err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	if sig.Timestamp, err = optionalToken(outer.TimeStamp); err != nil {
		return nil, err
	}
	if sig.Certificate, err = pki.ParseCertificate(outer.Cert); err != nil {
		return nil, err
	}
	return sig, nil
}

func parseTBS(der []byte) (*Signature, error) {
	tbs, err := pki.UnmarshalDER[tbsSign](der, "")
	if err != nil {
		return nil, err
	}
	if tbs.Version != 4 && tbs.Version != 5 {
		return nil, fmt.Errorf("structure version %d is neither 4 nor 5", tbs.Version)
	}
	digest, err := byteString(tbs.DataHash)
	if err != nil || len(digest) != sm3.Size {
		return nil, errors.New("dataHash is not an SM3 digest")
	}
	if len(tbs.PropertyInfo) > maxText {
		return nil, errors.New("propertyInfo is over 1 KiB")
	}
	if err := checkExtensions(tbs.ExtDatas); err != nil {
		return nil, err
	}
	inner, err := ParseSeal(tbs.Eseal.FullBytes)
	if err != nil {
		return nil, err
	}
	return &Signature{
		TBSRaw: der, Version: tbs.Version, Seal: inner, SigningTime: tbs.TimeInfo,
		DocumentDigest: digest, PropertyInfo: tbs.PropertyInfo,
	}, nil
}

// CheckSignature reports by nil that the signer's signature is good. Neither the
// signer's certificate nor the seal is judged here.
func (s *Signature) CheckSignature() error {
	if !pki.VerifyMessage(s.Certificate.PublicKey, s.TBSRaw, s.SignatureValue) {
		return errors.New("seal: the signer's signature does not verify")
	}
	return nil
}

// WithTimestamp returns the signature with a timestamp token (DER) in place of
// any it had. The token must be over SignatureValue; that is the caller's to see to.
func (s *Signature) WithTimestamp(token []byte) (*Signature, error) {
	if len(token) == 0 {
		return nil, errors.New("seal: empty timestamp token")
	}
	return marshalSignature(sesSignature{
		ToSign: asn1.RawValue{FullBytes: s.TBSRaw}, Cert: s.Certificate.Raw,
		SignatureAlgID: oidSM2WithSM3, Signature: wholeBytes(s.SignatureValue),
		TimeStamp: wholeBytes(token),
	})
}
