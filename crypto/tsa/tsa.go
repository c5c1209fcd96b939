// Package tsa makes, fetches and checks timestamp tokens with SM2 and SM3.
//
// A token (时间戳, GB/T 20520, GM/T 0033-2014, in the shape of RFC 3161) proves that
// a message existed at a time: it is a CMS SignedData over a TSTInfo, signed by a
// timestamp authority (TSA). Authority is a TSA, Client asks one, ParseToken and
// Check judge what came back. Beyond the shape, the profile is RFC 3161 with SM3 as
// the only imprint, genTime in UTC, and ESSCertIDv2 (RFC 5816) by SM3.
//
// Invariants:
//   - A token is accepted in canonical DER only, with just the certificates that
//     lead up from its signer, without CRLs and unsigned attributes. It stands in a
//     part of a licence file that no other signature covers, so every byte counts.
//   - Both families of object identifiers are read: GM/T 0010 (1.2.156.10197.6.1.4.2.2)
//     and RFC 5652 (1.2.840.113549.1.7.2), and for SM2 in SignerInfo both
//     1.2.156.10197.1.301.1 and 1.2.156.10197.1.501. The GM family is written, in
//     one minimal form that a signed attribute holds later readers to; Client puts
//     the tokens of others into it. The other one only an Authority writes that is
//     for programs which know no other.
//   - The signer is bound by ESSCertIDv2 (RFC 5816), a signed attribute.
//   - Replies are bounded to 64 KiB and to a time limit. A token that does not answer
//     the request (imprint, nonce, policy, signature) is an error: no clock of
//     this machine ever takes its place.
//   - An authority that fails is let alone for a while (Backoff): who waits for it is
//     at most one caller, and nobody has to say that it is back.
//
// It does not judge the path to a trust anchor: crypto/pki does, with
// [pki.UsageTimestamp] and Token.Intermediates.
package tsa

import (
	"bytes"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm3"
)

const (
	maxToken        = 64 << 10 // bytes of a token or a reply
	maxCertificates = 4        // certificates in a token
)

// Token is a parsed timestamp token. Its byte slices are parts of what was parsed
// and must not be changed.
type Token struct {
	Raw          []byte // ContentInfo, DER
	Time         time.Time
	Accuracy     time.Duration // the true time is within ± this; zero: not stated
	Imprint      []byte        // SM3 of the message
	Policy       string        // object identifier in dots
	SerialNumber *big.Int
	Nonce        *big.Int // nil: the request had none

	Certificate   *pki.Certificate   // of the TSA
	Intermediates []*pki.Certificate // its issuers, as far as the token brings them

	minimal     []byte // see Minimal
	info        []byte // TSTInfo, DER
	attributes  []byte // signedAttrs as SET OF, DER: what the TSA signed
	signedAttrs signedAttributes
	signature   []byte
}

// SignedBytes are what the TSA signed and its signature over them, for those who
// check with other tools.
func (t *Token) SignedBytes() (message, signature []byte) { return t.attributes, t.signature }

// ParseToken reads a token of at most 64 KiB. It checks form and bounds only: see
// Check.
func ParseToken(der []byte) (*Token, error) {
	if len(der) > maxToken {
		return nil, errors.New("tsa: token is over 64 KiB")
	}
	t, err := parseToken(der)
	if err != nil {
		return nil, fmt.Errorf("tsa: malformed token: %w", err)
	}
	return t, nil
}

func parseToken(der []byte) (*Token, error) {
	content, err := pki.DecodeDER[contentInfo](der, "")
	if err != nil {
		return nil, err
	}
	signed := content.Content
	if err := checkSignedData(content.ContentType, signed); err != nil {
		return nil, err
	}
	t := &Token{Raw: der, info: signed.EncapContentInfo.EContent, signature: signed.SignerInfos[0].Signature}
	if err := t.setInfo(); err != nil {
		return nil, fmt.Errorf("TSTInfo: %w", err)
	}
	if err := t.setSigner(signed.SignerInfos[0], signed.Certificates); err != nil {
		return nil, err
	}
	// signedAttrs are signed as SET OF, but written with the tag [0] (RFC 5652 §5.4).
	tagged := signed.SignerInfos[0].SignedAttrs.FullBytes
	t.attributes = bytes.Clone(tagged)
	t.attributes[0] = tagSetOf
	if t.signedAttrs, err = parseAttributes(t.attributes); err != nil {
		return nil, fmt.Errorf("signed attributes: %w", err)
	}
	if t.minimal, err = marshalToken(familyGM, t.Certificate, true, t.info, tagged, t.signature); err != nil {
		return nil, err
	}
	switch {
	case bytes.Equal(t.minimal, der): // and so canonical
		return t, nil
	case t.signedAttrs.minimalForm:
		return nil, errors.New("not in the minimal form that its signer chose")
	}
	return t, pki.CheckCanonical(der, content, "")
}

