package event_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/event"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// vector is the published request with its key.
type vector struct {
	pem, body []byte
	header    http.Header
	page      string
}

// published reads the test vector out of the page.
func published(t *testing.T) (v vector) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "events.md"))
	must(t, err)
	v.page = string(page)
	indented := func(from string) string {
		start := strings.Index(v.page, "    "+from)
		if start < 0 {
			t.Fatalf("docs/events.md has no %s", from)
		}
		var lines []string
		for line := range strings.Lines(v.page[start:]) {
			if line != "\n" && !strings.HasPrefix(line, "    ") {
				break
			}
			lines = append(lines, strings.TrimPrefix(line, "    "))
		}
		return strings.TrimRight(strings.Join(lines, ""), "\n")
	}
	v.pem = []byte(indented("-----BEGIN PUBLIC KEY") + "\n")
	head, body, _ := strings.Cut(indented("POST /licence-events"), "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n")))
	must(t, err)
	v.header, v.body = r.Header, []byte(body)
	return v
}

// raw is the signature of the vector.
func (v vector) raw(t *testing.T) (raw [64]byte) {
	text, ok := strings.CutPrefix(v.header.Get(event.HeaderSignature), event.Algorithm+",")
	b, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(b) != 64 {
		t.Fatalf("signature %q: %v", text, err)
	}
	return [64]byte(b)
}

// TestVector: the published event is what Body makes, and its signature verifies here and in
// OpenSSL, and for no other bytes.
func TestVector(t *testing.T) {
	v := published(t)
	e := event.Event{ID: "6f1d2c3b4a59687766554433221100ff", Type: event.Amended, TypeCode: "11100000MB0143028R901", Version: 2,
		Supersedes: "1.2.156.3005.2.11100000MB0143028R901.11330106002504122C.XJ374PJO8N.001.3", Time: time.Date(2026, 3, 1, 8, 0, 0, 125e6, time.UTC)}
	var err error
	e.Subject, err = e.Supersedes.Next()
	must(t, err)
	body, err := e.Body("https://zz.example.gov.cn")
	must(t, err)
	if !bytes.Equal(body, v.body) {
		t.Errorf("the body is\n%s\nand the page has\n%s", body, v.body)
	}
	block, _ := pem.Decode(v.pem)
	pub, err := pki.ParsePublicKeyInfo(block.Bytes)
	must(t, err)
	if id, err := event.KeyID(pub); err != nil || id != v.header.Get(event.HeaderKey) {
		t.Errorf("the key is %s (%v)", id, err)
	}
	raw := v.raw(t)
	if !strings.Contains(v.page, fmt.Sprintf("r = %x\n    s = %x\n", raw[:32], raw[32:])) {
		t.Errorf("the page has not r = %x and s = %x", raw[:32], raw[32:])
	}
	signed := event.SignedBytes(e.ID, time.Unix(1772352002, 0), body)
	if !pki.VerifyMessage(pub, signed, pki.DERSignature(raw)) {
		t.Error("the signature does not verify")
	}
	v.opensslSays(t, signed, true)
	v.opensslSays(t, append(signed, ' '), false)
	v.opensslSays(t, event.SignedBytes(e.ID, time.Unix(1772352003, 0), body), false)
	v.opensslSays(t, event.SignedBytes("6f1d2c3b4a59687766554433221100fe", time.Unix(1772352002, 0), body), false)
}

func (v vector) opensslSays(t *testing.T, signed []byte, want bool) {
	t.Helper()
	dir := t.TempDir()
	at := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, b, 0o600))
		return path
	}
	out, err := exec.Command("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", at("key.pem", v.pem), "-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678",
		"-in", at("signed.bin", signed), "-sigfile", at("signature.der", pki.DERSignature(v.raw(t)))).CombinedOutput()
	if (err == nil) != want || !strings.Contains(string(out), "Signature Verif") {
		t.Errorf("openssl: %v %s, want %t", err, out, want)
	}
}

// receiver writes the page's receiver into a folder.
func receiver(t *testing.T) string {
	t.Helper()
	_, code, _ := strings.Cut(published(t).page, "```python\n")
	code, _, found := strings.Cut(code, "```\n")
	if !found {
		t.Fatal("docs/events.md has no receiver")
	}
	path := filepath.Join(t.TempDir(), "receiver.py")
	must(t, os.WriteFile(path, []byte(code), 0o600))
	return path
}

// judged is one request that the page's receiver judges.
type judged struct {
	Name   string            `json:"name"`
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
	Now    int64             `json:"now"`
	Want   bool              `json:"want"`
}

