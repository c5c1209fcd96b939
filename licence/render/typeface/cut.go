package typeface

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// A document carries one font, cut to its characters: TrueType outlines without
// instructions, gathered from all the fonts of all its faces, because a PDF
// writer's cost is per font far more than per glyph.
//
// A character keeps its own code point when the main face draws it, or when no
// other face has claimed the code point. Every other drawing (a bold one, or a
// character above U+FFFF, which format 4 of cmap cannot hold) gets a code point
// of the private use area, and its text is given by /ActualText instead. Private
// use characters are refused in input, so the two never meet.
const (
	firstPrivate = 0xE000
	lastPrivate  = 0xF8FF
)

// drawing is a character in a face.
type drawing struct {
	face string
	r    rune
}

// Cut collects the drawings of one document and cuts a font to them. It is for
// one goroutine.
type Cut struct {
	fonts *Fonts
	codes map[drawing]rune
	used  map[rune]Glyph
	next  rune
}

// NewCut is an empty cut.
func NewCut(fonts *Fonts) *Cut {
	return &Cut{fonts: fonts, codes: map[drawing]rune{}, used: map[rune]Glyph{}, next: firstPrivate}
}

// Add gives every character of s in the face a code point.
func (c *Cut) Add(face, s string) error {
	for _, r := range s {
		d := drawing{face, r}
		if _, known := c.codes[d]; known {
			continue
		}
		g, ok, err := c.fonts.Glyph(face, r)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("no font draws %s", Describe(r))
		}
		code := r
		if held, taken := c.used[r]; r > 0xFFFF || taken && held != g {
			if c.next > lastPrivate {
				return fmt.Errorf("more than %d drawings outside the main face", lastPrivate-firstPrivate+1)
			}
			code = c.next
			c.next++
		}
		c.codes[d], c.used[code] = code, g
	}
	return nil
}

// Code is the code point that draws r in the face, after Add.
func (c *Cut) Code(face string, r rune) rune { return c.codes[drawing{face, r}] }

// Bytes is the font file: the tables that fpdf and PDF readers want, without
// dates, so that the same document gives the same bytes.
func (c *Cut) Bytes() ([]byte, error) {
	codes := make([]rune, 0, len(c.used))
	for code := range c.used {
		codes = append(codes, code)
	}
	slices.Sort(codes)

	glyf := make([]byte, 0, 400*len(codes))
	loca := binary.BigEndian.AppendUint32(make([]byte, 0, 4*len(codes)+8), 0)
	loca = binary.BigEndian.AppendUint32(loca, 0)                                  // .notdef is empty
	hmtx := binary.BigEndian.AppendUint32(make([]byte, 0, 4*len(codes)+4), Em<<16) // and one em wide
	for _, code := range codes {
		g := c.used[code]
		outline, err := g.outline()
		if err != nil {
			return nil, fmt.Errorf("cutting %s: %w", g.src.path, err)
		}
		lsb := uint16(0)
		if len(outline) > 4 {
			lsb = binary.BigEndian.Uint16(outline[2:])
		}
		glyf = append(glyf, outline...)
		glyf = append(glyf, make([]byte, -len(glyf)&3)...)
		loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf)))
		hmtx = binary.BigEndian.AppendUint16(hmtx, uint16(g.Advance()))
		hmtx = binary.BigEndian.AppendUint16(hmtx, lsb)
	}
	n := uint16(len(codes) + 1)
	return writeTables([]table{
		{"OS/2", os2Table()}, {"cmap", cmapTable(codes)}, {"glyf", glyf}, {"head", headTable()},
		{"hhea", hheaTable(n)}, {"hmtx", hmtx}, {"loca", loca}, {"maxp", maxpTable(n)},
		{"name", []byte{0, 0, 0, 0, 0, 6}}, {"post", append([]byte{0, 3, 0, 0}, make([]byte, 28)...)},
	}), nil
}

// outline is the glyph's data in a glyf table of our em, without instructions.
// Plain glyphs of fonts that share our em are copied; composite ones are drawn
// out and others scaled.
func (g Glyph) outline() ([]byte, error) {
	data := g.src.sfnt.Glyf.Get(g.id)
	if len(data) < 12 {
		return nil, nil
	}
	contours := int16(binary.BigEndian.Uint16(data))
	if contours <= 0 || g.src.upem != Em {
		return g.redrawn()
	}
	body := 10 + 2*int(contours)
	if len(data) < body+2 {
		return nil, fmt.Errorf("glyph %d is truncated", g.id)
	}
	rest := body + 2 + int(binary.BigEndian.Uint16(data[body:]))
	if len(data) < rest {
		return nil, fmt.Errorf("glyph %d is truncated", g.id)
	}
	out := make([]byte, 0, len(data))
	out = append(out, data[:body]...)
	out = append(out, 0, 0)
	return append(out, data[rest:]...), nil
}

