package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"elicence/audit"
	"elicence/crypto/httpsig"
	"elicence/licence"
	"elicence/licence/registry"

	"github.com/gin-gonic/gin"
)

// MaxFile is the most bytes of an uploaded licence file.
const MaxFile = 20 << 20

// serveJSON makes a handler of one operation with a JSON body: who calls, what
// is asked, do it, answer. What any of the first steps refuses is logged here,
// what do refuses the register has logged.
func serveJSON[Q, A any](s *Server, action audit.Action, status int, parse func([]byte) (Q, error), do func(*exchange, Q) (A, audit.Receipt, error)) gin.HandlerFunc {
	return serveBody(s, action, parse, do, func(x *exchange, _ []byte, answer A) { x.json(status, answer) })
}

// serveBody is serveJSON with the writer of the answer, who gets the request's body too.
func serveBody[Q, A any](s *Server, action audit.Action, parse func([]byte) (Q, error), do func(*exchange, Q) (A, audit.Receipt, error), write func(x *exchange, request []byte, answer A)) gin.HandlerFunc {
	return s.handle(action, func(x *exchange) {
		if err := x.authenticate(); err != nil {
			x.refuse(err)
			return
		}
		body, err := x.read("application/json", maxBody(action))
		if err != nil {
			x.refuse(err)
			return
		}
		q, err := parse(body)
		if err != nil {
			x.refuse(err)
			return
		}
		answer, receipt, err := do(x, q)
		if x.settle(receipt, err) {
			write(x, body, answer)
		}
	})
}

// maxBody is the most bytes of JSON that ask for an action: what makes a licence may hold
// a photograph.
func maxBody(action audit.Action) int64 {
	if action == registry.ActionIssue || licence.Operation(action).MakesVersion() {
		return licence.MaxRequest
	}
	return licence.MaxJSON
}

// serveGet makes a handler of one reading operation. read returns how the answer
// is written, once it is known that there is one.
func serveGet(s *Server, action audit.Action, read func(*exchange) (func(), audit.Receipt, error)) gin.HandlerFunc {
	return s.handle(action, func(x *exchange) {
		if err := x.authenticate(); err != nil {
			x.refuse(err)
			return
		}
		write, receipt, err := read(x)
		if x.settle(receipt, err) {
			write()
		}
	})
}

// settle puts the receipt into the answer and reports whether there is one to
// give. An error with a receipt was logged by the register; a refusal without one
// is logged here.
func (x *exchange) settle(receipt audit.Receipt, err error) bool {
	if x.receipt(receipt); err == nil {
		return true
	}
	if errors.Is(err, registry.ErrReplayed) {
		x.strangers.take(x.replayer(x.caller.Signed.KeyID), x.now())
	}
	if len(receipt.Checkpoint) == 0 {
		x.refuse(err)
	} else {
		x.fail(err)
	}
	return false
}

// authenticate sets the caller from the request's signature or its bearer token. Failures
// of one address are limited, so that nobody without either can fill the log.
func (x *exchange) authenticate() error {
	if httpsig.Present(x.r.Header) {
		return x.authenticateSigned()
	}
	given := x.r.Header.Values("Authorization")
	if len(given) == 0 {
		return x.stranger(errNoToken)
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if len(given) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return x.stranger(errBadToken)
	}
	client, err := redeem(x.cfg.TokenKey, useBearer, token, x.now())
	switch {
	case errors.Is(err, errTokenOld):
		x.caller.Principal = client
		return x.stranger(errOldToken)
	case err != nil:
		return x.stranger(errBadToken)
	}
	x.again = func() error { return x.become(client) }
	return x.again()
}

// come looks the caller up again when the body kept us waiting: else whoever holds requests
// back, but for their last byte, goes on when the client is disabled, its key ended or its
// brake put on.
func (x *exchange) come() error {
	if x.again == nil || x.body.waited < patience {
		return nil
	}
	return x.again()
}

