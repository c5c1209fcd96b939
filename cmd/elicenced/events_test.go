package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"elicence/licence/event"
	"elicence/licence/registry"

	_ "modernc.org/sqlite"
)

// told is the part of an event that these tests look at.
type told struct {
	ID, Type, Subject, Source string
}

// eventKeyFile is the public key of a running service's events, as a receiver takes it.
func (r *running) eventKeyFile(t testing.TB) string {
	t.Helper()
	a, err := http.Get(r.baseURL + eventPath)
	must(t, err)
	defer a.Body.Close()
	der, err := io.ReadAll(a.Body)
	must(t, err)
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "event.cer"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(certificate, der, 0o600))
	out, err := exec.Command("openssl", "x509", "-inform", "DER", "-in", certificate, "-pubkey", "-noout", "-out", key).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return key
}

// pythonReceiver runs the receiver of docs/events.md until the test ends, and returns its address
// and its database.
func pythonReceiver(t testing.TB, key string) (url, database string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/events.md")
	must(t, err)
	_, code, _ := strings.Cut(string(page), "```python\n")
	code, _, found := strings.Cut(code, "```\n")
	if !found {
		t.Fatal("docs/events.md has no receiver")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "receiver.py")
	database = filepath.Join(dir, "events.db")
	must(t, os.WriteFile(program, []byte(code), 0o600))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := free.Addr().String()
	must(t, free.Close())
	_, port, _ := strings.Cut(address, ":")
	cmd := exec.Command("python3", program, key, database, port)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return "http://" + address + "/events", database
}

// received are the events that the receiver keeps, by identifier.
func received(t testing.TB, database string) map[string]told {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+database+"?mode=ro&_pragma=busy_timeout(5000)")
	must(t, err)
	defer db.Close()
	rows, err := db.Query(`SELECT id, body FROM event`)
	if err != nil { // it has not begun yet
		return nil
	}
	defer rows.Close()
	all := map[string]told{}
	for rows.Next() {
		var id string
		var body []byte
		must(t, rows.Scan(&id, &body))
		var e told
		must(t, json.Unmarshal(body, &e))
		if e.ID != id {
			t.Errorf("webhook-id is %s, the event's %s", id, e.ID)
		}
		all[id] = e
	}
	must(t, rows.Err())
	return all
}

// ended is the sample of demoType, as of a licence whose last day is over.
func ended(t testing.TB) sample {
	t.Helper()
	samples, err := loadSamples()
	must(t, err)
	s := samples[slices.IndexFunc(samples, func(s sample) bool { return s.asks.TypeCode == demoType })]
	var request map[string]any
	must(t, json.Unmarshal(s.body, &request))
	request["issued_on"], request["effective_on"], request["expires_on"] = "2020-01-01", "2020-01-01", "2020-12-31"
	s.body, err = json.Marshal(request)
	must(t, err)
	return s
}

