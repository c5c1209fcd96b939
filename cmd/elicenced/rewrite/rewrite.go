// Package rewrite takes a PDF that others made apart, so that its pages can be drawn again
// in a file of ours: pdfcpu reads and repairs it, and what draws is copied by the list of
// crypto/pdfsig. It runs in a process of its own under limits (Serve, Processes), for it is the
// only code here that believes in such a file.
//
// What could act, or make the page look different later, is refused by name. What neither
// acts nor shows is left out, and named. Nothing is copied that the list does not have.
package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"elicence/licence"
	"elicence/licence/render"

	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/types"
)

// MaxFile is the largest file that is read, in bytes: its licence must fit pdfsig.MaxFileSize.
const MaxFile = 16 << 20

// fault refuses a file.
func fault(code, format string, args ...any) error {
	return &licence.RequestError{Fields: []licence.FieldError{{Field: "file", Code: code, Detail: fmt.Sprintf(format, args...)}}}
}

// Rewrite takes a file apart. The error is a *licence.RequestError about the field "file".
func Rewrite(file []byte) (d *render.Document, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			d, err = nil, fault("unreadable", "is no PDF file that can be read: %v", cause)
		}
	}()
	if len(file) == 0 || len(file) > MaxFile {
		return nil, fault(licence.CodeTooLarge, "has %d bytes; 1 to %d are read", len(file), MaxFile)
	}
	if tail := file[max(0, len(file)-2048):]; !bytes.Contains(tail, []byte("startxref")) || !bytes.Contains(tail, []byte("%%EOF")) {
		return nil, fault("unreadable", "has lost its end") // pdfcpu would make something of the rest
	}
	api.DisableConfigDir()
	conf := model.NewDefaultConfiguration()
	conf.Offline, conf.ValidationMode = true, model.ValidationRelaxed
	ctx, err := api.ReadContext(bytes.NewReader(file), conf)
	switch {
	case err != nil && strings.Contains(err.Error(), "password"), err == nil && ctx.Encrypt != nil:
		return nil, fault("encrypted", "is encrypted")
	case err != nil:
		return nil, fault("unreadable", "is no PDF file that can be read: %v", err)
	}
	c := &copier{xref: ctx.XRefTable, numbers: map[part]int{}, out: &render.Document{First: render.FirstDocumentObject, Removed: []string{}}}
	if err := c.inspect(); err != nil {
		return nil, err
	}
	if err := c.catalogue(); err != nil {
		return nil, err
	}
	if err := api.ValidateContext(ctx); err != nil {
		return nil, fault("unreadable", "is no valid PDF file: %v", err)
	}
	if err := c.pages(); err != nil {
		return nil, err
	}
	slices.Sort(c.out.Removed)
	c.out.Removed = slices.Compact(c.out.Removed)
	return c.out, nil
}

// copier copies what draws.
type copier struct {
	xref    *model.XRefTable
	out     *render.Document
	numbers map[part]int // of the objects that were copied
}

// part is an object in one of its kinds; an object of two kinds is copied twice.
type part struct {
	number int
	kind   string
}

// catalogueEntries are what may stand in a catalogue beside the pages: what each is
// called where it is left out.
var catalogueEntries = map[string]string{
	"Type": "", "Pages": "", "Version": "", "Extensions": "", "Lang": "", "PageMode": "", "PageLayout": "", "ViewerPreferences": "",
	"MarkInfo": "", "Metadata": "metadata", "PieceInfo": "metadata", "OutputIntents": "output_intents", "PageLabels": "page_labels",
	"Outlines": "bookmarks", "Dests": "destinations", "Names": "names", "StructTreeRoot": "structure", "SpiderInfo": "metadata",
	"OpenAction": "opening_view", "Threads": "threads", "URI": "links", "AcroForm": "empty_form",
}

// catalogue names what is left out of the catalogue, before the validation mends it.
func (c *copier) catalogue() error {
	catalogue, err := c.xref.Catalog()
	if err != nil {
		return fault("unreadable", "has no catalogue: %v", err)
	}
	for key := range catalogue {
		name, known := catalogueEntries[key]
		if !known {
			return fault("unsupported", "has the entry %.40q in its catalogue", key)
		}
		c.removed(name)
	}
	return nil
}

