package licence

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The levels of authorities that a division code tells (证照颁发机构级别, GB/T 36902; the
// fifth is 其他 there, and 乡镇 in deployed catalogues).
const (
	levelProvince   = 2
	levelPrefecture = 3
	levelCounty     = 4
	levelTownship   = 5
)

// level is the level of an authority, by its division code.
func (a IssuingAuthority) level() int {
	switch {
	case len(a.Division) == 9:
		return levelTownship
	case strings.HasSuffix(a.Division, "0000"):
		return levelProvince
	case strings.HasSuffix(a.Division, "00"):
		return levelPrefecture
	}
	return levelCounty
}

func (it *CatalogueItem) validateIssuers() error {
	for i, level := range it.IssuingLevels {
		if level < levelProvince || level > levelTownship || slices.Contains(it.IssuingLevels[:i], level) {
			return fmt.Errorf("issuing_levels: %d is not 2 to 5, or listed twice", level)
		}
	}
	if len(it.Issuers) > maxItems {
		return fmt.Errorf("issuers lists more than %d", maxItems)
	}
	townshipsAlone := len(it.Issuers) == 0 && slices.Equal(it.IssuingLevels, []int{levelTownship})
	if wide := func(p numberPart) bool { return p.kind == partDivision && p.width > divisionWidth }; slices.ContainsFunc(it.rule, wide) && !townshipsAlone {
		return errors.New("number_rule: more than 6 digits of the division are those of a township, and issuing_levels must be 5 alone")
	}
	for i, code := range it.Issuers {
		if err := CheckUSCC(code); err != nil {
			return fmt.Errorf("issuers: %.20q: %w", code, err)
		}
		if slices.Contains(it.Issuers[:i], code) {
			return fmt.Errorf("issuers lists %s twice", code)
		}
	}
	return nil
}

// checkIssuer refuses authorities that do not issue the type.
func (it *CatalogueItem) checkIssuer(f *faults, a IssuingAuthority) {
	if len(it.IssuingLevels)+len(it.Issuers) > 0 && !slices.Contains(it.IssuingLevels, a.level()) && !slices.Contains(it.Issuers, a.Code) {
		f.add("authority.code", CodeNotAllowed, "names an authority that does not issue this licence type")
	}
}
