package pdfsig

import (
	"bytes"
	"slices"
	"time"
)

// Read takes a signed file apart. It accepts what Prepare and Finish write for
// a file of licence/render/pdf, and refuses everything else with a *FormatError; it
// repairs nothing and skips nothing. On error the File is nil.
//
// The File refers to file, which must not change afterwards.
func Read(file []byte) (*File, error) {
	if len(file) == 0 || len(file) > MaxFileSize {
		return nil, malformed(CodeFileSize, len(file), "file of %d bytes", len(file))
	}
	revisions, err := readRevisions(file)
	if err != nil {
		return nil, err
	}
	if len(revisions) == 1 {
		return nil, malformed(CodeNoSignature, len(file), "file has no signature revision")
	}
	d, s, err := readSignatures(file, revisions)
	if err != nil {
		return nil, err
	}
	if n := len(s.waiting); n > 0 {
		return nil, malformed(CodeField, len(file), "%d fields still wait for their signatures", n)
	}
	if (d.forms > 0) != bytes.HasPrefix(d.attached["licence.json"], []byte(documentData)) {
		return nil, malformed(CodeProfile, 0, "forms on the pages, and licence data of none, or the reverse")
	}
	return &File{Signatures: s.containers, Pages: len(d.pages), Attachments: d.attached, Portrait: d.portrait, bytes: file, contents: d.contents}, nil
}

// documentData is how the data of a licence begin that is drawn on a document: they are
// canonical JSON, whose members are sorted. Only such a licence has forms on its pages; in
// any other they could be a picture that was prepared to hide something.
const documentData = `{"document":{`

// signatures is what the signature revisions of a file say.
type signatures struct {
	containers []Container
	page       int     // object number of the page that shows the widgets
	waiting    []field // not signed yet
}

// readSignatures reads every signature revision, oldest first. The first is judged
// with the whole document as it leaves it. A later one can then be held to the
// bytes that it must have: it redefines the next field and adds what that points
// to, nothing else.
func readSignatures(file []byte, revisions []revision) (*document, *signatures, error) {
	if len(revisions) == 2 {
		if err := checkByteRanges(file, 1); err != nil {
			return nil, nil, err
		}
	}
	d, err := newDocument(file, revisions[:2])
	if err != nil {
		return nil, nil, err
	}
	s, err := d.readFirst(&revisions[0], &revisions[1])
	if err != nil {
		return nil, nil, err
	}
	if more := len(revisions) - 2; more > len(s.waiting) {
		return nil, nil, malformed(CodeRevisions, revisions[2+len(s.waiting)].start, "revision after the last signature")
	}
	if err := checkByteRanges(file, len(revisions)-1); err != nil {
		return nil, nil, err
	}
	for i := 2; i < len(revisions); i++ {
		if err := s.readLater(file, &revisions[i-1], &revisions[i], d.box); err != nil {
			return nil, nil, err
		}
	}
	return d, s, nil
}

// checkByteRanges refuses a file in which a reader that searches, as several do,
// could find other ranges than the parser: in a string, say, or in a stream that is
// not compressed.
func checkByteRanges(file []byte, want int) error {
	n := 0
	for rest := file; n <= want; n++ { // a count of them all would be work for nothing
		i := bytes.Index(rest, []byte("/ByteRange"))
		if i < 0 {
			break
		}
		rest = rest[i+1:]
	}
	if n != want {
		return malformed(CodeByteRange, 0, "not %d times /ByteRange in the file, as many as signatures", want)
	}
	return nil
}

