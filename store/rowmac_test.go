package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/person"
	"elicence/licence/registry"
	"elicence/store"
)

// guarded is a table whose rows carry a MAC: how one is stored, found and changed.
type guarded struct {
	store, change func(registry.Tx, string) error
	find          func(key string) error
}

// at is when everything happens.
var at = time.Unix(1_800_000_000, 0).UTC()

func guardedTables(t *testing.T, b backend) map[string]guarded {
	ctx := t.Context()
	holder := licence.Holder{Code: personal[1], CodeType: licence.CodeTypeCitizenNumber}
	grant := func(id string, status registry.GrantStatus) registry.Grant {
		return registry.Grant{ID: id, Authority: licence.IssuingAuthority{Name: "局", Code: "d" + id, Division: "330100"}, TypeCode: "t", MatterCode: "m", Scenario: "s", Fields: []string{"number"},
			How: registry.HowFunction, LegalBasis: "法", ValidFrom: day("2026-01-01"), ValidTo: day("2026-12-31"), Status: status, RequestedBy: "r", RequestedAt: at, ApprovedBy: "a", ApprovedAt: at}
	}
	return map[string]guarded{
		"reuse_grant": {
			func(tx registry.Tx, key string) error { return tx.InsertGrant(ctx, grant(key, registry.GrantApproved)) },
			func(tx registry.Tx, key string) error {
				return tx.UpdateGrant(ctx, grant(key, registry.GrantWithdrawn), registry.GrantApproved)
			},
			func(key string) error { return second(b.Grant(ctx, key)) },
		},
		"reuse_case": {
			func(tx registry.Tx, key string) error {
				return tx.InsertCase(ctx, registry.Case{Authority: "a", Number: key, MatterCode: "m", MatterName: "n", Holder: holder, Types: []string{"t"}, OpenedAt: at, ValidTo: day("2026-12-31")})
			},
			func(tx registry.Tx, key string) error { return tx.CloseCase(ctx, registry.CaseID("a", key), at) },
			func(key string) error { return second(b.Case(ctx, registry.CaseID("a", key))) },
		},
		"client": {
			func(tx registry.Tx, key string) error {
				return tx.PutClient(ctx, registry.Client{ID: key, SecretHash: []byte{1}, Salt: []byte{2}, Roles: []registry.Role{registry.RolePartner}, HolderCode: personal[1], OldSecretHash: []byte{3}, OldSalt: []byte{4}, OldUntil: at})
			},
			func(tx registry.Tx, key string) error {
				return errors.Join(tx.RotateClient(ctx, key, []byte{5}, []byte{6}, at), tx.SetAuthentication(ctx, key, registry.BySignature), tx.DisableClient(ctx, key))
			},
			func(key string) error { return second(b.Client(ctx, key)) },
		},
		"client_key": {
			func(tx registry.Tx, key string) error {
				return tx.InsertClientKey(ctx, registry.ClientKey{KeyID: key, Client: "c", PublicKey: []byte{1}, ValidFrom: at})
			},
			func(tx registry.Tx, key string) error { return tx.EndClientKey(ctx, key, at) },
			func(key string) error { return second(b.ClientKey(ctx, key)) },
		},
		"person": { // disabled, so that two may have one subject
			func(tx registry.Tx, key string) error {
				return tx.InsertPerson(ctx, person.Person{ID: key, Issuer: "https://i", Subject: key, Name: "王", Roles: []person.Role{person.Auditor}, From: at, Disabled: true})
			},
			func(tx registry.Tx, key string) error { return tx.DisablePerson(ctx, key) },
			func(key string) error { return second(b.Person(ctx, key)) },
		},
		"holder_consent": {
			func(tx registry.Tx, key string) error {
				return tx.InsertConsent(ctx, consent.Consent{ID: key, Holder: holder, Kind: consent.Reuse, Licences: []licence.Identifier{"l"}, Fields: []string{"number"}, Purpose: "租房", Uses: 2, MadeAt: at, EndsAt: at.Add(time.Hour)})
			},
			func(tx registry.Tx, key string) error {
				_, err := tx.Basis(ctx, registry.Basis{Consent: key}, at)
				return errors.Join(err, tx.RevokeConsent(ctx, key, at))
			},
			func(key string) error { return second(b.Consent(ctx, key)) },
		},
	}
}

func second[T any](_ T, err error) error { return err }

// key is what a row of a table is found by.
func key(table, name string) string {
	if table == "reuse_case" {
		return registry.CaseID("a", name)
	}
	return name
}

