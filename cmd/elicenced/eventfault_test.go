//go:build faults

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/licence/event"
)

// badReceiver is a receiver that answers badly now and then: it refuses what it did not keep, and
// breaks off after it kept something, so that it is told again.
type badReceiver struct {
	mu sync.Mutex
	// kept are the types of events of each licence, in the order in which they came first;
	// times counts how often each event came, tries how often it was sent.
	kept         map[string][]string
	times, tries map[string]int
}

// ServeHTTP implements http.Handler.
func (b *badReceiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var e told
	if err := json.NewDecoder(q.Body).Decode(&e); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	luck := rand.IntN(10)
	if b.tries[e.ID]++; b.tries[e.ID] > 2 { // what failed four times is not tried again for minutes
		luck = 9
	}
	if luck == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if b.times[e.ID]++; b.times[e.ID] == 1 {
		b.kept[e.Subject] = append(b.kept[e.Subject], strings.TrimPrefix(e.Type, event.Prefix))
	}
	if luck == 1 {
		panic(http.ErrAbortHandler)
	}
}

// endedKey begins the keys of requests for licences whose last day is over.
const endedKey = "ended-"

// TestFaultEvents kills a server, or one of two, again and again while licences are issued and
// changed, and expire, and others told of it: in the end the receiver was told of everything that the register
// says happened, of each licence in order, and nothing is left to be told.
func TestFaultEvents(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		s := newSite(t, "")
		killDeliveries(t, s, func() *running { return s.serve(t, "--event-network", "127.0.0.0/8") }, 1)
	})
	t.Run("two servers, PostgreSQL", func(t *testing.T) {
		c := newCluster(t)
		killDeliveries(t, c.site, func() *running { return c.join(t, "--event-network", "127.0.0.0/8") }, 2)
	})
}

func killDeliveries(t *testing.T, s *site, join func() *running, n int) {
	receiver := &badReceiver{kept: map[string][]string{}, times: map[string]int{}, tries: map[string]int{}}
	at := httptest.NewServer(receiver)
	defer at.Close()
	for _, a := range demoAuthorities {
		args := []string{"event", "subscribe", "--client", a.client, "--url", at.URL, "--event-network", "127.0.0.0/8"}
		for _, code := range a.types {
			args = append(args, "--type", code)
		}
		s.mustRun(t, "\n", args...)
	}
	var servers []*running
	for range n {
		servers = append(servers, join())
	}
	var all []*request
	rounds := numberFrom("ELICENCE_KILLS", 12)
	for round := range rounds {
		batch := append(asking(t, fmt.Sprint("round-", round), 12), &request{key: fmt.Sprint(endedKey, round), sample: ended(t)})
		victim := rand.IntN(n)
		timer := time.AfterFunc(time.Duration(50+rand.IntN(1500))*time.Millisecond, func() { _ = servers[victim].cmd.Process.Kill() })
		s.ask(t, batch, servers...)
		for _, q := range batch[:4] {
			s.suspendAndResume(t, q, servers[rand.IntN(n)])
		}
		timer.Stop()
		servers[victim].kill()
		servers[victim] = join()
		all = append(all, batch...)
	}
	s.settleOn(t, all, servers...)
	want := s.happened(t, all)
	total := 0
	for _, types := range want {
		total += len(types)
	}
	waitFor(t, "everything was told", func() bool {
		receiver.mu.Lock()
		defer receiver.mu.Unlock()
		return len(receiver.times) >= total
	})
	db := s.tables(t)
	var due, attempts, until int64
	var state, fault string
	t.Cleanup(func() {
		if due > 0 {
			t.Logf("%d are %s, after up to %d attempts, until %v, by %q", due, state, attempts, time.Unix(0, until), fault)
		}
	})
	waitFor(t, "nothing is due", func() bool {
		must(t, db.QueryRow(`SELECT count(*), coalesce(max(state), ''), coalesce(max(attempts), 0), coalesce(max(due_at), 0), coalesce(max(fault), '')
			FROM event_delivery WHERE state <> 'delivered'`).Scan(&due, &state, &attempts, &until, &fault))
		return due == 0
	})
	for _, r := range servers {
		r.stop(t)
	}
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	for subject, types := range want {
		if !slices.Equal(receiver.kept[subject], types) {
			t.Errorf("%s: told %v, want %v", subject, receiver.kept[subject], types)
		}
	}
	came := 0
	for times := range maps.Values(receiver.times) {
		came += times
	}
	t.Logf("%d kills: %d events of %d licences came %d times", rounds, total, len(want), came)
	if len(receiver.times) != total || came == total {
		t.Errorf("%d different events came, %d happened; %d came in all", len(receiver.times), total, came)
	}
}

// suspendAndResume changes a licence that was issued; whatever fails was not done, or is told.
func (s *site) suspendAndResume(t *testing.T, q *request, r *running) {
	if q.answer == nil {
		return
	}
	i := slices.IndexFunc(s.demo.Clients, func(c demoClient) bool { return c.ID == clientFor(q.sample) })
	c, err := newAPIClient(context.Background(), r.baseURL, s.demo.Clients[i].ID, s.demo.Clients[i].Secret)
	for _, action := range []string{"suspend", "resume"} {
		if err == nil {
			err = c.post(context.Background(), "/licences/"+string(q.answer.Identifier)+"/"+action, q.key+action, []byte(`{"reason":"r"}`), nil)
		}
	}
	if err != nil {
		t.Logf("a change met a kill: %.80s", err)
	}
}

// happened is what the register says became of licences, as events.
func (s *site) happened(t *testing.T, all []*request) map[string][]string {
	t.Helper()
	rows, err := s.tables(t).Query(`SELECT identifier, status FROM licence_status ORDER BY id`)
	must(t, err)
	defer rows.Close()
	want := map[string][]string{}
	for _, q := range all {
		want[string(q.answer.Identifier)] = nil
	}
	for rows.Next() {
		var id, status string
		must(t, rows.Scan(&id, &status))
		before, ours := want[id]
		switch {
		case !ours || status == "pending":
			continue
		case status == "valid" && len(before) == 0:
			status = "issued"
		case status == "valid":
			status = "resumed"
		}
		want[id] = append(before, status)
	}
	must(t, rows.Err())
	for _, q := range all {
		if id := string(q.answer.Identifier); strings.HasPrefix(q.key, endedKey) {
			want[id] = append(want[id], "expired")
		}
	}
	return want
}
