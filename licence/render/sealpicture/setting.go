package sealpicture

import (
	"fmt"
	"math"
	"strings"

	"elicence/licence/render/typeface"
)

// The faces: Song for words (国发〔1999〕25号 wants 宋体), a plain one for codes.
const (
	wordFace = "song-bold"
	codeFace = "hei"
)

// isCode reports whether a text is digits and letters alone.
func isCode(s string) bool {
	return s != "" && strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func faceOf(s string) string {
	if isCode(s) {
		return codeFace
	}
	return wordFace
}

// ellipse has its centre in the middle of the seal; a circle is one.
type ellipse struct{ a, b float64 }

// less is the ellipse within, so far from e.
func (e ellipse) less(distance float64) ellipse { return ellipse{e.a - distance, e.b - distance} }

// steps is how finely an ellipse is measured, in parts of a quarter.
const steps = 400

// walk goes from the top so far to the right along the ellipse: where that leads,
// and how far the ellipse has turned clockwise there.
func (e ellipse) walk(distance float64) (x, y, turn float64) {
	t, left := 0.0, math.Abs(distance)
	for {
		const dt = math.Pi / 2 / steps
		step := math.Hypot(e.a*math.Cos(t+dt/2), e.b*math.Sin(t+dt/2)) * dt
		if step >= left {
			t += dt * left / step
			break
		}
		t, left = t+dt, left-step
	}
	t = math.Copysign(t, distance)
	return e.a * math.Sin(t), e.b * math.Cos(t), math.Atan2(math.Sin(t)/e.a, math.Cos(t)/e.b)
}

// length is the circumference.
func (e ellipse) length() float64 {
	sum := 0.0
	for i := range steps {
		sin, cos := math.Sincos((float64(i) + 0.5) * math.Pi / 2 / steps)
		sum += math.Hypot(e.a*cos, e.b*sin) * math.Pi / 2 / steps
	}
	return 4 * sum
}

// along sets a text with its middle on an ellipse, symmetric to the upright axis:
// feet inwards at the top, or heads inwards at the bottom.
func (w *drawer) along(text []rune, e ellipse, pitch, width, height float64, below bool) error {
	for i, r := range text {
		x, y, turn := e.walk((float64(i) - float64(len(text)-1)/2) * pitch)
		if below {
			y, turn = -y, -turn
		}
		m := transform{1, 0, 0, 1, 0, -height / 2}.rotated(-turn).then(transform{1, 0, 0, 1, x, y})
		if err := w.character(faceOf(string(text)), r, m, width, height); err != nil {
			return err
		}
	}
	return nil
}

// across sets a text on a straight line about the height y, in no more than room.
func (w *drawer) across(text []rune, y, height, room float64) error {
	n := float64(len(text))
	width := min(0.86*height, room/n/1.06)
	pitch := 1.06 * width
	if isCode(string(text)) {
		width, pitch = height, min(0.5*height, room/n)
	}
	for i, r := range text {
		m := transform{1, 0, 0, 1, (float64(i) - (n-1)/2) * pitch, y - height/2}
		if isCode(string(text)) {
			width = min(height, pitch*typeface.Em/w.advance(r))
		}
		if err := w.character(faceOf(string(text)), r, m, width, height); err != nil {
			return err
		}
	}
	return nil
}

// advance is the width of a code's character in 1/1000 of its height.
func (w *drawer) advance(r rune) float64 { return float64(w.fonts.Width(codeFace, string(r))) }

// character fills a glyph, its em stretched to width and height, standing on the
// origin of m and centred on it.
func (w *drawer) character(face string, r rune, m transform, width, height float64) error {
	g, ok, err := w.fonts.Glyph(face, r)
	if err != nil || !ok || typeface.IsSpace(r) {
		return err
	}
	sx, sy := width/typeface.Em, height/typeface.Em
	p := w.begin(transform{sx, 0, 0, sy, -float64(g.Advance()) / 2 * sx, -typeface.Descent * sy}.then(m))
	if err := g.Outline(p); err != nil {
		return fmt.Errorf("drawing %s: %w", typeface.Describe(r), err)
	}
	p.fill()
	return nil
}
