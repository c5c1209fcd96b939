package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// batchLines are n items to issue the sample food-retail. Every fiftieth, from badFrom on, is bad.
func batchLines(t testing.TB, n, badFrom int) (lines []byte, client string) {
	t.Helper()
	for client, lines = range batchesOf(t, n, badFrom, func(s sample) bool { return s.name == "food-retail" }) {
		return lines, client
	}
	t.Fatal("there is no sample food-retail")
	return nil, ""
}

// batchesOf are n items to issue the samples that are among, in turn, by their clients.
func batchesOf(t testing.TB, n, badFrom int, among func(sample) bool) map[string][]byte {
	t.Helper()
	samples, err := loadSamples()
	must(t, err)
	samples = slices.DeleteFunc(samples, func(s sample) bool { return !among(s) })
	lines := map[string][]byte{}
	for i := range n {
		s := samples[i%len(samples)]
		var request map[string]any
		must(t, json.Unmarshal(s.body, &request))
		if request["case_number"] = fmt.Sprint("批-", i); i >= badFrom && i%50 == badFrom%50 {
			request["case_number"] = i // not a text
		}
		body, err := json.Marshal(map[string]any{"operation": "issue", "key": fmt.Sprint("k", i), "request": request})
		must(t, err)
		client := clientFor(s)
		lines[client] = append(append(lines[client], body...), '\n')
	}
	return lines
}

// progress is what a service says of a batch.
type progress struct {
	ID, Status string
	Counts     map[string]int
	Rate       float64
}

func (c *apiClient) submitBatch(t testing.TB, lines []byte) (p progress) {
	t.Helper()
	must(t, c.send(t.Context(), "POST", "/licences/batch", "application/x-ndjson", "batch", lines, &p))
	return p
}

func (c *apiClient) progress(t testing.TB, id string) (p progress) {
	t.Helper()
	b, err := c.get(t.Context(), "/licences/batch/"+id)
	must(t, err)
	must(t, json.Unmarshal(b, &p))
	return p
}

// BenchmarkLicenceBatch issues ELICENCE_ITEMS licences, 10,000 if it does not say, at once: those of the
// fixed workload, in a batch of each authority, and food-retail alone, which has two pages, in one. It
// reports how many in a second, what one takes of the processors, and what is resident when a tenth of
// them are issued and in the end.
func BenchmarkLicenceBatch(b *testing.B) {
	for _, name := range []string{"SQLite", "PostgreSQL"} {
		b.Run(name+"/fixed workload", func(b *testing.B) {
			benchmarkBatch(b, newSite(b, backends[name](b)), func(s sample) bool { return s.asks.TypeCode != demoJoint })
		})
		b.Run(name+"/food-retail", func(b *testing.B) {
			benchmarkBatch(b, newSite(b, backends[name](b)), func(s sample) bool { return s.name == "food-retail" })
		})
	}
}

func benchmarkBatch(b *testing.B, s *site, among func(sample) bool) {
	server := s.serve(b)
	defer server.stop(b)
	items := numberFrom("ELICENCE_ITEMS", 10_000)
	before, database := processorTime(b, server.cmd.Process.Pid), databaseTime(b, s)
	running, began, early, issued := map[*apiClient]progress{}, time.Now(), 0.0, 0
	for id, lines := range batchesOf(b, items, items, among) {
		client := s.as(b, server, id)
		running[client] = client.submitBatch(b, lines)
	}
	for len(running) > 0 {
		time.Sleep(500 * time.Millisecond) // each look counts the items of a batch
		now := issued
		for client, p := range running {
			p = client.progress(b, p.ID)
			if now += p.Counts["issued"]; p.Status != "running" {
				issued += p.Counts["issued"]
				delete(running, client)
			}
		}
		if early == 0 && now > items/10 {
			early = residentMemory(b, server.cmd.Process.Pid)
		}
	}
	if issued != items {
		b.Fatalf("%d of %d were issued", issued, items)
	}
	b.ReportMetric(float64(items)/time.Since(began).Seconds(), "licences/s")
	b.ReportMetric((processorTime(b, server.cmd.Process.Pid)-before)/float64(items), "server-ms")
	b.ReportMetric(float64((databaseTime(b, s)-database).Microseconds())/1000/float64(items), "postgres-ms")
	b.ReportMetric(early, "early-MB")
	b.ReportMetric(residentMemory(b, server.cmd.Process.Pid), "end-MB")
	b.ReportMetric(peakMemory(b, server.cmd.Process.Pid), "peak-MB")
}

// residentMemory is the resident memory of a process in MB.
func residentMemory(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(b, err)
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	var kB float64
	_, err = fmt.Fscan(bytes.NewReader([]byte(after)), &kB)
	must(b, err)
	return kB / 1024
}
