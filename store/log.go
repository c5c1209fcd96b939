package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"elicence/audit"
)

// logRow is a log entry as its columns hold it.
type logRow struct {
	index                 int64
	record, leaf, opening []byte
}

func openingPlace(logID string, index int64) place {
	return place{"log_entry.opening", logID + "\x00" + strconv.FormatInt(index, 10)}
}

// rowPage is how many log entries are read at a time.
const rowPage = 500

// Rows implements audit.Storage. It reads in pages, outside of any transaction.
// A row that was changed by hand comes as it is: a leaf of another length is cut
// or filled with zeros, and an opening that does not open comes as it is stored,
// so that neither passes for what was appended.
func (r reader) Rows(ctx context.Context, logID string, from, to uint64, fn func(audit.Row) error) error {
	next, end := position(from), position(to)
	for more := true; more && next < end; {
		var page []logRow
		err := r.query(ctx, func(scan scan) error {
			var e logRow
			err := scan(&e.index, &e.record, &e.leaf, &e.opening)
			page = append(page, e)
			return err
		}, `SELECT "index", record, leaf, opening FROM log_entry
			WHERE log_id = $1 AND "index" >= $2 AND "index" < $3 ORDER BY "index" LIMIT $4`,
			logID, next, end, int64(rowPage))
		if err != nil {
			return fmt.Errorf("reading log entries: %w", err)
		}
		for _, e := range page {
			if err := fn(r.row(logID, e)); err != nil {
				return err
			}
			next = e.index + 1
		}
		more = len(page) == rowPage
	}
	return nil
}

func (r reader) row(logID string, e logRow) audit.Row {
	row := audit.Row{Index: uint64(e.index), Record: e.record, Opening: e.opening}
	copy(row.Leaf[:], e.leaf)
	if opening, err := r.secrets.open(openingPlace(logID, e.index), e.opening); err == nil {
		row.Opening = opening
	}
	return row
}

// selectHead reads a head with the entry that it ends with: one look-up in each
// of two indexes. The record is the one in log_entry, not a copy kept elsewhere. A
// head that was changed by hand comes as it is, like the rows.
const selectHead = `SELECT h.size, h.last_leaf, e.record, h.compact_range, h.note
	FROM log_checkpoint h LEFT JOIN log_entry e ON e.log_id = h.log_id AND e."index" = h.size - 1
	WHERE h.log_id = $1 `

// Head implements audit.Storage.
func (r reader) Head(ctx context.Context, logID string) (audit.Head, error) {
	return newest(ctx, r, logID)
}

// Head implements audit.Tx.
func (t *transaction) Head(ctx context.Context, logID string) (audit.Head, error) {
	return newest(ctx, t, logID)
}

// CheckpointAt implements audit.Storage.
func (r reader) CheckpointAt(ctx context.Context, logID string, size uint64) (audit.Head, error) {
	h, err := head(ctx, r, selectHead+`AND h.size >= $2 ORDER BY h.size LIMIT 1`, logID, position(size))
	if notFound(err) {
		err = audit.ErrNoCheckpoint
	}
	return h, err
}

func newest(ctx context.Context, s session, logID string) (audit.Head, error) {
	h, err := head(ctx, s, selectHead+`ORDER BY h.size DESC LIMIT 1`, logID)
	if notFound(err) {
		return audit.Head{}, nil
	}
	return h, err
}

func head(ctx context.Context, s session, query string, args ...any) (audit.Head, error) {
	var (
		size                        int64
		leaf, record, compact, note []byte
	)
	if err := one(ctx, s, query, args, &size, &leaf, &record, &compact, &note); err != nil {
		return audit.Head{}, doing("reading log head", err)
	}
	h := audit.Head{Size: uint64(size), LastRecord: record, Checkpoint: note}
	copy(h.LastLeaf[:], leaf)
	for hash := range slices.Chunk(compact, 32) {
		h.Range = append(h.Range, hash)
	}
	return h, nil
}

// Append implements audit.Tx.
func (t *transaction) Append(ctx context.Context, logID string, rows []audit.Row, h audit.Head) error {
	stored := make([]logRow, len(rows))
	for i, r := range rows {
		if r.Index > math.MaxInt64 {
			return fmt.Errorf("appending log entry: index %d is too large", r.Index)
		}
		opening, err := t.secrets.seal(openingPlace(logID, int64(r.Index)), r.Opening)
		if err != nil {
			return err
		}
		stored[i] = logRow{int64(r.Index), r.Record, r.Leaf[:], opening}
	}
	compact := []byte{}
	for _, hash := range h.Range {
		compact = append(compact, hash...)
	}
	if err := t.insertRows(ctx, logID, stored); err != nil {
		return fmt.Errorf("appending log entries: %w", err)
	}
	_, err := t.exec(ctx, `INSERT INTO log_checkpoint (log_id, size, last_leaf, compact_range, note)
		VALUES ($1, $2, $3, $4, $5)`, logID, position(h.Size), h.LastLeaf[:], compact, h.Checkpoint)
	return doing("appending log checkpoint", err)
}
