package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"elicence/licence"
	"elicence/licence/render/pdf"
	"elicence/licence/render/qr"
	"elicence/licence/render/sealpicture"
	"elicence/licence/render/typeface"
)

// layoutFile is a layout as written.
type layoutFile struct {
	Page         size                `json:"page"`
	Ground       ground              `json:"ground"`
	Frame        frame               `json:"frame"`
	Styles       map[string]style    `json:"styles"`
	Pages        [][]json.RawMessage `json:"pages"`
	Continuation []json.RawMessage   `json:"continuation"`
	QR           placed              `json:"qr"`
	Seal         sealPlace           `json:"seal"`
	CoSeals      []circle            `json:"co_seals"`
	RidingSeal   bool                `json:"riding_seal"`
	Document     bool                `json:"document"`
}

// parser reads one layout file.
type parser struct {
	file string
	data []byte
	at   int // where to look for the next element: raw messages are verbatim
	*Layout
}

func parseLayout(file string, data []byte) (*Layout, error) {
	p := &parser{file: file, data: data, Layout: &Layout{}}
	var in layoutFile
	if err := p.decode(data, 0, &in); err != nil {
		return nil, err
	}
	p.page, p.ground, p.frame, p.styles = in.Page, in.Ground, in.Frame, in.Styles
	p.qr, p.seal, p.coSeals, p.riding, p.onDocument = in.QR, in.Seal, in.CoSeals, in.RidingSeal, in.Document
	if err := p.checkGlobals(); err != nil {
		return nil, err
	}
	for _, raw := range in.Pages {
		s, err := p.sheet(raw)
		if err != nil {
			return nil, err
		}
		p.pages = append(p.pages, s)
	}
	if in.Continuation != nil {
		s, err := p.sheet(in.Continuation)
		if err != nil {
			return nil, err
		}
		p.more = &s
	}
	if err := p.checkPlaces(); err != nil {
		return nil, err
	}
	var backdrop []byte // a block has none
	if !p.onDocument {
		backdrop = p.drawBackdrop()
	}
	if err := qr.CheckBackdrop(backdrop); err != nil {
		return nil, fmt.Errorf("backdrop: %w", err)
	}
	p.backdrop = pdf.Deflate(backdrop)
	return p.Layout, nil
}

// decode reads one JSON value that begins at offset of the file, refusing
// unknown members.
func (p *parser) decode(data []byte, offset int, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		if _, err := d.Token(); err != io.EOF {
			return p.errorf(offset+int(d.InputOffset()), "more than one JSON value")
		}
		return nil
	case errors.As(err, &syntax):
		return p.errorf(offset+int(syntax.Offset), "%v", err)
	case errors.As(err, &wrongType):
		return p.errorf(offset+int(wrongType.Offset), "%s must be %s, not %s", wrongType.Field, wrongType.Type, wrongType.Value)
	}
	at := 0
	if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
		at = max(0, bytes.Index(data, []byte(name)))
	}
	return p.errorf(offset+at, "%v", err)
}

// errorf is an error at an offset of the file.
func (p *parser) errorf(offset int, format string, args ...any) error {
	return p.lineError(p.line(offset), format, args...)
}

func (p *parser) lineError(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.file, line, fmt.Sprintf(format, args...))
}

func (p *parser) line(offset int) int {
	return 1 + bytes.Count(p.data[:min(max(offset, 0), len(p.data))], []byte("\n"))
}

// key is the line of the first mention of a member, for errors about it.
func (p *parser) key(name string) int {
	return p.line(bytes.Index(p.data, []byte(strconv.Quote(name))))
}