// pages copies the pages and bounds them: all of one size, which a licence's are.
func (c *copier) pages() error {
	if err := c.xref.EnsurePageCount(); err != nil || c.xref.PageCount < 1 || c.xref.PageCount > licence.MaxDocumentPages {
		return fault(licence.CodeTooMany, "has %d pages; 1 to %d are taken", c.xref.PageCount, licence.MaxDocumentPages)
	}
	for n := 1; n <= c.xref.PageCount; n++ {
		if err := c.page(n); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) removed(name string) {
	if name != "" {
		c.out.Removed = append(c.out.Removed, name)
	}
}

// page copies one page as a form XObject, upright and with its corner at the origin.
func (c *copier) page(n int) error {
	page, _, inherited, err := c.xref.PageDict(n, false)
	if err != nil || page == nil || inherited == nil || inherited.MediaBox == nil {
		return fault("unreadable", "has a page %d that cannot be read", n)
	}
	if err := c.annotations(page, n); err != nil {
		return err
	}
	if unit, there := page.Find("UserUnit"); there {
		if one, err := c.xref.DereferenceNumber(unit); err != nil || one != 1 {
			return fault("unsupported", "has a page %d in units of its own", n)
		}
	}
	box := inherited.MediaBox
	if crop := inherited.CropBox; crop != nil {
		box = types.NewRectangle(max(box.LL.X, crop.LL.X), max(box.LL.Y, crop.LL.Y), min(box.UR.X, crop.UR.X), min(box.UR.Y, crop.UR.Y))
	}
	w, h, matrix := upright(box, inherited.Rotate)
	switch {
	case w < 1 || h < 1 || w > 3400 || h > 3400:
		return fault("page_size", "has a page %d of %.0f by %.0f points", n, w, h)
	case n == 1:
		c.out.Width, c.out.Height = w, h
	case max(w-c.out.Width, c.out.Width-w, h-c.out.Height, c.out.Height-h) > 1:
		return fault("page_size", "has pages of different sizes, which one licence cannot have: page %d", n)
	}
	content, err := c.xref.PageContent(page, n)
	_, some := page.Find("Contents")
	if err != nil && (some || !errors.Is(err, model.ErrNoContent)) || some && content == nil {
		return fault("unreadable", "has a page %d whose content cannot be read: %v", n, err)
	}
	form := types.Dict{"Type": types.Name("XObject"), "Subtype": types.Name("Form"), "Matrix": matrix, "BBox": box.Array()}
	if inherited.Resources != nil {
		form["Resources"] = inherited.Resources
	}
	if group, there := page.Find("Group"); there {
		form["Group"] = group
	}
	number, err := c.stream(form, content, true, "xobject")
	c.out.Pages = append(c.out.Pages, number)
	return err
}

// upright turns a page by its rotation, clockwise in degrees (7.7.3.3).
func upright(box *types.Rectangle, rotate int) (w, h float64, matrix types.Array) {
	x, y := box.LL.X, box.LL.Y
	w, h = box.Width(), box.Height()
	f := func(m ...float64) (a types.Array) {
		for _, v := range m {
			a = append(a, types.Float(v))
		}
		return a
	}
	switch (rotate%360 + 360) % 360 {
	case 90:
		return h, w, f(0, -1, 1, 0, -y, x+w)
	case 180:
		return w, h, f(-1, 0, 0, -1, x+w, y+h)
	case 270:
		return h, w, f(0, 1, -1, 0, y+h, -x)
	}
	return w, h, f(1, 0, 0, 1, -x, -y)
}

// annotations leaves links and the like out. What would no longer be seen is refused.
func (c *copier) annotations(page types.Dict, n int) error {
	o, _ := page.Find("Annots")
	list, err := c.xref.DereferenceArray(o)
	if err != nil {
		return fault("unreadable", "has a page %d whose annotations cannot be read", n)
	}
	for _, o := range list {
		a, err := c.xref.DereferenceDict(o)
		if err != nil || a == nil || a.Subtype() == nil {
			return fault("unreadable", "has a page %d whose annotations cannot be read", n)
		}
		switch subtype := *a.Subtype(); subtype {
		case "Link":
			c.removed("links")
		case "Widget":
			return fault("form", "has form fields on page %d", n)
		default:
			return fault("annotation", "has an annotation on page %d, %.40q, that the licence would not show", n, subtype)
		}
	}
	return nil
}
