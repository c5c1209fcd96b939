package sealpicture_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"reflect"
	"strings"
	"testing"

	"elicence/licence/render/sealpicture"
)

// TestDesignFile: what is written draws the same seal when it is read again, and its
// PNG alone suffices to show it.
func TestDesignFile(t *testing.T) {
	designs := gallery(t)
	traced, err := sealpicture.ImportEmblem(encoded(t, scanned(400, 400, red, color.NRGBA{})), 20, 20)
	if err != nil {
		t.Fatal(err)
	}
	designs["traced emblem"] = sealpicture.Design{Name: "杭州市人民政府", DiameterMM: 45, Emblem: traced}
	for name, d := range designs {
		t.Run(name, func(t *testing.T) {
			file, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			again, err := sealpicture.ParseDesign(file)
			if err != nil {
				t.Fatalf("%v: %.300s", err, file)
			}
			want, err := sealpicture.Draw(fonts(t), d)
			if err != nil {
				t.Fatal(err)
			}
			got, err := sealpicture.Draw(fonts(t), again)
			if err != nil || !bytes.Equal(got.PNG, want.PNG) || !bytes.Equal(got.Content, want.Content) {
				t.Errorf("another picture, %v", err)
			}
			redrawn, drawn, err := sealpicture.Redraw(fonts(t), again, want.PNG, want.WidthMM, want.HeightMM)
			if err != nil || !drawn || !reflect.DeepEqual(redrawn, want) {
				t.Errorf("not drawn again from its PNG: %t, %v", drawn, err)
			}
			shown, warnings, err := sealpicture.Import(want.PNG, want.WidthMM, want.HeightMM)
			if err != nil || len(warnings) > 0 || shown.Width != want.Width || shown.Height != want.Height {
				t.Errorf("traced from its PNG: %v, %q", err, warnings)
			}
		})
	}
}

// TestNotRedrawn: what a design does not draw to the last pixel and colour is not its picture.
func TestNotRedrawn(t *testing.T) {
	d := sealpicture.Design{Name: "杭州图书馆", DiameterMM: 42}
	good, err := sealpicture.Draw(fonts(t), d)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*image.Paletted)) []byte {
		img := decoded(t, good.PNG).(*image.Paletted)
		change(img)
		return encoded(t, img)
	}
	for name, c := range map[string]struct {
		file []byte
		size int
		want bool
	}{
		"encoded otherwise": {changed(func(*image.Paletted) {}), 42, true},
		"a pixel":           {changed(func(p *image.Paletted) { p.Pix[len(p.Pix)/2] ^= 1 }), 42, false},
		"a colour":          {changed(func(p *image.Paletted) { p.Palette[15] = color.NRGBA{R: 226, G: 1, B: 21, A: 255} }), 42, false},
		"a transparency":    {changed(func(p *image.Paletted) { p.Palette[3] = color.NRGBA{R: 226, B: 21, A: 52} }), 42, false},
		"a row less": {changed(func(p *image.Paletted) {
			*p = *p.SubImage(image.Rect(0, 0, p.Rect.Dx(), p.Rect.Dy()-1)).(*image.Paletted)
		}), 42, false},
		"another size":     {good.PNG, 41, false},
		"not in a palette": {encoded(t, scanned(496, 496, color.NRGBA{R: 226, B: 21, A: 255}, color.NRGBA{})), 42, false},
		"cut short":        {good.PNG[:len(good.PNG)-20], 42, false},
		"nothing":          {nil, 42, false},
	} {
		p, drawn, err := sealpicture.Redraw(fonts(t), d, c.file, c.size, c.size)
		if err != nil || drawn != c.want || drawn && !bytes.Equal(p.Content, good.Content) || !drawn && p.Content != nil {
			t.Errorf("%s: drawn %t, %v", name, drawn, err)
		}
	}
	if _, drawn, err := sealpicture.Redraw(fonts(t), sealpicture.Design{Name: "a"}, good.PNG, 42, 42); err == nil || drawn {
		t.Errorf("a design that draws nothing: %t, %v", drawn, err)
	}
}

func TestParseDesignRefused(t *testing.T) {
	for name, file := range map[string]string{
		"nothing":          "",
		"no object":        "[]",
		"unknown member":   `{"name":"杭州海关","diameter_mm":42,"colour":"blue"}`,
		"size as a text":   `{"name":"杭州海关","diameter_mm":"42"}`,
		"fraction":         `{"name":"杭州海关","diameter_mm":42.5}`,
		"emblem is a path": `{"name":"杭州海关","diameter_mm":42,"emblem":"/etc/passwd"}`,
		"emblem unclosed":  `{"name":"杭州海关","diameter_mm":42,"emblem":"9 9 1 1 m 2 2 l f"}`,
		"too large":        `{"name":"` + strings.Repeat(" ", 1<<20) + `"}`,
	} {
		if d, err := sealpicture.ParseDesign([]byte(file)); err == nil || d != (sealpicture.Design{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
