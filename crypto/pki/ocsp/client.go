package ocsp

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"elicence/crypto/pki"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	defaultTimeout = 3 * time.Second
	nonceSize      = 32 // bytes (RFC 9654 §2.1)
	clockSkew      = time.Minute
	// freshFor is how long an answer counts that does not say until when it does.
	freshFor = 10 * time.Minute
)

// Client asks responders. It is safe for concurrent use if Rand is.
type Client struct {
	HTTP    *http.Client // its Transport is used; nil: the default one
	Rand    io.Reader    // for nonces
	Now     func() time.Time
	Timeout time.Duration // for one request in all; zero: 3 s
	// RequireNonce refuses an answer that does not repeat the nonce.
	RequireNonce bool
}

// ErrUnknown is an answer by a responder that does not know the certificate's issuer.
var ErrUnknown = errors.New("ocsp: the responder does not answer for this certificate")

// Status asks the responder at url whether issuer revoked cert, and returns only what
// it may believe: see Response.Check.
func (c *Client) Status(ctx context.Context, url string, cert, issuer *pki.Certificate) (*pki.Status, error) {
	id, err := NewCertID(issuer, cert.SerialNumber)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(c.Rand, nonce); err != nil {
		return nil, fmt.Errorf("drawing nonce: %w", err)
	}
	request, err := MarshalRequest([]CertID{id}, nonce)
	if err != nil {
		return nil, err
	}
	der, err := c.post(ctx, url, request)
	if err != nil {
		return nil, fmt.Errorf("asking OCSP responder %s: %w", url, err)
	}
	r, err := ParseResponse(der)
	switch {
	case err != nil:
		return nil, err
	case r.Nonce == nil && c.RequireNonce:
		return nil, errors.New("ocsp: response has no nonce")
	case r.Nonce != nil && !bytes.Equal(r.Nonce, nonce):
		return nil, errors.New("ocsp: response answers another request")
	}
	return r.Check(id, issuer, c.Now())
}

// post sends one request. The time limit spans the reading of the body too, and no
// redirect is followed: the certificate names the responder.
func (c *Client) post(ctx context.Context, url string, request []byte) ([]byte, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", requestType)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if c.HTTP != nil {
		client.Transport = c.HTTP.Transport
	}
	answer, err := client.Do(q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if got := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || got != responseType {
		return nil, fmt.Errorf("HTTP status %d with content type %q", answer.StatusCode, got)
	}
	der, err := io.ReadAll(io.LimitReader(answer.Body, maxResponse+1))
	if err == nil && len(der) > maxResponse {
		err = errors.New("response is over 64 KiB")
	}
	return der, err
}

// Check returns what the response says of the certificate id, when issuer, or a signer
// that issuer certified for OCSP, signed it and it is current at now: thisUpdate ≤ now ≤
// nextUpdate. The Status says so with a minute's allowance for clocks before
// thisUpdate, and ten minutes after it where nextUpdate is left out.
func (r *Response) Check(id CertID, issuer *pki.Certificate, now time.Time) (*pki.Status, error) {
	if !id.isOf(issuer) {
		return nil, errors.New("ocsp: certificate is not of this issuer")
	}
	signer, err := r.signer(issuer, now)
	if err != nil {
		return nil, err
	}
	if !pki.VerifyMessage(signer.PublicKey, r.tbs, r.signature) {
		return nil, errors.New("ocsp: the responder's signature does not verify")
	}
	i := slices.IndexFunc(r.Answers, func(a Answer) bool { return a.ID.equal(&id) })
	if i < 0 {
		return nil, errors.New("ocsp: response is about another certificate")
	}
	a := r.Answers[i]
	if a.Status == Unknown {
		return nil, ErrUnknown
	}
	s := &pki.Status{Revoked: a.Revoked, ThisUpdate: a.ThisUpdate, NextUpdate: a.NextUpdate, Raw: r.Raw}
	if s.NextUpdate.IsZero() {
		s.NextUpdate = s.ThisUpdate.Add(freshFor)
	}
	s.ThisUpdate = s.ThisUpdate.Add(-clockSkew) // the caller's "now" may also be from before the question
	if now.Before(s.ThisUpdate) || now.After(s.NextUpdate) {
		return nil, fmt.Errorf("ocsp: response is not current: from %s to %s", s.ThisUpdate.Format(time.RFC3339), s.NextUpdate.Format(time.RFC3339))
	}
	return s, nil
}

// signer finds who signed: the issuer, or a certificate that came along and that the
// issuer gave the right to (RFC 6960 §4.2.2.2).
func (r *Response) signer(issuer *pki.Certificate, now time.Time) (*pki.Certificate, error) {
	if r.namesResponder(issuer) {
		return issuer, nil
	}
	for _, cert := range r.Certificates {
		if r.namesResponder(cert) {
			return cert, mayAnswer(cert, issuer, now)
		}
	}
	return nil, errors.New("ocsp: neither the issuer signed the response nor a certificate in it")
}

// namesResponder compares the ResponderID: the DER name, or SHA-1 of the key.
func (r *Response) namesResponder(cert *pki.Certificate) bool {
	body, key := cryptobyte.String(r.responder.Bytes), []byte(nil)
	switch {
	case r.responder.Class != 2 || !r.responder.IsCompound:
		return false
	case r.responder.Tag == 1:
		return bytes.Equal(body, cert.RawSubject)
	case r.responder.Tag != 2 || !body.ReadASN1Bytes(&key, cbasn1.OCTET_STRING) || !body.Empty():
		return false
	}
	point, err := pki.PublicKeyBytes(cert.PublicKey)
	digest := sha1.Sum(point)
	return err == nil && bytes.Equal(key, digest[:])
}

// mayAnswer says why a certificate may not answer for an issuer; nil when it may.
func mayAnswer(cert, issuer *pki.Certificate, now time.Time) error {
	noCheck := func(ext pkix.Extension) bool { return ext.Id.Equal(oidNoCheck) }
	switch {
	case !bytes.Equal(cert.RawIssuer, issuer.RawSubject) || !pki.VerifyMessage(issuer.PublicKey, cert.RawTBSCertificate, cert.Signature):
		return errors.New("ocsp: the signer's certificate is not of the issuer")
	case now.Before(cert.NotBefore) || now.After(cert.NotAfter):
		return errors.New("ocsp: the signer's certificate is out of its validity")
	case len(cert.UnhandledCriticalExtensions) > 0:
		return errors.New("ocsp: the signer's certificate has a critical extension that is not known")
	case !slices.ContainsFunc(cert.Extensions, noCheck):
		return errors.New("ocsp: the signer's certificate lacks id-pkix-ocsp-nocheck, and could itself be revoked")
	}
	return pki.CheckUsage(cert, pki.UsageOCSP)
}
