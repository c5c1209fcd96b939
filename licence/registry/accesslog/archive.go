package accesslog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"elicence/audit"
	"elicence/licence/registry"
)

// segmentObject names entries of a log.
func segmentObject(logID string, from, to uint64) string {
	return fmt.Sprintf("log/%s/%d-%d", logID, from, to-1)
}

// checkLog wants a log of this instance, and a reason.
func (r *Register) checkLog(logID, reason string) error {
	if !slices.Contains(r.gate.Logs(), logID) {
		return fmt.Errorf("%w: no log of this instance is called %q", audit.ErrUnknownLog, logID)
	}
	if reason == "" {
		return registry.ErrReasonMissing
	}
	return nil
}

// Archive records a segment of the log or of one that it succeeds, whose file is durable.
// From then on its rows may be removed. Errors: ErrHeld, ErrReasonMissing, audit.ErrUnknownLog.
func (r *Register) Archive(ctx context.Context, c registry.Caller, logID string, s audit.Segment, reason string) (audit.Receipt, error) {
	return r.gate.Pass(ctx, c, &registry.Access{
		Action: registry.ActionArchive, Object: segmentObject(logID, s.From, s.To), Digest: s.Digest[:], Use: registry.Use{Purpose: reason}, PurposeField: "reason",
		Check: func() error {
			if err := r.checkLog(logID, reason); err != nil {
				return err
			}
			return r.MayArchive(ctx, s.Last)
		},
		Apply: func(ctx context.Context, tx registry.Tx, _ *audit.Entry) error { return tx.PutSegment(ctx, logID, s) },
	})
}

// MayArchive returns ErrHeld when a hold in force covers entries up to an instant.
func (r *Register) MayArchive(ctx context.Context, last time.Time) error {
	since, err := r.gate.Store().HeldSince(ctx, r.gate.Now())
	if err == nil && !since.IsZero() && !since.After(last) {
		err = fmt.Errorf("%w: it was placed at %s", registry.ErrHeld, since.UTC().Format(time.RFC3339))
	}
	return err
}

// RemoveArchived logs that rows below to, which segments hold, are about to leave the database.
func (r *Register) RemoveArchived(ctx context.Context, c registry.Caller, logID string, to uint64, reason string) (audit.Receipt, error) {
	return r.gate.Pass(ctx, c, &registry.Access{
		Action: registry.ActionRemove, Object: segmentObject(logID, 0, to), Use: registry.Use{Purpose: reason}, PurposeField: "reason",
		Check: func() error { return r.checkLog(logID, reason) },
	})
}

// Restore logs that the rows of a segment are about to be put back.
func (r *Register) Restore(ctx context.Context, c registry.Caller, logID string, s audit.Segment, reason string) (audit.Receipt, error) {
	return r.gate.Pass(ctx, c, &registry.Access{
		Action: registry.ActionRestore, Object: segmentObject(logID, s.From, s.To), Digest: s.Digest[:], Use: registry.Use{Purpose: reason}, PurposeField: "reason",
		Check: func() error { return r.checkLog(logID, reason) },
	})
}
