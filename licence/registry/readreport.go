package registry

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"elicence/audit"
	"elicence/licence"
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

// ReadReport compares a printed report with the log: it finds the entry that the report
// names by index and leaf hash (lower-case hex). Whoever has both has the report, for
// nobody can guess a leaf hash. licence.ErrNotFound for any other.
func (r *Registry) ReadReport(ctx context.Context, c Caller, index uint64, leaf string) (e ReportEntry, receipt audit.Receipt, err error) {
	receipt, err = r.gate(ctx, c, &access{action: ActionReadReport, object: ReportNumber(index),
		check: func() error { e, err = r.reportEntry(ctx, index, leaf); return err }})
	if err != nil {
		return ReportEntry{}, receipt, err
	}
	return e, receipt, nil
}

func (r *Registry) reportEntry(ctx context.Context, index uint64, leaf string) (e ReportEntry, err error) {
	for _, logID := range append([]string{r.cfg.LogID}, r.cfg.Succeeded...) {
		e, err = r.reportEntryOf(ctx, logID, index, leaf)
		if !errors.Is(err, licence.ErrNotFound) {
			break
		}
	}
	return e, err
}

func (r *Registry) reportEntryOf(ctx context.Context, logID string, index uint64, leaf string) (e ReportEntry, err error) {
	err = licence.ErrNotFound
	fault := r.cfg.LogReader.Rows(ctx, logID, index, index+1, func(row audit.Row) error {
		own := audit.LeafHash(row.Record)
		if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(own[:])), []byte(leaf)) != 1 {
			return nil
		}
		record, fault := audit.ParseRecord(row.Record)
		if fault != nil || record.Entry.Action != ActionVerify || record.Entry.Result != audit.ResultAllowed {
			return fault
		}
		v := record.Entry
		e, err = ReportEntry{ReportNumber(index), v.Time, v.Code, hex.EncodeToString(v.Digest), v.Object}, nil
		return nil
	})
	if fault != nil {
		return e, fmt.Errorf("reading entry %d: %w", index, fault)
	}
	return e, err
}
