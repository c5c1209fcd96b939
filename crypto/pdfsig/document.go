package pdfsig

import (
	"bytes"
	"math"
	"strings"
	"unicode"
)

// document is a file being read: its objects as its last revision leaves them,
// and what the walk from the trailer has found.
type document struct {
	file      []byte
	objects   []*object    // by number; nil where there is none, as at 0
	roles     []string     // by number; empty until the walk reaches the object
	root      int          // object number of the catalogue
	info      int          // object number of the information dictionary
	tree      int          // object number of the page tree
	box       [4]float64   // of every page that has none of its own
	pages     []int        // object numbers in page order
	contents  [][2]*object // of each page: backdrop, content
	attached  map[string][]byte
	resources bool   // were read: all pages share them
	portrait  []byte // the image's data; nil: none
	forms     int    // of the document that the pages draw, which others made; 0: none
	decoded   int    // bytes decoded so far, against MaxDecoded
}

// newDocument indexes the objects of one or more revisions. The objects of the
// first are numbered from 1 without a gap; those of a later one replace or
// follow, again without a gap.
func newDocument(file []byte, revisions []revision) (*document, error) {
	d := &document{file: file, objects: []*object{nil}, attached: map[string][]byte{}}
	for i := range revisions {
		r := &revisions[i]
		highest := len(d.objects) - 1
		for j := range r.objects {
			highest = max(highest, r.objects[j].number)
		}
		if highest > len(d.objects)-1+len(r.objects) {
			return nil, malformed(CodeObject, r.xref, "object %d among %d objects", highest, len(r.objects))
		}
		d.objects = append(d.objects, make([]*object, highest+1-len(d.objects))...)
		for j := range r.objects {
			d.objects[r.objects[j].number] = &r.objects[j]
		}
		if err := d.readTrailer(r, i == 0); err != nil {
			return nil, err
		}
	}
	d.roles = make([]string, len(d.objects))
	return d, nil
}

// readTrailer checks the trailer of the revision that was just indexed.
func (d *document) readTrailer(r *revision, first bool) error {
	entries := trailerShape
	if !first {
		entries = updateTrailerShape
	}
	if err := r.trailer.conform(entries); err != nil {
		return err
	}
	root, info := int(r.trailer.entry("Root").int()), int(r.trailer.entry("Info").int())
	if size := r.trailer.entry("Size").int(); size != int64(len(d.objects)) {
		return malformed(CodeTrailer, r.trailer.start, "size is %d, not %d", size, len(d.objects))
	}
	if !first && (root != d.root || info != d.info) {
		return malformed(CodeUpdate, r.trailer.start, "update names another root or information dictionary")
	}
	d.root, d.info = root, info
	return nil
}

// visit returns the object that ref names and enters it in a role. first is
// false when the walk was there before in the same role: pages share their
// backdrop and resources. Any other second visit is refused, so that one object is
// never two things, and the walk ends.
func (d *document) visit(ref value, role string, stream bool) (o *object, first bool, err error) {
	if ref.kind != kindReference {
		return nil, false, malformed(CodeProfile, ref.start, "%s where a reference to %s belongs", ref.kind, role)
	}
	n := int(ref.int())
	if n >= len(d.objects) || d.objects[n] == nil {
		return nil, false, malformed(CodeObject, ref.start, "object %d does not exist", n)
	}
	o = d.objects[n]
	if d.roles[n] != "" && d.roles[n] != role {
		return nil, false, malformed(CodeObject, ref.start, "object %d is both %s and %s", n, d.roles[n], role)
	}
	if stream != (o.data != nil) {
		return nil, false, malformed(CodeProfile, o.offset, "%s: stream is %t, should be %t", role, o.data != nil, stream)
	}
	first = d.roles[n] == ""
	d.roles[n] = role
	return o, first, nil
}

// once visits an object that only one place may refer to.
func (d *document) once(ref value, role string, stream bool, s shape) (*object, error) {
	o, first, err := d.visit(ref, role, stream)
	if err != nil {
		return nil, err
	}
	if !first {
		return nil, malformed(CodeObject, ref.start, "object %d is %s twice", o.number, role)
	}
	return o, o.body.conform(s)
}

