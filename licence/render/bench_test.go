package render_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"github.com/tdewolff/font"

	"elicence/licence"
	"elicence/licence/render"
	"elicence/testdata/hostile"
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

// BenchmarkRenderDistinct draws a licence with 150 and with 300 distinct characters, and one with
// 150 of which one stands in a font of 50 MB; beside them, what fpdf needs for the same
// text alone, given the font as it is, and given one that is cut to the characters.
func BenchmarkRenderDistinct(b *testing.B) {
	for _, c := range []struct {
		name     string
		distinct int
		rare     string
	}{{"150", 150, ""}, {"300", 300, ""}, {"150-one-rare", 149, "𬭼"}} {
		lic := distinct(b, c.distinct, c.rare)
		b.Run(c.name+"/ours", func(b *testing.B) { benchmarkOurs(b, lic) })
		if c.rare == "" {
			text := pageText(b, lic)
			b.Run(c.name+"/fpdf", func(b *testing.B) { benchmarkFpdf(b, text, false) })
			b.Run(c.name+"/fpdf-cut", func(b *testing.B) { benchmarkFpdf(b, text, true) })
		}
	}
}

// distinct is a licence whose page has so many distinct characters, and a rare text more.
func distinct(b *testing.B, n int, rare string) *licence.Licence {
	b.Helper()
	lic := sample(b, "work-safety")
	lic.Holder.Name, lic.Fields["principal"] = "浙江钱塘建工集团有限公司"+rare, "刘建国"
	seen := map[rune]bool{}
	for _, r := range pageText(b, lic) {
		seen[r] = true
	}
	n += len([]rune(rare))
	address := []rune(lic.Fields["address"].(string))
	for r := rune(0x4E00); len(seen) < n; r += 61 {
		if !seen[r] {
			seen[r], address = true, append(address, r)
		}
	}
	half := len(address) / 2
	lic.Fields["address"], lic.Fields["scope"] = string(address[:half]), lic.Fields["scope"].(string)+string(address[half:])
	return lic
}

// pageText is the text of the licence's page.
func pageText(b *testing.B, lic *licence.Licence) string {
	return extracted(b, mustRender(b, "work-safety", lic).PDF, "-raw")
}

func benchmarkOurs(b *testing.B, lic *licence.Licence) {
	l, f, in := layouts(b)["work-safety"], fonts(b), input(lic)
	var out render.Output
	before := hostile.ProcessorTime()
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, err = l.Render(f, in); err != nil {
			b.Fatal(err)
		}
	}
	reportProcessor(b, before)
	b.ReportMetric(float64(len(out.PDF)), "bytes/file")
}

// benchmarkFpdf writes the text and nothing else. The font is read, and for cutting parsed,
// once.
func benchmarkFpdf(b *testing.B, text string, cut bool) {
	data, err := os.ReadFile("../../fonts/NotoSerifSC_400Regular.ttf")
	if err != nil {
		b.Fatal(err)
	}
	parsed, err := font.ParseSFNT(data, 0)
	if err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	before := hostile.ProcessorTime()
	b.ReportAllocs()
	for b.Loop() {
		used := data
		if cut {
			if used, err = cutFont(parsed, text); err != nil {
				b.Fatal(err)
			}
		}
		out.Reset()
		if err := writeFpdf(&out, used, text); err != nil {
			b.Fatal(err)
		}
	}
	reportProcessor(b, before)
	b.ReportMetric(float64(out.Len()), "bytes/file")
}

// reportProcessor is what one cost, garbage collected: other work on the machine does not tell.
func reportProcessor(b *testing.B, before time.Duration) {
	b.ReportMetric(float64(hostile.ProcessorTime()-before)/float64(b.N)/1e6, "cpu-ms/op")
}

// cutFont is the font with the characters of the text alone, and a map of them.
func cutFont(parsed *font.SFNT, text string) ([]byte, error) {
	glyphs := []uint16{0}
	for _, r := range text {
		if g := parsed.GlyphIndex(r); !slices.Contains(glyphs, g) {
			glyphs = append(glyphs, g)
		}
	}
	small, err := parsed.Subset(glyphs, font.SubsetOptions{Tables: font.KeepMinTables})
	if err != nil {
		return nil, fmt.Errorf("cutting: %w", err)
	}
	return small.Write(), nil
}

func writeFpdf(out *bytes.Buffer, data []byte, text string) error {
	doc := fpdf.New("P", "mm", "A4", "")
	doc.AddUTF8FontFromBytes("song", "", data)
	doc.AddPage()
	doc.SetFont("song", "", 12)
	doc.MultiCell(170, 6, text, "", "L", false)
	return doc.Output(out)
}
