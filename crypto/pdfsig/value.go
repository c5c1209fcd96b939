package pdfsig

import (
	"bytes"
	"strconv"
)

// The limits of a single value; each is far above what our files need.
const (
	maxDepth   = 16      // nesting of arrays and dictionaries
	maxDigits  = 10      // digits of one number
	maxName    = 127     // bytes of one name
	maxEntries = 256     // entries of one dictionary, each compared with the others
	maxValues  = 20_000  // values of one file, which bounds the memory of a parse
	maxSyntax  = 3 << 20 // bytes of one file outside of streams, which are not looked at
)

// kind is the type of a PDF object (ISO 32000-2, 7.3). Null is absent: our files
// hold none. Booleans stand only in documents that are drawn over.
type kind uint8

const (
	kindNone kind = iota // of the zero value: no such entry
	kindInteger
	kindReal
	kindName
	kindString
	kindReference
	kindArray
	kindDictionary
	kindBoolean
)

// String names the kind for messages.
func (k kind) String() string {
	return [...]string{"nothing", "integer", "number", "name", "string", "reference", "array", "dictionary", "boolean"}[k]
}

// value is one parsed PDF object. It copies nothing, and is small, since most
// of the cost of reading a file is memory for values.
type value struct {
	src          *source
	start, end   int32 // its bytes in the file
	first, count int32 // its items in src.values
	kind         kind
	hex          bool // a string written in hexadecimal
}

// source is where values come from: the file, and the items of every array and
// dictionary in it.
type source struct {
	file   []byte
	values []value
}

// items returns the items of an array, and key, value, key, value of a
// dictionary; nothing of any other value.
func (v value) items() []value {
	if v.count == 0 {
		return nil
	}
	return v.src.values[v.first : v.first+v.count]
}

// text returns a name without its slash, a string between its delimiters and
// still encoded, the digits of a number, or of a reference its object number;
// nothing of any other value.
func (v value) text() []byte {
	switch v.kind {
	case kindName:
		return v.src.file[v.start+1 : v.end]
	case kindString:
		return v.src.file[v.start+1 : v.end-1]
	case kindReference:
		return v.src.file[v.start : int(v.end)-len(" 0 R")]
	case kindInteger, kindReal:
		return v.src.file[v.start:v.end]
	}
	return nil
}

// entry returns the value of a dictionary entry, the zero value when absent.
func (v value) entry(key string) value {
	if v.kind != kindDictionary {
		return value{}
	}
	items := v.items()
	for i := 0; i < len(items); i += 2 {
		if string(items[i].text()) == key {
			return items[i+1]
		}
	}
	return value{}
}

// has reports whether a dictionary has an entry.
func (v value) has(key string) bool { return v.entry(key).kind != kindNone }

// int returns an integer, or the object number of a reference; any other value
// is -1, which our files have nowhere that it would matter.
func (v value) int() int64 {
	if v.kind != kindInteger && v.kind != kindReference {
		return -1
	}
	digits, negative := bytes.CutPrefix(v.text(), []byte("-"))
	n := decimal(digits)
	if negative {
		return -n
	}
	return n
}

// decimal returns the value of at most maxDigits digits.
func decimal(digits []byte) (n int64) {
	for _, c := range digits {
		n = n*10 + int64(c-'0')
	}
	return n
}

// float returns a number as a float64; a value that is no number is 0.
func (v value) float() float64 {
	if v.kind != kindInteger && v.kind != kindReal {
		return 0
	}
	f, err := strconv.ParseFloat(string(v.text()), 64)
	if err != nil {
		return 0
	}
	return f
}

// parser reads tokens forward. White space is the space and the line feed, and
// there are no comments, because our files have no other and none.
type parser struct {
	source
	pos    int
	end    int // how far to read: the end of the file, or what maxSyntax leaves
	parsed int // values so far, against maxValues
	// open holds the items of the arrays and dictionaries that are not closed
	// yet, outer before inner.
	open []value
}

