package render

import "math"

// Preview draws a sample as Render draws a licence, with 样本 across every page, so that
// nobody takes it for one. It has no riding seal.
func (l *Layout) Preview(fonts *Fonts, in Input) (Output, error) {
	in.sample = true
	return l.Render(fonts, in)
}

// The words across a sample, and their colour.
const (
	sampleText   = "样本"
	sampleFace   = "hei-bold"
	sampleColour = "#c01818"
)

// cross writes 样本 along the page's diagonal, as outlines: what is below stays legible.
func (d *drawer) cross(page size) error {
	side := math.Hypot(page.W, page.H) * pt / 4 // of a character
	cos, sin := page.W/math.Hypot(page.W, page.H), page.H/math.Hypot(page.W, page.H)
	d.printf("\nq BT /F1 %.2f Tf 1 Tr 1.2 w %s RG %.4f %.4f %.4f %.4f %.2f %.2f Tm <", side, rgb(sampleColour),
		cos, sin, -sin, cos, page.W*pt/2-side*cos+side*0.35*sin, page.H*pt/2-side*sin-side*0.35*cos)
	for _, r := range sampleText {
		n, err := d.cut.Number(sampleFace, r)
		if err != nil {
			return err
		}
		d.printf("%04x", n)
	}
	d.printf("> Tj ET Q\n")
	return nil
}
