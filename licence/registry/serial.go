package registry

import (
	"fmt"
	"io"
)

const (
	serialAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	serialLength   = 10
	widestSerial   = "WWWWWWWWWW"
)

// newSerial draws the serial of an identifier (流水号, GB/T 36904 leaves its
// form to the issuer). It is random, 51 bits, so that identifiers cannot be
// enumerated by whoever knows one, and carries nothing personal, as a licence
// number may.
func newSerial(rand io.Reader) (string, error) {
	serial := make([]byte, 0, serialLength)
	var b [1]byte
	for len(serial) < serialLength {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return "", fmt.Errorf("drawing a serial: %w", err)
		}
		if b[0] < 252 { // 7×36: without it the first letters were likelier
			serial = append(serial, serialAlphabet[b[0]%36])
		}
	}
	return string(serial), nil
}
