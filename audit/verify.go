package audit

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/transparency-dev/merkle/compact"
)

// Summary is what a good export proves.
type Summary struct {
	Origin    string
	From, To  uint64 // the entries [From, To)
	RootHash  [32]byte
	FirstTime time.Time // of entry From
	LastTime  time.Time // of entry To-1
	Cosigners []string  // witnesses of the policy who cosigned, in its order
	Start     Edge      // at From
	End       Edge      // at To
}

// VerifyExport reads an export and checks everything in it: each record
// against its leaf, its index, the leaf before it and the time before it; the
// root of all leaves against the checkpoint; and the checkpoint against the policy.
//
// A verdict against the export wraps ErrBadExport. It is an *EntryError when one
// entry is at fault, and wraps ErrUnknownLog, ErrBadSignature or ErrNoQuorum
// when the checkpoint is; docs/log-format.md says which entry is named. Any
// other error means that r failed.
//
// Entries below From are proved to be covered by the checkpoint, not seen. That
// the log is still as long as it once was, an export cannot show: compare its
// checkpoint with one kept elsewhere.
func VerifyExport(policy *Policy, r io.Reader) (Summary, error) {
	return verifyExport(policy, r, nil)
}

// verifyExport is VerifyExport that sets a gathering up when it knows the range, and
// feeds it.
func verifyExport(policy *Policy, r io.Reader, g *gathering) (Summary, error) {
	x := newExportReader(r)
	if err := x.readHeader(); err != nil {
		return Summary{}, err
	}
	if !policy.knows(x.origin) {
		return Summary{}, fmt.Errorf("%w: %w: %q", ErrBadExport, ErrUnknownLog, x.origin)
	}
	c := exportCheck{exportReader: x, next: x.from, last: x.prev, start: edgeOf(x.tree, x.prev)}
	if g != nil {
		if err := g.begin(x); err != nil {
			return Summary{}, err
		}
		c.gathering, c.visit = g, g.visit
	}
	for {
		row, err := x.readRow()
		if err != nil {
			return Summary{}, c.placed(err)
		}
		if row == nil {
			return c.finish(policy)
		}
		if err := c.check(row); err != nil {
			return Summary{}, err
		}
	}
}

// exportCheck is the state of VerifyExport between two rows.
type exportCheck struct {
	*exportReader
	next uint64 // index that the next row must have

	// last is the leaf of the entry before next. It joins the tree only when
	// the next row turns out to be linked to it, so that blame can try others.
	last      [32]byte
	firstTime uint64
	lastTime  uint64
	start     Edge

	gathering *gathering      // nil: nothing is asked for but the verdict
	visit     compact.VisitFn // its, or nil
}

// entryError returns a verdict about an entry.
func entryError(index uint64, format string, args ...any) error {
	return &EntryError{Index: index, Reason: fmt.Sprintf(format, args...)}
}

// placed makes a fault of form in the place of an entry that entry's fault.
func (c *exportCheck) placed(err error) error {
	switch {
	case err == errMalformedRow:
		return entryError(c.next, "its line is not <index> <base64 record> <hex leaf>")
	case errors.Is(err, ErrBadExport) && c.next < c.to:
		return entryError(c.next, "its line is missing, cut short or too long")
	}
	return err
}

// check checks one row in the order of docs/log-format.md, so that the first
// fault found is the one that explains the others.
func (c *exportCheck) check(row *exportRow) error {
	inner := c.next > c.from
	if row.index != c.next && (!inner || row.index != c.next-1) {
		return c.misplaced(row)
	}
	if !row.leafMatches {
		return entryError(c.next, "the record does not match its stored leaf")
	}
	if row.fault != nil {
		return entryError(c.next, "%v", row.fault)
	}
	switch v := &row.view; {
	case inner && v.index == c.next-1:
		return c.blame(row, true)
	case row.index != c.next:
		return c.misplaced(row)
	case v.index != c.next:
		return entryError(c.next, "it holds the record of entry %d", v.index)
	case c.next >= c.to:
		return entryError(c.next, "it stands beyond the end of the range")
	case inner && v.prev != c.last:
		return c.blame(row, false)
	case v.prev != c.last:
		return entryError(c.next, "it is not linked to the leaf before the range")
	case v.time < c.lastTime:
		return entryError(c.next, "its time is before that of entry %d", c.next-1)
	}
	return c.accept(row)
}

