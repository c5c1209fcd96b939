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
	"strings"
	"time"
	"unicode/utf16"

	"codeberg.org/go-pdf/fpdf"

	"elicence/licence"
	"elicence/licence/render/qr"
	"elicence/licence/render/typeface"
)

// Attachment is a file embedded in the PDF.
type Attachment struct {
	// Name is the file name, "licence.json".
	Name string
	// Description says in a sentence what the file is.
	Description string
	// MIMEType is for callers' tables; the PDF writer has no place for it.
	MIMEType string
	// Data are the file's bytes.
	Data []byte
}

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
}

// Output is a drawn licence.
type Output struct {
	// PDF is the whole file, one revision.
	PDF []byte
	// Pages counts its pages.
	Pages int
	// Seal is where the seal goes.
	Seal Placement
	// QR is where the symbol was drawn.
	QR QRBox
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

// box is where a symbol of so many modules is drawn in the layout.
func (l *Layout) box(modules int) qr.Box {
	return qr.Box{Page: l.qr.Page, X: l.qr.X * pt, Y: (l.page.H - l.qr.Y - l.qr.Size) * pt, Size: l.qr.Size * pt, Modules: modules}
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
func (l *Layout) SealPlacement() Placement {
	s := l.seal
	return Placement{Page: s.Page, X: (s.X - s.Diameter/2) * pt, Y: (l.page.H - s.Y - s.Diameter/2) * pt,
		Width: s.Diameter * pt, Height: s.Diameter * pt}
}

// Render draws the licence. It refuses what Check refuses, with the same error,
// and a QR text too long for a symbol of version 13.
func (l *Layout) Render(fonts *Fonts, in Input) (Output, error) {
	if err := in.check(); err != nil {
		return Output{}, err
	}
	plans, err := l.lay(fonts, in.Licence)
	if err != nil {
		return Output{}, err
	}
	code, err := qr.Encode(in.QR)
	if err != nil {
		return Output{}, err
	}
	font, err := cutFor(fonts, plans)
	if err != nil {
		return Output{}, err
	}
	box := l.box(code.Size())
	w := writer{Fpdf: l.document(in), fonts: fonts, font: font}
	if err := w.useFont(); err != nil {
		return Output{}, err
	}
	for i := range plans {
		w.AddPage()
		w.RawWriteStr(l.backdrop)
		w.page(&plans[i], l.page.H)
		if i+1 == box.Page {
			w.RawWriteStr(box.Operators(code))
		}
	}
	buf := bytes.NewBuffer(make([]byte, 0, 1<<17))
	if err := w.Output(buf); err != nil {
		return Output{}, fmt.Errorf("writing PDF: %w", err)
	}
	return Output{PDF: setVersion(buf.Bytes()), Pages: len(plans), Seal: l.SealPlacement(), QR: box}, nil
}

// check looks at what lay does not: fpdf would stumble over a file name that is
// not plain.
func (in Input) check() error {
	if in.Licence == nil || in.CreatedAt.IsZero() {
		return errors.New("render: licence and creation time are required")
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

// setVersion corrects the header, which says 1.3 whatever features the file uses:
// embedded files with Unicode names, language and metadata are 1.7's.
func setVersion(pdf []byte) []byte {
	if bytes.HasPrefix(pdf, []byte("%PDF-1.")) {
		pdf[7] = '7'
	}
	return pdf
}

// document is an empty PDF with all that stands outside the pages.
func (l *Layout) document(in Input) *fpdf.Fpdf {
	pdf := fpdf.NewCustom(&fpdf.InitType{UnitStr: "mm", Size: fpdf.SizeType{Wd: l.page.W, Ht: l.page.H}})
	pdf.SetMargins(0, 0, 0)
	pdf.SetAutoPageBreak(false, 0)
	pdf.SetCatalogSort(true)
	pdf.SetProducer("elicence", true)
	if !strings.ContainsFunc(in.Licence.TypeName, func(r rune) bool { return r > 0xFFFF }) {
		pdf.SetTitle(in.Licence.TypeName, true) // which knows no surrogate pairs
	}
	pdf.SetLang("zh-CN")
	pdf.SetCreationDate(in.CreatedAt.UTC())
	pdf.SetModificationDate(in.CreatedAt.UTC())
	pdf.SetXmpMetadata(metadata(in.Licence))
	files := make([]fpdf.Attachment, len(in.Attachments))
	for i, a := range in.Attachments {
		files[i] = fpdf.Attachment{Content: a.Data, Filename: a.Name, Description: a.Description}
	}
	pdf.SetAttachments(files)
	return pdf
}

// metadata is the XMP packet: identifier and type, no personal data.
func metadata(lic *licence.Licence) []byte {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace
	return []byte(`<?xpacket begin="` + "\ufeff" + `" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier>` + escape(string(lic.Identifier)) + `</dc:identifier>
<dc:type><rdf:Bag><rdf:li>` + escape(lic.TypeCode) + `</rdf:li></rdf:Bag></dc:type>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">` + escape(lic.TypeName) + `</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>`)
}

// cutFor collects the characters of all pages: the main face's first, so that
// they keep their code points.
func cutFor(fonts *Fonts, plans []plan) (*typeface.Cut, error) {
	font := typeface.NewCut(fonts)
	for _, main := range []bool{true, false} {
		for _, p := range plans {
			for _, r := range p.runs {
				if (r.face == typeface.MainFace) != main {
					continue
				}
				for _, l := range r.lines {
					if err := font.Add(r.face, l.text); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	return font, nil
}

// writer draws placed text.
type writer struct {
	*fpdf.Fpdf
	fonts  *Fonts
	font   *typeface.Cut
	size   float64
	colour string
}

func (w *writer) useFont() error {
	data, err := w.font.Bytes()
	if err != nil {
		return err
	}
	w.AddUTF8FontFromBytes("licence", "", data)
	w.SetFont("licence", "", 10)
	return w.Error()
}

// page draws one placed page: lines and boxes, then text.
func (w *writer) page(p *plan, height float64) {
	for _, e := range p.boxes {
		w.RawWriteStr(e.operators(height))
	}
	w.size, w.colour = 0, ""
	for _, r := range p.runs {
		w.run(r)
	}
}

// operators draws a line or a box.
func (e element) operators(pageHeight float64) string {
	x, y, w, h := e.X*pt, (pageHeight-e.Y)*pt, e.W*pt, -e.H*pt
	stroke := e.Stroke
	if stroke == 0 {
		stroke = 0.25
	}
	if e.Kind == "line" {
		return fmt.Sprintf("q %s RG %.2f w %.2f %.2f m %.2f %.2f l S Q", rgb(e.Colour), stroke*pt, x, y, x+w, y+h)
	}
	if e.Fill != "" {
		return fmt.Sprintf("q %s rg %.2f %.2f %.2f %.2f re f Q", rgb(e.Fill), x, y, w, h)
	}
	return fmt.Sprintf("q %s RG %.2f w %.2f %.2f %.2f %.2f re S Q", rgb(e.Colour), stroke*pt, x, y, w, h)
}

// run draws one text. /ActualText (ISO 32000, 14.9.4) says what is extracted
// wherever that is not what the code points say: for private ones, for text with
// room between its characters, and for a text of several lines, so that it comes
// out whole beside another column.
func (w *writer) run(r run) {
	if r.size != w.size {
		w.SetFontSize(r.size)
		w.size = r.size
	}
	if r.colour != w.colour {
		red, green, blue := parseColour(r.colour)
		w.SetTextColor(red, green, blue)
		w.colour = r.colour
	}
	if len(r.lines) == 1 && r.lines[0].extra == 0 {
		w.plainLine(r, r.lines[0])
		return
	}
	var whole strings.Builder
	for _, l := range r.lines {
		whole.WriteString(l.text)
	}
	w.RawWriteStr(actualText(whole.String()))
	for _, l := range r.lines {
		w.line(r, l)
	}
	w.RawWriteStr("EMC")
}

// line draws a line that stands within an /ActualText.
func (w *writer) line(r run, l line) {
	if l.extra == 0 {
		w.Text(l.x, l.y, w.codes(r.face, l.text))
		return
	}
	x := l.x
	for _, c := range l.text {
		w.Text(x, l.y, w.codes(r.face, string(c)))
		x += mm(w.fonts.Width(r.face, string(c)), r.size) + l.extra
	}
}

// plainLine draws a line in as few pieces as its code points allow.
func (w *writer) plainLine(r run, l line) {
	x := l.x
	for text := []rune(l.text); len(text) > 0; {
		n, plain := w.alike(r.face, text)
		piece := string(text[:n])
		if !plain {
			w.RawWriteStr(actualText(piece))
		}
		w.Text(x, l.y, w.codes(r.face, piece))
		if !plain {
			w.RawWriteStr("EMC")
		}
		x += mm(w.fonts.Width(r.face, piece), r.size)
		text = text[n:]
	}
}

// alike counts the characters at the head of text that all keep, or all do not
// keep, their own code points.
func (w *writer) alike(face string, text []rune) (n int, plain bool) {
	plain = w.font.Code(face, text[0]) == text[0]
	for n < len(text) && (w.font.Code(face, text[n]) == text[n]) == plain {
		n++
	}
	return n, plain
}

// codes is the text in the code points of the cut font.
func (w *writer) codes(face, text string) string {
	return strings.Map(func(r rune) rune { return w.font.Code(face, r) }, text)
}

func actualText(text string) string {
	var b strings.Builder
	b.WriteString("/Span <</ActualText <FEFF")
	for _, u := range utf16.Encode([]rune(text)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	b.WriteString(">>> BDC")
	return b.String()
}
