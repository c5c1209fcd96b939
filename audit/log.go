package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/transparency-dev/merkle/compact"
)

const (
	defaultMaxBatch = 1024
	// tailEntries is how many entries Open recomputes at least, when there
	// are so many.
	tailEntries = 4096
)

// Config says which log to open and with what. All fields are required unless
// it is said otherwise.
type Config struct {
	LogID   string  // names the log in Storage and is its checkpoints' origin line
	Storage Storage // shared with nobody who does not keep its contract
	Signer  Signer  // its name is the LogID

	Now      func() time.Time
	Rand     io.Reader // for salts and signatures; read by one goroutine at a time
	MaxBatch int       // entries committed at once; 0 means 1024

	// Known are checkpoints of this log that were kept outside its storage. Open
	// refuses a storage that lags behind one of them or contradicts it.
	Known []Known
}

// Known is a checkpoint that was kept outside of a log's storage.
type Known struct {
	From       string // who or what kept it, for messages
	Checkpoint []byte // signed note
}

func (c *Config) check() error {
	switch {
	case c.Storage == nil || c.Now == nil || c.Rand == nil:
		return errors.New("audit: config lacks Storage, Now or Rand")
	case !validName(c.LogID):
		return fmt.Errorf("audit: malformed log id %q", c.LogID)
	case c.Signer.Name != c.LogID:
		return fmt.Errorf("audit: signer is named %q, not after log %q", c.Signer.Name, c.LogID)
	case c.MaxBatch < 0:
		return errors.New("audit: negative MaxBatch")
	case c.MaxBatch == 0:
		c.MaxBatch = defaultMaxBatch
	}
	return nil
}

// Log appends to one log and answers for it. It is safe for concurrent use.
type Log struct {
	cfg    Config
	signer noteSigner
	own    *Policy // trusts the log's own key

	// tip is the newest state that this process committed or found. Open sets
	// it; then the goroutine of sequence owns it, of which there is one at most.
	tip tip
	// alone counts the heads in a row that were read, nobody else having appended; it is owned
	// like tip.
	alone int

	mu      sync.Mutex
	idle    sync.Cond // on mu: running has become false
	queue   []*call   // guarded by mu; the callers that no batch has taken yet
	running bool      // guarded by mu; a goroutine of sequence exists
	stopped error     // guarded by mu; wraps ErrStopped once the log has stopped
}

// tip is what the next entry is linked to.
type tip struct {
	size   uint64
	leaf   [32]byte
	time   int64    // microseconds since 1970
	hashes [][]byte // compact range of [0, size)
}

// compact returns the compact range of t, which is known to be well-formed.
func (t tip) compact() *compact.Range {
	r, err := newRange(t.size, t.hashes)
	if err != nil {
		return ranges.NewEmptyRange(0)
	}
	return r
}

// Open opens a log, empty or not. It recomputes the last entries and the
// compact range from the stored records, and compares them with the stored
// checkpoint and with cfg.Known. Errors wrap ErrBackwards or ErrForked when
// storage lost or changed something; such a log must not be written to.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	l, err := newLog(cfg)
	if err != nil {
		return nil, err
	}
	head, err := cfg.Storage.Head(ctx, cfg.LogID)
	if err != nil {
		return nil, fmt.Errorf("reading log head: %w", err)
	}
	if l.tip, err = l.checkHead(head); err != nil {
		return nil, err
	}
	if err := l.checkTail(ctx, head); err != nil {
		return nil, err
	}
	return l, nil
}

// newLog returns a log that has looked at nothing yet.
func newLog(cfg Config) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	v, err := cfg.Signer.verifier(logIdentifier)
	if err != nil {
		return nil, err
	}
	cfg.Rand = &lockedReader{r: cfg.Rand}
	l := &Log{
		cfg:    cfg,
		signer: noteSigner{verifier: v, rand: cfg.Rand, key: cfg.Signer.Key},
		own:    &Policy{logs: []*verifier{v}},
	}
	l.idle.L = &l.mu
	return l, nil
}

