package licence

import "strings"

// Document is what a licence states that is drawn on a document which others made, such
// as an approval (批文、证明).
type Document struct {
	// Received is SM3 of the file as it came, Kept of what the register keeps of it:
	// lower-case hex, 64 digits. The licence is made of the latter.
	Received, Kept string
	// QR is the upper left corner of the block with the symbol, Seal the centre of the seal.
	QR, Seal Place
}

// Place is a spot on a page counted from 1, in whole mm from the page's upper left corner.
type Place struct{ Page, X, Y int }

// Bounds of a place: MaxDocumentPages pages, of at most 1200 mm.
const (
	MaxDocumentPages = 200
	maxPlace         = 1200
)

func (p Place) data() map[string]any {
	return map[string]any{"page": int64(p.Page), "x": int64(p.X), "y": int64(p.Y)}
}

func (d *Document) data() map[string]any {
	return map[string]any{"received": d.Received, "kept": d.Kept, "qr": d.QR.data(), "seal": d.Seal.data()}
}

// check looks at a whole document, as it stands in licence data.
func (d *Document) check(f *faults) {
	for name, digest := range map[string]string{"received": d.Received, "kept": d.Kept} {
		if len(digest) != 64 || strings.Trim(digest, "0123456789abcdef") != "" {
			f.add("document."+name, CodeBadFormat, "is not 64 hexadecimal digits in lower case")
		}
	}
	d.QR.check(f, "document.qr")
	d.Seal.check(f, "document.seal")
}

func (p Place) check(f *faults, path string) {
	for name, v := range map[string][2]int{"page": {p.Page, MaxDocumentPages}, "x": {p.X, maxPlace}, "y": {p.Y, maxPlace}} {
		least := 0
		if name == "page" {
			least = 1
		}
		if v[0] < least || v[0] > v[1] {
			f.add(pathKey(path, name), CodeOutOfRange, "is not between %d and %d", least, v[1])
		}
	}
}

// documentOf takes a document from licence data, in the way of licenceOf.
func documentOf(v any) *Document {
	m, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	d := &Document{QR: placeOf(m["qr"]), Seal: placeOf(m["seal"])}
	d.Received, _ = m["received"].(string)
	d.Kept, _ = m["kept"].(string)
	return d
}

func placeOf(v any) Place {
	m, _ := v.(map[string]any)
	n := func(name string) int { i, _ := m[name].(int64); return int(i) }
	return Place{n("page"), n("x"), n("y")}
}

// document takes the places of a request about a document; nil when it names none.
func (m member) document() *Document {
	v, there := m.object["document"]
	if !there {
		return nil
	}
	places := member{f: m.f, path: "document", object: asObject(m.f, "document", v)}
	places.only("qr seal")
	return &Document{QR: places.place("qr"), Seal: places.place("seal")}
}

func (m member) place(name string) Place {
	p := member{f: m.f, path: pathKey(m.path, name), object: m.sub(name)}
	p.only("page x y")
	for _, key := range []string{"page", "x", "y"} {
		if _, whole := p.object[key].(int64); p.object != nil && !whole {
			m.f.add(pathKey(p.path, key), CodeWrongType, "must be a whole number")
		}
	}
	place := placeOf(p.object)
	if p.object != nil {
		place.check(m.f, p.path)
	}
	return place
}

// checkDocument compares what a request says of a document with what the type is.
func (it *CatalogueItem) checkDocument(f *faults, d *Document) {
	switch {
	case it.Document && d == nil:
		f.add("document", CodeMissing, "is required: licences of this type are drawn on a document")
	case !it.Document && d != nil:
		f.add("document", CodeUnknownField, "is not for this type, whose licences are drawn by a layout alone")
	}
}

// sampleDocument is the member "document" of a sample: symbol and seal on one page, A4.
func sampleDocument() map[string]any {
	return map[string]any{"qr": Place{1, 100, 20}.data(), "seal": Place{1, 150, 220}.data()}
}
