package typeface

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A document carries one font, cut to its characters: TrueType outlines without
// instructions, gathered from all the fonts of all its faces, because a file's
// cost is per font far more than per glyph. Text is shown by glyph numbers, so the
// font has no character map, and one character may have several glyphs.

// meaning is a glyph and the character it is drawn for.
type meaning struct {
	glyph Glyph
	r     rune
}

// drawing is a character in a face.
type drawing struct {
	face string
	r    rune
}

// Cut collects the drawings of one document and cuts a font to them. It is for
// one goroutine.
type Cut struct {
	fonts    *Fonts
	numbers  map[drawing]uint16
	known    map[meaning]uint16 // faces share glyphs
	meanings []meaning          // by number
}

// NewCut is an empty cut: its one glyph, number 0, is that of no character.
func NewCut(fonts *Fonts) *Cut {
	return &Cut{fonts: fonts, numbers: make(map[drawing]uint16, 256), known: make(map[meaning]uint16, 256), meanings: make([]meaning, 1, 256)}
}

// Number is the glyph that draws r in the face, which is added when it is new.
// The error says that no font draws r, that one could not be read, or that the
// font is full.
func (c *Cut) Number(face string, r rune) (uint16, error) {
	d := drawing{face, r}
	if n, ok := c.numbers[d]; ok {
		return n, nil
	}
	g, ok, err := c.fonts.Glyph(face, r)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("no font draws %s", Describe(r))
	}
	n, ok := c.known[meaning{g, r}]
	if !ok {
		if len(c.meanings) > math.MaxUint16 {
			return 0, fmt.Errorf("more than %d glyphs in one document", math.MaxUint16)
		}
		n = uint16(len(c.meanings))
		c.meanings = append(c.meanings, meaning{g, r})
		c.known[meaning{g, r}] = n
	}
	c.numbers[d] = n
	return n, nil
}

// Runes are the characters of the glyphs by number; 0 for glyph 0.
func (c *Cut) Runes() []rune {
	out := make([]rune, len(c.meanings))
	for i, m := range c.meanings {
		out[i] = m.r
	}
	return out
}

// Width is the advance of one of the glyphs, in 1/1000 of the font size.
func (c *Cut) Width(n uint16) int { return c.meanings[n].glyph.Advance() }

// Widths are the advances of the glyphs by number, in 1/1000 of the font size.
func (c *Cut) Widths() []int {
	out := make([]int, len(c.meanings))
	for i, m := range c.meanings[1:] {
		out[i+1] = m.glyph.Advance()
	}
	return out
}

// Bytes is the font file: the tables that a composite font needs (ISO 32000-1,
// 9.9), without dates, so that the same document gives the same bytes.
func (c *Cut) Bytes() ([]byte, error) {
	n := len(c.meanings)
	file := make([]byte, tableStart, tableStart+480*n) // with glyf, the first table and nearly all of it
	loca := binary.BigEndian.AppendUint32(make([]byte, 0, 4*n+4), 0)
	loca = binary.BigEndian.AppendUint32(loca, 0) // .notdef is empty
	hmtx := make([]byte, 4, 4*n)                  // and has no width
	for _, m := range c.meanings[1:] {
		start, err := len(file), error(nil)
		if file, err = m.glyph.outline(file); err != nil {
			return nil, fmt.Errorf("cutting %s: %w", m.glyph.src.path, err)
		}
		lsb := uint16(0)
		if len(file) > start+4 {
			lsb = binary.BigEndian.Uint16(file[start+2:])
		}
		file = append(file, padding[:-len(file)&3]...)
		loca = binary.BigEndian.AppendUint32(loca, uint32(len(file)-tableStart))
		hmtx = binary.BigEndian.AppendUint16(hmtx, uint16(m.glyph.Advance()))
		hmtx = binary.BigEndian.AppendUint16(hmtx, lsb)
	}
	return writeTables(file, [tables]table{
		{"glyf", file[tableStart:]}, {"head", headTable()}, {"hhea", hheaTable(n)},
		{"hmtx", hmtx}, {"loca", loca}, {"maxp", maxpTable(n)},
	}), nil
}

