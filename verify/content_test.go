package verify_test

import (
	"fmt"

	"elicence/crypto/pdfsig/pdftest"
	"elicence/licence/render/pdf"
	"elicence/verify"
)

// redrawn puts another stream in the place of the one that an object of a revision holds.
func redrawn(revision int, object, dictionary, text string) tampering {
	return edit(func(b *bench, f *pdftest.File) {
		for i, p := range f.Sections[revision].Parts {
			if fmt.Sprintf("%d 0 obj\n", p.Number) == object {
				data := pdf.Deflate([]byte(text)).Encoded()
				f.Sections[revision].Parts[i].Text = fmt.Sprintf("%s<<%s/Filter /FlateDecode /Length %d>>\nstream\n%s\nendstream\nendobj\n", object, dictionary, len(data), data)
				return
			}
		}
		b.t.Fatalf("no %s", object)
	})
}

// contentCases change what is sealed, in a file that is otherwise in order.
func contentCases() []fileCase {
	differs := func(name, comment string, tamper tampering) fileCase {
		return fileCase{name: name, comment: comment, tamper: tamper, want: verify.TotalFailed, sub: verify.HashFailure,
			check: verify.CheckDocumentDigest, code: "document_digest_differs"}
	}
	const drawing = "/Type /XObject /Subtype /Form /FormType 1 /BBox [0 0 113.386 113.386] /Resources <<>> "
	number := replace("(Licence JY13301050000001)", "(Licence JY13301050000002)")
	return []fileCase{
		differs("number in the title", "", number),
		differs("claimed signing time", "a year earlier", replace("(D:20260531230000Z)", "(D:20250531230000Z)")),
		differs("signer's name", "as readers show it", replace("/Name <feff6d4b", "/Name <feff6d4c")),
		differs("page drawn anew", "", redrawn(0, "12 0 obj\n", "", "0 0 300 300 re f\n")),
		differs("backdrop drawn anew", "", redrawn(0, "11 0 obj\n", "", "0.9 g 0 0 595 842 re f\n")),
		differs("seal drawn anew", "another picture on the page, the sealed one untouched", redrawn(1, "24 0 obj\n", drawing, "0 1 0 RG 5 5 100 100 re S\n")),
		differs("seal moved", "to another place on the page, with the tables put right", edit(in(1, "[300 100 413.386 213.386]", "[100 100 213.386 213.386]"))),
		on(twoSeals, differs("number in the title under two seals", "", number)),
		{name: "number in the title under PAdES and seal", base: padesAndSeal, tamper: number, want: verify.TotalFailed, sub: verify.SigCryptoFailure,
			check: verify.CheckSealSignature, code: "pades_wrong"},
		{name: "signature of another file", comment: "the whole signature moved from a licence of the same holder", want: verify.TotalFailed,
			sub: verify.HashFailure, check: verify.CheckDocumentDigest, code: "document_digest_differs",
			tamper: func(b *bench, file []byte) []byte {
				other := *b.r
				other.page = func(d *pdf.Document) { d.Title = "another" }
				return mustContents(b.t, file, mustSignature(b.t, other.make(b.t)).Raw)
			}},
	}
}
