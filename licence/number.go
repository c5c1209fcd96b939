package licence

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// partKind is what stands at one place of a number rule.
type partKind string

const (
	partLiteral  partKind = ""
	partYear     partKind = "year"
	partDivision partKind = "division"
	partProvince partKind = "province"
	partSequence partKind = "sequence"
	partField    partKind = "field"
	partCheck    partKind = "check"
)

// numberPart is one placeholder of a number rule, or a literal.
type numberPart struct {
	kind  partKind
	text  string // of a literal, the name of a field, or of a check character's scheme
	width int    // in digits
}

var placeholder = regexp.MustCompile(`^\{(year|division|province|sequence|field|check)(?::([0-9a-z_]+))?\}`)

// divisionWidth is that of {division}: a township stands with its county, so that all numbers of a
// type are equally wide whoever issues.
const divisionWidth = 6

// maxWidth bounds the digits of each kind of placeholder that takes a width.
var maxWidth = map[partKind]int{partYear: 4, partDivision: 9, partSequence: 12}

// parseNumberRule reads a rule; FormatNumber says what may be in it.
func parseNumberRule(rule string) ([]numberPart, error) {
	var parts []numberPart
	count := map[partKind]int{}
	for rest := rule; rest != ""; {
		p, used, err := nextPart(rest)
		if err != nil {
			return nil, err
		}
		if rest = rest[used:]; p.kind == partCheck && rest != "" {
			return nil, errors.New("number_rule: {check} is not the last")
		}
		count[p.kind]++
		parts = append(parts, p)
	}
	var f faults
	if f.text("number_rule", rule, 2*maxNumberRunes); len(f.list) > 0 {
		return nil, f.err()
	}
	if count[partSequence] != 1 {
		return nil, errors.New("number_rule: there must be one {sequence:N}")
	}
	return parts, nil
}

// nextPart reads the part that rest begins with, and how many bytes it takes.
func nextPart(rest string) (p numberPart, used int, err error) {
	if rest[0] != '{' {
		n := strings.IndexByte(rest, '{')
		if n < 0 {
			n = len(rest)
		}
		return numberPart{text: rest[:n]}, n, nil
	}
	m := placeholder.FindStringSubmatch(rest)
	if m == nil {
		return p, 0, fmt.Errorf("number_rule: unknown placeholder in %.60q", rest)
	}
	p.kind = partKind(m[1])
	switch limit := maxWidth[p.kind]; {
	case p.kind == partField && m[2] != "":
		p.text, p.width = m[2], 1
	case p.kind == partCheck && checkSchemes[m[2]].of != nil:
		p.text, p.width = m[2], 1
	case p.kind == partProvince && m[2] == "":
	case m[2] == "" && p.kind == partDivision:
		p.width = divisionWidth
	case limit > 0 && m[2] == "" && p.kind != partSequence:
		p.width = limit
	case limit > 0:
		if p.width, err = strconv.Atoi(m[2]); err != nil || p.width < 1 || p.width > limit {
			return p, 0, fmt.Errorf("number_rule: %s takes a width of 1 to %d", m[0], limit)
		}
	default:
		return p, 0, fmt.Errorf("number_rule: %s is malformed", m[0])
	}
	return p, len(m[0]), nil
}

