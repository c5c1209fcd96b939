package pdfsig

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"time"
)

// maxPoints bounds coordinates; the largest page of PDF 1.7 has 14,400 points.
const maxPoints = 100_000

// timeLayout is a date of 7.9.4 in UTC, to the second.
const timeLayout = "D:20060102150405Z"

// field is a signature field: its name, and where its widget stands.
type field struct {
	name   string
	place  [4]int64 // left, bottom, width, height in thousandths of a point; no width: unseen
	object int      // its number; 0 while it has none
}

// seen reports whether the field's widget shows anything.
func (f *field) seen() bool { return f.place[2] != 0 }

// corners returns left, bottom, right and top in thousandths of a point.
func (f *field) corners() [4]int64 {
	return [4]int64{f.place[0], f.place[1], f.place[0] + f.place[2], f.place[1] + f.place[3]}
}

// rect returns the widget's rectangle in points.
func (f *field) rect() (r [4]float64) {
	for i, n := range f.corners() {
		r[i] = float64(n) / 1000
	}
	return r
}

// update is everything that a signature revision says. Prepare fills it from
// Options, Read from a file; marshal is the only thing that writes one, which
// lets Read compare the bytes of a file with what they should have been.
//
// The first update of a file makes the form with all the fields there will ever
// be, signs the first of them, and certifies the file. A later one signs the next
// field and does nothing else; the last of several locks the document.
type update struct {
	// Of the revisions before: the next free object number, and the rest of the
	// trailer.
	size, root, info, prev int
	// Of the first revision, for the first update alone: the objects that it
	// redefines, with their dictionaries as they were.
	page                int
	catalogue, pageBody []byte

	field               // that is signed
	waiting     []field // first update: those that later ones sign
	later, last bool    // not the first update of the file; the last of several
	subFilter   string
	signerName  string
	reason      string
	claimedTime time.Time // zero when absent
	appearance  []byte    // deflated; nil for an unseen field
	reserve     int       // bytes of DER
}

// setBase takes the part of the first update that comes from the first revision.
// The objects that it repeats were plain dictionaries there: a walk from the last
// trailer does not meet them in their old form.
func (u *update) setBase(file []byte, base *revision, d *document, page int) error {
	u.size = int(base.trailer.entry("Size").int())
	u.root, u.info, u.page, u.prev = d.root, d.info, page, base.xref
	for i := range base.objects {
		o := &base.objects[i]
		if o.number != u.root && o.number != u.page {
			continue
		}
		if o.body.kind != kindDictionary || o.data != nil {
			return malformed(CodeUpdate, o.offset, "update redefines object %d, which was no dictionary", o.number)
		}
		if o.number == u.root {
			u.catalogue = file[o.body.start:o.body.end]
		} else {
			u.pageBody = file[o.body.start:o.body.end]
		}
	}
	return nil
}

// setBefore takes the part of a later update that comes from the one before it.
func (u *update) setBefore(before *revision, page int) {
	u.later, u.page, u.prev = true, page, before.xref
	u.size = int(before.trailer.entry("Size").int())
	u.root, u.info = int(before.trailer.entry("Root").int()), int(before.trailer.entry("Info").int())
}

// within reports whether a rectangle lies on a page.
func within(rect, box [4]float64) bool {
	return rect[0] >= box[0] && rect[1] >= box[1] && rect[2] <= box[2] && rect[3] <= box[3]
}

func thousandths(f float64) int64 { return int64(math.Round(f * 1000)) }

// updateWriter collects the bytes of an update and where its objects begin.
// The digits of /Contents are counted and not written.
type updateWriter struct {
	bytes.Buffer
	start   int // of the update in the file, and the digits once they are passed
	offsets map[int]int
	next    int // free object number
}

// at returns where in the file the next byte stands.
func (w *updateWriter) at() int { return w.start + w.Len() }

func (w *updateWriter) text(parts ...string) {
	for _, s := range parts {
		w.WriteString(s)
	}
}

func (w *updateWriter) begin(number int) {
	w.offsets[number] = w.at()
	w.text(strconv.Itoa(number), " 0 obj\n")
}

// number takes the next free object number.
func (w *updateWriter) number() int {
	w.next++
	return w.next - 1
}

func ref(number int) string { return strconv.Itoa(number) + " 0 R" }

// numbers formats thousandths in the fewest digits, between brackets.
func numbers(values ...int64) string {
	out := []byte{'['}
	for i, n := range values {
		if i > 0 {
			out = append(out, ' ')
		}
		out = strconv.AppendFloat(out, float64(n)/1000, 'f', -1, 64)
	}
	return string(append(out, ']'))
}

// marshal returns the update that follows start bytes in two parts, before and
// after the digits of /Contents, and where in the file that token stands.
func (u *update) marshal(start int) (head, tail []byte, gap [2]int) {
	w := &updateWriter{start: start, offsets: map[int]int{}, next: u.size}
	w.Grow(len(u.appearance) + len(u.catalogue) + len(u.pageBody) + 2048)
	own, form := u.field.object, 0
	if !u.later {
		form, own = w.number(), w.number()
	}
	appearance := 0
	if u.seen() {
		appearance = w.number()
	}
	signature := w.number()
	if !u.later {
		u.marshalForm(w, form, own, signature)
	}
	w.begin(own)
	u.field.marshal(w, u.page)
	if appearance != 0 {
		w.text(" /AP <</N ", ref(appearance), ">>")
	}
	w.text(" /V ", ref(signature))
	if u.last {
		w.text(" /Lock <</Type /SigFieldLock /Action /All /P 1>>")
	}
	w.text(">>\nendobj\n")
	if appearance != 0 {
		u.marshalAppearance(w, appearance)
	}
	w.begin(signature)
	gap, length := u.marshalSignature(w)
	u.marshalEnd(w)

	added, split := w.Bytes(), gap[0]+1-start
	strconv.AppendInt(added[length:length], int64(w.at()-gap[1]), 10)
	return added[:split], added[split:], gap
}

