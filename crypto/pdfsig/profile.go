package pdfsig

import "slices"

// want is one entry that a dictionary of a given role may have.
type want struct {
	key  string
	kind kind
	name string // of a name, the only value allowed; empty allows any
	must bool   // the entry has to be there
}

// shape is all that a dictionary of one role may hold.
type shape []want

// shapeOf joins the entries of a shape.
func shapeOf(parts ...shape) shape { return slices.Concat(parts...) }

// is demands an entry with one name as its value.
func is(key, name string) shape { return shape{{key: key, kind: kindName, name: name, must: true}} }

// need demands entries of one kind.
func need(k kind, keys ...string) (s shape) {
	for _, key := range keys {
		s = append(s, want{key: key, kind: k, must: true})
	}
	return s
}

// may allows entries of one kind.
func may(k kind, keys ...string) (s shape) {
	for _, key := range keys {
		s = append(s, want{key: key, kind: k})
	}
	return s
}

// The dictionaries of a file of ours, role by role: what licence/render/pdf
// writes, and what Prepare adds. A key that is not here refuses the file, so a new
// way to hide something in a PDF needs no rule. Nothing changes these tables.
var (
	trailerShape       = shapeOf(need(kindInteger, "Size"), need(kindReference, "Root", "Info"))
	updateTrailerShape = shapeOf(trailerShape, need(kindInteger, "Prev"))
	infoShape          = need(kindString, "Producer", "Title", "CreationDate", "ModDate")
	catalogueShape     = shapeOf(is("Type", "Catalog"), need(kindReference, "Pages", "Metadata"), need(kindDictionary, "Names"), need(kindString, "Lang"), may(kindReference, "Outlines"))

	signedCatalogueShape = shapeOf(catalogueShape, need(kindReference, "AcroForm"), need(kindDictionary, "Perms"))
	pageTreeShape        = shapeOf(is("Type", "Pages"), need(kindArray, "Kids", "MediaBox"), need(kindInteger, "Count"))
	pageShape            = shapeOf(is("Type", "Page"), need(kindReference, "Parent", "Resources"), need(kindArray, "Contents"))
	sizedPageShape       = shapeOf(pageShape, need(kindArray, "MediaBox"))
	signedPageShape      = shapeOf(pageShape, need(kindArray, "Annots"))
	streamShape          = shapeOf(need(kindInteger, "Length"), is("Filter", "FlateDecode"))
	metadataShape        = shapeOf(is("Type", "Metadata"), is("Subtype", "XML"), need(kindInteger, "Length"))
)

// Attachments: the name tree of the catalogue and what it leads to (7.11.4).
var (
	namesShape        = need(kindDictionary, "EmbeddedFiles")
	nameTreeShape     = need(kindArray, "Names")
	filespecShape     = shapeOf(is("Type", "Filespec"), need(kindString, "F", "UF", "Desc"), need(kindDictionary, "EF"))
	embeddedShape     = need(kindReference, "F")
	embeddedFileShape = shapeOf(streamShape, is("Type", "EmbeddedFile"), need(kindDictionary, "Params"))
	fileParamsShape   = need(kindInteger, "Size")
)

// Bookmarks: one level, one for each page (12.3.3).
var (
	outlineShape  = shapeOf(is("Type", "Outlines"), need(kindReference, "First", "Last"), need(kindInteger, "Count"))
	bookmarkShape = shapeOf(need(kindString, "Title"), need(kindReference, "Parent"), need(kindArray, "Dest"), may(kindReference, "Prev", "Next"))
)

