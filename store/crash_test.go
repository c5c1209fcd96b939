package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/store"
	"elicence/store/pgtest"
)

// copySQLite copies the files of a database as a crash would leave them.
func copySQLite(t *testing.T, path string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "crashed.db")
	for _, suffix := range []string{"", "-wal"} { // SQLite makes the third file, -shm, anew
		b, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return copied
}

// sizeOf is the number of log entries that a database holds, and whether the
// licence that was written with the last of them is there.
func sizeOf(t *testing.T, b backend) (uint64, bool) {
	t.Helper()
	head, err := b.Head(t.Context(), "log")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Licence(t.Context(), "id")
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		t.Fatal(err)
	}
	return head.Size, err == nil
}

// TestSQLiteCrash takes the files at two moments: inside a batch, when all of it
// is written, and right after Batch returned.
func TestSQLiteCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "elicence.db")
	open := func(path string) engine {
		return engine{"SQLite", func(ctx context.Context, s store.Secrets) (backend, error) {
			return opened(store.OpenSQLite(ctx, path, s))
		}}
	}
	b := migrated(t, open(path))
	var inside string
	err := b.Batch(t.Context(), func(tx audit.Tx) error {
		rec := registry.Record{Identifier: "id", Data: make([]byte, 4<<20), Status: licence.StatusPending} // more than SQLite caches
		if err := errors.Join(tx.(registry.Tx).InsertLicence(t.Context(), rec), entries(t.Context(), tx, 3)); err != nil {
			return err
		}
		inside = copySQLite(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		size       uint64
	}{{"inside the batch", inside, 0}, {"after the batch", copySQLite(t, path), 3}} {
		if size, found := sizeOf(t, migrated(t, open(c.path))); size != c.size || found != (c.size > 0) {
			t.Errorf("%s: %d entries, licence found: %v", c.name, size, found)
		}
	}
}

// TestPostgresCrash ends the connection of a batch at the server.
func TestPostgresCrash(t *testing.T) {
	dsn := postgres.DSN(t)
	b := migrated(t, engine{"PostgreSQL", func(ctx context.Context, s store.Secrets) (backend, error) {
		return opened(store.OpenPostgres(ctx, with(t, dsn, "application_name", "victim of "+t.Name()), s))
	}})
	db := raw(t, "pgx", dsn)
	rec := registry.Record{Identifier: "id", Status: licence.StatusPending}
	ended := 0
	err := b.Batch(t.Context(), func(tx audit.Tx) error {
		if err := errors.Join(tx.(registry.Tx).InsertLicence(t.Context(), rec), entries(t.Context(), tx, 3)); err != nil {
			return err
		}
		return db.QueryRowContext(t.Context(), `SELECT count(*) FROM (SELECT pg_terminate_backend(pid, 60000) AS done
			FROM pg_stat_activity WHERE application_name = $1 AND state = 'idle in transaction') AS victims WHERE done`,
			"victim of "+t.Name()).Scan(&ended)
	})
	if ended != 1 || err == nil || errors.Is(err, audit.ErrConflict) || errors.Is(err, audit.ErrRolledBack) {
		t.Errorf("batch whose connection was ended (%d): %v", ended, err)
	}
	if size, found := sizeOf(t, b); size != 0 || found {
		t.Errorf("%d entries, licence found: %v", size, found)
	}
	if err := b.Batch(t.Context(), func(tx audit.Tx) error { return entries(t.Context(), tx, 3) }); err != nil {
		t.Errorf("the next batch: %v", err)
	}
}

// TestPostgresUnreachable ends the only connection of a store at the server: the read that
// meets it says that storage is away, and the next one finds it again.
func TestPostgresUnreachable(t *testing.T) {
	dsn := postgres.DSN(t)
	b := migrated(t, engine{"PostgreSQL", func(ctx context.Context, s store.Secrets) (backend, error) {
		return opened(store.OpenPostgres(ctx, with(t, with(t, dsn, "application_name", "victim of "+t.Name()), "pool_max_conns", "1"), s))
	}})
	db := raw(t, "pgx", dsn)
	met := false // a pool that was idle for a second finds out by itself
	for try := 0; try < 10 && !met; try++ {
		if _, err := b.Head(t.Context(), "log"); err != nil {
			t.Fatal(err)
		}
		_, err := db.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = $1`, "victim of "+t.Name())
		if err != nil {
			t.Fatal(err)
		}
		if _, err = b.Head(t.Context(), "log"); err != nil && !errors.Is(err, registry.ErrUnreachable) {
			t.Errorf("a read on a connection that was ended: %v", err)
		}
		met = err != nil
	}
	if !met {
		t.Error("no read met an ended connection")
	}
	if _, err := b.Head(t.Context(), "log"); err != nil {
		t.Errorf("the next read: %v", err)
	}
}

// TestPostgresGone: while there is no server, reads that share round trips say that storage is
// away, whether they meet a connection that broke or get none.
func TestPostgresGone(t *testing.T) {
	cluster := pgtest.NewCluster(t, "")
	b := migrated(t, engine{"PostgreSQL", func(ctx context.Context, s store.Secrets) (backend, error) {
		return opened(store.OpenPostgres(ctx, cluster.DSN, s))
	}})
	cluster.Crash(t)
	gone := 0
	for try := 0; try < 200 && gone < 3; try++ { // backends outlive their postmaster by a moment
		switch _, err := b.Client(t.Context(), "somebody"); {
		case errors.Is(err, registry.ErrUnreachable):
			gone++
		case gone > 0 || !errors.Is(err, licence.ErrNotFound):
			t.Fatalf("looking a client up: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if gone < 3 {
		t.Error("a client was looked up without a server")
	}
}
