// Package witness is the witness of an access log, and the log's side of it.
//
// A witness is a second party with a key and a memory of its own. It cosigns a log's
// checkpoint only when a consistency proof shows that it continues the last one that
// it cosigned, and so never cosigns two histories: a log that is cut, rewritten or
// shown differently to different people finds no cosignature. The protocol is C2SP
// tlog-witness with the SM2 cosignatures of docs/log-format.md.
//
// # Invariants of a Witness
//
//   - Of one log it has cosigned a single, growing history. A checkpoint is stored
//     durably before its cosignature leaves, and comparing with the stored one and
//     replacing it are one step.
//   - The times of its cosignatures of one log never decrease.
//   - It believes nobody: whoever sends a checkpoint needs no credentials but the
//     log's signature on it.
//
// A Submitter is the log's side: it sends the newest checkpoint to the witnesses,
// gathers cosignatures until the policy's quorum is met, and stops the log when a
// witness shows a checkpoint by the log's own key that the log does not continue. A
// witness's word alone stops nothing.
//
// The package decides nothing about entries: a witness sees hashes only.
package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"elicence/audit"
)

const (
	sizeType = "text/x.tlog.size"
	maxBusy  = 32 // requests of add-checkpoint at a time
)

// Store keeps one checkpoint for each log. Calls for one log do not overlap.
type Store interface {
	// Latest returns what was kept last for the log of that origin, nil when nothing was.
	Latest(origin string) ([]byte, error)
	// Keep replaces it, durably when it returns nil. After an error the old or the new
	// checkpoint is there.
	Keep(origin string, signed []byte) error
}

// Config is what a Witness needs. All fields must be set.
type Config struct {
	Signer audit.Signer  // the witness's key under its name
	Policy *audit.Policy // the logs it witnesses, by their keys; without witnesses
	Store  Store
	Now    func() time.Time
	Rand   io.Reader // for signatures; safe for concurrent use
	// Failed is told why an answer was 500; it may be nil.
	Failed func(error)
}

// Witness answers for the logs of its policy. It is safe for concurrent use.
type Witness struct {
	cfg  Config
	logs map[string]*memory // by Hash of the origin; the map is not changed
	mux  http.ServeMux
	busy chan struct{} // one token for each request of add-checkpoint under way
}

// memory is what a witness knows of one log.
type memory struct {
	origin string

	mu     sync.Mutex // held from the comparison until the checkpoint is stored
	latest audit.Checkpoint
	at     time.Time // of the cosignature of latest
	signed []byte    // latest as it is stored; nil while nothing was cosigned
}

// Hash returns the name of a log in a witness's addresses: SHA-256 of its origin in
// lower-case hex, as tlog-witness says.
func Hash(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:])
}

// Open returns a witness that goes on from what is in its store. It is an error when
// that was not cosigned by this witness's key, or is not by a key of its log.
func Open(c Config) (*Witness, error) {
	if len(c.Policy.Witnesses()) > 0 {
		return nil, errors.New("witness: its policy names the logs it witnesses, and no witnesses")
	}
	key, err := c.Signer.WitnessKey()
	if err != nil {
		return nil, err
	}
	own, err := c.Policy.WithWitness("self", key, 1)
	if err != nil {
		return nil, err
	}
	w := &Witness{cfg: c, logs: map[string]*memory{}, busy: make(chan struct{}, maxBusy)}
	for _, origin := range c.Policy.Origins() {
		m := &memory{origin: origin}
		if err := m.load(c.Store, own); err != nil {
			return nil, fmt.Errorf("reading the checkpoint kept of %s: %w", origin, err)
		}
		w.logs[Hash(origin)] = m
	}
	w.mux.HandleFunc("POST /add-checkpoint", w.add)
	w.mux.HandleFunc("GET /{log}/checkpoint", w.latest)
	return w, nil
}

func (m *memory) load(store Store, own *audit.Policy) (err error) {
	if m.signed, err = store.Latest(m.origin); err != nil || m.signed == nil {
		return err
	}
	m.latest, m.at, err = own.OpenCosigned(m.signed, "self")
	if err == nil && m.latest.Origin != m.origin {
		err = fmt.Errorf("it is of %s", m.latest.Origin)
	}
	return err
}

// ServeHTTP implements http.Handler.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.mux.ServeHTTP(rw, r) }

// HTTPServer returns a server for the witness with bounds on time and size.
func (w *Witness) HTTPServer() *http.Server {
	return &http.Server{
		Handler: w, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 8 << 10,
	}
}

