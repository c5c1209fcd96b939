package accesslog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
)

// ExpireRequest asks that the personal values of all log entries of a time be erased,
// whomever they are about.
type ExpireRequest struct {
	LogID  string // the log, or one that it succeeds
	Before time.Time
	From   uint64 // the first entry to look at: what the call before returned as next
	Reason string // stands in the log
}

// ExpirePersonal is ErasePersonal for whatever was logged before an instant, 500 entries at
// most. next is the From of the next call, 0 when nothing is left; a call that found nothing
// to erase is logged, too. Entries under a hold keep their values while it lasts. Disputes
// that were settled before the instant are erased as by ErasePersonal.
func (r *Register) ExpirePersonal(ctx context.Context, c registry.Caller, q ExpireRequest) (erased int, next uint64, receipt audit.Receipt, err error) {
	var rows []audit.Row
	a := &registry.Access{Action: registry.ActionErase, Use: registry.Use{Purpose: q.Reason}, PurposeField: "reason",
		Apply: func(ctx context.Context, tx registry.Tx, _ *audit.Entry) error {
			return errors.Join(eraseAll(ctx, tx, q.LogID, rows), tx.EraseDisputes(ctx, licence.Holder{}, q.Before))
		}}
	a.Check = func() error {
		if err := r.checkLog(q.LogID, q.Reason); err != nil {
			return err
		}
		var fault error
		if rows, next, fault = r.expired(ctx, q); fault != nil {
			return fault
		}
		indexes := make([]uint64, len(rows))
		for i, row := range rows {
			indexes[i] = row.Index
		}
		a.Object, a.Digest = erasure(indexes)
		if len(rows) > 0 && q.LogID != r.gate.Logs()[0] {
			a.Object += "/" + q.LogID
		}
		return nil
	}
	receipt, err = r.gate.Pass(ctx, c, a)
	return len(rows), next, receipt, err
}

// expired are the next entries whose values are to be erased, and where to look then.
func (r *Register) expired(ctx context.Context, q ExpireRequest) (rows []audit.Row, next uint64, err error) {
	end, err := r.gate.Log().Other(q.LogID).FirstSince(ctx, q.Before)
	if err != nil {
		return nil, 0, err
	}
	all, err := r.gate.Store().Openings(ctx, q.LogID, q.From, end, maxErase)
	if err != nil {
		return nil, 0, err
	}
	if len(all) == maxErase {
		next = all[len(all)-1].Index + 1
	}
	held := r.gate.Held(ctx)
	for _, row := range all {
		hidden, err := r.rowHeld(ctx, q.LogID, row.Index, held)
		if err != nil {
			return nil, 0, err
		}
		if !hidden {
			rows = append(rows, row)
		}
	}
	return rows, next, nil
}

// rowHeld reports whether an entry is under a hold. None that is archived is: see Archive.
func (r *Register) rowHeld(ctx context.Context, logID string, index uint64, held func(*audit.Record) (bool, error)) (bool, error) {
	row, err := audit.ReadEntry(ctx, r.gate.LogReader(), logID, index)
	if errors.Is(err, audit.ErrArchived) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	record, err := audit.ParseRecord(row.Record)
	if err != nil {
		return false, fmt.Errorf("entry %d: %w", index, err)
	}
	return held(&record)
}

// eraseAll erases openings, holder by holder, since the keys of an entry are found by its holder.
func eraseAll(ctx context.Context, tx registry.Tx, logID string, rows []audit.Row) error {
	about := map[audit.Key][]uint64{}
	for _, row := range rows {
		holder, _ := audit.HolderOf(row.Opening) // the empty one has no keys
		about[holder] = append(about[holder], row.Index)
	}
	for holder, indexes := range about {
		if err := tx.EraseOpenings(ctx, logID, indexes, holder); err != nil {
			return err
		}
	}
	return nil
}
