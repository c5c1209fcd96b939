package pdfsig_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"elicence/crypto/pdfsig"
	"elicence/licence/render/pdf"
)

func TestReadGivesWhatPrepareWasGiven(t *testing.T) {
	p := prepare(t, render(t), sampleOptions())
	file, err := p.Finish(sampleDER)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pdfsig.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	r := f.Signatures[0].ByteRange
	want := &pdfsig.File{
		Signatures: []pdfsig.Container{{
			FieldName: "Seal1", Filter: "Elicence.GMPkiLite", SubFilter: "GM.sm2seal", ByteRange: r, Contents: sampleDER,
			Page: 1, Rect: [4]float64{340.5, 120.25, 459.555, 239.305},
			SignerName: "市场监督管理局", Reason: "Issue (licence)", ClaimedTime: sampleTime,
		}},
		Pages:       2,
		Attachments: map[string][]byte{},
	}
	for _, a := range sampleAttachments {
		want.Attachments[a.Name] = a.Data
	}
	if diff := cmp.Diff(f, want, cmpopts.IgnoreUnexported(pdfsig.File{})); diff != "" {
		t.Errorf("Read (-got +want):\n%s", diff)
	}
	if signed, whole := f.Digests(); !slices.Equal(signed, [][32]byte{f.Digest(0)}) || whole != sm3.Sum(file) || whole != f.WholeDigest() {
		t.Error("the digests made together are others than those made apart")
	}
	if f.Digest(0) != p.Digest() {
		t.Error("digest of the finished file is not the one that was to be signed")
	}
	if r[0] != 0 || r[2]+r[3] != int64(len(file)) || r[2]-r[1] != 2+2*400 {
		t.Errorf("byte range %v of a file of %d bytes", r, len(file))
	}
	signed := append(bytes.Clone(file[:r[1]]), file[r[2]:]...)
	if !bytes.Equal(f.SignedBytes(0), signed) {
		t.Error("SignedBytes is not the file without its contents")
	}
}

// TestPreparedRead: a file that was finished, read by what prepared it, and one that was not.
func TestPreparedRead(t *testing.T) {
	p, o := prepare(t, render(t), sampleOptions()), sampleOptions()
	o.FieldName = "Seal2" // as long, and before the signature
	finished := map[string]*pdfsig.Prepared{"its own": p, "another's": prepare(t, render(t), o)}
	for name, by := range finished {
		file, err := by.Finish(sampleDER)
		if err != nil {
			t.Fatal(err)
		}
		f, err := p.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		signed := f.Digest(0)
		if signed != by.Digest() || signed != sm3.Sum(f.SignedBytes(0)) || f.WholeDigest() != sm3.Sum(file) {
			t.Errorf("%s: other digests than those of the file", name)
		}
		file[len(file)/3] ^= 1
		if f, err := p.Read(file); err == nil && f.Digest(0) == signed {
			t.Errorf("%s: a change was not hashed", name)
		}
	}
}

func TestReadWithoutTexts(t *testing.T) {
	o := sampleOptions()
	o.SignerName, o.Reason, o.ClaimedTime = "", "", time.Time{}
	o.FieldName = `章 \(1)`
	o.Page, o.X, o.Y = 2, 10, 10
	file, err := prepare(t, render(t), o).Finish(sampleDER)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pdfsig.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	want := pdfsig.Container{
		FieldName: o.FieldName, Filter: pdfsig.Filter, SubFilter: pdfsig.SubFilter, ByteRange: f.Signatures[0].ByteRange,
		Contents: sampleDER, Page: 2, Rect: [4]float64{10, 10, 129.055, 129.055},
	}
	if diff := cmp.Diff(f.Signatures[0], want); diff != "" {
		t.Errorf("container (-got +want):\n%s", diff)
	}
}

func TestPrepareLeavesTheRenderingAlone(t *testing.T) {
	rendered := render(t)
	before := bytes.Clone(rendered)
	p := prepare(t, rendered, sampleOptions())
	if !bytes.Equal(rendered, before) {
		t.Error("Prepare wrote to the bytes it was given")
	}
	file, err := p.Finish(sampleDER)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Replace(before, []byte("%PDF-1.3"), []byte("%PDF-1.7"), 1)
	if !bytes.HasPrefix(file, want) {
		t.Error("the first revision is not the rendering under version 1.7")
	}
	again, err := prepare(t, rendered, sampleOptions()).Finish(sampleDER)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, file) {
		t.Error("the same input gave other bytes")
	}
}

