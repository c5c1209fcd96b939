package licence

import (
	"fmt"
	"maps"
	"strings"
)

// mask is how a text is shown to somebody who need not see all of it (脱敏): so many
// characters at its beginning and at its end, an asterisk for each of the others.
type mask struct{ first, last int }

// maxMasked bounds the characters that a mask may leave at either end.
const maxMasked = 100

// maskOf reads the mask of a field's schema: {"first": 3, "last": 4}.
func maskOf(property map[string]any) (m mask, err error) {
	rule, ok := property["mask"].(map[string]any)
	if !ok || property["type"] != "string" {
		return m, fmt.Errorf("a mask is an object, and of a text")
	}
	for name, v := range rule {
		n, ok := v.(int64)
		if !ok || n < 0 || n > maxMasked {
			return m, fmt.Errorf("the mask's %.20q is not 0 to %d", name, maxMasked)
		}
		switch name {
		case "first":
			m.first = int(n)
		case "last":
			m.last = int(n)
		default:
			return m, fmt.Errorf("a mask has first and last, not %.20q", name)
		}
	}
	return m, nil
}

// of masks a text. One that is too short to hide anything is hidden whole.
func (m mask) of(s string) string {
	text := []rune(s)
	if len(text) <= m.first+m.last {
		return strings.Repeat("*", len(text))
	}
	return string(text[:m.first]) + strings.Repeat("*", len(text)-m.first-m.last) + string(text[len(text)-m.last:])
}

// The masks of a natural person's name and code.
var (
	nameMask = mask{first: 1}
	codeMask = mask{first: 3, last: 4}
)

// CanMask reports whether a field, as a grant names it, can be shown masked. Name and code of
// a holder who is no natural person are public, and are shown whole all the same.
func (it *CatalogueItem) CanMask(field string) bool {
	key, own := strings.CutPrefix(field, "fields.")
	_, masked := it.masks[key]
	return own && masked || field == "holder.name" || field == "holder.code"
}

// Masked is a licence of this type as it is shown where not all of it need be seen: its
// own fields by their masks, and name and code of a holder who is a natural person, also
// where the code is the licence's number. A nil type has no fields with masks.
func (it *CatalogueItem) Masked(l *Licence) *Licence {
	m := *l
	if l.Holder.Kind() != LegalPerson {
		m.Holder.Name, m.Holder.Code = nameMask.of(l.Holder.Name), codeMask.of(l.Holder.Code)
		if l.Number == l.Holder.Code {
			m.Number = m.Holder.Code
		}
	}
	if it == nil {
		return &m
	}
	m.Fields = maps.Clone(l.Fields)
	for name, mask := range it.masks {
		if s, ok := m.Fields[name].(string); ok {
			m.Fields[name] = mask.of(s)
		}
	}
	return &m
}
