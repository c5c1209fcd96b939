package registry

import (
	"context"
	"strconv"
	"strings"

	"elicence/licence"
)

// IdempotencyKey is the idempotency key of an item. It holds spaces, so that no request from outside
// can have it.
func (i BatchItem) IdempotencyKey() string {
	return "batch " + i.Batch + " " + strconv.Itoa(i.Position)
}

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

// settle notes, in the transaction that makes a licence valid, that it was an item of a batch.
func (rec Record) settle(ctx context.Context, tx Tx, answer []byte) error {
	i, ok := itemOf(rec.IdempotencyKey)
	if !ok {
		return nil
	}
	i.Client, i.State, i.Result = rec.Client, ItemIssued, answer
	return tx.SettleItem(ctx, i)
}

// CarryOut issues or, when op is OpRenew, renews id for the caller, as an item of a batch
// asks: like any other such request, but under the item's own key.
func (r *Registry) CarryOut(ctx context.Context, c Caller, i BatchItem, op licence.Operation, id licence.Identifier, body []byte) (err error) {
	if op == "" {
		_, _, err = r.Issue(ctx, c, IssueRequest{Key: i.IdempotencyKey(), Body: body, item: true})
	} else {
		_, _, err = r.replace(ctx, c, op, id, VersionRequest{Key: i.IdempotencyKey(), Body: body, item: true})
	}
	return err
}

// Awaited reports whether somebody waits for a licence that is no item of a batch.
func (r *Registry) Awaited() bool { return r.interactive.Load() > 0 }
