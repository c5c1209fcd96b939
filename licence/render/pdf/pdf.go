// Package pdf writes a licence's rendered revision: pages of one size over one backdrop,
// further parts of other sizes, one composite font, a portrait, embedded files and
// metadata, as PDF 1.7 (ISO 32000-1). It is the writing half of a profile; crypto/pdfsig is the reading half
// and refuses whatever this package does not write.
//
// Invariants:
//   - the same Document gives the same bytes: no clock, no random identifiers;
//   - every object has one role and is reached from the trailer; objects are
//     numbered and stored in order, from 1, each stream with a direct length;
//   - nothing it can be asked for is active: no links, annotations, scripts.
//
// It checks nothing about operators or fonts; its one caller made them.
package pdf

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zlib"
)

// header has the binary marker that keeps transfer programs from taking the file
// for text (7.5.2).
const header = "%PDF-1.7\n%\xc2\xb5\xc2\xb6\n"

// PortraitName is what the operators of a page call the document's portrait.
const PortraitName = "P1"

// SealName is what the operators of a page call the picture of a number, from 0, among the
// document's Seals.
func SealName(n int) string { return "S" + strconv.Itoa(n+1) }

// Form is operators that pages draw by name (8.10): within [0 0 Width Height], in points, with
// no resources.
type Form struct {
	Width, Height float64
	Content       Stream
}

// Image is a baseline JPEG in colour, and its size in pixels.
type Image struct {
	JPEG          []byte
	Width, Height int
}

// Part is pages of one size.
type Part struct {
	// Width and Height are those of every page, in points.
	Width, Height float64
	// Backdrop holds the operators that every page begins with. It has to leave
	// the graphics state as it found it.
	Backdrop Stream
	// Pages holds the operators of each page, at least one.
	Pages [][]byte
}

// Document is a file to be written.
type Document struct {
	// Width, Height, Backdrop and Pages are those of the first part; they are as in Part.
	Width, Height float64
	Backdrop      Stream
	Pages         [][]byte
	// More are the parts that follow it.
	More []Part
	// Title is shown by readers; any text, in Chinese (zh-CN).
	Title string
	// CreatedAt is written, in UTC, as the creation and modification date.
	CreatedAt time.Time
	// Metadata is an XMP packet (14.3.2), stored as it is.
	Metadata []byte
	// Font is used by all pages under the name F1.
	Font Font
	// Portrait is what pages show by PortraitName; nil: none.
	Portrait *Image
	// Seals are pictures of seals, which pages show by SealName.
	Seals []Form
	// Bookmarks are titles that lead to the pages, in their order (12.3.3): none, or one
	// for each page.
	Bookmarks []string
	// Attachments are embedded in this order.
	Attachments []Attachment
	// Objects are those of a document that the pages draw: what stands between obj and
	// endobj of each, numbered from FirstObject on. Forms are the numbers of its pages, form
	// XObjects under the names X1, X2 and so on.
	Objects [][]byte
	Forms   []int
}

// Attachment is a file embedded in the document. Name is unique and, like
// Description, printable ASCII.
type Attachment struct {
	Name, Description string
	Data              []byte
}

// Stream is data compressed for FlateDecode, so that what many files share is
// compressed once.
type Stream struct{ deflated []byte }

// Encoded is the stream as it stands in a file.
func (s Stream) Encoded() []byte { return s.deflated }

// writers lends compressors, which are large. Their fastest level is the right
// one: outlines hardly shrink, and time is what an issue has least of. For the same
// reason they are not those of the standard library, which cost a fifth of a drawing more.
var writers = sync.Pool{New: func() any {
	w, err := zlib.NewWriterLevel(nil, zlib.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant of the package
	}
	return &deflater{writer: w}
}}

// deflater is a compressor with room for what it makes.
type deflater struct {
	writer *zlib.Writer
	out    bytes.Buffer
}

// deflate compresses data; what it returns is overwritten by the next call.
func (d *deflater) deflate(data []byte) []byte {
	d.out.Reset()
	d.writer.Reset(&d.out)
	_, _ = d.writer.Write(data) // a bytes.Buffer takes everything
	_ = d.writer.Close()
	return d.out.Bytes()
}

// Deflate compresses data.
func Deflate(data []byte) Stream {
	d := writers.Get().(*deflater)
	defer writers.Put(d)
	return Stream{bytes.Clone(d.deflate(data))}
}

