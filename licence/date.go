package licence

import (
	"fmt"
	"time"
)

// shanghai is the offset of Asia/Shanghai. It has been fixed since 1991, and a
// fixed offset needs no zone database on the machine.
var shanghai = time.FixedZone("+08:00", 8*60*60)

// Local is an instant as clocks in Asia/Shanghai show it.
func Local(t time.Time) time.Time { return t.In(shanghai) }

// Date is a calendar day without a zone, read as a day in Asia/Shanghai. The
// zero Date means that there is none.
type Date struct {
	year       int16
	month, day uint8
}

// ParseDate reads "2026-01-31": four, two and two digits and a day that exists,
// years 0001 to 9999.
func ParseDate(s string) (Date, error) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' ||
		!isDigits(s[:4]) || !isDigits(s[5:7]) || !isDigits(s[8:]) {
		return Date{}, fmt.Errorf("malformed date %.20q: want YYYY-MM-DD", s)
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() == 0 {
		return Date{}, fmt.Errorf("date %q does not exist", s)
	}
	return dateOf(t), nil
}

// DateOf is the day in Asia/Shanghai at the instant t.
func DateOf(t time.Time) Date { return dateOf(t.In(shanghai)) }

func dateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{int16(y), uint8(m), uint8(d)}
}

// String is the form that ParseDate reads; of the zero Date, "".
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day)
}

// IsZero reports whether there is no date.
func (d Date) IsZero() bool { return d == Date{} }

// Year is the calendar year, 0 for the zero Date.
func (d Date) Year() int { return int(d.year) }

// Equal reports whether d and e are the same day, or both zero.
func (d Date) Equal(e Date) bool { return d == e }

// Compare is -1 when d comes before e, 0 when they are equal, 1 when it comes
// after. The zero Date comes before all others.
func (d Date) Compare(e Date) int {
	switch a, b := d.ordinal(), e.ordinal(); {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (d Date) ordinal() int { return int(d.year)*10000 + int(d.month)*100 + int(d.day) }

// StartsAt is the first instant of the day in Asia/Shanghai.
func (d Date) StartsAt() time.Time {
	return time.Date(int(d.year), time.Month(d.month), int(d.day), 0, 0, 0, 0, shanghai)
}

// EndsAt is the first instant after the day in Asia/Shanghai: a licence whose
// last day is d is valid at every instant before d.EndsAt().
func (d Date) EndsAt() time.Time {
	return time.Date(int(d.year), time.Month(d.month), int(d.day)+1, 0, 0, 0, 0, shanghai)
}

// days counts days since 1970-01-01, as RFC 8943 does.
func (d Date) days() int64 {
	return time.Date(int(d.year), time.Month(d.month), int(d.day), 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60)
}

func dateOfDays(n int64) (Date, error) {
	if n < minDate.days() || n > maxDate.days() {
		return Date{}, fmt.Errorf("day %d is outside %s to %s", n, minDate, maxDate)
	}
	return dateOf(time.Unix(n*24*60*60, 0).UTC()), nil
}

// minDate and maxDate bound every date of a licence: earlier or later ones are
// slips of the keyboard.
var (
	minDate = Date{1900, 1, 1}
	maxDate = Date{2200, 12, 31}
)

// inRange reports whether d may stand on a licence.
func (d Date) inRange() bool { return d.Compare(minDate) >= 0 && d.Compare(maxDate) <= 0 }

// MarshalText writes the form of String.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the form of ParseDate; empty text is the zero Date. On
// error d is zero.
func (d *Date) UnmarshalText(b []byte) (err error) {
	if *d = (Date{}); len(b) == 0 {
		return nil
	}
	*d, err = ParseDate(string(b))
	return err
}
