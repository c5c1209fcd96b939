package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/audit"
)

// The actions on the log's own rows, as they stand in it.
const (
	ActionArchive audit.Action = "archive_log"     // a segment is on record; digest: SM3 of its file
	ActionRemove  audit.Action = "remove_archived" // rows that segments hold leave the database
	ActionRestore audit.Action = "restore_log"     // rows of a segment are put back; digest: SM3 of its file
)

// ErrHeld: entries that may be under a hold must stay where holders are told of them later.
var ErrHeld = errors.New("a hold is in force that may cover entries of the segment")

// segmentObject names entries of a log.
func segmentObject(logID string, from, to uint64) string {
	return fmt.Sprintf("log/%s/%d-%d", logID, from, to-1)
}

// checkLog wants a log of this instance, and a reason.
func (r *Registry) checkLog(logID, reason string) error {
	if !slices.Contains(r.logs(), logID) {
		return fmt.Errorf("%w: no log of this instance is called %q", audit.ErrUnknownLog, logID)
	}
	if reason == "" {
		return ErrReasonMissing
	}
	return nil
}

// ArchiveLog records a segment of the log or of one that it succeeds, whose file is durable.
// From then on its rows may be removed. Errors: ErrHeld, ErrReasonMissing, audit.ErrUnknownLog.
func (r *Registry) ArchiveLog(ctx context.Context, c Caller, logID string, s audit.Segment, reason string) (audit.Receipt, error) {
	return r.gate.Pass(ctx, c, &Access{
		Action: ActionArchive, Object: segmentObject(logID, s.From, s.To), Digest: s.Digest[:], Use: Use{Purpose: reason}, PurposeField: "reason",
		Check: func() error {
			if err := r.checkLog(logID, reason); err != nil {
				return err
			}
			return r.MayArchive(ctx, s.Last)
		},
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error { return tx.PutSegment(ctx, logID, s) },
	})
}

// MayArchive returns ErrHeld when a hold in force covers entries up to an instant.
func (r *Registry) MayArchive(ctx context.Context, last time.Time) error {
	since, err := r.cfg.Store.HeldSince(ctx, r.now())
	if err == nil && !since.IsZero() && !since.After(last) {
		err = fmt.Errorf("%w: it was placed at %s", ErrHeld, since.UTC().Format(time.RFC3339))
	}
	return err
}

// RemoveArchived logs that rows below to, which segments hold, are about to leave the database.
func (r *Registry) RemoveArchived(ctx context.Context, c Caller, logID string, to uint64, reason string) (audit.Receipt, error) {
	return r.gate.Pass(ctx, c, &Access{
		Action: ActionRemove, Object: segmentObject(logID, 0, to), Use: Use{Purpose: reason}, PurposeField: "reason",
		Check: func() error { return r.checkLog(logID, reason) },
	})
}

// RestoreLog logs that the rows of a segment are about to be put back.
func (r *Registry) RestoreLog(ctx context.Context, c Caller, logID string, s audit.Segment, reason string) (audit.Receipt, error) {
	return r.gate.Pass(ctx, c, &Access{
		Action: ActionRestore, Object: segmentObject(logID, s.From, s.To), Digest: s.Digest[:], Use: Use{Purpose: reason}, PurposeField: "reason",
		Check: func() error { return r.checkLog(logID, reason) },
	})
}
