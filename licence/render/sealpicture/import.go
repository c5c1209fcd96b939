package sealpicture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"

	"golang.org/x/image/draw"

	"elicence/licence"
	"elicence/licence/render/typeface"
)

// Bounds of an imported picture. The seal is in every licence, so its picture
// must be small there; what comes in may be larger.
const (
	maxFile       = 512 << 10 // bytes
	leastDPI      = 200
	mostDPI       = 600
	leastMM       = 15 // wide
	leastHeightMM = 10
	maxPNG        = 64 << 10  // bytes, as kept
	maxContent    = 512 << 10 // bytes of operators
)

// Warnings of Import: what a person should look at before the seal is made.
const (
	WarnNotRed = "less than nine tenths of the ink is red: is this the picture of a seal?"
	WarnCoarse = "the picture has fewer than 300 dots to the inch: printed, its edges will look rough"
)

// Import makes a seal's picture of a PNG with transparency, such as the one an
// authority has registered, and of its true size. It keeps the shape, in one ink
// of the file's mean colour and no finer than 300 dpi, and drops all else: what
// else a file can hold nobody sees when it is sealed. The PNG of a Picture, taken in
// again, gives the same PNG: so a seal's own data are enough to draw it from. The
// error is a *licence.RequestError with the fields "file", "width_mm" and "height_mm".
func Import(file []byte, widthMM, heightMM int) (p Picture, warnings []string, err error) {
	p, mask, ink, err := traced(file, widthMM, heightMM)
	if err != nil {
		return Picture{}, nil, err
	}
	if p, err = finished(mask, ink.mean(), p); err != nil {
		return Picture{}, nil, err
	}
	if len(p.PNG) > maxPNG {
		return Picture{}, nil, errSpecks
	}
	if ink.red < 0.9*ink.weight {
		warnings = append(warnings, WarnNotRed)
	}
	if mask.Rect.Dx() < pixels(widthMM)*98/100 {
		warnings = append(warnings, WarnCoarse)
	}
	return p, warnings, nil
}

// Trace is Import of what a seal has as its picture already, which stays as it is: its PNG
// is the file. That is most of the time less, for to make a PNG small takes long.
func Trace(file []byte, widthMM, heightMM int) (Picture, error) {
	p, _, _, err := traced(file, widthMM, heightMM)
	if err == nil {
		p.PNG = file
	}
	return p, err
}

// errSpecks refuses what would take too much room in every licence.
var errSpecks = typeface.Refused("file", licence.CodeTooLarge, "has too many specks: clean the scan")

// traced is a file as a picture that has no PNG yet, with its pixels and its ink.
func traced(file []byte, widthMM, heightMM int) (Picture, *image.Alpha, tally, error) {
	mask, ink, err := decode(file, widthMM, heightMM)
	if err != nil {
		return Picture{}, nil, tally{}, err
	}
	p := picture(trace(mask, ink.mean(), widthMM, heightMM), widthMM, heightMM)
	if len(p.Content) > maxContent {
		return Picture{}, nil, tally{}, errSpecks
	}
	return p, mask, ink, nil
}

// decode checks a PNG, its header before anything is decoded, and takes its ink: 255
// where it covers the paper wholly.
func decode(file []byte, widthMM, heightMM int) (*image.Alpha, tally, error) {
	if err := checkHeader(file, widthMM, heightMM); err != nil {
		return nil, tally{}, err
	}
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, tally{}, typeface.Refused("file", licence.CodeBadFormat, "is a damaged PNG")
	}
	mask, ink := inkOf(img)
	if err := ink.check(mask.Rect); err != nil {
		return nil, tally{}, err
	}
	ink.full(mask)
	if w, h := pixels(widthMM), pixels(heightMM); mask.Rect.Dx() > w {
		fine := mask
		mask = image.NewAlpha(image.Rect(0, 0, w, h))
		draw.BiLinear.Scale(mask, mask.Rect, fine, fine.Rect, draw.Src, nil)
	}
	return mask, ink, nil
}

// checkHeader refuses what is too large, of another format, or not plausible at
// its true size.
func checkHeader(file []byte, widthMM, heightMM int) error {
	switch {
	case len(file) > maxFile:
		return typeface.Refused("file", licence.CodeTooLarge, "must be of %d bytes or fewer", maxFile)
	case widthMM < leastMM || widthMM > MaxMM:
		return typeface.Refused("width_mm", licence.CodeOutOfRange, "must be %d to %d mm", leastMM, MaxMM)
	case heightMM < leastHeightMM || heightMM > MaxMM:
		return typeface.Refused("height_mm", licence.CodeOutOfRange, "must be %d to %d mm", leastHeightMM, MaxMM)
	case bytes.HasPrefix(file, []byte{0xFF, 0xD8, 0xFF}):
		return typeface.Refused("file", licence.CodeBadFormat, "is a JPEG, which has no transparency: a PNG is needed")
	}
	header, err := png.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return typeface.Refused("file", licence.CodeBadFormat, "is not a PNG")
	}
	if header.ColorModel == color.NRGBA64Model || header.ColorModel == color.RGBA64Model || header.ColorModel == color.Gray16Model {
		return typeface.Refused("file", licence.CodeBadFormat, "has 16 bits a channel: 8 are needed")
	}
	across, up := float64(header.Width)/float64(widthMM)*25.4, float64(header.Height)/float64(heightMM)*25.4
	switch {
	case min(across, up) < leastDPI || max(across, up) > mostDPI:
		return typeface.Refused("file", licence.CodeOutOfRange, "has %.0f by %.0f dots to the inch at %d by %d mm: %d to %d are needed",
			across, up, widthMM, heightMM, leastDPI, mostDPI)
	case max(across, up) > 1.03*min(across, up):
		return typeface.Refused("file", licence.CodeOutOfRange, "has not the proportions of %d by %d mm", widthMM, heightMM)
	}
	return nil
}

