package render_test

import (
	"bytes"
	"strings"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/licence/render"
)

const duplicated = "business-licence"

// TestDuplicate: both forms are in one file, each of its own size and with a symbol that
// is decoded and scanned; the seal's picture stands in the second, and nowhere but there.
func TestDuplicate(t *testing.T) {
	lic := sample(t, duplicated)
	out := mustRender(t, duplicated, lic)
	if out.Pages != 2 || len(out.Duplicates) != 1 || out.QR.Page != 1 || out.Duplicates[0].Page != 2 {
		t.Fatalf("%d pages, symbols on %d and %+v", out.Pages, out.QR.Page, out.Duplicates)
	}
	file := sealed(t, out)
	path := saved(t, "duplicate.pdf", file)
	info := tool(t, "poppler-utils", "pdfinfo", "-f", "1", "-l", "2", path)
	for _, size := range []string{"Page    1 size:  1190.55 x 841.89", "Page    2 size:  841.89 x 595.276"} {
		if !strings.Contains(strings.Join(strings.Fields(info), " "), strings.Join(strings.Fields(size), " ")) {
			t.Errorf("pdfinfo does not say %q:\n%s", size, info)
		}
	}
	f, err := pdfsig.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	l := layouts(t)[duplicated]
	for i, box := range append([]render.QRBox{out.QR}, out.Duplicates...) {
		content, err := f.PageContent(box.Page)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := render.DecodeQR(content, box); err != nil || got != qrText().String() {
			t.Errorf("page %d: %.30q, %v", box.Page, got, err)
		}
		if !l.Drew(i, f.Backdrop(box.Page)) || l.Drew(1-i, f.Backdrop(box.Page)) {
			t.Errorf("page %d has another form's backdrop", box.Page)
		}
		picture := strings.TrimSuffix(path, ".pdf") + string(rune('1'+i))
		tool(t, "poppler-utils", "pdftoppm", "-r", "200", "-gray", "-f", string(rune('1'+i)), "-singlefile", path, picture)
		if got := strings.TrimSpace(tool(t, "zbar-tools", "zbarimg", "-q", "--raw", picture+".pgm")); got != qrText().String() {
			t.Errorf("page %d: zbarimg reads %.30q", box.Page, got)
		}
		if drawn := bytes.Count(content, []byte("\nW n")) + bytes.Count(content, []byte(" re W n")); (drawn == 1) != (i == 1) {
			t.Errorf("page %d shows %d pictures of the seal", box.Page, drawn)
		}
	}
	for _, page := range []int{0, 3} {
		if f.Backdrop(page) != nil {
			t.Errorf("page %d has a backdrop", page)
		}
	}
}

// TestDuplicateNeedsSeal: a duplicate is never drawn without the seal's picture, and a seal
// of another size must have room there too.
func TestDuplicateNeedsSeal(t *testing.T) {
	in := input(sample(t, duplicated))
	in.SealPicture = nil
	l := layouts(t)[duplicated]
	if out, err := l.Render(fonts(t), in); err == nil || out.PDF != nil || !l.DrawsSeal() {
		t.Error("drawn without the picture of the seal")
	}
	const mm = 72 / 25.4
	for size, fits := range map[float64]bool{42: true, 45: true, 60: true, 110: false} {
		if err := l.CheckSeals([2]float64{size * mm, size * mm}); (err == nil) != fits {
			t.Errorf("a seal of %g mm: %v", size, err)
		}
	}
}

// TestPortraitDrawn: the portrait is the one image of the file, byte for byte, and another
// than the licence names is not drawn.
func TestPortraitDrawn(t *testing.T) {
	lic := sample(t, "special-operation")
	in := input(lic)
	out := mustRender(t, "special-operation", lic)
	f, err := pdfsig.Read(sealed(t, out))
	if err != nil || !bytes.Equal(f.Portrait, in.Portrait) {
		t.Fatalf("%d bytes drawn, %v", len(f.Portrait), err)
	}
	path := saved(t, "portrait.pdf", out.PDF)
	if list := tool(t, "poppler-utils", "pdfimages", "-list", path); strings.Count(list, "\n") != 3 || !strings.Contains(list, "358   441") || !strings.Contains(list, "jpeg") {
		t.Errorf("pdfimages finds\n%s", list)
	}
	for name, jpeg := range map[string][]byte{"none": nil, "empty": {}, "another": append(bytes.Clone(in.Portrait), 0)} {
		in.Portrait = jpeg
		if out, err := layouts(t)["special-operation"].Render(fonts(t), in); err == nil || out.PDF != nil {
			t.Errorf("%s: drawn", name)
		}
	}
	in = input(sample(t, "work-safety"))
	in.Portrait = []byte("x")
	if _, err := layouts(t)["work-safety"].Render(fonts(t), in); err == nil {
		t.Error("a portrait that no field names was drawn")
	}
}
