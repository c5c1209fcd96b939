package pdfsig_test

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
)

// wantCode checks that err is a *FormatError with a code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var format *pdfsig.FormatError
	if !errors.As(err, &format) {
		t.Fatalf("got error %v, want a FormatError with code %s", err, code)
	}
	if format.Code != code {
		t.Errorf("got %v, want code %s", format, code)
	}
}

// wantRefused checks that Read refuses a file and returns nothing of it.
func wantRefused(t *testing.T, file []byte, code string) {
	t.Helper()
	f, err := pdfsig.Read(file)
	if f != nil {
		t.Errorf("Read returned a File: %v", f.Signatures)
	}
	wantCode(t, err, code)
}

func TestEditorChangesNothingByItself(t *testing.T) {
	file := sign(t)
	if got := pdftest.Split(t, file).Bytes(); !bytes.Equal(got, file) {
		t.Fatal("a file taken apart and put together is another")
	}
}

// change is an attack on a file taken apart.
type change func(*testing.T, *pdftest.File)

// swap replaces what a pattern matches in the last section.
func swap(pattern *regexp.Regexp, with string) change {
	return func(_ *testing.T, e *pdftest.File) {
		e.Last(func(s string) string { return pattern.ReplaceAllLiteralString(s, with) })
	}
}

// replace edits one object of the update.
func replace(old, new string) change {
	return func(t *testing.T, e *pdftest.File) { e.Replace(t, 1, old, new) }
}

// both adds an entry to a dictionary that both revisions hold.
func both(old, entry string) change {
	return func(t *testing.T, e *pdftest.File) {
		for i := range e.Sections {
			e.Replace(t, i, old, old+entry)
		}
	}
}

// keep leaves the byte range as the attack wrote it.
func keep(edit change) change {
	return func(t *testing.T, e *pdftest.File) { edit(t, e); e.KeepRange = true }
}

