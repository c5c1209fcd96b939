package pdfsig_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"elicence/crypto/pdfsig"
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
