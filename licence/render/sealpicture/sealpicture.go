// Package sealpicture draws the round seals of Chinese authorities and companies
// (印章图像), after 国发〔1999〕25号 as far as it is public.
//
// Invariants: the same design gives the same bytes; the PNG and the PDF operators
// are made from the same shapes. No national emblem is drawn: seals that bear one
// are supplied by those entitled to them.
package sealpicture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"strconv"
	"unicode/utf8"

	"golang.org/x/image/vector"

	"elicence/licence"
	"elicence/licence/render/typeface"
)

// Design is a round seal after 国发〔1999〕25号: a red ring, a five-pointed
// star in the middle, the name in a Song face from left to right along the upper
// arc, and perhaps a line of text below the star.
type Design struct {
	// Name is the unit's full name, 4 to 30 characters.
	Name string
	// Lower is a line below the star such as 证照专用章, at most 12 characters; it
	// may be empty.
	Lower string
	// DiameterMM is the outer diameter, 38 to 50 mm; 42 is usual for departments.
	DiameterMM int
}

// Picture is a drawn seal, twice: for the seal's data, and for the page.
type Picture struct {
	// PNG is the picture at 300 dpi, red with transparency.
	PNG []byte
	// WidthMM and HeightMM are its true size.
	WidthMM, HeightMM int
	// Content draws the same in PDF operators within [0 0 Width Height].
	Content []byte
	// Width and Height are the true size in points.
	Width, Height float64
}

// pt is one millimetre in points.
const pt = 72 / 25.4

// Measures of a seal of 42 mm, to which other diameters are in proportion.
const (
	sealDiameter = 42.0
	sealRing     = 1.2
	sealStar     = 7.0 // radius of the circle through the tips of the star
	sealGap      = 1.0 // between ring and name
	sealDPI      = 300
)

// sealRed is the colour of cinnabar ink as screens and presses know it.
var sealRed = color.NRGBA{R: 226, G: 0, B: 21, A: 255}

// sealFace is the face of the name and the lower line.
const sealFace = "song-bold"

// Draw draws a seal. A name or line that cannot be drawn is a
// *licence.RequestError with the fields "name", "lower" and "diameter_mm".
func Draw(fonts *typeface.Fonts, d Design) (Picture, error) {
	if err := d.check(fonts); err != nil {
		return Picture{}, err
	}
	size := float64(d.DiameterMM) * pt
	canvas := newCanvas(d.DiameterMM)
	if err := d.draw(fonts, canvas); err != nil {
		return Picture{}, err
	}
	img, err := canvas.png()
	if err != nil {
		return Picture{}, fmt.Errorf("encoding seal picture: %w", err)
	}
	return Picture{PNG: img, WidthMM: d.DiameterMM, HeightMM: d.DiameterMM,
		Content: canvas.operators(), Width: size, Height: size}, nil
}

func (d Design) check(fonts *typeface.Fonts) error {
	switch n, lower := utf8.RuneCountInString(d.Name), utf8.RuneCountInString(d.Lower); {
	case n < 4:
		return typeface.Refused("name", licence.CodeTooShort, "of a seal must have 4 characters or more")
	case n > 30:
		return typeface.Refused("name", licence.CodeTooLong, "of a seal must have 30 characters or fewer")
	case lower > 12:
		return typeface.Refused("lower", licence.CodeTooLong, "of a seal must have 12 characters or fewer")
	case d.DiameterMM < 38 || d.DiameterMM > 50:
		return typeface.Refused("diameter_mm", licence.CodeOutOfRange, "must be 38 to 50 mm")
	}
	if err := fonts.CheckFace(sealFace, "name", d.Name); err != nil {
		return err
	}
	return fonts.CheckFace(sealFace, "lower", d.Lower)
}

// draw draws the seal about the origin in mm of a seal of 42 mm.
func (d Design) draw(fonts *typeface.Fonts, c *canvas) error {
	const r = sealDiameter / 2
	c.ring(r, r-sealRing)
	c.star(sealStar)
	name := []rune(d.Name)
	n := float64(len(name))
	height := min(6.3, 6.3-(n-12)*0.125)
	span := min(286, 58+17.5*n)
	if d.Lower != "" {
		span = min(span, 244)
	}
	middle := r - sealRing - sealGap - height/2
	pitch := span / (n - 1) * math.Pi / 180
	width := min(0.94*pitch*middle, 0.84*height)
	for i, ch := range name {
		angle := (float64(i) - (n-1)/2) * pitch // clockwise from the top
		m := transform{1, 0, 0, 1, 0, middle - height/2}.rotated(-angle)
		if err := c.character(fonts, ch, m, width, height); err != nil {
			return err
		}
	}
	return d.drawLower(fonts, c)
}

