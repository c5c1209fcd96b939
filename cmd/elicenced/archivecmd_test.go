package main

import (
	"os"
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
	s.wantRefused(t, exitInternal, "hold is in force", archive("-o", at("x"), "--before", strconv.FormatUint(s.verifyLog(t).To, 10))...)
	for _, name := range []string{"x", "x.new"} {
		if _, err := os.Lstat(at(name)); err == nil {
			t.Errorf("%s is left of what was refused", name)
		}
	}

	// What is.
	s.mustRun(t, "archived: one", archive("-o", at("one"), "--before", "70")...)
	s.mustRun(t, "archived: two", archive("-o", at("two"), "--before", "75")...)
	s.mustRun(t, "", archive()...)
	s.wantRefused(t, exitInternal, "is archived in one", "log", "export", "-o", at("all"))
	two := regexp.MustCompile(`range \d+ (\d+)`).FindStringSubmatch(read(t, at("two")))
	s.mustRun(t, "", "log", "export", "-o", at("live"), "--from", two[1])
	s.verified(t, at("one"), at("two"), at("live"))
	_, err = s.issueOne(t, r, "log-archive-after")
	must(t, err)

	other := strings.Replace(read(t, at("one")), "\n1 ", "\n1  ", 1)
	must(t, os.WriteFile(at("other"), []byte(other), 0o600))
	s.wantRefused(t, exitInternal, "entry 1", "log", "restore", "--reason", "r", at("other"))
	s.wantRefused(t, exitInternal, "no segment", "log", "restore", "--reason", "r", at("live"))
	s.mustRun(t, "in the database again", "log", "restore", "--reason", "核查", at("one"))
	s.mustRun(t, "", "log", "export", "-o", at("again"))
	s.verified(t, at("again"))
	if !strings.Contains(read(t, at("again")), strings.SplitAfterN(read(t, at("one")), "\n\n", 3)[1][:5000]) {
		t.Error("the export of all has other rows than the file had")
	}
	s.mustRun(t, "", archive()...)
	for action, want := range map[audit.Action]int{"archive_log": 2, "remove_archived": 2, "restore_log": 1} {
		if got := s.actions(t)[action]; got != want {
			t.Errorf("%d entries %s, want %d", got, action, want)
		}
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
	policy, err := audit.ParsePolicy([]byte(read(t, filepath.Join(s.Dir, "log-policy.txt"))))
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