// checkHead checks a head from storage against itself: checkpoint, compact
// range and last record belong together.
func (l *Log) checkHead(head Head) (tip, error) {
	if head.Size == 0 {
		return tip{}, nil
	}
	r, err := newRange(head.Size, head.Range)
	if err != nil {
		return tip{}, fmt.Errorf("%w: %w", ErrForked, err)
	}
	c, _, err := l.own.OpenCheckpoint(head.Checkpoint)
	if err != nil {
		return tip{}, fmt.Errorf("%w: %w", ErrForked, err)
	}
	if len(head.LastRecord) == 0 {
		return tip{}, fmt.Errorf("%w: entry %d is missing, the checkpoint covers %d", ErrBackwards, head.Size-1, head.Size)
	}
	record, err := ParseRecord(head.LastRecord)
	if err != nil {
		return tip{}, fmt.Errorf("%w: %w", ErrForked, err)
	}
	switch {
	case c.Size > head.Size:
		return tip{}, fmt.Errorf("%w: %d entries, the checkpoint covers %d", ErrBackwards, head.Size, c.Size)
	case c.Size != head.Size || c.RootHash != rootOf(r):
		return tip{}, fmt.Errorf("%w: at size %d", ErrForked, head.Size)
	case record.Index != head.Size-1 || LeafHash(head.LastRecord) != head.LastLeaf:
		return tip{}, fmt.Errorf("%w: in entry %d", ErrForked, head.Size-1)
	}
	return tip{size: head.Size, leaf: head.LastLeaf, time: record.Entry.Time.UnixMicro(), hashes: head.Range}, nil
}

// milestone is a checkpoint that the entries must lead to, and whose it is.
type milestone struct {
	Checkpoint
	from string
}

// checkTail recomputes the entries from some way below the head, or from
// cfg.Known where that is older, up to the head, which checkHead has checked.
func (l *Log) checkTail(ctx context.Context, head Head) error {
	milestones, err := l.milestones(head)
	if err != nil {
		return err
	}
	start := min(head.Size-min(head.Size, tailEntries), milestones[0].Size)
	base, err := headBelow(ctx, l.cfg.Storage, l.cfg.LogID, start)
	if err != nil {
		return err
	}
	r, err := newRange(base.Size, base.Range)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForked, err)
	}
	return l.pass(ctx, walker{r: r, prev: base.LastLeaf}, milestones, head.Size)
}

// pass walks through milestones, of which the last is the end of the log.
func (l *Log) pass(ctx context.Context, w walker, milestones []milestone, size uint64) error {
	for _, m := range milestones {
		if err := l.walk(ctx, &w, m.Size); err != nil {
			return fmt.Errorf("recomputing the log's tail: %w", err)
		}
		if rootOf(w.r) != m.RootHash {
			return fmt.Errorf("%w: the entries below %d do not give the root of the checkpoint of that size %s", ErrForked, m.Size, m.from)
		}
	}
	return l.checkBeyond(ctx, size)
}

// checkBeyond wants no entry behind the last checkpoint, unless another process has
// appended it since that was read, with a newer checkpoint.
func (l *Log) checkBeyond(ctx context.Context, size uint64) error {
	row, err := l.Entry(ctx, size)
	if errors.Is(err, ErrNoEntry) {
		return nil
	}
	if err != nil {
		return err
	}
	head, err := l.cfg.Storage.Head(ctx, l.cfg.LogID)
	if err != nil {
		return fmt.Errorf("reading log head: %w", err)
	}
	if head.Size <= row.Index {
		return fmt.Errorf("%w: entry %d is beyond the checkpoint", ErrForked, row.Index)
	}
	return nil
}

// milestones returns the checkpoints kept outside the storage in the order of their
// sizes, and last that of head.
func (l *Log) milestones(head Head) ([]milestone, error) {
	own := milestone{Checkpoint{Size: head.Size, RootHash: rootOf(l.tip.compact())}, "in the storage"}
	var all []milestone
	for _, k := range l.cfg.Known {
		c, _, err := l.own.OpenCheckpoint(k.Checkpoint)
		if err != nil {
			return nil, fmt.Errorf("reading the checkpoint kept by %s: %w", k.From, err)
		}
		if c.Size > head.Size {
			return nil, fmt.Errorf("%w: %d entries, the checkpoint kept by %s covers %d", ErrBackwards, head.Size, k.From, c.Size)
		}
		all = append(all, milestone{c, "kept by " + k.From})
	}
	slices.SortFunc(all, func(a, b milestone) int { return cmp.Compare(a.Size, b.Size) })
	return append(all, own), nil
}

