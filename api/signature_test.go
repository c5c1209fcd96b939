package api_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"elicence/api"
	"elicence/audit"
	"elicence/crypto/httpsig"
	"elicence/crypto/pki"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// signer gives a client a key, and what it must use.
func (w *world) signer(client string, how registry.Authentication) crypto.Signer {
	w.t.Helper()
	key := w.addKey(registry.ClientKey{Client: client, ValidFrom: w.Now()})
	_, err := w.SetAuthentication(w.t.Context(), registry.System("test"), client, how)
	must(w.t, err)
	return key
}

// addKey makes a key and registers it.
func (w *world) addKey(k registry.ClientKey) crypto.Signer {
	w.t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	must(w.t, err)
	k.PublicKey, err = pki.MarshalPublicKeyInfo(key.Public())
	must(w.t, err)
	k.KeyID, err = httpsig.KeyID(key.Public())
	must(w.t, err)
	_, err = w.PutClientKey(w.t.Context(), registry.System("test"), k)
	must(w.t, err)
	return key
}

// message is what of a request is signed, with the fields that must be.
func (w *world) message(q ask) (m httpsig.Message, fields []string) {
	m = httpsig.Message{Method: q.method, Origin: registrytest.PublicURL, Target: q.path, Header: http.Header{}}
	set := func(name, value string) {
		m.Header.Set(name, value)
		fields = append(fields, strings.ToLower(name))
	}
	if q.body != nil {
		set("Content-Digest", httpsig.ContentDigest(q.body))
		set("Content-Type", "application/json")
	}
	if q.mediaType != "" {
		m.Header.Set("Content-Type", q.mediaType)
	}
	if q.key != "" {
		set("Idempotency-Key", q.key)
	}
	for name, value := range q.header {
		set(name, value)
	}
	return m, fields
}

// signed is a request with a signature by key.
func (w *world) signed(key crypto.Signer, q ask) ask {
	w.t.Helper()
	m, fields := w.message(q)
	must(w.t, httpsig.Sign(rand.Reader, key, m, w.Now(), fields...))
	return sent(q, m)
}

// sent is a request with the fields of a message.
func sent(q ask, m httpsig.Message) ask {
	q.header = map[string]string{}
	for name, values := range m.Header {
		q.header[name] = values[0]
	}
	return q
}

