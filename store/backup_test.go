package store_test

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"elicence/audit"
	"elicence/store"
)

// TestBackup copies a database while entries are appended by another process's
// connections: the copy opens, and holds the whole beginning of the log.
func TestBackup(t *testing.T) {
	dir, s := t.TempDir(), secrets(t)
	open := func(name string) *store.SQLite {
		db, err := store.OpenSQLite(t.Context(), filepath.Join(dir, name), s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	served, beside := open("db"), open("db")
	if err := served.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var writes sync.WaitGroup
	writes.Go(func() { logOf(t, served, 300) })
	file := filepath.Join(dir, "copy")
	if err := beside.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	writes.Wait()
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	of := func(db *store.SQLite) (all []audit.Row) { return rows(t, db) }
	original := of(served)
	if copied := of(open("copy")); !slices.EqualFunc(copied, original[:len(copied)], func(a, b audit.Row) bool {
		return a.Index == b.Index && a.Leaf == b.Leaf && string(a.Opening) == string(b.Opening)
	}) {
		t.Errorf("%d of %d entries, and not the same", len(copied), len(original))
	}
	if err := beside.Backup(t.Context(), file); err == nil {
		t.Error("a backup was written over")
	}
	if err := beside.Backup(t.Context(), filepath.Join(dir, "no", "folder")); err == nil {
		t.Error("a backup into no folder")
	}
}
