package sealpicture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"elicence/licence"
	"elicence/licence/render/typeface"
)

// Shape is the outline of a seal.
type Shape string

// The shapes. Official seals are round (国发〔1999〕25号, 一); the others are for
// special purposes (专用章), which have to look different (二十二).
const (
	Round     Shape = "round"
	Oval      Shape = "oval"
	Rectangle Shape = "rectangle"
)

// Centre is what stands in the middle of a seal without an emblem.
type Centre string

// The centres. The zero Centre is a star on a round seal and none on any other.
const (
	Star Centre = "star"
	None Centre = "none"
)

// Design says how a seal looks. Name and size are required. Its JSON form is what
// ParseDesign reads.
type Design struct {
	// Shape is Round when empty.
	Shape Shape `json:"shape,omitempty"`
	// DiameterMM is the outer diameter of a round seal, 38 to 60 mm.
	DiameterMM int `json:"diameter_mm,omitempty"`
	// WidthMM and HeightMM are the size of any other: 38 to 60 by 24 to 45 mm oval, 30
	// to 60 by 10 to 40 mm rectangular, wider than high.
	WidthMM  int `json:"width_mm,omitempty"`
	HeightMM int `json:"height_mm,omitempty"`
	// Name is the unit's full name, 4 to 30 characters, along the upper arc from left
	// to right; on a rectangle it is the first line.
	Name string `json:"name"`
	// Lower is a line across below the centre such as 行政审批专用章, at most 12
	// characters.
	Lower string `json:"lower,omitempty"`
	// Arc stands along the lower arc, at most 18 characters: the 13 digits of a
	// registered seal, small, or another text. Not on a rectangle.
	Arc string `json:"arc,omitempty"`
	// Middle is a line across the centre of an oval such as a credit code, at most 18
	// characters.
	Middle string `json:"middle,omitempty"`
	// Centre is what stands in the middle, unless Emblem is given.
	Centre Centre `json:"centre,omitempty"`
	// Emblem stands in the middle of a round seal.
	Emblem *Emblem `json:"emblem,omitempty"`
	// InnerRing adds a fine line inside the border.
	InnerRing bool `json:"inner_ring,omitempty"`
}

// maxDesignFile is room for the largest emblem, in JSON.
const maxDesignFile = 2 * maxEmblemFile

// ParseDesign reads a design from JSON, without drawing it.
func ParseDesign(file []byte) (d Design, err error) {
	if len(file) > maxDesignFile {
		return Design{}, fmt.Errorf("seal design of %d bytes, over the limit of %d", len(file), maxDesignFile)
	}
	decoder := json.NewDecoder(bytes.NewReader(file))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return Design{}, fmt.Errorf("reading seal design: %w", err)
	}
	return d, nil
}

// size is the true width and height in mm.
func (d Design) size() (width, height int) {
	if d.round() {
		return d.DiameterMM, d.DiameterMM
	}
	return d.WidthMM, d.HeightMM
}

func (d Design) round() bool { return d.Shape == "" || d.Shape == Round }

// starred reports whether a star stands in the middle.
func (d Design) starred() bool {
	return d.Emblem == nil && (d.Centre == Star || d.Centre == "" && d.round())
}

// check refuses what cannot be drawn, or would not look like a seal.
func (d Design) check(fonts *typeface.Fonts) error {
	if err := d.checkShape(); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(d.Name); n < 4 {
		return typeface.Refused("name", licence.CodeTooShort, "of a seal must have 4 characters or more")
	}
	for _, text := range []struct {
		field, value string
		most         int
	}{{"name", d.Name, 30}, {"lower", d.Lower, 12}, {"arc", d.Arc, 18}, {"middle", d.Middle, 18}} {
		if utf8.RuneCountInString(text.value) > text.most {
			return typeface.Refused(text.field, licence.CodeTooLong, "of a seal must have %d characters or fewer", text.most)
		}
		if err := fonts.CheckFace(faceOf(text.value), text.field, text.value); err != nil {
			return err
		}
	}
	return nil
}

