package render

import (
	"errors"
	"math"
	"slices"
	"time"

	"elicence/licence"
	"elicence/licence/render/pdf"
	"elicence/licence/render/typeface"
)

// specimen is written across every page of a preview, in a face and a colour that no
// layout chooses.
const (
	specimen       = "样本"
	specimenFace   = "hei-bold"
	specimenColour = "#e05050"
	specimenAngle  = 30 * math.Pi / 180
)

// Preview draws a licence as its layout would, and crosses every page with 样本, so that
// no part of it passes for a real one: it bears no seal, no slices of one, no QR symbol
// and no attached file, and nothing in it is the licence's identifier but what the layout
// prints of it. Where seals and symbol would be stand their outlines, an even ground where a
// portrait would. lic need not be one that was ever issued. The error is that of Check; a zero
// createdAt is one too, for the same input gives the same bytes.
func (l *Layout) Preview(fonts *Fonts, lic *licence.Licence, createdAt time.Time) ([]byte, error) {
	if createdAt.IsZero() {
		return nil, errors.New("render: creation time is required")
	}
	sections, err := l.lay(fonts, lic)
	if err != nil {
		return nil, err
	}
	d := &drawer{cut: typeface.NewCut(fonts), preview: true}
	parts := make([]pdf.Part, len(sections))
	for i, s := range sections {
		err := d.section(&parts[i], s, func(page, _ int) error {
			s.outlines(d, page)
			return d.cross(s.page)
		})
		if err != nil {
			return nil, err
		}
	}
	font, err := d.font()
	if err != nil {
		return nil, err
	}
	file := document(parts)
	file.Title, file.CreatedAt, file.Font = specimen+"："+lic.TypeName, createdAt, font
	file.Metadata = metadata(&licence.Licence{TypeCode: lic.TypeCode, TypeName: file.Title})
	return pdf.Write(file), nil
}

// outlines draws, dashed, where the symbol and the seals of a page will be.
func (s *section) outlines(d *drawer, page int) {
	var p pen
	p.stroke(specimenColour, 0.2)
	if q := s.qr; q.Page == page {
		p.op("re S", q.X*10, (s.page.H-q.Y-q.Size)*10, q.Size*10, q.Size*10)
	}
	if s.seal.Page == page {
		for _, c := range append(slices.Clone(s.coSeals), s.seal.circle) {
			p.circle(c.X*10, (s.page.H-c.Y)*10, c.Diameter*5)
		}
	}
	d.printf("q %.5f 0 0 %.5f 0 0 cm [8 8] 0 d\n%sQ\n", pt/10, pt/10, p.buf)
}

// cross writes 样本 over the whole page in slanting rows, as outlines: what lies below can
// be read and cannot be cut out. A row's size is an eighth of the page's shorter side.
func (d *drawer) cross(page size) error {
	size := min(page.W, page.H) / 8 // mm
	var glyphs []byte
	for _, r := range specimen {
		n, err := d.cut.Number(specimenFace, r)
		if err != nil {
			return err
		}
		glyphs = append(glyphs, byte(n>>8), byte(n))
	}
	sin, cos := math.Sincos(specimenAngle)
	d.printf("q BT 1 Tr %s RG %.2f w 0 Tc /F1 %.2f Tf\n", rgb(specimenColour), size*pt/60, size*pt)
	for row, y := 0, -size; y < page.H+page.W*sin; row, y = row+1, y+2.2*size {
		for x := -float64(row%2) * 2 * size; x < page.W; x += 4 * size {
			d.buf = append(d.buf, pdf.Span(specimen)...) // slanting characters are extracted one by one
			d.printf("%.4f %.4f %.4f %.4f %.2f %.2f Tm <%x> Tj EMC\n", cos, sin, -sin, cos, x*pt, (y-page.W*sin/4)*pt, glyphs)
		}
	}
	d.printf("ET Q\n")
	return nil
}
