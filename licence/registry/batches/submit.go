package batches

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
)

// The bounds of batches of licences.
const (
	// Kept is how long what came of a batch can be read after it has ended.
	Kept = 7 * 24 * time.Hour
	// maxTaking is how long a batch may take to come in. One that takes longer is of a server
	// that was killed, and forgotten.
	maxTaking = time.Hour
	// takenItems and takenBytes bound the items that are in memory at once while a batch
	// comes in, and so how long a transaction holds up others.
	takenItems, takenBytes = 200, 1 << 20
)

// Request asks for many licences.
type Request struct {
	// Key is the Idempotency-Key.
	Key string
	// Items gives them as they come, each as it was received; see parseItem. An error is
	// why no more can be read.
	Items iter.Seq2[[]byte, error]
}

// Submit takes in licences to issue and renew; Work then does so, for one item
// like for the next, and what comes of each is for Items. The items are stored as they
// come, and are nothing until the last has: a batch is taken in whole or not at all. A repeat
// of a key gets the first batch. Errors: ErrForbidden, ErrBatchUnreadable, which wraps that
// of q.Items, ErrBatchSize, ErrTooManyBatches, ErrKeyReused, ErrLog.
func (r *Register) Submit(ctx context.Context, c registry.Caller, q Request) (registry.Batch, audit.Receipt, error) {
	t := &taking{register: r}
	attempt := registry.Access{Action: registry.ActionBatch}
	attempt.Check = func() (err error) {
		defer func() { attempt.Object, attempt.Digest = t.batch.ID, t.digest }()
		if err := registry.CheckKey(q.Key); err != nil {
			return err
		}
		return t.take(ctx, c, q.Items)
	}
	var id string
	attempt.Apply = func(ctx context.Context, tx registry.Tx, e *audit.Entry) error {
		id = t.batch.ID
		err := r.gate.Once(ctx, tx, c, q.Key, [32]byte(t.digest), e, &id, func() error {
			return tx.SubmitBatch(ctx, t.batch.ID, t.batch.Items, r.gate.Now())
		})
		e.Object = id
		return err
	}
	receipt, err := r.gate.Pass(ctx, c, &attempt)
	if err != nil || id != t.batch.ID {
		t.drop(context.WithoutCancel(ctx))
	}
	if err != nil {
		return registry.Batch{}, receipt, err
	}
	b, err := r.counted(ctx, c, id)
	return b, receipt, err
}

// taking is a batch that is being taken in.
type taking struct {
	register *Register
	batch    registry.Batch
	digest   []byte // SM3 of all items, each with its length before it
	chunk    []registry.BatchItem
	size     int // of the chunk, in bytes
}

// take stores the items as they come.
func (t *taking) take(ctx context.Context, c registry.Caller, items iter.Seq2[[]byte, error]) error {
	r := t.register
	open, err := r.gate.Store().OpenBatches(ctx, c.Principal)
	if err != nil {
		return err
	}
	if len(open) >= registry.MaxOpenBatches {
		return registry.ErrTooManyBatches
	}
	id, err := r.gate.NewID()
	if err != nil {
		return fmt.Errorf("drawing the id of a batch: %w", err)
	}
	b := registry.Batch{ID: id, Client: c.Principal, CreatedAt: r.gate.Now()}
	if err := r.gate.Unlogged(ctx, func(ctx context.Context, tx registry.Tx) error { return tx.InsertBatch(ctx, b) }); err != nil {
		return err
	}
	t.batch = b
	// Asked again: of many that came at the same moment none saw the others before.
	if open, err = r.gate.Store().OpenBatches(ctx, c.Principal); err != nil {
		return err
	}
	if len(open) > registry.MaxOpenBatches {
		return registry.ErrTooManyBatches
	}
	all := sm3.New()
	for raw, err := range items {
		switch {
		case err != nil:
			return fmt.Errorf("%w: item %d: %w", registry.ErrBatchUnreadable, t.batch.Items, err)
		case t.batch.Items == registry.MaxBatchItems:
			return registry.ErrBatchSize
		}
		fmt.Fprintf(all, "%d\n", len(raw))
		all.Write(raw)
		if err := t.add(ctx, raw); err != nil {
			return err
		}
	}
	if t.batch.Items == 0 {
		return registry.ErrBatchSize
	}
	t.digest = all.Sum(nil)
	return t.flush(ctx)
}

