package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/person"

	"github.com/emmansun/gmsm/sm3"
)

// The actions on the access log that are about entries, as they stand in it.
const (
	ActionLogSearch audit.Action = "search_log"
	ActionOwnLog    audit.Action = "read_own_log" // a holder reads what is about them
	ActionErase     audit.Action = "erase_personal"
)

// LogQuery asks for entries of the access log; zero fields ask for nothing.
type LogQuery struct {
	Principal, Object, Case string
	Action                  audit.Action
	From, To                time.Time // of logging, To not included
	// Below bounds the index, not included, and Log says in which log: the Next and NextLog
	// of the page before.
	Below uint64
	Log   int
	Limit int // 1 to MaxPage
}

// LogEntry is one entry with what proves that the log has it.
type LogEntry struct {
	audit.Record
	Raw   []byte   // the record as it is logged
	Leaf  [32]byte // its leaf hash
	Proof [][]byte // leads from the leaf to the root of the page's checkpoint
	// Department is what the principal's authority is called now; empty when the
	// principal is no client and no person. It is no part of what is proved.
	Department string
	// HeldUntil is the end of the hold that the entry was or is under; zero without one.
	HeldUntil time.Time
}

// ArchivedEntry is an entry that was looked for and lies in a file.
type ArchivedEntry struct {
	Index uint64
	Leaf  [32]byte
	Proof [][]byte // as of a LogEntry
	In    audit.Segment
}

// LogPage is a page of entries, newest first.
type LogPage struct {
	Entries []LogEntry
	// Archived are those of the page that lie in files. Their keys led to them, or for a
	// holder what the log commits to; when they were logged is known no better than by segment.
	Archived []ArchivedEntry
	// Checkpoint is the signed note that the proofs lead to, Size its size.
	Checkpoint []byte
	Size       uint64
	// Next is the Below of the next page, 0 when there is none. A page may be short, or
	// empty, and have a next one. NextLog is its Log: after the last page of the log come
	// those of the logs that it succeeds, the newest first, each with a checkpoint of its own.
	Next    uint64
	NextLog int
}

// logs are the log and those that it succeeds, the newest first.
func (r *Registry) logs() []string { return append([]string{r.cfg.LogID}, r.cfg.Succeeded...) }

// SearchLog returns the entries that a query asks for, those under a hold too.
func (r *Registry) SearchLog(ctx context.Context, c Caller, q LogQuery) (LogPage, audit.Receipt, error) {
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionLogSearch, Object: Clip(q.String(), 256),
		Check: func() error { return r.checkCursor(q) }})
	if err != nil {
		return LogPage{}, receipt, err
	}
	page, err := r.logPage(ctx, q, audit.Query{Keys: q.keys()}, receipt)
	return page, receipt, err
}

// String is the query as it stands in the log.
func (q LogQuery) String() string {
	var parts []string
	for _, k := range q.keys() {
		parts = append(parts, fmt.Sprintf("%s=%q", k.Kind, k.Value))
	}
	for name, at := range map[string]time.Time{"from": q.From, "to": q.To} {
		if !at.IsZero() {
			parts = append(parts, name+"="+at.UTC().Format(time.RFC3339Nano))
		}
	}
	return strings.Join(parts, " ")
}

func (q LogQuery) keys() (keys []audit.Key) {
	for _, k := range []audit.Key{
		{Kind: audit.KeyObject, Value: q.Object}, {Kind: audit.KeyCase, Value: q.Case},
		{Kind: audit.KeyPrincipal, Value: q.Principal}, {Kind: audit.KeyAction, Value: string(q.Action)},
	} {
		if k.Value != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

// OwnLog returns the entries about the caller, who must be a holder: everything that was
// done, or refused, with a licence of theirs or in search of one. Entries under a hold
// are left out, as if there were none, until it ends. Of q, only From, To, Below and
// Limit count.
func (r *Registry) OwnLog(ctx context.Context, c Caller, q LogQuery, use Use) (LogPage, audit.Receipt, error) {
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionOwnLog, Use: use, Holder: c.Holder,
		Check: func() error {
			if c.Holder.Code == "" {
				return fmt.Errorf("%w: the caller is no holder", ErrForbidden)
			}
			return r.checkCursor(q)
		}})
	if err != nil {
		return LogPage{}, receipt, err
	}
	own := audit.HolderKey(string(c.Holder.CodeType), c.Holder.Code)
	page, err := r.logPage(ctx, q, audit.Query{Keys: []audit.Key{own}, Hidden: r.held(ctx)}, receipt)
	return page, receipt, err
}

