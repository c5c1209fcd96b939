package render_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"elicence/licence"
	"elicence/licence/render"
	"elicence/templates"
)

const ridingLayout = "construction-qualification"

// withoutRiding is the layout that has riding seals, without them.
func withoutRiding(t testing.TB) *render.Layout {
	t.Helper()
	data, err := fs.ReadFile(templates.Layouts(), ridingLayout+"/layout.json")
	if err != nil {
		t.Fatal(err)
	}
	plain := bytes.Replace(data, []byte(`"riding_seal": true`), []byte(`"riding_seal": false`), 1)
	all, err := render.LoadLayouts(fstest.MapFS{"x/layout.json": {Data: plain}})
	if err != nil || bytes.Equal(plain, data) {
		t.Fatalf("%s has no riding seal, or %v", ridingLayout, err)
	}
	return all["x"]
}

// builder is a licence with so many rows, 9 on the first page, 15 on each other.
func builder(t testing.TB, rows int) *licence.Licence {
	t.Helper()
	lic := sample(t, ridingLayout)
	row := map[string]any{"category": "建筑工程施工总承包", "grade": "贰级", "approved_on": "2026-03-12"}
	lic.Fields["qualifications"] = slices.Repeat([]any{row}, rows)
	return lic
}

// cropped is where the pictures of pages begin, in pixels from the left: they show
// the right edge.
const cropped = 3000

// pictures are the right edges of the pages of a file at 300 dpi.
func pictures(t testing.TB, name string, out render.Output) []*image.RGBA {
	t.Helper()
	path := saved(t, name+".pdf", out.PDF)
	base := strings.TrimSuffix(path, ".pdf")
	tool(t, "poppler-utils", "pdftoppm", "-r", "300", "-x", fmt.Sprint(cropped), "-y", "850", "-W", "508", "-H", "780", "-png", path, base)
	var pages []*image.RGBA
	for i := range out.Pages {
		data, err := os.ReadFile(fmt.Sprintf("%s-%d.png", base, i+1))
		if err != nil {
			t.Fatal(err)
		}
		page, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, page.(*image.RGBA))
	}
	return pages
}

// TestRidingSeal lays the slices of all pages side by side, less what the pages
// show without them: they are the seal, whole, and nothing beside it changed.
func TestRidingSeal(t *testing.T) {
	seal, err := png.Decode(bytes.NewReader(picture().PNG))
	if err != nil {
		t.Fatal(err)
	}
	size := seal.Bounds().Dx()
	for pages, rows := range map[int]int{2: 10, 3: 30} {
		t.Run(fmt.Sprint(pages), func(t *testing.T) {
			lic := builder(t, rows)
			with := mustRender(t, ridingLayout, lic)
			without, err := withoutRiding(t).Render(fonts(t), input(lic))
			if err != nil || with.Pages != pages || without.Pages != pages {
				t.Fatal(with.Pages, err)
			}
			joined := image.NewAlpha(image.Rect(0, 0, size, size))
			plain := pictures(t, fmt.Sprintf("plain-%d", pages), without)
			for i, page := range pictures(t, fmt.Sprintf("riding-%d", pages), with) {
				b := page.Bounds()
				left, top := 297/25.4*300-float64(size)/float64(pages)-cropped, (210/25.4*300-float64(size))/2-850
				for y := range b.Dy() {
					row, was := page.Pix[y*page.Stride:][:page.Stride], plain[i].Pix[y*page.Stride:][:page.Stride]
					for x := range b.Dx() {
						if [4]byte(row[4*x:]) == [4]byte(was[4*x:]) {
							continue
						}
						sx, sy := int(math.Floor(float64(x)-left+0.5)), int(float64(y)-top)
						if sx < -1 || sy < -1 || sy > size {
							t.Fatalf("page %d is another at %d, %d", i+1, x, y)
						}
						joined.Pix[max(0, min(size-1, sy))*size+min(size-1, max(0, sx)+i*size/pages)] = 255
					}
				}
			}
			both, either := 0, 0
			for i, a := range joined.Pix {
				_, _, _, ink := seal.At(i%size, i/size).RGBA()
				both += ifTrue(a > 0 && ink > 0x7FFF)
				either += ifTrue(a > 0 || ink > 0x7FFF)
			}
			if share := float64(both) / float64(either); share < 0.75 {
				t.Errorf("the slices and the seal share %.3f of their ink", share)
			}
		})
	}
}

func ifTrue(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestRidingSealNeedsPages: a licence of one page has no slices, and needs none.
func TestRidingSealNeedsPages(t *testing.T) {
	in := input(builder(t, 1))
	with := mustRender(t, ridingLayout, in.Licence)
	in.SealPicture = nil
	without, err := layouts(t)[ridingLayout].Render(fonts(t), in)
	if err != nil || !bytes.Equal(with.PDF, without.PDF) {
		t.Errorf("another file, or %v", err)
	}
}

// TestRidingSealMissing: several pages without the picture are refused, not drawn
// without slices.
func TestRidingSealMissing(t *testing.T) {
	for name, p := range map[string]*render.SealPicture{"none": nil, "empty": {}} {
		in := input(builder(t, 10))
		in.SealPicture = p
		if out, err := layouts(t)[ridingLayout].Render(fonts(t), in); err == nil || out.PDF != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestRidingSealReads draws slices of an imported picture and of other sizes: the
// symbol is read, and the file is sound.
func TestRidingSealReads(t *testing.T) {
	imported, _, err := render.ImportSeal(picture().PNG, 42, 42)
	if err != nil {
		t.Fatal(err)
	}
	pictures := map[string]*render.SealPicture{"imported": &imported}
	for name, d := range map[string]render.SealDesign{
		"largest": {Name: "杭州市城乡建设委员会", DiameterMM: 60},
		"oval":    {Shape: "oval", Name: "杭州市城乡建设委员会", Lower: "证照专用章", WidthMM: 45, HeightMM: 30},
	} {
		p, err := render.DrawSeal(fonts(t), d)
		if err != nil {
			t.Fatal(err)
		}
		pictures[name] = &p
	}
	for name, p := range pictures {
		for _, rows := range []int{10, 60, 300} {
			in := input(builder(t, rows))
			in.SealPicture = p
			out, err := layouts(t)[ridingLayout].Render(fonts(t), in)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := render.DecodeQR(content(t, out.PDF), out.QR); err != nil || got != qrText().String() {
				t.Errorf("%s on %d pages: %.20q, %v", name, out.Pages, got, err)
			}
			tool(t, "qpdf", "qpdf", "--check", saved(t, fmt.Sprintf("riding-%s-%d.pdf", name, out.Pages), out.PDF))
		}
	}
}
