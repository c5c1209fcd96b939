package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence/registry"
)

// archiver is what an engine offers besides backend.
type archiver interface {
	Lowest(ctx context.Context, logID string) (uint64, bool, error)
	RemoveArchived(ctx context.Context, logID string, to uint64) ([]string, error)
	PutBack(ctx context.Context, logID string, rows []audit.Row) error
	Cut(ctx context.Context) error
}

// archived is a log of which a part is archived.
type archived struct {
	t *testing.T
	backend
	archiver
	config audit.Config
	log    *audit.Log
	policy *audit.Policy
	dir    string // of policy and files
}

func openArchived(t *testing.T, e engine) *archived {
	t.Helper()
	db := migrated(t, e)
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	a := &archived{t: t, backend: db, archiver: db.(archiver), dir: t.TempDir()}
	a.config = audit.Config{LogID: "log", Storage: db, Signer: audit.Signer{Name: "log", Key: key}, Now: time.Now, Rand: rand.Reader}
	a.log, err = audit.Open(t.Context(), a.config)
	must(t, err)
	vkey, err := a.config.Signer.VerifierKey()
	must(t, err)
	a.policy, err = audit.NewPolicy(vkey)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(a.dir, "policy"), a.policy.Marshal(), 0o600))
	return a
}

// grow appends n entries, each in a batch of its own.
func (a *archived) grow(n int) {
	a.t.Helper()
	for i := range n {
		_, err := a.log.Append(a.t.Context(), used(int64(i)), nil)
		must(a.t, err)
	}
}

// file archives what lies below to into a file, and records it.
func (a *archived) file(name string, to uint64) audit.Segment {
	a.t.Helper()
	f, err := os.Create(filepath.Join(a.dir, name))
	must(a.t, err)
	defer f.Close()
	s, err := audit.WriteSegment(a.t.Context(), a.backend, a.policy, "log", to, true, f, name)
	must(a.t, err)
	must(a.t, a.Batch(a.t.Context(), func(tx audit.Tx) error { return tx.(registry.Tx).PutSegment(a.t.Context(), "log", s) }))
	return s
}

// proofs are inclusion proofs of all entries below n, and consistency proofs from all sizes.
func (a *archived) proofs(n uint64) (all [][][]byte) {
	a.t.Helper()
	for i := range n {
		p, err := a.log.InclusionProof(a.t.Context(), i, n)
		must(a.t, err)
		c, err := a.log.ConsistencyProof(a.t.Context(), i, n)
		must(a.t, err)
		all = append(all, p, c)
	}
	return all
}

// restore puts a file back.
func (a *archived) restore(content []byte) error {
	return audit.ReadBack(a.t.Context(), a.backend, a.policy, "log", bytes.NewReader(content), func(audit.Segment) error { return nil },
		func(rows []audit.Row) error { return a.PutBack(a.t.Context(), "log", rows) })
}

// TestArchive: segments leave the database and come back. In between the log goes on, proves
// and is verified as before, and says of what is gone where it lies.
func TestArchive(t *testing.T) {
	for _, open := range engines {
		e := open(t)
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			a := openArchived(t, e)
			ctx := t.Context()
			a.grow(150)
			a.grow(60)
			rowsBefore, proofsBefore := rows(t, a.backend), a.proofs(210)
			first := a.file("first", 100)
			second := a.file("second", 200)
			if first.From != 0 || first.To != 100 || second.From != 100 || second.To != 200 {
				t.Fatalf("segments %v, %v", first, second)
			}
			tables, err := a.RemoveArchived(ctx, "log", 192)
			must(t, err)
			if low, some, err := a.Lowest(ctx, "log"); low != 192 || !some || err != nil {
				t.Fatalf("the first row is %d, %v, %v; detached %v", low, some, err, tables)
			}
			if want := map[string]int{"SQLite": 0, "PostgreSQL": 3}[e.name]; len(tables) != want {
				t.Errorf("detached %v", tables)
			}

			// The log goes on.
			a.log, err = audit.Open(ctx, a.config)
			must(t, err)
			a.grow(5)
			if diff := cmp.Diff(a.proofs(210), proofsBefore); diff != "" {
				t.Errorf("proofs afterwards:\n%s", diff)
			}
			a.checkVerified()
			a.checkGone(second)

			// A segment comes back, unless its file is another.
			content, err := os.ReadFile(filepath.Join(a.dir, "first"))
			must(t, err)
			for _, i := range []int{0, 30, 200, len(content) / 2, len(content) - 3} {
				other := bytes.Clone(content)
				other[i] ^= 1
				if err := a.restore(other); err == nil {
					t.Errorf("a file with byte %d changed came back", i)
				}
			}
			if err := a.restore(content[:len(content)-10]); err == nil {
				t.Error("a file cut short came back")
			}
			must(t, a.restore(content))
			must(t, a.restore(content)) // again, as after a crash
			after := rows(t, a.backend)
			if diff := cmp.Diff(after[:100], rowsBefore[:100]); diff != "" {
				t.Errorf("rows that came back (got, want):\n%s", diff)
			}
			if len(after) != 100+215-192 {
				t.Errorf("%d rows", len(after))
			}
			_, err = a.RemoveArchived(ctx, "log", 192)
			must(t, err)
			if low, _, _ := a.Lowest(ctx, "log"); low != 192 {
				t.Errorf("removed again: the first row is %d", low)
			}
		})
	}
}