// updateAttacks edits the signature revision, or both, with all offsets and
// ranges put right again.
var updateAttacks = []struct {
	class, name string
	edit        change
	code        string
}{
	{"USF", "contents empty", swap(pdftest.ContentsPattern, "/Contents <>"), pdfsig.CodeContents},
	{"USF", "contents null", keep(swap(pdftest.ContentsPattern, "/Contents null")), pdfsig.CodeSyntax},
	{"USF", "contents missing", keep(swap(pdftest.ContentsPattern, "")), pdfsig.CodeNoSignature},
	{"USF", "contents an integer", keep(swap(pdftest.ContentsPattern, "/Contents 0")), pdfsig.CodeNoSignature},
	{"USF", "contents a reference", keep(swap(pdftest.ContentsPattern, "/Contents 9 0 R")), pdfsig.CodeNoSignature},
	{"USF", "contents a literal string", keep(swap(pdftest.ContentsPattern, "/Contents (0000)")), pdfsig.CodeByteRange},
	{"USF", "contents all zeros", swap(pdftest.ContentsPattern, "/Contents <0000000000000000>"), pdfsig.CodeContents},
	{"USF", "byte range missing", keep(swap(pdftest.RangePattern, "")), pdfsig.CodeByteRange},
	{"USF", "byte range null", keep(swap(pdftest.RangePattern, "/ByteRange null")), pdfsig.CodeSyntax},
	{"USF", "byte range a name", keep(swap(pdftest.RangePattern, "/ByteRange /None")), pdfsig.CodeNoSignature},
	{"USF", "byte range empty", keep(swap(pdftest.RangePattern, "/ByteRange []")), pdfsig.CodeByteRange},
	{"USF", "byte range of three", keep(swap(pdftest.RangePattern, "/ByteRange [0 1 2]")), pdfsig.CodeByteRange},
	{"USF", "byte range of names", keep(swap(pdftest.RangePattern, "/ByteRange [/a /b /c /d]")), pdfsig.CodeByteRange},
	{"USF", "byte range negative", keep(swap(pdftest.RangePattern, "/ByteRange [0 -1 5 -1]")), pdfsig.CodeByteRange},
	{"USF", "byte range of 11 digits", keep(swap(pdftest.RangePattern, "/ByteRange [0 99999999999 5 1]")), pdfsig.CodeLimit},
	{"USF", "byte range from one", keep(swap(pdftest.RangePattern, "/ByteRange [1 2 3 4]")), pdfsig.CodeByteRange},
	{"USF", "value missing", replace(" /V 2", " /W 2"), pdfsig.CodeProfile},
	{"USF", "no fields", func(t *testing.T, e *pdftest.File) {
		e.Replace(t, 1, fmt.Sprintf("/Fields [%d 0 R]", e.Find(t, 1, "/FT /Sig").Number), "/Fields []")
	}, pdfsig.CodeField},
	{"USF", "foreign handler", replace("/Elicence.GMPkiLite", "/Adobe.PPKLite"), pdfsig.CodeProfile},
	{"USF", "foreign encoding", replace("/GM.sm2seal", "/adbe.pkcs7.detached"), pdfsig.CodeProfile},

	{"SWA", "two byte ranges in the dictionary", replace("/Type /Sig ", "/ByteRange [0 1 2 3] /Type /Sig "), pdfsig.CodeSyntax},
	{"SWA", "byte range in a string", replace("/Reason (Issue", "/Reason (/ByteRange [0 1 2 3] Issue"), pdfsig.CodeByteRange},
	{"SWA", "second range moved back", func(t *testing.T, e *pdftest.File) {
		file := e.Bytes()
		r := pdftest.RangePattern.Find(file)
		var a, b, c int
		if _, err := fmt.Sscanf(string(r), "/ByteRange [0 %d %d %d", &a, &b, &c); err != nil {
			t.Fatal(err)
		}
		e.Replace(t, 1, string(r), fmt.Sprintf("/ByteRange [0 %d %d %-10d]", a, b+40, c-40))
		e.KeepRange = true
	}, pdfsig.CodeByteRange},
	{"SWA", "something between contents and range", func(t *testing.T, e *pdftest.File) {
		e.Replace(t, 1, ">\n/ByteRange", "><</Evil true>>\n/ByteRange")
	}, pdfsig.CodeSyntax},
	{"SWA", "contents twice", replace("/Type /Sig ", "/Contents <3003020101> /Type /Sig "), pdfsig.CodeSyntax},

	{"gap", "upper case", func(t *testing.T, e *pdftest.File) { e.Replace(t, 1, "a50b00ff", "A50b00ff") }, pdfsig.CodeSyntax},
	{"gap", "space in the digits", func(t *testing.T, e *pdftest.File) { e.Replace(t, 1, "a50b00ff", "a50b 00f") }, pdfsig.CodeSyntax},
	{"gap", "odd number of digits", func(t *testing.T, e *pdftest.File) { e.Replace(t, 1, "0>\n/ByteRange", ">\n/ByteRange") }, pdfsig.CodeSyntax},
	{"gap", "padding not zero", func(t *testing.T, e *pdftest.File) { e.Replace(t, 1, "00>\n/ByteRange", "01>\n/ByteRange") }, pdfsig.CodeContents},
	{"gap", "length not minimal", func(t *testing.T, e *pdftest.File) { e.Replace(t, 1, "<30820100", "<3083000100") }, pdfsig.CodeContents},
	{"gap", "long form of a short length", swap(pdftest.ContentsPattern, "/Contents <3081050000000000>"), pdfsig.CodeContents},
	{"gap", "indefinite length", func(t *testing.T, e *pdftest.File) { e.Replace(t, 1, "<30820100", "<30800100") }, pdfsig.CodeContents},
	{"gap", "longer than the room", func(t *testing.T, e *pdftest.File) { e.Replace(t, 1, "<30820100", "<30824100") }, pdfsig.CodeContents},
	{"gap", "not a sequence", func(t *testing.T, e *pdftest.File) { e.Replace(t, 1, "<30820100", "<31820100") }, pdfsig.CodeContents},

	{"shadow", "content stream replaced", func(t *testing.T, e *pdftest.File) {
		content := e.Find(t, 0, "12 0 obj\n")
		e.Sections[1].Parts = append(e.Sections[1].Parts, content)
	}, pdfsig.CodeUpdate},
	{"shadow", "font replaced", func(t *testing.T, e *pdftest.File) {
		e.Sections[1].Parts = append(e.Sections[1].Parts, e.Find(t, 0, "/Subtype /Type0"))
	}, pdfsig.CodeUpdate},
	{"shadow", "content stream instead of the page", func(t *testing.T, e *pdftest.File) {
		content := e.Find(t, 0, "12 0 obj\n")
		for i, p := range e.Sections[1].Parts {
			if strings.Contains(p.Text, "/Type /Page ") {
				e.Sections[1].Parts[i] = content
			}
		}
	}, pdfsig.CodeUpdate},
	{"shadow", "page shows other content", func(t *testing.T, e *pdftest.File) {
		e.Replace(t, 1, "[11 0 R 12 0 R]", "[11 0 R 14 0 R]")
	}, pdfsig.CodeObject},
	{"shadow", "page resized", func(t *testing.T, e *pdftest.File) {
		e.Replace(t, 1, "/Parent 2 0 R", "/MediaBox [0 0 500 500] /Parent 2 0 R")
	}, pdfsig.CodeProfile},
	{"shadow", "page with other resources", func(t *testing.T, e *pdftest.File) {
		e.Replace(t, 1, "/Resources 5 0 R", "/Resources 4 0 R")
	}, pdfsig.CodeObject},
	{"shadow", "page with another backdrop", func(t *testing.T, e *pdftest.File) {
		e.Replace(t, 1, "[11 0 R 12 0 R]", "[10 0 R 12 0 R]")
	}, pdfsig.CodeObject},
	{"shadow", "page without its backdrop", func(t *testing.T, e *pdftest.File) {
		e.Replace(t, 1, "[11 0 R 12 0 R]", "[12 0 R]")
	}, pdfsig.CodeProfile},
	{"shadow", "page of three streams", func(t *testing.T, e *pdftest.File) {
		e.Replace(t, 1, "[11 0 R 12 0 R]", "[11 0 R 12 0 R 14 0 R]")
	}, pdfsig.CodeProfile},
	{"shadow", "catalogue without metadata", func(t *testing.T, e *pdftest.File) {
		e.Last(func(s string) string { return regexp.MustCompile(` /Metadata \d+ 0 R`).ReplaceAllString(s, "") })
	}, pdfsig.CodeProfile},
	{"shadow", "catalogue in another language", func(t *testing.T, e *pdftest.File) { e.Replace(t, 1, "(zh-CN)", "(en-GB)") }, pdfsig.CodeUpdate},
	{"shadow", "object nobody uses, in the update", func(t *testing.T, e *pdftest.File) { e.Add(1, "<</Type /Font>>") }, pdfsig.CodeObject},
	{"shadow", "optional content", both("/Type /Catalog ", "/OCProperties <<>> "), pdfsig.CodeOptionalContent},
	{"shadow", "crop box", both("[11 0 R 12 0 R]", "\n/CropBox [0 0 10 10]"), pdfsig.CodeProfile},
	{"shadow", "other information dictionary", func(t *testing.T, e *pdftest.File) {
		e.Sections[1].Trailer = regexp.MustCompile(`/Info \d+`).ReplaceAllString(e.Sections[1].Trailer, "/Info 2")
	}, pdfsig.CodeUpdate},
	{"shadow", "other root", func(t *testing.T, e *pdftest.File) {
		e.Sections[1].Trailer = regexp.MustCompile(`/Root \d+`).ReplaceAllString(e.Sections[1].Trailer, "/Root 3")
	}, pdfsig.CodeUpdate},

	{"EAA", "second annotation", func(t *testing.T, e *pdftest.File) {
		n := e.Add(1, "<</Type /Annot /Subtype /FreeText /Rect [0 0 600 800] /Contents (void)>>")
		e.Replace(t, 1, "/Annots [", fmt.Sprintf("/Annots [%d 0 R ", n))
	}, pdfsig.CodeField},
	{"EAA", "annotation written into the page", replace("/Annots [", "/Annots [<</Type /Annot>> "), pdfsig.CodeField},
	{"EAA", "annotation instead of the widget", replace("/Subtype /Widget", "/Subtype /Stamp"), pdfsig.CodeProfile},
	{"SSA", "second field", func(t *testing.T, e *pdftest.File) {
		n := e.Add(1, "<</Type /Annot /Subtype /Widget /FT /Sig /T (Seal2)>>")
		e.Replace(t, 1, "/Fields [", fmt.Sprintf("/Fields [%d 0 R ", n))
	}, pdfsig.CodeField},
	{"SSA", "certification by nobody", replace("/Perms <<", "/Other <<"), pdfsig.CodeProfile},
	{"SSA", "certification by another object", func(t *testing.T, e *pdftest.File) {
		e.Last(func(s string) string { return strings.ReplaceAll(s, "/DocMDP 2", "/DocMDP 1") })
	}, pdfsig.CodeUpdate},
	{"SSA", "changes permitted", replace("/P 1 /V /1.2", "/P 2 /V /1.2"), pdfsig.CodeUpdate},
	{"SSA", "no transform", func(t *testing.T, e *pdftest.File) {
		e.Last(func(s string) string {
			return regexp.MustCompile(`/Reference \[.*\]\n`).ReplaceAllString(s, "/Reference []\n")
		})
	}, pdfsig.CodeUpdate},

	{"widget", "without area", func(t *testing.T, e *pdftest.File) { e.Replace(t, 1, "459.555 239.305]", "340.5 120.25]") }, pdfsig.CodeField},
	{"widget", "upside down", func(t *testing.T, e *pdftest.File) {
		e.Replace(t, 1, "[340.5 120.25 459.555 239.305]", "[459.555 239.305 340.5 120.25]")
	}, pdfsig.CodeField},
	{"widget", "off the page", func(t *testing.T, e *pdftest.File) {
		e.Replace(t, 1, "[340.5 120.25 459.555 239.305]", "[640.5 120.25 759.555 239.305]")
	}, pdfsig.CodeField},
	{"widget", "larger than the appearance", replace("459.555", "469.555"), pdfsig.CodeUpdate},
	{"widget", "hidden", replace("/F 132", "/F 134"), pdfsig.CodeUpdate},
	{"widget", "not printed", replace("/F 132", "/F 128"), pdfsig.CodeUpdate},
	{"widget", "second appearance", func(t *testing.T, e *pdftest.File) {
		n := e.Find(t, 1, "/Subtype /Form").Number
		e.Replace(t, 1, "/AP <<", fmt.Sprintf("/AP <</D %d 0 R ", n))
	}, pdfsig.CodeProfile},
	{"widget", "appearance with resources", replace("/Resources <<>>", "/Resources <</Font <<>>>>"), pdfsig.CodeUpdate},
	{"widget", "appearance under optional content", replace("/Resources <<>>", "/Resources <<>> /OC 2 0 R"), pdfsig.CodeOptionalContent},
	{"widget", "appearance transformed", replace("/Resources <<>>", "/Resources <<>> /Matrix [0 0 0 0 0 0]"), pdfsig.CodeProfile},
	{"widget", "of another page", func(t *testing.T, e *pdftest.File) {
		e.Last(func(s string) string { return strings.Replace(s, "/F 132 /P 13 ", "/F 132 /P 15 ", 1) })
	}, pdfsig.CodeField},
	{"widget", "with an action", replace("/FT /Sig", "/FT /Sig /A <</S /URI /URI (x)>>"), pdfsig.CodeActiveContent},
	{"widget", "with further actions", replace("/FT /Sig", "/FT /Sig /AA <<>>"), pdfsig.CodeActiveContent},

	{"active", "open action", both("/Type /Catalog ", "/OpenAction [13 0 R /Fit] "), pdfsig.CodeActiveContent},
	{"active", "further actions", both("/Type /Catalog ", "/AA <<>> "), pdfsig.CodeActiveContent},
	{"active", "address base", both("/Type /Catalog ", "/URI <<>> "), pdfsig.CodeActiveContent},
	{"active", "script names", both("/Names <<", "/JavaScript <<>> "), pdfsig.CodeActiveContent},
	{"active", "rich media", both("[11 0 R 12 0 R]", "\n/RichMedia <<>>"), pdfsig.CodeActiveContent},

	{"structure", "encrypted", func(t *testing.T, e *pdftest.File) {
		e.Sections[1].Trailer = "<</Encrypt 1 0 R" + e.Sections[1].Trailer[2:]
	}, pdfsig.CodeEncrypted},
	{"structure", "hybrid", func(t *testing.T, e *pdftest.File) {
		e.Sections[1].Trailer = "<</XRefStm 15" + e.Sections[1].Trailer[2:]
	}, pdfsig.CodeXref},
	{"structure", "previous section elsewhere", func(t *testing.T, e *pdftest.File) {
		e.Sections[1].Trailer = pdftest.PrevPattern.ReplaceAllString(e.Sections[1].Trailer, "/Prev  15")
	}, pdfsig.CodeUpdate},
	{"structure", "comment between objects", func(t *testing.T, e *pdftest.File) { e.Sections[1].Parts[1].Text += "% hidden\n" }, pdfsig.CodeSyntax},
	{"structure", "comment in an object", replace("/SigFlags 3", "/SigFlags %\n3"), pdfsig.CodeSyntax},
	{"structure", "blank line between objects", func(t *testing.T, e *pdftest.File) { e.Sections[1].Parts[1].Text += "\n" }, pdfsig.CodeSyntax},
	{"structure", "object twice", func(t *testing.T, e *pdftest.File) {
		e.Sections[1].Parts = append(e.Sections[1].Parts, e.Sections[1].Parts[2])
	}, pdfsig.CodeObject},
	{"structure", "generation one", func(t *testing.T, e *pdftest.File) { e.Replace(t, 1, "0 obj\n<</Fields", "1 obj\n<</Fields") }, pdfsig.CodeSyntax},
	{"structure", "reference to generation one", replace("/SigFlags 3", "/SigFlags 3 1 R"), pdfsig.CodeSyntax},
	{"structure", "white space of another kind", replace(" /SigFlags 3", "\t/SigFlags 3"), pdfsig.CodeSyntax},
	{"structure", "more spaces", replace(" /SigFlags 3", "  /SigFlags 3"), pdfsig.CodeUpdate},
	{"structure", "objects in another order", func(t *testing.T, e *pdftest.File) {
		p := e.Sections[1].Parts
		p[2], p[3] = p[3], p[2]
	}, pdfsig.CodeUpdate},
	{"structure", "escaped name", replace("/FT /Sig", "/F#54 /Sig"), pdfsig.CodeSyntax},
	{"structure", "page redefined as a stream", func(t *testing.T, e *pdftest.File) {
		for i := range e.Sections[0].Parts {
			p := &e.Sections[0].Parts[i]
			if strings.HasPrefix(p.Text, "13 0 obj\n") {
				p.Text = strings.Replace(p.Text, "/Contents", "/Length 6 /Contents", 1)
				p.Text = strings.Replace(p.Text, ">>\nendobj", ">>\nstream\nhidden\nendstream\nendobj", 1)
			}
		}
		e.Replace(t, 1, "/Contents [", "/Length 6 /Contents [")
	}, pdfsig.CodeProfile},
}

