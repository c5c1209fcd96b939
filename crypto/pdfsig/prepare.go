package pdfsig

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"time"

	"github.com/emmansun/gmsm/sm3"
)

// maxText is the length of a field name, signer name or reason, in characters.
const maxText = 256

// Field is the place of a signature that will be added later.
type Field struct {
	// Name is the partial field name: 1 to 256 characters, no full stop.
	Name string
	// X, Y, Width and Height are the widget's lower left corner and size in points;
	// all zero for one that shows nothing.
	X, Y, Width, Height float64
}

// Options says what Prepare adds to a file.
type Options struct {
	// FieldName is the partial field name: 1 to 256 characters, no full stop.
	FieldName string
	// Page is the number, from 1, of the page that shows the seals of the file.
	Page int
	// X and Y are the lower left corner of the seal in points from the lower
	// left corner of the page, rounded to a thousandth. The whole appearance
	// has to lie on the page.
	X, Y float64
	// Appearance is what the seal looks like; zero for a signature that shows
	// nothing.
	Appearance Appearance
	// Later names the signatures that will follow, in their order, at most three:
	// their fields have to be there before the first signature certifies the file.
	// Of a file that is signed already it must be empty; then FieldName is the next
	// field that waits, and Page, X and Y, being settled, must be zero.
	Later []Field
	// SubFilter is the encoding of the signature; empty is SubFilter, a seal.
	SubFilter string
	// SignerName and Reason are shown by PDF readers; empty leaves them out.
	SignerName, Reason string
	// ClaimedTime is the signing time that PDF readers show, cut to seconds;
	// zero leaves it out. It proves nothing.
	ClaimedTime time.Time
	// Reserve is the room for the signature in bytes of DER, 3 to MaxContents.
	// It has to hold a timestamp token that comes later.
	Reserve int
}

// Prepared is a file with room for one signature.
type Prepared struct {
	file   []byte
	gap    [2]int    // the /Contents token in file
	before hash.Hash // SM3 of what stands before it
}

// Prepare appends the incremental update (7.5.6) that carries a signature. To a file
// that licence/render/pdf wrote it adds an interactive form with the signature fields
// and their widgets, the signature dictionary with /Contents all zeros, and a
// certification: that nothing may be changed (DocMDP, P 1), or, when others follow,
// nothing but their signing (P 2). To a file with fields that wait it adds the
// signature of the next; the last of them locks the document. A file that is neither
// is a *FormatError.
//
// No byte of the file is changed, and file itself is not.
func Prepare(file []byte, o Options) (*Prepared, error) {
	u, err := newUpdate(o)
	if err != nil {
		return nil, err
	}
	if len(file) > MaxFileSize || len(file) < len(header) {
		return nil, malformed(CodeFileSize, len(file), "file of %d bytes", len(file))
	}
	base := make([]byte, 0, len(file)+2*o.Reserve+len(u.appearance)+4096)
	base = append(base, file...)
	revisions, err := readRevisions(base)
	if err != nil {
		return nil, err
	}
	if len(revisions) == 1 {
		err = u.readBase(base, &revisions[0], o.Page)
	} else {
		err = u.readWaiting(base, revisions, o)
	}
	if err != nil {
		return nil, err
	}
	head, tail, gap := u.marshal(len(base))
	base = append(base, head...)
	p := &Prepared{file: append(appendZeros(base, 2*u.reserve), tail...), gap: gap}
	if len(p.file) > MaxFileSize {
		return nil, malformed(CodeFileSize, len(p.file), "file of %d bytes with its signature", len(p.file))
	}
	if err := checkByteRanges(p.file, len(revisions)); err != nil {
		return nil, err
	}
	p.before = sm3.New()
	p.before.Write(p.file[:p.gap[0]])
	return p, nil
}

// WriteTo writes the bytes that the signature will protect: all of the file but
// /Contents.
func (p *Prepared) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(p.file[:p.gap[0]])
	if err != nil {
		return int64(n), err
	}
	m, err := w.Write(p.file[p.gap[1]:])
	return int64(n + m), err
}

// Digest returns the SM3 digest of all bytes of the file but /Contents.
func (p *Prepared) Digest() [32]byte {
	h := fork(p.before)
	h.Write(p.file[p.gap[1]:])
	return [32]byte(h.Sum(nil))
}

// Finish returns the file with der, one DER SEQUENCE, as its /Contents. It
// leaves p as it is, so that a failed attempt can be repeated.
func (p *Prepared) Finish(der []byte) ([]byte, error) {
	return replaceContents(p.file, p.gap, der)
}

// Read is Read of a file that p was finished to: nothing is taken on trust, but the SM3 of
// what stands before the signature, which Prepare made, is not made again, if these bytes
// are still the same.
func (p *Prepared) Read(file []byte) (*File, error) {
	f, err := Read(file)
	if err != nil {
		return nil, err
	}
	if end := f.Signatures[len(f.Signatures)-1].ByteRange[1]; bytes.Equal(file[:end], p.file[:p.gap[0]]) {
		f.before = p.before
	}
	return f, nil
}

// ReplaceContents returns a finished file with another signature in the place
// of its own: the same bytes protected, the same length. It is how a timestamp
// token that comes late gets into the file. A file that Read would refuse is
// refused with the same *FormatError.
func ReplaceContents(file, der []byte) ([]byte, error) {
	f, err := Read(file)
	if err != nil {
		return nil, err
	}
	r := f.Signatures[len(f.Signatures)-1].ByteRange
	return replaceContents(file, [2]int{int(r[1]), int(r[2])}, der)
}

