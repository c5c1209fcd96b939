package portrait_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"elicence/licence"
	"elicence/licence/render/portrait"
)

// quarters is an upright picture whose quarters have four colours.
func quarters(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i, c := range []color.RGBA{{220, 40, 40, 255}, {40, 200, 60, 255}, {40, 60, 220, 255}, {230, 220, 60, 255}} {
		x, y := i%2*w/2, i/2*h/2
		draw.Draw(m, image.Rect(x, y, x+w/2, y+h/2), image.NewUniform(c), image.Point{}, draw.Src)
	}
	return m
}

// stored is a picture as a camera of that orientation stores it: what source says, read
// the other way round.
func stored(m *image.RGBA, orientation int) *image.RGBA {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	size := image.Pt(w, h)
	if orientation >= 5 {
		size = image.Pt(h, w)
	}
	out := image.NewRGBA(image.Rectangle{Max: size})
	for y := range h {
		for x := range w {
			var sx, sy int
			switch orientation { // Exif 2.3, table of 4.6.4: where row 0 and column 0 are
			case 1:
				sx, sy = x, y
			case 2:
				sx, sy = w-1-x, y
			case 3:
				sx, sy = w-1-x, h-1-y
			case 4:
				sx, sy = x, h-1-y
			case 5:
				sx, sy = y, x
			case 6: // row 0 is the right side: the stored picture is turned clockwise to be upright
				sx, sy = y, w-1-x
			case 7:
				sx, sy = h-1-y, w-1-x
			case 8:
				sx, sy = h-1-y, x
			}
			out.SetRGBA(sx, sy, m.RGBAAt(x, y))
		}
	}
	return out
}

func encoded(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// exif is a JPEG with an Exif segment that says the orientation, and where the photograph
// was taken.
func exif(file []byte, order binary.AppendByteOrder, orientation int) []byte {
	tiff := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		tiff = []byte("MM\x00*")
	}
	tiff = order.AppendUint32(tiff, 8)
	tiff = order.AppendUint16(tiff, 2)
	tiff = order.AppendUint16(order.AppendUint16(tiff, 0x0112), 3)
	tiff = order.AppendUint32(tiff, 1)
	tiff = order.AppendUint16(order.AppendUint16(tiff, uint16(orientation)), 0)
	tiff = order.AppendUint16(order.AppendUint16(tiff, 0x8825), 4) // GPS
	tiff = order.AppendUint32(order.AppendUint32(tiff, 1), 38)
	tiff = append(order.AppendUint32(tiff, 0), "N30.2741E120.1551"...)
	segment := append([]byte("Exif\x00\x00"), tiff...)
	out := append([]byte("\xff\xd8\xff\xe1"), byte((len(segment)+2)>>8), byte(len(segment)+2))
	return append(append(out, segment...), file[2:]...)
}

func prepared(t testing.TB, photo []byte) []byte {
	t.Helper()
	out, err := portrait.Prepare("fields.photo", photo)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestOrientation: whatever way a camera stores a photograph, the portrait is upright, of
// its one size, and says nothing of where it was taken.
func TestOrientation(t *testing.T) {
	for _, shape := range []image.Point{{420, 518}, {500, 520}, {400, 600}} {
		upright := quarters(shape.X, shape.Y)
		for orientation := 1; orientation <= 8; orientation++ {
			for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
				out := prepared(t, exif(encoded(t, stored(upright, orientation)), order, orientation))
				if bytes.Contains(out, []byte("Exif")) || bytes.Contains(out, []byte("N30.2741")) {
					t.Errorf("orientation %d: metadata of the photograph is in the portrait", orientation)
				}
				m, err := jpeg.Decode(bytes.NewReader(out))
				if err != nil || m.Bounds() != image.Rect(0, 0, portrait.Width, portrait.Height) {
					t.Fatalf("orientation %d: %v, %v", orientation, m.Bounds(), err)
				}
				cut := max(0, float64(shape.Y)-float64(shape.X)*portrait.Height/portrait.Width) // below
				middle := float64(shape.Y) / 2 / (float64(shape.Y) - cut) * portrait.Height
				for i, want := range []color.RGBA{{220, 40, 40, 255}, {40, 200, 60, 255}, {40, 60, 220, 255}, {230, 220, 60, 255}} {
					x, y := portrait.Width/4+i%2*portrait.Width/2, int(middle/2)
					if i >= 2 {
						y = int(middle + (portrait.Height-middle)/2)
					}
					if got := m.At(x, y); distance(got, want) > 12 {
						t.Errorf("%v, orientation %d: quarter %d is %v, not %v", shape, orientation, i, got, want)
					}
				}
			}
		}
	}
}

