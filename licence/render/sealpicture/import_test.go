package sealpicture_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"elicence/licence"
	"elicence/licence/render/sealpicture"
	"elicence/testdata/hostile"
)

var red = color.NRGBA{R: 220, G: 20, B: 30, A: 255}

// scanned is a ring in some ink that reaches the edges of a picture.
func scanned(w, h int, ink, paper color.NRGBA) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			dx, dy := (2*float64(x)+1)/float64(w)-1, (2*float64(y)+1)/float64(h)-1
			if r := dx*dx + dy*dy; r <= 1 && r > 0.85 || r < 0.1 {
				img.SetNRGBA(x, y, ink)
			} else {
				img.SetNRGBA(x, y, paper)
			}
		}
	}
	return img
}

func encoded(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// chunk is one chunk of a PNG.
func chunk(kind string, data []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// bomb is a PNG that says it has w by h pixels and unpacks to much more.
func bomb(t testing.TB, w, h uint32) []byte {
	t.Helper()
	var z bytes.Buffer
	packer := zlib.NewWriter(&z)
	zeros := make([]byte, 1<<20)
	for range 16 {
		if _, err := packer.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	packer.Close()
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	file := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(header, 8, 6, 0, 0, 0))...)
	return append(append(file, chunk("IDAT", z.Bytes())...), chunk("IEND", nil)...)
}

// TestImport takes in drawn seals and a scan: page and PNG show the same.
func TestImport(t *testing.T) {
	company, err := sealpicture.Draw(fonts(t), gallery(t)["company"])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file          []byte
		width, height int
		warnings      string
	}{
		"pale":   {encoded(t, scanned(500, 500, color.NRGBA{R: 235, G: 90, B: 97, A: 201}, color.NRGBA{})), 42, 42, ""},
		"drawn":  {company.PNG, 42, 42, ""},
		"fine":   {encoded(t, scanned(992, 992, red, color.NRGBA{})), 42, 42, ""},
		"coarse": {encoded(t, scanned(335, 335, red, color.NRGBA{})), 42, 42, sealpicture.WarnCoarse},
		"oval":   {encoded(t, scanned(709, 473, red, color.NRGBA{})), 45, 30, ""},
		"blue":   {encoded(t, scanned(500, 500, color.NRGBA{B: 200, A: 255}, color.NRGBA{})), 42, 42, sealpicture.WarnNotRed},
	} {
		t.Run(name, func(t *testing.T) {
			p, warnings, err := sealpicture.Import(c.file, c.width, c.height)
			if err != nil || strings.Join(warnings, ";") != c.warnings {
				t.Fatalf("%v, %q", err, warnings)
			}
			page := printed(t, "import-"+name, p)
			if same := overlap(page, decoded(t, p.PNG)); same < 0.96 {
				t.Errorf("page and PNG share %.3f of their ink", same)
			}
			if p.WidthMM != c.width || p.HeightMM != c.height || bytes.ContainsAny(p.Content, "/[<(") {
				t.Errorf("%d by %d mm, or operators with operands other than numbers", p.WidthMM, p.HeightMM)
			}
			var packed bytes.Buffer
			z := zlib.NewWriter(&packed)
			z.Write(p.Content)
			z.Close()
			t.Logf("PNG %d bytes, operators %d, deflated %d", len(p.PNG), len(p.Content), packed.Len())
			again, _, err := sealpicture.Import(c.file, c.width, c.height)
			if err != nil || !bytes.Equal(again.PNG, p.PNG) || !bytes.Equal(again.Content, p.Content) {
				t.Error("two pictures of one file")
			}
			again, _, err = sealpicture.Import(p.PNG, c.width, c.height)
			if err != nil || !bytes.Equal(again.PNG, p.PNG) || !bytes.Equal(again.Content, p.Content) {
				t.Errorf("a kept picture does not come out as it was: %v", err)
			}
			kept, err := sealpicture.Trace(p.PNG, c.width, c.height)
			if err != nil || !reflect.DeepEqual(kept, again) {
				t.Errorf("a kept picture traced is another: %v", err)
			}
		})
	}
}

// TestImportKeepsNothingElse checks that only the shape of a file comes through.
func TestImportKeepsNothingElse(t *testing.T) {
	file := encoded(t, scanned(500, 500, red, color.NRGBA{}))
	plain, _, err := sealpicture.Import(file, 42, 42)
	if err != nil {
		t.Fatal(err)
	}
	end := len(file) - 12
	dressed := append(append(bytes.Clone(file[:end]), chunk("tEXt", []byte("Comment\x00secret"))...), file[end:]...)
	dressed = append(dressed, "<script>"...)
	got, _, err := sealpicture.Import(dressed, 42, 42)
	if err != nil || !bytes.Equal(got.PNG, plain.PNG) {
		t.Errorf("another picture, or %v", err)
	}
}

