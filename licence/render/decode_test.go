package render_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"image/png"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	zxing "github.com/makiuchi-d/gozxing/qrcode"

	"elicence/licence/render"
	"elicence/licence/render/qr"
	"elicence/testdata/hostile"
)

// content is the inflated content stream of the page with the symbol: the only
// stream of a file that ends with one.
func content(t testing.TB, pdf []byte) []byte {
	t.Helper()
	for rest := pdf; ; {
		i := bytes.Index(rest, []byte("stream\n"))
		if i < 0 {
			t.Fatal("no page content found")
		}
		rest = rest[i+len("stream\n"):]
		if r, err := zlib.NewReader(bytes.NewReader(rest)); err == nil {
			if data, _ := io.ReadAll(r); bytes.Contains(data, []byte("BT\n")) && bytes.HasSuffix(bytes.TrimSpace(data), []byte("f Q")) {
				return data
			}
		}
	}
}

func TestDecodeQR(t *testing.T) {
	out := mustRender(t, "birth", sample(t, "birth"))
	page := content(t, out.PDF)
	got, err := render.DecodeQR(page, out.QR)
	if err != nil || got != qrText().String() {
		t.Fatalf("got %q, %v", got, err)
	}
	b := out.QR
	at := func(format string, dx, dy float64) string {
		return string(page) + fmt.Sprintf("\n"+format, b.X+dx*b.Size, b.Y+dy*b.Size)
	}
	third := b.Size / float64(b.Modules) / 3
	stain := func(fill, column, row int) string { // a ninth of a module
		return string(page) + fmt.Sprintf("\nq %d g %.3f %.3f %.3f %.3f re f Q", fill,
			b.X+3*third*float64(column), b.Y+b.Size-3*third*float64(row+1), third, third)
	}
	for name, spoiled := range map[string]string{
		"nothing":            "",
		"dark stain":         stain(0, 1, 1),
		"light stain":        stain(1, 0, 0),
		"stain beside it":    stain(0, -2, 5),
		"stain below it":     stain(0, 5, b.Modules+3),
		"light line through": string(page) + fmt.Sprintf("\nq 1 g %.3f %.3f %.3f 900 re f Q", b.X+b.Size/2, b.Y-9, third),
		"no symbol":          string(page[:bytes.Index(page, []byte(" 1 g"))]),
		"line across":        at("%.2f %.2f m 0 0 l S", 0.5, 0.5),
		"curve filled":       at("%.2f %.2f m 0 0 9 9 900 900 c f", 0.5, 0.5),
		"text over it":       at("BT /F1 20 Tf %.2f %.2f Td (\x4e\x00\x4e\x01) Tj ET", 0.2, 0.5),
		"in the quiet zone":  at("BT /F1 9 Tf %.2f %.2f Td (\x4e\x00\x4e\x01) Tj ET", 0.2, -0.03),
		"half covered":       at("q 1 g %.2f %.2f 60 90 re f Q", 0, 0),
		"blacked out":        at("q 0 g %.2f %.2f 60 90 re f Q", 0, 0),
		"all white":          at("q 1 g %.2f %.2f 900 900 re f Q", -1, -1),
		"tilted rectangle":   at("q 0.9 0.1 -0.1 0.9 %.2f %.2f cm 0 0 50 50 re f Q", 0.2, 0.2),
		"form XObject":       string(page) + " /X1 Do",
		"shading":            string(page) + " /S1 sh",
		"clip":               string(page) + " W n",
		"inline image":       string(page) + " BI ID EI",
		"Q without q":        "Q",
		"string without end": string(page) + " (abc",
		"no operands":        "re f",
		"deep":               strings.Repeat("q ", 100),
		"operands":           strings.Repeat("1 ", 1000) + "re",
		"infinite":           "1e999 0 0 0 re f",
		"huge":               strings.Repeat(" ", 5<<20),
	} {
		if got, err := render.DecodeQR([]byte(spoiled), b); err == nil {
			t.Errorf("%s: decoded %.20q", name, got)
		}
	}
	for name, box := range map[string]render.QRBox{
		"zero": {}, "beside": {Page: 1, X: b.X + 200, Y: b.Y, Size: b.Size, Modules: b.Modules},
		"other modules":  {Page: 1, X: b.X, Y: b.Y, Size: b.Size, Modules: b.Modules - 4},
		"one module off": {Page: 1, X: b.X, Y: b.Y, Size: b.Size, Modules: 1 << 30},
	} {
		if got, err := render.DecodeQR(page, box); err == nil && name != "other modules" {
			t.Errorf("box %s: decoded %.20q", name, got)
		}
	}
}

