package api

import (
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"elicence/api/identity"
	"elicence/licence"
	"elicence/licence/registry"
)

// SignInReturn is the path that the identity provider sends people back to.
const SignInReturn = "/sign-in/return"

// attemptCookie names the cookie that binds an attempt to the browser that began it: nobody
// can sign somebody else in as himself. It holds the seed of the attempt's secrets, not
// them: those are keyed with what only servers know.
const attemptCookie = "elicence_sign_in"

// personSession begins the session's client where it is a session of a person who signed in
// at the provider; a random name follows.
const personSession = "session-of-"

// door is a way in by a provider, which is nil when there is none: of what use the token of
// an attempt is, and which cookie holds it.
type door struct {
	provider *identity.Provider
	use      tokenUse
	cookie   string
}

func (x *exchange) holders() door { return door{x.cfg.Identity, useAttempt, attemptCookie} }

// attempt is what an attempt's secrets are made of.
func (x *exchange) attempt(seed string) identity.Attempt {
	secret := func(use string) string {
		return strictBase64.EncodeToString(mac(x.cfg.TokenKey, []byte("sign-in "+use+"\x00"+seed)))
	}
	return identity.Attempt{State: secret("state"), Nonce: secret("nonce"), Verifier: secret("verifier")}
}

// setAttempt sets the cookie of an attempt; an empty value ends it. Unlike a session's it
// comes along when another site leads here, as the provider does.
func (x *exchange) setAttempt(d door, value string) {
	age := int(d.use.life() / time.Second)
	if value == "" {
		age = -1
	}
	http.SetCookie(x.w, &http.Cookie{
		Name: d.cookie, Value: value, Path: "/sign-in", MaxAge: age, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(x.cfg.PublicURL, "https:"),
	})
}

// signInAtProvider leads holders to their provider.
func (x *exchange) signInAtProvider() { x.leadTo(x.holders()) }

// leadTo leads to a provider. Nothing is asked of the register yet.
func (x *exchange) leadTo(d door) {
	x.page = true
	if d.provider == nil {
		x.fail(errNoProvider)
		return
	}
	seed, err := x.random()
	if err != nil {
		x.fail(err)
		return
	}
	url, err := d.provider.URL(x.r.Context(), x.attempt(seed))
	if err != nil {
		x.report(err)
		x.fail(errIdentity)
		return
	}
	x.setAttempt(d, mint(x.cfg.TokenKey, d.use, seed, x.now()))
	x.redirect(http.StatusSeeOther, url)
}

// random draws 32 hexadecimal digits.
func (x *exchange) random() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(x.cfg.Rand, b[:]); err != nil {
		return "", fmt.Errorf("drawing a secret: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// signedInAtProvider takes back whom the provider vouches for, and begins a session.
func (x *exchange) signedInAtProvider() {
	person, name, ok := x.broughtBack(x.holders())
	if !ok {
		return
	}
	h := licence.Holder{Code: strings.ToUpper(person.Number), CodeType: licence.CodeTypeCitizenNumber}
	until := x.now().Add(useSession.life())
	receipt, err := x.cfg.Registry.SignInHolder(x.r.Context(), x.pseudonym(h), h, name, until, x.requestID)
	if invalid := (*licence.RequestError)(nil); errors.As(err, &invalid) {
		x.receipt(receipt)
		x.fail(errUnknown)
		return
	}
	if x.settle(receipt, err) {
		x.setSession(mint(x.cfg.TokenKey, useSession, personSession+name, x.now()))
		// A page, no redirect: browsers keep the session's cookie from what another site leads to.
		x.show(http.StatusOK, "signed_in", nil)
	}
}

// broughtBack is whom a provider vouches for, and a name for their session; where there is
// nobody it has answered.
func (x *exchange) broughtBack(d door) (who identity.Person, session string, ok bool) {
	x.page = true
	if d.provider == nil {
		x.refuse(x.stranger(errNoProvider))
		return who, "", false
	}
	who, err := x.vouched(d)
	x.setAttempt(d, "")
	if err != nil {
		x.refuse(err)
		return who, "", false
	}
	if session, err = x.random(); err != nil {
		x.fail(err)
		return who, "", false
	}
	return who, session, true
}

// vouched is who the provider says came back. An address whose attempts fail has no code
// taken to the provider any more, until its limit has room again.
func (x *exchange) vouched(d door) (identity.Person, error) {
	cookie, err := x.r.Cookie(d.cookie)
	if err != nil {
		return identity.Person{}, x.stranger(errSignIn)
	}
	seed, err := redeem(x.cfg.TokenKey, d.use, cookie.Value, x.now())
	if err != nil {
		return identity.Person{}, x.stranger(errSignIn)
	}
	q, attempt := x.r.URL.Query(), x.attempt(seed)
	if len(q["state"]) != 1 || len(q["code"]) != 1 || !hmac.Equal([]byte(q.Get("state")), []byte(attempt.State)) {
		return identity.Person{}, x.stranger(errSignIn)
	}
	if wait := x.strangers.wait(x.remote(), x.now()); wait > 0 {
		return identity.Person{}, x.summed(x.strangers.refused, errLimited(wait))
	}
	person, err := d.provider.Person(x.r.Context(), attempt, q.Get("code"))
	switch {
	case errors.Is(err, identity.ErrRefused):
		x.report(err)
		return identity.Person{}, x.stranger(errSignIn)
	case err != nil:
		x.report(err)
		return identity.Person{}, errIdentity
	}
	return person, nil
}

// pseudonym is a holder's name in the log where everybody can read it: the same each time,
// and it says nothing to whoever lacks the key.
func (x *exchange) pseudonym(h licence.Holder) string {
	return "holder." + hex.EncodeToString(mac(x.cfg.TokenKey, []byte("pseudonym\x00"+string(h.CodeType)+"\x00"+h.Code))[:16])
}

// becomePerson sets the caller to whom a session is of.
func (x *exchange) becomePerson(name string) error {
	c, err := x.cfg.Registry.CallerInSession(x.r.Context(), name, x.requestID)
	if errors.Is(err, registry.ErrUnauthenticated) {
		return errNoSession
	}
	if err != nil {
		return err
	}
	x.caller = c
	return nil
}
