package render_test

import (
	"testing"

	"elicence/licence/render"
)

// BenchmarkDecodeQR reads the symbol from a page's operators and decodes it, as the
// check of a finished file does.
func BenchmarkDecodeQR(b *testing.B) {
	out := mustRender(b, "birth", sample(b, "birth"))
	page := content(b, out.PDF)
	for b.Loop() {
		if _, err := render.DecodeQR(page, out.QR); err != nil {
			b.Fatal(err)
		}
	}
}
