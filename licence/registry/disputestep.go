package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/dispute"
)

// CloseRequest says what was done about a dispute that was accepted.
type CloseRequest struct {
	StatusRequest // Reason says what was done
	// Version is the licence that puts it right: required for WrongData and MissingLicence.
	Version licence.Identifier
}

// WithdrawDispute takes the holder's own dispute back, while it is open. Errors: ErrForbidden,
// licence.ErrNotFound out of the caller's reach, licence.ErrWrongStatus, ErrKeyReused, ErrLog.
func (r *Registry) WithdrawDispute(ctx context.Context, c Caller, id string, q StatusRequest) (DisputeState, audit.Receipt, error) {
	return r.moveDispute(ctx, c, ActionDisputeWithdraw, dispute.Withdraw, id, q, func(d *dispute.Dispute, now time.Time) error {
		if !sameHolder(c.Holder, d.Holder) {
			return ErrOutOfReach
		}
		d.ClosedBy, d.ClosedAt = c.Principal, now
		return nil
	})
}

// AcceptDispute says that the holder is right, with the reason, and by when all is to be put
// right. The decision names who made it, and whether they made or used the licence
// themselves. Errors: as of WithdrawDispute, ErrReasonMissing, *licence.RequestError.
func (r *Registry) AcceptDispute(ctx context.Context, c Caller, id string, q StatusRequest) (DisputeState, audit.Receipt, error) {
	return r.decideDispute(ctx, c, ActionDisputeAccept, dispute.Accept, id, q, func(d *dispute.Dispute, now time.Time) {
		d.Due = r.cfg.DisputeRules.Remedy(d.Kind, now)
	})
}

// RejectDispute says that the holder is not right, with the reason. Errors: as of AcceptDispute.
func (r *Registry) RejectDispute(ctx context.Context, c Caller, id string, q StatusRequest) (DisputeState, audit.Receipt, error) {
	return r.decideDispute(ctx, c, ActionDisputeReject, dispute.Reject, id, q, func(d *dispute.Dispute, now time.Time) {
		d.ClosedBy, d.ClosedAt = c.Principal, now
	})
}

