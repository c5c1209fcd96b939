package main

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence/registry"
)

// openedLog opens the log of a stopped instance, with a clock.
func (s *site) openedLog(t *testing.T, now func() time.Time) (*audit.Log, database) {
	t.Helper()
	keys, err := s.keys("")
	must(t, err)
	secrets, err := keys.secrets()
	must(t, err)
	key, err := keys.key("log")
	must(t, err)
	set, err := s.settings()
	must(t, err)
	db, err := s.openDatabase(t.Context(), secrets)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	log, err := audit.Open(t.Context(), audit.Config{LogID: set.LogID, Storage: db, Signer: audit.Signer{Name: set.LogID, Key: key}, Now: now, Rand: rand.Reader})
	must(t, err)
	return log, db
}

// TestClockSetBack: beside a log whose newest entry is of an hour later the service says so,
// and its entries carry that time; the log is good all the while.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	log, db := s.openedLog(t, func() time.Time { return time.Now().Add(time.Hour) })
	e := &audit.Entry{Principal: "somebody", Action: registry.ActionRead, Result: audit.ResultRefused}
	last, err := log.Append(t.Context(), e, nil)
	must(t, err)
	must(t, log.Close())
	r := s.serve(t)
	if _, err := s.issueOne(t, r, "set-back"); err != nil {
		t.Fatal(err)
	}
	within(t, "the service has said so", func() bool { return strings.Contains(r.faults.String(), "the clock is behind the access log") })
	says(t, "the service", r.faults.String(), "the clock is behind the access log")
	r.stop(t)
	if n := strings.Count(r.faults.String(), "the clock is behind"); n != 1 {
		t.Errorf("said %d times", n)
	}
	later := 0
	must(t, db.Rows(t.Context(), s.logID(t), last.Index, 1<<62, func(row audit.Row) error {
		record, err := audit.ParseRecord(row.Record)
		if later++; err == nil && !record.Entry.Time.Equal(e.Time) {
			t.Errorf("entry %d is of %s, the one before of %s", row.Index, record.Entry.Time, e.Time)
		}
		return err
	}))
	if later < 5 {
		t.Errorf("%d entries", later)
	}
	s.verifyLog(t)
}

func (s *site) logID(t *testing.T) string {
	t.Helper()
	set, err := s.settings()
	must(t, err)
	return set.LogID
}

// TestLossWhileServing: when the database loses entries under a running service, the service
// ends and says so, and what it keeps outside goes on covering them.
func TestLossWhileServing(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	must(t, os.RemoveAll(filepath.Join(s.Dir, "witness"))) // the demo's own would notice, too
	r := s.serve(t)
	file := filepath.Join(s.Dir, "checkpoint")
	_, before := s.cosigned(t)
	if _, err := s.issueOne(t, r, "lost"); err != nil {
		t.Fatal(err)
	}
	_, size := s.cosigned(t)
	var kept []byte
	within(t, "the checkpoint is kept", func() bool {
		var err error
		kept, err = os.ReadFile(file)
		must(t, err)
		c, err := audit.ParseCheckpoint(kept)
		return err == nil && c.Size == size
	})
	cutTail(t, s.disarmed(t), int(before))
	select {
	case <-r.exited:
		says(t, "the service", r.faults.String(), "the log went backwards: N entries, a checkpoint covers N")
	case <-time.After(30 * time.Second):
		r.kill()
		t.Error("the service goes on without the entries that it has lost")
	}
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, kept) {
		t.Errorf("the checkpoint kept outside the database was replaced: %v\n%s", err, now)
	}
	s.wantRefusedStart(t, "after the loss", "the log went backwards")
}
