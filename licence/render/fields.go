package render

import (
	"strings"
)

// Fields is what a licence type has of its own, for CheckFields.
type Fields interface {
	// Label is the label of a field, empty for one that the type does not have.
	Label(field string) string
	// Columns are the members of the rows of a field that is a list of rows.
	Columns(field string) []string
}

// ParseLayout reads a layout from the content of its file, whose name is for errors.
func ParseLayout(file string, data []byte) (*Layout, error) { return parseLayout(file, data) }

// CheckFields reports the first reference to a field that the type does not have, with
// file and line.
func (l *Layout) CheckFields(file string, has Fields) error {
	var sheets []sheet
	for _, s := range l.sections() {
		if sheets = append(sheets, s.pages...); s.more != nil {
			sheets = append(sheets, *s.more)
		}
	}
	p := &parser{file: file}
	for _, s := range sheets {
		for _, e := range s.elements {
			for _, part := range e.parts {
				if name, own := strings.CutPrefix(part.ref, "fields."); own && has.Label(name) == "" {
					return p.lineError(e.line, "{%s} is no field of the licence type", part.ref)
				}
			}
			if err := p.checkColumns(&e, has); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkColumns is CheckFields of a table.
func (p *parser) checkColumns(e *element, has Fields) error {
	list, own := strings.CutPrefix(e.List, "fields.")
	if !own {
		return nil
	}
	members := has.Columns(list)
	if len(members) == 0 {
		return p.lineError(e.line, "the list %s of the table is no field of the licence type with rows", e.List)
	}
	for _, c := range e.Columns {
		for _, part := range c.parts {
			if part.ref != "" && part.ref != "#" && !oneOf(part.ref, members...) {
				return p.lineError(e.line, "{%s} is no member of the rows of %s", part.ref, e.List)
			}
		}
	}
	return nil
}
