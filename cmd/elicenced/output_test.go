package main

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOutputOutsideInstances: no -o replaces a key, a certificate or the database of an
// instance, whatever way its name takes there; files elsewhere are replaced.
func TestOutputOutsideInstances(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	outside := t.TempDir()
	keys := filepath.Join(s.Dir, "keys")
	link := func(to, name string) string {
		name = filepath.Join(outside, name)
		must(t, os.Symlink(to, name))
		return name
	}
	request := filepath.Join(outside, "qr.csr")
	s.mustRun(t, "request for", "ca", "csr", "qr", "-o", request)
	before := readTree(t, s.Dir)
	refused := func(file string, args ...string) {
		t.Helper()
		cmd := s.command(append(args, "-o", file)...)
		if args[1] == "draw" { // which takes no --dir
			cmd.Args = cmd.Args[:len(cmd.Args)-2]
		}
		if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(string(out), "-o "+file) {
			t.Errorf("%v -o %s: %v\n%s", args, file, err, out)
		}
	}
	key := filepath.Join(keys, "qr.key.pem")
	for _, file := range []string{
		filepath.Join(keys, "new.pem"), filepath.Join(s.Dir, "files", "export"), link(key, "key"),
		filepath.Join(link(keys, "folder"), "qr.key.pem"), link(filepath.Join(keys, "absent"), "dangling"),
	} {
		refused(file, "ca", "crl")
	}
	refused(key, "ca", "csr", "qr")
	refused(key, "ca", "issue", request, "--usage", "qr", "--days", "1")
	refused(filepath.Join(s.Dir, "elicence.db"), "log", "export")
	refused(filepath.Join(s.Dir, "backup"), "keys", "backup", "--shares", "2")
	refused(key, "seal", "draw", "--name", "西湖区卫生健康局", "--diameter-mm", "42")
	s.wantRefused(t, exitUsage, "the folder of an instance", "ca", "crl", "-o", filepath.Join(keys, "qr.key.pem"))
	if after := readTree(t, s.Dir); !maps.Equal(before, after) {
		t.Error("a refused command changed the instance's folder")
	}
	list := filepath.Join(outside, "list.crl")
	s.mustRun(t, "until", "ca", "crl", "-o", list)
	s.mustRun(t, "until", "ca", "crl", "-o", list)
	s.mustRun(t, "", "log", "export", "-o", link(list, "export"))
}

// TestBareCommand: whoever types the name alone is told where to read on.
func TestBareCommand(t *testing.T) {
	cmd := exec.Command(binary)
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(string(out), "elicenced --help") {
		t.Errorf("%d: %s", cmd.ProcessState.ExitCode(), out)
	}
}

// TestNoInstance: a folder without an instance is a fault of the command line, and no
// command takes it for a missing passphrase or certificate.
func TestNoInstance(t *testing.T) {
	t.Parallel()
	absent := location{Dir: filepath.Join(t.TempDir(), "absent")}
	output := filepath.Join(t.TempDir(), "output")
	for name, run := range map[string]func(context.Context) error{
		"migrate":         (&migrateCmd{location: absent}).Run,
		"database backup": (&databaseBackupCmd{location: absent, Output: output}).Run,
		"ca crl":          func(context.Context) error { return (&caCRLCmd{Dir: absent.Dir, CA: "issuing", Output: output}).Run() },
		"keys backup":     (&backupCmd{location: absent, Output: output, Shares: 2}).Run,
		"client list":     (&clientListCmd{onRegister{location: absent}}).Run,
	} {
		if err := run(t.Context()); err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), "make one with") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
