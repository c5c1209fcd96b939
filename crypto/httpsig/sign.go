package httpsig

import (
	"crypto"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm3"
)

// label is what we call a signature of ours.
const label = "elicence"

// Sign signs a request with an SM2 key at an instant: @method, @target-uri and the fields
// named, which m.Header must have, each once. It sets Signature-Input and Signature in
// m.Header, and draws a nonce.
func Sign(random io.Reader, key crypto.Signer, m Message, created time.Time, fields ...string) error {
	id, err := KeyID(key.Public())
	if err != nil {
		return err
	}
	nonce := make([]byte, 16)
	if _, err := io.ReadFull(random, nonce); err != nil {
		return fmt.Errorf("drawing nonce: %w", err)
	}
	names := append([]string{"@method", "@target-uri"}, fields...)
	input := fmt.Sprintf(`%s=("%s");created=%d;nonce="%x";keyid="%s";alg="%s"`, label, strings.Join(names, `" "`), created.Unix(), nonce, id, Algorithm)
	return SignInput(random, key, m, input)
}

// SignInput is Sign with a Signature-Input of the caller's own making.
func SignInput(random io.Reader, key crypto.Signer, m Message, input string) error {
	s, name, err := ParseInput(input)
	if err != nil {
		return err
	}
	base, err := s.Base(m)
	if err != nil {
		return err
	}
	return sign(random, key, base, input, name, m.Header)
}

// sign signs a base, and puts both fields into a header.
func sign(random io.Reader, key crypto.Signer, base, input, label string, h http.Header) error {
	der, err := pki.SignMessage(random, key, []byte(base))
	if err != nil {
		return err
	}
	raw, err := pki.RawSignature(der)
	if err != nil {
		return err
	}
	h.Set("Signature-Input", input)
	h.Set("Signature", label+"=:"+base64.StdEncoding.EncodeToString(raw[:])+":")
	return nil
}

// ContentDigest is the value of the Content-Digest field of a body, by SM3.
func ContentDigest(body []byte) string {
	sum := sm3.Sum(body)
	return "sm3=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}