func TestImportRefused(t *testing.T) {
	clear := color.NRGBA{}
	good := encoded(t, scanned(500, 500, red, clear))
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, scanned(500, 500, red, color.NRGBA{255, 255, 255, 255}), nil); err != nil {
		t.Fatal(err)
	}
	margin := image.NewNRGBA(image.Rect(0, 0, 500, 500))
	draw.Draw(margin, image.Rect(50, 50, 450, 450), scanned(400, 400, red, clear), image.Point{}, draw.Src)
	noise := image.NewNRGBA(image.Rect(0, 0, 500, 500))
	for i := range 250_000 {
		if i*i%7 < 3 {
			noise.SetNRGBA(i%500, i/500, red)
		}
	}
	deep := image.NewNRGBA64(image.Rect(0, 0, 500, 500))
	for _, c := range []struct {
		name          string
		file          []byte
		width, height int
		field, code   string
	}{
		{"nothing", nil, 42, 42, "file", licence.CodeBadFormat},
		{"text", []byte("<svg/>"), 42, 42, "file", licence.CodeBadFormat},
		{"JPEG", photo.Bytes(), 42, 42, "file", licence.CodeBadFormat},
		{"GIF", []byte("GIF89a\x10\x00\x10\x00"), 42, 42, "file", licence.CodeBadFormat},
		{"cut short", good[:len(good)/2], 42, 42, "file", licence.CodeBadFormat},
		{"flipped bit", append(append(bytes.Clone(good[:90]), good[90]^1), good[91:]...), 42, 42, "file", licence.CodeBadFormat},
		{"opaque", encoded(t, scanned(500, 500, red, color.NRGBA{255, 255, 255, 255})), 42, 42, "file", licence.CodeBadFormat},
		{"empty", encoded(t, image.NewNRGBA(image.Rect(0, 0, 500, 500))), 42, 42, "file", licence.CodeBadFormat},
		{"white ink", encoded(t, scanned(500, 500, color.NRGBA{255, 255, 255, 255}, clear)), 42, 42, "file", licence.CodeBadFormat},
		{"16 bits", encoded(t, deep), 42, 42, "file", licence.CodeBadFormat},
		{"margin", encoded(t, margin), 42, 42, "file", licence.CodeOutOfRange},
		{"noise", encoded(t, noise), 42, 42, "file", licence.CodeTooLarge},
		{"too coarse", encoded(t, scanned(300, 300, red, clear)), 42, 42, "file", licence.CodeOutOfRange},
		{"too fine", encoded(t, scanned(1100, 1100, red, clear)), 42, 42, "file", licence.CodeOutOfRange},
		{"not as wide", encoded(t, scanned(450, 500, red, clear)), 42, 42, "file", licence.CodeOutOfRange},
		{"not as high", good, 42, 30, "file", licence.CodeOutOfRange},
		{"a file of 600 KiB", append(bytes.Clone(good), make([]byte, 600<<10)...), 42, 42, "file", licence.CodeTooLarge},
		{"no width", good, 0, 42, "width_mm", licence.CodeOutOfRange},
		{"no height", good, 42, 0, "height_mm", licence.CodeOutOfRange},
		{"poster", good, 420, 420, "width_mm", licence.CodeOutOfRange},
		{"bomb of pixels", bomb(t, 60_000, 60_000), 42, 42, "file", licence.CodeOutOfRange},
		{"bomb of data", bomb(t, 500, 500), 42, 42, "file", licence.CodeBadFormat},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _, err := sealpicture.Import(c.file, c.width, c.height)
			var refused *licence.RequestError
			if !errors.As(err, &refused) || refused.Fields[0].Field != c.field || refused.Fields[0].Code != c.code || p.PNG != nil {
				t.Errorf("got %v, want %s %s", err, c.field, c.code)
			}
			if p, again := sealpicture.Trace(c.file, c.width, c.height); again == nil || again.Error() != err.Error() || p.PNG != nil {
				t.Errorf("traced: %v, want %v", again, err)
			}
		})
	}
}

// TestImportMemory: a bomb costs no more memory than an honest picture could.
func TestImportMemory(t *testing.T) {
	for name, c := range map[string]struct {
		file []byte
		most uint64
	}{"pixels": {bomb(t, 60_000, 60_000), 64 << 10}, "data": {bomb(t, 500, 500), 4 << 20}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := sealpicture.Import(c.file, 42, 42)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; err == nil || used > c.most {
			t.Errorf("bomb of %s: %d bytes of memory, %v", name, used, err)
		}
	}
}