// checkGlobals checks everything but the elements.
func (p *parser) checkGlobals() error {
	if !p.onDocument && (!within(p.page.W, 50, 1200) || !within(p.page.H, 50, 1200)) {
		return p.lineError(p.key("page"), "page must be 50 to 1200 mm wide and high")
	}
	d := p.styles["default"]
	if d.Face == "" || d.Size == 0 || d.Min == 0 || d.Leading == 0 || d.Colour == "" || d.Align == "" || d.VAlign == "" {
		return p.lineError(p.key("styles"), `style "default" must set face, size, min, leading, colour, align and valign`)
	}
	for name, s := range p.styles {
		s = s.merged(d)
		if fault := s.fault(); fault != "" {
			return p.lineError(p.key(name), "style %q: %s", name, fault)
		}
		p.styles[name] = s
	}
	if p.onDocument {
		return nil // checkOnDocument refuses what is looked at below
	}
	return p.checkGround()
}

// checkGround checks what stands behind the elements.
func (p *parser) checkGround() error {
	for key, colours := range map[string][]string{
		"ground": {p.ground.Colour, p.ground.Waves, p.ground.Rose},
		"frame":  append(p.frame.Colours, p.frame.Tint),
	} {
		for _, c := range colours {
			if c != "" && !isColour(c) {
				return p.lineError(p.key(key), "%q is not a colour #rrggbb", c)
			}
		}
	}
	least := min(p.page.W, p.page.H)
	if g := p.ground; !within(g.Inset, 0, least/4) || !within(g.RoseR, 0, least/2) || !within(g.RoseY, 0, p.page.H) {
		return p.lineError(p.key("ground"), "the ground's lines or rosette lie outside the page")
	}
	if f := p.frame; !within(f.Inset, 0, least/8) || !within(f.Band, 2, least/8) {
		return p.lineError(p.key("frame"), "inset must be at least 0, band at least 2 mm, both at most an eighth of the page")
	}
	if _, ok := frames[p.frame.Style]; !ok || !within(float64(len(p.frame.Colours)), 3, 6) {
		return p.lineError(p.key("frame"), "frame must have a style (guilloche, fret, lines) and three to six colours")
	}
	return nil
}

// fault is what is wrong with a merged style, "" when nothing.
func (s style) fault() string {
	switch {
	case !typeface.HasFace(s.Face):
		return fmt.Sprintf("unknown face %q", s.Face)
	case !within(s.Size, 4, 120), !within(s.Min, 4, s.Size):
		return "size must be 4 to 120 points and min between 4 and size"
	case !within(s.Leading, 1, 4):
		return "leading must be 1 to 4"
	case !isColour(s.Colour):
		return fmt.Sprintf("%q is not a colour #rrggbb", s.Colour)
	case !oneOf(s.Align, "left", "centre", "right", "spread"):
		return fmt.Sprintf("unknown align %q", s.Align)
	case !oneOf(s.VAlign, "top", "middle", "bottom"):
		return fmt.Sprintf("unknown valign %q", s.VAlign)
	case !within(s.Spacing, 0, 60):
		return "spacing must be 0 to 60 mm"
	}
	return ""
}

// sheet reads the elements of one page.
func (p *parser) sheet(raw []json.RawMessage) (sheet, error) {
	var s sheet
	for _, r := range raw {
		at := p.at + bytes.Index(p.data[p.at:], r)
		p.at = at + len(r)
		e := element{line: p.line(at)}
		if err := p.decode(r, at, &e); err != nil {
			return sheet{}, err
		}
		if err := p.finish(&e); err != nil {
			return sheet{}, p.lineError(e.line, "%v", err)
		}
		s.elements = append(s.elements, e)
	}
	return s, nil
}

