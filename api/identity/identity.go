// Package identity asks an OpenID Connect provider who a person is: the provincial identity
// system (省统一身份认证). Authorization code flow with PKCE, state and nonce.
//
// What a provider says is believed of identity alone: the subject and the claims named in
// Config. What somebody may do here comes from the register, never from a token.
//
// The provider's answers are bounded in size and time, and redirects are not followed. The
// package keeps no session and logs nothing.
package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Config is what a Provider needs. All fields must be set unless they say otherwise.
type Config struct {
	// Issuer is the provider's issuer URL, below which its configuration is discovered.
	Issuer                 string
	ClientID, ClientSecret string
	// RedirectURL is where the provider sends people back to; it must be registered there.
	RedirectURL string
	// HolderClaim names the claim with a person's citizen number; empty asks for none.
	HolderClaim string
	// Scopes are asked for beside openid; they may be none.
	Scopes []string
	Now    func() time.Time
}

// Provider is an OpenID Connect provider. It is safe for concurrent use.
type Provider struct {
	Config
	client *http.Client

	mu     sync.Mutex // guards what follows
	found  *oidc.Provider
	failed time.Time // when it could not be discovered
}

// Person is who the provider says somebody is.
type Person struct {
	Issuer, Subject string
	// Number is the citizen number as the claim has it, unchecked; empty when it has none.
	Number string
}

var (
	// ErrAway: the provider cannot be reached, or does not answer as it should.
	ErrAway = errors.New("the identity provider does not answer")
	// ErrRefused: what was brought back from the provider is no proof of identity.
	ErrRefused = errors.New("the sign-in is not proved")
)

// New returns a Provider. It asks nobody yet, so that the service starts without it.
func New(c Config) *Provider {
	return &Provider{Config: c, client: &http.Client{
		Timeout: 10 * time.Second, Transport: bounded{http.DefaultTransport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// maxAnswer bounds what is read of an answer of the provider.
const maxAnswer = 1 << 20

// bounded cuts answers off.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		a.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(a.Body, maxAnswer), a.Body}
	}
	return a, err
}

// rest is how long a provider that is away is left alone.
const rest = 5 * time.Second

// provider discovers the provider, once that succeeds.
func (p *Provider) provider(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	if p.Now().Sub(p.failed).Abs() < rest {
		return nil, fmt.Errorf("%w: it did not a moment ago", ErrAway)
	}
	// The keys are fetched long after this request is over.
	found, err := oidc.NewProvider(context.WithoutCancel(ctx), p.Issuer)
	if err != nil {
		p.failed = p.Now()
		return nil, fmt.Errorf("%w: discovering %s: %w", ErrAway, p.Issuer, err)
	}
	p.found = found
	return found, nil
}

func (p *Provider) oauth(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: found.Endpoint(),
		RedirectURL: p.RedirectURL, Scopes: append([]string{oidc.ScopeOpenID}, p.Scopes...)}
}

// Attempt is one attempt at signing in: secrets that the answer must match.
type Attempt struct{ State, Nonce, Verifier string }

// URL is where a person goes to sign in. Errors wrap ErrAway.
func (p *Provider) URL(ctx context.Context, a Attempt) (string, error) {
	found, err := p.provider(oidc.ClientContext(ctx, p.client))
	if err != nil {
		return "", err
	}
	return p.oauth(found).AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// Person redeems the code that a person brought back from an attempt. Errors wrap ErrAway or
// ErrRefused.
func (p *Provider) Person(ctx context.Context, a Attempt, code string) (Person, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	found, err := p.provider(ctx)
	if err != nil {
		return Person{}, err
	}
	token, err := p.oauth(found).Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		var answered *oauth2.RetrieveError
		if errors.As(err, &answered) && answered.Response.StatusCode < http.StatusInternalServerError {
			return Person{}, fmt.Errorf("%w: redeeming the code: %s", ErrRefused, answered.ErrorCode)
		}
		return Person{}, fmt.Errorf("%w: redeeming the code: %w", ErrAway, err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := found.Verifier(&oidc.Config{ClientID: p.ClientID, Now: p.Now}).Verify(ctx, raw)
	if err != nil {
		return Person{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if id.Nonce != a.Nonce || id.Subject == "" {
		return Person{}, fmt.Errorf("%w: the id token is of another attempt", ErrRefused)
	}
	number, err := p.number(ctx, found, id, token)
	return Person{id.Issuer, id.Subject, number}, err
}

// number is the citizen number of the id token, or else of the provider's answer about its
// subject.
func (p *Provider) number(ctx context.Context, found *oidc.Provider, id *oidc.IDToken, token *oauth2.Token) (string, error) {
	if p.HolderClaim == "" {
		return "", nil
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if number, ok := claims[p.HolderClaim].(string); ok || found.UserInfoEndpoint() == "" {
		return number, nil
	}
	info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(token))
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: asking who it is: %w", ErrAway, err)
	case info.Subject != id.Subject:
		return "", fmt.Errorf("%w: the provider answers about another subject", ErrRefused)
	}
	if err := info.Claims(&claims); err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	number, _ := claims[p.HolderClaim].(string)
	return number, nil
}
