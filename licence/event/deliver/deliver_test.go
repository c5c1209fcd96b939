package deliver_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/event/deliver"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// outbox is a register's outbox in memory: each event once, and whatever comes of it.
type outbox struct {
	mu      sync.Mutex
	due     map[string][]event.Delivery // by subscription
	subs    []event.Subscription
	settled chan settled
	faults  []error
}

type settled struct {
	id string
	event.Outcome
}

func (o *outbox) add(url string, n int) {
	s := event.Subscription{ID: fmt.Sprint("s", len(o.subs)), URL: url}
	o.subs = append(o.subs, s)
	for i := range n {
		e := event.Event{ID: fmt.Sprintf("%s-%d", s.ID, i), Type: event.Issued, Subject: licence.Identifier(fmt.Sprint("1.2.3.", i)), Version: 1, Time: time.Unix(1772352000, 0)}
		o.due[s.ID] = append(o.due[s.ID], event.Delivery{Seq: int64(i), Subscription: s, Event: e, Attempts: 1})
	}
}

func (o *outbox) waiting(context.Context) (waiting []event.Subscription, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.subs {
		if len(o.due[s.ID]) > 0 {
			waiting = append(waiting, s)
		}
	}
	return waiting, nil
}

func (o *outbox) claim(_ context.Context, s event.Subscription, _ time.Duration, limit int) ([]event.Delivery, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(limit, len(o.due[s.ID]))
	claimed := o.due[s.ID][:n]
	o.due[s.ID] = o.due[s.ID][n:]
	return claimed, nil
}

func (o *outbox) settle(_ context.Context, d event.Delivery, out event.Outcome, jitter float64) error {
	if jitter != 0.25 {
		return fmt.Errorf("jitter %v", jitter)
	}
	o.settled <- settled{d.Event.ID, out}
	return nil
}

func (o *outbox) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.faults = append(o.faults, err)
}

// loopback is what a test must allow.
func loopback(t *testing.T) event.Networks {
	n, err := event.ParseNetworks([]string{"127.0.0.0/8", "::1/128"})
	must(t, err)
	return n
}

// run runs a sender over an outbox until the test ends, and returns how n events ended.
func run(t *testing.T, o *outbox, n int, change func(*deliver.Config)) map[string]event.Outcome {
	t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	c := deliver.Config{Key: key, Source: "https://zz.example.gov.cn", Networks: loopback(t), Now: time.Now, Rand: rand.Reader, Jitter: func() float64 { return 0.25 },
		Waiting: o.waiting, Claim: o.claim, Settle: o.settle, Failed: o.failed}
	if change != nil {
		change(&c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { deliver.New(c).Run(ctx); close(ended) }()
	outcomes := map[string]event.Outcome{}
	for range n {
		select {
		case s := <-o.settled:
			outcomes[s.id] = s.Outcome
		case <-time.After(30 * time.Second):
			t.Fatalf("%d of %d events ended", len(outcomes), n)
		}
	}
	cancel()
	<-ended
	for _, err := range o.faults {
		t.Error(err)
	}
	return outcomes
}

func newOutbox() *outbox {
	return &outbox{due: map[string][]event.Delivery{}, settled: make(chan settled, 1000)}
}

// genuine judges a request as a receiver does.
func genuine(pub crypto.PublicKey, q *http.Request) error {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return err
	}
	at, err := strconv.ParseInt(q.Header.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
		return fmt.Errorf("timestamp %d: %w", at, err)
	}
	text, _ := strings.CutPrefix(q.Header.Get("webhook-signature"), "sm2-sm3,")
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 64 || !pki.VerifyMessage(pub, event.SignedBytes(q.Header.Get("webhook-id"), time.Unix(at, 0), body), pki.DERSignature([64]byte(raw))) {
		return errors.New("the signature does not verify")
	}
	if q.Method != "POST" || q.Header.Get("Content-Type") != event.MediaType || !strings.Contains(string(body), `"id":"`+q.Header.Get("webhook-id")+`"`) {
		return fmt.Errorf("%s %v %s", q.Method, q.Header, body)
	}
	return nil
}

// TestDeliver sends hundreds of events to several receivers over TLS: each comes once, signed, and
// never more than eight at once to one.
func TestDeliver(t *testing.T) {
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	var mu sync.Mutex
	got, atOnce, most := map[string]int{}, 0, 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		atOnce++
		most = max(most, atOnce)
		mu.Unlock()
		err := genuine(key.Public(), q)
		time.Sleep(time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		atOnce--
		if err != nil {
			t.Error(err)
		}
		got[q.Header.Get("webhook-id")]++
		w.WriteHeader(http.StatusAccepted)
	})
	o, roots := newOutbox(), x509.NewCertPool()
	const receivers, each = 2, 150
	for range receivers {
		server := httptest.NewTLSServer(handler)
		defer server.Close()
		roots.AddCert(server.Certificate())
		o.add(server.URL+"/events?token=x", each)
	}
	outcomes := run(t, o, receivers*each, func(c *deliver.Config) { c.Key, c.Roots = key, roots })
	for id, outcome := range outcomes {
		if outcome != (event.Outcome{Delivered: true}) || got[id] != 1 {
			t.Errorf("%s: %+v, came %d times", id, outcome, got[id])
		}
	}
	if len(got) != receivers*each || most > receivers*8 || most < 2 {
		t.Errorf("%d events came, %d at once", len(got), most)
	}
}

