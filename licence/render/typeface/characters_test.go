package typeface_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"elicence/licence"
	"elicence/licence/render/pdf"
	"elicence/licence/render/typeface"
)

var everyCharacter = flag.Bool("characters", false, "judge every character instead of a sample, and write docs/characters.md")

// block is a range of code points; the last takes what is in no other.
type block struct {
	first, last rune
	name        string
}

// blocks are those of Unicode that Chinese licences may need, ideographs first.
var blocks = []block{
	{0x4E00, 0x9FFF, "CJK Unified Ideographs (URO)"}, {0x3400, 0x4DBF, "Extension A"}, {0x20000, 0x2A6DF, "Extension B"},
	{0x2A700, 0x2B73F, "Extension C"}, {0x2B740, 0x2B81F, "Extension D"}, {0x2B820, 0x2CEAF, "Extension E"}, {0x2CEB0, 0x2EBEF, "Extension F"},
	{0x30000, 0x3134F, "Extension G"}, {0x31350, 0x323AF, "Extension H"}, {0x2EBF0, 0x2EE5F, "Extension I"},
	{0xF900, 0xFAFF, "CJK Compatibility Ideographs"}, {0x2F800, 0x2FA1F, "… Supplement"},
	{0x2E80, 0x2EFF, "CJK Radicals Supplement"}, {0x2F00, 0x2FDF, "Kangxi Radicals"}, {0x31C0, 0x31EF, "CJK Strokes"},
	{0x3000, 0x303F, "CJK Symbols and Punctuation"}, {0xFF00, 0xFFEF, "Halfwidth and Fullwidth Forms"}, {0x3100, 0x312F, "Bopomofo"},
	{0x0020, 0x007F, "Basic Latin"}, {0x00A0, 0x00FF, "Latin-1 Supplement"}, {0x0100, 0x017F, "Latin Extended-A"}, {0x0180, 0x024F, "Latin Extended-B"},
	{0x1E00, 0x1EFF, "Latin Extended Additional"}, {0x2000, 0x206F, "General Punctuation"}, {0x2100, 0x214F, "Letterlike Symbols"},
	{0x2150, 0x218F, "Number Forms"}, {0x2460, 0x24FF, "Enclosed Alphanumerics"}, {0x3200, 0x32FF, "Enclosed CJK Letters and Months"},
	{0x0370, 0x03FF, "Greek"}, {0x0400, 0x04FF, "Cyrillic"}, {0x0600, 0x06FF, "Arabic (Uyghur, Kazakh, Kirghiz)"}, {0x0F00, 0x0FFF, "Tibetan"},
	{0x1800, 0x18AF, "Mongolian"}, {0x1950, 0x197F, "Tai Le"}, {0x1980, 0x19DF, "New Tai Lue"}, {0x1100, 0x11FF, "Hangul Jamo"},
	{0xA000, 0xA4CF, "Yi"}, {0xA4D0, 0xA4FF, "Lisu"}, {0xAC00, 0xD7A3, "Hangul Syllables"}, {0xE0100, 0xE01EF, "Variation Selectors Supplement"},
	{0, unicode.MaxRune, "all others"},
}

// blockOf is the number of r's block.
func blockOf(r rune) int {
	return slices.IndexFunc(blocks, func(b block) bool { return r >= b.first && r <= b.last })
}

// chains repeats, for the judge, which fonts docs/layouts.md promises for each face.
var chains = map[string][]string{
	"song":      {"NotoSerifSC_400Regular", "BabelStoneHan", "HanaMinA", "HanaMinB"},
	"song-bold": {"NotoSerifSC_700Bold", "NotoSerifSC_400Regular", "BabelStoneHan", "HanaMinA", "HanaMinB"},
	"hei":       {"NotoSansSC_400Regular", "NotoSerifSC_400Regular", "BabelStoneHan", "HanaMinA", "HanaMinB"},
	"hei-bold":  {"NotoSansSC_700Bold", "NotoSansSC_400Regular", "NotoSerifSC_400Regular", "BabelStoneHan", "HanaMinA", "HanaMinB"},
}