// checkCursor wants a log that there is.
func (r *Registry) checkCursor(q LogQuery) error {
	if q.Log >= 0 && q.Log < len(r.logs()) {
		return nil
	}
	return &licence.RequestError{Fields: []licence.FieldError{{Field: "cursor", Code: licence.CodeOutOfRange, Detail: "names a log that there is not"}}}
}

// held reports which entries are under a hold that lasts.
func (r *Registry) held(ctx context.Context) func(*audit.Record) (bool, error) {
	known, now := holds{}, r.now()
	return func(e *audit.Record) (bool, error) {
		h, held, err := known.of(ctx, r.cfg.Store, &e.Entry)
		return held && now.Before(h.end()), err
	}
}

// logPage makes a page of the entries before that of the present reading.
func (r *Registry) logPage(ctx context.Context, q LogQuery, search audit.Query, receipt audit.Receipt) (LogPage, error) {
	search.From, search.To, search.Limit = q.From, q.To, min(max(q.Limit, 1), MaxPage)
	logID := r.logs()[q.Log]
	end, err := r.logEnd(ctx, q.Log, receipt)
	if err != nil {
		return LogPage{}, err
	}
	search.LogID, search.Below = logID, end
	if q.Below > 0 {
		search.Below = min(q.Below, end)
	}
	found, next, err := r.cfg.Log.Search(ctx, search)
	if err != nil {
		return LogPage{}, fmt.Errorf("searching the access log: %w", err)
	}
	page := LogPage{Next: next, NextLog: q.Log}
	if next == 0 && q.Log+1 < len(r.logs()) {
		page.NextLog++
		if page.Next, err = r.logEnd(ctx, page.NextLog, receipt); err != nil {
			return LogPage{}, err
		}
	}
	if page.Checkpoint, err = r.proving(ctx, logID, found, receipt); err != nil {
		return LogPage{}, err
	}
	checkpoint, err := audit.ParseCheckpoint(page.Checkpoint)
	if err != nil {
		return LogPage{}, err
	}
	page.Size = checkpoint.Size
	known, departments := holds{}, map[string]string{}
	for _, f := range found {
		if f.Archived != nil {
			a, err := r.archivedEntry(ctx, logID, f, page.Size)
			if err != nil {
				return LogPage{}, err
			}
			page.Archived = append(page.Archived, a)
			continue
		}
		e := LogEntry{Record: f.Parsed, Raw: f.Record, Leaf: audit.LeafHash(f.Record)}
		if e.Proof, err = r.cfg.Log.Other(logID).InclusionProof(ctx, f.Index, page.Size); err != nil {
			return LogPage{}, fmt.Errorf("proving entry %d: %w", f.Index, err)
		}
		h, held, err := known.of(ctx, r.cfg.Store, &f.Parsed.Entry)
		if err != nil {
			return LogPage{}, err
		}
		if held {
			e.HeldUntil = h.end()
		}
		if e.Department, err = r.department(ctx, departments, f.Parsed.Entry.Principal); err != nil {
			return LogPage{}, err
		}
		page.Entries = append(page.Entries, e)
	}
	return page, nil
}

// archivedEntry is what is known of an entry without its record.
func (r *Registry) archivedEntry(ctx context.Context, logID string, f audit.Found, size uint64) (ArchivedEntry, error) {
	a := ArchivedEntry{Index: f.Index, In: *f.Archived}
	err := r.cfg.LogReader.Leaves(ctx, logID, f.Index, f.Index+1, func(_ uint64, leaf [32]byte) error {
		a.Leaf = leaf
		return nil
	})
	if err == nil {
		a.Proof, err = r.cfg.Log.Other(logID).InclusionProof(ctx, f.Index, size)
	}
	if err != nil {
		return a, fmt.Errorf("proving entry %d: %w", f.Index, err)
	}
	return a, nil
}

// proving is the checkpoint that proofs of entries lead to: one that witnesses have
// cosigned, where there is one that covers them all, else that of the present reading,
// which comes after them, or the last of a log that is closed.
func (r *Registry) proving(ctx context.Context, logID string, found []audit.Found, receipt audit.Receipt) ([]byte, error) {
	last := receipt.Checkpoint
	if logID != r.cfg.LogID {
		head, err := r.cfg.LogReader.Head(ctx, logID)
		if err != nil {
			return nil, fmt.Errorf("reading log head: %w", err)
		}
		last = head.Checkpoint
	}
	if !r.cfg.Witnessed || len(found) == 0 {
		return last, nil
	}
	c, err := r.cfg.LogReader.CosignedAt(ctx, logID, found[0].Parsed.Index+1)
	if errors.Is(err, audit.ErrNoCheckpoint) {
		return last, nil
	}
	return c.Checkpoint, err
}