// tally counts pixels and their ink.
type tally struct {
	clear, inked    int             // pixels through which the paper shows wholly; that bear ink
	area            image.Rectangle // that holds all ink
	r, g, b, weight float64         // sums of colours by ink, and of ink
	red             float64         // the part of weight that is red
}

// inkOf takes the ink of a picture: the less of it is white or transparent, the
// more.
func inkOf(img image.Image) (*image.Alpha, tally) {
	b := img.Bounds()
	mask := image.NewAlpha(image.Rect(0, 0, b.Dx(), b.Dy()))
	var t tally
	for y := range b.Dy() {
		for x := range b.Dx() {
			c := color.NRGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
			ink := uint8((int(c.A)*int(255-min(c.R, c.G, c.B)) + 127) / 255)
			mask.Pix[y*mask.Stride+x] = ink
			t.add(x, y, c, ink)
		}
	}
	return mask, t
}

func (t *tally) add(x, y int, c color.NRGBA, ink uint8) {
	if c.A < 16 {
		t.clear++
	}
	if ink < 128 {
		return
	}
	t.inked++
	t.area = t.area.Union(image.Rect(x, y, x+1, y+1))
	w := float64(ink)
	t.r, t.g, t.b, t.weight = t.r+w*float64(c.R), t.g+w*float64(c.G), t.b+w*float64(c.B), t.weight+w
	if int(c.R) > int(c.G)+64 && int(c.R) > int(c.B)+64 {
		t.red += w
	}
}

// mean is the ink's mean colour.
func (t tally) mean() color.NRGBA {
	part := func(sum float64) uint8 { return uint8(math.Round(sum / t.weight)) }
	return color.NRGBA{R: part(t.r), G: part(t.g), B: part(t.b), A: 255}
}

// full scales a mask so that the mean colour covers the paper wholly, whatever
// white is in it. A picture that Import made comes out of it as it was.
func (t tally) full(mask *image.Alpha) {
	c := t.mean()
	most := 255 - int(min(c.R, c.G, c.B))
	for i, v := range mask.Pix {
		mask.Pix[i] = uint8(min(255, (int(v)*255+most/2)/most))
	}
}

// check refuses a picture without transparency or ink, and one with a margin: its
// ink would be smaller than the seal's true size.
func (t tally) check(box image.Rectangle) error {
	all := box.Dx() * box.Dy()
	switch {
	case t.clear < all/10:
		return typeface.Refused("file", licence.CodeBadFormat, "is not transparent around and between the ink")
	case t.inked < all/100:
		return typeface.Refused("file", licence.CodeBadFormat, "bears hardly any ink")
	case t.area.Dx() < box.Dx()*95/100 || t.area.Dy() < box.Dy()*95/100:
		return typeface.Refused("file", licence.CodeOutOfRange, "has a margin: its ink must reach the edges, for the size to be true")
	}
	return nil
}

// trace draws what bears more ink than not, as rectangles in pixels.
func trace(mask *image.Alpha, ink color.NRGBA, widthMM, heightMM int) []byte {
	sx, sy := float64(widthMM)*pt/float64(mask.Rect.Dx()), float64(heightMM)*pt/float64(mask.Rect.Dy())
	content := fmt.Appendf(nil, "%sq %s 0 0 %s 0 0 cm\n", colour(ink), trim(sx, 5), trim(sy, 5))
	for _, r := range runs(mask) {
		content = fmt.Appendf(content, "%d %d %d %d re\n", r.x, mask.Rect.Dy()-r.y-r.h, r.w, r.h)
	}
	return append(content, "f Q\n"...)
}

// run is a rectangle of pixels from the upper left.
type run struct{ x, y, w, h int }

// runs covers the ink with rectangles that do not overlap: each run of a row, and
// below it the same run of the next rows.
func runs(mask *image.Alpha) []run {
	var out []run
	w := mask.Rect.Dx()
	above, here := make([]int, w), make([]int, w) // 1 + the rectangle whose run starts there
	for y := range mask.Rect.Dy() {
		clear(here)
		row := mask.Pix[y*mask.Stride:][:w]
		for x := 0; x < w; x++ {
			start := x
			for x < w && row[x] >= 128 {
				x++
			}
			if x == start {
				continue
			}
			if i := above[start] - 1; i >= 0 && out[i].w == x-start {
				out[i].h++
				here[start] = i + 1
				continue
			}
			out = append(out, run{start, y, x - start, 1})
			here[start] = len(out)
		}
		above, here = here, above
	}
	return out
}
