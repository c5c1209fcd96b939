package store_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"elicence/crypto/pki"
	"elicence/licence/registry/storetest"
	"elicence/store"
	"elicence/store/pgtest"
	"elicence/store/s3test"
)

var (
	postgres pgtest.Server
	s3       s3test.Server
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		store.SetPartitionSpan(64)
	}
	code := m.Run()
	postgres.Stop()
	s3.Stop()
	os.Exit(code)
}

// backend is what both engines offer.
type backend interface {
	storetest.Backend
	Migrate(context.Context) error
	Ready(context.Context) error
	Close() error
}

// engine is a fresh database that can be opened more than once.
type engine struct {
	name string
	open func(context.Context, store.Secrets) (backend, error)
}

func sqliteEngine(t testing.TB) engine {
	path := filepath.Join(t.TempDir(), "elicence.db")
	return engine{"SQLite", func(ctx context.Context, s store.Secrets) (backend, error) {
		return opened(store.OpenSQLite(ctx, path, s))
	}}
}

func postgresEngine(t testing.TB) engine {
	dsn := postgres.DSN(t)
	return engine{"PostgreSQL", func(ctx context.Context, s store.Secrets) (backend, error) {
		return opened(store.OpenPostgres(ctx, dsn, s))
	}}
}

// opened keeps a nil pointer from becoming a backend.
func opened[B backend](b B, err error) (backend, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}

// engines are the two that a test runs on.
var engines = []func(testing.TB) engine{sqliteEngine, postgresEngine}

func secrets(t testing.TB) store.Secrets {
	t.Helper()
	c, err := pki.NewCipher(bytes.Repeat([]byte{7}, 16))
	if err != nil {
		t.Fatal(err)
	}
	return store.Secrets{Cipher: c, IndexKey: bytes.Repeat([]byte{9}, 16)}
}

// migrated opens an engine and makes its tables; it is closed when t ends.
func migrated(t testing.TB, e engine) backend {
	t.Helper()
	b, err := e.open(t.Context(), secrets(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := b.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSQLite(t *testing.T) {
	storetest.Test(t, func(t *testing.T) storetest.Backend { return migrated(t, sqliteEngine(t)) })
}

// TestPostgres runs the suite as a city's server does: as a member of elicence_server, on
// tables that somebody else owns.
func TestPostgres(t *testing.T) {
	storetest.Test(t, func(t *testing.T) storetest.Backend { return migrated(t, memberEngine(t)) })
}

// memberEngine is a migrated PostgreSQL as the server's user meets it.
func memberEngine(t testing.TB) engine {
	t.Helper()
	dsn := postgres.DSN(t)
	owner, err := store.OpenPostgres(t.Context(), dsn, secrets(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(owner.Migrate(t.Context()), owner.Close()); err != nil {
		t.Fatal(err)
	}
	member := postgres.Member(t, dsn, "elicence_server")
	return engine{"PostgreSQL as server", func(ctx context.Context, s store.Secrets) (backend, error) {
		return opened(store.OpenPostgres(ctx, member, s))
	}}
}
