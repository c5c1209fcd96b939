package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"modernc.org/sqlite"

	"elicence/audit"
)

// SQLite is the store in one SQLite file, for one machine and without set-up. It
// is safe for concurrent use: batches run one after the other, reads beside them.
type SQLite struct {
	reader
	writer, readers *sqliteDB
}

// sqliteReaders is how many reads run at a time.
const sqliteReaders = 4

// OpenSQLite opens the database file at path, and makes it, readable for its
// owner only, when there is none. path may also be a URI (file:PATH?_pragma=…)
// whose pragmas replace ours. ErrNotDurable is returned when synchronous is
// below FULL or the journal is not in WAL mode, as on a file system that cannot
// map memory. Migrate makes the tables.
func OpenSQLite(ctx context.Context, path string, s Secrets) (*SQLite, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	uri, err := sqliteURI(path)
	if err != nil {
		return nil, err
	}
	writer, err := openSQLite(ctx, uri+"&_txlock=immediate", 1)
	if err != nil {
		return nil, err
	}
	readers, err := openSQLite(ctx, uri+"&_pragma=query_only(1)", sqliteReaders)
	if err != nil {
		_ = writer.close()
		return nil, err
	}
	return &SQLite{reader{readSession: readers, secrets: s, writing: writer}, writer, readers}, nil
}

// sqliteURI makes the file and returns its URI with the pragmas that a store needs.
func sqliteURI(path string) (string, error) {
	uri, given, _ := strings.Cut(path, "?")
	if !strings.HasPrefix(path, "file:") {
		uri, given = "file:"+(&url.URL{Path: path}).EscapedPath(), ""
	}
	name, err := url.PathUnescape(strings.TrimPrefix(strings.TrimPrefix(uri, "file://"), "file:"))
	if err != nil {
		return "", fmt.Errorf("reading SQLite URI: %w", err)
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", fmt.Errorf("opening SQLite: %w", err)
	}
	if err := file.Close(); err != nil {
		return "", fmt.Errorf("opening SQLite: %w", err)
	}
	uri += "?" + given
	for _, pragma := range []struct{ name, value string }{
		{"busy_timeout", "10000"}, {"journal_mode", "WAL"}, {"synchronous", "FULL"}, {"foreign_keys", "1"},
		{"secure_delete", "FAST"}, // what is erased is overwritten where its page is written anyway
	} {
		if !strings.Contains(given, pragma.name) {
			uri += "&_pragma=" + pragma.name + "(" + pragma.value + ")"
		}
	}
	return uri, nil
}

func openSQLite(ctx context.Context, uri string, connections int) (*sqliteDB, error) {
	db, err := sql.Open("sqlite", uri)
	if err != nil {
		return nil, fmt.Errorf("opening SQLite: %w", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	s := &sqliteDB{db: db, prepared: map[string]*sql.Stmt{}}
	if err := s.durable(ctx); err != nil {
		_ = db.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the file, after what is running has ended.
func (s *SQLite) Close() error { return errors.Join(s.readers.close(), s.writer.close()) }

// Ready reports whether the database answers, has its tables and is durable.
func (s *SQLite) Ready(ctx context.Context) error {
	if err := s.readers.durable(ctx); err != nil {
		return err
	}
	return ready(ctx, s)
}

// Batch implements audit.Storage. It waits for the batch before it.
func (s *SQLite) Batch(ctx context.Context, fn func(audit.Tx) error) error {
	err := s.writer.prepareMissed(ctx)
	if err != nil {
		return fmt.Errorf("preparing statements: %w", sqliteError(err))
	}
	tx, err := s.writer.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning batch: %w", sqliteError(err))
	}
	session := &sqliteTx{ctx: ctx, db: s.writer, tx: tx}
	if err = fn(&transaction{txSession: session, secrets: s.secrets}); err == nil && session.lost == nil {
		if err = tx.Commit(); err == nil {
			return nil
		}
		err = fmt.Errorf("committing: %w", commitError(err))
	}
	if session.lost != nil {
		err = session.lost // whatever fn made of it
	}
	_ = tx.Rollback() // it may have been rolled back already
	return err
}

// sqliteDB is a pool of connections with its prepared statements.
type sqliteDB struct {
	db       *sql.DB
	mu       sync.Mutex           // guards prepared and missed
	prepared map[string]*sql.Stmt // by query; the queries are constants, so there are few
	missed   []string             // what a transaction had to prepare for itself
}

func (s *sqliteDB) close() error { return s.db.Close() }

// durable returns ErrNotDurable when a committed transaction may be lost.
func (s *sqliteDB) durable(ctx context.Context) error {
	var (
		synchronous int
		mode        string
	)
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("opening SQLite: %w", err)
	}
	defer func() { _ = conn.Close() }() // back to the pool
	if err := conn.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&synchronous); err != nil {
		return fmt.Errorf("reading durability settings: %w", err)
	}
	if err := conn.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode); err != nil {
		return fmt.Errorf("reading durability settings: %w", err)
	}
	switch {
	case synchronous < 2:
		return fmt.Errorf("%w: SQLite runs with synchronous = %d, below FULL (2)", ErrNotDurable, synchronous)
	case mode != "wal":
		return fmt.Errorf("%w: SQLite runs with journal_mode = %s, not WAL", ErrNotDurable, mode)
	}
	return nil
}