// finish resolves the style and the references of e and checks it.
func (p *parser) finish(e *element) error {
	if e.Style == "" {
		e.Style = "default"
	}
	named, ok := p.styles[e.Style]
	if !ok {
		return fmt.Errorf("unknown style %q", e.Style)
	}
	explicit := e.style
	e.style = e.style.merged(named)
	if explicit.Size != 0 && explicit.Min == 0 {
		e.style.Min = min(e.style.Min, e.style.Size)
	}
	if fault := e.style.fault(); fault != "" {
		return errors.New(fault)
	}
	if e.X < 0 || e.Y < 0 || e.W < 0 || e.H < 0 || e.X+e.W > p.page.W || e.Y+e.H > p.page.H {
		return errors.New("the element lies outside the page")
	}
	if !within(e.Stroke, 0, 5) {
		return errors.New("stroke must be 0 to 5 mm")
	}
	switch e.Kind {
	case "text":
		return p.finishText(e)
	case "line", "box":
		if e.Fill != "" && !isColour(e.Fill) {
			return fmt.Errorf("%q is not a colour #rrggbb", e.Fill)
		}
		return nil
	case "table":
		return p.finishTable(e)
	}
	return fmt.Errorf("unknown kind %q: want text, line, box or table", e.Kind)
}

func (p *parser) finishText(e *element) (err error) {
	if e.W < 2 || e.H < 2 {
		return errors.New("a text needs a box of at least 2 mm by 2 mm")
	}
	if e.parts, err = parseTemplate(e.Text); err != nil {
		return err
	}
	for _, part := range e.parts {
		if part.ref != "" && !oneOf(part.ref, coreReferences...) && !fieldReference.MatchString(part.ref) {
			return fmt.Errorf("unknown reference {%s}", part.ref)
		}
		if n := coSealer(part.ref); n > len(p.coSeals) {
			return fmt.Errorf("{%s} of a layout with %d co_seals", part.ref, len(p.coSeals))
		}
		if part.ref != "" && e.Align == "spread" {
			return errors.New("only fixed text can be spread")
		}
	}
	return nil
}

// finishTable checks a table. One without a list continues that of the pages
// before, and has the same columns.
func (p *parser) finishTable(e *element) (err error) {
	if first := tables(p.pages); e.List == "" && len(first) == 1 {
		e.List, e.Columns, e.Row, e.Head, e.Stroke, e.style = first[0].List, first[0].Columns, first[0].Row, first[0].Head, first[0].Stroke, first[0].style
	}
	if !fieldReference.MatchString(e.List) {
		return fmt.Errorf("a table's list must be a field, not %q", e.List)
	}
	if e.Head == "" {
		e.Head = e.Style
	}
	if _, ok := p.styles[e.Head]; !ok {
		return fmt.Errorf("unknown style %q", e.Head)
	}
	if e.Row < 4 || len(e.Columns) == 0 {
		return errors.New("a table needs a row height of 4 mm or more and columns")
	}
	w := 0.0
	for i := range e.Columns {
		c := &e.Columns[i]
		if w += c.W; c.W < 5 || !oneOf(c.Align, "", "left", "centre", "right") {
			return fmt.Errorf("column %d must be 5 mm wide or more and aligned left, centre or right", i+1)
		}
		if _, ok := p.styles[c.Style]; c.Style != "" && !ok {
			return fmt.Errorf("unknown style %q", c.Style)
		}
		if c.parts, err = parseTemplate(c.Text); err != nil {
			return err
		}
	}
	if w > e.W+0.01 {
		return errors.New("the columns are wider than the table")
	}
	return nil
}

// checkPlaces checks pages, symbol and seal, which must lie on the first pages:
// those are always drawn.
func (p *parser) checkPlaces() error {
	if len(p.pages) == 0 {
		return p.lineError(p.key("pages"), "a layout needs a page")
	}
	q, quiet := p.qr, p.quiet()
	if q.Page < 1 || q.Page > len(p.pages) || !fits(q, p.page, quiet) {
		return p.lineError(p.key("qr"), "the symbol and its quiet zone must lie on a page")
	}
	if q.Size < leastModule*qr.LargestSymbol {
		return p.lineError(p.key("qr"), "the symbol must be %.1f mm or more, for modules of %.1f mm", leastModule*qr.LargestSymbol, leastModule)
	}
	if p.onDocument {
		return errors.Join(p.checkOnDocument(), p.checkClear(quiet))
	}
	if s := p.seal; s.Page < 1 || s.Page > len(p.pages) {
		return p.lineError(p.key("seal"), "the seal of 30 to 60 mm must lie on a page")
	}
	if err := p.checkClear(quiet); err != nil {
		return err
	}
	if err := p.checkSeals(quiet); err != nil {
		return err
	}
	if err := p.checkRiding(quiet); err != nil {
		return err
	}
	if found := tables(p.pages); len(found) > 1 {
		return p.lineError(found[1].line, "a layout has at most one table")
	} else if len(found) == 1 && (p.more == nil || len(tables([]sheet{*p.more})) != 1 || tables([]sheet{*p.more})[0].List != found[0].List) {
		return p.lineError(found[0].line, "a table needs a continuation page with one table of the same list")
	}
	return nil
}

