package sealpicture_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"strings"
	"sync"
	"testing"

	"elicence/licence"
	"elicence/licence/render/sealpicture"
	"elicence/licence/render/typeface"
)

var openFonts = sync.OnceValues(func() (*typeface.Fonts, error) { return typeface.Open("../../../fonts") })

// fonts opens the project's fonts, once.
func fonts(t testing.TB) *typeface.Fonts {
	t.Helper()
	f, err := openFonts()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestDraw looks at the pictures of seals: size, ring, star, room between,
// and that the name stands along the upper arc.
func TestDraw(t *testing.T) {
	for name, d := range map[string]sealpicture.Design{
		"shortest": {Name: "杭州海关", DiameterMM: 42},
		"usual":    {Name: "杭州市城乡建设委员会", Lower: "证照专用章", DiameterMM: 42},
		"long":     {Name: "浙江省杭州市西湖区人民政府文新街道办事处社会治安综合治理办", Lower: "行政许可专用章", DiameterMM: 45},
		"rare":     {Name: "𠅤𪚥𰻝镇人民政府", DiameterMM: 42},
		"small":    {Name: "杭州市道路运输管理服务中心", DiameterMM: 38},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := sealpicture.Draw(fonts(t), d)
			if err != nil {
				t.Fatal(err)
			}
			img, err := png.Decode(bytes.NewReader(p.PNG))
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := img.(*image.Paletted); !ok || len(p.PNG) > 32<<10 {
				t.Errorf("%T of %d bytes", img, len(p.PNG))
			}
			want := int(math.Round(float64(d.DiameterMM) / 25.4 * 300))
			if b := img.Bounds(); b.Dx() != want || b.Dy() != want || p.WidthMM != d.DiameterMM || p.HeightMM != d.DiameterMM {
				t.Errorf("%v, %d by %d mm", b, p.WidthMM, p.HeightMM)
			}
			if math.Abs(p.Width-float64(d.DiameterMM)*72/25.4) > 1e-9 || p.Width != p.Height {
				t.Errorf("%v by %v points", p.Width, p.Height)
			}
			ink := func(x, y float64) bool { // in mm from the centre, of a seal of 42 mm
				half, scale := float64(want)/2, float64(want)/42
				c := color.NRGBAModel.Convert(img.At(int(half+x*scale), int(half-y*scale))).(color.NRGBA)
				if c.A > 0 && (c.R < 200 || c.G > 40) {
					t.Errorf("ink of colour %v", c)
				}
				return c.A > 128
			}
			if !ink(0, 0) || !ink(0, 6.5) || !ink(20.4, 0) || !ink(0, -20.4) {
				t.Error("star or ring is missing")
			}
			if ink(-20.9, 20.9) || ink(0, 8) || ink(6, -6) || ink(19.3, 0.5) || ink(0, -18.5) {
				t.Error("ink where there is none on a seal")
			}
			upper := 0
			for a := 0.0; a < math.Pi; a += 0.005 {
				for r := 14.5; r < 18; r += 0.5 {
					if ink(r*math.Cos(a), r*math.Sin(a)) {
						upper++
					}
				}
			}
			if upper < 150 {
				t.Errorf("only %d points of the upper arc bear ink", upper)
			}
		})
	}
}

// TestDrawSame checks that a design has one picture.
func TestDrawSame(t *testing.T) {
	d := sealpicture.Design{Name: "杭州市城乡建设委员会", DiameterMM: 42}
	a, err := sealpicture.Draw(fonts(t), d)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sealpicture.Draw(fonts(t), d)
	if err != nil || !bytes.Equal(a.PNG, b.PNG) || !bytes.Equal(a.Content, b.Content) {
		t.Error("two pictures of one design")
	}
}

func TestDrawRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		d     sealpicture.Design
		field string
		code  string
	}{
		{"no name", sealpicture.Design{DiameterMM: 42}, "name", licence.CodeTooShort},
		{"three characters", sealpicture.Design{Name: "杭州局", DiameterMM: 42}, "name", licence.CodeTooShort},
		{"31 characters", sealpicture.Design{Name: strings.Repeat("局", 31), DiameterMM: 42}, "name", licence.CodeTooLong},
		{"long line", sealpicture.Design{Name: "杭州海关", Lower: strings.Repeat("章", 13), DiameterMM: 42}, "lower", licence.CodeTooLong},
		{"control", sealpicture.Design{Name: "杭州\n海关", DiameterMM: 42}, "name", licence.CodeControlCharacter},
		{"private use", sealpicture.Design{Name: "杭州海关", Lower: "章\ue000", DiameterMM: 42}, "lower", licence.CodePrivateUse},
		{"undrawable", sealpicture.Design{Name: "杭州海关𒀀", DiameterMM: 42}, "name", typeface.CodeUndrawable},
		{"no diameter", sealpicture.Design{Name: "杭州海关"}, "diameter_mm", licence.CodeOutOfRange},
		{"huge", sealpicture.Design{Name: "杭州海关", DiameterMM: 1 << 30}, "diameter_mm", licence.CodeOutOfRange},
		{"61 mm", sealpicture.Design{Name: "杭州海关", DiameterMM: 61}, "diameter_mm", licence.CodeOutOfRange},
		{"triangle", sealpicture.Design{Shape: "triangle", Name: "杭州海关", DiameterMM: 42}, "shape", licence.CodeNotAllowed},
		{"oval of a diameter", sealpicture.Design{Shape: sealpicture.Oval, Name: "杭州海关", DiameterMM: 42}, "width_mm", licence.CodeOutOfRange},
		{"oval on end", sealpicture.Design{Shape: sealpicture.Oval, Name: "杭州海关", WidthMM: 38, HeightMM: 45}, "height_mm", licence.CodeOutOfRange},
		{"oval like a line", sealpicture.Design{Shape: sealpicture.Oval, Name: "杭州海关", WidthMM: 45, HeightMM: 10}, "height_mm", licence.CodeOutOfRange},
		{"round oval", sealpicture.Design{Shape: sealpicture.Oval, Name: "杭州海关", WidthMM: 40, HeightMM: 40}, "height_mm", licence.CodeOutOfRange},
		{"wide rectangle", sealpicture.Design{Shape: sealpicture.Rectangle, Name: "杭州海关", WidthMM: 80, HeightMM: 20}, "width_mm", licence.CodeOutOfRange},
		{"low rectangle", sealpicture.Design{Shape: sealpicture.Rectangle, Name: "杭州海关", WidthMM: 50, HeightMM: 5}, "height_mm", licence.CodeOutOfRange},
		{"flower", sealpicture.Design{Name: "杭州海关", DiameterMM: 42, Centre: "flower"}, "centre", licence.CodeNotAllowed},
		{"star on a rectangle", sealpicture.Design{Shape: sealpicture.Rectangle, Name: "杭州海关", WidthMM: 50, HeightMM: 20, Centre: sealpicture.Star}, "centre", licence.CodeNotAllowed},
		{"star on a line", sealpicture.Design{Shape: sealpicture.Oval, Name: "杭州海关", WidthMM: 45, HeightMM: 30, Centre: sealpicture.Star, Middle: "1"}, "centre", licence.CodeNotAllowed},
		{"star on an emblem", sealpicture.Design{Name: "杭州海关", DiameterMM: 42, Centre: sealpicture.Star, Emblem: gear(t)}, "centre", licence.CodeNotAllowed},
		{"emblem on an oval", sealpicture.Design{Shape: sealpicture.Oval, Name: "杭州海关", WidthMM: 45, HeightMM: 30, Emblem: gear(t)}, "emblem", licence.CodeNotAllowed},
		{"middle of a round seal", sealpicture.Design{Name: "杭州海关", DiameterMM: 42, Middle: "1"}, "middle", licence.CodeNotAllowed},
		{"long middle", sealpicture.Design{Shape: sealpicture.Oval, Name: "杭州海关", WidthMM: 45, HeightMM: 30, Middle: strings.Repeat("1", 19)}, "middle", licence.CodeTooLong},
		{"arc of a rectangle", sealpicture.Design{Shape: sealpicture.Rectangle, Name: "杭州海关", WidthMM: 50, HeightMM: 20, Arc: "1"}, "arc", licence.CodeNotAllowed},
		{"long arc", sealpicture.Design{Name: "杭州海关", DiameterMM: 42, Arc: strings.Repeat("1", 19)}, "arc", licence.CodeTooLong},
		{"arc with a control", sealpicture.Design{Name: "杭州海关", DiameterMM: 42, Arc: "1\u202e"}, "arc", licence.CodeBidiControl},
		{"arc and name meet", sealpicture.Design{Name: strings.Repeat("局", 30), DiameterMM: 42, Arc: strings.Repeat("章", 18)}, "name", licence.CodeTooLong},
	} {
		p, err := sealpicture.Draw(fonts(t), c.d)
		var refused *licence.RequestError
		if !errors.As(err, &refused) || refused.Fields[0].Field != c.field || refused.Fields[0].Code != c.code || p.PNG != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestMeasures measures drawn seals of every size with a ruler, in mm of one of 42:
// ring of 1.2, star with its tips on a circle of 14.
func TestMeasures(t *testing.T) {
	for diameter := 38; diameter <= 60; diameter += 2 {
		p, err := sealpicture.Draw(fonts(t), sealpicture.Design{Name: "杭州图书馆", DiameterMM: diameter})
		if err != nil {
			t.Fatal(err)
		}
		img := decoded(t, p.PNG)
		size := img.Bounds().Dx()
		mm := func(dots int) float64 { return float64(dots) / float64(size) * 42 }
		at := func(y int) bool { return inked(img, size/2, y) }
		outer, inner := 0, size-1
		for !at(outer) {
			outer++
		}
		for at(inner) {
			inner--
		}
		below := inner
		for !at(below) {
			below--
		}
		tip := size / 2
		for at(tip) {
			tip--
		}
		if ring := mm(size - 1 - inner); outer > 1 || math.Abs(ring-1.2) > 0.1 {
			t.Errorf("%d mm: the ring begins at %.2f and is %.2f wide", diameter, mm(outer), ring)
		}
		if radius := mm(size/2 - tip); math.Abs(radius-7) > 0.25 || mm(size/2-below) > -2 {
			t.Errorf("%d mm: the tip of the star is at %.2f, its notch at %.2f", diameter, radius, mm(size/2-below))
		}
	}
}

// TestSymmetric: the first and the last character stand at the same height, and a
// short name is not spread over the whole arc.
func TestSymmetric(t *testing.T) {
	for n, most := range map[int]float64{4: 62, 5: 80, 7: 112, 12: 145, 20: 152, 30: 152} {
		p, err := sealpicture.Draw(fonts(t), sealpicture.Design{Name: strings.Repeat("田", n), DiameterMM: 42})
		if err != nil {
			t.Fatal(err)
		}
		img := decoded(t, p.PNG)
		half := float64(img.Bounds().Dx()) / 2
		reach := func(side float64) float64 { // degrees from the top
			for a := 170.0; a > 0; a -= 0.25 {
				for r := 14.0; r < 18.5; r += 0.25 {
					sin, cos := math.Sincos(a * math.Pi / 180)
					if inked(img, int(half+side*r*sin*half/21), int(half-r*cos*half/21)) {
						return a
					}
				}
			}
			return 0
		}
		if left, right := reach(-1), reach(1); math.Abs(left-right) > 1.5 || left > most || left < most-15 {
			t.Errorf("%d characters reach %.1f° to the left and %.1f° to the right, want %.0f° at most", n, left, right, most)
		}
	}
}
