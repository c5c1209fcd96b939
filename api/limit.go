package api

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"elicence/audit"
	"elicence/licence/registry"

	"golang.org/x/time/rate"
)

// limits is how often one remote address may do something.
type limits struct {
	// every is the pause between two in the long run, burst how many at once.
	every time.Duration
	burst int
}

var (
	// verificationRate is for anonymous verifications: a queue at a counter, not a harvest.
	verificationRate = limits{2 * time.Second, 30}
	// strangerRate is for failed authentications.
	strangerRate = limits{3 * time.Second, 20}
)

// maxRemotes bounds the addresses kept at once; all further ones share one limit.
const maxRemotes = 10_000

// limiter counts what remote addresses do, and what it refused them.
type limiter struct {
	limits
	// log writes one entry for a number of refusals.
	log func(count int)

	mu      sync.Mutex // guards what follows
	remotes map[string]*rate.Limiter
	refused int
	timer   *time.Timer // runs while refused > 0
}

func newLimiter(l limits, log func(int)) *limiter {
	return &limiter{limits: l, log: log, remotes: map[string]*rate.Limiter{}}
}

// of is the limit of one remote address. Callers hold mu.
func (l *limiter) of(remote string, now time.Time) *rate.Limiter {
	if r, ok := l.remotes[remote]; ok {
		return r
	}
	if len(l.remotes) >= maxRemotes {
		l.sweep(now)
	}
	if len(l.remotes) >= maxRemotes {
		remote = "" // the shared one
		if r, ok := l.remotes[remote]; ok {
			return r
		}
	}
	r := rate.NewLimiter(rate.Every(l.every), l.burst)
	l.remotes[remote] = r
	return r
}

// sweep forgets the addresses that have their whole burst again.
func (l *limiter) sweep(now time.Time) {
	for remote, r := range l.remotes {
		if r.TokensAt(now) >= float64(l.burst) {
			delete(l.remotes, remote)
		}
	}
}

// take counts one and returns 0, or how long to wait when the limit is reached.
func (l *limiter) take(remote string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of(remote, now).AllowN(now, 1) {
		return 0
	}
	return l.every
}

// wait returns 0, or how long to wait, and counts nothing.
func (l *limiter) wait(remote string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of(remote, now).TokensAt(now) >= 1 {
		return 0
	}
	return l.every
}

// refuse counts a refusal; a minute after the first of them they are logged as one.
func (l *limiter) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused++; l.refused == 1 {
		l.timer = time.AfterFunc(time.Minute, l.flush)
	}
}

// flush logs the refusals counted so far.
func (l *limiter) flush() {
	l.mu.Lock()
	count := l.refused
	if l.refused = 0; l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	if count > 0 {
		l.log(count)
	}
}

// logLimited is how a limiter logs: one entry for all addresses, which are not
// kept, because an address may be a person's.
func (s *Server) logLimited(action audit.Action) func(int) {
	return func(count int) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_, err := s.cfg.Registry.Refused(ctx, registry.Anonymous(limitedRequestID), action, "", "rate_limited", count)
		if err != nil && s.cfg.Failed != nil {
			s.cfg.Failed(limitedRequestID, err)
		}
	}
}

// limitedRequestID stands in the entries that sum up refusals of many requests.
const limitedRequestID = "rate-limit"

// limited refuses a request over a limit; it is logged with the others of its minute.
func (x *exchange) limited(l *limiter, wait time.Duration) {
	l.refuse()
	x.fail(errLimited(wait))
}

// stranger is a failed authentication: err, or a refusal of the rate limit.
func (x *exchange) stranger(err *refusal) error {
	if wait := x.strangers.take(x.remote(), x.now()); wait > 0 {
		x.strangers.refuse()
		x.action = "" // logged with the others of its minute, not by itself
		return errLimited(wait)
	}
	return err
}

// remote is the address that limits count by: an IPv4 address, or the /64 of an
// IPv6 address, which one subscriber has to himself.
func (x *exchange) remote() string {
	host, _, err := net.SplitHostPort(x.r.RemoteAddr)
	if err != nil {
		host = x.r.RemoteAddr
	}
	if forwarded := x.r.Header.Values("X-Forwarded-For"); x.cfg.BehindProxy && len(forwarded) > 0 {
		last := forwarded[len(forwarded)-1]
		host = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "unknown"
	}
	if addr = addr.Unmap(); addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return "unknown"
	}
	return prefix.String()
}