// logEnd is where the entries of a log end that a reading finds: before its own in the
// present log.
func (r *Registry) logEnd(ctx context.Context, log int, receipt audit.Receipt) (uint64, error) {
	if log == 0 {
		return receipt.Index, nil
	}
	head, err := r.cfg.LogReader.Head(ctx, r.logs()[log])
	if err != nil {
		return 0, fmt.Errorf("reading log head: %w", err)
	}
	return head.Size, nil
}

// department is what a principal's authority is called, or empty.
func (r *Registry) department(ctx context.Context, known map[string]string, principal string) (string, error) {
	if name, ok := known[principal]; ok {
		return name, nil
	}
	var name string
	var err error
	if id, official := strings.CutPrefix(principal, person.Prefix); official {
		var p person.Person
		p, err = r.cfg.Store.Person(ctx, id)
		name = p.Authority.Name
	} else {
		var client Client
		client, err = r.cfg.Store.Client(ctx, principal)
		name = client.Authority.Name
	}
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		return "", err
	}
	known[principal] = name
	return name, nil
}

// EraseRequest asks that the personal values of log entries be erased.
type EraseRequest struct {
	Holder licence.Holder // Code and CodeType: whom the entries are about
	Before time.Time      // erase what was logged before
	Reason string         // stands in the log
}

// maxErase is how many entries one operation erases the personal values of.
const maxErase = 500

// ErasePersonal erases the salts and personal values that log entries about a holder
// commit to, and that they are about that holder. Records, hashes and proofs stay as they
// are, and nobody can tell any more what was committed to. It takes 500 entries at most,
// of the log or, once there are none, of one that it succeeds, whose name ends the object;
// and returns how many it took: repeat it until there is none. The entry of the erasure
// names no holder; its digest is SM3 of the indexes in decimal, ascending, each with a
// line feed. Entries under a hold keep their values while it lasts. What the holder wrote in
// disputes that were settled before the instant is erased with them, and who it was.
// Errors: ErrForbidden, ErrReasonMissing, *licence.RequestError, ErrLog.
func (r *Registry) ErasePersonal(ctx context.Context, c Caller, q EraseRequest) (erased int, receipt audit.Receipt, err error) {
	key := audit.HolderKey(string(q.Holder.CodeType), q.Holder.Code)
	var indexes []uint64
	var logID string
	a := &Access{Action: ActionErase, Use: Use{Purpose: q.Reason}, PurposeField: "reason",
		Apply: func(ctx context.Context, tx Tx, _ *audit.Entry) error {
			return errors.Join(tx.EraseOpenings(ctx, logID, indexes, key), tx.EraseDisputes(ctx, q.Holder, q.Before))
		}}
	a.Check = func() error {
		if q.Reason == "" {
			return ErrReasonMissing
		}
		if err := r.checkHolder(q.Holder); err != nil {
			return err
		}
		for _, logID = range r.logs() {
			if indexes, err = r.erasable(ctx, logID, key, q.Before); err != nil || len(indexes) > 0 {
				break
			}
		}
		a.Object, a.Digest = erasure(indexes)
		if len(indexes) > 0 && logID != r.cfg.LogID {
			a.Object += "/" + logID
		}
		return err
	}
	receipt, err = r.gate.Pass(ctx, c, a)
	return len(indexes), receipt, err
}

// erasable are the entries with a key whose personal values may be erased, ascending.
func (r *Registry) erasable(ctx context.Context, logID string, key audit.Key, before time.Time) (indexes []uint64, err error) {
	head, err := r.cfg.LogReader.Head(ctx, logID)
	if err != nil {
		return nil, err
	}
	q := audit.Query{LogID: logID, Keys: []audit.Key{key}, To: before, Below: head.Size, Limit: maxErase, Hidden: r.held(ctx)}
	for q.Below > 0 && len(indexes) < maxErase {
		var found []audit.Found
		if found, q.Below, err = r.cfg.Log.Search(ctx, q); err != nil {
			return nil, err
		}
		for _, f := range found {
			indexes = append(indexes, f.Parsed.Index)
		}
	}
	indexes = indexes[:min(len(indexes), maxErase)]
	slices.Reverse(indexes)
	return indexes, nil
}

// erasure names the entries of an erasure, and is what its entry vouches for.
func erasure(indexes []uint64) (object string, digest []byte) {
	if len(indexes) == 0 {
		return "openings/none", nil
	}
	var b []byte
	for _, i := range indexes {
		b = append(strconv.AppendUint(b, i, 10), '\n')
	}
	sum := sm3.Sum(b)
	return fmt.Sprintf("openings/%d/%d-%d", len(indexes), indexes[0], indexes[len(indexes)-1]), sum[:]
}
