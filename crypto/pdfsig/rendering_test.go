package pdfsig_test

import (
	"fmt"
	"strings"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
	"elicence/licence/render/pdf"
)

// draw renders the sample with something else in it.
func draw(extra func(*pdf.Document)) func(*testing.T, []byte) []byte {
	return func(t *testing.T, _ []byte) []byte { return render(t, extra) }
}

// editRendered edits the sample as it was written.
func editRendered(edit change) func(*testing.T, []byte) []byte {
	return func(t *testing.T, rendered []byte) []byte {
		e := pdftest.Split(t, rendered)
		e.KeepRange = true
		edit(t, e)
		return e.Bytes()
	}
}

// addRendered writes one more object, and to another object what refers to it.
func addRendered(object, to, reference string) func(*testing.T, []byte) []byte {
	return editRendered(func(t *testing.T, e *pdftest.File) {
		n := e.Add(0, "%s", object)
		e.Replace(t, 0, to, to+fmt.Sprintf(reference, n))
	})
}

// replaceRendered edits one object of the sample.
func replaceRendered(old, new string) func(*testing.T, []byte) []byte {
	return editRendered(func(t *testing.T, e *pdftest.File) { e.Replace(t, 0, old, new) })
}

// marked edits the sample with bookmarks.
func marked(old, new string) func(*testing.T, []byte) []byte {
	return func(t *testing.T, _ []byte) []byte {
		return replaceRendered(old, new)(t, render(t, func(d *pdf.Document) { d.Bookmarks = []string{"第1页", "第2页"} }))
	}
}

// TestBookmarks: those that licence/render/pdf writes are read, signed and unsigned.
func TestBookmarks(t *testing.T) {
	rendered := render(t, func(d *pdf.Document) { d.Bookmarks = []string{"第1页", "第2页"} })
	file, err := prepare(t, rendered, sampleOptions()).Finish(sampleDER)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pdfsig.Read(file); err != nil {
		t.Error(err)
	}
	edited := pdftest.Split(t, file) // the catalogue as the seal repeats it
	edited.Replace(t, 1, "/Outlines 22 0 R", "/Outlines 23 0 R")
	if _, err := pdfsig.Read(edited.Bytes()); err == nil {
		t.Error("other bookmarks after the seal were accepted")
	}
}

