package render_test

import (
	"fmt"
	"strings"
	"testing"

	"elicence/licence/render"
)

// TestDecodeQRAsReadersShow: streams of which poppler or MuPDF shows another symbol, or none, than
// operators taken one by one would paint. Each shows the true symbol and hides it by what follows, or
// shows another and hides that the true one is not drawn.
func TestDecodeQRAsReadersShow(t *testing.T) {
	out := mustRender(t, "birth", sample(t, "birth"))
	b, page := out.QR, string(content(t, out.PDF))
	symbol := page[strings.LastIndex(page[:strings.LastIndex(page, "1 g")], "q "):]
	line := strings.ReplaceAll(symbol, "\n", " ")
	module := b.Size / float64(b.Modules)
	quiet := 4 * module
	left, side := b.X-quiet, b.Size+2*quiet
	white := fmt.Sprintf("1 g %.3f %.3f %.3f %.3f re f", left, b.Y-quiet, side, side)
	text := func(format string, values ...float64) string {
		args := make([]any, len(values))
		for i, v := range values {
			args[i] = v
		}
		return symbol + " BT /F1 50 Tf " + fmt.Sprintf(format, args...) + " ET"
	}
	for name, stream := range map[string]string{
		// What follows is no symbol for a reader.
		"comment behind a name":  "/x% " + line + "\n",
		"operators in an array":  "[ " + line + " ] 0 d",
		"operators in a text":    "/Span <</ActualText (> " + line + " <)>> BDC EMC",
		"text that clips":        "q BT /F1 20 Tf 7 Tr 10 10 Td (abc) Tj ET " + symbol + " Q",
		"rectangles both ways":   "q " + strings.ReplaceAll(line, " 1 1 re", " 1 1 re 9 9 -1 1 re") + " Q",
		"moved by huge numbers":  "q 1 0 0 1 65000 65000 cm 1 0 0 1 65000 65000 cm 1 0 0 1 -65000 -65000 cm 1 0 0 1 -65000 -65000 cm " + symbol + " Q",
		"an array left open":     "[ 0 " + symbol,
		"a dictionary left open": "<< /a " + symbol,
		// A reader draws white over it: what moves that away is nothing to the reader.
		"number of 32 bits":     symbol + " q 1 0 0 1 4294967296 0 cm " + white + " Q",
		"number of 64 bits":     symbol + " q 1 0 0 1 18446744073709551616 0 cm " + white + " Q",
		"exponent":              symbol + " q 1 0 0 1 1e4 0 cm " + white + " Q",
		"hexadecimal":           symbol + " q 1 0 0 1 0x1p12 0 cm " + white + " Q",
		"brace":                 symbol + " q 1 0 0 1 9000 0 /x{ cm " + white + " Q",
		"array among numbers":   symbol + " q 1 0 0 1 [9000 0] cm " + white + " Q",
		"name among numbers":    symbol + " q 1 0 0 1 9000 /x 0 cm " + white + " Q",
		"text among numbers":    symbol + " q 1 0 0 1 9000 (x) 0 cm " + white + " Q",
		"digits among numbers":  symbol + " q 1 0 0 1 9000 0 <ff> cm " + white + " Q",
		"bracket among numbers": symbol + " q 1 0 0 1 9000 0 > cm " + white + " Q",
		// What is drawn reaches further than its points.
		"wide line":           symbol + " q 2000 w 1 1 m 1 800 l S Q",
		"pointed corner":      symbol + fmt.Sprintf(" q 10 w %.3f 1 m %.3f 800 l %.3f 1 l S Q", left-40, left-39, left-38),
		"square on a corner":  symbol + fmt.Sprintf(" q 1 1 -1 1 %.3f %.3f cm 0 0 300 300 re f Q", left+side+8, b.Y-200),
		"text set large":      text("2000 0 0 2000 -400 -400 Tm (MM) Tj"),
		"text set far":        text("10 0 0 10 0 0 Tm %.3f %.3f Td (M) Tj", b.X/10, b.Y/10),
		"wide characters":     text("%.3f %.3f Td <0001000100010001> Tj", left-180, b.Y),
		"text behind text":    text("%.3f %.3f Td (MMMMM) Tj (MMMMM) Tj", left-300, b.Y),
		"spacing put back":    text("200 Tc q 0 Tc Q 1 0 0 1 %.3f %.3f Tm (MM) Tj", left-200, b.Y),
		"strips off centres":  symbol + " q " + strips(left, b.Y-quiet, side, module/3, 0.505, 0.99) + "f Q",
		"lines without width": symbol + " q " + strips(left, b.Y-quiet, side, module/3, 0, 0) + "f Q",
		"neither dark nor so": strings.Replace(symbol, "0 g", "0.49 g", 1),
	} {
		if got, err := render.DecodeQR([]byte("0 g\n"+stream), b); err == nil {
			t.Errorf("%s: decoded %.20q", name, got)
		}
	}
}

// strips are white upright rectangles on a square, one for each pixel, that begin in it at first.
func strips(x, y, side, pixel, first, width float64) string {
	s := "1 g\n"
	for k := first; k*pixel < side; k++ {
		s += fmt.Sprintf("%.5f %.5f %.5f %.5f re\n", x+k*pixel, y, width*pixel, side)
	}
	return s
}