// readFirst walks the whole document from the trailer of the revision that the
// first signature brought, and checks that revision against the one before.
func (d *document) readFirst(base, r *revision) (*signatures, error) {
	page, err := d.redefinedPage(base, r)
	if err != nil {
		return nil, err
	}
	catalogue, err := d.walkRendered(r.trailer, page)
	if err != nil {
		return nil, err
	}
	if d.roles[page] != "a page" {
		return nil, malformed(CodeUpdate, d.objects[page].offset, "update redefines object %d, which is no page", page)
	}
	fields, err := d.walkForm(catalogue.body, d.objects[page])
	if err != nil {
		return nil, err
	}
	u := &update{}
	if u.appearance, err = d.walkWidget(fields[0].body, page); err != nil {
		return nil, err
	}
	signature, err := d.walkSignature(fields[0].body.entry("V"), catalogue.body)
	if err != nil {
		return nil, err
	}
	if err := d.checkReached(); err != nil {
		return nil, err
	}
	if err := u.setBase(d.file, base, d, page); err != nil {
		return nil, err
	}
	s := &signatures{page: page}
	for _, o := range fields[1:] {
		f, err := readField(o, d.box)
		if err != nil {
			return nil, err
		}
		s.waiting = append(s.waiting, f)
	}
	u.waiting = slices.Clone(s.waiting)
	c, err := u.container(fields[0], signature.body, r.end, d.box)
	if err != nil {
		return nil, err
	}
	c.Page = slices.Index(d.pages, page) + 1
	s.containers = []Container{c}
	return s, u.compare(d.file, r)
}

// readLater reads a revision that signs the next field.
func (s *signatures) readLater(file []byte, before, r *revision, box [4]float64) error {
	u := &update{field: s.waiting[0], last: len(s.waiting) == 1}
	u.setBefore(before, s.page)
	fieldObject, signature, err := u.laterObjects(r)
	if err != nil {
		return err
	}
	c, err := u.container(fieldObject, signature.body, r.end, box)
	if err != nil {
		return err
	}
	if u.field != s.waiting[0] {
		return malformed(CodeField, fieldObject.offset, "field is not the one that waited: its name or place is another")
	}
	c.Page = s.containers[0].Page
	s.containers, s.waiting = append(s.containers, c), s.waiting[1:]
	return u.compare(file, r)
}

// laterObjects finds the objects of a later update by their numbers. In which order
// and form they stand is for compare.
func (u *update) laterObjects(r *revision) (fieldObject, signature *object, err error) {
	number := u.size // of the signature
	if u.seen() {
		number++ // behind the appearance
	}
	for i := range r.objects {
		switch o := &r.objects[i]; {
		case o.number == u.object:
			fieldObject = o
		case o.number == number:
			signature = o
		case o.number == number-1 && u.seen():
			if err := o.body.conform(appearanceShape); err != nil {
				return nil, nil, err
			}
			u.appearance = o.data
		default:
			return nil, nil, malformed(CodeUpdate, o.offset, "update defines object %d beside the next signature", o.number)
		}
	}
	if fieldObject == nil || signature == nil {
		return nil, nil, malformed(CodeUpdate, r.start, "update does not sign the field that waits")
	}
	if err := fieldObject.body.conform(fieldShape); err != nil {
		return nil, nil, err
	}
	return fieldObject, signature, conformSignature(signature)
}

// redefinedPage returns the number of the one object, beside the catalogue,
// that the update defines anew.
func (d *document) redefinedPage(base, r *revision) (page int, err error) {
	catalogue := false
	for i := range r.objects {
		o := &r.objects[i]
		switch {
		case int64(o.number) >= base.trailer.entry("Size").int():
		case o.number == d.root:
			catalogue = true
		case page != 0:
			return 0, malformed(CodeUpdate, o.offset, "update redefines objects %d and %d beside the catalogue", page, o.number)
		default:
			page = o.number
		}
	}
	if !catalogue || page == 0 {
		return 0, malformed(CodeUpdate, r.start, "update does not redefine the catalogue and a page")
	}
	return page, nil
}

