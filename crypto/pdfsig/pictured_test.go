package pdfsig_test

import (
	"bytes"
	"errors"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pdfsig/pdftest"
	"elicence/licence/render/pdf"
)

// pictured draws two pictures of seals, and a page of another size over the backdrop of all.
func pictured(d *pdf.Document) {
	for _, side := range []float64{119.055, 90} {
		d.Seals = append(d.Seals, pdf.Form{Width: side, Height: side, Content: pdf.Deflate([]byte("1 0 0 rg 5 5 80 80 re f\n"))})
	}
	drawn := []byte("q 0 0 50 90 re W n /S1 Do Q q 50 0 90 90 re W n /S2 Do Q\n")
	d.Pages[0] = append(d.Pages[0], drawn...)
	d.More = []pdf.Part{{Width: 420, Height: 297.5, Backdrop: d.Backdrop, Pages: [][]byte{drawn}}}
}

// TestPictured: pictures of seals are read alone, behind a portrait and behind the pages of a
// document, and pages of two sizes share one backdrop.
func TestPictured(t *testing.T) {
	for name, beside := range map[string]func(*pdf.Document){
		"alone":             func(*pdf.Document) {},
		"behind a portrait": func(d *pdf.Document) { illustrated(d); d.More = nil },
		"behind a document": func(d *pdf.Document) {
			onForms(d)
			d.Attachments[0].Data = []byte(`{"document":{}}`)
		},
	} {
		rendered := render(t, beside, pictured, func(d *pdf.Document) {
			if d.Forms != nil {
				d.More = nil
			}
		})
		file, err := prepare(t, rendered, sampleOptions()).Finish(sampleDER)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := pdfsig.Read(file); err != nil || !bytes.Equal(f.Backdrop(1), f.Backdrop(f.Pages)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	shared := bytes.Count(render(t, pictured), []byte("endstream"))
	if plain := bytes.Count(render(t), []byte("endstream")); shared != plain+3 {
		t.Errorf("%d streams, %d without two pictures and a page of another size", shared, plain)
	}
}

// TestForeignPictures spoils the pictures of seals or their names.
func TestForeignPictures(t *testing.T) {
	rendered := render(t, pictured)
	const form = "/Subtype /Form /FormType 1 /BBox [0 0 90 90]"
	for name, edit := range map[string][2]string{
		"an image":                  {form, "/Subtype /Image" + form[len("/Subtype /Image"):]},
		"a box without extent":      {form, "/Subtype /Form /FormType 1 /BBox [0 0 90 00]"},
		"a box of three numbers":    {form, "/Subtype /Form /FormType 1 /BBox [0 0    90]"},
		"a form of type 2":          {form, "/Subtype /Form /FormType 2 /BBox [0 0 90 90]"},
		"a matrix":                  {"/FormType 1 /BBox [0 0 90 90]", "/Matrix []  /BBox [0 0 90 90]"},
		"the second first":          {"/S1 12 0 R /S2 13 0 R", "/S2 12 0 R /S1 13 0 R"},
		"no first":                  {"/S1 12 0 R /S2 13 0 R", "/S0 12 0 R /S2 13 0 R"},
		"one twice":                 {"/S1 12 0 R /S2 13 0 R", "/S1 12 0 R /S2 12 0 R"},
		"one not shown":             {"/S1 12 0 R /S2 13 0 R", "/S1 12 0 R           "},
		"a font":                    {"/S1 12 0 R /S2 13 0 R", "/S1 12 0 R /S2 06 0 R"},
		"the backdrop":              {"/S1 12 0 R /S2 13 0 R", "/S1 12 0 R /S2 11 0 R"},
		"no such object":            {"/S1 12 0 R /S2 13 0 R", "/S1 12 0 R /S2 99 0 R"},
		"a picture before an image": {"/S1 12 0 R /S2 13 0 R", "/S1 12 0 R /P1 13 0 R"},
		"of another name":           {"/S1 12 0 R /S2 13 0 R", "/S1 12 0 R /T2 13 0 R"},
	} {
		if len(edit[0]) != len(edit[1]) || bytes.Count(rendered, []byte(edit[0])) != 1 {
			t.Fatalf("%s: %d times %q", name, bytes.Count(rendered, []byte(edit[0])), edit[0])
		}
		refused(t, name, bytes.Replace(rendered, []byte(edit[0]), []byte(edit[1]), 1))
	}
	resources := editRendered(func(t *testing.T, e *pdftest.File) {
		e.Replace(t, 0, "[0 0 90 90] /Resources <<>>", "[0 0 90 90] /Resources <</Font <</F1 6 0 R>>>>")
	})(t, rendered)
	refused(t, "resources", resources)
	// MuPDF takes the number for 0, and shows nothing of the form.
	box := editRendered(func(t *testing.T, e *pdftest.File) { e.Replace(t, 0, "/BBox [0 0 90 90]", "/BBox [0 0 4294967296 90]") })(t, rendered)
	refused(t, "a box of 32 bits", box)
	refused(t, "too many", render(t, func(d *pdf.Document) {
		for range 9 {
			d.Seals = append(d.Seals, pdf.Form{Width: 9, Height: 9, Content: pdf.Deflate(nil)})
		}
	}))
}

// refused expects a rendered file to be none that is signed.
func refused(t *testing.T, name string, rendered []byte) {
	t.Helper()
	var fault *pdfsig.FormatError
	if _, err := pdfsig.Prepare(rendered, sampleOptions()); !errors.As(err, &fault) {
		t.Errorf("%s: %v", name, err)
	}
}
