// Package portrait makes the portrait of a licence from the photograph that came with a
// request: one size, one encoding, and nothing of the original but what is seen.
//
// Invariants:
//   - no pixel is decoded before the header has said that there are few enough;
//   - of the metadata (EXIF, XMP, comments) only the orientation is looked at, and it is
//     applied; none is copied, the place where the photograph was taken least of all;
//   - the same photograph gives the same bytes on the same machine.
//
// It judges neither whether a face is seen nor whose: that is for people.
package portrait

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"sync"

	"golang.org/x/image/draw"

	"elicence/licence"
)

// Width and Height of a portrait in pixels: 26 by 32 mm at 350 dots per inch, the size
// in which photographs for Chinese identity documents are taken (GA 461).
const (
	Width  = 358
	Height = 441
)

// What a photograph may be.
const (
	// MaxPixels keeps the memory that decoding takes below 300 MB in the worst case, a
	// progressive JPEG.
	MaxPixels = 25_000_000
	// MaxScans is in how many passes a progressive JPEG may come; encoders make ten or so. Each
	// passes over all pixels, however few bytes it has: with thousands one megabyte would keep
	// a processor busy for minutes.
	MaxScans = 32
	// MinWidth is what can still be enlarged to Width without looking it.
	MinWidth = 250
	// The widest and the narrowest of a photograph's shapes, width to height: beyond,
	// cutting to the portrait's shape may cut the head.
	widest, narrowest = 1.0, 0.65
	// quality of the JPEG: some 25 KB, with no blocks to be seen in print.
	quality = 88
)

// The codes of a photograph that will not do.
const (
	CodeFormat  = "photo_format"  // neither JPEG nor PNG, or a kind of them that is not taken
	CodePixels  = "photo_pixels"  // too many pixels to be decoded
	CodeSmall   = "photo_small"   // too few pixels to be printed
	CodeShape   = "photo_shape"   // too wide or too narrow
	CodeDamaged = "photo_damaged" // begins well and cannot be decoded
)

// What a portrait is attached to a licence as.
const (
	Name        = "portrait.jpg"
	MediaType   = "image/jpeg"
	Description = "Portrait of the holder"
)

// turns makes large photographs take turns, so that many at once do not take the memory of all.
var turns sync.Mutex

// large is how many pixels a photograph has that waits for its turn.
const large = 2_000_000

// Prepare makes a portrait, a baseline JPEG of Width by Height, from the bytes of a
// photograph. It is cut, not stretched: at both sides alike, and below, where there is
// no head. The error is a *licence.RequestError about the field.
func Prepare(field string, photo []byte) ([]byte, error) {
	refuse := func(code, format string, args ...any) ([]byte, error) {
		return nil, &licence.RequestError{Fields: []licence.FieldError{{Field: field, Code: code, Detail: fmt.Sprintf(format, args...)}}}
	}
	decode, config, turned := decoder(photo)
	if decode == nil {
		return refuse(CodeFormat, "is neither a JPEG nor a PNG")
	}
	c, err := config(bytes.NewReader(photo))
	if err != nil {
		return refuse(CodeDamaged, "has a header that cannot be read: %v", err)
	}
	switch pixels := int64(c.Width) * int64(c.Height); {
	case pixels > MaxPixels:
		return refuse(CodePixels, "has %d by %d pixels; at most %d million are taken", c.Width, c.Height, MaxPixels/1_000_000)
	case !plain(c.ColorModel):
		return refuse(CodeFormat, "has colours in a form that is not taken: RGB, YCbCr, grey or a palette of 8 bits are")
	case bytes.Count(photo, startOfScan) > MaxScans && bytes.HasPrefix(photo, jpegMagic):
		return refuse(CodeFormat, "comes in more than %d scans", MaxScans)
	case pixels > large:
		turns.Lock()
		defer turns.Unlock()
	}
	w, h := c.Width, c.Height
	if turned.swaps() {
		w, h = h, w
	}
	switch shape := float64(w) / float64(h); {
	case w < MinWidth:
		return refuse(CodeSmall, "is %d pixels wide; at least %d are needed", w, MinWidth)
	case shape > widest || shape < narrowest:
		return refuse(CodeShape, "is %d by %d pixels; a portrait is about %d to %d", w, h, Width, Height)
	}
	img, err := decode(bytes.NewReader(photo))
	if err != nil || img.Bounds().Dx() != c.Width || img.Bounds().Dy() != c.Height {
		return refuse(CodeDamaged, "cannot be decoded: %v", err)
	}
	return encode(scale(img, turned))
}

// How a JPEG begins, and each of its scans; coded pixels never hold the latter (ITU-T T.81,
// B.1.1.5), a preview inside the metadata may, a few times.
var jpegMagic, startOfScan = []byte("\xff\xd8\xff"), []byte("\xff\xda")

// decoder finds out what a photograph is by its first bytes.
func decoder(photo []byte) (decode func(r reader) (image.Image, error), config func(r reader) (image.Config, error), turned orientation) {
	switch {
	case bytes.HasPrefix(photo, jpegMagic):
		return func(r reader) (image.Image, error) { return jpeg.Decode(r) },
			func(r reader) (image.Config, error) { return jpeg.DecodeConfig(r) }, orientationOf(photo)
	case bytes.HasPrefix(photo, []byte("\x89PNG\r\n\x1a\n")):
		return func(r reader) (image.Image, error) { return png.Decode(r) },
			func(r reader) (image.Config, error) { return png.DecodeConfig(r) }, upright
	}
	return nil, nil, upright
}

type reader = *bytes.Reader

// plain reports whether pictures of a colour model are taken: none of 16 bits, which
// take twice the memory, and none for print (CMYK), which look different everywhere.
func plain(m color.Model) bool {
	switch m {
	case color.YCbCrModel, color.GrayModel, color.RGBAModel, color.NRGBAModel:
		return true
	}
	_, palette := m.(color.Palette)
	return palette
}

// scale cuts to the portrait's shape, scales, and only then turns: of few pixels.
func scale(img image.Image, turned orientation) *image.RGBA {
	w, h := Width, Height
	if turned.swaps() {
		w, h = h, w
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src) // below what is transparent
	draw.CatmullRom.Scale(out, out.Bounds(), img, turned.cut(img.Bounds()), draw.Over, nil)
	return turned.apply(out)
}

// encode writes the JPEG.
func encode(img image.Image) ([]byte, error) {
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: quality}); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// cut is the largest part of a picture, as it is stored, that has the portrait's shape.
func (o orientation) cut(b image.Rectangle) image.Rectangle {
	w, h := b.Dx(), b.Dy()
	if o.swaps() {
		w, h = h, w
	}
	left, below := 0, 0 // of the picture turned upright
	if wide := int(math.Round(float64(h) * Width / Height)); w > wide {
		left = (w - wide) / 2
	} else {
		below = h - int(math.Round(float64(w)*Height/Width))
	}
	seen := image.Rect(left, 0, w-left, h-max(0, below))
	return o.stored(seen, w, h).Add(b.Min).Intersect(b)
}