// drawLower sets the lower line across, as wide as the ring leaves room for.
func (d Design) drawLower(fonts *typeface.Fonts, c *canvas) error {
	line := []rune(d.Lower)
	const height, bottom = 4.2, -14.6
	width := min(3.6, 21/float64(max(len(line), 1)))
	for i, ch := range line {
		x := (float64(i) - float64(len(line)-1)/2) * width * 1.06
		if err := c.character(fonts, ch, transform{1, 0, 0, 1, x, bottom}, width, height); err != nil {
			return err
		}
	}
	return nil
}

// transform is an affine map as in PDF: x' = ax+cy+e, y' = bx+dy+f.
type transform [6]float64

func (t transform) apply(x, y float64) (float64, float64) {
	return t[0]*x + t[2]*y + t[4], t[1]*x + t[3]*y + t[5]
}

// rotated is t followed by a turn about the origin, anticlockwise.
func (t transform) rotated(a float64) transform {
	s, c := math.Sincos(a)
	return t.then(transform{c, s, -s, c, 0, 0})
}

// then is t followed by u.
func (t transform) then(u transform) transform {
	var out transform
	out[0], out[1] = u[0]*t[0]+u[2]*t[1], u[1]*t[0]+u[3]*t[1]
	out[2], out[3] = u[0]*t[2]+u[2]*t[3], u[1]*t[2]+u[3]*t[3]
	out[4], out[5] = u.apply(t[4], t[5])
	return out
}

// canvas takes shapes in mm about the centre of a seal of 42 mm, and makes of
// them pixels and PDF operators.
type canvas struct {
	m      transform // shape to points of the page
	dots   float64   // pixels to the point
	pixels int
	ops    []byte
	mask   *image.Alpha
	raster *vector.Rasterizer
}

func newCanvas(diameter int) *canvas {
	size := float64(diameter) * pt
	scale := size / sealDiameter
	pixels := int(math.Round(float64(diameter) / 25.4 * sealDPI))
	c := &canvas{m: transform{scale, 0, 0, scale, size / 2, size / 2}, dots: float64(pixels) / size, pixels: pixels,
		mask: image.NewAlpha(image.Rect(0, 0, pixels, pixels)), raster: vector.NewRasterizer(pixels, pixels)}
	r, g, b := float64(sealRed.R)/255, float64(sealRed.G)/255, float64(sealRed.B)/255
	c.ops = fmt.Appendf(nil, "%s %s %s rg\n", trim(r), trim(g), trim(b))
	return c
}

// path is one filled shape being drawn through a transform. It is what
// typeface calls a Pather.
type path struct {
	c    *canvas
	m    transform
	x, y float64 // the current point on the page
}

func (c *canvas) begin(m transform) *path {
	c.raster.Reset(c.pixels, c.pixels)
	return &path{c: c, m: m.then(c.m)}
}

// fill ends the shape.
func (p *path) fill() {
	p.c.ops = append(p.c.ops, "f\n"...)
	p.c.raster.Draw(p.c.mask, p.c.mask.Bounds(), image.Opaque, image.Point{})
}

func (p *path) emit(op string, points ...float64) {
	for _, v := range points {
		p.c.ops = append(append(p.c.ops, trim(math.Round(v*100)/100)...), ' ')
	}
	p.c.ops = append(append(p.c.ops, op...), '\n')
}

// dot is a point of the page in pixels from the upper left.
func (p *path) dot(x, y float64) (float32, float32) {
	return float32(x * p.c.dots), float32(float64(p.c.pixels) - y*p.c.dots)
}

func (p *path) MoveTo(x, y float64) {
	p.x, p.y = p.m.apply(x, y)
	p.emit("m", p.x, p.y)
	p.c.raster.MoveTo(p.dot(p.x, p.y))
}

