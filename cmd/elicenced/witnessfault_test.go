//go:build faults

package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/audit"
)

// latest is the size that a witness says it has cosigned last.
func (p *party) latest(t *testing.T, policy *audit.Policy) uint64 {
	t.Helper()
	reply, err := http.Get(fmt.Sprintf("http://%s/%x/checkpoint", p.address, sha256.Sum256([]byte(policy.Origins()[0]))))
	must(t, err)
	defer reply.Body.Close()
	note, err := io.ReadAll(reply.Body)
	must(t, err)
	if reply.StatusCode == http.StatusNotFound {
		return 0
	}
	c, _, err := policy.OpenCosigned(note, "w0")
	must(t, err)
	return c.Size
}

// wantQuorum verifies the newest export against a policy.
func (s *site) wantQuorum(t *testing.T, policy *audit.Policy) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "export")
	if out, err := s.command("log", "export", "-o", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("log export: %v\n%s", err, out)
	}
	summary, err := verifyFile(policy, file)
	if err != nil || len(summary.Cosigners) != 1 {
		t.Errorf("export: %+v, %v", summary, err)
	}
}

// TestFaultWitnessTrace checks from the kernel's own account that each cosignature
// leaves after the checkpoint and its name in the folder were synced.
func TestFaultWitnessTrace(t *testing.T) {
	s := newSite(t, "")
	p := s.newParty(t, "city")
	w := p.start(t)
	defer w.stop(t)
	server := s.serve(t, append(s.witnessed(t, 1, p), "--new-witnesses")...)
	defer server.stop(t)
	// What is under way when the trace begins would be seen in part.
	waitFor(t, "all so far is cosigned", func() bool { c, all := s.cosigned(t); return c == all })
	file := filepath.Join(t.TempDir(), "trace")
	stop := attach(t, []int{w.cmd.Process.Pid}, file)
	defer stop()
	for i := range 8 {
		_, size := s.cosigned(t)
		if _, err := s.issueOne(t, server, fmt.Sprint("trace-", i)); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "it is cosigned", func() bool { c, _ := s.cosigned(t); return c > size })
	}
	time.Sleep(500 * time.Millisecond) // for strace to write
	answers, syncs := 0, 0
	least := 1 << 30
	for _, c := range readTraces(t, []string{file}) {
		switch {
		case strings.Contains(c.text, "sync("):
			syncs++
		case strings.Contains(c.text, "HTTP/1.1 200"):
			answers++
			least = min(least, syncs)
			syncs = 0
		}
	}
	t.Logf("%d cosignatures; at least %d syncs before each", answers, least)
	if answers < 8 || least < 2 {
		t.Errorf("%d cosignatures, one after %d syncs; want 8 and 2 at least", answers, least)
	}
}
