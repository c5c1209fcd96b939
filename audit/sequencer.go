package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/transparency-dev/merkle/compact"
)

const (
	maxAttempts = 10
	maxWait     = 5 * time.Second  // of attempts that conflict: then somebody holds the storage
	backoff     = time.Millisecond // before the second attempt; doubled up to 64 times that
)

// errAbandoned answers the callers of a batch whose goroutine was ended from
// within, by runtime.Goexit in one of the functions it ran.
var errAbandoned = errors.New("audit: the batch was abandoned")

// call is one caller of Append, waiting.
type call struct {
	lines []line
	apply func(Tx) error // nil: then the lines were prepared by the caller

	// Of the current attempt, owned by the batch.
	dropped error // why this call is not in the batch

	// The answer; set before done is closed.
	done    chan struct{}
	receipt Receipt
	err     error
}

// line is one entry of a call.
type line struct {
	entry    *Entry // the caller's, which apply may complete
	original Entry  // as the caller handed it in

	// Of the current attempt, owned by the batch.
	row    Row
	commit []byte // the record's commitment
}

// lockedReader lets several callers draw from one source.
type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (r *lockedReader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.r.Read(b)
}

// Append logs one entry and returns when it is durable. The entries of
// concurrent callers are committed together.
//
// apply, when it is not nil, runs in the transaction that the entry is committed in, and
// may complete *e. It may run several times, each time with *e as it was handed
// in, so it must have no effect outside the transaction. It must not use a
// context that its caller may cancel, since a cancelled query can end the
// transaction for all (context.WithoutCancel gives a fit one). When it fails or
// panics, nothing of this caller is stored, and Append returns its error as it is.
//
// While Append runs, *e belongs to it; afterwards e.Time is the time logged. A
// ctx that ends before a batch has taken the entry withdraws it. Later it has
// no effect, because only the commit tells whether the entry stands. When that
// itself goes wrong, the error wraps ErrOutcomeUnknown.
func (l *Log) Append(ctx context.Context, e *Entry, apply func(Tx) error) (Receipt, error) {
	return l.AppendAll(ctx, []*Entry{e}, apply)
}

// AppendAll is Append of several entries, one at least: all are committed together, one
// behind the other, or none. The receipt is that of the last.
func (l *Log) AppendAll(ctx context.Context, entries []*Entry, apply func(Tx) error) (Receipt, error) {
	if err := ctx.Err(); err != nil {
		return Receipt{}, err
	}
	c := &call{lines: make([]line, len(entries)), apply: apply, done: make(chan struct{})}
	for i, e := range entries {
		c.lines[i] = line{entry: e, original: *e}
		if apply != nil {
			c.lines[i].original = e.clone()
		}
	}
	// What nothing in the transaction completes is prepared here, while another batch is
	// on its way: the sequencer is alone, its callers are many.
	if apply == nil {
		if err := l.prepare(c); err != nil {
			return Receipt{}, err
		}
	}
	if err := l.enqueue(c); err != nil {
		return Receipt{}, err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if l.withdraw(c) {
			return Receipt{}, ctx.Err()
		}
		<-c.done
	}
	return c.receipt, c.err
}

// enqueue adds c to the queue and starts a batch when none is running.
func (l *Log) enqueue(c *call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped != nil {
		return l.stopped
	}
	l.queue = append(l.queue, c)
	if !l.running {
		l.running = true
		go l.sequence()
	}
	return nil
}

// withdraw removes c from the queue and reports whether it was still there.
func (l *Log) withdraw(c *call) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.queue {
		if l.queue[i] == c {
			l.queue = append(l.queue[:i:i], l.queue[i+1:]...)
			return true
		}
	}
	return false
}

// sequence commits one batch and hands over to the next. It has a goroutine of
// its own so that an apply that ends its goroutine ends no caller's, and each batch has a new one
// so that it does not end the log's.
func (l *Log) sequence() {
	defer l.handOver()
	l.mu.Lock()
	n := min(len(l.queue), l.cfg.MaxBatch)
	batch := l.queue[:n:n]
	l.queue = l.queue[n:]
	l.mu.Unlock()

	err := errAbandoned
	defer func() { answer(batch, err) }()
	err = l.commit(batch)
}

// handOver starts the next batch when callers wait.
func (l *Log) handOver() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) > 0 {
		go l.sequence()
		return
	}
	l.running = false
	l.idle.Broadcast()
}

