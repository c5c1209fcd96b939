package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

// HolderLink makes a path that signs whoever opens it first in as a client of
// role holder, once and within 15 minutes. Whoever has it can read the holder's
// licences. Any server of the register takes it.
func (s *Server) HolderLink(ctx context.Context, clientID string) (string, error) {
	now := s.cfg.Now()
	code := mint(s.cfg.TokenKey, useLink, clientID, now)
	return "/holder/sign-in?code=" + code, s.cfg.Registry.Share(ctx, registry.SharedLink, code, nil, now.Add(useLink.life()))
}

// sessionCookie names the cookie of a holder's session.
const sessionCookie = "elicence_session"

// setSession sets the session cookie; an empty value ends the session. It is not
// sent along from other sites, not visible to scripts, and goes to /holder alone.
func (x *exchange) setSession(value string) {
	x.setSessionCookie(sessionCookie, "/holder", useSession, value)
}

// setSessionCookie sets a session cookie that goes to one path alone.
func (x *exchange) setSessionCookie(name, path string, use tokenUse, value string) {
	age := int(use.life() / time.Second)
	if value == "" {
		age = -1
	}
	http.SetCookie(x.w, &http.Cookie{
		Name: name, Value: value, Path: path, MaxAge: age, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: strings.HasPrefix(x.cfg.PublicURL, "https:"),
	})
}

// signInPage asks for one click before the link is spent: programs that preview
// links open them too. Of a link that is spent, or too old, it says so.
func (x *exchange) signInPage() {
	x.page = true
	code := x.r.URL.Query().Get("code")
	if _, err := redeem(x.cfg.TokenKey, useLink, code, x.now()); err != nil {
		x.fail(errBadLink)
		return
	}
	switch _, err := x.cfg.Registry.Shared(x.r.Context(), registry.SharedLink, code); {
	case errors.Is(err, licence.ErrNotFound):
		x.fail(errBadLink)
	case err != nil:
		x.fail(err)
	default:
		x.show(http.StatusOK, "sign_in", code)
	}
}

// maxSignIn bounds the form of a sign-in.
const maxSignIn = 4 << 10

// signIn spends a link for a session.
func (x *exchange) signIn() {
	x.page = true
	if crossOrigin.Check(x.r) != nil {
		x.refuse(x.stranger(errCrossOrigin))
		return
	}
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, maxSignIn)
	code := x.r.PostFormValue("code")
	client, err := redeem(x.cfg.TokenKey, useLink, code, x.now())
	if err != nil {
		x.refuse(x.stranger(errBadLink))
		return
	}
	caller, receipt, err := x.cfg.Registry.SignIn(x.r.Context(), client, code, x.requestID)
	if errors.Is(err, licence.ErrNotFound) {
		x.refuse(x.stranger(errBadLink))
		return
	}
	if errors.Is(err, registry.ErrUnauthenticated) {
		x.receipt(receipt)
		x.fail(errBadLink)
		return
	}
	if x.settle(receipt, err) {
		x.setSession(mint(x.cfg.TokenKey, useSession, caller.Principal, x.now()))
		x.redirect(http.StatusSeeOther, "/holder")
	}
}

// redirect answers with another page.
func (x *exchange) redirect(status int, path string) {
	x.w.Header().Set("Location", path)
	x.w.WriteHeader(status)
	x.w.WriteHeaderNow()
}

// signOut ends the session, in this browser and for whoever copied its cookie.
func (x *exchange) signOut() {
	x.page = true
	if crossOrigin.Check(x.r) != nil {
		x.refuse(x.stranger(errCrossOrigin))
		return
	}
	token, err := x.session()
	if errors.Is(err, errNoSession) { // it ended by itself
		x.redirect(http.StatusSeeOther, "/holder")
		return
	}
	if err != nil {
		x.refuse(err)
		return
	}
	receipt, err := x.cfg.Registry.SignOut(x.r.Context(), x.caller, token, x.now().Add(useSession.life()))
	if x.settle(receipt, err) {
		x.setSession("")
		x.redirect(http.StatusSeeOther, "/holder")
	}
}

// cookie is the session of a cookie and its client, if it still lasts.
func (x *exchange) cookie(name string, use tokenUse) (session, client string, err error) {
	cookie, err := x.r.Cookie(name)
	if err != nil {
		return "", "", errNoSession
	}
	client, err = redeem(x.cfg.TokenKey, use, cookie.Value, x.now())
	if err != nil {
		return "", "", errNoSession
	}
	switch _, err = x.cfg.Registry.Shared(x.r.Context(), registry.SharedEnded, cookie.Value); {
	case err == nil:
		return "", "", errNoSession
	case !errors.Is(err, licence.ErrNotFound):
		return "", "", err
	}
	return cookie.Value, client, nil
}

// session sets the caller from the session cookie, which it returns.
func (x *exchange) session() (token string, err error) {
	token, client, err := x.cookie(sessionCookie, useSession)
	if err == nil {
		if name, signedIn := strings.CutPrefix(client, personSession); signedIn {
			err = x.becomePerson(name)
		} else {
			err = x.become(client)
		}
	}
	if errors.Is(err, errNoSession) {
		x.setSession("")
	}
	return token, err
}

// selfService is what a holder's own reads are for.
var selfService = registry.Use{Purpose: "持证主体本人查询"}

// holderPage lists the holder's own licences. Without a session it says how to
// get one; nothing was asked of the register then, so nothing is logged.
func (x *exchange) holderPage() {
	if !x.holderSession() {
		return
	}
	after := licence.Identifier("")
	if b, err := strictBase64.DecodeString(x.r.URL.Query().Get("after")); err == nil && identifierForm.Match(b) {
		after = licence.Identifier(b)
	}
	views, receipt, err := x.cfg.Registry.Search(x.r.Context(), x.caller,
		registry.Query{Holder: x.caller.Holder, After: after, Limit: defaultPage}, selfService)
	if !x.settle(receipt, err) {
		return
	}
	body := searchAnswer{}
	for _, v := range views {
		body.Licences = append(body.Licences, newSummary(v))
	}
	if len(views) == defaultPage {
		body.NextCursor = cursorAfter(views[len(views)-1].Identifier)
	}
	x.show(http.StatusOK, "holder", body)
}

// failSession shows why there is no session. Only a session that was good once
// and is so no longer stands for an attempt on the register, and is logged.
func (x *exchange) failSession(err error) {
	if errors.Is(err, errNoSession) {
		x.fail(err)
		return
	}
	x.refuse(err)
}

// holderFile downloads one of the holder's own licences.
func (x *exchange) holderFile() {
	if !x.holderSession() {
		return
	}
	id, err := x.path()
	if err != nil {
		x.refuse(err)
		return
	}
	file, receipt, err := x.cfg.Registry.Download(x.r.Context(), x.caller, id, selfService)
	if x.settle(receipt, err) {
		x.pdf(id, file)
	}
}
