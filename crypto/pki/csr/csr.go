// Package csr makes and reads certification requests (PKCS#10, RFC 2986) with SM2
// and SM3.
//
// A request shows that its maker holds the private key, and how they want to be
// named. Nothing else in it is heeded: the CA decides about usage and validity, so
// the attributes, and the extensions somebody may ask for in them, are read over.
//
// Invariants:
//   - What Parse returns was signed by the key it holds, and is the one DER encoding.
//   - A name holds only what our CA can certify as it stands: nothing is dropped
//     from it silently.
//   - Sizes are bounded before anything is decoded, and no input panics.
//
// cmd/elicenced uses it between an instance and a CA, ours or another's.
package csr

import (
	"bytes"
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode"
	"unicode/utf8"

	"elicence/crypto/pki"
)

const (
	pemType     = "CERTIFICATE REQUEST"
	maxRequest  = 16 << 10 // bytes of DER; a plain request takes some 300
	maxNameText = 64       // characters: ub-common-name and its kin, RFC 5280 §A.1
)

var (
	oidECPublicKey = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidSM2         = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 301}
	oidSM2WithSM3  = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 501}
)

// Request is a certification request whose signature is good.
type Request struct {
	Raw       []byte // DER
	Subject   pkix.Name
	PublicKey crypto.PublicKey // SM2
}

