package verify_test

import (
	"fmt"
	"regexp"
	"strings"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
	"elicence/licence/render/pdf"
)

// plant puts an object into the rendering before it is sealed, by whoever seals.
func plant(object string) tampering {
	return resealed(func(_ *bench, f *pdftest.File) { f.Add(0, "%s", object) })
}

// planted puts an object and, into every revision that holds the text to, a reference
// to it.
func planted(object, to, reference string) tampering {
	return resealed(func(b *bench, f *pdftest.File) {
		n := f.Add(0, "%s", object)
		everywhere(b, f, to, to+fmt.Sprintf(reference, n))
	})
}

// everywhere replaces a text in each revision that holds it; one does at least.
func everywhere(b *bench, f *pdftest.File, old, new string) {
	found := false
	for i, s := range f.Sections {
		for k, p := range s.Parts {
			if strings.Contains(p.Text, old) {
				f.Sections[i].Parts[k].Text = strings.Replace(p.Text, old, new, 1)
				found = true
			}
		}
	}
	if !found {
		b.t.Fatalf("%q is in no revision", old)
	}
}

// written is a text in every revision that holds another, sealed so.
func written(old, new string) tampering {
	return resealed(func(b *bench, f *pdftest.File) { everywhere(b, f, old, new) })
}

// hiddenStream is a page content that the sealed page does not show.
func hiddenStream(text string) string {
	data := pdf.Deflate([]byte(text)).Encoded()
	return fmt.Sprintf("<</Filter /FlateDecode /Length %d>>\nstream\n%s\nendstream", len(data), data)
}

// then has a second party change the file after the first.
func then(first, second tampering) tampering {
	return func(b *bench, file []byte) []byte { return second(b, first(b, file)) }
}

const (
	catalogueStart = "/Type /Catalog "
	pageContents   = "/Contents [11 0 R 12 0 R]"
	otherPages     = "<</Type /Pages /Count 1 /Kids [13 0 R] /MediaBox [0 0 595 842]>>"
	overlay        = "<</Type /XObject /Subtype /Form /FormType 1 /BBox [0 0 595 842] /Resources <<>> /Length 21>>\nstream\n1 g 0 0 595 842 re f \nendstream"
)

func shadowCases() []fileCase {
	hidden := plant(hiddenStream("0 0 300 300 re f\n"))
	update := func(object string) tampering {
		return func(b *bench, file []byte) []byte { return appendObject(b, file, object) }
	}
	const profile, object, revisions = pdfsig.CodeProfile, pdfsig.CodeObject, pdfsig.CodeRevisions
	return append([]fileCase{
		forgery("replace, prepared", "a second page content lies in the sealed file, shown by nothing yet", hidden, object),
		forgery("replace, done", "an update later puts the hidden content in the place of the page's",
			then(hidden, func(b *bench, file []byte) []byte {
				return appendObject(b, file, "12 0 obj\n"+hiddenStream("0 0 300 300 re f\n")+"\nendobj\n")
			}), object),
		forgery("hide, prepared", "a form lies over the page; an update can take it away", planted(overlay, "<</Font <</F1 6 0 R>>", " /XObject <</X1 %d 0 R>>"), profile),
		forgery("hide, done", "an update empties the content of the page", update("12 0 obj\n"+hiddenStream("")+"\nendobj\n"), revisions),
		forgery("hide and replace, prepared", "a second page tree lies in the sealed file", plant(otherPages), object),
		forgery("hide and replace, done", "an update makes the second page tree the document's",
			then(plant(otherPages), update("1 0 obj\n<</Type /Catalog /Pages 22 0 R>>\nendobj\n")), object),
		forgery("second catalogue prepared", "", plant("<</Type /Catalog /Pages 2 0 R>>"), object),
		forgery("layer", "optional content, which a reader may hide", planted("<</Type /OCG /Name (hidden)>>", catalogueStart, "/OCProperties <</OCGs [%d 0 R]>> "), pdfsig.CodeOptionalContent),
		forgery("layer in the resources", "", planted("<</Type /OCG /Name (hidden)>>", "<</Font <</F1 6 0 R>>", " /Properties <</L1 %d 0 R>>"), pdfsig.CodeOptionalContent),
		forgery("layer around the seal", "", edit(in(1, "/Resources <<>>", "/Resources <<>> /OC 2 0 R")), pdfsig.CodeOptionalContent),
		forgery("second font", "a font that an update could swap", planted("<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>", "<</F1 6 0 R", " /F2 %d 0 R"), profile),
		forgery("font of programs", "a font whose glyphs are drawn by programs", written("/Subtype /Type0", "/Subtype /Type3"), profile),
		forgery("font from outside", "the font lies in a file beside", written("/Length1 ", "/F (font.ttf) /Length1 "), profile),
		forgery("content redefined in the sealed revision", "", resealed(func(b *bench, f *pdftest.File) { f.Redefine(1, f.Find(b.t, 0, "12 0 obj\n")) }), pdfsig.CodeUpdate),
		forgery("page shows other content", "", resealed(in(1, "[11 0 R 12 0 R]", "[11 0 R 14 0 R]")), profile),
		forgery("page cropped", "", written(pageContents, pageContents+" /CropBox [0 0 50 50]"), profile),
		forgery("page turned", "", written(pageContents, pageContents+" /Rotate 180"), profile),
		forgery("page resized in the sealed revision", "", resealed(in(1, "/Parent 2 0 R", "/MediaBox [0 0 300 300] /Parent 2 0 R")), profile),
		forgery("other root", "", resealed(func(_ *bench, f *pdftest.File) {
			f.Sections[1].Trailer = strings.Replace(f.Sections[1].Trailer, "/Root 1 ", "/Root 3 ", 1)
		}), pdfsig.CodeUpdate),
	}, activeCases()...)
}

