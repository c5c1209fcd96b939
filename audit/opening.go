package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/emmansun/gmsm/sm3"
	"github.com/fxamacker/cbor/v2"
)

// An opening is deterministic CBOR, opening = [salt: bstr .size 32, {+ tstr => tstr}],
// and what a record holds of it is SM3(0x02 ‖ opening). Without the salt the
// commitment to a citizen number could be inverted by trying all of them; with
// it, erasing the opening erases the values.
const (
	maxPersonal      = 32
	maxPersonalName  = 64
	maxPersonalValue = 1024
	maxOpening       = 40 << 10
	saltSize         = 32
)

// opening is the CBOR array.
type opening struct {
	_        struct{} `cbor:",toarray"`
	Salt     []byte
	Personal map[string]string
}

// newOpening returns the opening and the commitment for personal values; nil
// and nil when there are none.
func newOpening(rand io.Reader, personal map[string]string) (encoded, commitment []byte, err error) {
	if len(personal) == 0 {
		return nil, nil, nil
	}
	if err := checkPersonal(personal); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalidEntry, err)
	}
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(rand, salt); err != nil {
		return nil, nil, fmt.Errorf("drawing salt: %w", err)
	}
	encoded, err = deterministic.Marshal(opening{Salt: salt, Personal: personal})
	if err != nil {
		return nil, nil, fmt.Errorf("encoding personal values: %w", err)
	}
	return encoded, commit(encoded), nil
}

// commit returns SM3(0x02 ‖ opening): a prefix that neither leaves nor nodes use.
func commit(encoded []byte) []byte {
	sum := sm3.Sum(append([]byte{2}, encoded...))
	return sum[:]
}

func checkPersonal(personal map[string]string) error {
	if len(personal) == 0 || len(personal) > maxPersonal {
		return fmt.Errorf("%d personal values, want 1 to %d", len(personal), maxPersonal)
	}
	for name, value := range personal {
		if name == "" || len(name) > maxPersonalName || len(value) > maxPersonalValue {
			return errors.New("a personal value's name is empty, or it or the value is too long")
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return errors.New("a personal value is not UTF-8")
		}
	}
	return nil
}

// OpenPersonal returns the personal values in the opening that was kept beside
// r, after checking that it is what r commits to.
func (r *Record) OpenPersonal(encoded []byte) (map[string]string, error) {
	if len(encoded) > maxOpening {
		return nil, fmt.Errorf("audit: malformed opening: longer than %d bytes", maxOpening)
	}
	if r.Commitment == nil || !bytes.Equal(commit(encoded), r.Commitment) {
		return nil, errors.New("audit: opening does not match the record's commitment")
	}
	o, err := parseOpening(encoded)
	return o.Personal, err
}

func parseOpening(encoded []byte) (opening, error) {
	var o opening
	if err := cbor.Unmarshal(encoded, &o); err != nil {
		return opening{}, fmt.Errorf("audit: malformed opening: %w", err)
	}
	again, err := deterministic.Marshal(o)
	if err != nil || !bytes.Equal(again, encoded) || len(o.Salt) != saltSize {
		return opening{}, errors.New("audit: malformed opening: not deterministic CBOR of the opening's form")
	}
	if err := checkPersonal(o.Personal); err != nil {
		return opening{}, fmt.Errorf("audit: malformed opening: %w", err)
	}
	return o, nil
}
