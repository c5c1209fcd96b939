package pdfsig

import (
	"slices"
	"strings"
)

// Drawn says what the objects of a document that others made may hold, once its pages
// are forms of ours (8.10): by kind of object and key, the kind of the value. A kind
// "{}k" is a dictionary of names of the document's own, each of a k; an array holds
// values of its own kind; the empty kind is numbers, names and strings, and arrays of them.
//
// It is a list of what draws: no key in it leads to an action, an annotation, optional
// content, another file or a structure that a reader could act on. Whoever takes a
// document apart writes by it, the reader refuses by it. Nothing changes it.
var Drawn = map[string]map[string]string{
	"xobject": join(stream, keys("", "Type Subtype Name FormType BBox Matrix Width Height BitsPerComponent ImageMask Decode Interpolate Intent SMaskInData Matte"),
		keys("resources", "Resources"), keys("group", "Group"), keys("color", "ColorSpace"), keys("xobject", "Mask SMask")),
	"resources": join(keys("", "ProcSet"), keys("{}font", "Font"), keys("{}xobject", "XObject"), keys("{}state", "ExtGState"),
		keys("{}color", "ColorSpace"), keys("{}pattern", "Pattern"), keys("{}shading", "Shading")),
	"font": join(keys("", "Type Subtype Name BaseFont FirstChar LastChar Widths DW W DW2 W2 FontBBox FontMatrix"), keys("system", "CIDSystemInfo"),
		keys("descriptor", "FontDescriptor"), keys("map", "Encoding ToUnicode CIDToGIDMap"), keys("font", "DescendantFonts"), keys("{}map", "CharProcs"), keys("resources", "Resources")),
	"descriptor": join(keys("", "Type FontName FontFamily FontStretch FontWeight Flags FontBBox ItalicAngle Ascent Descent Leading CapHeight XHeight StemV StemH AvgWidth MaxWidth MissingWidth CharSet"),
		keys("program", "FontFile FontFile2 FontFile3"), keys("map", "CIDSet")),
	"program":   join(stream, keys("", "Subtype Length1 Length2 Length3")),
	"map":       join(stream, keys("", "Type BaseEncoding Differences CMapName WMode"), keys("system", "CIDSystemInfo"), keys("map", "UseCMap")),
	"system":    keys("", "Registry Ordering Supplement"),
	"group":     join(keys("", "Type S I K"), keys("color", "CS")),
	"state":     join(keys("", "Type LW LC LJ ML D RI OP op OPM FL SM SA BM CA ca AIS TK"), keys("softmask", "SMask")),
	"softmask":  join(keys("", "Type S BC"), keys("xobject", "G"), keys("color", "TR")),
	"pattern":   join(stream, keys("", "Type PatternType PaintType TilingType BBox XStep YStep Matrix"), keys("resources", "Resources"), keys("shading", "Shading"), keys("state", "ExtGState")),
	"shading":   join(stream, keys("", "ShadingType Background BBox AntiAlias Coords Domain Extend Matrix BitsPerCoordinate BitsPerComponent BitsPerFlag Decode VerticesPerRow"), keys("color", "ColorSpace Function")),
	"parameter": keys("", "Predictor Colors BitsPerComponent Columns EarlyChange K EndOfLine EncodedByteAlign Rows EndOfBlock BlackIs1 DamagedRowsBeforeError ColorTransform"),
	// Colour spaces hold functions and functions are shaped like them: one kind.
	"color": join(stream, keys("", "N Range FunctionType Domain Encode Decode Size BitsPerSample Order C0 C1 Bounds WhitePoint BlackPoint Gamma Matrix Subtype"),
		keys("color", "Alternate Functions Process MixingHints ColorSpace Components"), keys("{}color", "Colorants")),
}

// stream is what the dictionary of every stream may hold.
var stream = join(keys("", "Length Filter"), keys("parameter", "DecodeParms"))

// filters are how streams of a document may be encoded (7.4, table 6): what every reader decodes.
// Crypt is none of them, nor what one may learn some day.
var filters = strings.Fields("ASCIIHexDecode ASCII85Decode LZWDecode FlateDecode RunLengthDecode CCITTFaxDecode JBIG2Decode DCTDecode JPXDecode")

// checkFilters holds the value of a stream's /Filter to them.
func checkFilters(v value) error {
	list := v.items()
	if v.kind != kindArray {
		list = []value{v}
	}
	for _, f := range list {
		if f.kind != kindName || !slices.Contains(filters, string(f.text())) {
			return malformed(CodeProfile, f.start, "filter that is none of the common ones")
		}
	}
	return nil
}

func keys(kind, names string) map[string]string {
	m := map[string]string{}
	for _, name := range strings.Fields(names) {
		m[name] = kind
	}
	return m
}

func join(parts ...map[string]string) map[string]string {
	m := map[string]string{}
	for _, part := range parts {
		for name, kind := range part {
			m[name] = kind
		}
	}
	return m
}

// walkDrawn reads a value of a document that is drawn over. Such objects may share
// others, each in one kind; what the walk met before it does not enter again, so it ends.
func (d *document) walkDrawn(v value, kind string) error {
	switch v.kind {
	case kindReference:
		n := int(v.int())
		if kind == "" || n >= len(d.objects) || d.objects[n] == nil {
			return malformed(CodeProfile, v.start, "reference where a value belongs, or to no object")
		}
		o, first, err := d.visit(v, "drawn "+kind, d.objects[n].data != nil)
		if err != nil || !first {
			return err
		}
		return d.walkDrawn(o.body, kind)
	case kindArray:
		for _, item := range v.items() {
			if err := d.walkDrawn(item, kind); err != nil {
				return err
			}
		}
	case kindDictionary:
		if t := string(v.entry("Subtype").text()); kind == "xobject" && t != "Form" && t != "Image" {
			return malformed(CodeProfile, v.start, "external object of subtype /%s", t)
		}
		each, named := strings.CutPrefix(kind, "{}")
		for items := v.items(); len(items) > 0; items = items[2:] {
			child, known := each, true
			if key := string(items[0].text()); !named {
				if child, known = Drawn[kind][key]; !known {
					return malformed(foreignCode(key), items[0].start, "entry /%s, which draws nothing in a %s", key, kind)
				}
				if key == "Filter" {
					if err := checkFilters(items[1]); err != nil {
						return err
					}
				}
			}
			if err := d.walkDrawn(items[1], child); err != nil {
				return err
			}
		}
	}
	return nil
}
