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

// TestCatalogueWalk runs the walk of docs/catalogue.md as it stands there, beside a
// service, and then what the commands refuse.
func TestCatalogueWalk(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	r := s.serve(t)
	defer r.stop(t)
	dir, out := s.walked(t, r, "../../docs/catalogue.md")
	for _, want := range []string{
		"version 1 (饮用水供水单位卫生许可证): published\n",
		"approval-health: registered for 11100000MB19000005903, and logged\n",
		"（浙）卫水证字〔2026〕第3301000001号 2030-02-28\n",
		"sanitation.pdf: 文件真实；",
		"made by version 1: 3 changes\n",
		"  13 pt instead of 15: 单位地址：{fields.premises}\n  printed now: 许可类别：{fields.project}\n  not printed any more: 许可项目：{fields.project}\n",
		"1 licences drawn, 0 would be refused\n",
		"version 2 (饮用水供水单位卫生许可证): published\n",
		"11100000MB19000005903\t1\tretired\t", "11100000MB19000005903\t2\tpublished\t",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the walk lacks %q", want)
		}
	}
	if png, err := os.ReadFile(filepath.Join(dir, "sanitation.png")); err != nil || !bytes.HasPrefix(png, []byte("\x89PNG")) {
		t.Errorf("preview: %v, %.8q", err, png)
	}
	s.catalogueRefuses(t, filepath.Join(dir, "sanitation"))
	s.wantVerdict(t, "after the walk", "")
}

// walked runs the walk of a page as it stands there, beside the service r, in a folder with
// bin, demo and testdata, which it returns with what the walk printed.
func (s *site) walked(t *testing.T, r *running, file string) (dir, printed string) {
	t.Helper()
	page, err := os.ReadFile(file)
	must(t, err)
	_, script, found := strings.Cut(string(page), "<!-- walk -->\n```sh\n")
	script, _, closed := strings.Cut(script, "```\n<!-- /walk -->")
	if !found || !closed {
		t.Fatal(file + " has no walk")
	}
	dir = t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	must(t, os.Symlink(binary, filepath.Join(dir, "bin", "elicenced")))
	must(t, os.Symlink(auditorBinary, filepath.Join(dir, "bin", "elicence")))
	must(t, os.Symlink(s.Dir, filepath.Join(dir, "demo")))
	inputs, err := filepath.Abs("../../testdata")
	must(t, err)
	must(t, os.Symlink(inputs, filepath.Join(dir, "testdata")))
	demo, err := os.ReadFile(filepath.Join(s.Dir, "demo.json"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.Dir, "demo.json"), regexp.MustCompile(`"base_url": "[^"]*"`).ReplaceAll(demo, []byte(`"base_url": "`+r.baseURL+`"`)), 0o600))
	cmd := exec.Command("bash", "-eo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "ELICENCE_FONTS="+fontsDir())
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s%s", out.String(), said.String())
		}
	})
	must(t, err)
	return dir, out.String()
}

// catalogueRefuses is a table of commands that are refused; folder holds a licence type.
func (s *site) catalogueRefuses(t *testing.T, folder string) {
	const code = "11100000MB19000005903"
	linked, odd := filepath.Join(t.TempDir(), "linked"), filepath.Join(t.TempDir(), "odd")
	for _, dir := range []string{linked, odd} {
		must(t, os.CopyFS(dir, os.DirFS(folder)))
	}
	must(t, os.Remove(filepath.Join(linked, "layout.json")))
	must(t, os.Symlink(filepath.Join(folder, "layout.json"), filepath.Join(linked, "layout.json")))
	must(t, os.WriteFile(filepath.Join(odd, "README"), nil, 0o600))
	for says, folder := range map[string]string{"layout.json: is no regular file": linked, "no such file": filepath.Join(odd, "none")} {
		if err := (&catalogueImportCmd{Folder: folder}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), says) || exitCode(err) != exitUsage {
			t.Errorf("%s: %v, want %q", folder, err, says)
		}
	}
	for says, args := range map[string][]string{
		"is no file of a licence type": {"import", odd, "--reason", "r"},
		"--reason":                     {"import", folder},
		"stage":                        {"publish", code, "2", "--reason", "r"},
		"has no version 9":             {"retire", code, "9", "--reason", "r"},
		"no published version":         {"export", "11100000MB19000005999", "-o", filepath.Join(t.TempDir(), "x")},
		"neither in .pdf nor in .png":  {"preview", code, "-o", filepath.Join(t.TempDir(), "x.gif")},
		"no client":                    {"allow", code, "nobody"},
	} {
		s.wantRefused(t, exitUsage, says, append([]string{"catalogue"}, args...)...)
	}
}
