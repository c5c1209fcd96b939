package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// A record is, in CDDL (RFC 8610), encoded deterministically (RFC 8949 §4.2.1):
//
//	record = [
//	  prev: bstr .size 32,        ; leaf of the entry before, zeros for entry 0
//	  version: 1,
//	  index: uint,
//	  time: uint,                 ; microseconds since 1970-01-01T00:00:00Z
//	  principal: tstr, authority: tstr, action: tstr, object: tstr,
//	  purpose: tstr, case: tstr, matter: tstr, result: tstr,
//	  code: tstr, request_id: tstr,
//	  digest: bstr .size (0..64),
//	  commitment: bstr            ; 0 bytes, or SM3(0x02 ‖ opening)
//	]
const (
	recordVersion = 1
	recordFields  = 16
	maxRecord     = 2048
	maxDigest     = 64
	maxTime       = 253402300799999999 // 9999-12-31T23:59:59.999999Z
)

// textFields lists the texts of a record in their order.
var textFields = [...]struct {
	name     string
	max      int // bytes
	required bool
}{
	{"principal", 256, true},
	{"authority", 128, false},
	{"action", 64, true},
	{"object", 256, false},
	{"purpose", 512, false},
	{"case", 128, false},
	{"matter", 256, false},
	{"result", 16, true},
	{"code", 64, false},
	{"request_id", 128, false},
}

const resultField = 7 // in textFields

// Record is one entry as the chain and the tree hold it.
type Record struct {
	Prev       [32]byte // leaf of the entry before; zeros for entry 0
	Index      uint64
	Entry      Entry  // Personal is always nil: the record does not hold it
	Commitment []byte // SM3(0x02 ‖ opening), 32 bytes; nil without personal values
}

// wireRecord is the record's CBOR array.
type wireRecord struct {
	_          struct{} `cbor:",toarray"`
	Prev       []byte
	Version    uint64
	Index      uint64
	Time       uint64
	Principal  string
	Authority  string
	Action     string
	Object     string
	Purpose    string
	Case       string
	Matter     string
	Result     string
	Code       string
	RequestID  string
	Digest     []byte
	Commitment []byte
}

// deterministic encodes by RFC 8949 §4.2.1, and a nil slice as an empty one.
// Its options are constant and known to be valid, so that the error is nil.
var deterministic, _ = func() (cbor.EncMode, error) {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty
	return o.EncMode()
}()

// texts returns the texts of e in the order of textFields.
func (e *Entry) texts() [len(textFields)]string {
	return [...]string{e.Principal, e.Authority, string(e.Action), e.Object, e.Purpose,
		e.Case, e.Matter, string(e.Result), e.Code, e.RequestID}
}

// check returns an ErrInvalidEntry that names the first wrong field of e.
func (e *Entry) check() error {
	for i, text := range e.texts() {
		if err := checkText(i, text); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalidEntry, err)
		}
	}
	if len(e.Digest) > maxDigest {
		return fmt.Errorf("%w: digest is longer than %d bytes", ErrInvalidEntry, maxDigest)
	}
	return nil
}

// checkText checks the value of the i-th of textFields.
func checkText[T string | []byte](i int, text T) error {
	f := &textFields[i]
	switch {
	case f.required && len(text) == 0:
		return fmt.Errorf("%s is missing", f.name)
	case len(text) > f.max:
		return fmt.Errorf("%s is longer than %d bytes", f.name, f.max)
	case !utf8.Valid([]byte(text)):
		return fmt.Errorf("%s is not UTF-8", f.name)
	case i == resultField && !slices.Contains([]Result{ResultAllowed, ResultRefused, ResultFailed}, Result(text)):
		return errors.New("result is none of allowed, refused, failed")
	}
	return nil
}

// Marshal returns the record's encoding. It fails when a field is out of
// bounds.
func (r *Record) Marshal() ([]byte, error) {
	e := &r.Entry
	if err := e.check(); err != nil {
		return nil, err
	}
	micros := e.Time.UnixMicro()
	if micros < 0 || micros > maxTime {
		return nil, fmt.Errorf("%w: time is before 1970 or after 9999", ErrInvalidEntry)
	}
	if n := len(r.Commitment); n != 0 && n != 32 {
		return nil, fmt.Errorf("%w: commitment has %d bytes", ErrInvalidEntry, n)
	}
	return deterministic.Marshal(wireRecord{
		Prev: r.Prev[:], Version: recordVersion, Index: r.Index, Time: uint64(micros),
		Principal: e.Principal, Authority: e.Authority, Action: string(e.Action), Object: e.Object,
		Purpose: e.Purpose, Case: e.Case, Matter: e.Matter, Result: string(e.Result),
		Code: e.Code, RequestID: e.RequestID, Digest: e.Digest, Commitment: r.Commitment,
	})
}

