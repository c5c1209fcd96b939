package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"elicence/licence"
	"elicence/licence/render/pdf"
)

// Document is a document that others made (批文、证明), taken apart so that its pages can be
// drawn again as forms of a file of ours. It is kept as JSON, so that a licence that was
// reserved can still be made from it.
type Document struct {
	// First is the number of the first of Objects; it must be FirstDocumentObject.
	First int `json:"first"`
	// Width and Height are those of every page, in points.
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
	// Pages are the numbers of the pages' form XObjects.
	Pages []int `json:"pages"`
	// Objects are what stands between obj and endobj of each.
	Objects [][]byte `json:"objects"`
	// Removed names what the document had and the licence has not.
	Removed []string `json:"removed"`
}

// FirstDocumentObject is the number of the first object of a document.
const FirstDocumentObject = pdf.FirstObject

// ParseDocument reads a document that was taken apart.
func ParseDocument(kept []byte) (*Document, error) {
	d := &Document{}
	if err := json.Unmarshal(kept, d); err != nil {
		return nil, fmt.Errorf("reading a document: %w", err)
	}
	outside := func(n int) bool { return n < d.First || n >= d.First+len(d.Objects) }
	if d.First != FirstDocumentObject || len(d.Pages) == 0 || len(d.Pages) > licence.MaxDocumentPages || slices.ContainsFunc(d.Pages, outside) ||
		!within(d.Width, 1, 3500) || !within(d.Height, 1, 3500) {
		return nil, errors.New("reading a document: it is none that this version keeps")
	}
	return d, nil
}

// BlankDocument is what a preview stands on: pages of A4 without objects, which only
// Preview can draw on.
func BlankDocument(pages int) *Document {
	return &Document{Width: 210 * pt, Height: 297 * pt, Pages: make([]int, pages)}
}

// OnDocument reports whether the layout is that of a block with the symbol, for documents
// that others made, and draws nothing until it is put on one.
func (l *Layout) OnDocument() bool { return l.onDocument }

// On is the layout of a licence that is drawn on a document: its pages, the block with
// the symbol and the seal where at says. The error is a *licence.RequestError when these
// do not lie on its pages.
func (l *Layout) On(d *Document, at *licence.Document) (*Layout, error) {
	w, h := d.Width/pt, d.Height/pt
	var faults []licence.FieldError
	fault := func(field, format string, args ...any) {
		faults = append(faults, licence.FieldError{Field: "document." + field, Code: licence.CodeOutOfRange, Detail: fmt.Sprintf(format, args...)})
	}
	for field, p := range map[string]licence.Place{"qr": at.QR, "seal": at.Seal} {
		if p.Page > len(d.Pages) {
			fault(field+".page", "is not one of the document's %d pages", len(d.Pages))
		}
	}
	if x, y := float64(at.QR.X), float64(at.QR.Y); x+l.page.W > w || y+l.page.H > h {
		fault("qr", "leaves no room for a block of %g by %g mm on a page of %.0f by %.0f mm", l.page.W, l.page.H, w, h)
	}
	if faults != nil {
		return nil, &licence.RequestError{Fields: distinct(faults)}
	}
	return l.placed(d, at), nil
}

// placed is On with places that were checked.
func (l *Layout) placed(d *Document, at *licence.Document) *Layout {
	on, x, y := *l, float64(at.QR.X), float64(at.QR.Y)
	on.document, on.page = d, size{d.Width / pt, d.Height / pt}
	on.pages = make([]sheet, len(d.Pages))
	block := slices.Clone(l.pages[0].elements)
	for i := range block {
		block[i].X, block[i].Y = block[i].X+x, block[i].Y+y
	}
	on.pages[at.QR.Page-1].elements = block
	on.qr.Page, on.qr.X, on.qr.Y = at.QR.Page, l.qr.X+x, l.qr.Y+y
	on.seal.Page, on.seal.X, on.seal.Y = at.Seal.Page, float64(at.Seal.X), float64(at.Seal.Y)
	return &on
}

// form draws page i, counted from 0, of the document. Whatever state the form leaves is
// its own (8.10.1).
func (s *section) form(i int) string {
	if s.document == nil {
		return ""
	}
	return fmt.Sprintf("q /X%d Do Q\n", i+1)
}

// checkOnDocument checks a layout of a block: what makes a page of its own has no place
// in it, and the seal's place comes with the document.
func (p *parser) checkOnDocument() error {
	switch {
	case len(p.pages) != 1 || p.more != nil || len(tables(p.pages)) > 0 || p.portrait != "":
		return p.lineError(p.key("pages"), "the block of a document is one page without a table or a portrait")
	case p.ground != (ground{}) || p.frame.Style != "" || p.frame.Inset != 0 || p.frame.Band != 0 || p.frame.Colours != nil || p.frame.Tint != "":
		return p.lineError(p.key("document"), "the block of a document has neither ground nor frame")
	case p.seal != (sealPlace{}) || p.coSeals != nil || p.riding:
		return p.lineError(p.key("document"), "the place of a document's seal comes with the document, and there is one")
	case !within(p.page.W, 20, 100) || !within(p.page.H, 20, 100):
		return p.lineError(p.key("page"), "the block of a document is 20 to 100 mm wide and high")
	}
	return nil
}

// fits reports whether a symbol and its quiet zone lie on a page.
func fits(q placed, page size, quiet float64) bool {
	return math.Min(q.X, q.Y) >= quiet && q.X+q.Size+quiet <= page.W && q.Y+q.Size+quiet <= page.H
}
