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
	return newProvider("identity", "ELICENCE_IDENTITY_SECRET", f.IdentitySecretFile, identity.Config{Issuer: f.IdentityIssuer, ClientID: f.IdentityClient,
		RedirectURL: publicURL + api.SignInReturn, HolderClaim: f.IdentityClaim, Scopes: f.IdentityScope})
}

// newProvider completes a provider whose flags begin with flag with the secret from a file, or
// from the environment; nil when it has no issuer.
func newProvider(flag, env, secretFile string, c identity.Config) (*identity.Provider, error) {
	if c.Issuer == "" {
		return nil, nil
	}
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Host == "" || issuer.Scheme != "https" && !(issuer.Scheme == "http" && listen.Loopback(issuer.Hostname())) {
		return nil, fmt.Errorf("%w: --%s-issuer %q is not https with a host, or http on this machine", errUsage, flag, c.Issuer)
	}
	secret := os.Getenv(env)
	if secretFile != "" {
		b, err := private.ReadFile(secretFile)
		if err != nil {
			return nil, fmt.Errorf("%w: --%s-secret-file: %w", errUsage, flag, err)
		}
		secret = strings.TrimSpace(string(b))
	}
	if c.ClientID == "" || secret == "" {
		return nil, fmt.Errorf("%w: --%s-issuer needs --%s-client, and --%s-secret-file or %s", errUsage, flag, flag, flag, env)
	}
	c.ClientSecret, c.Now = secret, time.Now
	return identity.New(c), nil
}

// officialFlags name the identity provider of officials, which may be the same one.
type officialFlags struct {
	OfficialIssuer     string   `name:"official-issuer" placeholder:"URL" help:"Issuer of the OpenID Connect provider that officials sign in at (default: none, they act by clients alone)."`
	OfficialClient     string   `name:"official-client" help:"Our client id there."`
	OfficialSecretFile string   `name:"official-secret-file" help:"File that holds our client secret there (or set ELICENCE_OFFICIAL_SECRET)." type:"path"`
	OfficialScope      []string `name:"official-scope" help:"Scopes to ask for beside openid."`
}

// officialProvider is the identity provider of officials; nil when none is named.
func (f *officialFlags) officialProvider(publicURL string) (*identity.Provider, error) {
	return newProvider("official", "ELICENCE_OFFICIAL_SECRET", f.OfficialSecretFile, identity.Config{Issuer: f.OfficialIssuer, ClientID: f.OfficialClient,
		RedirectURL: publicURL + api.OfficialReturn, Scopes: f.OfficialScope})
}
