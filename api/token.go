package api

import (
	"bytes"
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
)

// A token is, in base64url without padding,
//
//	version 1 (1 byte) ‖ use (1 byte) ‖ expiry (8 bytes, milliseconds since 1970, big endian) ‖ client id ‖ HMAC-SM3 (32 bytes)
//
// where the MAC covers all that precedes it. It holds no secret and needs no
// store: the client is looked up again at every request, so disabling it ends its
// tokens.
const (
	tokenVersion = 1
	tokenHeader  = 1 + 1 + 8
	maxToken     = 256
)

// tokenUse keeps one kind of token from standing for another.
type tokenUse byte

const (
	useBearer          tokenUse = 1 // machine client, ten minutes
	useSession         tokenUse = 2 // holder's page
	useLink            tokenUse = 3 // one-time sign-in link
	useAttempt         tokenUse = 4 // a holder's attempt to sign in at the identity provider
	useOfficial        tokenUse = 5 // official's pages
	useOfficialAttempt tokenUse = 6 // an official's attempt to sign in
)

// tokenLife is how long each kind of token lasts.
func (u tokenUse) life() time.Duration {
	if u == useBearer {
		return 10 * time.Minute
	}
	return 15 * time.Minute
}

// clientIDForm is what a client identifier may look like; nothing else reaches
// the register or the log.
var clientIDForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

var strictBase64 = base64.RawURLEncoding.Strict()

// mint makes a token of a use for a client from now on.
func mint(key []byte, use tokenUse, client string, now time.Time) string {
	b := []byte{tokenVersion, byte(use)}
	b = binary.BigEndian.AppendUint64(b, uint64(now.Add(use.life()).UnixMilli()))
	b = append(b, client...)
	return strictBase64.EncodeToString(append(b, mac(key, b)...))
}

func mac(key, b []byte) []byte {
	h := hmac.New(sm3.New, key)
	h.Write(b)
	return h.Sum(nil)
}

// errToken and errTokenOld are what redeem says.
var (
	errToken    = errors.New("api: not a token")
	errTokenOld = errors.New("api: the token has expired")
)

// redeem returns the client of a token. With errTokenOld it returns the client
// too, so that the log can name whose token it was.
func redeem(key []byte, use tokenUse, token string, now time.Time) (string, error) {
	if len(token) > maxToken {
		return "", errToken
	}
	b, err := strictBase64.DecodeString(token)
	if err != nil || len(b) < tokenHeader+sm3.Size || strings.ContainsAny(token, "\r\n") {
		return "", errToken
	}
	signed, tag := b[:len(b)-sm3.Size], b[len(b)-sm3.Size:]
	if !hmac.Equal(tag, mac(key, signed)) || !bytes.HasPrefix(signed, []byte{tokenVersion, byte(use)}) {
		return "", errToken
	}
	client := string(signed[tokenHeader:])
	if !clientIDForm.MatchString(client) {
		return "", errToken
	}
	if uint64(now.UnixMilli()) >= binary.BigEndian.Uint64(signed[2:]) {
		return client, errTokenOld
	}
	return client, nil
}

// tokenError is an error answer of the token endpoint (RFC 6749 §5.2), with the
// request id beside.
type tokenError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	RequestID   string `json:"request_id"`
}

// token is the token endpoint: the client credentials grant, with the secret in
// HTTP Basic or in the form.
func (x *exchange) token() {
	id, secret, code := x.credentials()
	guesser, err := x.guesser(id)
	if err != nil {
		x.tokenFail("", err)
		return
	}
	if wait := x.strangers.wait(guesser, x.now()); wait > 0 {
		x.fail(x.summed(x.strangers.refused, errLimited(wait)))
		return
	}
	if code != "" {
		receipt, err := x.logRefused(code)
		x.receipt(receipt)
		x.strangers.take(guesser, x.now())
		x.tokenFail(code, err)
		return
	}
	c, receipt, err := x.cfg.Registry.Authenticate(x.r.Context(), id, secret, x.requestID)
	x.receipt(receipt)
	if errors.Is(err, registry.ErrUnauthenticated) {
		x.strangers.take(guesser, x.now())
		x.tokenFail("invalid_client", nil)
		return
	}
	if errors.Is(err, registry.ErrSignatureRequired) {
		x.tokenFail("unauthorized_client", nil)
		return
	}
	if err != nil {
		x.tokenFail("", err)
		return
	}
	x.json(http.StatusOK, map[string]any{
		"access_token": mint(x.cfg.TokenKey, useBearer, c.Principal, x.now()),
		"token_type":   "Bearer", "expires_in": int(useBearer.life() / time.Second),
	})
}

