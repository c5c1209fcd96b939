package store_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
)

// logBytes asks an engine how many bytes the log's tables take, with their indexes.
var logBytes = map[string]string{
	"SQLite": `SELECT sum(pgsize) FROM dbstat WHERE name LIKE '%log_%'`,
	"PostgreSQL": `SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE c.relkind = 'r' AND c.relname LIKE 'log\_%'
		AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())`,
}

// BenchmarkGrowth measures what an entry of the usual size adds to a database: the row
// and its indexes, and its share of nodes and checkpoints, of which a busy log
// makes one for many entries, and an idle one a checkpoint for each.
func BenchmarkGrowth(b *testing.B) {
	const entries = 20_000
	key, err := pki.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	for _, batch := range []int{1, 8, 64} {
		for _, e := range rawEngines(b) {
			b.Run(fmt.Sprintf("%s/%d", e.name, batch), func(b *testing.B) {
				db := migrated(b, e.engine)
				log, err := audit.Open(b.Context(), audit.Config{
					LogID: "log", Storage: db, Signer: audit.Signer{Name: "log", Key: key}, Now: time.Now, Rand: rand.Reader, MaxBatch: batch,
				})
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					grow(b, log, entries, batch)
				}
				var size float64
				if err := e.raw.QueryRow(logBytes[e.name]).Scan(&size); err != nil {
					b.Fatal(err)
				}
				var exported counter
				if err := audit.Export(b.Context(), db, "log", 0, 0, false, &exported); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(size/entries/float64(b.N), "B/entry")
				b.ReportMetric(float64(exported)/entries/float64(b.N), "B/entry-exported")
			})
		}
	}
}

// counter counts what is written.
type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// grow appends n entries by so many callers.
func grow(b *testing.B, log *audit.Log, n, callers int) {
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range n / callers {
				_, err := log.Append(b.Context(), &audit.Entry{
					Principal: "client/food-approval", Authority: "11330106002504122C", Action: "download", Object: "1.2.156.3005.2.11330100.000001.1",
					Purpose: strings.Repeat("purpose ", 10), Case: "330100-2026-000123", Result: audit.ResultAllowed, RequestID: rand.Text(),
					Personal: map[string]string{"holder_code": "11010119900307123X", "operator": "张三"},
				}, nil)
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
}