// statement returns the prepared form of a query.
func (s *sqliteDB) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	stmt := s.prepared[query]
	s.mu.Unlock()
	if stmt != nil {
		return stmt, nil
	}
	// Not under the lock: preparing may wait for a connection.
	stmt, err := s.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if earlier := s.prepared[query]; earlier != nil {
		_ = stmt.Close()
		return earlier, nil
	}
	s.prepared[query] = stmt
	return stmt, nil
}

// prepareMissed prepares what earlier transactions did without. It comes between
// transactions: one that is open has the only connection of its pool.
func (s *sqliteDB) prepareMissed(ctx context.Context) error {
	s.mu.Lock()
	missed := s.missed
	s.missed = nil
	s.mu.Unlock()
	for _, query := range missed {
		if _, err := s.statement(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqliteDB) exec(ctx context.Context, query string, args ...any) (int64, error) {
	stmt, err := s.statement(ctx, query)
	if err != nil {
		return 0, err
	}
	return execStmt(ctx, stmt, args)
}

func (s *sqliteDB) query(ctx context.Context, fn func(scan) error, query string, args ...any) error {
	stmt, err := s.statement(ctx, query)
	if err != nil {
		return err
	}
	return queryStmt(ctx, stmt, fn, args)
}

// short saves nothing: there are no round trips.
func (s *sqliteDB) short(ctx context.Context, reads ...read) error {
	for _, r := range reads {
		if err := s.query(ctx, r.row, r.query, r.args...); err != nil {
			return err
		}
	}
	return nil
}

func execStmt(ctx context.Context, stmt *sql.Stmt, args []any) (int64, error) {
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func queryStmt(ctx context.Context, stmt *sql.Stmt, fn func(scan) error, args []any) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// sqliteTx is a transaction on the writing connection.
type sqliteTx struct {
	ctx   context.Context // of the batch: its end, and no caller's, ends the transaction
	db    *sqliteDB
	tx    *sql.Tx
	depth int // open savepoints
	// lost is the first failure after which the transaction must not commit,
	// whatever its user makes of it: a conflict, or one that may have ended it.
	// SQLite rolls back by itself when the disk is full or a statement is
	// interrupted, and what came after would commit statement by statement.
	lost error
}

func (s *sqliteTx) lock() string { return "" } // there is one writer

// run runs one prepared statement, unless the transaction is lost.
func (s *sqliteTx) run(ctx context.Context, query string, fn func(*sql.Stmt) error) error {
	if s.lost != nil {
		return s.lost
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	stmt, err := s.prepare(query)
	if err == nil {
		err = fn(stmt)
	}
	if err = sqliteError(err); err != nil && (!isConstraint(err) || errors.Is(err, audit.ErrConflict)) {
		s.lost = err
	}
	return err
}

// prepare prepares on the transaction's own connection, the pool having no other, what
// no transaction has run before.
func (s *sqliteTx) prepare(query string) (*sql.Stmt, error) {
	s.db.mu.Lock()
	stmt := s.db.prepared[query]
	if stmt == nil {
		s.db.missed = append(s.db.missed, query)
	}
	s.db.mu.Unlock()
	if stmt != nil {
		return s.tx.StmtContext(s.ctx, stmt), nil
	}
	return s.tx.PrepareContext(s.ctx, query)
}

func (s *sqliteTx) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = s.run(ctx, query, func(stmt *sql.Stmt) error {
		n, err = execStmt(s.ctx, stmt, args)
		return err
	})
	return n, err
}

func (s *sqliteTx) query(ctx context.Context, fn func(scan) error, query string, args ...any) error {
	return s.run(ctx, query, func(stmt *sql.Stmt) error { return queryStmt(s.ctx, stmt, fn, args) })
}

func (s *sqliteTx) later(ctx context.Context, query string, args ...any) error {
	_, err := s.exec(ctx, query, args...)
	return err
}

func (s *sqliteTx) change(ctx context.Context, query string, args ...any) (int64, error) {
	return s.exec(ctx, query, args...)
}

func (s *sqliteTx) holds(ctx context.Context, query string, args ...any) (bool, error) {
	return finds(ctx, s, query, args...)
}

func (s *sqliteTx) start() error { return nil } // later waits for nothing

func (s *sqliteTx) savepoint(fn func() error) error {
	s.depth++
	defer func() { s.depth-- }()
	name := "s" + strconv.Itoa(s.depth)
	if _, err := s.exec(s.ctx, "SAVEPOINT "+name); err != nil {
		return err
	}
	err := fn()
	if err != nil {
		if _, lost := s.exec(s.ctx, "ROLLBACK TO SAVEPOINT "+name); lost != nil {
			return fmt.Errorf("rolling back to savepoint after %q: %w", err, lost)
		}
	}
	if _, lost := s.exec(s.ctx, "RELEASE SAVEPOINT "+name); lost != nil {
		return lost
	}
	return err
}

func (s *sqliteTx) insertRows(ctx context.Context, logID string, rows []logRow) error {
	for _, r := range rows {
		_, err := s.exec(ctx, `INSERT INTO log_entry (log_id, "index", record, leaf, opening) VALUES ($1, $2, $3, $4, $5)`,
			logID, r.index, r.record, r.leaf, r.opening)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *sqliteTx) insertKeys(ctx context.Context, keys []logKeys) error {
	for _, k := range keys {
		_, err := s.exec(ctx, `INSERT INTO log_key ("index", principal, action, object, case_number, holder)
			VALUES ($1, $2, $3, nullif($4, 0), nullif($5, 0), nullif($6, 0))`,
			k.index, k.principal, k.action, k.object, k.caseNumber, k.holder)
		if err != nil {
			return err
		}
	}
	return nil
}

// Result codes of SQLite (sqlite.org/rescode.html).
const (
	sqliteBusy              = 5
	sqliteFull              = 13
	sqliteConstraint        = 19
	sqliteConstraintTrigger = sqliteConstraint | 7<<8
)

// sqliteError marks what is cured by running the whole batch again: a writer in
// another process, and an index of the log that is taken.
func sqliteError(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) || errors.Is(err, audit.ErrConflict) {
		return err
	}
	taken := e.Code() == sqliteConstraintTrigger && strings.Contains(e.Error(), "is taken")
	if e.Code()&0xff == sqliteBusy || taken {
		return fmt.Errorf("%w: %w", audit.ErrConflict, err)
	}
	return err
}

// commitError marks what is certain not to be stored: of a full disk, as the mark that makes
// a transaction stand is what is written last. When syncing fails it is written already.
func commitError(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code()&0xff == sqliteFull {
		return fmt.Errorf("%w: %w", audit.ErrRolledBack, err)
	}
	return sqliteError(err)
}

func isConstraint(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqliteConstraint
}