// TestEvents has licences issued and changed by a running service, whose events come to the
// receiver of docs/events.md over the network that the operator has named, and to one over TLS
// by the CA that he has named; then the commands.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	// A receiver over TLS, which notes in which order it is told of each licence.
	var mu sync.Mutex
	heard := map[string][]string{}
	gone := false
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var e told
		if json.NewDecoder(q.Body).Decode(&e) != nil || q.Header.Get("webhook-signature") == "" || q.URL.RawQuery != "token=secret" {
			w.WriteHeader(400)
			return
		}
		if gone {
			w.WriteHeader(http.StatusGone)
			return
		}
		heard[e.Subject] = append(heard[e.Subject], strings.TrimPrefix(e.Type, event.Prefix))
	}))
	secure.StartTLS()
	defer secure.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600))
	r := s.serve(t, "--event-network", "127.0.0.0/8", "--event-ca", ca)
	t.Cleanup(func() { _ = r.cmd.Process.Kill() }) // of a test that ended early
	url, database := pythonReceiver(t, r.eventKeyFile(t))

	samples, err := loadSamples()
	must(t, err)
	sample := samples[slices.IndexFunc(samples, func(s sample) bool { return s.asks.TypeCode == demoType })]
	c := s.as(t, r, clientFor(sample))
	ctx := context.Background()
	var sub struct{ ID string }
	must(t, c.post(ctx, "/subscriptions", "s1", fmt.Appendf(nil, `{"url":"%s","types":["%s"]}`, url, demoType), &sub))
	made, err := s.run("event", "subscribe", "--client", clientFor(sample), "--url", secure.URL+"/?token=secret", "--type", demoType, "--event-network", "127.0.0.0/8")
	must(t, err)
	made = strings.TrimSpace(made)
	s.wantRefused(t, exitUsage, "internal network", "event", "subscribe", "--client", clientFor(sample), "--url", secure.URL, "--type", demoType)
	s.wantRefused(t, exitUsage, "there is no client", "event", "subscribe", "--client", "nobody", "--url", secure.URL, "--type", demoType, "--event-network", "127.0.0.0/8")
	s.wantRefused(t, exitUsage, "not permitted", "event", "subscribe", "--client", clientFor(sample), "--url", secure.URL, "--type", demoType[:18]+"999", "--event-network", "127.0.0.0/8")
	s.wantRefused(t, exitUsage, "--event-network", "event", "subscribe", "--client", clientFor(sample), "--url", secure.URL, "--type", demoType, "--event-network", "anything")

	must(t, c.post(ctx, "/licences", "ended", ended(t).body, nil))
	var issued []registry.Issued
	for i := range 3 {
		var one registry.Issued
		must(t, c.post(ctx, "/licences", fmt.Sprint("e", i), sample.body, &one))
		issued = append(issued, one)
	}
	first := string(issued[0].Identifier)
	for _, action := range []string{"suspend", "resume", "revoke"} {
		must(t, c.post(ctx, "/licences/"+first+"/"+action, action, []byte(`{"reason":"测试"}`), nil))
	}
	waitFor(t, "the receiver of the page has them all", func() bool { return len(received(t, database)) == 8 })
	types := map[string]int{}
	for _, e := range received(t, database) {
		types[strings.TrimPrefix(e.Type, event.Prefix)+" "+e.Source]++
	}
	if want := map[string]int{"issued " + r.baseURL: 4, "expired " + r.baseURL: 1, "suspended " + r.baseURL: 1, "resumed " + r.baseURL: 1, "revoked " + r.baseURL: 1}; !maps.Equal(types, want) {
		t.Errorf("received %v, want %v", types, want)
	}
	order := func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(heard[first], " ")
	}
	waitFor(t, "the other one has them", func() bool { return order() == "issued suspended resumed revoked" })

	mu.Lock()
	gone = true
	mu.Unlock()
	must(t, c.post(ctx, "/licences/"+string(issued[1].Identifier)+"/revoke", "r1", []byte(`{"reason":"测试"}`), nil))
	waitFor(t, "the subscription is disabled", func() bool {
		out, err := s.run("event", "list")
		return err == nil && strings.Contains(out, made+"\tdisabled\t") && strings.Contains(out, "receiver_gone")
	})
	out, err := s.run("event", "list")
	if err != nil || strings.Contains(out, "secret") || !strings.Contains(out, sub.ID+"\tactive\t") {
		t.Errorf("list: %v %s", err, out)
	}
	s.wantRefused(t, exitUsage, "disabled", "event", "replay", made)
	s.mustRun(t, "\thttp_410\n", "event", "dead", made)
	s.wantRefused(t, exitUsage, "internal network", "event", "enable", made, "--reason", "测试")
	mu.Lock()
	gone = false
	mu.Unlock()
	s.mustRun(t, made+"\tactive\t", "event", "enable", made, "--reason", "测试", "--event-network", "127.0.0.0/8")
	s.mustRun(t, "1 events are told again\n", "event", "replay", made)
	waitFor(t, "it is told again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Equal(heard[string(issued[1].Identifier)], []string{"issued", "revoked"})
	})
	s.mustRun(t, "done, and logged", "event", "unsubscribe", made, "--reason", "测试")
	s.wantRefused(t, exitUsage, "there is no subscription", "event", "unsubscribe", made, "--reason", "测试")
	r.stop(t)
	s.eventKey(t)
}

// eventKey: an instance without a key of events takes no subscriptions, and gets the key by a
// command; another takes its place by the same.
func (s *site) eventKey(t *testing.T) {
	for _, suffix := range []string{softwareKey, ".cer.pem"} {
		must(t, os.Remove(filepath.Join(s.Dir, "keys", eventKey+suffix)))
	}
	samples, err := loadSamples()
	must(t, err)
	ask := []string{"event", "subscribe", "--client", clientFor(samples[0]), "--url", "https://127.0.0.1/", "--type", samples[0].asks.TypeCode, "--event-network", "127.0.0.0/8"}
	s.wantRefused(t, exitUsage, "sends no events", ask...)
	s.mustRun(t, "event has a new key", "keys", "rotate", eventKey)
	s.mustRun(t, "\n", ask...)
	keys, err := s.keys("")
	must(t, err)
	first, _, err := keys.eventSigner()
	must(t, err)
	s.mustRun(t, "the old certificate and key are in", "keys", "rotate", eventKey)
	second, _, err := keys.eventSigner()
	must(t, err)
	if second == nil || bytes.Equal(first.Raw, second.Raw) || first.Subject.CommonName != eventSubject || second.Subject.CommonName != eventSubject {
		t.Errorf("%v, then %v", first.Subject, second.Subject)
	}
}
