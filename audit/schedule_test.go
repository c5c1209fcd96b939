package audit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"elicence/audit"

	"github.com/google/go-cmp/cmp"
)

// schedules is how many runs of faults there are, each from its seed. How the callers of a
// run take turns is for the scheduler of Go.
const schedules = 300

// attempt is one call of Append and what became of it.
type attempt struct {
	id      string // its entry's request id, which no other has
	by      int    // which process it asked
	receipt audit.Receipt
	err     error
}

// schedule is a log on a storage that fails, over several lives of the processes that
// append to it.
type schedule struct {
	*fixture
	seed   uint64
	mu     sync.Mutex
	rand   *rand.Rand // guarded by mu, as is what follows
	odds   map[string][]fault
	dead   int // processes of earlier lives: they commit nothing any more
	calls  []attempt
	lost   bool        // the storage lost what it had acknowledged
	cut    int         // the size at which it did in this life; -1 if it did not
	known  audit.Known // the newest checkpoint that was kept outside
	counts map[string]int
}

var errKilled = errors.New("the process was killed")

// process is the storage as one life of the processes sees it.
type process struct {
	*memStorage
	s    *schedule
	life int
}

func (p *process) Batch(ctx context.Context, fn func(audit.Tx) error) error {
	return p.memStorage.Batch(ctx, func(tx audit.Tx) error {
		err := fn(tx)
		p.s.mu.Lock()
		defer p.s.mu.Unlock()
		if p.life < p.s.dead {
			return errKilled
		}
		return err
	})
}

// faultsOf are the kinds of schedule: what each step does, out of twelve times.
var faultsOf = []map[string][]fault{
	{"commit": {fails, failsPersisted, conflicts}},
	{"commit": {failsPersisted, failsPersisted, failsPersisted, failsPersisted}, "append": {conflicts}},
	{"begin": {fails, conflicts}, "head": {fails, conflicts}, "leaf": {fails, conflicts}, "append": {fails, conflicts}, "savepoint": {fails, conflicts}},
	{"commit": {lies, lies, lies, failsPersisted, fails}},
	{"commit": {lies, lies, lies, lies, lies, lies, lies, lies, lies, lies, lies}},
}