// redrawn encodes the glyph's flattened contours anew, every coordinate as two
// bytes: rare characters are few.
func (g Glyph) redrawn() ([]byte, error) {
	c, err := g.src.sfnt.Glyf.Contour(g.id)
	if err != nil {
		return nil, err
	}
	if len(c.EndPoints) == 0 {
		return nil, nil
	}
	scale := func(v int16) int { return roundDiv(int(v)*Em, g.src.upem) }
	out := binary.BigEndian.AppendUint16(nil, uint16(len(c.EndPoints)))
	for _, v := range []int16{c.XMin, c.YMin, c.XMax, c.YMax} {
		out = binary.BigEndian.AppendUint16(out, uint16(scale(v)))
	}
	for _, end := range c.EndPoints {
		out = binary.BigEndian.AppendUint16(out, end)
	}
	out = append(out, 0, 0)
	for _, on := range c.OnCurve {
		flag := byte(0)
		if on {
			flag = 1
		}
		out = append(out, flag)
	}
	for _, axis := range [][]int16{c.XCoordinates, c.YCoordinates} {
		last := 0
		for _, v := range axis {
			out = binary.BigEndian.AppendUint16(out, uint16(scale(v)-last))
			last = scale(v)
		}
	}
	return out, nil
}

// roundDiv divides to the nearest integer, halves away from zero.
func roundDiv(a, b int) int {
	if a < 0 {
		return -((-a + b/2) / b)
	}
	return (a + b/2) / b
}

// table is one table of a font file.
type table struct {
	tag  string
	data []byte
}

// writeTables writes a TrueType file; the tables come sorted by tag. Checksums
// are left zero: readers of embedded fonts ignore them, and fpdf computes its own.
func writeTables(tables []table) []byte {
	const searchRange, selector = 128, 3 // of 8 to 15 tables
	n := len(tables)
	out := binary.BigEndian.AppendUint32(nil, 0x00010000)
	for _, v := range []int{n, searchRange, selector, n*16 - searchRange} {
		out = binary.BigEndian.AppendUint16(out, uint16(v))
	}
	at := 12 + 16*n
	for _, t := range tables {
		out = append(out, t.tag...)
		for _, v := range []int{0, at, len(t.data)} {
			out = binary.BigEndian.AppendUint32(out, uint32(v))
		}
		at += (len(t.data) + 3) &^ 3
	}
	for _, t := range tables {
		out = append(out, t.data...)
		out = append(out, make([]byte, -len(out)&3)...)
	}
	return out
}

// cmapTable maps sorted codes to glyphs 1, 2, 3 … in a Unicode subtable of
// format 4, one segment for each unbroken run of codes.
func cmapTable(codes []rune) []byte {
	type segment struct {
		first, last rune
		glyph       int
	}
	var segments []segment
	for i, code := range codes {
		if n := len(segments); n > 0 && segments[n-1].last+1 == code {
			segments[n-1].last = code
		} else {
			segments = append(segments, segment{code, code, i + 1})
		}
	}
	segments = append(segments, segment{0xFFFF, 0xFFFF, 0})
	n := len(segments)
	words := []int{0, 1, 3, 1, 0, 12, 4, 16 + 8*n, 0, 2 * n, 0, 0, 0}
	for _, s := range segments {
		words = append(words, int(s.last))
	}
	words = append(words, 0)
	for _, s := range segments {
		words = append(words, int(s.first))
	}
	for _, s := range segments {
		words = append(words, s.glyph-int(s.first))
	}
	words = append(words, make([]int, n)...)
	return pack(words)
}

// pack writes words as big-endian 16-bit values.
func pack(words []int) []byte {
	out := make([]byte, 0, 2*len(words))
	for _, w := range words {
		out = binary.BigEndian.AppendUint16(out, uint16(w))
	}
	return out
}

// Ascent and Descent are the vertical measures of every cut font, in 1/1000 of the
// font size.
const Ascent, Descent = 880, -120

// headTable has version 1.0, our em, the box of a full character and 32-bit loca.
func headTable() []byte {
	return pack([]int{1, 0, 1, 0, 0, 0, 0x5F0F, 0x3CF5, 0x000B, Em, 0, 0, 0, 0, 0, 0, 0, 0,
		-200, -300, 1200, 1100, 0, 3, 2, 1, 0})
}

func hheaTable(glyphs uint16) []byte {
	return pack([]int{1, 0, Ascent, Descent, 0, Em, 0, 0, Em, 1, 0, 0, 0, 0, 0, 0, 0, int(glyphs)})
}

// maxpTable promises no more than a reader needs: limits are generous.
func maxpTable(glyphs uint16) []byte {
	return pack([]int{1, 0, int(glyphs), 2000, 300, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
}

// os2Table is version 2, regular weight, embeddable, with our ascent.
func os2Table() []byte {
	w := make([]int, 48)
	w[0], w[1], w[2], w[3] = 2, Em, 400, 5
	w[34], w[35], w[37], w[38] = Ascent, Descent, Ascent, -Descent // typo and win measures
	w[44] = 733                                                    // height of capitals
	return pack(w)
}