// checkShape checks the size, and that what is asked for belongs to the shape.
func (d Design) checkShape() error {
	oval, rectangle := d.Shape == Oval, d.Shape == Rectangle
	switch {
	case !d.round() && !oval && !rectangle:
		return typeface.Refused("shape", licence.CodeNotAllowed, "must be round, oval or rectangle")
	case d.round() && (d.DiameterMM < 38 || d.DiameterMM > MaxMM):
		return typeface.Refused("diameter_mm", licence.CodeOutOfRange, "must be 38 to 60 mm")
	case oval && (d.WidthMM < 38 || d.WidthMM > MaxMM), rectangle && (d.WidthMM < 30 || d.WidthMM > MaxMM):
		return typeface.Refused("width_mm", licence.CodeOutOfRange, "must be 38 to 60 mm of an oval and 30 to 60 mm of a rectangle")
	case oval && (d.HeightMM < 24 || d.HeightMM > 45), rectangle && (d.HeightMM < 10 || d.HeightMM > 40), !d.round() && d.HeightMM >= d.WidthMM:
		return typeface.Refused("height_mm", licence.CodeOutOfRange, "must be 24 to 45 mm of an oval, 10 to 40 mm of a rectangle, and less than the width")
	case d.Centre != "" && d.Centre != Star && d.Centre != None:
		return typeface.Refused("centre", licence.CodeNotAllowed, "must be star or none")
	case d.Centre == Star && (rectangle || d.Middle != "" || d.Emblem != nil):
		return typeface.Refused("centre", licence.CodeNotAllowed, "must be none on a rectangle and beside an emblem or a middle line")
	case d.Emblem != nil && !d.round():
		return typeface.Refused("emblem", licence.CodeNotAllowed, "belongs on a round seal")
	case d.Middle != "" && !oval:
		return typeface.Refused("middle", licence.CodeNotAllowed, "belongs on an oval seal")
	case d.Arc != "" && rectangle:
		return typeface.Refused("arc", licence.CodeNotAllowed, "does not belong on a rectangle")
	}
	return nil
}

// measures are those of a seal of 42 mm (round), of 30 mm in height (oval) or of
// any size (rectangle), in mm.
type measures struct {
	ring   float64 // width of the border
	gap    float64 // between border and name
	name   float64 // height of 12 characters or fewer
	most   float64 // the angle between first and last character, of 360
	above  float64 // the same above a lower line
	pitch  float64 // the angle between two, at most
	lower  float64 // height of the lower line
	wide   float64 // its width, at most, times that of the seal over its height
	under  float64 // from the centre down to the lower line
	middle float64 // height of the middle line
}

var measured = map[Shape]measures{
	// Ring and star of a company seal: 1.2 mm, tips on 14 mm; the rest is inferred.
	Round: {ring: 1.2, gap: 1.0, name: 6.3, most: 286, above: 244, pitch: 33, lower: 4.2, wide: 20, under: 10.4},
	// 国家税务总局公告2011年第7号: border 1, name 4.2 at 0.5 from it in 210° to 260°,
	// middle 3.7 (digits), lower line 4.6 at 4.2 below the centre.
	Oval:      {ring: 1, gap: 0.5, name: 4.2, most: 245, above: 225, pitch: 26, lower: 4.6, wide: 12.5, under: 4.2, middle: 5},
	Rectangle: {ring: 0.8, gap: 1.2},
}

// Measures of small things on every seal that has them, in mm.
const (
	starRadius = 7.0  // of the circle through the tips
	emblemSide = 15.5 // of the square around an emblem
	innerGap   = 0.5  // between border and inner ring
	innerRing  = 0.25
	digitEm    = 2.6 // of the digits along the lower arc, which are 1.9 high
	digitPitch = 1.75
	wordHeight = 3.6 // of other text along the lower arc
)

// scale is what the measures are multiplied by.
func (d Design) scale() float64 {
	switch d.Shape {
	case Oval:
		return float64(d.HeightMM) / 30
	case Rectangle:
		return 1
	}
	return float64(d.DiameterMM) / 42
}

// drawer puts the parts of one design on its canvas.
type drawer struct {
	Design
	measures
	*canvas
	fonts *typeface.Fonts
	edge  ellipse // the inner edge of the border, or half a rectangle's width and height
}