// add takes one item in. One that cannot be read is taken like any other: that is what will
// come of it.
func (t *taking) add(ctx context.Context, raw []byte) error {
	item, fault := parseItem(raw)
	stored := registry.BatchItem{Batch: t.batch.ID, Position: t.batch.Items, Key: item.key, Body: raw}
	if fault == nil {
		stored.Content = item.content()
	}
	t.chunk, t.size = append(t.chunk, stored), t.size+len(raw)
	t.batch.Items++
	if len(t.chunk) < takenItems && t.size < takenBytes {
		return nil
	}
	return t.flush(ctx)
}

func (t *taking) flush(ctx context.Context) error {
	err := t.register.gate.Unlogged(ctx, func(ctx context.Context, tx registry.Tx) error { return tx.InsertItems(ctx, t.chunk) })
	t.chunk, t.size = t.chunk[:0], 0
	return err
}

// drop forgets what was taken in and not submitted, which may have happened though nobody
// knows. What storage does not let it forget, Tidy does.
func (t *taking) drop(ctx context.Context) {
	r := t.register
	if t.batch.ID != "" && r.gate.Unlogged(ctx, func(ctx context.Context, tx registry.Tx) error { return tx.AbandonBatch(ctx, t.batch.ID, r.gate.Now()) }) == nil {
		_ = r.dropBatch(ctx, t.batch.ID)
	}
}

// batch is a batch of the caller's, without counts.
func (r *Register) batch(ctx context.Context, c registry.Caller, id string) (registry.Batch, error) {
	b, err := r.gate.Store().LicenceBatch(ctx, id)
	if errors.Is(err, licence.ErrNotFound) || err == nil && b.Client != c.Principal {
		return registry.Batch{}, registry.ErrNoBatch
	}
	return b, err
}

// counted is a batch of the caller's with its counts. What waits in one that was cancelled
// counts as cancelled.
func (r *Register) counted(ctx context.Context, c registry.Caller, id string) (registry.Batch, error) {
	b, err := r.batch(ctx, c, id)
	if err == nil {
		b.Counts, err = r.gate.Store().BatchCounts(ctx, id)
	}
	if err != nil {
		return registry.Batch{}, err
	}
	if waiting := b.Counts[registry.ItemWaiting]; waiting > 0 && !b.CancelledAt.IsZero() {
		delete(b.Counts, registry.ItemWaiting)
		b.Counts[registry.ItemCancelled] = waiting
	}
	return b, nil
}

// Read tells how far a batch of the caller's has come; ErrNoBatch when there is none.
func (r *Register) Read(ctx context.Context, c registry.Caller, id string) (registry.Batch, audit.Receipt, error) {
	b, err := r.counted(ctx, c, id)
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionBatchRead, Object: id, Check: func() error { return err }})
	if err != nil {
		return registry.Batch{}, receipt, err
	}
	return b, receipt, nil
}

// Items tells what came of the items of a batch of the caller's so far: at most limit
// (1 to MaxPage), from a position on. ErrNoBatch when there is no such batch.
func (r *Register) Items(ctx context.Context, c registry.Caller, id string, from, limit int) ([]Outcome, audit.Receipt, error) {
	b, err := r.batch(ctx, c, id)
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{Action: registry.ActionBatchRead, Object: id, Check: func() error { return err }})
	if err != nil {
		return nil, receipt, err
	}
	items, err := r.gate.Store().BatchItems(ctx, id, from, min(max(limit, 1), registry.MaxPage))
	if err != nil {
		return nil, receipt, err
	}
	var all []Outcome
	for _, i := range items {
		if i.State == registry.ItemWaiting && !b.CancelledAt.IsZero() {
			i.State = registry.ItemCancelled
		}
		o, err := outcome(i)
		if err != nil {
			return nil, receipt, err
		}
		all = append(all, o)
	}
	return all, receipt, nil
}

