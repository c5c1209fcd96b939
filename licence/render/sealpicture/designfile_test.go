package sealpicture_test

import (
	"bytes"
	"encoding/json"
	"image/color"
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
			shown, warnings, err := sealpicture.Import(want.PNG, want.WidthMM, want.HeightMM)
			if err != nil || len(warnings) > 0 || shown.Width != want.Width || shown.Height != want.Height {
				t.Errorf("traced from its PNG: %v, %q", err, warnings)
			}
		})
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
