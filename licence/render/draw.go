package render

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
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
	// preview draws an even ground for a portrait, which a preview has none of.
	preview bool
	// pictured are the pictures of seals drawn so far, by their numbers in the file.
	pictured []*SealPicture

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

// section draws the pages of one section into a part of the file; over is called on each,
// with its number in the section, for what lies over it.
func (d *drawer) section(out *pdf.Part, s laid, over func(page, pages int) error) error {
	d.height = s.page.H
	*out = pdf.Part{Width: s.page.W * pt, Height: s.page.H * pt, Backdrop: s.backdrop}
	for i := range s.plans {
		d.buf = make([]byte, 0, 1<<15)
		if !d.preview {
			d.printf("%s", s.form(i))
		}
		if err := d.page(&s.plans[i]); err != nil {
			return err
		}
		if err := over(i+1, len(s.plans)); err != nil {
			return err
		}
		out.Pages = append(out.Pages, d.buf)
	}
	return nil
}

// page draws one placed page: lines, boxes and portraits, then text.
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

// portraitGround stands for a portrait in a preview.
const portraitGround = "#d8dde3"

// box draws a line, a box or a portrait.
func (d *drawer) box(e element) {
	x, y, w, h := e.X*pt, (d.height-e.Y)*pt, e.W*pt, -e.H*pt
	stroke := e.Stroke
	if stroke == 0 {
		stroke = 0.25
	}
	switch {
	case e.Kind == "portrait" && d.preview:
		d.printf("q %s rg %.2f %.2f %.2f %.2f re f Q\n", rgb(portraitGround), x, y, w, h)
	case e.Kind == "portrait":
		d.printf("q %.2f 0 0 %.2f %.2f %.2f cm /%s Do Q\n", w, -h, x, y+h, pdf.PortraitName)
	case e.Kind == "line":
		d.printf("q %s RG %.2f w %.2f %.2f m %.2f %.2f l S Q\n", rgb(e.Colour), stroke*pt, x, y, x+w, y+h)
	case e.Fill != "":
		d.printf("q %s rg %.2f %.2f %.2f %.2f re f Q\n", rgb(e.Fill), x, y, w, h)
	default:
		d.printf("q %s RG %.2f w %.2f %.2f %.2f %.2f re S Q\n", rgb(e.Colour), stroke*pt, x, y, w, h)
	}
}

// strip draws strip i, from 0, of n upright strips of equal width of a seal's picture, its
// lower left corner at x, y of the page (骑缝章), and paints nothing outside it: it clips to it.
func (d *drawer) strip(p *SealPicture, i, n int, x, y float64) {
	number := slices.Index(d.pictured, p)
	if number < 0 {
		number, d.pictured = len(d.pictured), append(d.pictured, p)
	}
	width := p.Width / float64(n)
	d.printf("q %.3f %.3f %.3f %.3f re W n 1 0 0 1 %.3f %.3f cm /%s Do Q\n", x, y, width, p.Height, x-float64(i)*width, y, pdf.SealName(number))
}

// forms are the pictures of seals that were drawn.
func (d *drawer) forms() (all []pdf.Form) {
	for _, p := range d.pictured {
		all = append(all, pdf.Form{Width: p.Width, Height: p.Height, Content: p.Form})
	}
	return all
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
	d.buf = strconv.AppendFloat(append(d.buf, "1 0 0 1 "...), l.x*pt, 'f', 2, 64)
	d.buf = strconv.AppendFloat(append(d.buf, ' '), (d.height-l.y)*pt, 'f', 2, 64)
	d.buf = append(d.buf, " Tm <"...)
	for _, r := range l.text {
		n, err := d.cut.Number(face, r)
		if err != nil {
			return err
		}
		d.buf = hex.AppendEncode(d.buf, []byte{byte(n >> 8), byte(n)})
	}
	d.buf = append(d.buf, "> Tj\n"...)
	return nil
}
