package registry_test

import (
	"context"
	"crypto/rand"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/dispute"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/disputes"
	"elicence/licence/registry/registrytest"
)

// TestDisputeLimits: a holder has ten unsettled at once, and raises twenty a day.
func TestDisputeLimits(t *testing.T) {
	t.Parallel()
	w := newWalker(t, open(t))
	raise := func() (string, error) {
		_, receipt, err := w.Get(t.Context(), w.approval, w.issued.Identifier, registry.Use{})
		must(t, err)
		state, _, err := w.Disputes().Raise(t.Context(), w.holder, disputes.Request{Key: w.next(), Dispute: dispute.Dispute{Kind: dispute.UnknownUse, Entry: receipt.Index, Statement: dispute.Statement{Text: "不知情"}}})
		return state.ID, err
	}
	withdraw := func(id string) {
		must(t, second(w.Disputes().Withdraw(t.Context(), w.holder, id, registry.StatusRequest{Key: w.next()})))
	}
	var open []string
	for range 10 {
		id, err := raise()
		must(t, err)
		open = append(open, id)
	}
	if _, err := raise(); !errors.Is(err, registry.ErrTooManyDisputes) {
		t.Errorf("an eleventh at once: %v", err)
	}
	for _, id := range open {
		withdraw(id)
		id, err := raise()
		must(t, err)
		withdraw(id)
	}
	if _, err := raise(); !errors.Is(err, registry.ErrTooManyDisputes) {
		t.Errorf("a twenty-first in a day: %v", err)
	}
	w.Move(24 * time.Hour)
	_, err := raise()
	must(t, err)
}

// TestDisputeOverdue: what is late is listed and counted, from the end of the last day on.
func TestDisputeOverdue(t *testing.T) {
	t.Parallel()
	w := newWalker(t, open(t))
	id := w.raise(dispute.WrongLicence, w.issued.Identifier)
	late := func() int {
		t.Helper()
		found, _, err := w.Disputes().List(t.Context(), walkAuditor, registry.DisputeQuery{OverdueAt: w.Now(), Limit: 5}, registry.Use{})
		must(t, err)
		counts, err := w.Disputes().Overdue(t.Context())
		must(t, err)
		if counts[dispute.WrongLicence] != len(found) {
			t.Errorf("%d listed, counted %v", len(found), counts)
		}
		return len(found)
	}
	w.Move(w.stands(id).Due.Sub(w.Now()) - time.Millisecond)
	if late() != 0 {
		t.Error("late on the last day")
	}
	if w.Move(time.Millisecond); late() != 1 {
		t.Error("not late after the last day")
	}
	must(t, second(w.Disputes().Accept(t.Context(), w.answerer(), id, w.status())))
	if late() != 0 {
		t.Error("late when just accepted")
	}
	w.Move(w.stands(id).Due.Sub(w.Now()))
	if late() != 1 {
		t.Error("what was accepted and not put right is not late")
	}
}

// TestDisputeErased: what was settled is erased with the openings of the log, by holder and
// by time; what is not settled stays.
func TestDisputeErased(t *testing.T) {
	t.Parallel()
	w := newWalker(t, open(t))
	settled := w.raise(dispute.WrongLicence, w.issued.Identifier)
	must(t, second(w.Disputes().Reject(t.Context(), w.answerer(), settled, w.status())))
	open := w.raise(dispute.WrongData, w.issued.Identifier)
	w.Move(time.Hour)
	_, _, err := w.AccessLog().ErasePersonal(t.Context(), walkSystem, accesslog.EraseRequest{Holder: w.holder.Holder, Before: w.Now(), Reason: "r"})
	must(t, err)
	gone, err := w.Backend.Dispute(t.Context(), settled)
	if err != nil || gone.Holder.Code != "" || gone.Statement.Text != "" || gone.Reason != "" || gone.State != dispute.Rejected {
		t.Errorf("erased: %+v, %v", gone, err)
	}
	if d := w.stands(open); d.Statement.ShouldBe == "" {
		t.Errorf("not settled: %+v", d)
	}
	if _, _, err := w.Disputes().Get(t.Context(), w.holder, settled, registry.Use{}); !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("the holder still reads it: %v", err)
	}
	must(t, second(w.Disputes().Reject(t.Context(), w.answerer(), open, w.status())))
	w.Move(time.Hour)
	_, _, _, err = w.AccessLog().ExpirePersonal(t.Context(), walkSystem, accesslog.ExpireRequest{LogID: registrytest.LogID, Before: w.Now(), Reason: "r"})
	must(t, err)
	if d, err := w.Backend.Dispute(t.Context(), open); err != nil || d.Statement.ShouldBe != "" || d.Holder.Code != "" {
		t.Errorf("expired: %+v, %v", d, err)
	}
}

