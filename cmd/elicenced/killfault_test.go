//go:build faults

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence/registry"
	"elicence/store/pgtest"
)

// The victims of TestFaultKill.
const (
	theServer     = "server"
	theWitness    = "witness"
	thePostmaster = "postmaster"
	aBackend      = "PostgreSQL backend"
)

// TestFaultKill kills server, witness, the postmaster of PostgreSQL and its backends with
// SIGKILL, at random moments under load, ELICENCE_KILLS times in all, half of them on each
// store. Every answer's entry is in the log in the end, with the leaf that the answer
// gave; the checkpoint of every answer is one of the log's; the chain verifies; the
// witness never goes back; and every key has exactly one licence.
func TestFaultKill(t *testing.T) {
	total := numberFrom("ELICENCE_KILLS", 200)
	seed := numberFrom("ELICENCE_SEED", mathrand.Int())
	t.Logf("ELICENCE_SEED=%d", seed)
	t.Run("SQLite", func(t *testing.T) {
		killAgainAndAgain(t, newSite(t, ""), nil, total/2, seed, theServer, theServer, theWitness)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		cluster := pgtest.NewCluster(t, "")
		killAgainAndAgain(t, newSite(t, cluster.DSN), cluster, total-total/2, seed, theServer, thePostmaster, aBackend, theWitness)
	})
}

// killing is a service that is killed, with those around it.
type killing struct {
	*site
	rand            *mathrand.Rand
	cluster         *pgtest.Cluster
	party           *party
	server, witness *running
	flags           []string
	policy          *audit.Policy
	cosignedSize    uint64 // the largest that the witness was seen to have
	answers         *ledger

	mu     sync.Mutex
	faults map[string]int // answers without a receipt and refusals, by their codes
}

// newKilling is a killing of which every answer is noted until t ends.
func newKilling(t *testing.T, s *site) *killing {
	k := &killing{site: s, faults: map[string]int{}, answers: &ledger{next: keeping.Transport, notes: map[uint64][]byte{}}}
	keeping.Transport = k.answers
	t.Cleanup(func() {
		keeping.Transport = k.answers.next
		for _, r := range []*running{k.server, k.witness} { // of a test that ended early
			if r != nil {
				_ = r.cmd.Process.Kill()
			}
		}
	})
	var err error
	k.policy, err = audit.NewPolicy(s.logVkey(t))
	must(t, err)
	return k
}

func killAgainAndAgain(t *testing.T, s *site, cluster *pgtest.Cluster, rounds, seed int, victims ...string) {
	k := newKilling(t, s)
	k.rand, k.cluster = mathrand.New(mathrand.NewPCG(uint64(seed), 0)), cluster
	k.party = s.newParty(t, "city")
	k.witness = k.party.start(t)
	k.flags = s.witnessed(t, 1, k.party)
	k.policy = policyIn(t, k.flags)
	k.serve(t, "--new-witnesses")

	began, killed, away := time.Now(), map[string]int{}, map[string]time.Duration{}
	all := k.under(t, func() {
		plan := make([]string, rounds)
		for i := range plan {
			plan[i] = victims[i%len(victims)]
		}
		k.rand.Shuffle(rounds, func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
		for _, victim := range plan {
			k.served(t) // so that every kill hits a service at work
			k.pause(600)
			at := time.Now()
			k.kill(t, victim)
			k.served(t)
			killed[victim]++
			away[victim] += time.Since(at)
		}
	})
	t.Logf("%d kills in %s: %v", rounds, time.Since(began).Round(time.Second), killed)
	for victim, n := range killed {
		t.Logf("%s: the next answer came %s after the kill, on average", victim, (away[victim] / time.Duration(n)).Round(time.Millisecond))
	}
	t.Logf("%d answers with a receipt; other answers: %v", k.answers.count(), k.faults)
	answered := count(all)
	t.Logf("%d of %d issues were answered at once", answered, len(all))
	if answered == 0 || answered == len(all) {
		t.Error("no kill hit a run of issues: the test proved nothing")
	}
	k.server.stop(t)
	if c, all := s.cosigned(t); c != all || k.party.latest(t, k.policy) != all {
		t.Errorf("%d of %d entries are cosigned", c, all)
	}
	s.wantQuorum(t, k.policy)
	k.witness.stop(t)
	s.settle(t, all)
	s.checkRegister(t, all)
	k.checkAnswers(t)
}

// serve starts the service, always at the same address.
func (k *killing) serve(t *testing.T, more ...string) {
	t.Helper()
	address := "127.0.0.1:0"
	if k.server != nil {
		address = strings.TrimPrefix(k.server.baseURL, "http://")
	}
	k.server = start(t, k.command(slices.Concat([]string{"serve", "--listen", address}, k.flags, more)...))
}

// pause waits for up to so many milliseconds.
func (k *killing) pause(most int) { time.Sleep(time.Duration(k.rand.IntN(most)) * time.Millisecond) }

// served waits for an answer.
func (k *killing) served(t *testing.T) {
	t.Helper()
	for before, deadline := k.answers.count(), time.Now().Add(time.Minute); k.answers.count() == before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			says := k.server.faults.String()
			t.Fatalf("the service does not answer any more: … %s", says[max(0, len(says)-2000):])
		}
	}
}

