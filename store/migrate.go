package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

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
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("preparing migration: %w", err)
	}
	db := stdlib.OpenDBFromPool(p.pool)
	defer func() { err = errors.Join(err, db.Close()) }() // the pool stays open
	if err := migrate(ctx, goose.DialectPostgres, db, migrations.Postgres(), goose.WithSessionLocker(locker), goose.WithGoMigrations(rowMACs(p.secrets, `bytea NOT NULL DEFAULT ''`,
		`GRANT UPDATE (mac) ON reuse_grant, reuse_case, client_key, person, holder_consent TO elicence_server`))); err != nil {
		if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && pg.Code == insufficientPrivilege {
			err = fmt.Errorf("the tables are older than this program, and user %s may not change them (elicenced migrate, as their owner, does): %w", p.pool.Config().ConnConfig.User, err)
		}
		return err
	}
	if err := errors.Join(keyOldEntries(ctx, p.reader, p), dateOldLicences(ctx, p.reader, p)); err != nil {
		return err
	}
	var may bool // the server's role may not, and need not
	if err := one(ctx, p, `SELECT has_function_privilege('log_cut(bigint, int)', 'EXECUTE')`, nil, &may); err != nil || !may {
		return doing("looking for log_cut", err)
	}
	return p.Cut(ctx)
}

// Migrate brings the tables up to date.
func (s *SQLite) Migrate(ctx context.Context) error {
	if err := migrate(ctx, goose.DialectSQLite3, s.writer.db, migrations.SQLite(), goose.WithGoMigrations(rowMACs(s.secrets, `blob NOT NULL DEFAULT x''`))); err != nil {
		return err
	}
	return errors.Join(keyOldEntries(ctx, s.reader, s), dateOldLicences(ctx, s.reader, s))
}

func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, files fs.FS, options ...goose.ProviderOption) error {
	provider, err := goose.NewProvider(dialect, db, files, options...)
	if err != nil {
		return fmt.Errorf("preparing migration: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	return nil
}

// ready reports whether the tables are there.
func ready(ctx context.Context, s session) error {
	err := s.query(ctx, func(scan) error { return nil }, `SELECT size FROM log_checkpoint LIMIT 1`)
	return doing("looking for the tables (is the database migrated?)", err)
}
