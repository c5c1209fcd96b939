package sealpicture

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"

	"golang.org/x/image/vector"
)

// transform is an affine map as in PDF: x' = ax+cy+e, y' = bx+dy+f.
type transform [6]float64

var identity = transform{1, 0, 0, 1, 0, 0}

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

// canvas takes shapes in mm about the centre of a seal, and makes of them pixels
// and PDF operators.
type canvas struct {
	content []byte
	m       transform // shape to points of the page
	dx, dy  float64   // pixels to the point
	mask    *image.Alpha
	raster  *vector.Rasterizer
}

// newCanvas is for a seal of so many mm; shapes are given in mm times scale.
func newCanvas(width, height int, scale float64) *canvas {
	box := image.Rect(0, 0, pixels(width), pixels(height))
	w, h := float64(width)*pt, float64(height)*pt
	return &canvas{content: colour(cinnabar), m: transform{scale * pt, 0, 0, scale * pt, w / 2, h / 2},
		dx: float64(box.Dx()) / w, dy: float64(box.Dy()) / h, mask: image.NewAlpha(box), raster: vector.NewRasterizer(box.Dx(), box.Dy())}
}

// pixels is a length in mm at dpi.
func pixels(mm int) int { return int(math.Round(float64(mm) / 25.4 * dpi)) }

// colour is the operator that sets it.
func colour(c color.NRGBA) []byte {
	part := func(v uint8) string { return trim(float64(v)/255, 3) }
	return fmt.Appendf(nil, "%s %s %s rg\n", part(c.R), part(c.G), part(c.B))
}

// path is one filled shape being drawn through a transform. It is what
// typeface calls a Pather.
type path struct {
	c    *canvas
	m    transform
	x, y float64 // the current point on the page
	ops  []byte
}

func (c *canvas) begin(m transform) *path {
	return &path{c: c, m: m.then(c.m)}
}

// fill ends the shape.
func (p *path) fill() {
	p.c.content = append(append(p.c.content, p.ops...), "f\n"...)
}

// flush makes pixels of the shapes filled since the last time: once for all shapes
// that do not lie on each other, because it goes through every pixel.
func (c *canvas) flush() {
	c.raster.Draw(c.mask, c.mask.Rect, image.Opaque, image.Point{})
	c.raster.Reset(c.mask.Rect.Dx(), c.mask.Rect.Dy())
}

// emit adds an operator with its points.
func (p *path) emit(op string, points ...float64) {
	for _, v := range points {
		p.ops = append(append(p.ops, trim(v, 2)...), ' ')
	}
	p.ops = append(append(p.ops, op...), '\n')
}

// dot is a point of the page in pixels from the upper left.
func (p *path) dot(x, y float64) (float32, float32) {
	return float32(x * p.c.dx), float32(float64(p.c.mask.Rect.Dy()) - y*p.c.dy)
}

// MoveTo implements typeface.Pather.
func (p *path) MoveTo(x, y float64) {
	p.x, p.y = p.m.apply(x, y)
	p.emit("m", p.x, p.y)
	p.c.raster.MoveTo(p.dot(p.x, p.y))
}

// LineTo implements typeface.Pather.
func (p *path) LineTo(x, y float64) {
	p.x, p.y = p.m.apply(x, y)
	p.emit("l", p.x, p.y)
	p.c.raster.LineTo(p.dot(p.x, p.y))
}

// QuadTo implements typeface.Pather.
func (p *path) QuadTo(x1, y1, x, y float64) {
	x0, y0 := p.x, p.y
	x1, y1 = p.m.apply(x1, y1)
	x, y = p.m.apply(x, y)
	p.curve(x0+(x1-x0)*2/3, y0+(y1-y0)*2/3, x+(x1-x)*2/3, y+(y1-y)*2/3, x, y)
}

// CubeTo implements typeface.Pather.
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

// Close implements typeface.Pather.
func (p *path) Close() {
	p.ops = append(p.ops, "h\n"...)
	p.c.raster.ClosePath()
}

// ellipse adds an ellipse, clockwise or not: the inner one of a ring goes the
// other way round, so that it stays empty.
func (p *path) ellipse(e ellipse, clockwise bool) {
	const k = 0.5523
	a, b := e.a, e.b
	if clockwise {
		b = -b
	}
	p.MoveTo(a, 0)
	p.CubeTo(a, k*b, k*a, b, 0, b)
	p.CubeTo(-k*a, b, -a, k*b, -a, 0)
	p.CubeTo(-a, -k*b, -k*a, -b, 0, -b)
	p.CubeTo(k*a, -b, a, -k*b, a, 0)
	p.Close()
}

// rectangle adds the rectangle around an ellipse.
func (p *path) rectangle(e ellipse, clockwise bool) {
	a, b := e.a, e.b
	if clockwise {
		b = -b
	}
	p.polygon([][2]float64{{-a, -b}, {a, -b}, {a, b}, {-a, b}})
}

func (p *path) polygon(points [][2]float64) {
	p.MoveTo(points[0][0], points[0][1])
	for _, v := range points[1:] {
		p.LineTo(v[0], v[1])
	}
	p.Close()
}

// star fills a five-pointed star whose tips lie on a circle of radius r.
func (c *canvas) star(r float64) {
	p := c.begin(identity)
	inner := r * math.Sin(math.Pi/10) / math.Sin(7*math.Pi/10)
	points := make([][2]float64, 10)
	for i := range points {
		radius, a := r, math.Pi/2+float64(i)*math.Pi/5
		if i%2 == 1 {
			radius = inner
		}
		points[i] = [2]float64{radius * math.Cos(a), radius * math.Sin(a)}
	}
	p.polygon(points)
	p.fill()
}

// trim writes a number with at most so many decimals.
func trim(v float64, decimals int) string {
	scale := math.Pow10(decimals)
	return strconv.FormatFloat(math.Round(v*scale)/scale, 'f', -1, 64)
}
