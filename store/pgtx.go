package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"elicence/audit"
)

type statement struct {
	query    string
	args     []any
	presumed bool // to do what it is for, by change or holds
}

// pgTx is a transaction on one connection. Statements whose result nobody reads
// (BEGIN, SAVEPOINT, RELEASE and those given to later) wait and travel with the
// next one, which saves most round trips of a batch.
//
// What a caller does under a savepoint nearly always succeeds, so that it is presumed to, and its
// end waits for no answer. When a presumption was wrong, the batch is a conflict: the log runs it again,
// and that and some batches after it presume nothing, so that each failure is its own caller's.
type pgTx struct {
	ctx     context.Context // of the batch: its end, and no caller's, ends the transaction
	conn    *pgx.Conn
	waiting []statement
	// started gives the error of the statements that are under way; nil when none are.
	started  chan error
	presumes bool
	doubt    *atomic.Int64 // of the store
	// depth is the number of open savepoints, sent that of round trips.
	depth, sent int
	// conflict is the first serialization failure, deadlock or wrong presumption: from then on
	// the transaction must not commit, whatever its user makes of the error.
	conflict error
}

func (s *pgTx) lock() string { return " FOR UPDATE OF l" }

// send runs the waiting statements and then query, and hands the results of query to read.
func (s *pgTx) send(read func(pgx.BatchResults) error, query string, args ...any) error {
	if err := s.finish(); err != nil {
		return err
	}
	all := append(s.waiting, statement{query: query, args: args})
	s.waiting = nil
	s.sent++
	return s.note(s.run(all, read))
}

// start has the waiting statements run while their user goes on, unless others are under way.
// Nothing else may use the connection until finish.
func (s *pgTx) start() error {
	if s.started != nil && len(s.started) == 0 || len(s.waiting) == 0 {
		return nil
	}
	if err := s.finish(); err != nil {
		return err
	}
	all, done := s.waiting, make(chan error, 1)
	s.waiting, s.started = nil, done
	s.sent++
	go func() { done <- s.run(all, nil) }()
	return nil
}

// finish waits for the statements that were started.
func (s *pgTx) finish() error {
	if s.started == nil {
		return nil
	}
	err := <-s.started
	s.started = nil
	return s.note(err)
}

// run runs statements in one round trip, and hands the results of the last to read; nil when it is
// one that waited like the others.
func (s *pgTx) run(all []statement, read func(pgx.BatchResults) error) error {
	batch := &pgx.Batch{}
	for _, w := range all {
		batch.Queue(w.query, w.args...)
	}
	results := s.conn.SendBatch(s.ctx, batch)
	err := s.receive(results, all, read)
	if closing := results.Close(); err == nil {
		err = closing
	}
	return err
}

func (s *pgTx) receive(results pgx.BatchResults, all []statement, read func(pgx.BatchResults) error) error {
	waited := all
	if read != nil {
		waited = all[:len(all)-1]
	}
	for range waited {
		var refused *pgconn.PgError
		if _, err := results.Exec(); s.presumes && errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR" {
			return fmt.Errorf("%w: %w", errPresumed, err)
		} else if err != nil {
			return err
		}
	}
	if read == nil {
		return nil
	}
	return read(results)
}

// errPresumed says that a statement that waited did not do what it was presumed to. Whose it
// was is not told, and a savepoint of its name may be another's: the transaction must not commit.
var errPresumed = errors.New("store: a statement did not succeed as presumed")

// inDoubt is how many batches presume nothing after one that was wrong to.
const inDoubt = 16

// note keeps a failure that is cured by running the whole batch again.
func (s *pgTx) note(err error) error {
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
		return err
	case errors.Is(err, errPresumed) && (pg.Code == "55P03" || pg.Code == "57014"): // lock_not_available, query_canceled: no time is left to try again
		return s.lost(audit.ErrRolledBack, err)
	case errors.Is(err, errPresumed):
		s.doubt.Store(inDoubt)
		return s.lost(audit.ErrConflict, err)
	}
	switch pg.Code {
	case "40001", "40P01": // serialization_failure, deadlock_detected
	case "23505": // unique_violation
		if !strings.HasPrefix(pg.TableName, "log_") {
			return err
		}
	case "53100": // disk_full, for this statement; another may find room
		return unreachable(err)
	default:
		return err
	}
	return s.lost(audit.ErrConflict, err)
}

// lost keeps why the transaction must not commit.
func (s *pgTx) lost(as, err error) error {
	err = fmt.Errorf("%w: %w", as, err)
	if s.conflict == nil {
		s.conflict = err
	}
	return err
}

func (s *pgTx) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	err = s.send(func(results pgx.BatchResults) error {
		tag, err := results.Exec()
		n = tag.RowsAffected()
		return err
	}, query, args...)
	return n, err
}

