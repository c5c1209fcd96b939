package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"elicence/licence/render/pdf"
	"elicence/licence/render/portrait"
	"elicence/licence/render/qr"
	"elicence/licence/render/typeface"
)

// layoutFile is a layout as written: the licence itself, and what goes for its
// duplicates too.
type layoutFile struct {
	Styles map[string]style `json:"styles"`
	sectionFile
	CoSeals    []circle          `json:"co_seals"`
	Duplicates []json.RawMessage `json:"duplicates"`
	Document   bool              `json:"document"`
}

// sectionFile is one section of it.
type sectionFile struct {
	Page         size                `json:"page"`
	Ground       ground              `json:"ground"`
	Frame        frame               `json:"frame"`
	Pages        [][]json.RawMessage `json:"pages"`
	Continuation []json.RawMessage   `json:"continuation"`
	QR           placed              `json:"qr"`
	Seal         sealPlace           `json:"seal"`
	RidingSeal   bool                `json:"riding_seal"`
}

// maxDuplicates bounds the duplicates: no licence is known that has two.
const maxDuplicates = 3

// maxPages and maxElements bound what is drawn of a section for each licence; a table goes on
// by the continuation.
const maxPages, maxElements = 20, 1_000

// parser reads one layout file, section by section.
type parser struct {
	file     string
	data     []byte
	at       int // where to look for the next element
	from     int // where the section's members are looked for
	styles   map[string]style
	portrait string // the field of the portraits read
	*section        // being read
}

func parseLayout(file string, data []byte) (*Layout, error) {
	l := &Layout{}
	p := &parser{file: file, data: data, section: &l.section}
	var in layoutFile
	if err := p.decode(data, 0, &in); err != nil {
		return nil, err
	}
	p.styles, p.coSeals, p.onDocument = in.Styles, in.CoSeals, in.Document
	if err := p.checkStyles(); err != nil {
		return nil, err
	}
	if err := p.readSection(in.sectionFile); err != nil {
		return nil, err
	}
	for _, raw := range in.Duplicates {
		if err := p.readDuplicate(l, raw); err != nil {
			return nil, err
		}
	}
	l.styles, l.portrait = p.styles, p.portrait
	return l, nil
}

// readDuplicate reads one of the duplicates.
func (p *parser) readDuplicate(l *Layout, raw []byte) error {
	p.section = &section{}
	p.from = p.place(raw)
	p.at = p.from
	var in sectionFile
	if err := p.decode(raw, p.from, &in); err != nil {
		return err
	}
	if len(l.duplicates) == maxDuplicates || len(l.coSeals) > 0 || l.onDocument {
		return p.errorf(p.from, "a layout has at most %d duplicates, and none beside co_seals or a document", maxDuplicates)
	}
	l.duplicates = append(l.duplicates, p.section)
	return p.readSection(in)
}

// readSection takes over and checks what one section of the file says.
func (p *parser) readSection(in sectionFile) error {
	p.page, p.ground, p.frame, p.qr, p.seal, p.riding = in.Page, in.Ground, in.Frame, in.QR, in.Seal, in.RidingSeal
	if err := p.checkGlobals(); err != nil {
		return err
	}
	elements := len(in.Continuation)
	for _, raw := range in.Pages {
		elements += len(raw)
	}
	if len(in.Pages) > maxPages || elements > maxElements {
		return p.lineError(p.key("pages"), "a layout has at most %d pages, beside the continuation, and %d elements", maxPages, maxElements)
	}
	for _, raw := range in.Pages {
		s, err := p.sheet(raw)
		if err != nil {
			return err
		}
		p.pages = append(p.pages, s)
	}
	if in.Continuation != nil {
		s, err := p.sheet(in.Continuation)
		if err != nil {
			return err
		}
		p.more = &s
	}
	if err := p.checkPlaces(); err != nil {
		return err
	}
	var backdrop []byte // a block has none
	if !p.onDocument {
		backdrop = p.drawBackdrop()
	}
	if err := qr.CheckBackdrop(backdrop); err != nil {
		return fmt.Errorf("backdrop: %w", err)
	}
	p.backdrop = pdf.Deflate(backdrop)
	return nil
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

// place is where a raw message stands in the file: behind the one before, for they are
// verbatim, or, as members come in any order, anywhere.
func (p *parser) place(raw []byte) int {
	at := bytes.Index(p.data[p.at:], raw)
	if at < 0 {
		p.at, at = 0, max(0, bytes.Index(p.data, raw))
	}
	at += p.at
	p.at = at + len(raw)
	return at
}

// key is the line of the section's first mention of a member, for errors about it.
func (p *parser) key(name string) int {
	return p.line(p.from + max(0, bytes.Index(p.data[p.from:], []byte(strconv.Quote(name)))))
}

// checkStyles completes the styles.
func (p *parser) checkStyles() error {
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
	return nil
}

// checkGlobals checks everything of a section but the elements.
func (p *parser) checkGlobals() error {
	if p.onDocument {
		return nil // checkOnDocument looks at the block
	}
	if !within(p.page.W, 50, 1200) || !within(p.page.H, 50, 1200) {
		return p.lineError(p.key("page"), "page must be 50 to 1200 mm wide and high")
	}
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
		at := p.place(r)
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
	case "portrait":
		return p.finishPortrait(e)
	}
	return fmt.Errorf("unknown kind %q: want text, line, box, table or portrait", e.Kind)
}

// finishPortrait checks a portrait: a field of the type's own, shown unstretched.
func (p *parser) finishPortrait(e *element) error {
	if !fieldReference.MatchString(e.Field) {
		return fmt.Errorf("a portrait's field must be a field, not %q", e.Field)
	}
	name := strings.TrimPrefix(e.Field, "fields.")
	if p.portrait != "" && p.portrait != name {
		return errors.New("a layout shows the portrait of one field")
	}
	p.portrait = name
	const shape = float64(portrait.Width) / portrait.Height
	if e.H < 20 || !within(e.W/e.H, shape*0.99, shape*1.01) {
		return fmt.Errorf("a portrait must be 20 mm high or more, and as %d to %d", portrait.Width, portrait.Height)
	}
	return nil
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
