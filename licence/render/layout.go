package render

import (
	"fmt"
	"io/fs"

	"elicence/licence/render/pdf"
)

// Layout says how the licences of one type are drawn (版式). It is read from a
// file and never changes, so it is safe for concurrent use. Lengths are in mm
// from the upper left corner of the page, font sizes in points, colours #rrggbb.
type Layout struct {
	// Name is the folder the layout was read from.
	Name string

	styles     map[string]style
	section               // the licence itself (正本), whose page the seals stand on
	duplicates []*section // further forms of the same licence behind it (副本)
	portrait   string     // the type's own field that a portrait shows; empty: none
}

// section is one of the forms that a licence has on paper: pages of one size, with a
// symbol and a place for the seal of their own.
type section struct {
	page   size
	ground ground
	frame  frame
	pages  []sheet
	more   *sheet // repeated while a list is not at its end
	qr     placed
	seal   sealPlace
	// coSeals are the places of the co-seals, on the seal's page; a duplicate has none.
	coSeals []circle
	riding  bool // slices of the seal across the right edges of all its pages (骑缝章)

	// onDocument says that this is a block for documents; document is what it was put on.
	onDocument bool
	document   *Document

	backdrop pdf.Stream // operators for ground and frame, the same on every page
}

// sections are the licence itself and its duplicates.
func (l *Layout) sections() []*section {
	return append([]*section{&l.section}, l.duplicates...)
}

// size is a page's width and height.
type size struct {
	W float64 `json:"width"`
	H float64 `json:"height"`
}

// ground is what covers the page below everything else.
type ground struct {
	Colour string  `json:"colour"`           // of the paper
	Waves  string  `json:"waves"`            // colour of the fine lines, none when empty
	Inset  float64 `json:"inset"`            // distance of the fine lines from the edge
	Rose   string  `json:"rose"`             // colour of the rosette in the middle, none when empty
	RoseR  float64 `json:"rose_radius"`      // its radius
	RoseY  float64 `json:"rose_y,omitempty"` // its centre when not the page's
}

// frame is the ornamental border.
type frame struct {
	Style   string   `json:"style"`   // guilloche, fret or lines
	Inset   float64  `json:"inset"`   // from the edge to the outer line
	Band    float64  `json:"band"`    // width of the border
	Colours []string `json:"colours"` // outer and inner lines first, then strands
	Tint    string   `json:"tint"`    // behind the strands, none when empty
}

// style is how a text is set. A zero field takes the value of the style
// "default"; an element's own fields go before its style's.
type style struct {
	Face    string  `json:"face"`    // song, song-bold, hei or hei-bold
	Size    float64 `json:"size"`    // points
	Min     float64 `json:"min"`     // the least size it may shrink to
	Leading float64 `json:"leading"` // line height, in sizes
	Colour  string  `json:"colour"`
	Align   string  `json:"align"`   // left, centre, right, or spread over the width
	VAlign  string  `json:"valign"`  // top, middle or bottom
	Spacing float64 `json:"spacing"` // mm between characters, for headings of fixed text
}

// sheet is one page's elements in drawing order.
type sheet struct {
	elements []element
}

// element is one thing on a page.
type element struct {
	Kind  string  `json:"kind"` // text, line, box, table or portrait
	X     float64 `json:"x"`
	Y     float64 `json:"y"`
	W     float64 `json:"w"`
	H     float64 `json:"h"`
	Style string  `json:"style"`
	style

	Text  string `json:"text"`  // with {references} to the licence
	Blank string `json:"blank"` // drawn instead when every reference is empty
	Lines int    `json:"lines"` // at most so many lines, 0 for what the box holds

	Fill   string  `json:"fill"`   // of a box
	Stroke float64 `json:"stroke"` // line width in mm

	Field string `json:"field"` // whose portrait is shown, "fields.…"

	List    string   `json:"list"` // the field a table shows, "fields.…"
	Columns []column `json:"columns"`
	Row     float64  `json:"row"`  // least height of a row
	Head    string   `json:"head"` // style of the column titles

	parts []part
	line  int // in the file, for errors
}

// column is one column of a table.
type column struct {
	Title string  `json:"title"`
	W     float64 `json:"w"`
	Text  string  `json:"text"` // {references} to members of the row, {#} its number
	Align string  `json:"align"`
	Style string  `json:"style"` // of its cells, the table's when empty

	parts []part
}

// placed is a square on a page.
type placed struct {
	Page int     `json:"page"`
	X    float64 `json:"x"`
	Y    float64 `json:"y"`
	Size float64 `json:"size"`
}

// sealPlace is where the seal goes, over the authority's name and the date (骑年盖月).
type sealPlace struct {
	Page int `json:"page"`
	circle
}

// circle is the centre of a seal and the diameter the layout leaves room for.
type circle struct {
	X        float64 `json:"x"`
	Y        float64 `json:"y"`
	Diameter float64 `json:"diameter"`
}

// leastModule is the least side of a QR module in mm that a phone reads from
// paper; leastSymbol the modules along a side of version 8, smaller than which no
// licence's symbol is.
const (
	leastModule = 0.4
	leastSymbol = 49
)

// LoadLayouts reads */layout.json of fsys, by folder name. An error names the
// file and line.
func LoadLayouts(fsys fs.FS) (map[string]*Layout, error) {
	names, err := fs.Glob(fsys, "*/layout.json")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no layout found: want */layout.json")
	}
	layouts := map[string]*Layout{}
	for _, file := range names {
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, fmt.Errorf("reading layout: %w", err)
		}
		l, err := parseLayout(file, data)
		if err != nil {
			return nil, err
		}
		l.Name = file[:len(file)-len("/layout.json")]
		layouts[l.Name] = l
	}
	return layouts, nil
}

// merged fills the zero fields of s from t.
func (s style) merged(t style) style {
	if s.Face == "" {
		s.Face = t.Face
	}
	if s.Size == 0 {
		s.Size = t.Size
	}
	if s.Min == 0 {
		s.Min = t.Min
	}
	if s.Leading == 0 {
		s.Leading = t.Leading
	}
	if s.Colour == "" {
		s.Colour = t.Colour
	}
	if s.Align == "" {
		s.Align = t.Align
	}
	if s.VAlign == "" {
		s.VAlign = t.VAlign
	}
	if s.Spacing == 0 {
		s.Spacing = t.Spacing
	}
	return s
}
