package verify_test

import (
	"bytes"
	"fmt"
	"regexp"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
	"elicence/verify"
)

// tampering changes a file as somebody would who wants it to pass for the original.
type tampering func(b *bench, file []byte) []byte

// forgery is a case that the strict reader has to refuse, with a code of crypto/pdfsig.
func forgery(name, comment string, tamper tampering, code string) fileCase {
	check := verify.CheckStructure
	switch code {
	case pdfsig.CodeRevisions, pdfsig.CodeByteRange, pdfsig.CodeContents:
		check = verify.CheckCoverage
	}
	return fileCase{name: name, comment: comment, tamper: tamper, want: verify.TotalFailed, sub: verify.FormatFailure, check: check, code: "pdf_" + code}
}

// on has a case made of files with another set of signatures.
func on(base func(*bench) []byte, c fileCase) fileCase {
	c.base = base
	return c
}

// replace changes one text for another of any length.
func replace(old, new string) tampering {
	return func(b *bench, file []byte) []byte {
		b.t.Helper()
		i := bytes.LastIndex(file, []byte(old))
		if i < 0 {
			b.t.Fatalf("%q is not in the file", old)
		}
		out := append(bytes.Clone(file[:i]), new...)
		return append(out, file[i+len(old):]...)
	}
}

// add appends text.
func add(text string) tampering {
	return func(_ *bench, file []byte) []byte { return append(bytes.Clone(file), text...) }
}

// edit changes the objects of a file and leaves offsets, lengths and ranges right. The
// seal's digest is not: whoever did it had no key.
func edit(change func(b *bench, f *pdftest.File)) tampering {
	return func(b *bench, file []byte) []byte {
		b.t.Helper()
		f := pdftest.Split(b.t, file)
		change(b, f)
		return f.Bytes()
	}
}

// keep is edit with the byte range as the attack wrote it.
func keep(change func(b *bench, f *pdftest.File)) tampering {
	return edit(func(b *bench, f *pdftest.File) {
		change(b, f)
		f.KeepRange = true
	})
}

// resealed is edit by somebody who has the seal's key: digest, signature and timestamp
// are right.
func resealed(change func(b *bench, f *pdftest.File)) tampering {
	return func(b *bench, file []byte) []byte {
		b.t.Helper()
		f := pdftest.Split(b.t, file)
		change(b, f)
		return f.Signed(b.t, func(covered []byte) []byte { return b.r.stamped(b.t, sm3Of(covered)).Raw })
	}
}

// swap replaces what a pattern matches in the last revision.
func swap(pattern *regexp.Regexp, with string) func(*bench, *pdftest.File) {
	return func(_ *bench, f *pdftest.File) {
		f.Last(func(s string) string { return pattern.ReplaceAllLiteralString(s, with) })
	}
}

// in replaces a text in the one object of a revision that holds it.
func in(revision int, old, new string) func(*bench, *pdftest.File) {
	return func(b *bench, f *pdftest.File) { f.Replace(b.t, revision, old, new) }
}

// gap returns where a signature's /Contents string begins and ends in a file.
func gap(b *bench, file []byte, signature int) (start, end int) {
	f, err := pdfsig.Read(file)
	must(b.t, err)
	r := f.Signatures[signature].ByteRange
	return int(r[1]), int(r[2])
}

// inGap changes the hexadecimal digits of a signature's /Contents.
func inGap(signature int, change func(digits []byte)) tampering {
	return func(b *bench, file []byte) []byte {
		start, end := gap(b, file, signature)
		out := bytes.Clone(file)
		change(out[start+1 : end-1])
		return out
	}
}

func fill(b []byte, c byte) {
	for i := range b {
		b[i] = c
	}
}

func zero(digits []byte) { fill(digits, '0') }

