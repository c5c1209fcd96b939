package accesslog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/person"
	"elicence/licence/registry"
)

// Query asks for entries of the access log; zero fields ask for nothing.
type Query struct {
	Principal, Object, Case string
	Action                  audit.Action
	From, To                time.Time // of logging, To not included
	// Below bounds the index, not included, and Log says in which log: the Next and NextLog
	// of the page before.
	Below uint64
	Log   int
	Limit int // 1 to MaxPage
	// Without leaves out, of a holder's own entries, those of some principals.
	Without []string
}

// Entry is one entry with what proves that the log has it.
type Entry struct {
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
	Proof [][]byte // as of a Entry
	In    audit.Segment
}

// Page is a page of entries, newest first.
type Page struct {
	Entries []Entry
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

// Search returns the entries that a query asks for, those under a hold too.
func (r *Register) Search(ctx context.Context, c registry.Caller, q Query) (Page, audit.Receipt, error) {
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionLogSearch, Object: registry.Clip(q.String(), 256),
		Check: func() error { return r.checkCursor(q) }})
	if err != nil {
		return Page{}, receipt, err
	}
	page, err := r.logPage(ctx, q, audit.Query{Keys: q.keys()}, receipt)
	return page, receipt, err
}

// String is the query as it stands in the log.
func (q Query) String() string {
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

func (q Query) keys() (keys []audit.Key) {
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

// Own returns the entries about the caller, who must be a holder: everything that was
// done, or refused, with a licence of theirs or in search of one. Entries under a hold
// are left out, as if there were none, until it ends. Of q, only From, To, Below, Limit
// and Without count.
func (r *Register) Own(ctx context.Context, c registry.Caller, q Query, use registry.Use) (Page, audit.Receipt, error) {
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionOwnLog, Use: use, Holder: c.Holder,
		Check: func() error {
			if c.Holder.Code == "" {
				return fmt.Errorf("%w: the caller is no holder", registry.ErrForbidden)
			}
			return r.checkCursor(q)
		}})
	if err != nil {
		return Page{}, receipt, err
	}
	own := audit.HolderKey(string(c.Holder.CodeType), c.Holder.Code)
	held := r.gate.Held(ctx)
	hidden := func(e *audit.Record) (bool, error) {
		if slices.Contains(q.Without, e.Entry.Principal) {
			return true, nil
		}
		return held(e)
	}
	page, err := r.logPage(ctx, q, audit.Query{Keys: []audit.Key{own}, Hidden: hidden}, receipt)
	return page, receipt, err
}

// checkCursor wants a log that there is.
func (r *Register) checkCursor(q Query) error {
	if q.Log >= 0 && q.Log < len(r.gate.Logs()) {
		return nil
	}
	return licence.InvalidField("cursor", licence.CodeOutOfRange, "names a log that there is not")
}

