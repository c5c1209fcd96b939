package licence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// QRText is the text of a licence's QR code in its two parts. Drawn as three
// segments (alphanumeric URL, one byte "#", numeric Digits) it takes the least
// room, and FitQRPayload counts on that.
type QRText struct {
	// URL is the verification page in capitals: "HTTPS://HOST/V"; of a code that is no
	// licence's, another address.
	URL string
	// Digits is the QR message, 7 bytes as 17 decimal digits.
	Digits string
}

// String is the whole text, as a scanner reads it; without Digits it is the URL.
func (q QRText) String() string {
	if q.Digits == "" {
		return q.URL
	}
	return q.URL + "#" + q.Digits
}

const (
	// maxTextChars bounds the text of a QR code that is read.
	maxTextChars = 1600
	// maxHostChars bounds host and port of the verification page.
	maxHostChars = 100
	// version13Bits is how many data bits a QR symbol of version 13 at error
	// correction level M holds (ISO/IEC 18004 table 7: 334 codewords).
	version13Bits = 334 * 8
)

// hostForm keeps to the alphanumeric characters of ISO/IEC 18004 that a host name
// or an IPv4 address has; an IPv6 address in brackets would not fit in.
var hostForm = regexp.MustCompile(`^[0-9A-Z]([0-9A-Z.-]*[0-9A-Z])?(:[1-9][0-9]{0,4})?$`)

// NewQRText is the text for a QR message, for the service at publicURL: http or
// https, a host, perhaps a port, and nothing else.
func NewQRText(publicURL string, message []byte) (QRText, error) {
	page, err := verificationPage(publicURL)
	if err != nil {
		return QRText{}, err
	}
	if len(message) == 0 || len(message) > maxMessageBytes {
		return QRText{}, fmt.Errorf("licence: QR message of %d bytes: 1 to %d are allowed", len(message), maxMessageBytes)
	}
	return QRText{URL: page, Digits: encodeDigits(message)}, nil
}

// verificationPage is the address that phones open, in capitals: the scheme and
// the host of an URL mean the same in any letter case, and capitals take fewer bits.
func verificationPage(publicURL string) (string, error) {
	u, err := url.Parse(publicURL)
	if err != nil || len(publicURL) > 8+maxHostChars || strings.ContainsFunc(publicURL, notASCII) {
		return "", errors.New("licence: the public URL is malformed, too long or not ASCII")
	}
	host := strings.ToUpper(u.Host)
	if !strings.EqualFold(u.Scheme+"://"+u.Host, publicURL) || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("licence: the public URL %q must be http:// or https:// with a host, and no path, query or user", publicURL)
	}
	if port := u.Port(); !hostForm.MatchString(host) || len(port) == 5 && port > "65535" {
		return "", fmt.Errorf("licence: the public URL %q has a host or port that a QR code cannot carry in capitals", publicURL)
	}
	return strings.ToUpper(u.Scheme) + "://" + host + "/V", nil
}

// NewReportText is the text of the code on a verification report (核验报告), for the
// service at publicURL: the page that compares the report with the access log, by the
// index and the leaf hash of the verification's entry. "HTTPS://HOST/R/131-5F…".
func NewReportText(publicURL string, index uint64, leaf [32]byte) (QRText, error) {
	page, err := verificationPage(publicURL)
	if err != nil {
		return QRText{}, err
	}
	return QRText{URL: fmt.Sprintf("%s/R/%d-%X", strings.TrimSuffix(page, "/V"), index, leaf)}, nil
}

// NewCodeText is the text of a holder's code (用证码、亮证码), for the service at publicURL:
// the page that shows what it presents. "HTTPS://HOST/S/MFRGG…".
func NewCodeText(publicURL, code string) (QRText, error) {
	page, err := verificationPage(publicURL)
	if err != nil {
		return QRText{}, err
	}
	return QRText{URL: strings.TrimSuffix(page, "/V") + "/S/" + code}, nil
}

// notASCII keeps out letters such as U+212A, whose other case is an ASCII letter.
func notASCII(r rune) bool { return r >= utf8.RuneSelf }