func replaceContents(file []byte, gap [2]int, der []byte) ([]byte, error) {
	out := bytes.Clone(file) // which, unlike make, clears nothing first
	if _, err := appendContents(out[:gap[0]+1], der, (gap[1]-gap[0]-2)/2); err != nil {
		return nil, err
	}
	return out, nil
}

// newUpdate checks the options that need no file.
func newUpdate(o Options) (*update, error) {
	if err := checkTexts(o.FieldName, o.SignerName, o.Reason); err != nil {
		return nil, fmt.Errorf("pdfsig: %w", err)
	}
	if o.Reserve < 3 || o.Reserve > MaxContents {
		return nil, fmt.Errorf("pdfsig: %d bytes reserved for the signature, not 3 to %d", o.Reserve, MaxContents)
	}
	if y := o.ClaimedTime.UTC().Year(); !o.ClaimedTime.IsZero() && (y < 1 || y > 9999) {
		return nil, fmt.Errorf("pdfsig: claimed time in the year %d", y)
	}
	u := &update{
		subFilter: cmp.Or(o.SubFilter, SubFilter), signerName: o.SignerName, reason: o.Reason,
		claimedTime: o.ClaimedTime.UTC().Truncate(time.Second), reserve: o.Reserve,
	}
	if handlers[u.subFilter] == "" {
		return nil, fmt.Errorf("pdfsig: no encoding %q", o.SubFilter)
	}
	a := o.Appearance
	var err error
	if u.field, err = newField(Field{o.FieldName, o.X, o.Y, a.Width, a.Height}); err != nil {
		return nil, err
	}
	if err := u.waitFor(o.Later); err != nil {
		return nil, err
	}
	if u.seen() && a.deflated == nil {
		a, err = a.Deflated()
	}
	u.appearance = a.deflated
	return u, err
}

// waitFor adds the fields of signatures that follow.
func (u *update) waitFor(later []Field) error {
	if len(later) >= maxSignatures {
		return fmt.Errorf("pdfsig: %d signatures; at most %d fit a file", len(later)+1, maxSignatures)
	}
	names := map[string]bool{u.name: true}
	for _, l := range later {
		f, err := newField(l)
		if err != nil {
			return err
		}
		if names[f.name] {
			return fmt.Errorf("pdfsig: two fields are called %q", f.name)
		}
		names[f.name] = true
		u.waiting = append(u.waiting, f)
	}
	return nil
}

// newField checks a field and rounds its place.
func newField(f Field) (field, error) {
	if err := checkTexts(f.Name, "", ""); err != nil {
		return field{}, fmt.Errorf("pdfsig: %w", err)
	}
	out := field{name: f.Name}
	unseen := f.Width == 0 && f.Height == 0
	for i, v := range []float64{f.X, f.Y, f.Width, f.Height} {
		// Not a number fails the first comparison, hence its form.
		if !(math.Abs(v) < maxPoints) || !unseen && i >= 2 && v < 0.001 {
			return field{}, fmt.Errorf("pdfsig: widget of %g by %g points at %g, %g", f.Width, f.Height, f.X, f.Y)
		}
		out.place[i] = thousandths(v)
	}
	if unseen {
		out.place = [4]int64{}
	}
	return out, nil
}

// readBase reads the rendered file and takes from it what the update repeats.
func (u *update) readBase(base []byte, r *revision, page int) error {
	d, err := newDocument(base, []revision{*r})
	if err != nil {
		return err
	}
	if _, err := d.walkRendered(r.trailer, 0); err != nil {
		return err
	}
	if err := d.checkReached(); err != nil {
		return err
	}
	if page < 1 || page > len(d.pages) {
		return fmt.Errorf("pdfsig: page %d of %d", page, len(d.pages))
	}
	if d.objects[d.pages[page-1]].body.has("MediaBox") {
		return fmt.Errorf("pdfsig: page %d has a size of its own: seals stand on pages of the common size", page)
	}
	for _, f := range append([]field{u.field}, u.waiting...) {
		if f.seen() && !within(f.rect(), d.box) {
			return fmt.Errorf("pdfsig: seal at %v is not on page %d, which is %v", f.rect(), page, d.box)
		}
	}
	return u.setBase(base, r, d, d.pages[page-1])
}

// readWaiting reads a file that is signed already, and takes the field that waits.
func (u *update) readWaiting(base []byte, revisions []revision, o Options) error {
	_, s, err := readSignatures(base, revisions)
	if err != nil {
		return err
	}
	switch {
	case len(s.waiting) == 0:
		return malformed(CodeRevisions, len(base), "no field waits for a signature")
	case o.FieldName != s.waiting[0].name:
		return fmt.Errorf("pdfsig: field %q is not the one that waits, %q", o.FieldName, s.waiting[0].name)
	case len(o.Later) > 0 || o.Page != 0 || o.X != 0 || o.Y != 0:
		return errors.New("pdfsig: the place and the number of signatures are settled by the first")
	case u.place[2] != s.waiting[0].place[2] || u.place[3] != s.waiting[0].place[3]:
		return fmt.Errorf("pdfsig: seal of %g by %g points for a field of another size", o.Appearance.Width, o.Appearance.Height)
	}
	u.field, u.last = s.waiting[0], len(s.waiting) == 1
	u.setBefore(&revisions[len(revisions)-1], s.page)
	return nil
}