func usfCases() []fileCase {
	contents, ranges := pdftest.ContentsPattern, pdftest.RangePattern
	return []fileCase{
		forgery("contents all zeros", "", inGap(0, zero), pdfsig.CodeContents),
		forgery("contents empty", "", edit(swap(contents, "/Contents <>")), pdfsig.CodeContents),
		forgery("contents missing", "", replace("/Contents <", "/Contentz <"), pdfsig.CodeNoSignature),
		forgery("contents null", "", keep(swap(contents, "/Contents null")), pdfsig.CodeSyntax),
		forgery("contents an integer", "", keep(swap(contents, "/Contents 0")), pdfsig.CodeNoSignature),
		forgery("contents a reference", "", keep(swap(contents, "/Contents 9 0 R")), pdfsig.CodeNoSignature),
		forgery("contents a literal string", "", keep(swap(contents, "/Contents (0000)")), pdfsig.CodeByteRange),
		forgery("byte range missing", "", replace("/ByteRange [", "/ByteRangf ["), pdfsig.CodeByteRange),
		forgery("byte range null", "", keep(swap(ranges, "/ByteRange null")), pdfsig.CodeSyntax),
		forgery("byte range a name", "", keep(swap(ranges, "/ByteRange /None")), pdfsig.CodeNoSignature),
		forgery("byte range empty", "", keep(swap(ranges, "/ByteRange []")), pdfsig.CodeByteRange),
		forgery("byte range of two numbers", "", keep(swap(ranges, "/ByteRange [0 1]")), pdfsig.CodeByteRange),
		forgery("byte range of names", "", keep(swap(ranges, "/ByteRange [/a /b /c /d]")), pdfsig.CodeByteRange),
		forgery("byte range negative", "", keep(swap(ranges, "/ByteRange [0 -1 5 -1]")), pdfsig.CodeByteRange),
		forgery("byte range of eleven digits", "", keep(swap(ranges, "/ByteRange [0 99999999999 5 1]")), pdfsig.CodeLimit),
		forgery("byte range twice", "", keep(swap(ranges, "/ByteRange [0 1 2 3] /ByteRange [0 1 2 3]")), pdfsig.CodeSyntax),
		forgery("no value in the field", "the field no longer points to its signature", edit(in(1, " /V 2", " /W 2")), pdfsig.CodeProfile),
		forgery("no fields in the form", "", edit(func(b *bench, f *pdftest.File) {
			f.Replace(b.t, 1, fmt.Sprintf("/Fields [%d 0 R]", f.Find(b.t, 1, "/FT /Sig").Number), "/Fields []")
		}), pdfsig.CodeField),
		forgery("never sealed", "the rendering before it was sealed", func(b *bench, _ []byte) []byte { return b.r.render(b.t) }, pdfsig.CodeNoSignature),
		forgery("sealed revision cut off", "", cutRevisions(1), pdfsig.CodeNoSignature),
		forgery("other encoding", "our handler with an encoding that is nobody's", replace("/SubFilter /GM.sm2seal", "/SubFilter /GM.sm2xxxx"), pdfsig.CodeProfile),
		forgery("said to be CMS", "our handler with another's encoding", edit(in(1, "/SubFilter /GM.sm2seal", "/SubFilter /adbe.pkcs7.detached")), pdfsig.CodeProfile),
		on(twoSeals, forgery("first of two seals emptied", "", inGap(0, zero), pdfsig.CodeContents)),
		on(twoSeals, forgery("second of two seals emptied", "", inGap(1, zero), pdfsig.CodeContents)),
		on(twoSeals, forgery("first byte range of two seals null", "", keep(inFirst(ranges, "/ByteRange null")), pdfsig.CodeSyntax)),
		on(twoSeals, forgery("second seal never made", "its field still waits", cutRevisions(1), pdfsig.CodeField)),
		on(padesAndSeal, forgery("PAdES value emptied", "", inGap(0, zero), pdfsig.CodeContents)),
		on(padesAndSeal, forgery("seal beside PAdES emptied", "the PAdES signature alone is right", inGap(1, zero), pdfsig.CodeContents)),
	}
}

// inFirst replaces what a pattern matches in the revision of the first signature.
func inFirst(pattern *regexp.Regexp, with string) func(*bench, *pdftest.File) {
	return func(_ *bench, f *pdftest.File) {
		parts := f.Sections[1].Parts
		for i := range parts {
			parts[i].Text = pattern.ReplaceAllLiteralString(parts[i].Text, with)
		}
	}
}

// cutRevisions cuts the last revisions off.
func cutRevisions(n int) tampering {
	return func(_ *bench, file []byte) []byte {
		ends := pdftest.EndPattern.FindAllIndex(file, -1)
		return file[:ends[len(ends)-1-n][1]]
	}
}

// appendUpdate writes an incremental update with one new object over the catalogue.
func appendUpdate(b *bench, file []byte) []byte {
	return appendObject(b, file, "1 0 obj\n<</Type /Catalog /Pages 2 0 R>>\nendobj\n")
}

