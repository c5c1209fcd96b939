package hostile

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	mathrand "math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
	"elicence/licence/render/pdf"
)

// File is one that is costly to read, or ought to be.
type File struct {
	Name string
	Data []byte
	// Check and Code are what a verification report says of it.
	Check, Code string
}

// kit is what hostile files are made from.
type kit struct {
	t    testing.TB
	pki  *cryptotest.PKI
	good []byte // a licence file
}

// row is a File that is not made yet: some are of 50 MB.
type row struct {
	name, check, code string
	make              func(kit) []byte
}

// Files makes hostile files one after another, from a good licence file with one
// signature and the PKI that it was made with.
func Files(t testing.TB, p *cryptotest.PKI, good []byte) iter.Seq[File] {
	k := kit{t, p, good}
	return func(yield func(File) bool) {
		for _, rows := range [][]row{tokens, tables, streams, foreign, signatures, attachments} {
			for _, r := range rows {
				if !yield(File{r.name, r.make(k), r.check, r.code}) {
					return
				}
			}
		}
	}
}

const header = "%PDF-1.7\n%\xc2\xb5\xc2\xb6\n"

// filled is a file as long as any that is read: text, and behind it one piece again
// and again.
func filled(text, piece string) func(kit) []byte {
	return func(kit) []byte {
		n := (pdfsig.MaxFileSize - len(header) - len(text)) / len(piece)
		return []byte(header + text + strings.Repeat(piece, n))
	}
}

// long is n zeros behind a text.
func long(text string, n int) func(kit) []byte {
	return func(kit) []byte { return append([]byte(text), make([]byte, n-len(text))...) }
}

// tokens are files whose syntax has no end.
var tokens = []row{
	{"nothing", "structure", "pdf_file_size", long("", 0)},
	{"50 MB", "structure", "pdf_file_size", long(header, 50<<20)},
	{"zeros", "structure", "pdf_header", long("", pdfsig.MaxFileSize)},
	{"arrays in one another", "structure", "pdf_limit", filled("1 0 obj\n", "[")},
	{"dictionaries in one another", "structure", "pdf_limit", filled("1 0 obj\n", "<</A")},
	{"arrays and dictionaries in one another", "structure", "pdf_limit", filled("1 0 obj\n", "[<</A")},
	{"parentheses in one another", "structure", "pdf_syntax", filled("1 0 obj\n", "(")},
	{"a string", "structure", "pdf_limit", filled("1 0 obj\n(", "x")},
	{"escapes", "structure", "pdf_limit", filled("1 0 obj\n(", `\\`)},
	{"hexadecimal digits", "structure", "pdf_limit", filled("1 0 obj\n<", "ab")},
	{"hexadecimal zeros", "structure", "pdf_limit", filled("1 0 obj\n<", "0")},
	{"a name", "structure", "pdf_limit", filled("1 0 obj\n/", "n")},
	{"a number", "structure", "pdf_limit", filled("1 0 obj\n", "9")},
	{"a fraction", "structure", "pdf_limit", filled("1 0 obj\n0.", "9")},
	{"an object number", "structure", "pdf_limit", filled("", "9")},
	{"blanks", "structure", "pdf_limit", filled("1 0 obj\n", " ")},
	{"numbers", "structure", "pdf_limit", filled("1 0 obj\n[", "0 ")},
	{"empty arrays", "structure", "pdf_limit", filled("1 0 obj\n[", "[]")},
	{"empty dictionaries", "structure", "pdf_limit", filled("1 0 obj\n[", "<<>>")},
	{"one key", "structure", "pdf_syntax", filled("1 0 obj\n<<", "/A 0")},
	{"many keys", "structure", "pdf_limit", manyKeys},
	{"full dictionaries", "structure", "pdf_limit", fullDictionaries},
	{"a million objects", "structure", "pdf_limit", filled("", "1 0 obj\n0\nendobj\n")},
	{"a million objects, each once", "structure", "pdf_limit", manyObjects},
	{"a million revisions", "coverage", "pdf_revisions", manyRevisions},
}

func manyKeys(kit) []byte {
	out := []byte(header + "1 0 obj\n<<")
	for i := range 1_000_000 {
		out = fmt.Appendf(out, "/K%d 0", i)
	}
	return out
}

// fullDictionaries have as many keys as one may have, all alike up to the last byte.
func fullDictionaries(kit) []byte {
	var one strings.Builder
	one.WriteString("<<")
	for i := range 256 {
		fmt.Fprintf(&one, "/%s%03d 0", strings.Repeat("k", 100), i)
	}
	one.WriteString(">>")
	return filled("1 0 obj\n[", one.String())(kit{})
}

func manyObjects(kit) []byte {
	out := []byte(header)
	for i := range 1_000_000 {
		out = fmt.Appendf(out, "%d 0 obj\n0\nendobj\n", i+1)
	}
	return out[:min(len(out), pdfsig.MaxFileSize)]
}

// manyRevisions have nothing in them.
func manyRevisions(k kit) []byte {
	out := bytes.Clone(k.good)
	for len(out) < pdfsig.MaxFileSize-100 {
		out = fmt.Appendf(out, "xref\ntrailer\n<<>>\nstartxref\n%d\n%%%%EOF\n", len(out))
	}
	return out
}