func (s *pgTx) query(ctx context.Context, fn func(scan) error, query string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.send(func(results pgx.BatchResults) error {
		rows, err := results.Query()
		return each(rows, err, fn)
	}, query, args...)
}

func (s *pgTx) later(ctx context.Context, query string, args ...any) error {
	return s.wait(ctx, statement{query: query, args: args})
}

func (s *pgTx) wait(ctx context.Context, w statement) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.waiting = append(s.waiting, w)
	return nil
}

// change presumes by a statement that divides by nought when that is wrong: then PostgreSQL
// carries out nothing of what was sent behind it, COMMIT included.
func (s *pgTx) change(ctx context.Context, query string, args ...any) (int64, error) {
	if !s.presumes || s.depth == 0 {
		return s.exec(ctx, query, args...)
	}
	return 1, s.wait(ctx, statement{`WITH changed AS (` + query + ` RETURNING 1) SELECT 1 / count(*) FROM changed`, args, true})
}

// holds presumes like change.
func (s *pgTx) holds(ctx context.Context, query string, args ...any) (bool, error) {
	if s.presumes {
		return true, s.wait(ctx, statement{`SELECT 1 / count(*) FROM (` + query + `) found`, args, true})
	}
	return finds(ctx, s, query, args...)
}

// savepoint sends nothing for an fn that sends nothing: not even SAVEPOINT. An fn that failed may
// have done so because of what it presumed: that is found out before its error is believed.
func (s *pgTx) savepoint(fn func() error) error {
	s.depth++
	defer func() { s.depth-- }()
	name := "s" + strconv.Itoa(s.depth)
	sent, outer := s.sent, len(s.waiting)
	s.waiting = append(s.waiting, statement{query: "SAVEPOINT " + name})

	err := fn()
	own := s.waiting
	if s.sent == sent {
		own = own[outer:]
	}
	if err != nil && slices.ContainsFunc(own, func(w statement) bool { return w.presumed }) {
		if wrong := s.query(s.ctx, func(scan) error { return nil }, "SELECT 1"); wrong != nil {
			return wrong
		}
	}
	idle, left := s.sent == sent, len(s.waiting)
	if idle {
		left -= outer + 1
	}
	if err == nil && left > 0 && !s.presumes {
		// What fn left waiting must fail here, as fn's own.
		if _, err = s.exec(s.ctx, "RELEASE SAVEPOINT "+name); err == nil {
			return nil
		}
		idle = false
	}
	switch {
	case idle && (err != nil || left == 0):
		s.waiting = s.waiting[:outer]
		return err
	case err == nil:
		s.waiting = append(s.waiting, statement{query: "RELEASE SAVEPOINT " + name})
		return nil
	}
	s.waiting = nil
	if lost := s.simple(s.ctx, "ROLLBACK TO SAVEPOINT "+name+"; RELEASE SAVEPOINT "+name); lost != nil {
		return fmt.Errorf("rolling back to savepoint after %q: %w", err, lost)
	}
	return err
}

// insertRows hands the rows over as arrays: one statement, prepared once, for any number of
// rows. The arrays are unnested in the list of columns, and not in FROM, where PostgreSQL would
// first store each of them as a table.
func (s *pgTx) insertRows(ctx context.Context, logID string, rows []logRow) error {
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

func (s *pgTx) commit() error {
	err := s.send(func(results pgx.BatchResults) error {
		tag, err := results.Exec()
		if err == nil && tag.String() != "COMMIT" {
			// PostgreSQL answers COMMIT after a failed statement with ROLLBACK, and no error.
			err = fmt.Errorf("%w: a statement failed and its error was ignored", audit.ErrRolledBack)
		}
		return err
	}, "COMMIT")
	// An ERROR of what was sent ends in a rollback. FATAL and PANIC end the connection,
	// and so may come after the commit.
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.SeverityUnlocalized == "ERROR" {
		err = fmt.Errorf("%w: %w", audit.ErrRolledBack, err)
	}
	return doing("committing", err)
}

// rollback is bounded and does not depend on the context of the batch, which may
// be over. When it fails the connection is dropped, which has the same effect.
func (s *pgTx) rollback() {
	_ = s.finish() // whatever it came to
	if s.conn.IsClosed() || s.conn.PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 5*time.Second)
	defer cancel()
	_ = s.simple(ctx, "ROLLBACK")
}

// simple runs statements that cannot be prepared in a failed transaction.
func (s *pgTx) simple(ctx context.Context, statements string) error {
	_ = s.finish() // it is undone with the rest
	_, err := s.conn.PgConn().Exec(ctx, statements).ReadAll()
	return err
}
