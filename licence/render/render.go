// Package render draws a licence as the pages of a PDF file (证照文件).
//
// Layouts are files (templates/layouts/*/layout.json): this package holds no
// wording of any licence. Text is set in fonts cut to the document's characters
// and can be selected and extracted exactly, in all planes of Unicode; the QR
// symbol (ISO/IEC 18004) and the ornaments are vectors. The seal's picture is
// drawn here too (国发〔1999〕25号), but put on the page by crypto/pdfsig.
//
// Invariants:
//   - the same input gives the same bytes: no clock, no random identifiers;
//   - what cannot be drawn or does not fit is refused by field name, before
//     anything is drawn; nothing is cut off, and no box stands for a character;
//   - no input panics;
//   - pages hold no links, annotations, scripts or actions.
//
// The package signs nothing, stores nothing and decides nothing about licences.
package render

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"elicence/licence"
	"elicence/licence/render/pdf"
	"elicence/licence/render/portrait"
	"elicence/licence/render/qr"
	"elicence/licence/render/typeface"
)

// Input is what is drawn.
type Input struct {
	// Licence gives every printed value; required.
	Licence *licence.Licence
	// QR is the text of the symbol; required.
	QR licence.QRText
	// Attachments are embedded in this order.
	Attachments []Attachment
	// CreatedAt is written as the file's creation and modification date, in UTC;
	// required, for the same input must give the same bytes.
	CreatedAt time.Time
	// SealPicture is what duplicates are drawn with, and the slices that ride across the
	// edges of pages (骑缝章); required when the layout has either. The licence itself
	// bears the seal that signs the file.
	SealPicture *SealPicture
	// Portrait is the picture that portrait.Prepare made; required when the licence names
	// one in the field that the layout shows.
	Portrait []byte
}

// Output is a drawn licence.
type Output struct {
	// PDF is the whole file, one revision.
	PDF []byte
	// Pages counts its pages.
	Pages int
	// Seal is where the seal goes.
	Seal Placement
	// QR is where the symbol was drawn, Duplicates where it was drawn in each duplicate.
	QR         QRBox
	Duplicates []QRBox
	// Strip is where an annotated copy has the symbol once more; zero for a licence.
	Strip QRBox
}

// Placement is a box on a page counted from 1: lower left corner, width and
// height in points.
type Placement struct {
	Page                int
	X, Y, Width, Height float64
}

// Centred is the lower left corner of a picture of the given size in points with
// the same centre: for a seal that is not of the size the layout expects.
func (p Placement) Centred(width, height float64) (x, y float64) {
	return p.X + (p.Width-width)/2, p.Y + (p.Height-height)/2
}

// box is where a symbol of so many modules is drawn in the section whose first page has
// that number.
func (s *section) box(modules, first int) qr.Box {
	return qr.Box{Page: first + s.qr.Page - 1, X: s.qr.X * pt, Y: (s.page.H - s.qr.Y - s.qr.Size) * pt, Size: s.qr.Size * pt, Modules: modules}
}

// Drew reports whether a page's backdrop, as it is encoded in the file, is that of this
// layout's duplicate of a number from 1, or for 0 that of the licence itself.
// Loading proved that it leaves the graphics state as it found it, so that what
// follows it can be read by itself.
func (l *Layout) Drew(duplicate int, backdrop []byte) bool {
	return bytes.Equal(backdrop, l.sections()[duplicate].backdrop.Encoded())
}

// Check reports whether lic can be drawn: every character by some font, every
// text in its box. Called with the widest possible number and identifier, it
// answers for any. The error is a *licence.RequestError naming every field at
// fault; any other error means that a font could not be read.
func (l *Layout) Check(fonts *Fonts, lic *licence.Licence) error {
	_, err := l.lay(fonts, lic)
	return err
}

// SealPlacement is where the seal goes on every licence of this layout.
func (l *Layout) SealPlacement() Placement { return l.placement(l.seal.circle) }

// CoSealPlacements are where the co-seals go, in their order, on the seal's page.
func (l *Layout) CoSealPlacements() (places []Placement) {
	for _, s := range l.coSeals {
		places = append(places, l.placement(s))
	}
	return places
}

func (s *section) placement(c circle) Placement {
	return Placement{Page: s.seal.Page, X: (c.X - c.Diameter/2) * pt, Y: (s.page.H - c.Y - c.Diameter/2) * pt,
		Width: c.Diameter * pt, Height: c.Diameter * pt}
}