// TestSigned asks for one thing of each kind with a signature and no token.
func TestSigned(t *testing.T) {
	w := open(t)
	key := w.signer(approval, registry.BySignature)
	before := w.size()
	a := w.do(w.signed(key, ask{method: "POST", path: "/api/v1/licences", key: "signed", body: sample(t, food)}))
	var issued registry.Issued
	if a.json(t, &issued); a.StatusCode != http.StatusCreated {
		t.Fatalf("issue: %d %s", a.StatusCode, a.body)
	}
	w.evidence(before, key, "/api/v1/licences")
	path := "/api/v1/licences/" + string(issued.Identifier)
	a = w.do(w.signed(key, ask{method: "GET", path: path, header: map[string]string{"Elicence-Purpose": "%E6%A0%B8"}}))
	index, err := strconv.ParseUint(a.Header.Get("Elicence-Log-Index"), 10, 64)
	if a.StatusCode != http.StatusOK || err != nil {
		t.Fatalf("read: %d %s", a.StatusCode, a.body)
	}
	if p := w.evidence(index, key, path); !strings.Contains(p[registry.PersonalSignatureBase], `"elicence-purpose": %E6%A0%B8`) {
		t.Errorf("the base leaves out the purpose: %q", p)
	}
	a = w.do(w.signed(key, ask{method: "GET", path: path + "/file"}))
	if a.StatusCode != http.StatusOK {
		t.Fatalf("file: %d %s", a.StatusCode, a.body)
	}
	file := a.body
	verify := formOf(t, part{"file", "a.pdf", string(file)})
	verify.method, verify.path = "POST", "/api/v1/verifications"
	if a := w.do(w.signed(key, verify)); a.StatusCode != http.StatusOK {
		t.Errorf("verification: %d %s", a.StatusCode, a.body)
	}
	if e := w.since(w.size() - 1)[0]; e.Principal != approval {
		t.Errorf("the verification is logged for %s", e.Principal)
	}
	verify.path = "/api/v1/verifications/batch"
	before = w.size()
	if a := w.do(w.signed(key, verify)); a.StatusCode != http.StatusAccepted {
		t.Errorf("batch: %d %s", a.StatusCode, a.body)
	}
	for range 500 {
		if w.size() > before {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.evidence(before, key, verify.path)
}

// evidence is what an entry opens to: the signature and its base, as a stranger checks them.
func (w *world) evidence(index uint64, key crypto.Signer, path string) map[string]string {
	w.t.Helper()
	row, err := w.Config.Log.Entry(w.t.Context(), index)
	must(w.t, err)
	record, err := audit.ParseRecord(row.Record)
	must(w.t, err)
	p, err := record.OpenPersonal(row.Opening)
	must(w.t, err)
	s, err := httpsig.Parse(http.Header{"Signature-Input": {p[registry.PersonalSignatureInput]}, "Signature": {p[registry.PersonalSignature]}})
	must(w.t, err)
	base := p[registry.PersonalSignatureBase] + p[registry.PersonalSignatureBase+"_2"]
	if !s.Verify(key.Public(), base) || !strings.Contains(base, `"@target-uri": `+registrytest.PublicURL+path+"\n") {
		w.t.Errorf("entry %d has no good signature over %q", index, base)
	}
	return p
}

// TestBadSignature sends what was signed by nobody, for another, or changed on its way.
// Each is one refusal in the log, and nothing happens.
func TestBadSignature(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "used")
	file := w.download(issued.Identifier)
	w.token(approval)
	w.token(partner)
	key := w.signer(approval, registry.ByEither)
	theirs := w.signer(partner, registry.BySignature)
	gone := w.signer(auditor, registry.BySignature)
	_, err := w.PutClient(t.Context(), registry.System("test"), registry.Client{ID: auditor, Disabled: true, Authentication: registry.BySignature, Salt: []byte("s"), SecretHash: []byte("h")})
	must(t, err)
	tokens := w.signer(verifier, registry.ByToken)
	expired := w.addKey(registry.ClientKey{Client: approval, ValidFrom: w.Now().Add(-time.Hour), ValidUntil: w.Now()})
	early := w.addKey(registry.ClientKey{Client: approval, ValidFrom: w.Now().Add(time.Second)})
	ended := w.addKey(registry.ClientKey{Client: approval, ValidFrom: w.Now()})
	endedID, _ := httpsig.KeyID(ended.Public())
	_, err = w.EndClientKey(t.Context(), registry.System("test"), endedID, "lost")
	must(t, err)
	stranger, err := pki.GenerateKey(rand.Reader)
	must(t, err)

	path := "/api/v1/licences/" + string(issued.Identifier)
	get := ask{method: "GET", path: path}
	revoke := ask{method: "POST", path: path + "/revoke", key: "r", body: []byte(`{"reason":"r"}`)}
	good := func(q ask) ask { return w.signed(key, q) }
	with := func(q ask, name, value string) ask { q.header[name] = value; return q }
	without := func(q ask, name string) ask { delete(q.header, name); q.key = ""; return q }
	body := func(q ask, b string) ask { q.body = []byte(b); return q }
	// skewed is signed at another time, or with other parameters.
	skewed := func(by time.Duration, q ask) ask {
		m, fields := w.message(q)
		must(t, httpsig.Sign(rand.Reader, key, m, w.Now().Add(by), fields...))
		return sent(q, m)
	}
	input := func(q ask, by crypto.Signer, components, params string) ask {
		m, _ := w.message(q)
		id, _ := httpsig.KeyID(by.Public())
		nonce := fmt.Sprintf("%032x", w.size())
		must(t, httpsig.SignInput(rand.Reader, by, m, fmt.Sprintf(`s=(%s);created=%d%s;nonce="%s";keyid="%s";alg="sm2-sm3"`, components, w.Now().Unix(), params, nonce, id)))
		return sent(q, m)
	}
	upload := formOf(t, part{"file", "a.pdf", string(file)})
	upload.method, upload.path = "POST", "/api/v1/verifications"
	batch := upload
	batch.path = "/api/v1/verifications/batch"
	replace := func(q ask, name, old, new string) ask {
		return with(q, name, strings.Replace(q.header[name], old, new, 1))
	}
	keyID, _ := httpsig.KeyID(key.Public())
	theirID, _ := httpsig.KeyID(theirs.Public())

	for _, c := range []struct {
		name string
		ask
		status    int
		code      string
		principal string // in the log
	}{
		{"by an unknown key", w.signed(stranger, get), 401, "signature_key_unknown", "anonymous"},
		{"under the keyid of another client", replace(w.signed(theirs, get), "Signature-Input", theirID, keyID), 401, "signature_invalid", "anonymous"},
		{"by a disabled client", w.signed(gone, get), 401, "signature_client_gone", auditor},
		{"by a client of tokens", w.signed(tokens, get), 401, "signature_unwanted", verifier},
		{"by a key that expired this moment", w.signed(expired, get), 401, "signature_key_ended", approval},
		{"by a key of tomorrow", w.signed(early, get), 401, "signature_key_ended", approval},
		{"by a key that was ended", w.signed(ended, get), 401, "signature_key_ended", approval},
		{"five minutes and a second late", skewed(-httpsig.Skew-time.Second, get), 401, "signature_not_current", approval},
		{"five minutes and a second early", skewed(httpsig.Skew+time.Second, get), 401, "signature_not_current", approval},
		{"expired", input(get, key, `"@method" "@target-uri"`, fmt.Sprintf(";expires=%d", w.Now().Unix())), 401, "signature_not_current", approval},
		{"created changed", replace(good(get), "Signature-Input", "created=", "created=1"), 401, "signature_invalid", "anonymous"},
		{"nonce changed", replace(good(get), "Signature-Input", `nonce="`, `nonce="a`), 401, "signature_invalid", "anonymous"},
		{"components in another order", replace(good(get), "Signature-Input", `"@method" "@target-uri"`, `"@target-uri" "@method"`), 401, "signature_invalid", "anonymous"},
		{"signature of another request", with(good(get), "Signature", good(get).header["Signature"]), 401, "signature_invalid", "anonymous"},
		{"signature cut off", replace(good(get), "Signature", "=:", "=:A"), 401, "signature_malformed", "anonymous"},
		{"signature without its input", without(good(get), "Signature-Input"), 401, "signature_malformed", "anonymous"},
		{"input without its signature", without(good(get), "Signature"), 401, "signature_malformed", "anonymous"},
		{"sent elsewhere", func() ask { q := good(get); q.path += "/file"; return q }(), 401, "signature_invalid", "anonymous"},
		{"a query added", func() ask { q := good(get); q.path += "?as_of=2026-01-01"; return q }(), 401, "signature_invalid", "anonymous"},
		{"sent by another method", func() ask { q := good(get); q.method = "POST"; q.path += "/revoke"; return q }(), 401, "signature_invalid", "anonymous"},
		{"method left out", input(get, key, `"@target-uri"`, ""), 401, "signature_incomplete", "anonymous"},
		{"target left out", input(get, key, `"@method" "@authority" "@path"`, ""), 401, "signature_incomplete", "anonymous"},
		{"body left out", input(revoke, key, `"@method" "@target-uri" "idempotency-key" "content-type"`, ""), 401, "signature_incomplete", "anonymous"},
		{"media type left out", input(revoke, key, `"@method" "@target-uri" "idempotency-key" "content-digest"`, ""), 401, "signature_incomplete", "anonymous"},
		{"key of the request left out", input(revoke, key, `"@method" "@target-uri" "content-type" "content-digest"`, ""), 401, "signature_incomplete", "anonymous"},
		{"a purpose added", with(good(get), "Elicence-Purpose", "x"), 401, "signature_incomplete", "anonymous"},
		{"a body added", body(with(good(get), "Content-Type", "application/json"), "{}"), 401, "signature_incomplete", "anonymous"},
		{"a covered field taken away", without(good(revoke), "Idempotency-Key"), 401, "signature_malformed", "anonymous"},
		{"unknown component", replace(good(get), "Signature-Input", `"@method"`, `"@status"`), 401, "signature_malformed", "anonymous"},
		{"a hundred labels", with(good(get), "Signature-Input", strings.Repeat("a=(),", 100)+good(get).header["Signature-Input"]), 401, "signature_malformed", "anonymous"},
		{"body changed", body(good(revoke), `{"reason":"s"}`), 400, "content_digest_mismatch", approval},
		{"body cut off", body(good(revoke), `{"reason"`), 400, "content_digest_mismatch", approval},
		{"body taken away", body(good(revoke), ``), 400, "content_digest_mismatch", approval},
		{"body grown", body(good(revoke), `{"reason":"r"} `), 400, "content_digest_mismatch", approval},
		{"digest and body changed", body(with(good(revoke), "Content-Digest", httpsig.ContentDigest([]byte("{}"))), "{}"), 401, "signature_invalid", "anonymous"},
		{"behind the last part of a form", body(good(upload), string(upload.body)+"x"), 400, "content_digest_mismatch", approval},
		{"behind the last part of a batch", body(good(batch), string(batch.body)+"x"), 400, "content_digest_mismatch", approval},
		{"a byte of a file", body(good(upload), strings.Replace(string(upload.body), "%PDF", "%PDG", 1)), 400, "content_digest_mismatch", approval},
		{"a token beside", with(good(get), "Authorization", "Bearer "+w.token(approval)), 400, "credentials_twice", "anonymous"},
		{"a token of a client that must sign", with(ask{method: "GET", path: path, header: map[string]string{}}, "Authorization", "Bearer "+w.tokens[partner]), 401, "signature_required", partner},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			c.remote, c.ask.header["X-Request-Id"] = "198.51.100."+strconv.Itoa(int(w.size()%250))+":1", "bad-3"
			before := w.size()
			a := w.do(c.ask)
			if p := problemIn(t, a); p.Status != c.status || p.Code != c.code {
				t.Fatalf("got %+v, want %d %s", p, c.status, c.code)
			}
			if e := w.since(before); len(e) != 1 || e[0].Result != audit.ResultRefused || e[0].Code != c.code || e[0].Principal != c.principal {
				t.Fatalf("log: %+v", e)
			}
			if (a.StatusCode == 401) != (a.Header.Get("WWW-Authenticate") != "") || a.Header.Get("Elicence-Log-Index") == "" {
				t.Errorf("headers %v", a.Header)
			}
		})
	}
	w.t = t
	if a := w.do(good(get)); a.StatusCode != http.StatusOK || !bytes.Contains(a.body, []byte(`"status":"valid"`)) {
		t.Errorf("after all of it: %d %s", a.StatusCode, a.body)
	}
}