// appendObject writes an incremental update that defines one object, well formed and with
// all that a reader wants.
func appendObject(b *bench, file []byte, object string) []byte {
	f := pdftest.Split(b.t, file)
	last := f.Sections[len(f.Sections)-1]
	var number int
	_, err := fmt.Sscanf(object, "%d 0 obj", &number)
	must(b.t, err)
	f.Sections = append(f.Sections, pdftest.Section{Parts: []pdftest.Part{{Number: number, Text: object}}, Trailer: last.Trailer})
	f.KeepRange = true
	return f.Bytes()
}

func isaCases() []fileCase {
	lastRevision := func(_ *bench, file []byte) []byte {
		ends := pdftest.EndPattern.FindAllIndex(file, -1)
		return append(bytes.Clone(file), file[ends[len(ends)-2][1]:]...)
	}
	const revisions = pdfsig.CodeRevisions
	return []fileCase{
		forgery("update appended", "a new catalogue, with table and trailer", appendUpdate, revisions),
		forgery("page replaced by an update", "", func(b *bench, file []byte) []byte {
			page := pdftest.Split(b.t, file).Find(b.t, 1, "/Type /Page ")
			return appendObject(b, file, regexp.MustCompile(`/Contents \[\d+ 0 R \d+`).ReplaceAllString(page.Text, "/Contents [12 0 R 12"))
		}, revisions),
		forgery("body without table", "", add("1 0 obj\n<</Type /Catalog>>\nendobj\n"), revisions),
		forgery("body and trailer without table", "", add("1 0 obj\n<</Type /Catalog>>\nendobj\ntrailer\n<</Root 1 0 R>>\n"), revisions),
		forgery("trailer alone", "", add("trailer\n<</Size 26 /Root 1 0 R>>\nstartxref\n0\n%%EOF\n"), revisions),
		forgery("cross-reference stream", "an update with a table of the other kind",
			add("26 0 obj\n<</Type /XRef /Size 27 /W [1 2 1] /Root 1 0 R /Length 0>>\nstream\n\nendstream\nendobj\nstartxref\n9\n%%EOF\n"), revisions),
		forgery("one byte", "", add("\n"), revisions),
		forgery("end of file marker", "", add("%%EOF\n"), revisions),
		forgery("comment", "", add("% 已年检\n"), revisions),
		forgery("sealed revision again", "the sealed revision, copied behind itself", lastRevision, revisions),
		forgery("byte before the header", "", func(_ *bench, file []byte) []byte { return append([]byte("\n"), file...) }, pdfsig.CodeHeader),
		forgery("last byte cut off", "", func(_ *bench, file []byte) []byte { return file[:len(file)-1] }, pdfsig.CodeTrailer),
		forgery("hybrid table", "the sealed revision's trailer names a second table", keep(func(_ *bench, f *pdftest.File) {
			f.Sections[1].Trailer = "<</XRefStm 15 " + f.Sections[1].Trailer[2:]
		}), pdfsig.CodeXref),
		on(twoSeals, forgery("update after two seals", "", appendUpdate, revisions)),
		on(twoSeals, forgery("byte after two seals", "", add("\n"), revisions)),
		on(twoSeals, forgery("update between two seals", "a revision put in between, ranges put right", keep(func(_ *bench, f *pdftest.File) {
			between := pdftest.Section{Parts: f.Sections[0].Parts[:1], Trailer: f.Sections[1].Trailer}
			f.Sections = []pdftest.Section{f.Sections[0], f.Sections[1], between, f.Sections[2]}
		}), revisions)),
		on(twoSeals, forgery("second seal again", "the second seal's revision, copied behind itself", lastRevision, revisions)),
		on(twoSeals, forgery("first seal taken out", "the second seal's revision without the first's", keep(func(_ *bench, f *pdftest.File) {
			f.Sections = []pdftest.Section{f.Sections[0], f.Sections[2]}
		}), pdfsig.CodeObject)),
		on(padesAndSeal, forgery("update after PAdES and seal", "", appendUpdate, revisions)),
		on(padesAndSeal, forgery("byte after PAdES and seal", "", add("\n"), revisions)),
		on(padesAndSeal, forgery("seal cut off behind PAdES", "what is left is signed and not sealed", cutRevisions(1), pdfsig.CodeField)),
		on(padesAndSeal, forgery("update in the place of the seal", "", func(b *bench, file []byte) []byte {
			return appendUpdate(b, cutRevisions(1)(b, file))
		}, pdfsig.CodeByteRange)),
	}
}

