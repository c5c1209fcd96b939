package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/jackc/pgx/v5"
)

// run runs statements, and hands the results of the last, which is no COPY, to read. Those
// between one COPY and the next share a round trip.
func (s *pgTx) run(all []statement, read func(pgx.BatchResults) error) error {
	for {
		next := slices.IndexFunc(all, func(w statement) bool { return w.rows != nil })
		if next < 0 {
			return s.roundTrip(all, read)
		}
		if next > 0 {
			if err := s.roundTrip(all[:next], ignore); err != nil {
				return err
			}
		}
		if err := s.copyRows(all[next]); err != nil {
			return err
		}
		all = all[next+1:]
	}
}

// roundTrip runs statements together, and hands the results of the last to read.
func (s *pgTx) roundTrip(all []statement, read func(pgx.BatchResults) error) error {
	batch := &pgx.Batch{}
	for _, w := range all {
		batch.Queue(w.query, w.args...)
	}
	results := s.conn.SendBatch(s.ctx, batch)
	err := receive(results, len(all)-1, read)
	if closing := results.Close(); err == nil {
		err = closing
	}
	return err
}

// receive passes over the results of the first statements and reads the last.
func receive(results pgx.BatchResults, before int, read func(pgx.BatchResults) error) error {
	for range before {
		if err := ignore(results); err != nil {
			return err
		}
	}
	return read(results)
}

// ignore passes over the results of a statement.
func ignore(results pgx.BatchResults) error {
	_, err := results.Exec()
	return err
}

func (s *pgTx) copyRows(w statement) error {
	_, err := s.conn.PgConn().CopyFrom(s.ctx, bytes.NewReader(w.rows), w.query)
	return err
}

// copiedFrom is how many rows are worth a COPY. It takes a round trip of its own, but of a row
// a fifth less of PostgreSQL's time than an INSERT, and next to nothing of ours.
const copiedFrom = 32

// insertRows stores few rows by a statement that travels with others, and many by COPY.
func (s *pgTx) insertRows(ctx context.Context, logID string, rows []logRow) error {
	if len(rows) < copiedFrom {
		return s.insertFew(ctx, logID, rows)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.waiting = append(s.waiting, statement{
		query: `COPY log_entry (log_id, "index", record, leaf, opening) FROM STDIN (FORMAT binary)`, rows: copied(logID, rows),
	})
	return nil
}

// insertFew hands the rows over as arrays: one statement, prepared once, for any number of
// rows. The arrays are unnested in the list of columns, and not in FROM, where PostgreSQL would
// first store each of them as a table.
func (s *pgTx) insertFew(ctx context.Context, logID string, rows []logRow) error {
	if len(rows) == 0 {
		return nil
	}
	indexes := make([]int64, len(rows))
	records, leaves, openings := make([][]byte, len(rows)), make([][]byte, len(rows)), make([][]byte, len(rows))
	for i, r := range rows {
		indexes[i], records[i], leaves[i], openings[i] = r.index, r.record, r.leaf, r.opening
	}
	return s.later(ctx, `INSERT INTO log_entry (log_id, "index", record, leaf, opening)
		SELECT $1, unnest($2::bigint[]), unnest($3::bytea[]), unnest($4::bytea[]), unnest($5::bytea[])`,
		logID, indexes, records, leaves, openings)
}

func (s *pgTx) insertKeys(ctx context.Context, keys []logKeys) error {
	if len(keys) == 0 {
		return nil
	}
	var columns [6][]int64
	for i := range columns {
		columns[i] = make([]int64, len(keys))
	}
	for row, k := range keys {
		for i, value := range [...]int64{k.index, k.principal, k.action, k.object, k.caseNumber, k.holder} {
			columns[i][row] = value
		}
	}
	return s.later(ctx, `INSERT INTO log_key ("index", principal, action, object, case_number, holder)
		SELECT unnest($1::bigint[]), unnest($2::bigint[]), unnest($3::bigint[]),
			nullif(unnest($4::bigint[]), 0), nullif(unnest($5::bigint[]), 0), nullif(unnest($6::bigint[]), 0)`,
		columns[0], columns[1], columns[2], columns[3], columns[4], columns[5])
}

// copied is rows of log_entry in the binary format of COPY: a signature, flags and the length
// of an extension; of each row the number of fields, and each field behind its length, -1 for
// NULL; -1 in the end.
func copied(logID string, rows []logRow) []byte {
	size := 0
	for _, r := range rows {
		size += len(logID) + len(r.record) + len(r.leaf) + len(r.opening) + 32
	}
	b := append(make([]byte, 0, size+32), "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for _, r := range rows {
		b = binary.BigEndian.AppendUint16(b, 5)
		b = copiedField(b, []byte(logID))
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), uint64(r.index))
		b = copiedField(b, r.record)
		b = copiedField(b, r.leaf)
		if r.opening == nil {
			b = binary.BigEndian.AppendUint32(b, 1<<32-1)
		} else {
			b = copiedField(b, r.opening)
		}
	}
	return binary.BigEndian.AppendUint16(b, 1<<16-1)
}

func copiedField(b, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
}