// activeCases are files that do something when they are opened, or are told later.
func activeCases() []fileCase {
	const active = pdfsig.CodeActiveContent
	return []fileCase{
		forgery("action on opening", "", written(catalogueStart, catalogueStart+"/OpenAction [13 0 R /Fit] "), active),
		forgery("script", "", planted("<</S /JavaScript /JS (this.getField\\(1\\))>>", "/Names <<", "/JavaScript <</Names [(x) %d 0 R]>> "), active),
		forgery("further actions", "", written(catalogueStart, catalogueStart+"/AA <<>> "), active),
		forgery("rich media", "", written(pageContents, pageContents+" /RichMedia <<>>"), active),
		on(twoSeals, forgery("content redefined by the second of two seals", "the second signer changes what the first sealed",
			resealed(func(b *bench, f *pdftest.File) { f.Redefine(2, f.Find(b.t, 0, "12 0 obj\n")) }), pdfsig.CodeUpdate)),
		on(twoSeals, forgery("appearance of the first of two seals redefined", "",
			resealed(func(b *bench, f *pdftest.File) { f.Redefine(2, f.Find(b.t, 1, "/Subtype /Form")) }), pdfsig.CodeUpdate)),
		on(padesAndSeal, forgery("page redefined behind PAdES", "the sealed revision changes the page",
			resealed(func(b *bench, f *pdftest.File) { f.Redefine(2, f.Find(b.t, 1, "/Type /Page ")) }), pdfsig.CodeUpdate)),
		on(padesAndSeal, forgery("page emptied after PAdES and seal", "", func(b *bench, file []byte) []byte {
			return appendObject(b, file, "12 0 obj\n"+hiddenStream("")+"\nendobj\n")
		}, pdfsig.CodeRevisions)),
	}
}

// freeText is an annotation that covers the page.
const freeText = "<</Type /Annot /Subtype /FreeText /Rect [0 0 595 842] /Contents (有效期至 2099-12-31) /DA (1 g)>>"

// annotate adds an annotation to the page, in the last revision.
func annotate(b *bench, f *pdftest.File) {
	last := len(f.Sections) - 1
	n := f.Add(last, "%s", freeText)
	f.Replace(b.t, 1, "/Annots [", fmt.Sprintf("/Annots [%d 0 R ", n))
}

// annotated appends an update with an annotation over the page.
func annotated(b *bench, file []byte) []byte {
	f := pdftest.Split(b.t, file)
	page, trailer := f.Find(b.t, 1, "/Type /Page "), f.Sections[len(f.Sections)-1].Trailer
	f.Sections = append(f.Sections, pdftest.Section{Trailer: trailer})
	n := f.Add(len(f.Sections)-1, "%s", freeText)
	page.Text = strings.Replace(page.Text, "/Annots [", fmt.Sprintf("/Annots [%d 0 R ", n), 1)
	f.Redefine(len(f.Sections)-1, page)
	f.KeepRange = true
	return f.Bytes()
}

// sneak appends a second visible signature, by a seal that the forger has, over the
// whole of a file that forbids it.
func sneak(b *bench, file []byte) []byte {
	f := pdftest.Split(b.t, file)
	page, form := f.Find(b.t, 1, "/Type /Page "), f.Find(b.t, 1, "/SigFlags")
	last := len(f.Sections)
	f.Sections = append(f.Sections, pdftest.Section{Trailer: f.Sections[last-1].Trailer})
	appearance := f.Add(last, "%s", overlay)
	value := f.Add(last, "<</Type /Sig /Filter /Elicence.GMPkiLite /SubFilter /GM.sm2seal /Contents <%0*d>\n/ByteRange [0 1 2 3]>>", 9000, 0)
	field := f.Add(last, "<</Type /Annot /Subtype /Widget /FT /Sig /T (Seal9) /F 132 /P %d 0 R /Rect [0 0 595 842] /AP <</N %d 0 R>> /V %d 0 R>>",
		page.Number, appearance, value)
	for _, p := range []pdftest.Part{page, form} {
		p.Text = regexp.MustCompile(`(/Annots|/Fields) \[`).ReplaceAllString(p.Text, fmt.Sprintf("$1 [%d 0 R ", field))
		f.Redefine(last, p)
	}
	signer, s := coSealOf(b, otherUSCC, nil)
	forger := *b.r
	forger.signer, forger.seal = signer, s
	return f.Signed(b.t, func(covered []byte) []byte { return forger.stamped(b.t, sm3Of(covered)).Raw })
}

