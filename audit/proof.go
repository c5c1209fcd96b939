package audit

import (
	"context"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
)

// maxProofLeaves is how many leaves one proof is computed from at most.
const maxProofLeaves = 1 << 24

// InclusionProof returns the hashes that lead from the leaf at index to the
// root of the tree of the given size (RFC 6962 §2.1.1). It returns
// ErrOutOfRange unless index < size <= the log's size. It reads every leaf of
// that tree.
func (l *Log) InclusionProof(ctx context.Context, index, size uint64) ([][]byte, error) {
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOutOfRange, err)
	}
	return l.prove(ctx, nodes, size)
}

// ConsistencyProof returns the hashes that show that the tree of size to begins
// with the tree of size from (RFC 6962 §2.1.2): none when from is 0 or to. It
// returns ErrOutOfRange unless from <= to <= the log's size. It reads every
// leaf of the larger tree.
func (l *Log) ConsistencyProof(ctx context.Context, from, to uint64) ([][]byte, error) {
	nodes, err := proof.Consistency(from, to)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOutOfRange, err)
	}
	return l.prove(ctx, nodes, to)
}

// prove computes nodes of the tree of the given size from the stored leaves.
// It keeps no more of them than the proof has.
func (l *Log) prove(ctx context.Context, nodes proof.Nodes, size uint64) ([][]byte, error) {
	if size > maxProofLeaves {
		return nil, fmt.Errorf("%w: %d leaves", ErrTooLarge, size)
	}
	wanted := make(map[compact.NodeID][]byte, len(nodes.IDs))
	for _, id := range nodes.IDs {
		wanted[id] = nil
	}
	r := ranges.NewEmptyRange(0)
	collect := func(id compact.NodeID, hash []byte) {
		if _, ok := wanted[id]; ok {
			wanted[id] = hash
		}
	}
	err := l.cfg.Storage.Rows(ctx, l.cfg.LogID, 0, size, func(row Row) error {
		if row.Index != r.End() {
			return fmt.Errorf("%w: entry %d is missing", ErrForked, r.End())
		}
		return r.Append(row.Leaf[:], collect)
	})
	if err != nil {
		return nil, fmt.Errorf("reading leaves: %w", err)
	}
	if r.End() != size {
		return nil, fmt.Errorf("%w: size %d, the log has %d entries", ErrOutOfRange, size, r.End())
	}
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		hashes[i] = wanted[id]
	}
	return nodes.Rehash(hashes, hashChildren)
}
