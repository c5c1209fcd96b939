package registry

import (
	"context"
	"time"

	"elicence/licence"
	"elicence/licence/dispute"
)

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
		all = append(all, &Access{Action: ActionDisputeClose, Object: dispute.Object(d.ID), Holder: d.Holder, Code: "corrected", Use: Use{Case: rec.CaseNumber}})
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
