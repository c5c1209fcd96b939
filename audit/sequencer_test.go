package audit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elicence/audit"

	"github.com/google/go-cmp/cmp"
)

func TestAppend(t *testing.T) {
	f := newFixture(t)
	e := newEntry(1)
	e.Personal = map[string]string{"holder_code": "11010119900307123X", "holder_name": "张䶮"}
	r, err := f.log.Append(t.Context(), e, func(tx audit.Tx) error {
		e.Object = "completed"
		return add("licence")(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Index != 0 || !e.Time.Equal(start) || e.Object != "completed" || f.storage.state["licence"] != 1 {
		t.Errorf("got index %d, time %v, object %q, state %v", r.Index, e.Time, e.Object, f.storage.state)
	}
	row := f.storage.rows[0]
	record, err := audit.ParseRecord(row.Record)
	if err != nil {
		t.Fatal(err)
	}
	personal, err := record.OpenPersonal(row.Opening)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(personal, e.Personal); diff != "" {
		t.Errorf("personal values (-got +want):\n%s", diff)
	}
	want := *e
	want.Personal = nil
	if diff := cmp.Diff(record.Entry, want); diff != "" {
		t.Errorf("entry (-got +want):\n%s", diff)
	}
	c, _, err := f.policy.OpenCheckpoint(r.Checkpoint)
	if err != nil || c.Size != 1 || c.RootHash != r.LeafHash || r.LeafHash != row.Leaf {
		t.Errorf("checkpoint %+v of leaf %x: %v", c, r.LeafHash, err)
	}
	f.mustVerify(t, 1)
}

// TestAppendConcurrent has many callers, some of whom fail, in every way there
// is, and counts what became of each.
func TestAppendConcurrent(t *testing.T) {
	f := newFixture(t)
	f.config.MaxBatch = 16
	f.log = f.mustOpen(t)
	outcomes := []struct {
		apply func(audit.Tx) error
		check func(error) bool
	}{
		{nil, func(err error) bool { return err == nil }},
		{add("done"), func(err error) bool { return err == nil }},
		{func(tx audit.Tx) error { add("undone")(tx); return errOwn }, func(err error) bool { return err == errOwn }},
		{func(tx audit.Tx) error { add("undone")(tx); panic("boom") }, func(err error) bool { return err != nil }},
	}
	const callers, each = 32, 25
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				want := outcomes[(c+i)%len(outcomes)]
				e := newEntry(c*each + i)
				r, err := f.log.Append(context.Background(), e, want.apply)
				if !want.check(err) {
					t.Errorf("caller %d: %v", c, err)
				}
				if err != nil {
					continue
				}
				mu.Lock()
				if seen[r.Index] {
					t.Errorf("index %d twice", r.Index)
				}
				seen[r.Index] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if n := f.storage.state["done"]; n != callers*each/4 || f.storage.state["undone"] != 0 {
		t.Errorf("state %v", f.storage.state)
	}
	if f.storage.tried >= callers*each {
		t.Errorf("%d transactions for %d entries: nothing was batched", f.storage.tried, callers*each)
	}
	f.mustVerify(t, uint64(len(seen)))
}

// TestAppendFaults breaks every step of a transaction, once as a conflict and
// once as a failure, and the commit also so that it is durable all the same.
func TestAppendFaults(t *testing.T) {
	tests := []struct {
		step    string
		fault   fault
		times   int // how often the step breaks
		wantErr error
		stored  bool
	}{
		{"begin", conflicts, 1, nil, true},
		{"begin", fails, 1, errDisk, false},
		{"head", conflicts, 3, nil, true},
		{"head", fails, 1, errDisk, false},
		{"savepoint", fails, 1, errDisk, false},
		{"append", conflicts, 9, nil, true},
		{"append", conflicts, 10, audit.ErrConflict, false},
		{"append", fails, 1, errDisk, false},
		{"commit", conflicts, 2, nil, true},
		{"commit", conflicts, 100, audit.ErrConflict, false},
		{"commit", fails, 1, errDisk, false},
		{"commit", failsPersisted, 1, errors.New("connection lost"), true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s/%d/%d", tt.step, tt.fault, tt.times), func(t *testing.T) {
			f := newFixture(t)
			mustAppend(t, f.log, 3)
			left := tt.times
			f.storage.inject = func(step string) fault {
				if step != tt.step || left == 0 {
					return works
				}
				left--
				return tt.fault
			}
			e := newEntry(3)
			before := *newEntry(3)
			_, err := f.log.Append(t.Context(), e, func(tx audit.Tx) error {
				e.Object += "+"
				return add("licence")(tx)
			})
			if (err == nil) != (tt.wantErr == nil) || errors.Is(tt.wantErr, errDisk) && !errors.Is(err, errDisk) ||
				errors.Is(tt.wantErr, audit.ErrConflict) && !errors.Is(err, audit.ErrConflict) {
				t.Errorf("got %v, want %v", err, tt.wantErr)
			}
			if unknown := tt.step == "commit" && tt.fault != conflicts; errors.Is(err, audit.ErrOutcomeUnknown) != unknown {
				t.Errorf("got %v; is the outcome unknown? %t", err, unknown)
			}
			if err != nil {
				if diff := cmp.Diff(*e, before); diff != "" {
					t.Errorf("entry of a failed call (-got +want):\n%s", diff)
				}
			} else if e.Object != before.Object+"+" {
				t.Errorf("object %q: a re-run did not begin from the entry handed in", e.Object)
			}
			want := uint64(3)
			if tt.stored {
				want++
			}
			if got := uint64(f.storage.state["licence"]); got != want-3 {
				t.Errorf("licence changed %d times", got)
			}
			f.storage.inject = nil
			f.mustVerify(t, want)
			mustAppend(t, f.log, 1) // the log goes on
			f.mustVerify(t, want+1)
			f.mustOpen(t)
		})
	}
}

// TestAppendDroppedInLostBatch: a caller dropped because of what another did in
// the same batch must not be told so when that batch was never committed.
func TestAppendDroppedInLostBatch(t *testing.T) {
	f := newFixture(t)
	f.storage.inject = func(step string) fault {
		if step == "commit" {
			return fails
		}
		return works
	}
	_, err := f.log.Append(t.Context(), newEntry(0), func(audit.Tx) error { return errOwn })
	if !errors.Is(err, errDisk) {
		t.Errorf("got %v, want %v", err, errDisk)
	}
}

func TestAppendInvalid(t *testing.T) {
	f := newFixture(t)
	tests := map[string]func(*audit.Entry){
		"no principal":     func(e *audit.Entry) { e.Principal = "" },
		"no action":        func(e *audit.Entry) { e.Action = "" },
		"no result":        func(e *audit.Entry) { e.Result = "" },
		"unknown result":   func(e *audit.Entry) { e.Result = "maybe" },
		"purpose too long": func(e *audit.Entry) { e.Purpose = string(make([]byte, 513)) },
		"not UTF-8":        func(e *audit.Entry) { e.Case = "\xff" },
		"digest too long":  func(e *audit.Entry) { e.Digest = make([]byte, 65) },
		"personal name":    func(e *audit.Entry) { e.Personal = map[string]string{"": "x"} },
		"personal value":   func(e *audit.Entry) { e.Personal = map[string]string{"x": string(make([]byte, 1025))} },
		"personal UTF-8":   func(e *audit.Entry) { e.Personal = map[string]string{"x": "\xff"} },
		"personal count": func(e *audit.Entry) {
			e.Personal = map[string]string{}
			for i := range 33 {
				e.Personal[fmt.Sprint(i)] = "x"
			}
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEntry(0)
			spoil(e)
			if _, err := f.log.Append(t.Context(), e, nil); !errors.Is(err, audit.ErrInvalidEntry) {
				t.Errorf("without apply: %v", err)
			}
			e = newEntry(0)
			_, err := f.log.Append(t.Context(), e, func(tx audit.Tx) error {
				spoil(e)
				return add("licence")(tx)
			})
			if !errors.Is(err, audit.ErrInvalidEntry) {
				t.Errorf("spoilt by apply: %v", err)
			}
		})
	}
	if len(f.storage.rows) != 0 || len(f.storage.state) != 0 {
		t.Errorf("stored %d rows, state %v", len(f.storage.rows), f.storage.state)
	}
}

// hold makes the first transaction wait, and returns a function that waits
// until it does and one that lets it go on.
func hold(s *memStorage) (held, release func()) {
	reached, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.inject = func(step string) fault {
		if step == "begin" {
			once.Do(func() { close(reached); <-gate })
		}
		return works
	}
	return func() { <-reached }, sync.OnceFunc(func() { close(gate) })
}

func TestAppendCancelled(t *testing.T) {
	f := newFixture(t)
	held, release := hold(f.storage)
	ctx, cancel := context.WithCancel(t.Context())

	first := make(chan error)
	go func() {
		_, err := f.log.Append(ctx, newEntry(0), add("first"))
		first <- err
	}()
	held()
	waiting := make(chan error)
	for range 3 {
		go func() {
			_, err := f.log.Append(ctx, newEntry(1), add("waiting"))
			waiting <- err
		}()
	}
	cancel()
	for range 3 {
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("waiting: %v", err)
		}
	}
	select {
	case err := <-first:
		t.Fatalf("a caller in a batch was answered before the commit: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	release()
	if err := <-first; err != nil {
		t.Errorf("a caller in a committed batch got %v", err)
	}
	if diff := cmp.Diff(f.storage.state, map[string]int{"first": 1}); diff != "" {
		t.Errorf("state (-got +want):\n%s", diff)
	}
	if _, err := f.log.Append(ctx, newEntry(2), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	mustAppend(t, f.log, 1)
	f.mustVerify(t, 2)
}

// TestAppendCancelledAtRandom cancels callers at any moment: whoever is told
// nothing but ctx's error has left no trace, everyone else exactly one.
func TestAppendCancelledAtRandom(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	var committed, withdrawn atomic.Int64
	for c := range 16 {
		wg.Go(func() {
			for i := range 40 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.N(300))*time.Microsecond)
				_, err := f.log.Append(ctx, newEntry(c*40+i), add("licence"))
				cancel()
				switch {
				case err == nil:
					committed.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					withdrawn.Add(1)
				default:
					t.Errorf("got %v", err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d committed, %d withdrawn", committed.Load(), withdrawn.Load())
	if n := int64(f.storage.state["licence"]); n != committed.Load() {
		t.Errorf("%d changes for %d entries", n, committed.Load())
	}
	mustAppend(t, f.log, 1)
	f.mustVerify(t, uint64(committed.Load())+1)
}

// TestAppendGoexit: an apply that ends its goroutine loses its batch, not the log.
func TestAppendGoexit(t *testing.T) {
	f := newFixture(t)
	_, err := f.log.Append(t.Context(), newEntry(0), func(audit.Tx) error {
		runtime.Goexit()
		return nil
	})
	if err == nil {
		t.Error("got a receipt")
	}
	mustAppend(t, f.log, 2)
	f.mustVerify(t, 2)
}

// TestAppendConflictOfOne: a caller whose own part always conflicts fails alone
// in the end, and takes no one along.
func TestAppendConflictOfOne(t *testing.T) {
	f := newFixture(t)
	held, release := hold(f.storage)
	go f.log.Append(context.Background(), newEntry(0), nil)
	held()
	errs := make(chan error, 2)
	go func() {
		_, err := f.log.Append(context.Background(), newEntry(1), func(audit.Tx) error { return audit.ErrConflict })
		errs <- err
	}()
	go func() {
		_, err := f.log.Append(context.Background(), newEntry(2), add("licence"))
		errs <- err
	}()
	time.Sleep(10 * time.Millisecond) // both should be waiting; the outcome is the same if not
	release()
	got := []error{<-errs, <-errs}
	if (got[0] == nil) == (got[1] == nil) || !errors.Is(errors.Join(got...), audit.ErrConflict) {
		t.Errorf("got %v", got)
	}
	f.mustVerify(t, 2)
}

// TestTwoProcesses lets two logs write to one storage at once.
func TestTwoProcesses(t *testing.T) {
	f := newFixture(t)
	logs := []*audit.Log{f.log, f.mustOpen(t)}
	var wg sync.WaitGroup
	var committed atomic.Int64
	for i := range 8 {
		wg.Go(func() {
			for j := range 30 {
				_, err := logs[i%2].Append(context.Background(), newEntry(j), add("licence"))
				if err == nil {
					committed.Add(1)
				} else if !errors.Is(err, audit.ErrConflict) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := int64(f.storage.state["licence"]); n != committed.Load() || n == 0 {
		t.Errorf("%d changes for %d entries", n, committed.Load())
	}
	f.mustVerify(t, uint64(committed.Load()))
	f.mustOpen(t)
}

func TestClockBackwards(t *testing.T) {
	f := newFixture(t)
	now := start
	f.config.Now = func() time.Time { return now }
	f.log = f.mustOpen(t)
	other := f.mustOpen(t)
	var got []time.Time
	for i, step := range []time.Duration{0, time.Second, -time.Hour, -2 * time.Hour, 2 * time.Second} {
		now = start.Add(step)
		e := newEntry(i)
		if _, err := []*audit.Log{f.log, other}[i%2].Append(t.Context(), e, nil); err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Time)
	}
	now = start.Add(-time.Hour)
	f.log = f.mustOpen(t)
	e := newEntry(5)
	if _, err := f.log.Append(t.Context(), e, nil); err != nil {
		t.Fatal(err)
	}
	got = append(got, e.Time)
	s := time.Second
	want := []time.Time{start, start.Add(s), start.Add(s), start.Add(s), start.Add(2 * s), start.Add(2 * s)}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("times (-got +want):\n%s", diff)
	}
	f.mustVerify(t, 6)
}

// TestStopped changes the storage under a running log.
func TestStopped(t *testing.T) {
	var other *audit.Log // that has seen the first two entries
	tests := map[string]struct {
		change func(s *memStorage)
		want   error
	}{
		"backwards": {func(s *memStorage) { s.rows, s.heads = s.rows[:2], s.heads[:2] }, audit.ErrBackwards},
		"emptied":   {func(s *memStorage) { s.rows, s.heads = nil, nil }, audit.ErrBackwards},
		"last leaf": {func(s *memStorage) { s.heads[2].LastLeaf[0] ^= 1 }, audit.ErrForked},
		"grown, wrong range": {func(s *memStorage) {
			h := s.heads[2]
			h.Size++
			s.heads = append(s.heads, h)
		}, audit.ErrForked},
		"grown, from less": {func(s *memStorage) { // by another process, which knows no more
			s.rows, s.heads, s.nodes = s.rows[:2], s.heads[:2], nil
			other.Append(context.Background(), newEntry(7), nil)
			mustAppend(t, other, 2)
		}, audit.ErrForked},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			mustAppend(t, f.log, 2)
			other = f.mustOpen(t)
			mustAppend(t, f.log, 1)
			tt.change(f.storage)
			for range 2 {
				_, err := f.log.Append(t.Context(), newEntry(3), add("licence"))
				if !errors.Is(err, audit.ErrStopped) || !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			}
			if len(f.storage.state) != 0 {
				t.Errorf("state %v", f.storage.state)
			}
		})
	}
}

func TestCloseDrains(t *testing.T) {
	f := newFixture(t)
	held, release := hold(f.storage)
	errs := make(chan error)
	for i := range 5 {
		go func() {
			_, err := f.log.Append(context.Background(), newEntry(i), nil)
			errs <- err
		}()
		held()
	}
	time.Sleep(10 * time.Millisecond)
	closed := make(chan error)
	go func() { closed <- f.log.Close() }()
	for { // until Close has taken effect
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := f.log.Append(ctx, newEntry(9), nil)
		cancel()
		if errors.Is(err, audit.ErrStopped) {
			break
		}
	}
	release()
	var good uint64
	for range 5 {
		switch err := <-errs; {
		case err == nil:
			good++
		case !errors.Is(err, audit.ErrStopped):
			t.Errorf("got %v", err)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if good == 0 {
		t.Error("no waiting caller was served")
	}
	f.mustVerify(t, good)
}

// TestAppendAll: entries of one call stand one behind the other, with one checkpoint, or
// not at all.
func TestAppendAll(t *testing.T) {
	f := newFixture(t)
	first, second := newEntry(1), newEntry(2)
	r, err := f.log.AppendAll(t.Context(), []*audit.Entry{first, second}, add("both"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Index != 1 || f.storage.state["both"] != 1 || !first.Time.Equal(start) || !second.Time.Equal(start) {
		t.Errorf("receipt of entry %d, state %v, times %v and %v", r.Index, f.storage.state, first.Time, second.Time)
	}
	f.mustVerify(t, 2)
	for i, e := range []*audit.Entry{first, second} {
		record, err := audit.ParseRecord(f.storage.rows[i].Record)
		if diff := cmp.Diff(record.Entry, *e); err != nil || diff != "" {
			t.Errorf("entry %d: %v\n%s", i, err, diff)
		}
	}
	bad := newEntry(3)
	bad.Action = ""
	if _, err := f.log.AppendAll(t.Context(), []*audit.Entry{newEntry(4), bad}, add("both")); !errors.Is(err, audit.ErrInvalidEntry) {
		t.Errorf("with an invalid entry: %v", err)
	}
	if _, err := f.log.AppendAll(t.Context(), []*audit.Entry{newEntry(5), newEntry(6)}, func(audit.Tx) error { return errOwn }); !errors.Is(err, errOwn) {
		t.Errorf("with an apply that fails: %v", err)
	}
	if len(f.storage.rows) != 2 || f.storage.state["both"] != 1 {
		t.Errorf("%d entries, state %v after two failures", len(f.storage.rows), f.storage.state)
	}
	f.mustVerify(t, 2)
}