func TestPageContent(t *testing.T) {
	f, err := pdfsig.Read(sign(t))
	if err != nil {
		t.Fatal(err)
	}
	content, err := f.PageContent(2)
	if err != nil || string(content) != "BT /F1 12 Tf 60 600 Td <0022> Tj ET\n" {
		t.Errorf("content of page 2 is %q, %v", content, err)
	}
	for _, page := range []int{-1, 0, 3} {
		if content, err := f.PageContent(page); err == nil || content != nil {
			t.Errorf("page %d: %q, %v", page, content, err)
		}
	}
}

func TestFinishRefuses(t *testing.T) {
	p := prepare(t, render(t), sampleOptions())
	long := append([]byte{0x30, 0x82, 0x01, 0x90}, make([]byte, 400)...)
	tests := map[string][]byte{
		"nothing":                nil,
		"header only":            {0x30},
		"empty sequence":         {0x30, 0x00},
		"not a sequence":         {0x04, 0x01, 0x00},
		"cut":                    sampleDER[:len(sampleDER)-1],
		"bytes after it":         append(bytes.Clone(sampleDER), 0),
		"length not minimal":     {0x30, 0x81, 0x01, 0x00},
		"length of zeros":        {0x30, 0x82, 0x00, 0x90},
		"indefinite length":      {0x30, 0x80, 0x05, 0x00, 0x00, 0x00},
		"length of four octets":  {0x30, 0x84, 0x01, 0x00, 0x00, 0x00},
		"longer than the room":   long,
		"length octets cut away": {0x30, 0x83, 0x01},
	}
	for name, der := range tests {
		t.Run(name, func(t *testing.T) {
			if file, err := p.Finish(der); err == nil || file != nil {
				t.Errorf("Finish returned %d bytes, %v", len(file), err)
			}
		})
	}
	full := long[:400]
	full[2], full[3] = 0x01, 0x8c
	file, err := p.Finish(full)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := pdfsig.Read(file); err != nil || !bytes.Equal(f.Signatures[0].Contents, full) {
		t.Errorf("a signature that fills its room does not come back: %v", err)
	}
}

func TestReplaceContents(t *testing.T) {
	file := sign(t)
	before := bytes.Clone(file)
	longer := append([]byte{0x30, 0x82, 0x01, 0x40}, bytes.Repeat([]byte{7}, 0x140)...)
	replaced, err := pdfsig.ReplaceContents(file, longer)
	if err != nil {
		t.Fatal(err)
	}
	old, err := pdfsig.Read(before)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pdfsig.Read(replaced)
	if err != nil {
		t.Fatal(err)
	}
	if len(replaced) != len(file) || f.Digest(0) != old.Digest(0) || !bytes.Equal(f.Signatures[0].Contents, longer) {
		t.Error("the replaced file has another length, digest or signature than it should")
	}
	if !bytes.Equal(file, before) {
		t.Error("ReplaceContents wrote to the file it was given")
	}
	back, err := pdfsig.ReplaceContents(replaced, sampleDER)
	if err != nil || !bytes.Equal(back, before) {
		t.Errorf("there and back is another file (%v)", err)
	}
	if out, err := pdfsig.ReplaceContents(file[:len(file)-1], sampleDER); err == nil || out != nil {
		t.Error("a cut file was accepted")
	}
	if out, err := pdfsig.ReplaceContents(file, make([]byte, 9)); err == nil || out != nil {
		t.Error("a signature that is no DER was accepted")
	}
}

func TestPrepareRefusesOptions(t *testing.T) {
	rendered := render(t)
	tests := map[string]func(*pdfsig.Options){
		"no field name":           func(o *pdfsig.Options) { o.FieldName = "" },
		"full stop in field name": func(o *pdfsig.Options) { o.FieldName = "a.b" },
		"long field name":         func(o *pdfsig.Options) { o.FieldName = strings.Repeat("章", 257) },
		"signer name not UTF-8":   func(o *pdfsig.Options) { o.SignerName = "\xff" },
		"control in the reason":   func(o *pdfsig.Options) { o.Reason = "a\nb" },
		"byte order mark":         func(o *pdfsig.Options) { o.Reason = "\ufeff" },
		"range in the reason":     func(o *pdfsig.Options) { o.Reason = "/ByteRange [0 1 2 3]" },
		"page 0":                  func(o *pdfsig.Options) { o.Page = 0 },
		"page 3":                  func(o *pdfsig.Options) { o.Page = 3 },
		"left of the page":        func(o *pdfsig.Options) { o.X = -0.001 },
		"above the page":          func(o *pdfsig.Options) { o.Y = 800 },
		"not a number":            func(o *pdfsig.Options) { o.X = math.NaN() },
		"infinite":                func(o *pdfsig.Options) { o.Y = math.Inf(1) },
		"no width":                func(o *pdfsig.Options) { o.Appearance.Width = 0 },
		"negative height":         func(o *pdfsig.Options) { o.Appearance.Height = -5 },
		"no room":                 func(o *pdfsig.Options) { o.Reserve = 0 },
		"too much room":           func(o *pdfsig.Options) { o.Reserve = pdfsig.MaxContents + 1 },
		"year 10000":              func(o *pdfsig.Options) { o.ClaimedTime = sampleTime.AddDate(8000, 0, 0) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			o := sampleOptions()
			change(&o)
			if p, err := pdfsig.Prepare(rendered, o); err == nil || p != nil {
				t.Errorf("Prepare returned %v, %v", p, err)
			}
		})
	}
}

