package ofd

import "fmt"

// The codes of FormatError. They are stable: reports and tests name them.
const (
	CodeFileSize  = "file_size"  // empty, or longer than MaxFileSize
	CodeContainer = "container"  // no ZIP archive, or one in which readers may see different files
	CodeEncrypted = "encrypted"  // an encrypted entry
	CodeName      = "entry_name" // a name that leads out of the archive, or that two entries share
	CodeLimit     = "limit"      // a count, size, ratio or depth beyond its limit
	CodeEntry     = "entry"      // an entry that does not unpack, or is missing
	CodeXML       = "xml"        // a description that is not plain XML in UTF-8
	CodeDocument  = "document"   // descriptions that do not make an OFD document
	CodeSignature = "signature"  // a signature's description that cannot be read
)

// FormatError says why a file is no OFD that this package reads.
type FormatError struct {
	// Code is one of the constants above.
	Code string
	// Entry names the entry with the fault; empty for the archive as a whole. It comes from
	// the file.
	Entry string
	// Detail says what was wrong there, for people.
	Detail string
}

// Error implements error.
func (e *FormatError) Error() string {
	if e.Entry == "" {
		return fmt.Sprintf("ofd: malformed file: %s (%s)", e.Detail, e.Code)
	}
	return fmt.Sprintf("ofd: malformed file: entry %.80q: %s (%s)", e.Entry, e.Detail, e.Code)
}

func malformed(code, entry, format string, args ...any) error {
	return &FormatError{code, entry, fmt.Sprintf(format, args...)}
}