func newParser(file []byte) *parser {
	p := &parser{source: source{file: file}, end: min(len(file), maxSyntax)}
	// About what a licence needs: a small file claims little, a large one grows.
	p.values = make([]value, 0, min(len(file)/32, 640))
	p.open = make([]value, 0, min(len(file)/32, 128))
	return p
}

// exhausted reports whether there is more in the file than may be read.
func (p *parser) exhausted() bool { return p.pos == p.end && p.end < len(p.file) }

// token returns a value without items that ends at the current position.
func (p *parser) token(k kind, start int) value {
	return value{src: &p.source, kind: k, start: int32(start), end: int32(p.pos)}
}

// close returns an array or dictionary that ends at the current position and
// takes its items, from mark on, off the stack of open ones.
func (p *parser) close(k kind, start, mark int) value {
	v := p.token(k, start)
	v.first, v.count = int32(len(p.values)), int32(len(p.open)-mark)
	p.values = append(p.values, p.open[mark:]...)
	p.open = p.open[:mark]
	return v
}

// peek returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	if p.pos < p.end {
		return p.file[p.pos]
	}
	return 0
}

func (p *parser) skipSpace() {
	for p.pos < p.end && (p.file[p.pos] == ' ' || p.file[p.pos] == '\n') {
		p.pos++
	}
}

// accept moves past text and reports whether it stood there.
func (p *parser) accept(text string) bool {
	if p.end-p.pos < len(text) || string(p.file[p.pos:p.pos+len(text)]) != text {
		return false
	}
	p.pos += len(text)
	return true
}

// isRegular reports whether c may stand in a name. The number sign, which
// starts an escape, is left out: one name has one spelling.
func isRegular(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%', '#':
		return false
	}
	return c > ' ' && c < 0x7f
}

