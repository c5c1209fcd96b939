package store_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence/registry"
	"elicence/store"
)

func TestSQLiteDurability(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, path string
		ok         bool
	}{
		{"as it comes", filepath.Join(dir, "a.db"), true},
		{"a name that wants escaping", filepath.Join(dir, "市 ?#%41&_pragma=x.db"), true},
		{"a URI", "file:" + filepath.Join(dir, "b.db"), true},
		{"more cache", "file:" + filepath.Join(dir, "c.db") + "?_pragma=cache_size(-8000)", true},
		{"synchronous = EXTRA", "file:" + filepath.Join(dir, "d.db") + "?_pragma=synchronous(EXTRA)", true},
		{"synchronous = NORMAL", "file:" + filepath.Join(dir, "e.db") + "?_pragma=synchronous(NORMAL)", false},
		{"synchronous = OFF", "file:" + filepath.Join(dir, "f.db") + "?_pragma=synchronous(0)", false},
		{"journal_mode = MEMORY", "file:" + filepath.Join(dir, "g.db") + "?_pragma=journal_mode(MEMORY)", false},
	} {
		b, err := store.OpenSQLite(t.Context(), c.path, secrets(t))
		if err == nil {
			if err := errors.Join(b.Migrate(t.Context()), b.Ready(t.Context()), b.Close()); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, store.ErrNotDurable) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "市 ?#%41&_pragma=x.db"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v", info.Mode())
	}
	if _, err := store.OpenSQLite(t.Context(), filepath.Join(dir, "no", "such", "folder.db"), secrets(t)); err == nil {
		t.Error("opened in a folder that does not exist")
	}
}

// TestPostgresDurability plays a server with other settings: a schema that comes
// before pg_catalog and has a current_setting of its own.
func TestPostgresDurability(t *testing.T) {
	for _, c := range []struct {
		setting, value string
		ok             bool
	}{
		{"fsync", "off", false},
		{"full_page_writes", "off", false},
		{"synchronous_commit", "off", false},
		{"synchronous_commit", "remote_apply", true},
		{"fsync", "on", true},
	} {
		dsn := postgres.DSN(t)
		db := raw(t, "pgx", dsn)
		_, err := db.ExecContext(t.Context(), `CREATE FUNCTION current_setting(text) RETURNS text LANGUAGE sql AS
			$$ SELECT CASE WHEN $1 = '`+c.setting+`' THEN '`+c.value+`' ELSE pg_catalog.current_setting($1) END $$`)
		if err != nil {
			t.Fatal(err)
		}
		b, err := store.OpenPostgres(t.Context(), shadowed(t, dsn), secrets(t))
		if err == nil {
			_ = b.Close()
		}
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, store.ErrNotDurable) {
			t.Errorf("%s = %s: %v", c.setting, c.value, err)
		}
	}
	b, err := store.OpenPostgres(t.Context(), with(t, postgres.DSN(t), "synchronous_commit", "off"), secrets(t))
	if err == nil {
		_ = b.Close()
	}
	if !errors.Is(err, store.ErrNotDurable) || !strings.Contains(err.Error(), "synchronous_commit") {
		t.Errorf("synchronous_commit switched off in the DSN: %v", err)
	}
}

// with adds a setting to a DSN.
func with(t *testing.T, dsn, name, value string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		return dsn + " " + name + "='" + value + "'"
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // pgx reads a plus as a plus
	return u.String()
}

// shadowed puts the schema of a DSN before pg_catalog.
func shadowed(t *testing.T, dsn string) string {
	t.Helper()
	var schema string
	if err := raw(t, "pgx", dsn).QueryRowContext(t.Context(), `SELECT current_schema()`).Scan(&schema); err != nil {
		t.Fatal(err)
	}
	return with(t, dsn, "search_path", schema+",pg_catalog")
}

// TestDeadlock lets a batch deadlock with somebody else: the batch must say that
// it may be run again, also when its user hides the error.
func TestDeadlock(t *testing.T) {
	dsn := postgres.DSN(t)
	e := engine{"PostgreSQL", func(ctx context.Context, s store.Secrets) (backend, error) {
		return opened(store.OpenPostgres(ctx, dsn, s))
	}}
	b := migrated(t, e)
	next := func(tx audit.Tx, series string) error {
		_, err := tx.(registry.Tx).NextNumber(t.Context(), series)
		return err
	}
	err := b.Batch(t.Context(), func(tx audit.Tx) error { return errors.Join(next(tx, "a"), next(tx, "b")) })
	if err != nil {
		t.Fatal(err)
	}
	other, err := raw(t, "pgx", dsn).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback() }()
	lock := func(series string) {
		if _, err := other.ExecContext(t.Context(), `UPDATE number_series SET value = value WHERE series = $1`, series); err != nil {
			t.Error(err)
		}
	}
	lock("b")
	err = b.Batch(t.Context(), func(tx audit.Tx) error {
		if err := next(tx, "a"); err != nil {
			return err
		}
		unlocked := make(chan struct{})
		go func() {
			defer close(unlocked)
			time.Sleep(200 * time.Millisecond) // the batch waits first, so it is the one to give way
			lock("a")
		}()
		_ = next(tx, "b")
		// Still inside the transaction, so the other must wait for the rollback.
		go func() { <-unlocked; _ = other.Rollback() }()
		return nil
	})
	if !errors.Is(err, audit.ErrConflict) {
		t.Errorf("batch that lost a deadlock: %v", err)
	}
}

// TestIgnoredFailure hides a failed statement from a batch: PostgreSQL answers
// COMMIT with ROLLBACK then, and the batch must not report success.
func TestIgnoredFailure(t *testing.T) {
	b := migrated(t, postgresEngine(t))
	err := b.Batch(t.Context(), func(tx audit.Tx) error {
		change := tx.(registry.Tx)
		if err := change.PutClient(t.Context(), registry.Client{ID: "c", SecretHash: []byte{1}, Salt: []byte{1}}); err != nil {
			return err
		}
		if err := change.PutClient(t.Context(), registry.Client{ID: "no salt"}); err == nil {
			t.Error("a client without a salt was stored")
		}
		return nil
	})
	if !errors.Is(err, audit.ErrRolledBack) {
		t.Errorf("the batch does not say that it was rolled back: %v", err)
	}
	if _, err := b.Client(t.Context(), "c"); err == nil {
		t.Error("a part of the batch is stored")
	}
}

// TestHeldByAnother: while another process holds a lock and does not let go, an entry
// is refused once the lock was waited for, and not tried again and again.
func TestHeldByAnother(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			heldByAnother(t, migrated(t, e.engine), e)
		})
	}
}

func heldByAnother(t *testing.T, b backend, e rawEngine) {
	l := openLog(t, b, "held", 1)
	other, err := e.raw.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	run := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := other.ExecContext(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	if e.path != "" {
		run("BEGIN IMMEDIATE")
	} else {
		run("BEGIN", "LOCK TABLE log_entry IN EXCLUSIVE MODE")
	}
	entry := func() *audit.Entry {
		return &audit.Entry{Principal: "p", Action: "read", Object: "o", Result: audit.ResultAllowed}
	}
	refused := make(chan error, 1)
	go func() {
		_, err := l.Append(context.Background(), entry(), nil)
		refused <- err
	}()
	select {
	case err := <-refused:
		if err == nil {
			t.Error("appended beside a lock")
		}
	case <-time.After(time.Minute): // ten tries of ten seconds would be more
		t.Error("no answer")
	}
	run("ROLLBACK")
	if _, err := l.Append(t.Context(), entry(), nil); err != nil {
		t.Error(err)
	}
}