// certificationRequest is RFC 2986 §4.2:
//
//	CertificationRequest ::= SEQUENCE {
//	    certificationRequestInfo  CertificationRequestInfo,
//	    signatureAlgorithm        AlgorithmIdentifier,
//	    signature                 BIT STRING }
type certificationRequest struct {
	Info      asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// certificationRequestInfo is RFC 2986 §4.1:
//
//	CertificationRequestInfo ::= SEQUENCE {
//	    version        INTEGER { v1(0) },
//	    subject        Name,
//	    subjectPKInfo  SubjectPublicKeyInfo,
//	    attributes     [0] IMPLICIT SET OF Attribute }
type certificationRequestInfo struct {
	Version    int
	Subject    asn1.RawValue
	PublicKey  subjectPublicKeyInfo
	Attributes []asn1.RawValue `asn1:"tag:0,set"`
}

type subjectPublicKeyInfo struct {
	Algorithm algorithmIdentifier
	Point     asn1.BitString
}

// algorithmIdentifier is that of a key on a named curve.
type algorithmIdentifier struct{ Algorithm, Curve asn1.ObjectIdentifier }

// Make signs a request for key's public half under a name.
func Make(rand io.Reader, key crypto.Signer, subject pkix.Name) ([]byte, error) {
	point, err := pki.PublicKeyBytes(key.Public())
	if err != nil {
		return nil, err
	}
	name, err := asn1.Marshal(subject.ToRDNSequence())
	if err != nil {
		return nil, fmt.Errorf("encoding subject: %w", err)
	}
	info, err := asn1.Marshal(certificationRequestInfo{
		Subject:   asn1.RawValue{FullBytes: name},
		PublicKey: subjectPublicKeyInfo{algorithmIdentifier{oidECPublicKey, oidSM2}, wholeBytes(point)},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding certification request: %w", err)
	}
	signature, err := pki.SignMessage(rand, key, info)
	if err != nil {
		return nil, err
	}
	der, err := asn1.Marshal(certificationRequest{
		asn1.RawValue{FullBytes: info}, pkix.AlgorithmIdentifier{Algorithm: oidSM2WithSM3}, wholeBytes(signature),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding certification request: %w", err)
	}
	_, err = Parse(der) // what we would not take ourselves nobody gets
	return der, err
}

func wholeBytes(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

// Parse reads one DER request of at most 16 KiB and checks its signature.
func Parse(der []byte) (*Request, error) {
	if len(der) > maxRequest {
		return nil, errors.New("csr: request is over 16 KiB")
	}
	outer, err := pki.UnmarshalDER[certificationRequest](der, "")
	if err != nil {
		return nil, fmt.Errorf("csr: malformed request: %w", err)
	}
	info, err := pki.UnmarshalDER[certificationRequestInfo](outer.Info.FullBytes, "")
	if err != nil {
		return nil, fmt.Errorf("csr: malformed request: %w", err)
	}
	key, err := info.PublicKey.sm2()
	switch {
	case err != nil:
		return nil, err
	case info.Version != 0:
		return nil, fmt.Errorf("csr: version %d is not known", info.Version)
	case !outer.Algorithm.Algorithm.Equal(oidSM2WithSM3) || !absentOrNull(outer.Algorithm.Parameters):
		return nil, errors.New("csr: request is not signed by SM2 with SM3")
	case outer.Signature.BitLength%8 != 0 || !pki.VerifyMessage(key, outer.Info.FullBytes, outer.Signature.Bytes):
		return nil, errors.New("csr: the signature of the request does not verify")
	}
	subject, err := parseName(info.Subject.FullBytes)
	if err != nil {
		return nil, fmt.Errorf("csr: subject: %w", err)
	}
	return &Request{der, subject, key}, nil
}

// absentOrNull accepts both forms of an algorithm without parameters.
func absentOrNull(p asn1.RawValue) bool {
	return len(p.FullBytes) == 0 || bytes.Equal(p.FullBytes, asn1.NullBytes)
}

func (i subjectPublicKeyInfo) sm2() (crypto.PublicKey, error) {
	if !i.Algorithm.Algorithm.Equal(oidECPublicKey) || !i.Algorithm.Curve.Equal(oidSM2) || i.Point.BitLength%8 != 0 {
		return nil, errors.New("csr: the key is not SM2")
	}
	return pki.ParsePublicKey(i.Point.Bytes)
}

// parseName reads a Name and refuses what a certificate of ours would not repeat.
func parseName(der []byte) (pkix.Name, error) {
	var sequence pkix.RDNSequence
	var name pkix.Name
	if rest, err := asn1.Unmarshal(der, &sequence); err != nil || len(rest) > 0 {
		return name, errors.New("malformed name")
	}
	name.FillFromRDNSequence(&sequence)
	for _, attribute := range name.Names {
		if err := checkAttribute(attribute); err != nil {
			return pkix.Name{}, err
		}
	}
	again := pkix.Name{}
	repeated := name.ToRDNSequence()
	again.FillFromRDNSequence(&repeated)
	switch {
	case name.CommonName == "":
		return pkix.Name{}, errors.New("no common name")
	case len(again.Names) != len(name.Names):
		return pkix.Name{}, errors.New("an attribute stands there twice")
	}
	return name, nil
}

// certified are the attribute types 2.5.4.x that pkix.Name carries over.
var certified = []int{3, 5, 6, 7, 8, 9, 10, 11, 17}

func checkAttribute(a pkix.AttributeTypeAndValue) error {
	if t := a.Type; len(t) != 4 || !t[:3].Equal(asn1.ObjectIdentifier{2, 5, 4}) || !slices.Contains(certified, t[3]) {
		return fmt.Errorf("attribute %s is not certified here", a.Type)
	}
	text, ok := a.Value.(string)
	if !ok || text == "" || utf8.RuneCountInString(text) > maxNameText {
		return fmt.Errorf("attribute %s is no text of 1 to %d characters", a.Type, maxNameText)
	}
	for _, c := range text {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return fmt.Errorf("attribute %s holds the character %U", a.Type, c)
		}
	}
	return nil
}

// MarshalPEM writes a request as PEM.
func MarshalPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
}

// ParsePEM reads a file that is one PEM request.
func ParsePEM(text []byte) (*Request, error) {
	if len(text) > 2*maxRequest {
		return nil, errors.New("csr: request is over 16 KiB")
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != pemType && block.Type != "NEW "+pemType || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("csr: file is not one %s block", pemType)
	}
	return Parse(block.Bytes)
}
