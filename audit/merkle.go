package audit

import (
	"fmt"
	"slices"

	"github.com/emmansun/gmsm/sm3"
	"github.com/transparency-dev/merkle/compact"
)

// LeafHash returns SM3(0x00 ‖ record): the leaf of the tree, and what the next
// record begins with.
func LeafHash(record []byte) [32]byte {
	var b [1 + maxRecord]byte // not on the heap
	return sm3.Sum(append(b[:1], record...))
}

// hashChildren returns SM3(0x01 ‖ left ‖ right).
func hashChildren(left, right []byte) []byte {
	var b [1 + 2*sm3.Size]byte
	b[0] = 1
	copy(b[1:], left)
	copy(b[1+sm3.Size:], right)
	sum := sm3.Sum(b[:])
	return sum[:]
}

// ranges makes compact ranges over SM3.
var ranges = &compact.RangeFactory{Hash: hashChildren}

// newRange returns the compact range of [0, size) with the given hashes,
// copied, since appending to a range overwrites its slice.
func newRange(size uint64, hashes [][]byte) (*compact.Range, error) {
	for _, h := range hashes {
		if len(h) != sm3.Size {
			return nil, fmt.Errorf("audit: malformed compact range: a hash of %d bytes", len(h))
		}
	}
	r, err := ranges.NewRange(0, size, slices.Clone(hashes))
	if err != nil {
		return nil, fmt.Errorf("audit: malformed compact range: %w", err)
	}
	return r, nil
}

// rootOf returns the root of the tree that r covers; SM3 of nothing when r is
// empty (RFC 6962 §2.1).
func rootOf(r *compact.Range) [32]byte {
	root, err := r.GetRootHash(nil) // fails only for a range that does not begin at 0
	if err != nil || root == nil {
		return sm3.Sum(nil)
	}
	return [32]byte(root)
}
