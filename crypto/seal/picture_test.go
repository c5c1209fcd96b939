package seal_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"

	"elicence/crypto/seal"

	"golang.org/x/image/bmp"
)

// bomb returns a PNG whose header claims 100,000 by 100,000 pixels.
func bomb(data []byte) []byte {
	out := bytes.Clone(data)
	binary.BigEndian.PutUint32(out[16:], 100_000)
	binary.BigEndian.PutUint32(out[20:], 100_000)
	return out
}

func drawn(t testing.TB, encode func(*bytes.Buffer, image.Image) error) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, encode(&b, image.NewPaletted(image.Rect(0, 0, 30, 20), color.Palette{color.White, color.Black})))
	return b.Bytes()
}

func TestPixels(t *testing.T) {
	pngData := drawn(t, func(b *bytes.Buffer, i image.Image) error { return png.Encode(b, i) })
	jpgData := drawn(t, func(b *bytes.Buffer, i image.Image) error { return jpeg.Encode(b, i, nil) })
	gifData := drawn(t, func(b *bytes.Buffer, i image.Image) error { return gif.Encode(b, i, nil) })
	bmpData := drawn(t, func(b *bytes.Buffer, i image.Image) error { return bmp.Encode(b, i) })
	with := func(data []byte, at int, with ...byte) []byte {
		out := bytes.Clone(data)
		copy(out[at:], with)
		return out
	}
	frame := bytes.Index(jpgData, []byte{0xff, 0xc0})
	oldBMP := append([]byte("BM"), make([]byte, 24)...)
	copy(oldBMP[14:], []byte{12, 0, 0, 0, 30, 0, 20, 0})
	for _, c := range []struct {
		name, format  string
		data          []byte
		width, height int
		bad           bool
	}{
		{"PNG", "png", pngData, 30, 20, false},
		{"JPEG", "jpg", jpgData, 30, 20, false},
		{"JPEG with bytes before a marker", "jpg", append(append(bytes.Clone(jpgData[:2]), 0xff, 0, 7, 0xff), jpgData[2:]...), 30, 20, false},
		{"GIF", "gif", gifData, 30, 20, false},
		{"BMP", "bmp", bmpData, 30, 20, false},
		{"BMP from the top", "bmp", with(bmpData, 22, 0xec, 0xff, 0xff, 0xff), 30, 20, false},
		{"BMP of old", "bmp", oldBMP, 30, 20, false},
		{"SVG", "", []byte("<svg/>"), 0, 0, false},
		{"nothing", "", nil, 0, 0, false},
		{"PNG of 16 million pixels", "png", with(pngData, 16, 0, 0, 0x10, 0, 0, 0, 0x10, 0), 4096, 4096, false},
		{"PNG of a row more", "png", with(pngData, 16, 0, 0, 0x10, 0, 0, 0, 0x10, 1), 0, 0, true},
		{"PNG bomb", "png", bomb(pngData), 0, 0, true},
		{"PNG of 2^32-1 columns", "png", with(pngData, 16, 0xff, 0xff, 0xff, 0xff), 0, 0, true},
		{"PNG without columns", "png", with(pngData, 16, 0, 0, 0, 0), 0, 0, true},
		{"PNG without IHDR", "png", with(pngData, 12, 'I', 'D', 'A', 'T'), 0, 0, true},
		{"PNG cut", "png", pngData[:23], 0, 0, true},
		{"JPEG bomb", "jpg", with(jpgData, frame+5, 0xff, 0xff, 0xff, 0xff), 0, 0, true},
		{"JPEG without a frame", "jpg", jpgData[:frame], 0, 0, true},
		{"GIF bomb", "gif", with(gifData, 6, 0xff, 0xff, 0xff, 0xff), 0, 0, true},
		{"GIF cut", "gif", gifData[:9], 0, 0, true},
		{"BMP bomb", "bmp", with(bmpData, 18, 0xff, 0xff, 0xff, 0x7f), 0, 0, true},
		{"BMP of -2^31 rows", "bmp", with(bmpData, 22, 0, 0, 0, 0x80), 0, 0, true},
		{"BMP cut", "bmp", bmpData[:25], 0, 0, true},
	} {
		p := seal.Picture{Data: c.data}
		width, height, err := p.Pixels()
		if p.Format() != c.format || (err != nil) != c.bad || !c.bad && (width != c.width || height != c.height) {
			t.Errorf("%s: %q, %d by %d, error %v", c.name, p.Format(), width, height, err)
		}
	}
}
