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
	if err := checkByteRangeOnce(file); err != nil {
		return nil, err
	}
	d, err := newDocument(file, revisions)
	if err != nil {
		return nil, err
	}
	container, err := d.readSignature(&revisions[0], &revisions[1])
	if err != nil {
		return nil, err
	}
	return &File{
		Signatures: []Container{container}, Pages: len(d.pages), Attachments: d.attached,
		bytes: file, contents: d.contents,
	}, nil
}

// checkByteRangeOnce refuses a file in which a reader that searches, as several
// do, could find other ranges than the parser: in a string, say, or in a
// stream that is not compressed.
func checkByteRangeOnce(file []byte) error {
	if n := bytes.Count(file, []byte("/ByteRange")); n != 1 {
		return malformed(CodeByteRange, 0, "%d times /ByteRange in the file", n)
	}
	return nil
}

// readSignature walks the whole document from the trailer of the revision that
// the signature brought, and checks that revision against the one before.
func (d *document) readSignature(base, r *revision) (c Container, err error) {
	page, err := d.redefinedPage(base, r)
	if err != nil {
		return Container{}, err
	}
	catalogue, err := d.walkRendered(r.trailer, page)
	if err != nil {
		return Container{}, err
	}
	if d.roles[page] != "a page" {
		return Container{}, malformed(CodeUpdate, d.objects[page].offset, "update redefines object %d, which is no page", page)
	}
	field, err := d.walkForm(catalogue.body, d.objects[page])
	if err != nil {
		return Container{}, err
	}
	appearance, err := d.walkWidget(field.body, page)
	if err != nil {
		return Container{}, err
	}
	signature, err := d.walkSignature(field.body.entry("V"), catalogue.body)
	if err != nil {
		return Container{}, err
	}
	if err := d.checkReached(); err != nil {
		return Container{}, err
	}
	u := &update{appearance: appearance.data}
	if err := u.setBase(d.file, base, d, page); err != nil {
		return Container{}, err
	}
	if c, err = u.container(field.body, signature.body, r.end); err != nil {
		return Container{}, err
	}
	c.Page = slices.Index(d.pages, page) + 1
	if !within(c.Rect, d.box) {
		return Container{}, malformed(CodeField, field.offset, "widget at %v is not on its page, which is %v", c.Rect, d.box)
	}
	return c, u.compare(d.file, r)
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

// walkForm reads the interactive form (12.7.3) up to its one field, which is
// also the one annotation of the page.
func (d *document) walkForm(catalogue value, page *object) (field *object, err error) {
	form, err := d.once(catalogue.entry("AcroForm"), "the interactive form", false, formShape)
	if err != nil {
		return nil, err
	}
	fields, annotations := form.body.entry("Fields"), page.body.entry("Annots")
	if len(fields.items()) != 1 {
		return nil, malformed(CodeField, fields.start, "form of %d fields for one signature", len(fields.items()))
	}
	if len(annotations.items()) != 1 || !sameReference(annotations.items()[0], fields.items()[0]) {
		return nil, malformed(CodeField, annotations.start, "annotations of the page are not the one widget")
	}
	return d.once(fields.items()[0], "the signature field", false, fieldShape)
}

func sameReference(a, b value) bool {
	return a.kind == kindReference && b.kind == kindReference && a.int() == b.int()
}

// walkWidget reads the place and the appearance of the widget.
func (d *document) walkWidget(field value, page int) (appearance *object, err error) {
	if p := field.entry("P"); p.int() != int64(page) {
		return nil, malformed(CodeField, p.start, "widget belongs to object %d, not to the page that shows it", p.int())
	}
	if _, err := rectangle(field.entry("Rect")); err != nil {
		return nil, malformed(CodeField, field.entry("Rect").start, "widget without a place of its own")
	}
	appearances := field.entry("AP")
	if err := appearances.conform(appearancesShape); err != nil {
		return nil, err
	}
	return d.once(appearances.entry("N"), "the appearance", true, appearanceShape)
}

// walkSignature reads the signature dictionary (12.8.1). That it certifies the
// file is checked with the rest of the update, byte by byte.
func (d *document) walkSignature(ref, catalogue value) (*object, error) {
	o, first, err := d.visit(ref, "the signature", false)
	if err != nil {
		return nil, err
	}
	contents, ranges := o.body.entry("Contents"), o.body.entry("ByteRange")
	if !first || contents.kind != kindString || ranges.kind != kindArray {
		return nil, malformed(CodeNoSignature, o.offset, "signature without a value over a byte range")
	}
	if err := o.body.conform(signatureShape); err != nil {
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

// container reads what field and signature dictionary say, into u and into the
// Container alike. end is where the revision ends.
func (u *update) container(field, signature value, end int) (c Container, err error) {
	if c.ByteRange, err = byteRange(signature, end); err != nil {
		return Container{}, err
	}
	contents := signature.entry("Contents")
	if c.Contents, err = parseContents(contents); err != nil {
		return Container{}, err
	}
	u.reserve = len(contents.text()) / 2
	for _, text := range []struct {
		to   *string
		from value
	}{{&u.fieldName, field.entry("T")}, {&u.signerName, signature.entry("Name")}, {&u.reason, signature.entry("Reason")}} {
		if *text.to, err = decodeText(text.from); err != nil {
			return Container{}, err
		}
	}
	if err := checkTexts(u.fieldName, u.signerName, u.reason); err != nil {
		return Container{}, malformed(CodeField, field.start, "%v", err)
	}
	if m := signature.entry("M"); m.kind != kindNone {
		if u.claimedTime, err = time.Parse(timeLayout, string(m.text())); err != nil {
			return Container{}, malformed(CodeField, m.start, "claimed time is not a date in UTC")
		}
	}
	var corners [4]int64
	for i, n := range field.entry("Rect").items() {
		corners[i] = thousandths(n.float())
	}
	u.place = [4]int64{corners[0], corners[1], corners[2] - corners[0], corners[3] - corners[1]}
	c.FieldName, c.SignerName, c.Reason, c.ClaimedTime = u.fieldName, u.signerName, u.reason, u.claimedTime
	c.Filter, c.SubFilter, c.Rect = Filter, SubFilter, u.rect()
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
