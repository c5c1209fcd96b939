package api

import (
	"io"
	"iter"
	"net/http"
	"time"

	"elicence/licence/registry"
)

// Routes yields method and path of every route.
func (s *Server) Routes() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, r := range s.engine.Routes() {
			if !yield(r.Method, r.Path) {
				return
			}
		}
	}
}

// ActionLabels name actions of the log to people.
var ActionLabels = actionLabels

// Printed is a field's value as pages show it.
var Printed = printed

// The bounds on bodies of verifications.
const (
	OpenEach    = openEach
	MaxPlaces   = maxPlaces
	Portion     = portion
	PortionTime = portionTime
	BodyTime    = bodyTime
)

// Narrow leaves anonymous verifications room for so many bytes.
func (s *Server) Narrow(bytes int) { s.open.bytes = bytes }

// Held is how many bytes of bodies are held in either room.
func (s *Server) Held() int { return s.open.held + s.reserved.held }

// Crowd counts so many items to a client's batches.
func (s *Server) Crowd(client string, items int) {
	s.batches.mu.Lock()
	defer s.batches.mu.Unlock()
	s.batches.kept[client] += items
	s.batches.all += items
}

// The bounds on batches.
const (
	MaxBatch       = maxBatch
	MaxClientItems = maxClientItems
	MaxKeptItems   = maxKeptItems
)

// Mint and Redeem are the tokens, by the number of their use.
func Mint(key []byte, use byte, client string, now time.Time) string {
	return mint(key, tokenUse(use), client, now)
}

// Redeem is redeem.
func Redeem(key []byte, use byte, token string, now time.Time) (string, error) {
	return redeem(key, tokenUse(use), token, now)
}

// clocked is a server with a clock and nothing else.
var clocked = &Server{cfg: Config{Now: time.Now}}

// ParseSearch, ParseReuse and ParseChange report the error of each body reader.
func ParseSearch(b []byte) error { _, err := clocked.parseSearch(b); return err }

// ParseReuse is parseReuse.
func ParseReuse(b []byte) error { _, err := clocked.parseReuse(b); return err }

// ParseChange is parseChange.
func ParseChange(b []byte) error { _, err := parseChange(b); return err }

// Limiter is a limiter that logs by a function.
type Limiter struct{ l *limiter }

// NewLimiter returns one.
func NewLimiter() Limiter { return Limiter{newLimiter(verificationRate, nil)} }

// Take counts one for a remote address, and reports whether it may.
func (l Limiter) Take(remote string, now time.Time) bool { return l.l.take(remote, now) == 0 }

// Senders is how many senders are kept.
func (l Limiter) Senders() int { return len(l.l.senders) }

// MaxSenders is maxSenders.
const MaxSenders = maxSenders

// Tally is a tally that logs by a function.
type Tally struct{ t *tally }

// NewTally returns one.
func NewTally(log func(int) error, failed func(error)) Tally { return Tally{newTally(log, failed)} }

// Add counts a refusal.
func (t Tally) Add() { t.t.add() }

// Statuses is the status of each code.
func Statuses() map[string]int {
	m := map[string]int{"internal": 500}
	for code, s := range statuses {
		m[code] = s.status
	}
	return m
}

// Kept is how many items of batches are kept.
func (s *Server) Kept() int {
	s.batches.mu.Lock()
	defer s.batches.mu.Unlock()
	return s.batches.all
}

// BadCount counts checks in words, as the pages do.
var BadCount = badCount

// Authenticate finds out who sends a request, and reads its body, as a handler does.
func (s *Server) Authenticate(r *http.Request) (registry.Caller, error) {
	x := &exchange{Server: s, r: r, requestID: "authenticate"}
	if err := x.authenticate(); err != nil {
		return x.caller, err
	}
	_, err := io.Copy(io.Discard, x.r.Body)
	return x.caller, err
}
