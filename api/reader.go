package api

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"elicence/licence"
)

// reader takes a JSON object apart, member by member, and notes every fault
// under the member's path. Members that nobody asked for are faults too.
type reader struct {
	path    string
	members map[string]any
	asked   map[string]bool
	inner   []*reader
	faults  *[]licence.FieldError
}

// maxFaults bounds the faults that one answer names.
const maxFaults = 200

// parseJSON reads a body strictly (see licence.ParseJSON) and takes it apart with
// parse. The error is a *licence.RequestError.
func parseJSON[Q any](body []byte, parse func(*reader) Q) (Q, error) {
	var none Q
	v, err := licence.ParseJSON(body)
	if err != nil {
		return none, err
	}
	members, ok := v.(map[string]any)
	if !ok {
		return none, &licence.RequestError{Fields: []licence.FieldError{{Code: licence.CodeWrongType, Detail: "must be an object"}}}
	}
	return parseMembers(members, parse)
}

// parseMembers takes an object apart with parse. The error is a *licence.RequestError.
func parseMembers[Q any](members map[string]any, parse func(*reader) Q) (Q, error) {
	var none Q
	var faults []licence.FieldError
	root := &reader{members: members, asked: map[string]bool{}, faults: &faults}
	q := parse(root)
	if root.finish(); len(faults) == 0 {
		return q, nil
	}
	slices.SortStableFunc(faults, func(a, b licence.FieldError) int { return cmp.Compare(a.Field, b.Field) })
	return none, &licence.RequestError{Fields: faults[:min(len(faults), maxFaults)]}
}

// fault notes a fault of one member.
func (r *reader) fault(name, code, format string, args ...any) {
	r.faultAt(r.at(name), code, format, args...)
}

func (r *reader) faultAt(path, code, format string, args ...any) {
	*r.faults = append(*r.faults, licence.FieldError{Field: path, Code: code, Detail: fmt.Sprintf(format, args...)})
}

// at is the path of a member. A name from outside may be anything: an odd one is quoted and cut.
func (r *reader) at(name string) string {
	odd := func(c rune) bool { return c == unicode.ReplacementChar || !unicode.IsPrint(c) || c == '.' || c == '[' }
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, odd) {
		name = strconv.QuoteToASCII(name[:min(len(name), 64)])
	}
	if r.path == "" {
		return name
	}
	return r.path + "." + name
}

// member takes one member of type T; its zero value when it is absent or of
// another type, which is a fault.
func member[T any](r *reader, name, kind string) (v T, ok bool) {
	r.asked[name] = true
	given, there := r.members[name]
	if !there {
		return v, false
	}
	if v, ok = given.(T); !ok {
		r.fault(name, licence.CodeWrongType, "must be %s", kind)
	}
	return v, ok
}

// text takes a text of at most limit bytes of UTF-8 without control characters.
func (r *reader) text(name string, limit int) string {
	s, ok := member[string](r, name, "a text")
	switch {
	case !ok:
	case len(s) > limit:
		r.fault(name, licence.CodeTooLong, "is longer than %d bytes of UTF-8", limit)
	case strings.ContainsFunc(s, unicode.IsControl):
		r.fault(name, licence.CodeControlCharacter, "holds a control character")
	default:
		return s
	}
	return ""
}

// required takes a text that must be there and hold more than spaces.
func (r *reader) required(name string, limit int) string {
	before := len(*r.faults)
	s := r.text(name, limit)
	if strings.TrimSpace(s) == "" && len(*r.faults) == before {
		r.fault(name, licence.CodeMissing, "is required")
	}
	return s
}

// integer takes a whole number between low and high; 0 when absent.
func (r *reader) integer(name string, low, high int64) int {
	n, ok := member[int64](r, name, "a whole number")
	if ok && (n < low || n > high) {
		r.fault(name, licence.CodeOutOfRange, "is not between %d and %d", low, high)
		return 0
	}
	return int(n)
}

// truth takes true or false; false when absent.
func (r *reader) truth(name string) bool {
	b, _ := member[bool](r, name, "true or false")
	return b
}

// texts takes a list of at most most texts of limit bytes.
func (r *reader) texts(name string, most, limit int) []string {
	list, _ := member[[]any](r, name, "a list of texts")
	if len(list) > most {
		r.fault(name, licence.CodeTooMany, "has %d items; at most %d are allowed", len(list), most)
		return nil
	}
	texts := make([]string, 0, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok || len(s) > limit {
			r.faultAt(r.at(name)+"["+strconv.Itoa(i)+"]", licence.CodeWrongType, "must be a text of at most %d bytes", limit)
		}
		texts = append(texts, s)
	}
	return texts
}

// object takes an object as it is.
func (r *reader) object(name string) map[string]any {
	m, _ := member[map[string]any](r, name, "an object")
	return m
}

// sub takes an object apart; an absent one is like an empty one.
func (r *reader) sub(name string) *reader {
	in := &reader{path: r.at(name), members: r.object(name), asked: map[string]bool{}, faults: r.faults}
	r.inner = append(r.inner, in)
	return in
}

// finish notes the members that nobody asked for.
func (r *reader) finish() {
	for name := range r.members {
		if !r.asked[name] {
			r.fault(name, licence.CodeUnknownField, "is not a member here")
		}
	}
	for _, in := range r.inner {
		in.finish()
	}
}
