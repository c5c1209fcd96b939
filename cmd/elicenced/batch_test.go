package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// batchLines are n items to issue the sample food-retail. Every fiftieth, from badFrom on, is bad.
func batchLines(t testing.TB, n, badFrom int) (lines []byte, client string) {
	t.Helper()
	samples, err := loadSamples()
	must(t, err)
	for _, s := range samples {
		if s.name != "food-retail" {
			continue
		}
		var request map[string]any
		must(t, json.Unmarshal(s.body, &request))
		for i := range n {
			if request["case_number"] = fmt.Sprint("批-", i); i >= badFrom && i%50 == badFrom%50 {
				request["case_number"] = i // not a text
			}
			body, err := json.Marshal(map[string]any{"operation": "issue", "key": fmt.Sprint("k", i), "request": request})
			must(t, err)
			lines = append(append(lines, body...), '\n')
		}
		return lines, clientFor(s)
	}
	t.Fatal("there is no sample food-retail")
	return nil, ""
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

// BenchmarkLicenceBatch issues ELICENCE_ITEMS licences, 10,000 if it does not say, in one batch:
// how many in a second, what one takes of the processors, and what is resident when a tenth of
// them are issued and in the end.
func BenchmarkLicenceBatch(b *testing.B) {
	for _, name := range []string{"SQLite", "PostgreSQL"} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b, backends[name](b))
			server := s.serve(b)
			defer server.stop(b)
			items := numberFrom("ELICENCE_ITEMS", 10_000)
			lines, id := batchLines(b, items, items)
			client := s.as(b, server, id)
			before := processorTime(b, server.cmd.Process.Pid)
			began := time.Now()
			p := client.submitBatch(b, lines)
			taken, early := time.Since(began), 0.0
			for p.Status == "running" {
				time.Sleep(200 * time.Millisecond)
				if p = client.progress(b, p.ID); early == 0 && p.Counts["issued"] > items/10 {
					early = residentMemory(b, server.cmd.Process.Pid)
				}
			}
			if p.Counts["issued"] != items {
				b.Fatalf("%+v", p)
			}
			b.ReportMetric(taken.Seconds(), "s-taken-in")
			b.ReportMetric(p.Rate, "licences/s")
			b.ReportMetric((processorTime(b, server.cmd.Process.Pid)-before)/float64(items), "server-ms")
			b.ReportMetric(early, "early-MB")
			b.ReportMetric(residentMemory(b, server.cmd.Process.Pid), "end-MB")
			b.ReportMetric(peakMemory(b, server.cmd.Process.Pid), "peak-MB")
		})
	}
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
