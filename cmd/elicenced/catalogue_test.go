package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWalks runs the walks of docs/reuse.md and docs/catalogue.md as they stand there, beside
// one service, and then what the commands of the catalogue refuse.
func TestWalks(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	r := s.serve(t)
	defer r.stop(t)
	s.reuseWalk(t, r)
	s.walksConsent(t, r)
	dir, out := s.walk(t, r, "../../docs/catalogue.md", "walk", []string{
		"version 1 (饮用水供水单位卫生许可证): published\n",
		"approval-health: registered for 11100000MB19000005903, and logged\n",
		"（浙）卫水证字〔2026〕第3301000001号 2030-02-28\n",
		"sanitation.pdf: 文件真实；",
		"made by version 1: 3 changes\n",
		"  13 pt instead of 15: 单位地址：{fields.premises}\n  printed now: 许可类别：{fields.project}\n  not printed any more: 许可项目：{fields.project}\n",
		"1 licences drawn, 0 would be refused\n",
		"version 2 (饮用水供水单位卫生许可证): published\n",
		"11100000MB19000005903\t1\tretired\t", "11100000MB19000005903\t2\tpublished\t",
	})
	if png, err := os.ReadFile(filepath.Join(dir, "sanitation.png")); err != nil || !bytes.HasPrefix(png, []byte("\x89PNG")) {
		t.Errorf("preview: %v, %.8q", err, png)
	}
	if t.Failed() {
		t.Log(out)
	}
	s.catalogueRefuses(t, filepath.Join(dir, "sanitation"))
	s.wantVerdict(t, "after the walk", "")
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
		if err := (&catalogueImportCmd{Folder: folder}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), says) || strings.Count(err.Error(), "wrong usage") != 1 || exitCode(err) != exitUsage {
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
