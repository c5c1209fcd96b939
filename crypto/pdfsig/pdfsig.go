// Package pdfsig writes and strictly reads PDF signature containers
// (ISO 32000-2:2020, 12.8): the bytes around a signature, never the signature
// itself.
//
// A container is the /Contents string of a signature dictionary together with
// the /ByteRange that says which bytes of the file it protects. Prepare adds
// one incremental update to a file of licence/render/pdf and leaves room for the
// signature; Digest is what has to be signed; Finish puts the DER in its place.
// Read takes the finished file apart again.
//
// The profile is exactly what licence/render/pdf and Prepare write, and nothing
// else: a classic cross-reference table, one revision for the rendered pages
// and one for each signature. The first certifies the file (DocMDP, P=1; 12.8.2.2)
// and shows its seal in a widget drawn by a form XObject at its true size. Where
// several sign, the first makes all the fields and certifies with P=2, each of the
// others signs the next field and nothing else, and the last locks the document.
// Each covers its prefix of the file, the last covers all of it.
//
// # Invariants
//
//   - Every byte of a file that Read accepts belongs to the header, an object,
//     a cross-reference section, a trailer or a startxref; each of these was
//     parsed, and no byte is read by searching for it.
//   - Every object is reached from the trailer in exactly one role, and holds
//     only the keys that role has in a file of ours. Pages of a document that
//     others made are form XObjects; what these lead to holds only what draws (Drawn).
//   - The bytes outside the protected ranges are one string of lower-case
//     hexadecimal digits: one DER element and then zeros. That string is the
//     /Contents token of the signature dictionary reached from the catalogue.
//   - Every update is byte for byte what Prepare would write for the facts that
//     were read from it, /Contents aside; a file with a field that still waits
//     for its signature is refused.
//   - Work and memory are bounded by the limits below before anything in the
//     file is believed, and no input makes the package recurse without bound.
//
// What stands in the content streams is not judged. It need not be: every byte
// of them is protected, no later revision is accepted, and what could make
// signed content look different later (optional content, actions, annotations,
// external streams) needs dictionary keys that the profile does not have.
//
// The package checks no signature, certificate or time, and repairs nothing.
// Its callers are licence/registry, which writes, and verify, which reads.
package pdfsig

import (
	"encoding"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/emmansun/gmsm/sm3"
)

// Filter and SubFilter name the handler and the encoding of a seal signature
// in a signature dictionary (ISO 32000-2, table 255): /Contents holds an
// SES_Signature of GB/T 38540.
const (
	Filter    = "Elicence.GMPkiLite"
	SubFilter = "GM.sm2seal"
)

// SubFilterPAdES is the encoding of a signature for readers without SM2: /Contents
// holds CMS (ETSI EN 319 142-1).
const SubFilterPAdES = "ETSI.CAdES.detached"

// handlers gives the /Filter that goes with each /SubFilter.
var handlers = map[string]string{SubFilter: Filter, SubFilterPAdES: "Adobe.PPKLite"}

// The limits of the reader. A file beyond one of them is refused with
// CodeFileSize or CodeLimit.
const (
	// MaxFileSize is the largest file in bytes.
	MaxFileSize = 20 << 20
	// MaxObjects is the largest number of objects, and the largest object number.
	MaxObjects = 2_000
	// MaxContents is the largest room for a signature, in bytes of DER.
	MaxContents = 256 << 10
	// MaxStream is the largest decoded stream in bytes.
	MaxStream = 8 << 20
	// MaxAttached is the largest number of attached files, MaxDecoded their largest
	// size in all, in bytes: a licence has three, of 160 KiB at most.
	MaxAttached = 16
	MaxDecoded  = 1 << 20
)

// Appearance is what the widget of a signature shows (ISO 32000-2, 12.5.5).
type Appearance struct {
	// Width and Height are the true size in points; both are positive, and are
	// rounded to a thousandth.
	Width, Height float64
	// Content holds the content stream operators that draw within the box
	// [0 0 Width Height]. It can name no resources.
	Content []byte

	deflated []byte // Content, once Deflated has been called
}

// Deflated returns a with its content deflated once and for all, for a seal that
// goes into many files; Prepare deflates the content of any other again each time.
func (a Appearance) Deflated() (Appearance, error) {
	var err error
	if a.deflated, err = deflate(a.Content); err != nil {
		return Appearance{}, fmt.Errorf("pdfsig: deflating the appearance: %w", err)
	}
	return a, nil
}

