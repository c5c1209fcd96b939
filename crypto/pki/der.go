package pki

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// UnmarshalDER decodes a value of type T from its one DER encoding: trailing data,
// BER lengths, elements of a SET out of order, a default written out and anything
// else that Go's encoder would write differently is refused. params are those of
// [asn1.UnmarshalWithParams], such as "set". On error the value is zero.
func UnmarshalDER[T any](der []byte, params string) (T, error) {
	value, err := DecodeDER[T](der, params)
	if err == nil {
		err = CheckCanonical(der, value, params)
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return value, nil
}

// DecodeDER is UnmarshalDER without the last step, CheckCanonical, for a caller who finds
// by other means that der is canonical.
func DecodeDER[T any](der []byte, params string) (T, error) {
	var value, zero T
	if err := checkElements(der); err != nil {
		return zero, err
	}
	rest, err := asn1.UnmarshalWithParams(der, &value, params)
	if err != nil {
		return zero, err
	}
	if len(rest) > 0 {
		return zero, errors.New("trailing data")
	}
	return value, nil
}

// CheckCanonical refuses der when value is encoded otherwise.
func CheckCanonical(der []byte, value any, params string) error {
	again, err := asn1.MarshalWithParams(value, params)
	if err == nil && !bytes.Equal(again, der) {
		err = errors.New("not the canonical DER encoding")
	}
	return err
}

// maxElementDepth is how deep elements may lie in one another: a certificate has ten
// levels, a token with one in it fifteen.
const maxElementDepth = 64

const constructed = 0x20 // the bit of a tag

// checkElements looks into all that is constructed, also where a decoder would pass
// over it: it must be elements and nothing else, with definite lengths in the fewest
// octets (X.690, 10.1). By hand, for cryptobyte would allocate for each of them.
func checkElements(der []byte) error { return elementsWithin(der, maxElementDepth) }

func elementsWithin(der []byte, depth int) error {
	if depth == 0 {
		return fmt.Errorf("elements lie more than %d deep", maxElementDepth)
	}
	for len(der) > 0 {
		header, length := elementHeader(der)
		if header == 0 || len(der)-header < length {
			return errors.New("bytes that are no DER element")
		}
		if der[0]&constructed != 0 {
			if err := elementsWithin(der[header:header+length], depth-1); err != nil {
				return err
			}
		}
		der = der[header+length:]
	}
	return nil
}

// elementHeader returns how long tag and length are, 0 for malformed ones, and the
// length that they tell. Tags of several octets do not occur here.
func elementHeader(der []byte) (header, length int) {
	if len(der) < 2 || der[0]&0x1f == 0x1f {
		return 0, 0
	}
	if der[1] < 0x80 {
		return 2, int(der[1])
	}
	octets := int(der[1] & 0x7f)
	if octets < 1 || octets > 3 || len(der) < 2+octets || der[2] == 0 {
		return 0, 0
	}
	for _, c := range der[2 : 2+octets] {
		length = length<<8 | int(c)
	}
	if length < 0x80 {
		return 0, 0
	}
	return 2 + octets, length
}

// maxExtensions bounds a list of extensions, each of which is compared with the others.
const maxExtensions = 64

// CheckExtensions refuses what RFC 5280 §4.2 refuses: an extension that stands twice,
// of which readers might each take another, and a critical one that the caller does
// not act upon. More than 64 are refused too.
func CheckExtensions(extensions []pkix.Extension, known ...asn1.ObjectIdentifier) error {
	if len(extensions) > maxExtensions {
		return fmt.Errorf("%d extensions, not up to %d", len(extensions), maxExtensions)
	}
	for i, ext := range extensions {
		if slices.ContainsFunc(extensions[:i], func(e pkix.Extension) bool { return e.Id.Equal(ext.Id) }) {
			return fmt.Errorf("extension %s stands twice", ext.Id)
		}
		if ext.Critical && !slices.ContainsFunc(known, ext.Id.Equal) {
			return fmt.Errorf("critical extension %s is not supported", ext.Id)
		}
	}
	return nil
}