// answer wakes the callers of a batch. When err is not nil, the batch is lost
// for all: even a caller who was dropped gets err, because why it was dropped
// may depend on what others of the batch did.
func answer(batch []*call, err error) {
	for _, c := range batch {
		switch {
		case err != nil:
			c.err = err
		case c.dropped != nil:
			c.err = c.dropped
		}
		if c.err != nil {
			c.restore()
			c.receipt = Receipt{}
		}
		close(c.done)
	}
}

// restore makes the entries what the caller handed in.
func (c *call) restore() {
	for i := range c.lines {
		*c.lines[i].entry = c.lines[i].original.clone()
	}
}

// commit commits a batch, trying again after a conflict.
func (l *Log) commit(batch []*call) error {
	if len(batch) == 0 { // all withdrawn
		return nil
	}
	began := time.Now()
	for attempt := 1; ; attempt++ {
		next, err := l.try(batch, attempt == maxAttempts)
		switch {
		case err == nil:
			l.tip = next
			return nil
		case errors.Is(err, errHalt):
			return l.halt(err)
		case !errors.Is(err, ErrConflict) || attempt == maxAttempts, attempt > 1 && time.Since(began) > maxWait:
			return fmt.Errorf("committing log entries: %w", err)
		}
		time.Sleep(backoff << min(attempt-1, 6))
	}
}

// errHalt marks the errors after which a log must not go on.
var errHalt = errors.New("audit: storage contradicts what was committed")

// halt stops the log for good.
func (l *Log) halt(cause error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	stopped := fmt.Errorf("%w: %w", ErrStopped, cause)
	if l.stopped == nil {
		l.stopped = stopped
	}
	for _, c := range l.queue {
		c.err = stopped
		close(c.done)
	}
	l.queue = nil
	return stopped
}

// try runs the batch once, in one transaction, and returns the tip after it.
func (l *Log) try(batch []*call, last bool) (tip, error) {
	// A batch serves many callers, so that no one's context may end it.
	ctx := context.Background()
	var next tip
	filled := false
	err := l.cfg.Storage.Batch(ctx, func(tx Tx) (err error) {
		next, err = l.fill(ctx, tx, batch, last)
		filled = err == nil
		return err
	})
	if filled && err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrRolledBack) {
		err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	return next, err
}

// fill is the transaction: the callers' functions, then the next indexes, the
// rows and the checkpoint.
func (l *Log) fill(ctx context.Context, tx Tx, batch []*call, last bool) (tip, error) {
	var kept []*call
	for _, c := range batch {
		if err := l.run(ctx, tx, c, last); err != nil {
			return tip{}, err
		}
		if c.dropped == nil {
			kept = append(kept, c)
		}
	}
	at, err := l.head(ctx, tx)
	if err != nil || len(kept) == 0 {
		return at, err
	}
	return l.link(ctx, tx, at, kept)
}

// run runs one caller's function under a savepoint and checks the entry. An
// error is the whole batch's; the caller's own goes to c.dropped.
func (l *Log) run(ctx context.Context, tx Tx, c *call, last bool) error {
	c.dropped = nil
	if c.apply == nil {
		return nil
	}
	c.restore()
	var own *ownError
	err := tx.Savepoint(ctx, func() error {
		err := contained(c.apply, tx)
		if err == nil {
			err = l.prepare(c)
		}
		if err == nil {
			return nil
		}
		own = &ownError{err}
		return own
	})
	switch {
	case err == nil && own == nil:
		return nil
	case own == nil || !errors.Is(err, own):
		return fmt.Errorf("running savepoint: %w", errors.Join(err, errSavepoint))
	case errors.Is(own, ErrConflict) && !last:
		return own
	}
	c.dropped = own.error
	return nil
}

// errSavepoint says that a transaction is lost, whatever else Savepoint said.
var errSavepoint = errors.New("audit: savepoint neither released nor rolled back")

// ownError marks what went wrong in a caller's own part of the transaction, so
// that it is told from a savepoint that could not be rolled back.
type ownError struct{ error }

// Unwrap lets storage recognise what it returned itself.
func (e *ownError) Unwrap() error { return e.error }

// contained calls apply and makes its panic an error.
func contained(apply func(Tx) error, tx Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("audit: panic in a transaction: %v", p)
		}
	}()
	return apply(tx)
}

// prepare checks the entries, draws the salts of their commitments and notes what they
// are found by.
func (l *Log) prepare(c *call) (err error) {
	for i := range c.lines {
		n := &c.lines[i]
		if err := n.entry.check(); err != nil {
			return err
		}
		if n.row.Opening, n.commit, err = newOpening(l.cfg.Rand, n.entry.Personal); err != nil {
			return err
		}
		n.row.Keys = n.entry.keys()
	}
	return nil
}