// kill kills one process and starts it again, or waits until it has been.
func (k *killing) kill(t *testing.T, victim string) {
	t.Helper()
	switch victim {
	case theServer:
		k.server.kill()
		k.serve(t)
	case theWitness:
		k.witness.kill()
		k.pause(200)
		kept, _ := k.cosigned(t)
		k.witness = k.party.start(t)
		size := k.party.latest(t, k.policy)
		if size < max(kept, k.cosignedSize) {
			t.Fatalf("the witness has %d, the service keeps its cosignature of %d, and it had %d before", size, kept, k.cosignedSize)
		}
		k.cosignedSize = size
	case thePostmaster:
		k.cluster.Crash(t)
		k.cluster.Restart(t)
	case aBackend:
		pids := k.cluster.Backends(t)
		for ; len(pids) == 0; pids = k.cluster.Backends(t) {
			time.Sleep(5 * time.Millisecond)
		}
		must(t, syscall.Kill(pids[k.rand.IntN(len(pids))], syscall.SIGKILL))
		time.Sleep(50 * time.Millisecond) // for the postmaster to notice
		k.cluster.Recovered(t)
	}
	k.cosignedSize = max(k.cosignedSize, k.party.latest(t, k.policy))
}

// under has clients issue and read licences, and try to read one that is out of reach,
// while do runs. It returns the issues.
func (k *killing) under(t *testing.T, do func()) (all []*request) {
	samples, err := loadSamples()
	must(t, err)
	clients, base := map[string]*apiClient{}, k.server.baseURL
	for _, a := range demoAuthorities {
		clients[a.client] = k.as(t, k.server, a.client)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for worker := range 4 {
		load.Go(func() {
			clients := maps.Clone(clients)
			for i := 0; ctx.Err() == nil; i++ {
				q := &request{key: fmt.Sprintf("w%d-%d", worker, i), sample: samples[i%len(samples)]}
				id := clientFor(q.sample)
				var issued registry.Issued
				err := clients[id].post(context.Background(), "/licences", q.key, q.sample.body, &issued)
				wait := 200 * time.Millisecond // until the service is back
				if err == nil {
					q.answer, wait = &issued, 30*time.Millisecond
				}
				k.say(err)
				clients[id] = k.renewed(clients[id], id, base, err)
				k.mu.Lock()
				all = append(all, q)
				k.mu.Unlock()
				time.Sleep(wait)
			}
		})
	}
	l := k.demo.Licences[0]
	for _, id := range []string{issuerOf(l.TypeCode).client, issuerOf(l.TypeCode).client, stranger(l.TypeCode)} {
		load.Go(func() {
			client := clients[id]
			for ctx.Err() == nil {
				_, err := client.get(context.Background(), "/licences/"+l.Identifier)
				k.say(err)
				client = k.renewed(client, id, base, err)
				time.Sleep(15 * time.Millisecond)
			}
		})
	}
	defer load.Wait()
	defer cancel()
	do()
	return all
}

// renewed is c, with a new token when its own has run out.
func (k *killing) renewed(c *apiClient, id, base string, err error) *apiClient {
	if code, _ := problemCode(err); code == "token_expired" {
		for _, client := range k.demo.Clients {
			if client.ID != id {
				continue
			}
			if fresh, err := newAPIClient(context.Background(), base, id, client.Secret); err == nil {
				return fresh
			}
		}
	}
	return c
}

// say counts an answer by its code.
func (k *killing) say(err error) {
	code, isCode := problemCode(err)
	switch {
	case err == nil:
		return
	case !isCode:
		code = "no answer"
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.faults[code]++
}

// said is how many answers had one of these codes.
func (k *killing) said(codes ...string) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, code := range codes {
		n += k.faults[code]
	}
	return n
}

// stranger is a client that does not reach licences of a type.
func stranger(typeCode string) string {
	for _, a := range demoAuthorities {
		if a.client != issuerOf(typeCode).client {
			return a.client
		}
	}
	return ""
}

// problemCode is the code of a problem document in an error of apiClient.
func problemCode(err error) (string, bool) {
	if err == nil {
		return "", false
	}
	_, after, found := strings.Cut(err.Error(), `"code":"`)
	code, _, _ := strings.Cut(after, `"`)
	return code, found
}

// ledger notes the receipt of every answer that passes, whoever asked.
type ledger struct {
	next http.RoundTripper

	mu       sync.Mutex
	receipts []audit.Receipt // without checkpoints
	notes    map[uint64][]byte
	faults   []string
}

// RoundTrip implements http.RoundTripper.
func (l *ledger) RoundTrip(q *http.Request) (*http.Response, error) {
	a, err := l.next.RoundTrip(q)
	if err == nil && a.Header.Get("Elicence-Log-Index") != "" {
		l.note(a.Header)
	}
	return a, err
}

func (l *ledger) note(h http.Header) {
	l.mu.Lock()
	defer l.mu.Unlock()
	index, err1 := strconv.ParseUint(h.Get("Elicence-Log-Index"), 10, 64)
	leaf, err2 := hex.DecodeString(h.Get("Elicence-Log-Leaf"))
	note, err3 := base64.StdEncoding.DecodeString(h.Get("Elicence-Log-Checkpoint"))
	c, err4 := audit.ParseCheckpoint(note)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || len(leaf) != 32 || index >= c.Size {
		l.faults = append(l.faults, fmt.Sprintf("receipt %v", h))
		return
	}
	if other := l.notes[c.Size]; other != nil && !bytes.Equal(other, note) {
		l.faults = append(l.faults, fmt.Sprintf("two checkpoints of size %d: %s %s", c.Size, other, note))
	}
	l.notes[c.Size] = note
	l.receipts = append(l.receipts, audit.Receipt{Index: index, LeafHash: [32]byte(leaf)})
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.receipts)
}

