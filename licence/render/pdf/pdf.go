// Package pdf writes a licence's rendered revision: pages that share one backdrop,
// one composite font and one size, embedded files and metadata, as PDF 1.7 (ISO
// 32000-1). It is the writing half of a profile; crypto/pdfsig is the reading half
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
	"sync"
	"time"

	"github.com/klauspost/compress/zlib"
)

// header has the binary marker that keeps transfer programs from taking the file
// for text (7.5.2).
const header = "%PDF-1.7\n%\xc2\xb5\xc2\xb6\n"

// Document is a file to be written.
type Document struct {
	// Width and Height are those of every page, in points.
	Width, Height float64
	// Title is shown by readers; any text, in Chinese (zh-CN).
	Title string
	// CreatedAt is written, in UTC, as the creation and modification date.
	CreatedAt time.Time
	// Metadata is an XMP packet (14.3.2), stored as it is.
	Metadata []byte
	// Font is used by all pages under the name F1.
	Font Font
	// Backdrop holds the operators that every page begins with. It has to leave
	// the graphics state as it found it.
	Backdrop Stream
	// Pages holds the operators of each page, at least one.
	Pages [][]byte
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
	return w
}}

// Deflate compresses data.
func Deflate(data []byte) Stream {
	var out bytes.Buffer
	out.Grow(len(data)/2 + 64)
	w := writers.Get().(*zlib.Writer)
	defer writers.Put(w)
	w.Reset(&out)
	_, _ = w.Write(data) // a bytes.Buffer takes everything
	_ = w.Close()
	return Stream{out.Bytes()}
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
	firstObject
)

// FirstObject is the number of the first of Document.Objects.
const FirstObject = firstObject

// firstPage is the number of the first page's content.
func (d Document) firstPage() int { return firstObject + len(d.Objects) }

// Write writes the document.
func Write(d Document) []byte {
	w := &writer{offsets: make([]int, 1, firstObject+len(d.Objects)+2*(len(d.Pages)+len(d.Attachments)))}
	w.Grow(len(d.Font.Data) + len(d.Backdrop.deflated) + 1<<14)
	w.WriteString(header)
	w.front(d)
	w.font(d.Font)
	w.stream(d.Backdrop, "")
	for _, o := range d.Objects {
		w.object("%s", o)
	}
	for _, content := range d.Pages {
		w.stream(Deflate(content), "")
		w.object("<</Type /Page /Parent %d 0 R /Resources %d 0 R /Contents [%d 0 R %d 0 R]>>",
			pageTree, resources, backdrop, len(w.offsets)-1)
	}
	for _, a := range d.Attachments {
		w.stream(Deflate(a.Data), "/Type /EmbeddedFile /Params <</Size %d>> ", len(a.Data))
		name := text(a.Name)
		w.object("<</Type /Filespec /F %s /UF %s /Desc %s /EF <</F %d 0 R>>>>", name, name, text(a.Description), len(w.offsets)-1)
	}
	w.bookmarks(d)
	return w.end()
}

// outline is the number of the root of the bookmarks.
func (d Document) outline() int { return d.firstPage() + 2*(len(d.Pages)+len(d.Attachments)) }

// bookmarks writes the outline, one level of it.
func (w *writer) bookmarks(d Document) {
	root, n := d.outline(), len(d.Bookmarks)
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
		w.object("<</Title %s /Parent %d 0 R%s /Dest [%d 0 R /Fit]>>", text(title), root, around, d.firstPage()+2*i+1)
	}
}

// front writes what stands before the font.
func (w *writer) front(d Document) {
	outlines := ""
	if len(d.Bookmarks) > 0 {
		outlines = fmt.Sprintf(" /Outlines %d 0 R", d.outline())
	}
	w.object("<</Type /Catalog /Pages %d 0 R /Lang (zh-CN) /Metadata %d 0 R%s /Names <</EmbeddedFiles <</Names [%s]>>>>>>",
		pageTree, metadata, outlines, d.names())
	var kids []byte
	for i := range d.Pages {
		kids = fmt.Appendf(kids, "%d 0 R ", d.firstPage()+2*i+1)
	}
	w.object("<</Type /Pages /Count %d /Kids [%s] /MediaBox [0 0 %s %s]>>", len(d.Pages), kids, number(d.Width), number(d.Height))
	date := d.CreatedAt.UTC().Format("D:20060102150405Z")
	w.object("<</Producer (elicence) /Title %s /CreationDate (%s) /ModDate (%s)>>", text(d.Title), date, date)
	// Metadata is for programs that do not read PDF too, so it is not compressed.
	w.object("<</Type /Metadata /Subtype /XML /Length %d>>\nstream\n%s\nendstream", len(d.Metadata), d.Metadata)
	forms := ""
	for i, n := range d.Forms {
		forms += fmt.Sprintf("/X%d %d 0 R ", i+1, n)
	}
	if forms != "" {
		forms = " /XObject <<" + forms + ">>"
	}
	w.object("<</Font <</F1 %d 0 R>>%s>>", font, forms)
}

// names is the name tree's list of keys and file specifications. The keys, which
// have to ascend (7.9.6), are not the files' names.
func (d Document) names() []byte {
	var out []byte
	for i := range d.Attachments {
		out = fmt.Appendf(out, "(%04d) %d 0 R ", i, d.firstPage()+2*(len(d.Pages)+i)+1)
	}
	return out
}

// writer collects the file and where its objects begin.
type writer struct {
	bytes.Buffer
	offsets []int // by number; none has number 0
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
