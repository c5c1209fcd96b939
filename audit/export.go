package audit

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"

	"github.com/transparency-dev/merkle/compact"
)

// exportMagic is the first line of an export. docs/log-format.md describes the
// rest.
const exportMagic = "elicence-log-export/1"

// Export writes the entries [from, to) of a log, as they are stored, with what
// VerifyExport needs: the tree below from, and a checkpoint. to is rounded up
// to the next checkpoint; 0 means the newest. It checks nothing, so that a
// damaged log can be exported and judged; ErrOutOfRange or ErrNoCheckpoint
// says that there is nothing to export. Openings stay behind.
func Export(ctx context.Context, s Storage, logID string, from, to uint64, w io.Writer) error {
	if !validName(logID) {
		return fmt.Errorf("audit: malformed log id %q", logID)
	}
	head, err := exportHead(ctx, s, logID, to)
	if err != nil {
		return err
	}
	if from >= head.Size || to != 0 && from >= to {
		return fmt.Errorf("%w: entries %d to %d", ErrOutOfRange, from, to)
	}
	out := bufio.NewWriterSize(w, 64<<10)
	fmt.Fprintf(out, "%s\norigin %s\nrange %d %d\n", exportMagic, logID, from, head.Size)
	if from > 0 {
		if err := exportBase(ctx, s, logID, from, out); err != nil {
			return err
		}
	}
	out.WriteByte('\n')
	var line []byte
	err = s.Rows(ctx, logID, from, head.Size, func(row Row) error {
		line = appendRow(line[:0], row.Index, row.Record, row.Leaf)
		_, err := out.Write(line)
		return err
	})
	if err != nil {
		return fmt.Errorf("exporting entries: %w", err)
	}
	out.WriteByte('\n')
	out.Write(head.Checkpoint)
	if err := out.Flush(); err != nil { // the first error of any of the writes
		return fmt.Errorf("writing export: %w", err)
	}
	return nil
}

func exportHead(ctx context.Context, s Storage, logID string, to uint64) (Head, error) {
	if to > 0 {
		head, err := s.CheckpointAt(ctx, logID, to)
		if err != nil {
			return Head{}, fmt.Errorf("reading checkpoint: %w", err)
		}
		return head, nil
	}
	head, err := s.Head(ctx, logID)
	if err != nil {
		return Head{}, fmt.Errorf("reading log head: %w", err)
	}
	if head.Size == 0 {
		return Head{}, ErrNoCheckpoint
	}
	return head, nil
}

// exportBase writes the leaf before from and the compact range of [0, from).
func exportBase(ctx context.Context, s Storage, logID string, from uint64, out *bufio.Writer) error {
	r, prev, err := rangeAt(ctx, s, logID, from)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "prev %x\n", prev)
	for _, h := range r.Hashes() {
		fmt.Fprintf(out, "node %x\n", h)
	}
	return nil
}

// appendStored appends the stored leaves up to size to r.
func appendStored(ctx context.Context, s Storage, logID string, r *compact.Range, size uint64, last *[32]byte) error {
	err := s.Leaves(ctx, logID, r.End(), size, func(_ uint64, leaf [32]byte) error {
		*last = leaf
		return r.Append(leaf[:], nil)
	})
	if err != nil {
		return fmt.Errorf("reading leaves: %w", err)
	}
	if r.End() != size {
		return fmt.Errorf("%w: entries below %d are missing", ErrBackwards, size)
	}
	return nil
}

// appendRow appends the line of one entry.
func appendRow(b []byte, index uint64, record []byte, leaf [32]byte) []byte {
	b = strconv.AppendUint(b, index, 10)
	b = append(b, ' ')
	b = base64.StdEncoding.AppendEncode(b, record)
	b = append(b, ' ')
	b = hex.AppendEncode(b, leaf[:])
	return append(b, '\n')
}
