// Package person says who an official is that signs in: somebody of an authority, an auditor
// or a system operator, and which roles one of them may have together.
//
// It is rules alone: it asks no register and knows no clock. Name and subject are personal
// data; the identifier is not, for the access log shows it.
package person

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"elicence/licence"
)

// Role says what somebody, a client or a person, may do; see package registry.
type Role string

// The roles that a person may have.
const (
	// Authority decides for an authority (授权审批).
	Authority Role = "authority"
	// Auditor reads the access log (电子监察).
	Auditor Role = "auditor"
	// System runs the service (系统运维).
	System Role = "system"
)

// roles lists them.
var roles = []Role{Authority, Auditor, System}

// Person is an official. The provider says who they are, the register what they may do.
type Person struct {
	// ID names the person here and in the log, as a work number (工号) does; it is never given twice.
	ID string
	// Issuer is the identity provider's URL, Subject what it calls the person, for good.
	Issuer, Subject string
	// Name is what colleagues call the person.
	Name  string
	Roles []Role
	// Authority is the department; its division bounds what is reached. An auditor, or a
	// system operator, may have none.
	Authority licence.IssuingAuthority
	// Types are the licence types that somebody of role authority decides on.
	Types []string
	// From and Until bound when the person may sign in, Until not included; a zero Until is without end.
	From, Until time.Time
	// Disabled is for good.
	Disabled bool
}

// Prefix begins the principals of people, and of nobody else.
const Prefix = "person."

// Principal names the person in the log.
func (p Person) Principal() string { return Prefix + p.ID }

// Same reports whether two are one to the provider, under whatever identifiers.
func (p Person) Same(q Person) bool { return p.Issuer == q.Issuer && p.Subject == q.Subject }

// Active reports whether the person may sign in at an instant.
func (p Person) Active(now time.Time) bool {
	return !p.Disabled && !now.Before(p.From) && (p.Until.IsZero() || now.Before(p.Until)) && Separate(p.Roles) == nil
}

// IDForm is what an identifier may be; with Prefix it is what a client may be called.
var IDForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,50}$`)

// Check names what is wrong with a person that is to be registered: a *licence.RequestError.
func (p Person) Check() error {
	switch {
	case !IDForm.MatchString(p.ID):
		return licence.InvalidField("id", licence.CodeBadFormat, "is not 1 to 50 of letters, digits, dot, underscore and hyphen")
	case !isIssuer(p.Issuer):
		return licence.InvalidField("issuer", licence.CodeBadFormat, "is not the https URL of an identity provider, or http on the own machine")
	case !shown(p.Subject, 255):
		return licence.InvalidField("subject", licence.CodeBadFormat, "is empty, longer than 255 bytes or holds what is not seen")
	case !shown(p.Name, 200):
		return licence.InvalidField("name", licence.CodeBadFormat, "is empty, longer than 200 bytes or holds what is not seen")
	case !p.Until.IsZero() && !p.Until.After(p.From):
		return licence.InvalidField("until", licence.CodeDateOrder, "is not after from")
	}
	if err := checkRoles(p.Roles); err != nil {
		return err
	}
	if p.Roles[0] != Authority {
		if len(p.Types) > 0 {
			return licence.InvalidField("types", licence.CodeNotAllowed, "go with role authority alone")
		}
		if p.Authority == (licence.IssuingAuthority{}) {
			return nil
		}
	}
	return p.Authority.Check()
}

// checkRoles names what is wrong with the roles of one person.
func checkRoles(given []Role) error {
	if len(given) == 0 {
		return licence.InvalidField("roles", licence.CodeMissing, "is required")
	}
	for i, role := range given {
		switch at := fmt.Sprintf("roles[%d]", i); {
		case !slices.Contains(roles, role):
			return licence.InvalidField(at, licence.CodeNotAllowed, "is no role of people")
		case slices.Contains(given[:i], role):
			return licence.InvalidField(at, licence.CodeRepeated, "stands there already")
		}
	}
	return Separate(given)
}

// Separate says why nobody has these roles together, by whatever path they come: auditor goes
// with no other, and whoever runs the service, and registers people, grants nothing.
func Separate(given []Role) error {
	for _, alone := range []Role{Auditor, System} {
		if slices.Contains(given, alone) && slices.ContainsFunc(given, func(r Role) bool { return r != alone }) {
			return licence.InvalidField("roles", licence.CodeNotAllowed, fmt.Sprintf("joins %s with another role: nobody grants and audits, and nobody registers people and grants", alone))
		}
	}
	return nil
}

// isIssuer reports whether a text is the URL of a provider, as its tokens may name it.
func isIssuer(s string) bool {
	u, err := url.Parse(s)
	if err != nil || len(s) > 255 || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	own := u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"
	return u.Scheme == "https" || u.Scheme == "http" && own
}

// shown reports whether a text is there, within so many bytes, and all of it can be seen.
func shown(s string, most int) bool {
	return strings.TrimSpace(s) == s && s != "" && len(s) <= most && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, licence.Hidden)
}
