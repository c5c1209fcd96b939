//go:build faults

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"elicence/licence/registry"
)

// kills is how often each store's server is killed.
func kills(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("ELICENCE_KILLS"))
	if err != nil {
		return 50
	}
	return n
}

// TestFaultKill kills the server with SIGKILL at random moments of a run of
// issues, again and again, and then asks for everything once more with the same
// keys. What was answered stays as answered; every key gets exactly one licence.
func TestFaultKill(t *testing.T) {
	for name, dsn := range backends {
		t.Run(name, func(t *testing.T) { killAgainAndAgain(t, newSite(t, dsn(t)), kills(t)) })
	}
}

func killAgainAndAgain(t *testing.T, s *site, rounds int) {
	samples, err := loadSamples()
	if err != nil {
		t.Fatal(err)
	}
	var all []*request
	began := time.Now()
	for round := range rounds {
		server := s.serve(t)
		var batch []*request
		for i := range 40 {
			batch = append(batch, &request{key: fmt.Sprintf("r%d-%d", round, i), sample: samples[i%len(samples)]})
		}
		delay := time.Duration(20+rand.IntN(900)) * time.Millisecond
		timer := time.AfterFunc(delay, func() { server.cmd.Process.Kill() })
		s.ask(t, batch, server)
		timer.Stop()
		server.kill()
		all = append(all, batch...)
	}
	answered := count(all)
	t.Logf("%d kills in %v: %d of %d requests were answered before a kill", rounds, time.Since(began).Round(time.Second), answered, len(all))
	if answered == 0 || answered == len(all) {
		t.Error("no kill hit a run of issues: the test proved nothing")
	}
	s.settle(t, all)
	s.checkRegister(t, all)
// request is one issue that a client asked for, until it has its answer.
type request struct {
	key    string
	sample sample
	answer *registry.Issued
}

// ask sends every request, eight at a time. An answer that differs
// from an earlier one is an error; no answer at all is what a kill looks like.
func (s *site) ask(t *testing.T, server *running, batch []*request) {
	clients := map[string]*apiClient{}
	for _, a := range demoAuthorities {
		for _, c := range s.demo.Clients {
			if c.ID == a.client {
				client, err := newAPIClient(context.Background(), server.baseURL, c.ID, c.Secret)
				if err != nil {
					return // killed already
				}
				clients[c.ID] = client
			}
		}
	}
	work := make(chan *request)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for q := range work {
				var issued registry.Issued
				if err := clients[clientFor(q.sample)].post(context.Background(), "/licences", q.key, q.sample.body, &issued); err != nil {
					continue
				}
				if q.answer != nil && *q.answer != issued {
					t.Errorf("key %s: answered %+v, then %+v", q.key, *q.answer, issued)
				}
				q.answer = &issued
			}
		})
	}
	for _, q := range batch {
		work <- q
	}
	close(work)
	wg.Wait()
}

// settle asks again for everything until every key has its answer; leases of the
// dead run out meanwhile.
func (s *site) settle(t *testing.T, all []*request) {
	server := s.serve(t)
	defer server.stop(t)
	s.settleOn(t, all, server)
}

func (s *site) settleOn(t *testing.T, all []*request, servers ...*running) {
	deadline := time.Now().Add(3 * registry.Lease)
	for {
		s.ask(t, all, servers...)
		if count(all) == len(all) {
			return
		}
	for count(all) < len(all) {
		waiting := slices.DeleteFunc(slices.Clone(all), func(q *request) bool { return q.answer != nil })
		s.ask(t, server, waiting)
		if time.Now().After(deadline) {
			t.Fatalf("%d requests have no answer after three leases", len(waiting))
		}
		time.Sleep(time.Second)
	}
	s.ask(t, server, all) // once more: the answers stay
}
