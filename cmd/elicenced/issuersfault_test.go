//go:build faults

package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

// issuersAtOnce is how many ask for licences of one type.
const issuersAtOnce = 100

// TestFaultIssuers has a hundred issuers take numbers of one series, by three servers on one
// register. Servers are killed again and again, and of the issuers every tenth goes away before
// its answer. Nobody repeats a request, so that what was begun is left to the servers. All
// numbers are accounted for twice: with every server dead, and when those that came back
// have finished what they found.
func TestFaultIssuers(t *testing.T) {
	c := newCluster(t)
	servers := []*running{c.join(t), c.join(t), c.join(t)}
	q := asking(t, "", 20)
	q = q[slices.IndexFunc(q, func(q *request) bool { return q.sample.asks.TypeCode == workSafety }):]
	token := c.tokens(servers)[clientFor(q[0].sample)]

	var mu sync.Mutex // guards servers and answered
	answered, asked := map[licence.Identifier]string{}, 0
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range issuersAtOnce {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				mu.Lock()
				at := servers[rand.IntN(len(servers))].baseURL
				asked++
				mu.Unlock()
				asking, cancel := context.WithCancel(ctx)
				if rand.IntN(10) == 0 {
					time.AfterFunc(time.Duration(rand.IntN(1000))*time.Millisecond, cancel)
				}
				var issued registry.Issued
				err := (&apiClient{base: at + "/api/v1", token: token}).post(asking, "/licences", fmt.Sprintf("%d-%d", i, n), q[0].sample.body, &issued)
				cancel()
				if err != nil {
					time.Sleep(50 * time.Millisecond) // its server may be dead
					continue
				}
				mu.Lock()
				answered[issued.Identifier] = issued.Number
				mu.Unlock()
			}
		})
	}
	kills := numberFrom("ELICENCE_KILLS", 20)
	for range kills {
		time.Sleep(time.Duration(200+rand.IntN(800)) * time.Millisecond)
		victim := rand.IntN(len(servers))
		servers[victim].kill()
		next := c.join(t)
		mu.Lock()
		servers[victim] = next
		mu.Unlock()
	}
	for _, r := range servers {
		r.kill()
	}
	stop()
	wg.Wait()
	t.Logf("%d issuers asked %d times and were answered %d times, through %d kills", issuersAtOnce, asked, len(answered), kills+len(servers))
	states := c.account(t, answered)
	if states[licence.StatusPending] == 0 {
		t.Error("no kill hit an issue: the test proved nothing")
	}
	back := c.join(t)
	waitFor(t, "nothing is pending", func() bool { return c.account(t, answered)[licence.StatusPending] == 0 })
	t.Logf("with the servers dead: %v; in the end: %v", states, c.account(t, answered))
	back.stop(t)
	c.wantGoodLog(t)
}

// workSafety is a type whose numbers are one series for the province and year.
const workSafety = "11100000000013338W901"

// account counts the licences of workSafety by status, and checks that their numbers are 1 to
// as many as there are, that each that was answered is valid with its number, and that the
// voided ones say why.
func (s *site) account(t *testing.T, answered map[licence.Identifier]string) map[licence.Status]int {
	t.Helper()
	keys, err := s.keys("")
	must(t, err)
	secrets, err := keys.secrets()
	must(t, err)
	db, err := s.openDatabase(t.Context(), secrets)
	must(t, err)
	defer db.Close()
	rows, err := s.tables(t).Query(`SELECT identifier FROM licence WHERE type_code = $1`, workSafety)
	must(t, err)
	defer rows.Close()
	states, taken := map[licence.Status]int{}, map[int]licence.Identifier{}
	for rows.Next() {
		var id licence.Identifier
		must(t, rows.Scan(&id))
		rec, err := db.Licence(t.Context(), id)
		must(t, err)
		n, err := strconv.Atoi(rec.Number[len(rec.Number)-6:])
		must(t, err)
		if other := taken[n]; other != "" {
			t.Errorf("%s and %s have the number %s", other, id, rec.Number)
		}
		if number := answered[id]; number != "" && (number != rec.Number || rec.Status != licence.StatusValid) {
			t.Errorf("%s was answered with the number %s and is %s with %s", id, number, rec.Status, rec.Number)
		}
		if rec.Status == licence.StatusVoided && rec.StatusReason == "" {
			t.Errorf("%s is voided without a reason", id)
		}
		states[rec.Status]++
		taken[n] = id
	}
	must(t, rows.Err())
	for n := 1; n <= len(taken); n++ {
		if taken[n] == "" {
			t.Errorf("of %d numbers there is no %d", len(taken), n)
		}
	}
	entered := slices.Collect(maps.Values(taken))
	for id, number := range answered {
		if !slices.Contains(entered, id) {
			t.Errorf("%s was answered with the number %s and is not in the register", id, number)
		}
	}
	return states
}
