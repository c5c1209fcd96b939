// Package sealpicture makes the pictures of seals (印章图像): it draws those of
// Chinese authorities and companies after 国发〔1999〕25号 and common practice, and
// takes in pictures that an authority brings. docs/seals.md has the rules, their
// sources, and what is inferred.
//
// Invariants:
//   - the same design or file gives the same bytes;
//   - the PNG and the PDF operators are made from the same shapes, in one ink;
//   - the operators need no resources: no image, font or pattern;
//   - nothing of an imported file is decoded before its size is known to be sane,
//     and nothing of it is kept but its shape and the colour of its ink.
//
// No national emblem is drawn: those entitled to one import it.
package sealpicture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"elicence/licence/render/typeface"
)

// Picture is a seal's picture, twice: for the seal's data, and for the page.
type Picture struct {
	// PNG is the picture at 300 dpi, or fewer if it was imported with fewer, in one
	// colour with sixteen degrees of transparency.
	PNG []byte
	// WidthMM and HeightMM are its true size.
	WidthMM, HeightMM int
	// Content draws the same in PDF operators within [0 0 Width Height]. It needs no
	// resources, and does not leave the graphics state as it found it.
	Content []byte
	// Width and Height are the true size in points.
	Width, Height float64

	drawing drawing // what Content is made of
}

// MaxMM is the largest width and height of a picture: the seal of 国务院 (国发〔1999〕25号, 二).
const MaxMM = 60

// pt is one millimetre in points.
const pt = 72 / 25.4

// dpi is the resolution of pictures: enough for print, and every licence carries
// the PNG, in hexadecimal.
const dpi = 300

// cinnabar is the colour of seal ink (印泥) as screens and presses know it.
var cinnabar = color.NRGBA{R: 226, G: 0, B: 21, A: 255}

// Draw draws a seal. What cannot be drawn is a *licence.RequestError that names
// the member of the design.
func Draw(fonts *typeface.Fonts, d Design) (Picture, error) {
	if err := d.check(fonts); err != nil {
		return Picture{}, err
	}
	width, height := d.size()
	c := newCanvas(width, height, d.scale())
	if err := d.draw(fonts, c); err != nil {
		return Picture{}, err
	}
	c.flush()
	return finished(width, height, c.mask, cinnabar, c.drawing)
}

// finished is the picture of a drawing whose pixels are the mask.
func finished(width, height int, mask *image.Alpha, ink color.NRGBA, d drawing) (Picture, error) {
	img, err := encode(mask, ink)
	if err != nil {
		return Picture{}, fmt.Errorf("encoding seal picture: %w", err)
	}
	return Picture{PNG: img, WidthMM: width, HeightMM: height, Content: d.operators(),
		Width: float64(width) * pt, Height: float64(height) * pt, drawing: d}, nil
}

// encode writes a mask as a picture of one colour in 16 degrees of transparency.
func encode(mask *image.Alpha, ink color.NRGBA) ([]byte, error) {
	palette := make(color.Palette, 16)
	for i := range palette {
		ink.A = uint8(i * 17)
		palette[i] = ink
	}
	img := image.NewPaletted(mask.Bounds(), palette)
	for i, alpha := range mask.Pix {
		img.Pix[i] = uint8((int(alpha) + 8) / 17)
	}
	var buf bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buf, img)
	return buf.Bytes(), err
}
