package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"elicence/audit"
	"elicence/licence/registry"
)

// Postgres is the store in PostgreSQL, for a city. Any number of servers may
// share one database. It is safe for concurrent use.
type Postgres struct {
	reader
	pool *pgxpool.Pool
}

// OpenPostgres connects to the database that dsn names, a URL or keywords and
// values; its search_path says in which schema the tables lie. It returns
// ErrNotDurable when fsync, full_page_writes or synchronous_commit is off.
// Migrate makes the tables.
func OpenPostgres(ctx context.Context, dsn string, s Secrets) (*Postgres, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("reading PostgreSQL DSN: %w", err)
	}
	// A server that hangs inside a batch must not hold up the others, nor must whoever
	// else holds a lock: a refusal within a bounded time is better than none.
	for name, value := range map[string]string{"idle_in_transaction_session_timeout": "15s", "lock_timeout": "20s"} {
		if _, given := config.ConnConfig.RuntimeParams[name]; !given {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	// Any connection may have settings of its own, so each is checked.
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error { return checkPostgres(ctx, c) }
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening PostgreSQL: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("opening PostgreSQL: %w", err)
	}
	return &Postgres{reader{readSession: pgSession{pool, &rounds{}}, secrets: s, writing: pgSession{pool: pool}, skip: " FOR UPDATE OF d SKIP LOCKED"}, pool}, nil
}

// Close closes all connections and waits for those in use.
func (p *Postgres) Close() error {
	p.pool.Close()
	return nil
}

// Ready reports whether the database answers, has its tables and is durable.
func (p *Postgres) Ready(ctx context.Context) error {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("reaching PostgreSQL: %w", err)
	}
	defer conn.Release()
	if err := checkPostgres(ctx, conn.Conn()); err != nil {
		return err
	}
	return ready(ctx, p)
}

// insufficientPrivilege is the SQLSTATE of what the role may not do.
const insufficientPrivilege = "42501"

// MayRewrite reports whether the user of the connection could change or remove entries of
// the log: as the owner of its tables, as a superuser, or by a grant. A member of
// elicence_server cannot. The tables must be there.
func (p *Postgres) MayRewrite(ctx context.Context) (user string, may bool, err error) {
	err = p.pool.QueryRow(ctx, `SELECT current_user, bool_or(pg_has_role(relowner, 'MEMBER') OR has_table_privilege(oid, 'UPDATE, DELETE, TRUNCATE'))
		FROM pg_class WHERE oid IN ('log_entry'::regclass, 'log_checkpoint'::regclass, 'log_node'::regclass, 'log_cosigned'::regclass)`).Scan(&user, &may)
	return user, may, doing("reading privileges", err)
}

// checkPostgres returns ErrNotDurable when a committed transaction may be lost.
func checkPostgres(ctx context.Context, c *pgx.Conn) error {
	var fsync, pages, commit string
	err := c.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_commit')`).Scan(&fsync, &pages, &commit)
	if err != nil {
		return fmt.Errorf("reading durability settings: %w", err)
	}
	for name, value := range map[string]string{"fsync": fsync, "full_page_writes": pages, "synchronous_commit": commit} {
		if value == "off" {
			return fmt.Errorf("%w: PostgreSQL runs with %s = off", ErrNotDurable, name)
		}
	}
	return nil
}

// takeTurn makes the batches of all servers on one schema wait for each other. It
// is not what keeps them apart, but they could not run side by side anyway, and
// waiting at the start saves the conflicts and deadlocks that they would end in.
// The number is "elic" in ASCII.
const takeTurn = `SELECT pg_advisory_xact_lock(1701603683, 'log_checkpoint'::regclass::oid::int)`

