package sealpicture

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"elicence/licence"
	"elicence/licence/render/typeface"
)

// Emblem is what stands in the middle of a seal instead of a star. It never
// changes. The national emblem (国徽) is supplied by those entitled to it.
type Emblem struct {
	width, height float64
	steps         []step
	fills         int
}

// step is one operator of an emblem.
type step struct {
	op     string
	points [6]float64
}

// Bounds of an emblem's file.
const (
	maxEmblemFile  = 256 << 10
	maxEmblemSteps = 20_000
	maxEmblemFills = 200
)

// operands is how many numbers the operators of an emblem's file take.
var operands = map[string]int{"m": 2, "l": 2, "c": 6, "h": 0, "re": 4, "f": 0}

// ParseEmblem reads an emblem as a vector program writes it into PDF: width and
// height, then paths of the operators m, l, c, h, re and f (ISO 32000-1, 8.5) with y
// upwards within that box, all filled (non-zero winding) in the seal's ink. The
// error is a *licence.RequestError with the field "emblem".
func ParseEmblem(file []byte) (*Emblem, error) {
	if len(file) > maxEmblemFile {
		return nil, typeface.Refused("emblem", licence.CodeTooLarge, "must be of %d bytes or fewer", maxEmblemFile)
	}
	words := bytes.Fields(file)
	e := &Emblem{}
	if len(words) < 3 || !e.size(words[0], words[1]) {
		return nil, typeface.Refused("emblem", licence.CodeBadFormat, "must begin with its width and height, 1 or more")
	}
	var points []float64
	for i, word := range words[2:] {
		v, ok := coordinate(word, max(e.width, e.height))
		switch {
		case ok && len(points) < 6:
			points = append(points, v)
		case !e.add(string(word), points):
			return nil, typeface.Refused("emblem", licence.CodeBadFormat, "has an unexpected %.20q at word %d", word, i+3)
		default:
			points = points[:0]
		}
	}
	if len(e.steps) == 0 || e.last() != "f" || len(points) > 0 {
		return nil, typeface.Refused("emblem", licence.CodeBadFormat, "must end with a filled path")
	}
	return e, nil
}

// size reads width and height.
func (e *Emblem) size(width, height []byte) bool {
	w, okWidth := coordinate(width, 1e5)
	h, okHeight := coordinate(height, 1e5)
	e.width, e.height = w, h
	return okWidth && okHeight && w >= 1 && h >= 1
}

// add adds an operator with its operands, if it may come here.
func (e *Emblem) add(op string, points []float64) bool {
	n, known := operands[op]
	if !known || n != len(points) || len(e.steps) == maxEmblemSteps || !e.follows(op) {
		return false
	}
	s := step{op: op}
	copy(s.points[:], points)
	e.steps = append(e.steps, s)
	switch v := s.points; op {
	case "f":
		e.fills++
	case "re":
		most := max(e.width, e.height)
		return v[0]+v[2] <= most && v[1]+v[3] <= most
	}
	return e.fills <= maxEmblemFills
}

// MarshalText writes what ParseEmblem reads.
func (e *Emblem) MarshalText() ([]byte, error) {
	number := func(out []byte, v float64) []byte { return append(strconv.AppendFloat(out, v, 'f', -1, 64), ' ') }
	out := append(number(number(nil, e.width), e.height), '\n')
	for _, s := range e.steps {
		for _, v := range s.points[:operands[s.op]] {
			out = number(out, v)
		}
		out = append(append(out, s.op...), '\n')
	}
	return out, nil
}

// UnmarshalText is ParseEmblem.
func (e *Emblem) UnmarshalText(text []byte) error {
	parsed, err := ParseEmblem(text)
	if err == nil {
		*e = *parsed
	}
	return err
}

// coordinate reads a number from 0 to most.
func coordinate(word []byte, most float64) (float64, bool) {
	if len(bytes.Trim(word, "0123456789.")) > 0 {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(word), 64)
	return v, err == nil && v <= most
}

// last is the operator before the next.
func (e *Emblem) last() string {
	if len(e.steps) == 0 {
		return "f"
	}
	return e.steps[len(e.steps)-1].op
}

// follows reports whether an operator may come next: paths begin with m, and are
// closed before they are filled or another begins.
func (e *Emblem) follows(op string) bool {
	last := e.last()
	closed := last == "h" || last == "re"
	switch op {
	case "m", "re":
		return closed || last == "f"
	case "f":
		return closed
	}
	return !closed && last != "f"
}

// ImportEmblem traces an emblem from a PNG, which is checked as Import does.
func ImportEmblem(file []byte, widthMM, heightMM int) (*Emblem, error) {
	mask, _, err := decode(file, widthMM, heightMM)
	if err != nil {
		return nil, err
	}
	e := &Emblem{width: float64(mask.Rect.Dx()), height: float64(mask.Rect.Dy())}
	for _, r := range runs(mask) {
		e.steps = append(e.steps, step{"re", [6]float64{float64(r.x), e.height - float64(r.y+r.h), float64(r.w), float64(r.h)}})
	}
	e.steps = append(e.steps, step{op: "f"})
	if text, _ := e.MarshalText(); len(e.steps) > maxEmblemSteps || len(text) > maxEmblemFile {
		return nil, typeface.Refused("file", licence.CodeTooLarge, "has too many specks to be traced")
	}
	return e, nil
}

// draw draws the emblem about the centre, as large as fits a square.
func (e *Emblem) draw(c *canvas, side float64) {
	s := side / math.Max(e.width, e.height)
	m := transform{s, 0, 0, s, -e.width / 2 * s, -e.height / 2 * s}
	c.flush()
	p := c.begin(m)
	for _, step := range e.steps {
		v := step.points
		switch step.op {
		case "m":
			p.MoveTo(v[0], v[1])
		case "l":
			p.LineTo(v[0], v[1])
		case "c":
			p.CubeTo(v[0], v[1], v[2], v[3], v[4], v[5])
		case "h":
			p.Close()
		case "re":
			p.box(v[0], v[1], v[2], v[3])
		case "f":
			p.fill()
			c.flush()
			p = c.begin(m)
		}
	}
}

// box adds an upright rectangle; it is one operator.
func (p *path) box(x, y, w, h float64) {
	x0, y0 := p.m.apply(x, y)
	x1, y1 := p.m.apply(x+w, y+h)
	p.ops = fmt.Appendf(p.ops, "%s %s %s %s re\n", trim(x0, 3), trim(y0, 3), trim(x1-x0, 3), trim(y1-y0, 3))
	p.c.raster.MoveTo(p.dot(x0, y0))
	p.c.raster.LineTo(p.dot(x1, y0))
	p.c.raster.LineTo(p.dot(x1, y1))
	p.c.raster.LineTo(p.dot(x0, y1))
	p.c.raster.ClosePath()
}