// decideDispute answers a dispute.
func (r *Registry) decideDispute(ctx context.Context, c Caller, action audit.Action, step dispute.Step, id string, q StatusRequest, more func(*dispute.Dispute, time.Time)) (DisputeState, audit.Receipt, error) {
	return r.moveDispute(ctx, c, action, step, id, q, func(d *dispute.Dispute, now time.Time) (err error) {
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
func mayAnswer(c Caller, d *dispute.Dispute, reason string) error {
	switch {
	case !c.answers(d):
		return ErrOutOfReach
	case reason == "":
		return ErrReasonMissing
	}
	return dispute.CheckAnswer(reason)
}

// acted reports whether the caller made the disputed licence, or the disputed use of it.
func (r *Registry) acted(ctx context.Context, c Caller, d *dispute.Dispute) (bool, error) {
	switch {
	case d.Kind == dispute.UnknownUse:
		row, err := audit.ReadEntry(ctx, r.cfg.LogReader, r.cfg.LogID, d.Entry)
		if errors.Is(err, audit.ErrArchived) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		record, err := audit.ParseRecord(row.Record)
		return record.Entry.Principal == c.Principal, err
	case d.Kind.OfLicence():
		rec, err := r.cfg.Store.Licence(ctx, d.Licence)
		return rec.Client == c.Principal, err
	}
	return false, nil
}

// CloseDispute says what was done about a dispute that was accepted, which must have been
// done: a new version or licence is named, or the licence is not in force any more. A
// correction closes what was accepted about the data of its licence by itself.
// Errors: as of AcceptDispute, ErrNotRemedied.
func (r *Registry) CloseDispute(ctx context.Context, c Caller, id string, q CloseRequest) (DisputeState, audit.Receipt, error) {
	return r.moveDispute(ctx, c, ActionDisputeClose, dispute.Close, id, q.StatusRequest, func(d *dispute.Dispute, now time.Time) error {
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
func (r *Registry) remedied(ctx context.Context, d *dispute.Dispute, version licence.Identifier) error {
	if version == "" {
		switch d.Kind {
		case dispute.WrongData, dispute.MissingLicence:
			// Of another platform's licence there is no new version here: it is withdrawn.
			if rec, err := r.cfg.Store.Licence(ctx, d.Licence); err == nil && rec.Importer != "" && rec.Status.Final() {
				return nil
			}
			return sealFault("version", licence.CodeMissing, "is required: the licence that puts it right")
		case dispute.WrongLicence:
			rec, err := r.cfg.Store.Licence(ctx, d.Licence)
			if err == nil && (rec.Status == licence.StatusValid || rec.Status == licence.StatusSuspended) {
				err = fmt.Errorf("%w: the licence is %s", ErrNotRemedied, rec.Status)
			}
			return err
		}
		return nil
	}
	rec, err := r.cfg.Store.Licence(ctx, version)
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		return err
	}
	fits := err == nil && issued(rec.Status)
	switch d.Kind {
	case dispute.WrongData, dispute.WrongLicence:
		fits = fits && d.Licence.Precedes(version) && rec.CreatedAt.After(d.RaisedAt)
	case dispute.MissingLicence:
		fits = fits && rec.Importer == "" && rec.TypeCode == d.TypeCode && rec.AuthorityCode == d.Authority.Code && sameHolder(rec.Holder, d.Holder)
	default:
		fits = false
	}
	if !fits {
		return sealFault("version", licence.CodeNotAllowed, "is no licence that puts this right: a version made since, or the one that was missing")
	}
	return nil
}

// moveDispute takes a step with a dispute in one transaction with its log entry and the
// answer of its key, if it still stands there as it was found.
func (r *Registry) moveDispute(ctx context.Context, c Caller, action audit.Action, step dispute.Step, id string, q StatusRequest, take func(*dispute.Dispute, time.Time) error) (DisputeState, audit.Receipt, error) {
	d, found := r.cfg.Store.Dispute(ctx, id)
	moved := d
	var state DisputeState
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: action, Object: disputeObject(id), Holder: d.Holder, Texts: map[string]string{"reason": q.Reason},
		Use: Use{Case: q.CaseNumber, Matter: q.MatterCode, Operator: q.Operator},
		Check: func() error {
			if found != nil {
				return found
			}
			if err := take(&moved, r.now()); err != nil { // its state is asked behind the key, for a repeat finds it moved already
				return err
			}
			return CheckKey(q.Key)
		},
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, q.Key, q.Body, e, &state, func() (err error) {
				if moved.State, err = d.State.After(step); err != nil {
					return err
				}
				state = disputeState(moved)
				return tx.UpdateDispute(ctx, moved, d.State)
			})
		},
	})
	return state, receipt, err
}

// correction is what a corrected licence does to disputes about its data that were accepted:
// it closes them, in the transaction that issues it, and names itself in each. One that was
// settled meanwhile stops that transaction; the licence is finished by the next attempt, which does not find
// it any more.
type correction []dispute.Dispute

// corrects finds what a new version puts right.
func (r *Registry) corrects(ctx context.Context, rec *Record) (correction, error) {
	if rec.Operation != licence.OpCorrect {
		return nil, nil
	}
	found, err := r.cfg.Store.AcceptedDisputes(ctx, dispute.WrongData, rec.Supersedes)
	return found, err
}

// entries are those of the log, one for each dispute.
func (k correction) entries(rec *Record) (all []*Access) {
	for _, d := range k {
		all = append(all, &Access{Action: ActionDisputeClose, Object: disputeObject(d.ID), Holder: d.Holder, Code: "corrected", Use: Use{Case: rec.CaseNumber}})
	}
	return all
}

// apply closes the disputes.
func (k correction) apply(ctx context.Context, tx Tx, by string, version licence.Identifier, now time.Time) error {
	for _, d := range k {
		d.State, d.ClosedBy, d.ClosedAt, d.Version = dispute.Closed, by, now, version
		if err := tx.UpdateDispute(ctx, d, dispute.Accepted); err != nil {
			return err
		}
	}
	return nil
}