// logPage makes a page of the entries before that of the present reading.
func (r *Register) logPage(ctx context.Context, q Query, search audit.Query, receipt audit.Receipt) (Page, error) {
	search.From, search.To, search.Limit = q.From, q.To, min(max(q.Limit, 1), registry.MaxPage)
	logID := r.gate.Logs()[q.Log]
	end, err := r.logEnd(ctx, q.Log, receipt)
	if err != nil {
		return Page{}, err
	}
	search.LogID, search.Below = logID, end
	if q.Below > 0 {
		search.Below = min(q.Below, end)
	}
	found, next, err := r.gate.Log().Search(ctx, search)
	if err != nil {
		return Page{}, fmt.Errorf("searching the access log: %w", err)
	}
	page := Page{Next: next, NextLog: q.Log}
	if next == 0 && q.Log+1 < len(r.gate.Logs()) {
		page.NextLog++
		if page.Next, err = r.logEnd(ctx, page.NextLog, receipt); err != nil {
			return Page{}, err
		}
	}
	if page.Checkpoint, err = r.proving(ctx, logID, found, receipt); err != nil {
		return Page{}, err
	}
	checkpoint, err := audit.ParseCheckpoint(page.Checkpoint)
	if err != nil {
		return Page{}, err
	}
	page.Size = checkpoint.Size
	known, departments := r.gate.Holds(), map[string]string{}
	for _, f := range found {
		if f.Archived != nil {
			a, err := r.archivedEntry(ctx, logID, f, page.Size)
			if err != nil {
				return Page{}, err
			}
			page.Archived = append(page.Archived, a)
			continue
		}
		e := Entry{Record: f.Parsed, Raw: f.Record, Leaf: audit.LeafHash(f.Record)}
		if e.Proof, err = r.gate.Log().Other(logID).InclusionProof(ctx, f.Index, page.Size); err != nil {
			return Page{}, fmt.Errorf("proving entry %d: %w", f.Index, err)
		}
		h, held, err := known.Of(ctx, &f.Parsed.Entry)
		if err != nil {
			return Page{}, err
		}
		if held {
			e.HeldUntil = h.End()
		}
		if e.Department, err = r.department(ctx, departments, f.Parsed.Entry.Principal); err != nil {
			return Page{}, err
		}
		page.Entries = append(page.Entries, e)
	}
	return page, nil
}

// archivedEntry is what is known of an entry without its record.
func (r *Register) archivedEntry(ctx context.Context, logID string, f audit.Found, size uint64) (ArchivedEntry, error) {
	a := ArchivedEntry{Index: f.Index, In: *f.Archived}
	err := r.gate.LogReader().Leaves(ctx, logID, f.Index, f.Index+1, func(_ uint64, leaf [32]byte) error {
		a.Leaf = leaf
		return nil
	})
	if err == nil {
		a.Proof, err = r.gate.Log().Other(logID).InclusionProof(ctx, f.Index, size)
	}
	if err != nil {
		return a, fmt.Errorf("proving entry %d: %w", f.Index, err)
	}
	return a, nil
}

// proving is the checkpoint that proofs of entries lead to: one that witnesses have
// cosigned, where there is one that covers them all, else that of the present reading,
// which comes after them, or the last of a log that is closed.
func (r *Register) proving(ctx context.Context, logID string, found []audit.Found, receipt audit.Receipt) ([]byte, error) {
	last := receipt.Checkpoint
	if logID != r.gate.Logs()[0] {
		head, err := r.gate.LogReader().Head(ctx, logID)
		if err != nil {
			return nil, fmt.Errorf("reading log head: %w", err)
		}
		last = head.Checkpoint
	}
	if !r.gate.Witnessed() || len(found) == 0 {
		return last, nil
	}
	c, err := r.gate.LogReader().CosignedAt(ctx, logID, found[0].Parsed.Index+1)
	if errors.Is(err, audit.ErrNoCheckpoint) {
		return last, nil
	}
	return c.Checkpoint, err
}

// logEnd is where the entries of a log end that a reading finds: before its own in the
// present log.
func (r *Register) logEnd(ctx context.Context, log int, receipt audit.Receipt) (uint64, error) {
	if log == 0 {
		return receipt.Index, nil
	}
	head, err := r.gate.LogReader().Head(ctx, r.gate.Logs()[log])
	if err != nil {
		return 0, fmt.Errorf("reading log head: %w", err)
	}
	return head.Size, nil
}

// department is what a principal's authority is called, or empty.
func (r *Register) department(ctx context.Context, known map[string]string, principal string) (string, error) {
	if name, ok := known[principal]; ok {
		return name, nil
	}
	var name string
	var err error
	if id, official := strings.CutPrefix(principal, person.Prefix); official {
		var p person.Person
		p, err = r.gate.Store().Person(ctx, id)
		name = p.Authority.Name
	} else {
		var client registry.Client
		client, err = r.gate.Store().Client(ctx, principal)
		name = client.Authority.Name
	}
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		return "", err
	}
	known[principal] = name
	return name, nil
}
