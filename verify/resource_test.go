package verify_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
	"elicence/licence/render/pdf"
)

// instead is a file in the place of the licence.
func instead(file string) tampering {
	return func(*bench, []byte) []byte { return []byte(file) }
}

// object is a file that begins with this object.
func object(text string) tampering {
	return instead("%PDF-1.7\n%\xc2\xb5\xc2\xb6\n1 0 obj\n" + text + "\nendobj\n")
}

// bomb attaches n streams, each of size bytes once decoded, that are said to be of
// another size.
func bomb(n, size, said int) tampering {
	return resealed(func(b *bench, f *pdftest.File) {
		f.Attach(b.t, n, pdf.Deflate(make([]byte, size)).Encoded(), said)
	})
}

func manyEntries(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "/K%d 0 ", i)
	}
	return out.String()
}

func resourceCases() []fileCase {
	const limit, syntax = pdfsig.CodeLimit, pdfsig.CodeSyntax
	return []fileCase{
		forgery("empty file", "", instead(""), pdfsig.CodeFileSize),
		forgery("no PDF", "", instead("PK\x03\x04 and so on"), pdfsig.CodeHeader),
		forgery("header alone", "", instead("%PDF-1.7\n%\xc2\xb5\xc2\xb6\n"), syntax),
		forgery("deflate bomb", "an attached file that says what it decodes to", bomb(1, pdfsig.MaxDecoded+1, pdfsig.MaxDecoded+1), pdfsig.CodeStream),
		forgery("deflate bomb that says it is small", "", bomb(1, pdfsig.MaxDecoded, 100), pdfsig.CodeStream),
		forgery("five deflate bombs", "each within its limit, not all of them together", bomb(5, pdfsig.MaxDecoded, pdfsig.MaxDecoded), pdfsig.CodeStream),
		forgery("page tree in a circle", "", written("/Kids [13 0 R", "/Kids [2 0 R"), pdfsig.CodeObject),
		forgery("page twice in the tree", "", written("/Count 1 /Kids [13 0 R", "/Count 2 /Kids [13 0 R 13 0 R"), pdfsig.CodeObject),
		forgery("page that is its own parent", "", written("/Parent 2 0 R", "/Parent 13 0 R"), pdfsig.CodeObject),
		forgery("pages miscounted", "", written("/Count 1", "/Count 2147483647"), pdfsig.CodeProfile),
		on(twoSeals, forgery("table that names itself", "the last trailer gives its own table as the one before", func(_ *bench, file []byte) []byte {
			at := pdftest.PrevPattern.FindAllIndex(file, -1)[1]
			start := regexp.MustCompile(`startxref\n(\d+)`).FindAllSubmatch(file, -1)[2][1]
			return slices.Concat(file[:at[0]], []byte("/Prev "), start, file[at[1]:])
		}, pdfsig.CodeUpdate)),
		forgery("nested arrays", "", object(strings.Repeat("[", 5000)), limit),
		forgery("nested dictionaries", "", object(strings.Repeat("<</A", 5000)), limit),
		forgery("nested just too deep", "", object(strings.Repeat("[", 17)+strings.Repeat("]", 17)), limit),
		forgery("number of a thousand digits", "", object(strings.Repeat("9", 1000)), limit),
		forgery("name of a thousand letters", "", object("/"+strings.Repeat("n", 1000)), limit),
		forgery("too many entries", "", object("<<"+manyEntries(300)+">>"), limit),
		forgery("object number beyond the limit", "", object("20001 0 R"), limit),
		forgery("too many objects", "", instead("%PDF-1.7\n%\xc2\xb5\xc2\xb6\n"+strings.Repeat("1 0 obj\n0\nendobj\n", pdfsig.MaxObjects+1)), limit),
		forgery("stream longer than the file", "", object("<</Length 9999999999>>\nstream\nx"), syntax),
		forgery("stream of negative length", "", object("<</Length -1>>\nstream\nx"), syntax),
		forgery("cross-reference stream alone", "", object("<</Type /XRef /Length 0>>\nstream\n\nendstream\nendobj\nstartxref\n15\n%%EOF\n"), syntax),
		forgery("encrypted", "", resealed(func(_ *bench, f *pdftest.File) {
			f.Sections[1].Trailer = "<</Encrypt 4 0 R " + f.Sections[1].Trailer[2:]
		}), pdfsig.CodeEncrypted),
		forgery("seal that says it is a gigabyte", "", inGap(0, func(d []byte) { copy(d, "30843b9aca00") }), pdfsig.CodeContents),
	}
}
