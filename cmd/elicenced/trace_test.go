//go:build faults

package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"elicence/licence/registry"

	"github.com/jackc/pgx/v5"
)

// call is one line of a system-call trace that bears on durability.
type call struct {
	at   float64 // seconds since the epoch
	text string
}

// TestFaultTrace issues licences one at a time under strace and checks, from the
// kernel's own account, that each answer 201 is preceded by its syncs: the
// database's write-ahead log for each of the four commits of an issue, and the
// licence file with its folder. Then it reads licences, and fails to: each answer,
// a refusal too, is preceded by the sync of its log entry.
func TestFaultTrace(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal("strace is missing: install it (make tools)")
	}
	for name, dsn := range backends {
		t.Run(name, func(t *testing.T) { traceIssues(t, newSite(t, dsn(t))) })
	}
}

func traceIssues(t *testing.T, s *site) {
	const issues = 20
	server := s.serve(t)
	defer server.stop(t)
	dir := t.TempDir()
	pids := map[string][]int{"server": {server.cmd.Process.Pid}}
	if s.Database != "" {
		pids["database"] = backendsOf(t, postmaster(t, s.Database))
	}
	var traces []string
	for name, processes := range pids {
		file := filepath.Join(dir, name)
		traces = append(traces, file)
		stop := attach(t, processes, file)
		defer stop()
	}
	samples, err := loadSamples()
	must(t, err)
	for i := range issues {
		q := samples[i%len(samples)]
		var issued registry.Issued
		must(t, s.as(t, server, clientFor(q)).post(context.Background(), "/licences", fmt.Sprint("trace-", i), q.body, &issued))
	}
	l := s.demo.Licences[0]
	owner, other := s.as(t, server, issuerOf(l.TypeCode).client), s.as(t, server, stranger(l.TypeCode))
	time.Sleep(time.Second) // until the service has kept and cosigned its checkpoint, which syncs too
	for range issues {
		_, err := owner.get(t.Context(), "/licences/"+l.Identifier)
		must(t, err)
		if _, err := other.get(t.Context(), "/licences/"+l.Identifier); err == nil {
			t.Error("a licence out of reach was read")
		}
	}
	time.Sleep(500 * time.Millisecond) // for strace to write
	// four commits, the file, and its name in the folder; one commit for a read
	for status, want := range map[string]int{"201": 6, "200": 1, "404": 1} {
		answers, least := syncedBefore(readTraces(t, traces), status)
		t.Logf("%d answers %s; at least %d syncs before each", answers, status, least)
		if answers < issues || least < want {
			t.Errorf("%d answers %s in the trace, one after %d syncs; want %d and %d at least", answers, status, least, issues, want)
		}
	}
}

// syncedBefore counts the answers of a status, and the syncs since the answer before each:
// the fewest of them. Answers are those with a receipt, which are the interface's and not
// those of the timestamp authority or the witness in the same process.
func syncedBefore(calls []call, status string) (answers, least int) {
	syncs := 0
	least = 1 << 30
	for _, c := range calls {
		switch {
		case strings.Contains(c.text, "sync("):
			syncs++
		case strings.Contains(c.text, "Elicence-Log-"):
			if strings.Contains(c.text, "HTTP/1.1 "+status) {
				answers++
				least = min(least, syncs)
			}
			syncs = 0
		}
	}
	return answers, least
}

// attach traces processes and all they start, until the returned function is called.
func attach(t *testing.T, pids []int, file string) func() {
	t.Helper()
	args := []string{"-f", "-ttt", "-s", "1024", "-e", "trace=fsync,fdatasync,write,writev,sendto", "-o", file}
	for _, pid := range pids {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	cmd := exec.Command("strace", args...)
	out, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for attached := 0; attached < len(pids) && lines.Scan(); {
		if strings.Contains(lines.Text(), "attached") {
			attached++
		}
	}
	go func() {
		for lines.Scan() {
		}
	}()
	return func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}
}

var traced = regexp.MustCompile(`^\d+\s+(\d+\.\d+) (.*)$`)

// readTraces merges traces by time. Only syncs and the answers of the server count.
func readTraces(t *testing.T, files []string) (calls []call) {
	t.Helper()
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for line := range strings.Lines(string(text)) {
			m := traced.FindStringSubmatch(strings.TrimSpace(line))
			if m == nil || !strings.Contains(m[2], "sync(") && !strings.Contains(m[2], "HTTP/1.1") {
				continue
			}
			at, err := strconv.ParseFloat(m[1], 64)
			must(t, err)
			calls = append(calls, call{at, m[2]})
		}
	}
	slices.SortStableFunc(calls, func(a, b call) int { return cmp.Compare(a.at, b.at) })
	return calls
}

// postmaster is the process that starts PostgreSQL's backends.
func postmaster(t *testing.T, dsn string) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer conn.Close(context.Background())
	var backend int
	must(t, conn.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&backend))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", backend))
	must(t, err)
	_, after, _ := strings.Cut(string(status), "PPid:")
	var parent int
	_, err = fmt.Sscan(after, &parent)
	must(t, err)
	return parent
}

// backendsOf is the postmaster and every process it has started so far.
func backendsOf(t *testing.T, postmaster int) []int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", postmaster, postmaster))
	must(t, err)
	pids := []int{postmaster}
	for _, child := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(child)
		must(t, err)
		pids = append(pids, pid)
	}
	return pids
}