// Cancel keeps what waits in a batch of the caller's from being begun; what was begun is
// finished. Doing so twice, or after the batch has ended, changes nothing. ErrNoBatch when
// there is no such batch.
func (r *Register) Cancel(ctx context.Context, c registry.Caller, id, key string) (registry.Batch, audit.Receipt, error) {
	_, found := r.batch(ctx, c, id)
	body := sm3.Sum([]byte(string(registry.ActionBatchCancel) + "\n" + id))
	receipt, err := r.gate.Pass(ctx, c, &registry.Access{
		Action: registry.ActionBatchCancel, Object: id,
		Check: func() error { return errors.Join(found, registry.CheckKey(key)) },
		Apply: func(ctx context.Context, tx registry.Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, key, body, e, new(string), func() error { return tx.CancelBatch(ctx, id, r.gate.Now()) })
		},
	})
	if err != nil {
		return registry.Batch{}, receipt, err
	}
	b, err := r.counted(ctx, c, id)
	return b, receipt, err
}

// Tidy forgets batches that ended longer than Kept ago, and what was left of
// those that never came in whole. The server runs it now and then.
func (r *Register) Tidy(ctx context.Context) error {
	var past []string
	err := r.gate.Unlogged(ctx, func(ctx context.Context, tx registry.Tx) (err error) {
		past, err = tx.PastBatches(ctx, r.gate.Now().Add(-Kept), r.gate.Now().Add(-maxTaking), 0)
		return err
	})
	for _, id := range past {
		err = errors.Join(err, r.dropBatch(ctx, id))
	}
	return err
}

// dropBatch forgets a batch, in small transactions.
func (r *Register) dropBatch(ctx context.Context, id string) error {
	for more := true; more; {
		err := r.gate.Unlogged(ctx, func(ctx context.Context, tx registry.Tx) (err error) {
			more, err = tx.DropBatch(ctx, id, takenItems)
			return err
		})
		if err != nil {
			return fmt.Errorf("forgetting batch %s: %w", id, err)
		}
	}
	return nil
}

// Outcome is an item of a batch as its client sees it.
type Outcome struct {
	Position int
	Key      string
	State    registry.ItemState
	// Issued is what was issued; nil else.
	Issued *registry.Issued
	// Problem is why it failed, or was not done; nil else.
	Problem *Problem
}

// Problem is why an item failed; it holds nothing personal.
type Problem struct {
	// Code is that of Code.
	Code   string               `json:"code"`
	Detail string               `json:"detail,omitempty"`
	Fields []licence.FieldError `json:"fields,omitempty"`
}

// outcome reads what came of an item.
func outcome(i registry.BatchItem) (Outcome, error) {
	o := Outcome{Position: i.Position, Key: i.Key, State: i.State}
	var err error
	switch i.State {
	case registry.ItemIssued:
		o.Issued = new(registry.Issued)
		err = json.Unmarshal(i.Result, o.Issued)
	case registry.ItemFailed:
		o.Problem = new(Problem)
		err = json.Unmarshal(i.Result, o.Problem)
	case registry.ItemDuplicate:
		o.Problem = &Problem{Code: "duplicate_item", Detail: fmt.Sprintf("has the key or the content of item %d, and was not done", i.First)}
	}
	if err != nil {
		return o, fmt.Errorf("reading what came of item %d of batch %s: %w", i.Position, i.Batch, err)
	}
	return o, nil
}
