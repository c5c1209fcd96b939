package audit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"elicence/audit"

	"github.com/transparency-dev/merkle/compact"
)

var (
	errDisk = errors.New("disk full")
	errOwn  = errors.New("the caller's own fault")
)

// fault is what a step of memStorage is made to do.
type fault int

const (
	works fault = iota
	conflicts
	fails
	failsPersisted // of "commit" only: the outcome is lost, the data is not
	lies           // of "commit" only: done and answered, and lost when the storage crashes
)

// memStorage is an audit.Storage in memory with optimistic transactions and
// failures on demand. It fails its own invariants by panicking: rows and heads are never
// overwritten.
type memStorage struct {
	// inject, when set, says what the step ("begin", "savepoint", "head", "leaf", "append",
	// "commit") of a transaction does. It is called without the lock.
	inject func(step string) fault

	mu       sync.Mutex
	rows     []audit.Row
	nodes    []audit.Node
	heads    []audit.Head
	cosigned []audit.Cosigned
	state    map[string]int // what apply functions change, like licences
	synced   synced         // what a crash leaves: all up to the last commit that did not lie
	tried    int            // transactions begun
	keyed    int            // calls of Keyed
}

// synced is how much of a memStorage is on its disk.
type synced struct {
	rows, nodes, heads int
	state              map[string]int
}

func newMemStorage() *memStorage { return &memStorage{state: map[string]int{}} }

// crash loses what was never on the disk. It tells how many rows are left and how many are
// not before anybody can see it.
func (s *memStorage) crash(tell func(left, lost int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tell(s.synced.rows, len(s.rows)-s.synced.rows)
	s.rows, s.nodes, s.heads = s.rows[:s.synced.rows:s.synced.rows], s.nodes[:s.synced.nodes:s.synced.nodes], s.heads[:s.synced.heads:s.synced.heads]
	if s.state = maps.Clone(s.synced.state); s.state == nil {
		s.state = map[string]int{}
	}
}

func (s *memStorage) step(name string) error {
	if s.inject == nil {
		return nil
	}
	switch s.inject(name) {
	case conflicts:
		return fmt.Errorf("%s: %w", name, audit.ErrConflict)
	case fails:
		return fmt.Errorf("%s: %w", name, errDisk)
	}
	return nil
}

type memTx struct {
	s     *memStorage
	size  int // of the snapshot
	head  audit.Head
	rows  []audit.Row
	nodes []audit.Node
	heads []audit.Head
	state map[string]int
}

func (s *memStorage) Batch(_ context.Context, fn func(audit.Tx) error) error {
	s.mu.Lock()
	s.tried++
	tx := &memTx{s: s, size: len(s.rows), head: s.last(), state: maps.Clone(s.state)}
	s.mu.Unlock()
	if err := s.step("begin"); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return fmt.Errorf("in transaction: %w", err)
	}
	return tx.commit()
}

func (tx *memTx) commit() error {
	s := tx.s
	outcome := works
	if s.inject != nil {
		outcome = s.inject("commit")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case outcome == fails:
		return errDisk
	case outcome == conflicts || len(tx.rows) > 0 && (len(s.rows) != tx.size || s.last().LastLeaf != tx.head.LastLeaf):
		return fmt.Errorf("committing: %w", audit.ErrConflict)
	}
	s.rows = append(s.rows, tx.rows...)
	s.nodes = append(s.nodes, tx.nodes...)
	s.heads = append(s.heads, tx.heads...)
	if len(tx.rows) > 0 { // else nothing of it is kept
		s.state = tx.state
	}
	if outcome != lies {
		s.synced = synced{len(s.rows), len(s.nodes), len(s.heads), s.state}
	}
	if outcome == failsPersisted {
		return errors.New("connection lost")
	}
	return nil
}

func (tx *memTx) Head(context.Context, string) (audit.Head, error) {
	return tx.head, tx.s.step("head")
}

func (tx *memTx) HeadIs(_ context.Context, _ string, size uint64, lastLeaf [32]byte) (bool, error) {
	return tx.head.Size == size && tx.head.LastLeaf == lastLeaf, tx.s.step("head")
}