// TestDisputeCrash: a correction that dies before its last step closes the dispute when it is
// finished, and one that finds the dispute settled by somebody else meanwhile is finished by
// the next attempt.
func TestDisputeCrash(t *testing.T) {
	t.Parallel()
	w := newWalker(t, open(t))
	first, second := w.another(), w.another()
	w.Move(time.Second)
	died, raced := w.accepted(dispute.WrongData, first), w.accepted(dispute.WrongData, second)
	correct := func(parts registry.Config, id licence.Identifier) error {
		parts.Failed = nil
		r, err := registry.New(parts)
		must(t, err)
		_, _, err = r.Correct(t.Context(), w.approval, id, registry.VersionRequest{Key: w.next(), Body: []byte(bodies[licence.OpCorrect])})
		return err
	}
	dying := w.Config
	dying.Check = func(context.Context, *pdfsig.File, time.Time) error { return errors.New("killed here") }
	if err := correct(dying, first); !errors.Is(err, registry.ErrUnfinished) {
		t.Fatal(err)
	}

	racing := w.Config
	var armed atomic.Bool
	racing.Check = func(ctx context.Context, f *pdfsig.File, at time.Time) error {
		armed.Store(true) // what follows is the last step
		return w.Config.Check(ctx, f, at)
	}
	log, err := audit.Open(t.Context(), audit.Config{LogID: registrytest.LogID, Storage: ahead{w.Backend, func() {
		if !armed.Swap(false) {
			return
		}
		d, err := w.Backend.Dispute(t.Context(), raced)
		must(t, err)
		d.State, d.ClosedBy, d.ClosedAt = dispute.Closed, "somebody", w.Now()
		must(t, w.Backend.Batch(t.Context(), func(tx audit.Tx) error {
			return tx.(registry.Tx).UpdateDispute(t.Context(), d, dispute.Accepted)
		}))
	}}, Signer: w.LogKey, Now: w.Now, Rand: rand.Reader})
	must(t, err)
	defer log.Close()
	racing.Log = log
	if err := correct(racing, second); !errors.Is(err, registry.ErrUnfinished) {
		t.Fatal(err)
	}
	for _, id := range []string{died, raced} {
		if d := w.stands(id); (d.State == dispute.Accepted) != (id == died) {
			t.Errorf("before recovery: %+v", d)
		}
	}
	w.Move(registry.Lease + time.Second)
	if finished, voided, err := w.Recover(t.Context()); finished != 2 || voided != 0 || err != nil {
		t.Errorf("recovered %d, voided %d, %v", finished, voided, err)
	}
	if d := w.stands(died); d.State != dispute.Closed || !first.Precedes(d.Version) {
		t.Errorf("recovered: %+v", d)
	}
	if d := w.stands(raced); d.ClosedBy != "somebody" {
		t.Errorf("settled by somebody else: %+v", d)
	}
}

// ahead does something else before each transaction.
type ahead struct {
	audit.Storage
	first func()
}

func (a ahead) Batch(ctx context.Context, fn func(audit.Tx) error) error {
	a.first()
	return a.Storage.Batch(ctx, fn)
}
