package pdfsig

import "fmt"

// The codes of FormatError. They are stable: reports and tests name them.
const (
	CodeFileSize        = "file_size"        // empty, or longer than MaxFileSize
	CodeHeader          = "header"           // not the header that we write
	CodeSyntax          = "syntax"           // a token or an object that we do not write, or bytes that belong to nothing
	CodeLimit           = "limit"            // a number, name, depth or count beyond its limit
	CodeXref            = "xref"             // a cross-reference section that does not match the objects
	CodeTrailer         = "trailer"          // trailer, startxref or end-of-file marker
	CodeRevisions       = "revisions"        // bytes after the last revision allowed
	CodeNoSignature     = "no_signature"     // no signature revision, or a signature without value or byte range
	CodeObject          = "object"           // an object defined twice, missing, unreachable or used in two roles
	CodeProfile         = "profile"          // a dictionary entry that our files do not have
	CodeActiveContent   = "active_content"   // JavaScript, actions, links, rich media
	CodeOptionalContent = "optional_content" // content that a reader may hide or show
	CodeEncrypted       = "encrypted"        // an encryption dictionary
	CodeUpdate          = "update"           // a signature revision that changes what it may not
	CodeField           = "signature_field"  // the field, its widget, its place or its appearance
	CodeByteRange       = "byte_range"       // ranges that do not cover the revision but for /Contents
	CodeContents        = "contents"         // /Contents not in its one canonical form
	CodeStream          = "stream"           // a stream that does not decode, or decodes to too much
	CodeAttachment      = "attachment"       // an embedded file without a usable or unique name
)

// FormatError reports that a file is outside the profile of this package.
type FormatError struct {
	// Code is one of the constants above.
	Code string
	// Offset is the byte of the file at which the fault was seen, from 0.
	Offset int64
	// Detail says what was wrong there, for people. It quotes no more of the
	// file than a name or a number.
	Detail string
}

// Error implements error.
func (e *FormatError) Error() string {
	return fmt.Sprintf("pdfsig: malformed file at byte %d: %s (%s)", e.Offset, e.Detail, e.Code)
}

// malformed returns a *FormatError as an error.
func malformed[T int | int32](code string, offset T, format string, args ...any) error {
	return &FormatError{Code: code, Offset: int64(offset), Detail: fmt.Sprintf(format, args...)}
}
