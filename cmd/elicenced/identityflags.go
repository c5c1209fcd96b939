package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"elicence/api"
	"elicence/api/identity"
	"elicence/internal/listen"
	"elicence/internal/private"
)

// identityFlags name the identity provider that people sign in at (OpenID Connect).
type identityFlags struct {
	IdentityIssuer     string   `name:"identity-issuer" placeholder:"URL" help:"Issuer of the OpenID Connect provider that people sign in at (default: none, holders come by one-time links)."`
	IdentityClient     string   `name:"identity-client" help:"Our client id there."`
	IdentitySecretFile string   `name:"identity-secret-file" help:"File that holds our client secret there (or set ELICENCE_IDENTITY_SECRET)." type:"path"`
	IdentityClaim      string   `name:"identity-claim" help:"Claim that holds a person's citizen number." default:"id_number"`
	IdentityScope      []string `name:"identity-scope" help:"Scopes to ask for beside openid." default:"profile"`
}

// provider is the identity provider; nil when none is named.
func (f *identityFlags) provider(publicURL string) (*identity.Provider, error) {
	if f.IdentityIssuer == "" {
		return nil, nil
	}
	issuer, err := url.Parse(f.IdentityIssuer)
	if err != nil || issuer.Host == "" || issuer.Scheme != "https" && !(issuer.Scheme == "http" && listen.Loopback(issuer.Hostname())) {
		return nil, fmt.Errorf("%w: --identity-issuer %q is not https with a host, or http on this machine", errUsage, f.IdentityIssuer)
	}
	secret := os.Getenv("ELICENCE_IDENTITY_SECRET")
	if f.IdentitySecretFile != "" {
		b, err := private.ReadFile(f.IdentitySecretFile)
		if err != nil {
			return nil, fmt.Errorf("%w: --identity-secret-file: %w", errUsage, err)
		}
		secret = strings.TrimSpace(string(b))
	}
	if f.IdentityClient == "" || secret == "" {
		return nil, fmt.Errorf("%w: --identity-issuer needs --identity-client, and --identity-secret-file or ELICENCE_IDENTITY_SECRET", errUsage)
	}
	return identity.New(identity.Config{Issuer: f.IdentityIssuer, ClientID: f.IdentityClient, ClientSecret: secret,
		RedirectURL: publicURL + api.SignInReturn, HolderClaim: f.IdentityClaim, Scopes: f.IdentityScope, Now: time.Now}), nil
}