// Characters stand in cells of a page, drawn at 32 pixels an em. Those that reach out
// of a cell are drawn in large ones.
const ppem, small, large = 32, 56, 224

// origin is where a cell's character stands, from its upper left corner.
func origin(cell int) (x, y int) { return cell / 4, cell * 2 / 3 }

// glyphsProgram compiles the judge, which draws with FreeType from the fonts as they are.
func glyphsProgram(t *testing.T) string {
	program := filepath.Join(t.TempDir(), "glyphs")
	out, err := exec.Command("cc", "-O2", "-o", program, "testdata/glyphs.c", "-I/usr/include/freetype2", "-lfreetype").CombinedOutput()
	if err != nil {
		t.Fatalf("cc (Debian packages build-essential, libfreetype-dev): %v\n%s", err, out)
	}
	return program
}

// answer is what FreeType says of a character in a font.
type answer struct {
	drawn, fits bool
	cell        []byte // rows of coverage
}

// freeType asks the judge; a cell of 1 asks only whether characters are drawn.
func freeType(t *testing.T, program, font string, cell int, runes []rune) []answer {
	t.Helper()
	in := make([]byte, 0, 4*len(runes))
	for _, r := range runes {
		in = binary.NativeEndian.AppendUint32(in, uint32(r))
	}
	x, y := origin(cell)
	cmd := exec.Command(program, "../../../fonts/"+font+".ttf", fmt.Sprint(ppem), fmt.Sprint(cell), fmt.Sprint(x), fmt.Sprint(y))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if n := 1 + cell*cell; err != nil || len(out) != n*len(runes) {
		t.Fatalf("glyphs %s: %v, %d bytes for %d characters", font, err, len(out), len(runes))
	}
	answers := make([]answer, len(runes))
	for i := range answers {
		one := out[i*(1+cell*cell):][:1+cell*cell]
		answers[i] = answer{one[0] != 0, one[0] == 1, one[1:]}
	}
	return answers
}

// drawing is a character that a face draws with a font.
type drawing struct {
	face, font string
	r          rune
}

// sweep is what is known of the characters looked at.
type sweep struct {
	t         *testing.T
	fonts     *typeface.Fonts
	program   string
	has       map[string]map[rune]bool // by font: what FreeType draws
	drawings  []drawing
	refused   map[rune]bool
	extracted map[drawing]bool
	worst     map[string]int // by font: the largest difference of a pixel
	alike     map[string]int // by font: drawings without any difference
}

// TestCharacters: each character is drawn as FreeType draws it from the font that is
// named for it, unlike a missing one, and is extracted as itself; or it is refused
// with its code point. FreeType and pdftoppm draw, pdftotext extracts.
func TestCharacters(t *testing.T) {
	s := &sweep{t: t, fonts: open(t), program: glyphsProgram(t), has: map[string]map[rune]bool{}, refused: map[rune]bool{},
		extracted: map[drawing]bool{}, worst: map[string]int{}, alike: map[string]int{}}
	runes := s.chosen()
	for _, chain := range chains {
		for _, font := range chain {
			if s.has[font] == nil {
				s.has[font] = map[rune]bool{}
				for i, a := range freeType(t, s.program, font, 1, runes) {
					s.has[font][runes[i]] = a.drawn
				}
			}
		}
	}
	for _, face := range slices.Sorted(maps.Keys(chains)) {
		s.sort(face, runes)
	}
	s.judge()
	if *everyCharacter {
		s.rest(runes)
	}
	if *everyCharacter && !t.Failed() {
		s.write(runes)
	}
}

// chosen are all assigned characters but the two plain spaces, or a sample of each block.
func (s *sweep) chosen() (runes []rune) {
	count := make([]int, len(blocks))
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Zs, unicode.Cf) || typeface.IsSpace(r) {
			continue
		}
		b := blockOf(r)
		if count[b]++; *everyCharacter || count[b]%(1+int(blocks[b].last-blocks[b].first)/16) == 1 || strings.ContainsRune(names, r) {
			runes = append(runes, r)
		}
	}
	return runes
}

