package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/store"
)

// licenceKept stores a licence with two files, the second current, and three statuses.
func licenceKept(t *testing.T, b backend, name string, n byte) (id licence.Identifier, first registry.File) {
	t.Helper()
	ctx := t.Context()
	id, err := licence.NewIdentifier("11100000MB0143028R901", "11330106002504122C", name, 1)
	must(t, err)
	holder := licence.Holder{Name: name, Code: name, CodeType: licence.CodeTypeUSCC}
	rec := registry.Record{Identifier: id, Number: name, TypeCode: "t", AuthorityCode: "a", Division: "330100", Version: 1, Holder: holder, Data: []byte("data"), DataDigest: digest(n), Status: licence.StatusPending,
		StatusReason: "reserved", StatusAt: at, Client: "c", IdempotencyKey: name, CaseNumber: "C", CreatedAt: at, IssuedOn: day("2026-01-01"), ExpiresOn: day("2031-01-01")}
	first = registry.File{Digest: digest(n + 1), RangeDigest: digest(n), Size: 1, SealedAt: at, CreatedAt: at}
	second := registry.File{Digest: digest(n + 2), Size: 2, Timestamped: true, TimestampedAt: at, SealedAt: at, CreatedAt: at.Add(time.Hour)}
	must(t, b.Batch(ctx, func(tx audit.Tx) error {
		r := tx.(registry.Tx)
		return errors.Join(r.InsertLicence(ctx, rec), r.Issue(ctx, id, first, registry.Change{Reason: "issued", At: at.Add(time.Minute)}), r.SetFile(ctx, id, second),
			r.SetStatus(ctx, id, []licence.Status{licence.StatusValid}, licence.StatusRevoked, registry.Change{Reason: "revoked", CaseNumber: "C", At: at.Add(time.Hour)}))
	}))
	return id, first
}

// TestAlteredLicences edits by hand every column that the MACs of a licence, its files and its
// history cover, one after the other: whoever reads them, or changes the licence, is told.
func TestAlteredLicences(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			b := migrated(t, e.engine)
			ctx := t.Context()
			exec := func(statement string, args ...any) {
				t.Helper()
				if _, err := e.raw.ExecContext(ctx, statement, args...); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			one, first := licenceKept(t, b, "ONE", 10)
			two, _ := licenceKept(t, b, "TWO", 20)
			batch := func(do func(registry.Tx) error) error {
				return b.Batch(ctx, func(tx audit.Tx) error { return do(tx.(registry.Tx)) })
			}
			asks := map[string]func() error{
				"licence":  func() error { return second(b.Licence(ctx, one)) },
				"licences": func() error { return second(b.Licences(ctx, []string{string(one)})) },
				"by file":  func() error { return second(b.LicencesByFile(ctx, []string{string(first.Digest[:])})) },
				"in a transaction": func() error {
					return batch(func(tx registry.Tx) error { return second(tx.Licence(ctx, one)) })
				},
				"search": func() error {
					return second(b.Search(ctx, registry.Query{Holder: licence.Holder{Code: "ONE", CodeType: licence.CodeTypeUSCC}}))
				},
				"for reuse": func() error {
					return second(b.ForReuse(ctx, registry.ReuseQuery{Identifiers: []string{string(one)}}))
				},
				"versions": func() error { return second(b.Versions(ctx, one)) },
				"last version": func() error {
					return batch(func(tx registry.Tx) error { return second(tx.LastVersion(ctx, one)) })
				},
				"status": func() error {
					return batch(func(tx registry.Tx) error {
						return tx.SetStatus(ctx, one, []licence.Status{licence.StatusRevoked, licence.StatusRevoked + "x"}, licence.StatusValid, registry.Change{At: at})
					})
				},
				"file": func() error {
					return batch(func(tx registry.Tx) error { return tx.SetFile(ctx, one, first) })
				},
				"status as of": func() error { return second(b.StatusAsOf(ctx, one, at.Add(2*time.Hour))) },
				"history":      func() error { return second(b.History(ctx, one, 9)) },
				"file as of":   func() error { return second(b.FileAsOf(ctx, one, at.Add(time.Minute))) },
			}
			id := func(query string) (n int64) {
				t.Helper()
				must(t, e.raw.QueryRowContext(ctx, query, string(one)).Scan(&n))
				return n
			}
			altered := func(what, table string, names ...string) {
				t.Helper()
				for _, name := range names {
					var told *registry.AlteredError
					if err := asks[name](); !errors.As(err, &told) || told.Row != table+"/"+string(one) || registry.Code(err) != "record_altered" {
						t.Errorf("%s, %s: %v", what, name, err)
					}
				}
			}
			record := []string{"licence", "licences", "in a transaction", "for reuse"}
			for _, tt := range []struct {
				mac, key string
				id       any
				asks     []string
				unfound  map[string]string // by which the row is found no more when the column is altered
			}{
				{"licence.mac", "identifier", string(one), append(record[:4:4], "by file", "search"), map[string]string{"holder_index": "search", "type_code": "search"}},
				{"licence.standing_mac", "identifier", string(one), append(record[:4:4], "by file", "search", "versions", "last version", "status", "file"), nil},
				{"licence_file.mac", "id", id(`SELECT min(id) FROM licence_file WHERE identifier = $1`), []string{"by file", "file as of"}, map[string]string{"digest": "by file"}},
				{"licence_file.mac", "id", id(`SELECT max(id) FROM licence_file WHERE identifier = $1`), append(record[:4:4], "search", "by file"), nil},
				{"licence_status.mac", "id", id(`SELECT max(id) FROM licence_status WHERE identifier = $1`), []string{"status as of", "history"}, nil},
			} {
				g := store.LicenceMACs()[tt.mac]
				for _, column := range append(g.Columns[1:], tt.mac[len(g.Table)+1:]) {
					exec(`CREATE TABLE kept AS SELECT * FROM ` + g.Table)
					exec(fmt.Sprintf(`UPDATE %s SET %s = %s WHERE %s = $1`, g.Table, column, e.another(t, g.Table, column), tt.key), tt.id)
					altered(column+" of "+tt.mac, g.Table, slices.DeleteFunc(slices.Clone(tt.asks), func(name string) bool { return name == tt.unfound[column] })...)
					exec(fmt.Sprintf(`UPDATE %[1]s SET %[2]s = (SELECT %[2]s FROM kept WHERE %[3]s = $1) WHERE %[3]s = $1`, g.Table, column, tt.key), tt.id)
					exec(`DROP TABLE kept`)
				}
				for _, name := range tt.asks {
					if name != "status" && name != "file" { // these change it
						must(t, asks[name]())
					}
				}
			}
			exec(`UPDATE licence SET (status, status_reason, status_at, file_digest, standing_mac) = (SELECT status, status_reason, status_at, file_digest, standing_mac FROM licence WHERE identifier = $1) WHERE identifier = $2`, string(two), string(one))
			altered("standing as another", "licence", record...)
			exec(`INSERT INTO licence_status (identifier, status, reason, case_number, at, mac) SELECT $2, status, reason, case_number, at + 1, mac FROM licence_status WHERE identifier = $1`, string(two), string(one))
			altered("another's history", "licence_status", "status as of", "history")
		})
	}
}
