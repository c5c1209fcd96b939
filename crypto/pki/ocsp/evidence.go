package ocsp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm3"
)

const (
	// askAgain is how old an answer may grow before it is asked for anew. While that
	// fails the old one counts until its nextUpdate.
	askAgain = 30 * time.Second
	// forget is how long a certificate is remembered that nobody asks about.
	forget = 10 * time.Minute
	// maxEntries bounds the certificates remembered at once.
	maxEntries = 1024
)

// Evidence keeps what responders said, so that not every licence asks. It goes by the
// OCSP address in the certificate; one without has no evidence. Make it with a Client;
// it is safe for concurrent use.
type Evidence struct {
	Client *Client

	mu      sync.Mutex
	entries map[[32]byte]*entry // by SM3 of both certificates; guarded by mu
}

// entry is one certificate's evidence.
type entry struct {
	cert, issuer *pki.Certificate
	used         time.Time // guarded by Evidence.mu

	asking sync.Mutex // held while somebody asks; guards asked
	asked  time.Time  // when somebody last asked

	mu     sync.Mutex // guards status
	status *pki.Status
}

// Known is what was heard of a certificate before, without waiting for anybody. What it
// is asked about is kept up to date by Refresh. It is a Status of pki.PathOptions.
func (e *Evidence) Known(cert, issuer *pki.Certificate) *pki.Status {
	n := e.entry(cert, issuer)
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.status
}

// Asking is Known, but where nothing recent is known it asks, for as long as the Client
// lets it; of several that need the same answer one asks. It takes no context: whoever
// hangs up must not keep the answer from the others.
func (e *Evidence) Asking(cert, issuer *pki.Certificate) *pki.Status {
	if n := e.entry(cert, issuer); n != nil {
		_ = n.ask(context.Background(), e.Client) // what is not heard is not known: the path says so
	}
	return e.Known(cert, issuer)
}

// Refresh asks anew about every certificate that was asked about lately. The error
// joins those of the responders that did not answer.
func (e *Evidence) Refresh(ctx context.Context) error {
	var errs []error
	for _, n := range e.recent() {
		if err := n.ask(ctx, e.Client); err != nil {
			errs = append(errs, fmt.Errorf("certificate %q: %w", n.cert.Subject.CommonName, err))
		}
	}
	return errors.Join(errs...)
}

// recent forgets what nobody asks about and returns the rest.
func (e *Evidence) recent() (list []*entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.Client.Now()
	for key, n := range e.entries {
		if now.Sub(n.used) > forget {
			delete(e.entries, key)
			continue
		}
		list = append(list, n)
	}
	return list
}

// entry finds or makes the entry of a certificate; nil when it names no responder, or
// too many are remembered already.
func (e *Evidence) entry(cert, issuer *pki.Certificate) *entry {
	if len(cert.OCSPServer) == 0 {
		return nil
	}
	c, i := sm3.Sum(cert.Raw), sm3.Sum(issuer.Raw)
	key := sm3.Sum(append(c[:], i[:]...))
	e.mu.Lock()
	defer e.mu.Unlock()
	n, ok := e.entries[key]
	if !ok && len(e.entries) >= maxEntries {
		return nil // until Refresh has forgotten some
	}
	if !ok {
		if e.entries == nil {
			e.entries = map[[32]byte]*entry{}
		}
		n = &entry{cert: cert, issuer: issuer}
		e.entries[key] = n
	}
	n.used = e.Client.Now()
	return n
}

// ask gets a new answer, unless the last attempt is recent.
func (n *entry) ask(ctx context.Context, c *Client) error {
	n.asking.Lock()
	defer n.asking.Unlock()
	now := c.Now()
	if now.Sub(n.asked) < askAgain {
		return nil
	}
	n.asked = now
	status, err := c.Status(ctx, n.cert.OCSPServer[0], n.cert, n.issuer)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.status = status
	n.mu.Unlock()
	return nil
}
