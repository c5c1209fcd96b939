package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"elicence/crypto/pki"
	"elicence/crypto/tsa"

	"golang.org/x/time/rate"
)

// openAuthority opens our own timestamp authority. It makes no token while its
// certificate is not trusted here: nobody could rely on one.
func (in *instance) openAuthority() error {
	cert, key, err := in.keys.pair("tsa")
	if err != nil {
		return err
	}
	in.authority = &tsa.Authority{
		Certificate: cert, Key: key, Policy: tsaPolicy, Now: time.Now, Rand: rand.Reader,
		Usable: func(at time.Time) error { return in.trusts(cert, pki.UsageTimestamp, at) },
		Failed: in.tsaFailed,
	}
	return nil
}

// tsaFailed tells the operator why there is no token, once a minute at most: strangers
// may ask again and again.
func (in *instance) tsaFailed(err error) {
	in.tsaFaults.Do(func() { slog.Error("our timestamp authority makes no tokens", "fault", err) })
}

// rfcPath is where tokens are given with the identifiers of RFC 5652.
const rfcPath = "/rfc5652"

// tsaServer is our authority for others. It is public, and asks for no token; a query
// holds a digest and tells nothing of a licence, so it makes no entry in the access log.
// Bounded: 4 KiB a query, 10 s to send and read it, and statusRate from all together.
func (in *instance) tsaServer() *http.Server {
	rfc, paths := *in.authority, http.NewServeMux()
	rfc.RFC5652 = true
	paths.Handle("/{$}", in.authority)
	paths.Handle(rfcPath, &rfc)
	return tsaHTTP(in.server.Observed("tsa", limited(rate.NewLimiter(statusRate, statusBurst), paths)))
}

// limited answers no more requests than the limit allows.
func limited(limit *rate.Limiter, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !limit.Allow() {
			tooMany(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tsaHTTP is a server of timestamps with its bounds.
func tsaHTTP(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
}

// timestamper is the outside TSA when a URL is given, else our own, on a
// listener and with a key of its own. Either is let rest when it fails.
func (in *instance) timestamper(url string) (*tsa.Backoff, error) {
	client := &tsa.Client{URL: url, HTTP: &http.Client{Transport: tsa.Transport()}, Rand: rand.Reader, Timeout: 5 * time.Second, Now: time.Now}
	if url == "" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("listening for timestamp queries: %w", err)
		}
		in.tsa = tsaHTTP(in.authority)
		go in.tsa.Serve(listener) // ends with close
		client.URL, client.Certificate = "http://"+listener.Addr().String()+"/", in.authority.Certificate
	}
	return &tsa.Backoff{Ask: trustedTSA{client, in}.timestamp, Now: time.Now}, nil
}

// trustedTSA takes tokens only of an authority that the anchors know and that was not
// revoked: an issue with any other would end in a file that nobody accepts, while one
// without a token is timestamped later.
type trustedTSA struct {
	client *tsa.Client
	in     *instance
}

// timestamp obtains such a token.
func (o trustedTSA) timestamp(ctx context.Context, message []byte) (*tsa.Token, error) {
	token, err := o.client.Timestamp(ctx, message)
	if err != nil {
		return nil, err
	}
	_, err = o.in.anchors.Load().CheckPath(token.Certificate, pki.PathOptions{
		Intermediates: token.Intermediates, Usage: pki.UsageTimestamp, At: token.Time, Now: time.Now(), Status: o.in.evidence.Known})
	if err != nil {
		return nil, fmt.Errorf("the timestamp authority is not trusted (those of an outside one: anchor and CRL belong into keys/%s): %w", outsideAnchors, err)
	}
	return token, nil
}

// tsaPolicy names the policy of our own TSA, under the same private arc as the
// extended key usages.
const tsaPolicy = pki.PrivateArc + ".2.1"
