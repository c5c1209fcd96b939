package store_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"elicence/store"
	"elicence/store/pgtest"
)

// TestServerRole tries, as a member of elicence_server, what only an owner may: the
// database itself refuses it, before any trigger.
func TestServerRole(t *testing.T) {
	dsn := postgres.DSN(t)
	logOf(t, migrated(t, engine{"owner", openerOf(dsn)}), 4)
	member := postgres.Member(t, dsn, "elicence_server")
	server := migrated(t, engine{"server", openerOf(member)}) // which changes nothing
	before := rows(t, server)
	db := raw(t, "pgx", member)
	for _, statement := range []string{
		`UPDATE log_entry SET record = leaf WHERE "index" = 1`,
		`UPDATE log_entry SET leaf = record WHERE "index" = 1`,
		`UPDATE log_entry SET "index" = 9 WHERE "index" = 1`,
		`UPDATE log_entry SET log_id = 'other'`,
		`UPDATE log_entry SET opening = NULL, record = leaf WHERE "index" = 1`,
		`INSERT INTO log_entry SELECT * FROM log_entry ON CONFLICT (log_id, "index") DO UPDATE SET record = excluded.leaf`,
		`MERGE INTO log_entry e USING log_entry f ON e."index" = f."index" WHEN MATCHED THEN DELETE`,
		`DELETE FROM log_entry WHERE "index" = 3`, `TRUNCATE log_entry`,
		`UPDATE log_checkpoint SET note = last_leaf`, `DELETE FROM log_checkpoint`, `TRUNCATE log_checkpoint`,
		`UPDATE log_node SET hash = 'x'`, `DELETE FROM log_node`, `TRUNCATE log_node`,
		`UPDATE log_cosigned SET note = 'x'`, `DELETE FROM log_cosigned`, `TRUNCATE log_cosigned`,
		`UPDATE log_key SET principal = 1`, `DELETE FROM log_key`, `TRUNCATE log_key`,
		`UPDATE log_hold SET placed_at = 1`, `DELETE FROM log_hold`, `TRUNCATE log_hold`,
		`UPDATE licence SET number = NULL`, `UPDATE licence SET data = NULL`, `UPDATE licence SET identifier = 'x'`, `DELETE FROM licence`, `TRUNCATE licence CASCADE`,
		`UPDATE licence_status SET at = 0`, `DELETE FROM licence_status`, `UPDATE licence_file SET size = 0`, `DELETE FROM licence_file`,
		`DELETE FROM seal`, `UPDATE seal_status SET at = 0`, `DELETE FROM client`, `DELETE FROM number_series`, `UPDATE goose_db_version SET version_id = 0`,
		`DROP TABLE log_entry`, `ALTER TABLE log_entry DISABLE TRIGGER ALL`, `ALTER TABLE log_entry DROP COLUMN opening`,
		`DROP TRIGGER log_entry_delete ON log_entry`, `CREATE TRIGGER x BEFORE INSERT ON log_entry EXECUTE FUNCTION refuse_change()`,
		`CREATE RULE x AS ON INSERT TO log_entry DO INSTEAD NOTHING`, `ALTER FUNCTION refuse_change() RENAME TO x`,
		`CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
		`CREATE TABLE x (y int)`, `CREATE ROLE x`, `ALTER ROLE elicence_server SUPERUSER`,
		`SET session_replication_role = replica`, `COPY log_entry TO PROGRAM 'cat'`,
	} {
		_, err := db.ExecContext(t.Context(), statement)
		if pg := (*pgconn.PgError)(nil); !errors.As(err, &pg) || pg.Code != "42501" {
			t.Errorf("%s: %v; want that permission is denied", statement, err)
		}
	}
	var granted bool // a grant without the right to give it is a warning, and no error
	_, err := db.ExecContext(t.Context(), `GRANT ALL ON log_entry TO PUBLIC`)
	if err == nil {
		err = db.QueryRowContext(t.Context(), `SELECT has_table_privilege('log_entry', 'UPDATE, DELETE, TRUNCATE')`).Scan(&granted)
	}
	if err != nil || granted {
		t.Errorf("granting itself rights: %t, %v", granted, err)
	}
	// Within its rights, but no erasure.
	_, err = db.ExecContext(t.Context(), `UPDATE log_entry SET opening = record WHERE "index" = 1`)
	if err == nil || !strings.Contains(err.Error(), "append-only") {
		t.Errorf("replacing an opening: %v", err)
	}
	if _, err := db.ExecContext(t.Context(), `UPDATE log_entry SET opening = NULL WHERE "index" = 1`); err != nil {
		t.Errorf("erasing an opening: %v", err)
	}
	after := rows(t, server)
	if before[1].Opening == nil || after[1].Opening != nil || len(after) != len(before) {
		t.Errorf("%d of %d rows, opening %q", len(after), len(before), after[1].Opening)
	}
}

// openerOf opens one database.
func openerOf(dsn string) func(context.Context, store.Secrets) (backend, error) {
	return func(ctx context.Context, s store.Secrets) (backend, error) {
		return opened(store.OpenPostgres(ctx, dsn, s))
	}
}

// TestRoles has what each kind of user may do to the log told apart, and only the owner of
// the tables bring them up to date.
func TestRoles(t *testing.T) {
	dsn := postgres.DSN(t)
	migrated(t, engine{"owner", openerOf(dsn)})
	for _, c := range []struct {
		name, dsn string
		may       bool
	}{
		{"owner", dsn, true},
		{"server", postgres.Member(t, dsn, "elicence_server"), false},
		{"archive", postgres.Member(t, dsn, "elicence_archive"), false},
	} {
		p, err := store.OpenPostgres(t.Context(), c.dsn, secrets(t))
		if err != nil {
			t.Fatal(err)
		}
		if user, may, err := p.MayRewrite(t.Context()); err != nil || may != c.may || user == "" {
			t.Errorf("%s, user %q: may rewrite %t, %v", c.name, user, may, err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	empty := postgres.DSN(t)
	early, err := store.OpenPostgres(t.Context(), postgres.Member(t, empty, "elicence_server"), secrets(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := early.Migrate(t.Context()); err == nil {
		t.Error("the server's user made tables")
	}
	if err := early.Close(); err != nil {
		t.Error(err)
	}
	owner := raw(t, "pgx", dsn)
	if _, err := owner.ExecContext(t.Context(), `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`); err != nil {
		t.Fatal(err)
	}
	late, err := store.OpenPostgres(t.Context(), postgres.Member(t, dsn, "elicence_server"), secrets(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "elicenced migrate") {
		t.Errorf("older tables, as the server's user: %v", err)
	}
	if err := late.Close(); err != nil {
		t.Error(err)
	}
}

// TestRolesMade migrates two databases of a new cluster at once, as a user who may make
// roles and is no superuser, and a third as one who may not: first when the roles are not
// there.
func TestRolesMade(t *testing.T) {
	t.Parallel()
	var cluster pgtest.Server
	t.Cleanup(cluster.Stop)
	admin := raw(t, "pgx", cluster.OwnDSN(t))
	for _, statement := range []string{
		`CREATE ROLE city LOGIN CREATEROLE`, `CREATE ROLE district LOGIN`,
		`CREATE DATABASE one OWNER city`, `CREATE DATABASE two OWNER city`, `CREATE DATABASE three OWNER district`,
	} {
		if _, err := admin.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	migrate := func(user, database string) error {
		dsn := strings.NewReplacer("elicence@", user+"@", "/postgres?", "/"+database+"?").Replace(cluster.OwnDSN(t))
		p, err := store.OpenPostgres(t.Context(), dsn, secrets(t))
		if err != nil {
			return err
		}
		return errors.Join(p.Migrate(t.Context()), p.Ready(t.Context()), p.Close())
	}
	if err := migrate("district", "three"); err == nil || !strings.Contains(err.Error(), "CREATE ROLE elicence_server NOLOGIN") || strings.Contains(err.Error(), "as their owner") {
		t.Errorf("without the roles, and without the right to make them: %v", err)
	}
	var both sync.WaitGroup
	for _, database := range []string{"one", "two"} {
		both.Go(func() {
			if err := migrate("city", database); err != nil {
				t.Errorf("database %s: %v", database, err)
			}
		})
	}
	both.Wait()
	if err := migrate("district", "three"); err != nil {
		t.Errorf("when the roles are there: %v", err)
	}
	wantPlainRoles(t, admin)
}

// wantPlainRoles: the roles are groups, with no right of their own over the cluster.
func wantPlainRoles(t *testing.T, db *sql.DB) {
	t.Helper()
	var plain int
	err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_roles WHERE rolname IN ('elicence_server', 'elicence_archive')
		AND NOT (rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)`).Scan(&plain)
	if err != nil || plain != 2 {
		t.Errorf("%d of 2 roles are plain groups: %v", plain, err)
	}
}
