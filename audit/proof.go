package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/emmansun/gmsm/sm3"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
)

// lowestStored is the level from which on nodes are stored: one row for 32 entries, so
// that a proof reads them in one query and two blocks of leaves below them.
const lowestStored = 6

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
	hashes, err := l.nodes(ctx, nodes.IDs)
	if errors.Is(err, ErrNoEntry) {
		return nil, fmt.Errorf("%w: %w", ErrForked, err)
	}
	if err != nil {
		return nil, err
	}
	return nodes.Rehash(hashes, hashChildren)
}

// nodes returns the hashes of nodes, leaves among them: as they are stored, or else
// computed. Nodes below lowestStored never are stored, nor are others of entries older
// than the storing of nodes.
func (l *Log) nodes(ctx context.Context, ids []compact.NodeID) ([][]byte, error) {
	var high, low []compact.NodeID
	for _, id := range ids {
		if id.Level >= lowestStored {
			high = append(high, id)
		} else {
			low = append(low, id)
		}
	}
	known := make(map[compact.NodeID][]byte, len(ids))
	if len(high) > 0 {
		stored, err := l.cfg.Storage.Nodes(ctx, l.cfg.LogID, high)
		if err != nil {
			return nil, fmt.Errorf("reading nodes: %w", err)
		}
		for _, n := range stored {
			known[n.NodeID] = n.Hash[:]
		}
	}
	for _, id := range high {
		if known[id] != nil {
			continue
		}
		var err error
		if known[id], err = l.node(ctx, id); err != nil {
			return nil, err
		}
	}
	if err := l.blocks(ctx, low, known); err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		hashes[i] = known[id]
	}
	return hashes, nil
}

// blocks adds nodes below lowestStored to known. Neighbours in ids that lie in one
// block of leaves, the leaves of a node of lowestStored, are computed in one pass.
func (l *Log) blocks(ctx context.Context, ids []compact.NodeID, known map[compact.NodeID][]byte) error {
	block := func(id compact.NodeID) uint64 { return id.Index << id.Level >> lowestStored }
	for len(ids) > 0 {
		n := 1
		for n < len(ids) && block(ids[n]) == block(ids[0]) {
			n++
		}
		if err := l.block(ctx, block(ids[0]), ids[:n], known); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// block computes nodes that lie in one block.
func (l *Log) block(ctx context.Context, block uint64, ids []compact.NodeID, known map[compact.NodeID][]byte) error {
	subtrees := make([]*compact.Range, len(ids))
	for i, id := range ids {
		subtrees[i] = ranges.NewEmptyRange(id.Index << id.Level)
	}
	err := l.cfg.Storage.Leaves(ctx, l.cfg.LogID, block<<lowestStored, (block+1)<<lowestStored, func(index uint64, leaf [32]byte) error {
		for i, id := range ids {
			if index>>id.Level != id.Index || index != subtrees[i].End() {
				continue
			}
			if err := subtrees[i].Append(leaf[:], nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading leaves: %w", err)
	}
	for i, id := range ids {
		if end := (id.Index + 1) << id.Level; subtrees[i].End() != end {
			return fmt.Errorf("%w: %d", ErrNoEntry, subtrees[i].End())
		}
		known[id] = subtrees[i].Hashes()[0]
	}
	return nil
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
	var leaf [32]byte
	err := l.cfg.Storage.Leaves(ctx, l.cfg.LogID, end-1, end, func(_ uint64, found [32]byte) error {
		leaf = found
		return errFound
	})
	switch {
	case err == nil:
		return nil, fmt.Errorf("%w: %d", ErrNoEntry, end-1)
	case !errors.Is(err, errFound):
		return nil, fmt.Errorf("reading leaves: %w", err)
	case id.Level == 0:
		return leaf[:], nil
	}
	r, _, err := rangeAt(ctx, l.cfg.Storage, l.cfg.LogID, end-1)
	if err != nil {
		return nil, err
	}
	node, left := leaf[:], r.Hashes()
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
	if err := c.IncludesLeaf(r.Index, LeafHash(record), hashes); err != nil {
		return Record{}, err
	}
	return r, nil
}

// IncludesLeaf is Includes for an entry of which the index and the leaf are known, as a
// receipt has them.
func (c Checkpoint) IncludesLeaf(index uint64, leaf [32]byte, hashes [][]byte) error {
	if err := proof.VerifyInclusion(hasher{}, index, c.Size, leaf[:], hashes, c.RootHash[:]); err != nil {
		return fmt.Errorf("%w: %w", ErrNotIncluded, err)
	}
	return nil
}

// ErrBadProof says that a consistency proof does not lead from one checkpoint's
// root to the other's.
var ErrBadProof = errors.New("audit: bad consistency proof")

// VerifyConsistency checks that the tree of newer begins with that of older, by a
// proof as ConsistencyProof returns it. Its error wraps ErrBadProof. Origins and
// signatures are the caller's to check; the root of a size 0 is known and not read.
func VerifyConsistency(older, newer Checkpoint, hashes [][]byte) error {
	if older.Size == 0 {
		older.RootHash = sm3.Sum(nil)
	}
	err := proof.VerifyConsistency(hasher{}, older.Size, newer.Size, hashes, older.RootHash[:], newer.RootHash[:])
	for _, h := range hashes {
		if len(h) != sm3.Size {
			err = fmt.Errorf("a hash of %d bytes", len(h))
		}
	}
	if newer.Size == 0 && newer.RootHash != sm3.Sum(nil) {
		err = errors.New("the root of an empty tree is another")
	}
	if err != nil {
		return fmt.Errorf("%w: from size %d to %d: %w", ErrBadProof, older.Size, newer.Size, err)
	}
	return nil
}

// hasher is the tree's hash as package proof wants it.
type hasher struct{}

func (hasher) EmptyRoot() []byte                  { h := sm3.Sum(nil); return h[:] }
func (hasher) HashLeaf(record []byte) []byte      { h := LeafHash(record); return h[:] }
func (hasher) HashChildren(left, r []byte) []byte { return hashChildren(left, r) }
func (hasher) Size() int                          { return sm3.Size }