// value reads the value at the current position.
func (p *parser) value(depth int) (value, error) {
	if p.parsed++; p.parsed > maxValues {
		return value{}, malformed(CodeLimit, p.pos, "more than %d values", maxValues)
	}
	switch c := p.peek(); {
	case c == '/':
		return p.name()
	case c == '(':
		return p.literal()
	case c == '[':
		return p.array(depth + 1)
	case c == '<' && p.pos+1 < p.end && p.file[p.pos+1] == '<':
		return p.dictionary(depth + 1)
	case c == '<':
		return p.hexadecimal()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	start := p.pos
	if (p.accept("true") || p.accept("false")) && !isRegular(p.peek()) {
		return p.token(kindBoolean, start), nil
	}
	return value{}, malformed(CodeSyntax, start, "no value of a kind that we write")
}

func (p *parser) name() (value, error) {
	start := p.pos
	p.pos++
	for p.pos < p.end && isRegular(p.file[p.pos]) {
		p.pos++
	}
	length := p.pos - start - 1
	if length == 0 {
		return value{}, malformed(CodeSyntax, start, "empty name")
	}
	if length > maxName {
		return value{}, malformed(CodeLimit, start, "name of %d bytes", length)
	}
	return p.token(kindName, start), nil
}

// literal reads a literal string (7.3.4.2) in the one form that we write:
// parentheses and the backslash escaped, nothing else.
func (p *parser) literal() (value, error) {
	start := p.pos
	for p.pos++; p.pos < p.end; p.pos++ {
		switch p.file[p.pos] {
		case ')':
			p.pos++
			return p.token(kindString, start), nil
		case '(', '\r':
			return value{}, malformed(CodeSyntax, p.pos, "unescaped byte in a string")
		case '\\':
			p.pos++
			if c := p.peek(); c != '\\' && c != '(' && c != ')' {
				return value{}, malformed(CodeSyntax, p.pos, "escape that we do not write")
			}
		}
	}
	return value{}, malformed(CodeSyntax, start, "string without an end")
}

// hexadecimal reads a hexadecimal string (7.3.4.3) of whole bytes. Most digits
// of the one that matters are zeros, and are checked in blocks.
func (p *parser) hexadecimal() (value, error) {
	start := p.pos
	length := bytes.IndexByte(p.file[start+1:p.end], '>')
	if length < 0 {
		p.pos = p.end
		return value{}, malformed(CodeSyntax, start, "string without an end")
	}
	text := p.file[start+1 : start+1+length]
	for i, c := range trimZeros(text) {
		if nibble(c) > 15 {
			return value{}, malformed(CodeSyntax, start+1+i, "string holds other than lower-case hexadecimal digits")
		}
	}
	p.pos = start + length + len("<>")
	if len(text)%2 != 0 {
		return value{}, malformed(CodeSyntax, start, "string of half a byte")
	}
	v := p.token(kindString, start)
	v.hex = true
	return v, nil
}

// number reads an integer, a real or, when " 0 R" follows, a reference.
func (p *parser) number() (value, error) {
	start := p.pos
	negative := p.accept("-")
	whole := p.digits()
	digits, k := len(whole), kindInteger
	if p.peek() == '.' {
		k = kindReal
		p.pos++
		fraction := p.digits()
		if len(fraction) == 0 {
			whole = nil
		}
		digits += len(fraction)
	}
	if len(whole) == 0 || len(whole) > 1 && whole[0] == '0' {
		return value{}, malformed(CodeSyntax, start, "malformed number")
	}
	if digits > maxDigits {
		return value{}, malformed(CodeLimit, start, "number of %d digits", digits)
	}
	if k == kindInteger && !negative && p.accept(" 0 R") {
		k = kindReference
		if n := decimal(whole); n < 1 || n > MaxObjects {
			return value{}, malformed(CodeLimit, start, "reference to object %d", n)
		}
	}
	if isRegular(p.peek()) {
		return value{}, malformed(CodeSyntax, p.pos, "malformed number or reference")
	}
	return p.token(k, start), nil
}

// digits moves past a run of decimal digits and returns it.
func (p *parser) digits() []byte {
	start := p.pos
	for p.pos < p.end && p.file[p.pos] >= '0' && p.file[p.pos] <= '9' {
		p.pos++
	}
	return p.file[start:p.pos]
}

func (p *parser) array(depth int) (value, error) {
	start, mark := p.pos, len(p.open)
	if depth > maxDepth {
		return value{}, malformed(CodeLimit, start, "nested more than %d deep", maxDepth)
	}
	p.pos++
	for {
		p.skipSpace()
		if p.accept("]") {
			return p.close(kindArray, start, mark), nil
		}
		item, err := p.value(depth)
		if err != nil {
			return value{}, err
		}
		p.open = append(p.open, item)
	}
}

func (p *parser) dictionary(depth int) (value, error) {
	start, mark := p.pos, len(p.open)
	if depth > maxDepth {
		return value{}, malformed(CodeLimit, start, "nested more than %d deep", maxDepth)
	}
	p.pos += len("<<")
	for {
		p.skipSpace()
		if p.accept(">>") {
			return p.close(kindDictionary, start, mark), nil
		}
		if err := p.pair(mark, depth); err != nil {
			return value{}, err
		}
	}
}

// pair reads one key and its value; the entries before it are open from mark
// on. A key that stands twice is refused: readers disagree about which of the
// two counts.
func (p *parser) pair(mark, depth int) error {
	if p.peek() != '/' {
		return malformed(CodeSyntax, p.pos, "dictionary key is not a name")
	}
	key, err := p.name()
	if err != nil {
		return err
	}
	for i := mark; i < len(p.open); i += 2 {
		if bytes.Equal(p.open[i].text(), key.text()) {
			return malformed(CodeSyntax, key.start, "key /%s twice in a dictionary", key.text())
		}
	}
	if len(p.open)-mark >= 2*maxEntries {
		return malformed(CodeLimit, key.start, "dictionary of more than %d entries", maxEntries)
	}
	p.skipSpace()
	// The key waits here: p.value leaves the stack as it found it.
	p.open = append(p.open, key)
	item, err := p.value(depth)
	if err != nil {
		return err
	}
	p.open = append(p.open, item)
	return nil
}
