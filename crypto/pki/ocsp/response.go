package ocsp

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"elicence/crypto/pki"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// CertStatus is what an issuer says of a certificate.
type CertStatus string

// The three answers of RFC 6960 §2.2.
const (
	Good    CertStatus = "good" // not revoked
	Revoked CertStatus = "revoked"
	Unknown CertStatus = "unknown" // the responder does not answer for its issuer
)

// Answer is what a response says of one certificate.
type Answer struct {
	ID                     CertID
	Status                 CertStatus
	Revoked                *pki.Revoked // set when Status is Revoked
	ThisUpdate, NextUpdate time.Time    // whole seconds; a zero NextUpdate: newer is always to be had
}

// Response is a basic response. Nothing in it is checked but its form: see Check.
type Response struct {
	Raw        []byte // DER
	ProducedAt time.Time
	Nonce      []byte // nil: none
	Answers    []Answer
	// Certificates are those that came along; one of them may be a delegated signer's.
	Certificates []*pki.Certificate

	responder asn1.RawValue // ResponderID
	tbs       []byte
	signature []byte
}

// ocspResponse is RFC 6960 §4.2.1:
//
//	OCSPResponse ::= SEQUENCE {
//	    responseStatus  ENUMERATED,
//	    responseBytes   [0] EXPLICIT ResponseBytes OPTIONAL }
type ocspResponse struct {
	Status asn1.Enumerated
	Bytes  responseBytes `asn1:"explicit,tag:0,optional"`
}

// responseBytes is ResponseBytes ::= SEQUENCE { responseType OBJECT IDENTIFIER, response OCTET STRING }
type responseBytes struct {
	Type     asn1.ObjectIdentifier
	Response []byte
}

// basicResponse is RFC 6960 §4.2.1:
//
//	BasicOCSPResponse ::= SEQUENCE {
//	    tbsResponseData     ResponseData,
//	    signatureAlgorithm  AlgorithmIdentifier,
//	    signature           BIT STRING,
//	    certs               [0] EXPLICIT SEQUENCE OF Certificate OPTIONAL }
type basicResponse struct {
	TBS          asn1.RawValue
	Algorithm    pkix.AlgorithmIdentifier
	Signature    asn1.BitString
	Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional"`
}

// responseData is
//
//	ResponseData ::= SEQUENCE {
//	    version             [0] EXPLICIT Version DEFAULT v1,
//	    responderID         CHOICE { byName [1] Name, byKey [2] OCTET STRING },
//	    producedAt          GeneralizedTime,
//	    responses           SEQUENCE OF SingleResponse,
//	    responseExtensions  [1] EXPLICIT Extensions OPTIONAL }
type responseData struct {
	Version    int `asn1:"explicit,tag:0,default:0,optional"`
	Responder  asn1.RawValue
	ProducedAt time.Time `asn1:"generalized"`
	Responses  []singleResponse
	Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
}

// singleResponse is
//
//	SingleResponse ::= SEQUENCE {
//	    certID            CertID,
//	    certStatus        CHOICE { good [0] NULL, revoked [1] RevokedInfo, unknown [2] NULL },
//	    thisUpdate        GeneralizedTime,
//	    nextUpdate        [0] EXPLICIT GeneralizedTime OPTIONAL,
//	    singleExtensions  [1] EXPLICIT Extensions OPTIONAL }
type singleResponse struct {
	ID         CertID
	Status     asn1.RawValue
	ThisUpdate time.Time        `asn1:"generalized"`
	NextUpdate time.Time        `asn1:"generalized,explicit,tag:0,optional"`
	Extensions []pkix.Extension `asn1:"explicit,tag:1,optional"`
}

// StatusError is a response that brings no answer (RFC 6960 §4.2.1, OCSPResponseStatus).
type StatusError int

// The statuses other than success.
const (
	malformedRequest StatusError = 1
	internalError    StatusError = 2
	tryLater         StatusError = 3
)

// Error names the status.
func (e StatusError) Error() string {
	names := map[StatusError]string{malformedRequest: "malformed request", internalError: "internal error", tryLater: "try later", 5: "signature required", 6: "unauthorized"}
	return fmt.Sprintf("ocsp: the responder refused: status %d %s", int(e), names[e])
}

// ParseResponse reads a DER response of at most 64 KiB. The error is a StatusError
// when it is one without an answer.
func ParseResponse(der []byte) (*Response, error) {
	if len(der) > maxResponse {
		return nil, errors.New("ocsp: response is over 64 KiB")
	}
	outer, err := pki.UnmarshalDER[ocspResponse](der, "")
	if err != nil {
		return nil, fmt.Errorf("ocsp: malformed response: %w", err)
	}
	if outer.Status != 0 {
		return nil, StatusError(outer.Status)
	}
	r := &Response{Raw: der}
	if err := r.parseBasic(outer.Bytes); err != nil {
		return nil, fmt.Errorf("ocsp: malformed response: %w", err)
	}
	return r, nil
}

