package httpsig_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"elicence/crypto/httpsig"
	"elicence/crypto/pki"
)

var now = time.Unix(1618884473, 0)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// example is the request of RFC 9421, appendix B.2.
func example() httpsig.Message {
	return httpsig.Message{Method: "POST", Origin: "https://example.com", Target: "/foo?param=Value&Pet=dog", Header: http.Header{
		"Date": {"Tue, 20 Apr 2021 02:07:55 GMT"}, "Content-Type": {"application/json"}, "Content-Length": {"18"},
		"Content-Digest": {"sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"},
	}}
}

// TestRFC builds the signature bases of RFC 9421's examples whose components are of the
// profile, and has the RFC's own signatures over them judge.
func TestRFC(t *testing.T) {
	base := func(input string) []byte {
		b, err := httpsig.Unchecked(input).Base(example())
		must(t, err)
		return []byte(b)
	}
	decode := func(text string) []byte {
		b, err := base64.StdEncoding.DecodeString(text)
		must(t, err)
		return b
	}
	full := `"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@query": ?param=Value&Pet=dog
"@authority": example.com
"content-type": application/json
"content-digest": sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"`
	if got := base(`sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"`); string(got) != full {
		t.Errorf("B.2.3:\n%s", got)
	}
	shared := hmac.New(sha256.New, decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="))
	shared.Write(base(`sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`))
	if !hmac.Equal(shared.Sum(nil), decode("pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=")) {
		t.Error("B.2.5: the HMAC is another")
	}
	key := ed25519.PublicKey(decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="))
	if !ed25519.Verify(key, base(`sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`),
		decode("wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==")) {
		t.Error("B.2.6: the signature is not over this base")
	}
}

// signer is a key with the message that it signs.
func signer(t testing.TB) (crypto.Signer, string, httpsig.Message) {
	t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	id, err := httpsig.KeyID(key.Public())
	must(t, err)
	m := example()
	m.Header.Set("Content-Digest", httpsig.ContentDigest([]byte(`{"hello": "world"}`)))
	return key, id, m
}

// TestSign signs a request and verifies it; then changes one thing after the other.
func TestSign(t *testing.T) {
	key, _, m := signer(t)
	must(t, httpsig.Sign(rand.Reader, key, m, now, "content-type", "content-digest"))
	s, err := httpsig.Parse(m.Header)
	must(t, err)
	check := func(change func(*httpsig.Message)) bool {
		changed := m
		changed.Header = m.Header.Clone()
		change(&changed)
		base, err := s.Base(changed)
		return err == nil && s.Verify(key.Public(), base)
	}
	for name, change := range map[string]func(*httpsig.Message){
		"nothing":                              func(*httpsig.Message) {},
		"a field not signed":                   func(m *httpsig.Message) { m.Header.Set("Date", "x") },
		"the host's capitals and its own port": func(m *httpsig.Message) { m.Origin = "https://EXAMPLE.com:443" },
	} {
		if !check(change) {
			t.Errorf("%s changed: refused", name)
		}
	}
	for name, change := range map[string]func(*httpsig.Message){
		"method":        func(m *httpsig.Message) { m.Method = "PUT" },
		"scheme":        func(m *httpsig.Message) { m.Origin = "http://example.com" },
		"host":          func(m *httpsig.Message) { m.Origin = "https://example.org" },
		"port":          func(m *httpsig.Message) { m.Origin = "https://example.com:8443" },
		"path":          func(m *httpsig.Message) { m.Target = "/fooo?param=Value&Pet=dog" },
		"escaped path":  func(m *httpsig.Message) { m.Target = "/%66oo?param=Value&Pet=dog" },
		"query":         func(m *httpsig.Message) { m.Target = "/foo?Pet=dog&param=Value" },
		"no query":      func(m *httpsig.Message) { m.Target = "/foo" },
		"empty query":   func(m *httpsig.Message) { m.Target = "/foo?" },
		"media type":    func(m *httpsig.Message) { m.Header.Set("Content-Type", "text/plain") },
		"digest":        func(m *httpsig.Message) { m.Header.Set("Content-Digest", httpsig.ContentDigest(nil)) },
		"field gone":    func(m *httpsig.Message) { m.Header.Del("Content-Type") },
		"field twice":   func(m *httpsig.Message) { m.Header.Add("Content-Type", "application/json") },
		"line in field": func(m *httpsig.Message) { m.Header.Set("Content-Type", "a\nb") },
		"no path":       func(m *httpsig.Message) { m.Target = "*" },
		"long field":    func(m *httpsig.Message) { m.Header.Set("Content-Type", strings.Repeat("a", httpsig.MaxBase)) },
	} {
		if check(change) {
			t.Errorf("%s changed: accepted", name)
		}
	}
	other, _, _ := signer(t)
	if base, _ := s.Base(m); s.Verify(other.Public(), base) {
		t.Error("verifies with another key")
	}
	if err := s.Covers("content-type", "content-digest"); err != nil {
		t.Error(err)
	}
	if err := s.Covers("idempotency-key"); !errors.Is(err, httpsig.ErrIncomplete) {
		t.Error(err)
	}
}

// TestParse has signatures that are not of the profile.
func TestParse(t *testing.T) {
	_, id, _ := signer(t)
	good := func(input string) string {
		return strings.NewReplacer("KEY", id, "NONCE", strings.Repeat("n", 16)).Replace(input)
	}
	const params = `;created=1618884473;nonce="NONCE";keyid="KEY";alg="sm2-sm3"`
	value := "s=:" + base64.StdEncoding.EncodeToString(make([]byte, 64)) + ":"
	for _, c := range []struct {
		name, input, value string
		want               error
	}{
		{"good", `s=("@method")` + params, value, nil},
		{"with expires", `s=("@method");expires=1618884474` + params, value, nil},
		{"empty", "", value, httpsig.ErrMalformed},
		{"no dictionary", `("@method")` + params, value, httpsig.ErrMalformed},
		{"no list", `s="@method"`, value, httpsig.ErrMalformed},
		{"no component", `s=()` + params, value, httpsig.ErrMalformed},
		{"two signatures", `s=("@method")` + params + `, t=("@method")` + params, value, httpsig.ErrMalformed},
		{"one label twice", `s=("@path")` + params + `, s=("@method")` + params, value, httpsig.ErrMalformed},
		{"many labels", strings.Repeat(`a=(),`, 190) + `b=()`, value, httpsig.ErrMalformed},
		{"long label", strings.Repeat("s", 65) + `=("@method")` + params, value, httpsig.ErrMalformed},
		{"label of another", `t=("@method")` + params, value, httpsig.ErrMalformed},
		{"spaces", `s=( "@method" )` + params, value, httpsig.ErrMalformed},
		{"component twice", `s=("@method" "@method")` + params, value, httpsig.ErrMalformed},
		{"component with a parameter", `s=("@method";req)` + params, value, httpsig.ErrMalformed},
		{"query-param", `s=("@query-param";name="a")` + params, value, httpsig.ErrMalformed},
		{"unknown derived component", `s=("@status")` + params, value, httpsig.ErrMalformed},
		{"signature-params", `s=("@signature-params")` + params, value, httpsig.ErrMalformed},
		{"signature itself", `s=("signature")` + params, value, httpsig.ErrMalformed},
		{"capitals", `s=("Content-Type")` + params, value, httpsig.ErrMalformed},
		{"no name", `s=("")` + params, value, httpsig.ErrMalformed},
		{"line feed", "s=(\"a\nb\")" + params, value, httpsig.ErrMalformed},
		{"a display string that ends early", `a=(%0`, value, httpsig.ErrMalformed},
		{"a token", `s=(method)` + params, value, httpsig.ErrMalformed},
		{"many components", `s=("a` + strings.Join(strings.Split(strings.Repeat("x", 25), ""), `" "b`) + `")` + params, value, httpsig.ErrMalformed},
		{"no created", `s=("@method");nonce="NONCE";keyid="KEY";alg="sm2-sm3"`, value, httpsig.ErrMalformed},
		{"no nonce", `s=("@method");created=1;keyid="KEY";alg="sm2-sm3"`, value, httpsig.ErrMalformed},
		{"no keyid", `s=("@method");created=1;nonce="NONCE";alg="sm2-sm3"`, value, httpsig.ErrMalformed},
		{"no alg", `s=("@method");created=1;nonce="NONCE";keyid="KEY"`, value, httpsig.ErrMalformed},
		{"another alg", `s=("@method");created=1;nonce="NONCE";keyid="KEY";alg="ed25519"`, value, httpsig.ErrMalformed},
		{"created twice", `s=("@method");created=1` + params, value, httpsig.ErrMalformed},
		{"created as text", `s=("@method");created="1";nonce="NONCE";keyid="KEY";alg="sm2-sm3"`, value, httpsig.ErrMalformed},
		{"created as decimal", `s=("@method");created=1.5;nonce="NONCE";keyid="KEY";alg="sm2-sm3"`, value, httpsig.ErrMalformed},
		{"created as date", `s=("@method");created=@1;nonce="NONCE";keyid="KEY";alg="sm2-sm3"`, value, httpsig.ErrMalformed},
		{"created before 1970", `s=("@method");created=-1;nonce="NONCE";keyid="KEY";alg="sm2-sm3"`, value, httpsig.ErrMalformed},
		{"created after 9999", `s=("@method");created=999999999999999;nonce="NONCE";keyid="KEY";alg="sm2-sm3"`, value, httpsig.ErrMalformed},
		{"unknown parameter", `s=("@method");tag="x"` + params, value, httpsig.ErrMalformed},
		{"short nonce", `s=("@method");created=1;nonce="n";keyid="KEY";alg="sm2-sm3"`, value, httpsig.ErrMalformed},
		{"long nonce", `s=("@method");created=1;nonce="` + strings.Repeat("n", 65) + `";keyid="KEY";alg="sm2-sm3"`, value, httpsig.ErrMalformed},
		{"another keyid", `s=("@method");created=1;nonce="NONCE";keyid="k";alg="sm2-sm3"`, value, httpsig.ErrMalformed},
		{"keyid in capitals", `s=("@method");created=1;nonce="NONCE";keyid="` + strings.Repeat("A", 64) + `";alg="sm2-sm3"`, value, httpsig.ErrMalformed},
		{"too long", `s=("` + strings.Repeat("a", httpsig.MaxInput) + `")` + params, value, httpsig.ErrMalformed},
		{"short signature", `s=("@method")` + params, "s=:AAAA:", httpsig.ErrMalformed},
		{"signature as text", `s=("@method")` + params, `s="x"`, httpsig.ErrMalformed},
		{"signature with a parameter", `s=("@method")` + params, value + ";a", httpsig.ErrMalformed},
		{"two values", `s=("@method")` + params, value + ", t=:AAAA:", httpsig.ErrMalformed},
		{"no signature", `s=("@method")` + params, "", httpsig.ErrMalformed},
	} {
		h := http.Header{"Signature-Input": {good(c.input)}, "Signature": {c.value}}
		if _, err := httpsig.Parse(h); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	h := http.Header{"Signature-Input": {good(`s=("@method")` + params)}, "Signature": {value, value}}
	if _, err := httpsig.Parse(h); !errors.Is(err, httpsig.ErrMalformed) {
		t.Errorf("field twice: %v", err)
	}
}

// TestCurrent is the window of a signature to the second.
func TestCurrent(t *testing.T) {
	_, id, _ := signer(t)
	in := func(expires string) *httpsig.Signature {
		s, _, err := httpsig.ParseInput(fmt.Sprintf(`s=("@method");created=%d%s;nonce="0123456789abcdef";keyid="%s";alg="sm2-sm3"`, now.Unix(), expires, id))
		must(t, err)
		return s
	}
	for _, c := range []struct {
		at      time.Duration
		expires string
		good    bool
	}{
		{0, "", true}, {httpsig.Skew, "", true}, {-httpsig.Skew, "", true}, {httpsig.Skew + 1, "", false}, {-httpsig.Skew - 1, "", false},
		{9 * time.Second, ";expires=1618884483", true}, {10 * time.Second, ";expires=1618884483", false},
		{httpsig.Skew + 1, ";expires=1999999999", false}, {0, ";expires=1", false},
	} {
		s := in(c.expires)
		if err := s.Current(now.Add(c.at)); (err == nil) != c.good || err != nil && !errors.Is(err, httpsig.ErrNotCurrent) {
			t.Errorf("at %v with %q: %v", c.at, c.expires, err)
		}
		if c.good && !now.Add(c.at).Before(s.Until()) {
			t.Errorf("at %v with %q: good, but forgotten at %v", c.at, c.expires, s.Until())
		}
	}
}

// TestCovers lists what a signature may leave out, and what not.
func TestCovers(t *testing.T) {
	for components, good := range map[string]bool{
		"@method @target-uri": true, "@method @authority @path @query": true, "@target-uri @method a": true,
		"@method": false, "@target-uri": false, "@method @path @query": false, "@method @authority @path": false, "@method @scheme @authority @query": false,
	} {
		s := httpsig.Signature{Components: strings.Fields(components)}
		if err := s.Covers(); (err == nil) != good || err != nil && !errors.Is(err, httpsig.ErrIncomplete) {
			t.Errorf("%s: %v", components, err)
		}
	}
}

// TestBody reads bodies through their digests.
func TestBody(t *testing.T) {
	const body = `{"hello": "world"}`
	sha := "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:" // RFC 9530, appendix B
	good := httpsig.ContentDigest([]byte(body))
	for _, c := range []struct {
		name, field, body string
		want              error
	}{
		{"sha-256", sha, body, nil},
		{"sm3", good, body, nil},
		{"both", sha + ", " + good, body, nil},
		{"one of another kind beside", "sha-512=:AAAA:, " + good, body, nil},
		{"empty body", httpsig.ContentDigest(nil), "", nil},
		{"one byte changed", good, `{"hello": "worle"}`, httpsig.ErrDigest},
		{"cut off", good, body[:10], httpsig.ErrDigest},
		{"nothing left", good, "", httpsig.ErrDigest},
		{"one byte more", good, body + " ", httpsig.ErrDigest},
		{"one good, one bad", sha + ", " + httpsig.ContentDigest(nil), body, httpsig.ErrDigest},
		{"short digest", "sm3=:AAAA:", body, httpsig.ErrDigest},
		{"unknown", "sha-512=:AAAA:", body, httpsig.ErrMalformed},
		{"text", `sm3="x"`, body, httpsig.ErrMalformed},
		{"list", `sm3=("x")`, body, httpsig.ErrMalformed},
		{"nonsense", "=", body, httpsig.ErrMalformed},
		{"twice", good + ", " + good, body, httpsig.ErrMalformed},
		{"five", "a=:AAAA:, b=:AAAA:, c=:AAAA:, d=:AAAA:, " + good, body, httpsig.ErrMalformed},
		{"a display string that ends early", "sm3=%0", body, httpsig.ErrMalformed},
		{"long", good + strings.Repeat(" ", 512), body, httpsig.ErrMalformed},
	} {
		r, err := httpsig.Body(http.Header{"Content-Digest": {c.field}}, io.NopCloser(strings.NewReader(c.body)))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := httpsig.Body(http.Header{"Content-Digest": {good, good}}, http.NoBody); !errors.Is(err, httpsig.ErrMalformed) {
		t.Errorf("two fields: %v", err)
	}
}

// FuzzParse parses whatever comes: what parses has one reading, and a bounded base.
func FuzzParse(f *testing.F) {
	key, _, m := signer(f)
	must(f, httpsig.Sign(rand.Reader, key, m, now, "content-type", "content-digest"))
	f.Add(m.Header.Get("Signature-Input"), m.Header.Get("Signature"), "application/json")
	f.Add(`a=("@query-param";name="x" "b";bs;sf;key="y");created=@1;expires=1.5;nonce=:AA==:`, `a=?1`, "")
	f.Fuzz(func(t *testing.T, input, value, field string) {
		h := http.Header{"Signature-Input": {input}, "Signature": {value}, "Content-Type": {field}, "Content-Digest": {field}}
		_, _ = httpsig.Body(h, http.NoBody)
		s, err := httpsig.Parse(h)
		if err != nil {
			return
		}
		again, label, err := httpsig.ParseInput(s.Input)
		if err != nil || s.Input != input || !strings.HasPrefix(input, label+"=") || again.KeyID != s.KeyID || !again.Created.Equal(s.Created) {
			t.Fatalf("%q parses as %+v, then as %+v, %v", input, s, again, err)
		}
		base, err := s.Base(httpsig.Message{Method: "POST", Origin: "https://example.com", Target: "/", Header: h})
		if err != nil {
			return
		}
		lines := strings.Split(base, "\n")
		if len(base) > httpsig.MaxBase || len(lines) != len(s.Components)+1 || lines[len(lines)-1] != `"@signature-params": `+strings.TrimPrefix(input, label+"=") {
			t.Fatalf("%q has the base %q", input, base)
		}
	})
}

// BenchmarkVerify is a whole check of a signed request, BenchmarkSM2 what of it is SM2.
func BenchmarkVerify(b *testing.B) {
	key, id, m := signer(b)
	m.Header.Set("Idempotency-Key", "a")
	must(b, httpsig.Sign(rand.Reader, key, m, now, "content-type", "content-digest", "idempotency-key"))
	der, err := pki.MarshalPublicKeyInfo(key.Public())
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		s, err := httpsig.Parse(m.Header)
		must(b, err)
		must(b, s.Covers("content-type", "content-digest", "idempotency-key"))
		base, err := s.Base(m)
		must(b, err)
		pub, err := pki.ParsePublicKeyInfo(der)
		must(b, err)
		body, err := httpsig.Body(m.Header, io.NopCloser(strings.NewReader(`{"hello": "world"}`)))
		must(b, err)
		_, err = io.ReadAll(body)
		must(b, err)
		if !s.Verify(pub, base) || s.KeyID != id || s.Current(now) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkSM2(b *testing.B) {
	key, _, m := signer(b)
	must(b, httpsig.Sign(rand.Reader, key, m, now))
	s, err := httpsig.Parse(m.Header)
	must(b, err)
	base, err := s.Base(m)
	must(b, err)
	message, signature := []byte(base), pki.DERSignature(s.Value)
	for b.Loop() {
		if !pki.VerifyMessage(key.Public(), message, signature) {
			b.Fatal("refused")
		}
	}
}
