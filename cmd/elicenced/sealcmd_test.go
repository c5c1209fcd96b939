package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSealCommands suspends a seal beside the running service, which then refuses,
// and goes on when the seal is in use again.
func TestSealCommands(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	r := s.serve(t)
	defer r.stop(t)
	samples, err := loadSamples()
	must(t, err)
	authority := issuerOf(samples[0].asks.TypeCode)
	id := "ELC" + authority.Code
	none := filepath.Join(t.TempDir(), "none")
	run := func(args ...string) (string, error) {
		cmd := s.command(append([]string{"seal"}, args...)...)
		cmd.Env = append(cmd.Env, "ELICENCE_FONTS="+none) // what stops a seal needs none
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("make", id, "--fonts", none, "--diameter-mm", "42", "--reason", "r"); err == nil || !strings.Contains(out, "fonts missing") {
		t.Errorf("make without fonts: %v: %s", err, out)
	}
	if out, err := run("list"); err != nil || !strings.HasPrefix(out, "authority\tid\tstatus\tname\tnumber\t") || !strings.Contains(out, id+"\tin_use\t"+authority.Name+"\t"+id+"\t") {
		t.Errorf("list: %v: %s", err, out)
	}
	for i, step := range []struct {
		command string
		fails   string // what the service then says; empty: it issues
	}{{"suspend", "suspended"}, {"use", ""}, {"revoke", "revoked"}} {
		if out, err := run(step.command, id, "--reason", "测试"); err != nil || out != id+": done, and logged\n" {
			t.Fatalf("%s: %v: %s", step.command, err, out)
		}
		_, err := s.issueOne(t, r, "seal-"+step.command)
		if (err == nil) != (step.fails == "") || err != nil && !strings.Contains(err.Error(), "no_seal") {
			t.Errorf("step %d, %s: issue: %v", i, step.command, err)
		}
	}
	for _, unknown := range [][]string{{"suspend"}, {"use"}, {"record", "--number", "1"}} {
		s.wantRefused(t, exitUsage, "seal NOPE: not found", append([]string{"seal", unknown[0], "NOPE", "--reason", "测试"}, unknown[1:]...)...)
	}
	if out, err := run("use", id, "--reason", "测试"); err == nil || !strings.Contains(out, "status") {
		t.Errorf("a revoked seal came back: %v: %s", err, out)
	}
	s.wantVerdict(t, "after the commands", "")
}

// TestConsentCommands takes a consent back beside the running service, which then refuses
// joint licences, and goes on when it is given again.
func TestConsentCommands(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	r := s.serve(t)
	defer r.stop(t)
	planning := demoPlanning
	at := []string{"--type", demoJoint, "--issuing", issuerOf(demoJoint).Code, "--kind", "规划和自然资源主管部门"}
	run := func(args ...string) string {
		out, err := s.command(append([]string{"seal", "consent"}, args...)...).CombinedOutput()
		if err != nil {
			return "failed: " + string(out)
		}
		return string(out)
	}
	give := append([]string{"give", "--authority", planning.Code, "--name", planning.Name, "--basis", "函〔2026〕1号"}, at...)
	issue := func(key string) string {
		samples, err := loadSamples()
		must(t, err)
		joint := samples[slices.IndexFunc(samples, func(s sample) bool { return s.asks.TypeCode == demoJoint })]
		if err := s.as(t, r, clientFor(joint)).post(t.Context(), "/licences", key, joint.body, nil); err != nil {
			return err.Error()
		}
		return "issued"
	}
	for i, step := range []struct {
		do   func() string
		says string
	}{
		{func() string { return run("list") }, demoJoint + "\t" + issuerOf(demoJoint).Code + "\t规划和自然资源主管部门\t" + planning.Code},
		{func() string { return issue("before") }, "issued"},
		{func() string { return run(append([]string{"end"}, at...)...) }, "failed"}, // no reason
		{func() string { return run(append([]string{"end", "--reason", "测试"}, at...)...) }, "done"},
		{func() string { return issue("without") }, "no_consent"},
		{func() string { return run(append([]string{"end", "--reason", "测试"}, at...)...) }, "failed"},
		{func() string { return run(append(give, "--until", "2020-01-01")...) }, "failed"},
		{func() string { return run(append(give, "--from", "yesterday")...) }, "--from"},
		{func() string { return run(give...) }, "done"},
		{func() string { return run("list") }, "函〔2026〕1号"},
		{func() string { return issue("after") }, "issued"},
	} {
		if got := step.do(); !strings.Contains(got, step.says) {
			t.Errorf("step %d: %s, want %q", i, got, step.says)
		}
	}
}
