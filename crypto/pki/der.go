package pki

import (
	"bytes"
	"encoding/asn1"
	"errors"
)

// UnmarshalDER decodes a value of type T from its one DER encoding: trailing data,
// BER lengths, elements of a SET out of order, a default written out and anything
// else that Go's encoder would write differently is refused. params are those of
// [asn1.UnmarshalWithParams], such as "set". On error the value is zero.
func UnmarshalDER[T any](der []byte, params string) (T, error) {
	var value, zero T
	rest, err := asn1.UnmarshalWithParams(der, &value, params)
	if err != nil {
		return zero, err
	}
	if len(rest) > 0 {
		return zero, errors.New("trailing data")
	}
	again, err := asn1.MarshalWithParams(value, params)
	if err != nil {
		return zero, err
	}
	if !bytes.Equal(again, der) {
		return zero, errors.New("not the canonical DER encoding")
	}
	return value, nil
}
