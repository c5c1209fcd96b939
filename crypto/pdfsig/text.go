package pdfsig

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text strings (7.9.2.2) are printable ASCII in a literal string, or UTF-16BE
// behind a byte order mark in a hexadecimal one.

// encodeText returns the token of a text string. decodeText undoes it.
func encodeText(s string) string {
	if !isPrintableASCII(s) {
		out := []byte("<feff")
		for _, unit := range utf16.Encode([]rune(s)) {
			out = hex.AppendEncode(out, []byte{byte(unit >> 8), byte(unit)})
		}
		return string(append(out, '>'))
	}
	out := []byte{'('}
	for i := range len(s) {
		if c := s[i]; c == '\\' || c == '(' || c == ')' {
			out = append(out, '\\')
		}
		out = append(out, s[i])
	}
	return string(append(out, ')'))
}

// decodeText reads a text string, refusing what encodeText does not write.
func decodeText(v value) (string, error) {
	if !v.hex {
		if raw := unescape(v.text()); isPrintableASCII(string(raw)) {
			return string(raw), nil
		}
		return "", malformed(CodeSyntax, v.start, "literal text string is not ASCII")
	}
	raw := decodeHex(make([]byte, 0, len(v.text())/2), v.text())
	if !bytes.HasPrefix(raw, []byte("\xfe\xff")) || len(raw)%2 != 0 {
		return "", malformed(CodeSyntax, v.start, "hexadecimal text string is not UTF-16 behind a byte order mark")
	}
	units := make([]uint16, 0, len(raw)/2)
	for i := 2; i < len(raw); i += 2 {
		units = append(units, uint16(raw[i])<<8|uint16(raw[i+1]))
	}
	runes := utf16.Decode(units)
	for _, r := range runes {
		if r == utf8.RuneError {
			return "", malformed(CodeSyntax, v.start, "text string with an unpaired surrogate")
		}
	}
	return string(runes), nil
}

// unescape resolves the escapes that the parser admits.
func unescape(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' {
			i++
		}
		out = append(out, raw[i])
	}
	return out
}

// checkTexts refuses texts that a signature cannot carry: what would not come
// back from a file as it went in, or would show nothing where it is displayed.
// A partial field name has at least one character and no full stop (12.7.4.2).
func checkTexts(fieldName, signerName, reason string) error {
	if fieldName == "" || strings.Contains(fieldName, ".") {
		return fmt.Errorf("field name %q is empty or holds a full stop", fieldName)
	}
	for _, text := range []struct{ what, s string }{{"field name", fieldName}, {"signer name", signerName}, {"reason", reason}} {
		if !utf8.ValidString(text.s) || strings.ContainsFunc(text.s, isUnfit) {
			return fmt.Errorf("%s holds a control character or is not UTF-8", text.what)
		}
		if utf8.RuneCountInString(text.s) > maxText {
			return fmt.Errorf("%s of more than %d characters", text.what, maxText)
		}
	}
	return nil
}

func isUnfit(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError || r == '\ufeff' }

func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
