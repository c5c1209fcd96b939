package render

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"elicence/licence"
	"elicence/licence/render/typeface"
)

// pt is one millimetre in points.
const pt = 72 / 25.4

// run is one text as set, on one line or more.
type run struct {
	size         float64
	face, colour string
	lines        []line
}

// line is one line of a run: x and the baseline y in mm from the upper left
// corner, extra the room in mm put between characters.
type line struct {
	x, y, extra float64
	text        string
}

// Bounds beyond which nothing could fit any page, so that a text or list of
// megabytes costs nothing to refuse.
const (
	maxText = 3000 // bytes
	maxRows = 300
)

// plan is one page with everything placed on it: lines, boxes and portraits, then text.
type plan struct {
	boxes []element
	runs  []run
}

// laid is a section with its pages.
type laid struct {
	*section
	plans []plan
}

// placer places the values of one licence, section by section.
type placer struct {
	*section
	styles map[string]style
	fonts  *Fonts
	values values
	faults []licence.FieldError
	err    error // a font that could not be read
}

// lay places lic on its pages. The error is a *licence.RequestError that names
// every field with a character no font draws or a text without room.
func (l *Layout) lay(fonts *Fonts, lic *licence.Licence) ([]laid, error) {
	if lic == nil {
		return nil, errors.New("render: a licence is required")
	}
	p := &placer{styles: l.styles, fonts: fonts, values: values{lic: lic}}
	p.drawable(typeface.MainFace, []piece{{"type_name", lic.TypeName}, {"identifier", string(lic.Identifier)}}) // metadata says them too
	var out []laid
	for _, s := range l.sections() {
		p.section = s
		out = append(out, laid{s, p.sheets()})
	}
	switch {
	case p.err != nil:
		return nil, p.err
	case p.faults != nil:
		return nil, &licence.RequestError{Fields: distinct(p.faults)}
	}
	return out, nil
}

// sheets places the licence on the pages of one section.
func (p *placer) sheets() []plan {
	sheets := append([]sheet(nil), p.section.pages...)
	flows := make([][]flow, len(sheets))
	for i := range sheets {
		for j := range sheets[i].elements {
			if e := &sheets[i].elements[j]; e.Kind == "table" {
				here, more := p.flow(e)
				flows[i] = append(flows[i], here)
				for _, f := range more {
					sheets = append(sheets, *p.more)
					flows = append(flows, []flow{f})
				}
			}
		}
	}
	plans := make([]plan, len(sheets))
	p.values.pages = len(sheets)
	for i, s := range sheets {
		p.values.page = i + 1
		plans[i] = p.sheet(s, flows[i])
	}
	return plans
}

// distinct orders faults by field and drops those of a value that stands in
// several places.
func distinct(faults []licence.FieldError) []licence.FieldError {
	slices.SortFunc(faults, func(a, b licence.FieldError) int {
		return cmp.Or(strings.Compare(a.Field, b.Field), strings.Compare(a.Code, b.Code), strings.Compare(a.Detail, b.Detail))
	})
	return slices.Compact(faults)
}

// sheet places the elements of one page; the tables take the flows in order.
func (p *placer) sheet(s sheet, flows []flow) plan {
	var out plan
	for i := range s.elements {
		switch e := &s.elements[i]; e.Kind {
		case "text":
			out.runs = append(out.runs, p.text(e)...)
		case "table":
			p.table(e, flows[0], &out)
			flows = flows[1:]
		case "portrait":
			if named, _ := p.values.resolve(e.Field).(string); named != "" {
				out.boxes = append(out.boxes, *e)
			}
		default:
			out.boxes = append(out.boxes, *e)
		}
	}
	return out
}

// text places one text element.
func (p *placer) text(e *element) []run {
	pieces, empty := expand(e.parts, p.values.resolve, "")
	if empty {
		pieces = []piece{{"", e.Blank}}
	}
	text := joined(pieces)
	if len(text) > maxText {
		p.noRoom(pieces)
		return nil
	}
	if !p.drawable(e.Face, pieces) {
		return nil
	}
	if text == "" {
		return nil
	}
	size, lines := p.fit(e.style, text, e.W, e.H, e.Lines)
	if lines == nil {
		p.noRoom(pieces)
		return nil
	}
	return []run{p.setLines(e.style, lines, size, e.X, e.Y, e.W, e.H)}
}

