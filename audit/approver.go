package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Actions of the entries that make a succession and what it rests on.
const (
	ActionAppoint Action = "appoint_approver"   // object: the approver's key
	ActionDismiss Action = "dismiss_approver"   // object: the approver's key
	ActionSucceed Action = "succeed_log"        // the first entry of a successor
	ActionApprove Action = "approve_succession" // principal: the approver; object: the key; digest: the signature
)

// approverIdentifier is that of the keys of persons who approve a succession.
const approverIdentifier = "elicence/sm2-sm3/approval/v1"

// ApproverKey returns the verifier key of s as the key of an approver. Its name is the
// person's.
func (s Signer) ApproverKey() (string, error) { return s.encode(approverIdentifier) }

// Approvers are the persons who may approve that a log is succeeded, by their keys. They
// are who the log's own entries appoint, before anything is lost, so that nobody becomes
// one afterwards. The zero Approvers are nobody.
type Approvers struct{ keys []*verifier }

// ReadApprovers reads who the first size entries of a log appoint.
func ReadApprovers(ctx context.Context, s Storage, logID string, size uint64) (Approvers, error) {
	var a Approvers
	archived, err := s.Archived(ctx, logID)
	if err != nil {
		return a, doing("reading what is archived", err)
	}
	from := uint64(0)
	for _, segment := range archived.Segments {
		if segment.To > size {
			break
		}
		from, a = segment.To, Approvers{}
		for _, key := range segment.Approvers {
			v, err := a.Admit(key)
			if err != nil {
				return a, doing("reading who approves", err)
			}
			a.keys = append(a.keys, v)
		}
	}
	err = s.Rows(ctx, logID, from, size, func(row Row) error {
		var view recordView
		if err := view.parse(row.Record); err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrForked, row.Index, err)
		}
		a.follow(&view)
		return nil
	})
	return a, doing("reading who approves", err)
}

// follow takes in what an entry says. A key that cannot be taken in is passed over:
// whoever wrote it had no use of it.
func (a *Approvers) follow(r *recordView) {
	if string(r.texts[resultField]) != string(ResultAllowed) {
		return
	}
	object := string(r.texts[3])
	switch Action(r.texts[2]) {
	case ActionAppoint, ActionApprove: // who approved in the log before is an approver of its successor
		if key, err := a.Admit(object); err == nil {
			a.keys = append(a.keys, key)
		}
	case ActionDismiss:
		a.keys = slices.DeleteFunc(a.keys, func(v *verifier) bool { return v.String() == object })
	}
}

// Admit parses the key of a new approver. It is an error when the name or the key is
// that of one who is there: one person counts once.
func (a *Approvers) Admit(vkey string) (*verifier, error) {
	key, err := parseVerifier(vkey)
	if err != nil {
		return nil, err
	}
	if key.identifier != approverIdentifier {
		return nil, errors.New("audit: not the key of an approver")
	}
	if slices.ContainsFunc(a.keys, func(v *verifier) bool { return v.name == key.name || string(v.public) == string(key.public) }) {
		return nil, fmt.Errorf("audit: the approver %q is appointed already, or the key is another's", key.name)
	}
	return key, nil
}

// Has reports whether a key is that of an approver.
func (a *Approvers) Has(vkey string) bool {
	return slices.ContainsFunc(a.keys, func(v *verifier) bool { return v.String() == vkey })
}

// Keys returns the approvers' verifier keys, in the order of their appointment.
func (a *Approvers) Keys() (keys []string) {
	for _, v := range a.keys {
		keys = append(keys, v.String())
	}
	return keys
}
