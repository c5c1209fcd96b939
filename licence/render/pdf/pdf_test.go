package pdf_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/font/gofont/goregular"

	"elicence/licence/render/pdf"
)

// document uses everything, and more glyphs than one block of a character map.
func document() pdf.Document {
	f := pdf.Font{Data: goregular.TTF, Ascent: 900, Descent: -200, Box: [4]int{-200, -300, 1200, 1000}, Runes: []rune{0}, Widths: []int{0}}
	shown := ""
	for n := rune(1); n <= 230; n++ {
		f.Widths, f.Runes = append(f.Widths, 600), append(f.Runes, '𠀀'+n)
		shown += string("0123456789abcdef"[n>>4&15]) + string("0123456789abcdef"[n&15])
	}
	var hex strings.Builder
	for i := 0; i < len(shown); i += 2 {
		hex.WriteString("00" + shown[i:i+2])
	}
	return pdf.Document{
		Width: 595.2761, Height: 420, Title: `证照 (样本) \`, CreatedAt: time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 8*3600)),
		Metadata: []byte("<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"), Font: f, Backdrop: pdf.Deflate([]byte("q 0.9 g 0 0 9 9 re f Q\n")),
		Pages: [][]byte{
			[]byte("BT /F1 4 Tf 1 0 0 1 9 99 Tm <" + hex.String() + "> Tj ET\n"),
			append(append(pdf.Span("甲𠮷"), "BT /F1 9 Tf 9 99 Td <0001> Tj ET\n"...), "EMC\nq 0 0 9 9 re W n /S1 Do Q\n"...),
		},
		More:        []pdf.Part{{Width: 99, Height: 9, Backdrop: pdf.Deflate([]byte("q 0.9 g 0 0 9 9 re f Q\n")), Pages: [][]byte{nil}}, {Width: 9, Height: 9, Backdrop: pdf.Deflate(nil), Pages: [][]byte{nil}}},
		Seals:       []pdf.Form{{Width: 9, Height: 8.5, Content: pdf.Deflate([]byte("1 0 0 rg 0 0 9 9 re f\n"))}},
		Bookmarks:   []string{"副本 (1)", "2", "3", "4"},
		Attachments: []pdf.Attachment{{Name: "a (b).json", Description: `c\`, Data: []byte("{}")}, {Name: "e", Data: nil}},
	}
}

// judge runs a program from outside on the document.
func judge(t *testing.T, pkg, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(path, pdf.Write(document()), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "FILE", path)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s (Debian package %s): %v\n%s", name, pkg, err, out)
	}
	return string(out)
}

func TestWriteIsPDF(t *testing.T) {
	if out := judge(t, "qpdf", "qpdf", "--check", "FILE"); strings.Contains(out, "WARNING") {
		t.Error(out)
	}
	info := judge(t, "poppler-utils", "pdfinfo", "-isodates", "FILE")
	for _, want := range []string{`证照 (样本) \`, "2026-03-03T21:06:07Z", "Pages:           4", "595.276 x 420 pts", "PDF version:     1.7"} {
		if !strings.Contains(info, want) {
			t.Errorf("pdfinfo does not say %q:\n%s", want, info)
		}
	}
	if outline := judge(t, "mupdf-tools", "mutool", "show", "FILE", "outline"); outline != "|\t\"副本 (1)\"\t#page=1&view=Fit\n|\t\"2\"\t#page=2&view=Fit\n|\t\"3\"\t#page=3&view=Fit\n|\t\"4\"\t#page=4&view=Fit\n" {
		t.Errorf("bookmarks: %q", outline)
	}
	if list := judge(t, "poppler-utils", "pdfdetach", "-list", "FILE"); !strings.Contains(list, "1: a (b).json\n2: e\n") {
		t.Errorf("attachments: %s", list)
	}
	if data := judge(t, "poppler-utils", "pdfdetach", "-save", "1", "-o", "/dev/stdout", "FILE"); data != "{}" {
		t.Errorf("first attachment holds %q", data)
	}
}

// TestText: what glyphs stand for, and what a span says instead.
func TestText(t *testing.T) {
	text := judge(t, "poppler-utils", "pdftotext", "-raw", "FILE", "-")
	want := ""
	for n := rune(1); n <= 230; n++ {
		want += string('𠀀' + n)
	}
	first, second, _ := strings.Cut(text, "\f")
	if strings.TrimSpace(first) != want || strings.Trim(second, "\f\n") != "甲𠮷" {
		t.Errorf("pages say %q and %q", first, second)
	}
}

func TestSameBytes(t *testing.T) {
	first := pdf.Write(document())
	for range 3 {
		if !bytes.Equal(pdf.Write(document()), first) {
			t.Fatal("other bytes for the same document")
		}
	}
}