// names hold characters that names on licences have had, and that fonts and programs
// have lost: rare ones, both interpuncts, traditional and old forms, letters of
// minority languages in Latin.
const names = "䶮㛃𬭼𠅤𪚥𰻝𱁬𠮷﨎﨑·・‧•〇々囍喆堃淼囧龘靐羴犇骉猋淏赟旻昇邨峯喦瑠镕龑畱臺灣體國㑇㒲䥺\u4dae\U0002a6a5\U0002ce7c\U0002e9f5\U00030edd" +
	"āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜüêẑĉŝńňǹḿɑɡöëşğıçñə"

// sort tells what the face draws from what it refuses, and holds it to what the fonts have.
func (s *sweep) sort(face string, runes []rune) {
	known := map[drawing]bool{}
	for _, d := range s.drawings {
		known[drawing{"", d.font, d.r}] = true
	}
	for _, r := range runes {
		err := s.fonts.CheckFace(face, "holder.name", string(r))
		i := slices.IndexFunc(chains[face], func(font string) bool { return s.has[font][r] })
		var refused *licence.RequestError
		switch {
		case err == nil && i < 0:
			s.t.Errorf("%s accepts U+%04X, for which FreeType finds no outline", face, r)
		case err == nil:
			if d := (drawing{"", chains[face][i], r}); !known[d] {
				s.drawings = append(s.drawings, drawing{face, d.font, r})
			}
		case !errors.As(err, &refused) || !strings.Contains(refused.Fields[0].Detail, fmt.Sprintf("U+%04X", r)):
			s.t.Errorf("%s does not refuse U+%04X by name: %v", face, r, err)
		case unicode.Is(unicode.Unified_Ideograph, r) && i >= 0:
			s.t.Errorf("%s refuses %c, which %s has", face, r, chains[face][i])
		default:
			s.refused[r] = true
		}
	}
}

// rest looks at every other code point that UTF-8 can encode: refused by name, each of them.
func (s *sweep) rest(runes []rune) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if _, chosen := slices.BinarySearch(runes, r); chosen || typeface.IsSpace(r) || r >= 0xD800 && r < 0xE000 {
			continue
		}
		if err := s.fonts.CheckText("holder.name", string(r)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("U+%04X", r)) {
			s.t.Errorf("U+%04X: %v", r, err)
		}
	}
}

// judge compares all drawings, page by page, each page of one font.
func (s *sweep) judge() {
	byFont := map[string][]drawing{}
	for _, d := range s.drawings {
		byFont[d.font] = append(byFont[d.font], d)
	}
	for _, font := range slices.Sorted(maps.Keys(byFont)) {
		var wide []drawing
		for chunk := range slices.Chunk(byFont[font], 4000) {
			wide = append(wide, s.page(font, small, chunk)...)
		}
		for chunk := range slices.Chunk(wide, 250) {
			for _, d := range s.page(font, large, chunk) {
				s.t.Errorf("%s: %c is larger than %d em", font, d.r, large/ppem/2)
			}
		}
	}
}

// page judges one page and returns what did not fit its cell.
func (s *sweep) page(font string, cell int, drawings []drawing) (wide []drawing) {
	runes := make([]rune, 0, len(drawings)+1)
	for _, d := range drawings {
		runes = append(runes, d.r)
	}
	answers := freeType(s.t, s.program, font, cell, append(runes, 0))
	notdef := answers[len(drawings)].cell
	var fitting []drawing
	var want [][]byte
	for i, d := range drawings {
		switch a := answers[i]; {
		case !a.fits:
			wide = append(wide, d)
		case bytes.Equal(a.cell, notdef):
			s.t.Errorf("%s: U+%04X looks like a missing character", font, d.r)
		default:
			fitting, want = append(fitting, d), append(want, a.cell)
		}
	}
	if len(fitting) > 0 {
		s.compare(cell, fitting, want)
	}
	return wide
}

