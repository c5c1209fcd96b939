package render

import (
	"errors"
	"math"
	"slices"
	"strings"

	"elicence/licence"
	"elicence/licence/render/pdf"
	"elicence/licence/render/qr"
)

// The watermark of a copy, and what is written across the pictures of seals in it: outlines,
// in a face of their own, so that what lies below can be read and they cannot be overlooked.
const (
	watermarkFace   = "hei-bold"
	watermarkColour = "#dd7777"
	watermarkSize   = 6.5 // mm
	watermarkRow    = 24  // mm from row to row
	watermarkAngle  = 28 * math.Pi / 180
	watermarkGap    = 2 // sizes between two repetitions

	pictureMark   = "印章图像"
	pictureColour = "#0b4a8f"
)

// annotation is what a copy has that the licence has not: a strip above every page, a
// watermark, and pictures where the licence bears seals.
type annotation struct {
	strip    *Layout
	placed   plan
	text     string // of the watermark
	pictures []*SealPicture
	shift    float64 // of the strip to the right, points
}

// RenderCopy draws an annotated copy (加注件) of a licence, whose data say for whom, for what
// and until when: every page of the licence, across it a watermark that says the same, and
// above it the strip of a layout of its own, with the symbol and the place of the maker's
// seal. Where the licence bears seals stand pictures of them that are marked as pictures; nil
// stands for one that there is none of. pictures are those of the co-seals, in their order,
// then the issuing authority's. The error is that of Check, and names the cause "purpose".
func (l *Layout) RenderCopy(fonts *Fonts, in Input, strip *Layout, pictures []*SealPicture) (Output, error) {
	if len(pictures) != len(l.coSeals)+1 {
		return Output{}, errors.New("render: a copy needs a picture for each seal")
	}
	placed, err := strip.annotate(fonts, in.Licence)
	if err != nil {
		return Output{}, err
	}
	c := in.Licence.Copy
	text := "加注件　仅用于" + c.Receiver.Name + "：" + c.Cause + "　有效期至" + c.ExpiresOn.String()
	return l.render(fonts, in, &annotation{strip: strip, placed: placed, text: text, pictures: pictures})
}

// CheckCopy reports whether the strip above the pages of a copy can be drawn, as Check does.
func (l *Layout) CheckCopy(fonts *Fonts, lic *licence.Licence) error {
	_, err := l.annotate(fonts, lic)
	return err
}

// annotate places what a copy says of itself on the strip.
func (l *Layout) annotate(fonts *Fonts, lic *licence.Licence) (plan, error) {
	if lic == nil || lic.Copy == nil {
		return plan{}, errors.New("render: a copy needs data of a copy")
	}
	c := lic.Copy
	laid, err := l.lay(fonts, &licence.Licence{
		TypeName: lic.TypeName, Number: string(c.ID), Identifier: lic.Identifier, Authority: licence.IssuingAuthority{Name: c.Maker.Name},
		Fields: map[string]any{
			"receiver": c.Receiver.Name, "purpose": c.Cause, "case_number": c.CaseNumber, "expires_on": c.ExpiresOn.String(),
			"created_at": licence.Local(c.CreatedAt).Format("2006年1月2日 15:04:05"),
		},
	})
	if err != nil {
		return plan{}, asRequested(err)
	}
	return laid[0].plans[0], nil
}

// asRequested names faults in the strip as the fields of a request for a copy.
func asRequested(err error) error {
	var invalid *licence.RequestError
	if errors.As(err, &invalid) {
		for i := range invalid.Fields {
			invalid.Fields[i].Field = strings.TrimPrefix(invalid.Fields[i].Field, "fields.")
		}
	}
	return err
}

// place says where the first page has the maker's seal and the strip's symbol.
func (a *annotation) place(out *Output, first *section, modules int) {
	up := first.page.H * pt
	a.shift = max(0, (first.page.W-a.strip.page.W)*pt/2)
	seal, box := a.strip.SealPlacement(), a.strip.box(modules, 1)
	out.Seal = Placement{Page: 1, X: seal.X + a.shift, Y: seal.Y + up, Width: seal.Width, Height: seal.Height}
	out.Strip = qr.Box{Page: 1, X: box.X + a.shift, Y: box.Y + up, Size: box.Size, Modules: modules}
}

// enlarge makes room for the strip above the pages of a part.
func (a *annotation) enlarge(p *pdf.Part) {
	p.Width, p.Height = max(p.Width, a.strip.page.W*pt), p.Height+a.strip.page.H*pt
}

