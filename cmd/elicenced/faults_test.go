//go:build faults

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/store"
)

// kills is how often each store's server is killed.
func kills(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("ELICENCE_KILLS"))
	if err != nil {
		return 50
	}
	return n
}

// asked is one issue that a client asked for, until it has its answer.
type request struct {
	key    string
	sample sample
	answer *registry.Issued
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
		s.ask(t, server, batch)
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
}

// ask sends every unanswered request, eight at a time. An answer that differs
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
	deadline := time.Now().Add(3 * registry.Lease)
	for {
		s.ask(t, server, all)
		if count(all) == len(all) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d requests have no answer after three leases", len(all)-count(all))
		}
		time.Sleep(2 * time.Second)
	}
}

func count(all []*request) (answered int) {
	for _, q := range all {
		if q.answer != nil {
			answered++
		}
	}
	return answered
}

// checkRegister reads database, files and log of the stopped instance and checks
// the invariants that the registry's package comment promises.
func (s *site) checkRegister(t *testing.T, all []*request) {
	t.Helper()
	ctx := context.Background()
	keys, err := s.keys("")
	must(t, err)
	secrets, err := keys.secrets()
	must(t, err)
	db, err := s.openDatabase(ctx, secrets)
	must(t, err)
	defer db.Close()
	set, err := s.settings()
	must(t, err)
	cipher, err := pki.NewCipher(secrets.storage)
	must(t, err)
	files, err := store.OpenFolder(filepath.Join(s.Dir, "files"), cipher)
	must(t, err)

	ids, numbers := map[licence.Identifier]string{}, map[string]string{}
	for _, q := range all {
		if other := ids[q.answer.Identifier]; other != "" {
			t.Errorf("keys %s and %s got the same licence %s", other, q.key, q.answer.Identifier)
		}
		number := q.answer.TypeCode + "/" + q.answer.Number
		if other := numbers[number]; other != "" {
			t.Errorf("keys %s and %s got the same number %s", other, q.key, number)
		}
		ids[q.answer.Identifier], numbers[number] = q.key, q.key
	}

	log := readLog(t, s, db, set.LogID)
	valid := map[licence.Identifier]bool{}
	rows, err := s.tables(t).Query(`SELECT identifier, status FROM licence`)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var id licence.Identifier
		var st licence.Status
		must(t, rows.Scan(&id, &st))
		valid[id] = st != licence.StatusPending && st != licence.StatusVoided
	}
	must(t, rows.Err())
	issued := 0
	for id, ok := range valid {
		if !ok {
			continue
		}
		issued++
		rec, err := db.Licence(ctx, id)
		must(t, err)
		if log.issued[id] != 1 {
			t.Errorf("%s is %s, with %d entries \"issued\"", id, rec.Status, log.issued[id])
		}
		if _, err := files.Get(ctx, rec.File.Digest); err != nil {
			t.Errorf("%s is %s without its file: %v", id, rec.Status, err)
		}
	}
	for id := range log.issued {
		if !valid[id] {
			t.Errorf("entry \"issued\" of %s without its licence", id)
		}
	}
	for id := range log.reserved {
		rec, err := db.Licence(ctx, id)
		if err != nil {
			t.Errorf("%s was reserved and is not in the register: %v", id, err)
			continue
		}
		if rec.Status == licence.StatusPending {
			t.Logf("%s is still pending", id)
		}
	}
	t.Logf("%d licences, %d reserved, %d log entries; the chain verifies", issued, len(log.reserved), log.size)
}

// seen is what the log says happened.
type seen struct {
	issued, reserved map[licence.Identifier]int
	size             uint64
}

// readLog exports the log, verifies it as an auditor would, and reads its entries.
func readLog(t *testing.T, s *site, db database, logID string) seen {
	t.Helper()
	summary := s.verifyLog(t)
	log := seen{issued: map[licence.Identifier]int{}, reserved: map[licence.Identifier]int{}, size: summary.To}
	must(t, db.Rows(context.Background(), logID, 0, summary.To, func(row audit.Row) error {
		rec, err := audit.ParseRecord(row.Record)
		if err != nil {
			return err
		}
		if rec.Entry.Result != audit.ResultAllowed {
			return nil
		}
		switch rec.Entry.Action {
		case registry.ActionIssued:
			log.issued[licence.Identifier(rec.Entry.Object)]++
		case registry.ActionReserve:
			log.reserved[licence.Identifier(rec.Entry.Object)]++
		}
		return nil
	}))
	return log
}