// drawable checks the characters of every piece and notes the faults.
func (p *placer) drawable(face string, pieces []piece) bool {
	ok := true
	for _, piece := range pieces {
		err := p.fonts.CheckFace(face, piece.field, piece.text)
		var refused *licence.RequestError
		switch {
		case errors.As(err, &refused):
			p.faults, ok = append(p.faults, refused.Fields...), false
		case err != nil:
			p.err, ok = err, false
		}
	}
	return ok
}

// noRoom notes that the longest value among the pieces has no room.
func (p *placer) noRoom(pieces []piece) {
	longest := piece{}
	for _, piece := range pieces {
		if piece.field != "" && utf8.RuneCountInString(piece.text) >= utf8.RuneCountInString(longest.text) {
			longest = piece
		}
	}
	p.faults = append(p.faults, licence.FieldError{Field: longest.field, Code: CodeNoRoom,
		Detail: "is too long for its place on the licence, even in the smallest size"})
}

func joined(pieces []piece) string {
	var b strings.Builder
	for _, piece := range pieces {
		b.WriteString(piece.text)
	}
	return b.String()
}

// fit finds the largest size, from the style's down to its least, at which the
// text fits the box in at most so many lines (0: as many as fit); lines is nil
// when there is none.
func (p *placer) fit(s style, text string, w, h float64, most int) (size float64, lines []string) {
	for size := s.Size; ; size -= 0.5 {
		size = max(size, s.Min)
		if lines := p.fonts.Wrap(s.Face, text, units(w-s.extra(text), size)); p.fits(s, lines, size, w, h, most) {
			return size, lines
		}
		if size == s.Min {
			return 0, nil
		}
	}
}

// extra is the room a heading's fixed spacing takes in all.
func (s style) extra(text string) float64 {
	return s.Spacing * float64(utf8.RuneCountInString(text)-1)
}

func (p *placer) fits(s style, lines []string, size, w, h float64, most int) bool {
	if most > 0 && len(lines) > most || blockHeight(s, len(lines), size) > h+0.05 {
		return false
	}
	for _, line := range lines { // a single character may be wider than the box
		if p.fonts.Width(s.Face, strings.TrimRight(line, " \u3000")) > units(w-s.extra(line), size)+1 {
			return false
		}
	}
	return true
}

// units is a length in mm in 1/1000 of the font size.
func units(mm, size float64) int { return int(mm * pt / size * typeface.Em) }

// mm is a number of 1/1000 of the font size in mm.
func mm(units int, size float64) float64 { return float64(units) * size / typeface.Em / pt }

// blockHeight is the height of n lines in mm.
func blockHeight(s style, n int, size float64) float64 {
	return (float64(n-1)*s.Leading + 1) * size / pt
}

// setLines places lines in a box by the style's alignment.
func (p *placer) setLines(s style, lines []string, size, x, y, w, h float64) run {
	switch spare := h - blockHeight(s, len(lines), size); s.VAlign {
	case "middle":
		y += spare / 2
	case "bottom":
		y += spare
	}
	r := run{size: size, face: s.Face, colour: s.Colour, lines: make([]line, len(lines))}
	for i, text := range lines {
		l := line{x: x, y: y + (float64(i)*s.Leading*size+size*typeface.Ascent/typeface.Em)/pt, extra: s.Spacing, text: text}
		visible := strings.TrimRight(text, " \u3000")
		natural := mm(p.fonts.Width(s.Face, visible), size) + s.extra(visible)
		switch n := utf8.RuneCountInString(text); {
		case s.Align == "spread" && n > 1:
			l.extra = (w - natural) / float64(n-1)
		case s.Align == "centre" || s.Align == "spread":
			l.x += (w - natural) / 2
		case s.Align == "right":
			l.x += w - natural
		}
		r.lines[i] = l
	}
	return r
}