// walker goes through stored rows in order.
type walker struct {
	r    *compact.Range // of all rows passed
	prev [32]byte       // leaf of the last of them
}

// walk checks the rows up to size one by one; of archived ones only that their leaves lead
// to the same tree.
func (l *Log) walk(ctx context.Context, w *walker, size uint64) error {
	archived, err := l.cfg.Storage.Archived(ctx, l.cfg.LogID)
	if err != nil {
		return fmt.Errorf("reading what is archived: %w", err)
	}
	if floor := min(archived.Floor, size); w.r.End() < floor {
		if err := appendStored(ctx, l.cfg.Storage, l.cfg.LogID, w.r, floor, &w.prev); err != nil {
			return err
		}
	}
	err = l.cfg.Storage.Rows(ctx, l.cfg.LogID, w.r.End(), size, func(row Row) error {
		var record recordView
		if err := record.parse(row.Record); err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrForked, row.Index, err)
		}
		if row.Index != w.r.End() || record.index != row.Index || record.prev != w.prev || LeafHash(row.Record) != row.Leaf {
			return fmt.Errorf("%w: in or before entry %d", ErrForked, row.Index)
		}
		w.prev = row.Leaf
		return w.r.Append(row.Leaf[:], nil)
	})
	if err == nil && w.r.End() != size {
		err = fmt.Errorf("%w: entry %d is missing, the checkpoint covers %d", ErrBackwards, w.r.End(), size)
	}
	return err
}

// Checkpoint returns the newest stored checkpoint as a signed note, or
// ErrNoCheckpoint while the log is empty.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	head, err := l.cfg.Storage.Head(ctx, l.cfg.LogID)
	if err != nil {
		return nil, fmt.Errorf("reading log head: %w", err)
	}
	if head.Size == 0 {
		return nil, ErrNoCheckpoint
	}
	return head.Checkpoint, nil
}

// Cosigned returns the newest checkpoint that was kept with a quorum of cosignatures,
// or ErrNoCheckpoint.
func (l *Log) Cosigned(ctx context.Context) ([]byte, error) {
	c, err := l.cfg.Storage.NewestCosigned(ctx, l.cfg.LogID)
	return c.Checkpoint, doing("reading cosigned checkpoint", err)
}

// PutCosigned keeps a checkpoint of this log with the cosignatures of a quorum. Only
// its form is checked.
func (l *Log) PutCosigned(ctx context.Context, signed []byte) error {
	c, err := ParseCheckpoint(signed)
	if err != nil {
		return err
	}
	return doing("keeping cosigned checkpoint", l.cfg.Storage.Batch(ctx, func(tx Tx) error {
		return tx.PutCosigned(ctx, l.cfg.LogID, Cosigned{c.Size, signed})
	}))
}

// Compare returns nil when the log continues a checkpoint that its own key signed.
// The error wraps ErrBackwards or ErrForked when it does not; any other says that the
// checkpoint is none of this log's key, or that the storage failed.
func (l *Log) Compare(ctx context.Context, signed []byte) error {
	c, _, err := l.own.OpenCheckpoint(signed)
	if err != nil {
		return err
	}
	head, err := l.cfg.Storage.Head(ctx, l.cfg.LogID)
	if err != nil {
		return fmt.Errorf("reading log head: %w", err)
	}
	if c.Size > head.Size {
		return fmt.Errorf("%w: %d entries, a checkpoint covers %d", ErrBackwards, head.Size, c.Size)
	}
	hashes, err := l.nodes(ctx, compact.RangeNodes(0, c.Size, nil))
	if err != nil {
		return err
	}
	r, err := newRange(c.Size, hashes)
	if err != nil {
		return err
	}
	if rootOf(r) != c.RootHash {
		return fmt.Errorf("%w: at size %d", ErrForked, c.Size)
	}
	return nil
}

// Stop makes the log take no more entries, for a cause: every later Append gets
// ErrStopped.
func (l *Log) Stop(cause error) { _ = l.halt(cause) }

// Close stops taking entries, waits until those taken are answered, and
// returns nil. Every later Append gets ErrStopped.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped == nil {
		l.stopped = fmt.Errorf("%w: closed", ErrStopped)
	}
	for l.running {
		l.idle.Wait()
	}
	return nil
}