// TestEmblem: an emblem imported as a picture is drawn like its vectors.
func TestEmblem(t *testing.T) {
	e, err := sealpicture.ImportEmblem(encoded(t, scanned(400, 400, red, color.NRGBA{})), 20, 20)
	if err != nil {
		t.Fatal(err)
	}
	p, err := sealpicture.Draw(fonts(t), sealpicture.Design{Name: "杭州市人民政府", DiameterMM: 45, Emblem: e})
	if err != nil {
		t.Fatal(err)
	}
	if same := overlap(printed(t, "emblem", p), decoded(t, p.PNG)); same < 0.97 {
		t.Errorf("page and PNG share %.3f of their ink", same)
	}
	if img := decoded(t, p.PNG); !inked(img, 265, 265) || inked(img, 265, 265-50) || !inked(img, 265, 265-94) {
		t.Error("the emblem is not in the middle, or not 16.6 mm wide")
	}
	if _, err := sealpicture.ImportEmblem([]byte("\xff\xd8\xff"), 20, 20); err == nil {
		t.Error("a JPEG was accepted")
	}
}

func TestParseEmblemRefused(t *testing.T) {
	for name, file := range map[string]string{
		"empty":             "",
		"size alone":        "10 10",
		"no size":           "m 1 1 l h f",
		"zero size":         "0 10 1 1 m 2 2 l h f",
		"negative":          "10 10 -1 1 m 2 2 l h f",
		"outside":           "10 10 11 1 m 2 2 l h f",
		"not a number":      "10 10 NaN 1 m 2 2 l h f",
		"infinite":          "10 10 1 1e999 m 2 2 l h f",
		"hexadecimal":       "10 10 0x1p-2 1 m 2 2 l h f",
		"line first":        "10 10 1 1 l 2 2 l h f",
		"two beginnings":    "10 10 1 1 m 2 2 m h f",
		"open":              "10 10 1 1 m 2 2 l f",
		"closed twice":      "10 10 1 1 m 2 2 l h h f",
		"filled twice":      "10 10 1 1 m 2 2 l h f f",
		"not filled":        "10 10 1 1 m 2 2 l h",
		"number at the end": "10 10 1 1 m 2 2 l h f 3",
		"too few operands":  "10 10 1 m 2 2 l h f",
		"too many operands": "10 10 1 1 1 m 2 2 l h f",
		"seven operands":    "10 10 1 1 m 1 2 3 4 5 6 7 c h f",
		"rectangle outside": "10 10 5 5 6 1 re f",
		"rectangle in path": "10 10 1 1 m 1 1 2 2 re h f",
		"after a rectangle": "10 10 1 1 2 2 re 3 3 l h f",
		"rectangle closed":  "10 10 1 1 2 2 re h f",
		"clip":              "10 10 1 1 m 2 2 l h W n",
		"colour":            "10 10 1 0 0 rg 1 1 m 2 2 l h f",
		"image":             "10 10 /I1 Do",
		"large":             "10 10 " + strings.Repeat(" ", 300<<10),
		"many fills":        "10 10 " + strings.Repeat("1 1 m 2 2 l h f ", 201),
		"many":              "10 10 1 1 m " + strings.Repeat("2 2 l ", 20_001) + "h f",
	} {
		if e, err := sealpicture.ParseEmblem([]byte(file)); err == nil || e != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzImport takes any file: a picture within bounds, or a refusal.
func FuzzImport(f *testing.F) {
	good := encoded(f, scanned(335, 335, red, color.NRGBA{}))
	f.Add(good, 42, 42)
	f.Add(good[:200], 42, 42)
	f.Add(bomb(f, 400, 400), 42, 42)
	f.Fuzz(func(t *testing.T, file []byte, width, height int) {
		var p sealpicture.Picture
		var err error
		hostile.Within(t, func() { p, _, err = sealpicture.Import(file, width, height) })
		var refused *licence.RequestError
		if err != nil && (p.Content != nil || p.WidthMM != 0) {
			t.Fatal("a picture with an error")
		}
		if err != nil && !errors.As(err, &refused) || err == nil && (p.WidthMM > 60 || len(p.Content) > 512<<10) {
			t.Fatal(len(p.Content), err)
		}
	})
}

// FuzzParseEmblem reads any file: an emblem that can be drawn, or a refusal.
func FuzzParseEmblem(f *testing.F) {
	f.Add([]byte("10 10 1 1 m 2 2 l 3 3 4 4 5 5 c h f"))
	f.Add([]byte("10 .5 1 0 2 .25 re f"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var e *sealpicture.Emblem
		var err error
		hostile.Within(t, func() { e, err = sealpicture.ParseEmblem(file) })
		if err != nil {
			if e != nil {
				t.Fatal("an emblem with an error")
			}
			return
		}
		if _, err := sealpicture.Draw(fonts(t), sealpicture.Design{Name: "杭州海关", DiameterMM: 42, Emblem: e}); err != nil {
			t.Fatal(err)
		}
		text, err := e.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := sealpicture.ParseEmblem(text); len(text) <= 256<<10 && (err != nil || !reflect.DeepEqual(again, e)) {
			t.Fatalf("%q is another emblem: %v", text, err)
		}
	})
}