// Minimal is the token in the form that Authority writes: the GM identifiers, no
// parameters, no certificate but the signer's. Its authority's signature covers none of
// that and stays right, so whoever has a token can write it so; and where a token lies
// unprotected, only this form leaves nobody a byte to change.
func (t *Token) Minimal() []byte { return t.minimal }

// checkSignedData holds the parts that no signature covers to the profile.
func checkSignedData(contentType asn1.ObjectIdentifier, s signedData) error {
	gm := contentType.Equal(oidSignedDataGM)
	if !gm && !contentType.Equal(oidSignedData) {
		return fmt.Errorf("content type %s is not signedData", contentType)
	}
	if s.Version != 3 && !(gm && s.Version == 1) { // GM/T 0010 says 1, RFC 5652 §5.1 says 3
		return fmt.Errorf("SignedData version %d", s.Version)
	}
	if len(s.DigestAlgorithms) != 1 || !isAlgorithm(s.DigestAlgorithms[0], oidSM3) {
		return errors.New("digest algorithm is not SM3 alone")
	}
	if !s.EncapContentInfo.EContentType.Equal(oidTSTInfo) {
		return fmt.Errorf("content %s is not TSTInfo", s.EncapContentInfo.EContentType)
	}
	if len(s.SignerInfos) != 1 {
		return fmt.Errorf("%d signers, not 1", len(s.SignerInfos))
	}
	switch si := s.SignerInfos[0]; {
	case si.Version != 1:
		return fmt.Errorf("SignerInfo version %d, not 1", si.Version)
	case !isAlgorithm(si.DigestAlgorithm, oidSM3):
		return errors.New("signer's digest algorithm is not SM3")
	case !isAlgorithm(si.SignatureAlgorithm, oidSM2Sign, oidSM2WithSM3):
		return errors.New("signer's algorithm is not SM2")
	case !si.SignedAttrs.IsCompound:
		return errors.New("no signed attributes")
	}
	return nil
}

func (t *Token) setInfo() error {
	info, err := pki.UnmarshalDER[tstInfo](t.info, "")
	if err != nil {
		return err
	}
	switch {
	case info.Version != 1:
		return fmt.Errorf("version %d, not 1", info.Version)
	case !isAlgorithm(info.MessageImprint.HashAlgorithm, oidSM3) || len(info.MessageImprint.HashedMessage) != sm3.Size:
		return errors.New("message imprint is not SM3")
	case info.SerialNumber == nil:
		return errors.New("no serial number")
	}
	if err := pki.CheckExtensions(info.Extensions); err != nil {
		return err
	}
	if t.Time, err = parseGenTime(info.GenTime); err != nil {
		return err
	}
	if t.Accuracy, err = info.Accuracy.duration(); err != nil {
		return err
	}
	t.Imprint, t.Policy = info.MessageImprint.HashedMessage, info.Policy.String()
	t.SerialNumber, t.Nonce = info.SerialNumber, info.Nonce
	return nil
}

// setSigner finds the signer's certificate and lines up the others above it. One
// that leads nowhere is refused: it would be a place to change bytes at will.
func (t *Token) setSigner(si signerInfo, raw []asn1.RawValue) error {
	if len(raw) == 0 || len(raw) > maxCertificates {
		return fmt.Errorf("%d certificates, not 1 to %d", len(raw), maxCertificates)
	}
	var rest []*pki.Certificate
	for _, r := range raw {
		cert, err := pki.ParseCertificate(r.FullBytes)
		if err != nil {
			return err
		}
		sid := si.SID
		if t.Certificate == nil && bytes.Equal(cert.RawIssuer, sid.Issuer.FullBytes) && cert.SerialNumber.Cmp(sid.SerialNumber) == 0 {
			t.Certificate = cert
			continue
		}
		rest = append(rest, cert)
	}
	if t.Certificate == nil {
		return errors.New("signer's certificate is not in the token")
	}
	for above := t.Certificate; len(rest) > 0; {
		i := issuerIn(rest, above)
		if i < 0 {
			return errors.New("a certificate in the token is not above its signer")
		}
		above = rest[i]
		t.Intermediates = append(t.Intermediates, above)
		rest = append(rest[:i:i], rest[i+1:]...)
	}
	return nil
}

