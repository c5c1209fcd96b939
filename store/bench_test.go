package store_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// entries appends n entries of the usual size to the head of a log.
func entries(ctx context.Context, tx audit.Tx, n int) error {
	h, err := tx.Head(ctx, "log")
	if err != nil {
		return err
	}
	rows := make([]audit.Row, n)
	for i := range rows {
		rows[i] = audit.Row{Index: h.Size + uint64(i), Record: make([]byte, 400), Opening: make([]byte, 120)}
	}
	next := audit.Head{Size: h.Size + uint64(n), Range: [][]byte{make([]byte, 32), make([]byte, 32)}, Checkpoint: make([]byte, 300)}
	return tx.Append(ctx, "log", rows, nil, next)
}

// BenchmarkBatch measures one durable batch of log entries: its time is mostly
// that of the disk.
func BenchmarkBatch(b *testing.B) {
	for _, open := range engines {
		for _, n := range []int{1, 32} {
			e := open(b)
			b.Run(fmt.Sprintf("%s/%d", e.name, n), func(b *testing.B) {
				db := migrated(b, open(b))
				for b.Loop() {
					if err := db.Batch(b.Context(), func(tx audit.Tx) error { return entries(b.Context(), tx, n) }); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			})
		}
	}
}

// BenchmarkIssue measures the batches of 32 issues made at the same time: the
// attempt, the reservation, the sealing and the issue of each, with all their
// changes to the register; and the same while a department has subscribed to its events.
func BenchmarkIssue(b *testing.B) {
	const clients = 32
	data := bytes.Repeat([]byte("licence data "), 100)
	for i := range 2 * len(engines) {
		open, subscribed := engines[i/2], i%2 == 1
		e := open(b)
		b.Run(e.name+map[bool]string{true: ", subscribed"}[subscribed], func(b *testing.B) {
			db := migrated(b, open(b))
			if subscribed {
				subscribe(b, db)
			}
			batch := func(apply func(registry.Tx, int) error) {
				err := db.Batch(b.Context(), func(tx audit.Tx) error {
					for i := range clients {
						if apply == nil {
							continue
						}
						if err := tx.Savepoint(b.Context(), func() error { return apply(tx.(registry.Tx), i) }); err != nil {
							return err
						}
					}
					return entries(b.Context(), tx, clients)
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			round := 0
			for b.Loop() {
				round++
				name := func(i int) string { return fmt.Sprintf("%08d-%02d", round, i) }
				batch(nil)
				batch(func(tx registry.Tx, i int) error { return reserve(b.Context(), tx, name(i), data) })
				batch(nil)
				batch(func(tx registry.Tx, i int) error { return issue(b.Context(), tx, name(i)) })
			}
			b.ReportMetric(clients*float64(b.N)/b.Elapsed().Seconds(), "issues/s")
		})
	}
}

// subscribe subscribes to the events of BenchmarkIssue.
func subscribe(b *testing.B, db backend) {
	err := db.Batch(b.Context(), func(tx audit.Tx) error {
		return tx.(registry.Tx).InsertSubscription(b.Context(), event.Subscription{ID: "s", Client: "c", URL: "https://a.example/", TypeCodes: []string{"type"}, Status: event.Active})
	})
	if err != nil {
		b.Fatal(err)
	}
}

func reserve(ctx context.Context, tx registry.Tx, name string, data []byte) error {
	now := time.Unix(1_800_000_000, 0)
	if _, err := tx.TakeKey(ctx, registry.Key{Client: "c", Key: name, LeaseUntil: now.Add(time.Minute), Identifier: licence.Identifier(name)}, now); err != nil {
		return err
	}
	if _, err := tx.NextNumber(ctx, "series"); err != nil {
		return err
	}
	return tx.InsertLicence(ctx, registry.Record{
		Identifier: licence.Identifier(name), Number: name, TypeCode: "type", AuthorityCode: "authority", Division: "440300",
		Holder: licence.Holder{Name: "holder", Code: name, CodeType: licence.CodeTypeUSCC}, Data: data,
		Status: licence.StatusPending, StatusAt: now, Client: "c", IdempotencyKey: name, CreatedAt: now, LeaseUntil: now.Add(time.Minute),
	})
}

func issue(ctx context.Context, tx registry.Tx, name string) error {
	id := licence.Identifier(name)
	var f registry.File
	copy(f.Digest[:], name)
	change := registry.Change{Reason: "issued", At: time.Unix(1_800_000_001, 0)}
	if err := tx.Issue(ctx, id, f, change); err != nil {
		return err
	}
	e := event.Event{ID: name, Type: event.Issued, Subject: id, TypeCode: "type", Version: 1, Time: change.At}
	if err := tx.InsertEvent(ctx, e, "440300", e.Time); err != nil {
		return err
	}
	return tx.AnswerKey(ctx, "c", name, bytes.Repeat([]byte("answer "), 100))
}

// million is a licence in the form of a common table expression, a million times, one
// in 33 of them suspended. Both engines take it.
const million = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
	INSERT INTO licence (identifier, number_index, type_code, authority_code, division, version, holder_code_type, holder_index,
		data_digest, status, status_at, client, idempotency_key, case_number, created_at, lease_until)
	SELECT 'L' || substr(CAST(10000000 + i AS text), 2), CAST(CAST(i AS text) AS %[1]s), 'T', 'A', '330100', 1, '001', CAST('h' AS %[1]s),
		CAST('d' AS %[1]s), CASE i %% 33 WHEN 0 THEN 'suspended' ELSE 'valid' END, 0, 'c', 'k', '', 0, 0 FROM n`

// BenchmarkEachNotValid reads what a trust list names of a million licences.
func BenchmarkEachNotValid(b *testing.B) {
	for _, e := range rawEngines(b) {
		b.Run(e.name, func(b *testing.B) {
			db := migrated(b, e.engine)
			binary := map[string]string{"SQLite": "blob", "PostgreSQL": "bytea"}[e.name]
			if _, err := e.raw.Exec(fmt.Sprintf(million, binary)); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				n := 0
				err := db.EachNotValid(b.Context(), func(licence.Identifier, licence.Status) error {
					n++
					return nil
				})
				if err != nil || n != 30_303 {
					b.Fatal(n, err)
				}
			}
		})
	}
}
