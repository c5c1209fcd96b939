package render_test

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	zxing "github.com/makiuchi-d/gozxing/qrcode"

	"elicence/licence"
	"elicence/licence/render"
)

// What a symbol goes through between printer and decoder, on grey pictures: printed
// at printDPI, where ink spreads; turned and seen from aside; blurred, sampled at the
// scanner's resolution, lit unevenly, noised, compressed.

// printDPI is the resolution of the printed picture, cutMM the side of what is cut
// from the page with the symbol in its middle.
const printDPI, cutMM = 600, 48.0

// scan says how a printed symbol is scanned. Zero means none of it.
type scan struct {
	dpi      float64
	rotation float64 // degrees
	keystone float64 // how much narrower the far edge is, as a part of the near one
	spread   float64 // how far ink spreads, mm
	blur     float64 // standard deviation, mm
	contrast float64 // what is lost of it, as a part
	shadow   float64 // how much darker one side is, as a part
	noise    float64 // standard deviation, grey levels of 255
	quality  int     // of JPEG
	stroke   float64 // width of a pen stroke across the symbol, mm
}

// inked is a printed symbol as the ink has spread and the pen has struck it.
func (s scan) inked(printed *image.Gray) *image.Gray {
	img := spread(printed, s.spread/25.4*printDPI)
	strike(img, s.stroke/25.4*printDPI)
	return img
}

// blurred is an inked symbol as the scanner's pixels see it.
func (s scan) blurred(inked *image.Gray) *image.Gray {
	// Sampling takes the mean over a pixel, which is about this blur.
	return blur(inked, math.Hypot(s.blur/25.4*printDPI, 0.3*printDPI/s.dpi))
}

// take scans a blurred symbol.
func (s scan) take(t testing.TB, blurred *image.Gray) image.Image {
	t.Helper()
	img := s.sample(blurred)
	s.light(img)
	if s.quality == 0 {
		return img
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: s.quality}); err != nil {
		t.Fatal(err)
	}
	out, err := jpeg.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sample turns the picture and takes one pixel for each of the scanner's.
func (s scan) sample(img *image.Gray) *image.Gray {
	step := printDPI / s.dpi
	side := int(float64(img.Rect.Dx()) / step)
	out := image.NewGray(image.Rect(0, 0, side, side))
	sin, cos := math.Sincos(s.rotation * math.Pi / 180)
	middle := float64(side) / 2
	for y := range side {
		for x := range side {
			u, v := (float64(x)+0.5-middle)*step, (float64(y)+0.5-middle)*step
			w := 1 - s.keystone/2*v/(middle*step) // the far edge is above
			u, v = u/w, v/w
			out.Pix[y*out.Stride+x] = at(img, u*cos-v*sin+float64(img.Rect.Dx())/2, u*sin+v*cos+float64(img.Rect.Dy())/2)
		}
	}
	return out
}

// at is the grey at a point between pixels; white outside.
func at(img *image.Gray, x, y float64) uint8 {
	x, y = x-0.5, y-0.5
	x0, y0 := math.Floor(x), math.Floor(y)
	pixel := func(x, y int) float64 {
		if !(image.Point{x, y}).In(img.Rect) {
			return 255
		}
		return float64(img.Pix[y*img.Stride+x])
	}
	i, j, fx, fy := int(x0), int(y0), x-x0, y-y0
	return uint8((pixel(i, j)*(1-fx)+pixel(i+1, j)*fx)*(1-fy) + (pixel(i, j+1)*(1-fx)+pixel(i+1, j+1)*fx)*fy + 0.5)
}

// light lowers the contrast, puts one side in the shadow and adds noise, always the same.
func (s scan) light(img *image.Gray) {
	r := rand.New(rand.NewPCG(1, 2))
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			p := &img.Pix[y*img.Stride+x]
			v := 128 + (float64(*p)-128)*(1-s.contrast)
			v *= 1 - s.shadow*float64(x)/float64(img.Rect.Dx())
			*p = uint8(min(max(v+r.NormFloat64()*s.noise, 0), 255))
		}
	}
}

// spread makes what is dark wider by a radius in pixels; of a part of a pixel, by
// that part of the darkness.
func spread(img *image.Gray, radius float64) *image.Gray {
	if radius == 0 {
		return &image.Gray{Pix: slices.Clone(img.Pix), Stride: img.Stride, Rect: img.Rect}
	}
	n, part := int(radius), radius-math.Floor(radius)
	darken := func(row, out []uint8) {
		for i := range row {
			within, beyond := darkest(row, i, n), darkest(row, i, n+1)
			out[i] = uint8(float64(within)*(1-part) + float64(beyond)*part + 0.5)
		}
	}
	return along(along(img, darken), darken)
}

// darkest is the darkest pixel of a row no farther than n from i.
func darkest(row []uint8, i, n int) uint8 {
	return slices.Min(row[max(0, i-n):min(len(row), i+n+1)])
}

