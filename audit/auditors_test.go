package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"elicence/audit"
)

// programs is where the command under test is built.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "audit"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(programs)
	os.Exit(code)
}

// command is the elicence program, built when it is asked for first.
var command = sync.OnceValues(func() (string, error) {
	name := filepath.Join(programs, "elicence")
	if out, err := exec.Command("go", "build", "-o", name, "../cmd/elicence").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building elicence: %v\n%s", err, out)
	}
	return name, nil
})

// verdicts of the command, as in "entry 7: reason" and "good: log.example, entries [0, 9), …".
var goodVerdict = regexp.MustCompile(`(?m)^good: \S+, entries \[(\d+), (\d+)\)`)

// commandVerdict runs elicence audit, and returns good with the range, entry N, or bad.
func commandVerdict(t *testing.T, args ...string) string {
	t.Helper()
	name, err := command()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, append([]string{"audit"}, args...)...)
	var faults bytes.Buffer
	cmd.Stderr = &faults
	out, err := cmd.Output()
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		if m := goodVerdict.FindSubmatch(out); m != nil {
			return fmt.Sprintf("good %s %s", m[1], m[2])
		}
		return "good"
	case errors.As(err, &exit) && exit.ExitCode() == 1 && bytes.HasPrefix(out, []byte("entry ")):
		text, _, _ := strings.Cut(string(out), ":")
		return text
	case exit != nil && exit.ExitCode() == 1:
		return "bad"
	}
	t.Fatalf("elicence audit %q: %v\n%s%s", args, err, out, faults.String())
	return ""
}

// pythonVerdicts runs testdata/audit/verify_log.py for some calls of it, each of which is
// answered by one verdict.
func pythonVerdicts(t *testing.T, calls [][]string) []string {
	t.Helper()
	for _, tool := range []string{"python3", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("install %s (Debian: apt-get install %s): %v", tool, tool, err)
		}
	}
	var input strings.Builder
	for _, call := range calls {
		input.WriteString(strings.Join(call, " ") + "\n")
	}
	cmd := exec.Command("python3", filepath.Join(testdata, "verify_log.py"), "-")
	cmd.Stdin, cmd.Stderr = strings.NewReader(input.String()), os.Stderr
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("verify_log.py: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(calls) {
		t.Fatalf("verify_log.py gave %d verdicts on %d calls", len(lines), len(calls))
	}
	for i := range lines {
		lines[i], _, _ = strings.Cut(lines[i], ":")
	}
	return lines
}

// auditCase is what both auditors judge: exports that are to join, or one that is to
// continue the log of an older checkpoint.
type auditCase struct {
	name    string
	policy  *audit.Policy
	exports [][]byte
	older   []byte // nil: none
	want    string
	brief   bool // ask the package instead of the command, which takes its time to start
}

// agree has every case judged by the command and by Python, which must say what is
// wanted.
func agree(t *testing.T, cases []auditCase) {
	t.Helper()
	dir, files, bad := t.TempDir(), 0, 0
	file := func(content []byte) string {
		files++
		name := filepath.Join(dir, strconv.Itoa(files))
		mustWrite(t, name, content)
		return name
	}
	var command, calls [][]string
	for _, c := range cases {
		policy := file(c.policy.Marshal())
		var exports []string
		for _, export := range c.exports {
			exports = append(exports, file(export))
		}
		if c.older != nil {
			older := file(c.older)
			command = append(command, append([]string{"prove", "--policy", policy, "--older", older}, exports...))
			calls = append(calls, append([]string{"--older", older, policy}, exports...))
		} else {
			command = append(command, append([]string{"verify", "--policy", policy}, exports...))
			calls = append(calls, append([]string{"--join", policy}, exports...))
		}
	}
	python := pythonVerdicts(t, calls)
	for i, c := range cases {
		got, want := "", c.want
		if c.brief {
			got = verdict(t, c.policy, c.exports[0])
		} else {
			got = commandVerdict(t, command[i]...)
		}
		if got == "good" && strings.HasPrefix(want, "good ") {
			got = want // prove does not repeat the range
		}
		if got != want || python[i] != want {
			t.Errorf("%s: elicence says %s, Python %s, want %s", c.name, got, python[i], want)
		}
		if !strings.HasPrefix(want, "good") {
			bad++
		}
	}
	t.Logf("%d cases, %d of them bad", len(cases), bad)
}
