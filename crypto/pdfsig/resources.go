package pdfsig

// walkResources reads the one resource dictionary that all pages share. There
// are no external objects in it: what the pages show stands in their content
// streams, and the one form XObject of a file is the appearance of the seal.
func (d *document) walkResources(ref value) error {
	o, first, err := d.visit(ref, "the resources", false)
	if err != nil || !first {
		return err
	}
	if err := o.body.conform(resourcesShape); err != nil {
		return err
	}
	for _, key := range []string{"XObject", "ColorSpace"} {
		if entry := o.body.entry(key); len(entry.items()) != 0 {
			return malformed(CodeProfile, entry.start, "/%s in the resources is not empty", key)
		}
	}
	fonts := o.body.entry("Font").items()
	for i := 1; i < len(fonts); i += 2 {
		if err := d.walkFont(fonts[i]); err != nil {
			return err
		}
	}
	return nil
}

// walkFont reads a font: one of the standard 14, or a TrueType subset as a
// composite font (9.7).
func (d *document) walkFont(ref value) error {
	o, first, err := d.visit(ref, "a font", false)
	if err != nil || !first {
		return err
	}
	if string(o.body.entry("Subtype").text()) == "Type1" {
		return o.body.conform(coreFontShape)
	}
	if err := o.body.conform(compositeFontShape); err != nil {
		return err
	}
	if _, err := d.once(o.body.entry("ToUnicode"), "a character map", true, streamShape); err != nil {
		return err
	}
	descendants := o.body.entry("DescendantFonts")
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
	if _, err := d.once(font.body.entry("CIDSystemInfo"), "a character collection", false, systemInfoShape); err != nil {
		return err
	}
	if _, err := d.once(font.body.entry("CIDToGIDMap"), "a glyph map", true, streamShape); err != nil {
		return err
	}
	descriptor, err := d.once(font.body.entry("FontDescriptor"), "a font descriptor", false, descriptorShape)
	if err != nil {
		return err
	}
	_, err = d.once(descriptor.body.entry("FontFile2"), "a font file", true, fontFileShape)
	return err
}
