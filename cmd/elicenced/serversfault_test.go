//go:build faults

package main

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestFaultServers kills one of three servers again and again while all issue, and now and
// then the file storage, and starts another in its place: in the end every request has one
// answer, nothing is pending, and the one log is good.
func TestFaultServers(t *testing.T) {
	c := newCluster(t)
	servers := []*running{c.join(t), c.join(t), c.join(t)}
	var all []*request
	began := time.Now()
	rounds := numberFrom("ELICENCE_KILLS", 50)
	for round := range rounds {
		batch := asking(t, time.Now().Format("150405.000"), 30)
		victim := rand.IntN(len(servers))
		delay := time.Duration(50+rand.IntN(700)) * time.Millisecond
		timer := time.AfterFunc(delay, func() { servers[victim].cmd.Process.Kill() })
		back := make(chan error, 1)
		if round%5 == 4 {
			s3.Kill()
			time.AfterFunc(300*time.Millisecond, func() { back <- s3.Start() })
		} else {
			back <- nil
		}
		c.ask(t, batch, servers...)
		timer.Stop()
		must(t, <-back)
		servers[victim].kill()
		servers[victim] = c.join(t)
		all = append(all, batch...)
	}
	answered := count(all)
	t.Logf("%d kills of one of three servers in %v: %d of %d requests were answered at once", rounds, time.Since(began).Round(time.Second), answered, len(all))
	if answered == 0 || answered == len(all) {
		t.Error("no kill hit a run of issues: the test proved nothing")
	}
	c.settleOn(t, all, servers...)
	c.wantOne(t, all, servers[0], servers[1])
	db := c.tables(t)
	waitFor(t, "nothing is pending", func() bool {
		var pending int
		must(t, db.QueryRow(`SELECT count(*) FROM licence WHERE status = 'pending'`).Scan(&pending))
		return pending == 0
	})
	for _, r := range servers {
		r.stop(t)
	}
	c.checkRegister(t, all)
	c.wantGoodLog(t)
}