func distance(a, b color.Color) float64 {
	r1, g1, b1, _ := a.RGBA()
	r2, g2, b2, _ := b.RGBA()
	d := func(x, y uint32) float64 { return math.Abs(float64(x)-float64(y)) / 257 }
	return max(d(r1, r2), d(g1, g2), d(b1, b2))
}

// TestKinds: PNGs of all kinds, transparent ones on white, and the same bytes every time.
func TestKinds(t *testing.T) {
	upright := quarters(400, 500)
	grey := image.NewGray(upright.Rect)
	draw.Draw(grey, grey.Rect, upright, image.Point{}, draw.Src)
	clear := image.NewNRGBA(upright.Rect)
	palette := image.NewPaletted(upright.Rect, color.Palette{color.White, color.Black})
	for name, m := range map[string]image.Image{"colour": upright, "grey": grey, "transparent": clear, "palette": palette} {
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		out := prepared(t, b.Bytes())
		if !bytes.Equal(out, prepared(t, b.Bytes())) {
			t.Errorf("%s: other bytes the second time", name)
		}
		got, err := jpeg.Decode(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		if name == "transparent" && distance(got.At(100, 100), color.White) > 3 {
			t.Errorf("transparent: on %v", got.At(100, 100))
		}
		if _, colour := got.(*image.YCbCr); !colour {
			t.Errorf("%s: %T, not in colour", name, got)
		}
	}
	if out := prepared(t, sample(t)); len(out) > 60_000 {
		t.Errorf("a portrait of %d bytes", len(out))
	}
}

// sample is the photograph of a sample request.
func sample(t testing.TB) []byte {
	t.Helper()
	body, err := os.ReadFile("../../../testdata/requests/types/special-operation.json")
	if err != nil {
		t.Fatal(err)
	}
	var q struct{ Fields struct{ Photo string } }
	if err := json.Unmarshal(body, &q); err != nil {
		t.Fatal(err)
	}
	photo, err := base64.StdEncoding.DecodeString(q.Fields.Photo)
	if err != nil {
		t.Fatal(err)
	}
	return photo
}

// pngOf is a PNG of a size and colour type with nothing behind its header.
func pngOf(w, h uint32, depth, kind byte) []byte {
	chunk := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)...)
	chunk = append(chunk, depth, kind, 0, 0, 0)
	out := binary.BigEndian.AppendUint32([]byte("\x89PNG\r\n\x1a\n"), 13)
	return binary.BigEndian.AppendUint32(append(out, chunk...), crc32.ChecksumIEEE(chunk))
}

// resized is a JPEG whose header says another size.
func resized(file []byte, w, h uint16) []byte {
	out := bytes.Clone(file)
	at := bytes.Index(out, []byte("\xff\xc0"))
	binary.BigEndian.PutUint16(out[at+5:], h)
	binary.BigEndian.PutUint16(out[at+7:], w)
	return out
}

// scans is a JPEG with so many scans more than it has: each is of no bytes.
func scans(file []byte, n int) []byte {
	at := bytes.Index(file, []byte("\xff\xda"))
	return slices.Concat(file[:at], bytes.Repeat([]byte("\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00"), n), file[at:])
}