// TestReceiver: the receiver of the page takes the published event and what Sign signs, and
// refuses whatever was changed in them.
func TestReceiver(t *testing.T) {
	v := published(t)
	header := func(change func(map[string]string)) map[string]string {
		h := map[string]string{}
		for name := range v.header {
			h[strings.ToLower(name)] = v.header.Get(name)
		}
		if change != nil {
			change(h)
		}
		return h
	}
	signature := v.header.Get(event.HeaderSignature)
	set := func(name, value string) map[string]string {
		return header(func(h map[string]string) { h[name] = value })
	}
	const at = 1772352002
	var cases []judged
	for _, c := range []judged{
		{"as published", header(nil), "", at, true},
		{"late", header(nil), "", at + 300, true},
		{"two signatures", set("webhook-signature", "sm2-sm3,AAAA "+signature), "", at, true},
		{"too late", header(nil), "", at + 301, false},
		{"too early", header(nil), "", at - 301, false},
		{"another body", header(nil), string(v.body) + " ", at, false},
		{"another id", set("webhook-id", "6f1d2c3b4a59687766554433221100fe"), "", at, false},
		{"another time", set("webhook-timestamp", "1772352003"), "", at, false},
		{"no time", set("webhook-timestamp", ""), "", at, false},
		{"negative time", set("webhook-timestamp", "-1772352002"), "", at, false},
		{"an endless time", set("webhook-timestamp", strings.Repeat("9", 5000)), "", at, false},
		{"no signature", set("webhook-signature", ""), "", at, false},
		{"shared secret", set("webhook-signature", strings.Replace(signature, "sm2-sm3", "v1", 1)), "", at, false},
		{"no base64", set("webhook-signature", "sm2-sm3,!!!!"), "", at, false},
		{"zeros", set("webhook-signature", "sm2-sm3,"+base64.StdEncoding.EncodeToString(make([]byte, 64))), "", at, false},
		{"short", set("webhook-signature", "sm2-sm3,"+base64.StdEncoding.EncodeToString(make([]byte, 63))), "", at, false},
	} {
		if c.Body == "" {
			c.Body = string(v.body)
		}
		cases = append(cases, c)
	}
	judge(t, v.pem, cases)

	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	info, err := pki.MarshalPublicKeyInfo(key.Public())
	must(t, err)
	cases = cases[:0]
	for i := range 8 { // r and s of whatever length
		h := http.Header{}
		must(t, event.Sign(rand.Reader, key, h, fmt.Sprint(i), time.Unix(at, 0), v.body))
		cases = append(cases, judged{fmt.Sprint("signed now ", i), map[string]string{"webhook-id": fmt.Sprint(i), "webhook-timestamp": "1772352002", "webhook-signature": h.Get(event.HeaderSignature)}, string(v.body), at, true})
	}
	judge(t, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: info}), cases)
}

// judge has the page's receiver judge requests.
func judge(t *testing.T, key []byte, cases []judged) {
	t.Helper()
	path := receiver(t)
	keyFile := filepath.Join(filepath.Dir(path), "key.pem")
	must(t, os.WriteFile(keyFile, key, 0o600))
	input, err := json.Marshal(cases)
	must(t, err)
	cmd := exec.Command("python3", "-c", `import json, sys, receiver
for c in json.load(sys.stdin):
    print(json.dumps([c["name"], receiver.genuine(sys.argv[1], c["header"], c["body"].encode(), c["now"])]))`, keyFile)
	cmd.Dir, cmd.Stdin, cmd.Stderr = filepath.Dir(path), bytes.NewReader(input), os.Stderr
	out, err := cmd.Output()
	must(t, err)
	answers := json.NewDecoder(bytes.NewReader(out))
	for _, c := range cases {
		var said [2]any
		must(t, answers.Decode(&said))
		if said[0] != c.Name || said[1] != c.Want {
			t.Errorf("%s: the receiver says %v, want %t", c.Name, said[1], c.Want)
		}
	}
	if _, err := answers.Token(); !errors.Is(err, io.EOF) {
		t.Error("the receiver says more")
	}
}