// edited replaces a text of the good file that stands there, the first or the last,
// with one of the same length.
func edited(last bool, old, by string) func(kit) []byte {
	return func(k kit) []byte {
		k.t.Helper()
		i := bytes.Index(k.good, []byte(old))
		if last {
			i = bytes.LastIndex(k.good, []byte(old))
		}
		if i < 0 || len(old) < len(by) {
			k.t.Fatalf("%q cannot become %q", old, by)
		}
		out := bytes.Clone(k.good)
		copy(out[i:], by+strings.Repeat(" ", len(old)-len(by)))
		return out
	}
}

// tables are files that send a reader round in circles, or elsewhere. The object
// numbers are those of the good file: 1 is the catalogue, 2 the page tree.
var tables = []row{
	{"page tree that holds itself", "structure", "pdf_object", edited(false, "/Kids [13 0 R", "/Kids [2 0 R")},
	{"page tree that holds the catalogue", "structure", "pdf_object", edited(false, "/Kids [13 0 R", "/Kids [1 0 R")},
	{"catalogue that is its own page tree", "structure", "pdf_object", edited(true, "/Pages 2 0 R", "/Pages 1 0 R")},
	{"page that is its own content", "structure", "pdf_object", edited(true, "[11 0 R 12 0 R]", "[11 0 R 13 0 R]")},
	{"page tree without end", "structure", "foreign_signature", deepPages},
	{"cross-reference loop", "structure", "pdf_update", prevToItself},
	{"startxref to itself", "structure", "pdf_trailer", startxrefToItself},
	{"cross-reference loop of another maker", "structure", "pdf_header", foreignLoop},
	{"hybrid cross-reference", "structure", "pdf_xref", inserted(true, "trailer\n<<", "/XRefStm 15 ")},
	{"linearised", "structure", "pdf_xref", inserted(false, "/Type /Catalog ", "/Linearized 1 ")},
	{"cross-reference stream", "structure", "pdf_syntax", literal(header + "1 0 obj\n<</Type /XRef /Size 1 /W [1 8 8] /Length 0>>\nstream\n\nendstream\nendobj\nstartxref\n15\n%%EOF\n")},
	{"object stream", "structure", "pdf_syntax", literal(header + "1 0 obj\n<</Type /ObjStm /N 1000000 /First 9 /Extends 1 0 R /Length 0>>\nstream\n\nendstream\nendobj\nstartxref\n15\n%%EOF\n")},
	{"encrypted", "structure", "pdf_encrypted", inserted(true, "trailer\n<<", "/Encrypt 4 0 R ")},
	{"size beyond everything", "structure", "pdf_limit", inserted(true, "/Size ", "99999999999")},
	{"size that is negative", "structure", "pdf_trailer", edited(true, "/Size 2", "/Size -")},
	{"object number beyond everything", "structure", "pdf_limit", literal(header + "4294967297 0 obj\n0\nendobj\n")},
	{"stream as long as no file", "structure", "pdf_syntax", literal(header + "1 0 obj\n<</Length 9999999999>>\nstream\nx")},
	{"byte range beyond everything", "structure", "pdf_limit", inserted(true, "/ByteRange [0 ", "9223372036854775807 ")},
	{"byte range that overflows", "coverage", "pdf_byte_range", edited(true, "/ByteRange [0 ", "/ByteRange [9 ")},
	{"xref subsection of everything", "structure", "pdf_xref", literal(header + "1 0 obj\n0\nendobj\nxref\n0 2001\n0000000000 65535 f \n")},
}

func literal(text string) func(kit) []byte { return func(kit) []byte { return []byte(text) } }

// inserted puts a text behind one of the good file. Offsets behind it no longer fit,
// but a dictionary's keys are looked at before.
func inserted(last bool, behind, text string) func(kit) []byte {
	return func(k kit) []byte {
		k.t.Helper()
		i := bytes.Index(k.good, []byte(behind))
		if last {
			i = bytes.LastIndex(k.good, []byte(behind))
		}
		if i < 0 {
			k.t.Fatalf("no %q in the file", behind)
		}
		i += len(behind)
		return append(append(bytes.Clone(k.good[:i]), text...), k.good[i:]...)
	}
}

// prevToItself has the last trailer name its own cross-reference section as the one
// before it, and the byte range fit again.
func prevToItself(k kit) []byte {
	k.t.Helper()
	own := regexp.MustCompile(`startxref\n(\d+)\n%%EOF\n$`).FindSubmatch(k.good)
	prev := bytes.LastIndex(k.good, pdftest.PrevPattern.Find(k.good))
	if own == nil || prev < 0 {
		k.t.Fatal("no update in the file")
	}
	out := append(bytes.Clone(k.good[:prev]), pdftest.PrevPattern.ReplaceAll(k.good[prev:], append([]byte("/Prev "), own[1]...))...)
	f, err := pdfsig.Read(k.good)
	k.must(err)
	gap, r := f.Signatures[0].ByteRange, pdftest.RangePattern.FindIndex(out)
	copy(out[r[0]:r[1]], fmt.Sprintf("/ByteRange [0 %d %d %-10d]", gap[1], gap[2], len(out)-int(gap[2])))
	return out
}