// The first objects have fixed numbers; pages, each behind its content, attachments,
// each behind its data, and the bookmarks behind their root follow.
const (
	catalogue = 1 + iota
	pageTree
	information
	metadata
	resources
	font
	descendant
	descriptor
	fontFile
	toUnicode
	backdrop
	// FirstObject is the number of the first of Document.Objects.
	FirstObject
)

// numbers are those of the objects whose numbers are not fixed.
type numbers struct {
	portrait int
	seals    int // the first picture of a seal
	pages    []int
	attached int // the data of the first attachment
	outline  int // the root of the bookmarks
}

// number gives numbers in the order in which Write writes: the document's objects,
// portrait, pictures of seals, pages, each behind its content, those of a further part behind
// their backdrop if it is not that of the first, attachments, bookmarks.
func (d Document) number() (n numbers) {
	next := FirstObject + len(d.Objects)
	if d.Portrait != nil {
		n.portrait = next
		next++
	}
	n.seals = next
	next += len(d.Seals)
	count := func(pages [][]byte) {
		for range pages {
			n.pages = append(n.pages, next+1)
			next += 2
		}
	}
	count(d.Pages)
	for _, part := range d.More {
		if !d.shares(part) {
			next++
		}
		count(part.Pages)
	}
	n.attached, n.outline = next, next+2*len(d.Attachments)
	return n
}

// shares reports whether a part has the backdrop of the first.
func (d Document) shares(p Part) bool { return bytes.Equal(p.Backdrop.deflated, d.Backdrop.deflated) }

// Write writes the document.
func Write(d Document) []byte {
	w := &writer{numbers: d.number(), offsets: make([]int, 1, FirstObject+len(d.Objects)+2*(len(d.Pages)+len(d.Attachments)))}
	w.deflater = writers.Get().(*deflater)
	defer writers.Put(w.deflater)
	w.Grow(len(d.Font.Data) + len(d.Backdrop.deflated) + 1<<14)
	w.WriteString(header)
	w.front(d)
	w.font(d.Font)
	w.stream(d.Backdrop, "")
	for _, o := range d.Objects {
		w.object("%s", o)
	}
	if d.Portrait != nil {
		w.portrait(d.Portrait)
	}
	for _, s := range d.Seals {
		w.stream(s.Content, "/Type /XObject /Subtype /Form /FormType 1 /BBox [0 0 %s %s] /Resources <<>> ", number(s.Width), number(s.Height))
	}
	w.pages(d.Pages, backdrop, "")
	for _, part := range d.More {
		behind := backdrop
		if !d.shares(part) {
			w.stream(part.Backdrop, "")
			behind = len(w.offsets) - 1
		}
		w.pages(part.Pages, behind, " "+mediaBox(part.Width, part.Height))
	}
	for _, a := range d.Attachments {
		w.deflate(a.Data, "/Type /EmbeddedFile /Params <</Size %d>> ", len(a.Data))
		name := text(a.Name)
		w.object("<</Type /Filespec /F %s /UF %s /Desc %s /EF <</F %d 0 R>>>>", name, name, text(a.Description), len(w.offsets)-1)
	}
	w.bookmarks(d)
	return w.end()
}

// pages writes pages over a backdrop, with an entry for their size if it is not that of all.
func (w *writer) pages(contents [][]byte, backdrop int, size string) {
	for _, content := range contents {
		w.deflate(content, "")
		w.object("<</Type /Page /Parent %d 0 R%s /Resources %d 0 R /Contents [%d 0 R %d 0 R]>>",
			pageTree, size, resources, backdrop, len(w.offsets)-1)
	}
}

// mediaBox is the entry for the size of pages.
func mediaBox(width, height float64) string {
	return "/MediaBox [0 0 " + number(width) + " " + number(height) + "]"
}

// portrait writes the portrait as an image (8.9.5), in the encoding that it has.
func (w *writer) portrait(p *Image) {
	fmt.Fprintf(w, "%d 0 obj\n<</Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode /Length %d>>\nstream\n",
		w.begin(), p.Width, p.Height, len(p.JPEG))
	w.Write(p.JPEG)
	w.WriteString("\nendstream\nendobj\n")
}

// bookmarks writes the outline, one level of it.
func (w *writer) bookmarks(d Document) {
	root, n := w.numbers.outline, len(d.Bookmarks)
	if n == 0 {
		return
	}
	w.object("<</Type /Outlines /First %d 0 R /Last %d 0 R /Count %d>>", root+1, root+n, n)
	for i, title := range d.Bookmarks {
		around := ""
		if i > 0 {
			around = fmt.Sprintf(" /Prev %d 0 R", root+i)
		}
		if i+1 < n {
			around += fmt.Sprintf(" /Next %d 0 R", root+i+2)
		}
		w.object("<</Title %s /Parent %d 0 R%s /Dest [%d 0 R /Fit]>>", text(title), root, around, w.numbers.pages[i])
	}
}

