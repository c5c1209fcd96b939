package registry

import (
	"context"
	"time"
)

// The bounds of batches of licences.
const (
	// MaxBatchItems is the most items of one batch.
	MaxBatchItems = 100_000
	// MaxOpenBatches is how many batches of one client may be at work, or being taken in.
	MaxOpenBatches = 16
)

// ItemState says how far an item of a batch has come.
type ItemState string

// The states of an item. The last four are final.
const (
	ItemWaiting   ItemState = "waiting"
	ItemRunning   ItemState = "running"
	ItemIssued    ItemState = "issued"
	ItemFailed    ItemState = "failed"
	ItemDuplicate ItemState = "duplicate"
	// ItemCancelled is a waiting item of a batch that was cancelled. Stores never keep it.
	ItemCancelled ItemState = "cancelled"
)

// Batch is many licences that one client asked for at once.
type Batch struct {
	// ID is drawn at random, Client whom it is of.
	ID, Client string
	// Items is how many it has, Counts how many of them are in each state.
	Items  int
	Counts map[ItemState]int
	// CreatedAt is when the first item came, SubmittedAt when all had; CancelledAt and
	// EndedAt, when nothing was left to do. Zero until then.
	CreatedAt, SubmittedAt, CancelledAt, EndedAt time.Time
}

// BatchItem is one item of a batch.
type BatchItem struct {
	Batch string
	// Client is whom the batch is of.
	Client string
	// Position counts from 0, in the order in which items came.
	Position int
	// Key is the client's own name for the item; it may be empty.
	Key string
	// Body is the item as it was received; empty once it is settled.
	Body []byte
	// Content says which items are the same: SM3 of what is asked for, or zero when that
	// cannot be told.
	Content [32]byte
	State   ItemState
	// First is the position of the item that a duplicate is the same as; -1 for others.
	First int
	// Result is what came of a settled item.
	Result []byte
}

// BatchStore is the part of Store about batches.
type BatchStore interface {
	// LicenceBatch returns a submitted batch without counts; licence.ErrNotFound when there is none.
	LicenceBatch(ctx context.Context, id string) (Batch, error)
	// BatchCounts counts the items of a batch in each state, all of them at every call.
	BatchCounts(ctx context.Context, id string) (map[ItemState]int, error)
	// BatchItems returns items of a batch from a position on, in ascending order, without
	// Client, Body and Content.
	BatchItems(ctx context.Context, id string, from, limit int) ([]BatchItem, error)
	// OpenBatches returns the batches that have not ended, those being taken in too, in the
	// order in which they began, of one client or, when that is empty, of all; without counts.
	OpenBatches(ctx context.Context, client string) ([]Batch, error)
	// ClaimItems makes items running until an instant and returns them, at most limit: those
	// running whose lease ended before now, then those waiting. They have no Content. No two
	// claim the same. Like EndBatch it is no part of a Tx, for claims must not hold up the log.
	ClaimItems(ctx context.Context, b Batch, now, until time.Time, limit int) ([]BatchItem, error)
	// EndBatch notes that a batch has ended, if nothing of it is left to do.
	EndBatch(ctx context.Context, id string, at time.Time) error
}

// BatchTx is the part of Tx about batches.
type BatchTx interface {
	// InsertBatch begins to take a batch in; ID, Client and CreatedAt are used.
	InsertBatch(ctx context.Context, b Batch) error
	// InsertItems adds items to a batch, each waiting, or a duplicate when one with the same
	// key or content is there.
	InsertItems(ctx context.Context, items []BatchItem) error
	// SubmitBatch makes a batch that was taken in one to work on; licence.ErrNotFound when
	// there is none.
	SubmitBatch(ctx context.Context, id string, items int, at time.Time) error
	// AbandonBatch keeps a batch that is being taken in from being submitted ever;
	// licence.ErrNotFound when there is none.
	AbandonBatch(ctx context.Context, id string, at time.Time) error
	// CancelBatch keeps the waiting items of a batch from being claimed. It changes nothing
	// when that was done before, or the batch has ended.
	CancelBatch(ctx context.Context, id string, at time.Time) error
	// SettleItem ends a running item of a client's batch with its State and Result. It changes
	// nothing when the item is not running.
	SettleItem(ctx context.Context, item BatchItem) error
	// DropBatch forgets at most limit items of a batch and, when none is left, the batch; it
	// reports whether some are left.
	DropBatch(ctx context.Context, id string, limit int) (more bool, err error)
	// PastBatches names at most limit batches that ended before one instant, or were begun
	// before another and never submitted.
	PastBatches(ctx context.Context, ended, begun time.Time, limit int) ([]string, error)
}
