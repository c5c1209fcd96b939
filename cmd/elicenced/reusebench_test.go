package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/consent"
	"elicence/store/pgtest"
)

// BenchmarkReuseHTTP has 32 clients of one department reuse the data of licences, with the register on
// PostgreSQL: for a case each, and with a holder's codes. Checks, brake, log and the signature of
// the answer are in it. server-ms and postgres-ms are the processor time for one.
func BenchmarkReuseHTTP(b *testing.B) {
	database := pgtest.NewCluster(b, "")
	s := newSite(b, database.DSN)
	server := s.serve(b)
	defer server.stop(b)
	// The brake is met by nobody who does what is usual for them: so much is usual here.
	out, err := s.command("client", "add", "bench-partner", "--role", "partner", "--name", "杭州市人力资源和社会保障局",
		"--authority", "11330100002490082C", "--division", "330100", "--daily-reuses", "1000000000").Output()
	must(b, err)
	partner, err := newAPIClient(b.Context(), server.baseURL, "bench-partner", strings.TrimSpace(string(out)))
	must(b, err)
	for _, rests := range []struct {
		on  string
		ask func(n int) []byte
	}{{"case", s.cases(b, server)}, {"consent", s.consents(b, server)}} {
		b.Run(rests.on, func(b *testing.B) {
			before := backendsTime(b, database)
			load(b, server.cmd.Process.Pid, "reuses/s", 0, func(n int) error {
				var answer []byte
				err := partner.post(b.Context(), "/reuse", "", rests.ask(n), &answer)
				if err == nil && !bytes.Contains(answer, []byte(`"holder.name":`)) {
					err = fmt.Errorf("no licence: %s", answer)
				}
				return err
			})
			b.ReportMetric((backendsTime(b, database)-before)/float64(b.N), "postgres-ms")
		})
	}
}

// backendsTime is the time that the backends of PostgreSQL have used of all processors so
// far, in milliseconds.
func backendsTime(b *testing.B, c *pgtest.Cluster) (sum float64) {
	for _, pid := range c.Backends(b) {
		sum += processorTime(b, pid)
	}
	return sum
}

// benchReuses counts what was asked for, over all runs of a benchmark.
var benchReuses atomic.Int64

// benchOperator is who asks next: nobody handles more than sixty an hour.
func benchOperator() string { return fmt.Sprint("窗口-", benchReuses.Add(1)/50) }

// cases registers a case for the holder of each of the demo's licences of its type, and
// makes bodies of reuses for them in turn.
func (s *site) cases(b *testing.B, server *running) func(n int) []byte {
	samples, err := loadSamples()
	must(b, err)
	var holders []map[string]string
	registrar := s.as(b, server, demoRegistrar)
	for _, sample := range samples {
		if sample.asks.TypeCode != demoType {
			continue
		}
		holder := map[string]string{"code": sample.asks.Holder.Code, "code_type": sample.asks.Holder.CodeType}
		body, err := json.Marshal(map[string]any{"case_number": "BENCH-" + holder["code"], "matter_code": demoMatter, "matter_name": "社会保险登记",
			"valid_to": licence.DateOf(time.Now().AddDate(0, 0, 30)), "holder": holder, "types": []string{demoType}})
		must(b, err)
		must(b, registrar.post(b.Context(), "/cases", "bench-"+holder["code"], body, nil))
		holders = append(holders, holder)
	}
	return func(n int) []byte {
		holder := holders[n%len(holders)]
		return fmt.Appendf(nil, `{"holder": {"code": %q, "code_type": %q}, "type_code": %q, "case_number": "BENCH-%s", "matter_code": %q, "purpose": %q, "operator": %q}`,
			holder["code"], holder["code_type"], demoType, holder["code"], demoMatter, demoPurpose, benchOperator())
	}
}

// benchConsentMatter is the matter of the grant by consent.
const benchConsentMatter = "330114009000"

// consents has a grant by consent approved, and makes bodies of reuses with codes of a holder.
// A consent is good for a hundred uses, so that one reuse of a hundred waits for another to be
// made and shown.
func (s *site) consents(b *testing.B, server *running) func(n int) []byte {
	grant := fmt.Appendf(nil, `{"type_code": %q, "matter_code": %q, "scenario": "创业补贴申领核验", "how": "consent",
		"fields": ["number", "status", "holder.name", "fields.premises"], "legal_basis": "创业补贴办法"}`, demoType, benchConsentMatter)
	var requested struct {
		ID string `json:"id"`
	}
	must(b, s.as(b, server, demoRequester).post(b.Context(), "/grants", "bench-grant", grant, &requested))
	must(b, s.as(b, server, demoApprover).post(b.Context(), "/grants/"+requested.ID+"/approve", "bench-approve", []byte("{}"), nil))
	holder := s.as(b, server, "holder-demo")
	own := s.demo.Licences[(&walk{file: s.demo}).indexOf(demoType)].Identifier
	var mu sync.Mutex
	var taken int
	var code string
	return func(n int) []byte {
		mu.Lock()
		defer mu.Unlock()
		if taken++; taken%consent.MaxUses == 1 {
			code = benchCode(b, holder, own, taken)
		}
		return fmt.Appendf(nil, `{"consent_code": %q, "type_code": %q, "matter_code": %q, "purpose": "审核创业补贴申请，核对经营场所", "operator": %q}`,
			code, demoType, benchConsentMatter, benchOperator())
	}
}

// benchCode is a code of a new consent.
func benchCode(b *testing.B, holder *apiClient, own string, n int) string {
	body := fmt.Appendf(nil, `{"kind": "reuse", "licences": [%q], "fields": ["number", "holder.name", "fields.premises"], "purpose": "申领创业补贴", "uses": %d, "minutes": 10}`, own, consent.MaxUses)
	var made struct {
		ID, Code string
	}
	key := fmt.Sprint("bench-", time.Now().UnixNano(), "-", n)
	err := holder.post(b.Context(), "/consents", key, body, &made)
	if err == nil {
		err = holder.post(b.Context(), "/consents/"+made.ID+"/code", key, []byte("{}"), &made)
	}
	if err != nil {
		b.Error(err)
	}
	return made.Code
}
