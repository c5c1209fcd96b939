package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/audit"
	"elicence/licence"
)

// instantOf is the instant that is asked for, or the present one; a *licence.RequestError
// when it is to come.
func (r *Registry) instantOf(asOf time.Time) (time.Time, error) {
	now := r.now()
	if asOf.IsZero() {
		return now, nil
	}
	if asOf.After(now) {
		return now, licence.InvalidField("as_of", licence.CodeOutOfRange, "is to come")
	}
	return asOf, nil
}

// asOf is a record as it was at an instant, unless that is zero: status, link and file.
// What a licence states never changes. licence.ErrNotFound before it was reserved.
func (r *Registry) asOf(ctx context.Context, rec Record, at time.Time) (Record, error) {
	if at.IsZero() {
		return rec, nil
	}
	past, err := r.cfg.Store.StatusAsOf(ctx, rec.Identifier, at)
	if err != nil {
		return rec, fmt.Errorf("reading the status of %s: %w", rec.Identifier, err)
	}
	rec.Status, rec.StatusReason, rec.StatusAt = past.Status, past.Reason, past.At
	if rec.Status != licence.StatusSuperseded {
		rec.SupersededBy = ""
	}
	rec.File, err = r.cfg.Store.FileAsOf(ctx, rec.Identifier, at)
	if errors.Is(err, licence.ErrNotFound) {
		rec.File, err = File{}, nil
	}
	return rec, err
}

// newest is the newest version of a licence that had been issued at an instant; empty
// when there was none. A pending or voided version was never issued.
func (r *Registry) newest(ctx context.Context, id licence.Identifier, at time.Time) (licence.Identifier, error) {
	versions, err := r.cfg.Store.Versions(ctx, id)
	if err != nil {
		return "", err
	}
	for _, v := range slices.Backward(versions) {
		if !v.Status.Issued() {
			continue
		}
		past, err := r.cfg.Store.StatusAsOf(ctx, v.Identifier, at)
		if err != nil && !errors.Is(err, licence.ErrNotFound) {
			return "", err
		}
		if err == nil && past.Status.Issued() {
			return v.Identifier, nil
		}
	}
	return "", nil
}

// VersionHistory is one version of a licence with all its statuses.
type VersionHistory struct {
	View
	// Changes are its statuses, newest first, at most MaxHistory.
	Changes []Past
}

// MaxHistory is the most statuses of one version that History returns.
const MaxHistory = 1000

// History reads the versions of the licence that id is a version of, newest first, which
// the caller reaches: a holder sees none that was another's. Every version shown is one log
// entry; the receipt is that of the last.
func (r *Registry) History(ctx context.Context, c Caller, id licence.Identifier, use Use) ([]VersionHistory, audit.Receipt, error) {
	a := &Access{Action: ActionHistory, Object: string(id), Use: use}
	records, err := r.readable(ctx, c, a)
	a.Check = func() error { return err }
	receipt, err := r.show(ctx, c, a, records)
	if err != nil {
		return nil, receipt, err
	}
	var versions []VersionHistory
	for _, rec := range records {
		v, err := r.view(rec, r.now())
		if err != nil {
			return nil, receipt, err
		}
		past, err := r.cfg.Store.History(ctx, rec.Identifier, MaxHistory)
		if err != nil {
			return nil, receipt, fmt.Errorf("reading the history of %s: %w", rec.Identifier, err)
		}
		versions = append(versions, VersionHistory{v, past})
	}
	return versions, receipt, nil
}

// readable are the versions of the licence of a history that the caller reaches, of
// which the one that was asked for must be. A caller whose role does not permit a history
// is left to the gate.
func (r *Registry) readable(ctx context.Context, c Caller, a *Access) (records []Record, err error) {
	if !c.MayAct(a.Action) {
		return nil, nil
	}
	id := licence.Identifier(a.Object)
	asked, err := r.cfg.Store.Licence(ctx, id)
	if err != nil {
		return nil, err
	}
	a.Holder = asked.Holder
	if !c.Reaches(&asked) {
		return nil, ErrOutOfReach
	}
	versions, err := r.cfg.Store.Versions(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, v := range slices.Backward(versions) {
		rec, err := r.cfg.Store.Licence(ctx, v.Identifier)
		if err != nil {
			return nil, err
		}
		if c.Reaches(&rec) {
			records = append(records, rec)
		}
	}
	return records, nil
}
