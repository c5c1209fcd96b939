package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

const selectBatch = `SELECT id, client, items, created_at, submitted_at, cancelled_at, ended_at FROM licence_batch `

// batches reads a query that begins with selectBatch.
func batches(ctx context.Context, from session, query string, args ...any) (found []registry.Batch, err error) {
	err = from.query(ctx, func(scan scan) error {
		var (
			b                                    registry.Batch
			items                                int64
			created, submitted, cancelled, ended int64
		)
		err := scan(&b.ID, &b.Client, &items, &created, &submitted, &cancelled, &ended)
		b.Items = int(items)
		b.CreatedAt, b.SubmittedAt, b.CancelledAt, b.EndedAt = instant(created), instant(submitted), instant(cancelled), instant(ended)
		found = append(found, b)
		return err
	}, query, args...)
	return found, doing("reading batches", err)
}

// LicenceBatch implements registry.Store.
func (r reader) LicenceBatch(ctx context.Context, id string) (registry.Batch, error) {
	found, err := batches(ctx, r, selectBatch+`WHERE id = $1 AND submitted_at > 0`, id)
	if err == nil && len(found) == 0 {
		err = licence.ErrNotFound
	}
	if err != nil {
		return registry.Batch{}, err
	}
	return found[0], nil
}

// BatchCounts implements registry.Store.
func (r reader) BatchCounts(ctx context.Context, id string) (map[registry.ItemState]int, error) {
	counts := map[registry.ItemState]int{}
	err := r.query(ctx, func(scan scan) error {
		var state string
		var n int64
		err := scan(&state, &n)
		counts[registry.ItemState(state)] = int(n)
		return err
	}, `SELECT state, count(*) FROM licence_batch_item WHERE batch = $1 GROUP BY state`, id)
	return counts, doing("counting items of a batch", err)
}

// OpenBatches implements registry.Store. At most 1,000 batches are returned.
func (r reader) OpenBatches(ctx context.Context, client string) ([]registry.Batch, error) {
	return batches(ctx, r, selectBatch+`WHERE ended_at = 0 AND ($1 = '' OR client = $1) ORDER BY created_at, id LIMIT $2`, client, int64(maxRows))
}

// BatchItems implements registry.Store. At most 1,000 items are returned.
func (r reader) BatchItems(ctx context.Context, id string, from, n int) ([]registry.BatchItem, error) {
	found, err := r.secrets.items(ctx, r, id, `SELECT position, state, first, key, NULL, result FROM licence_batch_item
		WHERE batch = $1 AND position >= $2 ORDER BY position LIMIT $3`, id, int64(from), int64(limit(n)))
	return found, doing("reading items of a batch", err)
}

// items reads a query of position, state, first, key, body and result of items of a batch.
func (s Secrets) items(ctx context.Context, from session, batch, query string, args ...any) (found []registry.BatchItem, err error) {
	err = from.query(ctx, func(scan scan) error {
		var (
			position, first   int64
			state             string
			key, body, result []byte
		)
		if err := scan(&position, &state, &first, &key, &body, &result); err != nil {
			return err
		}
		item := registry.BatchItem{Batch: batch, Position: int(position), State: registry.ItemState(state), First: int(first)}
		name, err := s.open(itemPlace("key", item), key)
		if err != nil {
			return err
		}
		if item.Body, err = s.open(itemPlace("body", item), body); err != nil {
			return err
		}
		item.Key = string(name)
		item.Result, err = s.open(itemPlace("result", item), result)
		found = append(found, item)
		return err
	}, query, args...)
	return found, err
}

func itemPlace(column string, i registry.BatchItem) place {
	return place{"licence_batch_item." + column, i.Batch + "\x00" + strconv.Itoa(i.Position)}
}

// InsertBatch implements registry.Tx.
func (t *transaction) InsertBatch(ctx context.Context, b registry.Batch) error {
	_, err := t.exec(ctx, `INSERT INTO licence_batch (id, client, items, created_at, submitted_at, cancelled_at, ended_at)
		VALUES ($1, $2, 0, $3, 0, 0, 0)`, b.ID, b.Client, nanos(b.CreatedAt))
	return doing("storing batch", err)
}

// InsertItems implements registry.Tx.
func (t *transaction) InsertItems(ctx context.Context, items []registry.BatchItem) error {
	for _, i := range items {
		key, err := t.secrets.seal(itemPlace("key", i), []byte(i.Key))
		if err != nil {
			return err
		}
		body, err := t.secrets.seal(itemPlace("body", i), i.Body)
		if err != nil {
			return err
		}
		var keyIndex, contentIndex []byte
		if i.Key != "" {
			keyIndex = t.secrets.index("batch item key", i.Batch, i.Key)
		}
		if i.Content != ([32]byte{}) {
			contentIndex = t.secrets.index("batch item content", i.Batch, string(i.Content[:]))
		}
		err = t.later(ctx, `INSERT INTO licence_batch_item (batch, position, key, body, key_index, content_index, lease_until, state, first)
			VALUES ($1, $2, $3, $4, $5, $6, 0,
				CASE WHEN EXISTS (SELECT 1 FROM licence_batch_item WHERE batch = $1 AND key_index = $5)
					OR EXISTS (SELECT 1 FROM licence_batch_item WHERE batch = $1 AND content_index = $6) THEN 'duplicate' ELSE 'waiting' END,
				coalesce((SELECT min(position) FROM licence_batch_item WHERE batch = $1 AND key_index = $5),
					(SELECT min(position) FROM licence_batch_item WHERE batch = $1 AND content_index = $6), -1))`,
			i.Batch, int64(i.Position), key, body, keyIndex, contentIndex)
		if err != nil {
			return fmt.Errorf("storing item %d of a batch: %w", i.Position, err)
		}
	}
	return nil
}

