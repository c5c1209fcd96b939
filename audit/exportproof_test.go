package audit_test

import (
	"bytes"
	"errors"
	"testing"

	"elicence/audit"

	"github.com/transparency-dev/merkle/proof"
)

// TestExportProofs: from the export of any range, every entry of it is proved to be in
// the log at every size that it passes, and every size to begin every larger one.
func TestExportProofs(t *testing.T) {
	const n = 21
	f := newForger(t)
	records := chain(t, n, -1, nil, nil)
	leaves := leavesOf(records)
	for from := range n {
		export := f.export(t, records, from).bytes()
		for size := from + 1; size <= n; size++ {
			want := root(leaves[:size])
			for index := from; index < size; index++ {
				_, record, hashes, err := audit.ExportInclusion(f.policy, bytes.NewReader(export), uint64(index), uint64(size))
				if err != nil {
					t.Fatalf("from %d, entry %d of %d: %v", from, index, size, err)
				}
				if err := proof.VerifyInclusion(hasher{}, uint64(index), uint64(size), leaves[index], hashes, want); err != nil || !bytes.Equal(record, records[index]) {
					t.Errorf("from %d, entry %d of %d: %v", from, index, size, err)
				}
			}
			for older := from; older <= size; older++ {
				_, hashes, err := audit.ExportConsistency(f.policy, bytes.NewReader(export), uint64(older), uint64(size))
				if err != nil {
					t.Fatalf("from %d, sizes %d and %d: %v", from, older, size, err)
				}
				if err := proof.VerifyConsistency(hasher{}, uint64(older), uint64(size), hashes, root(leaves[:older]), want); err != nil {
					t.Errorf("from %d, sizes %d and %d: %v", from, older, size, err)
				}
			}
		}
	}
}

// TestExportProofsOutOfRange: what an export does not hold cannot be proved from it, and
// nothing from a bad one.
func TestExportProofsOutOfRange(t *testing.T) {
	f := newForger(t)
	e := f.export(t, chain(t, 9, -1, nil, nil), 3)
	inclusion := func(index, size uint64) error {
		_, record, hashes, err := audit.ExportInclusion(f.policy, bytes.NewReader(e.bytes()), index, size)
		if err != nil && (record != nil || hashes != nil) {
			t.Errorf("entry %d of %d: a proof beside an error", index, size)
		}
		return err
	}
	consistency := func(from, to uint64) error {
		_, _, err := audit.ExportConsistency(f.policy, bytes.NewReader(e.bytes()), from, to)
		return err
	}
	for _, c := range [][2]uint64{{2, 9}, {2, 0}, {9, 9}, {9, 0}, {5, 5}, {5, 10}, {1 << 63, 0}} {
		if err := inclusion(c[0], c[1]); !errors.Is(err, audit.ErrOutOfRange) || errors.Is(err, audit.ErrBadExport) {
			t.Errorf("entry %d of %d: %v", c[0], c[1], err)
		}
	}
	for _, c := range [][2]uint64{{2, 9}, {2, 0}, {4, 10}, {1, 1}} {
		if err := consistency(c[0], c[1]); !errors.Is(err, audit.ErrOutOfRange) || errors.Is(err, audit.ErrBadExport) {
			t.Errorf("sizes %d and %d: %v", c[0], c[1], err)
		}
	}
	if inclusion(8, 0) != nil || consistency(0, 0) != nil || consistency(10, 0) != nil {
		t.Error("not taken: the last entry, the empty log, or a log that went backwards")
	}
	e.edit(2, false, object("x"))
	if !errors.Is(inclusion(8, 0), audit.ErrBadExport) || !errors.Is(consistency(4, 0), audit.ErrBadExport) {
		t.Error("proofs from a bad export")
	}
}