func (r *Response) parseBasic(b responseBytes) error {
	if !b.Type.Equal(oidBasicResponse) {
		return errors.New("not a basic response")
	}
	basic, err := pki.UnmarshalDER[basicResponse](b.Response, "")
	switch {
	case err != nil:
		return err
	case !basic.Algorithm.Algorithm.Equal(oidSM2WithSM3) || !absentOrNull(basic.Algorithm.Parameters):
		return errors.New("not signed by SM2 with SM3")
	case basic.Signature.BitLength%8 != 0:
		return errors.New("signature is not in whole bytes")
	case len(basic.Certificates) > maxCerts:
		return errors.New("too many certificates")
	}
	r.tbs, r.signature = basic.TBS.FullBytes, basic.Signature.Bytes
	for _, raw := range basic.Certificates {
		cert, err := pki.ParseCertificate(raw.FullBytes)
		if err != nil {
			return err
		}
		r.Certificates = append(r.Certificates, cert)
	}
	return r.parseData()
}

func (r *Response) parseData() error {
	data, err := pki.UnmarshalDER[responseData](r.tbs, "")
	if err != nil {
		return err
	}
	if n := len(data.Responses); n == 0 || n > maxAnswers || data.Version != 0 {
		return fmt.Errorf("version %d with %d answers", data.Version, n)
	}
	r.responder, r.ProducedAt = data.Responder, data.ProducedAt
	if r.Nonce, err = readNonce(data.Extensions); err != nil {
		return err
	}
	for _, single := range data.Responses {
		answer, err := single.parse()
		if err != nil {
			return err
		}
		r.Answers = append(r.Answers, answer)
	}
	return nil
}

func (s *singleResponse) parse() (Answer, error) {
	a := Answer{ID: s.ID, ThisUpdate: s.ThisUpdate, NextUpdate: s.NextUpdate}
	invalid, err := invalidityDate(s.Extensions)
	if err != nil {
		return Answer{}, err
	}
	switch {
	case isStatus(s.Status, 0):
		a.Status = Good
	case isStatus(s.Status, 2):
		a.Status = Unknown
	default:
		a.Status = Revoked
		a.Revoked, err = parseRevokedInfo(s.Status.FullBytes)
		if err != nil {
			return Answer{}, err
		}
		a.Revoked.SerialNumber, a.Revoked.InvalidityDate = s.ID.SerialNumber, invalid
	}
	return a, nil
}

// isStatus reports whether v is [tag] IMPLICIT NULL.
func isStatus(v asn1.RawValue, tag int) bool {
	return v.Class == asn1.ClassContextSpecific && v.Tag == tag && !v.IsCompound && len(v.Bytes) == 0
}

// parseRevokedInfo reads
//
//	revoked [1] IMPLICIT SEQUENCE {
//	    revocationTime    GeneralizedTime,
//	    revocationReason  [0] EXPLICIT CRLReason OPTIONAL }
func parseRevokedInfo(der []byte) (*pki.Revoked, error) {
	r := &pki.Revoked{}
	var body, reason cryptobyte.String
	var given bool
	input := cryptobyte.String(der)
	if !input.ReadASN1(&body, cbasn1.Tag(1).Constructed().ContextSpecific()) || !input.Empty() ||
		!body.ReadASN1GeneralizedTime(&r.At) ||
		!body.ReadOptionalASN1(&reason, &given, cbasn1.Tag(0).Constructed().ContextSpecific()) || !body.Empty() {
		return nil, errors.New("certStatus is none of good, revoked, unknown")
	}
	var code int
	if given && (!reason.ReadASN1Enum(&code) || !reason.Empty()) || !pki.RevocationReason(code).Known() {
		return nil, errors.New("revocationReason is none of RFC 5280")
	}
	r.Reason = pki.RevocationReason(code)
	return r, nil
}

// invalidityDate takes the extension of that name (RFC 5280 §5.3.2); zero: none. A
// critical extension that is not known is an error.
func invalidityDate(extensions []pkix.Extension) (at time.Time, err error) {
	if err := pki.CheckExtensions(extensions, oidInvalidityDate); err != nil {
		return time.Time{}, err
	}
	for _, ext := range extensions {
		if !ext.Id.Equal(oidInvalidityDate) {
			continue
		}
		if at, err = pki.UnmarshalDER[time.Time](ext.Value, "generalized"); err != nil {
			return time.Time{}, errors.New("malformed invalidity date")
		}
	}
	return at, nil
}
