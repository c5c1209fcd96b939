// Package cms reads CMS signatures with SM2 and SM3 as other makers put them into
// PDF files: GB/T 35275-2017 (GM/T 0010) and RFC 5652.
//
// Both families of object identifiers are read, both identifiers that are in use for
// SM2 in a SignerInfo (1.2.156.10197.1.301.1 and 1.2.156.10197.1.501), with signed
// attributes and without, detached, or around the document's SM3 digest (the profile
// of 点聚, which calls itself detached all the same).
//
// Invariants:
//   - One signer, SM2 with SM3, definite lengths, nothing behind the structure; sizes
//     and counts are bounded before anything is decoded, and no input panics.
//   - What is signed is taken from the bytes received, never from a re-encoding.
//   - With attributes, messageDigest must be SM3 of the content and contentType its
//     type: an attribute that is signed but does not fit is a wrong signature.
//
// It is stricter than gmsm's pkcs7, which refuses 1.2.156.10197.1.501, compares no
// contentType and trusts the claimed time. Certificates, the time, timestamps and
// other unsigned attributes are not judged: a signature that is found right here is
// still only a statement about its own key. It writes nothing.
//
// cmd/elicence and verify use it to say what a file made elsewhere holds; no licence of ours
// rests on it.
package cms

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm3"
)

const (
	maxSize         = 256 << 10 // bytes of a SignedData
	maxCertificates = 16
)

// Family is the family of object identifiers of a SignedData.
type Family string

// The families.
const (
	FamilyGM  Family = "GB/T 35275" // 1.2.156.10197.6.1.4.2
	FamilyRFC Family = "RFC 5652"   // 1.2.840.113549.1.7
)

// Signed is a parsed SignedData. Its byte slices are parts of what was parsed and
// must not be changed.
type Signed struct {
	Family      Family
	Algorithm   string           // of the SignerInfo, an object identifier in dots
	Certificate *pki.Certificate // the signer's
	Content     []byte           // eContent; nil: detached
	ClaimedTime time.Time        // attribute signingTime, proved by nothing; zero: none

	attributes    []byte // signedAttrs as SET OF, DER; nil: none
	messageDigest []byte
	signature     []byte
}

// Verdict is what Check found.
type Verdict struct {
	// DocumentMatches says that the signature is over this document: by its SM3
	// digest, or over its bytes.
	DocumentMatches bool
	// SignatureValid says that the signature value is right for the signer's key and
	// what is signed.
	SignatureValid bool
}

// Parse reads a SignedData in its ContentInfo. It checks form and bounds only: see
// Check. On error the value is nil.
func Parse(der []byte) (*Signed, error) {
	if len(der) > maxSize {
		return nil, errors.New("cms: SignedData is over 256 KiB")
	}
	s, err := parse(der)
	if err != nil {
		return nil, fmt.Errorf("cms: malformed SignedData: %w", err)
	}
	return s, nil
}

// IsSignedData reports whether a DER value is built like a ContentInfo, which begins with an
// object identifier, and not like an SES_Signature, as far as that goes.
func IsSignedData(der []byte) bool {
	header := 2
	if len(der) > 1 && der[1] >= 0x80 {
		header += int(der[1] & 0x7f)
	}
	return len(der) > header && der[header] == 0x06
}

// HasAttributes reports whether the signature covers signed attributes, which then
// hold the digest of the content.
func (s *Signed) HasAttributes() bool { return s.attributes != nil }

// Check compares the signature with the bytes that a file says it protects.
func (s *Signed) Check(document []byte) Verdict {
	digest := sm3.Sum(document)
	switch {
	case s.Content == nil && s.attributes == nil:
		// Nothing but the signature names the document.
		valid := s.verifies(document)
		return Verdict{valid, valid}
	case s.Content == nil:
		return Verdict{bytes.Equal(s.messageDigest, digest[:]), s.verifies(s.attributes)}
	case s.attributes == nil:
		return Verdict{s.holds(document, digest), s.verifies(s.Content)}
	}
	inner := sm3.Sum(s.Content)
	return Verdict{s.holds(document, digest), bytes.Equal(s.messageDigest, inner[:]) && s.verifies(s.attributes)}
}

// holds reports whether the content is the document, or its digest.
func (s *Signed) holds(document []byte, digest [32]byte) bool {
	return bytes.Equal(s.Content, digest[:]) || bytes.Equal(s.Content, document)
}

func (s *Signed) verifies(message []byte) bool {
	return pki.VerifyMessage(s.Certificate.PublicKey, message, s.signature)
}
