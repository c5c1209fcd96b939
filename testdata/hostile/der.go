package hostile

import (
	"bytes"
	"encoding/asn1"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Element encodes a DER element with a definite length.
func Element(tag byte, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	return append(head(tag, len(body)), body...)
}

// head is the tag and length of an element with n bytes of content.
func head(tag byte, n int) []byte {
	switch {
	case n < 0x80:
		return []byte{tag, byte(n)}
	case n < 1<<8:
		return []byte{tag, 0x81, byte(n)}
	case n < 1<<16:
		return []byte{tag, 0x82, byte(n >> 8), byte(n)}
	}
	return []byte{tag, 0x83, byte(n >> 16), byte(n >> 8), byte(n)}
}

// Nested are n SEQUENCEs in one another.
func Nested(n int) []byte {
	var heads [][]byte // inner before outer
	size := 0
	for range n {
		heads = append(heads, head(0x30, size))
		size += len(heads[len(heads)-1])
	}
	slices.Reverse(heads)
	return bytes.Join(heads, nil)
}

// Indefinite encodes a DER element anew with an indefinite length (X.690, 8.1.3.6),
// which DER does not have.
func Indefinite(t testing.TB, der []byte) []byte {
	t.Helper()
	v := element(t, der)
	return append(append([]byte{der[0], 0x80}, v.Bytes...), 0, 0)
}

// Find returns the element at a path into der: of each constructed element the place
// of a child, from 0.
func Find(t testing.TB, der []byte, path ...int) []byte {
	t.Helper()
	for _, n := range path {
		der = children(t, der)[n]
	}
	return der
}

// Replace returns der with another element at a path, and the lengths above it put
// right. An element that is several, or none, may take its place.
func Replace(t testing.TB, der, by []byte, path ...int) []byte {
	t.Helper()
	if len(path) == 0 {
		return by
	}
	list := children(t, der)
	list[path[0]] = Replace(t, list[path[0]], by, path[1:]...)
	return Element(der[0], list...)
}

// children returns the elements inside a constructed one.
func children(t testing.TB, der []byte) (list [][]byte) {
	t.Helper()
	for rest := element(t, der).Bytes; len(rest) > 0; {
		v := element(t, rest)
		list = append(list, v.FullBytes)
		rest = rest[len(v.FullBytes):]
	}
	return list
}

func element(t testing.TB, der []byte) (v asn1.RawValue) {
	t.Helper()
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Repeated returns the certificate in an OCTET STRING with its first extension n times.
func Repeated(t testing.TB, octets []byte, n int) []byte {
	t.Helper()
	cert := element(t, octets).Bytes
	const extensions = 7 // in TBSCertificate, behind [3]
	first := Find(t, cert, 0, extensions, 0, 0)
	return Replace(t, cert, Element(0x30, bytes.Repeat(first, n)), 0, extensions, 0)
}

// CheckDER fails the test unless der is one element, and all that is constructed in it
// is elements without a byte between or behind: tags and definite lengths in the
// fewest octets.
func CheckDER(t testing.TB, der []byte) {
	t.Helper()
	input := cryptobyte.String(der)
	if !isOneElement(&input) || !input.Empty() {
		t.Errorf("not one DER element: %x", der)
	}
}

// isOneElement takes an element off and looks into it.
func isOneElement(s *cryptobyte.String) bool {
	var inside cryptobyte.String
	var tag cbasn1.Tag
	if !s.ReadAnyASN1(&inside, &tag) {
		return false
	}
	for tag&0x20 != 0 && !inside.Empty() {
		if !isOneElement(&inside) {
			return false
		}
	}
	return true
}
