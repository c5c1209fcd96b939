package typeface_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"
)

// introduction stands before the tables of docs/characters.md.
const introduction = "# Characters\n\n" +
	"`make characters` draws every assigned character of Unicode %s that the faces accept, and has programs from outside look at it: FreeType %s\n" +
	"draws the character from the font file as it is, poppler's `pdftoppm` draws the page that we wrote, and `pdftotext` reads it. A character counts\n" +
	"as drawn when the two pictures agree and are not that of the font's missing glyph, and as extracted when it comes out as itself. All\n" +
	"others are refused with their code point, before a number is used ([layouts.md](layouts.md#characters) says which and why). `make test` judges a sample of each block.\n\n" +
	"## By block, in the face `song`\n\n" +
	"| block | assigned | drawn | extracted exactly | refused | fonts |\n|---|---|---|---|---|---|\n"

const comparison = "\n## By font, in all four faces\n\n" +
	"The fonts of Noto have 1,000 units in the em, as the font in a licence file. Outlines of the others, with 1,024, are rounded to it, by up to 1/62 of a pixel at %d pixels an em; a pixel\n" +
	"may then differ by up to %d of 255, as several edges may lie in it.\n\n" +
	"| font | drawings | the same picture, bit for bit | largest difference of a pixel |\n|---|---|---|---|\n"

// write makes docs/characters.md.
func (s *sweep) write(runes []rune) {
	out := fmt.Sprintf(introduction, unicode.Version, strings.TrimSpace(string(outside(s.t, s.program))))
	song := map[rune]string{}
	for _, r := range runes {
		if !s.refused[r] {
			song[r] = chains["song"][slices.IndexFunc(chains["song"], func(font string) bool { return s.has[font][r] })]
		}
	}
	exact := map[rune]bool{}
	for d := range s.extracted {
		exact[d.r] = true
	}
	var all row
	for i, b := range blocks {
		line := row{name: b.name}
		if b.first > 0 {
			line.name += fmt.Sprintf(" %04X–%04X", b.first, b.last)
		}
		for _, r := range runes {
			if blockOf(r) == i {
				line.add(song[r], exact[r])
			}
		}
		all.join(line)
		out += line.String()
	}
	all.name = "**all**"
	out += all.String() + fmt.Sprintf(comparison, ppem, scaled)
	drawn := map[string]int{}
	for _, d := range s.drawings {
		drawn[d.font]++
	}
	for _, font := range slices.Sorted(maps.Keys(drawn)) {
		out += fmt.Sprintf("| %s | %d | %d | %d |\n", font, drawn[font], s.alike[font], s.worst[font])
	}
	if err := os.WriteFile("../../../docs/characters.md", []byte(out), 0o644); err != nil {
		s.t.Error(err)
	}
}

// row counts what became of some characters.
type row struct {
	name                                string
	assigned, drawn, extracted, refused int
	fonts                               map[string]int
}

func (w *row) add(font string, extracted bool) {
	w.assigned++
	if font == "" {
		w.refused++
		return
	}
	if w.fonts == nil {
		w.fonts = map[string]int{}
	}
	w.drawn++
	w.fonts[font]++
	if extracted {
		w.extracted++
	}
}

func (w *row) join(other row) {
	w.assigned, w.drawn, w.extracted, w.refused = w.assigned+other.assigned, w.drawn+other.drawn, w.extracted+other.extracted, w.refused+other.refused
	if w.fonts == nil {
		w.fonts = map[string]int{}
	}
	for font, n := range other.fonts {
		w.fonts[font] += n
	}
}

func (w row) String() string {
	var fonts []string
	for _, font := range chains["song"] {
		if n := w.fonts[font]; n > 0 {
			fonts = append(fonts, fmt.Sprintf("%s %d", font, n))
		}
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %s |\n", w.name, w.assigned, w.drawn, w.extracted, w.refused, strings.Join(fonts, ", "))
}