// TestTargets tries addresses of receivers.
func TestTargets(t *testing.T) {
	names := map[string][]string{
		"open.example": {"93.184.216.34", "2606:2800:220:1::1"}, "inside.example": {"10.1.2.3"}, "mixed.example": {"93.184.216.34", "127.0.0.1"},
		"mapped.example": {"::ffff:169.254.169.254"}, "none.example": {},
	}
	resolve := func(_ context.Context, host string) (all []netip.Addr, err error) {
		texts, ok := names[host]
		if !ok {
			return nil, errors.New("no such host")
		}
		for _, text := range texts {
			all = append(all, netip.MustParseAddr(text))
		}
		return all, nil
	}
	city, err := event.ParseNetworks([]string{"10.0.0.0/8", "127.0.0.0/8", "fd00:1::/48"})
	must(t, err)
	for _, c := range []struct {
		url, code string // of the operator who allows nothing; "" when it is taken
		city      string // of the operator who allows the city's networks
	}{
		{"https://open.example/hook", "", ""},
		{"https://open.example:8443/hook?token=x", "", ""},
		{"https://93.184.216.34/", "", ""},
		{"https://[2606:2800:220:1::1]/", "", ""},
		{"https://inside.example/", licence.CodeNotAllowed, ""},
		{"https://10.1.2.3/", licence.CodeNotAllowed, ""},
		{"https://[::ffff:10.1.2.3]/", licence.CodeNotAllowed, ""},
		{"https://[fd00:1::5]/", licence.CodeNotAllowed, ""},
		{"https://127.0.0.1/", licence.CodeNotAllowed, ""},
		{"http://127.0.0.1:9000/", licence.CodeNotAllowed, ""},
		{"http://10.1.2.3/", licence.CodeNotAllowed, licence.CodeNotAllowed},
		{"http://open.example/", licence.CodeNotAllowed, licence.CodeNotAllowed},
		{"http://localhost/", licence.CodeNotAllowed, licence.CodeNotAllowed},
		{"https://mixed.example/", licence.CodeNotAllowed, ""},
		{"https://mapped.example/", licence.CodeNotAllowed, licence.CodeNotAllowed},
		{"https://none.example/", licence.CodeNotAllowed, licence.CodeNotAllowed},
		{"https://unknown.example/", licence.CodeNotAllowed, licence.CodeNotAllowed},
		{"https://2130706433/", licence.CodeNotAllowed, licence.CodeNotAllowed},
		{"https://0x7f.0.0.1/", licence.CodeNotAllowed, licence.CodeNotAllowed},
		{"https://169.254.169.254/latest/meta-data", licence.CodeNotAllowed, licence.CodeNotAllowed},
		{"https://user:secret@open.example/", licence.CodeNotAllowed, licence.CodeNotAllowed},
		{"https://open.example/#part", licence.CodeNotAllowed, licence.CodeNotAllowed},
		{"https://open.example/\r\nX: y", licence.CodeBadFormat, licence.CodeBadFormat},
		{"https://open.example\\@10.1.2.3/", licence.CodeBadFormat, licence.CodeBadFormat},
		{"https:///hook", licence.CodeBadFormat, licence.CodeBadFormat},
		{"https:open.example", licence.CodeBadFormat, licence.CodeBadFormat},
		{"https://市.example/", licence.CodeBadFormat, licence.CodeBadFormat},
		{"ftp://open.example/", licence.CodeNotAllowed, licence.CodeNotAllowed},
		{"file:///etc/passwd", licence.CodeBadFormat, licence.CodeBadFormat},
		{"open.example", licence.CodeBadFormat, licence.CodeBadFormat},
		{"", licence.CodeBadFormat, licence.CodeBadFormat},
		{"https://open.example/" + strings.Repeat("a", event.MaxTarget), licence.CodeTooLong, licence.CodeTooLong},
	} {
		for want, networks := range map[*string]event.Networks{&c.code: nil, &c.city: city} {
			err := networks.CheckTarget(t.Context(), c.url, resolve)
			var refused *licence.RequestError
			switch {
			case *want == "" && err != nil, *want != "" && !errors.As(err, &refused):
				t.Errorf("%.80q with %v: %v, want %q", c.url, networks, err, *want)
			case *want != "" && (refused.Fields[0].Code != *want || refused.Fields[0].Field != "url"):
				t.Errorf("%.80q with %v: %+v, want %q", c.url, networks, refused.Fields[0], *want)
			}
		}
	}
}

// TestNetworks tries the edges of networks.
func TestNetworks(t *testing.T) {
	for _, inside := range []string{
		"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255",
		"192.0.0.8", "192.168.255.255", "198.18.0.1", "198.19.255.255", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:a00:1::1", "fc00::1", "fdff::1",
		"fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "3fff::1", "5f00::1", "4000::1", "2606:2800::1%eth0",
	} {
		if err := event.Networks(nil).Check(netip.MustParseAddr(inside)); !errors.Is(err, event.ErrInternal) {
			t.Errorf("%s: %v", inside, err)
		}
	}
	if err := (event.Networks)(nil).Check(netip.Addr{}); !errors.Is(err, event.ErrInternal) {
		t.Errorf("no address: %v", err)
	}
	for _, open := range []string{"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.1", "223.255.255.255", "::ffff:1.1.1.1", "2400:3200::1", "2606:2800::1", "3ffe::1"} {
		if err := event.Networks(nil).Check(netip.MustParseAddr(open)); err != nil {
			t.Error(err)
		}
	}
	for _, text := range []string{"", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "::ffff:10.0.0.0/104", "fe80::%eth0/64", "any"} {
		if _, err := event.ParseNetworks([]string{text}); err == nil {
			t.Errorf("%q is taken for a network", text)
		}
	}
}

