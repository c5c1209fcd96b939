package licence

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// badRune is the code of the fault in a character, and what to call it; "" for a
// character that may stand in a licence. Whether a font can draw it is for
// licence/render to say.
//
// Controls break a line of a layout; bidirectional controls and zero-width
// characters make a text that reads as another; a private-use character is a
// different one on every machine.
func badRune(r rune) (code, name string) {
	switch {
	case unicode.Is(unicode.Cc, r), unicode.In(r, unicode.Zl, unicode.Zp):
		return CodeControlCharacter, "control character"
	case unicode.Is(unicode.Bidi_Control, r):
		return CodeBidiControl, "bidirectional control"
	case unicode.Is(unicode.Variation_Selector, r):
		return CodeZeroWidth, "variation selector"
	case unicode.Is(unicode.Cf, r), r == 0x034F, r == 0x115F, r == 0x1160, r == 0x3164, r == 0xFFA0:
		return CodeZeroWidth, "invisible character"
	case unicode.Is(unicode.Co, r):
		return CodePrivateUse, "private-use character"
	case r == utf8.RuneError, r&0xFFFE == 0xFFFE, r >= 0xFDD0 && r <= 0xFDEF:
		return CodeBadCharacter, "character that is none"
	}
	return "", ""
}

// Hidden reports whether a character cannot be seen in a text that people read in the log or
// on pages: a control, a line break, or one that has no shape. A space can.
func Hidden(r rune) bool {
	return r != ' ' && !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r)
}

// characters adds a fault for the first character of s that may not stand in a
// licence, and reports whether there was none.
func (f *faults) characters(field, s string) bool {
	code, detail := characterFault(s)
	if code != "" {
		f.add(field, code, "%s", detail)
	}
	return code == ""
}

// characterFault is what is wrong with the characters of s; "" for nothing.
func characterFault(s string) (code, detail string) {
	if !utf8.ValidString(s) {
		return CodeInvalidUTF8, "is not valid UTF-8"
	}
	n := 0
	for _, r := range s {
		n++
		if code, name := badRune(r); code != "" {
			return code, fmt.Sprintf("holds the %s U+%04X at character %d", name, r, n)
		}
	}
	if strings.TrimSpace(s) != s {
		return CodeSurroundingSpace, "begins or ends with a space"
	}
	return "", ""
}

// text checks a required text of at most limit characters.
func (f *faults) text(field, s string, limit int) {
	switch n := utf8.RuneCountInString(s); {
	case s == "":
		f.add(field, CodeMissing, "is required")
	case n > limit:
		f.add(field, CodeTooLong, "has %d characters; at most %d are allowed", n, limit)
	default:
		f.characters(field, s)
	}
}

// CheckText returns a [*RequestError] when a required text is missing, has more than
// limit characters, or holds one that may not stand in a licence.
func CheckText(field, s string, limit int) error {
	var f faults
	f.text(field, s, limit)
	return f.err()
}

// value checks every string within v, a value of a licence's own fields, at most
// depth levels deep.
func (f *faults) value(field string, v any, depth int) {
	w := valueWalk{faults: f, root: field}
	w.value(v, depth)
}

// valueWalk goes through a value. Its path, like a jsonReader's, is spelt out for a
// fault alone.
type valueWalk struct {
	faults *faults
	root   string
	path   []step
}

func (w *valueWalk) fault(code, format string, args ...any) {
	w.faults.add(spell(w.root, w.path), code, format, args...)
}

func (w *valueWalk) value(v any, depth int) {
	if depth == 0 {
		w.fault(CodeTooDeep, "is nested more than %d deep", maxDepth)
		return
	}
	switch v := v.(type) {
	case string:
		w.characters(v)
	case []any:
		if len(v) > maxItems {
			w.fault(CodeTooMany, "has more than %d items", maxItems)
			return
		}
		for i, item := range v {
			w.inside(step{index: i}, func() { w.value(item, depth-1) })
		}
	case map[string]any:
		if len(v) > maxItems {
			w.fault(CodeTooMany, "has more than %d members", maxItems)
			return
		}
		for key, item := range v {
			w.inside(step{key: &key}, func() {
				w.characters(key)
				w.value(item, depth-1)
			})
		}
	case bool, int64, int:
	default:
		w.fault(CodeWrongType, "is not a text, whole number, yes or no, list or object")
	}
}

// inside looks behind one more step.
func (w *valueWalk) inside(s step, look func()) {
	w.path = append(w.path, s)
	look()
	w.path = w.path[:len(w.path)-1]
}

func (w *valueWalk) characters(s string) {
	if code, detail := characterFault(s); code != "" {
		w.fault(code, "%s", detail)
	}
}
