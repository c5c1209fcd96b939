package pdfsig

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
)

// Limits of ScanForeign.
const (
	maxForeign        = 16      // signature dictionaries
	maxForeignObject  = 1 << 20 // bytes from the object's start to its /ByteRange
	maxForeignWork    = 2 << 20 // bytes looked at for all dictionaries, back to their starts and on to their ends
	maxForeignKeys    = 128     // of one dictionary
	maxForeignDepth   = 16      // of arrays and dictionaries in one another
	maxForeignKeyword = 128     // bytes of a name, number or keyword
)

// Foreign is a signature dictionary in a file that this package did not write.
type Foreign struct {
	// Filter and SubFilter are as written, without the slash; empty when absent.
	// Neither says reliably what Contents holds.
	Filter, SubFilter string
	// ByteRange is the two ranges as offset, length, offset, length in bytes. Between
	// them stands the /Contents string and nothing else.
	ByteRange [4]int64
	// Contents is the DER element that /Contents begins with; zeros follow it.
	Contents []byte
	// CoversFile says that nothing of the file lies behind the second range.
	CoversFile bool

	file []byte
}

// SignedBytes returns the bytes of the two ranges, one after the other.
func (f *Foreign) SignedBytes() []byte {
	r := f.ByteRange
	signed := make([]byte, 0, r[1]+r[3])
	signed = append(signed, f.file[:r[1]]...)
	return append(signed, f.file[r[2]:r[2]+r[3]]...)
}

// ScanForeign finds the signature dictionaries of a file that Read refuses, to say
// what it holds; it does not make such a file acceptable. It knows nothing of
// revisions, pages or cross-references: it looks for /ByteRange, goes back to where that
// object begins and reads the dictionary there. It repairs nothing: a dictionary
// that does not parse, or whose ranges do not frame its own /Contents, is an error,
// and the others are returned beside it. At most 16 are looked at, of 2 MiB in all.
//
// The result refers to file, which must not change afterwards.
func ScanForeign(file []byte) (found []Foreign, err error) {
	if len(file) == 0 || len(file) > MaxFileSize {
		return nil, malformed(CodeFileSize, len(file), "file of %d bytes", len(file))
	}
	left := maxForeignWork
	for at, n := 0, 0; ; n++ {
		i := bytes.Index(file[at:], []byte("/ByteRange"))
		switch {
		case i < 0 && n == 0:
			return nil, malformed(CodeNoSignature, len(file), "no signature dictionary")
		case i < 0:
			return found, err
		case n == maxForeign || left <= 0:
			return found, errors.Join(err, malformed(CodeLimit, at+i, "more than %d signature dictionaries, or longer ones", n))
		}
		f, fault := readForeign(file, at+i, &left)
		if fault != nil {
			err = errors.Join(err, fault)
		} else {
			found = append(found, f)
		}
		at += i + 1
	}
}

// readForeign reads the dictionary of the object around a /ByteRange, and takes the
// bytes that it looked at from left.
func readForeign(file []byte, key int, left *int) (Foreign, error) {
	const begin = " obj"
	window := file[max(0, key-min(maxForeignObject, *left)):key]
	i := bytes.LastIndex(window, []byte(begin))
	*left -= len(window) - max(i, 0)
	if i < 0 {
		return Foreign{}, malformed(CodeSyntax, key, "a /ByteRange in no object")
	}
	start := key - len(window) + i + len(begin)
	s := foreignScanner{file: file[:min(len(file), start+max(*left, 0))], at: start}
	values, err := s.dictionary(0)
	*left -= s.at - start
	s.file = file
	if err != nil {
		return Foreign{}, err
	}
	f := Foreign{file: file, Filter: s.name(values["Filter"]), SubFilter: s.name(values["SubFilter"])}
	if f.ByteRange, err = s.ranges(values["ByteRange"]); err != nil {
		return Foreign{}, err
	}
	return f, s.frame(&f, values["Contents"])
}

// span is where a value stands in the file; zero when there is none.
type span struct{ start, end int }

// foreignScanner reads the syntax of ISO 32000-2, 7.3, as far as a dictionary needs.
type foreignScanner struct {
	file []byte
	at   int
}

func (s *foreignScanner) malformed(what string) error {
	return malformed(CodeSyntax, s.at, "foreign signature dictionary: %s", what)
}

// has reports whether the text stands here, and passes it.
func (s *foreignScanner) has(text string) bool {
	if !bytes.HasPrefix(s.file[s.at:], []byte(text)) {
		return false
	}
	s.at += len(text)
	return true
}

// space passes white space and comments.
func (s *foreignScanner) space() {
	for s.at < len(s.file) {
		switch c := s.file[s.at]; {
		case c == '%':
			end := bytes.IndexAny(s.file[s.at:], "\r\n")
			if end < 0 {
				end = len(s.file) - s.at
			}
			s.at += end
		case isSpace(c):
			s.at++
		default:
			return
		}
	}
}

func isSpace(c byte) bool { return bytes.IndexByte([]byte("\x00\t\n\f\r "), c) >= 0 }

func isDelimiter(c byte) bool { return bytes.IndexByte([]byte("()<>[]{}/%"), c) >= 0 }

