package typeface_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tdewolff/font"

	"elicence/licence"
	"elicence/licence/render/typeface"
)

func open(t testing.TB) *typeface.Fonts {
	t.Helper()
	f, err := typeface.Open("../../../fonts")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestOpen checks that what is missing is named.
func TestOpen(t *testing.T) {
	_, err := typeface.Open(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "NotoSerifSC_400Regular.ttf") || !strings.Contains(err.Error(), "make fonts") {
		t.Errorf("got %v", err)
	}
	dir := t.TempDir()
	for _, name := range []string{"NotoSerifSC_400Regular", "NotoSerifSC_700Bold", "NotoSansSC_400Regular", "NotoSansSC_700Bold", "BabelStoneHan", "HanaMinA", "HanaMinB"} {
		if err := os.WriteFile(dir+"/"+name+".ttf", []byte("this is no font at all"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = typeface.Open(dir); err == nil || !strings.Contains(err.Error(), "not a TrueType font") {
		t.Errorf("got %v", err)
	}
}

// TestCut reads a cut font back with the parser of whole fonts: every character
// has its glyph and its width, in the code points that Code tells.
func TestCut(t *testing.T) {
	f := open(t)
	cut := typeface.NewCut(f)
	texts := []struct{ face, text string }{
		{"song", "食品经营许可证 A1（）䶮㛃𬭼𠅤𪚥𰻝"}, {"song-bold", "食品𰻝é"}, {"hei", "食"}, {"hei-bold", "食"},
	}
	for _, x := range texts {
		if err := cut.Add(x.face, x.text); err != nil {
			t.Fatal(err)
		}
	}
	data, err := cut.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := cut.Bytes(); err != nil || !bytes.Equal(data, again) {
		t.Errorf("another font the second time, or %v", err)
	}
	parsed, err := font.ParseSFNT(data, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[rune]bool{}
	for _, x := range texts {
		for _, r := range x.text {
			code := cut.Code(x.face, r)
			if seen[code] && code >= 0xE000 && x.face != "hei-bold" {
				t.Errorf("code %U drawn twice", code)
			}
			seen[code] = true
			if private := code >= 0xE000 && code <= 0xF8FF; private == (code == r) || private != (r > 0xFFFF || x.face != "song" && r != 'é') {
				t.Errorf("%s %c has code %U", x.face, r, code)
			}
			g := parsed.GlyphIndex(code)
			if g == 0 || r > ' ' && len(parsed.Glyf.Get(g)) < 12 {
				t.Errorf("%s %c (%U) is not drawn", x.face, r, code)
			}
			if got, want := int(parsed.GlyphAdvance(g)), f.Width(x.face, string(r)); got != want {
				t.Errorf("%s %c is %d wide, want %d", x.face, r, got, want)
			}
		}
	}
	if got := binary.BigEndian.Uint32(data); got != 0x00010000 {
		t.Errorf("begins with %08x", got)
	}
}

func TestCutRefuses(t *testing.T) {
	cut := typeface.NewCut(open(t))
	if err := cut.Add("song", "क"); err == nil {
		t.Error("a character without glyph was added")
	}
	if err := cut.Add("kai", "食"); err == nil {
		t.Error("an unknown face was used")
	}
}

// TestWrap checks 避头尾, whole words, and that nothing is lost.
func TestWrap(t *testing.T) {
	f := open(t)
	for _, c := range []struct {
		text string
		ems  int
		want []string
	}{
		{"", 5, nil},
		{"浙江省杭州市西湖区", 4, []string{"浙江省杭", "州市西湖", "区"}},
		{"浙江省杭，州市", 4, []string{"浙江省", "杭，州市"}},
		{"浙江省（杭州）市", 4, []string{"浙江省", "（杭州）", "市"}},
		{"文三路12345号", 5, []string{"文三路", "12345号"}},
		{"WWWWWWWWWWWWWWWWWWWW", 5, nil},
		{"）））））））））", 3, nil},
		{"字", 0, []string{"字"}},
	} {
		got := f.Wrap("song", c.text, c.ems*typeface.Em)
		if diff := cmp.Diff(c.want, got); diff != "" && c.want != nil {
			t.Errorf("%q: %s", c.text, diff)
		}
		if strings.Join(got, "") != c.text {
			t.Errorf("%q wrapped to %q", c.text, got)
		}
	}
}

// FuzzCheckText: what is accepted can be cut, what is refused is named.
func FuzzCheckText(f *testing.F) {
	for _, s := range []string{"陈䶮", "𰻝", "\x00", "\u202e", "e\u0301", "\xff", "\U000F0000", "\u3164"} {
		f.Add(s)
	}
	fonts := open(f)
	f.Fuzz(func(t *testing.T, s string) {
		err := fonts.CheckText("holder.name", s)
		var refused *licence.RequestError
		switch cut := typeface.NewCut(fonts); {
		case err == nil:
			if err := cut.Add(typeface.MainFace, s); err != nil && len(s) < 6000 {
				t.Fatalf("accepted, but %v", err)
			}
			if strings.Join(fonts.Wrap("song", s, 5000), "") != s {
				t.Fatal("wrapping loses text")
			}
		case !errors.As(err, &refused) || refused.Fields[0].Field != "holder.name":
			t.Fatal(err)
		}
	})
}
