package main

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestInvitation runs what the demo says to try as it says it: the second command alone
// ends with code 1, for the revoked licence and for nothing else.
func TestInvitation(t *testing.T) {
	cmd := exec.Command(binary, "demo", "--dir", t.TempDir(), "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "ELICENCE_FONTS="+fontsDir())
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var tries []string
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.HasPrefix(lines.Text(), "A phone"); {
		if try := strings.TrimSpace(lines.Text()); strings.HasPrefix(try, auditorBinary+" ") {
			tries = append(tries, try)
		}
	}
	must(t, cmd.Process.Signal(os.Interrupt))
	must(t, cmd.Wait())
	var codes []int
	for i, try := range tries {
		cmd := exec.Command("bash", "-c", try)
		said, _ := cmd.Output()
		codes = append(codes, cmd.ProcessState.ExitCode())
		if i == 1 && !strings.Contains(string(said), ", 0 Indeterminate, 0 TotalFailed; 1 revoked, ") {
			t.Errorf("%s:\n%s", try, said)
		}
	}
	if !slices.Equal(codes, []int{0, 1, 0, 0}) {
		t.Errorf("%q end with %d", tries, codes)
	}
}
