package accesslog

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
)

// ReportEntry is what the access log says of the verification that a report is on.
type ReportEntry struct {
	Number string
	At     time.Time
	// Code is the indication, and the sub-indication behind a slash.
	Code string
	// Digest is SM3 of what was verified, lower-case hex.
	Digest string
	// Identifier is the licence's, empty where nothing may be said of one.
	Identifier string
}

// ReadReport finds what the log says of the verification that a report is on, which the
// report names by index and leaf hash (lower-case hex): nobody can guess a leaf hash,
// though every verifier is told their own. licence.ErrNotFound where no report was sealed
// on that verification, and for any other entry. What a copy on paper says besides is not
// in the log: only the report's seal proves it.
func (r *Register) ReadReport(ctx context.Context, c registry.Caller, index uint64, leaf string) (e ReportEntry, receipt audit.Receipt, err error) {
	receipt, err = r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionReadReport, Object: registry.ReportNumber(index),
		Check: func() error { e, err = r.reportEntry(ctx, index, leaf); return err }})
	if err != nil {
		return ReportEntry{}, receipt, err
	}
	return e, receipt, nil
}

func (r *Register) reportEntry(ctx context.Context, index uint64, leaf string) (e ReportEntry, err error) {
	for _, logID := range r.gate.Logs() {
		e, err = r.reportEntryOf(ctx, logID, index, leaf)
		if !errors.Is(err, licence.ErrNotFound) {
			break
		}
	}
	return e, err
}

func (r *Register) reportEntryOf(ctx context.Context, logID string, index uint64, leaf string) (e ReportEntry, err error) {
	err = licence.ErrNotFound
	fault := r.gate.LogReader().Rows(ctx, logID, index, index+1, func(row audit.Row) error {
		own := audit.LeafHash(row.Record)
		if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(own[:])), []byte(leaf)) != 1 {
			return nil
		}
		record, fault := audit.ParseRecord(row.Record)
		if fault != nil || record.Entry.Action != registry.ActionVerify || record.Entry.Result != audit.ResultAllowed {
			return fault
		}
		v := record.Entry
		e, err = ReportEntry{registry.ReportNumber(index), v.Time, v.Code, hex.EncodeToString(v.Digest), v.Object}, nil
		return nil
	})
	if fault == nil && err != nil {
		if _, gone := audit.ReadEntry(ctx, r.gate.LogReader(), logID, index); errors.Is(gone, audit.ErrArchived) {
			fault = gone
		}
	}
	if fault != nil {
		return e, fmt.Errorf("reading entry %d: %w", index, fault)
	}
	if err == nil {
		err = r.reportSealed(ctx, logID, e)
	}
	return e, err
}

// sealingTime is more than the time from a verification to the sealing of its report,
// which one request does.
const sealingTime = time.Hour

// reportSealed is nil when the log has the permission to seal the report on e, else
// licence.ErrNotFound. A crash behind that entry leaves a report that nobody got.
func (r *Register) reportSealed(ctx context.Context, logID string, e ReportEntry) error {
	head, err := r.gate.LogReader().Head(ctx, logID)
	if err != nil {
		return fmt.Errorf("reading log head: %w", err)
	}
	q := audit.Query{LogID: logID, Keys: []audit.Key{{Kind: audit.KeyObject, Value: e.Number}, {Kind: audit.KeyAction, Value: string(registry.ActionReport)}},
		From: e.At, To: e.At.Add(sealingTime), Below: head.Size, Limit: registry.MaxPage}
	for q.Below > 0 {
		var found []audit.Found
		if found, q.Below, err = r.gate.Log().Search(ctx, q); err != nil {
			return fmt.Errorf("searching for the seal of report %s: %w", e.Number, err)
		}
		if slices.ContainsFunc(found, func(f audit.Found) bool { return f.Parsed.Entry.Result == audit.ResultAllowed }) {
			return nil
		}
	}
	return licence.ErrNotFound
}