// TestSignedTwice: a field that stands there twice is refused, covered or the signature itself.
func TestSignedTwice(t *testing.T) {
	w := open(t)
	key := w.signer(approval, registry.BySignature)
	for _, name := range []string{"Signature", "Signature-Input", "Content-Digest", "Content-Type", "Idempotency-Key"} {
		q := w.signed(key, ask{method: "POST", path: "/api/v1/licences", key: "k", body: sample(t, food)})
		before := w.size()
		twice := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			r.Header.Add(name, r.Header.Get(name))
			w.server.ServeHTTP(rw, r)
		})
		q.handler = twice
		if p := problemIn(t, w.do(q)); p.Code != "signature_malformed" || w.size() != before+1 {
			t.Errorf("%s twice: %+v, %d entries", name, p, w.size()-before)
		}
	}
}

// TestReplay sends a request again: to the same server and to another, at once and late;
// whoever goes on with that is met by the rate limit.
func TestReplay(t *testing.T) {
	w := open(t)
	key := w.signer(approval, registry.BySignature)
	other := w.serveOver(w.Backend, func(*api.Config) {})
	q := w.signed(key, ask{method: "POST", path: "/api/v1/licences", key: "k", body: sample(t, food)})
	if a := w.do(q); a.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	replay := func(q ask, code string) {
		t.Helper()
		before := w.size()
		p := problemIn(t, w.do(q))
		if p.Code != code {
			t.Errorf("%+v, want %s", p, code)
		}
		if e := w.since(before); code != "rate_limited" && (len(e) != 1 || e[0].Code != code || e[0].Principal != approval) {
			t.Errorf("log: %+v", e)
		}
	}
	replay(q, "signature_replayed")
	elsewhere := q
	elsewhere.handler = other
	replay(elsewhere, "signature_replayed")
	// Refused for its body, and sent again when the body would do.
	bad := w.signed(key, ask{method: "POST", path: "/api/v1/licences", key: "l", body: []byte("{")})
	if p := problemIn(t, w.do(bad)); p.Code != "malformed_json" && p.Code != "invalid_request" {
		t.Errorf("%+v", p)
	}
	replay(bad, "signature_replayed")
	w.Move(httpsig.Skew)
	replay(q, "signature_replayed")
	w.Move(time.Second)
	replay(q, "signature_not_current")
	q = w.signed(key, ask{method: "POST", path: "/api/v1/licences", key: "k", body: sample(t, food)})
	if a := w.do(q); a.StatusCode != http.StatusCreated { // the stored answer
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for n := 0; problemIn(t, w.do(q)).Code == "signature_replayed"; n++ {
		if n == 20 {
			t.Fatal("replays are not limited")
		}
	}
	replay(q, "rate_limited")
	q.remote = "203.0.113.77:1"
	replay(q, "signature_replayed")
}

// TestMustSign: a client that must sign gets no token for its secret.
func TestMustSign(t *testing.T) {
	w := open(t)
	w.signer(partner, registry.BySignature)
	for secret, code := range map[string]string{partner: "unauthorized_client", "wrong": "invalid_client"} {
		before := w.size()
		a := w.do(ask{method: "POST", path: "/api/v1/oauth/token", mediaType: "application/x-www-form-urlencoded",
			body: []byte("grant_type=client_credentials&client_id=" + partner + "&client_secret=" + secret)})
		var got struct{ Error string }
		if a.json(t, &got); got.Error != code || len(w.since(before)) != 1 {
			t.Errorf("%s: %d %s", secret, a.StatusCode, a.body)
		}
	}
}
