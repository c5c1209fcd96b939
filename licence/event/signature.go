package event

import (
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm3"
)

// Algorithm names the signature in webhook-signature. It is a private name: Standard
// Webhooks has v1 for HMAC and v1a for Ed25519, and none for SM2.
const Algorithm = "sm2-sm3"

// The headers: three of Standard Webhooks, and one of our own, which names the key.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
	HeaderKey       = "Elicence-Key-Id"
)

// SignedBytes is what the signature is over: the event's identifier, the second of the attempt
// since 1970 and the body as it is sent, with dots between them.
func SignedBytes(id string, at time.Time, body []byte) []byte {
	return append(fmt.Appendf(nil, "%s.%d.", id, at.Unix()), body...)
}

// KeyID names a key: SM3 of its SubjectPublicKeyInfo, lower-case hex.
func KeyID(pub crypto.PublicKey) (string, error) {
	der, err := pki.MarshalPublicKeyInfo(pub)
	if err != nil {
		return "", err
	}
	sum := sm3.Sum(der)
	return hex.EncodeToString(sum[:]), nil
}

// Sign sets the headers of one attempt to deliver an event, whose body is as it is sent: the
// platform's SM2 key (GB/T 32918.2, with SM3 and the default identifier) signs SignedBytes.
func Sign(random io.Reader, key crypto.Signer, h http.Header, id string, at time.Time, body []byte) error {
	keyID, err := KeyID(key.Public())
	if err != nil {
		return err
	}
	der, err := pki.SignMessage(random, key, SignedBytes(id, at, body))
	if err != nil {
		return fmt.Errorf("signing event: %w", err)
	}
	raw, err := pki.RawSignature(der)
	if err != nil {
		return fmt.Errorf("signing event: %w", err)
	}
	h.Set("Content-Type", MediaType)
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, Algorithm+","+base64.StdEncoding.EncodeToString(raw[:]))
	h.Set(HeaderKey, keyID)
	return nil
}
