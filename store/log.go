package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/compact"

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
	return r.pages(ctx, `SELECT "index", leaf, record, opening`+inRange, logID, from, to,
		func(scan scan, e *logRow) error { return scan(&e.index, &e.leaf, &e.record, &e.opening) },
		func(e logRow) error { return fn(r.row(logID, e)) })
}

// Leaves implements audit.Storage.
func (r reader) Leaves(ctx context.Context, logID string, from, to uint64, fn func(uint64, [32]byte) error) error {
	next := from // rows come first: most questions are about what is not archived
	err := r.pages(ctx, `SELECT "index", leaf`+inRange, logID, from, to,
		func(scan scan, e *logRow) error { return scan(&e.index, &e.leaf) },
		func(e logRow) error {
			if index := uint64(e.index); next < index {
				if err := r.keptLeaves(ctx, logID, next, index, fn); err != nil {
					return err
				}
			}
			next = uint64(e.index) + 1
			return fn(uint64(e.index), r.row(logID, e).Leaf)
		})
	if err != nil || next >= to {
		return err
	}
	return r.keptLeaves(ctx, logID, next, to, fn)
}

const inRange = ` FROM log_entry WHERE log_id = $1 AND "index" >= $2 AND "index" < $3 ORDER BY "index" LIMIT $4`