// walkRendered reads all that was rendered: everything but the signature. The
// catalogue and the page numbered signed (0 for none) have the shape that
// Prepare gives them.
func (d *document) walkRendered(trailer value, signed int) (catalogue *object, err error) {
	if _, err := d.once(trailer.entry("Info"), "the information dictionary", false, infoShape); err != nil {
		return nil, err
	}
	entries := catalogueShape
	if signed != 0 {
		entries = signedCatalogueShape
	}
	if catalogue, err = d.once(trailer.entry("Root"), "the catalogue", false, entries); err != nil {
		return nil, err
	}
	if _, err := d.once(catalogue.body.entry("Metadata"), "the metadata", true, metadataShape); err != nil {
		return nil, err
	}
	if err := d.walkPages(catalogue.body.entry("Pages"), signed); err != nil {
		return nil, err
	}
	if catalogue.body.has("Outlines") {
		if err := d.walkOutline(catalogue.body.entry("Outlines")); err != nil {
			return nil, err
		}
	}
	return catalogue, d.walkAttachments(catalogue.body.entry("Names"))
}

// checkReached refuses objects that the walk has not met: they could only wait
// for something to point at them.
func (d *document) checkReached() error {
	for n, o := range d.objects {
		switch {
		case n == 0:
		case o == nil:
			return malformed(CodeObject, 0, "object %d is missing", n)
		case d.roles[n] == "":
			return malformed(CodeObject, o.offset, "object %d is not used", n)
		}
	}
	return nil
}

// walkPages reads the page tree, which has one level.
func (d *document) walkPages(ref value, signed int) error {
	tree, err := d.once(ref, "the page tree", false, pageTreeShape)
	if err != nil {
		return err
	}
	d.tree = tree.number
	kids := tree.body.entry("Kids")
	if len(kids.items()) == 0 || tree.body.entry("Count").int() != int64(len(kids.items())) {
		return malformed(CodeProfile, kids.start, "page tree does not count its pages")
	}
	if d.box, err = rectangle(tree.body.entry("MediaBox")); err != nil {
		return err
	}
	for _, kid := range kids.items() {
		if err := d.walkPage(kid, signed); err != nil {
			return err
		}
	}
	return d.checkForms()
}

// pageObject reads a page's dictionary. One that is not signed may have a size of its own.
func (d *document) pageObject(ref value, signed int) (*object, error) {
	page, first, err := d.visit(ref, "a page", false)
	switch {
	case err != nil:
		return nil, err
	case !first:
		return nil, malformed(CodeObject, ref.start, "object %d is a page twice", page.number)
	case signed != 0 && ref.int() == int64(signed):
		return page, page.body.conform(signedPageShape)
	case !page.body.has("MediaBox"):
		return page, page.body.conform(pageShape)
	}
	if err := page.body.conform(sizedPageShape); err != nil {
		return nil, err
	}
	_, err = rectangle(page.body.entry("MediaBox"))
	return page, err
}

// walkPage reads a page: a backdrop that it shares with others, then its own content.
func (d *document) walkPage(ref value, signed int) error {
	page, err := d.pageObject(ref, signed)
	if err != nil {
		return err
	}
	if page.body.entry("Parent").int() != int64(d.tree) {
		return malformed(CodeObject, page.offset, "page is not a child of the page tree")
	}
	contents := page.body.entry("Contents")
	if len(contents.items()) != 2 {
		return malformed(CodeProfile, contents.start, "page of %d content streams", len(contents.items()))
	}
	backdrop, first, err := d.visit(contents.items()[0], "the backdrop", true)
	if err != nil {
		return err
	}
	if first {
		if err := backdrop.body.conform(streamShape); err != nil {
			return err
		}
	}
	content, err := d.once(contents.items()[1], "a content stream", true, streamShape)
	if err != nil {
		return err
	}
	d.pages = append(d.pages, page.number)
	d.contents = append(d.contents, [2]*object{backdrop, content})
	return d.walkResources(page.body.entry("Resources"))
}

