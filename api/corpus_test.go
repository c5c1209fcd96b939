package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"elicence/api"
	"elicence/licence"
	"elicence/verify"
	"elicence/verify/verifytest"

	"github.com/google/go-cmp/cmp"
)

const corpusDir = "../testdata/verify"

// verdict is what the three faces of a verification have to agree in.
type verdict struct {
	Indication   verify.Indication    `json:"indication"`
	Sub          verify.SubIndication `json:"sub_indication"`
	LicenceState licence.Status       `json:"licence_state"`
	Checks       []verdictCheck       `json:"checks"`
}

type verdictCheck struct {
	Name   verify.Name   `json:"name"`
	Result verify.Result `json:"result"`
	Code   string        `json:"code"`
}

// withoutRegister leaves out what a face without a register, and one with an empty one,
// say differently.
func (v verdict) withoutRegister() verdict {
	var checks []verdictCheck
	for _, c := range v.Checks {
		if c.Name != verify.CheckRegister {
			checks = append(checks, c)
		}
	}
	v.Checks = checks
	return v
}

// faces judge one case after the other by package, command line and API.
type faces struct {
	w      *world
	server *api.Server
	binary string
	judged int
	lines  map[string]verdict // of the command line, by file
	// The case that the server's verifier is for, and the instant that its clock shows.
	verifier *verify.Verifier
	at       time.Time
}

// openFaces builds the command line and starts a server over an empty register.
func openFaces(t *testing.T) *faces {
	f := &faces{w: open(t), lines: map[string]verdict{}, binary: filepath.Join(t.TempDir(), "elicence")}
	if out, err := exec.Command("go", "build", "-o", f.binary, "elicence/cmd/elicence").CombinedOutput(); err != nil {
		t.Fatalf("building the command line: %v\n%s", err, out)
	}
	f.server = f.w.serve(func(c *api.Config) {
		c.Now = func() time.Time { return f.at }
		c.Verifier = func(empty verify.Register) *verify.Verifier {
			v := *f.verifier
			if v.Register == nil {
				v.Register = empty
			}
			return &v
		}
	})
	return f
}

// byPackage is package verify's verdict.
func (f *faces) byPackage(t *testing.T, c *verifytest.Case) (v verdict) {
	t.Helper()
	report := &verify.Report{}
	if c.IsQR() {
		report = f.verifier.VerifyQR(t.Context(), c.QR, c.Time)
	} else {
		report = f.verifier.VerifyFile(t.Context(), c.File, c.Time)
	}
	text, err := json.Marshal(report)
	must(t, err)
	must(t, json.Unmarshal(text, &v))
	return v
}

// byAPI is the verdict of POST /api/v1/verifications, from an address of its own for
// each case, for the rate of one is limited.
func (f *faces) byAPI(t *testing.T, c *verifytest.Case) (v verdict) {
	t.Helper()
	f.judged++
	q := ask{method: "POST", path: "/api/v1/verifications", handler: f.server, mediaType: "application/pdf", body: c.File,
		remote: fmt.Sprintf("10.0.%d.%d:1", f.judged>>8, f.judged&255)}
	if c.IsQR() {
		text, err := json.Marshal(map[string]string{"qr": c.QR})
		must(t, err)
		q.mediaType, q.body = "application/json", text
	}
	a := f.w.do(q)
	var shown struct {
		verdict
		Tone string `json:"tone"`
	}
	if a.json(t, &shown); a.StatusCode != 200 {
		t.Fatalf("API: %d %s", a.StatusCode, a.body)
	}
	if green := shown.Tone == "good"; green != (c.Expect == verify.TotalPassed && c.State == licence.StatusValid) {
		t.Errorf("API: tone %s", shown.Tone)
	}
	return shown.verdict
}

// runCommand takes the cases through the command line, in one call for all of the same
// time and anchors, whose exit code the worst of them decides.
func (f *faces) runCommand(t *testing.T, cases []*verifytest.Case) {
	t.Helper()
	calls := map[[2]string][]string{}
	worst := map[[2]string]int{}
	for _, c := range cases {
		if c.Register == nil && !c.IsQR() {
			call := [2]string{c.Time.UTC().Format(time.RFC3339), c.Anchors}
			calls[call] = append(calls[call], filepath.Join(corpusDir, c.Path()+".pdf"))
			worst[call] = worseExit(worst[call], c)
		}
	}
	for call, files := range calls {
		args := []string{"verify", "--json", "--at", call[0]}
		if call[1] != "" {
			args = append(args, "--anchors", filepath.Join(corpusDir, call[1]))
		}
		command := exec.Command(f.binary, append(args, files...)...)
		out, err := command.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if got := command.ProcessState.ExitCode(); got != worst[call] {
			t.Errorf("%v: exit code %d, want %d", call, got, worst[call])
		}
		f.readLines(t, out)
	}
}

// worseExit is the exit code of a call with one case more: 1 over 2 over 0.
func worseExit(so int, c *verifytest.Case) int {
	switch {
	case so == 1 || c.Expect == verify.TotalFailed || c.State != licence.StatusValid && c.State != licence.StatusUnknown:
		return 1
	case c.Expect == verify.Indeterminate:
		return 2
	}
	return so
}

// readLines reads what the command line said of each file.
func (f *faces) readLines(t *testing.T, out []byte) {
	t.Helper()
	for text := range bytes.Lines(out) {
		var line struct {
			File string `json:"file"`
			verdict
		}
		must(t, json.Unmarshal(text, &line))
		f.lines[line.File] = line.verdict
	}
}

// TestCorpus takes every case of testdata/verify through the package, the command line
// and the API: each gives the expected verdict with the expected check, and all agree
// in every check. Those that need a register, and QR codes alone, are not for the
// command line.
func TestCorpus(t *testing.T) {
	cases, err := verifytest.Load(corpusDir)
	must(t, err)
	f := openFaces(t)
	f.runCommand(t, cases)
	for _, c := range cases {
		t.Run(c.Path(), func(t *testing.T) {
			f.w.t = t
			f.verifier, err = c.Verifier()
			must(t, err)
			f.at = c.Time
			f.compare(t, c)
		})
	}
	f.w.t = t
	if len(cases) < 120 {
		t.Errorf("%d cases, not 120", len(cases))
	}
}

func (f *faces) compare(t *testing.T, c *verifytest.Case) {
	verdicts := map[string]verdict{"package": f.byPackage(t, c), "API": f.byAPI(t, c)}
	if c.Register == nil && !c.IsQR() {
		verdicts["command line"] = f.lines[filepath.Join(corpusDir, c.Path()+".pdf")]
	}
	for face, v := range verdicts {
		if v.Indication != c.Expect || v.Sub != c.Sub || v.LicenceState != c.State || v.code(c.Check) != c.Code {
			t.Errorf("%s: %s/%s, %s, %s %s", face, v.Indication, v.Sub, v.LicenceState, c.Check, v.code(c.Check))
		}
		mine, others := v, verdicts["package"]
		if c.Register == nil {
			mine, others = mine.withoutRegister(), others.withoutRegister()
		}
		if diff := cmp.Diff(others, mine); diff != "" {
			t.Errorf("package and %s differ: %s", face, diff)
		}
	}
}

// code is the code of a check.
func (v verdict) code(name verify.Name) string {
	for _, c := range v.Checks {
		if c.Name == name {
			return c.Code
		}
	}
	return ""
}
