package api_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"elicence/api"
	"elicence/audit"
	"elicence/testdata/hostile"

	"github.com/google/go-cmp/cmp"
)

// TestTokenEndpoint asks for tokens, well and badly; every attempt is one entry.
func TestTokenEndpoint(t *testing.T) {
	w := open(t)
	form := func(pairs ...string) []byte {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Add(pairs[i], pairs[i+1])
		}
		return []byte(v.Encode())
	}
	basic := func(id, secret string) map[string]string {
		return map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
	}
	grant := []string{"grant_type", "client_credentials"}
	for _, c := range []struct {
		name   string
		body   []byte
		header map[string]string
		status int
		code   string
	}{
		{"in the form", form(append(grant, "client_id", partner, "client_secret", partner)...), nil, 200, ""},
		{"by HTTP Basic", form(grant...), basic(partner, partner), 200, ""},
		{"Basic, form-encoded", form(grant...), basic("%70artner", "%70artner"), 200, ""},
		{"client_id beside Basic", form(append(grant, "client_id", partner)...), basic(partner, partner), 200, ""},
		{"wrong secret", form(append(grant, "client_id", partner, "client_secret", "x")...), nil, 401, "invalid_client"},
		{"wrong secret by Basic", form(grant...), basic(partner, "x"), 401, "invalid_client"},
		{"unknown client", form(append(grant, "client_id", "nobody", "client_secret", "x")...), nil, 401, "invalid_client"},
		{"client like nothing", form(append(grant, "client_id", strings.Repeat("甲", 500), "client_secret", "x")...), nil, 401, "invalid_client"},
		{"two clients", form(append(grant, "client_id", approval)...), basic(partner, partner), 400, "invalid_request"},
		{"two secrets", form(append(grant, "client_secret", partner)...), basic(partner, partner), 400, "invalid_request"},
		{"no secret", form(append(grant, "client_id", partner)...), nil, 400, "invalid_request"},
		{"no grant type", form("client_id", partner, "client_secret", partner), nil, 400, "invalid_request"},
		{"another grant type", form("grant_type", "password", "client_id", partner, "client_secret", partner), nil, 400, "unsupported_grant_type"},
		{"a scope", form(append(grant, "scope", "all", "client_id", partner, "client_secret", partner)...), nil, 400, "invalid_scope"},
		{"client twice", form(append(grant, "client_id", partner, "client_id", partner, "client_secret", partner)...), nil, 400, "invalid_request"},
		{"not a form", []byte("%zz"), nil, 400, "invalid_request"},
		{"not Basic", form(grant...), map[string]string{"Authorization": "Bearer x"}, 400, "invalid_request"},
		{"JSON", []byte("{}"), map[string]string{"Content-Type": "application/json"}, 400, "invalid_request"},
		{"9 KiB", bytes.Repeat([]byte("a"), 9<<10), nil, 413, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.size()
			a := w.do(ask{method: "POST", path: "/api/v1/oauth/token", mediaType: "application/x-www-form-urlencoded", body: c.body, header: c.header})
			var got struct {
				Token     string `json:"access_token"`
				Type      string `json:"token_type"`
				ExpiresIn int    `json:"expires_in"`
				Error     string `json:"error"`
			}
			if a.json(t, &got); a.StatusCode != c.status || got.Error != c.code || (got.Token != "") != (c.status == 200) {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			if c.status == 200 && (got.Type != "Bearer" || got.ExpiresIn != 600) || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %v", a.body, a.Header)
			}
			if (a.Header.Get("WWW-Authenticate") != "") != (c.status == 401) {
				t.Errorf("WWW-Authenticate %q", a.Header.Get("WWW-Authenticate"))
			}
			want := audit.ResultRefused
			if c.status == 200 {
				want = audit.ResultAllowed
			}
			if e := w.since(before); len(e) != 1 || e[0].Action != "authenticate" || e[0].Result != want || a.Header.Get("Elicence-Log-Leaf") == "" {
				t.Errorf("log: %+v", e)
			}
		})
	}
}

