package main

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elicence/audit"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"
)

// tables opens the database of a site beside all code of ours.
func (s *site) tables(t testing.TB) *sql.DB {
	t.Helper()
	driver, source := "pgx", s.Database
	if source == "" {
		driver, source = "sqlite", filepath.Join(s.Dir, "elicence.db")
	}
	db, err := sql.Open(driver, source)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// ownDatabase makes a database of PostgreSQL, as a copy of the one that dsn names or, of one
// that belongs to others too, empty.
func ownDatabase(t *testing.T, dsn string) string {
	t.Helper()
	plain, shared := libpq(t, dsn)
	u, err := url.Parse(plain)
	must(t, err)
	template, name := strings.TrimPrefix(u.Path, "/"), "attacked_"+strings.ToLower(rand.Text())
	if shared != "" {
		template = "template0"
	}
	u.Path = "/postgres"
	administrator := u.String()
	admin := func(statement string) {
		db := (&site{location: location{Database: administrator}}).tables(t)
		defer db.Close()
		do(t, db, statement)
	}
	admin("CREATE DATABASE " + name + " TEMPLATE " + template)
	t.Cleanup(func() { admin("DROP DATABASE " + name + " WITH (FORCE)") })
	u.Path = "/" + name
	return u.String()
}

// TestTamperedLog edits the stored log by hand, with the triggers out of the way
// as the database's owner could, and has the auditor's program name the entry from
// what `log export` then writes.
func TestTamperedLog(t *testing.T) {
	t.Parallel()
	engines := map[string]struct {
		disarm []string
	}{
		"SQLite":     {[]string{"DROP TRIGGER log_entry_update", "DROP TRIGGER log_entry_delete", "DROP TRIGGER log_entry_insert"}},
		"PostgreSQL": {[]string{"ALTER TABLE log_entry DISABLE TRIGGER ALL"}},
	}
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, backends[name](t))
			db := s.tables(t)
			for _, attempt := range []string{`UPDATE log_entry SET record = leaf WHERE "index" = 3`, `DELETE FROM log_entry WHERE "index" = 3`} {
				if _, err := db.Exec(attempt); err == nil {
					t.Errorf("the database let through: %s", attempt)
				}
			}
			s.wantVerdict(t, "untouched", "")
			for _, statement := range engine.disarm {
				_, err := db.Exec(statement)
				must(t, err)
			}
			last := lastIndex(t, db)
			for _, tt := range []struct {
				name   string
				tamper []string
				want   string
			}{
				{"edited", edit(t, db, 7), "entry 7: "},
				{"edited with its leaf", editWithLeaf(t, db, 9), "entry 9: "},
				{"deleted", []string{`DELETE FROM log_entry WHERE "index" = 11`}, "entry 11: "},
				{"swapped", swap(t, db, 13, 15), "entry 13: "},
				{"last one edited with its leaf", editWithLeaf(t, db, last), fmt.Sprintf("entry %d: ", last)},
				{"last one deleted", []string{fmt.Sprintf(`DELETE FROM log_entry WHERE "index" = %d`, last)}, fmt.Sprintf("entry %d: ", last)},
			} {
				rows := backUp(t, db)
				for _, statement := range tt.tamper {
					_, err := db.Exec(statement)
					must(t, err)
				}
				s.wantVerdict(t, tt.name, tt.want)
				restore(t, db, rows)
			}
			s.wantVerdict(t, "restored", "")
		})
	}
}

// wantVerdict exports the log with the server's command and verifies it.
func (s *site) wantVerdict(t *testing.T, name, want string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "export")
	if out, err := s.command("log", "export", "-o", file).CombinedOutput(); err != nil {
		t.Fatalf("%s: log export: %v\n%s", name, err, out)
	}
	text, err := os.ReadFile(filepath.Join(s.Dir, "log-policy.txt"))
	must(t, err)
	policy, err := audit.ParsePolicy(text)
	must(t, err)
	_, err = verifyFile(policy, file)
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (!errors.Is(err, audit.ErrBadExport) || !strings.HasPrefix(err.Error(), want)):
		t.Errorf("%s: got %v, want %q", name, err, want)
	}
}

// hexOf writes bytes as both engines read them: X'…' for SQLite, '\x…' for PostgreSQL.
func hexOf(db *sql.DB, b []byte) string {
	if strings.Contains(fmt.Sprintf("%T", db.Driver()), "sqlite") {
		return fmt.Sprintf("X'%x'", b)
	}
	return fmt.Sprintf(`'\x%x'`, b)
}

type row struct {
	index        int
	record, leaf []byte
}

func backUp(t *testing.T, db *sql.DB) (rows []row) {
	t.Helper()
	found, err := db.Query(`SELECT "index", record, leaf FROM log_entry ORDER BY "index"`)
	must(t, err)
	defer found.Close()
	for found.Next() {
		var r row
		must(t, found.Scan(&r.index, &r.record, &r.leaf))
		rows = append(rows, r)
	}
	must(t, found.Err())
	return rows
}

func restore(t *testing.T, db *sql.DB, rows []row) {
	t.Helper()
	var logID string
	must(t, db.QueryRow(`SELECT log_id FROM log_entry LIMIT 1`).Scan(&logID))
	tx, err := db.Begin()
	must(t, err)
	_, err = tx.Exec(`DELETE FROM log_entry`)
	must(t, err)
	for _, r := range rows {
		_, err := tx.Exec(`INSERT INTO log_entry (log_id, "index", record, leaf) VALUES ($1, $2, $3, $4)`, logID, r.index, r.record, r.leaf)
		must(t, err)
	}
	must(t, tx.Commit())
}

func lastIndex(t *testing.T, db *sql.DB) (last int) {
	t.Helper()
	must(t, db.QueryRow(`SELECT max("index") FROM log_entry`).Scan(&last))
	return last
}

// edited is the record of an entry with one letter of its principal changed.
func edited(t *testing.T, db *sql.DB, index int) []byte {
	t.Helper()
	var record []byte
	must(t, db.QueryRow(`SELECT record FROM log_entry WHERE "index" = $1`, index).Scan(&record))
	rec, err := audit.ParseRecord(record)
	must(t, err)
	at := strings.Index(string(record), rec.Entry.Principal)
	record[at] ^= 1
	return record
}

func edit(t *testing.T, db *sql.DB, index int) []string {
	return []string{fmt.Sprintf(`UPDATE log_entry SET record = %s WHERE "index" = %d`, hexOf(db, edited(t, db, index)), index)}
}

func editWithLeaf(t *testing.T, db *sql.DB, index int) []string {
	record := edited(t, db, index)
	leaf := audit.LeafHash(record)
	return []string{fmt.Sprintf(`UPDATE log_entry SET record = %s, leaf = %s WHERE "index" = %d`, hexOf(db, record), hexOf(db, leaf[:]), index)}
}

func swap(t *testing.T, db *sql.DB, a, b int) []string {
	return []string{
		fmt.Sprintf(`UPDATE log_entry SET "index" = 1000000 WHERE "index" = %d`, a),
		fmt.Sprintf(`UPDATE log_entry SET "index" = %d WHERE "index" = %d`, a, b),
		fmt.Sprintf(`UPDATE log_entry SET "index" = %d WHERE "index" = 1000000`, b),
	}
}
