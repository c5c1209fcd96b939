package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"

	"elicence/audit"

	"github.com/emmansun/gmsm/sm3"
)

// logKeys are the keys of one log entry as columns hold them: the beginnings of digests,
// 0 where there is none. What stands in the record in clear needs no secret; the digest of
// a holder is keyed, so that the table tells nothing of holders to whoever lacks the index
// key. Two keys with one digest only cost a look at the record.
type logKeys struct{ index, principal, action, object, caseNumber, holder int64 }

// column is where a kind of key is kept; nil for one that is not.
func (k *logKeys) column(kind audit.KeyKind) (name string, value *int64) {
	switch kind {
	case audit.KeyPrincipal:
		return "principal", &k.principal
	case audit.KeyAction:
		return "action", &k.action
	case audit.KeyObject:
		return "object", &k.object
	case audit.KeyCase:
		return "case_number", &k.caseNumber
	case audit.KeyHolder:
		return "holder", &k.holder
	}
	return "", nil
}

// logKey is the digest of a key, which is never 0.
func (s Secrets) logKey(logID string, k audit.Key) int64 {
	var digest []byte
	if k.Kind == audit.KeyHolder {
		digest = s.index("log_key", logID, k.Value)
	} else {
		var b [256]byte // not on the heap, as a rule
		sum := sm3.Sum(append(append(append(append(append(b[:0], logID...), 0), k.Kind...), 0), k.Value...))
		digest = sum[:]
	}
	return cmp.Or(int64(binary.BigEndian.Uint64(digest)), 1)
}

// logKeys are the keys of a row that is appended.
func (s Secrets) logKeys(logID string, index uint64, keys []audit.Key) logKeys {
	row := logKeys{index: position(index)}
	for _, k := range keys {
		if _, value := row.column(k.Kind); value != nil {
			*value = s.logKey(logID, k)
		}
	}
	return row
}

// Keyed implements audit.Storage: one look-up in an index.
func (r reader) Keyed(ctx context.Context, logID string, key audit.Key, below uint64, n int) (indexes []uint64, err error) {
	column, known := new(logKeys).column(key.Kind)
	if known == nil {
		return nil, nil
	}
	err = r.query(ctx, func(scan scan) error {
		var index int64
		err := scan(&index)
		indexes = append(indexes, uint64(index))
		return err
	}, `SELECT "index" FROM log_key WHERE `+column+` = $1 AND "index" < $2 ORDER BY "index" DESC LIMIT $3`,
		r.secrets.logKey(logID, key), position(below), int64(limit(n)))
	return indexes, doing("looking log entries up", err)
}

// EraseOpenings implements registry.Tx.
func (t *transaction) EraseOpenings(ctx context.Context, logID string, indexes []uint64, holder audit.Key) error {
	digest := t.secrets.logKey(logID, holder)
	for _, index := range indexes {
		err := t.later(ctx, `UPDATE log_entry SET opening = NULL WHERE log_id = $1 AND "index" = $2`, logID, position(index))
		if err == nil {
			err = t.later(ctx, `UPDATE log_opening SET opening = NULL WHERE log_id = $1 AND "index" = $2`, logID, position(index))
		}
		if err == nil {
			err = t.later(ctx, `UPDATE log_key SET holder = NULL WHERE holder = $1 AND "index" = $2`, digest, position(index))
		}
		if err != nil {
			return doing("erasing personal values", err)
		}
	}
	return nil
}

// writer runs batches.
type writer interface {
	Batch(ctx context.Context, fn func(audit.Tx) error) error
}

// keyOldEntries stores the keys of entries that are older than the table of keys. It
// goes from the newest to the oldest, so that the keys of entry 0 say that all is done:
// after a crash it begins anew. Entries that are appended meanwhile bring their own.
func keyOldEntries(ctx context.Context, r reader, w writer) error {
	for last := ""; ; {
		err := one(ctx, r, `SELECT log_id FROM log_entry WHERE log_id > $1 ORDER BY log_id LIMIT 1`, []any{last}, &last)
		if notFound(err) {
			return nil
		}
		if err == nil {
			err = keyOldLog(ctx, r, w, last)
		}
		if err != nil {
			return fmt.Errorf("storing the keys of older log entries: %w", err)
		}
	}
}

func keyOldLog(ctx context.Context, r reader, w writer, logID string) error {
	first, err := r.keysOf(ctx, logID, 0, 1)
	if err != nil || len(first) == 0 {
		return err
	}
	err = one(ctx, r, `SELECT "index" FROM log_key WHERE principal = $1 AND "index" = 0`, []any{first[0].principal}, new(int64))
	if !notFound(err) {
		return err
	}
	head, err := r.Head(ctx, logID)
	if err != nil {
		return err
	}
	for end := head.Size; end > 0; end -= min(end, rowPage) {
		keys, err := r.keysOf(ctx, logID, end-min(end, rowPage), end)
		if err != nil {
			return err
		}
		err = w.Batch(ctx, func(tx audit.Tx) error { return insertOldKeys(ctx, tx.(*transaction), keys) })
		if err != nil {
			return err
		}
	}
	return nil
}

// keysOf are the keys of stored entries that can be read.
func (r reader) keysOf(ctx context.Context, logID string, from, to uint64) (all []logKeys, err error) {
	err = r.Rows(ctx, logID, from, to, func(row audit.Row) error {
		if keys := row.FindKeys(); keys != nil {
			all = append(all, r.secrets.logKeys(logID, row.Index, keys))
		}
		return nil
	})
	return all, err
}

// insertOldKeys stores those keys that are not there yet. Every entry has a principal.
func insertOldKeys(ctx context.Context, t *transaction, keys []logKeys) error {
	for _, k := range keys {
		err := t.later(ctx, `INSERT INTO log_key ("index", principal, action, object, case_number, holder)
			SELECT CAST($1 AS bigint), CAST($2 AS bigint), CAST($3 AS bigint), nullif(CAST($4 AS bigint), 0), nullif(CAST($5 AS bigint), 0), nullif(CAST($6 AS bigint), 0)
			WHERE NOT EXISTS (SELECT 1 FROM log_key WHERE principal = $2 AND "index" = $1)`,
			k.index, k.principal, k.action, k.object, k.caseNumber, k.holder)
		if err != nil {
			return err
		}
	}
	return nil
}
