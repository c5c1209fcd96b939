package api

import (
	"errors"
	"io"
	"strings"

	"elicence/crypto/httpsig"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
)

// The refusals of signed requests. Until a signature is found to be by a registered key
// the log names nobody for it.
var (
	errTwoCredentials    = &refusal{code: "credentials_twice", detail: "the request has a signature and an Authorization header: use one"}
	errSignatureKey      = &refusal{code: "signature_key_unknown", detail: "no key is registered under the signature's keyid"}
	errSignatureKeyEnded = &refusal{code: "signature_key_ended", detail: "the key of the signature is not valid yet, has expired, or was ended"}
	errSignatureInvalid  = &refusal{code: "signature_invalid", detail: "the signature is not by the key of its keyid, or the request was changed: compare the signature base with docs/request-signatures.md"}
	errSignatureClient   = &refusal{code: "signature_client_gone", detail: "the client of the signature's key was disabled"}
	errSignatureUnwanted = &refusal{code: "signature_unwanted", detail: "this client is registered for tokens, not for signatures"}
	errDigest            = &refusal{code: "content_digest_mismatch", detail: "the body is not the one that Content-Digest is of"}
)

// errSignature is what is wrong with the form, the coverage or the time of a signature.
func errSignature(err error) *refusal {
	code := "signature_malformed"
	switch {
	case errors.Is(err, httpsig.ErrIncomplete):
		code = "signature_incomplete"
	case errors.Is(err, httpsig.ErrNotCurrent):
		code = "signature_not_current"
	}
	return &refusal{code: code, detail: err.Error()}
}

// identified reports whether the request says who sends it.
func (x *exchange) identified() bool {
	return len(x.r.Header.Values("Authorization")) > 0 || httpsig.Present(x.r.Header)
}

// authenticateSigned sets the caller from the request's signature (RFC 9421). The nonce is
// spent at the gate, with the entry of what was asked. From then on the body is read through
// its digest.
func (x *exchange) authenticateSigned() error {
	if len(x.r.Header.Values("Authorization")) > 0 {
		return x.stranger(errTwoCredentials)
	}
	s, err := httpsig.Parse(x.r.Header)
	if err != nil {
		return x.stranger(errSignature(err))
	}
	key, err := x.cfg.Registry.ClientKey(x.r.Context(), s.KeyID)
	if errors.Is(err, licence.ErrNotFound) {
		return x.stranger(errSignatureKey)
	}
	if err != nil {
		return err
	}
	base, err := x.verified9421(s, key)
	if err != nil {
		return err
	}
	// The client has signed this: its name stands in the log from here on.
	x.caller.Principal = key.Client
	if err := s.Current(x.now()); err != nil {
		return x.stranger(errSignature(err))
	}
	if !key.Current(x.now()) {
		return x.stranger(errSignatureKeyEnded)
	}
	if wait := x.strangers.wait(x.replayer(s.KeyID), x.now()); wait > 0 {
		return x.summed(x.strangers.refused, errLimited(wait))
	}
	signed := registry.Signed{KeyID: s.KeyID, Nonce: s.Nonce, Until: s.Until(), Input: s.Input, Field: s.Field, Base: base}
	if _, err := io.ReadFull(x.cfg.Rand, signed.Owner[:]); err != nil {
		return err
	}
	x.again = func() error { return x.stillSigned(signed) }
	return x.becomeSigned(key, signed)
}

// stillSigned is lookUpSigned for a request whose body was long in coming.
func (x *exchange) stillSigned(signed registry.Signed) error {
	key, err := x.cfg.Registry.ClientKey(x.r.Context(), signed.KeyID)
	if err == nil && !key.Current(x.now()) {
		return errSignatureKeyEnded
	}
	if err != nil {
		return err
	}
	return x.lookUpSigned(key, signed)
}

// lookUpSigned sets the caller to the client of a key that signed the request.
func (x *exchange) lookUpSigned(key registry.ClientKey, signed registry.Signed) error {
	c, err := x.cfg.Registry.CallerSigned(x.r.Context(), key, signed, x.requestID)
	switch {
	case errors.Is(err, registry.ErrUnauthenticated):
		return x.stranger(errSignatureClient)
	case errors.Is(err, registry.ErrSignatureUnwanted):
		return x.stranger(errSignatureUnwanted)
	case err != nil:
		return err
	}
	x.caller = c
	return nil
}

// becomeSigned sets the caller to the client of a key, and has the body read through its digest.
func (x *exchange) becomeSigned(key registry.ClientKey, signed registry.Signed) error {
	if err := x.lookUpSigned(key, signed); err != nil {
		return err
	}
	if !x.hasBody() && len(x.r.Header.Values("Content-Digest")) == 0 {
		return nil
	}
	body, err := httpsig.Body(x.r.Header, x.r.Body)
	if err != nil {
		return errSignature(err)
	}
	x.r.Body = body
	return nil
}

// verified9421 verifies a signature of this request with a key, and returns its base.
func (x *exchange) verified9421(s *httpsig.Signature, key registry.ClientKey) (string, error) {
	if err := s.Covers(x.mustCover()...); err != nil {
		return "", x.stranger(errSignature(err))
	}
	target := x.r.RequestURI
	if !strings.HasPrefix(target, "/") { // a proxy's form of it
		target = x.r.URL.RequestURI()
	}
	base, err := s.Base(httpsig.Message{Method: x.r.Method, Origin: x.cfg.PublicURL, Target: target, Header: x.r.Header})
	if err != nil {
		return "", x.stranger(errSignature(err))
	}
	pub, err := pki.ParsePublicKeyInfo(key.PublicKey)
	if err != nil {
		return "", err
	}
	if !s.Verify(pub, base) {
		return "", x.stranger(errSignatureInvalid)
	}
	return base, nil
}

// mustCover are the fields that a signature must cover because they say what is asked.
func (x *exchange) mustCover() (fields []string) {
	if x.hasBody() {
		fields = []string{"content-type", "content-digest"}
	}
	for name := range x.r.Header {
		if name == "Idempotency-Key" || strings.HasPrefix(name, "Elicence-") || name == "Content-Digest" || name == "Content-Encoding" {
			fields = append(fields, strings.ToLower(name))
		}
	}
	return fields
}

// hasBody reports whether the request has a body, be it of a length not told.
func (x *exchange) hasBody() bool { return x.r.ContentLength != 0 }

// replayer is whom a replay counts against: the key at this address, so that nobody
// elsewhere can lock its client out.
func (x *exchange) replayer(keyID string) string { return x.remote() + " " + keyID }

// drained reads what is left of a body after the last part of a form, so that a signed one
// is compared with its digest to its end.
func (x *exchange) drained() error {
	if _, err := io.Copy(io.Discard, x.r.Body); err != nil {
		return bodyFault(err, errUnreadable)
	}
	return x.come()
}
