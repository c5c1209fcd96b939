package typeface_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// TestCut reads a cut font's tables back: every character has a glyph with its
// outline and width, and says what it stands for.
func TestCut(t *testing.T) {
	f := open(t)
	cut := typeface.NewCut(f)
	numbers := map[uint16]rune{}
	for _, x := range []struct{ face, text string }{
		{"song", "食品经营许可证 A1（）䶮㛃𬭼𠅤𪚥𰻝"}, {"song-bold", "食品𰻝é"}, {"hei", "食"}, {"hei-bold", "食"},
	} {
		for _, r := range x.text {
			n, err := cut.Number(x.face, r)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := cut.Number(x.face, r); err != nil || again != n {
				t.Errorf("%s %c: glyph %d, then %d, %v", x.face, r, n, again, err)
			}
			if got, want := cut.Widths()[n], f.Width(x.face, string(r)); got != want {
				t.Errorf("%s %c is %d wide, want %d", x.face, r, got, want)
			}
			if got := cut.Runes()[n]; got != r {
				t.Errorf("%s %c stands for %c", x.face, r, got)
			}
			numbers[n] = r
		}
	}
	const distinct = 18 + 3 + 2 // plain; bold but 𰻝, which only one font draws; hei
	if len(numbers) != distinct || len(cut.Runes()) != distinct+1 {
		t.Errorf("%d glyphs and %d numbers, want %d and .notdef", len(cut.Runes()), len(numbers), distinct)
	}
	data, err := cut.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := cut.Bytes(); err != nil || !bytes.Equal(data, again) {
		t.Errorf("another font the second time, or %v", err)
	}
	checkOutlines(t, data, numbers)
}

// checkOutlines reads loca and glyf as ISO/IEC 14496-22 lays them out.
func checkOutlines(t *testing.T, data []byte, numbers map[uint16]rune) {
	t.Helper()
	tables := map[string][]byte{}
	for i := range int(binary.BigEndian.Uint16(data[4:])) {
		entry := data[12+16*i:]
		from := binary.BigEndian.Uint32(entry[8:])
		tables[string(entry[:4])] = data[from : from+binary.BigEndian.Uint32(entry[12:])]
	}
	at := func(n uint16) int { return int(binary.BigEndian.Uint32(tables["loca"][4*int(n):])) }
	for n, r := range numbers {
		outline := tables["glyf"][at(n):at(n+1)]
		if empty := len(outline) == 0; empty != (r == ' ') {
			t.Errorf("%c: outline of %d bytes", r, len(outline))
		}
	}
	if end := at(uint16(len(numbers) + 1)); end != len(tables["glyf"]) {
		t.Errorf("loca ends at %d, glyf at %d", end, len(tables["glyf"]))
	}
}

func TestCutRefuses(t *testing.T) {
	cut := typeface.NewCut(open(t))
	if n, err := cut.Number("song", 'क'); err == nil || n != 0 {
		t.Error("a character without glyph was added")
	}
	if n, err := cut.Number("kai", '食'); err == nil || n != 0 {
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

// TestNoWidth: what would take no room on the page is refused by name.
func TestNoWidth(t *testing.T) {
	f := open(t)
	for _, s := range []string{"\ua700", "\ua707", "陈\ua703"} {
		var refused *licence.RequestError
		if err := f.CheckText("holder.name", s); !errors.As(err, &refused) || refused.Fields[0].Code != typeface.CodeUndrawable || !strings.Contains(refused.Fields[0].Detail, "U+A70") {
			t.Errorf("%q: %v", s, err)
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
			for _, r := range s {
				if _, err := cut.Number(typeface.MainFace, r); err != nil {
					t.Fatalf("accepted, but %v", err)
				}
			}
			if strings.Join(fonts.Wrap("song", s, 5000), "") != s {
				t.Fatal("wrapping loses text")
			}
		case !errors.As(err, &refused) || refused.Fields[0].Field != "holder.name":
			t.Fatal(err)
		}
	})
}