// TestDecodeQRClip: clips off the symbol change nothing; no other clip can hide the
// symbol, or show one that the decoder does not read.
func TestDecodeQRClip(t *testing.T) {
	out := mustRender(t, "birth", sample(t, "birth"))
	b, page := out.QR, string(content(t, out.PDF))
	quiet := 4 * b.Size / float64(b.Modules)
	off := fmt.Sprintf("%.3f %.3f 50 50 re", b.X+b.Size+quiet+0.01, b.Y)
	near := fmt.Sprintf("%.3f %.3f 50 50 re", b.X+b.Size+quiet-0.5, b.Y)
	on := fmt.Sprintf("%.3f %.3f %.3f %.3f re", b.X-quiet, b.Y-quiet, b.Size+2*quiet, b.Size+2*quiet)
	cover := "1 g " + on + " f"
	line := fmt.Sprintf("%.3f %.3f m 900 900 l S", b.X, b.Y)
	at := strings.LastIndex(page[:strings.LastIndex(page, "1 g")], "q ")
	before, symbol := page[:at], page[at:]
	for name, c := range map[string]struct {
		page string
		read bool
	}{
		"symbol as it was drawn":     {before + " " + symbol, true},
		"white under a clip off it":  {page + " q " + off + " W n " + cover + " Q", true},
		"black under a clip off it":  {page + " q " + off + " W n 0 g " + on + " f Q", true},
		"curve under a clip off it":  {page + " q " + off + " W n " + fmt.Sprintf("%.3f %.3f m 0 0 9 9 900 900 c f Q", b.X, b.Y), true},
		"text under a clip off it":   {page + " q " + off + " W n BT /F1 20 Tf " + fmt.Sprintf("%.3f %.3f", b.X, b.Y) + " Td (abcd) Tj ET Q", true},
		"clip in a clip":             {page + " q " + off + " W n q " + off + " W n " + cover + " Q Q", true},
		"clip without end":           {page + " " + off + " W n " + cover, true},
		"path dropped":               {page + " " + on + " n", true},
		"clip ended, then white":     {page + " q " + off + " W n Q " + cover, false},
		"clip ended, then a line":    {page + " q " + off + " W n Q " + line, false},
		"symbol under a clip off it": {before + " q " + off + " W n " + symbol + " Q", false},
		"symbol under a clip on it":  {before + " q " + on + " W n " + symbol + " Q", false},
		"clip on half of it":         {before + fmt.Sprintf(" q %.3f %.3f %.3f 900 re W n ", b.X-quiet, b.Y-quiet, b.Size/2) + symbol + " Q", false},
		"clip near it":               {page + " q " + near + " W n " + cover + " Q", false},
		"clip of everything":         {"0 0 9999 9999 re W n " + page, false},
		"clip of nothing":            {"W n " + page, false},
		"clip of a point on it":      {page + fmt.Sprintf(" q %.3f %.3f 0 0 re W n Q", b.X+5, b.Y+5), false},
		"clip of a line":             {page + " q 0 0 m 9 9 l W n Q", false},
		"clip of a curve":            {page + " q 0 0 m 1 1 2 2 3 3 c W n Q", false},
		"clip of two rectangles":     {page + " q " + off + " " + off + " W n Q", false},
		"clip of off and on":         {page + " q " + off + " " + on + " W n Q", false},
		"tilted clip":                {page + " q 0.9 0.1 -0.1 0.9 0 0 cm 9000 9000 1 1 re W n Q", false},
		"clip by even and odd":       {page + " q " + off + " W* n Q", false},
		"clip that is painted":       {page + " q " + off + " W f Q", false},
		"clip that is stroked":       {page + " q " + off + " W S Q", false},
		"clip, then another path":    {page + " q " + off + " W " + on + " n Q", false},
		"clip never ended":           {page + " q " + off + " W Q", false},
		"clip far away":              {page + " q 1e30 0 1 1 re W n " + cover + " Q", false},
		"clip that is no number":     {page + " q 1e300 0 0 1e300 0 0 cm 1e300 1e300 -1e300 1 re W n " + cover + " Q", false},
		"state changed in a path":    {page + " q " + off + " W n " + on + " Q f", false},
		"state saved in a path":      {page + " " + on + " q f Q", false},
		"colour changed in a path":   {page + " " + on + " 1 g n", false},
	} {
		got, err := render.DecodeQR([]byte(c.page), b)
		if read := err == nil && got == qrText().String(); read != c.read || err == nil && !read {
			t.Errorf("%s: %.20q, %v", name, got, err)
		}
	}
}

