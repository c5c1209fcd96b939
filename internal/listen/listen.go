// Package listen is where our servers listen: on loopback, or with TLS, or behind a
// proxy that ends it. Nothing is sent in clear by accident.
package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// ErrUsage is wrapped by faults of the flags.
var ErrUsage = errors.New("wrong usage")

// TLS are the flags that every listener of a server has in common.
type TLS struct {
	TLSCert     string `name:"tls-cert" help:"Certificate chain for TLS, PEM." type:"path"`
	TLSKey      string `name:"tls-key" help:"Private key for TLS, PEM." type:"path"`
	BehindProxy bool   `help:"A proxy in front ends TLS or TLCP; allow a non-loopback address without TLS."`
}

// Open opens a listener at the address that a flag gives, and returns the URL it is
// reached by. An address that is not loopback needs TLS or a proxy.
func (t TLS) Open(flag, address string) (net.Listener, string, error) {
	if (t.TLSCert == "") != (t.TLSKey == "") {
		return nil, "", fmt.Errorf("%w: --tls-cert and --tls-key go together", ErrUsage)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %s %s is not host:port, as 127.0.0.1:18082", ErrUsage, flag, address)
	}
	if !Loopback(host) && t.TLSCert == "" && !t.BehindProxy {
		return nil, "", fmt.Errorf("%w: %s %s is not loopback: give --tls-cert and --tls-key, or --behind-proxy", ErrUsage, flag, address)
	}
	// A bad pair would show only when the first connection is awaited, behind the line that says we serve.
	if t.TLSCert != "" {
		if _, err := tls.LoadX509KeyPair(t.TLSCert, t.TLSKey); err != nil {
			return nil, "", fmt.Errorf("%w: --tls-cert, --tls-key: %w", ErrUsage, err)
		}
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, "", fmt.Errorf("%w; give another address with %s (port 0 takes a free one)", err, flag)
	}
	scheme := "http://"
	if t.TLSCert != "" {
		scheme = "https://"
	}
	return listener, scheme + listener.Addr().String(), nil
}

// Serve answers on a listener, with TLS when there is a certificate.
func (t TLS) Serve(server *http.Server, listener net.Listener) error {
	if t.TLSCert != "" {
		return server.ServeTLS(listener, t.TLSCert, t.TLSKey)
	}
	return server.Serve(listener)
}

// Loopback reports whether a host is this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
