package render

import (
	"fmt"
	"strconv"

	"elicence/licence"
)

// cellPadding is the white inside a table's cells in mm.
const cellPadding = 1.5

// row is one row of a table with its cells set.
type row struct {
	height float64
	cells  []cell
}

// cell is the text of one cell as set.
type cell struct {
	lines []string
	size  float64
	style style
}

// flow is the rows of a table that stand on one page.
type flow struct{ rows []row }

// flow sets all rows of the list that e shows and divides them among the page
// of e and as many continuation pages as it takes.
func (p *placer) flow(e *element) (here flow, more []flow) {
	rows := p.rows(e)
	here.rows, rows = p.take(rows, e)
	rest := &tables([]sheet{*p.more})[0]
	for len(rows) > 0 {
		var next flow
		next.rows, rows = p.take(rows, rest)
		more = append(more, next)
	}
	return here, more
}

// take returns the rows that fit the table, at least one of those that rows
// found to fit a page, and what is left.
func (p *placer) take(rows []row, e *element) (taken, rest []row) {
	room := e.H - e.Row
	for i, r := range rows {
		if room -= r.height; room < -0.01 && i > 0 {
			return rows[:i], rows[i:]
		}
	}
	return rows, nil
}

// rows sets every row of the list. A row that would not fit a page by itself is
// a fault of its longest cell.
func (p *placer) rows(e *element) []row {
	var out []row
	items := list(p.values.resolve(e.List))
	if len(items) > maxRows {
		p.faults = append(p.faults, licence.FieldError{Field: e.List, Code: licence.CodeTooMany,
			Detail: fmt.Sprintf("has %d rows; at most %d can be drawn", len(items), maxRows)})
		return nil
	}
	for i, item := range items {
		r := row{height: e.Row}
		prefix := fmt.Sprintf("%s[%d]", e.List, i)
		for j := range e.Columns {
			c, fault := p.cell(e, &e.Columns[j], item, i, prefix)
			if fault {
				continue
			}
			r.cells = append(r.cells, c)
			r.height = max(r.height, blockHeight(c.style, len(c.lines), c.size)+2*cellPadding)
		}
		if len(r.cells) == len(e.Columns) {
			out = append(out, r)
		}
	}
	return out
}

// cell sets one cell: on one line if a size allows it, else wrapped at full size.
func (p *placer) cell(e *element, c *column, item any, index int, prefix string) (out cell, fault bool) {
	members, _ := item.(map[string]any)
	pieces, _ := expand(c.parts, func(ref string) any {
		if ref == "#" {
			return strconv.Itoa(index + 1)
		}
		if ref == "item" {
			return item
		}
		return members[ref]
	}, prefix+".")
	text, w := joined(pieces), c.W-2*cellPadding
	if len(text) > maxText {
		p.noRoom(pieces)
		return cell{}, true
	}
	out = cell{style: e.style}
	if c.Style != "" {
		out.style = p.styles[c.Style]
	}
	if !p.drawable(out.style.Face, pieces) {
		return cell{}, true
	}
	if c.Align != "" {
		out.style.Align = c.Align
	}
	if text == "" {
		out.lines, out.size = []string{""}, out.style.Size
		return out, false
	}
	tallest := min(e.H, tables([]sheet{*p.more})[0].H) - e.Row - 2*cellPadding
	out.size, out.lines = p.fit(out.style, text, w, tallest, 1)
	if out.lines == nil {
		out.size, out.lines = p.fit(out.style, text, w, tallest, 0)
	}
	if out.lines == nil {
		p.noRoom(pieces)
		return cell{}, true
	}
	return out, false
}

// list is a value as a list: that of a single value is empty.
func list(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case []string:
		items := make([]any, len(v))
		for i := range v {
			items[i] = v[i]
		}
		return items
	case []map[string]any:
		items := make([]any, len(v))
		for i := range v {
			items[i] = v[i]
		}
		return items
	}
	return nil
}

// table draws the rows of one page with a head and ruled lines.
func (p *placer) table(e *element, f flow, out *plan) {
	head := row{height: e.Row}
	style := p.styles[e.Head]
	style.Align, style.VAlign = "centre", "middle"
	for _, c := range e.Columns {
		head.cells = append(head.cells, cell{[]string{c.Title}, style.Size, style})
	}
	y, width := e.Y, 0.0
	for _, c := range e.Columns {
		width += c.W
	}
	rule := func(x, y, w, h float64) {
		out.boxes = append(out.boxes, element{Kind: "line", X: x, Y: y, W: w, H: h, style: e.style, Stroke: e.Stroke})
	}
	for _, r := range append([]row{head}, f.rows...) {
		rule(e.X, y, width, 0)
		x := e.X
		for i, c := range r.cells {
			c.style.VAlign = "middle"
			w := e.Columns[i].W
			out.runs = append(out.runs, p.setLines(c.style, c.lines, c.size, x+cellPadding, y, w-2*cellPadding, r.height))
			x += w
		}
		y += r.height
	}
	rule(e.X, y, width, 0)
	x := e.X
	for i := 0; i <= len(e.Columns); i++ {
		rule(x, e.Y, 0, y-e.Y)
		if i < len(e.Columns) {
			x += e.Columns[i].W
		}
	}
}
