// Package deliver sends events to their receivers.
//
// A Sender asks the register for what is due, posts it, and tells the register what came of it.
// Any number of senders, in as many servers, may work on one register: what one has claimed the
// others leave alone until its time is over. So an event is delivered at least once, and once
// more when a server dies between the receiver's answer and its own note of it.
//
// Invariants:
//   - no connection is made but to an address that event.Networks allows, whatever the name was
//     when the subscription was made: the address that is dialled is looked at
//   - no redirect is followed and no proxy used, for either would lead elsewhere
//   - at any moment a receiver has at most perReceiver requests of a sender's, one that failed
//     last time has one, and all together atOnce
//   - what a receiver answers is bounded in size and time, and nothing of it but the status and
//     Retry-After counts
package deliver

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"elicence/licence/event"
)

// Bounds on one sender.
const (
	atOnce, perReceiver = 64, 8
	// attemptTime bounds one attempt, from the dialling to the end of the answer.
	attemptTime = 10 * time.Second
	// claimTime is for how long an event is claimed: an attempt, and time to note what came of it.
	claimTime = time.Minute
	// askInterval is how often the register is asked for what is due; gatherTime how long what
	// was sent before gathers, when that shows that there is more.
	askInterval, gatherTime = time.Second, 5 * time.Millisecond
	maxAnswer, maxHeader    = 4 << 10, 16 << 10
)

// Config is what a Sender needs. All fields must be set unless they say otherwise.
type Config struct {
	// Key is the platform's SM2 key, which signs; Source the service's public URL.
	Key    crypto.Signer
	Source string
	// Networks are those allowed beside the open ones.
	Networks event.Networks
	// Roots are the authorities of receivers' certificates; nil: the system's.
	Roots *x509.CertPool
	Now   func() time.Time
	Rand  io.Reader
	// Jitter is a random number from 0 to below 1.
	Jitter func() float64
	// Waiting, Claim and Settle are the register's; see package subscriptions.
	Waiting func(ctx context.Context) ([]event.Subscription, error)
	Claim   func(ctx context.Context, s event.Subscription, within time.Duration, limit int) ([]event.Delivery, error)
	Settle  func(ctx context.Context, d event.Delivery, o event.Outcome, jitter float64) error
	// Failed is told what the register could not do; the next round tries again.
	Failed func(error)
}

// Sender delivers events.
type Sender struct {
	cfg    Config
	client *http.Client

	mu    sync.Mutex
	busy  map[string]int // attempts under way, by subscription
	total int
	// again is sent to when an attempt has ended, so that its place is filled.
	again chan struct{}
	idle  sync.WaitGroup
}

// New returns a Sender.
func New(c Config) *Sender {
	return &Sender{cfg: c, client: newClient(c.Networks, c.Roots), busy: map[string]int{}, again: make(chan struct{}, 1)}
}

// Run delivers until the context ends, and then waits for the attempts under way, each of
// which ends within its time.
func (s *Sender) Run(ctx context.Context) {
	tick := time.NewTicker(askInterval)
	defer tick.Stop()
	defer s.client.CloseIdleConnections()
	defer s.idle.Wait()
	for {
		if err := s.round(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.again:
			time.Sleep(gatherTime)
		}
	}
}

// round claims what there is room for, and begins to send it.
func (s *Sender) round(ctx context.Context) error {
	waiting, err := s.cfg.Waiting(ctx)
	if err != nil {
		return fmt.Errorf("looking for events: %w", err)
	}
	var faults []error
	for _, sub := range waiting {
		room := s.room(sub)
		if room <= 0 {
			continue
		}
		claimed, err := s.cfg.Claim(ctx, sub, claimTime, room)
		if err != nil {
			faults = append(faults, fmt.Errorf("claiming events of subscription %s: %w", sub.ID, err))
			continue
		}
		for _, d := range claimed {
			s.begin(ctx, d)
		}
	}
	return errors.Join(faults...)
}

// room is how many more events of a subscription may be sent now.
func (s *Sender) room(sub event.Subscription) int {
	most := perReceiver
	if sub.Failures > 0 {
		most = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(most-s.busy[sub.ID], atOnce-s.total)
}

// begin sends one event beside others. The end of the server does not cut an attempt short.
func (s *Sender) begin(ctx context.Context, d event.Delivery) {
	id := d.Subscription.ID
	s.mu.Lock()
	s.busy[id]++
	s.total++
	s.mu.Unlock()
	s.idle.Go(func() {
		ctx := context.WithoutCancel(ctx)
		o := s.attempt(ctx, d)
		if err := s.settle(ctx, d, o); err != nil {
			s.cfg.Failed(fmt.Errorf("noting what came of an event: %w", err))
		}
		s.mu.Lock()
		s.total--
		if s.busy[id]--; s.busy[id] == 0 {
			delete(s.busy, id)
		}
		s.mu.Unlock()
		select {
		case s.again <- struct{}{}:
		default:
		}
	})
}

func (s *Sender) settle(ctx context.Context, d event.Delivery, o event.Outcome) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	return s.cfg.Settle(ctx, d, o, s.cfg.Jitter())
}

// attempt posts an event once.
func (s *Sender) attempt(ctx context.Context, d event.Delivery) event.Outcome {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	body, err := d.Event.Body(s.cfg.Source)
	if err != nil {
		return event.Outcome{Fault: "unsendable"}
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Subscription.URL, bytes.NewReader(body))
	if err != nil {
		return event.Outcome{Fault: "unsendable"}
	}
	if err := event.Sign(s.cfg.Rand, s.cfg.Key, q.Header, d.Event.ID, s.cfg.Now(), body); err != nil {
		s.cfg.Failed(err)
		return event.Outcome{Fault: "unsigned"}
	}
	q.Header.Set("User-Agent", "elicence")
	a, err := s.client.Do(q)
	if err != nil {
		return event.Outcome{Fault: faultOf(err)}
	}
	defer a.Body.Close()
	// Whether it is all there does not matter: the status says that the event was taken.
	_, _ = io.CopyN(io.Discard, a.Body, maxAnswer)
	return outcome(a, s.cfg.Now())
}
