package api

import (
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"net/http"

	"elicence/licence/registry"
)

// OfficialReturn is the path that the officials' identity provider sends people back to.
const OfficialReturn = "/sign-in/official/return"

// officialCookie names the cookie of an official's session, which is of another use than a
// holder's: neither opens the other's pages.
const officialCookie = "elicence_official"

func (x *exchange) officials() door {
	return door{x.cfg.Officials, useOfficialAttempt, "elicence_official_sign_in"}
}

// officialRoutes are those of officials.
func (s *Server) officialRoutes() {
	s.engine.GET("/sign-in/official", s.handle("", func(x *exchange) { x.official = true; x.leadTo(x.officials()) }))
	s.engine.GET(OfficialReturn, s.handle(registry.ActionAuthenticate, (*exchange).officialSignedIn))
	s.engine.GET("/official", s.handle(registry.ActionAuthenticate, (*exchange).officialPage))
	s.engine.POST("/official/sign-out", s.handle(registry.ActionSignOut, (*exchange).officialSignOut))
	s.engine.GET("/official/grants", s.handle(registry.ActionGrantRead, (*exchange).officialGrants))
	s.engine.GET("/official/grants/new", s.handle(registry.ActionGrantRequest, (*exchange).grantFormPage))
	s.engine.POST("/official/grants", s.handle(registry.ActionGrantRequest, (*exchange).askGrantForm))
	s.engine.POST("/official/grants/:grant/approve", s.handle(registry.ActionGrantApprove, (*exchange).approveGrantForm))
	s.engine.POST("/official/grants/:grant/withdraw", s.handle(registry.ActionGrantWithdraw, (*exchange).withdrawGrantForm))
	s.engine.GET("/official/brakes", s.handle(registry.ActionBrakeRead, (*exchange).officialBrakes))
	s.engine.POST("/official/brakes/:brake/lift", s.handle(registry.ActionBrakeLift, (*exchange).liftBrakeForm))
	s.engine.GET("/official/log", s.handle(registry.ActionLogSearch, (*exchange).officialLog))
	s.engine.POST("/official/log", s.handle(registry.ActionLogSearch, (*exchange).officialLogSearch))
}

// officialSignedIn takes back whom the provider vouches for, and begins a session of the
// person who is registered for the subject.
func (x *exchange) officialSignedIn() {
	x.official = true
	who, name, ok := x.broughtBack(x.officials())
	if !ok {
		return
	}
	receipt, err := x.cfg.Registry.SignInPerson(x.r.Context(), who.Issuer, who.Subject, name, x.now().Add(useOfficial.life()), x.requestID)
	if x.settle(receipt, err) {
		x.setOfficial(mint(x.cfg.TokenKey, useOfficial, name, x.now()))
		// A page, no redirect: browsers keep the session's cookie from what another site leads to.
		x.show(http.StatusOK, "official_signed_in", nil)
	}
}

// setOfficial sets the session cookie; an empty value ends the session.
func (x *exchange) setOfficial(value string) {
	x.setSessionCookie(officialCookie, "/official", useOfficial, value)
}

// officialSession sets the caller from the session cookie. Where there is no session, or
// none any more, it has answered. That somebody whose access ended comes again is logged.
func (x *exchange) officialSession() bool {
	x.page, x.official = true, true
	token, name, err := x.cookie(officialCookie, useOfficial)
	if err == nil {
		x.person, x.caller, err = x.cfg.Registry.PersonInSession(x.r.Context(), name, x.requestID)
	}
	switch {
	case err == nil:
		x.sessionToken = token
		return true
	case errors.Is(err, registry.ErrUnauthenticated):
		err = errNoSession
	case errors.Is(err, registry.ErrPersonUnknown):
		err = errPersonGone
	}
	if x.caller.RequestID == "" {
		x.caller = registry.Anonymous(x.requestID)
	}
	if errors.Is(err, errNoSession) || errors.Is(err, errPersonGone) {
		x.setOfficial("")
	}
	x.failSession(err)
	return false
}

// formToken is what forms of a session hold, and no other site knows.
func (x *exchange) formToken() string {
	return hex.EncodeToString(mac(x.cfg.TokenKey, []byte("form\x00"+x.sessionToken)))
}

// maxOfficialForm bounds the forms of officials.
const maxOfficialForm = 8 << 10

// officialForm reads a form that the session's own page sent.
func (x *exchange) officialForm() bool {
	x.page, x.official = true, true
	if crossOrigin.Check(x.r) != nil {
		x.refuse(x.stranger(errCrossOrigin))
		return false
	}
	if !x.officialSession() {
		return false
	}
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, maxOfficialForm)
	if err := x.r.ParseForm(); err != nil {
		x.refuse(bodyFault(err, errUnreadable))
		return false
	}
	if given := x.r.PostForm["form"]; len(given) != 1 || !hmac.Equal([]byte(given[0]), []byte(x.formToken())) {
		x.refuse(errForm)
		return false
	}
	return true
}

// officialSignOut ends the session, in this browser and for whoever copied its cookie.
func (x *exchange) officialSignOut() {
	if !x.officialForm() {
		return
	}
	receipt, err := x.cfg.Registry.SignOut(x.r.Context(), x.caller, x.sessionToken, x.now().Add(useOfficial.life()))
	if x.settle(receipt, err) {
		x.setOfficial("")
		x.redirect(http.StatusSeeOther, "/")
	}
}
