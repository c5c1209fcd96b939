package qr

import (
	"bytes"
	"errors"
	"fmt"
	"math"
)

// read goes through the content token by token.
func (p *painter) read(data []byte) error {
	for len(data) > 0 {
		switch classes[data[0]] {
		case white:
			data = data[1:]
		case regular:
			n := tokenEnd(data)
			if err := p.token(data[:n]); err != nil {
				return err
			}
			data = data[n:]
		default:
			n, err := p.delimited(data)
			if err != nil {
				return err
			}
			data = data[n:]
		}
	}
	return nil
}

// delimited reads a string, a name, or a bracket of an array or dictionary, n bytes at the head of data.
func (p *painter) delimited(data []byte) (n int, err error) {
	switch c := data[0]; {
	case c == '(':
		if n = stringEnd(data); n < 0 {
			return 0, errors.New("string without end")
		}
		p.shown, p.others = n, true
	case bytes.HasPrefix(data, []byte("<<")), bytes.HasPrefix(data, []byte(">>")):
		return 2, p.bracket(data[:2])
	case c == '<':
		if n = bytes.IndexByte(data, '>'); n < 0 {
			return 0, errors.New("string without end")
		}
		p.shown, p.others = n/2, true
		n++
	case c == '[', c == ']':
		return 1, p.bracket(data[:1])
	case c == '/':
		n = 1 + tokenEnd(data[1:])
		p.name, p.others = data[1:n], true
		if bytes.ContainsAny(p.name, "%{}#") {
			return 0, fmt.Errorf("name %.10q", p.name)
		}
	default:
		return 0, fmt.Errorf("unexpected %q", c)
	}
	return n, nil
}

// bracket begins or ends an array or a dictionary, which stands in no other array or dictionary.
func (p *painter) bracket(s []byte) error {
	var end string
	switch string(s) {
	case "[":
		end = "]"
	case "<<":
		end = ">>"
	}
	if end != "" && p.open != "" || end == "" && p.open != string(s) {
		return fmt.Errorf("%s out of place", s)
	}
	p.open, p.others = end, true
	return nil
}

// Characters that end a token (7.2.2).
const (
	regular = iota
	white
	delimiter
)

// classes is a table, because a page is tokens of a character or two.
var classes = func() (class [256]uint8) {
	for _, c := range []byte(" \n\r\t\x00\f") {
		class[c] = white
	}
	for _, c := range []byte("()<>[]/") {
		class[c] = delimiter
	}
	return class
}()

// tokenEnd is the length of the token at the head of data.
func tokenEnd(data []byte) int {
	for i, c := range data {
		if classes[c] != regular {
			return i
		}
	}
	return len(data)
}

// stringEnd is the length of the literal string at the head of data, -1 when it
// has no end.
func stringEnd(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// token takes a number or runs an operator.
func (p *painter) token(s []byte) error {
	v, ok := number(s)
	if !ok {
		err := p.operator(s)
		p.operands, p.others = p.operands[:0], false
		return err
	}
	if len(p.operands) == maxOperands || math.Abs(v) > maxNumber {
		return errors.New("too many operands or a number out of range")
	}
	p.operands = append(p.operands, v)
	return nil
}

// tens are powers of ten that a float64 holds exactly, as it does a whole number of 15 digits:
// their quotient is rounded once, like what strconv.ParseFloat returns.
var tens = [16]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// maxNumber is the largest number, of a matrix too: readers reckon whole ones in 32 bits, and
// points in floats, which far larger ones would leave no fraction of a module.
const maxNumber = 1 << 16

// number reads a token that is not empty as a number, as it is written in PDF (7.3.3), of at most 15 digits: no other form that
// Go would take, and some readers not, as 1e5.
func number(s []byte) (v float64, ok bool) {
	digits := s
	if s[0] == '-' {
		digits = s[1:]
	}
	n, decimals, ok := decimal(digits)
	if v = float64(n) / tens[decimals]; len(digits) < len(s) {
		v = -v
	}
	return v, ok
}

// decimal reads 1 to 15 digits with at most one point among them: n, of which so many are
// decimals. Anything else is not plain.
func decimal(s []byte) (n int64, decimals int, plain bool) {
	digits, point := 0, false
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9' && digits < 15:
			n = n*10 + int64(c-'0')
			digits++
			if point {
				decimals++
			}
		case c == '.' && !point:
			point = true
		default:
			return 0, 0, false
		}
	}
	return n, decimals, digits > 0
}
