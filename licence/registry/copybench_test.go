package registry_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// BenchmarkAnnotatedCopy makes copies for 32 clients at a time, without HTTP in front: checks,
// grant, case, brake, log, drawing, seal, timestamp, self-check and storing of each. cpu-ms/copy
// is the processor time of the whole process for one, without PostgreSQL's.
func BenchmarkAnnotatedCopy(b *testing.B) {
	for kind := range backends {
		b.Run(kind, func(b *testing.B) { benchmarkCopies(b, kind) })
	}
}

func benchmarkCopies(b *testing.B, kind string) {
	const clients = 32
	s, _ := openOn(b, kind)
	issued := issue(b, s, "food-retail.json", "bench")
	body, caller := sample(b, "food-retail.json")
	request, _, err := licence.ParseRequest(body, s.Config.Catalogue, caller.Authority, licence.DateOf(s.Now()))
	must(b, err)
	s.Grant(b, registry.Grant{Authority: registrytest.Department, TypeCode: issued.TypeCode, MatterCode: "m", Fields: []string{registry.FieldCopy}})
	s.Case(b, registrytest.Department, registry.Case{Number: "c", MatterCode: "m", Holder: request.Holder, Types: []string{issued.TypeCode}})
	partner := registrytest.Partner()
	partner.DailyReuses = 1_000_000_000 // so that no brake is met
	before := processorTime(b)
	b.SetParallelism(clients / runtime.GOMAXPROCS(0))
	var n atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			_, _, err := s.MakeCopy(b.Context(), partner, registry.CopyRequest{Key: fmt.Sprint("bench-", i), Identifier: issued.Identifier,
				Use: registry.Use{Purpose: purpose, Case: "c", Matter: "m", Operator: fmt.Sprint("operator ", i)}})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "copies/s")
	b.ReportMetric(float64((processorTime(b)-before).Milliseconds())/float64(b.N), "cpu-ms/copy")
}

// processorTime is what this process has taken of the processors.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