// CheckSeals reports whether seals of these sizes, widths and heights in points, can
// stand in their places: those of the co-seals, then the seal's. A seal is seldom of
// the very size that the layout expects.
func (l *Layout) CheckSeals(sizes ...[2]float64) error {
	places := append(slices.Clone(l.coSeals), l.seal.circle)
	if len(sizes) != len(places) {
		return fmt.Errorf("layout %s has places for %d seals, not %d", l.Name, len(places), len(sizes))
	}
	var boxes []extent
	for i, s := range places {
		boxes = append(boxes, extent{s.X, s.Y, sizes[i][0] / pt, sizes[i][1] / pt})
		if fault := l.misplaced(boxes, l.quiet()); fault != "" {
			return fmt.Errorf("layout %s: %s", l.Name, fault)
		}
	}
	own := sizes[len(sizes)-1]
	for _, d := range l.duplicates {
		if fault := d.misplaced([]extent{{d.seal.X, d.seal.Y, own[0] / pt, own[1] / pt}}, d.quiet()); fault != "" {
			return fmt.Errorf("layout %s, duplicate: %s", l.Name, fault)
		}
	}
	return nil
}

// extent is what a seal takes in mm about its centre.
type extent struct{ x, y, w, h float64 }

// misplaced says what is wrong with the place of the last of some seals; "" when
// nothing is. Seals may touch and may not cut each other (GB/T 9704-2012, 7.3.5.1).
func (l *section) misplaced(seals []extent, quiet float64) string {
	const touch, rounding = 0.1, 0.0001 // mm by which sizes may reach over each other, and over an edge
	s, before, q := seals[len(seals)-1], seals[:len(seals)-1], l.qr
	meets := func(x, y, w, h float64) bool {
		return math.Abs(s.x-x) < (s.w+w)/2-touch && math.Abs(s.y-y) < (s.h+h)/2-touch
	}
	if min(s.x-s.w/2, s.y-s.h/2, l.page.W-s.x-s.w/2, l.page.H-s.y-s.h/2) < -rounding {
		return fmt.Sprintf("the seal of %.0f by %.0f mm must lie on a page", s.w, s.h)
	}
	if l.seal.Page == q.Page && meets(q.X+q.Size/2, q.Y+q.Size/2, q.Size+2*quiet, q.Size+2*quiet) {
		return fmt.Sprintf("the seal lies on the QR symbol or its quiet zone of %.1f mm", quiet)
	}
	for _, other := range before {
		if meets(other.x, other.y, other.w, other.h) {
			return "two seals lie on each other"
		}
	}
	return ""
}

// quiet is the width of the quiet zone around the symbol in mm.
func (s *section) quiet() float64 { return qr.QuietZone * s.qr.Size / leastSymbol }

// Portrait is the type's own field whose portrait the layout shows; "" when it shows none.
func (l *Layout) Portrait() string { return l.portrait }

// DrawsSeal reports whether Render needs the seal's picture: for a duplicate, or to ride
// on the pages as soon as a licence has several.
func (l *Layout) DrawsSeal() bool { return l.riding || len(l.duplicates) > 0 }

// Render draws the licence. It refuses what Check refuses, with the same error,
// and a QR text too long for a symbol of version 13.
func (l *Layout) Render(fonts *Fonts, in Input) (Output, error) {
	return l.render(fonts, in, nil)
}

// render draws the licence, or an annotated copy of it.
func (l *Layout) render(fonts *Fonts, in Input, copy *annotation) (Output, error) {
	if err := in.check(l); err != nil {
		return Output{}, err
	}
	if l.onDocument && l.document == nil {
		return Output{}, errors.New("render: the layout needs a document to be put on")
	}
	sections, err := l.lay(fonts, in.Licence)
	if err != nil {
		return Output{}, err
	}
	code, err := qr.Encode(in.QR)
	if err != nil {
		return Output{}, err
	}
	out := Output{Seal: l.SealPlacement()}
	d := &drawer{cut: typeface.NewCut(fonts)}
	if copy != nil {
		copy.place(&out, &l.section, code.Size())
	}
	parts, err := d.sections(sections, in, code, copy, &out)
	if err != nil {
		return Output{}, err
	}
	font, err := d.font()
	if err != nil {
		return Output{}, err
	}
	file := document(parts)
	file.Title, file.CreatedAt, file.Metadata = in.Licence.TypeName, in.CreatedAt, metadata(in.Licence)
	file.Font, file.Portrait, file.Seals, file.Attachments = font, image(in.Portrait), d.forms(), in.Attachments
	file.Bookmarks = bookmarks(out.Pages)
	if l.document != nil {
		file.Objects, file.Forms = l.document.Objects, l.document.Pages
	}
	out.PDF = pdf.Write(file)
	return out, nil
}