func TestAttacksOnTheUpdate(t *testing.T) {
	signed := sign(t)
	for _, tt := range updateAttacks {
		t.Run(tt.class+"/"+tt.name, func(t *testing.T) {
			e := pdftest.Split(t, signed)
			before := e.Bytes()
			tt.edit(t, e)
			file := e.Bytes()
			if bytes.Equal(file, before) {
				t.Fatal("the attack changed nothing")
			}
			wantRefused(t, file, tt.code)
		})
	}
}

// TestAttacksOnTheBytes needs no tables put right.
func TestAttacksOnTheBytes(t *testing.T) {
	signed := sign(t)
	last := pdftest.Split(t, signed)
	update := signed[len(signed)-len(lastSection(t, signed)):]
	tests := []struct {
		class, name string
		file        []byte
		code        string
	}{
		{"ISA", "one byte appended", concat(signed, "\n"), pdfsig.CodeRevisions},
		{"ISA", "body appended", concat(signed, last.Sections[0].Parts[0].Text), pdfsig.CodeRevisions},
		{"ISA", "body and trailer appended", concat(signed, last.Sections[0].Parts[0].Text, "trailer\n<<>>\n"), pdfsig.CodeRevisions},
		{"ISA", "end of file marker appended", concat(signed, "%%EOF\n"), pdfsig.CodeRevisions},
		{"ISA", "signature revision appended again", concat(signed, string(update)), pdfsig.CodeRevisions},
		{"ISA", "something before the header", concat([]byte("\n"), string(signed)), pdfsig.CodeHeader},
		{"USF", "not signed", render(t), pdfsig.CodeNoSignature},
		{"USF", "signature revision cut off", signed[:len(signed)-len(update)], pdfsig.CodeNoSignature},
		{"USF", "prepared, not finished", unfinished(t), pdfsig.CodeContents},
		{"resource", "nothing", nil, pdfsig.CodeFileSize},
		{"resource", "too large", make([]byte, pdfsig.MaxFileSize+1), pdfsig.CodeFileSize},
		{"resource", "no PDF", []byte("PK\x03\x04 and so on"), pdfsig.CodeHeader},
		{"resource", "header only", []byte("%PDF-1.7\n%µ¶\n"), pdfsig.CodeSyntax},
		{"resource", "version 2.0", bytes.Replace(signed, []byte("%PDF-1.7"), []byte("%PDF-2.0"), 1), pdfsig.CodeHeader},
		{"resource", "nesting", inObject(strings.Repeat("[", 17) + strings.Repeat("]", 17)), pdfsig.CodeLimit},
		{"resource", "nesting without end", inObject(strings.Repeat("[<</A", 1_000_000)), pdfsig.CodeLimit},
		{"resource", "deep nesting without end", inObject(strings.Repeat("[", 5_000_000)), pdfsig.CodeLimit},
		{"resource", "long number", inObject("12345678901"), pdfsig.CodeLimit},
		{"resource", "long real", inObject("1234567.8901"), pdfsig.CodeLimit},
		{"resource", "many digits", inObject(strings.Repeat("9", 1_000_000)), pdfsig.CodeLimit},
		{"resource", "long name", inObject("/" + strings.Repeat("n", 128)), pdfsig.CodeLimit},
		{"resource", "many values", inObject("[" + strings.Repeat("0 ", 20_001) + "]"), pdfsig.CodeLimit},
		{"resource", "long string", inObject("(" + strings.Repeat("x", 4<<20) + ")"), pdfsig.CodeLimit},
		{"resource", "long hexadecimal string", inObject("<" + strings.Repeat("0", 4<<20) + ">"), pdfsig.CodeLimit},
		{"resource", "long number", inObject(strings.Repeat("7", 4<<20)), pdfsig.CodeLimit},
		{"resource", "many blanks", inObject(strings.Repeat(" ", 4<<20)), pdfsig.CodeLimit},
		{"resource", "many blanks in a dictionary", inObject("<<" + strings.Repeat("\n", 4<<20)), pdfsig.CodeLimit},
		{"resource", "many entries", inObject(manyEntries(257)), pdfsig.CodeLimit},
		{"resource", "reference beyond the limit", inObject("2001 0 R"), pdfsig.CodeLimit},
		{"resource", "object number beyond the limit", []byte("%PDF-1.7\n%µ¶\n2001 0 obj\n0\nendobj\n"), pdfsig.CodeLimit},
		{"resource", "many objects", []byte("%PDF-1.7\n%µ¶\n" + strings.Repeat("1 0 obj\n0\nendobj\n", 2_001)), pdfsig.CodeLimit},
		{"resource", "stream longer than the file", inObject("<</Length 9999999999>>\nstream\nx"), pdfsig.CodeSyntax},
		{"resource", "stream of negative length", inObject("<</Length -1>>\nstream\nx"), pdfsig.CodeSyntax},
		{"resource", "number with leading zeros", inObject("007"), pdfsig.CodeSyntax},
		{"resource", "number of nothing", inObject("-"), pdfsig.CodeSyntax},
		{"resource", "real without a fraction", inObject("1."), pdfsig.CodeSyntax},
		{"resource", "number run into a name", inObject("12ab"), pdfsig.CodeSyntax},
		{"resource", "empty name", inObject("/"), pdfsig.CodeSyntax},
		{"resource", "octal escape", inObject(`(\101)`), pdfsig.CodeSyntax},
		{"resource", "string with parentheses inside", inObject("(a(b)c)"), pdfsig.CodeSyntax},
		{"resource", "string without an end", inObject("(abc"), pdfsig.CodeSyntax},
		{"resource", "string ending in a backslash", inObject(`(abc\`), pdfsig.CodeSyntax},
		{"resource", "object stream and cross-reference stream", inObject("<</Type /XRef /Length 0>>\nstream\n\nendstream\nendobj\nstartxref\n15\n%%EOF\n"), pdfsig.CodeSyntax},
	}
	for _, tt := range tests {
		t.Run(tt.class+"/"+tt.name, func(t *testing.T) { wantRefused(t, tt.file, tt.code) })
	}
}

func concat(file []byte, more ...string) []byte {
	return append(bytes.Clone(file), strings.Join(more, "")...)
}

// lastSection returns the bytes of the signature revision.
func lastSection(t *testing.T, file []byte) []byte {
	t.Helper()
	first := pdftest.EndPattern.FindIndex(file)
	if first == nil {
		t.Fatal("no trailer")
	}
	return file[first[1]:]
}

func unfinished(t *testing.T) []byte {
	return pdftest.ContentsPattern.ReplaceAllFunc(sign(t), func(b []byte) []byte {
		return []byte("/Contents <" + strings.Repeat("0", len(b)-len("/Contents <>")) + ">")
	})
}

func inObject(text string) []byte {
	return []byte("%PDF-1.7\n%µ¶\n1 0 obj\n" + text + "\nendobj\n")
}

func manyEntries(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "/K%d 0 ", i)
	}
	return "<<" + out.String() + ">>"
}
