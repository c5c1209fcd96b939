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

// update is everything that the signature revision says. Prepare fills it from
// Options, Read from a file; marshal is the only thing that writes one, which
// lets Read compare the bytes of a file with what they should have been.
type update struct {
	// Of the first revision: the next free object number, the objects that the
	// update redefines with their dictionaries as they were, and the rest of
	// the trailer.
	size, root, info, page int
	catalogue, pageBody    []byte
	prev                   int

	fieldName, signerName, reason string
	claimedTime                   time.Time // zero when absent
	place                         [4]int64  // left, bottom, width, height in thousandths of a point
	appearance                    []byte    // deflated
	reserve                       int       // bytes of DER
}

// setBase takes the part that comes from the first revision. The objects that
// the update repeats were plain dictionaries there: a walk from the last
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

// rect returns the widget's rectangle in points.
func (u *update) rect() (r [4]float64) {
	for i, n := range u.corners() {
		r[i] = float64(n) / 1000
	}
	return r
}

// corners returns left, bottom, right and top in thousandths of a point.
func (u *update) corners() [4]int64 {
	return [4]int64{u.place[0], u.place[1], u.place[0] + u.place[2], u.place[1] + u.place[3]}
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
	w := &updateWriter{start: start, offsets: map[int]int{}}
	form, field, appearance, signature := u.size, u.size+1, u.size+2, u.size+3
	w.Grow(len(u.appearance) + len(u.catalogue) + len(u.pageBody) + 2048)

	w.begin(u.page)
	w.Write(u.pageBody[:len(u.pageBody)-len(">>")])
	w.text("\n/Annots [", ref(field), "]>>\nendobj\n")
	w.begin(u.root)
	w.Write(u.catalogue[:len(u.catalogue)-len(">>")])
	w.text("\n/AcroForm ", ref(form), "\n/Perms <</DocMDP ", ref(signature), ">>>>\nendobj\n")
	w.begin(form)
	// 3: there is a signature, and the file may only be appended to.
	w.text("<</Fields [", ref(field), "] /SigFlags 3>>\nendobj\n")
	w.begin(field)
	c := u.corners()
	// 132: print, and locked (12.5.3).
	w.text("<</Type /Annot /Subtype /Widget /FT /Sig /T ", encodeText(u.fieldName), " /F 132 /P ", ref(u.page),
		"\n/Rect ", numbers(c[:]...), " /AP <</N ", ref(appearance), ">> /V ", ref(signature), ">>\nendobj\n")
	w.begin(appearance)
	w.text("<</Type /XObject /Subtype /Form /FormType 1 /BBox ", numbers(0, 0, u.place[2], u.place[3]),
		" /Resources <<>> /Filter /FlateDecode /Length ", strconv.Itoa(len(u.appearance)), ">>\nstream\n")
	w.Write(u.appearance)
	w.text("\nendstream\nendobj\n")
	w.begin(signature)
	gap, length := u.marshalSignature(w)
	u.marshalEnd(w)

	added, split := w.Bytes(), gap[0]+1-start
	strconv.AppendInt(added[length:length], int64(w.at()-gap[1]), 10)
	return added[:split], added[split:], gap
}

// marshalSignature writes the signature dictionary. It returns where /Contents
// stands in the file, and where in the update the length of the second range
// goes, which is not known yet and has blanks for its ten digits.
func (u *update) marshalSignature(w *updateWriter) (gap [2]int, length int) {
	w.text("<</Type /Sig /Filter /", Filter, " /SubFilter /", SubFilter)
	if u.signerName != "" {
		w.text("\n/Name ", encodeText(u.signerName))
	}
	if u.reason != "" {
		w.text("\n/Reason ", encodeText(u.reason))
	}
	if !u.claimedTime.IsZero() {
		w.text("\n/M (", u.claimedTime.Format(timeLayout), ")")
	}
	w.text("\n/Reference [<</Type /SigRef /TransformMethod /DocMDP",
		" /TransformParams <</Type /TransformParams /P 1 /V /1.2>>>>]\n/Contents ")
	gap[0] = w.at()
	w.text("<>")
	w.start += 2 * u.reserve
	gap[1] = w.at()
	w.text("\n/ByteRange [0 ", strconv.Itoa(gap[0]), " ", strconv.Itoa(gap[1]), " ")
	length = w.Len()
	w.text("          ]>>\nendobj\n")
	return gap, length
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
	w.text("trailer\n<</Size ", strconv.Itoa(u.size+4), " /Root ", ref(u.root), " /Info ", ref(u.info),
		" /Prev ", strconv.Itoa(u.prev), ">>\nstartxref\n", strconv.Itoa(xref), "\n%%EOF\n")
}
