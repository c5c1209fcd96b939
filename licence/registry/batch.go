package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"elicence/audit"
	"elicence/licence"

	"github.com/emmansun/gmsm/sm3"
)

// The bounds of batches of licences.
const (
	// MaxBatchItems is the most items of one batch.
	MaxBatchItems = 100_000
	// MaxOpenBatches is how many batches of one client may be at work, or being taken in.
	MaxOpenBatches = 16
	// BatchKept is how long what came of a batch can be read after it has ended.
	BatchKept = 7 * 24 * time.Hour
	// maxTaking is how long a batch may take to come in. One that takes longer is of a server
	// that was killed, and forgotten.
	maxTaking = time.Hour
	// takenItems and takenBytes bound the items that are in memory at once while a batch
	// comes in, and so how long a transaction holds up others.
	takenItems, takenBytes = 200, 1 << 20
)

// The actions on batches, as they stand in the access log. Each item makes the entries of an
// issue or a renewal besides.
const (
	ActionBatch       audit.Action = "batch"
	ActionBatchRead   audit.Action = "read_batch"
	ActionBatchCancel audit.Action = "cancel_batch"
)

var (
	// ErrBatchUnreadable: the items of a batch could not be read to their end.
	ErrBatchUnreadable = errors.New("the batch could not be read to its end")
	// ErrBatchSize: a batch has no items, or more than MaxBatchItems.
	ErrBatchSize = fmt.Errorf("a batch has 1 to %d items", MaxBatchItems)
	// ErrTooManyBatches: MaxOpenBatches of the client are at work.
	ErrTooManyBatches = fmt.Errorf("%d batches of this client have not ended", MaxOpenBatches)
	// ErrNoBatch: the client has no such batch.
	ErrNoBatch = errors.New("there is no such batch of this client")
)

// BatchRequest asks for many licences.
type BatchRequest struct {
	// Key is the Idempotency-Key.
	Key string
	// Items gives them as they come, each as it was received; see parseItem. An error is
	// why no more can be read.
	Items iter.Seq2[[]byte, error]
}

// SubmitBatch takes in licences to issue and renew; WorkBatches then does so, for one item
// like for the next, and what comes of each is for BatchItems. The items are stored as they
// come, and are nothing until the last has: a batch is taken in whole or not at all. A repeat
// of a key gets the first batch. Errors: ErrForbidden, ErrBatchUnreadable, which wraps that
// of q.Items, ErrBatchSize, ErrTooManyBatches, ErrKeyReused, ErrLog.
func (r *Registry) SubmitBatch(ctx context.Context, c Caller, q BatchRequest) (Batch, audit.Receipt, error) {
	t := &taking{registry: r}
	attempt := Access{Action: ActionBatch}
	attempt.Check = func() (err error) {
		defer func() { attempt.Object, attempt.Digest = t.batch.ID, t.digest }()
		if err := CheckKey(q.Key); err != nil {
			return err
		}
		return t.take(ctx, c, q.Items)
	}
	var id string
	attempt.Apply = func(ctx context.Context, tx Tx, e *audit.Entry) error {
		id = t.batch.ID
		err := r.gate.Once(ctx, tx, c, q.Key, [32]byte(t.digest), e, &id, func() error {
			return tx.SubmitBatch(ctx, t.batch.ID, t.batch.Items, r.now())
		})
		e.Object = id
		return err
	}
	receipt, err := r.gate.Pass(ctx, c, &attempt)
	if err != nil || id != t.batch.ID {
		t.drop(context.WithoutCancel(ctx))
	}
	if err != nil {
		return Batch{}, receipt, err
	}
	b, err := r.counted(ctx, c, id)
	return b, receipt, err
}

// taking is a batch that is being taken in.
type taking struct {
	registry *Registry
	batch    Batch
	digest   []byte // SM3 of all items, each with its length before it
	chunk    []BatchItem
	size     int // of the chunk, in bytes
}