// ParseRecord parses a record. It accepts nothing but the encoding that
// Marshal gives.
func ParseRecord(b []byte) (Record, error) {
	var w recordView
	if err := w.parse(b); err != nil {
		return Record{}, err
	}
	text := func(i int) string { return string(w.texts[i]) }
	r := Record{Prev: w.prev, Index: w.index, Entry: Entry{
		Principal: text(0), Authority: text(1), Action: Action(text(2)), Object: text(3), Purpose: text(4),
		Case: text(5), Matter: text(6), Result: Result(text(7)), Code: text(8), RequestID: text(9),
		Time: time.UnixMicro(int64(w.time)).UTC(),
	}}
	if len(w.digest) > 0 {
		r.Entry.Digest = slices.Clone(w.digest)
	}
	if len(w.commitment) > 0 {
		r.Commitment = slices.Clone(w.commitment)
	}
	return r, nil
}

// recordView is a parsed record whose texts still lie in the bytes it was
// parsed from: an export is verified without an allocation for each field.
type recordView struct {
	prev               [32]byte
	index, time        uint64
	texts              [len(textFields)][]byte
	digest, commitment []byte
}

// parse sets w from the encoding b. On error w is of no use.
func (w *recordView) parse(b []byte) error {
	if len(b) > maxRecord {
		return fmt.Errorf("audit: malformed record: longer than %d bytes", maxRecord)
	}
	c := cursor{b: b}
	if c.head(majorArray) != recordFields {
		return fmt.Errorf("audit: malformed record: not an array of %d", recordFields)
	}
	prev := c.string(majorBytes, 32)
	version := c.head(majorUint)
	w.index, w.time = c.head(majorUint), c.head(majorUint)
	for i := range w.texts {
		w.texts[i] = c.string(majorText, textFields[i].max)
	}
	w.digest = c.string(majorBytes, maxDigest)
	w.commitment = c.string(majorBytes, 32)
	switch {
	case c.bad || len(c.b) > 0:
		return errors.New("audit: malformed record: not deterministic CBOR of the record's form")
	case len(prev) != 32 || len(w.commitment) != 0 && len(w.commitment) != 32:
		return errors.New("audit: malformed record: a digest of the wrong length")
	case version != recordVersion:
		return fmt.Errorf("audit: malformed record: unknown version %d", version)
	case w.time > maxTime:
		return errors.New("audit: malformed record: time is after 9999")
	}
	w.prev = [32]byte(prev)
	for i, text := range w.texts {
		if err := checkText(i, text); err != nil {
			return fmt.Errorf("audit: malformed record: %w", err)
		}
	}
	return nil
}

// Major types of RFC 8949 §3.1.
const (
	majorUint  = 0
	majorBytes = 2
	majorText  = 3
	majorArray = 4
)

// cursor reads the few CBOR items that a record consists of, insisting on the
// shortest head (RFC 8949 §4.2.1). After the first fault bad is set and every
// further read gives zero.
type cursor struct {
	b   []byte
	bad bool
}

// head reads the head of an item of the given major type and returns its argument.
func (c *cursor) head(major byte) uint64 {
	if c.bad || len(c.b) == 0 || c.b[0]>>5 != major {
		c.bad = true
		return 0
	}
	info := c.b[0] & 31
	if info < 24 {
		c.b = c.b[1:]
		return uint64(info)
	}
	size := 1 << (info - 24) // 24, 25, 26, 27: 1, 2, 4, 8 bytes follow
	if info > 27 || len(c.b) < 1+size {
		c.bad = true
		return 0
	}
	var full [8]byte
	copy(full[8-size:], c.b[1:1+size])
	c.b = c.b[1+size:]
	v := binary.BigEndian.Uint64(full[:])
	shortest := v >= 24 && (size == 1 || v>>(size*4) != 0)
	c.bad = !shortest
	return v
}

// string reads a byte or text string of at most limit bytes, without copying it.
func (c *cursor) string(major byte, limit int) []byte {
	n := c.head(major)
	if c.bad || n > uint64(limit) || n > uint64(len(c.b)) {
		c.bad = true
		return nil
	}
	s := c.b[:n]
	c.b = c.b[n:]
	return s
}
