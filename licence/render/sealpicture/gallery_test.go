package sealpicture_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/vector"

	"elicence/licence/render/pdf"
	"elicence/licence/render/sealpicture"
)

// gear is an emblem drawn for the tests: a wheel around an ear. The real one may
// only be used by those entitled to it.
func gear(t testing.TB) *sealpicture.Emblem {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("100 100\n")
	ring := func(r float64, teeth, depth int, turn float64) {
		for i := range 4 * teeth {
			a := turn * float64(i) * math.Pi / 2 / float64(teeth)
			d := r
			if i%4 < 2 {
				d += float64(depth)
			}
			fmt.Fprintf(&b, "%.2f %.2f %s\n", 50+d*math.Cos(a), 50+d*math.Sin(a), map[bool]string{true: "m", false: "l"}[i == 0])
		}
		b.WriteString("h\n")
	}
	ring(44, 16, 5, 1)
	ring(34, 16, 0, -1)
	b.WriteString("f\n50 22 m 66 40 66 60 50 78 c 34 60 34 40 50 22 c h f\n")
	e, err := sealpicture.ParseEmblem(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// gallery is the six kinds of seal the project has to get right, and edge cases
// to look at beside them.
func gallery(t testing.TB) map[string]sealpicture.Design {
	return map[string]sealpicture.Design{
		"city":       {Name: "杭州市人民政府", DiameterMM: 45, Emblem: gear(t)},
		"county":     {Name: "杭州市西湖区市场监督管理局", DiameterMM: 45},
		"township":   {Name: "三墩镇人民政府", DiameterMM: 42},
		"department": {Name: "杭州市城乡建设委员会", DiameterMM: 42},
		"company":    {Name: "浙江恒鑫建筑工程有限公司", DiameterMM: 42, Arc: "3301081234567"},
		"special":    {Name: "杭州市西湖区市场监督管理局", Lower: "行政审批专用章", Centre: sealpicture.None, DiameterMM: 40},

		"oval":           {Shape: sealpicture.Oval, WidthMM: 45, HeightMM: 30, Name: "杭州市道路运输管理服务中心", Lower: "证照专用章"},
		"oval-invoice":   {Shape: sealpicture.Oval, WidthMM: 40, HeightMM: 30, Name: "浙江恒鑫建筑工程有限公司", Middle: "91330108MA2GK3LL5X", Lower: "发票专用章"},
		"oval-star":      {Shape: sealpicture.Oval, WidthMM: 45, HeightMM: 30, Name: "杭州海关驻机场办事处", Centre: sealpicture.Star, InnerRing: true},
		"rectangle":      {Shape: sealpicture.Rectangle, WidthMM: 50, HeightMM: 20, Name: "杭州市市场监督管理局", Lower: "行政审批专用章"},
		"rectangle-flat": {Shape: sealpicture.Rectangle, WidthMM: 50, HeightMM: 12, Name: "收件专用章", InnerRing: true},
		"four":           {Name: "杭州海关", DiameterMM: 42},
		"five":           {Name: "杭州图书馆", DiameterMM: 42},
		"thirty":         {Name: "浙江省杭州市西湖区人民政府文新街道办事处社会治安综合治理办", DiameterMM: 45},
		"thirty-special": {Name: "浙江省杭州市西湖区人民政府文新街道办事处社会治安综合治理办", Lower: "行政许可专用章", Arc: "3301061234567", DiameterMM: 45},
		"contract":       {Name: "浙江恒鑫建筑工程有限公司", Lower: "合同专用章", Arc: "3301081234567", DiameterMM: 58},
		"arc-words":      {Name: "杭州市公共资源交易中心", Arc: "电子证照专用章", DiameterMM: 42, InnerRing: true},
		"rare":           {Name: "𠅤𪚥𰻝镇人民政府", DiameterMM: 38},
	}
}

// printed is a page of the picture's size as poppler prints it in as many dots as its PNG has.
func printed(t testing.TB, name string, p sealpicture.Picture) image.Image {
	t.Helper()
	file := pdf.Write(pdf.Document{Width: p.Width, Height: p.Height, CreatedAt: time.Unix(0, 0), Metadata: []byte("<x/>"),
		Font: pdf.Font{Data: goregular.TTF, Runes: []rune{0}, Widths: []int{0}}, Pages: [][]byte{p.Content}})
	dir := t.TempDir()
	if keep := os.Getenv("ELICENCE_KEEP"); keep != "" {
		dir = keep
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".pdf", file, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"-drawn.png", p.PNG, 0o644); err != nil {
		t.Fatal(err)
	}
	box := decoded(t, p.PNG).Bounds()
	if out, err := exec.Command("pdftoppm", "-scale-to-x", fmt.Sprint(box.Dx()), "-scale-to-y", fmt.Sprint(box.Dy()), "-png", "-singlefile", path+".pdf", path).CombinedOutput(); err != nil {
		t.Fatalf("pdftoppm (Debian package poppler-utils): %v\n%s", err, out)
	}
	data, err := os.ReadFile(path + ".png")
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, data)
}

func decoded(t testing.TB, data []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// inked reports whether a pixel is more ink than paper, laid on white.
func inked(img image.Image, x, y int) bool {
	_, g, _, a := img.At(img.Bounds().Min.X+x, img.Bounds().Min.Y+y).RGBA()
	return g+(0xFFFF-a) < 0x8000
}

// overlap is the ink that two pictures share, of the ink that either has.
func overlap(a, b image.Image) float64 {
	both, either := 0, 0
	for y := range max(a.Bounds().Dy(), b.Bounds().Dy()) {
		for x := range max(a.Bounds().Dx(), b.Bounds().Dx()) {
			switch p, q := inked(a, x, y), inked(b, x, y); {
			case p && q:
				both++
				either++
			case p || q:
				either++
			}
		}
	}
	return float64(both) / float64(either)
}

// TestSealGallery draws every kind of seal, and checks that what is printed is
// what is in the seal's data. ELICENCE_KEEP names a folder to look at them in.
func TestSealGallery(t *testing.T) {
	for name, d := range gallery(t) {
		t.Run(name, func(t *testing.T) {
			p, err := sealpicture.Draw(fonts(t), d)
			if err != nil {
				t.Fatal(err)
			}
			page, picture := printed(t, name, p), decoded(t, p.PNG)
			if same := overlap(page, picture); same < 0.95 {
				t.Errorf("page and PNG share %.3f of their ink", same)
			}
			if len(p.PNG) > 32<<10 || len(p.Content) > 128<<10 {
				t.Errorf("PNG of %d bytes, operators of %d", len(p.PNG), len(p.Content))
			}
			t.Logf("overlap %.3f, %d bytes PNG, %d bytes operators", overlap(page, picture), len(p.PNG), len(p.Content))
		})
	}
}

// touching counts the pixels that bear the ink of two shapes or more.
func touching(t testing.TB, p sealpicture.Picture) int {
	t.Helper()
	const dots = 3.0 // to the point
	box := image.Rect(0, 0, int(p.Width*dots)+1, int(p.Height*dots)+1)
	raster, seen := vector.NewRasterizer(box.Dx(), box.Dy()), image.NewAlpha(box)
	count := 0
	var v []float32
	for _, word := range strings.Fields(string(p.Content)) {
		if f, err := strconv.ParseFloat(word, 32); err == nil {
			v = append(v, float32(f*dots))
			continue
		}
		switch word {
		case "m":
			raster.MoveTo(v[0], v[1])
		case "l":
			raster.LineTo(v[0], v[1])
		case "c":
			raster.CubeTo(v[0], v[1], v[2], v[3], v[4], v[5])
		case "h":
			raster.ClosePath()
		case "f":
			shape := image.NewAlpha(box)
			raster.Draw(shape, box, image.Opaque, image.Point{})
			raster.Reset(box.Dx(), box.Dy())
			for i, a := range shape.Pix {
				if a > 128 && seen.Pix[i] > 128 {
					count++
				}
				seen.Pix[i] = max(seen.Pix[i], a)
			}
		}
		v = v[:0]
	}
	return count
}

// TestNothingTouches draws names of many lengths beside every other text: no
// character, ring or star lies on another.
func TestNothingTouches(t *testing.T) {
	name := []rune("浙江省杭州市西湖区人民政府文新街道办事处社会治安综合治理办公室")
	for _, d := range []sealpicture.Design{
		{DiameterMM: 42},
		{DiameterMM: 45, InnerRing: true},
		{DiameterMM: 42, Arc: "3301081234567"},
		{DiameterMM: 40, Lower: "行政审批专用章", Centre: sealpicture.None},
		{DiameterMM: 42, Lower: "行政许可证照专用章一二三", Arc: "3301081234567"},
		{DiameterMM: 42, Arc: "电子证照专用章"},
		{Shape: sealpicture.Oval, WidthMM: 45, HeightMM: 30, Lower: "证照专用章"},
		{Shape: sealpicture.Oval, WidthMM: 40, HeightMM: 30, Lower: "发票专用章", Middle: "91330108MA2GK3LL5X"},
		{Shape: sealpicture.Oval, WidthMM: 45, HeightMM: 30, Centre: sealpicture.Star, InnerRing: true},
		{Shape: sealpicture.Rectangle, WidthMM: 50, HeightMM: 20, Lower: "行政审批专用章"},
		{Shape: sealpicture.Rectangle, WidthMM: 50, HeightMM: 20},
	} {
		for _, n := range []int{4, 5, 7, 10, 13, 17, 22, 26, 29, 30} {
			d.Name = string(name[:n])
			p, err := sealpicture.Draw(fonts(t), d)
			if err != nil {
				t.Errorf("%+v: %v", d, err)
				continue
			}
			if count := touching(t, p); count > 0 {
				t.Errorf("%s %d mm, %d characters, %q %q: %d pixels bear two shapes", d.Shape, max(d.DiameterMM, d.WidthMM), n, d.Lower, d.Arc, count)
			}
		}
	}
}

// BenchmarkDraw is what a seal costs once, when the service starts.
func BenchmarkDraw(b *testing.B) {
	f, d := fonts(b), gallery(b)["company"]
	for b.Loop() {
		if _, err := sealpicture.Draw(f, d); err != nil {
			b.Fatal(err)
		}
	}
}