// take stores the items as they come.
func (t *taking) take(ctx context.Context, c Caller, items iter.Seq2[[]byte, error]) error {
	r := t.registry
	open, err := r.cfg.Store.OpenBatches(ctx, c.Principal)
	if err != nil {
		return err
	}
	if len(open) >= MaxOpenBatches {
		return ErrTooManyBatches
	}
	id, err := r.gate.NewID()
	if err != nil {
		return fmt.Errorf("drawing the id of a batch: %w", err)
	}
	b := Batch{ID: id, Client: c.Principal, CreatedAt: r.now()}
	if err := r.unlogged(ctx, func(ctx context.Context, tx Tx) error { return tx.InsertBatch(ctx, b) }); err != nil {
		return err
	}
	t.batch = b
	// Asked again: of many that came at the same moment none saw the others before.
	if open, err = r.cfg.Store.OpenBatches(ctx, c.Principal); err != nil {
		return err
	}
	if len(open) > MaxOpenBatches {
		return ErrTooManyBatches
	}
	all := sm3.New()
	for raw, err := range items {
		switch {
		case err != nil:
			return fmt.Errorf("%w: item %d: %w", ErrBatchUnreadable, t.batch.Items, err)
		case t.batch.Items == MaxBatchItems:
			return ErrBatchSize
		}
		fmt.Fprintf(all, "%d\n", len(raw))
		all.Write(raw)
		if err := t.add(ctx, raw); err != nil {
			return err
		}
	}
	if t.batch.Items == 0 {
		return ErrBatchSize
	}
	t.digest = all.Sum(nil)
	return t.flush(ctx)
}

// add takes one item in. One that cannot be read is taken like any other: that is what will
// come of it.
func (t *taking) add(ctx context.Context, raw []byte) error {
	item, fault := parseItem(raw)
	stored := BatchItem{Batch: t.batch.ID, Position: t.batch.Items, Key: item.key, Body: raw}
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
	err := t.registry.unlogged(ctx, func(ctx context.Context, tx Tx) error { return tx.InsertItems(ctx, t.chunk) })
	t.chunk, t.size = t.chunk[:0], 0
	return err
}

// drop forgets what was taken in and not submitted, which may have happened though nobody
// knows. What storage does not let it forget, TidyBatches does.
func (t *taking) drop(ctx context.Context) {
	r := t.registry
	if t.batch.ID != "" && r.unlogged(ctx, func(ctx context.Context, tx Tx) error { return tx.AbandonBatch(ctx, t.batch.ID, r.now()) }) == nil {
		_ = r.dropBatch(ctx, t.batch.ID)
	}
}

// unlogged changes what is nothing of a licence: a batch as it is taken in, and which items
// of one are worked on. An error is ErrLog, unless fn gave it: the storage is the log's.
func (r *Registry) unlogged(ctx context.Context, fn func(context.Context, Tx) error) (err error) {
	for range shareAttempts {
		err = r.cfg.LogReader.Batch(ctx, func(tx audit.Tx) error { return fn(ctx, tx.(Tx)) })
		if !errors.Is(err, audit.ErrConflict) {
			break
		}
	}
	return logError(err)
}

// batch is a batch of the caller's, without counts.
func (r *Registry) batch(ctx context.Context, c Caller, id string) (Batch, error) {
	b, err := r.cfg.Store.LicenceBatch(ctx, id)
	if errors.Is(err, licence.ErrNotFound) || err == nil && b.Client != c.Principal {
		return Batch{}, ErrNoBatch
	}
	return b, err
}

// counted is a batch of the caller's with its counts. What waits in one that was cancelled
// counts as cancelled.
func (r *Registry) counted(ctx context.Context, c Caller, id string) (Batch, error) {
	b, err := r.batch(ctx, c, id)
	if err == nil {
		b.Counts, err = r.cfg.Store.BatchCounts(ctx, id)
	}
	if err != nil {
		return Batch{}, err
	}
	if waiting := b.Counts[ItemWaiting]; waiting > 0 && !b.CancelledAt.IsZero() {
		delete(b.Counts, ItemWaiting)
		b.Counts[ItemCancelled] = waiting
	}
	return b, nil
}

// ReadBatch tells how far a batch of the caller's has come; ErrNoBatch when there is none.
func (r *Registry) ReadBatch(ctx context.Context, c Caller, id string) (Batch, audit.Receipt, error) {
	b, err := r.counted(ctx, c, id)
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionBatchRead, Object: id, Check: func() error { return err }})
	if err != nil {
		return Batch{}, receipt, err
	}
	return b, receipt, nil
}

