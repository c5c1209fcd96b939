package deliver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"elicence/licence/event"
)

// newClient is a client that goes nowhere else than where it is sent.
func newClient(networks event.Networks, roots *x509.CertPool) *http.Client {
	dialer := &net.Dialer{
		Timeout: attemptTime / 2,
		// Called with the address itself, after the name was resolved, for each that is tried.
		Control: func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %w", event.ErrInternal, err)
			}
			return networks.Check(at.Addr())
		},
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:       nil,
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: attemptTime / 2, ResponseHeaderTimeout: attemptTime, MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost: perReceiver, MaxIdleConns: atOnce, IdleConnTimeout: 30 * time.Second, DisableCompression: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// outcome is what an answer comes to.
func outcome(a *http.Response, now time.Time) event.Outcome {
	if a.StatusCode >= 200 && a.StatusCode < 300 {
		return event.Outcome{Delivered: true}
	}
	o := event.Outcome{Fault: "http_" + strconv.Itoa(a.StatusCode), Gone: a.StatusCode == http.StatusGone}
	if text := a.Header.Get("Retry-After"); text != "" { // seconds, or a date (RFC 9110 §10.2.3)
		if n, err := strconv.ParseUint(text, 10, 31); err == nil {
			o.RetryAfter = time.Duration(n) * time.Second
		} else if at, err := http.ParseTime(text); err == nil {
			o.RetryAfter = max(0, at.Sub(now))
		}
	}
	return o
}

// faultOf is a stable code for why there was no answer. Addresses stay out of it.
func faultOf(err error) string {
	var (
		certificate *tls.CertificateVerificationError
		name        *net.DNSError
		network     net.Error
	)
	switch {
	case errors.Is(err, event.ErrInternal):
		return "internal_network"
	case errors.As(err, &certificate):
		return "certificate"
	case errors.As(err, &name):
		return "name_not_found"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	}
	return "connection_failed"
}

// Resolve finds the addresses of a host, for event.Networks.CheckTarget.
func Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime/2)
	defer cancel()
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