// TestAnswers: what each answer comes to.
func TestAnswers(t *testing.T) {
	var followed sync.Map
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store("redirect", true) }))
	defer elsewhere.Close()
	endless := strings.Repeat("x", 1<<16)
	answers := map[string]struct {
		answer func(w http.ResponseWriter)
		want   event.Outcome
	}{
		"200":      {func(w http.ResponseWriter) { w.WriteHeader(200) }, event.Outcome{Delivered: true}},
		"204":      {func(w http.ResponseWriter) { w.WriteHeader(204) }, event.Outcome{Delivered: true}},
		"299":      {func(w http.ResponseWriter) { w.WriteHeader(299) }, event.Outcome{Delivered: true}},
		"long":     {func(w http.ResponseWriter) { fmt.Fprint(w, endless, endless) }, event.Outcome{Delivered: true}},
		"redirect": {func(w http.ResponseWriter) { w.Header().Set("Location", elsewhere.URL); w.WriteHeader(307) }, event.Outcome{Fault: "http_307"}},
		"304":      {func(w http.ResponseWriter) { w.WriteHeader(304) }, event.Outcome{Fault: "http_304"}},
		"400":      {func(w http.ResponseWriter) { w.WriteHeader(400) }, event.Outcome{Fault: "http_400"}},
		"410":      {func(w http.ResponseWriter) { w.WriteHeader(410) }, event.Outcome{Fault: "http_410", Gone: true}},
		"429": {func(w http.ResponseWriter) { w.Header().Set("Retry-After", "90"); w.WriteHeader(429) },
			event.Outcome{Fault: "http_429", RetryAfter: 90 * time.Second}},
		"date": {func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "Sun, 01 Mar 2026 08:02:00 GMT")
			w.WriteHeader(503)
		}, event.Outcome{Fault: "http_503", RetryAfter: 2 * time.Minute}},
		"past": {func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "Sun, 01 Mar 2020 08:02:00 GMT")
			w.WriteHeader(503)
		}, event.Outcome{Fault: "http_503"}},
		"nonsense": {func(w http.ResponseWriter) { w.Header().Set("Retry-After", "-5"); w.WriteHeader(500) }, event.Outcome{Fault: "http_500"}},
		"headers":  {func(w http.ResponseWriter) { w.Header().Set("X", endless); w.WriteHeader(200) }, event.Outcome{Fault: "connection_failed"}},
		"cut off":  {func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }, event.Outcome{Fault: "connection_failed"}},
	}
	o, want := newOutbox(), map[string]event.Outcome{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { answers[q.URL.Query().Get("case")].answer(w) }))
	defer server.Close()
	for name, a := range answers {
		want[fmt.Sprintf("s%d-0", len(o.subs))] = a.want
		o.add(server.URL+"/?case="+strings.ReplaceAll(name, " ", "+"), 1)
	}
	got := run(t, o, len(answers), func(c *deliver.Config) {
		c.Now = func() time.Time { return time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC) }
	})
	for id, outcome := range want {
		if got[id] != outcome {
			t.Errorf("%+v, want %+v", got[id], outcome)
		}
	}
	if _, ok := followed.Load("redirect"); ok {
		t.Error("a redirect was followed")
	}
}

