package licence

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// HolderKind says what sort of person a holder is (持证主体类别).
type HolderKind string

// The kinds of holder.
const (
	NaturalPerson HolderKind = "natural_person" // 自然人
	LegalPerson   HolderKind = "legal_person"   // 法人或其他组织
)

// HolderCodeType is the kind of a holder's code (持证主体代码类型, GB/T 36903
// Appendix A).
type HolderCodeType string

// The two code types that carry check digits and that most licences use.
const (
	CodeTypeUSCC          HolderCodeType = "001" // 统一社会信用代码, GB 32100
	CodeTypeCitizenNumber HolderCodeType = "111" // 公民身份号码, GB 11643
)

// holderCodeType is what is known of a code type. The forms of types other than
// 001 and 111 are no published standard: they only keep nonsense and long texts out.
type holderCodeType struct {
	name string
	kind HolderKind
	form *regexp.Regexp
}

var (
	militaryForm = regexp.MustCompile(`^[\p{Han}0-9A-Z()（）-]{4,32}$`)
	passportForm = regexp.MustCompile(`^[A-Z0-9]{5,17}$`)
	otherForm    = regexp.MustCompile(`^[\p{Han}0-9A-Za-z()（）/-]{1,32}$`)
)

var holderCodeTypes = map[HolderCodeType]holderCodeType{
	"001": {"统一社会信用代码", LegalPerson, nil},
	"099": {"其他法人或其他组织有效证件代码", LegalPerson, otherForm},
	"111": {"公民身份号码", NaturalPerson, nil},
	"114": {"军官证", NaturalPerson, militaryForm},
	"115": {"武警警官证", NaturalPerson, militaryForm},
	"118": {"士兵证", NaturalPerson, militaryForm},
	"119": {"武警士兵证", NaturalPerson, militaryForm},
	"120": {"文职人员证", NaturalPerson, militaryForm},
	"122": {"武警文职", NaturalPerson, militaryForm},
	"411": {"外交护照", NaturalPerson, passportForm},
	"412": {"公务护照", NaturalPerson, passportForm},
	"413": {"公务普通护照", NaturalPerson, passportForm},
	"414": {"普通护照", NaturalPerson, passportForm},
	"511": {"台湾居民来往大陆通行证", NaturalPerson, regexp.MustCompile(`^[0-9]{8}([0-9]{2}(\([A-Z]\))?)?$`)},
	"516": {"港澳居民来往内地通行证", NaturalPerson, regexp.MustCompile(`^[HM][0-9]{8}([0-9]{2})?$`)},
	"999": {"其他自然人有效证件", NaturalPerson, otherForm},
}

// Name is the Chinese name of t, "" for a code type that does not exist.
func (t HolderCodeType) Name() string { return holderCodeTypes[t].name }

// Kind is the kind of holder that codes of type t belong to, "" for a code type
// that does not exist.
func (t HolderCodeType) Kind() HolderKind { return holderCodeTypes[t].kind }

// CheckHolderCode reports what is wrong with a holder's code of type t on the day
// today, for a new issue.
func CheckHolderCode(t HolderCodeType, code string, today Date) error {
	known, ok := holderCodeTypes[t]
	switch {
	case !ok:
		return fmt.Errorf("holder code type %.10q does not exist", t)
	case t == CodeTypeUSCC:
		return CheckUSCC(code)
	case t == CodeTypeCitizenNumber:
		return CheckCitizenNumber(code, today)
	case len(code) > 128 || !known.form.MatchString(code):
		return fmt.Errorf("not a code of type %s (%s)", t, known.name)
	}
	return nil
}

// CheckCitizenNumber reports what is wrong with a citizen number (公民身份号码,
// GB 11643): 17 digits and a check digit, X for ten, holding a real date of birth
// from 1900 to today. The 15-digit numbers that ended in 1999 have no check digit
// and are refused. The error never repeats the number.
func CheckCitizenNumber(code string, today Date) error {
	if len(code) == 15 && isDigits(code) {
		return errors.New("citizen numbers of 15 digits are no longer issued on: 18 are needed")
	}
	if len(code) != 18 || !isDigits(code[:17]) || code[0] == '0' {
		return errors.New("citizen number is not 17 digits and a check digit")
	}
	sum := 0
	for i, weight := range [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(code[i]-'0') * weight
	}
	if code[17] != "10X98765432"[sum%11] {
		return errors.New("citizen number has a wrong check digit")
	}
	born, err := ParseDate(code[6:10] + "-" + code[10:12] + "-" + code[12:14])
	if err != nil || born.Compare(minDate) < 0 {
		return errors.New("citizen number holds a date of birth that does not exist")
	}
	if born.Compare(today) > 0 {
		return errors.New("citizen number holds a date of birth in the future")
	}
	return nil
}

// BirthDate is the date of birth that a holder's citizen number states; known is false for
// holders who have none that is right.
func (h Holder) BirthDate() (born Date, known bool) {
	if h.CodeType != CodeTypeCitizenNumber || CheckCitizenNumber(h.Code, maxDate) != nil {
		return Date{}, false
	}
	born, err := ParseDate(h.Code[6:10] + "-" + h.Code[10:12] + "-" + h.Code[12:14])
	return born, err == nil
}

// usccAlphabet leaves out I, O, S, V and Z.
const usccAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"

// CheckUSCC reports what is wrong with a unified social credit code
// (统一社会信用代码, GB 32100): 18 characters, of which 3 to 8 are a division, 9 to 17
// an organisation code with its own check character (GB 11714) and the last the
// check character of all.
func CheckUSCC(code string) error {
	if len(code) != 18 || !isDigits(code[2:8]) {
		return errors.New("unified social credit code is not 18 characters of its alphabet with a division in the middle")
	}
	sum, weight := 0, 1
	for i := range 17 {
		v := strings.IndexByte(usccAlphabet, code[i])
		if v < 0 {
			return errors.New("unified social credit code holds a character outside its alphabet")
		}
		sum += v * weight
		weight = weight * 3 % 31
	}
	if code[17] != usccAlphabet[(31-sum%31)%31] {
		return errors.New("unified social credit code has a wrong check character")
	}
	if code[16] != organisationCheck(code[8:16]) {
		return errors.New("unified social credit code holds an organisation code with a wrong check character")
	}
	return nil
}

// organisationCheck is the check character of GB 11714 for eight characters.
func organisationCheck(s string) byte {
	sum := 0
	for i, weight := range [8]int{3, 7, 9, 10, 5, 8, 4, 2} {
		sum += strings.IndexByte(alphabet36, s[i]) * weight
	}
	return "0123456789X"[(11-sum%11)%11]
}
