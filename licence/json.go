package licence

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxInteger is the largest whole number that every JSON reader keeps exactly
// (RFC 7493 §2.2).
const maxInteger = 1<<53 - 1

// MaxJSON is the most bytes of JSON that ParseJSON reads.
const MaxJSON = 256 << 10

// ParseJSON reads JSON strictly and bounded: at most MaxJSON bytes, 12 levels of
// nesting, 1,000 items of a list or members of an object and 20,000 values in all; no member twice, no fraction or exponent, no number beyond ±(2^53−1),
// no null, no half surrogate pair, nothing behind the value. Texts come back as
// string, numbers as int64, lists as []any, objects as map[string]any. The error is
// a *RequestError with the path of each fault.
func ParseJSON(b []byte) (any, error) { return ParseJSONUpTo(MaxJSON, b) }

// ParseJSONUpTo is ParseJSON with another limit, in bytes.
func ParseJSONUpTo(limit int, b []byte) (any, error) {
	var f faults
	v, ok := parseJSONUpTo(limit, b, &f)
	if err := f.err(); err != nil || !ok {
		return nil, err
	}
	return v, nil
}

// MarshalCanonical writes v as RFC 8785 canonical JSON, in the profile that
// ParseJSON reads. Texts are not normalised: what the holder's name was, it stays.
func MarshalCanonical(v any) ([]byte, error) { return appendCanonical(nil, v, maxJSONDepth) }

const (
	maxJSONDepth = 12
	maxValues    = 20_000
)

func appendCanonical(b []byte, v any, depth int) ([]byte, error) {
	if depth == 0 {
		return nil, fmt.Errorf("licence: JSON nested more than %d deep", maxJSONDepth)
	}
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return appendInteger(b, int64(v))
	case int64:
		return appendInteger(b, v)
	case []any:
		return appendArray(b, v, depth)
	case map[string]any:
		return appendObject(b, v, depth)
	}
	return nil, fmt.Errorf("licence: canonical JSON has no place for a %T", v)
}

func appendInteger(b []byte, n int64) ([]byte, error) {
	if n < -maxInteger || n > maxInteger {
		return nil, fmt.Errorf("licence: %d is beyond 2^53-1", n)
	}
	return strconv.AppendInt(b, n, 10), nil
}

func appendArray(b []byte, list []any, depth int) (_ []byte, err error) {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendCanonical(b, v, depth-1); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// appendObject orders members by the UTF-16 code units of their names, as
// RFC 8785 §3.2.3 asks: that differs from byte order beyond U+FFFF.
func appendObject(b []byte, object map[string]any, depth int) (_ []byte, err error) {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, compareUTF16)
	b = append(b, '{')
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendString(b, key); err != nil {
			return nil, err
		}
		if b, err = appendCanonical(append(b, ':'), object[key], depth-1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// compareUTF16 orders texts by their UTF-16 code units. Without surrogates that is the
// order of their bytes.
func compareUTF16(x, y string) int {
	beyond := func(r rune) bool { return r > 0xffff }
	if !strings.ContainsFunc(x, beyond) && !strings.ContainsFunc(y, beyond) {
		return strings.Compare(x, y)
	}
	return slices.Compare(utf16.Encode([]rune(x)), utf16.Encode([]rune(y)))
}

// appendString writes s with the escapes of RFC 8785 §3.2.2.2 and no other.
func appendString(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("licence: text is not valid UTF-8")
	}
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20:
			b = append(b, c)
		case strings.IndexByte(escaped, c) >= 0:
			b = append(b, '\\', escapes[strings.IndexByte(escaped, c)])
		default:
			b = fmt.Appendf(b, `\u%04x`, c)
		}
	}
	return append(b, '"'), nil
}

// escaped are the characters that have a short escape, escapes the letters of it.
const (
	escaped = "\b\t\n\f\r\"\\/"
	escapes = "btnfr\"\\/"
)

// jsonReader walks over JSON text. A fault in the grammar ends the walk; any
// other is noted under its path, and the walk goes on, so that a request with
// five faults is refused once.
type jsonReader struct {
	s      string
	i      int
	faults *faults
	values int    // read so far
	noted  int    // faults met, the repeated ones and those that found no place included
	bad    bool   // the grammar is broken
	path   []step // leads to the value that is read
}

// parseJSONUpTo reports false when there is no value to go on with.
func parseJSONUpTo(limit int, b []byte, f *faults) (any, bool) {
	if len(b) > limit {
		f.add("", CodeTooLarge, "is larger than %d bytes", limit)
		return nil, false
	}
	r := &jsonReader{s: string(b), faults: f}
	v := r.value(maxJSONDepth)
	if r.space(); !r.bad && r.i != len(r.s) {
		r.fail("holds something behind its end")
	}
	return v, !r.bad
}

func (r *jsonReader) fail(detail string) {
	if !r.bad {
		r.bad = true
		r.faults.add("", CodeMalformed, "is not JSON: byte %d %s", r.i, detail)
	}
}

// fault notes what is wrong with the value at the path.
func (r *jsonReader) fault(code, format string, args ...any) {
	if r.noted++; r.noted > 5*maxFaults || len(r.faults.list) == maxFaults {
		return
	}
	r.faults.add(spell("", r.path), code, format, args...)
}

// inside reads the value behind one more step.
func (r *jsonReader) inside(s step, depth int) any {
	r.path = append(r.path, s)
	v := r.value(depth - 1)
	r.path = r.path[:len(r.path)-1]
	return v
}