func (d Design) draw(fonts *typeface.Fonts, c *canvas) error {
	shape := d.Shape
	if d.round() {
		shape = Round
	}
	width, height := d.size()
	w := &drawer{Design: d, measures: measured[shape], canvas: c, fonts: fonts}
	w.edge = ellipse{float64(width) / 2 / d.scale(), float64(height) / 2 / d.scale()}
	w.border(w.ring)
	if d.InnerRing {
		w.edge = w.edge.less(innerGap)
		w.border(innerRing)
	}
	if shape == Rectangle {
		return w.rows()
	}
	w.heart()
	if err := w.arcs(); err != nil {
		return err
	}
	return w.lines()
}

// border draws a border of some width just within the edge, and moves the edge.
func (w *drawer) border(width float64) {
	inner := w.edge.less(width)
	p := w.begin(identity)
	if w.Shape == Rectangle {
		p.rectangle(w.edge, false)
		p.rectangle(inner, true)
	} else {
		p.ellipse(w.edge, false)
		p.ellipse(inner, true)
	}
	p.fill()
	w.edge = inner
}

// heart draws star or emblem.
func (w *drawer) heart() {
	switch {
	case w.Emblem != nil:
		w.Emblem.draw(w.canvas, emblemSide)
	case w.starred():
		w.canvas.star(starRadius * min(1, w.edge.b/20))
	}
}

// arcs sets the text along the lower arc, and the name in what room that leaves.
func (w *drawer) arcs() error {
	room := w.most
	if w.Lower != "" {
		room = w.above
	}
	if w.Arc != "" {
		taken, err := w.lowerArc()
		if err != nil {
			return err
		}
		room = min(room, taken)
	}
	name := []rune(w.Name)
	n := float64(len(name))
	height := w.name * min(1, 1-(n-12)*0.011)
	span := min(room, 58+17.5*n, (n-1)*w.pitch)
	line := w.edge.less(w.gap + height/2)
	pitch := span / 360 * line.length() / (n - 1)
	feet := pitch * w.edge.less(w.gap+height).length() / line.length()
	width := min(0.84*height, feet)
	if width < 0.38*height {
		return typeface.Refused("name", licence.CodeTooLong, "has no room beside the text along the lower arc")
	}
	return w.along(name, line, pitch, width, height, false)
}

// lowerArc sets the text along the lower arc; room is the angle it leaves between
// the name's first and last character, of 360.
func (w *drawer) lowerArc() (room float64, err error) {
	text := []rune(w.Arc)
	pitch, width, height := digitPitch, digitEm, digitEm
	if !isCode(w.Arc) {
		pitch, width, height = wordHeight, 0.84*wordHeight, wordHeight
	}
	line := w.edge.less(w.gap*0.8 + height*0.42)
	taken := (float64(len(text)-1)*pitch + width) / line.length() * 360
	return 360 - taken - 40, w.along(text, line, pitch, width, height, true)
}

// lines sets the straight lines.
func (w *drawer) lines() error {
	under := w.under
	if w.Arc != "" && w.round() {
		under -= 1
	}
	if err := w.across([]rune(w.Middle), 0, w.middle, 26*w.edge.a/19); err != nil {
		return err
	}
	return w.across([]rune(w.Lower), -under-w.lower/2, w.lower, w.wide*w.edge.a/w.edge.b)
}

// rows sets a rectangle's lines: the name in two when one would be too narrow, and
// the lower line.
func (w *drawer) rows() error {
	inside := w.edge.less(w.gap)
	rows := [][]rune{[]rune(w.Name)}
	if n := len(rows[0]); w.Lower != "" {
		rows = append(rows, []rune(w.Lower))
	} else if n > 8 {
		rows = [][]rune{rows[0][:(n+1)/2], rows[0][(n+1)/2:]}
	}
	pitch := 2 * inside.b / float64(len(rows))
	for i, row := range rows {
		height := min(0.9*pitch, 1.9*2*inside.a/float64(len(row)))
		y := inside.b - (float64(i)+0.5)*pitch
		if err := w.across(row, y, height, 2*inside.a); err != nil {
			return err
		}
	}
	return nil
}