// pages reads entries and hands each to fn, outside of the query.
func (r reader) pages(ctx context.Context, query, logID string, from, to uint64, read func(scan, *logRow) error, fn func(logRow) error) error {
	next, end := position(from), position(to)
	for more := true; more && next < end; {
		var page []logRow
		err := r.query(ctx, func(scan scan) error {
			var e logRow
			err := read(scan, &e)
			page = append(page, e)
			return err
		}, query, logID, next, end, int64(rowPage))
		if err != nil {
			return fmt.Errorf("reading log entries: %w", err)
		}
		for _, e := range page {
			if err := fn(e); err != nil {
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

// nodePage is how many nodes are read at a time: those of any proof of a log below
// 2^44 entries. Fewer are filled up with the first, so that there is one statement.
const nodePage = 40

// selectNodes looks the nodes up one by one, whatever the engine makes of lists.
var selectNodes = `SELECT n.level, n."index", n.hash
	FROM (VALUES (CAST($2 AS bigint), CAST($3 AS bigint))` + morePlaces(nodePage-1) + `) AS w
	JOIN log_node n ON n.log_id = $1 AND n.level = w.column1 AND n."index" = w.column2`

// morePlaces are n more pairs of placeholders after the first.
func morePlaces(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ", ($%d, $%d)", 2*i+4, 2*i+5)
	}
	return b.String()
}

// Nodes implements audit.Storage. Like a row, a node that was changed by hand comes
// as it is.
func (r reader) Nodes(ctx context.Context, logID string, ids []compact.NodeID) (nodes []audit.Node, err error) {
	for page := range slices.Chunk(ids, nodePage) {
		args := []any{logID}
		for i := range nodePage {
			id := page[0]
			if i < len(page) {
				id = page[i]
			}
			args = append(args, int64(id.Level), position(id.Index))
		}
		err := r.query(ctx, func(scan scan) error {
			var level, index int64
			var hash []byte
			err := scan(&level, &index, &hash)
			n := audit.Node{NodeID: compact.NewNodeID(uint(level), uint64(index))}
			copy(n.Hash[:], hash)
			nodes = append(nodes, n)
			return err
		}, selectNodes, args...)
		if err != nil {
			return nil, fmt.Errorf("reading log nodes: %w", err)
		}
	}
	return nodes, nil
}

// selectHead reads a head with the entry that it ends with: one look-up in each
// of two indexes. The record is the one in log_entry, not a copy kept elsewhere. A
// head that was changed by hand comes as it is, like the rows. It is no join: of two
// tables that grow faster than it learns, PostgreSQL takes it that all rows are to be
// joined before the last is picked, which took 10 ms for 7,000 entries.
const selectHead = `SELECT h.size, h.last_leaf,
		(SELECT e.record FROM log_entry e WHERE e.log_id = h.log_id AND e."index" = h.size - 1),
		h.compact_range, h.note
	FROM log_checkpoint h WHERE h.log_id = $1 `

// Head implements audit.Storage.
func (r reader) Head(ctx context.Context, logID string) (audit.Head, error) {
	return newest(ctx, r, logID)
}

// Head implements audit.Tx.
func (t *transaction) Head(ctx context.Context, logID string) (audit.Head, error) {
	return newest(ctx, t, logID)
}

// HeadIs implements audit.Tx.
func (t *transaction) HeadIs(ctx context.Context, logID string, size uint64, lastLeaf [32]byte) (bool, error) {
	is, err := t.holds(ctx, `SELECT h.size FROM (SELECT size, last_leaf FROM log_checkpoint WHERE log_id = $1 ORDER BY size DESC LIMIT 1) h
		WHERE h.size = $2 AND h.last_leaf = $3`, logID, position(size), lastLeaf[:])
	return is, doing("looking at the head", err)
}

// Leaf implements audit.Tx. That of an archived entry is found where it is kept.
func (t *transaction) Leaf(ctx context.Context, logID string, index uint64) (leaf [32]byte, err error) {
	var stored []byte
	err = one(ctx, t, `SELECT leaf FROM log_entry WHERE log_id = $1 AND "index" = $2`, []any{logID, position(index)}, &stored)
	if notFound(err) {
		stored, err = keptFrom(ctx, t, logID, index)
	}
	copy(leaf[:], stored)
	if notFound(err) {
		err = nil
	}
	return leaf, doing("reading leaf", err)
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

const selectCosigned = `SELECT size, note FROM log_cosigned WHERE log_id = $1 `

// CosignedAt implements audit.Storage.
func (r reader) CosignedAt(ctx context.Context, logID string, size uint64) (audit.Cosigned, error) {
	return r.cosigned(ctx, selectCosigned+`AND size >= $2 ORDER BY size LIMIT 1`, logID, position(size))
}

// NewestCosigned implements audit.Storage.
func (r reader) NewestCosigned(ctx context.Context, logID string) (audit.Cosigned, error) {
	return r.cosigned(ctx, selectCosigned+`ORDER BY size DESC LIMIT 1`, logID)
}

func (r reader) cosigned(ctx context.Context, query string, args ...any) (audit.Cosigned, error) {
	var size int64
	var c audit.Cosigned
	err := one(ctx, r, query, args, &size, &c.Checkpoint)
	if notFound(err) {
		return audit.Cosigned{}, audit.ErrNoCheckpoint
	}
	c.Size = uint64(size)
	return c, doing("reading cosigned checkpoint", err)
}

// PutCosigned implements audit.Tx.
func (t *transaction) PutCosigned(ctx context.Context, logID string, c audit.Cosigned) error {
	_, err := t.exec(ctx, `INSERT INTO log_cosigned (log_id, size, note) SELECT $1, $2, $3
		WHERE NOT EXISTS (SELECT 1 FROM log_cosigned WHERE log_id = $1 AND size = $2)`,
		logID, position(c.Size), c.Checkpoint)
	return doing("keeping cosigned checkpoint", err)
}

// Append implements audit.Tx.
func (t *transaction) Append(ctx context.Context, logID string, rows []audit.Row, nodes []audit.Node, h audit.Head) error {
	stored, keys := make([]logRow, len(rows)), make([]logKeys, 0, len(rows))
	for i, r := range rows {
		if r.Index > math.MaxInt64 {
			return fmt.Errorf("appending log entry: index %d is too large", r.Index)
		}
		opening, err := t.secrets.seal(openingPlace(logID, int64(r.Index)), r.Opening)
		if err != nil {
			return err
		}
		stored[i] = logRow{int64(r.Index), r.Record, r.Leaf[:], opening}
		if len(r.Keys) > 0 {
			keys = append(keys, t.secrets.logKeys(logID, r.Index, r.Keys))
		}
	}
	if err := t.insertRows(ctx, logID, stored); err != nil {
		return fmt.Errorf("appending log entries: %w", err)
	}
	if err := t.insertKeys(ctx, keys); err != nil {
		return fmt.Errorf("appending keys of log entries: %w", err)
	}
	for _, n := range nodes {
		err := t.later(ctx, `INSERT INTO log_node (log_id, level, "index", hash) VALUES ($1, $2, $3, $4)`,
			logID, int64(n.Level), position(n.Index), n.Hash[:])
		if err != nil {
			return fmt.Errorf("appending log nodes: %w", err)
		}
	}
	if h.Size == 0 {
		return doing("appending log entries", t.start())
	}
	compact := []byte{}
	for _, hash := range h.Range {
		compact = append(compact, hash...)
	}
	err := t.later(ctx, `INSERT INTO log_checkpoint (log_id, size, last_leaf, compact_range, note)
		VALUES ($1, $2, $3, $4, $5)`, logID, position(h.Size), h.LastLeaf[:], compact, h.Checkpoint)
	return doing("appending log checkpoint", err)
}