// Batch implements audit.Storage, in READ COMMITTED: that two batches do not take
// the same index is for the primary key of log_entry to see to, and every other
// change is one conditional statement.
func (p *Postgres) Batch(ctx context.Context, fn func(audit.Tx) error) error {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("reaching PostgreSQL: %w", err)
	}
	defer conn.Release() // drops a connection that is still in a transaction
	s := &pgTx{ctx: ctx, conn: conn.Conn(), waiting: []statement{{query: "BEGIN"}, {query: takeTurn}}}
	if err = fn(&transaction{s, p.secrets}); err == nil && s.conflict == nil {
		err = s.commit()
	}
	if s.conflict != nil {
		err = s.conflict // whatever fn made of it
	}
	if err != nil {
		s.rollback()
	}
	return err
}

// pgSession runs each statement on a connection of its own.
type pgSession struct {
	pool   *pgxpool.Pool
	rounds *rounds // of short reads
}

func (s pgSession) short(ctx context.Context, reads ...read) error {
	return s.rounds.ask(ctx, s.pool, reads)
}

func (s pgSession) exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := s.pool.Exec(ctx, query, args...)
	return tag.RowsAffected(), unreachable(err)
}

func (s pgSession) query(ctx context.Context, fn func(scan) error, query string, args ...any) error {
	rows, err := s.pool.Query(ctx, query, args...)
	return unreachable(each(rows, err, fn))
}

// unreachable marks the errors of a server that is away, starts, is at its end, or has no room
// (class 53 of PostgreSQL's codes).
func unreachable(err error) error {
	var (
		connect *pgconn.ConnectError
		pg      *pgconn.PgError
		network net.Error
	)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &connect), errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF),
		errors.As(err, &pg) && (pg.SeverityUnlocalized != "ERROR" || strings.HasPrefix(pg.Code, "53")):
		return fmt.Errorf("%w: %w", registry.ErrUnreachable, err)
	}
	return err
}

func each(rows pgx.Rows, err error, fn func(scan) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

type statement struct {
	query string
	args  []any
}

// pgTx is a transaction on one connection. Statements whose result nobody reads
// (BEGIN, SAVEPOINT, RELEASE and those given to later) wait and travel with the
// next one, which saves most round trips of a batch.
type pgTx struct {
	ctx     context.Context // of the batch: its end, and no caller's, ends the transaction
	conn    *pgx.Conn
	waiting []statement
	// started gives the error of the statements that are under way; nil when none are.
	started chan error
	// depth is the number of open savepoints, sent that of round trips.
	depth, sent int
	// conflict is the first serialization failure or deadlock: from then on the
	// transaction must not commit, whatever its user makes of the error.
	conflict error
}

func (s *pgTx) lock() string { return " FOR UPDATE OF l" }

// send runs the waiting statements and then query, and hands the results of query to read.
func (s *pgTx) send(read func(pgx.BatchResults) error, query string, args ...any) error {
	if err := s.finish(); err != nil {
		return err
	}
	all := append(s.waiting, statement{query, args})
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
	go func() {
		done <- s.run(all, func(results pgx.BatchResults) error {
			_, err := results.Exec()
			return err
		})
	}()
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

// run runs statements in one round trip, and hands the results of the last to read.
func (s *pgTx) run(all []statement, read func(pgx.BatchResults) error) error {
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
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	return read(results)
}

// note keeps a failure that is cured by running the whole batch again.
func (s *pgTx) note(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
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
	err = fmt.Errorf("%w: %w", audit.ErrConflict, err)
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
	if err := ctx.Err(); err != nil {
		return err
	}
	s.waiting = append(s.waiting, statement{query, args})
	return nil
}

// savepoint sends nothing for an fn that sends nothing: not even SAVEPOINT.
func (s *pgTx) savepoint(fn func() error) error {
	s.depth++
	defer func() { s.depth-- }()
	name := "s" + strconv.Itoa(s.depth)
	sent, outer := s.sent, len(s.waiting)
	s.waiting = append(s.waiting, statement{query: "SAVEPOINT " + name})

	err := fn()
	idle, left := s.sent == sent, len(s.waiting)
	if idle {
		left -= outer + 1
	}
	if err == nil && left > 0 {
		// What fn left waiting must fail here, as fn's own.
		if _, err = s.exec(s.ctx, "RELEASE SAVEPOINT "+name); err == nil {
			return nil
		}
		idle = false
	}
	switch {
	case idle:
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
