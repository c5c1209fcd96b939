//go:build faults

package main

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"
)

// TestFaultBatch kills a server while it takes a batch in and then again and again while it
// works on it, or one of two: in the end every item that can be is issued, once.
func TestFaultBatch(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		s := newSite(t, "")
		killBatch(t, s, func() *running { return s.serve(t) }, 1)
	})
	t.Run("two servers, PostgreSQL", func(t *testing.T) {
		c := newCluster(t)
		killBatch(t, c.site, func() *running { return c.join(t) }, 2)
		c.wantGoodLog(t)
	})
}

func killBatch(t *testing.T, s *site, join func() *running, n int) {
	const items, bad = 400, 8
	lines, id := batchLines(t, items, 17)
	var servers []*running
	for range n {
		servers = append(servers, join())
	}
	db := s.tables(t)
	issued := func() (n int) {
		must(t, db.QueryRow(`SELECT count(*) FROM licence WHERE status = 'valid'`).Scan(&n))
		return n
	}
	before := issued()
	restart := func(i int) {
		servers[i].kill()
		servers[i] = join()
	}
	client := s.as(t, servers[0], id)
	timer := time.AfterFunc(time.Duration(rand.IntN(40))*time.Millisecond, func() { _ = servers[0].cmd.Process.Kill() })
	var half progress
	err := client.send(t.Context(), "POST", "/licences/batch", "application/x-ndjson", "batch", lines, &half)
	t.Logf("killed while it came in: %v", err)
	timer.Stop()
	restart(0)
	batch := s.as(t, servers[0], id).submitBatch(t, lines) // a repeat, when the first was taken in
	kills := numberFrom("ELICENCE_KILLS", 6)
	for k := range kills {
		time.Sleep(time.Duration(200+rand.IntN(600)) * time.Millisecond)
		restart(k % n)
	}
	began := time.Now()
	client = s.as(t, servers[0], id)
	waitFor(t, "the batch is done", func() bool {
		batch = client.progress(t, batch.ID)
		return batch.Status == "done"
	})
	t.Logf("%d kills; done %v after the last: %+v", kills, time.Since(began).Round(time.Second), batch)
	if batch.Counts["issued"] != items-bad || batch.Counts["failed"] != bad {
		t.Errorf("%+v", batch)
	}
	distinct := map[string]bool{}
	for _, identifier := range client.outcomes(t, batch.ID) {
		distinct[identifier] = true
	}
	if got := issued() - before; got != items-bad || len(distinct) != items-bad {
		t.Errorf("%d licences were issued, the batch names %d", got, len(distinct))
	}
	var open int
	must(t, db.QueryRow(`SELECT count(*) FROM licence WHERE status IN ('pending', 'voided')`).Scan(&open))
	if open != 0 {
		t.Errorf("%d licences are pending or voided", open)
	}
	for _, r := range servers {
		r.stop(t)
	}
}

// outcomes are the identifiers issued by a batch, by the keys of its items.
func (c *apiClient) outcomes(t testing.TB, id string) map[string]string {
	t.Helper()
	issued := map[string]string{}
	for next := ""; ; {
		var page struct {
			Items []struct {
				Key, State string
				Licence    struct{ Identifier string }
			}
			NextCursor string `json:"next_cursor"`
		}
		b, err := c.get(t.Context(), "/licences/batch/"+id+"/items"+next)
		must(t, err)
		must(t, json.Unmarshal(b, &page))
		for _, i := range page.Items {
			if i.State == "issued" {
				issued[i.Key] = i.Licence.Identifier
			}
		}
		if page.NextCursor == "" {
			return issued
		}
		next = "?after=" + page.NextCursor
	}
}
