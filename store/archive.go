package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"elicence/audit"
	"elicence/licence"
)

// LeafBlock is how many leaves of archived entries a row of log_leaves holds. Rows of a log
// that goes on are removed in whole blocks.
const LeafBlock = 64

// archivePage is how many archived rows one transaction takes.
const archivePage = 64 * LeafBlock

// Archived implements audit.Storage.
func (r reader) Archived(ctx context.Context, logID string) (audit.Archive, error) {
	var a audit.Archive
	err := r.query(ctx, func(scan scan) error {
		var from, to, last int64
		var s audit.Segment
		var sum []byte
		var approvers string
		if err := scan(&from, &to, &s.Name, &sum, &last, &approvers); err != nil {
			return err
		}
		s.From, s.To, s.Last, s.Approvers = uint64(from), uint64(to), instant(last), strings.Fields(approvers)
		a.Segments = append(a.Segments, s)
		return digest(&a.Segments[len(a.Segments)-1].Digest, sum)
	}, `SELECT from_index, to_index, name, digest, last_at, approvers FROM log_segment WHERE log_id = $1 ORDER BY from_index`, logID)
	if err == nil && len(a.Segments) > 0 {
		a.Floor, err = r.floor(ctx, logID)
	}
	return a, doing("reading what is archived", err)
}

// floor is where the kept leaves end.
func (r reader) floor(ctx context.Context, logID string) (uint64, error) {
	var index int64
	var leaves []byte
	err := one(ctx, r, `SELECT "index", leaves FROM log_leaves WHERE log_id = $1 ORDER BY "index" DESC LIMIT 1`, []any{logID}, &index, &leaves)
	if notFound(err) {
		return 0, nil
	}
	return uint64(index) + uint64(len(leaves)/32), err
}

// keptLeaves calls fn for the leaves of archived entries.
func (r reader) keptLeaves(ctx context.Context, logID string, from, to uint64, fn func(uint64, [32]byte) error) error {
	floor, err := r.floor(ctx, logID)
	if err != nil {
		return err
	}
	for next := from; next < min(to, floor); {
		leaves, err := keptFrom(ctx, r, logID, next)
		if notFound(err) {
			return nil // it was deleted by hand: the others do not join
		}
		if err != nil {
			return err
		}
		for ; len(leaves) >= 32 && next < to; next, leaves = next+1, leaves[32:] {
			if err := fn(next, [32]byte(leaves)); err != nil {
				return err
			}
		}
	}
	return nil
}

// keptFrom returns the kept leaf of an entry and those after it in the same row;
// licence.ErrNotFound when it is not there.
func keptFrom(ctx context.Context, s session, logID string, index uint64) (leaves []byte, err error) {
	err = one(ctx, s, `SELECT leaves FROM log_leaves WHERE log_id = $1 AND "index" = $2`, []any{logID, position(index / LeafBlock * LeafBlock)}, &leaves)
	at := int(index%LeafBlock) * 32
	if err == nil && len(leaves) < at+32 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return leaves[at:], nil
}

// Opening implements audit.Storage. One that does not open comes as it is stored.
func (r reader) Opening(ctx context.Context, logID string, index uint64) ([]byte, error) {
	var sealed []byte
	err := one(ctx, r, `SELECT opening FROM log_entry WHERE log_id = $1 AND "index" = $2`, []any{logID, position(index)}, &sealed)
	if notFound(err) {
		err = one(ctx, r, `SELECT opening FROM log_opening WHERE log_id = $1 AND "index" = $2`, []any{logID, position(index)}, &sealed)
	}
	if notFound(err) {
		return nil, nil
	}
	return r.row(logID, logRow{index: position(index), opening: sealed}).Opening, doing("reading log opening", err)
}