// over draws what lies over a page of a section, and above it. The symbol comes later, on
// white of its own.
func (a *annotation) over(d *drawer, s *section, duplicate bool, page int) error {
	if err := a.watermark(d, s.page); err != nil {
		return err
	}
	if page == s.seal.Page {
		places, pictures := append(slices.Clone(s.coSeals), s.seal.circle), a.pictures
		if duplicate {
			pictures = pictures[len(pictures)-1:] // a duplicate has no co-seals
		}
		for i, c := range places {
			if err := a.picture(d, s.placement(c), pictures[i]); err != nil {
				return err
			}
		}
	}
	shift := max(0, (s.page.W-a.strip.page.W)*pt/2)
	d.printf("q 1 g 0 %.2f %.2f %.2f re f 1 0 0 1 %.2f 0 cm\n", s.page.H*pt, max(s.page.W, a.strip.page.W)*pt+1, a.strip.page.H*pt+1, shift)
	d.height = s.page.H + a.strip.page.H
	err := d.page(&a.placed)
	d.height = s.page.H
	d.printf("Q\n")
	return err
}

// picture draws a picture of a seal and crosses it as one.
func (a *annotation) picture(d *drawer, place Placement, p *SealPicture) error {
	if p != nil {
		x, y := place.Centred(p.Width, p.Height)
		d.strip(p, 0, 1, x, y)
	} else {
		var ring pen
		ring.stroke(pictureColour, 0.3)
		ring.circle((place.X+place.Width/2)/pt*10, (place.Y+place.Height/2)/pt*10, place.Width/pt*5)
		d.printf("q %.5f 0 0 %.5f 0 0 cm [8 8] 0 d\n%sQ\n", pt/10, pt/10, ring.buf)
	}
	size := place.Width / 5.5
	glyphs, width, err := d.outline(pictureMark)
	if err != nil {
		return err
	}
	sin, cos := math.Sincos(watermarkAngle)
	x, y := place.X+place.Width/2-width*size*cos/2+size*sin/3, place.Y+place.Height/2-width*size*sin/2-size*cos/3
	d.printf("q BT 1 Tr %s RG %.2f w 0 Tc /F1 %.2f Tf\n", rgb(pictureColour), size/24, size)
	d.buf = append(d.buf, pdf.Span(pictureMark)...)
	d.printf("%.4f %.4f %.4f %.4f %.2f %.2f Tm <%x> Tj EMC\nET Q\n", cos, sin, -sin, cos, x, y, glyphs)
	return nil
}

// outline gives the glyphs of a text in the watermark's face and its width in sizes.
func (d *drawer) outline(text string) (glyphs []byte, width float64, err error) {
	for _, r := range text {
		n, err := d.cut.Number(watermarkFace, r)
		if err != nil {
			return nil, 0, err
		}
		glyphs = append(glyphs, byte(n>>8), byte(n))
		width += float64(d.cut.Width(n)) / 1000
	}
	return glyphs, width, nil
}

// watermark writes the text across the page in slanting rows, each of which begins a third
// of the text further on than the one below: a long text too can be read in some place.
func (a *annotation) watermark(d *drawer, page size) error {
	glyphs, width, err := d.outline(a.text)
	if err != nil {
		return err
	}
	sin, cos := math.Sincos(watermarkAngle)
	const size = watermarkSize * pt
	step, long := (width+watermarkGap)*size, (page.W*cos+page.H*sin)*pt // of a row
	d.printf("q BT 1 Tr %s RG %.2f w 0 Tc /F1 %.2f Tf\n", rgb(watermarkColour), size/55, size)
	// In a frame turned about the lower left corner rows are level: across it run from
	// -W·sin to H·cos, along it from 0 to long.
	for row, v := 0, -page.W*sin*pt; v < page.H*cos*pt; row, v = row+1, v+watermarkRow*pt {
		for u := -math.Mod(float64(row)*step/3, step); u < long; u += step {
			d.buf = append(d.buf, pdf.Span(a.text)...)
			d.printf("%.4f %.4f %.4f %.4f %.2f %.2f Tm <%x> Tj EMC\n", cos, sin, -sin, cos, u*cos-v*sin, u*sin+v*cos, glyphs)
		}
	}
	d.printf("ET Q\n")
	return nil
}

// copyMetadata are the elements of GB/T 36903 that a copy alone has, for the XMP packet.
func copyMetadata(c *licence.Copy, escape func(string) string) string {
	var b strings.Builder
	for _, e := range c.Elements() {
		b.WriteString("<elicence:" + e.Pinyin + ">" + escape(e.Value) + "</elicence:" + e.Pinyin + ">\n")
	}
	return b.String()
}