// dictionary reads a dictionary into the places of its values.
func (s *foreignScanner) dictionary(depth int) (map[string]span, error) {
	if s.space(); !s.has("<<") {
		return nil, s.malformed("no dictionary")
	}
	values := map[string]span{}
	for {
		s.space()
		if s.has(">>") {
			return values, nil
		}
		if !s.has("/") {
			return nil, s.malformed("no key")
		}
		key, err := s.keyword()
		if err != nil {
			return nil, err
		}
		s.space()
		value := span{start: s.at}
		if err := s.value(depth); err != nil {
			return nil, err
		}
		value.end = s.at
		if _, twice := values[string(key)]; twice {
			return nil, s.malformed("a key twice")
		}
		if values[string(key)] = value; len(values) > maxForeignKeys {
			return nil, malformed(CodeLimit, s.at, "dictionary of more than %d entries", maxForeignKeys)
		}
	}
}

// value passes one value, with the numbers of a reference.
func (s *foreignScanner) value(depth int) error {
	if depth > maxForeignDepth {
		return malformed(CodeLimit, s.at, "values nested more than %d deep", maxForeignDepth)
	}
	s.space()
	rest := s.file[s.at:]
	switch {
	case bytes.HasPrefix(rest, []byte("<<")):
		_, err := s.dictionary(depth + 1)
		return err
	case bytes.HasPrefix(rest, []byte("<")):
		return s.hexString()
	case bytes.HasPrefix(rest, []byte("(")):
		return s.literal()
	case bytes.HasPrefix(rest, []byte("[")):
		return s.array(depth + 1)
	case bytes.HasPrefix(rest, []byte("/")):
		s.at++
		_, err := s.keyword()
		return err
	}
	return s.scalar()
}

// keyword reads the characters of a name, number or keyword.
func (s *foreignScanner) keyword() ([]byte, error) {
	start := s.at
	for s.at < len(s.file) && !isSpace(s.file[s.at]) && !isDelimiter(s.file[s.at]) {
		if s.at++; s.at-start > maxForeignKeyword {
			return nil, s.malformed("a name or number too long")
		}
	}
	return s.file[start:s.at], nil
}

// scalar passes a number, a keyword or a reference.
func (s *foreignScanner) scalar() error {
	word, err := s.keyword()
	if err != nil || len(word) == 0 {
		return errors.Join(err, s.malformed("no value"))
	}
	if _, err := strconv.ParseUint(string(word), 10, 31); err != nil {
		return nil
	}
	after := s.at
	if s.space(); s.generation() {
		return nil
	}
	s.at = after
	return nil
}

// generation reports whether "G R" follows, and passes it.
func (s *foreignScanner) generation() bool {
	word, err := s.keyword()
	if _, fault := strconv.ParseUint(string(word), 10, 16); err != nil || fault != nil {
		return false
	}
	s.space()
	word, err = s.keyword()
	return err == nil && string(word) == "R"
}

func (s *foreignScanner) array(depth int) error {
	for s.at++; ; {
		s.space()
		if s.has("]") {
			return nil
		}
		if err := s.value(depth); err != nil {
			return err
		}
	}
}

func (s *foreignScanner) hexString() error {
	end := bytes.IndexByte(s.file[s.at:], '>')
	if end < 0 || end > 2*MaxContents+2 {
		return s.malformed("a string without end")
	}
	s.at += end + 1
	return nil
}

// literal passes a string in parentheses, which may hold others.
func (s *foreignScanner) literal() error {
	for open := 0; s.at < len(s.file); s.at++ {
		switch s.file[s.at] {
		case '\\':
			s.at++
		case '(':
			open++
		case ')':
			if open--; open == 0 {
				s.at++
				return nil
			}
		}
	}
	return s.malformed("a string without end")
}

// name is the text of a name; empty for anything else.
func (s *foreignScanner) name(v span) string {
	text := s.file[v.start:v.end]
	if len(text) == 0 || text[0] != '/' {
		return ""
	}
	return string(text[1:])
}

// ranges reads an array of four numbers that lie within the file.
func (s *foreignScanner) ranges(v span) (r [4]int64, err error) {
	text := s.file[v.start:v.end]
	fields := bytes.Fields(bytes.Trim(text, "[]"))
	if len(text) == 0 || text[0] != '[' || len(fields) != len(r) {
		return r, malformed(CodeByteRange, v.start, "byte range is not four numbers")
	}
	for i, f := range fields {
		n, err := strconv.ParseUint(string(f), 10, 31)
		if err != nil {
			return r, malformed(CodeByteRange, v.start, "byte range is not four numbers")
		}
		r[i] = int64(n)
	}
	if r[0] != 0 || r[1] > r[2] || r[2]+r[3] > int64(len(s.file)) {
		return r, malformed(CodeByteRange, v.start, "byte range %v of a file of %d bytes", r, len(s.file))
	}
	return r, nil
}

// frame takes /Contents, which must be exactly what the ranges leave out.
func (s *foreignScanner) frame(f *Foreign, v span) error {
	if int64(v.start) != f.ByteRange[1] || int64(v.end) != f.ByteRange[2] || v.end-v.start < 2 || s.file[v.start] != '<' {
		return malformed(CodeByteRange, v.start, "byte range %v does not leave out its own /Contents", f.ByteRange)
	}
	der := make([]byte, hex.DecodedLen(v.end-v.start-2))
	if _, err := hex.Decode(der, s.file[v.start+1:v.end-1]); err != nil {
		return malformed(CodeContents, v.start, "/Contents is not hexadecimal")
	}
	n, err := derLength(der)
	if err != nil || n > len(der) {
		return malformed(CodeContents, v.start, "/Contents does not begin with a DER element")
	}
	if len(bytes.Trim(der[n:], "\x00")) > 0 {
		return malformed(CodeContents, v.start, "/Contents has more behind its DER element than zeros")
	}
	f.Contents = der[:n]
	f.CoversFile = f.ByteRange[2]+f.ByteRange[3] == int64(len(s.file))
	return nil
}