// FormatNumber is the licence number (证照编号) of the sequence-th licence of a
// checked request's NumberScope, by NumberRule:
//
//	{year} {year:N}          the year of issue, or its last N digits
//	{division} {division:N}  the first 6, or N, digits of the authority's division code; more
//	                         than 6 where townships alone issue
//	{province}               the one-character name of the authority's province
//	{field:name}             the digit that NumberCodes gives for that field
//	{sequence:N}             the sequence in N digits; exactly one
//	{check}                  at the end: ISO 7064 MOD 11,10 (GB/T 17710) over all
//	                         digits before it; {check:mod11_2} is MOD 11-2 over them,
//	                         {check:mod37_36} MOD 37,36 over digits and capitals
//
// It returns an error when the sequence has outgrown its digits or the request
// lacks what the rule needs.
func (it *CatalogueItem) FormatNumber(r Request, sequence int64) (string, error) {
	var b strings.Builder
	for _, p := range it.rule {
		if p.kind != partSequence {
			s, err := it.formatPart(p, r, b.String())
			if err != nil {
				return "", err
			}
			b.WriteString(s)
			continue
		}
		s := fmt.Sprintf("%0*d", p.width, sequence)
		if sequence < 1 || len(s) != p.width {
			return "", fmt.Errorf("licence: sequence %d does not fit the %d digits of %s", sequence, p.width, it.NumberRule)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

// NumberScope is what a sequence of the type's numbers counts within: the number
// of the request with sequence and check digit left blank. Sequences that count
// from 1 for each type and scope never make a number twice.
func (it *CatalogueItem) NumberScope(r Request) string {
	var b strings.Builder
	for _, p := range it.rule {
		if p.kind == partSequence || p.kind == partCheck {
			b.WriteByte('#')
			continue
		}
		s, err := it.formatPart(p, r, "")
		if err != nil {
			return ""
		}
		b.WriteString(s)
	}
	return b.String()
}

// formatPart writes any part but the sequence; before is the number so far.
func (it *CatalogueItem) formatPart(p numberPart, r Request, before string) (string, error) {
	switch p.kind {
	case partYear:
		s := fmt.Sprintf("%04d", r.IssuedOn.Year())
		return s[len(s)-p.width:], nil
	case partDivision:
		if len(r.Authority.Division) < p.width {
			return "", fmt.Errorf("licence: the authority's division code has not the %d digits of the number", p.width)
		}
		return r.Authority.Division[:p.width], nil
	case partProvince:
		return province(r.Authority.Division)
	case partField:
		if digit := it.fieldDigit(p.text, r.Fields); digit != "" {
			return digit, nil
		}
		return "", fmt.Errorf("licence: the number of this type has no digit for this text of %s", p.text)
	case partCheck:
		return string(checkSchemes[p.text].of(before)), nil
	}
	return p.text, nil
}

// fieldDigit is the digit of the longest text in NumberCodes that the field begins
// with, "" when there is none.
func (it *CatalogueItem) fieldDigit(name string, fields map[string]any) (digit string) {
	s, _ := fields[name].(string)
	longest := 0
	for prefix, d := range it.NumberCodes[name] {
		if strings.HasPrefix(s, prefix) && len(prefix) > longest {
			longest, digit = len(prefix), d
		}
	}
	return digit
}

// WidestNumber is a number as wide on paper as any of the rule can be: digits of a
// font are equally wide, and so are its Chinese characters.
func (it *CatalogueItem) WidestNumber() string {
	var b strings.Builder
	for _, p := range it.rule {
		switch p.kind {
		case partLiteral:
			b.WriteString(p.text)
		case partProvince:
			b.WriteString("浙")
		case partCheck:
			b.WriteString(checkSchemes[p.text].widest)
		default:
			b.WriteString(strings.Repeat("8", p.width))
		}
	}
	return b.String()
}

// checkNumber checks a number that came with the request instead of being made
// here: it must be one that the rule could have made for it.
func (it *CatalogueItem) checkNumber(f *faults, r Request) {
	rest := r.Number
	for _, p := range it.rule {
		before := strings.TrimSuffix(r.Number, rest)
		want, err := it.formatPart(p, r, before)
		if p.kind == partSequence {
			if want = rest[:min(p.width, len(rest))]; len(want) != p.width || !isDigits(want) {
				want = "\x00"
			}
		} else if p.kind == partYear && len(rest) >= p.width && isDigits(rest[:p.width]) {
			// A licence first numbered in another year keeps its number.
			want = rest[:p.width]
		}
		var ok bool
		if rest, ok = strings.CutPrefix(rest, want); !ok || err != nil {
			f.add("number", CodeBadNumber, "does not follow the rule %s of this licence type after %q%s", it.NumberRule, before, it.example(r))
			return
		}
	}
	if rest != "" {
		f.add("number", CodeBadNumber, "is longer than the rule %s of this licence type", it.NumberRule)
	}
}

// example is a number that the rule could make for r, as the end of a message.
func (it *CatalogueItem) example(r Request) string {
	number, err := it.FormatNumber(r, 1)
	if err != nil {
		return ""
	}
	return "; for example " + number
}

// checkSchemes are the check characters of GB/T 17710 by name, each with the widest that
// it can be on paper.
var checkSchemes = map[string]struct {
	of     func(before string) byte
	widest string
}{"": {mod1110, "8"}, "mod11_2": {mod112, "X"}, "mod37_36": {alphanumericCheck, "W"}}

// alphanumericCheck is the ISO 7064 MOD 37,36 check character over the digits and capitals of s.
func alphanumericCheck(s string) byte {
	return mod3736(strings.Map(func(r rune) rune {
		if strings.ContainsRune(alphabet36, r) {
			return r
		}
		return -1
	}, s))
}

// mod112 is the ISO 7064 MOD 11-2 check character over the digits of s.
func mod112(s string) byte {
	p := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			p = (p + int(s[i]-'0')) * 2 % 11
		}
	}
	return "0123456789X"[(12-p)%11]
}

// mod1110 is the ISO 7064 MOD 11,10 check digit over the digits of s.
func mod1110(s string) byte {
	p := 10
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			continue
		}
		t := (p + int(s[i]-'0')) % 10
		if t == 0 {
			t = 10
		}
		p = 2 * t % 11
	}
	return byte('0' + (11-p)%10)
}

// provinces are the one-character names of provinces, as numbers of licences use
// them, by the first two digits of a division code (GB/T 2260).
var provinces = [][2]string{
	{"11", "京"}, {"12", "津"}, {"13", "冀"}, {"14", "晋"}, {"15", "蒙"},
	{"21", "辽"}, {"22", "吉"}, {"23", "黑"}, {"31", "沪"}, {"32", "苏"},
	{"33", "浙"}, {"34", "皖"}, {"35", "闽"}, {"36", "赣"}, {"37", "鲁"},
	{"41", "豫"}, {"42", "鄂"}, {"43", "湘"}, {"44", "粤"}, {"45", "桂"},
	{"46", "琼"}, {"50", "渝"}, {"51", "川"}, {"52", "贵"}, {"53", "云"},
	{"54", "藏"}, {"61", "陕"}, {"62", "甘"}, {"63", "青"}, {"64", "宁"}, {"65", "新"},
}

func province(division string) (string, error) {
	i := slices.IndexFunc(provinces, func(p [2]string) bool { return strings.HasPrefix(division, p[0]) })
	if i < 0 {
		return "", errors.New("licence: the authority's division code lies in no province whose short name is known")
	}
	return provinces[i][1], nil
}
