// Package api serves the register over HTTP: machine interface and pages.
//
// The machine interface is JSON in snake_case under /api/v1, described by
// openapi.yaml (OpenAPI 3.1), with bearer tokens from the client credentials
// grant (RFC 6749 §4.4) and problem documents (RFC 9457). The pages are HTML for
// people: verification at /V, a holder's own licences at /holder.
//
// # Invariants
//
//   - Every operation goes through registry, which authorises and logs it; what
//     is refused here, before registry sees it, is logged by Registry.Refused.
//     The exception is what may come in masses: refusals over a rate limit or for
//     want of room become one entry a minute.
//   - Nothing is read from a body before its size is bounded, memory is given to
//     what arrives and not to what is claimed, and nothing from outside reaches the
//     log unbounded.
//   - Holder codes travel in bodies, never in addresses.
//   - Only errors.go turns an error into a status; a cause never leaves the server.
//   - Every answer that touched the log carries its receipt (see receipt.go).
//
// It decides nothing about licences, keeps no state of its own but rate limits and batches
// at work, and ends no TLS. Several servers of one register are one to their clients: tokens
// are of a common key, and what else one must know of another is shared (registry.Share).
// gin stays inside this package.
package api

import (
	"context"
	"errors"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"elicence/api/identity"
	"elicence/audit"
	"elicence/audit/witness"
	"elicence/crypto/pki"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/batches"
	"elicence/licence/registry/bundles"
	"elicence/licence/registry/disputes"
	"elicence/licence/registry/statistics"
	"elicence/licence/registry/subscriptions"
	"elicence/verify"

	"github.com/gin-gonic/gin"
)

// Config is what a Server needs. All fields must be set unless they say otherwise.
type Config struct {
	Registry *registry.Registry
	// The parts of the register that are packages of their own.
	AccessLog     *accesslog.Register
	Disputes      *disputes.Register
	Batches       *batches.Register
	Bundles       *bundles.Register
	Statistics    *statistics.Register
	Subscriptions *subscriptions.Register
	// Verifier gives the verifier for one verification, which asks the register it is handed.
	Verifier func(verify.Register) *verify.Verifier
	// TokenKey authenticates tokens and sessions: 32 random bytes or more, the
	// same on every replica. Whoever holds it can be any client.
	TokenKey []byte
	// Identity is the provider that people sign in at; nil when there is none, and holders
	// come by one-time links alone. Its RedirectURL is the public URL with SignInReturn.
	Identity *identity.Provider
	// Officials is the provider that officials sign in at; nil when there is none, and they
	// act by clients alone. Its RedirectURL is the public URL with OfficialReturn.
	Officials *identity.Provider
	// PublicURL is the scheme and host people reach the server by, without a path.
	PublicURL string
	// Ready says whether storage and log can be reached; nil is always ready.
	Ready func(context.Context) error
	// FilesAway says since when licence files cannot be reached, zero while they can; it is asked
	// by every probe, and must not wait. nil is always reached.
	FilesAway func() time.Time
	// Witnesses says how the witnesses of the access log stand, and since when no
	// quorum of them has cosigned, if for too long; nil when there are none.
	Witnesses func() ([]witness.State, time.Time)
	// BehindProxy takes the remote address from the last X-Forwarded-For element,
	// which the proxy must set itself.
	BehindProxy bool
	Now         func() time.Time
	Rand        io.Reader
	// Answers signs what departments are answered.
	Answers AnswerSigner
	// Rasterise makes a PNG of a page of a preview; registry.ErrNoRaster when what does so is
	// not installed.
	Rasterise func(ctx context.Context, file []byte, page int) ([]byte, error)
	// Failed is told the causes of answers 500 and 503; it may be nil.
	Failed func(requestID string, err error)
}

