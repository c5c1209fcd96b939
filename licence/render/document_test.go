package render_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"elicence/licence"
	"elicence/licence/render"
	"elicence/templates"
)

// block is the layout of documents that ships.
func block(t testing.TB) *render.Layout {
	t.Helper()
	all, err := render.LoadLayouts(templates.Layouts())
	if err != nil {
		t.Fatal(err)
	}
	return all["approval-document"]
}

// drawnDocument is a document of blank pages of a size in points.
func drawnDocument(width, height float64, pages int) *render.Document {
	d := &render.Document{First: render.FirstDocumentObject, Width: width, Height: height}
	for i := range pages {
		d.Pages = append(d.Pages, d.First+i)
		d.Objects = append(d.Objects, []byte("<</Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 0>>\nstream\n\nendstream"))
	}
	return d
}

// TestOnDocument draws a block on the second page of three, and reads its symbol there.
func TestOnDocument(t *testing.T) {
	in := render.Input{Licence: sample(t, "food-business"), QR: qrText(), CreatedAt: created}
	if _, err := block(t).Render(fonts(t), in); err == nil {
		t.Error("a block was drawn without a document")
	}
	l, err := block(t).On(drawnDocument(595, 842, 3), &licence.Document{QR: licence.Place{Page: 2, X: 100, Y: 200}, Seal: licence.Place{Page: 3, X: 50, Y: 60}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := l.Render(fonts(t), in)
	if err != nil {
		t.Fatal(err)
	}
	if out.Pages != 3 || out.QR.Page != 2 || out.Seal.Page != 3 {
		t.Errorf("%d pages, symbol %+v, seal %+v", out.Pages, out.QR, out.Seal)
	}
	again, err := l.Render(fonts(t), in)
	if err != nil || !bytes.Equal(out.PDF, again.PDF) {
		t.Errorf("not the same bytes: %v", err)
	}
	path := saved(t, "document.pdf", out.PDF)
	tool(t, "qpdf", "qpdf", "--check", path)
	picture := strings.TrimSuffix(path, ".pdf") + "-page"
	tool(t, "poppler-utils", "pdftoppm", "-r", "200", "-gray", "-f", "2", "-singlefile", path, picture)
	if got := strings.TrimSpace(tool(t, "zbar-tools", "zbarimg", "-q", "--raw", picture+".pgm")); got != qrText().String() {
		t.Errorf("zbarimg reads %q", got)
	}
}

// TestOnDocumentRefuses: places off the pages, and seals on the symbol.
func TestOnDocumentRefuses(t *testing.T) {
	for name, at := range map[string]licence.Document{
		"symbol's page":   {QR: licence.Place{Page: 3}, Seal: licence.Place{Page: 1, X: 50, Y: 60}},
		"seal's page":     {QR: licence.Place{Page: 1}, Seal: licence.Place{Page: 3, X: 50, Y: 60}},
		"block too far":   {QR: licence.Place{Page: 1, X: 175}, Seal: licence.Place{Page: 1, X: 50, Y: 60}},
		"block too low":   {QR: licence.Place{Page: 1, Y: 252}, Seal: licence.Place{Page: 1, X: 50, Y: 60}},
		"seal on symbol":  {QR: licence.Place{Page: 1, X: 50, Y: 50}, Seal: licence.Place{Page: 1, X: 60, Y: 60}},
		"seal off paper":  {QR: licence.Place{Page: 1}, Seal: licence.Place{Page: 2, X: 10, Y: 60}},
		"seal below foot": {QR: licence.Place{Page: 1}, Seal: licence.Place{Page: 2, X: 50, Y: 290}},
	} {
		l, err := block(t).On(drawnDocument(595, 842, 2), &at)
		var invalid *licence.RequestError
		if err == nil {
			if err = l.CheckSeals([2]float64{119, 119}); err == nil {
				t.Errorf("%s: taken", name)
			}
		} else if !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestParseDocument refuses what no version keeps.
func TestParseDocument(t *testing.T) {
	good, err := json.Marshal(drawnDocument(595, 842, 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := render.ParseDocument(good); err != nil {
		t.Fatal(err)
	}
	for _, edit := range [][2]string{
		{`"first":12`, `"first":13`}, {`"pages":[12,13]`, `"pages":[]`}, {`"pages":[12,13]`, `"pages":[12,14]`}, {`"pages":[12,13]`, `"pages":[11,13]`},
		{`"width":595`, `"width":0`}, {`"height":842`, `"height":99999`}, {`{`, ``},
	} {
		bad := strings.Replace(string(good), edit[0], edit[1], 1)
		if _, err := render.ParseDocument([]byte(bad)); err == nil || bad == string(good) {
			t.Errorf("%s: taken", edit[1])
		}
	}
}

// TestBlockRefuses changes one thing of the block that ships.
func TestBlockRefuses(t *testing.T) {
	file, err := templates.Layouts().Open("approval-document/layout.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var good bytes.Buffer
	if _, err := good.ReadFrom(file); err != nil {
		t.Fatal(err)
	}
	for _, edit := range [][2]string{
		{`"width": 36`, `"width": 19`}, {`"height": 46`, `"height": 101`}, {`"document": true,`, `"document": true, "ground": {"colour": "#ffffff"},`},
		{`"document": true,`, `"document": true, "frame": {"style": "lines"},`}, {`"document": true,`, `"document": true, "riding_seal": true,`},
		{`"document": true,`, `"document": true, "seal": {"page": 1, "x": 18, "y": 18, "diameter": 40},`}, {`"document": true,`, `"document": true, "continuation": [],`},
		{`"x": 3.5, "y": 3.5`, `"x": 1, "y": 3.5`}, {`"page": 1, "x": 3.5`, `"page": 2, "x": 3.5`}, {`"y": 34.4`, `"y": 30`}, {`"document": true,`, ``},
		{`"document": true,`, `"document": true, "duplicates": [{}],`}, {`{"kind": "text", "x": 1, "y": 34.4, "w": 34, "h": 3.6, "text": "扫码查验", "lines": 1}`, `{"kind": "portrait", "x": 1, "y": 1, "w": 17.86, "h": 22, "field": "fields.portrait"}`},
		{`"size": 28.5`, `"size": 20`},
	} {
		bad := strings.Replace(good.String(), edit[0], edit[1], 1)
		_, err := render.LoadLayouts(fstest.MapFS{"x/layout.json": {Data: []byte(bad)}})
		if err == nil || bad == good.String() || !strings.HasPrefix(err.Error(), "x/layout.json:") {
			t.Errorf("%s: %v", edit[1], err)
		}
	}
}
