package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/emmansun/gmsm/sm3"
)

// Segment is a range of a log that an export holds, so that storage need not hold its rows.
type Segment struct {
	From, To uint64   // the entries [From, To)
	Name     string   // of the file
	Digest   [32]byte // SM3 of the file
	Last     time.Time
	// Approvers are the verifier keys of the approvers by the entries below To.
	Approvers []string
}

// String names the file, for people.
func (s Segment) String() string {
	return fmt.Sprintf("%s (entries %d to %d, SM3 %x)", s.Name, s.From, s.To-1, s.Digest)
}

// Archive is what was archived of a log: segments that join, from entry 0 on.
type Archive struct {
	Segments []Segment
	// Floor bounds the entries whose rows may be gone. Their leaves and, until these are
	// erased, their openings are still there.
	Floor uint64
}

// To is where the segments end; 0 without any.
func (a Archive) To() uint64 {
	if len(a.Segments) == 0 {
		return 0
	}
	return a.Segments[len(a.Segments)-1].To
}

// ErrArchived is wrapped by an *ArchivedError.
var ErrArchived = errors.New("audit: archived")

// ArchivedError says that an entry is asked for whose row was archived, and where it is.
type ArchivedError struct {
	Index   uint64
	Segment Segment
}

// Error names the file.
func (e *ArchivedError) Error() string {
	return fmt.Sprintf("audit: entry %d is archived in %s", e.Index, e.Segment)
}

// Is reports whether target is ErrArchived.
func (e *ArchivedError) Is(target error) bool { return target == ErrArchived }

// missing says why storage has no row of an index: *ArchivedError or ErrNoEntry.
func missing(ctx context.Context, s Storage, logID string, index uint64) error {
	a, err := s.Archived(ctx, logID)
	if err != nil {
		return fmt.Errorf("reading what is archived: %w", err)
	}
	if index < a.Floor {
		for _, segment := range a.Segments {
			if index < segment.To {
				return &ArchivedError{index, segment}
			}
		}
	}
	return fmt.Errorf("%w: %d", ErrNoEntry, index)
}

// checkPresent returns an *ArchivedError when the first row of an export, or of a segment
// in it, is archived: the export would lack what its header promises.
func checkPresent(ctx context.Context, s Storage, logID string, from, to uint64) error {
	a, err := s.Archived(ctx, logID)
	if err != nil {
		return fmt.Errorf("reading what is archived: %w", err)
	}
	first := []uint64{from}
	for _, segment := range a.Segments {
		if segment.From > from && segment.From < min(to, a.Floor) {
			first = append(first, segment.From)
		}
	}
	for _, index := range first {
		if index >= a.Floor {
			break
		}
		if _, err := ReadEntry(ctx, s, logID, index); errors.Is(err, ErrArchived) {
			return err
		}
	}
	return nil
}

// WriteSegment exports the entries that are not archived yet, up to to as Export rounds it,
// to f, and verifies by policy what f holds then. The file is neither durable nor on record.
// ErrOutOfRange says that nothing is left to archive below to.
func WriteSegment(ctx context.Context, s Storage, policy *Policy, logID string, to uint64, cosigned bool, f io.ReadWriteSeeker, name string) (Segment, error) {
	archived, err := s.Archived(ctx, logID)
	if err != nil {
		return Segment{}, fmt.Errorf("reading what is archived: %w", err)
	}
	if to <= archived.To() {
		return Segment{}, fmt.Errorf("%w: entries below %d are archived already", ErrOutOfRange, archived.To())
	}
	if err := Export(ctx, s, logID, archived.To(), to, cosigned, f); err != nil {
		return Segment{}, err
	}
	segment, err := readSegment(policy, f, name)
	if err != nil {
		return Segment{}, fmt.Errorf("verifying what was written: %w", err)
	}
	approvers, err := ReadApprovers(ctx, s, logID, segment.To)
	segment.Approvers = approvers.Keys()
	return segment, err
}

