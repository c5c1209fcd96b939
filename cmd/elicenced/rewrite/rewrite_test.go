package rewrite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elicence/licence"
	"elicence/licence/render"
)

// asked makes the test binary the process that it starts.
const asked = "rewrite-pdf"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asked {
		if err := Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(70)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// page is a file of one page that draws a line, with further entries of the catalogue, of
// the page and of its resources, and further objects, numbered from 5.
func page(catalogue, entries, resources string, more ...string) []byte {
	const content = "0 0 m 9 9 l S"
	objects := append([]string{
		"<</Type /Catalog /Pages 2 0 R " + catalogue + ">>",
		"<</Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 595 842]>>",
		"<</Type /Page /Parent 2 0 R /Contents 4 0 R /Resources <<" + resources + ">> " + entries + ">>",
		fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(content), content),
	}, more...)
	var out bytes.Buffer
	out.WriteString("%PDF-1.7\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = out.Len()
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	at := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&out, "trailer\n<</Size %d /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, at)
	return out.Bytes()
}

// annotated is a page with one annotation.
func annotated(entries string) []byte {
	return page("", "/Annots [5 0 R]", "", "<</Type /Annot /Rect [0 0 9 9] "+entries+">>")
}

// states are resources with a thousand graphics states, the objects from 5 on.
func states() string {
	var out strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&out, "/G%d %d 0 R ", n, n+5)
	}
	return "/ExtGState <<" + out.String() + ">>"
}

// stream is an object.
func stream(entries string) string {
	return "<<" + entries + " /Length 1>>\nstream\nx\nendstream"
}

// refused are files that are not taken, with the code that says why.
var refused = map[string]struct {
	file []byte
	code string
}{
	"no bytes":                    {nil, "too_large"},
	"too many bytes":              {make([]byte, MaxFile+1), "too_large"},
	"no PDF":                      {[]byte("<html>"), "unreadable"},
	"a header alone":              {[]byte("%PDF-1.7\n"), "unreadable"},
	"content that is not there":   {page("", "/Contents 99 0 R", ""), "unreadable"},
	"half a file":                 {page("", "", "")[:200], "unreadable"},
	"JavaScript on opening":       {page("/OpenAction <</S /JavaScript /JS (app.alert(1))>>", "", ""), "javascript"},
	"JavaScript by name":          {page("/Names <</JavaScript <</Names [(a) <</S /JavaScript /JS (x)>>]>>>>", "", ""), "javascript"},
	"JavaScript nothing leads to": {page("", "", "", "<</S /JavaScript /JS (x)>>"), "javascript"},
	"JavaScript of a link":        {annotated("/Subtype /Link /A <</S /JavaScript /JS (x)>>"), "javascript"},
	"JavaScript of a page":        {page("", "/AA <</O <</S /JavaScript /JS (x)>>>>", ""), "action"},
	"program that starts":         {page("/OpenAction <</S /Launch /F (x.exe)>>", "", ""), "launch_action"},
	"link that starts a program":  {annotated("/Subtype /Link /A <</S /Launch /F (x.exe)>>"), "launch_action"},
	"form":                        {page("/AcroForm <</Fields [5 0 R]>>", "/Annots [5 0 R]", "", "<</Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (b) /Rect [0 0 9 9]>>"), "form"},
	"form field on the page":      {annotated("/Subtype /Widget /FT /Tx /T (a)"), "form"},
	"XFA":                         {page("/AcroForm <</Fields [] /XFA 5 0 R>>", "", "", stream("")), "xfa"},
	"form that is sent":           {annotated("/Subtype /Link /A <</S /SubmitForm /F (https://example.com)>>"), "form"},
	"signature":                   {page("", "", "", "<</Type /Sig /ByteRange [0 1 2 3] /Contents <00>>>"), "signature"},
	"field for a signature":       {annotated("/Subtype /Widget /FT /Sig /T (a)"), "signature"},
	"certification":               {page("/Perms <<>>", "", ""), "signature"},
	"optional content":            {page("/OCProperties <</OCGs [5 0 R] /D <<>>>>", "", "/Properties <</L 5 0 R>>", "<</Type /OCG /Name (a)>>"), "optional_content"},
	"layer of a form":             {page("", "", "/XObject <</X 5 0 R>>", stream("/Type /XObject /Subtype /Form /BBox [0 0 1 1] /OC <</Type /OCG /Name (a)>>")), "optional_content"},
	"page of another file":        {page("", "", "/XObject <</X 5 0 R>>", stream("/Type /XObject /Subtype /Form /BBox [0 0 1 1] /Ref <</F (x.pdf) /Page 0>>")), "external_reference"},
	"image from another file":     {page("", "", "/XObject <</X 5 0 R>>", stream("/Type /XObject /Subtype /Image /F (x.png)")), "external_reference"},
	"link to another file":        {annotated("/Subtype /Link /A <</S /GoToR /F (x.pdf) /D [0 /Fit]>>"), "external_reference"},
	"note":                        {annotated("/Subtype /Text /Contents (a)"), "annotation"},
	"stamp":                       {annotated("/Subtype /Stamp /Contents (a)"), "annotation"},
	"film":                        {annotated("/Subtype /Link /A <</S /Movie>>"), "multimedia"},
	"portfolio":                   {page("/Collection <<>>", "", ""), "embedded_file"},
	"font of the reader's":        {page("", "", "/Font <</F 5 0 R>>", "<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>"), "font_not_embedded"},
	"font that is not there":      {page("", "", "/Font <</F 5 0 R>>", "<</Type /Font /Subtype /TrueType /BaseFont /A /FirstChar 0 /LastChar 0 /Widths [1] /FontDescriptor <</Type /FontDescriptor /FontName /A /Flags 4 /FontBBox [0 0 9 9] /ItalicAngle 0 /Ascent 9 /Descent 0 /CapHeight 9 /StemV 1 /FontFile2 99 0 R>>>>"), "font_not_embedded"},
	"more states than fit":        {page("", "", states(), slices.Repeat([]string{"<</Type /ExtGState /CA 1>>"}, 1000)...), "too_many"},
	"entry that is not known":     {page("", "", "/XObject <</X 5 0 R>>", stream("/Type /XObject /Subtype /Form /BBox [0 0 1 1] /New 1")), "unsupported"},
	"catalogue entry not known":   {page("/New 1", "", ""), "unsupported"},
	"signature in a stream":       {page("", "", "/XObject <</X 5 0 R>>", "<</Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /DCTDecode /Length 10>>\nstream\n/ByteRange\nendstream"), "unsupported"},
	"units of its own":            {page("", "/UserUnit 2", ""), "unsupported"},
	"page of no size":             {page("", "/MediaBox [0 0 0 0]", ""), "page_size"},
	"page as large as a house":    {page("", "/MediaBox [0 0 9000 9000]", ""), "page_size"},
}