// TestTokenLife: a token lasts ten minutes and no longer, and dies with its client.
func TestTokenLife(t *testing.T) {
	w := open(t)
	read := ask{method: "GET", path: "/api/v1/licences/" + string(otherIdentifier(t)), as: approval}
	w.token(approval)
	w.Move(10*time.Minute - time.Second)
	if a := w.do(read); a.StatusCode != http.StatusNotFound {
		t.Errorf("a second before: %d", a.StatusCode)
	}
	w.Move(time.Second)
	if a := w.do(read); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("after ten minutes: %d", a.StatusCode)
	}
	if e := w.since(w.size() - 1)[0]; e.Principal != approval || e.Code != "token_expired" {
		t.Errorf("log: %+v", e)
	}
}

// TestRedeem: only what was minted is redeemed, for its use and time.
func TestRedeem(t *testing.T) {
	key, now := bytes.Repeat([]byte{1}, 32), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	token := api.Mint(key, 1, "client", now)
	if got, err := api.Redeem(key, 1, token, now); got != "client" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	bad := map[string]string{"empty": "", "cut": token[:len(token)-1], "padded": token + "=", "line": token + "\n", "long": token + strings.Repeat("A", 300)}
	for i := range token { // every character changed
		for _, c := range "A_" {
			if byte(c) != token[i] {
				bad["character "+string(rune('0'+i))+string(c)] = token[:i] + string(c) + token[i+1:]
			}
		}
	}
	for name, s := range bad {
		if got, err := api.Redeem(key, 1, s, now); err == nil || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := api.Redeem(key, 2, token, now); err == nil {
		t.Error("redeemed for another use")
	}
	if _, err := api.Redeem(bytes.Repeat([]byte{2}, 32), 1, token, now); err == nil {
		t.Error("redeemed with another key")
	}
}

// FuzzRedeem: whatever is redeemed was minted, to the letter.
func FuzzRedeem(f *testing.F) {
	key, now := bytes.Repeat([]byte{1}, 32), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	good := api.Mint(key, 1, "client", now)
	for _, seed := range []string{good, good + "=", "", "AQE", strings.ToLower(good)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if client, err := api.Redeem(key, 1, s, now); err == nil && s != api.Mint(key, 1, client, now) {
			t.Errorf("%q redeemed for %q", s, client)
		}
	})
}

// FuzzBodies: no body makes a reader panic, and what is refused names a field of
// bounded length.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{`{"reason":"r"}`, `{"holder":{"code":"1","code_type":"001"},"limit":3,"cursor":"MQ"}`, `{"holder":[],"fields":[1,"a"]}`, `{"":{"a\u0000":1}}`, `[`, "{\"\xff\":1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, parse := range map[string]func([]byte) error{"search": api.ParseSearch, "reuse": api.ParseReuse, "change": api.ParseChange} {
			var err error
			hostile.Within(t, func() { err = parse(b) })
			if err != nil {
				for _, e := range fieldsIn(err) {
					if len(e) > 1000 {
						t.Errorf("%s: a field of %d bytes", name, len(e))
					}
				}
			}
		}
	})
}

func fieldsIn(err error) []string {
	var names []string
	for _, f := range asRequestError(err) {
		names = append(names, f.Field)
	}
	return names
}

// TestReaderNames: every fault of a body at once, each by its path.
func TestReaderNames(t *testing.T) {
	err := api.ParseReuse([]byte(`{"holder":{"code":"","kind":1},"fields":[1,"a"],"purpose":" ","matter_code":5,"what.ever":1,"":2}`))
	got := fieldsIn(err)
	want := []string{`""`, `"what.ever"`, "case_number", "fields[0]", "holder.code", "holder.code_type", "holder.kind", "matter_code", "operator", "purpose", "type_code"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
