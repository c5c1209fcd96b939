package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/store/pgtest"
	"elicence/verify"
)

// clientsAtOnce is the load of the benchmarks over HTTP.
const clientsAtOnce = 32

// BenchmarkIssueHTTP is the fixed workload of docs/benchmarks.md: the sample
// requests in turn, over HTTP, by 32 clients, with full-size seal pictures, TSA over
// HTTP, self-verification and log on, fsync on, everything on this machine.
func BenchmarkIssueHTTP(b *testing.B) {
	for _, name := range []string{"SQLite", "PostgreSQL"} {
		b.Run(name, func(b *testing.B) { benchmarkIssue(b, newSite(b, backends[name](b))) })
	}
}

func benchmarkIssue(b *testing.B, s *site) {
	server := s.serve(b)
	defer server.stop(b)
	samples, err := loadSamples()
	must(b, err)
	samples = slices.DeleteFunc(samples, func(s sample) bool { return s.asks.TypeCode == demoJoint }) // one seal each, as in the documented figures
	clients := map[string]*apiClient{}
	for _, a := range demoAuthorities {
		clients[a.client] = s.as(b, server, a.client)
	}
	run, database := time.Now().UnixNano(), databaseTime(b, s)
	load(b, server.cmd.Process.Pid, "licences/s", 0, func(n int) error {
		sample := samples[n%len(samples)]
		var issued registry.Issued
		return clients[clientFor(sample)].post(b.Context(), "/licences", fmt.Sprintf("bench-%d-%d", run, n), sample.body, &issued)
	})
	b.ReportMetric(float64((databaseTime(b, s)-database).Microseconds())/1000/float64(b.N), "postgres-ms")
	b.ReportMetric(peakMemory(b, server.cmd.Process.Pid), "peak-MB")
}

// databaseTime is what PostgreSQL has taken of the processors so far; zero with SQLite, which is
// in the server's process.
func databaseTime(b *testing.B, s *site) time.Duration {
	if s.Database == "" {
		return 0
	}
	return pgtest.ProcessorTime(b, s.Database)
}

// BenchmarkVerifyHTTP has 32 clients verify the demo's files, and the QR codes of its
// licences, in turn: with the register on PostgreSQL, every verification logged.
func BenchmarkVerifyHTTP(b *testing.B) {
	s := newSite(b, backends["PostgreSQL"](b))
	server := s.serve(b)
	defer server.stop(b)
	client := s.as(b, server, "verifier-counter")
	paths, err := filepath.Glob(filepath.Join(s.Dir, "sample-*.pdf"))
	must(b, err)
	var files, codes [][]byte
	for _, path := range paths {
		file, err := os.ReadFile(path)
		must(b, err)
		parts, err := verify.Inspect(file)
		must(b, err)
		text, err := licence.NewQRText(server.baseURL, parts.Attachments["qr.cbor"])
		must(b, err)
		body, err := json.Marshal(map[string]string{"qr": text.String()})
		must(b, err)
		files, codes = append(files, file), append(codes, body)
	}
	passed := fmt.Appendf(nil, `"indication":%q`, verify.TotalPassed)
	verified := func(mediaType string, bodies [][]byte) func(int) error {
		return func(n int) error {
			var report []byte // searched and not parsed: what the client does is taken from the same processors
			err := client.send(b.Context(), "POST", "/verifications", mediaType, "", bodies[n%len(bodies)], &report)
			if err == nil && !bytes.Contains(report, passed) {
				err = fmt.Errorf("%s: %s", paths[n%len(paths)], report)
			}
			return err
		}
	}
	file, code := verified("application/pdf", files), verified("application/json", codes)
	b.Run("files", func(b *testing.B) { load(b, server.cmd.Process.Pid, "files/s", 0, file) })
	b.Run("600 files a second", func(b *testing.B) { load(b, server.cmd.Process.Pid, "files/s", 600, file) })
	b.Run("QR codes", func(b *testing.B) { load(b, server.cmd.Process.Pid, "codes/s", 0, code) })
	b.Run("2,000 QR codes a second", func(b *testing.B) { load(b, server.cmd.Process.Pid, "codes/s", 2000, code) })
}

// load has clientsAtOnce clients do something over and over, and reports how often in a
// second, how long the median and the slowest hundredth took at least, and how much of the processors
// the server took for one, which other work on the machine changes least. Between them the
// clients begin no more than rate a second, or each at once again when rate is zero. The time
// of one that is begun late, because all clients were waiting, counts from when it was due.
func load(b *testing.B, server int, unit string, rate float64, do func(n int) error) {
	var next atomic.Int64
	var mu sync.Mutex
	var times []time.Duration
	b.SetParallelism(clientsAtOnce / 2) // × GOMAXPROCS
	before := processorTime(b, server)
	b.ResetTimer()
	start := time.Now()
	b.RunParallel(func(pb *testing.PB) {
		var own []time.Duration
		for pb.Next() {
			n, began := next.Add(1), time.Now()
			if rate > 0 {
				began = start.Add(time.Duration(float64(n) / rate * float64(time.Second)))
				time.Sleep(time.Until(began))
			}
			if err := do(int(n)); err != nil {
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
	used := processorTime(b, server) - before
	if b.Failed() {
		return
	}
	slices.Sort(times)
	b.ReportMetric(used/float64(len(times)), "server-ms")
	b.ReportMetric(float64(len(times))/b.Elapsed().Seconds(), unit)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
}

// peakMemory is the peak resident memory of a process in MB.
func peakMemory(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(b, err)
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	var kB float64
	_, err = fmt.Sscan(after, &kB)
	must(b, err)
	return kB / 1024
}

// processorTime is the time that a process has used of all processors so far, in
// milliseconds. The kernel counts it in hundredths of a second.
func processorTime(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(b, err)
	_, after, _ := strings.Cut(string(text), ") ") // a process's name may hold anything
	var skipped string
	var user, system float64
	_, err = fmt.Sscan(after, &skipped, &skipped, &skipped, &skipped, &skipped, &skipped, &skipped,
		&skipped, &skipped, &skipped, &skipped, &user, &system)
	must(b, err)
	return (user + system) * 10
}
