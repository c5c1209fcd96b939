// Package consent holds the rules of a holder's consent (持证主体授权): what it may say,
// whom it lets do what, and the codes that open it.
//
// A holder agrees that certain fields of certain licences are reused by a department
// (用证码), or shown to whoever scans a code (亮证), for a purpose, so many times and for so
// many minutes. What opens anything is a code, never the consent's identifier; see code.go.
//
// # Invariants
//
//   - a consent never opens more than it names, and nothing once it is revoked, spent or over
//   - whoever is not its receiver learns nothing of how it stands
//
// The package does no I/O: the registry keeps consents, and has each use pass its gate.
package consent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"elicence/licence"
)

// Kind says what a consent lets others do.
type Kind string

const (
	// Reuse lets a department read fields by reuse, within a grant by consent (用证码).
	Reuse Kind = "reuse"
	// Presentation lets whoever scans the code look at fields (亮证).
	Presentation Kind = "presentation"
)

// The bounds on a consent.
const (
	MaxLicences = 20
	MaxFields   = 100
	MaxUses     = 100
	MaxLife     = 7 * 24 * time.Hour
	// MaxStanding is how many consents of one holder stand at once.
	MaxStanding = 50
	maxPurpose  = 512 // bytes of UTF-8, as a log entry takes
)

// Consent is what a holder has agreed to.
type Consent struct {
	// ID is the register's. It begins with the instant, stands in the log and opens nothing.
	ID string
	// Holder is whose licences they are; Code and CodeType.
	Holder licence.Holder
	Kind   Kind
	// Licences are the licences, 1 to MaxLicences, as the versions they were when chosen.
	Licences []licence.Identifier
	// Fields are names as of a grant's fields, 1 to MaxFields.
	Fields []string
	// Purpose is what the holder agrees to it for.
	Purpose string
	// Receiver is the USCC of the department that may use it; empty: any. ReceiverName is what
	// it was called when the consent was made; empty where the register did not know.
	Receiver, ReceiverName string
	// Uses is how many times it may be used, Used how many times it was.
	Uses, Used int
	MadeAt     time.Time
	// EndsAt is when it ends by itself.
	EndsAt time.Time
	// RevokedAt is zero while the holder has not taken it back.
	RevokedAt time.Time
}

// Status is how a consent stands.
type Status string

// The statuses of a consent; they are derived, never stored.
const (
	Standing Status = "standing"
	Spent    Status = "spent"
	Revoked  Status = "revoked"
	Expired  Status = "expired"
)

// Why a code opens nothing. ErrUnknown is all that whoever guesses is told.
var (
	ErrUnknown  = errors.New("there is no such code")
	ErrMismatch = errors.New("the consent is for something else")
	ErrExpired  = errors.New("the code, or the consent behind it, has expired; have the holder show a new one")
	ErrRevoked  = errors.New("the holder has revoked the consent")
	ErrSpent    = errors.New("the consent was used as often as the holder agreed to")
)

// StatusAt is how a consent stands at an instant.
func (c Consent) StatusAt(now time.Time) Status {
	switch {
	case !c.RevokedAt.IsZero():
		return Revoked
	case c.Used >= c.Uses:
		return Spent
	case !now.Before(c.EndsAt):
		return Expired
	}
	return Standing
}

// Stands says why a consent opens nothing at an instant, or nil.
func (c Consent) Stands(now time.Time) error {
	return map[Status]error{Revoked: ErrRevoked, Spent: ErrSpent, Expired: ErrExpired}[c.StatusAt(now)]
}

// Opens says why a consent does not open a use of a kind to a department, whose USCC is
// empty for nobody's, or nil. The receiver comes first: nobody else learns how it stands.
func (c Consent) Opens(kind Kind, department string, now time.Time) error {
	switch {
	case c.Receiver != "" && c.Receiver != department:
		return fmt.Errorf("%w: it has another receiver", ErrMismatch)
	case c.Kind != kind:
		return fmt.Errorf("%w: its kind is %s", ErrMismatch, c.Kind)
	}
	return c.Stands(now)
}

// Check names what is wrong with a consent that is to be made, but for its licences: a
// *licence.RequestError. known reports whether a name is that of a field of one of them.
func (c Consent) Check(known func(field string) bool) error {
	life := c.EndsAt.Sub(c.MadeAt)
	switch {
	case c.Kind != Reuse && c.Kind != Presentation:
		return licence.InvalidField("kind", licence.CodeNotAllowed, "is neither reuse nor presentation")
	case len(c.Fields) == 0 || len(c.Fields) > MaxFields:
		return licence.InvalidField("fields", licence.CodeOutOfRange, fmt.Sprintf("does not name 1 to %d fields", MaxFields))
	case c.Uses < 1 || c.Uses > MaxUses:
		return licence.InvalidField("uses", licence.CodeOutOfRange, fmt.Sprintf("is not 1 to %d", MaxUses))
	case life < time.Minute || life > MaxLife:
		return licence.InvalidField("minutes", licence.CodeOutOfRange, fmt.Sprintf("is not 1 to %d", MaxLife/time.Minute))
	case c.Receiver != "" && licence.CheckUSCC(c.Receiver) != nil:
		return licence.InvalidField("receiver", licence.CodeBadHolderCode, "is no unified social credit code")
	}
	for i, name := range c.Fields {
		at := fmt.Sprintf("fields[%d]", i)
		switch {
		case slices.Contains(c.Fields[:i], name):
			return licence.InvalidField(at, licence.CodeRepeated, "stands there already")
		case !known(name):
			return licence.InvalidField(at, licence.CodeNotAllowed, "is no field of these licences")
		}
	}
	return checkPurpose(c.Purpose)
}

// checkPurpose bounds what stands in the log and on pages.
func checkPurpose(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return licence.InvalidField("purpose", licence.CodeMissing, "is required")
	case len(text) > maxPurpose:
		return licence.InvalidField("purpose", licence.CodeTooLong, fmt.Sprintf("is longer than %d bytes of UTF-8", maxPurpose))
	case !utf8.ValidString(text) || strings.ContainsFunc(text, licence.Hidden):
		return licence.InvalidField("purpose", licence.CodeBadCharacter, "holds a control or invisible character")
	}
	return nil
}
