package audit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// maxFind is how many entries Find looks at.
const maxFind = 1 << 16

// ErrNoEntry says that the log has no such entry, or not where it was looked for.
var ErrNoEntry = errors.New("audit: no such entry")

// errFound ends a walk over the rows.
var errFound = errors.New("audit: found")

// Entry returns the entry at index as it is stored; ErrNoEntry beyond the log's end, and
// an *ArchivedError for one that was archived.
func (l *Log) Entry(ctx context.Context, index uint64) (row Row, err error) {
	return ReadEntry(ctx, l.cfg.Storage, l.cfg.LogID, index)
}

// ReadEntry is Entry for any log of a storage, without opening it.
func ReadEntry(ctx context.Context, s Storage, logID string, index uint64) (row Row, err error) {
	err = s.Rows(ctx, logID, index, index+1, func(found Row) error {
		row = found
		return errFound
	})
	switch {
	case err == nil:
		return Row{}, missing(ctx, s, logID, index)
	case !errors.Is(err, errFound):
		return Row{}, fmt.Errorf("reading entry %d: %w", index, err)
	}
	return row, nil
}

// Find returns the first entry logged at since or later that match accepts; ErrNoEntry
// when there is none among the first 65,536 from there, an *ArchivedError when some of
// these were archived.
func (l *Log) Find(ctx context.Context, since time.Time, match func(*Record) bool) (found Row, err error) {
	head, err := l.cfg.Storage.Head(ctx, l.cfg.LogID)
	if err != nil {
		return Row{}, fmt.Errorf("reading log head: %w", err)
	}
	from, err := l.firstSince(ctx, head.Size, since)
	if err != nil {
		return Row{}, err
	}
	err = l.cfg.Storage.Rows(ctx, l.cfg.LogID, from, min(from+maxFind, head.Size), func(row Row) error {
		record, err := parseStored(row)
		if err == nil && match(&record) {
			found, err = row, errFound
		}
		return err
	})
	switch {
	case err == nil && from < head.Size:
		if _, err := l.Entry(ctx, from); errors.Is(err, ErrArchived) {
			return Row{}, err
		}
		return Row{}, ErrNoEntry
	case err == nil:
		return Row{}, ErrNoEntry
	case !errors.Is(err, errFound):
		return Row{}, fmt.Errorf("reading entries: %w", err)
	}
	return found, nil
}

// parseStored parses the record of a stored row.
func parseStored(row Row) (Record, error) {
	record, err := ParseRecord(row.Record)
	if err != nil {
		return Record{}, fmt.Errorf("%w: entry %d: %w", ErrForked, row.Index, err)
	}
	return record, nil
}