// longAlone is after how many batches in which no other process has appended that is taken for
// likely: a batch that presumes it wrongly is run twice.
const longAlone = 64

// head returns the tip as the transaction sees it. The cached one is used when nobody
// else has appended meanwhile; otherwise the stored head is checked first, and that it
// continues the cached one: storage may have lost entries that this process knows of, and
// another process, which does not, has gone on without them.
func (l *Log) head(ctx context.Context, tx Tx) (tip, error) {
	if l.alone >= longAlone {
		if is, err := tx.HeadIs(ctx, l.cfg.LogID, l.tip.size, l.tip.leaf); err != nil || is {
			return l.tip, doing("reading log head", err)
		}
	}
	head, err := tx.Head(ctx, l.cfg.LogID)
	if l.alone++; head.Size == 0 || head.Size != l.tip.size {
		l.alone = 0
	}
	switch {
	case err != nil:
		return tip{}, fmt.Errorf("reading log head: %w", err)
	case head.Size < l.tip.size:
		return tip{}, fmt.Errorf("%w: %w: %d entries, %d were committed", errHalt, ErrBackwards, head.Size, l.tip.size)
	case head.Size == l.tip.size && head.LastLeaf != l.tip.leaf:
		return tip{}, fmt.Errorf("%w: %w: in entry %d", errHalt, ErrForked, head.Size-1)
	case head.Size == l.tip.size:
		return l.tip, nil
	}
	found, err := l.checkHead(head)
	if err != nil {
		return tip{}, fmt.Errorf("%w: %w", errHalt, err)
	}
	if l.tip.size == 0 {
		return found, nil
	}
	leaf, err := tx.Leaf(ctx, l.cfg.LogID, l.tip.size-1)
	if err == nil && leaf != l.tip.leaf {
		err = fmt.Errorf("%w: %w: in entry %d", errHalt, ErrForked, l.tip.size-1)
	}
	return found, doing("comparing the log with what was committed", err)
}

// linkedAtOnce is how many rows of a large batch are handed to storage together, so that it
// inserts some while the next are hashed.
const linkedAtOnce = 64

// link gives the entries their places after at, and appends them with the
// checkpoint that covers them.
func (l *Log) link(ctx context.Context, tx Tx, at tip, kept []*call) (tip, error) {
	r := at.compact()
	// A clock that was set back must not make the log look reordered.
	at.time = max(at.time, l.cfg.Now().UnixMicro())
	var rows []Row
	var nodes []Node
	store := func(id compact.NodeID, hash []byte) {
		if id.Level >= lowestStored {
			nodes = append(nodes, Node{id, [32]byte(hash)})
		}
	}
	for _, c := range kept {
		if len(rows) >= linkedAtOnce {
			if err := tx.Append(ctx, l.cfg.LogID, rows, nodes, Head{}); err != nil {
				return tip{}, err
			}
			rows, nodes = nil, nil
		}
		for i := range c.lines {
			if err := c.lines[i].link(&at); err != nil {
				return tip{}, err
			}
			if err := r.Append(bytes.Clone(at.leaf[:]), store); err != nil {
				return tip{}, fmt.Errorf("growing the tree: %w", err)
			}
			rows = append(rows, c.lines[i].row)
		}
	}
	at.hashes = r.Hashes()
	signed, err := l.sign(Checkpoint{Origin: l.cfg.LogID, Size: at.size, RootHash: rootOf(r)})
	if err != nil {
		return tip{}, err
	}
	for _, c := range kept {
		last := c.lines[len(c.lines)-1].row
		c.receipt = Receipt{Index: last.Index, LeafHash: last.Leaf, Checkpoint: signed}
	}
	return at, tx.Append(ctx, l.cfg.LogID, rows, nodes, Head{
		Size: at.size, LastLeaf: at.leaf, LastRecord: rows[len(rows)-1].Record, Range: at.hashes, Checkpoint: signed,
	})
}

// link makes the row of n, the entry after at, and moves at to it.
func (n *line) link(at *tip) error {
	n.entry.Time = time.UnixMicro(at.time).UTC()
	e := *n.entry
	e.Personal = nil
	record := Record{Prev: at.leaf, Index: at.size, Entry: e, Commitment: n.commit}
	encoded, err := record.Marshal()
	if err != nil {
		return fmt.Errorf("encoding entry %d: %w", at.size, err)
	}
	n.row.Index, n.row.Record, n.row.Leaf = at.size, encoded, LeafHash(encoded)
	at.size, at.leaf = at.size+1, n.row.Leaf
	return nil
}
