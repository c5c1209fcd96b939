package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

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

// keep writes the newest checkpoint, when it is another than the file's.
func (f *checkpointFile) keep(ctx context.Context, log *audit.Log) error {
	note, err := log.Checkpoint(ctx)
	if errors.Is(err, audit.ErrNoCheckpoint) {
		return nil
	}
	if err != nil || bytes.Equal(note, f.note) {
		return err
	}
	if err := durable.Replace(f.path, note); err != nil {
		return err
	}
	f.note = note
	return nil
}
