// Package event says what the register tells other departments about its licences (事件通知): that
// one was issued, changed or ended, and nothing of what it states.
//
// A body is a CloudEvents 1.0 event in structured JSON; the headers around it are those of
// Standard Webhooks, with an SM2 signature of the platform in place of a shared secret.
// docs/events.md is the format as receivers read it, with test vectors.
//
// Invariants:
//   - an event holds no personal data: whoever is told reads the licence behind the gate
//   - a target is on no network that the operator did not name or that is not open to everybody
//
// The package keeps nothing, opens no connection and knows no time of its own.
package event

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"elicence/licence"
)

// Type is what became of a licence, as it stands in the CloudEvents attribute type.
type Type string

// Prefix begins every type.
const Prefix = "elicence.licence."

// The types. The subject of those from issued to transferred is the new licence, or version.
const (
	Issued      Type = Prefix + "issued"
	Amended     Type = Prefix + "amended"
	Renewed     Type = Prefix + "renewed"
	Reissued    Type = Prefix + "reissued"
	Corrected   Type = Prefix + "corrected"
	Transferred Type = Prefix + "transferred"
	Suspended   Type = Prefix + "suspended"
	Resumed     Type = Prefix + "resumed"
	Revoked     Type = Prefix + "revoked"
	Withdrawn   Type = Prefix + "withdrawn"
	Cancelled   Type = Prefix + "cancelled"
	// Expired is that the last day is over, of a licence that was valid until then.
	Expired Type = Prefix + "expired"
)

// byOperation gives the event that an operation on a licence ends in: all but Expired.
var byOperation = map[licence.Operation]Type{
	"":                 Issued,
	licence.OpAmend:    Amended,
	licence.OpRenew:    Renewed,
	licence.OpReissue:  Reissued,
	licence.OpCorrect:  Corrected,
	licence.OpTransfer: Transferred,
	licence.OpSuspend:  Suspended,
	licence.OpResume:   Resumed,
	licence.OpRevoke:   Revoked,
	licence.OpWithdraw: Withdrawn,
	licence.OpCancel:   Cancelled,
}

// Of is the type of event that an operation ends in; of the empty one, a first issue, Issued.
func Of(op licence.Operation) Type { return byOperation[op] }

// Known reports whether a type is one of those above.
func (t Type) Known() bool { return slices.Contains(Types(), t) }

// Types are all of them, sorted.
func Types() []Type {
	all := slices.AppendSeq([]Type{Expired}, maps.Values(byOperation))
	slices.Sort(all)
	return all
}

// Event is one thing that became of a licence.
type Event struct {
	// ID is the register's, random: 32 hexadecimal digits. A repeated delivery has it again.
	ID   string
	Type Type
	// Subject is the licence, or the version of it, that the event is about; Supersedes the
	// version whose place it has taken, empty when there is none.
	Subject, Supersedes licence.Identifier
	TypeCode            string
	// Version is the number of the version, from 1.
	Version int
	// Time is when it came into force, to the millisecond.
	Time time.Time
}

// MediaType is that of a body.
const MediaType = "application/cloudevents+json"

// envelope is CloudEvents 1.0, JSON format, structured mode.
type envelope struct {
	SpecVersion     string             `json:"specversion"`
	ID              string             `json:"id"`
	Source          string             `json:"source"`
	Type            Type               `json:"type"`
	Subject         licence.Identifier `json:"subject"`
	Time            string             `json:"time"`
	DataContentType string             `json:"datacontenttype"`
	Data            data               `json:"data"`
}

type data struct {
	TypeCode   string             `json:"type_code"`
	Version    int                `json:"version"`
	Supersedes licence.Identifier `json:"supersedes,omitempty"`
}

// Body is the event as it is sent: the same bytes at every attempt. source is the service's
// public URL.
func (e Event) Body(source string) ([]byte, error) {
	return json.Marshal(envelope{
		SpecVersion: "1.0", ID: e.ID, Source: source, Type: e.Type, Subject: e.Subject,
		Time: e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), DataContentType: "application/json",
		Data: data{e.TypeCode, e.Version, e.Supersedes},
	})
}
