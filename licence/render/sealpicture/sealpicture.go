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

	"elicence/licence/render/pdf"
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
	// Form is Content as pages draw it by name, deflated once for all of them.
	Form pdf.Stream
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
	c, err := d.canvas(fonts)
	if err != nil {
		return Picture{}, err
	}
	return finished(c.mask, cinnabar, c.picture(d))
}

// Redraw is Draw for whoever has the PNG that was drawn before, and spares making it again,
// which takes most of the time. drawn is false where the file shows anything else, be it
// one pixel, or is of another size: then there is no picture. Errors are those of Draw.
func Redraw(fonts *typeface.Fonts, d Design, file []byte, widthMM, heightMM int) (p Picture, drawn bool, err error) {
	c, err := d.canvas(fonts)
	if err != nil {
		return Picture{}, false, err
	}
	if p = c.picture(d); p.WidthMM != widthMM || p.HeightMM != heightMM || checkHeader(file, widthMM, heightMM) != nil {
		return Picture{}, false, nil
	}
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil || !same(img, paletted(c.mask, cinnabar)) {
		return Picture{}, false, nil
	}
	p.PNG = file
	return p, true, nil
}

// canvas is what a design draws.
func (d Design) canvas(fonts *typeface.Fonts) (*canvas, error) {
	if err := d.check(fonts); err != nil {
		return nil, err
	}
	width, height := d.size()
	c := newCanvas(width, height, d.scale())
	if err := d.draw(fonts, c); err != nil {
		return nil, err
	}
	c.flush()
	return c, nil
}

// same reports whether a picture is of the very same colours and pixels as one of ours.
func same(img image.Image, ours *image.Paletted) bool {
	p, ok := img.(*image.Paletted)
	if !ok || p.Rect != ours.Rect || len(p.Palette) != len(ours.Palette) || !bytes.Equal(p.Pix, ours.Pix) {
		return false
	}
	for i, c := range p.Palette {
		if color.NRGBAModel.Convert(c) != ours.Palette[i] {
			return false
		}
	}
	return true
}

// picture is what was drawn of a design.
func (c *canvas) picture(d Design) Picture {
	width, height := d.size()
	return picture(c.content, width, height)
}

// picture is one that has no PNG yet.
func picture(content []byte, width, height int) Picture {
	return Picture{WidthMM: width, HeightMM: height, Content: content, Width: float64(width) * pt, Height: float64(height) * pt, Form: pdf.Deflate(content)}
}

// finished is a picture with its PNG, whose pixels are the mask.
func finished(mask *image.Alpha, ink color.NRGBA, p Picture) (Picture, error) {
	var buf bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buf, paletted(mask, ink)); err != nil {
		return Picture{}, fmt.Errorf("encoding seal picture: %w", err)
	}
	p.PNG = buf.Bytes()
	return p, nil
}

// paletted is a mask in one colour of 16 degrees of transparency.
func paletted(mask *image.Alpha, ink color.NRGBA) *image.Paletted {
	palette := make(color.Palette, 16)
	for i := range palette {
		ink.A = uint8(i * 17)
		palette[i] = ink
	}
	img := image.NewPaletted(mask.Bounds(), palette)
	for i, alpha := range mask.Pix {
		img.Pix[i] = uint8((int(alpha) + 8) / 17)
	}
	return img
}