func (p *path) LineTo(x, y float64) {
	p.x, p.y = p.m.apply(x, y)
	p.emit("l", p.x, p.y)
	p.c.raster.LineTo(p.dot(p.x, p.y))
}

func (p *path) QuadTo(x1, y1, x, y float64) {
	x0, y0 := p.x, p.y
	x1, y1 = p.m.apply(x1, y1)
	x, y = p.m.apply(x, y)
	p.curve(x0+(x1-x0)*2/3, y0+(y1-y0)*2/3, x+(x1-x)*2/3, y+(y1-y)*2/3, x, y)
}

func (p *path) CubeTo(x1, y1, x2, y2, x, y float64) {
	x1, y1 = p.m.apply(x1, y1)
	x2, y2 = p.m.apply(x2, y2)
	x, y = p.m.apply(x, y)
	p.curve(x1, y1, x2, y2, x, y)
}

// curve adds a cubic curve given in points of the page.
func (p *path) curve(x1, y1, x2, y2, x, y float64) {
	p.emit("c", x1, y1, x2, y2, x, y)
	ax, ay := p.dot(x1, y1)
	bx, by := p.dot(x2, y2)
	dx, dy := p.dot(x, y)
	p.c.raster.CubeTo(ax, ay, bx, by, dx, dy)
	p.x, p.y = x, y
}

func (p *path) Close() {
	p.c.ops = append(p.c.ops, "h\n"...)
	p.c.raster.ClosePath()
}

// circle adds a circle, clockwise or not: the inner one of a ring goes the
// other way round, so that it stays empty.
func (p *path) circle(r float64, clockwise bool) {
	const k = 0.5523
	s := 1.0
	if clockwise {
		s = -1
	}
	p.MoveTo(r, 0)
	p.CubeTo(r, s*k*r, k*r, s*r, 0, s*r)
	p.CubeTo(-k*r, s*r, -r, s*k*r, -r, 0)
	p.CubeTo(-r, -s*k*r, -k*r, -s*r, 0, -s*r)
	p.CubeTo(k*r, -s*r, r, -s*k*r, r, 0)
	p.Close()
}

func (c *canvas) ring(outer, inner float64) {
	p := c.begin(transform{1, 0, 0, 1, 0, 0})
	p.circle(outer, false)
	p.circle(inner, true)
	p.fill()
}

// star fills a five-pointed star whose tips lie on a circle of radius r.
func (c *canvas) star(r float64) {
	p := c.begin(transform{1, 0, 0, 1, 0, 0})
	inner := r * math.Sin(math.Pi/10) / math.Sin(7*math.Pi/10)
	for i := range 10 {
		radius, a := r, math.Pi/2+float64(i)*math.Pi/5
		if i%2 == 1 {
			radius = inner
		}
		if i == 0 {
			p.MoveTo(radius*math.Cos(a), radius*math.Sin(a))
		} else {
			p.LineTo(radius*math.Cos(a), radius*math.Sin(a))
		}
	}
	p.Close()
	p.fill()
}

// character fills a glyph, its em stretched to width and height, standing on
// the origin of m and centred on it.
func (c *canvas) character(fonts *typeface.Fonts, r rune, m transform, width, height float64) error {
	g, ok, err := fonts.Glyph(sealFace, r)
	if err != nil || !ok || typeface.IsSpace(r) {
		return err
	}
	sx, sy := width/typeface.Em, height/typeface.Em
	p := c.begin(transform{sx, 0, 0, sy, -float64(g.Advance()) / 2 * sx, -typeface.Descent * sy}.then(m))
	if err := g.Outline(p); err != nil {
		return fmt.Errorf("drawing %s: %w", typeface.Describe(r), err)
	}
	p.fill()
	return nil
}

func (c *canvas) operators() []byte { return c.ops }

// png writes the mask as a picture of one colour in 16 degrees of transparency.
func (c *canvas) png() ([]byte, error) {
	palette := make(color.Palette, 16)
	for i := range palette {
		shade := sealRed
		shade.A = uint8(i * 17)
		palette[i] = shade
	}
	img := image.NewPaletted(c.mask.Bounds(), palette)
	for i, alpha := range c.mask.Pix {
		img.Pix[i] = uint8((int(alpha) + 8) / 17)
	}
	var buf bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buf, img)
	return buf.Bytes(), err
}

// trim writes a number with at most three decimals.
func trim(v float64) string {
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}
