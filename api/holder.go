package api

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

// codes are links and sessions to be remembered as long as they last. They are
// lost when the process ends: a link has to be made anew then, and a session that
// was signed out of works again for what is left of its 15 minutes.
type codes struct {
	mu   sync.Mutex           // guards kept
	kept map[string]time.Time // since when
}

// add keeps a code, and forgets those that have expired.
func (c *codes) add(code string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = map[string]time.Time{}
	}
	for old, since := range c.kept {
		if now.Sub(since) > max(useLink.life(), useSession.life()) {
			delete(c.kept, old)
		}
	}
	c.kept[code] = now
}

// has reports whether code is kept.
func (c *codes) has(code string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.kept[code]
	return ok
}

// spend reports whether code was kept, which it then no longer is.
func (c *codes) spend(code string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.kept[code]
	delete(c.kept, code)
	return ok
}

// HolderLink makes a path that signs whoever opens it first in as a client of
// role holder, once and within 15 minutes. Whoever has it can read the holder's
// licences.
func (s *Server) HolderLink(clientID string) string {
	now := s.cfg.Now()
	code := mint(s.cfg.TokenKey, useLink, clientID, now)
	s.links.add(code, now)
	return "/holder/sign-in?code=" + code
}

// sessionCookie names the cookie of a holder's session.
const sessionCookie = "elicence_session"

// setSession sets the session cookie; an empty value ends the session. It is not
// sent along from other sites, not visible to scripts, and goes to /holder alone.
func (x *exchange) setSession(value string) {
	age := int(useSession.life() / time.Second)
	if value == "" {
		age = -1
	}
	http.SetCookie(x.w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/holder", MaxAge: age, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: strings.HasPrefix(x.cfg.PublicURL, "https:"),
	})
}

// signInPage asks for one click before the link is spent: programs that preview
// links open them too.
func (x *exchange) signInPage() {
	x.show(http.StatusOK, "sign_in", x.r.URL.Query().Get("code"))
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
	if err != nil || !x.links.spend(code) {
		x.refuse(x.stranger(errBadLink))
		return
	}
	caller, receipt, err := x.cfg.Registry.SignIn(x.r.Context(), client, x.requestID)
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
		x.refuse(errCrossOrigin)
		return
	}
	if session, _, err := x.cookie(); err == nil {
		x.ended.add(session, x.now())
	}
	x.setSession("")
	x.redirect(http.StatusSeeOther, "/holder")
}

// cookie is the session of the cookie and its client, if it still lasts.
func (x *exchange) cookie() (session, client string, err error) {
	cookie, err := x.r.Cookie(sessionCookie)
	if err != nil {
		return "", "", errNoSession
	}
	client, err = redeem(x.cfg.TokenKey, useSession, cookie.Value, x.now())
	if err != nil || x.ended.has(cookie.Value) {
		return "", "", errNoSession
	}
	return cookie.Value, client, nil
}

// session sets the caller from the session cookie.
func (x *exchange) session() error {
	_, client, err := x.cookie()
	if err != nil {
		x.setSession("")
		return err
	}
	return x.become(client)
}

// selfService is what a holder's own reads are for.
var selfService = registry.Use{Purpose: "持证主体本人查询"}

// holderPage lists the holder's own licences. Without a session it says how to
// get one; nothing was asked of the register then, so nothing is logged.
func (x *exchange) holderPage() {
	x.page = true
	if err := x.session(); err != nil {
		x.failSession(err)
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
	x.page = true
	if err := x.session(); err != nil {
		x.failSession(err)
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
