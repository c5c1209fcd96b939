package licence

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ValidityCheck says how the dates of a request are held to a type's validity range.
type ValidityCheck string

// The checks. With one of them a request that leaves out expires_on gets the last day
// that the range gives, when it gives one alone.
const (
	// ValidityInforms: the dates are the approval system's; whether there may be no last
	// day is for long_term_allowed alone.
	ValidityInforms ValidityCheck = ""
	// ValidityExact: the last day is one that the range gives.
	ValidityExact ValidityCheck = "exact"
	// ValidityAtMost: the last day is not after the latest that the range gives.
	ValidityAtMost ValidityCheck = "at_most"
)

// span is one of the ranges of GB/T 36902; the zero span is 长期.
type span struct{ years, months, days int }

// maxSpan bounds the number in a range: longer is long-term.
const maxSpan = 36600

// parseSpans reads "5年^长期".
func parseSpans(s string) (spans []span, err error) {
	for part := range strings.SplitSeq(s, "^") {
		next, err := parseSpan(part)
		if err != nil || slices.Contains(spans, next) {
			return nil, fmt.Errorf("validity_range: %.20q is not N天, N月, N年 or 长期, or stands there twice", part)
		}
		spans = append(spans, next)
	}
	return spans, nil
}

func parseSpan(s string) (span, error) {
	if s == "长期" {
		return span{}, nil
	}
	unit, found := "", false
	for _, unit = range []string{"年", "月", "天"} {
		if s, found = strings.CutSuffix(s, unit); found {
			break
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil || !found || n < 1 || n > maxSpan || s != strconv.Itoa(n) {
		return span{}, errors.New("no range")
	}
	return map[string]span{"年": {years: n}, "月": {months: n}, "天": {days: n}}[unit], nil
}

// lastDay is the last day of a span that begins on from: the one before the day that
// corresponds to from (民法典 202条), or the last of the month that has no such day, as
// 28 February for a year from 29 February on. It is zero for 长期, and when the day lies
// beyond all dates of licences.
func (s span) lastDay(from Date) Date {
	if s == (span{}) {
		return Date{}
	}
	y, m := int(from.year)+s.years, time.Month(int(from.month)+s.months)
	end := time.Date(y, m, int(from.day), 0, 0, 0, 0, time.UTC)
	if first := time.Date(y, m, 1, 0, 0, 0, 0, time.UTC); end.Month() != first.Month() {
		end = first.AddDate(0, 1, 0)
	}
	if end = end.AddDate(0, 0, s.days-1); end.Year() > maxDate.Year() {
		return Date{}
	}
	return dateOf(end)
}

func (it *CatalogueItem) validateValidity() (err error) {
	if it.spans, err = parseSpans(it.ValidityRange); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]ValidityCheck{ValidityInforms, ValidityExact, ValidityAtMost}, it.ValidityCheck):
		return fmt.Errorf("validity_check %.20q is not exact or at_most", it.ValidityCheck)
	case it.UntilAge < 0 || it.UntilAge > 150:
		return errors.New("until_age is outside 0 to 150")
	case it.UntilAge > 0 && it.ValidityCheck == ValidityInforms:
		return errors.New("until_age without validity_check")
	case it.UntilAge > 0 && !slices.Equal(it.HolderCodeTypes, []HolderCodeType{CodeTypeCitizenNumber}):
		return errors.New("until_age needs holder_code_types of 111 alone: only a citizen number says when its holder was born")
	}
	endless := slices.Contains(it.spans, span{}) && it.UntilAge == 0
	if it.ValidityCheck != ValidityInforms && endless != it.LongTermAllowed {
		return fmt.Errorf("long_term_allowed is %t, which validity_range and until_age do not say", it.LongTermAllowed)
	}
	return nil
}

// lastDays are the last days that the type's rules give a licence of a holder, whose code
// was checked, from a day on; zero is 长期. An error when its holder is too old.
func (it *CatalogueItem) lastDays(from Date, h Holder) (days []Date, err error) {
	var cut Date
	if it.UntilAge > 0 {
		born, known := h.BirthDate()
		if !known {
			return nil, errors.New("the holder's code states no date of birth")
		}
		if cut = (span{years: it.UntilAge}).lastDay(born); cut.Compare(from) < 0 {
			return nil, fmt.Errorf("the holder reached the age of %d before the first day", it.UntilAge)
		}
	}
	for _, s := range it.spans {
		day := s.lastDay(from)
		if it.UntilAge > 0 && (day.IsZero() || day.Compare(cut) > 0) {
			day = cut
		}
		if day.IsZero() && s != (span{}) {
			return nil, fmt.Errorf("the last day would be after %s", maxDate)
		}
		days = append(days, day)
	}
	return days, nil
}

// fillExpiry gives a request the last day that the type's rules give alone, when it has
// none. from is where the rules count from.
func (it *CatalogueItem) fillExpiry(r *Request, from Date) {
	if it.ValidityCheck == ValidityInforms || !r.ExpiresOn.IsZero() || it.LongTermAllowed || !it.dated(*r, from) {
		return
	}
	if days, err := it.lastDays(from, r.Holder); err == nil && len(slices.Compact(days)) == 1 {
		r.ExpiresOn = days[0]
	}
}

// dated reports whether a request has what the rules count from.
func (it *CatalogueItem) dated(r Request, from Date) bool {
	_, known := r.Holder.BirthDate()
	return from.inRange() && (it.UntilAge == 0 || known)
}

// checkValidity holds the last day of a request to the type's rules, which count from one
// of some days.
func (it *CatalogueItem) checkValidity(f *faults, r Request, froms ...Date) {
	if it.ValidityCheck == ValidityInforms || f.has("expires_on") {
		return
	}
	var given []Date
	for _, from := range froms {
		if !it.dated(r, from) {
			return // which is another's fault
		}
		days, err := it.lastDays(from, r.Holder)
		if err != nil {
			f.add("expires_on", CodeOutOfRange, "cannot be: %v", err)
			return
		}
		given = append(given, days...)
	}
	if !allows(it.ValidityCheck, given, r.ExpiresOn) {
		f.add("expires_on", CodeOutOfRange, "does not follow the validity %s of this licence type; it gives %s", it.ValidityRange, listed(given))
	}
}

// allows reports whether a last day follows those that the rules give; zero is the latest.
func allows(c ValidityCheck, given []Date, day Date) bool {
	return slices.ContainsFunc(given, func(d Date) bool {
		return d == day || c == ValidityAtMost && !day.IsZero() && (d.IsZero() || day.Compare(d) < 0)
	})
}
