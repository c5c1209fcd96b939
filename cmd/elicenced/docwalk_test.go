package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// walk runs a walk of a page of the documentation as it stands there, beside a service, in a
// folder of its own. Its output must hold each of some texts.
func (s *site) walk(t *testing.T, r *running, page, name string, wants []string) (dir, out string) {
	t.Helper()
	text, err := os.ReadFile(page)
	must(t, err)
	_, script, found := strings.Cut(string(text), "<!-- "+name+" -->\n```sh\n")
	script, _, closed := strings.Cut(script, "```\n<!-- /"+name+" -->")
	if !found || !closed {
		t.Fatalf("%s has no %s", page, name)
	}
	dir = t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	must(t, os.Symlink(binary, filepath.Join(dir, "bin", "elicenced")))
	must(t, os.Symlink(auditorBinary, filepath.Join(dir, "bin", "elicence")))
	must(t, os.Symlink(s.Dir, filepath.Join(dir, "demo")))
	demo, err := os.ReadFile(filepath.Join(s.Dir, "demo.json"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.Dir, "demo.json"), regexp.MustCompile(`"base_url": "[^"]*"`).ReplaceAll(demo, []byte(`"base_url": "`+r.baseURL+`"`)), 0o600))
	cmd := exec.Command("bash", "-eo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "ELICENCE_FONTS="+fontsDir())
	var printed, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, printed.String(), said.String())
	}
	for _, want := range wants {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("the walk of %s lacks %q:\n%s%s", page, want, printed.String(), said.String())
		}
	}
	return dir, printed.String()
}

// walksConsent runs the walk of docs/reuse.md with a holder's codes.
func (s *site) walksConsent(t *testing.T, r *running) {
	t.Helper()
	s.walk(t, r, "../../docs/reuse.md", "consent walk", []string{
		"approved\ndict_keys(['fields.premises', 'number'])\nconsent_spent\n",
		"证照状态：<strong>有效\ndict_keys(['holder.name', 'number'])\npresentation\tstanding\t2/5\nrevoked\nconsent_revoked\n",
		"present refused consent_revoked consent/\npresent allowed  consent/\npresent allowed address_local consent/\nreuse refused consent_spent consent/\nreuse allowed  consent/\n",
	})
}
