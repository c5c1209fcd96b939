package pdfsig

import (
	"bytes"
	"strconv"
)

// walkResources reads the one resource dictionary that all pages share: a TrueType
// subset as a composite font (9.7), and either at most one image, the portrait of the
// holder (8.9.5), or, for a document that others made, its pages, each a form XObject; and
// pictures of seals, forms too (8.10). Everything else that the pages show stands in their
// content streams.
func (d *document) walkResources(ref value) error {
	o, first, err := d.visit(ref, "the resources", false)
	if err != nil || !first {
		return err
	}
	if d.resources {
		return malformed(CodeProfile, o.offset, "a second resource dictionary")
	}
	d.resources = true
	if err := o.body.conform(resourcesShape); err != nil {
		return err
	}
	if err := d.walkExternal(o.body.entry("XObject")); err != nil {
		return err
	}
	fonts := o.body.entry("Font")
	if err := fonts.conform(fontsShape); err != nil {
		return err
	}
	font, err := d.once(fonts.entry("F1"), "the font", false, compositeFontShape)
	if err != nil {
		return err
	}
	if _, err := d.once(font.body.entry("ToUnicode"), "a character map", true, streamShape); err != nil {
		return err
	}
	descendants := font.body.entry("DescendantFonts")
	if len(descendants.items()) != 1 {
		return malformed(CodeProfile, descendants.start, "composite font with %d descendants", len(descendants.items()))
	}
	return d.walkDescendant(descendants.items()[0])
}

func (d *document) walkDescendant(ref value) error {
	font, err := d.once(ref, "a descendant font", false, descendantFontShape)
	if err != nil {
		return err
	}
	if err := font.body.entry("CIDSystemInfo").conform(systemInfoShape); err != nil {
		return err
	}
	descriptor, err := d.once(font.body.entry("FontDescriptor"), "a font descriptor", false, descriptorShape)
	if err != nil {
		return err
	}
	_, err = d.once(descriptor.body.entry("FontFile2"), "a font file", true, fontFileShape)
	return err
}

// walkExternal reads the external objects of the pages. Their names tell the two kinds of
// licence apart: a portrait is P1, and stands alone; forms of a document are X1, X2 and so on.
// Behind either, or alone, stand the pictures of seals, S1, S2 and so on.
func (d *document) walkExternal(objects value) error {
	if objects.kind == kindNone {
		return nil
	}
	seals, err := d.walkSeals(objects)
	if objects.count -= int32(2 * seals); err != nil || seals > 0 && objects.count == 0 {
		return err
	}
	if !objects.has("P1") {
		return d.walkForms(objects)
	}
	if err := objects.conform(imagesShape); err != nil {
		return err
	}
	image, err := d.once(objects.entry("P1"), "the portrait", true, imageShape)
	if err != nil {
		return err
	}
	d.portrait = image.data
	return nil
}

// walkSeals reads the pictures of seals, the last of the external objects, and counts them.
func (d *document) walkSeals(objects value) (seals int, err error) {
	items := objects.items()
	for seals < len(items)/2 && bytes.HasPrefix(items[len(items)-2*seals-2].text(), []byte("S")) {
		seals++
	}
	if seals > maxSignatures {
		return 0, malformed(CodeLimit, objects.start, "pictures of %d seals", seals)
	}
	items = items[len(items)-2*seals:]
	for i := range seals {
		if name := items[2*i]; string(name.text()) != "S"+strconv.Itoa(i+1) {
			return 0, malformed(CodeProfile, name.start, "picture /%s where /S%d belongs", name.text(), i+1)
		}
		form, err := d.once(items[2*i+1], "the picture of a seal", true, appearanceShape)
		if err != nil {
			return 0, err
		}
		if _, err := rectangle(form.body.entry("BBox")); err != nil {
			return 0, err
		}
		if n := form.body.entry("FormType"); n.int() != 1 {
			return 0, malformed(CodeProfile, n.start, "form of type %d", n.int())
		}
		if r := form.body.entry("Resources"); len(r.items()) > 0 {
			return 0, malformed(CodeProfile, r.start, "picture of a seal with resources")
		}
	}
	return seals, nil
}

// walkForms reads the forms of a document that the pages draw.
func (d *document) walkForms(objects value) error {
	items := objects.items()
	if d.forms = len(items) / 2; d.forms == 0 {
		return malformed(CodeProfile, objects.start, "external objects, and none in them")
	}
	for i := range d.forms {
		if name := items[2*i]; string(name.text()) != "X"+strconv.Itoa(i+1) {
			return malformed(CodeProfile, name.start, "form /%s where /X%d belongs", name.text(), i+1)
		}
	}
	return d.walkDrawn(objects, "{}xobject")
}
