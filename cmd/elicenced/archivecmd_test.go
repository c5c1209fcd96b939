package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"elicence/audit"
)

// TestLogArchive archives what the log has beside the running service, in two steps, and
// restores the first. Files and live export verify as one log; each step is an entry.
func TestLogArchive(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	r := s.serve(t)
	defer r.stop(t)
	samples, err := loadSamples()
	must(t, err)
	for i := range 7 {
		_, err = s.issueOne(t, r, "log-archive-"+strconv.Itoa(i))
		must(t, err)
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	archive := func(more ...string) []string {
		return append([]string{"log", "archive", "--reason", "归档"}, more...)
	}

	// What is not done.
	s.wantRefused(t, exitUsage, "--before", archive("-o", at("x"))...)
	s.wantRefused(t, exitUsage, "neither an index nor a day", archive("-o", at("x"), "--before", "soon")...)
	s.wantRefused(t, exitUsage, "the log has", archive("-o", at("x"), "--before", "1000000")...)
	s.wantRefused(t, exitUsage, "nothing to archive", archive("-o", at("x"), "--before", "2020-01-01")...)
	s.wantRefused(t, exitUsage, "folder of an instance", archive("-o", filepath.Join(s.Dir, "x"), "--before", "70")...)
	must(t, os.WriteFile(at("there"), nil, 0o600))
	s.wantRefused(t, exitUsage, "there already", archive("-o", at("there"), "--before", "70")...)
	hold := []string{"--principal", clientFor(samples[0]), "--case", "调查-1"}
	s.mustRun(t, "done", append([]string{"log", "hold", "--by", "某局", "--basis", "函", "--until", time.Now().AddDate(0, 1, 0).Format(time.DateOnly)}, hold...)...)
	_, err = s.issueOne(t, r, "log-archive-held")
	must(t, err)
	s.wantRefused(t, exitUsage, "hold is in force", archive("-o", at("x"), "--before", strconv.FormatUint(s.verifyLog(t).To, 10))...)
	for _, name := range []string{"x", "x.new"} {
		if _, err := os.Lstat(at(name)); err == nil {
			t.Errorf("%s is left of what was refused", name)
		}
	}

	s.wantRefused(t, exitUsage, "retention", "log", "retain", "--reason", "r")

	// What is.
	s.mustRun(t, "archived: one", archive("-o", at("one"), "--before", "70")...)
	end := func(name string) uint64 { // of a file's range, which is where a batch ended
		to, err := strconv.ParseUint(regexp.MustCompile(`range \d+ (\d+)`).FindStringSubmatch(read(t, at(name)))[1], 10, 63)
		must(t, err)
		return to
	}
	s.mustRun(t, "archived: two", archive("-o", at("two"), "--before", strconv.FormatUint(end("one")+5, 10))...)
	s.mustRun(t, "", archive()...)
	s.wantRefused(t, exitUsage, "is archived in one", "log", "export", "-o", at("all"))
	s.mustRun(t, "", "log", "export", "-o", at("live"), "--from", strconv.FormatUint(end("two"), 10))
	s.verified(t, at("one"), at("two"), at("live"))
	_, err = s.issueOne(t, r, "log-archive-after")
	must(t, err)

	checkAskedFor(t, s, r)

	other := strings.Replace(read(t, at("one")), "\n1 ", "\n1  ", 1)
	must(t, os.WriteFile(at("other"), []byte(other), 0o600))
	s.wantRefused(t, exitInternal, "entry 1", "log", "restore", "--reason", "r", at("other"))
	s.wantRefused(t, exitInternal, "no segment", "log", "restore", "--reason", "r", at("live"))
	s.mustRun(t, "in the database again", "log", "restore", "--reason", "核查", at("one"))
	s.mustRun(t, "in the database again", "log", "restore", "--reason", "核查", at("two"))
	s.mustRun(t, "", "log", "export", "-o", at("again"))
	s.verified(t, at("again"))
	if !strings.Contains(read(t, at("again")), strings.SplitAfterN(read(t, at("one")), "\n\n", 3)[1][:5000]) {
		t.Error("the export of all has other rows than the file had")
	}
	s.mustRun(t, "", archive()...)
	rules := filepath.Join(s.Dir, "keys", "instance.json")
	must(t, os.WriteFile(rules, []byte(strings.Replace(read(t, rules), "{", `{"retention": {"openings_days": 1, "segments_days": 1},`, 1)), 0o600))
	s.mustRun(t, "the personal values of 0 entries", "log", "retain", "--reason", "规定")
	for action, want := range map[audit.Action]int{"archive_log": 2, "remove_archived": 2, "restore_log": 2, "erase_personal": 1} {
		if got := s.actions(t)[action]; got != want && (action != "remove_archived" || got != want+1) { // by how the files end
			t.Errorf("%d entries %s, want %d", got, action, want)
		}
	}
}

// checkAskedFor: the service names what lies in files, with proofs that the second
// implementation accepts, and refuses what it does not have any more.
func checkAskedFor(t *testing.T, s *site, r *running) {
	t.Helper()
	c := s.as(t, r, "auditor-demo")
	var answer json.RawMessage
	must(t, c.post(t.Context(), "/log/search", "", []byte(`{"action": "configure", "limit": 100}`), &answer))
	if !strings.Contains(string(answer), `"file":"one"`) {
		t.Errorf("no entry is said to be archived: %s", answer)
	}
	file := filepath.Join(t.TempDir(), "answer")
	for name, says := range map[string]string{string(answer): "good: ", strings.Replace(string(answer), `"archived":[{"index":`, `"archived":[{"index":1`, 1): "bad"} {
		must(t, os.WriteFile(file, []byte(name), 0o600))
		out, err := exec.Command("python3", "../../testdata/audit/verify_entries.py", filepath.Join(s.Dir, "log-policy.txt"), file).CombinedOutput()
		if !strings.HasPrefix(string(out), says) || (err == nil) != (says == "good: ") {
			t.Errorf("verify_entries.py: %v: %s, want %q", err, out, says)
		}
	}
	if _, err := c.get(t.Context(), "/log/export?from=0"); err == nil || !strings.Contains(err.Error(), "entry_archived") || !strings.Contains(err.Error(), "one (entries 0 to") {
		t.Errorf("an export of all: %v", err)
	}
}

// read reads a file.
func read(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	return string(b)
}

// verified verifies exports, each and together, as auditors do.
func (s *site) verified(t testing.TB, files ...string) {
	t.Helper()
	var logs strings.Builder // of the policy: a site has no witness, its demo had one
	for line := range strings.Lines(read(t, filepath.Join(s.Dir, "log-policy.txt"))) {
		if strings.HasPrefix(line, "log ") {
			logs.WriteString(line)
		}
	}
	policy, err := audit.ParsePolicy([]byte(logs.String()))
	must(t, err)
	var parts []audit.Summary
	for _, file := range files {
		part, err := audit.VerifyExport(policy, strings.NewReader(read(t, file)))
		must(t, err)
		parts = append(parts, part)
	}
	whole, err := audit.Join(parts...)
	if err != nil || whole.From != 0 {
		t.Errorf("together: %v, from entry %d", err, whole.From)
	}
}