// ReadSegment is WriteSegment of a file that is there already, for whoever was stopped after
// it was written: f must be a segment of the log that is on record, which it says, or the
// one that would be next.
func ReadSegment(ctx context.Context, s Storage, policy *Policy, logID string, f io.ReadSeeker, name string) (segment Segment, recorded bool, err error) {
	if segment, err = readSegment(policy, f, name); err != nil {
		return Segment{}, false, err
	}
	archived, err := s.Archived(ctx, logID)
	if err != nil {
		return Segment{}, false, fmt.Errorf("reading what is archived: %w", err)
	}
	if archived.find(segment) >= 0 {
		return segment, true, nil
	}
	if segment.From != archived.To() {
		return Segment{}, false, fmt.Errorf("%w: it begins with entry %d, and entries below %d are archived", ErrOutOfRange, segment.From, archived.To())
	}
	if err := eachPage(f, func(rows []Row) error { return compareLeaves(ctx, s, logID, rows) }); err != nil {
		return Segment{}, false, err
	}
	approvers, err := ReadApprovers(ctx, s, logID, segment.To)
	segment.Approvers = approvers.Keys()
	return segment, false, err
}

// find returns which segment is that of a file; -1 when none is.
func (a Archive) find(read Segment) int {
	return slices.IndexFunc(a.Segments, func(own Segment) bool { return own.Digest == read.Digest && own.From == read.From && own.To == read.To })
}

// readSegment verifies an export from its beginning.
func readSegment(policy *Policy, f io.ReadSeeker, name string) (Segment, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return Segment{}, err
	}
	sum := sm3.New()
	summary, err := VerifyExport(policy, io.TeeReader(f, sum))
	if err != nil {
		return Segment{}, err
	}
	segment := Segment{From: summary.From, To: summary.To, Name: name, Last: summary.LastTime}
	copy(segment.Digest[:], sum.Sum(nil))
	return segment, nil
}

// restorePage is how many rows are put back at a time.
const restorePage = 4096

// ReadBack verifies that f is the file of a segment of the log, and compares every leaf of
// it with what the log's tree is made of; then begin is told of the segment, and put gets
// its rows, without openings, in pages. Nothing is put before all is checked.
func ReadBack(ctx context.Context, s Storage, policy *Policy, logID string, f io.ReadSeeker, begin func(Segment) error, put func([]Row) error) error {
	read, err := readSegment(policy, f, "")
	if err != nil {
		return err
	}
	archived, err := s.Archived(ctx, logID)
	if err != nil {
		return fmt.Errorf("reading what is archived: %w", err)
	}
	i := archived.find(read)
	if i < 0 {
		return fmt.Errorf("%w: no segment of log %s has SM3 %x", ErrNoEntry, logID, read.Digest)
	}
	if err := eachPage(f, func(rows []Row) error { return compareLeaves(ctx, s, logID, rows) }); err != nil {
		return err
	}
	if err := begin(archived.Segments[i]); err != nil {
		return err
	}
	return eachPage(f, put)
}

// compareLeaves compares rows of a file with the stored leaves.
func compareLeaves(ctx context.Context, s Storage, logID string, rows []Row) error {
	next := 0
	err := s.Leaves(ctx, logID, rows[0].Index, rows[0].Index+uint64(len(rows)), func(index uint64, leaf [32]byte) error {
		if next == len(rows) || rows[next].Index != index || rows[next].Leaf != leaf {
			return fmt.Errorf("%w: entry %d is another in the file", ErrForked, index)
		}
		next++
		return nil
	})
	if err == nil && next < len(rows) {
		err = fmt.Errorf("%w: the leaf of entry %d is missing", ErrBackwards, rows[next].Index)
	}
	return err
}

// eachPage calls fn with the rows of a verified export.
func eachPage(f io.ReadSeeker, fn func([]Row) error) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var page []Row
	err := eachRow(f, func(x *exportReader) error {
		page = append(page, Row{Index: x.row.index, Record: slices.Clone(x.row.record), Leaf: x.row.leaf})
		if len(page) < restorePage {
			return nil
		}
		full := page
		page = nil
		return fn(full)
	})
	if err == nil && len(page) > 0 {
		err = fn(page)
	}
	return err
}
