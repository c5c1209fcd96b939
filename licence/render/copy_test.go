package render_test

import (
	"bytes"
	"strings"
	"testing"

	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/render"
	"elicence/templates"
)

// annotated is a sample as a copy states it.
func annotated(t testing.TB, layout string) *licence.Licence {
	t.Helper()
	l := sample(t, layout)
	l.Copy = &licence.Copy{
		ID: "0f1e2d3c4b5a69788796a5b4c3d2e1f0", CreatedAt: created, ExpiresOn: date("2026-04-11"), CaseNumber: "SB-2026-17",
		Maker: licence.Party{Name: "杭州市数据资源管理局", Code: "11330100MB1K0321XR"}, Receiver: licence.Party{Name: "杭州市社会保险管理服务中心", Code: "12330100470101308X"},
		Cause: "社会保险登记时核验用人单位的经营许可",
	}
	return l
}

// strip is the layout of what copies have above every page.
func strip(t testing.TB) *render.Layout {
	t.Helper()
	all, err := render.LoadLayouts(templates.Copies())
	if err != nil {
		t.Fatal(err)
	}
	return all["annotation"]
}

// drawnCopy draws a copy, with a picture of the issuing authority's seal and none of co-seals.
func drawnCopy(t testing.TB, l *render.Layout, lic *licence.Licence) (render.Output, error) {
	t.Helper()
	pictures := append(make([]*render.SealPicture, len(l.CoSealPlacements())), picture())
	return l.RenderCopy(fonts(t), input(lic), strip(t), pictures)
}

// TestRenderCopy: on every page of every layout's copy the watermark and the strip say for whom,
// for what and until when; the licence's own text is all there, and each symbol is decoded from
// the page as it is drawn.
func TestRenderCopy(t *testing.T) {
	for name, l := range layouts(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lic := annotated(t, name)
			out, err := drawnCopy(t, l, lic)
			if err != nil {
				t.Fatal(err)
			}
			path := saved(t, "copy-"+name+".pdf", out.PDF)
			tool(t, "qpdf", "qpdf", "--check", path)
			pages := strings.Split(strings.TrimSuffix(tool(t, "poppler-utils", "pdftotext", "-raw", path, "-"), "\f"), "\f")
			if len(pages) != out.Pages {
				t.Fatalf("%d pages, want %d", len(pages), out.Pages)
			}
			for i, page := range pages {
				page = strings.NewReplacer("\n", "").Replace(page)
				if n := strings.Count(page, "仅用于"+lic.Copy.Receiver.Name+"："+lic.Copy.Cause+"　有效期至2026-04-11"); n < 3 {
					t.Errorf("page %d has %d watermarks: %q", i+1, n, page)
				}
				if !strings.Contains(page, "仅用于："+lic.Copy.Receiver.Name+"，"+lic.Copy.Cause) || !strings.Contains(page, "有效期至：2026年4月11日当日") {
					t.Errorf("the strip of page %d does not say what it is for: %q", i+1, page)
				}
			}
			if all := strings.Join(pages, ""); strings.Count(all, "印章图像") < 1+len(out.Duplicates)+len(l.CoSealPlacements()) || !strings.Contains(all, lic.Holder.Name) || !strings.Contains(all, lic.Number) {
				t.Errorf("no mark on the seal's picture, or holder or number are missing: %q", all)
			}
			checkCopySymbols(t, out)
			for _, want := range []string{"<elicence:JZJZZSJ>2026-03-12T10:30:00+08:00<", "<elicence:JZJZZZ>" + lic.Copy.Maker.Name + "<",
				"<elicence:JZJZZSY>" + lic.Copy.Cause + "<", "<elicence:JZJYXQJZSJ>2026-04-11T23:59:59+08:00<"} {
				if !bytes.Contains(out.PDF, []byte(want)) {
					t.Errorf("the metadata has no %s", want)
				}
			}
			again, err := drawnCopy(t, l, lic)
			if err != nil || !bytes.Equal(again.PDF, out.PDF) {
				t.Errorf("another file the second time, or %v", err)
			}
		})
	}
}

// checkCopySymbols decodes every symbol of a copy and returns its text, and the file with a
// place for a signature.
func checkCopySymbols(t *testing.T, out render.Output) (_ []byte, text string) {
	t.Helper()
	prepared, err := pdfsig.Prepare(out.PDF, pdfsig.Options{FieldName: "seal", Page: out.Seal.Page, X: out.Seal.X, Y: out.Seal.Y,
		Appearance: pdfsig.Appearance{Width: out.Seal.Width, Height: out.Seal.Height, Content: []byte("0 0 10 10 re f\n")}, ClaimedTime: created, Reserve: 64})
	if err != nil {
		t.Fatal(err)
	}
	file, err := prepared.Finish([]byte{0x30, 3, 2, 1, 5})
	if err != nil {
		t.Fatal(err)
	}
	f, err := pdfsig.Read(file)
	if err != nil {
		t.Fatal("the strict reader:", err)
	}
	want := ""
	for _, box := range append([]render.QRBox{out.Strip, out.QR}, out.Duplicates...) {
		content, err := f.PageContent(box.Page)
		if err != nil {
			t.Fatal(err)
		}
		text, err := render.DecodeQR(content, box)
		if err != nil || !strings.HasPrefix(text, "HTTPS://") || want != "" && text != want {
			t.Errorf("symbol at %+v: %q, %v", box, text, err)
		}
		want = text
	}
	return file, want
}

// TestScanCopy: a camera's program reads the symbol of a copy from a picture of its first page.
func TestScanCopy(t *testing.T) {
	t.Parallel()
	lic := annotated(t, "food-business")
	out, err := drawnCopy(t, layouts(t)["food-business"], lic)
	if err != nil {
		t.Fatal(err)
	}
	file, want := checkCopySymbols(t, out)
	path := saved(t, "scan.pdf", file)
	tool(t, "poppler-utils", "pdftoppm", "-r", "150", "-gray", "-f", "1", "-singlefile", path, path)
	read := tool(t, "zbar-tools", "zbarimg", "-q", "--raw", path+".pgm")
	if read != want+"\n" && read != want+"\n"+want+"\n" {
		t.Errorf("zbar reads %q", read)
	}
}

// TestRenderCopyRefused: what cannot be drawn on the strip is refused under the name that a
// request has for it, and a licence's data make no copy.
func TestRenderCopyRefused(t *testing.T) {
	l := layouts(t)["food-business"]
	for name, spoil := range map[string]func(*licence.Licence){
		"purpose":        func(l *licence.Licence) { l.Copy.Cause = "核验\U0010FFFD资料" },
		"holder.name":    func(l *licence.Licence) { l.Holder.Name = "张\u202e三" },
		"receiver":       func(l *licence.Licence) { l.Copy.Receiver.Name = strings.Repeat("长", 600) },
		"data of a copy": func(l *licence.Licence) { l.Copy = nil },
	} {
		lic := annotated(t, "food-business")
		spoil(lic)
		if out, err := drawnCopy(t, l, lic); err == nil || out.PDF != nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
