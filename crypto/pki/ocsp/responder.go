package ocsp

import (
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"elicence/crypto/pki"
)

// Responder answers for the certificates of one issuer. It is safe for concurrent use
// if its functions are.
type Responder struct {
	Issuer *pki.Certificate
	// Certificate and Key sign: the issuer's own, or one that it gave pki.UsageOCSP.
	Certificate *pki.Certificate
	Key         crypto.Signer
	// Revoked looks a serial number up; nil: not revoked. An error lets the client try
	// later: there is nothing current to answer from.
	Revoked  func(serial *big.Int) (*pki.Revoked, error)
	Lifetime time.Duration // from thisUpdate to nextUpdate
	Now      func() time.Time
	Rand     io.Reader
}

// Respond answers a request, whatever it is, with a DER response. Certificates of other
// issuers are unknown here.
func (r *Responder) Respond(request []byte) []byte {
	q, err := ParseRequest(request)
	if err != nil {
		return refusal(malformedRequest)
	}
	now := r.Now().UTC().Truncate(time.Second)
	data := responseData{ProducedAt: now}
	if data.Extensions, err = nonceExtension(q.Nonce); err != nil {
		return refusal(internalError)
	}
	for _, id := range q.IDs {
		single, err := r.single(id, now)
		if err != nil {
			return refusal(tryLater)
		}
		data.Responses = append(data.Responses, single)
	}
	der, err := r.sign(data)
	if err != nil {
		return refusal(internalError)
	}
	return der
}

// refusal is a response without an answer; its two numbers always encode.
func refusal(status StatusError) []byte {
	der, err := asn1.Marshal(struct{ Status asn1.Enumerated }{asn1.Enumerated(status)})
	if err != nil {
		panic(err)
	}
	return der
}

// single answers for one certificate.
func (r *Responder) single(id CertID, now time.Time) (singleResponse, error) {
	s := singleResponse{ID: id, ThisUpdate: now, NextUpdate: now.Add(r.Lifetime).Truncate(time.Second)}
	if !id.isOf(r.Issuer) {
		s.Status = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2}
		return s, nil
	}
	revoked, err := r.Revoked(id.SerialNumber)
	if err != nil {
		return s, err
	}
	if revoked == nil {
		s.Status = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0}
		return s, nil
	}
	return s, s.revoke(revoked)
}

// revokedInfo is RevokedInfo. The reason unspecified is left out (RFC 5280 §5.3.1).
type revokedInfo struct {
	Time   time.Time       `asn1:"generalized"`
	Reason asn1.Enumerated `asn1:"explicit,tag:0,optional"`
}

func (s *singleResponse) revoke(r *pki.Revoked) error {
	der, err := asn1.MarshalWithParams(revokedInfo{r.At.UTC(), asn1.Enumerated(r.Reason)}, "tag:1")
	if err != nil {
		return fmt.Errorf("encoding RevokedInfo: %w", err)
	}
	s.Status = asn1.RawValue{FullBytes: der}
	if r.InvalidityDate.IsZero() {
		return nil
	}
	value, err := asn1.MarshalWithParams(r.InvalidityDate.UTC(), "generalized")
	if err != nil {
		return fmt.Errorf("encoding invalidity date: %w", err)
	}
	s.Extensions = []pkix.Extension{{Id: oidInvalidityDate, Value: value}}
	return nil
}

// sign encodes and signs a basic response. A delegated signer's certificate goes along.
func (r *Responder) sign(data responseData) ([]byte, error) {
	data.Responder = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: r.Certificate.RawSubject}
	tbs, err := asn1.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encoding ResponseData: %w", err)
	}
	value, err := pki.SignMessage(r.Rand, r.Key, tbs)
	if err != nil {
		return nil, err
	}
	basic := basicResponse{
		TBS: asn1.RawValue{FullBytes: tbs}, Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidSM2WithSM3},
		Signature: asn1.BitString{Bytes: value, BitLength: 8 * len(value)},
	}
	if !r.Certificate.Equal(r.Issuer) {
		basic.Certificates = []asn1.RawValue{{FullBytes: r.Certificate.Raw}}
	}
	der, err := asn1.Marshal(basic)
	if err != nil {
		return nil, fmt.Errorf("encoding BasicOCSPResponse: %w", err)
	}
	return asn1.Marshal(ocspResponse{Bytes: responseBytes{oidBasicResponse, der}})
}

// ServeHTTP answers over HTTP (RFC 6960 appendix A.1): POST with the request as body,
// GET with its base64 as the path, which a caller strips of what stands before.
func (r *Responder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var request []byte
	var err error
	switch q.Method {
	case http.MethodPost:
		if q.Header.Get("Content-Type") != requestType {
			http.Error(w, "the Content-Type is not "+requestType, http.StatusUnsupportedMediaType)
			return
		}
		request, err = io.ReadAll(http.MaxBytesReader(w, q.Body, maxRequest))
	case http.MethodGet:
		request, err = pathRequest(q.URL)
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
		return
	}
	if err != nil {
		http.Error(w, "the request cannot be read", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", responseType)
	w.Header().Set("Cache-Control", "no-store") // a revocation counts at once
	w.Write(r.Respond(request))
}

// pathRequest decodes the path: base64 in which + / = may be percent-encoded.
func pathRequest(u *url.URL) ([]byte, error) {
	text, err := url.PathUnescape(strings.TrimPrefix(u.EscapedPath(), "/"))
	if err != nil || len(text) > 2*maxRequest {
		return nil, fmt.Errorf("path is no request: %w", err)
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}
