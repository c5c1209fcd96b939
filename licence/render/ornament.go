package render

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// frames draws the borders a layout may name.
var frames = map[string]func(*pen, size, frame){
	"guilloche": guilloche,
	"fret":      fret,
	"lines":     lines,
}

// pen writes path operators. Its unit is 0.1 mm from the lower left corner, so
// that most numbers are whole and short.
type pen struct{ buf []byte }

func (p *pen) op(op string, numbers ...float64) {
	for _, v := range numbers {
		p.buf = strconv.AppendInt(p.buf, int64(math.Round(v)), 10)
		p.buf = append(p.buf, ' ')
	}
	p.buf = append(p.buf, op...)
	p.buf = append(p.buf, '\n')
}

// stroke sets colour and width (mm) of the lines that follow.
func (p *pen) stroke(colour string, width float64) {
	p.buf = fmt.Appendf(p.buf, "%s RG %s w\n", rgb(colour), trim(width*10))
}

// fill sets the colour of the areas that follow.
func (p *pen) fill(colour string) { p.buf = fmt.Appendf(p.buf, "%s rg\n", rgb(colour)) }

// drawBackdrop draws ground and frame, once for all licences of the layout.
func (p *parser) drawBackdrop() []byte {
	var d pen
	d.buf = fmt.Appendf(d.buf, "q %.5f 0 0 %.5f 0 0 cm 1 J 1 j\n", pt/10, pt/10)
	w, h := p.page.W*10, p.page.H*10
	if g := p.ground; g.Colour != "" {
		d.fill(g.Colour)
		d.op("re f", 0, 0, w, h)
	}
	if p.ground.Waves != "" {
		d.waves(p.page, p.ground)
	}
	if g := p.ground; g.Rose != "" {
		y := h / 2
		if g.RoseY != 0 {
			y = h - g.RoseY*10
		}
		d.stroke(g.Rose, 0.15)
		d.rosette(w/2, y, g.RoseR*10, 12, 8)
	}
	frames[p.frame.Style](&d, p.page, p.frame)
	d.buf = append(d.buf, "Q\n"...)
	return d.buf
}

// waves covers the page within the inset with fine level lines, each a little
// out of step with the one below, as security paper has them.
func (p *pen) waves(page size, g ground) {
	p.stroke(g.Waves, 0.12)
	left, right := g.Inset*10, (page.W-g.Inset)*10
	const step, period = 50, 560.0
	i := 0
	for y := g.Inset*10 + step/2; y < (page.H-g.Inset)*10; y += step {
		p.wave(left, right, y, 26, period, float64(i)*math.Pi/7)
		i++
	}
	p.op("S")
}

// wave adds a sine line from left to right, one curve for each third of a period:
// near enough to a sine for an ornament, and every curve is in every file.
func (p *pen) wave(left, right, y, amplitude, period, phase float64) {
	at := func(x float64) (v, slope float64) {
		a := 2*math.Pi*(x-left)/period + phase
		return y + amplitude*math.Sin(a), amplitude * math.Cos(a) * 2 * math.Pi / period
	}
	n := math.Ceil((right - left) / (period / 3))
	d := (right - left) / n
	v, s := at(left)
	p.op("m", left, v)
	for i := range int(n) {
		x := left + float64(i)*d
		v2, s2 := at(x + d)
		p.op("c", x+d/3, v+s*d/3, x+2*d/3, v2-s2*d/3, x+d, v2)
		v, s = v2, s2
	}
}

// rosette adds nested petals around a centre: rings of curves whose radius
// swings between the rings' bounds.
func (p *pen) rosette(x, y, r float64, petals, rings int) {
	for ring := range rings {
		phase := 2 * math.Pi * float64(ring) / float64(rings)
		radius := func(a float64) float64 { return r * (0.62 + 0.38*math.Cos(float64(petals)*a+phase)) }
		steps := petals * 6
		for i := 0; i <= steps; i++ {
			a := 2 * math.Pi * float64(i) / float64(steps)
			op := "l"
			if i == 0 {
				op = "m"
			}
			p.op(op, x+radius(a)*math.Cos(a), y+radius(a)*math.Sin(a))
		}
	}
	p.op("S")
}

// outline strokes the page's outline at an inset in mm.
func (p *pen) outline(page size, inset float64) {
	p.op("re S", inset*10, inset*10, (page.W-2*inset)*10, (page.H-2*inset)*10)
}

// band fills the area of the border.
func (p *pen) band(page size, f frame) {
	if f.Tint == "" {
		return
	}
	p.fill(f.Tint)
	p.op("re", f.Inset*10, f.Inset*10, (page.W-2*f.Inset)*10, (page.H-2*f.Inset)*10)
	i := f.Inset + f.Band
	p.op("re f*", i*10, i*10, (page.W-2*i)*10, (page.H-2*i)*10)
}

// lines is a plain border: a heavy line outside, a fine one inside.
func lines(p *pen, page size, f frame) {
	p.band(page, f)
	p.stroke(f.Colours[0], 0.9)
	p.outline(page, f.Inset)
	p.stroke(f.Colours[1], 0.25)
	p.outline(page, f.Inset+1.3)
	p.outline(page, f.Inset+f.Band)
}

