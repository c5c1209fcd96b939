package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
)

// request is one issue that a client asked for, until it has its answer.
type request struct {
	key    string
	sample sample
	answer *registry.Issued
}

// ask sends every unanswered request, eight at a time, each to any of the servers; the tokens
// are of whichever gave them. An answer that differs from an earlier one is an error; no
// answer at all is what a kill looks like.
func (s *site) ask(t *testing.T, batch []*request, servers ...*running) {
	tokens := s.tokens(servers)
	work := make(chan *request)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for q := range work {
				at := servers[rand.IntN(len(servers))]
				client := &apiClient{base: at.baseURL + "/api/v1", token: tokens[clientFor(q.sample)]}
				var issued registry.Issued
				if err := client.post(context.Background(), "/licences", q.key, q.sample.body, &issued); err != nil {
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

// tokens are those of the approval systems, of the servers that answer.
func (s *site) tokens(servers []*running) map[string]string {
	tokens := map[string]string{}
	for i, c := range s.demo.Clients {
		for j := range servers {
			r := servers[(i+j)%len(servers)]
			if client, err := newAPIClient(context.Background(), r.baseURL, c.ID, c.Secret); err == nil {
				tokens[c.ID] = client.token
				break
			}
		}
	}
	return tokens
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
	files, err := s.openFiles(ctx, s.location, cipher)
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