// TestAlteredRows edits every column of what decides access by hand, swaps rows, and inserts one:
// each is told, whoever reads or changes it. What the register itself changes is not, and
// put back as it was the row is the register's again.
func TestAlteredRows(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			b := migrated(t, e.engine)
			exec := func(statement string, args ...any) {
				t.Helper()
				if _, err := e.raw.ExecContext(t.Context(), statement, args...); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			batch := func(do func(registry.Tx, string) error, name string) error {
				return b.Batch(t.Context(), func(tx audit.Tx) error { return do(tx.(registry.Tx), name) })
			}
			tables := guardedTables(t, b)
			for table, covered := range store.MACTables() {
				g := tables[table]
				for _, name := range []string{"one", "two"} {
					must(t, batch(g.store, name))
				}
				id := key(table, "one")
				altered := func(what string) {
					t.Helper()
					for how, err := range map[string]error{"read": g.find("one"), "changed": batch(g.change, "one")} {
						var told *registry.AlteredError
						if !errors.As(err, &told) || told.Row != table+"/"+id || registry.Code(err) != "record_altered" {
							t.Errorf("%s: %s, %s: %v", table, what, how, err)
						}
					}
				}
				exec(fmt.Sprintf(`CREATE TABLE kept_%s AS SELECT * FROM %[1]s`, table))
				restore := func() {
					exec(`DELETE FROM ` + table)
					exec(fmt.Sprintf(`INSERT INTO %s SELECT * FROM kept_%[1]s`, table))
				}
				for _, column := range append(covered[1:], "mac") {
					exec(fmt.Sprintf(`UPDATE %s SET %s = %s WHERE %s = $1`, table, column, e.another(t, table, column), covered[0]), id)
					altered(column)
					restore()
					must(t, g.find("one"))
				}
				others := strings.Join(covered[1:], ", ")
				exec(fmt.Sprintf(`UPDATE %s SET (%s, mac) = (SELECT %[2]s, mac FROM kept_%[1]s WHERE %[3]s = $1) WHERE %[3]s = $2`, table, others, covered[0]), key(table, "two"), id)
				altered("the row of another key")
				restore()
				exec(fmt.Sprintf(`DELETE FROM %s WHERE %s = $1`, table, covered[0]), id)
				exec(fmt.Sprintf(`UPDATE %s SET %s = $1`, table, covered[0]), id)
				altered("inserted as a copy of another")
				restore()
				must(t, batch(g.change, "one"))
				must(t, g.find("one"))
				columns := e.columns(t, table)
				columns = slices.DeleteFunc(columns, func(c string) bool { return slices.Contains(covered, c) || c == "mac" })
				if len(columns) > 0 {
					t.Errorf("%s: columns %v are not covered", table, columns)
				}
			}
		})
	}
}

// columns are all columns of a table.
func (e rawEngine) columns(t *testing.T, table string) []string {
	t.Helper()
	rows, err := e.raw.QueryContext(t.Context(), `SELECT * FROM `+table+` LIMIT 0`)
	must(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	must(t, err)
	return names
}

// another is an SQL expression of another value than a column has.
func (e rawEngine) another(t *testing.T, table, column string) string {
	t.Helper()
	var kind string
	query := `SELECT lower(type) FROM pragma_table_info($1) WHERE name = $2`
	if e.name == "PostgreSQL" {
		query = `SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname = $2`
	}
	must(t, e.raw.QueryRowContext(t.Context(), query, table, column).Scan(&kind))
	switch kind {
	case "text":
		return column + ` || 'x'`
	case "bigint", "integer":
		if column == "disabled" || column == "timestamped" {
			return `1 - ` + column
		}
		return column + ` + 1`
	case "boolean":
		return `NOT ` + column
	case "bytea":
		return `coalesce(` + column + `, ''::bytea) || 'x'::bytea`
	case "blob":
		return `CAST(coalesce(` + column + `, x'') || x'78' AS blob)`
	}
	t.Fatalf("%s.%s is %s", table, column, kind)
	return ""
}

// TestRowsOfBefore migrates tables whose rows have no MAC yet: they get it once, and a row
// without one is not the register's afterwards.
func TestRowsOfBefore(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			b := migrated(t, e.engine)
			exec := func(statement string) {
				t.Helper()
				if _, err := e.raw.ExecContext(t.Context(), statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			tables := guardedTables(t, b)
			for _, g := range tables {
				must(t, b.Batch(t.Context(), func(tx audit.Tx) error {
					return errors.Join(g.store(tx.(registry.Tx), "one"), g.store(tx.(registry.Tx), "two"))
				}))
			}
			id, _ := licenceKept(t, b, "ONE", 10)
			must(t, undone(t, b, 25))
			exec(`UPDATE holder_consent SET uses = uses + 1 WHERE id = 'two'`)
			must(t, b.Migrate(t.Context()))
			if err := second(b.Consent(t.Context(), "two")); registry.Code(err) != "record_altered" {
				t.Errorf("a consent that was altered before the migration: %v", err)
			}
			must(t, tables["holder_consent"].find("one"))
			must(t, undone(t, b, 23))
			must(t, b.Migrate(t.Context()))
			for table, g := range tables {
				must(t, g.find("one"))
				exec(`UPDATE ` + table + ` SET mac = substr(mac, 1, 0)`)
				if err := g.find("one"); registry.Code(err) != "record_altered" {
					t.Errorf("%s without its MAC: %v", table, err)
				}
			}
			finds := map[string]func() error{
				"licence_status.mac": func() error { return second(b.History(t.Context(), id, 1)) }, "licence_file.mac": func() error { return second(b.FileAsOf(t.Context(), id, at)) },
				"licence.standing_mac": func() error { return second(b.Versions(t.Context(), id)) }, "licence.mac": func() error { return second(b.Licence(t.Context(), id)) },
			}
			for _, find := range finds {
				must(t, find())
			}
			for mac, find := range finds {
				table, column, _ := strings.Cut(mac, ".")
				exec(`UPDATE ` + table + ` SET ` + column + ` = substr(` + column + `, 1, 0)`)
				if err := find(); registry.Code(err) != "record_altered" {
					t.Errorf("without %s: %v", mac, err)
				}
			}
		})
	}
}

// undone undoes the migrations above a version.
func undone(t *testing.T, b backend, version int64) error {
	return b.(interface {
		DownTo(context.Context, int64) error
	}).DownTo(t.Context(), version)
}