// checkAnswers compares every receipt that was given with the log as it is now.
func (k *killing) checkAnswers(t *testing.T) {
	t.Helper()
	for _, fault := range k.answers.faults {
		t.Error(fault)
	}
	log, db := k.openedLog(t, time.Now)
	newest, err := log.Checkpoint(t.Context())
	must(t, err)
	head, err := k.policy.OpenSigned(newest)
	must(t, err)
	var leaves [][32]byte
	must(t, db.Leaves(t.Context(), head.Origin, 0, head.Size, func(_ uint64, leaf [32]byte) error { leaves = append(leaves, leaf); return nil }))
	entries := map[uint64]bool{}
	for _, r := range k.answers.receipts {
		if r.Index >= uint64(len(leaves)) || leaves[r.Index] != r.LeafHash {
			t.Errorf("entry %d was acknowledged as %x, and is not in the log", r.Index, r.LeafHash)
		}
		entries[r.Index] = true
	}
	for _, size := range slices.Sorted(maps.Keys(k.answers.notes)) {
		c, err := k.policy.OpenSigned(k.answers.notes[size])
		must(t, err)
		proof, err := log.ConsistencyProof(t.Context(), size, head.Size)
		must(t, err)
		if err := audit.VerifyConsistency(c, head, proof); err != nil {
			t.Errorf("the checkpoint of %d entries that was given out: %v", size, err)
		}
	}
	t.Logf("%d receipts for %d entries of %d: all are there; %d checkpoints: the log continues each", len(k.answers.receipts), len(entries), head.Size, len(k.answers.notes))
}