// blur is a Gaussian of a standard deviation in pixels.
func blur(img *image.Gray, sigma float64) *image.Gray {
	n := int(3*sigma + 0.5)
	kernel, sum := make([]float64, 2*n+1), 0.0
	for i := range kernel {
		kernel[i] = math.Exp(-float64((i-n)*(i-n)) / (2 * sigma * sigma))
		sum += kernel[i]
	}
	padded := make([]float64, img.Rect.Dx()+2*n) // a row, with its ends drawn out; the picture is a square
	convolve := func(row, out []uint8) {
		for i := range padded {
			padded[i] = float64(row[min(max(i-n, 0), len(row)-1)])
		}
		for i := range row {
			v := 0.0
			for k, p := range padded[i : i+len(kernel)] {
				v += kernel[k] * p
			}
			out[i] = uint8(v/sum + 0.5)
		}
	}
	return along(along(img, convolve), convolve)
}

// along works on every row, and returns the result with rows and columns exchanged.
func along(img *image.Gray, work func(row, out []uint8)) *image.Gray {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out, line := image.NewGray(image.Rect(0, 0, h, w)), make([]uint8, w)
	for y := range h {
		work(img.Pix[y*img.Stride:y*img.Stride+w], line)
		for x, v := range line {
			out.Pix[x*out.Stride+y] = v
		}
	}
	return out
}

// strike draws a pen stroke of a width in pixels through the symbol, off its corners.
func strike(img *image.Gray, width float64) {
	if width == 0 {
		return
	}
	c := float64(img.Rect.Dx()) / 2
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			if u, v := float64(x)-c, float64(y)-c; math.Abs(u*0.2+v*0.98-0.1*c) < width/2 {
				img.Pix[y*img.Stride+x] = 40
			}
		}
	}
}

// printedSymbol is the symbol of a rendered licence as printed, in the middle of its
// surroundings.
func printedSymbol(t testing.TB, out render.Output, pageHeight float64) *image.Gray {
	t.Helper()
	path := saved(t, "printed.pdf", out.PDF)
	scale, b := printDPI/72.0, out.QR
	side := int(math.Round(cutMM / 25.4 * printDPI))
	left, top := int((b.X+b.Size/2)*scale)-side/2, int((pageHeight-b.Y-b.Size/2)*scale)-side/2
	tool(t, "poppler-utils", "pdftoppm", "-r", fmt.Sprint(printDPI), "-gray", "-png", "-singlefile", "-f", fmt.Sprint(b.Page),
		"-x", fmt.Sprint(left), "-y", fmt.Sprint(top), "-W", fmt.Sprint(side), "-H", fmt.Sprint(side), path, path)
	file, err := os.Open(path + ".png")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	grey := image.NewGray(image.Rect(0, 0, side, side))
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			grey.Set(x, y, img.At(x, y))
		}
	}
	return grey
}

// decoders are two programs that have no code in common.
var decoders = []struct {
	name   string
	decode func(t testing.TB, img image.Image) string
}{
	{"zbar", func(t testing.TB, img image.Image) string {
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		path := saved(t, "scan.png", b.Bytes())
		out, err := exec.Command("zbarimg", "-q", "--raw", "-Sdisable", "-Sqrcode.enable", path).Output()
		if _, failed := err.(*exec.ExitError); err != nil && !failed {
			t.Fatalf("zbarimg is not installed: install the Debian package zbar-tools: %v", err)
		}
		return strings.TrimSpace(string(out))
	}},
	{"ZXing", func(t testing.TB, img image.Image) string {
		source := gozxing.NewLuminanceSourceFromImage(img)
		hints := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true}
		for _, binarizer := range []gozxing.Binarizer{gozxing.NewHybridBinarizer(source), gozxing.NewGlobalHistgramBinarizer(source)} {
			bitmap, err := gozxing.NewBinaryBitmap(binarizer)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := zxing.NewQRCodeReader().Decode(bitmap, hints); err == nil {
				return got.GetText()
			}
		}
		return ""
	}},
}

// largestText makes a symbol of version 13, the largest there is.
func largestText() licence.QRText {
	return licence.QRText{URL: "HTTPS://ZZ.HANGZHOU.EXAMPLE.CN/V", Digits: strings.Repeat("31415926535897932", 42)}
}

// slight are rotations as a hand leaves them, turned those of a whole turn; degrees.
var slight, turned = []float64{-1.3, 0.2, 2.1}, []float64{20, 45, 90, 160, 200, 315}

