package pdfsig_test

import (
	"testing"

	"codeberg.org/go-pdf/fpdf"

	"elicence/crypto/pdfsig"
)

// draw renders the sample with something more in it.
func draw(extra func(*fpdf.Fpdf)) func(*testing.T, []byte) []byte {
	return func(t *testing.T, _ []byte) []byte { return render(t, extra) }
}

// editRendered edits the sample as fpdf wrote it.
func editRendered(edit change) func(*testing.T, []byte) []byte {
	return func(t *testing.T, rendered []byte) []byte {
		e := split(t, rendered)
		e.keepRange = true
		edit(t, e)
		return e.file()
	}
}

// replaceRendered edits one object of the sample.
func replaceRendered(old, new string) func(*testing.T, []byte) []byte {
	return editRendered(func(t *testing.T, e *edited) { e.replace(t, 0, old, new) })
}

// renderingAttacks are renderings that are not ours: what fpdf can do and we do
// not use, and what somebody could plant for later.
var renderingAttacks = []struct {
	name string
	file func(t *testing.T, rendered []byte) []byte
	code string
}{
	{"link", draw(func(f *fpdf.Fpdf) { f.LinkString(10, 10, 20, 20, "https://example.org") }), pdfsig.CodeProfile},
	{"script", draw(func(f *fpdf.Fpdf) { f.SetJavascript("app.alert(1)") }), pdfsig.CodeActiveContent},
	{"layer", draw(func(f *fpdf.Fpdf) { f.BeginLayer(f.AddLayer("hidden", false)); f.EndLayer() }), pdfsig.CodeOptionalContent},
	{"open action", draw(func(f *fpdf.Fpdf) { f.SetDisplayMode("fullpage", "") }), pdfsig.CodeActiveContent},
	{"encryption", draw(func(f *fpdf.Fpdf) { f.SetProtection(0, "a", "b") }), pdfsig.CodeEncrypted},
	{"form object", draw(func(f *fpdf.Fpdf) {
		f.UseTemplate(f.CreateTemplate(func(t *fpdf.Tpl) { t.Rect(0, 0, 9, 9, "F") }))
	}), pdfsig.CodeProfile},
	{"file annotation", draw(func(f *fpdf.Fpdf) {
		f.AddAttachmentAnnotation(&fpdf.Attachment{Filename: "x", Content: []byte("x")}, 1, 1, 9, 9)
	}), pdfsig.CodeSyntax},
	{"bookmark", draw(func(f *fpdf.Fpdf) { f.Bookmark("x", 0, 0) }), pdfsig.CodeSyntax},
	{"crop box", draw(func(f *fpdf.Fpdf) { f.SetPageBox("crop", 0, 0, 50, 50) }), pdfsig.CodeProfile},
	{"spot colour", draw(func(f *fpdf.Fpdf) { f.AddSpotColor("red", 0, 99, 99, 0) }), pdfsig.CodeProfile},
	{"file name twice", draw(func(f *fpdf.Fpdf) {
		f.SetAttachments([]fpdf.Attachment{{Filename: "a", Content: []byte("1")}, {Filename: "a", Content: []byte("2")}})
	}), pdfsig.CodeAttachment},
	{"file name with a path", draw(func(f *fpdf.Fpdf) {
		f.SetAttachments([]fpdf.Attachment{{Filename: "../a", Content: []byte("1")}})
	}), pdfsig.CodeAttachment},
	{"bomb", editRendered(func(t *testing.T, e *edited) { e.attach(t, 1, bomb(t, pdfsig.MaxStream+1), pdfsig.MaxStream+1) }), pdfsig.CodeStream},
	{"bomb that says it is small", editRendered(func(t *testing.T, e *edited) { e.attach(t, 1, bomb(t, pdfsig.MaxStream), 100) }), pdfsig.CodeStream},
	{"many bombs", editRendered(func(t *testing.T, e *edited) {
		e.attach(t, 5, bomb(t, pdfsig.MaxStream), pdfsig.MaxStream)
	}), pdfsig.CodeStream},
	{"byte range in the metadata", draw(func(f *fpdf.Fpdf) { f.SetXmpMetadata([]byte("/ByteRange [0 1 2 3]")) }), pdfsig.CodeByteRange},
	{"signed already", func(t *testing.T, _ []byte) []byte { return sign(t) }, pdfsig.CodeRevisions},
	{"object nobody uses", editRendered(func(t *testing.T, e *edited) { e.add(0, "<</Type /Font>>") }), pdfsig.CodeObject},
	{"page tree in a circle", replaceRendered("/Kids [9 0 R", "/Kids [1 0 R"), pdfsig.CodeObject},
	{"page twice", replaceRendered("/Kids [9 0 R 11 0 R", "/Kids [9 0 R 9 0 R"), pdfsig.CodeObject},
	{"page tree of two levels", replaceRendered("/Kids [9 0 R", "/Kids [<</Type /Pages>>"), pdfsig.CodeProfile},
	{"pages miscounted", replaceRendered("/Count 2", "/Count 1"), pdfsig.CodeProfile},
	{"page without parent", replaceRendered("/Parent 1 0 R\n/Resources 2 0 R", "/Parent 2 0 R\n/Resources 2 0 R"), pdfsig.CodeObject},
	{"content that is the metadata", replaceRendered("/Metadata 21 0 R", "/Metadata 10 0 R"), pdfsig.CodeProfile},
	{"reference to nothing", replaceRendered("/Metadata 21 0 R", "/Metadata 99 0 R"), pdfsig.CodeObject},
	{"stream from outside", replaceRendered("/Length1 ", "/F (x) /Length1 "), pdfsig.CodeProfile},
	{"file size wrong", replaceRendered("/Size 31 ", "/Size 32 "), pdfsig.CodeAttachment},
	{"file longer than it says", replaceRendered("/Size 31 ", "/Size 30 "), pdfsig.CodeStream},
	{"second file name", replaceRendered("4 0 obj\n<< /Type /Filespec /F ()", "4 0 obj\n<< /Type /Filespec /F (a)"), pdfsig.CodeAttachment},
	{"name tree of one", replaceRendered("(Attachement1) ", ""), pdfsig.CodeProfile},
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