// guilloche is a border of interlaced waves between lines, with rosettes in the
// corners.
func guilloche(p *pen, page size, f frame) {
	p.band(page, f)
	strands := f.Colours[2:]
	mid, half := f.Inset+f.Band/2, f.Band/2-0.8
	for side := range 4 {
		p.side(page, side, mid, func(length float64) {
			for i, colour := range append(strands, strands...) {
				p.stroke(colour, 0.22)
				phase := 2 * math.Pi * float64(i) / float64(2*len(strands))
				p.wave(0, length, 0, half*10, length/math.Round(length/(f.Band*20)), phase)
				p.wave(0, length, 0, half*5, length/math.Round(length/(f.Band*20)), phase+math.Pi)
				p.op("S")
			}
		})
	}
	p.stroke(f.Colours[0], 0.8)
	p.outline(page, f.Inset)
	p.stroke(f.Colours[1], 0.3)
	p.outline(page, f.Inset+f.Band)
	p.outline(page, f.Inset+f.Band+1)
	p.corners(page, f, func(x, y, r float64) {
		p.fill(cornerGround(f))
		p.disc(x, y, r)
		p.stroke(strands[0], 0.2)
		p.rosette(x, y, r, 8, 3)
		p.stroke(f.Colours[1], 0.3)
		p.circle(x, y, r*1.03)
	})
}

func cornerGround(f frame) string {
	if f.Tint != "" {
		return f.Tint
	}
	return "#ffffff"
}

// side runs draw in a frame of reference that goes along one side of the border,
// from corner to corner, at a distance from the edge.
func (p *pen) side(page size, side int, distance float64, draw func(length float64)) {
	w, h, d := page.W*10, page.H*10, distance*10
	m := [4][6]float64{
		{1, 0, 0, 1, d, d}, {1, 0, 0, 1, d, h - d},
		{0, 1, -1, 0, d, d}, {0, 1, -1, 0, w - d, d},
	}[side]
	length := w - 2*d
	if side >= 2 {
		length = h - 2*d
	}
	p.buf = append(p.buf, "q "...)
	p.op("cm", m[:]...)
	draw(length)
	p.buf = append(p.buf, "Q\n"...)
}

// corners draws something in each corner of the border.
func (p *pen) corners(page size, f frame, draw func(x, y, r float64)) {
	d := (f.Inset + f.Band/2) * 10
	for _, x := range []float64{d, page.W*10 - d} {
		for _, y := range []float64{d, page.H*10 - d} {
			draw(x, y, f.Band*7.5)
		}
	}
}

// fret is a border of the square key pattern (回纹) between lines.
func fret(p *pen, page size, f frame) {
	p.band(page, f)
	cell := (f.Band - 1.6) * 10
	mid := f.Inset + f.Band/2
	for side := range 4 {
		p.side(page, side, mid, func(length float64) {
			p.stroke(f.Colours[2], f.Band/17)
			span := length - 1.4*cell
			n := math.Floor(span / (cell * 1.15))
			for i := range int(n) {
				p.key(0.7*cell+span/n*(float64(i)+0.5), cell)
			}
			p.op("S")
		})
	}
	p.corners(page, f, func(x, y, _ float64) {
		p.stroke(f.Colours[0], f.Band/17)
		for _, k := range []float64{1, 0.6, 0.2} {
			p.op("re", x-cell/2*k, y-cell/2*k, cell*k, cell*k)
		}
		p.op("S")
	})
	p.stroke(f.Colours[0], 0.9)
	p.outline(page, f.Inset)
	p.stroke(f.Colours[1], 0.3)
	p.outline(page, f.Inset+f.Band)
	p.outline(page, f.Inset+f.Band+1)
}

// key adds one meander of the fret, a square spiral centred on x.
func (p *pen) key(x, c float64) {
	u := c / 8
	points := [][2]float64{{-4, -4}, {-4, 4}, {4, 4}, {4, -2}, {-2, -2}, {-2, 2}, {2, 2}, {2, 0}, {0, 0}}
	for i, pt := range points {
		op := "l"
		if i == 0 {
			op = "m"
		}
		p.op(op, x+pt[0]*u, pt[1]*u)
	}
}

// circlePath adds a circle of four curves.
func (p *pen) circlePath(x, y, r float64) {
	const k = 0.5523
	p.op("m", x+r, y)
	p.op("c", x+r, y+k*r, x+k*r, y+r, x, y+r)
	p.op("c", x-k*r, y+r, x-r, y+k*r, x-r, y)
	p.op("c", x-r, y-k*r, x-k*r, y-r, x, y-r)
	p.op("c", x+k*r, y-r, x+r, y-k*r, x+r, y)
}

func (p *pen) circle(x, y, r float64) { p.circlePath(x, y, r); p.op("S") }
func (p *pen) disc(x, y, r float64)   { p.circlePath(x, y, r); p.op("f") }

// parseColour reads #rrggbb, which the loader has checked.
func parseColour(s string) (r, g, b int) {
	v, err := strconv.ParseUint(strings.TrimPrefix(s, "#"), 16, 32)
	if err != nil {
		return 0, 0, 0
	}
	return int(v >> 16 & 255), int(v >> 8 & 255), int(v & 255)
}

// rgb is a colour as the operands of rg and RG.
func rgb(s string) string {
	r, g, b := parseColour(s)
	return trim(float64(r)/255) + " " + trim(float64(g)/255) + " " + trim(float64(b)/255)
}

// trim writes a number with at most three decimals.
func trim(v float64) string {
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}