// TestUnreachable: receivers that cannot be reached, or must not be.
func TestUnreachable(t *testing.T) {
	var reached sync.Map
	handler := http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { reached.Store(q.Host, true) })
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	closed := httptest.NewServer(handler)
	closed.Close()
	port := plain.URL[strings.LastIndex(plain.URL, ":"):]
	for _, c := range []struct {
		url, want string
		networks  event.Networks
	}{
		{plain.URL, "internal_network", nil},
		{"http://localhost" + port, "internal_network", nil}, // a name that leads inside: rebinding
		{"http://[::ffff:127.0.0.1]" + port, "internal_network", nil},
		{"http://0.0.0.0" + port, "internal_network", loopback(t)},
		{"http://10.255.255.1" + port, "internal_network", loopback(t)},
		{"http://169.254.169.254/latest/meta-data", "internal_network", loopback(t)},
		{secure.URL, "certificate", loopback(t)},
		{closed.URL, "connection_refused", loopback(t)},
		{"http://name.invalid/", "name_not_found", loopback(t)},
		{"https" + strings.TrimPrefix(plain.URL, "http"), "connection_failed", loopback(t)},
		{"ftp://127.0.0.1/", "connection_failed", loopback(t)},
		{"http://127.0.0.1:0/\n", "unsendable", loopback(t)},
	} {
		o := newOutbox()
		o.add(c.url, 1)
		got := run(t, o, 1, func(d *deliver.Config) { d.Networks = c.networks })
		if got["s0-0"].Fault != c.want || got["s0-0"].Delivered {
			t.Errorf("%s: %+v, want %s", c.url, got["s0-0"], c.want)
		}
	}
	reached.Range(func(host, _ any) bool { t.Errorf("%s was reached", host); return true })
}

// TestProxyUnused: what the environment says of proxies does not count.
func TestProxyUnused(t *testing.T) {
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://"+proxy.Addr().String())
	}
	o := newOutbox()
	o.add("http://name.invalid/", 1)
	if got := run(t, o, 1, nil); got["s0-0"].Fault != "name_not_found" {
		t.Errorf("%+v", got)
	}
}

// TestSlowReceivers: receivers that hold on to their requests keep nobody else waiting: they are
// let go only once all others are served. What is under way when the sender ends is settled.
func TestSlowReceivers(t *testing.T) {
	served := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-served }))
	defer slow.Close()
	quick := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer quick.Close()
	o := newOutbox()
	for range 4 {
		o.add(slow.URL, 20)
	}
	o.add(quick.URL, 20)
	var quickly atomic.Int32
	settle := o.settle
	all := run(t, o, 100, func(c *deliver.Config) {
		c.Settle = func(ctx context.Context, d event.Delivery, out event.Outcome, jitter float64) error {
			if d.Subscription.ID == "s4" && quickly.Add(1) == 20 {
				close(served)
			}
			return settle(ctx, d, out, jitter)
		}
	})
	for id, outcome := range all {
		if !outcome.Delivered {
			t.Errorf("%s: %+v", id, outcome)
		}
	}
}
