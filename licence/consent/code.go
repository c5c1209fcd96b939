package consent

import (
	"encoding/base32"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// A code is what opens a consent: 160 random bits in base32 (RFC 4648, capitals, no
// padding), 32 characters that a QR symbol takes as alphanumeric. It is made anew each time the
// holder's page shows it, and opens its consent for CodeLife; the page shows the next one
// after CodePeriod, so that one that was just scanned still has time to arrive. A picture
// of it is worthless a minute and a half later.
const (
	codeBytes  = 20
	CodePeriod = time.Minute
	CodeLife   = 90 * time.Second
)

var codeForm = regexp.MustCompile(`^[A-Z2-7]{32}$`)

// NewCode draws a code.
func NewCode(random io.Reader) (string, error) {
	var b [codeBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("drawing a code: %w", err)
	}
	return base32.StdEncoding.EncodeToString(b[:]), nil
}

// maxCodeText bounds the text of a QR symbol that is taken for a code.
const maxCodeText = 256

// ParseCode takes a code, or the whole text of the QR symbol that it was read from, whose
// last part it is. ok is false for what no code of ours can be.
func ParseCode(text string) (code string, ok bool) {
	if len(text) > maxCodeText {
		return "", false
	}
	code = text[strings.LastIndexByte(text, '/')+1:]
	return code, codeForm.MatchString(code)
}
