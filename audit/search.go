package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"
)

// Query says which entries to search for.
type Query struct {
	// LogID names another log in the same storage, such as one that this log succeeds;
	// empty is this log.
	LogID string
	// Keys are what an entry must be found by, all of them; none asks for every entry.
	Keys []Key
	// From and To bound the time of logging, To not included; zero is unbounded.
	From, To time.Time
	// Below bounds the index, not included. It is at most the log's size.
	Below uint64
	// Limit is how many entries to return at most; at least 1.
	Limit int
	// Hidden leaves out entries, as if they were not there; nil leaves out none.
	Hidden func(*Record) (bool, error)
}

// Found is an entry that was searched for.
type Found struct {
	Row
	Parsed Record
	// Archived is where the entry is when its row was archived. Then only the index of Row
	// and Parsed is known: its keys led to it, and of Keys only the holder was compared. Of
	// From and To, all entries of a segment are taken to lie at its end, and Hidden is not asked.
	Archived *Segment
}

const (
	keyedPage = 100    // how many indexes are read at a time
	maxLook   = 20_000 // how many steps a search takes before it pauses
)

// Search returns the newest entries of a query, in descending order of their indexes.
// next is what Below has to be for those that follow, 0 when there are none. Keys only
// lead to an entry: whether it is one is read in its record and opening. A search that
// had to look at very much returns what it has so far, which may be nothing, and next.
func (l *Log) Search(ctx context.Context, q Query) (found []Found, next uint64, err error) {
	if q.LogID != "" {
		l = l.Other(q.LogID)
	}
	low, high, err := l.span(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	w := &walk{log: l, low: low, high: high}
	for _, k := range q.Keys {
		w.lists = append(w.lists, &keyed{key: k})
	}
	for len(found) <= q.Limit { // one more than asked for tells whether there are more
		index, more, err := w.step(ctx)
		if errors.Is(err, errPause) {
			return found, w.high, nil
		}
		if err != nil {
			return nil, 0, err
		}
		if !more {
			return found, 0, nil
		}
		f, ok, err := l.matching(ctx, index, &q)
		if err != nil {
			return nil, 0, err
		}
		if ok {
			found = append(found, f)
		}
	}
	found = found[:q.Limit]
	return found, found[q.Limit-1].Index, nil
}

// Other is another log in the same storage, such as one that l succeeds, for searches and
// proofs. It was not checked, and takes no entries.
func (l *Log) Other(logID string) *Log {
	other := &Log{cfg: l.cfg, stopped: fmt.Errorf("%w: it is only read", ErrStopped)}
	other.cfg.LogID = logID
	return other
}

// span is the range of indexes that a query allows.
func (l *Log) span(ctx context.Context, q Query) (low, high uint64, err error) {
	high = q.Below
	if !q.From.IsZero() {
		if low, err = l.firstSince(ctx, high, q.From); err != nil {
			return 0, 0, err
		}
	}
	if !q.To.IsZero() {
		high, err = l.firstSince(ctx, high, q.To)
	}
	return low, high, err
}

// FirstSince returns the index of the first entry logged at since or later, the log's size
// when there is none. Among archived entries it is as exact as their segments are short.
func (l *Log) FirstSince(ctx context.Context, since time.Time) (uint64, error) {
	head, err := l.cfg.Storage.Head(ctx, l.cfg.LogID)
	if err != nil {
		return 0, fmt.Errorf("reading log head: %w", err)
	}
	return l.firstSince(ctx, head.Size, since)
}

// firstSince returns the index of the first entry logged at since or later, size when
// there is none below it. Times never decrease along the log, so it is found in a
// logarithm of size.
func (l *Log) firstSince(ctx context.Context, size uint64, since time.Time) (uint64, error) {
	var fault error
	from := sort.Search(int(size), func(i int) bool {
		row, err := l.Entry(ctx, uint64(i))
		if archived := (*ArchivedError)(nil); errors.As(err, &archived) {
			return !archived.Segment.Last.Before(since)
		}
		if err != nil {
			fault = err
			return true
		}
		record, err := parseStored(row)
		fault = errors.Join(fault, err)
		return !record.Entry.Time.Before(since)
	})
	return uint64(from), fault
}

// matching reads an entry that the keys led to, and reports whether it is one.
func (l *Log) matching(ctx context.Context, index uint64, q *Query) (Found, bool, error) {
	row, err := l.Entry(ctx, index)
	if archived := (*ArchivedError)(nil); errors.As(err, &archived) {
		return l.matchingArchived(ctx, archived, q)
	}
	if err != nil {
		return Found{}, false, err
	}
	f := Found{Row: row}
	if f.Parsed, err = parseStored(row); err != nil {
		return Found{}, false, err
	}
	own := row.FindKeys()
	for _, k := range q.Keys {
		if !slices.Contains(own, k) {
			return Found{}, false, nil
		}
	}
	if q.Hidden == nil {
		return f, true, nil
	}
	hidden, err := q.Hidden(&f.Parsed)
	return f, !hidden, err
}

// matchingArchived is matching for an entry whose row was archived.
func (l *Log) matchingArchived(ctx context.Context, at *ArchivedError, q *Query) (Found, bool, error) {
	f := Found{Row: Row{Index: at.Index}, Parsed: Record{Index: at.Index}, Archived: &at.Segment}
	i := slices.IndexFunc(q.Keys, func(k Key) bool { return k.Kind == KeyHolder })
	if i < 0 {
		return f, true, nil
	}
	encoded, err := l.cfg.Storage.Opening(ctx, l.cfg.LogID, at.Index)
	if err != nil {
		return Found{}, false, fmt.Errorf("reading the opening of entry %d: %w", at.Index, err)
	}
	o, err := parseOpening(encoded)
	if err != nil {
		return Found{}, false, nil // erased, or changed by hand
	}
	about := Entry{Personal: o.Personal}
	return f, slices.Contains(about.keys(), q.Keys[i]), nil
}

// errPause says that a search looked at as much as it may at once.
var errPause = errors.New("audit: the search pauses")

// walk goes down the indexes of the entries that have all of some keys.
type walk struct {
	log       *Log
	lists     []*keyed
	low, high uint64 // where candidates are left: low included, high not
	looked    int
}

// step returns the next candidate. Each list in turn says where its next entry is, until
// all say the same, so that the shortest list decides how many steps there are.
func (w *walk) step(ctx context.Context) (index uint64, more bool, err error) {
	for agreed, i := 0, 0; w.high > w.low; i++ {
		if w.looked++; w.looked > maxLook {
			return 0, false, errPause
		}
		if len(w.lists) == 0 {
			w.high--
			return w.high, true, nil
		}
		index, some, err := w.lists[i%len(w.lists)].below(ctx, w.log, w.high)
		if err != nil || !some || index < w.low {
			return 0, false, err
		}
		if index+1 != w.high {
			agreed, w.high = 0, index+1
		}
		if agreed++; agreed == len(w.lists) {
			w.high = index
			return index, true, nil
		}
	}
	return 0, false, nil
}

// keyed is the list of the entries with a key, as far as it was read.
type keyed struct {
	key     Key
	indexes []uint64 // descending
}

// below returns the largest index below bound. Bounds only fall.
func (k *keyed) below(ctx context.Context, l *Log, bound uint64) (index uint64, some bool, err error) {
	for len(k.indexes) > 0 && k.indexes[0] >= bound {
		k.indexes = k.indexes[1:]
	}
	if len(k.indexes) == 0 {
		if k.indexes, err = l.cfg.Storage.Keyed(ctx, l.cfg.LogID, k.key, bound, keyedPage); err != nil {
			return 0, false, fmt.Errorf("reading the entries of a %s: %w", k.key.Kind, err)
		}
	}
	if len(k.indexes) == 0 {
		return 0, false, nil
	}
	return k.indexes[0], true, nil
}
