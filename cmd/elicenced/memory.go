package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"elicence/audit"
	"elicence/internal/durable"
)

// checkpointFile keeps the log's newest checkpoint outside the database, so that a
// database put back to an earlier state, or emptied, is noticed at the next start,
// before a number is given out a second time. It is at most about a second behind,
// and never ahead: what it holds was committed before. Whoever owns both the
// database and this file can still put back both; only witnesses resist that.
type checkpointFile struct {
	path string
	note []byte // what the file holds
}

// read returns the checkpoint, nothing when none was ever kept.
func (f *checkpointFile) read() ([]audit.Known, error) {
	note, err := os.ReadFile(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the checkpoint kept outside the database: %w", err)
	}
	if f.note = note; note == nil {
		return nil, nil
	}
	return []audit.Known{{From: f.path, Checkpoint: note}}, nil
}

// keep writes the newest checkpoint, when it is another than the file's and continues it.
// The error wraps audit.ErrBackwards or audit.ErrForked when it does not: a database that
// lost entries beside a running service must not take the memory of them along.
func (f *checkpointFile) keep(ctx context.Context, log *audit.Log) error {
	note, err := log.Checkpoint(ctx)
	if errors.Is(err, audit.ErrNoCheckpoint) {
		return nil
	}
	if err != nil || bytes.Equal(note, f.note) {
		return err
	}
	if f.note != nil {
		if err := log.Compare(ctx, f.note); err != nil {
			return fmt.Errorf("comparing the log with the checkpoint kept outside the database: %w", err)
		}
	}
	if err := durable.Replace(f.path, note); err != nil {
		return err
	}
	f.note = note
	return nil
}

// keepMemory keeps the newest checkpoint, and stops the service when the log is not what
// it was.
func (in *instance) keepMemory(ctx context.Context) {
	err := in.memory.keep(ctx, in.log)
	switch {
	case errors.Is(err, audit.ErrBackwards), errors.Is(err, audit.ErrForked):
		in.fail(fmt.Errorf("the access log is not what it was (docs/operations.md says what to do): %w", err))
	case err != nil:
		slog.Error("checkpoint not kept", "file", in.memory.path, "fault", err)
	}
}

// clockSlack is how far the log may be ahead of the clock unsaid: servers that share a log
// agree as well as NTP has them.
const clockSlack = 10 * time.Second

// watchClock says when the newest entry is dated later than now, by a clock that was set
// back or had been ahead: until the clock has caught up all entries carry that time.
func (in *instance) watchClock(ctx context.Context) {
	head, err := in.database.Head(ctx, in.settings.LogID)
	if err != nil || head.Size == 0 {
		return
	}
	record, err := audit.ParseRecord(head.LastRecord)
	ahead := time.Until(record.Entry.Time)
	if err == nil && ahead > clockSlack && !in.clockBehind {
		slog.Error("the clock is behind the access log", "by", ahead.Round(time.Second), "newest_entry", record.Entry.Time)
	}
	in.clockBehind = err == nil && ahead > clockSlack
}