// marshalForm writes the page with the widgets, the catalogue with the form and
// the certification, the form, and the fields that wait.
func (u *update) marshalForm(w *updateWriter, form, own, signature int) {
	fields := ref(own)
	for i := range u.waiting {
		u.waiting[i].object = w.number()
		fields += " " + ref(u.waiting[i].object)
	}
	w.begin(u.page)
	w.Write(u.pageBody[:len(u.pageBody)-len(">>")])
	w.text("\n/Annots [", fields, "]>>\nendobj\n")
	w.begin(u.root)
	w.Write(u.catalogue[:len(u.catalogue)-len(">>")])
	w.text("\n/AcroForm ", ref(form), "\n/Perms <</DocMDP ", ref(signature), ">>>>\nendobj\n")
	w.begin(form)
	// 3: there is a signature, and the file may only be appended to.
	w.text("<</Fields [", fields, "] /SigFlags 3>>\nendobj\n")
	for _, f := range u.waiting {
		w.begin(f.object)
		f.marshal(w, u.page)
		w.text(">>\nendobj\n")
	}
}

// marshal begins the field's dictionary.
func (f *field) marshal(w *updateWriter, page int) {
	c := f.corners()
	// 132: print, and locked (12.5.3).
	w.text("<</Type /Annot /Subtype /Widget /FT /Sig /T ", encodeText(f.name), " /F 132 /P ", ref(page),
		"\n/Rect ", numbers(c[:]...))
}

func (u *update) marshalAppearance(w *updateWriter, number int) {
	w.begin(number)
	w.text("<</Type /XObject /Subtype /Form /FormType 1 /BBox ", numbers(0, 0, u.place[2], u.place[3]),
		" /Resources <<>> /Filter /FlateDecode /Length ", strconv.Itoa(len(u.appearance)), ">>\nstream\n")
	w.Write(u.appearance)
	w.text("\nendstream\nendobj\n")
}

// marshalSignature writes the signature dictionary. It returns where /Contents
// stands in the file, and where in the update the length of the second range
// goes, which is not known yet and has blanks for its ten digits.
func (u *update) marshalSignature(w *updateWriter) (gap [2]int, length int) {
	w.text("<</Type /Sig /Filter /", handlers[u.subFilter], " /SubFilter /", u.subFilter)
	if u.signerName != "" {
		w.text("\n/Name ", encodeText(u.signerName))
	}
	if u.reason != "" {
		w.text("\n/Reason ", encodeText(u.reason))
	}
	if !u.claimedTime.IsZero() {
		w.text("\n/M (", u.claimedTime.Format(timeLayout), ")")
	}
	w.text(u.reference(), "\n/Contents ")
	gap[0] = w.at()
	w.text("<>")
	w.start += 2 * u.reserve
	gap[1] = w.at()
	w.text("\n/ByteRange [0 ", strconv.Itoa(gap[0]), " ", strconv.Itoa(gap[1]), " ")
	length = w.Len()
	w.text("          ]>>\nendobj\n")
	return gap, length
}

// reference says what the signature permits to be changed later (12.8.1): nothing,
// for one that stands alone (DocMDP, P 1); the signing of the fields that wait, for
// the first of several (P 2); nothing in the document, for the last (FieldMDP with
// the field's /Lock). One in between says nothing: the first one's word holds.
func (u *update) reference() string {
	const docMDP = "\n/Reference [<</Type /SigRef /TransformMethod /DocMDP /TransformParams <</Type /TransformParams /P "
	switch {
	case u.last:
		return "\n/Reference [<</Type /SigRef /TransformMethod /FieldMDP /Data " + ref(u.root) +
			" /TransformParams <</Type /TransformParams /Action /All /V /1.2>>>>]"
	case u.later:
		return ""
	case len(u.waiting) > 0:
		return docMDP + "2 /V /1.2>>>>]"
	}
	return docMDP + "1 /V /1.2>>>>]"
}

// marshalEnd writes the cross-reference section, with one subsection for each
// run of numbers, and the trailer.
func (u *update) marshalEnd(w *updateWriter) {
	xref := w.at()
	changed := make([]int, 0, len(w.offsets))
	for number := range w.offsets {
		changed = append(changed, number)
	}
	slices.Sort(changed)
	w.text("xref\n")
	for i, number := range changed {
		if i == 0 || changed[i-1] != number-1 {
			run := 1
			for i+run < len(changed) && changed[i+run] == number+run {
				run++
			}
			w.text(strconv.Itoa(number), " ", strconv.Itoa(run), "\n")
		}
		offset := strconv.Itoa(w.offsets[number])
		w.text("0000000000"[len(offset):], offset, " 00000 n \n")
	}
	w.text("trailer\n<</Size ", strconv.Itoa(w.next), " /Root ", ref(u.root), " /Info ", ref(u.info),
		" /Prev ", strconv.Itoa(u.prev), ">>\nstartxref\n", strconv.Itoa(xref), "\n%%EOF\n")
}
