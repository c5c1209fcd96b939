package render

import (
	"fmt"
	"slices"
	"strings"

	"elicence/licence"
)

// shown is how one element of a layout comes out.
type shown struct {
	text  string
	size  float64
	lines int
}

// Compare says in sentences what an old layout prints of a licence and a new one of the
// same, perhaps renamed, otherwise: elements by their text with references, never by their
// values. Both layouts can draw it.
func Compare(fonts *Fonts, before, after *Layout, was, is *licence.Licence) ([]string, error) {
	old, oldPages, err := before.show(fonts, was)
	if err != nil {
		return nil, fmt.Errorf("drawing it as it was: %w", err)
	}
	now, pages, err := after.show(fonts, is)
	if err != nil {
		return nil, err
	}
	changes := []string{}
	say := func(format string, args ...any) { changes = append(changes, fmt.Sprintf(format, args...)) }
	if before.page != after.page {
		say("the page is %g by %g mm instead of %g by %g", after.page.W, after.page.H, before.page.W, before.page.H)
	}
	if pages != oldPages {
		say("%d pages instead of %d", pages, oldPages)
	}
	for _, text := range sortedKeys(old, now) {
		a, wasThere := old[text]
		b, isThere := now[text]
		switch {
		case !isThere:
			say("not printed any more: %s", text)
		case !wasThere:
			say("printed now: %s", text)
		case a.text != b.text:
			say("another text: %s", text)
		case a.size != b.size:
			say("%g pt instead of %g: %s", b.size, a.size, text)
		case a.lines != b.lines:
			say("%d lines instead of %d: %s", b.lines, a.lines, text)
		}
	}
	return changes, nil
}

func sortedKeys(a, b map[string]shown) (keys []string) {
	for _, m := range []map[string]shown{a, b} {
		for key := range m {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// show draws a licence's elements, by their text with references, and counts its pages. A
// table stands there by its columns.
func (l *Layout) show(fonts *Fonts, lic *licence.Licence) (map[string]shown, int, error) {
	sections, err := l.lay(fonts, lic)
	if err != nil {
		return nil, 0, err
	}
	all, pages := map[string]shown{}, 0
	p := &placer{styles: l.styles, fonts: fonts, values: values{lic: lic}}
	for _, s := range sections {
		p.section, p.values.pages = s.section, len(s.plans)
		for i, sheet := range s.pages {
			p.values.page = i + 1
			p.show(sheet, all)
		}
		pages += len(s.plans)
	}
	return all, pages, p.err
}

// show adds the elements of a sheet to all.
func (p *placer) show(s sheet, all map[string]shown) {
	for _, e := range s.elements {
		switch e.Kind {
		case "text":
			pieces, empty := expand(e.parts, p.values.resolve, "")
			if empty {
				pieces = []piece{{"", e.Blank}}
			}
			size, lines := p.fit(e.style, joined(pieces), e.W, e.H, e.Lines)
			all[named(all, e.Text)] = shown{joined(pieces), size, len(lines)}
		case "table":
			all[named(all, e.columns())] = shown{lines: len(list(p.values.resolve(e.List)))}
		}
	}
}

// named is a name for an element that no other has yet.
func named(all map[string]shown, text string) string {
	name := text
	for n := 2; ; n++ {
		if _, taken := all[name]; !taken {
			return name
		}
		name = fmt.Sprintf("%s (%d)", text, n)
	}
}

// columns tells a table by its list and columns.
func (e *element) columns() string {
	titles := make([]string, len(e.Columns))
	for i, c := range e.Columns {
		titles[i] = c.Title + " " + c.Text
	}
	return "table of {" + e.List + "}: " + strings.Join(titles, ", ")
}
