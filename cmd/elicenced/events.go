package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"time"

	"elicence/crypto/pki"
	"elicence/licence/event"
	"elicence/licence/event/deliver"
	"elicence/licence/registry"
	"elicence/licence/registry/subscriptions"
)

// eventKey is the name of the key that signs events.
const eventKey = "event"

// eventPath is where the certificate of that key is to be had.
const eventPath = pkiPath + "event.cer"

// eventFlags say where events may be sent.
type eventFlags struct {
	EventNetwork []string `name:"event-network" placeholder:"CIDR" env:"ELICENCE_EVENT_NETWORKS" help:"Networks that events may be sent to beside those open to everybody, as 10.20.0.0/16 (default: none: no private, local or reserved address)."`
	EventCA      string   `name:"event-ca" env:"ELICENCE_EVENT_CA" help:"File of the certificates (PEM) that receivers' certificates are checked by (default: the system's)." type:"path"`
}

// networks are those allowed.
func (f *eventFlags) networks() (event.Networks, error) {
	n, err := event.ParseNetworks(f.EventNetwork)
	if err != nil {
		return nil, fmt.Errorf("%w: --event-network: %w", errUsage, err)
	}
	return n, nil
}

// roots are the authorities of receivers' certificates; nil for the system's.
func (f *eventFlags) roots() (*x509.CertPool, error) {
	if f.EventCA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.EventCA)
	if err != nil {
		return nil, fmt.Errorf("%w: --event-ca: %w", errUsage, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%w: --event-ca: %s holds no certificate", errUsage, f.EventCA)
	}
	return roots, nil
}

// eventSigner is the pair that signs events. An instance made before there were events has
// none, and sends none, until "keys rotate event" makes it.
func (k keyring) eventSigner() (*pki.Certificate, crypto.Signer, error) {
	cert, key, err := k.pair(eventKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("opening the key of events: %w", err)
	}
	return cert, key, nil
}

// openSubscriptions makes the part of the register about subscriptions, which takes some if
// there is a key to serve them with.
func (in *instance) openSubscriptions(f eventFlags) error {
	_, key, err := in.keys.eventSigner()
	if err != nil {
		return err
	}
	networks, err := f.networks()
	if err != nil {
		return err
	}
	var checkTarget func(ctx context.Context, target string) error
	if key != nil {
		checkTarget = func(ctx context.Context, target string) error {
			return networks.CheckTarget(ctx, target, deliver.Resolve)
		}
	}
	in.subscriptions = subscriptions.New(in.registry, checkTarget)
	return nil
}

// openSender makes what sends events; nil without a key.
func (in *instance) openSender(o options) (*deliver.Sender, error) {
	_, key, err := in.keys.eventSigner()
	if err != nil {
		return nil, err
	}
	if key == nil {
		slog.Warn("no key signs events, so none are sent; make one with: elicenced keys rotate event")
		return nil, nil
	}
	networks, err := o.events.networks()
	if err != nil {
		return nil, err
	}
	roots, err := o.events.roots()
	if err != nil {
		return nil, err
	}
	return deliver.New(deliver.Config{
		Key: key, Source: o.publicURL, Networks: networks, Roots: roots, Now: time.Now, Rand: rand.Reader, Jitter: mathrand.Float64,
		Waiting: in.subscriptions.Waiting, Claim: in.subscriptions.Claim, Settle: in.subscriptions.Settle,
		Failed: func(err error) { slog.Warn("events", "fault", err) },
	}), nil
}

// startEvents sends events and tidies them until ctx ends.
func (in *instance) startEvents(ctx context.Context) {
	if in.sender != nil {
		in.idle.Go(func() { in.sender.Run(ctx) })
	}
	in.every(ctx, registry.Lease, func() {
		if err := in.subscriptions.Tidy(ctx); err != nil && ctx.Err() == nil {
			slog.Warn("events", "fault", err)
		}
	})
}

// tellExpired tells of licences that have expired. A fault is told again on the next round.
func (in *instance) tellExpired(ctx context.Context) {
	n, err := in.registry.TellExpired(ctx)
	if n > 0 || err != nil && ctx.Err() == nil {
		slog.Info("expired licences", "told", n, "fault", err)
	}
}

// eventCertificate gives out the certificate of the key that signs events (RFC 2585 §4.1).
func (s *statusService) eventCertificate(w http.ResponseWriter) {
	if s.event == nil {
		http.Error(w, "no events are sent from here", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/pkix-cert")
	w.Header().Set("Cache-Control", "max-age=60")
	w.Write(s.event.Raw)
}