// checkVerified: both judges verify the files and a live export as one log, and no export
// promises what is gone.
func (a *archived) checkVerified() {
	a.t.Helper()
	var all bytes.Buffer
	if err := audit.Export(a.t.Context(), a.backend, "log", 0, 0, true, &all); !errors.Is(err, audit.ErrArchived) || !strings.Contains(err.Error(), "first (entries 0 to 99") {
		a.t.Errorf("an export of all: %v", err)
	}
	live, err := os.Create(filepath.Join(a.dir, "live"))
	must(a.t, err)
	must(a.t, audit.Export(a.t.Context(), a.backend, "log", 200, 0, true, live))
	must(a.t, live.Close())
	var parts []audit.Summary
	for _, name := range []string{"first", "second", "live"} {
		f, err := os.Open(filepath.Join(a.dir, name))
		must(a.t, err)
		s, err := audit.VerifyExport(a.policy, f)
		must(a.t, errors.Join(err, f.Close()))
		parts = append(parts, s)
	}
	whole, err := audit.Join(parts...)
	if err != nil || whole.From != 0 || whole.To != 215 {
		a.t.Errorf("together: %v, %+v", err, whole)
	}
	verify, err := filepath.Abs("../testdata/audit/verify_log.py")
	must(a.t, err)
	cmd := exec.Command("python3", verify, "policy", "first", "second", "live")
	cmd.Dir = a.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		a.t.Errorf("verify_log.py: %v\n%s", err, out)
	}
}

// checkGone: what is archived is named, by entry and by search, and its personal values
// can still be erased.
func (a *archived) checkGone(second audit.Segment) {
	a.t.Helper()
	ctx := a.t.Context()
	_, err := a.log.Entry(ctx, 150)
	var gone *audit.ArchivedError
	if !errors.As(err, &gone) || gone.Index != 150 || gone.Segment.Digest != second.Digest {
		a.t.Errorf("entry 150: %v", err)
	}
	if _, err := a.log.Entry(ctx, 1000); !errors.Is(err, audit.ErrNoEntry) || errors.Is(err, audit.ErrArchived) {
		a.t.Errorf("entry 1000: %v", err)
	}
	search := func(k audit.Key) (live, archived []uint64) {
		found, _, err := a.log.Search(ctx, audit.Query{Keys: []audit.Key{k}, Below: 215, Limit: 100})
		must(a.t, err)
		for _, f := range found {
			if f.Archived == nil {
				live = append(live, f.Index)
			} else {
				archived = append(archived, f.Index)
			}
		}
		return live, archived
	}
	holder := audit.HolderKey("111", "3") // of entries 3, 150+3 and 210+3
	if live, archived := search(holder); fmt.Sprint(live, archived) != "[213] [153 3]" {
		a.t.Errorf("about the holder: %v, archived %v", live, archived)
	}
	if live, archived := search(audit.Key{Kind: audit.KeyCase, Value: "330100-2026-3"}); fmt.Sprint(live, archived) != "[213] [153 3]" {
		a.t.Errorf("of the case: %v, archived %v", live, archived)
	}
	if from, err := a.log.FirstSince(ctx, time.Now().Add(time.Hour)); from != 215 || err != nil {
		a.t.Errorf("since then: %d, %v", from, err)
	}
	opening, err := a.Opening(ctx, "log", 153)
	if err != nil || len(opening) == 0 {
		a.t.Errorf("the opening of entry 153: %d bytes, %v", len(opening), err)
	}
	must(a.t, a.Batch(ctx, func(tx audit.Tx) error { return tx.(registry.Tx).EraseOpenings(ctx, "log", []uint64{153}, holder) }))
	if opening, err := a.Opening(ctx, "log", 153); err != nil || opening != nil {
		a.t.Errorf("the erased opening of entry 153: %d bytes, %v", len(opening), err)
	}
	if live, archived := search(holder); fmt.Sprint(live, archived) != "[213] [3]" {
		a.t.Errorf("about the holder after the erasure: %v, archived %v", live, archived)
	}
}

