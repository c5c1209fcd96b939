package verify

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
)

// The most characters of an evidence, and of one name within it.
const (
	maxEvidence = 1200
	maxQuoted   = 200
)

// clean makes a text that may come from a file fit for a screen: bounded, on one
// line, and without characters that hide or reorder others.
func clean(s string, limit int) string {
	if strings.ContainsFunc(s, hidden) {
		s = strings.Map(func(r rune) rune {
			if hidden(r) {
				return ' '
			}
			return r
		}, s)
	}
	if len(s) > limit && utf8.RuneCountInString(s) > limit {
		return string([]rune(s)[:limit]) + "…"
	}
	return s
}

func hidden(r rune) bool {
	return r < ' ' || r > '~' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
}

// quote is clean for a name within an evidence.
func quote(s string) string { return clean(s, maxQuoted) }

// describe names a certificate.
func describe(cert *pki.Certificate) string {
	return fmt.Sprintf("%s (serial %x, valid %s to %s)", quote(cert.Subject.String()), cert.SerialNumber,
		instant(cert.NotBefore), instant(cert.NotAfter))
}

func pathText(p pki.Path) string {
	return fmt.Sprintf("%d certificates up to %s", len(p.Chain), quote(p.Chain[len(p.Chain)-1].Subject.CommonName))
}

func structureEvidence(f *pdfsig.File, size int) string {
	formats := make([]string, len(f.Signatures))
	for i, c := range f.Signatures {
		formats[i] = c.SubFilter
	}
	return fmt.Sprintf("%d bytes, %d pages, %d attached files, signatures: %s", size, f.Pages, len(f.Attachments), strings.Join(formats, ", "))
}

func coverageEvidence(r [4]int64, size int) string {
	return fmt.Sprintf("byte ranges [%d, %d) and [%d, %d) of %d bytes; between them only the signature", r[0], r[0]+r[1], r[2], r[2]+r[3], size)
}

// foreignSubFilters lists the signature formats that a file names, for a report on a
// file made elsewhere; one with a signature of ours in it was not, but altered. It
// decides nothing: the strict reader has refused the file already. Of a large file it
// looks at both ends, where signatures are: who hides something everywhere should not
// have it searched for everywhere.
func foreignSubFilters(file []byte) string {
	const end = 2 << 20
	parts := [][]byte{file[:min(len(file), end)], file[max(min(len(file), end), len(file)-end):]}
	var found []string
	for _, part := range parts {
		if bytes.Contains(part, []byte("/"+pdfsig.Filter)) {
			return ""
		}
		found = appendSubFilters(found, part)
	}
	return strings.Join(found, ", ")
}

// appendSubFilters adds those that part names, up to four.
func appendSubFilters(found []string, part []byte) []string {
	const key, maxListed, maxSeen = "/SubFilter", 4, 64
	for seen := 0; seen < maxSeen && len(found) < maxListed; seen++ {
		i := bytes.Index(part, []byte(key))
		if i < 0 {
			break
		}
		part = part[i+len(key):]
		name := bytes.TrimLeft(part[:min(len(part), 64)], " \r\n\t")
		if !bytes.HasPrefix(name, []byte("/")) {
			continue
		}
		if end := bytes.IndexAny(name[1:], " /<>[]()\r\n\t"); end >= 0 {
			name = name[:end+1]
		}
		found = append(found, quote(string(name[1:])))
	}
	return found
}