// outline appends the glyph's data in a glyf table of our em, without instructions.
// Plain glyphs of fonts that share our em are copied; composite ones are drawn
// out and others moved or scaled.
func (g Glyph) outline(out []byte) ([]byte, error) {
	data := g.src.sfnt.Glyf.Get(g.id)
	if len(data) < 12 {
		return out, nil
	}
	contours := int16(binary.BigEndian.Uint16(data))
	if contours <= 0 || g.src.upem != Em || g.shift(data) != 0 {
		drawn, err := g.redrawn()
		return append(out, drawn...), err
	}
	body := 10 + 2*int(contours)
	if len(data) < body+2 {
		return nil, fmt.Errorf("glyph %d is truncated", g.id)
	}
	rest := body + 2 + int(binary.BigEndian.Uint16(data[body:]))
	if len(data) < rest {
		return nil, fmt.Errorf("glyph %d is truncated", g.id)
	}
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
	scale := func(v, shift int) int { return roundDiv((v+shift)*Em, g.src.upem) }
	shifts := [2]int{g.shift(g.src.sfnt.Glyf.Get(g.id)), 0} // along x, along y
	out := binary.BigEndian.AppendUint16(nil, uint16(len(c.EndPoints)))
	for i, v := range []int16{c.XMin, c.YMin, c.XMax, c.YMax} {
		out = binary.BigEndian.AppendUint16(out, uint16(scale(int(v), shifts[i%2])))
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
	for i, axis := range [][]int16{c.XCoordinates, c.YCoordinates} {
		last := 0
		for _, v := range axis {
			at := scale(int(v), shifts[i])
			out = binary.BigEndian.AppendUint16(out, uint16(at-last))
			last = at
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

// tables is how many tables a file has; the first begins at tableStart, behind their list.
const (
	tables     = 6
	tableStart = 12 + 16*tables
)

// padding is zeros to the next multiple of four.
var padding [3]byte

// writeTables completes a TrueType file: out has room for the list of tables and the first of
// them, padded. They come sorted by tag. Checksums are left zero: readers of embedded fonts
// ignore them.
func writeTables(out []byte, all [tables]table) []byte {
	const searchRange, selector = 64, 2 // of 4 to 7 tables
	head := binary.BigEndian.AppendUint32(out[:0], 0x00010000)
	for _, v := range []int{tables, searchRange, selector, tables*16 - searchRange} {
		head = binary.BigEndian.AppendUint16(head, uint16(v))
	}
	at := tableStart
	for _, t := range all {
		head = append(head, t.tag...)
		for _, v := range []int{0, at, len(t.data)} {
			head = binary.BigEndian.AppendUint32(head, uint32(v))
		}
		at += (len(t.data) + 3) &^ 3
	}
	for _, t := range all[1:] {
		out = append(out, t.data...)
		out = append(out, padding[:-len(out)&3]...)
	}
	return out
}

// pack writes words as big-endian 16-bit values.
func pack(words []int) []byte {
	out := make([]byte, 0, 2*len(words))
	for _, w := range words {
		out = binary.BigEndian.AppendUint16(out, uint16(w))
	}
	return out
}

// Ascent and Descent are the vertical measures of every cut font, and Box is left,
// bottom, right and top of its largest glyphs, all in 1/1000 of the font size.
const Ascent, Descent = 880, -120

func Box() [4]int { return [4]int{-200, -300, 1200, 1100} }

// headTable has version 1.0, our em, the box of a full character and 32-bit loca.
func headTable() []byte {
	box := Box()
	return pack([]int{1, 0, 1, 0, 0, 0, 0x5F0F, 0x3CF5, 0x000B, Em, 0, 0, 0, 0, 0, 0, 0, 0,
		box[0], box[1], box[2], box[3], 0, 3, 2, 1, 0})
}

func hheaTable(glyphs int) []byte {
	return pack([]int{1, 0, Ascent, Descent, 0, Em, 0, 0, Em, 1, 0, 0, 0, 0, 0, 0, 0, glyphs})
}

// maxpTable promises no more than a reader needs: limits are generous.
func maxpTable(glyphs int) []byte {
	return pack([]int{1, 0, glyphs, 2000, 300, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
}
