package pdf

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Font is a TrueType font whose glyphs are shown by their numbers, two bytes
// each (Identity-H, 9.7.5.2). It needs no character map.
type Font struct {
	// Data is the font file: glyf, head, hhea, hmtx, loca and maxp (9.9).
	Data []byte
	// Widths are the glyphs' advances in 1/1000 of the font size, by number.
	Widths []int
	// Runes are what the glyphs stand for when text is taken from a page, by
	// number; 0 for glyph 0 and for none else.
	Runes []rune
	// Ascent, Descent (negative) and Box (left, bottom, right, top) measure the
	// font in 1/1000 of the font size.
	Ascent, Descent int
	Box             [4]int
}

// name is that of a subset (9.6.4); readers keep the fonts of a file apart by
// object, so that every file may have the same.
const name = "ELICEN+Licence"

// font writes the objects of the font in the order of their numbers.
func (w *writer) font(f Font) {
	w.object("<</Type /Font /Subtype /Type0 /BaseFont /%s /Encoding /Identity-H /DescendantFonts [%d 0 R] /ToUnicode %d 0 R>>",
		name, descendant, toUnicode)
	w.object("<</Type /Font /Subtype /CIDFontType2 /BaseFont /%s /CIDSystemInfo <</Registry (Adobe) /Ordering (Identity) /Supplement 0>>"+
		" /FontDescriptor %d 0 R /CIDToGIDMap /Identity /DW 1000 /W [0 %d]>>", name, descriptor, f.Widths)
	// 4: the characters are not (all) of the standard Latin set (9.8.2).
	w.object("<</Type /FontDescriptor /FontName /%s /Flags 4 /FontBBox %d /ItalicAngle 0 /Ascent %d /Descent %d /CapHeight 733 /StemV 80 /FontFile2 %d 0 R>>",
		name, f.Box, f.Ascent, f.Descent, fontFile)
	w.deflate(f.Data, "/Length1 %d ", len(f.Data))
	w.deflate(f.characterMap(), "")
}

// characterMap is the CMap from glyphs to text (9.10.3).
func (f Font) characterMap() []byte {
	out := append(make([]byte, 0, 1<<12), "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"+
		"/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n"+
		"/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n1 begincodespacerange <0000> <ffff> endcodespacerange\n"...)
	const most = 100 // entries of one block
	for first := 1; first < len(f.Runes); first += most {
		block := f.Runes[first:min(first+most, len(f.Runes))]
		out = fmt.Appendf(out, "%d beginbfchar\n", len(block))
		for i, r := range block {
			out = append(appendHex(append(out, '<'), uint16(first+i)), "> <"...)
			out = append(appendUTF16(out, string(r)), ">\n"...)
		}
		out = append(out, "endbfchar\n"...)
	}
	return append(out, "endcmap CMapName currentdict /CMap defineresource pop end end"...)
}

// appendUTF16 appends text in UTF-16BE, in hexadecimal.
func appendUTF16(out []byte, s string) []byte {
	for _, r := range s {
		if r > 0xffff {
			first, second := utf16.EncodeRune(r)
			out = appendHex(appendHex(out, uint16(first)), uint16(second))
		} else {
			out = appendHex(out, uint16(r))
		}
	}
	return out
}

// appendHex appends four hexadecimal digits.
func appendHex(out []byte, v uint16) []byte {
	return hex.AppendEncode(out, []byte{byte(v >> 8), byte(v)})
}

// text is a text string (7.9.2.2): ASCII as it is, all else in UTF-16BE.
func text(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return string(append(appendUTF16([]byte("<feff"), s), '>'))
	}
	return "(" + inString.Replace(s) + ")"
}

var inString = strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`)

// Span opens marked content whose text, when it is taken from the page, is s,
// whatever the glyphs within stand for (14.9.4). EMC closes it.
func Span(s string) []byte {
	return append(appendUTF16([]byte("/Span <</ActualText <feff"), s), ">>> BDC\n"...)
}
