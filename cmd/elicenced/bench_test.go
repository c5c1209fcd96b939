package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elicence/licence/registry"
)

// clientsAtOnce is the load of the issue benchmark.
const clientsAtOnce = 32

// BenchmarkIssueHTTP is the fixed workload of docs/benchmarks.md: the sample
// requests in turn, over HTTP, by 32 clients, with full-size seal pictures, TSA over
// HTTP, self-verification and log on, fsync on, everything on this machine.
func BenchmarkIssueHTTP(b *testing.B) {
	for _, name := range []string{"SQLite", "PostgreSQL"} {
		b.Run(name, func(b *testing.B) { benchmarkIssue(b, backends[name](b)) })
	}
}

func benchmarkIssue(b *testing.B, dsn string) {
	s := newSite(b, dsn)
	server := s.serve(b)
	defer server.stop(b)
	samples, err := loadSamples()
	if err != nil {
		b.Fatal(err)
	}
	clients := map[string]*apiClient{}
	for _, a := range demoAuthorities {
		clients[a.client] = s.as(b, server, a.client)
	}
	var next atomic.Int64
	var mu sync.Mutex
	var times []time.Duration
	run := time.Now().UnixNano()
	b.SetParallelism(clientsAtOnce / 2) // × GOMAXPROCS
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		var own []time.Duration
		for pb.Next() {
			n := next.Add(1)
			sample := samples[int(n)%len(samples)]
			began := time.Now()
			var issued registry.Issued
			if err := clients[clientFor(sample)].post(context.Background(), "/licences", fmt.Sprintf("bench-%d-%d", run, n), sample.body, &issued); err != nil {
				b.Error(err)
				return
			}
			own = append(own, time.Since(began))
		}
		mu.Lock()
		times = append(times, own...)
		mu.Unlock()
	})
	b.StopTimer()
	slices.Sort(times)
	b.ReportMetric(float64(len(times))/b.Elapsed().Seconds(), "licences/s")
	b.ReportMetric(float64(times[len(times)*99/100].Milliseconds()), "p99-ms")
	b.ReportMetric(peakMemory(b, server.cmd.Process.Pid), "peak-MB")
}

// peakMemory is the peak resident memory of a process in MB.
func peakMemory(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	var kB float64
	if _, err := fmt.Sscan(after, &kB); err != nil {
		b.Fatal(err)
	}
	return kB / 1024
}
