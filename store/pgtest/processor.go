package pgtest

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ProcessorTime is what all processes of the cluster behind dsn have taken of the
// processors so far, those that have ended included. The cluster is one of postgres.sh.
func ProcessorTime(t testing.TB, dsn string) time.Duration {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(u.Query().Get("host"), "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	postmaster, _, _ := strings.Cut(string(text), "\n")
	children, err := os.ReadFile(fmt.Sprintf("/proc/%s/task/%s/children", postmaster, postmaster))
	if err != nil {
		t.Fatal(err)
	}
	used := processorTime(postmaster, 13, 14, 15, 16) // its own, and of the children that have ended
	for _, child := range strings.Fields(string(children)) {
		used += processorTime(child, 13, 14)
	}
	return used
}

// processorTime adds fields of /proc/PID/stat, counted from 0, which the kernel counts in
// hundredths of a second. A process that has ended has none.
func processorTime(pid string, fields ...int) (used time.Duration) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), ") ") // behind the name, which may hold anything
	values := strings.Fields(after)
	for _, f := range fields {
		var ticks time.Duration
		_, _ = fmt.Sscan(values[f-2], &ticks)
		used += ticks * 10 * time.Millisecond
	}
	return used
}