// conditions are what a symbol has to stand, and in how many of its rotations it is
// read, of each symbol by each decoder at 300 dpi and then by each at 150.
var conditions = []struct {
	name           string
	scan           scan
	rotations      []float64
	usual, largest [4]int
}{
	{"nothing else", scan{}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 3, 3, 3}},
	{"any rotation", scan{}, turned, [4]int{6, 6, 6, 4}, [4]int{6, 6, 6, 5}},
	{"blur of 0.05 mm", scan{blur: 0.05}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 3, 3, 3}},
	{"blur of 0.10 mm", scan{blur: 0.10}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 3, 3, 3}},
	{"blur of 0.15 mm", scan{blur: 0.15}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 2, 1, 2}},
	{"far edge 10 % shorter", scan{keystone: 0.10}, slight, [4]int{3, 3, 3, 1}, [4]int{3, 0, 3, 3}},
	{"far edge 20 % shorter", scan{keystone: 0.20}, slight, [4]int{0, 3, 0, 3}, [4]int{0, 3, 0, 3}},
	{"ink spread by 0.02 mm", scan{spread: 0.02}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 3, 3, 3}},
	{"ink spread by 0.05 mm", scan{spread: 0.05}, slight, [4]int{3, 1, 3, 1}, [4]int{3, 0, 3, 0}},
	{"JPEG of quality 50", scan{quality: 50}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 3, 3, 3}},
	{"JPEG of quality 10", scan{quality: 10}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 3, 3, 3}},
	{"noise of 10 grey levels", scan{noise: 10}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 3, 3, 3}},
	{"noise of 30 grey levels", scan{noise: 30}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 3, 3, 2}},
	{"shadow that takes 60 %", scan{shadow: 0.6}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 3, 3, 3}},
	{"70 % of the contrast lost", scan{contrast: 0.7}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 3, 3, 3}},
	{"pen stroke of 1 mm", scan{stroke: 1}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 3, 2, 3}},
	{"pen stroke of 3 mm", scan{stroke: 3}, slight, [4]int{0, 0, 0, 0}, [4]int{3, 3, 3, 3}},
	{"printed and scanned", scan{spread: 0.02, blur: 0.05, noise: 5, contrast: 0.15, quality: 75}, slight, [4]int{3, 3, 3, 3}, [4]int{3, 3, 3, 2}},
	{"printed, copied, scanned", scan{spread: 0.04, blur: 0.10, noise: 10, contrast: 0.3, shadow: 0.2, quality: 50}, slight, [4]int{3, 1, 3, 1}, [4]int{3, 1, 2, 0}},
}

// TestScanned prints a usual symbol, and the largest with the smallest modules, and
// scans them under every condition. What two independent decoders read is what
// docs/qr-format.md says, or more, and never another text.
func TestScanned(t *testing.T) {
	doc, err := os.ReadFile("../../docs/qr-format.md")
	if err != nil {
		t.Fatal(err)
	}
	usual, largest := printedText(t, "food-business", qrText(), 65), printedText(t, "construction-qualification", largestText(), 69)
	for _, c := range conditions {
		row := "| " + c.name
		for _, read := range [][4]int{c.usual, c.largest} {
			for i := range 2 {
				row += fmt.Sprintf(" | %d, %d", read[2*i], read[2*i+1])
			}
		}
		if row += fmt.Sprintf(" | of %d |\n", len(c.rotations)); !strings.Contains(string(doc), row) {
			t.Errorf("docs/qr-format.md lacks the line %s", row)
		}
		if raceEnabled && c.scan != (scan{}) {
			continue // minutes of arithmetic
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, s := range []struct {
				name    string
				printed *image.Gray
				text    string
				want    [4]int
			}{{"usual", usual, qrText().String(), c.usual}, {"largest", largest, largestText().String(), c.largest}} {
				read := c.scan.read(t, s.printed, c.rotations, s.text)
				for i := range read {
					if read[i] < s.want[i] {
						t.Errorf("%s symbol: read %v, want %v at least", s.name, read, s.want)
						break
					}
				}
				if read != s.want {
					t.Logf("%s symbol: read %v, said to be %v", s.name, read, s.want)
				}
			}
		})
	}
}

// read counts the rotations in which each decoder reads the text at each resolution.
func (s scan) read(t *testing.T, printed *image.Gray, rotations []float64, text string) (read [4]int) {
	t.Helper()
	inked := s.inked(printed)
	for i, dpi := range []float64{300, 150} {
		s.dpi = dpi
		blurred := s.blurred(inked)
		for _, rotation := range rotations {
			s.rotation = rotation
			scanned := s.take(t, blurred)
			for j, d := range decoders {
				switch got := d.decode(t, scanned); got {
				case text:
					read[2*i+j]++
				case "":
				default:
					t.Errorf("%s reads something else at %g dpi, turned by %g°: %.40q", d.name, dpi, rotation, got)
				}
			}
		}
	}
	return read
}

// printedText is the printed symbol of a text on a layout's sample.
func printedText(t *testing.T, layout string, text licence.QRText, modules int) *image.Gray {
	t.Helper()
	in := input(sample(t, layout))
	in.QR = text
	out, err := layouts(t)[layout].Render(fonts(t), in)
	if err != nil {
		t.Fatal(err)
	}
	if out.QR.Modules != modules {
		t.Fatalf("a symbol of %d modules on a side", out.QR.Modules)
	}
	return printedSymbol(t, out, 210/25.4*72)
}
