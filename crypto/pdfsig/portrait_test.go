package pdfsig_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
	"elicence/licence/render/pdf"
)

// illustrated is a licence with a portrait and a duplicate of another size.
func illustrated(d *pdf.Document) {
	d.Portrait = &pdf.Image{JPEG: []byte("\xff\xd8 a portrait \xff\xd9"), Width: 358, Height: 441}
	d.Pages[0] = append(d.Pages[0], "q 74 0 0 91 60 600 cm /P1 Do Q\n"...)
	d.More = []pdf.Part{{Width: 420, Height: 297.5, Backdrop: pdf.Deflate([]byte("q Q\n")), Pages: [][]byte{[]byte("BT ET\n")}}}
}

// TestIllustrated: image and sizes are read back, and a seal stands on a page of the common
// size alone.
func TestIllustrated(t *testing.T) {
	rendered := render(t, illustrated)
	prepared, err := pdfsig.Prepare(rendered, sampleOptions())
	if err != nil {
		t.Fatal(err)
	}
	file, err := prepared.Finish(sampleDER)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pdfsig.Read(file)
	if err != nil || f.Pages != 3 || string(f.Portrait) != "\xff\xd8 a portrait \xff\xd9" {
		t.Fatalf("%v, %+v", err, f)
	}
	if bytes.Equal(f.Backdrop(1), f.Backdrop(3)) || !bytes.Equal(f.Backdrop(1), f.Backdrop(2)) || f.Backdrop(0) != nil || f.Backdrop(4) != nil {
		t.Error("backdrops are not those of their pages")
	}
	o := sampleOptions()
	o.Page, o.X, o.Y = 3, 10, 10
	if _, err := pdfsig.Prepare(rendered, o); err == nil || !strings.Contains(err.Error(), "size of its own") {
		t.Errorf("a seal on page 3: %v", err)
	}
}

// TestForeignImages spoils the image, its place in the resources, or a size.
func TestForeignImages(t *testing.T) {
	rendered := render(t, illustrated)
	for name, edit := range map[string][2]string{
		"form instead of image":     {"/Subtype /Image", "/Subtype /Form "},
		"other filter":              {"/Filter /DCTDecode", "/Filter /JPXDecode"},
		"other colours":             {"/ColorSpace /DeviceRGB", "/ColorSpace /DeviceXYZ"},
		"another name":              {"/XObject <</P1", "/XObject <</P2"},
		"a soft mask":               {"/BitsPerComponent 8", "/SMask 11 0 R     8"},
		"an action beside it":       {"/XObject <<", "/Pattern <<"},
		"the font as image":         {"/P1 12 0 R", "/P1 06 0 R"},
		"no such object":            {"/P1 12 0 R", "/P1 99 0 R"},
		"a size of three numbers":   {"/MediaBox [0 0 420 297.5]", "/MediaBox [0 0     297.5]"},
		"a size without extent":     {"/MediaBox [0 0 420 297.5]", "/MediaBox [0 0 420 -97.5]"},
		"another box than its size": {"/MediaBox [0 0 420 297.5]", "/CropBox  [0 0 420 297.5]"},
	} {
		if len(edit[0]) != len(edit[1]) || bytes.Count(rendered, []byte(edit[0])) != 1 {
			t.Fatalf("%s: %d times %q", name, bytes.Count(rendered, []byte(edit[0])), edit[0])
		}
		var fault *pdfsig.FormatError
		if _, err := pdfsig.Prepare(bytes.Replace(rendered, []byte(edit[0]), []byte(edit[1]), 1), sampleOptions()); !errors.As(err, &fault) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSizedSignedPage: a page that is signed has the common size. A size that comes with
// the signature's update, or stood there before, is refused.
func TestSizedSignedPage(t *testing.T) {
	prepared, err := pdfsig.Prepare(render(t), sampleOptions())
	if err != nil {
		t.Fatal(err)
	}
	file, err := prepared.Finish(sampleDER)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(file, []byte("/Type /Page ")) // in the update, which repeats it
	sized := append(bytes.Clone(file[:at]), "/MediaBox [0 0 9 9] "...)
	var fault *pdfsig.FormatError
	if _, err := pdfsig.Read(append(sized, file[at:]...)); !errors.As(err, &fault) {
		t.Errorf("read: %v", err)
	}
}

// TestFormsAlone: pages of a document stand beside no portrait, no page of another size and
// no second resource dictionary, in which either could hide.
func TestFormsAlone(t *testing.T) {
	const form = "<</Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 0>>\nstream\n\nendstream"
	portrait := func(d *pdf.Document) { illustrated(d); d.More = nil }
	sized := func(d *pdf.Document) { illustrated(d); d.Portrait = nil }
	for _, tt := range []struct {
		name            string
		draw            func(*pdf.Document)
		add, to, behind string
		fault           string
	}{
		{"beside a portrait", portrait, form, "/P1 12 0 R", " /X1 %d 0 R", "entry /X1"},
		{"beside a page of another size", sized, form, "<</Font <</F1 6 0 R>>", " /XObject <</X1 %d 0 R>>", "size of its own"},
		{"in second resources", portrait, "<</Font <</F1 6 0 R>> /XObject <</X1 12 0 R>>>>", "/Parent 2 0 R /Resources ", "%d 0 R /Contents [11 0 R 15 0 R]>>%%", "second resource dictionary"},
	} {
		file := editRendered(func(t *testing.T, e *pdftest.File) {
			n, old := e.Add(0, "%s", tt.add), tt.to
			if strings.HasSuffix(tt.behind, "%%") {
				old += "5 0 R /Contents [11 0 R 15 0 R]>>"
			}
			e.Replace(t, 0, old, tt.to+strings.TrimSuffix(fmt.Sprintf(tt.behind, n), "%"))
		})(t, render(t, tt.draw))
		if _, err := pdfsig.Prepare(file, sampleOptions()); err == nil || !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestFormsByTheData: whether pages have forms and whether the data name a document are one.
func TestFormsByTheData(t *testing.T) {
	for name, tt := range map[string]struct {
		data  string
		draw  func(*pdf.Document)
		taken bool
	}{
		"a document":                   {`{"document":{}}`, onForms, true},
		"forms of no document":         {`{"fields":{}}`, onForms, false},
		"forms, a document not first":  {`{"a":1,"document":{}}`, onForms, false},
		"a document without forms":     {`{"document":{}}`, func(*pdf.Document) {}, false},
		"a document with a portrait":   {`{"document":{}}`, func(d *pdf.Document) { illustrated(d); d.More = nil }, false},
		"a document with a duplicate":  {`{"document":{}}`, func(d *pdf.Document) { illustrated(d); d.Portrait = nil }, false},
		"neither":                      {`{"fields":{}}`, func(*pdf.Document) {}, true},
		"no document, with a portrait": {`{"fields":{}}`, illustrated, true},
	} {
		rendered := render(t, tt.draw, func(d *pdf.Document) {
			d.Attachments = []pdf.Attachment{{Name: "licence.json", Description: "data", Data: []byte(tt.data)}}
		})
		file, err := prepare(t, rendered, sampleOptions()).Finish(sampleDER)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pdfsig.Read(file); (err == nil) != tt.taken {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// onForms puts a licence on a document of two empty pages.
func onForms(d *pdf.Document) {
	form := []byte("<</Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 0>>\nstream\n\nendstream")
	d.Objects, d.Forms = [][]byte{form, form}, []int{pdf.FirstObject, pdf.FirstObject + 1}
}
