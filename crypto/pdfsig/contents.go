package pdfsig

import (
	"bytes"
	"encoding/hex"
	"fmt"
)

// The bytes of /Contents are the only ones that no signature protects, so they
// have one form only: lower-case hexadecimal digits of one DER element, whose
// own length says where it ends, and then nothing but zeros.

// derLength returns the length in bytes of the DER SEQUENCE at the start of b
// (X.690, 8.1.3 and 10.1: definite, in the fewest octets), header included. At
// least one byte of content is demanded. b may end before the element does.
func derLength(b []byte) (int, error) {
	if len(b) < 3 || b[0] != 0x30 {
		return 0, fmt.Errorf("no DER SEQUENCE")
	}
	if b[1] < 0x80 {
		if b[1] == 0 {
			return 0, fmt.Errorf("empty DER SEQUENCE")
		}
		return 2 + int(b[1]), nil
	}
	octets := int(b[1] & 0x7f)
	if octets < 1 || octets > 3 || len(b) < 2+octets {
		return 0, fmt.Errorf("length of the DER SEQUENCE")
	}
	n := 0
	for _, c := range b[2 : 2+octets] {
		n = n<<8 | int(c)
	}
	if b[2] == 0 || n < 0x80 {
		return 0, fmt.Errorf("length of the DER SEQUENCE is not in the fewest octets")
	}
	return 2 + octets + n, nil
}

// appendContents appends the digits of der and the zeros that fill room bytes.
func appendContents(out, der []byte, room int) ([]byte, error) {
	n, err := derLength(der)
	if err != nil {
		return nil, fmt.Errorf("pdfsig: signature: %w", err)
	}
	if n != len(der) {
		return nil, fmt.Errorf("pdfsig: signature of %d bytes, but its DER has %d", len(der), n)
	}
	if n > room {
		return nil, fmt.Errorf("pdfsig: signature of %d bytes does not fit the %d reserved", n, room)
	}
	out = hex.AppendEncode(out, der)
	return appendZeros(out, 2*(room-n)), nil
}

// zeros is a block of the digit zero.
const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// appendZeros appends n digits zero.
func appendZeros(out []byte, n int) []byte {
	for ; n > len(zeros); n -= len(zeros) {
		out = append(out, zeros...)
	}
	return append(out, zeros[:n]...)
}

// trimZeros returns digits without the zeros at its end.
func trimZeros(digits []byte) []byte {
	for len(digits) >= len(zeros) && string(digits[len(digits)-len(zeros):]) == zeros {
		digits = digits[:len(digits)-len(zeros)]
	}
	return bytes.TrimRight(digits, "0")
}

// parseContents is the inverse of appendContents: v is the token of /Contents,
// a hexadecimal string as the parser accepts it.
func parseContents(v value) ([]byte, error) {
	digits := v.text()
	if !v.hex || len(digits) == 0 || len(digits) > 2*MaxContents {
		return nil, malformed(CodeContents, v.start, "contents are not a hexadecimal string of at most %d bytes", MaxContents)
	}
	var head [5]byte
	n, err := derLength(decodeHex(head[:0], digits[:min(len(digits), 2*len(head))]))
	if err != nil {
		return nil, malformed(CodeContents, v.start, "contents: %v", err)
	}
	if 2*n > len(digits) {
		return nil, malformed(CodeContents, v.start, "contents end before their DER")
	}
	if end := len(trimZeros(digits)); end > 2*n {
		return nil, malformed(CodeContents, int(v.start)+end, "byte other than zero after the DER")
	}
	return decodeHex(make([]byte, 0, n), digits[:2*n]), nil
}

// decodeHex appends the bytes of an even number of digits known to be digits.
func decodeHex(out, digits []byte) []byte {
	out, _ = hex.AppendDecode(out, digits) // which fails of other bytes alone
	return out
}

// nibble returns the value of a lower-case hexadecimal digit, 16 for any other
// byte. encoding/hex would take upper case too: a second form of the same.
func nibble(c byte) byte { return nibbles[c] }

// nibbles is a table, because most of a file is the hexadecimal form of its seal.
var nibbles = func() (table [256]byte) {
	for c := range table {
		table[c] = 16
	}
	for value, c := range []byte("0123456789abcdef") {
		table[c] = byte(value)
	}
	return table
}()