// judge runs a tool that knows PDF and nothing of us.
func judge(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: install qpdf, poppler-utils and mupdf-tools", err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestOutsideJudges(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "signed.pdf")
	signed := sign(t)
	if err := os.WriteFile(file, signed, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := judge(t, "qpdf", "--check", file); strings.Contains(out, "WARNING") || !strings.Contains(out, "PDF Version: 1.7") {
		t.Errorf("qpdf: %s", out)
	}
	out := judge(t, "pdfsig", file)
	for _, want := range []string{"Total document signed", "Signature Field Name: Seal1", "Signing Time: Jan 31 2026"} {
		if !strings.Contains(out, want) {
			t.Errorf("pdfsig does not say %q:\n%s", want, out)
		}
	}
	form := judge(t, "mutool", "show", file, "trailer/Root/AcroForm/Fields/1/V/Reference")
	if !strings.Contains(form, "DocMDP") {
		t.Errorf("mutool does not find the certification: %s", form)
	}
	if list := judge(t, "pdfdetach", "-list", file); !strings.Contains(list, "licence.json") || !strings.Contains(list, "qr-signer.cer") {
		t.Errorf("pdfdetach: %s", list)
	}
	for _, tool := range []struct{ name, arguments string }{
		{"pdftoppm", "-r 72 -f 1 -singlefile " + file + " " + filepath.Join(dir, "poppler")},
		{"mutool", "draw -r 72 -o " + filepath.Join(dir, "mupdf.ppm") + " " + file + " 1"},
	} {
		judge(t, tool.name, strings.Fields(tool.arguments)...)
	}
	checkSealDrawn(t, filepath.Join(dir, "poppler.ppm"))
	checkSealDrawn(t, filepath.Join(dir, "mupdf.ppm"))
}

// checkSealDrawn looks for the red frame of the sample seal, at 72 dots to the
// inch, where the options put it and at the size they gave it.
func checkSealDrawn(t *testing.T, picture string) {
	t.Helper()
	data, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	var width, height, depth int
	if _, err := fmt.Sscanf(string(data), "P6\n%d %d\n%d", &width, &height, &depth); err != nil {
		t.Fatal(err)
	}
	pixels := data[len(data)-3*width*height:]
	left, top, right, bottom := width, height, 0, 0
	for i := 0; i < len(pixels); i += 3 {
		if pixels[i] > 200 && pixels[i+1] < 100 && pixels[i+2] < 100 {
			x, y := i/3%width, i/3/width
			left, top, right, bottom = min(left, x), min(top, y), max(right, x), max(bottom, y)
		}
	}
	// The frame is 109 points wide, 5 inside the appearance, with a line of 3.
	got := [4]int{left, height - bottom, right, height - top}
	want := [4]int{344, 124, 456, 236}
	for i := range got {
		if got[i] < want[i]-2 || got[i] > want[i]+2 {
			t.Errorf("%s: seal drawn at %v, want about %v", filepath.Base(picture), got, want)
			break
		}
	}
}

// benchmarkFile is about as large as a licence with a subset of a Chinese font
// and room for a timestamp token.
func benchmarkFile(b *testing.B) []byte {
	b.Helper()
	o := sampleOptions()
	o.Reserve = 12_000
	rendered := render(b, func(d *pdf.Document) { d.Metadata = bytes.Repeat([]byte("<x/>"), 15_000) })
	file, err := prepare(b, rendered, o).Finish(sampleDER)
	if err != nil {
		b.Fatal(err)
	}
	return file
}

func BenchmarkRead(b *testing.B) {
	file := benchmarkFile(b)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pdfsig.Read(file); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDigest is the yardstick for BenchmarkRead.
func BenchmarkDigest(b *testing.B) {
	file := benchmarkFile(b)
	f, err := pdfsig.Read(file)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		f.Digest(0)
	}
}
