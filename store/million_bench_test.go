package store_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/store"

	"github.com/emmansun/gmsm/sm3"
)

// BenchmarkReuseOf measures on PostgreSQL what a reuse looks up, in a register of 1,000 grants, cases and
// licences, of 100,000 and of ELICENCE_GRANTS, which must be a multiple of 1,000 (without it: of
// 1,000 alone). Each look-up is by an index, or it fails. Those that are looked
// up were stored as always; all others were made by the database itself, in the
// same columns, of the same lengths, and nobody could decrypt them.
func BenchmarkReuseOf(b *testing.B) {
	most, err := strconv.Atoi(os.Getenv("ELICENCE_GRANTS"))
	if err != nil {
		most = 1_000
	}
	e := rawEngines(b)[1]
	db := migrated(b, e.engine)
	subjects := make([]subject, 0, looked)
	for i := range looked {
		subjects = append(subjects, newSubject(i))
	}
	for page := range slices.Chunk(subjects, 100) {
		must(b, db.Batch(b.Context(), func(tx audit.Tx) error {
			for _, s := range page {
				if err := s.store(b, tx.(registry.Tx)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	filled := looked
	for _, size := range slices.Compact([]int{looked, min(100_000, most), most}) {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			if size > filled {
				fillRegister(b, e.raw, filled, size)
				filled = size
			}
			for name, query := range store.ReuseQueries {
				planned(b, e.raw, name, query, size >= 100_000) // fewer rows are read faster than looked up
			}
			for table, rows := range map[string]string{"reuse_grant": "grant", "reuse_case": "case", "licence": "licence", "licence_status": "licence_status", "licence_file": "licence_file"} {
				var bytes float64
				must(b, e.raw.QueryRow(`SELECT pg_total_relation_size($1::regclass)`, table).Scan(&bytes))
				shown(b, "bytes/"+rows, bytes/float64(size), "B/row")
			}
			measure(b, db, subjects)
		})
	}
}

// looked is how many are looked up.
const looked = 1_000

// subject is one of those.
type subject struct {
	grant  registry.Grant
	kase   registry.Case
	record registry.Record
}

// spread is a name that lies anywhere among others.
func spread(kind string, i int) string {
	sum := sm3.Sum(fmt.Append(nil, kind, i))
	return fmt.Sprintf("%x", sum[:16])
}

func newSubject(i int) subject {
	department := licence.IssuingAuthority{Name: "杭州市人力资源和社会保障局", Code: spread("department", i/10), Division: "330100"}
	holder := licence.Holder{Name: "杭州西湖知味样例餐饮有限公司", Code: spread("holder", i), CodeType: licence.CodeTypeUSCC}
	at := time.Unix(1_800_000_000, 0)
	return subject{
		registry.Grant{ID: spread("grant", i), Authority: department, TypeCode: fmt.Sprint("11100000MB0143028R", i%10), MatterCode: "330114007000", Scenario: "社会保险登记核验经营许可",
			Fields: []string{"number", "status", "expires_on", "holder.name"}, How: registry.HowFunction, LegalBasis: "《中华人民共和国社会保险法》第五十七条", ValidFrom: day("2026-01-01"),
			Status: registry.GrantApproved, RequestedBy: "r", RequestedAt: at, ApprovedBy: "a", ApprovedAt: at},
		registry.Case{Authority: department.Code, Number: fmt.Sprint("SB-", i), MatterCode: "330114007000", MatterName: "社会保险登记", Holder: holder, Types: []string{"11100000MB0143028R901"}, OpenedAt: at, ValidTo: day("2026-12-31")},
		registry.Record{Identifier: licence.Identifier("1.2.156.3005.2.11100000MB0143028R901." + spread("licence", i)), Number: spread("number", i), TypeCode: "11100000MB0143028R901", AuthorityCode: "11330106002504122C", Division: "330106", Version: 1,
			Holder: holder, Data: []byte(strings.Repeat("data", 230)), Status: licence.StatusPending, StatusAt: at, Client: "approval-market", IdempotencyKey: spread("key", i), CaseNumber: spread("case", i),
			CreatedAt: at, LeaseUntil: at, IssuedOn: day("2026-03-01"), EffectiveOn: day("2026-03-01"), ExpiresOn: day("2031-02-28")},
	}
}

func day(s string) licence.Date {
	d, err := licence.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

func (s subject) store(b *testing.B, tx registry.Tx) error {
	ctx, id := b.Context(), s.record.Identifier
	if err := tx.InsertGrant(ctx, s.grant); err != nil {
		return err
	}
	if err := tx.InsertCase(ctx, s.kase); err != nil {
		return err
	}
	if err := tx.InsertLicence(ctx, s.record); err != nil {
		return err
	}
	if err := tx.SetFile(ctx, id, registry.File{Digest: sm3.Sum([]byte(id)), Size: 100_000, Timestamped: true, CreatedAt: s.record.CreatedAt}); err != nil {
		return err
	}
	return tx.SetStatus(ctx, id, []licence.Status{licence.StatusPending}, licence.StatusValid, registry.Change{At: s.record.CreatedAt})
}

// fillRegister makes grants, cases and licences from one number up to another: copies of those
// there are, with names and random bytes of their own.
func fillRegister(b *testing.B, raw *sql.DB, from, to int) {
	b.Helper()
	const bytes = `decode(repeat(md5(%[1]s || i), %[2]d), 'hex')`
	random := func(salt string, n int) string { return fmt.Sprintf(bytes, "'"+salt+"'", n/16) }
	began := time.Now()
	for _, statement := range []string{
		`INSERT INTO reuse_grant SELECT (jsonb_populate_record(g, jsonb_build_object('id', md5('grant' || i), 'authority_code', md5('department' || i / 50), 'type_code', '11100000MB0143028R' || i % 10, 'matter_code', '33011400' || i % 50 / 10))).*
			FROM generate_series($1::bigint, $2) i, (SELECT g FROM reuse_grant g LIMIT 1) one`,
		`INSERT INTO reuse_case SELECT (jsonb_populate_record(k, jsonb_build_object('id', md5('case' || i), 'authority_code', md5('department' || i / 50), 'case_number', 'SB-' || i))).*
			FROM generate_series($1::bigint, $2) i, (SELECT k FROM reuse_case k LIMIT 1) one`,
		`INSERT INTO licence SELECT (l.r).* FROM (SELECT jsonb_populate_record(one, jsonb_build_object('identifier', '1.2.156.3005.2.11100000MB0143028R901.' || md5('licence' || i),
				'case_number', md5('case' || i), 'idempotency_key', md5('key' || i), 'number', ` + random("number", 64) + `, 'number_index', ` + random("index", 32) + `, 'holder_name', ` + random("name", 64) + `,
				'holder_code', ` + random("code", 64) + `, 'holder_index', ` + random("holder", 32) + `, 'data', ` + random("data", 944) + `, 'data_digest', ` + random("digest", 32) + `, 'file_digest', ` + random("file", 32) + `)) r
			FROM generate_series($1::bigint, $2) i, (SELECT x one FROM licence x LIMIT 1) one) l`,
		`INSERT INTO licence_status (identifier, status, case_number, at) SELECT '1.2.156.3005.2.11100000MB0143028R901.' || md5('licence' || i), s, '', 1800000000
			FROM generate_series($1::bigint, $2) i, unnest(ARRAY['pending', 'valid']) s`,
		`INSERT INTO licence_file (digest, identifier, range_digest, size, timestamped, timestamped_at, sealed_at, created_at)
			SELECT ` + random("file", 32) + `, '1.2.156.3005.2.11100000MB0143028R901.' || md5('licence' || i), ` + random("range", 32) + `, 100000, true, 1, 1, 1 FROM generate_series($1::bigint, $2) i`,
	} {
		if _, err := raw.ExecContext(b.Context(), statement, from, to-1); err != nil {
			b.Fatalf("%s: %v", statement, err)
		}
	}
	if _, err := raw.ExecContext(b.Context(), `VACUUM ANALYZE`); err != nil {
		b.Fatal(err)
	}
	b.Logf("filled from %d to %d in %v", from, to, time.Since(began).Round(time.Second))
}

// planned shows the plan of a look-up, whatever it is for, and fails when it must be by indexes
// and would read a whole table.
func planned(b *testing.B, raw *sql.DB, name, query string, indexed bool) {
	b.Helper()
	conn, err := raw.Conn(b.Context())
	must(b, err)
	defer conn.Close()
	parameters := 0
	for strings.Contains(query, fmt.Sprint("$", parameters+1)) {
		parameters++
	}
	nothing := strings.TrimSuffix(strings.Repeat("NULL, ", parameters), ", ")
	for _, statement := range []string{`SET plan_cache_mode = force_generic_plan`, `PREPARE looked AS ` + query} {
		if _, err := conn.ExecContext(b.Context(), statement); err != nil {
			b.Fatalf("%s: %v", statement, err)
		}
	}
	rows, err := conn.QueryContext(b.Context(), `EXPLAIN (COSTS OFF) EXECUTE looked (`+nothing+`)`)
	must(b, err)
	var plan []string
	for rows.Next() {
		var line string
		must(b, rows.Scan(&line))
		plan = append(plan, line)
	}
	must(b, rows.Close())
	if _, err := conn.ExecContext(b.Context(), `DEALLOCATE looked`); err != nil {
		b.Fatal(err)
	}
	text := strings.Join(plan, "\n")
	b.Logf("%s:\n%s", name, text)
	if indexed && strings.Contains(text, "Seq Scan") {
		b.Errorf("%s reads a whole table", name)
	}
}

// measure makes each look-up over and over, each time another. Other work on the machine
// changes the least and the median less than the average.
func measure(b *testing.B, db backend, subjects []subject) {
	ctx := b.Context()
	for name, look := range map[string]func(s subject) (found bool, err error){
		"grant by department, type and matter": func(s subject) (bool, error) {
			found, err := db.ForReuse(ctx, registry.ReuseQuery{Authority: s.grant.Authority.Code, TypeCode: s.grant.TypeCode, Matter: s.grant.MatterCode})
			return len(found.Grants) > 0, err
		},
		"case by number": func(s subject) (bool, error) {
			k, err := db.Case(ctx, registry.CaseID(s.kase.Authority, s.kase.Number))
			return k.Number == s.kase.Number, err
		},
		"licence by holder": func(s subject) (bool, error) {
			found, err := db.Search(ctx, registry.Query{Holder: s.record.Holder, Types: []string{s.record.TypeCode}, Limit: 100, Issued: true})
			return len(found) == 1, err
		},
		"licence by identifier": func(s subject) (bool, error) {
			rec, err := db.Licence(ctx, s.record.Identifier)
			return rec.Identifier == s.record.Identifier, err
		},
		"all of a reuse": func(s subject) (bool, error) {
			found, err := db.ForReuse(ctx, registry.ReuseQuery{Authority: s.grant.Authority.Code, TypeCode: s.grant.TypeCode, Matter: s.grant.MatterCode, Case: registry.CaseID(s.kase.Authority, s.kase.Number),
				Licences: registry.Query{Holder: s.record.Holder, Types: []string{s.record.TypeCode}, Limit: 100, Issued: true}})
			return len(found.Grants) > 0 && found.Case.Number != "" && len(found.Licences) == 1, err
		},
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				began := time.Now()
				if found, err := look(subjects[i*7%len(subjects)]); err != nil || !found {
					b.Fatalf("found %t, %v", found, err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(took[0].Seconds()*1e3, "least-ms")
			b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
		})
	}
}
