package api

import (
	"crypto"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"elicence/crypto/httpsig"
	"elicence/crypto/pki"
)

// AnswerSigner signs what departments are answered by reuse and to questions, so that they
// can file it as evidence (docs/signed-answers.md). It is a key of the platform's, of usage
// answer, and seals nothing.
type AnswerSigner struct {
	Certificate *pki.Certificate
	Key         crypto.Signer
}

// errUnsigned is why an answer that is logged is not given.
var errUnsigned = &refusal{code: "answer_unsigned", detail: "the key that signs answers cannot be used now; what the access log says was read was not given out"}

// signed answers with v, signed: status, media type, body, request and the receipt of the
// log entry are bound together. The entry permits the signature.
func signed[A any](x *exchange, request []byte, v A) {
	body, err := encoded(v)
	if err == nil {
		err = x.signAnswer("application/json", body, request)
	}
	if err != nil {
		x.report(fmt.Errorf("signing the answer: %w", err))
		for _, name := range []string{httpsig.CertificateField, httpsig.RequestDigest, httpsig.RequestSignature, "Content-Digest"} {
			x.w.Header().Del(name)
		}
		x.fail(errUnsigned)
		return
	}
	x.send(http.StatusOK, "application/json", body)
}

// signAnswer puts the signature of an answer 200 into its header.
func (x *exchange) signAnswer(mediaType string, body, request []byte) error {
	h := x.w.Header()
	h.Set("Content-Type", mediaType)
	h.Set(httpsig.CertificateField, ":"+base64.StdEncoding.EncodeToString(x.cfg.Answers.Certificate.Raw)+":")
	var requestSignature string
	if x.caller.Signed != nil {
		requestSignature = x.caller.Signed.Field
	}
	return httpsig.SignResponse(x.cfg.Rand, x.cfg.Answers.Key, httpsig.Response{Status: http.StatusOK, Header: h}, body, request, requestSignature, x.now(),
		strings.ToLower(headerIndex), strings.ToLower(headerLeaf))
}
