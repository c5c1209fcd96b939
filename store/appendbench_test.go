package store_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
)

// BenchmarkAppend measures the whole log on both engines, look-up keys, tree and
// checkpoints included: entries of the usual size, each about a holder, by callers at
// the same time.
func BenchmarkAppend(b *testing.B) {
	for _, open := range engines {
		for _, callers := range []int{1, 64, 256} {
			e := open(b)
			b.Run(fmt.Sprintf("%s/%d", e.name, callers), func(b *testing.B) {
				log := logOn(b, migrated(b, open(b)))
				atOnce(b, callers, func(n int64) error {
					_, err := log.Append(b.Context(), used(n), nil)
					return err
				})
			})
		}
	}
}

// logOn opens an empty log.
func logOn(b *testing.B, db audit.Storage) *audit.Log {
	key, err := pki.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	log, err := audit.Open(b.Context(), audit.Config{LogID: "log", Storage: db, Signer: audit.Signer{Name: "log", Key: key}, Now: time.Now, Rand: rand.Reader})
	if err != nil {
		b.Fatal(err)
	}
	return log
}

// BenchmarkChain is the baseline of BenchmarkAppend: the same entries in a chain whose head
// is one row, which every entry locks, in a transaction of its own. It spares itself
// signatures, the tree, the look-up keys and encryption.
func BenchmarkChain(b *testing.B) {
	const tables = `CREATE TABLE chain_head (size bigint NOT NULL, leaf %[1]s NOT NULL);
		INSERT INTO chain_head VALUES (0, CAST('00000000000000000000000000000000' AS %[1]s));
		CREATE TABLE chain_entry ("index" bigint PRIMARY KEY, record %[1]s NOT NULL, leaf %[1]s NOT NULL)`
	for _, callers := range []int{1, 64, 256} {
		for _, e := range rawEngines(b) {
			b.Run(fmt.Sprintf("%s/%d", e.name, callers), func(b *testing.B) {
				binary, lock, sessions := "bytea", " FOR UPDATE", min(callers, 64)
				if e.name == "SQLite" {
					binary, lock, sessions = "blob", "", 1
					migrated(b, e.engine) // for the durable settings of the file
				}
				e.raw.SetMaxOpenConns(sessions)
				e.raw.SetMaxIdleConns(sessions)
				defer e.raw.SetMaxIdleConns(0)
				if _, err := e.raw.Exec(fmt.Sprintf("DROP TABLE IF EXISTS chain_head; DROP TABLE IF EXISTS chain_entry; "+tables, binary)); err != nil {
					b.Fatal(err)
				}
				atOnce(b, callers, func(n int64) error { return chain(b.Context(), e.raw, lock, used(n)) })
			})
		}
	}
}

// chain appends one entry.
func chain(ctx context.Context, db *sql.DB, lock string, e *audit.Entry) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing after the commit
	var size uint64
	var last []byte
	if err := tx.QueryRowContext(ctx, `SELECT size, leaf FROM chain_head`+lock).Scan(&size, &last); err != nil {
		return err
	}
	record := audit.Record{Prev: [32]byte(last), Index: size, Entry: *e, Commitment: make([]byte, 32)}
	record.Entry.Personal, record.Entry.Time = nil, time.Now().UTC()
	encoded, err := record.Marshal()
	if err != nil {
		return err
	}
	leaf := audit.LeafHash(encoded)
	if _, err := tx.ExecContext(ctx, `INSERT INTO chain_entry VALUES ($1, $2, $3)`, int64(size), encoded, leaf[:]); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE chain_head SET size = $1, leaf = $2`, int64(size+1), leaf[:]); err != nil {
		return err
	}
	return tx.Commit()
}

// BenchmarkRead measures what the log adds to one read by one caller: a file is looked up in
// the register, and then once more through the gate, which authorises and logs that.
func BenchmarkRead(b *testing.B) {
	for _, open := range engines {
		e := open(b)
		b.Run(e.name, func(b *testing.B) {
			db := migrated(b, e)
			r, err := registry.New(registry.Config{Store: db, Log: logOn(b, db), LogID: "log", LogReader: db, Catalogue: &licence.Catalogue{}, Now: time.Now, Rand: rand.Reader})
			if err != nil {
				b.Fatal(err)
			}
			err = db.Batch(b.Context(), func(tx audit.Tx) error {
				if err := reserve(b.Context(), tx.(registry.Tx), "one", []byte("{}")); err != nil {
					return err
				}
				return issue(b.Context(), tx.(registry.Tx), "one")
			})
			if err != nil {
				b.Fatal(err)
			}
			var digest [32]byte
			copy(digest[:], "one")
			b.Run("register", func(b *testing.B) {
				atOnce(b, 1, func(int64) error {
					_, err := db.LicencesByFile(b.Context(), []string{string(digest[:])})
					return err
				})
			})
			b.Run("gate", func(b *testing.B) {
				atOnce(b, 1, func(int64) error {
					_, err := r.Verify(b.Context(), registry.Anonymous("request"), func() [32]byte { return digest }, func(l registry.Lookup) registry.Verdict {
						if _, err := l.ByFile(b.Context(), digest); err != nil {
							b.Error(err)
						}
						return registry.Verdict{Object: "one"}
					})
					return err
				})
			})
		})
	}
}

// atOnce runs b.N calls by so many callers, and reports how many there were in a second and
// what the slowest of a hundred took.
func atOnce(b *testing.B, callers int, call func(n int64) error) {
	var at atomic.Int64
	var wait sync.WaitGroup
	took := make([]time.Duration, b.N+1)
	b.ResetTimer()
	for range callers {
		wait.Go(func() {
			for n := at.Add(1); n <= int64(b.N); n = at.Add(1) {
				began := time.Now()
				if err := call(n); err != nil {
					b.Error(err)
					return
				}
				took[n] = time.Since(began)
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	took = took[1:]
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
}

// used is the n-th entry of a log of reuses by ten clients, each for a case of its own.
func used(n int64) *audit.Entry {
	return &audit.Entry{
		Principal: fmt.Sprint("partner-", n%10), Authority: "11330100002490170T", Action: "reuse", Object: fmt.Sprintf("1.2.156.3005.2.11100000MB0143028R901.%010d", n%100_000),
		Purpose: "办理食品经营许可变更", Case: fmt.Sprint("330100-2026-", n), Matter: "330114007000", Result: audit.ResultAllowed, RequestID: fmt.Sprintf("%032x", n), Digest: make([]byte, 32),
		Personal: map[string]string{"operator": "王五", "holder_code_type": "111", "holder_code": fmt.Sprint(n % 50_000)},
	}
}
