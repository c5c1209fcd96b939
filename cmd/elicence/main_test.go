package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"elicence": main})
}

// TestScripts runs testdata/script. Besides testscript's own commands there are
// "exits CODE COMMAND…", which wants that very exit code, and "flip FILE N", which
// changes one bit of byte N, counted from the end.
func TestScripts(t *testing.T) {
	samples := t.TempDir()
	writeSamples(t, samples)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			if _, err := exec.LookPath("openssl"); err != nil {
				return errors.New("openssl is missing: install OpenSSL 3.0 or later (Debian: openssl)")
			}
			return errors.Join(os.CopyFS(env.WorkDir, os.DirFS(samples)), os.CopyFS(filepath.Join(env.WorkDir, "foreign"), os.DirFS("../../testdata/foreign")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "flip": flipByte},
	})
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("running %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%v exits with %d, want %d", args[1:], got, want)
	}
}

func flipByte(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	b[len(b)-n] ^= 1
	ts.Check(os.WriteFile(name, b, 0o644))
}

// TestFlippedFiles takes some hundreds of altered files through the command line.
func TestFlippedFiles(t *testing.T) {
	dir := t.TempDir()
	writeSamples(t, dir)
	good, err := os.ReadFile(dir + "/good.pdf")
	must(t, err)
	verdict := func(file []byte) int {
		must(t, os.WriteFile(dir+"/flipped.pdf", file, 0o644))
		var out bytes.Buffer
		return run([]string{"verify", "--at", "2026-06-01T00:00:00Z", "--anchors", dir + "/anchors.pem", dir + "/flipped.pdf"}, terminal{&out, &out})
	}
	if code := verdict(good); code != exitGood {
		t.Fatalf("the sample exits with %d", code)
	}
	for i := 0; i < len(good); i += 53 {
		if code := verdict(flip(good, i)); code != exitBad && code != exitUndecided {
			t.Errorf("byte %d flipped: exit code %d", i, code)
		}
	}
}