// checkForms refuses pages of other sizes in a licence on a document: those are all of one,
// and no duplicate follows them. Each has one form, so that none waits unseen.
func (d *document) checkForms() error {
	if d.forms == 0 {
		return nil
	}
	for _, n := range d.pages {
		if page := d.objects[n]; page.body.has("MediaBox") {
			return malformed(CodeProfile, page.offset, "page with forms, of a size of its own")
		}
	}
	if d.forms != len(d.pages) {
		return malformed(CodeProfile, d.objects[d.tree].offset, "%d forms for %d pages", d.forms, len(d.pages))
	}
	return nil
}

// maxCoordinate is the largest coordinate of a rectangle: page sizes end there (annex C), and
// readers that reckon in 32 bits would see another one.
const maxCoordinate = 14_400

// rectangle reads four numbers that span an area.
func rectangle(v value) (box [4]float64, err error) {
	if v.kind != kindArray || len(v.items()) != 4 {
		return box, malformed(CodeProfile, v.start, "rectangle is not four numbers")
	}
	for i, n := range v.items() {
		if n.kind != kindInteger && n.kind != kindReal {
			return box, malformed(CodeProfile, n.start, "rectangle is not four numbers")
		}
		if box[i] = n.float(); math.Abs(box[i]) > maxCoordinate {
			return box, malformed(CodeLimit, n.start, "rectangle beyond %d points", maxCoordinate)
		}
	}
	if box[0] >= box[2] || box[1] >= box[3] {
		return box, malformed(CodeProfile, v.start, "rectangle without area")
	}
	return box, nil
}

// walkAttachments reads the embedded files. Their keys in the name tree only
// ascend; what counts for everyone is the file name.
func (d *document) walkAttachments(names value) error {
	if err := names.conform(namesShape); err != nil {
		return err
	}
	tree := names.entry("EmbeddedFiles")
	if err := tree.conform(nameTreeShape); err != nil {
		return err
	}
	pairs := tree.entry("Names").items()
	if len(pairs) > 2*MaxAttached {
		return malformed(CodeLimit, tree.start, "more than %d attached files", MaxAttached)
	}
	for i := 0; i < len(pairs); i += 2 {
		if i+1 == len(pairs) || pairs[i].kind != kindString {
			return malformed(CodeProfile, pairs[i].start, "name tree is not pairs of string and reference")
		}
		if err := d.walkAttachment(pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) walkAttachment(ref value) error {
	spec, err := d.once(ref, "a file specification", false, filespecShape)
	if err != nil {
		return err
	}
	uf := spec.body.entry("UF")
	name, err := decodeText(uf)
	if err != nil {
		return err
	}
	_, twice := d.attached[name]
	if name == "" || twice || strings.ContainsAny(name, `/\`) || strings.ContainsFunc(name, unicode.IsControl) {
		return malformed(CodeAttachment, uf.start, "file name %q is not usable or not unique", name)
	}
	if other := spec.body.entry("F"); !bytes.Equal(other.text(), uf.text()) {
		return malformed(CodeAttachment, other.start, "file specification with a second name")
	}
	if err := spec.body.entry("EF").conform(embeddedShape); err != nil {
		return err
	}
	d.attached[name], err = d.embeddedFile(spec.body.entry("EF").entry("F"))
	return err
}

// embeddedFile decodes one embedded file stream (7.11.4.1).
func (d *document) embeddedFile(ref value) ([]byte, error) {
	o, err := d.once(ref, "an embedded file", true, embeddedFileShape)
	if err != nil {
		return nil, err
	}
	params := o.body.entry("Params")
	if err := params.conform(fileParamsShape); err != nil {
		return nil, err
	}
	// The size that the file states is bounded first and then held to, so that
	// no stream is decoded further than it says.
	size := params.entry("Size").int()
	if size < 0 || size > int64(MaxDecoded-d.decoded) {
		return nil, malformed(CodeStream, o.offset, "embedded file of %d bytes is too large", size)
	}
	data, err := inflate(o, int(size), int(size))
	if err != nil {
		return nil, err
	}
	d.decoded += len(data)
	if len(data) != int(size) {
		return nil, malformed(CodeAttachment, o.offset, "embedded file of %d bytes, not %d", len(data), size)
	}
	return data, nil
}