// compare draws the page as licences are drawn, and has it looked at.
func (s *sweep) compare(cell int, drawings []drawing, want [][]byte) {
	path, columns := s.drawPage(cell, drawings)
	rows := (len(drawings) + columns - 1) / columns
	picture := outside(s.t, "pdftoppm", "-r", "72", "-gray", "-singlefile", path)
	header := fmt.Sprintf("P5\n%d %d\n255\n", columns*cell, rows*cell)
	if !bytes.HasPrefix(picture, []byte(header)) {
		s.t.Fatalf("pdftoppm drew %.20q, want %q", picture, header)
	}
	picture = picture[len(header):]
	for i, d := range drawings {
		corner := i/columns*cell*columns*cell + i%columns*cell
		most := 0
		for y := range cell {
			row := picture[corner+y*columns*cell:][:cell]
			for x, p := range row {
				most = max(most, abs(255-int(p)-int(want[i][y*cell+x])))
			}
		}
		s.note(d, most)
	}
	text := []rune(strings.Join(strings.Fields(string(outside(s.t, "pdftotext", "-raw", "-enc", "UTF-8", path, "-"))), ""))
	for i, d := range drawings {
		if len(text) == len(drawings) && text[i] != d.r || len(text) != len(drawings) && !slices.Contains(text, d.r) {
			s.t.Errorf("%s: U+%04X is not extracted as itself", d.font, d.r)
			continue
		}
		s.extracted[d] = true
	}
	if len(text) != len(drawings) {
		i := 0
		for i < min(len(text), len(drawings)) && text[i] == drawings[i].r {
			i++
		}
		s.t.Errorf("%d characters extracted of %d, from %q on", len(text), len(drawings), string(text[min(i, len(text)):min(i+9, len(text))]))
	}
}

// scaled is by how much a pixel may differ where a font has another em than ours, so that
// its outlines are rounded to 1/1000 of it: 1/62 of a pixel, for each of the edges in it.
const scaled = 64

// note takes down how far a drawing is from FreeType's.
func (s *sweep) note(d drawing, most int) {
	limit := 0
	if !strings.HasPrefix(d.font, "Noto") {
		limit = scaled
	}
	if most > limit {
		s.t.Errorf("%s: %c (U+%04X) in %s is up to %d of 255 from what FreeType draws", d.font, d.r, d.r, d.face, most)
	}
	if most == 0 {
		s.alike[d.font]++
	}
	s.worst[d.font] = max(s.worst[d.font], most)
}

func abs(n int) int { return max(n, -n) }

// drawPage writes a page of cells.
func (s *sweep) drawPage(cell int, drawings []drawing) (path string, columns int) {
	columns = min(len(drawings), 3584/cell)
	height := (len(drawings) + columns - 1) / columns * cell
	cut, content := typeface.NewCut(s.fonts), []byte(fmt.Sprintf("BT /F1 %d Tf\n", ppem))
	x, y := origin(cell)
	for i, d := range drawings {
		n, err := cut.Number(d.face, d.r)
		if err != nil {
			s.t.Fatal(err)
		}
		// A tenth of a pixel keeps rounding from moving a character by a whole one.
		content = fmt.Appendf(content, "1 0 0 1 %d.1 %d.9 Tm <%04x> Tj\n", i%columns*cell+x, height-i/columns*cell-y-1, n)
	}
	data, err := cut.Bytes()
	if err != nil {
		s.t.Fatal(err)
	}
	file := pdf.Write(pdf.Document{Width: float64(columns * cell), Height: float64(height), Title: "characters", CreatedAt: time.Unix(0, 0),
		Metadata: []byte("<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"), Backdrop: pdf.Deflate(nil), Pages: [][]byte{append(content, "ET\n"...)},
		Font: pdf.Font{Data: data, Widths: cut.Widths(), Runes: cut.Runes(), Ascent: typeface.Ascent, Descent: typeface.Descent, Box: typeface.Box()}})
	path = filepath.Join(s.t.TempDir(), "page.pdf")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path, columns
}

// outside runs one of poppler's programs.
func outside(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%s (Debian package poppler-utils): %v\n%s", name, err, &errs)
	}
	return out
}
