package audit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
)

// ExportInclusion verifies an export as VerifyExport does, and returns the record of
// the entry at index with the hashes that lead from its leaf to the root of the first
// size entries of the log; size 0 stands for those that the export's checkpoint covers.
// ErrOutOfRange says that the export does not hold the entry, or ends before size.
func ExportInclusion(policy *Policy, r io.Reader, index, size uint64) (Summary, []byte, [][]byte, error) {
	g := &gathering{index: index, need: func(from, to uint64) (proof.Nodes, error) {
		if size == 0 {
			size = to
		}
		if index < from || size > to {
			return proof.Nodes{}, fmt.Errorf("%w: entry %d of %d", ErrOutOfRange, index, size)
		}
		return proof.Inclusion(index, size)
	}}
	s, err := verifyExport(policy, r, g)
	if err != nil {
		return Summary{}, nil, nil, err
	}
	hashes, err := g.hashes()
	return s, g.record, hashes, err
}

// ExportConsistency verifies an export as VerifyExport does, and returns the hashes that
// show that the first to entries of the log begin with the first from; to 0 stands for
// those that the export's checkpoint covers, and when from is more there are no hashes.
// ErrOutOfRange says that the export begins after from, or ends before to.
func ExportConsistency(policy *Policy, r io.Reader, from, to uint64) (Summary, [][]byte, error) {
	g := &gathering{index: math.MaxUint64, need: func(first, end uint64) (proof.Nodes, error) {
		if to == 0 {
			to = end
		}
		switch {
		case from != 0 && from < first || to > end:
			return proof.Nodes{}, fmt.Errorf("%w: sizes %d and %d", ErrOutOfRange, from, to)
		case from > to:
			return proof.Nodes{}, nil
		}
		return proof.Consistency(from, to)
	}}
	s, err := verifyExport(policy, r, g)
	if err != nil {
		return Summary{}, nil, err
	}
	hashes, err := g.hashes()
	return s, hashes, err
}

// gathering keeps, of all nodes of the tree that a verification comes by, those of one
// proof. A node of a proof that lies below the export's range is in the header: it is
// the left sibling of a node that reaches into the range, and so as large as can be.
type gathering struct {
	need   func(from, to uint64) (proof.Nodes, error) // what to gather in the range of the export
	index  uint64                                     // of the entry whose record is kept
	record []byte

	nodes proof.Nodes
	found map[compact.NodeID][]byte
}

// begin learns the range, and takes the nodes below it.
func (g *gathering) begin(x *exportReader) (err error) {
	if g.nodes, err = g.need(x.from, x.to); err != nil {
		if !errors.Is(err, ErrOutOfRange) {
			err = fmt.Errorf("%w: %w", ErrOutOfRange, err)
		}
		return fmt.Errorf("%w; the export holds the entries from %d to %d", err, x.from, x.to-1)
	}
	g.found = make(map[compact.NodeID][]byte, len(g.nodes.IDs))
	for _, id := range g.nodes.IDs {
		g.found[id] = nil
	}
	for i, id := range compact.RangeNodes(0, x.from, nil) {
		g.visit(id, x.tree.Hashes()[i])
	}
	return nil
}

func (g *gathering) visit(id compact.NodeID, hash []byte) {
	if _, wanted := g.found[id]; wanted {
		g.found[id] = slices.Clone(hash)
	}
}

// hashes returns the proof once all rows have been seen.
func (g *gathering) hashes() ([][]byte, error) {
	hashes := make([][]byte, len(g.nodes.IDs))
	for i, id := range g.nodes.IDs {
		if hashes[i] = g.found[id]; hashes[i] == nil {
			return nil, fmt.Errorf("audit: node %d of level %d was not met", id.Index, id.Level)
		}
	}
	return g.nodes.Rehash(hashes, hashChildren)
}

// Edge is what an export holds of the entries before its range, or hands over to the
// export that follows it.
type Edge struct {
	Leaf  [32]byte // of the last of these entries; zeros when there are none
	Range [][]byte // their compact range
}

func edgeOf(tree *compact.Range, last [32]byte) Edge {
	return Edge{last, slices.Clone(tree.Hashes())}
}

// Join checks that exports, each of which was verified, are one part of one log, in
// whatever order they come: none lacks, none repeats, and all are of one history. It
// returns the summary of the whole, with the root and the cosigners of the last.
// Its verdicts are of the same kind as VerifyExport's.
func Join(parts ...Summary) (Summary, error) {
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b Summary) int { return cmp.Compare(a.From, b.From) })
	whole := parts[0]
	for _, next := range parts[1:] {
		if err := whole.follow(next); err != nil {
			return Summary{}, err
		}
		next.From, next.FirstTime, next.Start = whole.From, whole.FirstTime, whole.Start
		whole = next
	}
	return whole, nil
}

// follow checks that next continues s.
func (s *Summary) follow(next Summary) error {
	switch {
	case next.Origin != s.Origin:
		return badExport("one is of log %q, another of %q", s.Origin, next.Origin)
	case next.From > s.To:
		return entryError(s.To, "it is missing: the next export begins with entry %d", next.From)
	case next.From < s.To:
		return badExport("one ends before entry %d, and another begins with entry %d: they overlap", s.To, next.From)
	case next.Start.Leaf != s.End.Leaf || !slices.EqualFunc(next.Start.Range, s.End.Range, bytes.Equal):
		return badExport("the log has two histories: the export from entry %d on does not continue the one before it", next.From)
	case next.FirstTime.Before(s.LastTime):
		return entryError(next.From, "its time is before that of entry %d", next.From-1)
	}
	return nil
}
