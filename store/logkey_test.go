package store_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
)

// openLog opens a log over a store and appends n entries about one holder.
func openLog(t *testing.T, b backend, id string, n int) *audit.Log {
	t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(t.Context(), audit.Config{LogID: id, Storage: b, Signer: audit.Signer{Name: id, Key: key}, Now: time.Now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for i := range n {
		e := &audit.Entry{Principal: fmt.Sprint("p", i%2), Action: "read", Object: "o", Case: "c", Result: audit.ResultAllowed,
			Personal: map[string]string{audit.PersonalHolderCodeType: "111", audit.PersonalHolderCode: "11010119900307123X"}}
		if _, err := l.Append(t.Context(), e, nil); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// keyed counts the entries of a log that are found by a key.
func keyed(t *testing.T, b backend, logID string, key audit.Key) int {
	t.Helper()
	found, err := b.Keyed(t.Context(), logID, key, 1<<62, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// TestKeysOfOldEntries: entries that are older than the keys get theirs by the
// migration, wherever an earlier one was cut off, those that cannot be read left out.
func TestKeysOfOldEntries(t *testing.T) {
	holder := audit.HolderKey("111", "11010119900307123X")
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			b := migrated(t, e.engine)
			openLog(t, b, "a/log", 20)
			openLog(t, b, "b/log", 10)
			counts := func() []int {
				return []int{keyed(t, b, "a/log", holder), keyed(t, b, "a/log", audit.Key{Kind: audit.KeyPrincipal, Value: "p1"}), keyed(t, b, "b/log", holder)}
			}
			for _, c := range []struct {
				name, lose string
				want       []int
			}{
				{"nothing lost", ``, []int{20, 10, 10}},
				{"all", `DELETE FROM log_key`, []int{20, 10, 10}},
				{"the older ones", `DELETE FROM log_key WHERE "index" < 7`, []int{20, 10, 10}},
			} {
				if c.lose != "" {
					if _, err := e.raw.ExecContext(t.Context(), c.lose); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 {
					if err := b.Migrate(t.Context()); err != nil {
						t.Fatal(err)
					}
					if got := counts(); !slices.Equal(got, c.want) {
						t.Errorf("%s: found %v, want %v", c.name, got, c.want)
					}
				}
			}
			tamper := []string{`DELETE FROM log_key`, `DROP TRIGGER log_entry_update`, `UPDATE log_entry SET record = leaf WHERE log_id = 'a/log' AND "index" = 5`}
			if e.path == "" {
				tamper[1] += ` ON log_entry`
			}
			for _, statement := range tamper {
				if _, err := e.raw.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := counts(); !slices.Equal(got, []int{19, 9, 10}) {
				t.Errorf("with a record that cannot be read: found %v", got)
			}
		})
	}
}

// TestKeysOnlyLead: a key that leads to an entry of something else, put there by hand or
// by chance, finds nothing.
func TestKeysOnlyLead(t *testing.T) {
	holder := audit.HolderKey("111", "11010119900307123X")
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			b := migrated(t, e.engine)
			l := openLog(t, b, "a/log", 6)
			other := audit.Entry{Principal: "p", Action: "read", Result: audit.ResultAllowed, Personal: map[string]string{audit.PersonalHolderCodeType: "111", audit.PersonalHolderCode: "other"}}
			receipt, err := l.Append(t.Context(), &other, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.raw.ExecContext(t.Context(), fmt.Sprintf(`UPDATE log_key SET holder = (SELECT holder FROM log_key WHERE "index" = 0) WHERE "index" = %d`, receipt.Index)); err != nil {
				t.Fatal(err)
			}
			if n := keyed(t, b, "a/log", holder); n != 7 {
				t.Fatalf("%d indexes", n)
			}
			found, next, err := l.Search(t.Context(), audit.Query{Keys: []audit.Key{holder}, Below: receipt.Index + 1, Limit: 100})
			if err != nil || len(found) != 6 || next != 0 || found[0].Index != 5 {
				t.Errorf("%d found, next %d, %v", len(found), next, err)
			}
		})
	}
}

// TestKeyedPlan: both engines look entries up in an index, and sort nothing.
func TestKeyedPlan(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			migrated(t, e.engine)
			_, err := e.raw.ExecContext(t.Context(), `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
				INSERT INTO log_key SELECT i, i % 7, i % 7, i % 7, i % 7, i % 7 FROM n; ANALYZE log_key`)
			if err != nil {
				t.Fatal(err)
			}
			for column, index := range map[string]string{"principal": "principal", "action": "action", "object": "object", "case_number": "case", "holder": "holder"} {
				explain, want := "EXPLAIN QUERY PLAN ", "USING COVERING INDEX log_key_"+index+" ("+column+"=? AND index<?)"
				if e.path == "" {
					explain, want = "EXPLAIN ", "Scan Backward using log_key_"+index
				}
				query := `SELECT "index" FROM log_key WHERE ` + column + ` = 1 AND "index" < 9000 ORDER BY "index" DESC LIMIT 3`
				plan := strings.Join(lines(t, e, explain+query), "\n")
				if !strings.Contains(plan, want) || strings.Contains(plan, "SCAN") || strings.Contains(plan, "Sort") {
					t.Errorf("plan:\n%s", plan)
				}
			}
		})
	}
}

// lines are the last columns of what a query answers.
func lines(t *testing.T, e rawEngine, query string) (all []string) {
	t.Helper()
	rows, err := e.raw.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(*values[len(values)-1].(*any)))
	}
	return all
}