// SubmitBatch implements registry.Tx.
func (t *transaction) SubmitBatch(ctx context.Context, id string, items int, at time.Time) error {
	err := changed(t.exec(ctx, `UPDATE licence_batch SET items = $2, submitted_at = $3 WHERE id = $1 AND submitted_at = 0 AND ended_at = 0`, id, int64(items), nanos(at)))
	return doing("submitting batch", err)
}

// AbandonBatch implements registry.Tx.
func (t *transaction) AbandonBatch(ctx context.Context, id string, at time.Time) error {
	err := changed(t.exec(ctx, `UPDATE licence_batch SET ended_at = $2 WHERE id = $1 AND submitted_at = 0 AND ended_at = 0`, id, nanos(at)))
	return doing("abandoning batch", err)
}

// CancelBatch implements registry.Tx.
func (t *transaction) CancelBatch(ctx context.Context, id string, at time.Time) error {
	err := t.later(ctx, `UPDATE licence_batch SET cancelled_at = $2 WHERE id = $1 AND cancelled_at = 0 AND ended_at = 0`, id, nanos(at))
	return doing("cancelling batch", err)
}

// ClaimItems implements registry.Store. Rows that another claims at the moment are passed over. Of a
// batch that is being cancelled the end is awaited.
func (r reader) ClaimItems(ctx context.Context, b registry.Batch, now, until time.Time, n int) ([]registry.BatchItem, error) {
	claim := func(which string, n int, args ...any) ([]registry.BatchItem, error) {
		return r.secrets.items(ctx, r.writing, b.ID, `WITH open AS MATERIALIZED (SELECT id FROM licence_batch WHERE id = $1 AND submitted_at > 0 AND cancelled_at = 0`+r.share+`),
			picked AS MATERIALIZED (SELECT d.position FROM licence_batch_item d WHERE d.batch = $1 AND `+which+` ORDER BY d.position LIMIT $3`+r.skip+`)
			UPDATE licence_batch_item SET state = 'running', lease_until = $2 WHERE batch = $1 AND position IN (SELECT position FROM picked)
			RETURNING position, state, first, key, body, NULL`, append([]any{b.ID, nanos(until), int64(n)}, args...)...)
	}
	claimed, err := claim(`d.state = 'running' AND d.lease_until < $4`, n, nanos(now))
	if err == nil && len(claimed) < n {
		var waiting []registry.BatchItem
		waiting, err = claim(`d.state = 'waiting' AND EXISTS (SELECT 1 FROM open)`, n-len(claimed))
		claimed = append(claimed, waiting...)
	}
	for i := range claimed {
		claimed[i].Client = b.Client
	}
	return claimed, doing("claiming items of a batch", err)
}

// SettleItem implements registry.Tx.
func (t *transaction) SettleItem(ctx context.Context, i registry.BatchItem) error {
	result, err := t.secrets.seal(itemPlace("result", i), i.Result)
	if err != nil {
		return err
	}
	err = t.later(ctx, `UPDATE licence_batch_item SET state = $3, result = $4, body = NULL, lease_until = 0
		WHERE batch = $1 AND position = $2 AND state = 'running'
			AND EXISTS (SELECT 1 FROM licence_batch WHERE id = $1 AND client = $5)`,
		i.Batch, int64(i.Position), string(i.State), result, i.Client)
	return doing("settling an item of a batch", err)
}

// EndBatch implements registry.Store.
func (r reader) EndBatch(ctx context.Context, id string, at time.Time) error {
	_, err := r.writing.exec(ctx, `UPDATE licence_batch SET ended_at = $2 WHERE id = $1 AND submitted_at > 0 AND ended_at = 0
		AND NOT EXISTS (SELECT 1 FROM licence_batch_item WHERE batch = $1 AND state = 'running')
		AND (cancelled_at > 0 OR NOT EXISTS (SELECT 1 FROM licence_batch_item WHERE batch = $1 AND state = 'waiting'))`, id, nanos(at))
	return doing("ending batch", err)
}

// DropBatch implements registry.Tx.
func (t *transaction) DropBatch(ctx context.Context, id string, n int) (bool, error) {
	gone, err := t.exec(ctx, `DELETE FROM licence_batch_item WHERE batch = $1 AND position IN
		(SELECT position FROM licence_batch_item WHERE batch = $1 ORDER BY position LIMIT $2)`, id, int64(n))
	if err == nil && gone < int64(n) {
		_, err = t.exec(ctx, `DELETE FROM licence_batch WHERE id = $1`, id)
	}
	return gone == int64(n), doing("forgetting batch", err)
}

// PastBatches implements registry.Tx.
func (t *transaction) PastBatches(ctx context.Context, ended, begun time.Time, n int) ([]string, error) {
	found, err := batches(ctx, t, selectBatch+`WHERE ended_at > 0 AND ended_at < $1 OR submitted_at = 0 AND created_at < $2
		ORDER BY created_at, id LIMIT $3`, nanos(ended), nanos(begun), int64(limit(n)))
	var ids []string
	for _, b := range found {
		ids = append(ids, b.ID)
	}
	return ids, err
}
