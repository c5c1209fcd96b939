package render_test

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestPreview: every page of every layout's preview says that it is one and what the
// licence says, and nothing of it can be scanned, opened or taken for an issued file.
func TestPreview(t *testing.T) {
	for name, l := range layouts(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lic := sample(t, name)
			file, err := l.Preview(fonts(t), lic, created)
			if err != nil {
				t.Fatal(err)
			}
			path := saved(t, "preview-"+name+".pdf", file)
			tool(t, "qpdf", "qpdf", "--check", path)
			text := tool(t, "poppler-utils", "pdftotext", "-raw", path, "-")
			for i, page := range strings.Split(strings.TrimSuffix(text, "\f"), "\f") {
				if strings.Count(page, "样本") < 4 {
					t.Errorf("page %d says 样本 %d times", i+1, strings.Count(page, "样本"))
				}
			}
			if !strings.Contains(text, lic.Holder.Name) {
				t.Errorf("the holder's name is not in %q", text)
			}
			if bytes.Contains(file, []byte(lic.Identifier)) {
				t.Error("the metadata names the licence")
			}
			if list := tool(t, "poppler-utils", "pdfdetach", "-list", path); !strings.HasPrefix(list, "0 embedded files") {
				t.Errorf("attached: %s", list)
			}
			picture := strings.TrimSuffix(path, ".pdf")
			tool(t, "poppler-utils", "pdftoppm", "-r", "150", "-gray", "-f", "1", "-singlefile", path, picture)
			const none = 4 // zbarimg's exit code when it found no symbol
			var exit *exec.ExitError
			if read, err := exec.Command("zbarimg", "-q", "--raw", picture+".pgm").Output(); !errors.As(err, &exit) || exit.ExitCode() != none {
				t.Errorf("a symbol can be read from it, or nothing can: %q, %v", read, err)
			}
			again, err := l.Preview(fonts(t), sample(t, name), created)
			if err != nil || !bytes.Equal(again, file) {
				t.Errorf("another file the second time, or %v", err)
			}
		})
	}
}

// TestPreviewRefused: what cannot be drawn is refused as in the licence itself.
func TestPreviewRefused(t *testing.T) {
	l := layouts(t)["work-safety"]
	lic := sample(t, "work-safety")
	if file, err := l.Preview(fonts(t), lic, time.Time{}); err == nil || file != nil {
		t.Error("no creation time was accepted")
	}
	if file, err := l.Preview(fonts(t), nil, created); err == nil || file != nil {
		t.Error("no licence was accepted")
	}
	lic.Holder.Name = strings.Repeat("长", 400)
	file, err := l.Preview(fonts(t), lic, created)
	if want := l.Check(fonts(t), lic); want == nil || err == nil || err.Error() != want.Error() || file != nil {
		t.Errorf("got %v, want %v", err, want)
	}
	lic.Holder.Name = "张\u202e三"
	if _, err := l.Preview(fonts(t), lic, created); err == nil || !strings.Contains(err.Error(), "holder.name") {
		t.Errorf("a bidirectional control: %v", err)
	}
}