// guesser is whom a failed token request counts against: the address and the
// client, so that nobody else there can lock the client out. Where no such client
// is registered it is the address alone: else made-up names could fill the log.
func (x *exchange) guesser(client string) (string, error) {
	_, err := x.cfg.Registry.CallerFor(x.r.Context(), client, x.requestID)
	if errors.Is(err, registry.ErrUnauthenticated) {
		return x.remote(), nil
	}
	if errors.Is(err, registry.ErrSignatureRequired) {
		err = nil
	}
	return x.remote() + " " + client, err
}

// tokenFail answers with an error of RFC 6749 §5.2; err, when set, means that the
// server could not answer.
func (x *exchange) tokenFail(code string, err error) {
	status := map[string]int{"invalid_client": http.StatusUnauthorized, "too_large": http.StatusRequestEntityTooLarge}[code]
	switch {
	case err != nil:
		p := problemOf(err, x.requestID)
		status, code = p.Status, "temporarily_unavailable"
		x.fault(x.r.Context(), x.requestID, err)
		x.announce(err, p)
	case status == http.StatusUnauthorized:
		x.w.Header().Set("WWW-Authenticate", `Basic realm="elicence", charset="UTF-8"`)
	case status == 0:
		status = http.StatusBadRequest
	}
	if status == http.StatusRequestEntityTooLarge {
		code = "invalid_request"
	}
	x.json(status, tokenError{code, tokenErrors[code], x.requestID})
}

// tokenErrors are the descriptions of the error codes in use.
var tokenErrors = map[string]string{
	"invalid_request":         "the request is not a form with grant_type and, in the form or by HTTP Basic, client_id and client_secret, each once",
	"invalid_client":          "unknown client or wrong secret",
	"unauthorized_client":     "this client must sign its requests; it gets no tokens",
	"unsupported_grant_type":  "only client_credentials is offered",
	"invalid_scope":           "no scopes are offered",
	"temporarily_unavailable": "the request cannot be recorded now, so it was refused; try again",
}

// maxForm bounds the form of a token request.
const maxForm = 8 << 10

// credentials reads a token request. code is an error code of RFC 6749, or
// too_large; empty when the request is in order.
func (x *exchange) credentials() (id, secret, code string) {
	body, err := x.read("application/x-www-form-urlencoded", maxForm)
	if errors.Is(err, errTooLarge) {
		return "", "", errTooLarge.code
	}
	form, formErr := url.ParseQuery(string(body))
	if err != nil || formErr != nil {
		return "", "", "invalid_request"
	}
	for _, values := range form {
		if len(values) != 1 {
			return "", "", "invalid_request"
		}
	}
	switch {
	case form.Get("grant_type") == "":
		return "", "", "invalid_request"
	case form.Get("grant_type") != "client_credentials":
		return "", "", "unsupported_grant_type"
	case form.Get("scope") != "":
		return "", "", "invalid_scope"
	}
	return x.clientSecret(form)
}

// clientSecret takes the secret from HTTP Basic, whose parts are form-encoded
// (RFC 6749 §2.3.1), or from the form, and not from both.
func (x *exchange) clientSecret(form url.Values) (id, secret, code string) {
	id, secret = form.Get("client_id"), form.Get("client_secret")
	if x.r.Header.Get("Authorization") != "" {
		user, password, ok := x.r.BasicAuth()
		if !ok || secret != "" || len(x.r.Header.Values("Authorization")) != 1 {
			return "", "", "invalid_request"
		}
		given := id
		var err error
		if id, err = url.QueryUnescape(user); err != nil || given != "" && given != id {
			return "", "", "invalid_request"
		}
		if secret, err = url.QueryUnescape(password); err != nil {
			return "", "", "invalid_request"
		}
	}
	switch {
	case id == "" || secret == "":
		return "", "", "invalid_request"
	case !clientIDForm.MatchString(id):
		return "", "", "invalid_client"
	}
	return id, secret, ""
}