func annotationCases() []fileCase {
	const field, profile, update = pdfsig.CodeField, pdfsig.CodeProfile, pdfsig.CodeUpdate
	return []fileCase{
		forgery("annotation appended", "text over the page, in an update", annotated, pdfsig.CodeRevisions),
		forgery("annotation in the sealed revision", "", resealed(annotate), field),
		forgery("annotation written into the page", "", resealed(in(1, "/Annots [", "/Annots [<</Type /Annot>> ")), field),
		forgery("annotation instead of the widget", "", resealed(in(1, "/Subtype /Widget", "/Subtype /Stamp")), profile),
		forgery("link in the rendering", "", planted("<</Type /Annot /Subtype /Link /Rect [0 0 9 9] /A <</S /URI /URI (x)>>>>", pageContents, " /Annots [%d 0 R]"), pdfsig.CodeSyntax),
		forgery("file attached to the page", "", resealed(func(b *bench, f *pdftest.File) {
			n := f.Add(1, "<</Type /Annot /Subtype /FileAttachment /Rect [0 0 9 9] /FS 15 0 R>>")
			f.Replace(b.t, 1, "/Annots [", fmt.Sprintf("/Annots [%d 0 R ", n))
		}), field),
		forgery("action on the seal", "", resealed(in(1, "/FT /Sig", "/FT /Sig /A <</S /URI /URI (http://zz.example)>>")), pdfsig.CodeActiveContent),
		forgery("seal hidden", "", resealed(in(1, "/F 132", "/F 134")), update),
		forgery("seal not printed", "", resealed(in(1, "/F 132", "/F 128")), update),
		forgery("seal off the page", "", resealed(in(1, "[300 100 413.386 213.386]", "[900 100 1013.386 213.386]")), field),
		forgery("seal stretched", "", resealed(in(1, "[300 100 413.386 213.386]", "[300 100 413.386 413.386]")), update),
		forgery("second appearance", "", resealed(func(b *bench, f *pdftest.File) {
			f.Replace(b.t, 1, "/AP <<", fmt.Sprintf("/AP <</D %d 0 R ", f.Find(b.t, 1, "/Subtype /Form").Number))
		}), profile),
		forgery("second signature", "SSA: a visible signature of the forger's own over the certified file", sneak, pdfsig.CodeRevisions),
		forgery("second field", "a field for a later signature, on a file that allows none", resealed(func(b *bench, f *pdftest.File) {
			n := f.Add(1, "<</Type /Annot /Subtype /Widget /FT /Sig /T (Seal2) /F 132 /P 13 0 R /Rect [0 0 0 0]>>")
			f.Replace(b.t, 1, "/Fields [", fmt.Sprintf("/Fields [%d 0 R ", n))
		}), field),
		forgery("certification removed", "", resealed(in(1, "/Perms <</DocMDP 25 0 R>>", "")), profile),
		forgery("certification allows forms", "", resealed(in(1, "/P 1 /V", "/P 2 /V")), update),
		forgery("certification of nobody", "", resealed(in(1, "/Perms <<", "/Other <<")), profile),
		on(twoSeals, forgery("annotation after two seals", "", annotated, pdfsig.CodeRevisions)),
		on(twoSeals, forgery("second signature after two seals", "", sneak, pdfsig.CodeRevisions)),
		on(twoSeals, forgery("last seal locks nothing", "", resealed(in(2, " /Lock <</Type /SigFieldLock /Action /All /P 1>>", "")), update)),
		on(twoSeals, forgery("last seal locks some fields", "", resealed(in(2, "/SigFieldLock /Action /All", "/SigFieldLock /Action /Include")), update)),
		on(twoSeals, forgery("certification allows annotations", "", resealed(in(1, "/P 2 /V", "/P 3 /V")), update)),
		on(padesAndSeal, forgery("annotation after PAdES and seal", "", annotated, pdfsig.CodeRevisions)),
		on(padesAndSeal, forgery("annotation in the sealed revision behind PAdES", "", resealed(func(b *bench, f *pdftest.File) { f.Add(2, "%s", freeText) }), update)),
	}
}
