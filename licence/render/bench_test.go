package render_test

import (
	"testing"
)

// BenchmarkRender draws one licence of each layout. The first fonts are warm:
// they are opened once per process.
func BenchmarkRender(b *testing.B) {
	f := fonts(b)
	for name, l := range layouts(b) {
		in := input(sample(b, name))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Render(f, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRender150 draws a licence with 150 distinct characters in all, the
// figure that the project is held to: 6 ms on one core.
func BenchmarkRender150(b *testing.B) {
	f, l := fonts(b), layouts(b)["work-safety"]
	lic := sample(b, "work-safety")
	seen := map[rune]bool{}
	text := ""
	for r := rune(0x4E00); len(seen) < 150-80; r += 61 {
		seen[r], text = true, text+string(r)
	}
	lic.Fields["address"] = text
	out, err := l.Render(f, input(lic))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(out.PDF)), "bytes/file")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Render(f, input(lic)); err != nil {
			b.Fatal(err)
		}
	}
}
