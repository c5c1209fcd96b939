// Package question answers questions about a licence by yes or no, so that a department
// learns the answer and not the data (最小必要、可用不可见).
//
// A question is named by a short text that stands in grants too, so that a grant permits
// the very question and not the field that it is about:
//
//	valid                 the licence is in force; unknown where it would be, and another platform
//	                      issued it, whose file was not found valid when it was imported
//	over:18               the holder, a natural person, is 18 years old or older
//	equals:holder.name    a field of the licence has the value that comes with the question
//
// # Invariants
//
//   - The age of over stands in the name: whoever may ask one age cannot ask the next one,
//     until the year of birth is found.
//   - An answer says nothing but yes, no, or that the licence does not tell.
//
// The package counts nothing: see Wrong, by which its caller does.
package question

import (
	"fmt"
	"strconv"
	"strings"

	"elicence/licence"
)

// The kinds of question, as they begin a name.
const (
	Valid  = "valid"
	over   = "over:"
	equals = "equals:"
)

// The ages that can be asked for, in years.
const minAge, maxAge = 1, 120

// MaxValue is the most bytes of a value that is asked for.
const MaxValue = 2048

// Question is one question.
type Question struct {
	// Name is as of the package comment.
	Name string `json:"question"`
	// Value is what the field of equals may be: a text, an int64 or a bool; nil for others.
	Value any `json:"value,omitempty"`
}

// Answer is what comes of a question about one licence.
type Answer string

// The answers.
const (
	Yes     Answer = "yes"
	No      Answer = "no"
	Unknown Answer = "unknown" // the licence does not tell
)

// Age is the age that a name asks for, in years.
func Age(name string) (years int, ok bool) {
	text, ok := strings.CutPrefix(name, over)
	years, err := strconv.Atoi(text)
	return years, ok && err == nil && strconv.Itoa(years) == text && years >= minAge && years <= maxAge
}

// Field is the field that a name asks for: as a grant names it.
func Field(name string) (field string, ok bool) { return strings.CutPrefix(name, equals) }

// CheckName reports whether licences of a type can be asked a question of this name;
// common are the fields that licences of every type have. The error says why not.
func CheckName(name string, it *licence.CatalogueItem, common func(field string) bool) error {
	if name == Valid {
		return nil
	}
	if _, ok := Age(name); ok {
		for _, kind := range it.HolderKinds {
			if kind == licence.NaturalPerson {
				return nil
			}
		}
		return fmt.Errorf("asks for an age, and licences of this type have no natural person as their holder")
	}
	field, ok := Field(name)
	key, own := strings.CutPrefix(field, "fields.")
	switch {
	case !ok:
		return fmt.Errorf("is none of %s, %s with an age of %d to %d, and %s with a field", Valid, over, minAge, maxAge, equals)
	case own && !it.Scalar(key), !own && !common(field):
		return fmt.Errorf("asks for no field of this type that holds a text, a whole number, true or false")
	}
	return nil
}

// CheckValue reports whether a value goes with the name; the error says why not.
func (q Question) CheckValue() error {
	if _, ok := Field(q.Name); !ok {
		if q.Value != nil {
			return fmt.Errorf("goes with %s alone", equals)
		}
		return nil
	}
	switch v := q.Value.(type) {
	case int64, bool:
		return nil
	case string:
		if strings.TrimSpace(v) == "" {
			return fmt.Errorf("is empty")
		}
		if len(v) > MaxValue {
			return fmt.Errorf("is longer than %d bytes of UTF-8", MaxValue)
		}
		return nil
	case nil:
		return fmt.Errorf("is required")
	}
	return fmt.Errorf("is no text, whole number, true or false")
}

// Subject is a licence that is asked about.
type Subject struct {
	// Status is the derived one, and Day the day, of the instant that is asked about.
	Status licence.Status
	Day    licence.Date
	// Unproved says that another platform issued it, and that nothing proves its file.
	Unproved bool
	Holder   licence.Holder
	// Value is a field by its name; nil when the licence lacks it.
	Value func(field string) any
}

// Ask answers a question that CheckName and CheckValue let pass.
func (s Subject) Ask(q Question) Answer {
	if q.Name == Valid {
		if s.Unproved && s.Status == licence.StatusValid {
			return Unknown
		}
		return of(s.Status == licence.StatusValid)
	}
	if years, ok := Age(q.Name); ok {
		born, known := s.Holder.BirthDate()
		if !known {
			return Unknown
		}
		return of(reached(born, years, s.Day))
	}
	field, _ := Field(q.Name)
	switch has := s.Value(field).(type) {
	case string:
		wanted, ok := q.Value.(string)
		if has == "" {
			return Unknown
		}
		return of(ok && fold(has) == fold(wanted))
	case int64, bool:
		return of(has == q.Value)
	}
	return Unknown
}

// of is the answer of a fact.
func of(fact bool) Answer {
	if fact {
		return Yes
	}
	return No
}

// reached reports whether somebody is so many years old on a day: from the birthday itself
// on, as the validity of licences has it, and who was born on 29 February from 1 March on in
// a common year. Where the law counts from the day after the birthday (刑法中的周岁), this is a
// day too early.
func reached(born licence.Date, years int, day licence.Date) bool {
	birthday := born.StartsAt().AddDate(years, 0, 0)
	return !day.StartsAt().Before(birthday)
}

// narrow replaces what is written in two ways in names and numbers, by hand and by keyboards:
// full-width brackets and digits are written narrow, and the dots in names all as one.
var narrow = strings.NewReplacer("（", "(", "）", ")", "•", "·", "・", "·", "‧", "·", "．", "·", "　", " ", "－", "-")

// fold is what two ways to write one text have in common: letters of one case, narrow
// marks, no spaces around.
func fold(text string) string {
	text = strings.Map(func(c rune) rune {
		if c >= '０' && c <= '９' || c >= 'Ａ' && c <= 'Ｚ' || c >= 'ａ' && c <= 'ｚ' {
			return c - '０' + '0'
		}
		return c
	}, narrow.Replace(text))
	return strings.ToUpper(strings.TrimSpace(text))
}

// Wrong reports whether the answers to a question, one for each licence asked about, mean
// that the value was wrong: what somebody gets who guesses.
func Wrong(q Question, answers []Answer) bool {
	if _, ok := Field(q.Name); !ok {
		return false
	}
	wrong := false
	for _, a := range answers {
		switch a {
		case Yes:
			return false
		case No:
			wrong = true
		}
	}
	return wrong
}