// renderingAttacks are renderings that are not ours: what PDF can do and we do not
// use, and what somebody could plant for later.
var renderingAttacks = []struct {
	name string
	file func(t *testing.T, rendered []byte) []byte
	code string
}{
	{"link", addRendered("<</Type /Annot /Subtype /Link /Rect [0 0 9 9] /A <</S /URI /URI (x)>>>>", "[11 0 R 12 0 R]", " /Annots [%d 0 R]"), pdfsig.CodeProfile},
	{"script", addRendered("<</S /JavaScript /JS (x)>>", "/Names <<", "/JavaScript <</Names [(x) %d 0 R]>> "), pdfsig.CodeActiveContent},
	{"layer", addRendered("<</Type /OCG /Name (hidden)>>", "/Type /Catalog ", "/OCProperties <</OCGs [%d 0 R]>> "), pdfsig.CodeOptionalContent},
	{"layer in the resources", addRendered("<</Type /OCG /Name (hidden)>>", "<</Font <</F1 6 0 R>>", " /Properties <</L1 %d 0 R>>"), pdfsig.CodeOptionalContent},
	{"open action", replaceRendered("/Type /Catalog ", "/Type /Catalog /OpenAction [13 0 R /Fit] "), pdfsig.CodeActiveContent},
	{"encryption", editRendered(func(t *testing.T, e *pdftest.File) {
		e.Sections[0].Trailer = strings.Replace(e.Sections[0].Trailer, "<<", "<</Encrypt 4 0 R ", 1)
	}), pdfsig.CodeEncrypted},
	{"form shown with a layer", drawnForm("Form", "/OC 3 0 R"), pdfsig.CodeOptionalContent},
	{"form that stands for another file", drawnForm("Form", "/Ref <</F (x)>>"), pdfsig.CodeProfile},
	{"form with an action", drawnForm("Form", "/AA <</O <</S /JavaScript /JS (x)>>>>"), pdfsig.CodeActiveContent},
	{"form from outside", drawnForm("Form", "/F (x)"), pdfsig.CodeProfile},
	{"form in PostScript", drawnForm("Form", "/PS 4 0 R"), pdfsig.CodeProfile},
	{"image with alternates", drawnForm("Form", "/Alternates [4 0 R]"), pdfsig.CodeProfile},
	{"form with properties", drawnForm("Form", "/Resources <</Properties <</P <</Type /OCG>>>>>>"), pdfsig.CodeOptionalContent},
	{"form that is the metadata too", drawnForm("Form", "/SMask 4 0 R"), pdfsig.CodeObject},
	{"form with a value elsewhere", drawnForm("Form", "/Width 3 0 R"), pdfsig.CodeProfile},
	{"form with a font's action", drawnForm("Form", "/Resources <</Font <</F <</A <</S /Launch>>>>>>>>"), pdfsig.CodeActiveContent},
	{"form with a nameless dictionary", drawnForm("Form", "/Matrix <</A 1>>"), pdfsig.CodeActiveContent},
	{"form with an object that is not there", drawnForm("Form", "/SMask 99 0 R"), pdfsig.CodeProfile},
	{"PostScript object", drawnForm("PS", ""), pdfsig.CodeProfile},
	{"form with a filter of encryption", drawnForm("Form", "/Filter [/Crypt /FlateDecode]"), pdfsig.CodeProfile},
	{"form with a filter that is not known", drawnForm("Form", "/Filter /BrotliDecode"), pdfsig.CodeProfile},
	{"form with a filter that is no name", drawnForm("Form", "/Filter [[/FlateDecode]]"), pdfsig.CodeProfile},
	{"form of one page of two", formNamed("/X1 %d 0 R"), pdfsig.CodeProfile},
	{"form of another name", formNamed("/X2 %d 0 R"), pdfsig.CodeProfile},
	{"form in the wrong place", formNamed("/X2 %[1]d 0 R /X1 %[1]d 0 R"), pdfsig.CodeProfile},
	{"form of a third page", formNamed("/X1 %[1]d 0 R /X2 %[1]d 0 R /X3 %[1]d 0 R"), pdfsig.CodeProfile},
	{"no form at all", replaceRendered("<</Font <</F1 6 0 R>>", "<</Font <</F1 6 0 R>> /XObject <<>>"), pdfsig.CodeProfile},
	{"file annotation", addRendered("<</Type /Annot /Subtype /FileAttachment /Rect [0 0 9 9] /FS 17 0 R>>", "[11 0 R 12 0 R]", " /Annots [%d 0 R]"), pdfsig.CodeProfile},
	{"bookmark", addRendered("<</Type /Outlines>>", "/Type /Catalog ", "/Outlines %d 0 R "), pdfsig.CodeProfile},
	{"crop box", replaceRendered("[11 0 R 12 0 R]", "[11 0 R 12 0 R] /CropBox [0 0 50 50]"), pdfsig.CodeProfile},
	{"spot colour", replaceRendered("<</Font <</F1 6 0 R>>", "<</Font <</F1 6 0 R>> /ColorSpace <</C1 [/Separation /Red /DeviceCMYK]>>"), pdfsig.CodeProfile},
	{"page turned", replaceRendered("[11 0 R 12 0 R]", "[11 0 R 12 0 R] /Rotate 90"), pdfsig.CodeProfile},
	{"units of another size", replaceRendered("[11 0 R 12 0 R]", "[11 0 R 12 0 R] /UserUnit 2.0"), pdfsig.CodeProfile},
	{"second font", addRendered("<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>", "<</F1 6 0 R", " /F2 %d 0 R"), pdfsig.CodeProfile},
	{"font of another name", replaceRendered("<</F1 6 0 R", "<</F2 6 0 R"), pdfsig.CodeProfile},
	{"font of programs", replaceRendered("/Subtype /Type0", "/Subtype /Type3"), pdfsig.CodeProfile},
	{"glyphs by a map", replaceRendered("/CIDToGIDMap /Identity", "/CIDToGIDMap /Other"), pdfsig.CodeProfile},
	{"content of no filter", replaceRendered("<</Type /Page /Parent 2 0 R /Resources 5 0 R /Contents [11 0 R 12 0 R]>>",
		"<</Type /Page /Parent 2 0 R /Resources 5 0 R /Contents [4 0 R 12 0 R]>>"), pdfsig.CodeObject},
	{"file name twice", draw(func(d *pdf.Document) { d.Attachments[1].Name = d.Attachments[0].Name }), pdfsig.CodeAttachment},
	{"file name with a path", draw(func(d *pdf.Document) { d.Attachments[1].Name = "../a" }), pdfsig.CodeAttachment},
	{"no file name", draw(func(d *pdf.Document) { d.Attachments[1].Name = "" }), pdfsig.CodeAttachment},
	{"no pages", draw(func(d *pdf.Document) { d.Pages = nil }), pdfsig.CodeProfile},
	{"page without area", draw(func(d *pdf.Document) { d.Width = 0 }), pdfsig.CodeProfile},
	{"bomb", editRendered(func(t *testing.T, e *pdftest.File) { e.Attach(t, 1, bomb(t, pdfsig.MaxDecoded+1), pdfsig.MaxDecoded+1) }), pdfsig.CodeStream},
	{"bomb that says it is small", editRendered(func(t *testing.T, e *pdftest.File) { e.Attach(t, 1, bomb(t, pdfsig.MaxStream), 100) }), pdfsig.CodeStream},
	{"bombs that each would fit", editRendered(func(t *testing.T, e *pdftest.File) {
		e.Attach(t, 5, bomb(t, pdfsig.MaxDecoded), pdfsig.MaxDecoded)
	}), pdfsig.CodeStream},
	{"byte range in the metadata", draw(func(d *pdf.Document) { d.Metadata = []byte("/ByteRange [0 1 2 3]") }), pdfsig.CodeByteRange},
	{"signed already", func(t *testing.T, _ []byte) []byte { return sign(t) }, pdfsig.CodeRevisions},
	{"object nobody uses", editRendered(func(t *testing.T, e *pdftest.File) { e.Add(0, "<</Type /Font>>") }), pdfsig.CodeObject},
	{"page tree in a circle", replaceRendered("/Kids [13 0 R", "/Kids [2 0 R"), pdfsig.CodeObject},
	{"page twice", replaceRendered("/Kids [13 0 R 15 0 R", "/Kids [13 0 R 13 0 R"), pdfsig.CodeObject},
	{"page tree of two levels", replaceRendered("/Kids [13 0 R", "/Kids [<</Type /Pages>>"), pdfsig.CodeProfile},
	{"pages miscounted", replaceRendered("/Count 2", "/Count 1"), pdfsig.CodeProfile},
	{"page without parent", replaceRendered("/Parent 2 0 R /Resources 5 0 R /Contents [11 0 R 12", "/Parent 5 0 R /Resources 5 0 R /Contents [11 0 R 12"), pdfsig.CodeObject},
	{"content that is the metadata", replaceRendered("/Metadata 4 0 R", "/Metadata 12 0 R"), pdfsig.CodeProfile},
	{"reference to nothing", replaceRendered("/Metadata 4 0 R", "/Metadata 99 0 R"), pdfsig.CodeObject},
	{"stream from outside", replaceRendered("/Length1 ", "/F (x) /Length1 "), pdfsig.CodeProfile},
	{"file size wrong", replaceRendered("/Size 31>", "/Size 32>"), pdfsig.CodeAttachment},
	{"file longer than it says", replaceRendered("/Size 31>", "/Size 30>"), pdfsig.CodeStream},
	{"second file name", replaceRendered("/F (licence.json)", "/F (licence.jsom)"), pdfsig.CodeAttachment},
	{"second file name, empty", replaceRendered("/F (licence.json)", "/F ()"), pdfsig.CodeAttachment},
	{"bookmarks for fewer pages", draw(func(d *pdf.Document) { d.Bookmarks = []string{"1"} }), pdfsig.CodeProfile},
	{"bookmarks miscounted", marked("/Last 24 0 R /Count 2", "/Last 24 0 R /Count -2"), pdfsig.CodeProfile},
	{"bookmark to another page", marked("[15 0 R /Fit]", "[13 0 R /Fit]"), pdfsig.CodeProfile},
	{"bookmark to nowhere", marked("[15 0 R /Fit]", "[]"), pdfsig.CodeProfile},
	{"bookmark to a spot", marked("[15 0 R /Fit]", "[15 0 R /FitH 9]"), pdfsig.CodeProfile},
	{"bookmark by name", marked("[15 0 R /Fit]", "(here)"), pdfsig.CodeProfile},
	{"bookmark with an action", marked("/Dest [15 0 R /Fit]", "/A <</S /URI /URI (x)>>"), pdfsig.CodeActiveContent},
	{"bookmarks in a circle", marked("/Prev 23 0 R", "/Prev 23 0 R /Next 23 0 R"), pdfsig.CodeProfile},
	{"bookmarks in a circle at once", marked("/Next 24 0 R", "/Next 23 0 R"), pdfsig.CodeObject},
	{"bookmark of another parent", marked("/Parent 22 0 R /Prev", "/Parent 2 0 R /Prev"), pdfsig.CodeProfile},
	{"bookmark before the first", marked("/Parent 22 0 R /Next", "/Parent 22 0 R /Prev 24 0 R /Next"), pdfsig.CodeProfile},
	{"bookmarks that end early", marked("/Last 24 0 R", "/Last 23 0 R"), pdfsig.CodeProfile},
	{"bookmarks below a bookmark", marked("/Prev 23 0 R", "/Prev 23 0 R /First 23 0 R /Last 23 0 R /Count 1"), pdfsig.CodeProfile},
	{"name tree of one", replaceRendered("(0000) ", ""), pdfsig.CodeProfile},
}

