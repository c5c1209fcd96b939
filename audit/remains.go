package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/emmansun/gmsm/sm3"
)

// ErrNothingLost says that a log covers every checkpoint that is known of it.
var ErrNothingLost = errors.New("audit: no entry is lost")

// Remains is what is left of a log that lost its last entries, and what is known of them.
type Remains struct {
	Recovered, Witnessed, Last Checkpoint // as in Succession
	Approvers                  Approvers  // as the entries that are left appoint them
}

// ExamineRemains recomputes a log of which entries are missing from its first entry on, and compares it
// with what was kept elsewhere: cfg.Known, and witnessed, which are the witnesses'. The error wraps
// ErrNothingLost when the log covers all of it, and ErrForked or ErrBackwards when it is not the
// whole beginning of the log, such as a database that went on or lacks rows: put back one that is.
func ExamineRemains(ctx context.Context, cfg Config, witnessed []Known) (r Remains, err error) {
	l, err := newLog(cfg)
	if err != nil {
		return r, err
	}
	head, err := cfg.Storage.Head(ctx, cfg.LogID)
	if err != nil {
		return r, fmt.Errorf("reading log head: %w", err)
	}
	if l.tip, err = l.checkHead(head); err != nil {
		return r, err
	}
	r.Recovered = Checkpoint{cfg.LogID, head.Size, rootOf(l.tip.compact())}
	r.Last, r.Witnessed = r.Recovered, Checkpoint{Origin: cfg.LogID, RootHash: sm3.Sum(nil)}
	l.cfg.Known = nil // of those that the log covers
	roots := map[uint64][32]byte{head.Size: r.Recovered.RootHash}
	for i, k := range append(witnessed[:len(witnessed):len(witnessed)], cfg.Known...) {
		c, _, err := l.own.OpenCheckpoint(k.Checkpoint)
		if err != nil {
			return r, fmt.Errorf("reading the checkpoint kept by %s: %w", k.From, err)
		}
		if i < len(witnessed) && c.Size > r.Witnessed.Size {
			r.Witnessed = c
		}
		if root, ok := roots[c.Size]; ok && root != c.RootHash {
			return r, fmt.Errorf("%w: at size %d, kept by %s", ErrForked, c.Size, k.From)
		}
		roots[c.Size] = c.RootHash
		if c.Size > r.Last.Size {
			r.Last = c
		}
		if c.Size <= head.Size {
			l.cfg.Known = append(l.cfg.Known, k)
		}
	}
	if r.Last.Size == head.Size {
		return r, fmt.Errorf("%w: %d entries, and nobody has seen more", ErrNothingLost, head.Size)
	}
	if err := l.checkAll(ctx, head); err != nil {
		return r, err
	}
	r.Approvers, err = ReadApprovers(ctx, cfg.Storage, cfg.LogID, head.Size)
	return r, err
}

// checkAll recomputes all entries up to the head.
func (l *Log) checkAll(ctx context.Context, head Head) error {
	milestones, err := l.milestones(head)
	if err != nil {
		return err
	}
	return l.pass(ctx, walker{r: ranges.NewEmptyRange(0)}, milestones, head.Size)
}
