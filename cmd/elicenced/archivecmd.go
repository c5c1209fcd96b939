package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"elicence/audit"
	"elicence/internal/durable"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/store"
)

// logArchiveCmd moves the oldest entries of the log from the database into a file.
type logArchiveCmd struct {
	onRegister
	Output string `short:"o" help:"File to write. One that this command left when it was stopped is verified and put on record. Without it only rows that are archived already are removed." type:"path"`
	Before string `placeholder:"INDEX|YYYY-MM-DD" help:"Archive the entries below this index, or logged before this day, and the few more up to the next checkpoint."`
	Origin string `help:"Name of a log that the present one succeeds, which is archived whole."`
	Reason string `required:"" help:"Why, such as the rule on retention; it stands in the log."`
}

// Run archives. The order is: the file is durable and verified; the segment is on record and
// logged; the removal is logged; rows are removed. Killed in between, the command may be
// given again, word for word: a file that is whole is verified and goes on record unless it is
// there, and rows that a recorded segment holds are removed the next time.
func (a *logArchiveCmd) Run(ctx context.Context) error {
	if a.Output != "" && a.Before == "" && a.Origin == "" {
		return fmt.Errorf("%w: -o needs --before or --origin", errUsage)
	}
	return a.with(ctx, func(in *instance) error {
		logID := in.settings.LogID
		if a.Origin != "" {
			logID = a.Origin
		}
		if a.Output != "" {
			if err := a.write(ctx, in, logID); err != nil {
				return err
			}
		}
		return a.remove(ctx, in, logID)
	})
}

// write makes the file and records it.
func (a *logArchiveCmd) write(ctx context.Context, in *instance, logID string) error {
	policy, err := in.ownPolicy()
	if err != nil {
		return err
	}
	segment, recorded, err := a.there(ctx, in, logID, policy)
	if errors.Is(err, fs.ErrNotExist) {
		segment, err = a.made(ctx, in, logID, policy)
	}
	if err == nil && !recorded {
		_, err = in.accessLog.Archive(ctx, registry.System("command-line"), logID, segment, a.Reason)
	}
	if err != nil {
		return err
	}
	fmt.Printf("archived: %s\n", segment)
	return nil
}

// there is the segment of a file that is there already, whole as the name says; recorded
// says that it is on record too. Whoever was stopped may not have made the name durable.
func (a *logArchiveCmd) there(ctx context.Context, in *instance, logID string, policy *audit.Policy) (s audit.Segment, recorded bool, err error) {
	f, err := os.Open(a.Output)
	if err != nil {
		return s, false, err
	}
	defer f.Close()
	if s, recorded, err = audit.ReadSegment(ctx, in.database, policy, logID, f, filepath.Base(a.Output)); err != nil {
		return s, false, fmt.Errorf("%w: -o %s is there already, and is not what this command left: %w", errUsage, a.Output, err)
	}
	return s, recorded, durable.Sync(filepath.Dir(a.Output))
}

// made is the segment of a new file.
func (a *logArchiveCmd) made(ctx context.Context, in *instance, logID string, policy *audit.Policy) (audit.Segment, error) {
	head, err := in.database.Head(ctx, logID)
	if err != nil {
		return audit.Segment{}, err
	}
	to := head.Size
	if a.Origin == "" {
		if to, err = a.bound(ctx, in, head.Size); err != nil {
			return audit.Segment{}, err
		}
	}
	segment, err := a.file(ctx, in, logID, policy, to)
	if errors.Is(err, audit.ErrOutOfRange) {
		err = fmt.Errorf("%w: nothing to archive below entry %d: %w", errUsage, to, err)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(a.Output+".new"))
	}
	return segment, err
}

// bound is where the entries to archive end.
func (a *logArchiveCmd) bound(ctx context.Context, in *instance, size uint64) (uint64, error) {
	if n, err := strconv.ParseUint(a.Before, 10, 63); err == nil {
		if n > size {
			return 0, fmt.Errorf("%w: --before %d: the log has %d entries", errUsage, n, size)
		}
		return n, nil
	}
	day, err := licence.ParseDate(a.Before)
	if err != nil {
		return 0, fmt.Errorf("%w: --before: neither an index nor a day: %w", errUsage, err)
	}
	return in.log.FirstSince(ctx, day.StartsAt())
}