// TestRefused reads bad files in a process of its own and sees them refused by name.
func TestRefused(t *testing.T) {
	files := refused
	for name, arguments := range map[string][]string{
		"encrypted":                {"--encrypt", "user", "owner", "256", "--"},
		"encrypted without secret": {"--encrypt", "", "owner", "256", "--"},
	} {
		plain := filepath.Join(t.TempDir(), "plain.pdf")
		if err := os.WriteFile(plain, page("", "", ""), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("qpdf", append(arguments, plain, "-")...).Output()
		if err != nil {
			t.Fatalf("qpdf: %v", err)
		}
		files[name] = struct {
			file []byte
			code string
		}{out, "encrypted"}
	}
	for name, tt := range files {
		t.Run(name, func(t *testing.T) {
			d, err := Rewrite(tt.file)
			wantCode(t, d, err, tt.code)
		})
	}
}

func wantCode(t *testing.T, d *render.Document, err error, code string) {
	t.Helper()
	var invalid *licence.RequestError
	if d != nil || !errors.As(err, &invalid) || len(invalid.Fields) != 1 || invalid.Fields[0].Field != "file" || invalid.Fields[0].Code != code {
		t.Errorf("got %v, %v; want the code %s", d != nil, err, code)
	}
}

// TestTaken takes files whose parts can be left out, and says which were.
func TestTaken(t *testing.T) {
	for name, tt := range map[string]struct {
		file    []byte
		removed string
	}{
		"plain":          {page("", "", ""), ""},
		"link":           {annotated("/Subtype /Link /A <</S /URI /URI (https://example.com)>>"), "links"},
		"embedded file":  {page("/Names <</EmbeddedFiles <</Names [(a) <</Type /Filespec /F (a) /EF <</F 5 0 R>>>>]>>>>", "", "", stream("/Type /EmbeddedFile")), "embedded_files names"},
		"empty form":     {page("/AcroForm <</Fields []>>", "", ""), "empty_form"},
		"opening view":   {page("/OpenAction [3 0 R /Fit]", "", ""), "opening_view"},
		"turned page":    {page("", "/Rotate 90", ""), ""},
		"no content":     {bytes.Replace(page("", "", ""), []byte("/Contents 4 0 R"), []byte("               "), 1), ""},
		"form in itself": {page("", "", "/XObject <</X 5 0 R>>", stream("/Type /XObject /Subtype /Form /BBox [0 0 1 1] /Resources <</XObject <</X 5 0 R>>>>")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Rewrite(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(d.Removed, " "); got != tt.removed {
				t.Errorf("removed %q, want %q", got, tt.removed)
			}
			if turned := name == "turned page"; (d.Width > d.Height) != turned {
				t.Errorf("page of %g by %g", d.Width, d.Height)
			}
			for _, bad := range []string{"/A ", "/URI", "/EF", "/JS", "/OpenAction"} {
				if bytes.Contains(bytes.Join(d.Objects, nil), []byte(bad)) {
					t.Errorf("an object has %s", bad)
				}
			}
		})
	}
}

// TestProcess takes files apart in processes under limits.
func TestProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("../../../testdata/documents/approval.pdf")
	if err != nil {
		t.Fatal(err)
	}
	here, err := Rewrite(file)
	if err != nil {
		t.Fatal(err)
	}
	p := NewProcesses(self, asked)
	there, err := p.Rewrite(t.Context(), file)
	if err != nil || !slices.EqualFunc(here.Objects, there.Objects, bytes.Equal) {
		t.Errorf("the process answers otherwise: %v", err)
	}
	d, err := p.Rewrite(t.Context(), refused["JavaScript on opening"].file)
	wantCode(t, d, err, "javascript")
	d, err = p.Rewrite(t.Context(), bomb(t))
	wantCode(t, d, err, "too_costly")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Rewrite(gone, file); !errors.Is(err, context.Canceled) {
		t.Errorf("caller gone: %v", err)
	}
	for _, command := range [][]string{{"/nonexistent"}, {"sh", "-c", "echo no limits >&2; exit 70"}, {"true"}} {
		if _, err := NewProcesses(command...).Rewrite(t.Context(), file); err == nil || errors.As(err, new(*licence.RequestError)) {
			t.Errorf("%v: %v", command, err)
		}
	}
	d, err = NewProcesses("sh", "-c", "kill -KILL $$").Rewrite(t.Context(), file)
	wantCode(t, d, err, "too_costly")
}

// TestBounded has a process say more than is taken.
func TestBounded(t *testing.T) {
	for most, want := range map[int]error{99_999: errAnswer, 100_000: nil} {
		out := &bounded{most: most}
		cmd := exec.Command("head", "-c", "100000", "/dev/zero")
		cmd.Stdout = out
		if err := cmd.Run(); !errors.Is(err, want) || out.buffer.Len() > most {
			t.Errorf("at most %d: %d bytes, %v", most, out.buffer.Len(), err)
		}
	}
}

// bomb is a page whose content inflates to more than a process may hold.
func bomb(t *testing.T) []byte {
	t.Helper()
	content, err := exec.Command("python3", "-c", `
import sys, zlib
z = zlib.compressobj(9)
out = [z.compress(b" " * (1 << 20)) for _ in range(1500)] + [z.flush()]
sys.stdout.buffer.write(b"".join(out))`).Output()
	if err != nil {
		t.Fatal(err)
	}
	return page("", "/Contents 5 0 R", "", fmt.Sprintf("<</Filter /FlateDecode /Length %d>>\nstream\n%s\nendstream", len(content), content))
}

// TestLimits holds the process to what it took from itself.
func TestLimits(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, asked)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// More than a pipe holds: when it is through, the process reads, and has its limits.
	if _, err := in.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Max cpu time              20", "Max file size             0", "Max core file size        0"} {
		if !strings.Contains(string(limits), want) {
			t.Errorf("limits lack %q:\n%s", want, limits)
		}
	}
	if strings.Contains(string(limits), "Max address space         unlimited") {
		t.Error("the address space is unlimited")
	}
	in.Close()
	if a, err := io.ReadAll(out); err != nil || !bytes.Contains(a, []byte("unreadable")) {
		t.Errorf("answer %s, %v", a, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