// TestSchedules drives logs, one process or three on one storage, with many callers, while
// the storage fails in every way there is, processes die and start again, and the storage
// crashes and loses what it lied about.
func TestSchedules(t *testing.T) {
	total := map[string]int{}
	for seed := range uint64(schedules) {
		synctest.Test(t, func(t *testing.T) {
			s := &schedule{fixture: newFixture(t), seed: seed, rand: rand.New(rand.NewPCG(seed, 0)), odds: faultsOf[seed%uint64(len(faultsOf))], counts: map[string]int{}}
			s.known.From = "the outside"
			for life := 1; life <= 4 && s.live(t, life); life++ {
			}
			for what, n := range s.counts {
				total[what] += n
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d schedules: %v", schedules, total)
	for _, what := range []string{"acknowledged", "not stored", "unknown, stored", "unknown, not stored", "storage crashed", "noticed at start", "noticed by receipt", "noticed while running"} {
		if total[what] == 0 {
			t.Errorf("it never came to this: %s", what)
		}
	}
}

// draw is a number below n, of the seed.
func (s *schedule) draw(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rand.IntN(n)
}

func (s *schedule) step(name string) fault {
	if odds, i := s.odds[name], s.draw(12); i < len(odds) {
		return odds[i]
	}
	return works
}

// live is one life of the processes, and its end. It reports whether there is another.
func (s *schedule) live(t *testing.T, life int) bool {
	s.cut = -1
	before := len(s.calls)
	var logs []*audit.Log
	for range 1 + 2*s.draw(2) {
		config := s.config
		config.Storage, config.MaxBatch = &process{s.storage, s, life}, 1+s.draw(8)
		if s.known.Checkpoint != nil {
			config.Known = []audit.Known{s.known}
		}
		l, err := audit.Open(t.Context(), config)
		if err != nil {
			s.wantNoticed(t, err)
			return false
		}
		logs = append(logs, l)
	}
	if s.lost { // but not noticed: it lost less than was kept outside
		s.wantNoticedByReceipt(t, logs[0])
	}
	s.storage.inject = s.step
	crash := s.draw(3) // 0: the processes die, 1: the storage crashes, 2: both
	var callers sync.WaitGroup
	for c := range 2 + s.draw(6) {
		callers.Go(func() {
			for i := range 6 {
				s.call(t, logs, c%len(logs), fmt.Sprintf("%d-%d-%d", life, c, i))
				time.Sleep(time.Duration(s.draw(3)) * time.Millisecond)
			}
		})
	}
	time.Sleep(time.Duration(1+s.draw(12)) * time.Millisecond)
	if crash != 1 {
		s.mu.Lock()
		s.dead = life + 1
		s.mu.Unlock()
	}
	if crash == 1 {
		s.crash()
	}
	callers.Wait()
	if crash == 2 {
		s.crash()
	}
	for _, l := range logs {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	s.storage.inject = nil
	s.check(t, s.calls[before:])
	return true
}

// crash has the storage lose what it lied about.
func (s *schedule) crash() {
	s.storage.crash(func(left, lost int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counts["storage crashed"]++
		if lost > 0 {
			s.lost, s.cut = true, left
		}
	})
}

// call appends an entry with a change of the storage's state, or fails to on purpose.
func (s *schedule) call(t *testing.T, logs []*audit.Log, by int, id string) {
	e := newEntry(0)
	e.RequestID = id
	apply, ctx := add(id), context.Background()
	own := s.draw(8) == 0
	if own {
		apply = func(tx audit.Tx) error { add(id)(tx); return errOwn }
	}
	if s.draw(8) == 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
	}
	r, err := logs[by].Append(ctx, e, apply)
	if own && err == nil {
		t.Errorf("%s: a receipt for what failed", id)
	}
	if errors.Is(err, audit.ErrForked) || errors.Is(err, audit.ErrBackwards) {
		s.mu.Lock()
		s.counts["noticed while running"]++
		if !s.lost || !errors.Is(err, audit.ErrStopped) {
			t.Errorf("%s: %v", id, err)
		}
		s.mu.Unlock()
	}
	keeps := s.draw(3) == 0 // as a witness is asked now and then
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, attempt{id, by, r, err})
	if err == nil && keeps && !s.lost {
		s.known.Checkpoint = r.Checkpoint
	}
}

// check compares what callers were told with what is stored.
func (s *schedule) check(t *testing.T, calls []attempt) {
	t.Helper()
	stored := map[string]audit.Row{}
	for _, row := range s.storage.rows {
		record, err := audit.ParseRecord(row.Record)
		if err != nil {
			t.Fatal(err)
		}
		id := record.Entry.RequestID
		if _, twice := stored[id]; twice {
			t.Errorf("%s is stored twice", id)
		}
		stored[id] = row
	}
	changes := map[string]int{}
	for id := range stored {
		changes[id] = 1
	}
	if diff := cmp.Diff(s.storage.state, changes); diff != "" {
		t.Errorf("changes and entries are not the same (-changes +entries):\n%s", diff)
	}
	misled, goneOn := map[int]bool{}, map[int]bool{} // processes whose acknowledged entries were lost, and that committed behind the cut
	for _, c := range calls {
		row, found := stored[c.id]
		goneOn[c.by] = goneOn[c.by] || c.err == nil && found && s.cut >= 0 && row.Index >= uint64(s.cut)
		switch {
		case c.err == nil && !found && s.cut >= 0 && c.receipt.Index >= uint64(s.cut):
			s.counts["acknowledged and lost"]++
			misled[c.by] = true
		case c.err == nil && (!found || row.Index != c.receipt.Index || row.Leaf != c.receipt.LeafHash):
			t.Errorf("%s: acknowledged as entry %d, and stored: %t, %d", c.id, c.receipt.Index, found, row.Index)
		case c.err == nil:
			s.counts["acknowledged"]++
		case errors.Is(c.err, audit.ErrOutcomeUnknown) && found:
			s.counts["unknown, stored"]++
		case errors.Is(c.err, audit.ErrOutcomeUnknown):
			s.counts["unknown, not stored"]++
		case found:
			t.Errorf("%s: %v, and it is stored", c.id, c.err)
		default:
			s.counts["not stored"]++
		}
	}
	for by := range misled {
		if goneOn[by] {
			t.Errorf("process %d goes on after entries that it acknowledged were lost", by)
		}
	}
	if size := len(s.storage.rows); size > 0 {
		s.mustVerify(t, uint64(size))
	}
}

// wantNoticed wants a start that was refused because of a loss, by whoever kept what was lost.
func (s *schedule) wantNoticed(t *testing.T, err error) {
	t.Helper()
	if !s.lost || !errors.Is(err, audit.ErrBackwards) && !errors.Is(err, audit.ErrForked) || !strings.Contains(err.Error(), "kept by the outside") {
		t.Errorf("refused to start: %v", err)
	}
	s.counts["noticed at start"]++
}

// wantNoticedByReceipt: what no checkpoint kept outside covers, its receipt does.
func (s *schedule) wantNoticedByReceipt(t *testing.T, l *audit.Log) {
	t.Helper()
	for _, c := range s.calls {
		if c.err != nil {
			continue
		}
		at := c.receipt.Index
		there := at < uint64(len(s.storage.rows)) && s.storage.rows[at].Leaf == c.receipt.LeafHash
		err := l.Compare(t.Context(), c.receipt.Checkpoint)
		if !there && !errors.Is(err, audit.ErrBackwards) && !errors.Is(err, audit.ErrForked) {
			t.Errorf("%s was acknowledged and lost, and its receipt's checkpoint is the log's: %v", c.id, err)
		}
		if !there {
			s.counts["noticed by receipt"]++
		}
	}
}