func (r *jsonReader) space() {
	for r.i < len(r.s) && strings.IndexByte(" \t\r\n", r.s[r.i]) >= 0 {
		r.i++
	}
}

// take skips spaces and then c, and reports whether it was there.
func (r *jsonReader) take(c byte) bool {
	r.space()
	if r.i < len(r.s) && r.s[r.i] == c {
		r.i++
		return true
	}
	return false
}

func (r *jsonReader) value(depth int) any {
	if r.space(); r.i == len(r.s) {
		r.fail("is the end, where a value should be")
		return nil
	}
	if r.values++; r.values > maxValues && !r.bad {
		r.bad = true
		r.faults.add("", CodeTooMany, "holds more than %d values", maxValues)
		return nil
	}
	if depth == 0 {
		r.bad = true
		r.fault(CodeTooDeep, "is nested more than %d deep", maxJSONDepth)
		return nil
	}
	switch c := r.s[r.i]; {
	case c == '{':
		return r.object(depth)
	case c == '[':
		return r.array(depth)
	case c == '"':
		return r.text()
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	}
	return r.word()
}

func (r *jsonReader) word() any {
	for word, v := range map[string]any{"true": true, "false": false, "null": nil} {
		if strings.HasPrefix(r.s[r.i:], word) {
			if r.i += len(word); v == nil {
				r.fault(CodeWrongType, "is null; leave the member out instead")
			}
			return v
		}
	}
	r.fail("begins no value")
	return nil
}

func (r *jsonReader) array(depth int) any {
	r.i++
	list, over := []any{}, false
	if r.take(']') {
		return list
	}
	for !r.bad {
		v := r.inside(step{index: len(list)}, depth)
		if list = append(list, v); len(list) > maxItems {
			if list = list[:maxItems]; !over {
				r.fault(CodeTooMany, "has more than %d items", maxItems)
			}
			over = true
		}
		if r.take(']') {
			return list
		}
		if !r.take(',') {
			r.fail("should be a comma or the end of a list")
		}
	}
	return nil
}

func (r *jsonReader) object(depth int) any {
	r.i++
	object := map[string]any{}
	if r.take('}') {
		return object
	}
	for !r.bad {
		if r.space(); r.i == len(r.s) || r.s[r.i] != '"' {
			r.fail("should begin the name of a member")
			break
		}
		key := r.text()
		if !r.take(':') {
			r.fail("should be a colon")
			break
		}
		if _, twice := object[key]; twice {
			r.path = append(r.path, step{key: &key})
			r.fault(CodeDuplicate, "is there twice")
			r.path = r.path[:len(r.path)-1]
		}
		v := r.inside(step{key: &key}, depth)
		if len(object) < maxItems {
			object[key] = v
		} else {
			r.fault(CodeTooMany, "has more than %d members", maxItems)
		}
		if r.take('}') {
			return object
		}
		if !r.take(',') {
			r.fail("should be a comma or the end of an object")
		}
	}
	return nil
}

func (r *jsonReader) number() any {
	start := r.i
	for r.i < len(r.s) && strings.IndexByte("+-.0123456789eE", r.s[r.i]) >= 0 {
		r.i++
	}
	s := r.s[start:r.i]
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < -maxInteger || n > maxInteger || strconv.FormatInt(n, 10) != s {
		r.fault(CodeNotInteger, "is not a whole number within ±(2^53-1) in plain digits")
		return nil
	}
	return n
}

// text reads a string, with the cursor on its opening quote.
func (r *jsonReader) text() string {
	r.i++
	var b strings.Builder
	for r.i < len(r.s) {
		switch c := r.s[r.i]; {
		case c == '"':
			r.i++
			return r.valid(b.String())
		case c < 0x20:
			r.fail("is a bare control character in a text")
			return ""
		case c == '\\':
			if !r.escape(&b) {
				return ""
			}
		default:
			b.WriteByte(c)
			r.i++
		}
	}
	r.fail("is the end, in the middle of a text")
	return ""
}

func (r *jsonReader) valid(s string) string {
	if !utf8.ValidString(s) {
		r.fault(CodeInvalidUTF8, "is not valid UTF-8")
		return ""
	}
	return s
}

// escape reads one escape, with the cursor on the backslash.
func (r *jsonReader) escape(b *strings.Builder) bool {
	if r.i+1 < len(r.s) {
		if k := strings.IndexByte(escapes, r.s[r.i+1]); k >= 0 {
			b.WriteByte(escaped[k])
			r.i += 2
			return true
		}
	}
	c, ok := r.hex()
	if !ok {
		r.fail("begins an escape that does not exist")
		return false
	}
	if utf16.IsSurrogate(c) {
		low, ok := r.hex()
		if c = utf16.DecodeRune(c, low); !ok || c == utf8.RuneError {
			r.fault(CodeInvalidUTF8, "holds half a surrogate pair")
			c = utf8.RuneError
		}
	}
	b.WriteRune(c)
	return true
}

// hex reads \uXXXX at the cursor.
func (r *jsonReader) hex() (rune, bool) {
	if len(r.s)-r.i < 6 || r.s[r.i:r.i+2] != `\u` {
		return 0, false
	}
	n, err := strconv.ParseUint(r.s[r.i+2:r.i+6], 16, 16)
	if err != nil {
		return 0, false
	}
	r.i += 6
	return rune(n), true
}