func startxrefToItself(k kit) []byte {
	i := bytes.LastIndex(k.good, []byte("startxref\n"))
	return fmt.Appendf(bytes.Clone(k.good[:i]), "startxref\n%d\n%%%%EOF\n", i)
}

func foreignLoop(kit) []byte {
	return []byte("%PDF-1.4\nxref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 1/Root 1 0 R/Prev 9>>\nstartxref\n9\n%%EOF\n")
}

// deepPages is another maker's page tree in which each node holds the next.
func deepPages(k kit) []byte {
	out := bytes.Clone(k.foreign([]byte{0x30, 3, 2, 1, 7}))
	for i := range 100_000 {
		out = fmt.Appendf(out, "%d 0 obj<</Type/Pages/Kids[%d 0 R]/Count 1/Parent %d 0 R>>endobj\n", i+9, i+10, i+8)
	}
	return out
}

// streams are files that unfold.
var streams = []row{
	{"attached bomb", "structure", "pdf_stream", func(k kit) []byte { return k.swapped(1, make([]byte, 32<<20)) }},
	{"attached bombs that each would fit", "structure", "pdf_stream", func(k kit) []byte { return k.swapped(pdfsig.MaxAttached, make([]byte, pdfsig.MaxDecoded)) }},
	{"bomb in the page", "document_digest", "document_digest_differs", func(k kit) []byte {
		return k.seal(pdf.Document{Attachments: k.attached("", nil), Pages: [][]byte{make([]byte, 32<<20)}}, k.contents())
	}},
	{"page of 19 MB", "document_digest", "document_digest_differs", func(k kit) []byte {
		noise := make([]byte, 19_000_000)
		mathrand.NewChaCha8([32]byte{}).Read(noise)
		return k.seal(pdf.Document{Attachments: k.attached("", nil), Pages: [][]byte{noise}}, k.contents())
	}},
	{"10,000 attached files", "structure", "pdf_limit", func(k kit) []byte {
		d := pdf.Document{}
		for i := range 10_000 {
			d.Attachments = append(d.Attachments, pdf.Attachment{Name: fmt.Sprint(i)})
		}
		return k.render(d)
	}},
	{"as many attached files as are read", "attached_data", "attachments_wrong", func(k kit) []byte {
		d := pdf.Document{}
		for i := range pdfsig.MaxAttached {
			d.Attachments = append(d.Attachments, pdf.Attachment{Name: fmt.Sprint(i)})
		}
		return k.seal(d, k.contents())
	}},
	{"15,000 pages", "structure", "pdf_limit", func(k kit) []byte { return k.render(pdf.Document{Pages: make([][]byte, 15_000)}) }},
}

// swapped is a sealed file with n files attached, into which other data was put
// afterwards: a careful writer seals nothing that it would not read.
func (k kit) swapped(n int, data []byte) []byte {
	k.t.Helper()
	var d pdf.Document
	for i := range n {
		d.Attachments = append(d.Attachments, pdf.Attachment{Name: fmt.Sprint(i)})
	}
	f := pdftest.Split(k.t, k.seal(d, k.contents()))
	for i := range n {
		d.Attachments[i].Data = data
	}
	for i, p := range pdftest.Split(k.t, k.render(d)).Sections[0].Parts {
		f.Sections[0].Parts[i].Text = p.Text
	}
	return f.Bytes()
}

// contents is the seal signature of the good file.
func (k kit) contents() []byte {
	k.t.Helper()
	f, err := pdfsig.Read(k.good)
	k.must(err)
	return f.Signatures[0].Contents
}

// attached are the files attached to the good one, one of them with other data.
func (k kit) attached(name string, data []byte) (list []pdf.Attachment) {
	k.t.Helper()
	f, err := pdfsig.Read(k.good)
	k.must(err)
	files := f.Attachments
	if name != "" {
		files[name] = data
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		list = append(list, pdf.Attachment{Name: name, Data: files[name]})
	}
	return list
}

func (k kit) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// render writes a document with what every one has.
func (k kit) render(d pdf.Document) []byte {
	d.Width, d.Height, d.Title, d.CreatedAt = 595, 842, "hostile", time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	if d.Pages == nil {
		d.Pages = [][]byte{[]byte("0 0 9 9 re f\n")}
	}
	return pdf.Write(d)
}

// seal puts a signature into a document, whatever it signed, with as much room as
// there may be.
func (k kit) seal(d pdf.Document, der []byte) []byte {
	k.t.Helper()
	prepared, err := pdfsig.Prepare(k.render(d), pdfsig.Options{FieldName: "Seal1", Page: 1, X: 300, Y: 100, Reserve: pdfsig.MaxContents,
		Appearance: pdfsig.Appearance{Width: 113, Height: 113, Content: []byte("1 0 0 RG 5 5 100 100 re S\n")}})
	k.must(err)
	file, err := prepared.Finish(der)
	k.must(err)
	return file
}
