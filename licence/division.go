package licence

import (
	"errors"
	"strings"
)

// CheckDivision reports what is wrong with an administrative division code: 6 digits (GB/T 2260),
// two each for province, city and county, zeros for what is not named, or 9, of which the last three
// name a township or subdistrict (GB/T 10114) of a county, or of a city that has no counties (东莞).
func CheckDivision(code string) error {
	switch {
	case !isDigits(code) || len(code) != 6 && len(code) != 9 || code[0] == '0':
		return errors.New("must be an administrative division code of 6 digits (GB/T 2260), or of 9 for a township (GB/T 10114)")
	case len(code) == 9 && code[2:6] == "0000":
		return errors.New("names a township of a province: its first six digits must be those of a county, or of a city without counties")
	case len(code) == 9 && code[6:] == "000":
		return errors.New("ends in 000, which names no township: a county's own code has 6 digits")
	}
	return nil
}

// County is the county, or city without counties, that a township is of; empty for a code that names none. Codes of
// authorities (GB 32100) tell no more of where a township's is.
func County(division string) string {
	if len(division) != 9 {
		return ""
	}
	return division[:6]
}

// Subtree is the prefix that the codes of a division and of all below it share. It is empty for
// the empty code, and for one of zeros.
func Subtree(division string) string {
	if len(division) == 9 { // nothing lies below a township, and its last digits may be zeros
		return division
	}
	for len(division) >= 2 && len(division)%2 == 0 && strings.HasSuffix(division, "00") {
		division = division[:len(division)-2]
	}
	return division
}

// Within reports whether a division code lies in the subtree of root: 330100 holds 330105 and
// 330105001, 330000 holds them all, and 330105001 itself alone. An empty root holds nothing.
func Within(division, root string) bool {
	for _, code := range []string{division, root} {
		if len(code) != 6 && len(code) != 9 {
			return false
		}
	}
	prefix := Subtree(root)
	return prefix != "" && strings.HasPrefix(division, prefix)
}
