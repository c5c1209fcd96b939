package api

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence/person"
	"elicence/licence/registry"

	"github.com/gin-gonic/gin"
)

// exchange is one request and its answer.
type exchange struct {
	*Server
	w gin.ResponseWriter
	r *http.Request
	// body is r.Body as it came: what reads through it, as that of a signed request, lies over it.
	body *paced
	// requestID names the request in answers, problem documents and the log.
	requestID string
	// action is what is being done; empty where nothing can be logged.
	action audit.Action
	// identifier, and the name of another thing, are the path's, as they came.
	identifier, name string
	// caller is set once known; until then it is the anonymous one.
	caller registry.Caller
	// again looks up who was authenticated before the body came; nil of one who was not.
	again func() error
	// official says that an official looks at the answer, sessionToken is their session and person who they are.
	official     bool
	sessionToken string
	person       person.Person
	// page says that a person looks at the answer: problems are shown as a page.
	page bool
	// enveloped says that problems are answered in the envelope of the sharing services.
	enveloped bool
}

// requestIDForm is what a client may call its request. It has no colon: what this
// package calls entries of its own has one.
var requestIDForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// handle makes a handler of gin's of h. It is the only place where gin's context is seen.
func (s *Server) handle(action audit.Action, h func(*exchange)) gin.HandlerFunc {
	return func(c *gin.Context) {
		x := &exchange{Server: s, w: c.Writer, action: action, identifier: c.Param("identifier"), name: cmp.Or(c.Param("batch"), c.Param("report"), c.Param("grant"), c.Param("case"), c.Param("brake"), c.Param("dispute"), c.Param("consent"), c.Param("code"), c.Param("copy"), c.Param("client"), c.Param("person"), c.Param("subscription"), c.Param("type"))}
		// A copy: net/http looks at the body of its own, to know what is left of it.
		x.r = c.Request.WithContext(c.Request.Context())
		x.requestID = s.nameRequest(c.Request.Header.Values("X-Request-Id"))
		x.caller = registry.Anonymous(x.requestID)
		x.secure()
		x.pace()
		began := time.Now() // a duration, not a date: the monotonic clock is meant
		defer func() {
			x.recover(recover())
			s.metrics.observe(c.FullPath(), c.Request.Method, c.Writer.Status(), time.Since(began))
		}()
		h(x)
	}
}

// nameRequest takes the client's name for the request, or makes one.
func (s *Server) nameRequest(given []string) string {
	if len(given) == 1 && requestIDForm.MatchString(given[0]) {
		return given[0]
	}
	var b [16]byte
	if _, err := io.ReadFull(s.cfg.Rand, b[:]); err != nil {
		return "elicence:unnamed" // the operation itself will find out that there is no randomness
	}
	return hex.EncodeToString(b[:])
}

// secure sets the headers of every answer. The policy lets a page load scripts
// and styles from this server alone, and nothing inline.
func (x *exchange) secure() {
	h := x.w.Header()
	h.Set("X-Request-Id", x.requestID)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", contentPolicy)
}

const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// allowInlineImages lets this page hold pictures of its own.
func (x *exchange) allowInlineImages() {
	x.w.Header().Set("Content-Security-Policy", strings.Replace(contentPolicy, "img-src 'self'", "img-src 'self' data:", 1))
}

// recover turns a panic into an answer 500. http.ErrAbortHandler passes: it is
// how an answer that failed half-way is cut off.
func (x *exchange) recover(cause any) {
	if cause == nil {
		return
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	err := fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
	if x.w.Written() {
		x.report(err)
		panic(http.ErrAbortHandler)
	}
	x.fail(err)
}

// report tells the operator what an answer must not say.
func (x *exchange) report(err error) { x.tell(x.requestID, err) }

// tell tells the operator what went wrong with a request.
func (s *Server) tell(requestID string, err error) {
	if s.cfg.Failed != nil {
		s.cfg.Failed(requestID, err)
	}
}

// json answers with v.
func (x *exchange) json(status int, v any) { x.write(status, "application/json", v) }

func (x *exchange) write(status int, mediaType string, v any) {
	b, err := encoded(v)
	if err != nil {
		x.report(fmt.Errorf("encoding the answer: %w", err))
		status = http.StatusInternalServerError
	}
	x.send(status, mediaType, b)
}

// encoded is v as JSON.
func encoded(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// send answers with a body that is complete.
func (x *exchange) send(status int, mediaType string, b []byte) {
	// With its length an answer takes fewer writes than in chunks.
	x.w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	x.w.Header().Set("Content-Type", mediaType)
	x.w.WriteHeader(status)
	if _, err := x.w.Write(b); err != nil {
		x.report(fmt.Errorf("writing the answer: %w", err))
	}
}

// bytes answers with b as it is.
func (x *exchange) bytes(mediaType string, b []byte) {
	x.w.Header().Set("Content-Type", mediaType)
	x.w.WriteHeader(http.StatusOK)
	if _, err := x.w.Write(b); err != nil {
		x.report(fmt.Errorf("writing the answer: %w", err))
	}
}

// now is the present instant.
func (x *exchange) now() time.Time { return x.cfg.Now() }
