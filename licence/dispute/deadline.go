package dispute

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"elicence/licence"
)

//go:embed rules.json
var shipped []byte

// Rule says by when disputes of a kind are answered, and put right once accepted.
type Rule struct {
	// Decide and Remedy count days, the day after the dispute was raised, or accepted, being
	// the first. The last one counts to its end, in Asia/Shanghai.
	Decide int `json:"decide"`
	Remedy int `json:"remedy"`
	// Days says which days count: working (工作日) or calendar (自然日).
	Days string `json:"days"`
}

// Year is what makes working days of one year other than Monday to Friday (节假日安排).
type Year struct {
	// Basis is the notice that says so.
	Basis string `json:"basis"`
	// Off are days without work, Work days of a weekend that are worked on: a day, or a
	// first and last one with a slash between.
	Off  []string `json:"off"`
	Work []string `json:"work"`
}

// Rules say by when disputes are answered. The zero value has no rule.
type Rules struct {
	kinds map[Kind]Rule
	// other are the days on which it is other than the day of the week says, and whether they
	// are worked on.
	other map[licence.Date]bool
}

// maxDays bounds a rule.
const maxDays = 365

// Shipped are the rules that the program comes with.
func Shipped() Rules {
	rules, err := ParseRules(shipped)
	if err != nil {
		panic(err) // a test reads them
	}
	return rules
}

// ParseRules reads rules: a JSON object of two members, kinds, with a Rule for each Kind, and
// years, with a Year for each that is known. In a year that is not there every Monday to
// Friday is a working day and no other, whatever notice there may be.
func ParseRules(b []byte) (Rules, error) {
	var file struct {
		Kinds map[Kind]Rule   `json:"kinds"`
		Years map[string]Year `json:"years"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return Rules{}, fmt.Errorf("dispute rules: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Rules{}, errors.New("dispute rules: something follows the object")
	}
	rules := Rules{kinds: file.Kinds, other: map[licence.Date]bool{}}
	for _, kind := range Kinds {
		rule, ok := file.Kinds[kind]
		if !ok || rule.Decide < 1 || rule.Remedy < 1 || rule.Decide > maxDays || rule.Remedy > maxDays || rule.Days != "working" && rule.Days != "calendar" {
			return Rules{}, fmt.Errorf("dispute rules: kinds.%s needs decide and remedy, of 1 to %d, and days, working or calendar", kind, maxDays)
		}
	}
	for kind := range file.Kinds {
		if !slices.Contains(Kinds, kind) {
			return Rules{}, fmt.Errorf("dispute rules: there is no kind %q", kind)
		}
	}
	for year, days := range file.Years {
		for _, listed := range []struct {
			days []string
			work bool
		}{{days.Off, false}, {days.Work, true}} {
			if err := rules.add(year, listed.days, listed.work); err != nil {
				return Rules{}, fmt.Errorf("dispute rules: years.%s: %w", year, err)
			}
		}
	}
	return rules, nil
}

// add notes days of a year that are other than the day of the week says.
func (r *Rules) add(year string, days []string, work bool) error {
	for _, text := range days {
		first, last, isRange := strings.Cut(text, "/")
		if !isRange {
			last = first
		}
		from, err := licence.ParseDate(first)
		if err != nil {
			return err
		}
		to, err := licence.ParseDate(last)
		if err != nil {
			return err
		}
		if to.Compare(from) < 0 || first[:4] != year || last[:4] != year {
			return fmt.Errorf("%s is no range of days within the year", text)
		}
		for day := from; day.Compare(to) <= 0; day = next(day) {
			if _, twice := r.other[day]; twice {
				return fmt.Errorf("%s stands there twice", day)
			}
			r.other[day] = work
		}
	}
	return nil
}

func next(d licence.Date) licence.Date { return licence.DateOf(d.EndsAt()) }

// working reports whether a day is a working day.
func (r Rules) working(d licence.Date) bool {
	if work, other := r.other[d]; other {
		return work
	}
	w := d.StartsAt().Weekday()
	return w != time.Saturday && w != time.Sunday
}

// Answer is when a dispute of a kind that was raised at an instant must be answered.
func (r Rules) Answer(kind Kind, raised time.Time) time.Time {
	return r.after(kind, r.kinds[kind].Decide, raised)
}

// Remedy is when what was accepted at an instant must be put right.
func (r Rules) Remedy(kind Kind, accepted time.Time) time.Time {
	return r.after(kind, r.kinds[kind].Remedy, accepted)
}

// after is the end of the n-th day after an instant, of those that count for a kind.
func (r Rules) after(kind Kind, n int, at time.Time) time.Time {
	day := licence.DateOf(at)
	for n > 0 {
		if day = next(day); r.kinds[kind].Days == "calendar" || r.working(day) {
			n--
		}
	}
	return day.EndsAt().UTC()
}
