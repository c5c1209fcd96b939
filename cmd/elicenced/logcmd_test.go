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

// TestLogCommands places and lifts a hold, and erases a holder's personal values, beside
// the running service. The holder's code goes by standard input, the log verifies as before.
func TestLogCommands(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	r := s.serve(t)
	defer r.stop(t)
	samples, err := loadSamples()
	must(t, err)
	client, soon := clientFor(samples[0]), time.Now().AddDate(0, 1, 0).Format(time.DateOnly)
	at := []string{"--principal", client, "--case", "调查-1"}
	hold := append([]string{"log", "hold", "--by", "某局", "--basis", "函〔2026〕1号", "--until", soon}, at...)
	lift := append([]string{"log", "lift", "--reason", "结案"}, at...)
	s.wantRefused(t, exitUsage, "not found", lift...)
	s.mustRun(t, "done, and logged", hold...)
	s.mustRun(t, "done, and logged", lift...)
	s.wantRefused(t, exitUsage, "--until", append(hold, "--until", "soon")...)
	s.wantRefused(t, exitUsage, "until", append(hold, "--until", "2020-01-01")...)
	s.wantRefused(t, exitUsage, "principal", append(hold, "--principal", "nobody")...)

	_, err = s.issueOne(t, r, "log-commands")
	must(t, err)
	erase := func(code string) string {
		c := s.command("log", "erase", "--code-type", samples[0].asks.Holder.CodeType, "--before", time.Now().AddDate(0, 0, 2).Format(time.DateOnly), "--reason", "保存期满")
		c.Stdin = strings.NewReader(code + "\n")
		out, err := c.CombinedOutput()
		if err != nil {
			return err.Error() + " " + string(out)
		}
		return string(out)
	}
	erased := regexp.MustCompile(`values of (\d+) entries`)
	for i, low := range []int{4, 0} { // the second time there is none left
		m := erased.FindStringSubmatch(erase(samples[0].asks.Holder.Code))
		if m == nil {
			t.Fatalf("erasing: %v", m)
		}
		if n, _ := strconv.Atoi(m[1]); n < low || i == 1 && n != 0 {
			t.Errorf("round %d: erased %d", i, n)
		}
	}
	if out := erase("no code"); !strings.Contains(out, "exit status "+strconv.Itoa(exitUsage)) {
		t.Errorf("a code that is none: %s", out)
	}
	for action, want := range map[audit.Action]int{"hold": 3, "hold_lift": 2, "erase_personal": 4} {
		if got := s.actions(t)[action]; got != want {
			t.Errorf("%d entries %s, want %d", got, action, want)
		}
	}
	export := filepath.Join(t.TempDir(), "log")
	s.mustRun(t, "", "log", "export", "-o", export)
	text, err := os.ReadFile(filepath.Join(s.Dir, "log-policy.txt"))
	must(t, err)
	policy, err := audit.ParsePolicy(text)
	must(t, err)
	f, err := os.Open(export)
	must(t, err)
	defer f.Close()
	if _, err := audit.VerifyExport(policy, f); err != nil {
		t.Errorf("the log afterwards: %v", err)
	}
}
