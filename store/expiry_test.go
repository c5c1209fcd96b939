package store_test

import (
	"fmt"
	"strings"
	"testing"

	"elicence/store"
)

// TestExpiredPlan: both engines walk an index to the first thousand that have expired, and read
// and sort nothing else, however many licences there are.
func TestExpiredPlan(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			migrated(t, e.engine)
			binary, literal := "bytea", "EXPLAIN "
			want := " using licence_expiring on licence"
			if e.path != "" {
				binary, literal, want = "blob", "EXPLAIN QUERY PLAN ", "USING INDEX licence_expiring (expires_on<?)"
			}
			insert := strings.ReplaceAll(fmt.Sprintf(million, binary), "1000000", "20000")
			if _, err := e.raw.ExecContext(t.Context(), insert+`; UPDATE licence SET expires_on = '20' || substr(identifier, 5, 2) || '-12-31'; ANALYZE licence`); err != nil {
				t.Fatal(err)
			}
			query := strings.NewReplacer("$1", "'2050-01-01'", "$2", "1000").Replace(store.Expired)
			plan := strings.Join(lines(t, e, literal+query), "\n")
			if !strings.Contains(plan, want) || strings.Contains(plan, "SCAN") || strings.Contains(plan, "Sort") || strings.Contains(plan, "TEMP B-TREE") {
				t.Errorf("plan:\n%s", plan)
			}
		})
	}
}

// BenchmarkExpired finds the first thousand that have expired of a million licences, of which
// ten thousand have, and then that none has.
func BenchmarkExpired(b *testing.B) {
	for _, e := range rawEngines(b) {
		b.Run(e.name, func(b *testing.B) {
			db := migrated(b, e.engine)
			binary := map[string]string{"SQLite": "blob", "PostgreSQL": "bytea"}[e.name]
			if _, err := e.raw.Exec(fmt.Sprintf(million, binary) + `; UPDATE licence SET expires_on = '20' || substr(identifier, 7, 2) || '-12-31', status = 'valid'; ANALYZE licence`); err != nil {
				b.Fatal(err)
			}
			for on, want := range map[string]int{"2001-01-01": 1000, "2000-12-31": 0} {
				b.Run(fmt.Sprint(want), func(b *testing.B) {
					for b.Loop() {
						if found, err := db.Expired(b.Context(), day(on), 1000); err != nil || len(found) != want {
							b.Fatal(len(found), err)
						}
					}
				})
			}
		})
	}
}
