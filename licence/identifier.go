package licence

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// identifierRoot is the fixed object identifier that begins every electronic
// licence identifier (电子证照根代码).
const identifierRoot = "1.2.156.3005.2."

// ErrCheckCharacter says that an identifier has the right form and a wrong check
// character. Identifiers of other systems are known to carry wrong ones, so a
// caller may still look such an identifier up, with a warning.
var ErrCheckCharacter = errors.New("check character does not match")

// Identifier is an electronic licence identifier (电子证照标识, GB/T 36904):
//
//	1.2.156.3005.2 . type 21 . issuing authority 18 . serial . version 3 . check 1
//
// for example 1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0.
// The check character is ISO 7064 MOD 37,36 over the four middle parts without
// their dots. A value from ParseIdentifier or NewIdentifier is well formed; the
// methods of any other value return "" or 0 for a part that is not there.
type Identifier string

// ParseIdentifier reads an identifier of any system: an authority code of 6 to 18
// characters and a serial of 1 to 64. A wrong check character alone gives an
// error that is ErrCheckCharacter.
func ParseIdentifier(s string) (Identifier, error) {
	if len(s) > 160 {
		return "", errors.New("licence: malformed identifier: longer than 160 characters")
	}
	body, ok := strings.CutPrefix(s, identifierRoot)
	p := strings.Split(body, ".")
	switch {
	case !ok || len(p) != 5:
		return "", fmt.Errorf("licence: malformed identifier %q: want %s and five parts", s, identifierRoot)
	case len(p[0]) != 21 || !isAlphanumeric(p[0]):
		return "", fmt.Errorf("licence: malformed identifier %q: the type code is not 21 digits and capitals", s)
	case len(p[1]) < 6 || len(p[1]) > 18 || !isAlphanumeric(p[1]):
		return "", fmt.Errorf("licence: malformed identifier %q: the authority code is not 6 to 18 digits and capitals", s)
	case len(p[2]) > 64 || !isAlphanumeric(p[2]):
		return "", fmt.Errorf("licence: malformed identifier %q: the serial is not 1 to 64 digits and capitals", s)
	case len(p[3]) != 3 || !isDigits(p[3]) || p[3] == "000":
		return "", fmt.Errorf("licence: malformed identifier %q: the version is not 001 to 999", s)
	case len(p[4]) != 1 || !isAlphanumeric(p[4]):
		return "", fmt.Errorf("licence: malformed identifier %q: the check character is not one digit or capital", s)
	}
	if want := mod3736(p[0] + p[1] + p[2] + p[3]); p[4][0] != want {
		return "", fmt.Errorf("licence: identifier %q: %w: it should be %c", s, ErrCheckCharacter, want)
	}
	return Identifier(s), nil
}

// NewIdentifier mints an identifier, strictly: the type code is a unified social
// credit code with three digits from 001, the authority code one that passes
// GB 32100, the serial 1 to 32 digits and capitals, the version 1 to 999.
func NewIdentifier(typeCode, authorityCode, serial string, version int) (Identifier, error) {
	if err := CheckTypeCode(typeCode); err != nil {
		return "", err
	}
	if err := CheckUSCC(authorityCode); err != nil {
		return "", fmt.Errorf("licence: issuing authority code: %w", err)
	}
	if len(serial) > 32 || !isAlphanumeric(serial) {
		return "", fmt.Errorf("licence: serial %.40q is not 1 to 32 digits and capitals", serial)
	}
	if version < 1 || version > MaxVersion {
		return "", fmt.Errorf("licence: version %d is outside 1 to %d", version, MaxVersion)
	}
	v := fmt.Sprintf("%03d", version)
	check := mod3736(typeCode + authorityCode + serial + v)
	return Identifier(identifierRoot + typeCode + "." + authorityCode + "." + serial + "." + v + "." + string(check)), nil
}

// CheckTypeCode reports what is wrong with a licence type code (证照类型代码): the
// unified social credit code of the defining authority, then 001 to 999.
func CheckTypeCode(code string) error {
	if len(code) != 21 || !isDigits(code[18:]) || code[18:] == "000" {
		return fmt.Errorf("licence: type code %.40q is not a unified social credit code and 001 to 999", code)
	}
	if err := CheckUSCC(code[:18]); err != nil {
		return fmt.Errorf("licence: type code: %w", err)
	}
	return nil
}

// part is the i-th part after the root, "" when there is none.
func (id Identifier) part(i int) string {
	if p := strings.Split(strings.TrimPrefix(string(id), identifierRoot), "."); len(p) == 5 {
		return p[i]
	}
	return ""
}

// TypeCode is the licence type's code (证照类型代码).
func (id Identifier) TypeCode() string { return id.part(0) }

// AuthorityCode is the issuing authority's code (证照颁发机构代码).
func (id Identifier) AuthorityCode() string { return id.part(1) }

// Serial is the serial (流水号), unique within type and authority.
func (id Identifier) Serial() string { return id.part(2) }

// Version is the version (版本号), from 1.
func (id Identifier) Version() int {
	v, err := strconv.Atoi(id.part(3))
	if err != nil {
		return 0
	}
	return v
}

// MaxVersion is the highest version number that an identifier has room for.
const MaxVersion = 999

// Next is the identifier of the version after id: version number plus one, check
// character recomputed. It is an error after MaxVersion, and for an identifier that
// NewIdentifier would not mint.
func (id Identifier) Next() (Identifier, error) {
	return NewIdentifier(id.TypeCode(), id.AuthorityCode(), id.Serial(), id.Version()+1)
}

// Precedes reports whether id is well formed and an earlier version of the licence that
// later is a version of.
func (id Identifier) Precedes(later Identifier) bool {
	_, err := ParseIdentifier(string(id))
	return err == nil && id.stem() == later.stem() && id.Version() < later.Version()
}

// stem is what the versions of one licence have in common.
func (id Identifier) stem() string {
	return id.TypeCode() + "." + id.AuthorityCode() + "." + id.Serial()
}

// Versions bounds the identifiers of all versions of a licence, in the bytewise order:
// they come after from and before to.
func (id Identifier) Versions() (from, to Identifier) {
	stem := Identifier(identifierRoot + id.stem())
	return stem + ".", stem + "/" // the character after a dot
}

// mod3736 is the ISO 7064 MOD 37,36 check character of s, which holds digits and
// capitals only.
func mod3736(s string) byte {
	p := 36
	for i := range len(s) {
		t := (p + strings.IndexByte(alphabet36, s[i])) % 36
		if t == 0 {
			t = 36
		}
		p = 2 * t % 37
	}
	return alphabet36[(37-p)%36]
}

const alphabet36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// isAlphanumeric reports whether s is one or more of 0-9 and A-Z.
func isAlphanumeric(s string) bool {
	for i := range len(s) {
		if strings.IndexByte(alphabet36, s[i]) < 0 {
			return false
		}
	}
	return s != ""
}
