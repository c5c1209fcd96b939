package licence

import (
	"errors"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"
)

// Sample is a request for a licence of this type as an example has it, or without one
// made from the schema: what a preview draws. Members of the example that are missing,
// but for holder and fields, are made too. No authority of the register is named.
func (it *CatalogueItem) Sample(example []byte, today Date) (Request, error) {
	body := map[string]any{"holder": it.sampleHolder(), "fields": it.sampleFields()}
	if example != nil {
		doc, err := strictJSON(example)
		if err != nil {
			return Request{}, err
		}
		var ok bool
		if body, ok = doc.(map[string]any); !ok {
			return Request{}, errors.New("is not an object")
		}
	}
	issued, _ := body["issued_on"].(string)
	if issued == "" {
		issued = today.String()
	}
	for name, value := range map[string]any{"type_code": it.TypeCode, "issued_on": issued, "effective_on": issued,
		"case_number": "样例", "matter_code": "样例", "operator": "样例"} {
		if body[name] == nil {
			body[name] = value
		}
	}
	if it.Document && body["document"] == nil {
		body["document"] = sampleDocument()
	}
	if body["expires_on"] == nil && !it.LongTermAllowed && it.ValidityCheck == ValidityInforms {
		body["expires_on"] = it.sampleExpiry(issued)
	}
	b, err := MarshalCanonical(body)
	if err != nil {
		return Request{}, err
	}
	r, _, err := ParseRequest(b, NewCatalogue([]*CatalogueItem{it}), it.sampleAuthority(), today)
	return r, err
}

// sampleExpiry is the last day that the type's range gives, or a day some time later.
func (it *CatalogueItem) sampleExpiry(issued string) string {
	from, err := ParseDate(issued)
	if err != nil {
		return issued
	}
	if day := it.spans[0].lastDay(from); !day.IsZero() {
		return day.String()
	}
	return (span{years: 1}).lastDay(from).String()
}

// sampleAuthority is one that may issue the type.
func (it *CatalogueItem) sampleAuthority() IssuingAuthority {
	a := IssuingAuthority{Name: "样例颁发机构", Code: it.DefiningAuthority.Code, Division: "330106"}
	if len(it.IssuingLevels) > 0 {
		a.Division = map[int]string{levelProvince: "330000", levelPrefecture: "330100", levelCounty: "330106", levelTownship: "330106001"}[it.IssuingLevels[0]]
	} else if len(it.Issuers) > 0 {
		a.Code = it.Issuers[0]
	}
	return a
}

// sampleHolder is a holder of the first of the type's code types. Citizen number and
// credit code have right check digits and are nobody's.
func (it *CatalogueItem) sampleHolder() map[string]any {
	t := it.HolderCodeTypes[0]
	name, code := "样例", "样例0001"
	switch {
	case t == CodeTypeUSCC:
		name, code = "样例有限公司", "91330106MA0000A19Q"
	case t == CodeTypeCitizenNumber:
		code = "330106202001010018"
		for check := range strings.SplitSeq("0 1 2 3 4 5 6 7 8 9 X", " ") {
			if candidate := code[:17] + check; CheckCitizenNumber(candidate, maxDate) == nil {
				code = candidate
			}
		}
	case strings.HasPrefix(string(t), "41"):
		code = "E00000000"
	case t == "511":
		code = "00000000"
	case t == "516":
		code = "H00000000"
	}
	return map[string]any{"name": name, "code": code, "code_type": string(t)}
}

// sampleFields are values that the schema lets in, as far as they can be made.
func (it *CatalogueItem) sampleFields() map[string]any {
	fields := map[string]any{}
	for name, schema := range it.properties {
		fields[name] = sampleValue(schema, it.labels[name])
	}
	for name, codes := range it.NumberCodes {
		if it.fieldDigit(name, fields) == "" {
			fields[name] = slices.Min(slices.Collect(maps.Keys(codes)))
		}
	}
	return fields
}

// sampleValue is a value that a schema, which was checked, lets in.
func sampleValue(v any, label string) any {
	schema, _ := v.(map[string]any)
	number := func(key string) int64 { n, _ := schema[key].(int64); return n }
	if title, ok := schema["title"].(string); ok {
		label = title
	}
	if values, ok := schema["enum"].([]any); ok && len(values) > 0 {
		return values[0]
	}
	switch schema["type"] {
	case "integer":
		return number("minimum")
	case "boolean":
		return true
	case "array":
		var items []any
		for i := range max(1, number("minItems")) {
			items = append(items, sampleValue(schema["items"], fmt.Sprintf("%s%d", label, i+1)))
		}
		return items
	case "object":
		row := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		for name, property := range properties {
			row[name] = sampleValue(property, label)
		}
		return row
	}
	return sampleText(schema, label, int(number("minLength")), int(number("maxLength")))
}

func sampleText(schema map[string]any, label string, least, most int) string {
	switch pattern, _ := schema["pattern"].(string); {
	case schema["format"] == "date":
		return "2026-01-01"
	case schema["format"] == formatMinute:
		return "2026-01-01T08:00"
	case schema["format"] == formatPortrait:
		return "AAAA" // a photograph for the request alone: a preview draws none
	case pattern != "":
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			return ""
		}
		return shortest(parsed.Simplify())
	}
	text := []rune(label)
	for len(text) < least {
		text = append(text, '样')
	}
	if most > 0 && len(text) > most {
		text = text[:most]
	}
	return string(text)
}

// shortest is a text that a pattern matches: of each choice the first, of each repetition
// the least. What it may look ahead at is left out.
func shortest(p *syntax.Regexp) string {
	var b strings.Builder
	switch p.Op {
	case syntax.OpLiteral:
		return string(p.Rune)
	case syntax.OpCharClass:
		if len(p.Rune) > 0 {
			return string(p.Rune[:1])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "样"
	case syntax.OpCapture, syntax.OpPlus:
		return shortest(p.Sub[0])
	case syntax.OpAlternate:
		return shortest(p.Sub[0])
	case syntax.OpConcat:
		for _, sub := range p.Sub {
			b.WriteString(shortest(sub))
		}
	case syntax.OpRepeat:
		return strings.Repeat(shortest(p.Sub[0]), p.Min)
	}
	return b.String()
}
