package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
)

var (
	// ErrConflict is wrapped by a Storage's or Tx's error when the transaction
	// cannot commit because of another one and has been, or must be, rolled
	// back: an index is taken already, a serialization failure, a deadlock.
	// The log then runs the whole batch again. A commit whose outcome is
	// unknown must never be reported as ErrConflict.
	ErrConflict = errors.New("audit: conflict with another transaction")
	// ErrRolledBack is wrapped by the error of a Batch whose commit failed when it is
	// certain that nothing was stored. Of any other, ErrConflict apart, it is not.
	ErrRolledBack = errors.New("audit: the transaction was rolled back")
	// ErrNoCheckpoint says that no stored checkpoint is that large, or that
	// the log is still empty.
	ErrNoCheckpoint = errors.New("audit: no such checkpoint")
)

// Row is one entry as stored.
type Row struct {
	Index  uint64
	Record []byte   // deterministic CBOR, see Record
	Leaf   [32]byte // SM3(0x00 ‖ Record)

	// Opening is the salt and the personal values that the record commits to;
	// nil when there are none, or when they were erased.
	Opening []byte

	// Keys are what the entry is to be found by. Rows that are read have none.
	Keys []Key
}

// Head is the state of a log at one checkpoint. The zero Head is the empty log.
type Head struct {
	Size       uint64
	LastLeaf   [32]byte // leaf of entry Size-1
	LastRecord []byte   // record of entry Size-1; nil when its row is gone
	Range      [][]byte // compact range of [0, Size): roots of the perfect subtrees, left to right
	Checkpoint []byte   // signed note for Size
}

// Node is an inner node of a log's tree, the root of a perfect subtree: its leaves
// are those with index>>Level equal to the node's Index.
type Node struct {
	compact.NodeID
	Hash [32]byte
}

// Cosigned is a checkpoint with the cosignatures of as many witnesses as the log's
// policy asks for.
type Cosigned struct {
	Size       uint64
	Checkpoint []byte // signed note
}

// Storage keeps the rows, nodes and heads of logs. Implementations are safe for
// concurrent use.
type Storage interface {
	// Batch runs fn in one transaction and commits when fn returns nil; on
	// return of nil everything is durable. When fn fails, its error is
	// returned (wrapped or not) and nothing is stored. Batch runs fn once; on
	// ErrConflict the log calls Batch again. An error after fn returned nil leaves it
	// open whether the transaction is stored, unless it wraps ErrConflict or ErrRolledBack.
	Batch(ctx context.Context, fn func(Tx) error) error
	// Rows calls fn for the rows with from <= Index < to that exist, in
	// the order of indexes, exactly as they are stored, and returns fn's error.
	Rows(ctx context.Context, logID string, from, to uint64, fn func(Row) error) error
	// Leaves calls fn for the index and the leaf of those rows, and no more.
	Leaves(ctx context.Context, logID string, from, to uint64, fn func(index uint64, leaf [32]byte) error) error
	// Nodes returns those of the nodes asked for that are stored, in any order. They
	// only save work: a node that is not stored is computed from its leaves.
	Nodes(ctx context.Context, logID string, ids []compact.NodeID) ([]Node, error)
	// Head returns the newest head; the zero Head for an empty log.
	Head(ctx context.Context, logID string) (Head, error)
	// CheckpointAt returns the stored head with the smallest Size >= size, or
	// ErrNoCheckpoint.
	CheckpointAt(ctx context.Context, logID string, size uint64) (Head, error)
	// CosignedAt returns the cosigned checkpoint with the smallest Size >= size, and
	// NewestCosigned the one with the largest, or ErrNoCheckpoint.
	CosignedAt(ctx context.Context, logID string, size uint64) (Cosigned, error)
	NewestCosigned(ctx context.Context, logID string) (Cosigned, error)
	// Keyed returns the largest indexes below below of entries that were appended with a
	// key, at most limit of them, in descending order. It may name entries that have
	// another key, and it must find every one of the key without reading the others.
	Keyed(ctx context.Context, logID string, key Key, below uint64, limit int) ([]uint64, error)
	// Archived returns what was archived. Rows that were removed are no rows any more;
	// Leaves returns theirs like the others.
	Archived(ctx context.Context, logID string) (Archive, error)
	// Opening returns the opening of an entry, archived or not; nil when there is none.
	Opening(ctx context.Context, logID string, index uint64) ([]byte, error)
}

// Tx is a transaction of a Storage.
type Tx interface {
	// Head is Storage.Head, as this transaction sees it.
	Head(ctx context.Context, logID string) (Head, error)
	// HeadIs reports whether the newest head has that size and last leaf, which may be
	// presumed like the success of a Savepoint.
	HeadIs(ctx context.Context, logID string, size uint64, lastLeaf [32]byte) (bool, error)
	// Leaf returns the leaf of an entry, archived or not, as this transaction sees it;
	// zeros when there is none.
	Leaf(ctx context.Context, logID string, index uint64) ([32]byte, error)
	// Savepoint runs fn. When fn fails, everything done in the transaction
	// since is undone and fn's error is returned unchanged; any other error
	// means that the transaction as a whole is lost. What fn did may be presumed to have
	// succeeded: when that is wrong, a later call or the Batch fails with ErrConflict, and
	// the batch that is run again is told the truth.
	Savepoint(ctx context.Context, fn func() error) error
	// Append inserts rows, so that Keyed finds them by their Keys, the nodes that they
	// complete and the head that they lead to. With the zero Head more rows follow in this
	// transaction, and the last of them bring the head: a storage may begin with what it has. An
	// index that is taken is ErrConflict, here or at the commit.
	Append(ctx context.Context, logID string, rows []Row, nodes []Node, head Head) error
	// PutCosigned keeps a cosigned checkpoint. One of that size that is there stays.
	PutCosigned(ctx context.Context, logID string, c Cosigned) error
}

// headBelow returns a stored head whose size is at most size: the nearest one
// or, to keep the number of queries logarithmic, one not much further back.
// It is the empty head when no smaller one is stored.
func headBelow(ctx context.Context, s Storage, logID string, size uint64) (Head, error) {
	for step := uint64(0); step < size; step = max(256, step*4) {
		head, err := s.CheckpointAt(ctx, logID, size-step)
		switch {
		case errors.Is(err, ErrNoCheckpoint):
		case err != nil:
			return Head{}, fmt.Errorf("reading checkpoint: %w", err)
		case head.Size <= size:
			return head, nil
		}
	}
	return Head{}, nil
}