func (c *exportCheck) misplaced(row *exportRow) error {
	if row.index > c.next {
		return entryError(c.next, "it is missing: entry %d follows", row.index)
	}
	return entryError(c.next, "entry %d stands in its place", row.index)
}

// accept takes a row that passed, and the leaf before it into the tree.
func (c *exportCheck) accept(row *exportRow) error {
	if c.next > c.from {
		if err := c.push(c.last); err != nil {
			return err
		}
	} else {
		c.firstTime = row.view.time
	}
	if c.gathering != nil && c.gathering.index == c.next {
		c.gathering.record = slices.Clone(row.record)
	}
	c.last, c.lastTime = row.leaf, row.view.time
	c.next++
	return nil
}

func (c *exportCheck) push(leaf [32]byte) error {
	if err := c.tree.Append(leaf[:], c.visit); err != nil {
		return fmt.Errorf("growing the tree: %w", err)
	}
	return nil
}

// blame decides which of two neighbours is at fault: row, in the place of entry
// next, is not linked to the entry before it, or repeats its index. The row is
// sound when the one after it is linked to it or, for the last row, when it
// makes the checkpoint's root come out with what it says about its neighbour.
func (c *exportCheck) blame(row *exportRow, repeats bool) error {
	leaf, prev := row.leaf, row.view.prev
	sound, err := c.vouchedFor(leaf, prev, repeats)
	if err != nil {
		return err
	}
	switch before := c.next - 1; {
	case repeats && sound:
		return entryError(before, "it was inserted: the record of entry %d follows", before)
	case repeats:
		return entryError(c.next, "it was inserted: it repeats entry %d", before)
	case sound:
		return entryError(before, "the record and its leaf were altered: entry %d is linked to another leaf", c.next)
	default:
		return entryError(c.next, "it is not linked to entry %d", before)
	}
}

func (c *exportCheck) vouchedFor(leaf, prev [32]byte, repeats bool) (bool, error) {
	following, err := c.readRow()
	if err != nil {
		return false, ignoreVerdict(err)
	}
	if following != nil {
		return following.fault == nil && following.view.prev == leaf, nil
	}
	signed, err := c.readNote()
	if err != nil {
		return false, ignoreVerdict(err)
	}
	checkpoint, err := ParseCheckpoint(signed)
	if err != nil {
		return false, nil
	}
	if !repeats {
		if err := c.push(prev); err != nil {
			return false, err
		}
	}
	if err := c.push(leaf); err != nil {
		return false, err
	}
	return rootOf(c.tree) == checkpoint.RootHash, nil
}

// finish checks what follows the rows.
func (c *exportCheck) finish(policy *Policy) (Summary, error) {
	if c.next < c.to {
		return Summary{}, entryError(c.next, "it is missing: the range ends before entry %d", c.to)
	}
	if err := c.push(c.last); err != nil {
		return Summary{}, err
	}
	signed, err := c.readNote()
	if err != nil {
		return Summary{}, err
	}
	checkpoint, cosigners, err := policy.OpenCheckpoint(signed)
	if err != nil {
		return Summary{}, fmt.Errorf("%w: %w", ErrBadExport, err)
	}
	switch {
	case checkpoint.Origin != c.origin:
		return Summary{}, badExport("the checkpoint is of log %q, the header says %q", checkpoint.Origin, c.origin)
	case checkpoint.Size != c.to:
		return Summary{}, badExport("the checkpoint covers %d entries, the range ends at %d", checkpoint.Size, c.to)
	case checkpoint.RootHash != rootOf(c.tree):
		return Summary{}, entryError(c.to-1, "the root differs from the checkpoint's: this entry was altered, or it and others before it were, together")
	}
	return Summary{
		Origin: c.origin, From: c.from, To: c.to, RootHash: checkpoint.RootHash, Cosigners: cosigners,
		FirstTime: time.UnixMicro(int64(c.firstTime)).UTC(), LastTime: time.UnixMicro(int64(c.lastTime)).UTC(),
		Start: c.start, End: edgeOf(c.tree, c.last),
	}, nil
}
