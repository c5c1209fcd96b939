package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/transparency-dev/merkle/compact"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/dispute"
	"elicence/licence/registry"
	"elicence/store"
)

// raw opens a database beside the store, as somebody with a database tool does.
func raw(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// rawEngine is an engine with a second way in.
type rawEngine struct {
	engine
	raw *sql.DB
	// path is the file of SQLite.
	path string
}

func rawEngines(t testing.TB) []rawEngine {
	path := filepath.Join(t.TempDir(), "elicence.db")
	dsn := postgres.DSN(t)
	return []rawEngine{
		{engine{"SQLite", func(ctx context.Context, s store.Secrets) (backend, error) {
			return opened(store.OpenSQLite(ctx, path, s))
		}}, raw(t, "sqlite", path), path},
		{engine{"PostgreSQL", func(ctx context.Context, s store.Secrets) (backend, error) {
			return opened(store.OpenPostgres(ctx, dsn, s))
		}}, raw(t, "pgx", dsn), ""},
	}
}

func digest(n byte) [32]byte { return [32]byte{n, 1, 2, 3} }

// logOf appends n entries in one batch each.
func logOf(t testing.TB, b backend, n uint64) {
	t.Helper()
	change := func(tx audit.Tx) error {
		return tx.PutCosigned(t.Context(), "log", audit.Cosigned{Size: 1, Checkpoint: []byte("note")})
	}
	if err := b.Batch(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		err := b.Batch(t.Context(), func(tx audit.Tx) error {
			leaf := digest(byte(i))
			row := audit.Row{Index: i, Record: fmt.Appendf(nil, "record %d", i), Leaf: leaf, Opening: []byte("opening")}
			return tx.Append(t.Context(), "log", []audit.Row{row}, []audit.Node{{NodeID: compact.NewNodeID(1, i), Hash: leaf}}, audit.Head{Size: i + 1, LastLeaf: leaf, Checkpoint: []byte("note")})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func rows(t testing.TB, b backend) []audit.Row {
	t.Helper()
	var all []audit.Row
	err := b.Rows(t.Context(), "log", 0, math.MaxUint64, func(r audit.Row) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAppendOnly tries each change that the triggers refuse, and the one that they allow.
func TestAppendOnly(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			b := migrated(t, e.engine)
			logOf(t, b, 4)
			before := rows(t, b)
			refused := []string{
				`UPDATE log_entry SET record = leaf WHERE "index" = 1`,
				`UPDATE log_entry SET leaf = record WHERE "index" = 1`,
				`UPDATE log_entry SET opening = record WHERE "index" = 1`,
				`UPDATE log_entry SET opening = NULL, record = leaf WHERE "index" = 1`,
				`UPDATE log_entry SET "index" = 9 WHERE "index" = 1`,
				`UPDATE log_entry SET log_id = 'other', opening = NULL WHERE "index" = 1`,
				`DELETE FROM log_entry WHERE "index" = 3`,
				`DELETE FROM log_entry`,
				`UPDATE log_checkpoint SET note = last_leaf WHERE size = 1`,
				`UPDATE log_checkpoint SET size = 9 WHERE size = 1`,
				`DELETE FROM log_checkpoint WHERE size = 4`,
				`UPDATE log_cosigned SET size = 9 WHERE size = 1`,
				`DELETE FROM log_cosigned`,
				`UPDATE log_node SET hash = 'x' WHERE "index" = 1`,
				`DELETE FROM log_node WHERE "index" = 1`,
			}
			if e.name == "SQLite" {
				refused = append(refused,
					`INSERT OR REPLACE INTO log_entry (log_id, "index", record, leaf) VALUES ('log', 1, x'00', x'00')`,
					`INSERT OR REPLACE INTO log_checkpoint (log_id, size, last_leaf, compact_range, note) VALUES ('log', 1, x'00', x'00', x'00')`,
					`INSERT OR REPLACE INTO log_cosigned (log_id, size, note) VALUES ('log', 1, x'00')`,
					`INSERT OR REPLACE INTO log_node (log_id, level, "index", hash) VALUES ('log', 1, 1, x'00')`,
					`REPLACE INTO log_entry SELECT * FROM log_entry WHERE "index" = 1`)
			} else {
				refused = append(refused, `TRUNCATE log_entry`, `TRUNCATE log_checkpoint`, `TRUNCATE log_entry, log_checkpoint`, `TRUNCATE log_node`, `TRUNCATE log_cosigned`,
					`INSERT INTO log_entry SELECT * FROM log_entry ON CONFLICT (log_id, "index") DO UPDATE SET record = excluded.leaf`)
			}
			for _, statement := range refused {
				if _, err := e.raw.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "append-only") {
					t.Errorf("%s: %v", statement, err)
				}
			}
			if diff := cmp.Diff(rows(t, b), before); diff != "" {
				t.Errorf("rows changed (got, want):\n%s", diff)
			}
			if _, err := e.raw.ExecContext(t.Context(), `UPDATE log_entry SET opening = NULL WHERE "index" = 1`); err != nil {
				t.Errorf("erasing an opening: %v", err)
			}
			before[1].Opening = nil
			if diff := cmp.Diff(rows(t, b), before); diff != "" {
				t.Errorf("rows after the erasure (got, want):\n%s", diff)
			}
		})
	}
}

// TestTampered changes rows by hand, after dropping the triggers: the store
// returns what is there.
func TestTampered(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			b := migrated(t, e.engine)
			logOf(t, b, 8)
			want := rows(t, b)
			on := ""
			if e.name == "PostgreSQL" {
				on = " ON log_entry"
			}
			for _, statement := range []string{
				"DROP TRIGGER log_entry_update" + on,
				"DROP TRIGGER log_entry_delete" + on,
				`UPDATE log_entry SET record = 'edited by hand' WHERE "index" = 1`,
				`UPDATE log_entry SET leaf = 'short' WHERE "index" = 2`,
				`DELETE FROM log_entry WHERE "index" = 3`,
				`UPDATE log_entry SET "index" = 99 WHERE "index" = 4`,
				`UPDATE log_entry SET "index" = 4 WHERE "index" = 5`,
				`UPDATE log_entry SET "index" = 5 WHERE "index" = 99`,
				`UPDATE log_entry SET opening = 'not sealed' WHERE "index" = 6`,
				`UPDATE log_entry SET opening = (SELECT opening FROM log_entry WHERE "index" = 0) WHERE "index" = 7`,
			} {
				if _, err := e.raw.ExecContext(t.Context(), statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			got := rows(t, b)
			if len(got) != 7 || bytes.Equal(got[6].Opening, want[7].Opening) {
				t.Fatalf("%d rows are left, the last opens as %q", len(got), got[len(got)-1].Opening)
			}
			got[3].Opening, got[4].Opening, got[6].Opening = nil, nil, nil // ciphertext out of its place
			want[1].Record = []byte("edited by hand")
			want[2].Leaf = [32]byte{'s', 'h', 'o', 'r', 't'}
			want[4], want[5] = want[5], want[4]
			want[4].Index, want[4].Opening, want[5].Index, want[5].Opening = 4, nil, 5, nil
			want[6].Opening, want[7].Opening = []byte("not sealed"), nil
			want = append(want[:3], want[4:]...)
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("rows (got, want):\n%s", diff)
			}
		})
	}
}

// personal is what must not be found in a database: written to every place that
// takes personal data.
var personal = []string{"欧阳䶮", "11010519491231002X", "P1234567890", "secret-reason", "secret-answer", "secret-opening", "secret-data"}

func writePersonal(t *testing.T, b backend) {
	t.Helper()
	ctx := t.Context()
	err := b.Batch(ctx, func(tx audit.Tx) error {
		change := tx.(registry.Tx)
		_, err := change.TakeKey(ctx, registry.Key{Client: "c", Key: "k", LeaseUntil: time.Unix(1, 0)}, time.Unix(0, 0))
		if err != nil {
			return err
		}
		rec := registry.Record{
			Identifier: "id", Number: personal[2], Status: licence.StatusPending, StatusReason: personal[3],
			Holder: licence.Holder{Name: personal[0], Code: personal[1], CodeType: licence.CodeTypeCitizenNumber},
			Data:   []byte(personal[6]), StatusAt: time.Unix(1, 0),
		}
		opening := []byte(personal[0] + personal[1] + personal[5])
		return errors.Join(
			change.PutClient(ctx, registry.Client{ID: "c", SecretHash: []byte{1}, Salt: []byte{1}, HolderCode: personal[1]}),
			change.AnswerKey(ctx, "c", "k", []byte(personal[4]+personal[1])),
			change.InsertLicence(ctx, rec),
			change.InsertDispute(ctx, dispute.Dispute{ID: "d", Holder: rec.Holder, Statement: dispute.Statement{ShouldBe: personal[0], Text: personal[5]}, Reason: personal[3], Remedy: personal[6]}),
			change.SetStatus(ctx, "id", []licence.Status{licence.StatusPending}, licence.StatusVoided,
				registry.Change{Reason: personal[3], At: time.Unix(2, 0)}),
			tx.Append(ctx, "log", []audit.Row{{Record: []byte("public-record"), Opening: opening}}, nil, audit.Head{Size: 1, Checkpoint: []byte("note")}))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPersonalData looks through everything that is stored, byte by byte.
func TestPersonalData(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			b := migrated(t, e.engine)
			writePersonal(t, b)
			rec, err := b.Licence(t.Context(), "id")
			if err != nil || rec.Holder.Name != personal[0] || rec.Number != personal[2] {
				t.Fatalf("licence read back: %v %+v", err, rec)
			}
			dump := dumpPostgres
			if e.path != "" {
				dump = dumpSQLite
			}
			content := dump(t, e)
			if !bytes.Contains(content, []byte("public-record")) {
				t.Fatal("the dump does not hold what is stored in clear")
			}
			for _, p := range personal {
				if bytes.Contains(content, []byte(p)) {
					t.Errorf("%s stands in clear in the database", p)
				}
			}
		})
	}
}

// dumpSQLite is every byte of the files, the journal included.
func dumpSQLite(t *testing.T, e rawEngine) []byte {
	t.Helper()
	files, err := filepath.Glob(e.path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("files of the database: %v %v", files, err)
	}
	var all []byte
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// dumpPostgres is every row of every table of the schema, with byte strings as bytes.
func dumpPostgres(t *testing.T, e rawEngine) []byte {
	t.Helper()
	var tables []string
	collect := func(query string, add func(string)) {
		t.Helper()
		found, err := e.raw.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = found.Close() }()
		for found.Next() {
			var s string
			if err := found.Scan(&s); err != nil {
				t.Fatal(err)
			}
			add(s)
		}
		if err := found.Err(); err != nil {
			t.Fatal(err)
		}
	}
	collect(`SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`,
		func(s string) { tables = append(tables, s) })
	if len(tables) < 9 {
		t.Fatalf("tables: %v", tables)
	}
	var all []byte
	for _, table := range tables {
		collect(`SELECT t::text FROM `+pgx.Identifier{table}.Sanitize()+` t`, func(s string) {
			all = append(all, s...)
			for _, part := range strings.Split(s, `\x`)[1:] {
				digits := strings.IndexFunc(part, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) })
				if digits < 0 {
					digits = len(part)
				}
				b, err := hex.DecodeString(part[:digits])
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, b...)
			}
		})
	}
	return all
}