// front writes what stands before the font.
func (w *writer) front(d Document) {
	outlines := ""
	if len(d.Bookmarks) > 0 {
		outlines = fmt.Sprintf(" /Outlines %d 0 R", w.numbers.outline)
	}
	w.object("<</Type /Catalog /Pages %d 0 R /Lang (zh-CN) /Metadata %d 0 R%s /Names <</EmbeddedFiles <</Names [%s]>>>>>>",
		pageTree, metadata, outlines, w.names(d))
	var kids []byte
	for _, page := range w.numbers.pages {
		kids = fmt.Appendf(kids, "%d 0 R ", page)
	}
	w.object("<</Type /Pages /Count %d /Kids [%s] %s>>", len(w.numbers.pages), kids, mediaBox(d.Width, d.Height))
	date := d.CreatedAt.UTC().Format("D:20060102150405Z")
	w.object("<</Producer (elicence) /Title %s /CreationDate (%s) /ModDate (%s)>>", text(d.Title), date, date)
	// Metadata is for programs that do not read PDF too, so it is not compressed.
	w.object("<</Type /Metadata /Subtype /XML /Length %d>>\nstream\n%s\nendstream", len(d.Metadata), d.Metadata)
	drawn := ""
	if n := w.numbers.portrait; n != 0 {
		drawn = fmt.Sprintf("/%s %d 0 R ", PortraitName, n)
	}
	for i, n := range d.Forms {
		drawn += fmt.Sprintf("/X%d %d 0 R ", i+1, n)
	}
	for i := range d.Seals {
		drawn += fmt.Sprintf("/%s %d 0 R ", SealName(i), w.numbers.seals+i)
	}
	if drawn != "" {
		drawn = " /XObject <<" + strings.TrimSuffix(drawn, " ") + ">>"
	}
	w.object("<</Font <</F1 %d 0 R>>%s>>", font, drawn)
}

// names is the name tree's list of keys and file specifications. The keys, which
// have to ascend (7.9.6), are not the files' names.
func (w *writer) names(d Document) []byte {
	var out []byte
	for i := range d.Attachments {
		out = fmt.Appendf(out, "(%04d) %d 0 R ", i, w.numbers.attached+2*i+1)
	}
	return out
}

// writer collects the file and where its objects begin.
type writer struct {
	bytes.Buffer
	offsets  []int // by number; none has number 0
	numbers  numbers
	deflater *deflater
}

// object writes the next object.
func (w *writer) object(format string, args ...any) {
	fmt.Fprintf(w, "%d 0 obj\n", w.begin())
	fmt.Fprintf(w, format, args...)
	w.WriteString("\nendobj\n")
}

// begin numbers the object that starts here.
func (w *writer) begin() int {
	w.offsets = append(w.offsets, w.Len())
	return len(w.offsets) - 1
}

// stream writes the next object, a stream with further entries.
func (w *writer) stream(s Stream, format string, args ...any) {
	fmt.Fprintf(w, "%d 0 obj\n<<", w.begin())
	fmt.Fprintf(w, format, args...)
	fmt.Fprintf(w, "/Filter /FlateDecode /Length %d>>\nstream\n", len(s.deflated))
	w.Write(s.deflated)
	w.WriteString("\nendstream\nendobj\n")
}

// deflate writes the next object, a stream of data that it compresses.
func (w *writer) deflate(data []byte, format string, args ...any) {
	w.stream(Stream{w.deflater.deflate(data)}, format, args...)
}

// end writes the cross-reference table and the trailer (7.5.4, 7.5.5).
func (w *writer) end() []byte {
	at := w.Len()
	fmt.Fprintf(w, "xref\n0 %d\n0000000000 65535 f \n", len(w.offsets))
	for _, offset := range w.offsets[1:] {
		fmt.Fprintf(w, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(w, "trailer\n<</Size %d /Root %d 0 R /Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n",
		len(w.offsets), catalogue, information, at)
	return w.Bytes()
}

// number writes a length in thousandths.
func number(v float64) string {
	s := strconv.FormatFloat(v, 'f', 3, 64)
	return string(bytes.TrimRight(bytes.TrimRight([]byte(s), "0"), "."))
}