// walkForm reads the interactive form (12.7.3): its fields, which are also the
// annotations of the page. The first is signed, the others wait.
func (d *document) walkForm(catalogue value, page *object) (fields []*object, err error) {
	form, err := d.once(catalogue.entry("AcroForm"), "the interactive form", false, formShape)
	if err != nil {
		return nil, err
	}
	listed, annotations := form.body.entry("Fields").items(), page.body.entry("Annots")
	if len(listed) < 1 || len(listed) > maxSignatures {
		return nil, malformed(CodeField, form.offset, "form of %d fields", len(listed))
	}
	if !slices.EqualFunc(listed, annotations.items(), sameReference) {
		return nil, malformed(CodeField, annotations.start, "annotations of the page are not the fields' widgets")
	}
	for i, item := range listed {
		shape := waitingShape
		if i == 0 {
			shape = fieldShape
		}
		o, err := d.once(item, "a signature field", false, shape)
		if err != nil {
			return nil, err
		}
		fields = append(fields, o)
	}
	return fields, nil
}

func sameReference(a, b value) bool {
	return a.kind == kindReference && b.kind == kindReference && a.int() == b.int()
}

// walkWidget reads the appearance of the widget; nil for an unseen one.
func (d *document) walkWidget(f value, page int) (appearance []byte, err error) {
	if p := f.entry("P"); p.int() != int64(page) {
		return nil, malformed(CodeField, p.start, "widget belongs to object %d, not to the page that shows it", p.int())
	}
	appearances := f.entry("AP")
	if appearances.kind == kindNone {
		return nil, nil
	}
	if err := appearances.conform(appearancesShape); err != nil {
		return nil, err
	}
	o, err := d.once(appearances.entry("N"), "the appearance", true, appearanceShape)
	if err != nil {
		return nil, err
	}
	return o.data, nil
}

// walkSignature reads the signature dictionary (12.8.1). That it certifies the
// file is checked with the rest of the update, byte by byte.
func (d *document) walkSignature(ref, catalogue value) (*object, error) {
	o, first, err := d.visit(ref, "the signature", false)
	if err != nil {
		return nil, err
	}
	if !first {
		return nil, malformed(CodeNoSignature, o.offset, "signature of two fields")
	}
	if err := conformSignature(o); err != nil {
		return nil, err
	}
	perms := catalogue.entry("Perms")
	if err := perms.conform(permsShape); err != nil {
		return nil, err
	}
	if !sameReference(perms.entry("DocMDP"), ref) {
		return nil, malformed(CodeUpdate, perms.start, "certification is not by this signature")
	}
	return o, nil
}

// conformSignature checks that an object is a signature dictionary of ours.
func conformSignature(o *object) error {
	contents, ranges := o.body.entry("Contents"), o.body.entry("ByteRange")
	if contents.kind != kindString || ranges.kind != kindArray {
		return malformed(CodeNoSignature, o.offset, "signature without a value over a byte range")
	}
	if err := o.body.conform(signatureShape); err != nil {
		return err
	}
	filter, subFilter := o.body.entry("Filter"), o.body.entry("SubFilter")
	if want, known := handlers[string(subFilter.text())]; !known || want != string(filter.text()) {
		return malformed(CodeProfile, filter.start, "handler /%s for /%s", filter.text(), subFilter.text())
	}
	return nil
}

// readField reads the name and the place of a field. An unseen one stands at the
// page's corner, without extent.
func readField(o *object, box [4]float64) (f field, err error) {
	f.object = o.number
	if f.name, err = decodeText(o.body.entry("T")); err != nil {
		return field{}, err
	}
	if err := checkTexts(f.name, "", ""); err != nil {
		return field{}, malformed(CodeField, o.offset, "%v", err)
	}
	rect := o.body.entry("Rect")
	if len(rect.items()) != 4 {
		return field{}, malformed(CodeField, rect.start, "widget without a place of its own")
	}
	var corners [4]int64
	for i, n := range rect.items() {
		if n.kind != kindInteger && n.kind != kindReal {
			return field{}, malformed(CodeField, n.start, "widget without a place of its own")
		}
		corners[i] = thousandths(n.float())
	}
	if corners == [4]int64{} {
		return f, nil
	}
	f.place = [4]int64{corners[0], corners[1], corners[2] - corners[0], corners[3] - corners[1]}
	if f.place[2] <= 0 || f.place[3] <= 0 {
		return field{}, malformed(CodeField, rect.start, "widget without a place of its own")
	}
	if !within(f.rect(), box) {
		return field{}, malformed(CodeField, rect.start, "widget at %v is not on its page, which is %v", f.rect(), box)
	}
	return f, nil
}