// sections draws the pages of a licence and of its duplicates, and says in out where the
// symbols are. copy is nil of a licence itself.
func (d *drawer) sections(sections []laid, in Input, code *qr.Symbol, copy *annotation, out *Output) ([]pdf.Part, error) {
	parts := make([]pdf.Part, len(sections))
	for i, s := range sections {
		box := s.box(code.Size(), out.Pages+1)
		err := d.section(&parts[i], s, func(page, pages int) (err error) {
			if copy == nil {
				err = d.seals(s.section, in.SealPicture, i > 0, page, pages)
			} else {
				err = copy.over(d, s.section, i > 0, page)
			}
			if err != nil {
				return err
			}
			if out.Pages++; out.Pages == box.Page {
				d.buf = box.Append(d.buf, code)
			}
			if copy != nil && out.Pages == 1 {
				d.buf = out.Strip.Append(append(d.buf, '\n'), code)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if copy != nil {
			copy.enlarge(&parts[i])
		}
		if i == 0 {
			out.QR = box
		} else {
			out.Duplicates = append(out.Duplicates, box)
		}
	}
	return parts, nil
}

// document is a file of some parts.
func document(parts []pdf.Part) pdf.Document {
	first := parts[0]
	return pdf.Document{Width: first.Width, Height: first.Height, Backdrop: first.Backdrop, Pages: first.Pages, More: parts[1:]}
}

// image is a portrait as the file has it; nil when there is none.
func image(jpeg []byte) *pdf.Image {
	if jpeg == nil {
		return nil
	}
	return &pdf.Image{JPEG: jpeg, Width: portrait.Width, Height: portrait.Height}
}

// bookmarks are one for each of several pages.
func bookmarks(pages int) (titles []string) {
	for n := 1; n <= pages && pages > 1; n++ {
		titles = append(titles, fmt.Sprintf("第%d页", n))
	}
	return titles
}

// seals draws what a page shows of the seal besides the signature: its slice at the right
// edge, half-way up, and in a duplicate the whole. It is page content, which the one seal
// signature covers.
func (d *drawer) seals(s *section, p *SealPicture, duplicate bool, page, pages int) error {
	rides, whole := s.riding && pages > 1, duplicate && page == s.seal.Page
	if (rides || whole) && (p == nil || p.Width <= 0) {
		return errors.New("render: the layout needs the picture of the seal")
	}
	if rides {
		d.strip(p, page-1, pages, s.page.W*pt-p.Width/float64(pages), (s.page.H*pt-p.Height)/2)
	}
	if whole {
		x, y := s.placement(s.seal.circle).Centred(p.Width, p.Height)
		d.strip(p, 0, 1, x, y)
	}
	return nil
}

// check looks at what lay does not.
func (in Input) check(l *Layout) error {
	if in.Licence == nil || in.CreatedAt.IsZero() {
		return errors.New("render: licence and creation time are required")
	}
	named := ""
	if l.portrait != "" {
		named, _ = in.Licence.Fields[l.portrait].(string)
	}
	if (named != "") != (in.Portrait != nil) || named != "" && named != licence.PortraitReference(in.Portrait) {
		return errors.New("render: the portrait is not the one that the licence names")
	}
	if len(in.Attachments) > 9 {
		return errors.New("render: more than 9 attachments")
	}
	for _, a := range in.Attachments {
		if a.Name == "" || !isPlain(a.Name) || !isPlain(a.Description) {
			return errors.New("render: an attachment's name and description must be printable ASCII")
		}
	}
	return nil
}

// isPlain reports whether s is printable ASCII.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

var forXML = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// metadata is the XMP packet: identifier, type and kind of holder, no personal data. The
// last is of no known vocabulary; its namespace is the arc of object identifiers that
// crypto/pki uses.
func metadata(lic *licence.Licence) []byte {
	escape := forXML.Replace
	return []byte(`<?xpacket begin="` + "\ufeff" + `" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:elicence="urn:oid:2.25.561737094#">
<dc:identifier>` + escape(string(lic.Identifier)) + `</dc:identifier>
<dc:type><rdf:Bag><rdf:li>` + escape(lic.TypeCode) + `</rdf:li></rdf:Bag></dc:type>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">` + escape(lic.TypeName) + `</rdf:li></rdf:Alt></dc:title>
<elicence:holderKind>` + string(lic.Holder.Kind()) + `</elicence:holderKind>
` + copyMetadata(lic.Copy, escape) + `</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>`)
}
