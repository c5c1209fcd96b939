package api

import (
	"container/list"
	"context"
	"errors"
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
	// reportRate is for anonymous verifications whose report is sealed: a key is used.
	reportRate = limits{10 * time.Second, 5}
	// strangerRate is for failed authentications.
	strangerRate = limits{3 * time.Second, 20}
	// lookRate is for codes of holders that there are none of. They cannot be guessed: what it
	// spares is the log.
	lookRate = limits{6 * time.Second, 10}
)

// maxSenders bounds the senders kept at once: the one not heard of for longest is
// forgotten for a new one. Whoever has more addresses than that is not bounded by
// a limiter, but still by the open room.
const maxSenders = 10_000

// limiter counts what senders do: remote addresses, or clients at an address.
type limiter struct {
	limits
	refused *tally

	mu      sync.Mutex // guards what follows
	senders map[string]*list.Element
	order   *list.List // of *limited; the one heard of last is in front
}

// limited is a sender with what it may still do.
type limited struct {
	sender string
	*rate.Limiter
}

func newLimiter(l limits, refused *tally) *limiter {
	return &limiter{limits: l, refused: refused, senders: map[string]*list.Element{}, order: list.New()}
}

// of is the limit of one sender. Callers hold mu.
func (l *limiter) of(sender string) *rate.Limiter {
	if e, ok := l.senders[sender]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*limited).Limiter
	}
	if len(l.senders) == maxSenders {
		oldest := l.order.Remove(l.order.Back()).(*limited)
		delete(l.senders, oldest.sender)
	}
	r := rate.NewLimiter(rate.Every(l.every), l.burst)
	l.senders[sender] = l.order.PushFront(&limited{sender, r})
	return r
}

// take counts one and returns 0, or how long to wait when the limit is reached.
func (l *limiter) take(sender string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of(sender).AllowN(now, 1) {
		return 0
	}
	return l.every
}

// wait returns 0, or how long to wait, and counts nothing.
func (l *limiter) wait(sender string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.senders[sender]; !known || l.of(sender).TokensAt(now) >= 1 {
		return 0
	}
	return l.every
}

// tally counts refusals, and a minute after the first of them has them logged as
// one. While that fails it tries again every minute.
type tally struct {
	log func(count int) error
	// failed is told when that did not succeed.
	failed func(error)

	flushing sync.Mutex // held while log runs

	mu    sync.Mutex // guards what follows
	count int
	timer *time.Timer // runs while count > 0
}

func newTally(log func(count int) error, failed func(error)) *tally {
	return &tally{log: log, failed: failed}
}

// add counts one refusal.
func (t *tally) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count++; t.count == 1 {
		t.timer = time.AfterFunc(time.Minute, t.run)
	}
}

// run flushes on nobody's behalf.
func (t *tally) run() {
	if err := t.flush(); err != nil {
		t.failed(err)
	}
}

// errFlushing says that a tally is being logged, and nobody knows yet how that ends.
var errFlushing = errors.New("api: refusals are being logged")

// flush logs the refusals counted so far; nil when none are left.
func (t *tally) flush() error {
	if t.pending() == 0 {
		return nil
	}
	if !t.flushing.TryLock() {
		return errFlushing
	}
	defer t.flushing.Unlock()
	count := t.pending()
	if count == 0 {
		return nil
	}
	err := t.log(count)
	if err != nil {
		count = 0
	}
	t.settle(count)
	return err
}

// pending is how many refusals are still to be logged.
func (t *tally) pending() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// settle takes what was logged off the count, and keeps the timer for what is left.
func (t *tally) settle(logged int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer.Stop()
	if t.count -= logged; t.count > 0 {
		t.timer.Reset(time.Minute)
	}
}

// close flushes for the last time.
func (t *tally) close() {
	t.run()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
}

// newTally makes a tally whose refusals are logged as one entry of an action and
// code, without the addresses: they may be people's.
func (s *Server) newTally(action audit.Action, code string) *tally {
	return newTally(func(count int) error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_, err := s.cfg.Registry.Refused(ctx, registry.Anonymous(summedRequestID), action, "", code, count)
		return err
	}, func(err error) { s.tell(summedRequestID, err) })
}

// summedRequestID stands in the entries that sum up refusals of many requests. No
// request from outside can have a colon in its name.
const summedRequestID = "elicence:summed"

// summed counts a refusal in a tally, instead of logging it by itself.
func (x *exchange) summed(t *tally, err *refusal) error {
	t.add()
	x.action = ""
	return err
}

// stranger is a failed authentication: err, or a refusal of the rate limit.
func (x *exchange) stranger(err *refusal) error {
	if wait := x.strangers.take(x.remote(), x.now()); wait > 0 {
		return x.summed(x.strangers.refused, errLimited(wait))
	}
	return err
}

// address is where the request came from; ok is false where that cannot be told.
func (x *exchange) address() (a netip.Addr, ok bool) {
	host, _, err := net.SplitHostPort(x.r.RemoteAddr)
	if err != nil {
		host = x.r.RemoteAddr
	}
	if forwarded := x.r.Header.Values("X-Forwarded-For"); x.cfg.BehindProxy && len(forwarded) > 0 {
		last := forwarded[len(forwarded)-1]
		host = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	}
	a, err = netip.ParseAddr(host)
	return a.Unmap().WithZone(""), err == nil
}

// remote is the address that limits count by: an IPv4 address, or the /64 of an
// IPv6 address, which one subscriber has to himself.
func (x *exchange) remote() string {
	addr, ok := x.address()
	if !ok {
		return "unknown"
	}
	if addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return "unknown"
	}
	return prefix.String()
}

// sharedSpace is what providers give to many subscribers (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// addressClass is all that the log says of where somebody unknown looked from: an address
// may be a person's.
func (x *exchange) addressClass() string {
	switch addr, ok := x.address(); {
	case !ok:
		return "address_unknown"
	case addr.IsLoopback():
		return "address_local"
	case addr.IsPrivate(), addr.IsLinkLocalUnicast(), sharedSpace.Contains(addr):
		return "address_private"
	}
	return "address_public"
}
