//go:build faults

package main

import (
	"slices"
	"testing"
	"time"

	"elicence/licence/registry"
)

// settle asks again for everything until every key has its answer; leases of the
// dead run out meanwhile.
func (s *site) settle(t *testing.T, all []*request) {
	server := s.serve(t)
	defer server.stop(t)
	s.settleOn(t, all, server)
}

func (s *site) settleOn(t *testing.T, all []*request, servers ...*running) {
	deadline := time.Now().Add(3 * registry.Lease)
	for count(all) < len(all) {
		waiting := slices.DeleteFunc(slices.Clone(all), func(q *request) bool { return q.answer != nil })
		s.ask(t, waiting, servers...)
		if time.Now().After(deadline) {
			t.Fatalf("%d requests have no answer after three leases", len(waiting))
		}
		time.Sleep(time.Second)
	}
	s.ask(t, all, servers...) // once more: the answers stay
}