func (tx *memTx) Leaf(_ context.Context, _ string, index uint64) (leaf [32]byte, err error) {
	tx.s.mu.Lock()
	if index < uint64(len(tx.s.rows)) {
		leaf = tx.s.rows[index].Leaf
	}
	tx.s.mu.Unlock()
	return leaf, tx.s.step("leaf")
}

func (tx *memTx) Savepoint(_ context.Context, fn func() error) error {
	if err := tx.s.step("savepoint"); err != nil {
		return err
	}
	saved := maps.Clone(tx.state)
	err := fn()
	if err != nil {
		tx.state = saved
	}
	return err
}

func (tx *memTx) Append(_ context.Context, _ string, rows []audit.Row, nodes []audit.Node, head audit.Head) error {
	if end := uint64(tx.size + len(tx.rows) + len(rows)); len(rows) == 0 || rows[0].Index != end-uint64(len(rows)) || head.Size != 0 && head.Size != end {
		panic("memStorage: rows do not continue the log")
	}
	for _, row := range rows {
		row.Record = slices.Clone(row.Record)
		tx.rows = append(tx.rows, row)
	}
	head.Range = slices.Clone(head.Range)
	for i := range head.Range {
		head.Range[i] = slices.Clone(head.Range[i])
	}
	tx.nodes = append(tx.nodes, nodes...)
	if head.Size > 0 {
		tx.heads = append(tx.heads, head)
	}
	return tx.s.step("append")
}

func (tx *memTx) PutCosigned(_ context.Context, _ string, c audit.Cosigned) error {
	tx.s.mu.Lock()
	defer tx.s.mu.Unlock()
	tx.s.cosigned = append(tx.s.cosigned, c)
	return tx.s.step("append")
}

func (s *memStorage) CosignedAt(_ context.Context, _ string, size uint64) (audit.Cosigned, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.cosigned {
		if c.Size >= size {
			return c, nil
		}
	}
	return audit.Cosigned{}, audit.ErrNoCheckpoint
}

func (s *memStorage) NewestCosigned(context.Context, string) (audit.Cosigned, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cosigned) == 0 {
		return audit.Cosigned{}, audit.ErrNoCheckpoint
	}
	return s.cosigned[len(s.cosigned)-1], nil
}

func (s *memStorage) Keyed(_ context.Context, _ string, key audit.Key, below uint64, limit int) (indexes []uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyed++
	for i := min(below, uint64(len(s.rows))); i > 0 && len(indexes) < limit; i-- {
		if slices.Contains(s.rows[i-1].Keys, key) {
			indexes = append(indexes, i-1)
		}
	}
	return indexes, nil
}

// last returns the newest head. The caller holds mu.
func (s *memStorage) last() audit.Head {
	if len(s.heads) == 0 {
		return audit.Head{}
	}
	return s.heads[len(s.heads)-1]
}

func (s *memStorage) Head(context.Context, string) (audit.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last(), nil
}

func (s *memStorage) CheckpointAt(_ context.Context, _ string, size uint64) (audit.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.heads {
		if h.Size >= size {
			return h, nil
		}
	}
	return audit.Head{}, audit.ErrNoCheckpoint
}

func (s *memStorage) Leaves(ctx context.Context, id string, from, to uint64, fn func(uint64, [32]byte) error) error {
	return s.Rows(ctx, id, from, to, func(row audit.Row) error { return fn(row.Index, row.Leaf) })
}

func (s *memStorage) Archived(context.Context, string) (audit.Archive, error) {
	return audit.Archive{}, nil
}

func (s *memStorage) Opening(context.Context, string, uint64) ([]byte, error) { return nil, nil }

func (s *memStorage) Nodes(_ context.Context, _ string, ids []compact.NodeID) (found []audit.Node, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.nodes {
		if slices.Contains(ids, n.NodeID) {
			found = append(found, n)
		}
	}
	return found, nil
}

func (s *memStorage) Rows(_ context.Context, _ string, from, to uint64, fn func(audit.Row) error) error {
	s.mu.Lock()
	rows := slices.Clone(s.rows)
	s.mu.Unlock()
	for _, row := range rows {
		if row.Index >= from && row.Index < to {
			if err := fn(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// add returns an apply function that counts under key, as a change of a
// licence would.
func add(key string) func(audit.Tx) error {
	return func(tx audit.Tx) error {
		tx.(*memTx).state[key]++
		return nil
	}
}