// Server is the HTTP interface. It is safe for concurrent use.
type Server struct {
	cfg     Config
	engine  *gin.Engine
	pages   *template.Template
	metrics *metrics
	// verifications bounds anonymous verifications by address, reports those that are
	// sealed, strangers failed authentications; see guesser.
	verifications, reports, strangers *limiter
	// looks bounds by sender the codes of holders that open nothing.
	looks *limiter
	// open is for verifications of anybody, reserved for those with a token.
	open, reserved *room
	batches        *verificationBatches
	// drawing has a place for each preview and dry run at work.
	drawing chan struct{}
	// crowded counts what was refused for want of room, unlogged what was refused
	// because the log could not record it.
	crowded, unlogged *tally
	// unready says that the last probe of readiness failed.
	unready atomic.Bool
}

// minTokenKey is the least length of Config.TokenKey in bytes.
const minTokenKey = 32

// releaseMode keeps gin from printing its routes; the mode is gin's global, so
// it is set once.
var releaseMode = sync.OnceFunc(func() { gin.SetMode(gin.ReleaseMode) })

// New returns a Server over c.
func New(c Config) (*Server, error) {
	if len(c.TokenKey) < minTokenKey {
		return nil, errors.New("api: the token key is shorter than 32 bytes")
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Path != "" {
		return nil, errors.New("api: the public URL is not a scheme and a host")
	}
	if c.Answers.Key == nil || c.Answers.Certificate == nil || !pki.SamePublicKey(c.Answers.Certificate, c.Answers.Key) {
		return nil, errors.New("api: the key of signed answers is not its certificate's")
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	releaseMode()
	if c.Witnesses == nil {
		c.Witnesses = func() ([]witness.State, time.Time) { return nil, time.Time{} }
	}
	if c.FilesAway == nil {
		c.FilesAway = func() time.Time { return time.Time{} }
	}
	s := &Server{cfg: c, engine: gin.New(), pages: pages, metrics: newMetrics(sealGauges{c.Registry.SealStates, c.Now}, witnessGauges{c.Witnesses}, filesGauge(c.FilesAway), brakeGauge{c.Registry.StandingBrakes}, disputeGauge{c.Disputes.Overdue}, eventGauges{c.Subscriptions.Counts, c.Now}), open: newRoom(openEach), reserved: newRoom(reservedEach), batches: newBatches(), drawing: make(chan struct{}, maxDrawing)}
	s.verifications = newLimiter(verificationRate, s.newTally(registry.ActionVerify, "rate_limited"))
	s.reports = newLimiter(reportRate, s.newTally(registry.ActionReport, "rate_limited"))
	s.strangers = newLimiter(strangerRate, s.newTally(registry.ActionAuthenticate, "rate_limited"))
	s.looks = newLimiter(lookRate, s.newTally(registry.ActionPresent, "rate_limited"))
	s.crowded = s.newTally(registry.ActionVerify, errBusy.code)
	s.unlogged = s.newTally(actionAppend, "log_unavailable")
	s.engine.HandleMethodNotAllowed = true
	s.engine.RedirectTrailingSlash = false
	s.engine.ForwardedByClientIP = false
	s.routes()
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// Close ends the work on batches and logs the refusals that are still to be logged in
// sum. The server must have stopped answering before.
func (s *Server) Close() {
	s.batches.close()
	for _, t := range []*tally{s.verifications.refused, s.reports.refused, s.strangers.refused, s.looks.refused, s.crowded, s.unlogged} {
		t.close()
	}
}

// routes is the whole interface: what is served where, and as which action a
// refusal is logged.
func (s *Server) routes() {
	s.apiRoutes(s.engine.Group("/api/v1"))
	s.sharingRoutes(s.engine.Group(sharingPath))
	s.pageRoutes()
	s.engine.GET("/openapi.yaml", s.handle("", (*exchange).openAPI))
	s.engine.GET("/healthz", s.handle("", (*exchange).health))
	s.engine.GET("/readyz", s.handle("", (*exchange).ready))
	s.engine.GET("/metrics", s.handle("", (*exchange).showMetrics))
	s.engine.NoRoute(s.handle("", func(x *exchange) { x.nowhere(errNoRoute) }))
	s.engine.NoMethod(s.handle("", func(x *exchange) { x.nowhere(errNoMethod) }))
}

// apiRoutes are those of machines.
func (s *Server) apiRoutes(v1 *gin.RouterGroup) {
	v1.POST("/oauth/token", s.handle(registry.ActionAuthenticate, (*exchange).token))
	v1.POST("/licences", serveJSON(s, registry.ActionIssue, http.StatusCreated, parseIssue, (*exchange).issue))
	v1.POST("/licences/documents", s.handle(registry.ActionIssue, (*exchange).document))
	v1.POST("/licences/imports", s.handle(registry.ActionImport, (*exchange).importLicence))
	v1.POST("/licences/search", serveJSON(s, registry.ActionSearch, http.StatusOK, s.parseSearch, (*exchange).search))
	v1.POST("/licences/batch", s.handle(registry.ActionBatch, (*exchange).licenceBatch))
	v1.GET("/licences/batch/:batch", serveGet(s, registry.ActionBatchRead, (*exchange).licenceBatchProgress))
	v1.GET("/licences/batch/:batch/items", serveGet(s, registry.ActionBatchRead, (*exchange).licenceBatchItems))
	v1.POST("/licences/batch/:batch/cancel", serveJSON(s, registry.ActionBatchCancel, http.StatusOK, parseNothing, (*exchange).cancelLicenceBatch))
	v1.GET("/licences/:identifier", serveGet(s, registry.ActionRead, (*exchange).licence))
	v1.GET("/licences/:identifier/file", serveGet(s, registry.ActionDownload, (*exchange).file))
	v1.GET("/licences/:identifier/import", serveGet(s, registry.ActionReadImport, (*exchange).readImport))
	v1.GET("/licences/:identifier/bundle", serveGet(s, registry.ActionBundle, (*exchange).bundle))
	v1.GET("/licences/:identifier/history", serveGet(s, registry.ActionHistory, (*exchange).history))
	for action, do := range map[audit.Action]change{
		registry.ActionSuspend: s.cfg.Registry.Suspend, registry.ActionResume: s.cfg.Registry.Resume, registry.ActionRevoke: s.cfg.Registry.Revoke,
		registry.ActionWithdraw: s.cfg.Registry.Withdraw, registry.ActionCancel: s.cfg.Registry.Cancel,
	} {
		v1.POST("/licences/:identifier/"+string(action), s.serveChange(action, do))
	}
	for action, do := range map[audit.Action]makeVersion{
		registry.ActionAmend: s.cfg.Registry.Amend, registry.ActionRenew: s.cfg.Registry.Renew, registry.ActionReissue: s.cfg.Registry.Reissue,
		registry.ActionCorrect: s.cfg.Registry.Correct, registry.ActionTransfer: s.cfg.Registry.Transfer,
	} {
		v1.POST("/licences/:identifier/"+string(action), s.serveVersion(action, do))
	}
	v1.GET("/statistics", serveGet(s, registry.ActionStatistics, (*exchange).statistics))
	s.catalogueRoutes(v1.Group("/catalogue"))
	s.reuseRoutes(v1)
	v1.POST("/clients", serveJSON(s, registry.ActionClientAdd, http.StatusCreated, parseClient, (*exchange).addClient))
	v1.GET("/clients", serveGet(s, registry.ActionClientRead, (*exchange).clients))
	v1.POST("/clients/:client/rotate", serveJSON(s, registry.ActionClientRotate, http.StatusOK, parseRotation, (*exchange).rotateClient))
	v1.POST("/clients/:client/disable", serveJSON(s, registry.ActionClientDisable, http.StatusOK, parseDecision, (*exchange).disableClient))
	v1.POST("/people", serveJSON(s, registry.ActionPersonAdd, http.StatusCreated, parsePerson, (*exchange).addPerson))
	v1.GET("/people", serveGet(s, registry.ActionPersonRead, (*exchange).people))
	v1.POST("/people/:person/disable", serveJSON(s, registry.ActionPersonDisable, http.StatusOK, parseDecision, (*exchange).disablePerson))
	s.disputeRoutes(v1.Group("/disputes"))
	s.eventRoutes(v1.Group("/subscriptions"))
	v1.POST("/verifications", s.handle(registry.ActionVerify, (*exchange).verification))
	v1.POST("/verifications/report", s.handle(registry.ActionVerify, (*exchange).sealedReport))
	v1.POST("/verifications/batch", s.handle(registry.ActionVerify, (*exchange).verificationBatch))
	v1.GET("/verifications/batch/:batch", s.handle(registry.ActionVerify, (*exchange).batchResults))
	v1.GET("/log/checkpoint", serveGet(s, registry.ActionLogRead, (*exchange).checkpoint))
	v1.GET("/log/proof", serveGet(s, registry.ActionLogRead, (*exchange).proof))
	v1.POST("/log/search", serveJSON(s, registry.ActionLogSearch, http.StatusOK, parseEntries, (*exchange).searchLog))
	v1.GET("/log/own", serveGet(s, registry.ActionOwnLog, (*exchange).ownLog))
	v1.GET("/log/export", serveGet(s, registry.ActionLogRead, (*exchange).export))
}

// reuseRoutes are those of reuse and of what it needs.
func (s *Server) reuseRoutes(v1 *gin.RouterGroup) {
	v1.POST("/reuse", serveBody(s, registry.ActionReuse, s.parseReuse, (*exchange).reuse, signed))
	v1.POST("/questions", serveBody(s, registry.ActionAsk, s.parseQuestions, (*exchange).ask, signed))
	v1.POST("/consents", serveJSON(s, registry.ActionConsent, http.StatusCreated, parseConsent, (*exchange).makeConsent))
	v1.GET("/consents", serveGet(s, registry.ActionConsentRead, (*exchange).consents))
	v1.POST("/consents/:consent/code", serveJSON(s, registry.ActionConsentCode, http.StatusCreated, parseNothing, (*exchange).newCode))
	v1.POST("/consents/:consent/revoke", serveDecision(s, registry.ActionConsentRevoke, s.cfg.Registry.RevokeConsent, s.newConsent))
	v1.POST("/presentations", serveJSON(s, registry.ActionPresent, http.StatusOK, parseLook, (*exchange).presentation))
	v1.POST("/reuse/copies", serveJSON(s, registry.ActionCopy, http.StatusCreated, parseCopy, (*exchange).makeCopy))
	v1.GET("/reuse/copies/:copy", serveGet(s, registry.ActionCopyDownload, (*exchange).copyFile))
	v1.POST("/grants", serveJSON(s, registry.ActionGrantRequest, http.StatusCreated, parseGrant, (*exchange).requestGrant))
	v1.GET("/grants", serveGet(s, registry.ActionGrantRead, (*exchange).grants))
	v1.POST("/grants/:grant/approve", serveDecision(s, registry.ActionGrantApprove, s.cfg.Registry.ApproveGrant, newGrant))
	v1.POST("/grants/:grant/withdraw", serveDecision(s, registry.ActionGrantWithdraw, s.cfg.Registry.WithdrawGrant, newGrant))
	v1.POST("/cases", serveJSON(s, registry.ActionCaseOpen, http.StatusCreated, parseCase, (*exchange).openCase))
	v1.POST("/cases/:case/close", serveDecision(s, registry.ActionCaseClose, s.cfg.Registry.CloseCase, func(k registry.CaseState) registry.CaseState { return k }))
	v1.GET("/brakes", serveGet(s, registry.ActionBrakeRead, (*exchange).brakes))
	v1.POST("/brakes/:brake/lift", serveDecision(s, registry.ActionBrakeLift, s.cfg.Registry.LiftBrake, newBrake))
}

// catalogueRoutes are those of the licence types.
func (s *Server) catalogueRoutes(c *gin.RouterGroup) {
	c.GET("", serveGet(s, registry.ActionCatalogueRead, (*exchange).catalogue))
	c.POST("", serveJSON(s, registry.ActionCatalogueImport, http.StatusCreated, parseImport, (*exchange).importCatalogue))
	c.GET("/:type", serveGet(s, registry.ActionCatalogueRead, (*exchange).catalogueVersion))
	c.GET("/:type/preview", serveGet(s, registry.ActionCataloguePreview, (*exchange).cataloguePreview))
	c.GET("/:type/dry-run", serveGet(s, registry.ActionCatalogueDryRun, (*exchange).catalogueDryRun))
	c.POST("/:type/publish", s.serveMove(registry.ActionCataloguePublish, s.cfg.Registry.PublishCatalogue))
	c.POST("/:type/retire", s.serveMove(registry.ActionCatalogueRetire, s.cfg.Registry.RetireCatalogue))
}

// pageRoutes are those of people.
func (s *Server) pageRoutes() {
	s.engine.GET("/", s.handle("", (*exchange).landingPage))
	for _, path := range []string{"/V", "/v"} { // QR codes print capitals, people type small letters
		s.engine.GET(path, s.handle("", (*exchange).verificationPage))
		s.engine.POST(path, s.handle(registry.ActionVerify, (*exchange).verificationForm))
		s.engine.POST(path+"/report", s.handle(registry.ActionVerify, (*exchange).sealedReportForm))
		s.engine.GET(path+"/", s.handle("", func(x *exchange) { x.redirect(http.StatusPermanentRedirect, "/V") }))
	}
	for _, path := range []string{"/R", "/r"} {
		s.engine.GET(path+"/:report", s.handle(registry.ActionReadReport, (*exchange).reportPage))
	}
	s.engine.GET("/holder", s.handle(registry.ActionSearch, (*exchange).holderPage))
	s.engine.GET("/holder/log", s.handle(registry.ActionOwnLog, (*exchange).holderLog))
	s.engine.GET("/holder/log.json", s.handle(registry.ActionOwnLog, (*exchange).holderLogFile))
	s.engine.GET("/holder/disputes", s.handle(registry.ActionDisputeRead, (*exchange).disputesPage))
	s.engine.POST("/holder/disputes", s.handle(registry.ActionDisputeRaise, (*exchange).raiseDisputeForm))
	s.engine.GET("/holder/disputes/new", s.handle(registry.ActionRead, (*exchange).newDisputePage))
	s.engine.POST("/holder/disputes/:dispute/withdraw", s.handle(registry.ActionDisputeWithdraw, (*exchange).withdrawDisputeForm))
	s.engine.GET("/holder/sign-in", s.handle("", (*exchange).signInPage))
	s.engine.POST("/holder/sign-in", s.handle(registry.ActionAuthenticate, (*exchange).signIn))
	s.engine.POST("/holder/sign-out", s.handle(registry.ActionSignOut, (*exchange).signOut))
	s.engine.GET("/sign-in/holder", s.handle("", (*exchange).signInAtProvider))
	s.engine.GET(SignInReturn, s.handle(registry.ActionAuthenticate, (*exchange).signedInAtProvider))
	s.engine.GET("/holder/licences/:identifier/file", s.handle(registry.ActionDownload, (*exchange).holderFile))
	s.engine.GET("/holder/consents", s.handle(registry.ActionConsentRead, (*exchange).consentsPage))
	s.engine.POST("/holder/consents", s.handle(registry.ActionConsent, (*exchange).makeConsentForm))
	s.engine.GET("/holder/consents/new", s.handle(registry.ActionRead, (*exchange).consentForm))
	s.engine.GET("/holder/consents/:consent", s.handle(registry.ActionConsentCode, (*exchange).consentCodePage))
	s.engine.POST("/holder/consents/:consent/revoke", s.handle(registry.ActionConsentRevoke, (*exchange).revokeConsentForm))
	s.engine.GET("/S/:code", s.handle("", (*exchange).lookPage))
	s.engine.POST("/S", s.handle(registry.ActionPresent, (*exchange).lookForm))
	s.officialRoutes()
	for name := range assetTypes {
		s.engine.GET("/pages/"+name, s.handle("", func(x *exchange) { x.asset(name) }))
	}
}

// HTTPServer returns an http.Server for s with limits fit for the open network:
// headers of at most 32 KiB within 5 s, a body that keeps coming (see paced). The
// log export extends its own deadline. Address, TLS and the error log are the caller's.
func (s *Server) HTTPServer() *http.Server {
	return &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: portionTime,
		WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
}