// file writes the segment beside its name, verifies it, and gives it the name once it is
// durable and no hold is in its way.
func (a *logArchiveCmd) file(ctx context.Context, in *instance, logID string, policy *audit.Policy, to uint64) (s audit.Segment, err error) {
	f, err := os.OpenFile(a.Output+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if s, err = audit.WriteSegment(ctx, in.database, policy, logID, to, true, f, filepath.Base(a.Output)); err != nil {
		return s, err
	}
	if err := in.accessLog.MayArchive(ctx, s.Last); err != nil {
		return s, err
	}
	if err := f.Sync(); err != nil {
		return s, err
	}
	if err := os.Rename(a.Output+".new", a.Output); err != nil {
		return s, err
	}
	return s, durable.Sync(filepath.Dir(a.Output))
}

// ownPolicy trusts the keys of the log and of those that it succeeds.
func (in *instance) ownPolicy() (*audit.Policy, error) {
	vkey, err := in.logKey.VerifierKey()
	if err != nil {
		return nil, err
	}
	keys := append([]string{vkey}, in.settings.Succeeded...)
	return audit.ParsePolicy([]byte("log " + strings.Join(keys, "\nlog ") + "\nquorum 0\n"))
}

// remove removes the rows that segments hold, but for the last ones of the present log.
func (a *logArchiveCmd) remove(ctx context.Context, in *instance, logID string) error {
	archived, err := in.database.Archived(ctx, logID)
	if err != nil {
		return err
	}
	head, err := in.database.Head(ctx, logID)
	if err != nil {
		return err
	}
	to := archived.To()
	if logID == in.settings.LogID {
		to = min(to, head.Size-min(head.Size, 1)) / store.LeafBlock * store.LeafBlock
	}
	low, some, err := in.database.Lowest(ctx, logID)
	if err == nil && some && low < to {
		err = a.removeBelow(ctx, in, logID, to)
	}
	if err != nil {
		return err
	}
	return in.database.Cut(ctx) // a database whose service is not started for months gets its partitions here
}

func (a *logArchiveCmd) removeBelow(ctx context.Context, in *instance, logID string, to uint64) error {
	if _, err := in.accessLog.RemoveArchived(ctx, registry.System("command-line"), logID, to, a.Reason); err != nil {
		return err
	}
	tables, err := in.database.RemoveArchived(ctx, logID, to)
	for _, table := range tables {
		fmt.Printf("detached: table %s; its owner may drop it once the file is stored safely: DROP TABLE %s\n", table, table)
	}
	if err != nil {
		return err
	}
	low, some, err := in.database.Lowest(ctx, logID)
	if err == nil && some && low < to {
		fmt.Printf("rows from entry %d on stay: a partition leaves when all of it is archived\n", low)
	}
	return err
}

// logRestoreCmd puts the rows of a segment back.
type logRestoreCmd struct {
	onRegister
	File   string `arg:"" help:"The file of the segment." type:"existingfile"`
	Origin string `help:"Name of a log that the present one succeeds, if the segment is of that."`
	Reason string `required:"" help:"Why; it stands in the log."`
}

// Run puts back. Nothing is stored before the whole file was verified, found on record by its
// digest, and compared leaf by leaf with the log's tree. Killed in between, it may be given again.
func (r *logRestoreCmd) Run(ctx context.Context) error {
	return r.with(ctx, func(in *instance) error {
		logID := in.settings.LogID
		if r.Origin != "" {
			logID = r.Origin
		}
		policy, err := in.ownPolicy()
		if err != nil {
			return err
		}
		f, err := os.Open(r.File)
		if err != nil {
			return err
		}
		defer f.Close()
		begin := func(s audit.Segment) error {
			_, err := in.accessLog.Restore(ctx, registry.System("command-line"), logID, s, r.Reason)
			return err
		}
		put := func(rows []audit.Row) error { return in.database.PutBack(ctx, logID, rows) }
		if err := audit.ReadBack(ctx, in.database, policy, logID, f, begin, put); err != nil {
			return err
		}
		fmt.Printf("%s: its entries are in the database again, until 'log archive' is run\n", r.File)
		return nil
	})
}

// logRetainCmd applies the rules of the instance's settings.
type logRetainCmd struct {
	onRegister
	Reason string `required:"" help:"The regulation behind the rules; it stands in the log."`
}

// Run erases, in the log and those that it succeeds, and names what files may be destroyed:
// they lie where no program of ours reaches. Killed in between, it may be given again.
func (r *logRetainCmd) Run(ctx context.Context) error {
	return r.with(ctx, func(in *instance) error {
		rule := in.settings.Retention
		if rule.Openings <= 0 && rule.Segments <= 0 {
			return fmt.Errorf("%w: keys/instance.json has no rule: \"retention\": {\"openings_days\": N, \"segments_days\": N}", errUsage)
		}
		now := time.Now()
		for _, logID := range append([]string{in.settings.LogID}, in.settings.succeeded()...) {
			if rule.Openings > 0 {
				if err := r.expire(ctx, in, logID, now.AddDate(0, 0, -rule.Openings)); err != nil {
					return err
				}
			}
			if rule.Segments > 0 {
				if err := pastTime(ctx, in, logID, now.AddDate(0, 0, -rule.Segments)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (r *logRetainCmd) expire(ctx context.Context, in *instance, logID string, before time.Time) error {
	q, all := accesslog.ExpireRequest{LogID: logID, Before: before, Reason: r.Reason}, 0
	for more := true; more; more = q.From > 0 {
		n, next, _, err := in.accessLog.ExpirePersonal(ctx, registry.System("command-line"), q)
		if err != nil {
			return err
		}
		all, q.From = all+n, next
	}
	fmt.Printf("%s: the personal values of %d entries from before %s are erased, and that is logged\n", logID, all, before.UTC().Format(time.DateOnly))
	return nil
}

// pastTime names the segments whose last entry is older than an instant.
func pastTime(ctx context.Context, in *instance, logID string, before time.Time) error {
	archived, err := in.database.Archived(ctx, logID)
	for _, s := range archived.Segments {
		if s.Last.Before(before) {
			fmt.Printf("%s: past its time, and may be destroyed: %s\n", logID, s)
		}
	}
	return err
}