func issuerIn(certs []*pki.Certificate, cert *pki.Certificate) int {
	for i, c := range certs {
		if bytes.Equal(c.RawSubject, cert.RawIssuer) && pki.VerifyMessage(c.PublicKey, cert.RawTBSCertificate, cert.Signature) {
			return i
		}
	}
	return -1
}

// Check reports by nil that the token is over message and that its TSA signed it:
// imprint, content type, digest, the bound certificate and the signature. The
// certificate's path and the time are the caller's to judge.
func (t *Token) Check(message []byte) error {
	imprint, digest := sm3.Sum(message), sm3.Sum(t.info)
	switch {
	case !bytes.Equal(t.Imprint, imprint[:]):
		return errors.New("tsa: token is over another message")
	case !bytes.Equal(t.signedAttrs.messageDigest, digest[:]):
		return errors.New("tsa: token's content does not match its digest")
	case !t.signedAttrs.binds(t.Certificate):
		return errors.New("tsa: token is bound to another certificate")
	case !pki.VerifyMessage(t.Certificate.PublicKey, t.attributes, t.signature):
		return errors.New("tsa: the authority's signature does not verify")
	}
	return nil
}

// signedAttributes are those that Check acts upon; contentType is checked when
// they are parsed.
type signedAttributes struct {
	messageDigest []byte
	certHash      []byte
	certHashSM3   bool // else SHA-256, the default of RFC 5816
	minimalForm   bool
}

func (a *signedAttributes) binds(cert *pki.Certificate) bool {
	digest := sm3.Sum(cert.Raw)
	if !a.certHashSM3 {
		digest = sha256.Sum256(cert.Raw)
	}
	return bytes.Equal(a.certHash, digest[:])
}

// parseAttributes reads signedAttrs. Others than the three needed are allowed,
// being signed, but none may occur twice.
//
// Of a token's outer parts several forms mean the same: either family of
// identifiers, parameters NULL or absent, issuers' certificates or not. An authority
// that signs the attribute minimalForm has bound itself to the one that marshalToken
// writes, and nobody can rewrite its tokens afterwards. Others may do as they like; see
// Token.Minimal.
func parseAttributes(der []byte) (signedAttributes, error) {
	var out signedAttributes
	attributes, err := pki.UnmarshalDER[[]attribute](der, "set")
	if err != nil {
		return out, err
	}
	values := map[string][]byte{}
	for _, a := range attributes {
		if id := a.Type.String(); values[id] != nil || len(a.Values) != 1 {
			return out, fmt.Errorf("attribute %s has not exactly one value", id)
		}
		values[a.Type.String()] = a.Values[0].FullBytes
	}
	contentType, err := pki.UnmarshalDER[asn1.ObjectIdentifier](values[oidContentType.String()], "")
	if err != nil || !contentType.Equal(oidTSTInfo) {
		return out, errors.New("contentType is not TSTInfo")
	}
	if out.messageDigest, err = pki.UnmarshalDER[[]byte](values[oidMessageDigest.String()], ""); err != nil {
		return out, errors.New("no messageDigest")
	}
	signing, err := pki.UnmarshalDER[signingCertificateV2](values[oidSigningCertificateV2.String()], "")
	if err != nil || len(signing.Certs) == 0 {
		return out, errors.New("no signingCertificateV2")
	}
	out.minimalForm = values[oidMinimalForm.String()] != nil
	first := signing.Certs[0] // the signer's own (RFC 5035 §3)
	out.certHash = first.CertHash
	if len(first.HashAlgorithm.Algorithm) > 0 {
		if out.certHashSM3 = isAlgorithm(first.HashAlgorithm, oidSM3); !out.certHashSM3 {
			return signedAttributes{}, fmt.Errorf("certificate is bound by %s", first.HashAlgorithm.Algorithm)
		}
	}
	return out, nil
}