// become sets the caller to a client whose token is good.
func (x *exchange) become(client string) error {
	c, err := x.cfg.Registry.CallerFor(x.r.Context(), client, x.requestID)
	switch {
	case errors.Is(err, registry.ErrUnauthenticated):
		x.caller.Principal = client
		return errNoClient
	case errors.Is(err, registry.ErrSignatureRequired):
		x.caller.Principal = client
		return err
	case err != nil:
		return err
	}
	x.caller = c
	return nil
}

// idempotencyKey is the request's Idempotency-Key; the register decides whether
// it will do.
func (x *exchange) idempotencyKey() (string, error) {
	given := x.r.Header.Values("Idempotency-Key")
	if len(given) > 1 {
		return "", registry.ErrKeyMalformed
	}
	return x.r.Header.Get("Idempotency-Key"), nil
}

// read reads a body of one media type and at most limit bytes. A body that says
// that it is larger is refused before a byte of it is read.
func (x *exchange) read(mediaType string, limit int64) ([]byte, error) {
	if x.r.ContentLength > limit {
		return nil, errTooLarge
	}
	given, parameters, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	charset := parameters["charset"]
	if err != nil || given != mediaType || x.r.Header.Get("Content-Encoding") != "" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, errMediaType(mediaType)
	}
	body, err := readAll(http.MaxBytesReader(x.w, x.r.Body, limit), x.r.ContentLength)
	if err == nil {
		err = x.come()
	}
	return body, err
}

// readAll reads r, which ends with a *http.MaxBytesError when it is too long. What was claimed of
// its length, -1 for nothing, is only a claim, so memory is taken as bytes arrive: for at most four
// times what has come, and twice when that is much. Little at a time would be many calls of the system.
func readAll(r io.Reader, claimed int64) ([]byte, error) {
	b := make([]byte, 0, 512)
	for {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, len(b)+growth(len(b), claimed)), b...)
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, bodyFault(err, errUnreadable)
		}
	}
}

// growth is how much more room to take when so much has come: one byte more than what is
// claimed to follow tells whether more does.
func growth(come int, claimed int64) int {
	more := come
	if come < portion {
		more = 3 * come
	}
	if left := claimed - int64(come); left >= 0 {
		more = min(more, int(left)+1)
	}
	return more
}

// bodyFault is why a body could not be read: a refusal that was met on the way, or otherwise.
func bodyFault(err error, otherwise *refusal) error {
	var tooLarge *http.MaxBytesError
	var met *refusal
	switch {
	case errors.As(err, &tooLarge):
		return errTooLarge
	case errors.As(err, &met):
		return met
	case errors.Is(err, httpsig.ErrDigest):
		return errDigest
	}
	return otherwise
}

// A body must keep coming: each portion of it within portionTime, the whole within
// bodyTime, which leaves the server's WriteTimeout some room for the answer.
const (
	portion     = 64 << 10
	portionTime = 10 * time.Second
	bodyTime    = 90 * time.Second
	// patience is how long a body may be waited for before its caller is looked up again.
	patience = 100 * time.Millisecond
)

// paced is a body that must keep coming.
type paced struct {
	io.ReadCloser
	deadline func(time.Time) error
	last     time.Time // when the whole must have come
	due      int       // bytes of the present portion that have not
	waited   time.Duration
}

// pace makes the request's body a paced one.
func (x *exchange) pace() {
	x.body = &paced{
		ReadCloser: x.r.Body, last: time.Now().Add(bodyTime),
		deadline: http.NewResponseController(x.w).SetReadDeadline,
	}
	x.r.Body = x.body
}

// Read moves the deadline on with each portion that has come. With the body's end
// net/http takes it away, so that it ends no work on the answer.
func (p *paced) Read(b []byte) (int, error) {
	if p.due == 0 {
		next := time.Now().Add(portionTime)
		if next.After(p.last) {
			next = p.last
		}
		_ = p.deadline(next) // a writer without deadlines, as in a test, has none to move
		p.due = portion
	}
	began := time.Now()
	n, err := p.ReadCloser.Read(b[:min(len(b), p.due)])
	p.waited += time.Since(began)
	p.due -= n
	return n, err
}

// extend gives a long answer more time than the server's WriteTimeout.
func (x *exchange) extend(d time.Duration) {
	// A writer without deadlines, as in a test, has none to extend.
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(d))
}