// TestDecodeQRFollowsThePage swaps one symbol for another: what is drawn counts.
func TestDecodeQRFollowsThePage(t *testing.T) {
	in := input(sample(t, "birth"))
	in.QR.Digits = "1" + in.QR.Digits[1:]
	out, err := layouts(t)["birth"].Render(fonts(t), in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := render.DecodeQR(content(t, out.PDF), out.QR)
	if err != nil || got != in.QR.String() || got == qrText().String() {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestSecondDecoder reads the printed symbol with an independent decoder.
func TestSecondDecoder(t *testing.T) {
	out := mustRender(t, "food-business", sample(t, "food-business"))
	path := saved(t, "second.pdf", out.PDF)
	b := out.QR
	const dpi = 200.0
	cut := func(v float64) string { return fmt.Sprint(int(v / 72 * dpi)) }
	quiet := 4 * b.Size / float64(b.Modules)
	height := 210 / 25.4 * 72
	tool(t, "poppler-utils", "pdftoppm", "-r", fmt.Sprint(dpi), "-gray", "-png", "-singlefile", "-x", cut(b.X-quiet),
		"-y", cut(height-b.Y-b.Size-quiet), "-W", cut(b.Size+2*quiet), "-H", cut(b.Size+2*quiet), path, path)
	file, err := os.Open(path + ".png")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	got, err := zxing.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil || got.GetText() != qrText().String() {
		t.Errorf("got %v, %v", got, err)
	}
}

// FuzzDecodeQR reads any content: never more than a text or an error.
func FuzzDecodeQR(f *testing.F) {
	out := mustRender(f, "work-safety", sample(f, "work-safety"))
	page := content(f, out.PDF)
	f.Add(page[len(page)-2000:])
	f.Add([]byte("q 1 0 0 1 0 0 cm 1 g 0 0 900 900 re f 0 g 10 10 5 5 re f Q"))
	f.Add([]byte("BT /F1 9 Tf 1 2 Td (a\\)b) Tj ET <AB> [ ( ] "))
	f.Fuzz(func(t *testing.T, data []byte) {
		hostile.Within(t, func() {
			if text, err := render.DecodeQR(data, out.QR); err != nil && text != "" {
				t.Fatalf("%q with %v", text, err)
			}
		})
	})
}

// TestCheckBackdrop: only what leaves no trace may be left out of the decoding.
func TestCheckBackdrop(t *testing.T) {
	for content, good := range map[string]bool{
		"": true, "q 2 0 0 2 0 0 cm 0 0 9 9 re f Q\n": true, "q 1 w 0 0 m 9 9 l S Q": true,
		"2 0 0 2 0 0 cm": false, "q 1 g": false, "0.5 g": false, "0 0 9 9 re": false, "0 0 m 9 9 l": false, "Q": false, "1 2 3": false, "/X Do": false, "[": false, "<</a 1": false, "/x": false, "2 w": false, "2 Tc": false,
	} {
		if err := qr.CheckBackdrop([]byte(content)); (err == nil) != good {
			t.Errorf("%q: %v", content, err)
		}
	}
}
