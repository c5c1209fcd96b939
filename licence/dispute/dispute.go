// Package dispute holds the rules of disputes (异议): what a holder may say is wrong, to whom
// it goes, what may be done with it when, and by which day.
//
// It asks no register and knows no clock. Everything that a holder writes is personal data:
// it is bounded here, and kept, committed to and erased by others.
package dispute

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"elicence/licence"
)

// Kind is what a holder says is wrong.
type Kind string

// The kinds.
const (
	// WrongData: a licence states something that is not so (数据有误).
	WrongData Kind = "wrong_data"
	// WrongLicence: a licence that the holder should not have, or not as it is (错证).
	WrongLicence Kind = "wrong_licence"
	// MissingLicence: a licence that the holder has and the register has not (缺证).
	MissingLicence Kind = "missing_licence"
	// UnknownUse: a use of the holder's licences that the holder knows nothing of.
	UnknownUse Kind = "unknown_use"
)

// Kinds lists the kinds.
var Kinds = []Kind{WrongData, WrongLicence, MissingLicence, UnknownUse}

// OfLicence reports whether disputes of the kind are about one licence.
func (k Kind) OfLicence() bool { return k == WrongData || k == WrongLicence }

// State is where a dispute stands.
type State string

// The states. A dispute is settled in the last three, and nothing changes it any more.
const (
	Open      State = "open"
	Accepted  State = "accepted" // what is wrong is to be put right
	Closed    State = "closed"   // accepted, and put right
	Rejected  State = "rejected"
	Withdrawn State = "withdrawn" // by the holder
)

// Settled reports whether nothing is to be done any more.
func (s State) Settled() bool { return s != Open && s != Accepted }

// Step is what is done with a dispute.
type Step string

// The steps.
const (
	Accept   Step = "accept"
	Reject   Step = "reject"
	Close    Step = "close"
	Withdraw Step = "withdraw"
)

// After is the state that a step leads to; licence.ErrWrongStatus when it may not be taken.
func (s State) After(step Step) (State, error) {
	to, ok := map[State]map[Step]State{
		Open:     {Accept: Accepted, Reject: Rejected, Withdraw: Withdrawn},
		Accepted: {Close: Closed},
	}[s][step]
	if !ok {
		return s, fmt.Errorf("%w: a dispute that is %s takes no %s", licence.ErrWrongStatus, s, step)
	}
	return to, nil
}

// Statement is what the holder says.
type Statement struct {
	// Field is what WrongData is about, by the names under which fields are granted, ShouldBe
	// what it should state; both are empty for other kinds.
	Field    string `json:"field,omitempty"`
	ShouldBe string `json:"should_be,omitempty"`
	// Text is why: required but for WrongData.
	Text string `json:"text,omitempty"`
}

// The most characters of a statement and of an answer to it: no more than the access log
// commits to of one value.
const (
	MaxText     = 250
	maxShouldBe = 100
	maxField    = 80
)

// Dispute is one dispute of a holder.
type Dispute struct {
	// ID begins with the instant, so that the order of identifiers is that of time.
	ID   string
	Kind Kind
	// Holder is who raised it, Code and CodeType; zero once it is erased.
	Holder licence.Holder
	// Licence is the version that is disputed, or that the disputed use was of; empty when
	// there is none.
	Licence licence.Identifier
	// TypeCode is the type of the licence; empty for UnknownUse.
	TypeCode string
	// Entry is the index of the access log's entry that UnknownUse is about.
	Entry uint64
	// Authority is who answers: who issued the licence, or would have to, or who used it; zero
	// where the use was no department's, which is for the auditor alone.
	Authority licence.IssuingAuthority
	Statement Statement
	RaisedAt  time.Time
	// Due is when the answer is due or, once accepted, when all must be put right.
	Due   time.Time
	State State
	// DecidedBy is the principal who accepted or rejected it, empty before; Acted says that it
	// is the one who made the licence, or used it. Reason is the answer to the holder.
	DecidedBy string
	DecidedAt time.Time
	Acted     bool
	Reason    string
	// ClosedBy is the principal who settled it, empty before. Version is the licence that puts
	// it right, where one does, and Remedy says what was done.
	ClosedBy string
	ClosedAt time.Time
	Version  licence.Identifier
	Remedy   string
}

// Overdue reports whether an answer or a remedy is late at an instant.
func (d *Dispute) Overdue(at time.Time) bool { return !d.State.Settled() && !at.Before(d.Due) }

// Subject names what a holder may have one unsettled dispute of a kind about: a licence in
// all its versions, a type of an authority, or a log entry.
func (d *Dispute) Subject() string {
	switch {
	case d.Kind == MissingLicence:
		return d.TypeCode + "/" + d.Authority.Code
	case d.Kind == UnknownUse:
		return strconv.FormatUint(d.Entry, 10)
	}
	stem, _ := d.Licence.Versions()
	return string(stem)
}

// Check names what is wrong with the words of a dispute: a *licence.RequestError.
func (d *Dispute) Check() error {
	s := d.Statement
	if d.Kind != WrongData {
		for _, f := range []struct{ name, text string }{{"field", s.Field}, {"should_be", s.ShouldBe}} {
			if f.text != "" {
				return licence.InvalidField(f.name, licence.CodeNotAllowed, "is for the kind wrong_data alone")
			}
		}
		return licence.CheckText("text", s.Text, MaxText)
	}
	if err := licence.CheckText("field", s.Field, maxField); err != nil {
		return err
	}
	if err := licence.CheckText("should_be", s.ShouldBe, maxShouldBe); err != nil || s.Text == "" {
		return err
	}
	return licence.CheckText("text", s.Text, MaxText)
}

// CheckField names what is wrong with the field of a dispute about data of a type, whose own
// fields are given: a *licence.RequestError. general are the names of the others.
func (d *Dispute) CheckField(own, general []string) error {
	if d.Kind != WrongData {
		return nil
	}
	names := general
	key, isOwn := strings.CutPrefix(d.Statement.Field, "fields.")
	if isOwn {
		names = own
	}
	for _, name := range names {
		if name == key {
			return nil
		}
	}
	return licence.InvalidField("field", licence.CodeNotAllowed, "is no field of this licence type")
}

// CheckAnswer names what is wrong with what an authority answers: a *licence.RequestError.
func CheckAnswer(reason string) error { return licence.CheckText("reason", reason, MaxText) }

// Object names a dispute in the access log.
func Object(id string) string { return "dispute/" + id }
