package render

import (
	"fmt"
	"strings"

	"elicence/licence/render/pdf"
	"elicence/licence/render/typeface"
)

// drawer turns placed pages into operators (ISO 32000-1, annex A), and collects
// the glyphs of all of them.
type drawer struct {
	cut    *typeface.Cut
	height float64 // of the page, mm
	buf    []byte

	// What is set on the page, so that it is said once.
	size, spacing float64
	colour        string
}

// font is what the pages drawn so far need.
func (d *drawer) font() (pdf.Font, error) {
	data, err := d.cut.Bytes()
	if err != nil {
		return pdf.Font{}, err
	}
	return pdf.Font{Data: data, Widths: d.cut.Widths(), Runes: d.cut.Runes(),
		Ascent: typeface.Ascent, Descent: typeface.Descent, Box: typeface.Box()}, nil
}

func (d *drawer) printf(format string, args ...any) { d.buf = fmt.Appendf(d.buf, format, args...) }

// page draws one placed page: lines and boxes, then text.
func (d *drawer) page(p *plan) error {
	for _, e := range p.boxes {
		d.box(e)
	}
	d.size, d.spacing, d.colour = 0, 0, ""
	d.printf("BT\n")
	for _, r := range p.runs {
		if err := d.run(r); err != nil {
			return err
		}
	}
	d.printf("ET\n")
	return nil
}

// box draws a line or a box.
func (d *drawer) box(e element) {
	x, y, w, h := e.X*pt, (d.height-e.Y)*pt, e.W*pt, -e.H*pt
	stroke := e.Stroke
	if stroke == 0 {
		stroke = 0.25
	}
	switch {
	case e.Kind == "line":
		d.printf("q %s RG %.2f w %.2f %.2f m %.2f %.2f l S Q\n", rgb(e.Colour), stroke*pt, x, y, x+w, y+h)
	case e.Fill != "":
		d.printf("q %s rg %.2f %.2f %.2f %.2f re f Q\n", rgb(e.Fill), x, y, w, h)
	default:
		d.printf("q %s RG %.2f w %.2f %.2f %.2f %.2f re S Q\n", rgb(e.Colour), stroke*pt, x, y, w, h)
	}
}

// run draws one text. A text of several lines, or with room between its
// characters, says as a whole what is to be extracted, so that it comes out in
// one piece beside another column.
func (d *drawer) run(r run) error {
	if r.size != d.size {
		d.size = r.size
		d.printf("/F1 %s Tf\n", trim(r.size))
	}
	if r.colour != d.colour {
		d.colour = r.colour
		d.printf("%s rg\n", rgb(r.colour))
	}
	pieces := len(r.lines) > 1 || r.lines[0].extra != 0
	if pieces {
		var whole strings.Builder
		for _, l := range r.lines {
			whole.WriteString(l.text)
		}
		d.buf = append(d.buf, pdf.Span(whole.String())...)
	}
	for _, l := range r.lines {
		if err := d.line(r.face, l); err != nil {
			return err
		}
	}
	if pieces {
		d.printf("EMC\n")
	}
	return nil
}

// line shows one line by the numbers of its glyphs.
func (d *drawer) line(face string, l line) error {
	if l.extra != d.spacing {
		d.spacing = l.extra
		d.printf("%s Tc\n", trim(l.extra*pt))
	}
	d.printf("1 0 0 1 %.2f %.2f Tm <", l.x*pt, (d.height-l.y)*pt)
	for _, r := range l.text {
		n, err := d.cut.Number(face, r)
		if err != nil {
			return err
		}
		d.printf("%04x", n)
	}
	d.printf("> Tj\n")
	return nil
}