// TestSubscriptionChecked tries what a subscription must not be.
func TestSubscriptionChecked(t *testing.T) {
	good := event.Subscription{TypeCodes: []string{"11100000MB0143028R901"}, Events: []event.Type{event.Revoked}}
	must(t, good.Check())
	must(t, event.Subscription{TypeCodes: good.TypeCodes}.Check())
	var many []string
	for i := range event.MaxTypes + 1 {
		many = append(many, fmt.Sprintf("11100000MB0143028R%03d", i))
	}
	for field, s := range map[string]event.Subscription{
		"types":     {},
		"types#":    {TypeCodes: many},
		"types[0]":  {TypeCodes: []string{"x"}},
		"types[1]":  {TypeCodes: []string{good.TypeCodes[0], good.TypeCodes[0]}},
		"events[0]": {TypeCodes: good.TypeCodes, Events: []event.Type{"elicence.licence.read"}},
		"events[1]": {TypeCodes: good.TypeCodes, Events: []event.Type{event.Revoked, event.Revoked}},
		"events[2]": {TypeCodes: good.TypeCodes, Events: []event.Type{event.Revoked, event.Issued, ""}},
	} {
		var refused *licence.RequestError
		if err := s.Check(); !errors.As(err, &refused) || refused.Fields[0].Field != strings.TrimSuffix(field, "#") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestRetries: the attempts at an event that always fails come further and further apart, none
// after RetryFor, and there are few; a receiver that is down rests, and not for long.
func TestRetries(t *testing.T) {
	for _, jitter := range []float64{0, 0.5, 0.999} {
		since := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
		d, at := event.Delivery{Since: since}, since
		for {
			d.Attempts++
			r := d.Rule(event.Outcome{Fault: "http_500"}, at, jitter)
			if r.Dead {
				break
			}
			if wait := r.DueAt.Sub(at); wait < 5*time.Second || wait > 8*time.Hour {
				t.Errorf("attempt %d: the next comes after %s", d.Attempts, wait)
			}
			at = r.DueAt
		}
		if lasted := at.Sub(since); lasted > event.RetryFor || lasted < event.RetryFor-9*time.Hour || d.Attempts < 12 || d.Attempts > 30 {
			t.Errorf("jitter %v: %d attempts in %s", jitter, d.Attempts, lasted)
		}
	}
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	d := event.Delivery{Since: at, Attempts: 1}
	for failed := range 40 {
		d.Subscription.Failures = failed
		r := d.Rule(event.Outcome{Fault: "timeout"}, at, 0)
		if rest := r.RestUntil.Sub(at); r.Failures != failed+1 || rest < time.Second || rest > 5*time.Minute || failed > 10 && rest != 5*time.Minute {
			t.Errorf("after %d failures it rests %s", r.Failures, rest)
		}
	}
	asked := d.Rule(event.Outcome{Fault: "http_429", RetryAfter: time.Minute}, at, 0)
	if asked.DueAt.Sub(at) != time.Minute || d.Rule(event.Outcome{Fault: "http_429", RetryAfter: 1000 * time.Hour}, at, 0).DueAt.Sub(at) != 8*time.Hour {
		t.Errorf("asked to wait a minute: %+v", asked)
	}
	if r := d.Rule(event.Outcome{Fault: "http_410", Gone: true}, at, 0); !r.Dead {
		t.Errorf("a receiver that is gone is tried again: %+v", r)
	}
}

// TestTypes: every operation ends in an event, and every type stands on the page.
func TestTypes(t *testing.T) {
	page := published(t).page
	for _, op := range append(licence.Operations(), "") {
		if !event.Of(op).Known() {
			t.Errorf("operation %q ends in no event", op)
		}
	}
	for _, typ := range event.Types() {
		if name := strings.TrimPrefix(string(typ), "elicence.licence."); !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/events.md does not name %s", typ)
		}
	}
	if event.Type("").Known() || event.Of("read").Known() {
		t.Error("a type that there is none of is known")
	}
}