// moveRange moves the second range back by a few bytes and leaves a hole.
func moveRange(signature int) tampering {
	return func(b *bench, file []byte) []byte {
		f, err := pdfsig.Read(file)
		must(b.t, err)
		r := f.Signatures[signature].ByteRange
		old := fmt.Sprintf("/ByteRange [0 %d %d %d", r[1], r[2], r[3])
		return replace(old, fmt.Sprintf("/ByteRange [0 %d %d %d", r[1], r[2]+4, r[3]-4))(b, file)
	}
}

// wrap is the published attack: the protected end of the file goes to the back, and
// what was put in between brings a byte range that fits.
func wrap(signature int) tampering {
	return func(b *bench, file []byte) []byte {
		start, end := gap(b, file, signature)
		evil := "12 0 obj\n<</Length 0>>\nstream\n\nendstream\nendobj\nxref\n0 1\n0000000000 65535 f \ntrailer\n<</Root 1 0 R /Size 27>>\nstartxref\n9\n%%EOF\n"
		ranges := fmt.Sprintf("\n/ByteRange [0 %d %d %-10d]>>\nendobj\n", start, end+len(evil)+60, len(file)-end)
		between := ranges + evil
		between += string(bytes.Repeat([]byte(" "), len(evil)+60-len(between)))
		return append(append(bytes.Clone(file[:end]), between...), file[end:]...)
	}
}

func swaCases() []fileCase {
	const ranges = pdfsig.CodeByteRange
	return []fileCase{
		forgery("second range moved", "", moveRange(0), ranges),
		forgery("signature wrapped", "the protected end of the file goes to the back; what is put between has a byte range that fits", wrap(0), pdfsig.CodeXref),
		forgery("signature copied to the end", "", func(b *bench, file []byte) []byte {
			start, end := gap(b, file, 0)
			return append(append(bytes.Clone(file), file[start:end]...), "\n%%EOF\n"...)
		}, pdfsig.CodeRevisions),
		forgery("range from one", "", keep(swap(pdftest.RangePattern, "/ByteRange [1 2 3 4]")), ranges),
		forgery("two ranges in the dictionary", "", edit(in(1, "/Type /Sig ", "/ByteRange [0 1 2 3] /Type /Sig ")), pdfsig.CodeSyntax),
		forgery("second contents", "", edit(in(1, "/Type /Sig ", "/Contents <3003020101> /Type /Sig ")), pdfsig.CodeSyntax),
		forgery("range in a string", "for readers that search the file for it", edit(in(1, "/Type /Sig ", "/Type /Sig /Reason (/ByteRange [0 1 2 3]) ")), ranges),
		forgery("range in the metadata", "", resealed(func(b *bench, f *pdftest.File) {
			f.Replace(b.t, 0, "/XML /Length 0>>\nstream\n\nendstream", "/XML /Length 20>>\nstream\n/ByteRange [0 1 2 3]\nendstream")
		}), ranges),
		forgery("something between contents and range", "", edit(in(1, ">\n/ByteRange", "><</Evil true>>\n/ByteRange")), pdfsig.CodeSyntax),
		on(twoSeals, forgery("range of the first of two seals moved", "", moveRange(0), ranges)),
		on(twoSeals, forgery("range of the second of two seals moved", "", moveRange(1), ranges)),
		on(twoSeals, forgery("first of two seals said to cover all", "", func(b *bench, file []byte) []byte {
			start, end := gap(b, file, 0)
			old := pdftest.RangePattern.Find(file)
			return bytes.Replace(file, old, fmt.Appendf(nil, "%-*s]", len(old)-1, fmt.Sprintf("/ByteRange [0 %d %d %d", start, end, len(file)-end)), 1)
		}, ranges)),
		on(twoSeals, forgery("second of two seals wrapped", "", wrap(1), pdfsig.CodeRevisions)),
		on(padesAndSeal, forgery("PAdES range moved", "", moveRange(0), ranges)),
		on(padesAndSeal, forgery("PAdES wrapped", "", wrap(0), pdfsig.CodeXref)),
	}
}

// TestTooLarge is no case of the corpus for its size alone.
func TestTooLarge(t *testing.T) {
	run(t, []fileCase{forgery("too large", "", func(*bench, []byte) []byte { return make([]byte, pdfsig.MaxFileSize+1) }, pdfsig.CodeFileSize)})
}