// checkClear checks that nothing else has its place on the symbol or its quiet
// zone: a reader would not find it.
func (p *parser) checkClear(quiet float64) error {
	q := p.qr
	on := func(x, y, w, h float64) bool {
		return x < q.X+q.Size+quiet && x+w > q.X-quiet && y < q.Y+q.Size+quiet && y+h > q.Y-quiet
	}
	for _, e := range p.pages[q.Page-1].elements {
		if e.Kind != "box" && on(e.X, e.Y, e.W, e.H) {
			return p.lineError(e.line, "the element lies on the QR symbol or its quiet zone of %.1f mm", quiet)
		}
	}
	return nil
}

// checkSeals checks that the seals lie on the page, clear of the symbol and of each other.
func (p *parser) checkSeals(quiet float64) error {
	if len(p.coSeals) > licence.MaxCoSeals {
		return p.lineError(p.key("co_seals"), "%d co_seals; at most %d fit a licence", len(p.coSeals), licence.MaxCoSeals)
	}
	var boxes []extent
	for i, s := range append(slices.Clone(p.coSeals), p.seal.circle) {
		key := "co_seals"
		if i == len(p.coSeals) {
			key = "seal"
		}
		if !within(s.Diameter, 30, 60) {
			return p.lineError(p.key(key), "the seal of 30 to 60 mm must lie on a page")
		}
		boxes = append(boxes, extent{s.X, s.Y, s.Diameter, s.Diameter})
		if fault := p.misplaced(boxes, quiet); fault != "" {
			return p.lineError(p.key(key), "%s", fault)
		}
	}
	return nil
}

// checkRiding checks that a riding seal has several pages to ride on, and stays off
// the symbol whatever its size.
func (p *parser) checkRiding(quiet float64) error {
	q, w, h := p.qr, sealpicture.MaxMM/2.0, float64(sealpicture.MaxMM) // of two pages, the widest slice
	switch {
	case !p.riding:
		return nil
	case len(p.pages) == 1 && p.more == nil:
		return p.lineError(p.key("riding_seal"), "a riding seal needs a licence of several pages")
	case p.page.H < h || p.page.W < 2*w:
		return p.lineError(p.key("riding_seal"), "the page is too small for a riding seal of %g mm", h)
	case q.X+q.Size+quiet > p.page.W-w && q.Y-quiet < (p.page.H+h)/2 && q.Y+q.Size+quiet > (p.page.H-h)/2:
		return p.lineError(p.key("riding_seal"), "the riding seal lies on the QR symbol or its quiet zone of %.1f mm", quiet)
	}
	return nil
}

// tables lists the tables of some pages.
func tables(pages []sheet) []element {
	var found []element
	for _, s := range pages {
		for _, e := range s.elements {
			if e.Kind == "table" {
				found = append(found, e)
			}
		}
	}
	return found
}

var colourPattern = regexp.MustCompile(`^#[0-9a-f]{6}$`)

func isColour(s string) bool { return colourPattern.MatchString(s) }

func within(v, low, high float64) bool { return v >= low && v <= high }

func oneOf(s string, choices ...string) bool {
	for _, c := range choices {
		if s == c {
			return true
		}
	}
	return false
}
