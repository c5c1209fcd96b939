package typeface

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"elicence/licence"
)

// CodeUndrawable is the code of licence.FieldError for a text with a character
// that no font draws.
const CodeUndrawable = "undrawable_character"

// CheckText reports whether s can be drawn: valid UTF-8, no control, formatting,
// private-use or unassigned character, no pictograph, no combining mark (we do no shaping), no
// character without width, and every character in some font. The error is a *licence.RequestError that names
// the first bad character and its code point; any other error means that a font
// could not be read.
func (f *Fonts) CheckText(field, s string) error { return f.CheckFace(MainFace, field, s) }

// CheckFace is CheckText for another face than the main one.
func (f *Fonts) CheckFace(face, field, s string) error {
	if !utf8.ValidString(s) {
		return Refused(field, licence.CodeInvalidUTF8, "is not valid UTF-8")
	}
	chars, n := f.faces[face], 0
	for _, r := range s {
		n++
		if code, fault := badRune(r); code != "" {
			return Refused(field, code, "holds the %s %s at character %d", fault, Describe(r), n)
		}
		g, ok, err := chars.glyph(r)
		if err != nil {
			return err
		}
		if !ok {
			return Refused(field, CodeUndrawable, "holds %s at character %d, which no font can draw", Describe(r), n)
		}
		if g.Advance() == 0 { // such as the tone marks U+A700 to U+A707
			return Refused(field, CodeUndrawable, "holds the character without width U+%04X at character %d", r, n)
		}
	}
	return nil
}

// badRune is the fault of a character that is never drawn, whatever the fonts
// hold, and its code; "" when there is none.
func badRune(r rune) (code, fault string) {
	switch {
	case r >= ' ' && r <= '~', r >= '\u4e00' && r <= '\u9fff': // nearly every one, and none of what follows
	case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
		return licence.CodeControlCharacter, "control character"
	case unicode.Is(unicode.Bidi_Control, r):
		return licence.CodeBidiControl, "bidirectional control"
	case unicode.Is(unicode.Variation_Selector, r):
		return licence.CodeZeroWidth, "variation selector"
	case unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point):
		return licence.CodeZeroWidth, "invisible character"
	case unicode.Is(unicode.Co, r):
		return licence.CodePrivateUse, "private-use character"
	case r == utf8.RuneError, !unicode.IsGraphic(r):
		return licence.CodeBadCharacter, "unassigned character"
	case unicode.Is(unicode.M, r):
		return CodeUndrawable, "combining mark"
	case unicode.Is(rightToLeft, r):
		return CodeUndrawable, "right-to-left character"
	case r >= 0x2600 && r <= 0x27BF, r >= 0x1F000 && r <= 0x1FAFF:
		return licence.CodeBadCharacter, "pictograph"
	case unicode.Is(unicode.Zs, r) && !IsSpace(r):
		return licence.CodeBadCharacter, "special space"
	}
	return "", ""
}

// rightToLeft are the blocks of characters that are written to the left (UAX #9, class R
// or AL unless it says otherwise). Nothing here orders or shapes them, and the Hebrew
// letter in one of the fonts would come out of the page with controls around it.
var rightToLeft = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x0590, Hi: 0x08FF, Stride: 1}, {Lo: 0xFB1D, Hi: 0xFDFF, Stride: 1}, {Lo: 0xFE70, Hi: 0xFEFF, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0x10800, Hi: 0x10FFF, Stride: 1}, {Lo: 0x1E800, Hi: 0x1EFFF, Stride: 1}},
}

// IsSpace reports whether r is one of the two spaces that are drawn as nothing.
func IsSpace(r rune) bool { return r == ' ' || r == '\u3000' }

// Describe names a character: itself when that can be seen, and its code point.
func Describe(r rune) string {
	if unicode.IsGraphic(r) && !unicode.Is(unicode.M, r) && !unicode.Is(unicode.Zs, r) {
		return fmt.Sprintf("%c (U+%04X)", r, r)
	}
	return fmt.Sprintf("U+%04X", r)
}

// Refused is a request error about one field.
func Refused(field, code, format string, args ...any) error {
	return &licence.RequestError{Fields: []licence.FieldError{
		{Field: field, Code: code, Detail: fmt.Sprintf(format, args...)},
	}}
}

// Characters that Chinese setting keeps from the beginning or the end of a line
// (避头尾).
const (
	notFirst = "，。、；：？！）》」』】〕〉”’％‰…—·,.;:?!)]}%"
	notLast  = "（《「『【〔〈“‘([{"
)

// Wrap breaks s into lines no wider than width, in 1/1000 of the font size.
// Between Chinese characters a line may break anywhere that 避头尾 allows, words
// and numbers stay whole while they fit a line. A space at a break is kept at the
// end of the line, so that the lines joined are s.
func (f *Fonts) Wrap(face, s string, width int) []string {
	var lines []string
	chars, rest := f.faces[face], []rune(s)
	for len(rest) > 0 {
		n := chars.fitting(rest, width)
		if n < len(rest) {
			n = breakBefore(rest, n)
		}
		lines = append(lines, string(rest[:n]))
		rest = rest[n:]
	}
	return lines
}

// fitting counts the characters at the head of text that fit the width; at
// least one, so that wrapping ends.
func (f *face) fitting(text []rune, width int) int {
	w := 0
	for i, r := range text {
		if g, ok, err := f.glyph(r); err == nil && ok {
			w += g.Advance()
		}
		if w > width && i > 0 && !(IsSpace(r)) {
			return i
		}
	}
	return len(text)
}

// breakBefore moves a break after n characters back to the nearest allowed one,
// or leaves it when there is none.
func breakBefore(text []rune, n int) int {
	for at := n; at > 0 && at > n-24; at-- {
		if mayBreak(text[at-1], text[at]) {
			return at
		}
	}
	return n
}

// mayBreak reports whether a line may end with a and the next begin with b.
func mayBreak(a, b rune) bool {
	if strings.ContainsRune(notLast, a) || strings.ContainsRune(notFirst, b) {
		return false
	}
	return !(isWord(a) && isWord(b))
}

// isWord reports whether r is part of a word or number in half-width letters.
func isWord(r rune) bool {
	return r < 0x2E80 && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '-' || r == '_'
}

// Legible is s with the code point in the place of every character that CheckFace
// refuses in any face: for texts that come from anywhere and must be shown all the same.
func (f *Fonts) Legible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if f.CheckText("", string(r)) == nil {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "U+%04X", r)
		}
	}
	return b.String()
}