// Openings implements registry.Store.
func (r reader) Openings(ctx context.Context, logID string, from, to uint64, n int) (found []audit.Row, err error) {
	for _, table := range []string{"log_entry", "log_opening"} {
		err := r.query(ctx, func(scan scan) error {
			var e logRow
			err := scan(&e.index, &e.opening)
			found = append(found, r.row(logID, e))
			return err
		}, `SELECT "index", opening FROM `+table+` WHERE log_id = $1 AND "index" >= $2 AND "index" < $3 AND opening IS NOT NULL
			ORDER BY "index" LIMIT $4`, logID, position(from), position(to), int64(limit(n)))
		if err != nil {
			return nil, doing("reading log openings", err)
		}
	}
	slices.SortFunc(found, func(a, b audit.Row) int { return cmp.Compare(a.Index, b.Index) })
	found = slices.CompactFunc(found, func(a, b audit.Row) bool { return a.Index == b.Index })
	return found[:min(len(found), limit(n))], nil
}

// PutSegment implements registry.Tx.
func (t *transaction) PutSegment(ctx context.Context, logID string, s audit.Segment) error {
	_, err := t.exec(ctx, `INSERT INTO log_segment (log_id, from_index, to_index, name, digest, last_at, approvers) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		logID, position(s.From), position(s.To), s.Name, s.Digest[:], nanos(s.Last), strings.Join(s.Approvers, "\n"))
	return doing("recording log segment", err)
}

// keepArchived copies the leaves and openings of entries below to that are in segments
// to where they stay. A page is one transaction; after a crash the next call goes on.
func keepArchived(ctx context.Context, r reader, w writer, logID string, to uint64) error {
	archived, err := r.Archived(ctx, logID)
	if err == nil && archived.To() < to {
		err = fmt.Errorf("log entries from %d on are in no segment", archived.To())
	}
	if err != nil {
		return doing("keeping leaves", err)
	}
	for {
		from, err := r.floor(ctx, logID)
		if err != nil || from >= to {
			return doing("keeping leaves", err)
		}
		end := min(from+archivePage, to)
		var leaves []byte
		err = r.pages(ctx, `SELECT "index", leaf`+inRange, logID, from, end,
			func(scan scan, e *logRow) error { return scan(&e.index, &e.leaf) },
			func(e logRow) error {
				if uint64(e.index) != from+uint64(len(leaves)/32) || len(e.leaf) != 32 {
					return fmt.Errorf("log entry %d is missing or damaged", from+uint64(len(leaves)/32))
				}
				leaves = append(leaves, e.leaf...)
				return nil
			})
		if err == nil && uint64(len(leaves)/32) != end-from {
			err = fmt.Errorf("log entry %d is missing", from+uint64(len(leaves)/32))
		}
		if err != nil {
			return doing("keeping leaves", err)
		}
		err = w.Batch(ctx, func(tx audit.Tx) error { return tx.(*transaction).keep(ctx, logID, from, leaves) })
		if err != nil {
			return doing("keeping leaves", err)
		}
	}
}

// keep stores leaves from an index on, and the openings of their entries.
func (t *transaction) keep(ctx context.Context, logID string, from uint64, leaves []byte) error {
	end := from + uint64(len(leaves)/32)
	for at := from; at < end; at += LeafBlock {
		row := leaves[(at-from)*32 : (min(at+LeafBlock, end)-from)*32]
		if err := t.later(ctx, `INSERT INTO log_leaves (log_id, "index", leaves) VALUES ($1, $2, $3)`, logID, position(at), row); err != nil {
			return err
		}
	}
	_, err := t.exec(ctx, `INSERT INTO log_opening (log_id, "index", opening) SELECT log_id, "index", opening FROM log_entry
		WHERE log_id = $1 AND "index" >= $2 AND "index" < $3 AND opening IS NOT NULL`, logID, position(from), position(end))
	return err
}

// Lowest returns the smallest index of a log's rows, or false.
func (r reader) Lowest(ctx context.Context, logID string) (uint64, bool, error) {
	var index int64
	err := one(ctx, r, `SELECT "index" FROM log_entry WHERE log_id = $1 ORDER BY "index" LIMIT 1`, []any{logID}, &index)
	if notFound(err) {
		return 0, false, nil
	}
	return uint64(index), err == nil, doing("looking for the first log entry", err)
}

// RemoveArchived removes the rows of a log below to, which segments hold, and keeps their
// leaves and openings. It deletes a page at a time, and goes on when called again.
func (s *SQLite) RemoveArchived(ctx context.Context, logID string, to uint64) ([]string, error) {
	if err := keepArchived(ctx, s.reader, s, logID, to); err != nil {
		return nil, err
	}
	for {
		low, some, err := s.Lowest(ctx, logID)
		if err != nil || !some || low >= to {
			return nil, err
		}
		err = s.Batch(ctx, func(tx audit.Tx) error {
			_, err := tx.(*transaction).exec(ctx, `DELETE FROM log_entry WHERE log_id = $1 AND "index" >= $2 AND "index" < $3`,
				logID, position(low), position(min(low+archivePage, to)))
			return err
		})
		if err != nil {
			return nil, doing("removing archived log entries", err)
		}
	}
}

// partitionSpan is how many entries a partition holds; a constant, but for tests.
var partitionSpan int64 = 1 << 22

// partitionsAhead is how many partitions are made before they are needed: for two months of
// a city that logs three entries a second.
const partitionsAhead = 4

// Cut makes partitions ahead of the log's end. Entries that come before it does go into one
// that is open to above, which Cut then reads while appends wait.
func (p *Postgres) Cut(ctx context.Context) error {
	_, err := p.exec(ctx, `SELECT log_cut($1, $2::int)`, partitionSpan, int64(partitionsAhead))
	return doing("making partitions of log_entry", err)
}

// Cut does nothing: rows of SQLite are removed one by one.
func (s *SQLite) Cut(context.Context) error { return nil }

// RemoveArchived keeps the leaves and openings of a log's rows below to, which segments
// hold, and detaches the partitions of which all rows, whatever their log, are kept so. It
// returns the names of the tables that were partitions, to be dropped by their owner. Only
// roles that own log_entry, or may call log_detach, can.
func (p *Postgres) RemoveArchived(ctx context.Context, logID string, to uint64) (tables []string, err error) {
	if err := keepArchived(ctx, p.reader, p, logID, to); err != nil {
		return nil, err
	}
	err = p.query(ctx, func(scan scan) error {
		var table string
		err := scan(&table)
		tables = append(tables, table)
		return err
	}, `SELECT log_detach()`)
	return tables, doing("detaching partitions of log_entry", err)
}

// PutBack stores rows that RemoveArchived removed, with the openings that were kept. Rows
// that are there stay.
func (s *SQLite) PutBack(ctx context.Context, logID string, rows []audit.Row) error {
	return putBack(ctx, s.reader, s, logID, rows)
}

// PutBack is PutBack of SQLite. What partitions are missing it adds, as only an owner can.
func (p *Postgres) PutBack(ctx context.Context, logID string, rows []audit.Row) error {
	if len(rows) > 0 {
		_, err := p.exec(ctx, `SELECT log_make_room($1, $2)`, position(rows[0].Index), position(rows[len(rows)-1].Index+1))
		if err != nil {
			return doing("adding partitions to log_entry", err)
		}
	}
	return putBack(ctx, p.reader, p, logID, rows)
}

func putBack(ctx context.Context, r reader, w writer, logID string, rows []audit.Row) error {
	if len(rows) == 0 {
		return nil
	}
	from, end := rows[0].Index, rows[len(rows)-1].Index+1
	there, openings := map[uint64]bool{}, map[uint64][]byte{}
	err := r.pages(ctx, `SELECT "index", leaf`+inRange, logID, from, end,
		func(scan scan, e *logRow) error { return scan(&e.index, &e.leaf) },
		func(e logRow) error { there[uint64(e.index)] = true; return nil })
	if err == nil {
		err = r.pages(ctx, `SELECT "index", opening FROM log_opening WHERE log_id = $1 AND "index" >= $2 AND "index" < $3 ORDER BY "index" LIMIT $4`, logID, from, end,
			func(scan scan, e *logRow) error { return scan(&e.index, &e.opening) },
			func(e logRow) error { openings[uint64(e.index)] = e.opening; return nil })
	}
	if err != nil {
		return doing("putting log entries back", err)
	}
	var missing []logRow
	for _, row := range rows {
		if !there[row.Index] {
			missing = append(missing, logRow{position(row.Index), row.Record, row.Leaf[:], openings[row.Index]})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return doing("putting log entries back", w.Batch(ctx, func(tx audit.Tx) error { return tx.(*transaction).insertRows(ctx, logID, missing) }))
}
