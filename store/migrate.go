package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"elicence/migrations"
)

// Migrate brings the tables up to date. Several servers may start at the same
// time: one migrates and the others wait for it. Tables that are up to date are only
// looked at, so that a member of elicence_server may do so.
func (p *Postgres) Migrate(ctx context.Context) (err error) {
	provider, closed, err := p.migrations()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closed()) }()
	if err := up(ctx, provider); err != nil {
		if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && pg.Code == insufficientPrivilege {
			err = fmt.Errorf("the tables are older than this program, and user %s may not change them (elicenced migrate, as their owner, does): %w", p.pool.Config().ConnConfig.User, err)
		}
		return err
	}
	if err := keyOldEntries(ctx, p.reader, p); err != nil {
		return err
	}
	var may bool // the server's role may not, and need not
	if err := one(ctx, p, `SELECT has_function_privilege('log_cut(bigint, int)', 'EXECUTE')`, nil, &may); err != nil || !may {
		return doing("looking for log_cut", err)
	}
	return p.Cut(ctx)
}

// migrations are those of PostgreSQL, for one server at a time, and what closes them.
func (p *Postgres) migrations() (*goose.Provider, func() error, error) {
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, nil, fmt.Errorf("preparing migration: %w", err)
	}
	db := stdlib.OpenDBFromPool(p.pool) // which stays open
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Postgres(), goose.WithSessionLocker(locker), macMigrations(p.secrets, `bytea NOT NULL DEFAULT ''`, map[int64]string{
		24: `GRANT UPDATE (mac) ON reuse_grant, reuse_case, client_key, person, holder_consent TO elicence_server`,
		26: `GRANT UPDATE (standing_mac) ON licence TO elicence_server`,
	}))
	return provider, db.Close, doing("preparing migration", err)
}

// Migrate brings the tables up to date.
func (s *SQLite) Migrate(ctx context.Context) error {
	provider, err := s.migrations()
	if err == nil {
		err = up(ctx, provider)
	}
	if err != nil {
		return err
	}
	return keyOldEntries(ctx, s.reader, s)
}

func (s *SQLite) migrations() (*goose.Provider, error) {
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.writer.db, migrations.SQLite(), macMigrations(s.secrets, `blob NOT NULL DEFAULT x''`, nil))
	return provider, doing("preparing migration", err)
}

func up(ctx context.Context, provider *goose.Provider) error {
	_, err := provider.Up(ctx)
	return doing("migrating", err)
}

// ready reports whether the tables are there.
func ready(ctx context.Context, s session) error {
	err := s.query(ctx, func(scan) error { return nil }, `SELECT size FROM log_checkpoint LIMIT 1`)
	return doing("looking for the tables (is the database migrated?)", err)
}