// BatchItems tells what came of the items of a batch of the caller's so far: at most limit
// (1 to MaxPage), from a position on. ErrNoBatch when there is no such batch.
func (r *Registry) BatchItems(ctx context.Context, c Caller, id string, from, limit int) ([]ItemOutcome, audit.Receipt, error) {
	b, err := r.batch(ctx, c, id)
	receipt, err := r.gate.Pass(ctx, c, &Access{Action: ActionBatchRead, Object: id, Check: func() error { return err }})
	if err != nil {
		return nil, receipt, err
	}
	items, err := r.cfg.Store.BatchItems(ctx, id, from, min(max(limit, 1), MaxPage))
	if err != nil {
		return nil, receipt, err
	}
	var all []ItemOutcome
	for _, i := range items {
		if i.State == ItemWaiting && !b.CancelledAt.IsZero() {
			i.State = ItemCancelled
		}
		o, err := i.outcome()
		if err != nil {
			return nil, receipt, err
		}
		all = append(all, o)
	}
	return all, receipt, nil
}

// CancelBatch keeps what waits in a batch of the caller's from being begun; what was begun is
// finished. Doing so twice, or after the batch has ended, changes nothing. ErrNoBatch when
// there is no such batch.
func (r *Registry) CancelBatch(ctx context.Context, c Caller, id, key string) (Batch, audit.Receipt, error) {
	_, found := r.batch(ctx, c, id)
	body := sm3.Sum([]byte(string(ActionBatchCancel) + "\n" + id))
	receipt, err := r.gate.Pass(ctx, c, &Access{
		Action: ActionBatchCancel, Object: id,
		Check: func() error { return errors.Join(found, CheckKey(key)) },
		Apply: func(ctx context.Context, tx Tx, e *audit.Entry) error {
			return r.gate.Once(ctx, tx, c, key, body, e, new(string), func() error { return tx.CancelBatch(ctx, id, r.now()) })
		},
	})
	if err != nil {
		return Batch{}, receipt, err
	}
	b, err := r.counted(ctx, c, id)
	return b, receipt, err
}

// TidyBatches forgets batches that ended longer than BatchKept ago, and what was left of
// those that never came in whole. The server runs it now and then.
func (r *Registry) TidyBatches(ctx context.Context) error {
	var past []string
	err := r.unlogged(ctx, func(ctx context.Context, tx Tx) (err error) {
		past, err = tx.PastBatches(ctx, r.now().Add(-BatchKept), r.now().Add(-maxTaking), 0)
		return err
	})
	for _, id := range past {
		err = errors.Join(err, r.dropBatch(ctx, id))
	}
	return err
}

// dropBatch forgets a batch, in small transactions.
func (r *Registry) dropBatch(ctx context.Context, id string) error {
	for more := true; more; {
		err := r.unlogged(ctx, func(ctx context.Context, tx Tx) (err error) {
			more, err = tx.DropBatch(ctx, id, takenItems)
			return err
		})
		if err != nil {
			return fmt.Errorf("forgetting batch %s: %w", id, err)
		}
	}
	return nil
}

// itemKey is the idempotency key of an item. It holds spaces, so that no request from outside
// can have it.
func itemKey(i BatchItem) string { return "batch " + i.Batch + " " + strconv.Itoa(i.Position) }

// itemOf is the item that a key is of.
func itemOf(key string) (i BatchItem, ok bool) {
	name, ok := strings.CutPrefix(key, "batch ")
	batch, position, _ := strings.Cut(name, " ")
	if ok {
		i.Batch = batch
		i.Position, _ = strconv.Atoi(position)
	}
	return i, ok
}

// ItemOutcome is an item of a batch as its client sees it.
type ItemOutcome struct {
	Position int
	Key      string
	State    ItemState
	// Issued is what was issued; nil else.
	Issued *Issued
	// Problem is why it failed, or was not done; nil else.
	Problem *ItemProblem
}

// ItemProblem is why an item failed; it holds nothing personal.
type ItemProblem struct {
	// Code is that of Code.
	Code   string               `json:"code"`
	Detail string               `json:"detail,omitempty"`
	Fields []licence.FieldError `json:"fields,omitempty"`
}

// outcome reads what came of an item.
func (i BatchItem) outcome() (ItemOutcome, error) {
	o := ItemOutcome{Position: i.Position, Key: i.Key, State: i.State}
	var err error
	switch i.State {
	case ItemIssued:
		o.Issued = new(Issued)
		err = json.Unmarshal(i.Result, o.Issued)
	case ItemFailed:
		o.Problem = new(ItemProblem)
		err = json.Unmarshal(i.Result, o.Problem)
	case ItemDuplicate:
		o.Problem = &ItemProblem{Code: "duplicate_item", Detail: fmt.Sprintf("has the key or the content of item %d, and was not done", i.First)}
	}
	if err != nil {
		return o, fmt.Errorf("reading what came of item %d of batch %s: %w", i.Position, i.Batch, err)
	}
	return o, nil
}