// latest gives out the last cosigned checkpoint of a log.
func (w *Witness) latest(rw http.ResponseWriter, r *http.Request) {
	m := w.logs[r.PathValue("log")]
	if m == nil {
		http.Error(rw, "unknown log", http.StatusNotFound)
		return
	}
	m.mu.Lock()
	signed := m.signed
	m.mu.Unlock()
	if signed == nil {
		http.Error(rw, "nothing was cosigned yet", http.StatusNotFound)
		return
	}
	answer(rw, "text/plain; charset=utf-8", signed)
}

// refusal is an answer other than 200.
type refusal struct {
	status int
	reason string
	size   uint64 // of the stored checkpoint; for 409
}

func (r *refusal) Error() string { return r.reason }

// add answers add-checkpoint.
func (w *Witness) add(rw http.ResponseWriter, r *http.Request) {
	select {
	case w.busy <- struct{}{}:
		defer func() { <-w.busy }()
	default:
		rw.Header().Set("Retry-After", "1")
		http.Error(rw, "too many requests at a time", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(rw, "the body could not be read whole", status)
		return
	}
	line, err := w.cosign(body)
	var refused *refusal
	switch {
	case err == nil:
		answer(rw, "text/plain; charset=utf-8", line)
	case errors.As(err, &refused) && refused.status == http.StatusConflict:
		rw.Header().Set("Content-Type", sizeType)
		rw.WriteHeader(http.StatusConflict)
		rw.Write(append(strconv.AppendUint(nil, refused.size, 10), '\n'))
	case errors.As(err, &refused):
		http.Error(rw, refused.reason, refused.status)
	default:
		if w.cfg.Failed != nil {
			w.cfg.Failed(err)
		}
		http.Error(rw, "the checkpoint could not be stored", http.StatusInternalServerError)
	}
}

// cosign checks a request and returns the line of the cosignature. Its errors are
// *refusal, unless something of our own failed.
func (w *Witness) cosign(body []byte) ([]byte, error) {
	q, err := parseRequest(body)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, reason: err.Error()}
	}
	c, err := audit.ParseCheckpoint(q.signed)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, reason: "malformed checkpoint"}
	}
	signed, err := w.cfg.Policy.Strip(q.signed)
	switch {
	case errors.Is(err, audit.ErrUnknownLog):
		return nil, &refusal{status: http.StatusNotFound, reason: "unknown log"}
	case errors.Is(err, audit.ErrBadSignature):
		return nil, &refusal{status: http.StatusForbidden, reason: "the checkpoint is not signed by its log"}
	case err != nil:
		return nil, err
	case q.old > c.Size:
		return nil, &refusal{status: http.StatusBadRequest, reason: "the old size is larger than the checkpoint's"}
	}
	return w.advance(w.logs[Hash(c.Origin)], q, c, signed)
}

// advance makes c the latest checkpoint of a log, if it continues the one before. A
// crash before the checkpoint is kept leaves the one before; after it, a checkpoint
// whose cosignature nobody has, which the log learns from the next answer 409.
func (w *Witness) advance(m *memory, q request, c audit.Checkpoint, signed []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if q.old != m.latest.Size {
		return nil, &refusal{status: http.StatusConflict, size: m.latest.Size, reason: "another checkpoint was cosigned last"}
	}
	if err := audit.VerifyConsistency(m.latest, c, q.proof); err != nil {
		if q.old == c.Size && len(q.proof) == 0 { // so it is the root that differs
			return nil, &refusal{status: http.StatusConflict, size: m.latest.Size, reason: "another root of that size was cosigned"}
		}
		return nil, &refusal{status: http.StatusUnprocessableEntity, reason: "the consistency proof does not verify"}
	}
	at := w.cfg.Now().UTC().Truncate(time.Second)
	if at.Before(m.at) {
		at = m.at // a clock that was set back must not make an earlier statement contradict a later one
	}
	cosigned, err := audit.Cosign(w.cfg.Rand, w.cfg.Signer, signed, at)
	if err != nil {
		return nil, err
	}
	if err := w.cfg.Store.Keep(m.origin, cosigned); err != nil {
		return nil, fmt.Errorf("keeping the checkpoint of %s: %w", m.origin, err)
	}
	m.latest, m.at, m.signed = c, at, cosigned
	return cosigned[len(signed):], nil
}

// answer answers 200.
func answer(rw http.ResponseWriter, mediaType string, body []byte) {
	rw.Header().Set("Content-Type", mediaType)
	rw.Header().Set("Content-Length", strconv.Itoa(len(body)))
	rw.Header().Set("Cache-Control", "no-store")
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	rw.Write(body)
}
