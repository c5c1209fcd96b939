package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestIdentityFlags has providers that can be meant, and cannot.
func TestIdentityFlags(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("s\n"), 0o600))
	shown := secret + "-shown"
	must(t, os.WriteFile(shown, []byte("s\n"), 0o600))
	must(t, os.Chmod(shown, 0o604))
	for _, c := range []struct {
		issuer, client, secret string
		good                   bool
	}{
		{"https://id.example.gov.cn/oidc", "c", secret, true},
		{"http://127.0.0.1:9998", "c", secret, true},
		{"http://localhost:9998", "c", secret, true},
		{"http://id.example.gov.cn", "c", secret, false},
		{"id.example.gov.cn", "c", secret, false},
		{"https://", "c", secret, false},
		{"https://id.example.gov.cn", "", secret, false},
		{"https://id.example.gov.cn", "c", "", false},
		{"https://id.example.gov.cn", "c", secret + "x", false},
		{"https://id.example.gov.cn", "c", shown, false},
	} {
		f := identityFlags{IdentityIssuer: c.issuer, IdentityClient: c.client, IdentitySecretFile: c.secret}
		p, err := f.provider("https://zz.example.gov.cn")
		if (err == nil) != c.good || !c.good && !errors.Is(err, errUsage) {
			t.Errorf("%+v: %v", c, err)
		}
		if c.good && (p.ClientSecret != "s" || p.RedirectURL != "https://zz.example.gov.cn/sign-in/return") {
			t.Errorf("%+v: %+v", c, p.Config)
		}
	}
	of := officialFlags{OfficialIssuer: "https://id.example.gov.cn", OfficialClient: "c", OfficialSecretFile: secret}
	if p, err := of.officialProvider("https://zz.example.gov.cn"); err != nil || p.RedirectURL != "https://zz.example.gov.cn/sign-in/official/return" || p.HolderClaim != "" || p.ClientSecret != "s" {
		t.Errorf("of officials: %v, %v", p, err)
	}
	of.OfficialSecretFile = shown
	if _, err := of.officialProvider("https://zz.example.gov.cn"); !errors.Is(err, errUsage) {
		t.Errorf("of officials, with a secret for all to read: %v", err)
	}
	if p, err := (&officialFlags{}).officialProvider("https://zz.example.gov.cn"); p != nil || err != nil {
		t.Errorf("none of officials: %v, %v", p, err)
	}
	if p, err := (&identityFlags{}).provider("https://zz.example.gov.cn"); p != nil || err != nil {
		t.Errorf("none: %v, %v", p, err)
	}
}
