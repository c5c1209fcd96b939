package pdfsig

import (
	"fmt"
	"math"
	"time"
)

// maxText is the length of a field name, signer name or reason, in characters.
const maxText = 256

// Options says what Prepare adds to a file.
type Options struct {
	// FieldName is the partial field name: 1 to 256 characters, no full stop.
	FieldName string
	// Page is the number, from 1, of the page that shows the seal.
	Page int
	// X and Y are the lower left corner of the seal in points from the lower
	// left corner of the page, rounded to a thousandth. The whole appearance
	// has to lie on the page.
	X, Y float64
	// Appearance is what the seal looks like.
	Appearance Appearance
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
	file []byte
	gap  [2]int // the /Contents token in file
}

// Prepare appends the one incremental update (7.5.6) that carries a signature
// to a file that licence/render/pdf wrote: an interactive form with one signature field and
// its widget, the signature dictionary with /Contents all zeros, and a
// certification that permits no changes. A file that is not such a rendering
// is a *FormatError.
//
// No byte of the rendered file is changed, and file itself is not.
func Prepare(file []byte, o Options) (*Prepared, error) {
	u, err := newUpdate(o)
	if err != nil {
		return nil, err
	}
	if len(file) > MaxFileSize || len(file) < len(header) {
		return nil, malformed(CodeFileSize, len(file), "file of %d bytes", len(file))
	}
	base := make([]byte, 0, len(file)+2*o.Reserve+len(o.Appearance.Content)+4096)
	base = append(base, file...)
	if err := u.readBase(base, o.Page); err != nil {
		return nil, err
	}
	head, tail, gap := u.marshal(len(base))
	base = append(base, head...)
	p := &Prepared{file: append(appendZeros(base, 2*u.reserve), tail...), gap: gap}
	if len(p.file) > MaxFileSize {
		return nil, malformed(CodeFileSize, len(p.file), "file of %d bytes with its signature", len(p.file))
	}
	if err := checkByteRangeOnce(p.file); err != nil {
		return nil, err
	}
	return p, nil
}

// Digest returns the SM3 digest of all bytes of the file but /Contents.
func (p *Prepared) Digest() [32]byte {
	return digest(p.file[:p.gap[0]], p.file[p.gap[1]:])
}

// Finish returns the file with der, one DER SEQUENCE, as its /Contents. It
// leaves p as it is, so that a failed attempt can be repeated.
func (p *Prepared) Finish(der []byte) ([]byte, error) {
	return replaceContents(p.file, p.gap, der)
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
	out := make([]byte, 0, len(file))
	out = append(out, file[:gap[0]+1]...)
	out, err := appendContents(out, der, (gap[1]-gap[0]-2)/2)
	if err != nil {
		return nil, err
	}
	return append(out, file[gap[1]-1:]...), nil
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
		fieldName: o.FieldName, signerName: o.SignerName, reason: o.Reason,
		claimedTime: o.ClaimedTime.UTC().Truncate(time.Second), reserve: o.Reserve,
	}
	for i, f := range []float64{o.X, o.Y, o.Appearance.Width, o.Appearance.Height} {
		// Not a number fails the first comparison, hence its form.
		if !(math.Abs(f) < maxPoints) || i >= 2 && f < 0.001 {
			return nil, fmt.Errorf("pdfsig: seal of %g by %g points at %g, %g", o.Appearance.Width, o.Appearance.Height, o.X, o.Y)
		}
		u.place[i] = thousandths(f)
	}
	a := o.Appearance
	if a.deflated == nil {
		var err error
		if a, err = a.Deflated(); err != nil {
			return nil, err
		}
	}
	u.appearance = a.deflated
	return u, nil
}

// readBase reads the rendered file and takes from it what the update repeats.
func (u *update) readBase(base []byte, page int) error {
	revisions, err := readRevisions(base)
	if err != nil {
		return err
	}
	if len(revisions) != 1 {
		return malformed(CodeRevisions, revisions[0].end, "file has been updated already")
	}
	d, err := newDocument(base, revisions)
	if err != nil {
		return err
	}
	if _, err := d.walkRendered(revisions[0].trailer, 0); err != nil {
		return err
	}
	if err := d.checkReached(); err != nil {
		return err
	}
	if page < 1 || page > len(d.pages) {
		return fmt.Errorf("pdfsig: page %d of %d", page, len(d.pages))
	}
	if !within(u.rect(), d.box) {
		return fmt.Errorf("pdfsig: seal at %v is not on page %d, which is %v", u.rect(), page, d.box)
	}
	return u.setBase(base, &revisions[0], d, d.pages[page-1])
}
