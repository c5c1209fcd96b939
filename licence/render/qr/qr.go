// Package qr draws a licence's QR symbol (ISO/IEC 18004, model 2) as rectangles of
// a PDF page, and reads it back from the page's operators.
//
// Invariants: a symbol is at most of version 13, at level M or better, on white
// with its quiet zone; Decode answers for what the page draws in the box, and for
// nothing else. The text's format is licence.QRText's business.
package qr

import (
	"fmt"
	"strconv"

	qrcode "github.com/piglig/go-qr"

	"elicence/licence"
)

// The largest symbol drawn: more modules than its 69 would be too fine for print
// and scan at the sizes layouts have room for. QuietZone is the white around a
// symbol in modules.
const (
	LargestVersion = 13
	LargestSymbol  = 69
	QuietZone      = 4
)

// Box is where a symbol is drawn: on a page counted from 1, the lower left
// corner and side in points without the quiet zone, and the modules on a side.
type Box struct {
	Page       int
	X, Y, Size float64
	Modules    int
}

// Encode makes the symbol at level M, or better where that takes no more room, in the
// three segments of the QR text: URL, number sign, digits. A text without digits is the
// URL alone.
func Encode(text licence.QRText) (*Symbol, error) {
	url, err := qrcode.MakeAlphanumeric(text.URL)
	if err != nil {
		return nil, fmt.Errorf("encoding URL for QR: %w", err)
	}
	segments := []*qrcode.QrSegment{url}
	if text.Digits != "" {
		sign, err := qrcode.MakeBytes([]byte("#"))
		if err != nil {
			return nil, err
		}
		digits, err := qrcode.MakeNumeric(text.Digits)
		if err != nil {
			return nil, fmt.Errorf("encoding payload for QR: %w", err)
		}
		segments = append(segments, sign, digits)
	}
	code, err := qrcode.EncodeSegments(segments, qrcode.Medium, qrcode.MinVersion, LargestVersion, 0, true)
	if err != nil {
		return nil, fmt.Errorf("encoding QR: %w", err)
	}
	return bestMasked(newSymbol(code)), nil
}

// Append appends operators that draw the symbol: white with its quiet zone first, then every
// run of dark modules once, tall rectangles before wide ones where both are possible.
// The unit is a module, so all numbers are small and whole.
func (b Box) Append(out []byte, code *Symbol) []byte {
	module := b.Size / float64(b.Modules)
	out = fmt.Appendf(out, "q %.5f 0 0 %.5f %.3f %.3f cm 1 g %d %d %d %d re f 0 g\n", module, module, b.X, b.Y,
		-QuietZone, -QuietZone, b.Modules+2*QuietZone, b.Modules+2*QuietZone)
	if code.runs == nil {
		code.runs = make([]byte, 0, 1<<14)
		for _, r := range darkRuns(code) {
			for _, v := range [...]int{int(r.x), code.Size() - int(r.y) - int(r.h), int(r.w), int(r.h)} {
				code.runs = append(strconv.AppendInt(code.runs, int64(v), 10), ' ')
			}
			code.runs = append(code.runs, "re\n"...)
		}
	}
	return append(append(out, code.runs...), "f Q"...)
}

// rect is a rectangle in modules from the upper left corner.
type rect struct{ x, y, w, h uint8 }

// darkRuns covers the dark modules with rectangles that do not overlap: each
// run of a row, and below it the same run of the next rows.
func darkRuns(code *Symbol) []rect {
	n := code.Size()
	out := make([]rect, 0, n*n/4)
	above, here := make([]int, n), make([]int, n) // 1 + the rectangle whose run starts there
	for y := range n {
		clear(here)
		for x := 0; x < n; x++ {
			start := x
			for x < n && code.Module(x, y) {
				x++
			}
			if x == start {
				continue
			}
			if i := above[start] - 1; i >= 0 && int(out[i].w) == x-start {
				out[i].h++
				here[start] = i + 1
				continue
			}
			out = append(out, rect{uint8(start), uint8(y), uint8(x - start), 1})
			here[start] = len(out)
		}
		above, here = here, above
	}
	return out
}
