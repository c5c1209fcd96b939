package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"elicence/crypto/tsa"
	"elicence/licence/registry"
)

// startUpkeep runs what must happen again and again until the instance closes:
// unfinished licences, missing timestamps, expired licences, revocation lists, trust lists, the catalogue. A fault is logged
// and tried again on the next round.
func (in *instance) startUpkeep() {
	ctx, cancel := context.WithCancel(context.Background())
	in.stop = cancel
	in.every(ctx, registry.Lease/3, func() { in.upkeep(ctx) })
	in.every(ctx, time.Second, func() { in.workBatches(ctx) })
	in.every(ctx, registry.Lease, func() {
		if err := in.batches.Tidy(ctx); err != nil && ctx.Err() == nil {
			slog.Info("batches", "fault", err)
		}
	})
	in.every(ctx, registry.Lease/3, func() { in.tellExpired(ctx) })
	in.startEvents(ctx)
	in.every(ctx, filesInterval, func() { in.files.look(ctx) })
	in.every(ctx, trustInterval, in.watchTrust)
	in.every(ctx, catalogueInterval, func() { in.watchCatalogue(ctx) })
	in.every(ctx, revocationInterval, func() { in.keepRevocations(ctx) })
	in.every(ctx, evidenceInterval, func() { in.refreshEvidence(ctx) })
	in.every(ctx, trustListInterval, func() { in.publishTrustList(ctx) })
	if in.submitter != nil {
		in.every(ctx, cosignInterval, func() { in.cosign(ctx) })
	}
	in.every(ctx, time.Second, func() { in.keepMemory(ctx) })
	in.every(ctx, time.Second, func() { in.watchClock(ctx) })
}

// every runs do now and then at each interval, until ctx ends.
func (in *instance) every(ctx context.Context, interval time.Duration, do func()) {
	in.idle.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			do()
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// workBatches works on batches of licences. What it had to leave it tries again.
func (in *instance) workBatches(ctx context.Context) {
	if err := in.batches.Work(ctx); err != nil && ctx.Err() == nil {
		slog.Info("batches", "fault", err)
	}
}

func (in *instance) upkeep(ctx context.Context) {
	finished, voided, err := in.registry.Recover(ctx)
	if finished+voided > 0 || err != nil {
		slog.Info("unfinished licences", "finished", finished, "voided", voided, "fault", err)
	}
	if n, err := in.registry.Upgrade(ctx); n > 0 || err != nil && !errors.Is(err, tsa.ErrResting) {
		slog.Info("missing timestamps", "added", n, "fault", err)
	}
}
