// Package licence holds electronic licences: their types and their rules.
//
// It follows GB/T 36901 to 36906-2018 as far as deployed systems show them
// (identifier GB/T 36904, metadata names GB/T 36903, catalogue GB/T 36902), the
// holder codes of GB 11643 and GB 32100, canonical JSON of RFC 8785 in a profile
// without fractions and nulls, and for the QR payload COSE_Sign1 of RFC 9052
// with deterministic CBOR (docs/qr-format.md).
//
// Invariants:
//   - an identifier we mint has correct check characters in all three places;
//   - what a parser here accepts marshals to the same bytes, and on error the
//     value it returns is zero;
//   - everything from outside is bounded in size, depth and count before it is
//     believed;
//   - time is an argument, licence dates are calendar days in Asia/Shanghai, and
//     the last day of a licence is valid to its end;
//   - expired and not_yet_valid are derived from dates and never stored.
//
// The package does no I/O but reading catalogue files from an fs.FS, draws
// nothing, signs nothing and checks no signature.
package licence

import (
	"crypto/subtle"
	"errors"
)

var (
	// ErrNotFound says that no licence, catalogue item or other thing of that
	// name exists.
	ErrNotFound = errors.New("licence: not found")
	// ErrNumberTaken says that a licence number is already in use within its
	// type. A number is never used twice.
	ErrNumberTaken = errors.New("licence: number already taken")
	// ErrWrongStatus says that a licence's status does not allow the change
	// asked for.
	ErrWrongStatus = errors.New("licence: status does not allow this change")
)

// Licence is one electronic licence (电子证照, GB/T 36901): the facts it states,
// apart from its file and its status.
type Licence struct {
	// Identifier names this version of the licence (电子证照标识).
	Identifier Identifier
	// Number is the licence number (证照编号), unique within its type.
	Number string
	// TypeCode is the 21 characters of the licence type (证照类型代码); it equals
	// Identifier.TypeCode.
	TypeCode string
	// TypeName is the Chinese name of the type (证照类型名称).
	TypeName string
	// Version counts the issues of this licence from 1; it equals
	// Identifier.Version.
	Version int
	// Supersedes is the version that this one takes the place of (关联证照标识); empty for
	// the first. Versions between the two were reserved and voided.
	Supersedes Identifier
	// Holder is who the licence is for.
	Holder Holder
	// Authority issued it; its code equals Identifier.AuthorityCode.
	Authority IssuingAuthority
	// CoSealers are the authorities whose seals stand beside the issuing authority's, in
	// the order in which they sealed, before it; nil for none, at most MaxCoSeals.
	CoSealers []CoSealer
	// IssuedOn is the date of issue (颁发日期), never zero.
	IssuedOn Date
	// EffectiveOn is the first valid day (有效期起始日期), never zero.
	EffectiveOn Date
	// ExpiresOn is the last valid day (有效期截止日期); zero means without end (长期).
	ExpiresOn Date
	// Fields are the type's own fields, shaped by its schema: strings, int64,
	// bool, []any and map[string]any only.
	Fields map[string]any
	// Document is what it is drawn on; nil for a licence that a layout alone draws.
	Document *Document
	// Origin is OriginExternal for a licence that another platform issued; empty for our own.
	Origin Origin
	// Copy says that these are the data of an annotated copy (加注件); nil for the licence itself.
	Copy *Copy
}

// Origin is whose licence it is.
type Origin string

// OriginExternal is another platform's: nothing of the licence was made here.
const OriginExternal Origin = "external"

// Holder is who a licence is issued to (持证主体).
type Holder struct {
	// Name as registered, in any script, at most 200 characters.
	Name string
	// Code is the holder's number of the kind CodeType says.
	Code string
	// CodeType is the kind of Code.
	CodeType HolderCodeType
}

// Is reports whether two are one holder, whom both name, in a time that does not depend on
// where they differ: who names a case or a code must not measure whose it is.
func (h Holder) Is(o Holder) bool {
	return h.Code != "" && subtle.ConstantTimeCompare([]byte(string(h.CodeType)+" "+h.Code), []byte(string(o.CodeType)+" "+o.Code)) == 1
}

// MaxCoSeals is how many seals may stand beside the issuing authority's: with that one
// and a signature for readers without SM2 they are the four that a file holds.
const MaxCoSeals = 2

// CoSealer is an authority that seals a licence which another one issues (联合用印机构).
type CoSealer struct {
	Name string
	Code string // unified social credit code
}

// Check reports what is wrong with c: a *RequestError about co_sealer.name and
// co_sealer.code.
func (c CoSealer) Check() error {
	var f faults
	c.check(&f, "co_sealer")
	return f.err()
}

func (c CoSealer) check(f *faults, path string) {
	f.text(path+".name", c.Name, maxNameRunes)
	if err := CheckUSCC(c.Code); err != nil {
		f.add(path+".code", CodeBadHolderCode, "is wrong: %v", err)
	}
}

// Kind reports whether h is a natural or a legal person, by its code type.
func (h Holder) Kind() HolderKind { return h.CodeType.Kind() }

// IssuingAuthority is the body that issues a licence (证照颁发机构).
type IssuingAuthority struct {
	// Name is the authority's full name.
	Name string
	// Code is its unified social credit code (GB 32100), 18 characters.
	Code string
	// Division is its administrative division, as CheckDivision has it.
	Division string
}

// Check names what is wrong with an authority: a *RequestError.
func (a IssuingAuthority) Check() error {
	var f faults
	a.check(&f)
	return f.err()
}

func (a IssuingAuthority) check(f *faults) {
	f.text("authority.name", a.Name, maxNameRunes)
	if err := CheckUSCC(a.Code); err != nil {
		f.add("authority.code", CodeBadHolderCode, "is wrong: %v", err)
	}
	if err := CheckDivision(a.Division); err != nil {
		f.add("authority.division", CodeBadFormat, "%v", err)
	}
}

// isDigits reports whether s is one or more ASCII digits.
func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
