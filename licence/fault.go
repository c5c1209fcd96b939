package licence

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// FieldError is one thing that is wrong with one field of a request.
type FieldError struct {
	// Field is the path in the request: "holder.code", "fields.items[2].grade";
	// "" is the request as a whole.
	Field string
	// Code is stable, for programs: one of the Code constants, or one of
	// licence/render's.
	Code string
	// Detail is for people, in English, and begins where "the field" would end. It
	// never repeats the value, which may be personal.
	Detail string
}

// RequestError names every field of a request that is wrong, ordered by path.
type RequestError struct {
	// Fields is never empty and holds at most 200 entries.
	Fields []FieldError
}

// Error is the list on one line.
func (e *RequestError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = strings.TrimSpace(f.Field + " " + f.Detail)
	}
	return "licence: " + strings.Join(parts, "; ")
}

// InvalidField is a RequestError about one field.
func InvalidField(field, code, detail string) error {
	return &RequestError{Fields: []FieldError{{field, code, detail}}}
}

// The codes of FieldError.
const (
	CodeMalformed        = "malformed_json"
	CodeDuplicate        = "duplicate_member"
	CodeNotInteger       = "not_an_integer"
	CodeTooDeep          = "too_deep"
	CodeTooLarge         = "too_large"
	CodeUnknownField     = "unknown_field"
	CodeMissing          = "missing"
	CodeWrongType        = "wrong_type"
	CodeTooLong          = "too_long"
	CodeTooShort         = "too_short"
	CodeTooMany          = "too_many"
	CodeTooFew           = "too_few"
	CodeRepeated         = "repeated_item"
	CodeOutOfRange       = "out_of_range"
	CodeBadFormat        = "bad_format"
	CodeNotAllowed       = "not_allowed"
	CodeUnknownType      = "unknown_type"
	CodeBadNumber        = "bad_number"
	CodeBadHolderCode    = "bad_code"
	CodeDateOrder        = "date_order"
	CodeUnchanged        = "unchanged"
	CodeInvalidUTF8      = "invalid_utf8"
	CodeControlCharacter = "control_character"
	CodeBidiControl      = "bidi_control"
	CodeZeroWidth        = "zero_width"
	CodePrivateUse       = "private_use"
	CodeBadCharacter     = "bad_character"
	CodeSurroundingSpace = "surrounding_space"
	CodeInvalid          = "invalid"
)

const (
	maxNameRunes   = 200
	maxNumberRunes = 64
	maxDepth       = 8
	maxItems       = 1000
	maxFaults      = 200
)

// faults collects what is wrong with a request. Its zero value is ready.
type faults struct{ list []FieldError }

// add notes a fault. A path keeps its first fault only: what follows from it
// would mislead.
func (f *faults) add(field, code, format string, args ...any) {
	if len(f.list) < maxFaults && !f.has(field) {
		f.list = append(f.list, FieldError{field, code, fmt.Sprintf(format, args...)})
	}
}

func (f *faults) has(field string) bool {
	return slices.ContainsFunc(f.list, func(e FieldError) bool { return e.Field == field })
}

// err is nil, or a *RequestError with what was collected.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b FieldError) int { return cmp.Compare(a.Field, b.Field) })
	return &RequestError{Fields: f.list}
}

// first is nil, or the first fault as an error that is no answer to a request.
func (f *faults) first() error {
	if len(f.list) == 0 {
		return nil
	}
	return fmt.Errorf("licence: %s %s", f.list[0].Field, f.list[0].Detail)
}

// step is one step of a path that is not spelt out, as it need not be while nothing is
// wrong: the paths of thousands of values deep inside are far longer than the text
// that holds them. It is a member's name or, when that is nil, a place in a list.
type step struct {
	key   *string
	index int
}

// spell extends a path by steps.
func spell(path string, steps []step) string {
	for _, s := range steps {
		if s.key != nil {
			path = pathKey(path, *s.key)
		} else {
			path = pathIndex(path, s.index)
		}
	}
	return path
}

// pathKey and pathIndex extend a path. A member name comes from outside: a long
// or unprintable one is quoted and cut.
func pathKey(path, key string) string {
	odd := func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) || r == '.' || r == '[' }
	if len(key) > 64 || key == "" || strings.ContainsFunc(key, odd) {
		key = strconv.QuoteToASCII(key[:min(len(key), 64)])
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func pathIndex(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