// TestMovedCiphertext puts one licence's sealed name into another's row.
func TestMovedCiphertext(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			b := migrated(t, e.engine)
			writePersonal(t, b)
			if _, err := e.raw.ExecContext(t.Context(), `UPDATE licence SET holder_name = holder_code`); err != nil {
				t.Fatal(err)
			}
			if rec, err := b.Licence(t.Context(), "id"); err == nil {
				t.Errorf("the licence opened as %+v", rec)
			}
		})
	}
}

func TestReopen(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			first, err := e.open(t.Context(), secrets(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := first.Ready(t.Context()); err == nil {
				t.Error("a database without tables is ready")
			}
			for range 2 { // migrating twice is fine
				if err := first.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := first.Ready(t.Context()); err != nil {
				t.Errorf("ready: %v", err)
			}
			writePersonal(t, first)
			want, err := first.Licence(t.Context(), "id")
			if err != nil {
				t.Fatal(err)
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			if err := first.Ready(t.Context()); err == nil {
				t.Error("a closed database is ready")
			}

			got, err := migrated(t, e.engine).Licence(t.Context(), "id")
			if diff := cmp.Diff(got, want); err != nil || diff != "" {
				t.Errorf("licence after reopening (got, want): %v\n%s", err, diff)
			}

			wrong := secrets(t)
			wrong.Cipher, err = pki.NewCipher(bytes.Repeat([]byte{8}, 16))
			if err != nil {
				t.Fatal(err)
			}
			other, err := e.open(t.Context(), wrong)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = other.Close() }()
			if rec, err := other.Licence(t.Context(), "id"); err == nil {
				t.Errorf("the licence opened with another key: %+v", rec)
			}
		})
	}
}

// TestStarters lets several servers start on an empty database.
func TestStarters(t *testing.T) {
	e := postgresEngine(t)
	errs := make(chan error)
	for range 3 {
		go func() {
			b, err := e.open(t.Context(), secrets(t))
			if err == nil {
				err = errors.Join(b.Migrate(t.Context()), b.Ready(t.Context()), b.Close())
			}
			errs <- err
		}()
	}
	for range 3 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestSecretsRequired(t *testing.T) {
	for _, open := range engines {
		e := open(t)
		for name, s := range map[string]store.Secrets{
			"none": {}, "no index key": {Cipher: secrets(t).Cipher}, "no cipher": {IndexKey: make([]byte, 16)},
			"short index key": {Cipher: secrets(t).Cipher, IndexKey: make([]byte, 15)},
		} {
			if b, err := e.open(t.Context(), s); err == nil {
				_ = b.Close()
				t.Errorf("%s opened with %s", e.name, name)
			}
		}
	}
}
