package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"

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
	pool  *pgxpool.Pool
	doubt atomic.Int64 // how many batches more presume nothing
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
	return &Postgres{reader: reader{readSession: pgSession{pool, &rounds{}}, secrets: s, writing: pgSession{pool: pool}, skip: " FOR UPDATE OF d SKIP LOCKED", share: " FOR SHARE"}, pool: pool}, nil
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
	s := &pgTx{ctx: ctx, conn: conn.Conn(), doubt: &p.doubt, waiting: []statement{{query: "BEGIN"}, {query: takeTurn}}}
	s.presumes = p.doubt.Add(-1) < 0
	if err = fn(&transaction{txSession: s, secrets: p.secrets}); err == nil && s.conflict == nil {
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