// ParseQRText reads the text of a QR code, at most 1,600 characters: scheme, host
// and /V in any letter case, for some scanners change it. publicURL comes back in
// lower case, and NewQRText makes of both results the same text in capitals. Whose
// host it is, is for the caller to judge.
func ParseQRText(text string) (publicURL string, message []byte, err error) {
	if len(text) > maxTextChars || strings.ContainsFunc(text, notASCII) {
		return "", nil, fmt.Errorf("licence: malformed QR text: longer than %d characters, or not ASCII", maxTextChars)
	}
	page, digits, found := strings.Cut(text, "#")
	if !found {
		return "", nil, errors.New("licence: malformed QR text: no # in it")
	}
	base, path := page[:max(len(page)-2, 0)], page[max(len(page)-2, 0):]
	if publicURL = strings.ToLower(base); path != "/V" && path != "/v" {
		return "", nil, errors.New("licence: malformed QR text: the address does not end in /V")
	}
	if _, err := verificationPage(publicURL); err != nil {
		return "", nil, fmt.Errorf("licence: malformed QR text: %w", err)
	}
	if message, err = decodeDigits(digits); err != nil {
		return "", nil, fmt.Errorf("licence: malformed QR text: %w", err)
	}
	return publicURL, message, nil
}

// tailDigits is how many decimal digits the largest value of 0 to 7 bytes has.
var tailDigits = [8]int{0, 3, 5, 8, 10, 13, 15, 17}

// encodeDigits writes each 7 bytes, as a big-endian number, in 17 decimal digits,
// and the 1 to 6 bytes that are left in as many digits as tailDigits says.
func encodeDigits(message []byte) string {
	var b strings.Builder
	for len(message) > 0 {
		n := min(7, len(message))
		var group [8]byte
		copy(group[8-n:], message[:n])
		fmt.Fprintf(&b, "%0*d", tailDigits[n], binary.BigEndian.Uint64(group[:]))
		message = message[n:]
	}
	return b.String()
}

// decodeDigits refuses a number of digits that no message has, and a group whose
// value does not fit its bytes: every message has one spelling.
func decodeDigits(digits string) ([]byte, error) {
	if digits == "" || !isDigits(digits) {
		return nil, errors.New("what follows # is not decimal digits")
	}
	var message []byte
	for len(digits) > 0 {
		width := min(17, len(digits))
		n := 0
		for n < 7 && tailDigits[n] != width {
			n++
		}
		if tailDigits[n] != width {
			return nil, fmt.Errorf("a last group of %d digits stands for no bytes", width)
		}
		v, err := strconv.ParseUint(digits[:width], 10, 64)
		if err != nil || v>>(8*n) != 0 {
			return nil, fmt.Errorf("a group of %d digits is too large for %d bytes", width, n)
		}
		var group [8]byte
		binary.BigEndian.PutUint64(group[:], v)
		message = append(message, group[8-n:]...)
		digits = digits[width:]
	}
	if len(message) > maxMessageBytes {
		return nil, fmt.Errorf("a message of more than %d bytes", maxMessageBytes)
	}
	return message, nil
}

// bits is how many data bits the text takes in a symbol of version 10 to 26, as
// three segments: a mode indicator and a character count each (ISO/IEC 18004
// table 3), two alphanumeric characters in 11 bits, a byte in 8, three digits in 10.
func (q QRText) bits() int {
	alphanumeric := 4 + 11 + len(q.URL)/2*11 + len(q.URL)%2*6
	one := 4 + 16 + 8
	numeric := 4 + 12 + len(q.Digits)/3*10 + [3]int{0, 4, 7}[len(q.Digits)%3]
	return alphanumeric + one + numeric
}

// FitQRPayload is p as it can be printed for the service at publicURL: whole, or
// with what a symbol of version 13 at level M has no room for left out. The type's
// name goes first, for its code stays in the identifier; then the holder's name;
// then both. When even that does not fit, the number is too long: a *RequestError.
// A longer text never fits where a shorter one did not, so trying with the widest
// number, before a number is taken, proves that the real one will fit.
func FitQRPayload(p QRPayload, publicURL string) (QRPayload, error) {
	noType, noName, neither := p, p, p
	noType.TypeName, noName.HolderName = "", ""
	neither.TypeName, neither.HolderName = "", ""
	for _, candidate := range []QRPayload{p, noType, noName, neither} {
		switch err := candidate.fits(publicURL); {
		case err == nil:
			return candidate, nil
		case !errors.Is(err, errMessageTooLong):
			return QRPayload{}, err
		}
	}
	return QRPayload{}, &RequestError{Fields: []FieldError{{"number", CodeTooLong, "leaves no room for the rest of the QR code"}}}
}

// fits is nil when p fits a symbol of version 13, errMessageTooLong when it is too
// long for that.
func (p QRPayload) fits(publicURL string) error {
	message, err := p.Message([8]byte{}, [64]byte{})
	if err != nil {
		return err
	}
	q, err := NewQRText(publicURL, message)
	if err != nil {
		return err
	}
	if n := q.bits(); n > version13Bits {
		return fmt.Errorf("%w: %d bits, and version 13 holds %d", errMessageTooLong, n, version13Bits)
	}
	return nil
}
