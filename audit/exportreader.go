package audit

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strconv"

	"github.com/emmansun/gmsm/sm3"
	"github.com/transparency-dev/merkle/compact"
)

const maxExportLine = 4 << 10

// errMalformedRow stands for a line that should be a row and is none.
var errMalformedRow = errors.New("audit: malformed row")

// exportReader reads the parts of an export in their order: header, rows,
// note. It checks their form only.
type exportReader struct {
	in *bufio.Reader

	origin   string
	from, to uint64
	prev     [32]byte       // leaf before from; zeros when from is 0
	tree     *compact.Range // of [0, from)

	row exportRow // reused
}

// exportRow is a row of an export.
type exportRow struct {
	index       uint64
	leaf        [32]byte // recomputed from the record
	leafMatches bool     // the stored leaf is the same
	record      []byte   // in buf
	view        recordView
	fault       error // why the record is malformed; view is of no use then
	// buf holds 0x00 and the record, as they are hashed, and room for the
	// decoder's last group.
	buf [1 + maxRecord + 3]byte
}

// badExport returns a verdict that names no entry.
func badExport(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadExport, fmt.Sprintf(format, args...))
}

// ignoreVerdict returns err unless it is a verdict: while one fault is being explained,
// a second one does not matter, but a failing reader does.
func ignoreVerdict(err error) error {
	if errors.Is(err, ErrBadExport) || err == errMalformedRow {
		return nil
	}
	return err
}

func newExportReader(r io.Reader) *exportReader {
	return &exportReader{in: bufio.NewReaderSize(r, 64<<10)}
}

// line returns the next line without its end; it is valid until the next read.
func (x *exportReader) line() ([]byte, error) {
	b, err := x.in.ReadSlice('\n')
	switch {
	case err == io.EOF:
		return nil, badExport("it ends early")
	case err == bufio.ErrBufferFull || err == nil && len(b) > maxExportLine:
		return nil, badExport("a line is longer than %d bytes", maxExportLine)
	case err != nil:
		return nil, fmt.Errorf("reading export: %w", err)
	}
	return b[:len(b)-1], nil
}

// field returns what follows the key in the next line, which must begin with it.
func (x *exportReader) field(key string) (string, error) {
	line, err := x.line()
	if err != nil {
		return "", err
	}
	value, ok := bytes.CutPrefix(line, []byte(key+" "))
	if !ok {
		return "", badExport("malformed header: want a line of %s", key)
	}
	return string(value), nil
}

func (x *exportReader) readHeader() error {
	first, err := x.line()
	if err != nil {
		return err
	}
	if string(first) != exportMagic {
		return badExport("it does not begin with %s", exportMagic)
	}
	if x.origin, err = x.field("origin"); err != nil {
		return err
	}
	if !validName(x.origin) {
		return badExport("malformed header: origin")
	}
	if err := x.readRange(); err != nil {
		return err
	}
	if err := x.readBase(); err != nil {
		return err
	}
	if last, err := x.line(); err != nil {
		return err
	} else if len(last) > 0 {
		return badExport("malformed header: no empty line after it")
	}
	return nil
}

func (x *exportReader) readRange() error {
	value, err := x.field("range")
	if err != nil {
		return err
	}
	from, to, _ := bytes.Cut([]byte(value), []byte(" "))
	var ok1, ok2 bool
	x.from, ok1 = parseIndex(from)
	x.to, ok2 = parseIndex(to)
	if !ok1 || !ok2 || x.from >= x.to {
		return badExport("malformed header: range")
	}
	return nil
}

// readBase reads the leaf before the range and the compact range below it.
func (x *exportReader) readBase() error {
	var err error
	if x.from > 0 {
		if x.prev, err = x.hash("prev"); err != nil {
			return err
		}
	}
	var nodes [][]byte
	for range bits.OnesCount64(x.from) {
		node, err := x.hash("node")
		if err != nil {
			return err
		}
		nodes = append(nodes, node[:])
	}
	x.tree, err = newRange(x.from, nodes)
	return err
}

func (x *exportReader) hash(key string) ([32]byte, error) {
	value, err := x.field(key)
	if err != nil {
		return [32]byte{}, err
	}
	raw, err := hex.DecodeString(value)
	if err != nil || len(raw) != 32 || hex.EncodeToString(raw) != value {
		return [32]byte{}, badExport("malformed header: %s", key)
	}
	return [32]byte(raw), nil
}

// readRow returns the next row, or nil at the empty line after the last one.
// The row is overwritten by the next call.
func (x *exportReader) readRow() (*exportRow, error) {
	line, err := x.line()
	if err != nil || len(line) == 0 {
		return nil, err
	}
	if !x.row.parse(line) {
		return nil, errMalformedRow
	}
	return &x.row, nil
}

// parse sets r from a line and reports whether it has a row's form.
func (r *exportRow) parse(line []byte) bool {
	first, last := bytes.IndexByte(line, ' '), len(line)-1-hex.EncodedLen(sm3.Size)
	if first < 0 || last <= first || line[last] != ' ' {
		return false
	}
	var ok bool
	if r.index, ok = parseIndex(line[:first]); !ok {
		return false
	}
	encoded, stored := line[first+1:last], line[last+1:]
	// The decoder skips line ends inside base64, which no canonical line has.
	if base64.StdEncoding.DecodedLen(len(encoded)) > len(r.buf)-1 || bytes.IndexByte(encoded, '\r') >= 0 {
		return false
	}
	r.buf[0] = 0
	n, err := base64.StdEncoding.Strict().Decode(r.buf[1:], encoded)
	if err != nil || n > maxRecord {
		return false
	}
	r.record = r.buf[1 : 1+n]
	r.leaf = sm3.Sum(r.buf[:1+n])
	var computed [2 * sm3.Size]byte
	hex.Encode(computed[:], r.leaf[:])
	r.leafMatches = bytes.Equal(computed[:], stored)
	r.fault = r.view.parse(r.record)
	return r.leafMatches || isLowerHex(stored)
}

func isLowerHex(b []byte) bool {
	return len(bytes.Trim(b, "0123456789abcdef")) == 0
}

// parseIndex parses a decimal number below 2^63 in its only form.
func parseIndex(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 19 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(string(b), 10, 63)
	return n, err == nil
}

// readNote reads the rest of the export: one signed note.
func (x *exportReader) readNote() ([]byte, error) {
	signed, err := io.ReadAll(io.LimitReader(x.in, MaxNote+1))
	if err != nil {
		return nil, fmt.Errorf("reading export: %w", err)
	}
	if len(signed) > MaxNote {
		return nil, badExport("the checkpoint is longer than %d bytes", MaxNote)
	}
	return signed, nil
}