// Resources of the pages: one font, pictures of seals, and either one image or the pages of a
// document that is drawn over, or neither.
var (
	resourcesShape = shapeOf(need(kindDictionary, "Font"), may(kindDictionary, "XObject"))
	imagesShape    = need(kindReference, "P1")
	imageShape     = shapeOf(is("Type", "XObject"), is("Subtype", "Image"), is("ColorSpace", "DeviceRGB"), is("Filter", "DCTDecode"),
		need(kindInteger, "Width", "Height", "BitsPerComponent", "Length"))
	fontsShape          = need(kindReference, "F1")
	compositeFontShape  = shapeOf(is("Type", "Font"), is("Subtype", "Type0"), is("Encoding", "Identity-H"), need(kindName, "BaseFont"), need(kindArray, "DescendantFonts"), need(kindReference, "ToUnicode"))
	descendantFontShape = shapeOf(is("Type", "Font"), is("Subtype", "CIDFontType2"), is("CIDToGIDMap", "Identity"), need(kindName, "BaseFont"),
		need(kindDictionary, "CIDSystemInfo"), need(kindReference, "FontDescriptor"), need(kindInteger, "DW"), need(kindArray, "W"))
	systemInfoShape = shapeOf(need(kindString, "Registry", "Ordering"), need(kindInteger, "Supplement"))
	descriptorShape = shapeOf(is("Type", "FontDescriptor"), need(kindName, "FontName"), need(kindArray, "FontBBox"), need(kindReference, "FontFile2"),
		need(kindInteger, "Ascent", "Descent", "CapHeight", "Flags", "ItalicAngle", "StemV"))
	fontFileShape = shapeOf(streamShape, need(kindInteger, "Length1"))
)

// What Prepare adds (12.7.4.5, 12.8.1, 12.5.6.19, 8.10).
var (
	permsShape = need(kindReference, "DocMDP")
	formShape  = shapeOf(need(kindArray, "Fields"), need(kindInteger, "SigFlags"))

	waitingShape = shapeOf(is("Type", "Annot"), is("Subtype", "Widget"), is("FT", "Sig"), need(kindString, "T"), need(kindInteger, "F"),
		need(kindReference, "P"), need(kindArray, "Rect"))
	fieldShape       = shapeOf(waitingShape, need(kindReference, "V"), may(kindDictionary, "AP", "Lock"))
	appearancesShape = need(kindReference, "N")
	appearanceShape  = shapeOf(streamShape, is("Type", "XObject"), is("Subtype", "Form"), need(kindInteger, "FormType"), need(kindArray, "BBox"), need(kindDictionary, "Resources"))
	signatureShape   = shapeOf(is("Type", "Sig"), need(kindName, "Filter", "SubFilter"), may(kindString, "Name", "Reason", "M"),
		may(kindArray, "Reference"), need(kindArray, "ByteRange"), need(kindString, "Contents"))
)

// conform checks that v is a dictionary with the entries of a shape and no
// others.
func (v value) conform(s shape) error {
	if v.kind != kindDictionary {
		return malformed(CodeProfile, v.start, "%s where a dictionary belongs", v.kind)
	}
	for i := 0; i < len(v.items()); i += 2 {
		if err := conformEntry(v.items()[i], v.items()[i+1], s); err != nil {
			return err
		}
	}
	for _, w := range s {
		if w.must && !v.has(w.key) {
			return malformed(CodeProfile, v.start, "dictionary without /%s", w.key)
		}
	}
	return nil
}

func conformEntry(key, v value, s shape) error {
	for _, w := range s {
		if w.key != string(key.text()) {
			continue
		}
		if v.kind != w.kind {
			return malformed(CodeProfile, v.start, "/%s is %s, not %s", w.key, v.kind, w.kind)
		}
		if w.name != "" && w.name != string(v.text()) {
			return malformed(CodeProfile, v.start, "/%s is /%s, not /%s", w.key, v.text(), w.name)
		}
		return nil
	}
	return malformed(foreignCode(string(key.text())), key.start, "entry /%s, which our files do not have here", key.text())
}

// foreignCode sorts a key that the profile does not have by what it is for.
func foreignCode(key string) string {
	switch key {
	case "Encrypt":
		return CodeEncrypted
	case "XRefStm", "Linearized":
		return CodeXref
	case "OC", "OCProperties", "OCGs", "Properties":
		return CodeOptionalContent
	case "JavaScript", "JS", "OpenAction", "AA", "A", "URI", "Launch", "RichMedia":
		return CodeActiveContent
	}
	return CodeProfile
}
