package render_test

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/render"
	"elicence/templates"
)

// area is a rectangle in mm from the upper left corner of a page.
type area struct{ X, Y, W, H float64 }

// framed reports whether the boxes hold the word, several side by side together: what
// they show side by side is one word to poppler.
func (w word) framed(boxes []formElement, spare float64) bool {
	slices.SortFunc(boxes, func(a, b formElement) int { return cmp.Compare(a.X, b.X) })
	reached := w.X
	for _, e := range boxes {
		across := e.Y-spare <= w.Y && w.Y+w.H <= e.Y+e.H+spare
		if across && (e.Kind == "text" || e.Kind == "table") && e.X-spare <= reached {
			reached = max(reached, e.X+e.W+spare)
		}
	}
	return reached >= w.X+w.W
}

func (a area) holds(b area) bool {
	return b.X >= a.X && b.Y >= a.Y && b.X+b.W <= a.X+a.W && b.Y+b.H <= a.Y+a.H
}

func (a area) meets(b area) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

// form is what a layout file says of one of its forms.
type form struct {
	Page struct{ Width, Height float64 }
	// Pages and Continuation hold the elements.
	Pages        [][]formElement
	Continuation []formElement
	QR           struct {
		Page       int
		X, Y, Size float64
	}
	Duplicates []form
}

type formElement struct {
	Kind, Text string
	area
}

// word is one word as poppler finds it.
type word struct {
	text string
	area
}

// words are those of each page, by poppler.
func words(t *testing.T, path string) (pages [][]word) {
	t.Helper()
	var doc struct {
		Pages []struct {
			Words []struct {
				XMin float64 `xml:"xMin,attr"`
				YMin float64 `xml:"yMin,attr"`
				XMax float64 `xml:"xMax,attr"`
				YMax float64 `xml:"yMax,attr"`
				Text string  `xml:",chardata"`
			} `xml:"word"`
		} `xml:"body>doc>page"`
	}
	if err := xml.Unmarshal([]byte(tool(t, "poppler-utils", "pdftotext", "-bbox", path, "-")), &doc); err != nil {
		t.Fatal(err)
	}
	const mm = 25.4 / 72
	for _, p := range doc.Pages {
		var page []word
		for _, w := range p.Words {
			page = append(page, word{w.Text, area{w.XMin * mm, w.YMin * mm, (w.XMax - w.XMin) * mm, (w.YMax - w.YMin) * mm}})
		}
		pages = append(pages, page)
	}
	return pages
}

// check holds the words of the form's pages to its boxes.
func (f *form) check(t *testing.T, pages [][]word) {
	t.Helper()
	const above = 0.5 // mm by which a font's own box may be larger than a text's
	paper := area{0, 0, f.Page.Width, f.Page.Height}
	quiet := 4 * f.QR.Size / 49
	symbol := area{f.QR.X - quiet, f.QR.Y - quiet, f.QR.Size + 2*quiet, f.QR.Size + 2*quiet}
	for i, page := range pages {
		elements := f.Continuation
		if i < len(f.Pages) {
			elements = f.Pages[i]
		}
		if len(page) == 0 {
			t.Errorf("page %d is empty", i+1)
		}
		for _, w := range page {
			if !paper.holds(w.area) {
				t.Errorf("page %d: %q at %.1f lies outside the page", i+1, w.text, w.area)
			}
			if i+1 == f.QR.Page && symbol.meets(w.area) {
				t.Errorf("page %d: %q at %.1f lies on the symbol", i+1, w.text, w.area)
			}
			if !w.framed(elements, above) {
				t.Errorf("page %d: %q at %.1f lies in no box of the layout", i+1, w.text, w.area)
			}
		}
	}
}

// longest sets every free text of a licence to its greatest length, rows of lists
// included, and all names to those of 50 characters.
func longest(t *testing.T, name string) *licence.Licence {
	t.Helper()
	lic := sample(t, name)
	free := func(p property) bool {
		return p.Type == "string" && p.MaxLength > 0 && p.Pattern == "" && p.Enum == nil
	}
	for key, p := range schema(t, name) {
		if free(p) {
			lic.Fields[key] = strings.Repeat("国", p.MaxLength)
		}
		rows, _ := lic.Fields[key].([]any)
		for _, row := range rows {
			if members, ok := row.(map[string]any); ok {
				for member, p := range p.Items.Properties {
					if free(p) {
						members[member] = strings.Repeat("国", p.MaxLength)
					}
				}
			}
		}
	}
	id, err := licence.NewIdentifier(lic.TypeCode, lic.Authority.Code, "WWWWWWWWWW", 1)
	if err != nil {
		t.Fatal(err)
	}
	lic.Identifier = id
	lic.Holder.Name, lic.Authority.Name = strings.Repeat("名", 50), strings.Repeat("局", 30)
	for i := range lic.CoSealers {
		lic.CoSealers[i].Name = strings.Repeat("局", 30)
	}
	return lic
}

// TestFrames has poppler say where every word of every layout stands: with usual and with
// the longest values all lie on the page, in a box of the layout, and off the symbol.
func TestFrames(t *testing.T) {
	for name := range layouts(t) {
		data, err := fs.ReadFile(templates.Layouts(), name+"/layout.json")
		if err != nil {
			t.Fatal(err)
		}
		var f form
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		for kind, lic := range map[string]*licence.Licence{"usual": sample(t, name), "longest": longest(t, name)} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				out := mustRender(t, name, lic)
				pages := words(t, saved(t, name+"-"+kind+".pdf", sealed(t, out)))
				if len(pages) != out.Pages {
					t.Fatalf("%d pages, not %d", len(pages), out.Pages)
				}
				first := out.Pages // of the duplicates, each of which begins where its symbol says
				for i := len(f.Duplicates) - 1; i >= 0; i-- {
					d := &f.Duplicates[i]
					from := out.Duplicates[i].Page - d.QR.Page
					d.check(t, pages[from:first])
					first = from
				}
				f.check(t, pages[:first])
			})
		}
	}
}

// sealed is a drawn licence with the seal in its place.
func sealed(t *testing.T, out render.Output) []byte {
	t.Helper()
	p := picture()
	x, y := out.Seal.Centred(p.Width, p.Height)
	prepared, err := pdfsig.Prepare(out.PDF, pdfsig.Options{FieldName: "seal", Page: out.Seal.Page, X: x, Y: y, SignerName: "signer",
		Appearance:  pdfsig.Appearance{Width: p.Width, Height: p.Height, Content: p.Content},
		ClaimedTime: created, Reserve: 64})
	if err != nil {
		t.Fatal(err)
	}
	file, err := prepared.Finish([]byte{0x30, 3, 2, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	return file
}
