package registry_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"strings"
	"sync/atomic"
	"testing"

	"elicence/audit"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// lossy is a storage whose transactions run, and do not commit when there is an error.
type lossy struct {
	audit.Storage
	fault func() error
}

func (l lossy) Batch(ctx context.Context, fn func(audit.Tx) error) error {
	return l.Storage.Batch(ctx, func(tx audit.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return l.fault()
	})
}

// everyOther is an error the first time, and then every other.
func everyOther(err error) func() error {
	var n atomic.Int64
	return func() error {
		if n.Add(1)%2 == 0 {
			return nil
		}
		return err
	}
}

// lossy is a registry over the same parts with a lossy storage.
func (w *walker) lossy(fault func() error) *registry.Registry {
	w.t.Helper()
	parts := w.Config
	var err error
	parts.Log, err = audit.Open(w.t.Context(), audit.Config{LogID: registrytest.LogID, Storage: lossy{w.Backend, fault}, Signer: w.LogKey, Now: w.Now, Rand: rand.Reader})
	must(w.t, err)
	parts.Failed = nil
	r, err := registry.New(parts)
	must(w.t, err)
	return r
}

// dump is every row of every table of the service's database, which is SQLite's.
func dump(t *testing.T, s *registrytest.Service) map[string][]string {
	t.Helper()
	path, _ := databases.Load(s)
	db, err := sql.Open("sqlite", "file:"+path.(string)+"?_pragma=query_only(1)")
	must(t, err)
	defer db.Close()
	names := column(t, db, `SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`)
	all := map[string][]string{}
	for _, name := range names {
		columns := column(t, db, `SELECT 'quote("' || name || '")' FROM pragma_table_info('`+name+`')`)
		all[name] = column(t, db, `SELECT `+strings.Join(columns, ` || ' ' || `)+` FROM "`+name+`"`)
	}
	if len(all) < 10 {
		t.Fatalf("only the tables %v", names)
	}
	return all
}

func column(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.Query(query)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var s string
		must(t, rows.Scan(&s))
		all = append(all, s)
	}
	must(t, rows.Err())
	return all
}