// TestRefused is a table of photographs that will not do, and of what is said about them.
func TestRefused(t *testing.T) {
	good := encoded(t, quarters(400, 500))
	grey := image.NewGray16(image.Rect(0, 0, 400, 500))
	var deep bytes.Buffer
	if err := png.Encode(&deep, grey); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		photo      []byte
		code, says string
	}{
		{"nothing", nil, portrait.CodeFormat, "neither"},
		{"a PDF", []byte("%PDF-1.7\n"), portrait.CodeFormat, "neither"},
		{"a GIF", []byte("GIF89a\x90\x01\xf4\x01"), portrait.CodeFormat, "neither"},
		{"a script", []byte("<svg onload=x>"), portrait.CodeFormat, "neither"},
		{"a JPEG's first bytes", []byte("\xff\xd8\xff"), portrait.CodeDamaged, "header"},
		{"a JPEG cut off", good[:len(good)/2], portrait.CodeDamaged, "decoded"},
		{"a JPEG without end of header", good[:40], portrait.CodeDamaged, "header"},
		{"100 megapixels", resized(good, 10_000, 10_000), portrait.CodePixels, "10000 by 10000"},
		{"a pixel too many", resized(good, 5_000, 5_001), portrait.CodePixels, "25 million"},
		{"the largest JPEG", resized(good, 65_535, 65_535), portrait.CodePixels, "65535"},
		{"a PNG bomb", pngOf(100_000, 100_000, 8, 2), portrait.CodePixels, "100000"},
		{"a PNG of more pixels than there are numbers", pngOf(1<<31-1, 1<<31-1, 8, 6), portrait.CodeDamaged, "header"},
		{"a larger size than its data", resized(good, 800, 1_000), portrait.CodeDamaged, "decoded"},
		{"16 bits", deep.Bytes(), portrait.CodeFormat, "8 bits"},
		{"a JPEG of many scans", scans(good, portrait.MaxScans), portrait.CodeFormat, "scans"},
		{"a PNG without data", pngOf(400, 500, 8, 2), portrait.CodeDamaged, "decoded"},
		{"too small", encoded(t, quarters(240, 300)), portrait.CodeSmall, "240 pixels"},
		{"too small when upright", exif(encoded(t, quarters(300, 240)), binary.LittleEndian, 6), portrait.CodeSmall, "240 pixels"},
		{"landscape", encoded(t, quarters(600, 500)), portrait.CodeShape, "600 by 500"},
		{"a strip", encoded(t, quarters(300, 600)), portrait.CodeShape, "300 by 600"},
		{"landscape by its orientation", exif(good, binary.BigEndian, 8), portrait.CodeShape, "500 by 400"},
	} {
		out, err := portrait.Prepare("fields.photo", c.photo)
		var refused *licence.RequestError
		if !errors.As(err, &refused) || out != nil {
			t.Errorf("%s: %d bytes, %v", c.name, len(out), err)
			continue
		}
		if f := refused.Fields[0]; f.Field != "fields.photo" || f.Code != c.code || !strings.Contains(f.Detail, c.says) {
			t.Errorf("%s: %+v, want %s saying %q", c.name, f, c.code, c.says)
		}
	}
}

// TestOddMetadata: damaged metadata is no orientation, and no reason to refuse.
func TestOddMetadata(t *testing.T) {
	good := encoded(t, quarters(400, 500))
	want := prepared(t, good)
	whole := exif(good, binary.LittleEndian, 1)
	segments := map[string][]byte{
		"orientation 0":      exif(good, binary.LittleEndian, 0),
		"orientation 9":      exif(good, binary.BigEndian, 9),
		"no TIFF":            bytes.Replace(whole, []byte("II*\x00"), []byte("XX*\x00"), 1),
		"directory far away": bytes.Replace(whole, []byte("II*\x00\x08\x00\x00\x00"), []byte("II*\x00\xff\xff\xff\xff"), 1),
		"directory at end":   bytes.Replace(whole, []byte("II*\x00\x08\x00\x00\x00"), []byte("II*\x00\x30\x00\x00\x00"), 1),
		"many entries":       bytes.Replace(whole, []byte("\x08\x00\x00\x00\x02\x00\x12\x01"), []byte("\x08\x00\x00\x00\xff\xff\x13\x01"), 1),
	}
	for name, photo := range segments {
		if !bytes.Equal(prepared(t, photo), want) {
			t.Errorf("%s: another portrait", name)
		}
	}
}

// TestTogether prepares large photographs at once: all come out, the same.
func TestTogether(t *testing.T) {
	large := encoded(t, quarters(1700, 2100))
	want := prepared(t, large)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if got, err := portrait.Prepare("fields.photo", large); err != nil || !bytes.Equal(got, want) {
				t.Errorf("another portrait, or %v", err)
			}
		})
	}
	wg.Wait()
}

// FuzzPrepare reads anything: a portrait of its one size, or a fault of the field.
func FuzzPrepare(f *testing.F) {
	small := encoded(f, quarters(260, 320))
	f.Add(small)
	f.Add(exif(small, binary.BigEndian, 6))
	f.Add(pngOf(400, 500, 8, 2))
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x08Exif\x00\x00"))
	f.Fuzz(func(t *testing.T, photo []byte) {
		out, err := portrait.Prepare("fields.photo", photo)
		var refused *licence.RequestError
		switch {
		case err != nil && (!errors.As(err, &refused) || out != nil):
			t.Fatalf("%d bytes and %v", len(out), err)
		case err == nil:
			if c, err := jpeg.DecodeConfig(bytes.NewReader(out)); err != nil || c.Width != portrait.Width || c.Height != portrait.Height {
				t.Fatalf("%+v, %v", c, err)
			}
		}
	})
}

// BenchmarkPrepare makes the portrait of the sample request's photograph.
func BenchmarkPrepare(b *testing.B) {
	photo := sample(b)
	for b.Loop() {
		prepared(b, photo)
	}
}
