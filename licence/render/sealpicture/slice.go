package sealpicture

import (
	"bytes"
	"fmt"
)

// piece is a part of a drawing that can be left out where it is not seen.
type piece struct {
	left, right float64 // how far it reaches, in points
	ops         []byte
}

// drawing is PDF operators in pieces, between what must stand before and after them.
type drawing struct {
	head, tail []byte
	pieces     []piece
}

// operators is the whole drawing.
func (d drawing) operators() []byte {
	var out bytes.Buffer
	out.Write(d.head)
	for _, p := range d.pieces {
		out.Write(p.ops)
	}
	out.Write(d.tail)
	return out.Bytes()
}

// Slice draws strip i, from 0, of n upright strips of equal width, its lower left
// corner at x, y of a page (骑缝章). The operators leave the graphics state as they
// found it, and paint nothing outside the strip: they clip to it.
func (p *Picture) Slice(i, n int, x, y float64) []byte {
	width := p.Width / float64(n)
	left := float64(i) * width
	out := fmt.Appendf(nil, "q %.3f %.3f %.3f %.3f re W n 1 0 0 1 %.3f %.3f cm\n", x, y, width, p.Height, x-left, y)
	out = append(out, p.drawing.head...)
	for _, piece := range p.drawing.pieces {
		if piece.right > left && piece.left < left+width {
			out = append(out, piece.ops...)
		}
	}
	return append(append(out, p.drawing.tail...), "Q\n"...)
}
