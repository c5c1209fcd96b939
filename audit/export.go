package audit

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
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
// to the next checkpoint; 0 means the newest. When cosigned is set, that is the next
// or newest one that witnesses have cosigned, if there is one. It checks nothing, so
// that a damaged log can be exported and judged; ErrOutOfRange or ErrNoCheckpoint
// says that there is nothing to export, an *ArchivedError in which file it lies. Openings
// stay behind.
func Export(ctx context.Context, s Storage, logID string, from, to uint64, cosigned bool, w io.Writer) error {
	if !validName(logID) {
		return fmt.Errorf("audit: malformed log id %q", logID)
	}
	end, err := exportEnd(ctx, s, logID, to, cosigned)
	if err != nil {
		return err
	}
	if to != 0 && from >= to {
		return fmt.Errorf("%w: entries %d to %d", ErrOutOfRange, from, to)
	}
	if from >= end.Size {
		return fmt.Errorf("%w: entries from %d on, where an export would end at %d", ErrOutOfRange, from, end.Size)
	}
	if err := checkPresent(ctx, s, logID, from, end.Size); err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	fmt.Fprintf(out, "%s\norigin %s\nrange %d %d\n", exportMagic, logID, from, end.Size)
	if from > 0 {
		if err := exportBase(ctx, s, logID, from, out); err != nil {
			return err
		}
	}
	out.WriteByte('\n')
	var line []byte
	err = s.Rows(ctx, logID, from, end.Size, func(row Row) error {
		line = appendRow(line[:0], row.Index, row.Record, row.Leaf)
		_, err := out.Write(line)
		return err
	})
	if err != nil {
		return fmt.Errorf("exporting entries: %w", err)
	}
	out.WriteByte('\n')
	out.Write(end.Checkpoint)
	if err := out.Flush(); err != nil { // the first error of any of the writes
		return fmt.Errorf("writing export: %w", err)
	}
	return nil
}

// exportEnd is the checkpoint that an export ends with.
func exportEnd(ctx context.Context, s Storage, logID string, to uint64, cosigned bool) (end Cosigned, err error) {
	if cosigned && to > 0 {
		end, err = s.CosignedAt(ctx, logID, to)
	} else if cosigned {
		end, err = s.NewestCosigned(ctx, logID)
	}
	if cosigned && !errors.Is(err, ErrNoCheckpoint) {
		return end, doing("reading cosigned checkpoint", err)
	}
	if to > 0 {
		head, err := s.CheckpointAt(ctx, logID, to)
		return Cosigned{head.Size, head.Checkpoint}, doing("reading checkpoint", err)
	}
	head, err := s.Head(ctx, logID)
	if err == nil && head.Size == 0 {
		err = ErrNoCheckpoint
	}
	return Cosigned{head.Size, head.Checkpoint}, doing("reading log head", err)
}

// doing says in an error what was being done; it keeps nil.
func doing(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
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
