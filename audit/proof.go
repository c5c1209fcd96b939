package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/emmansun/gmsm/sm3"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
)

// ErrNotIncluded says that a proof does not lead from a record to a checkpoint's root.
var ErrNotIncluded = errors.New("audit: the proof does not lead to the checkpoint's root")

// InclusionProof returns the hashes that lead from the leaf at index to the
// root of the tree of the given size (RFC 6962 §2.1.1). It returns
// ErrOutOfRange unless index < size <= the log's size. Its cost grows with the
// logarithm of size.
func (l *Log) InclusionProof(ctx context.Context, index, size uint64) ([][]byte, error) {
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOutOfRange, err)
	}
	return l.prove(ctx, nodes, size)
}

// ConsistencyProof returns the hashes that show that the tree of size to begins
// with the tree of size from (RFC 6962 §2.1.2): none when from is 0 or to. It
// returns ErrOutOfRange unless from <= to <= the log's size. Its cost grows with the
// logarithm of to.
func (l *Log) ConsistencyProof(ctx context.Context, from, to uint64) ([][]byte, error) {
	nodes, err := proof.Consistency(from, to)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOutOfRange, err)
	}
	return l.prove(ctx, nodes, to)
}

// prove collects nodes of the tree of the given size.
func (l *Log) prove(ctx context.Context, nodes proof.Nodes, size uint64) ([][]byte, error) {
	head, err := l.cfg.Storage.Head(ctx, l.cfg.LogID)
	if err != nil {
		return nil, fmt.Errorf("reading log head: %w", err)
	}
	if size > head.Size {
		return nil, fmt.Errorf("%w: size %d, the log has %d entries", ErrOutOfRange, size, head.Size)
	}
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		if hashes[i], err = l.node(ctx, id); errors.Is(err, ErrNoEntry) {
			return nil, fmt.Errorf("%w: %w", ErrForked, err)
		} else if err != nil {
			return nil, err
		}
	}
	return nodes.Rehash(hashes, hashChildren)
}

// node returns the root of a perfect subtree from the compact ranges that are stored
// with the checkpoints. A left child is the last hash of the range that ends with it.
// A right one is not in any; but the range that lacks only its last leaf ends in the
// left children below it, one of each level.
func (l *Log) node(ctx context.Context, id compact.NodeID) ([]byte, error) {
	end := (id.Index + 1) << id.Level
	if id.Level > 0 && id.Index%2 == 0 {
		r, _, err := rangeAt(ctx, l.cfg.Storage, l.cfg.LogID, end)
		if err != nil {
			return nil, err
		}
		return r.Hashes()[len(r.Hashes())-1], nil
	}
	row, err := l.Entry(ctx, end-1)
	if err != nil || id.Level == 0 {
		return row.Leaf[:], err
	}
	r, _, err := rangeAt(ctx, l.cfg.Storage, l.cfg.LogID, end-1)
	if err != nil {
		return nil, err
	}
	node, left := row.Leaf[:], r.Hashes()
	for i := range id.Level {
		node = hashChildren(left[len(left)-1-int(i)], node)
	}
	return node, nil
}

// rangeAt returns the compact range of the first size leaves, and the last of them.
func rangeAt(ctx context.Context, s Storage, logID string, size uint64) (*compact.Range, [32]byte, error) {
	base, err := headBelow(ctx, s, logID, size)
	if err != nil {
		return nil, [32]byte{}, err
	}
	r, err := newRange(base.Size, base.Range)
	if err != nil {
		return nil, [32]byte{}, err
	}
	last := base.LastLeaf
	return r, last, appendStored(ctx, s, logID, r, size, &last)
}

// Includes checks that record stands in the tree of c, and returns it parsed. hashes
// are its inclusion proof. An error that is about the proof wraps ErrNotIncluded.
func (c Checkpoint) Includes(record []byte, hashes [][]byte) (Record, error) {
	r, err := ParseRecord(record)
	if err != nil {
		return Record{}, err
	}
	leaf := LeafHash(record)
	if err := proof.VerifyInclusion(hasher{}, r.Index, c.Size, leaf[:], hashes, c.RootHash[:]); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrNotIncluded, err)
	}
	return r, nil
}

// hasher is the tree's hash as package proof wants it.
type hasher struct{}

func (hasher) EmptyRoot() []byte                  { h := sm3.Sum(nil); return h[:] }
func (hasher) HashLeaf(record []byte) []byte      { h := LeafHash(record); return h[:] }
func (hasher) HashChildren(left, r []byte) []byte { return hashChildren(left, r) }
func (hasher) Size() int                          { return sm3.Size }