// Container is one signature container as read from a file.
type Container struct {
	// FieldName is the partial field name, /T.
	FieldName string
	// Filter and SubFilter are those of the signature dictionary.
	Filter, SubFilter string
	// ByteRange is the two ranges as offset, length, offset, length in bytes.
	ByteRange [4]int64
	// Contents is the DER of the signature without the zeros after it.
	Contents []byte
	// Page is the number, from 1, of the page that shows the widget.
	Page int
	// Rect is the widget's rectangle in points: left, bottom, right, top.
	Rect [4]float64
	// SignerName and Reason are /Name and /Reason; empty when absent.
	SignerName, Reason string
	// ClaimedTime is /M in UTC, zero when absent. Nothing proves it.
	ClaimedTime time.Time
}

// File is a file that Read accepted. It refers to the bytes given to Read,
// which must not change, and is then safe for concurrent use.
type File struct {
	// Signatures holds the containers in the order of their revisions.
	Signatures []Container
	// Pages is the number of pages.
	Pages int
	// Attachments holds the embedded files by file name.
	Attachments map[string][]byte
	// Portrait is the one image that pages may show, a JPEG; nil when there is none.
	Portrait []byte

	bytes    []byte
	contents [][2]*object // of each page: backdrop, content
	before   hash.Hash    // SM3 of what stands before the last signature, as Prepare made it; nil: not made yet
}

// SignedBytes returns the bytes that signature i protects: its two ranges, one
// after the other. Like indexing Signatures, it panics when there is no such
// signature.
func (f *File) SignedBytes(i int) []byte {
	r := f.Signatures[i].ByteRange
	signed := make([]byte, 0, r[1]+r[3])
	signed = append(signed, f.bytes[:r[1]]...)
	return append(signed, f.bytes[r[2]:r[2]+r[3]]...)
}

// WriteSignedBytes writes SignedBytes(i) without copying them: to a hash, for instance.
func (f *File) WriteSignedBytes(w io.Writer, i int) error {
	r := f.Signatures[i].ByteRange
	if _, err := w.Write(f.bytes[:r[1]]); err != nil {
		return err
	}
	_, err := w.Write(f.bytes[r[2] : r[2]+r[3]])
	return err
}

// Digest returns the SM3 digest of SignedBytes(i) without copying them.
func (f *File) Digest(i int) [32]byte {
	r := f.Signatures[i].ByteRange
	h := f.hashed(i)
	h.Write(f.bytes[r[2] : r[2]+r[3]])
	return [32]byte(h.Sum(nil))
}

// WholeDigest returns the SM3 digest of the whole file.
func (f *File) WholeDigest() [32]byte {
	last := len(f.Signatures) - 1
	h := f.hashed(last)
	h.Write(f.bytes[f.Signatures[last].ByteRange[1]:])
	return [32]byte(h.Sum(nil))
}

// Digests returns Digest of each signature, and WholeDigest. What they have in common is
// hashed once.
func (f *File) Digests() (signed [][32]byte, whole [32]byte) {
	h, at := sm3.New(), int64(0)
	for _, c := range f.Signatures {
		r := c.ByteRange
		h.Write(f.bytes[at:r[1]])
		at = r[1]
		second := fork(h)
		second.Write(f.bytes[r[2] : r[2]+r[3]])
		signed = append(signed, [32]byte(second.Sum(nil)))
	}
	h.Write(f.bytes[at:])
	return signed, [32]byte(h.Sum(nil))
}

// hashed is an SM3 of what stands before signature i.
func (f *File) hashed(i int) hash.Hash {
	if f.before != nil && i == len(f.Signatures)-1 {
		return fork(f.before)
	}
	h := sm3.New()
	h.Write(f.bytes[:f.Signatures[i].ByteRange[1]])
	return h
}

// fork returns a second SM3 of what h was given so far.
func fork(h hash.Hash) hash.Hash {
	second := sm3.New()
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err == nil {
		err = second.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
	}
	if err != nil {
		panic(fmt.Sprintf("pdfsig: SM3 does not give its state: %v", err))
	}
	return second
}

// PageContent returns the decoded content of a page, counted from 1, that follows
// the backdrop. A stream that does not decode, or decodes to more than MaxStream
// bytes, is a *FormatError.
func (f *File) PageContent(page int) ([]byte, error) {
	if page < 1 || page > f.Pages {
		return nil, fmt.Errorf("pdfsig: page %d of %d", page, f.Pages)
	}
	content := f.contents[page-1][1]
	return inflate(content, 8*len(content.data), MaxStream) // operators shrink to an eighth or so
}

// Backdrop returns what a page, counted from 1, begins with, as it is encoded in the file;
// nil when there is no such page.
func (f *File) Backdrop(page int) []byte {
	if page < 1 || page > f.Pages {
		return nil
	}
	return f.contents[page-1][0].data
}