// TestArchiveGuards: no row leaves before its segment, its leaf and its opening are kept, and
// what is kept is as append-only as the log.
func TestArchiveGuards(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			a := openArchived(t, e.engine)
			ctx := t.Context()
			a.grow(70)
			a.grow(10)
			if _, err := a.RemoveArchived(ctx, "log", 64); err == nil {
				t.Error("rows without a segment were removed")
			}
			if low, _, _ := a.Lowest(ctx, "log"); low != 0 {
				t.Fatalf("rows without a segment left: the first is %d", low)
			}
			gap := audit.Segment{From: 5, To: 80, Name: "x"}
			put := func(s audit.Segment) error {
				return a.Batch(ctx, func(tx audit.Tx) error { return tx.(registry.Tx).PutSegment(ctx, "log", s) })
			}
			if err := put(gap); err == nil {
				t.Error("a segment that begins with entry 5 was recorded first")
			}
			segment := a.file("one", 80)
			if err := put(segment); err == nil {
				t.Error("a segment was recorded twice")
			}
			if _, err := e.raw.ExecContext(ctx, `DELETE FROM log_entry WHERE "index" = 10`); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("deleting a row whose leaf is not kept yet: %v", err)
			}
			_, err := a.RemoveArchived(ctx, "log", 64)
			must(t, err)
			for _, table := range []string{"log_segment", "log_leaves", "log_opening"} {
				for _, statement := range []string{`DELETE FROM ` + table, `UPDATE ` + table + ` SET log_id = 'other'`} {
					if _, err := e.raw.ExecContext(ctx, statement); err == nil || !strings.Contains(err.Error(), "append-only") {
						t.Errorf("%s: %v", statement, err)
					}
				}
			}
			if _, err := e.raw.ExecContext(ctx, `DELETE FROM log_entry WHERE "index" = 70`); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("deleting a row whose leaf is not kept: %v", err)
			}
		})
	}
}

// TestArchiveRole: the archive's role detaches what is archived, and can do nothing else to
// the log; the server's role cannot even do that.
func TestArchiveRole(t *testing.T) {
	e := rawEngines(t)[1]
	for _, role := range []string{"elicence_server", "elicence_archive"} {
		if _, err := e.raw.Exec(`CREATE ROLE ` + role + ` NOLOGIN`); err != nil && !strings.Contains(err.Error(), "exist") {
			t.Fatal(err)
		}
	}
	a := openArchived(t, e.engine)
	ctx := t.Context()
	conn, err := e.raw.Conn(ctx)
	must(t, err)
	defer conn.Close()
	do := func(statement string) error {
		_, err := conn.ExecContext(ctx, statement)
		return err
	}
	must(t, do(`DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO elicence_server, elicence_archive', current_schema()); END $$`))
	a.grow(80)
	a.file("one", 70)
	must(t, do(`SET ROLE elicence_server`))
	for _, statement := range []string{`SELECT log_cut(64, 1)`, `SELECT log_detach()`, `SELECT log_make_room(0, 64)`, `INSERT INTO log_segment VALUES ('log', 0, 1, '', '', 0, '')`} {
		if err := do(statement); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("the server: %s: %v", statement, err)
		}
	}
	must(t, do(`SET ROLE elicence_archive`))
	for _, statement := range []string{
		`SELECT log_cut(64, 6)`,
		`SELECT log_detach()`, // nothing yet: no leaf is kept
		`INSERT INTO log_leaves SELECT 'log', 0, string_agg(leaf, ''::bytea ORDER BY "index") FROM log_entry WHERE "index" < 64`,
		`INSERT INTO log_opening SELECT log_id, "index", opening FROM log_entry WHERE "index" < 64`,
	} {
		must(t, do(statement))
	}
	if low, _, err := a.Lowest(ctx, "log"); low != 0 || err != nil {
		t.Errorf("detached before leaves were kept: the first row is %d, %v", low, err)
	}
	must(t, do(`SELECT log_detach()`))
	if low, _, err := a.Lowest(ctx, "log"); low != 64 || err != nil {
		t.Errorf("after the role detached the first row is %d, %v", low, err)
	}
	for _, statement := range []string{
		`DELETE FROM log_entry`, `UPDATE log_entry SET opening = NULL`, `TRUNCATE log_entry`, `ALTER TABLE log_entry DETACH PARTITION log_entry_2`,
		`DROP TABLE log_entry_1`, `DELETE FROM log_partition`, `DELETE FROM log_leaves`, `SELECT log_make_room(0, 64)`, `SELECT log_partition_add(0, 1)`,
	} {
		if err := do(statement); err == nil {
			t.Errorf("the archive: %s passed", statement)
		}
	}
}

// TestArchiveBehind archives past the last entry that a process knows of, which another
// process did not: the one that was behind goes on, and is not told that the log forked.
func TestArchiveBehind(t *testing.T) {
	for _, open := range engines {
		e := open(t)
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			a := openArchived(t, e)
			a.grow(100)
			behind := a.log
			var err error
			a.log, err = audit.Open(t.Context(), a.config)
			must(t, err)
			a.grow(110)
			a.file("first", 200)
			_, err = a.RemoveArchived(t.Context(), "log", 192)
			must(t, err)
			receipt, err := behind.Append(t.Context(), used(1), nil)
			if err != nil || receipt.Index != 210 {
				t.Errorf("the process that was behind: entry %d, %v", receipt.Index, err)
			}
			a.grow(1)
		})
	}
}