// drawnForm adds a form as the pages of another's document have, with one entry more.
func drawnForm(subtype, entry string) func(*testing.T, []byte) []byte {
	return drawnForms(subtype, entry, "/X1 %[1]d 0 R /X2 %[1]d 0 R")
}

// formNamed adds a good form under other names than one for each page.
func formNamed(names string) func(*testing.T, []byte) []byte { return drawnForms("Form", "", names) }

func drawnForms(subtype, entry, names string) func(*testing.T, []byte) []byte {
	return addRendered("<</Type /XObject /Subtype /"+subtype+" /BBox [0 0 9 9] "+entry+" /Length 0>>\nstream\n\nendstream", "<</Font <</F1 6 0 R>>", " /XObject <<"+names+">>")
}

// TestPrepareTakesForms says that what renderingAttacks refuse is the entry and not the form.
func TestPrepareTakesForms(t *testing.T) {
	file := drawnForm("Form", "/Group <</S /Transparency /I true /CS /DeviceRGB>> /Resources <</Font <</F <</Subtype /Type3>>>>>> /Filter [/ASCIIHexDecode /LZWDecode]")(t, render(t))
	if _, err := pdfsig.Prepare(file, sampleOptions()); err != nil {
		t.Fatal(err)
	}
}

func TestPrepareRefuses(t *testing.T) {
	rendered := render(t)
	for _, tt := range renderingAttacks {
		t.Run(tt.name, func(t *testing.T) {
			p, err := pdfsig.Prepare(tt.file(t, rendered), sampleOptions())
			if p != nil {
				t.Error("Prepare returned something")
			}
			wantCode(t, err, tt.code)
		})
	}
}
