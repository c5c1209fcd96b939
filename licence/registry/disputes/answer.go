package disputes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/dispute"
	"elicence/licence/registry"
)

// CloseRequest says what was done about a dispute that was accepted.
type CloseRequest struct {
	registry.StatusRequest // Reason says what was done
	// Version is the licence that puts it right: required for WrongData and MissingLicence.
	Version licence.Identifier
}

// Withdraw takes the holder's own dispute back, while it is open. Errors: ErrForbidden,
// licence.ErrNotFound out of the caller's reach, licence.ErrWrongStatus, ErrKeyReused, ErrLog.
func (r *Register) Withdraw(ctx context.Context, c registry.Caller, id string, q registry.StatusRequest) (Answer, audit.Receipt, error) {
	return r.move(ctx, c, registry.ActionDisputeWithdraw, dispute.Withdraw, id, q, func(d *dispute.Dispute, now time.Time) error {
		if !c.Holder.Is(d.Holder) {
			return registry.ErrOutOfReach
		}
		d.ClosedBy, d.ClosedAt = c.Principal, now
		return nil
	})
}

// Accept says that the holder is right, with the reason, and by when all is to be put
// right. The decision names who made it, and whether they made or used the licence
// themselves. Errors: as of Withdraw, ErrReasonMissing, *licence.RequestError.
func (r *Register) Accept(ctx context.Context, c registry.Caller, id string, q registry.StatusRequest) (Answer, audit.Receipt, error) {
	return r.decide(ctx, c, registry.ActionDisputeAccept, dispute.Accept, id, q, func(d *dispute.Dispute, now time.Time) {
		d.Due = r.rules.Remedy(d.Kind, now)
	})
}

// Reject says that the holder is not right, with the reason. Errors: as of Accept.
func (r *Register) Reject(ctx context.Context, c registry.Caller, id string, q registry.StatusRequest) (Answer, audit.Receipt, error) {
	return r.decide(ctx, c, registry.ActionDisputeReject, dispute.Reject, id, q, func(d *dispute.Dispute, now time.Time) {
		d.ClosedBy, d.ClosedAt = c.Principal, now
	})
}

// decide answers a dispute.
func (r *Register) decide(ctx context.Context, c registry.Caller, action audit.Action, step dispute.Step, id string, q registry.StatusRequest, more func(*dispute.Dispute, time.Time)) (Answer, audit.Receipt, error) {
	return r.move(ctx, c, action, step, id, q, func(d *dispute.Dispute, now time.Time) (err error) {
		if err := mayAnswer(c, d, q.Reason); err != nil {
			return err
		}
		if d.Acted, err = r.acted(ctx, c, d); err != nil {
			return err
		}
		d.DecidedBy, d.DecidedAt, d.Reason = c.Principal, now, q.Reason
		more(d, now)
		return nil
	})
}

// mayAnswer says why a caller does not answer a dispute in these words, or nil.
func mayAnswer(c registry.Caller, d *dispute.Dispute, reason string) error {
	switch {
	case !answers(c, d):
		return registry.ErrOutOfReach
	case reason == "":
		return registry.ErrReasonMissing
	}
	return dispute.CheckAnswer(reason)
}

// acted reports whether the caller made the disputed licence, or the disputed use of it.
func (r *Register) acted(ctx context.Context, c registry.Caller, d *dispute.Dispute) (bool, error) {
	switch {
	case d.Kind == dispute.UnknownUse:
		row, err := audit.ReadEntry(ctx, r.gate.LogReader(), r.gate.Logs()[0], d.Entry)
		if errors.Is(err, audit.ErrArchived) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		record, err := audit.ParseRecord(row.Record)
		return record.Entry.Principal == c.Principal, err
	case d.Kind.OfLicence():
		rec, err := r.gate.Store().Licence(ctx, d.Licence)
		return rec.Client == c.Principal, err
	}
	return false, nil
}

// Close says what was done about a dispute that was accepted, which must have been
// done: a new version or licence is named, or the licence is not in force any more. A
// correction closes what was accepted about the data of its licence by itself.
// Errors: as of Accept, ErrNotRemedied.
func (r *Register) Close(ctx context.Context, c registry.Caller, id string, q CloseRequest) (Answer, audit.Receipt, error) {
	return r.move(ctx, c, registry.ActionDisputeClose, dispute.Close, id, q.StatusRequest, func(d *dispute.Dispute, now time.Time) error {
		if err := mayAnswer(c, d, q.Reason); err != nil {
			return err
		}
		if err := r.remedied(ctx, d, q.Version); err != nil {
			return err
		}
		d.ClosedBy, d.ClosedAt, d.Version, d.Remedy = c.Principal, now, q.Version, q.Reason
		return nil
	})
}

// remedied says why what was accepted has not been put right, or nil.
func (r *Register) remedied(ctx context.Context, d *dispute.Dispute, version licence.Identifier) error {
	if version == "" {
		switch d.Kind {
		case dispute.WrongData, dispute.MissingLicence:
			// Of another platform's licence there is no new version here: it is withdrawn.
			if rec, err := r.gate.Store().Licence(ctx, d.Licence); err == nil && rec.Importer != "" && rec.Status.Final() {
				return nil
			}
			return licence.InvalidField("version", licence.CodeMissing, "is required: the licence that puts it right")
		case dispute.WrongLicence:
			rec, err := r.gate.Store().Licence(ctx, d.Licence)
			if err == nil && (rec.Status == licence.StatusValid || rec.Status == licence.StatusSuspended) {
				err = fmt.Errorf("%w: the licence is %s", registry.ErrNotRemedied, rec.Status)
			}
			return err
		}
		return nil
	}
	rec, err := r.gate.Store().Licence(ctx, version)
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		return err
	}
	fits := err == nil && rec.Status.Issued()
	switch d.Kind {
	case dispute.WrongData, dispute.WrongLicence:
		fits = fits && d.Licence.Precedes(version) && rec.CreatedAt.After(d.RaisedAt)
	case dispute.MissingLicence:
		fits = fits && rec.Importer == "" && rec.TypeCode == d.TypeCode && rec.AuthorityCode == d.Authority.Code && rec.Holder.Is(d.Holder)
	default:
		fits = false
	}
	if !fits {
		return licence.InvalidField("version", licence.CodeNotAllowed, "is no licence that puts this right: a version made since, or the one that was missing")
	}
	return nil
}

// move takes a step with a dispute in one transaction with its log entry and the
// answer of its key, if it still stands there as it was found.
func (r *Register) move(ctx context.Context, c registry.Caller, action audit.Action, step dispute.Step, id string, q registry.StatusRequest, take func(*dispute.Dispute, time.Time) error) (Answer, audit.Receipt, error) {
	d, found := r.gate.Store().Dispute(ctx, id)
	moved := d
	var state Answer
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{
		Action: action, Object: dispute.Object(id), Holder: d.Holder, Texts: map[string]string{"reason": q.Reason},
		Use: registry.Use{Case: q.CaseNumber, Matter: q.MatterCode, Operator: q.Operator},
		Check: func() error {
			if found != nil {
				return found
			}
			if err := take(&moved, r.gate.Now()); err != nil { // its state is asked behind the key, for a repeat finds it moved already
				return err
			}
			return registry.CheckKey(q.Key)
		},
		Apply: func(ctx context.Context, tx registry.Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &state, func() (err error) {
				if moved.State, err = d.State.After(step); err != nil {
					return err
				}
				state = answerOf(moved)
				return tx.UpdateDispute(ctx, moved, d.State)
			})
		},
	})
	return state, receipt, err
}
