package main

import (
	"strings"
	"testing"
)

// TestSealCommands suspends a seal beside the running service, which then refuses,
// and goes on when the seal is in use again.
func TestSealCommands(t *testing.T) {
	s := newSite(t, "")
	r := s.serve(t)
	defer r.stop(t)
	samples, err := loadSamples()
	must(t, err)
	authority := issuerOf(samples[0].asks.TypeCode)
	id := "ELC" + authority.Code
	run := func(args ...string) (string, error) {
		out, err := s.command(append([]string{"seal"}, args...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := run("list"); err != nil || !strings.Contains(out, id+"\tin_use\t"+authority.Name) {
		t.Errorf("list: %v: %s", err, out)
	}
	for i, step := range []struct {
		command string
		fails   string // what the service then says; empty: it issues
	}{{"suspend", "suspended"}, {"use", ""}, {"revoke", "revoked"}} {
		if out, err := run(step.command, id, "--reason", "测试"); err != nil {
			t.Fatalf("%s: %v: %s", step.command, err, out)
		}
		_, err := s.issueOne(t, r, "seal-"+step.command)
		if (err == nil) != (step.fails == "") || err != nil && !strings.Contains(err.Error(), "no_seal") {
			t.Errorf("step %d, %s: issue: %v", i, step.command, err)
		}
	}
	if out, err := run("use", id, "--reason", "测试"); err == nil || !strings.Contains(out, "status") {
		t.Errorf("a revoked seal came back: %v: %s", err, out)
	}
	s.wantVerdict(t, "after the commands", "")
}