// container reads what field and signature dictionary say, into u and into the
// Container alike. end is where the revision ends.
func (u *update) container(fieldObject *object, signature value, end int, box [4]float64) (c Container, err error) {
	if c.ByteRange, err = byteRange(signature, end); err != nil {
		return Container{}, err
	}
	contents := signature.entry("Contents")
	if c.Contents, err = parseContents(contents); err != nil {
		return Container{}, err
	}
	u.reserve = len(contents.text()) / 2
	if u.field, err = readField(fieldObject, box); err != nil {
		return Container{}, err
	}
	if u.signerName, err = decodeText(signature.entry("Name")); err != nil {
		return Container{}, err
	}
	if u.reason, err = decodeText(signature.entry("Reason")); err != nil {
		return Container{}, err
	}
	if err := checkTexts(u.name, u.signerName, u.reason); err != nil {
		return Container{}, malformed(CodeField, fieldObject.offset, "%v", err)
	}
	if m := signature.entry("M"); m.kind != kindNone {
		if u.claimedTime, err = time.Parse(timeLayout, string(m.text())); err != nil {
			return Container{}, malformed(CodeField, m.start, "claimed time is not a date in UTC")
		}
	}
	u.subFilter = string(signature.entry("SubFilter").text())
	c.FieldName, c.SignerName, c.Reason, c.ClaimedTime = u.name, u.signerName, u.reason, u.claimedTime
	c.Filter, c.SubFilter, c.Rect = handlers[u.subFilter], u.subFilter, u.rect()
	return c, nil
}

// byteRange reads /ByteRange: all of the file up to end but the token of
// /Contents, delimiters included.
func byteRange(signature value, end int) (r [4]int64, err error) {
	v, contents := signature.entry("ByteRange"), signature.entry("Contents")
	if len(v.items()) != len(r) {
		return r, malformed(CodeByteRange, v.start, "byte range of %d numbers", len(v.items()))
	}
	for i, n := range v.items() {
		if n.kind != kindInteger {
			return r, malformed(CodeByteRange, n.start, "byte range holds %s", n.kind)
		}
		r[i] = n.int()
	}
	if r != [4]int64{0, int64(contents.start), int64(contents.end), int64(end) - int64(contents.end)} {
		return r, malformed(CodeByteRange, v.start, "byte range %v does not leave out just /Contents", r)
	}
	return r, nil
}

// compare checks that a revision is what marshal makes of the facts read from
// it, outside /Contents: one spelling, one order, and of the redefined page and
// catalogue every byte as it was before the entries that were added.
func (u *update) compare(file []byte, r *revision) error {
	head, tail, gap := u.marshal(r.start)
	if at, same := difference(file[:r.end], r.start, head); !same {
		return malformed(CodeUpdate, at, "update is not what this package writes")
	}
	// The heads being equal, both have /Contents at the same byte and, as its
	// digits were counted, of the same length.
	if at, same := difference(file[:r.end], gap[1]-1, tail); !same || at != r.end {
		return malformed(CodeUpdate, at, "update is not what this package writes")
	}
	return nil
}

// difference compares want with the bytes of file from start on. It returns
// the offset of the first byte that differs, or after the last that does not.
func difference(file []byte, start int, want []byte) (at int, same bool) {
	got := file[start:min(len(file), start+len(want))]
	if bytes.Equal(got, want) {
		return start + len(want), true
	}
	n := 0
	for n < len(got) && got[n] == want[n] {
		n++
	}
	return start + n, false
}
