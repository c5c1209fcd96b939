package batches

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
)

// atOnce is how many items a server works on at once, and claims together: most of the time
// of each is a wait for what the log does for many at once. While somebody waits for a
// licence of his own it begins one at a time.
const atOnce = 128

// item is what one item of a batch asks for.
type item struct {
	key  string
	op   licence.Operation // empty: a new licence
	id   licence.Identifier
	body []byte // the request, canonical JSON
}

// parseItem reads an item: an object with operation (issue or renew), request, which is the
// body that the operation has by itself, identifier (of a renewal) and, if the client likes,
// key. The error is a *licence.RequestError.
func parseItem(raw []byte) (item, error) {
	v, err := licence.ParseJSON(raw)
	if err != nil {
		return item{}, err
	}
	var wrong []licence.FieldError
	fault := func(field, code, detail string) {
		wrong = append(wrong, licence.FieldError{Field: field, Code: code, Detail: detail})
	}
	members, ok := v.(map[string]any)
	if !ok {
		fault("", licence.CodeWrongType, "must be an object")
	}
	text := func(name string) string {
		s, isText := members[name].(string)
		if _, there := members[name]; there && !isText {
			fault(name, licence.CodeWrongType, "must be a text")
		}
		return s
	}
	it := item{key: text("key")}
	if it.key != "" && registry.CheckKey(it.key) != nil {
		fault("key", licence.CodeBadFormat, "is not 1 to 128 printable ASCII characters")
	}
	switch op := text("operation"); op {
	case "issue":
	case string(licence.OpRenew):
		it.op = licence.OpRenew
		if it.id, err = licence.ParseIdentifier(text("identifier")); err != nil {
			fault("identifier", licence.CodeBadFormat, "is not a licence identifier")
		}
	default:
		fault("operation", licence.CodeNotAllowed, "is neither issue nor renew")
	}
	for name := range members {
		if name != "key" && name != "operation" && name != "request" && (name != "identifier" || it.op == "") {
			fault("", licence.CodeUnknownField, "has a member that does not belong to the operation")
			break
		}
	}
	request, ok := members["request"].(map[string]any)
	if !ok {
		fault("request", licence.CodeMissing, "is required: an object")
	}
	if wrong != nil {
		return item{}, &licence.RequestError{Fields: wrong}
	}
	it.body, err = licence.MarshalCanonical(request)
	return it, err
}

// content is the same for items that ask for the same.
func (it item) content() [32]byte {
	body := sm3.Sum(it.body)
	return sm3.Sum(fmt.Appendf(nil, "%s\n%s\n%s", it.op, it.id, body[:]))
}

// Work works on all batches that are open until nothing can be claimed, or ctx ends;
// what is at work by then is finished. Several servers share the batches: what each claims it
// has for a Lease; what it does not come to in half of that is left to be claimed again. When an item has to be left, it claims no more of its batch for batchRest,
// and of no batch when storage is away, say: the next would meet the same. It returns why. What
// was left is claimed again, before what waits, when its lease has lapsed. The server runs it
// every second.
func (r *Register) Work(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	queue, over, resting := make(chan registry.BatchItem), make(chan struct{}), &resting{until: map[string]time.Time{}}
	var workers sync.WaitGroup
	for n := range atOnce {
		workers.Go(func() {
			for i, ok := r.next(queue, over, n > 0); ok; i, ok = r.next(queue, over, n > 0) {
				err := r.workOn(context.WithoutCancel(ctx), i)
				if err == nil {
					continue
				}
				err = fmt.Errorf("item %d of batch %s: %w", i.Position, i.Batch, err)
				if passes(err, passingForAll) {
					stop(err)
				} else {
					resting.add(i.Batch, r.gate.Now().Add(batchRest), err)
				}
			}
		})
	}
	var err error
	for err == nil && ctx.Err() == nil {
		var claimed []registry.BatchItem
		until := r.gate.Now().Add(registry.Lease / 2) // what is begun later might come to the end of its lease
		if claimed, err = r.claim(ctx, resting); len(claimed) == 0 {
			break
		}
		for _, i := range claimed {
			if r.gate.Now().After(until) {
				break
			}
			select {
			case queue <- i:
			case <-ctx.Done():
			}
		}
	}
	close(over)
	workers.Wait()
	return errors.Join(err, context.Cause(ctx), resting.why)
}

// batchRest is how long nothing more of a batch is claimed after an item of it was left. Else
// one client whose items are always left would hold up the batches of all others.
const batchRest = time.Second

// resting are the batches of which nothing is claimed for a while.
type resting struct {
	mu    sync.Mutex
	until map[string]time.Time
	why   error // the first item that was left; the workers are done when it is read
}

func (r *resting) add(batch string, until time.Time, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until[batch] = until; r.why == nil {
		r.why = why
	}
}

func (r *resting) has(batch string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.until[batch])
}

// What may go better later: for the items of any batch, and for this item alone, or those of
// its authority.
var (
	passingForAll = []error{registry.ErrLog, registry.ErrFiles, audit.ErrOutcomeUnknown, context.Canceled, context.DeadlineExceeded}
	passing       = []error{registry.ErrUnfinished, registry.ErrRunning, registry.ErrVersionPending, registry.ErrUnreachable, registry.ErrTimestampAwaited}
)

// passes reports whether an error is one of those that pass.
func passes(err error, those []error) bool {
	return slices.ContainsFunc(those, func(one error) bool { return errors.Is(err, one) }) && !errors.Is(err, audit.ErrInvalidEntry)
}

// next is the next item of the queue; ok is false when that is over. Who is polite takes none while
// somebody waits for a licence of his own.
func (r *Register) next(queue <-chan registry.BatchItem, over <-chan struct{}, polite bool) (i registry.BatchItem, ok bool) {
	for {
		from := queue
		if polite && r.registry.Awaited() {
			from = nil
		}
		select {
		case i = <-from:
			return i, true
		case <-over:
			return i, false
		case <-time.After(giveWayStep):
		}
	}
}

const giveWayStep = 5 * time.Millisecond

// claim claims items of all open batches alike but those that rest, and ends batches of which
// nothing is left. While only one worker takes items it claims few.
func (r *Register) claim(ctx context.Context, resting *resting) (claimed []registry.BatchItem, err error) {
	open, err := r.gate.Store().OpenBatches(ctx, "")
	open = slices.DeleteFunc(open, func(b registry.Batch) bool { return b.SubmittedAt.IsZero() || resting.has(b.ID, r.gate.Now()) })
	if err != nil || len(open) == 0 {
		return nil, err
	}
	share, now := max(1, atOnce/len(open)), r.gate.Now()
	if r.registry.Awaited() {
		share = 1
	}
	for _, b := range open {
		items, err := r.gate.Store().ClaimItems(ctx, b, now, now.Add(registry.Lease), share)
		if err == nil && len(items) == 0 {
			err = r.gate.Store().EndBatch(ctx, b.ID, now)
		}
		if claimed = append(claimed, items...); err != nil {
			return claimed, fmt.Errorf("claiming items of batches: %w", err)
		}
	}
	return claimed, nil
}

// workOn does one item, as its client. What was issued is settled in the transaction that
// makes it valid, so that a kill at any moment leaves it either to be done or done; the key
// of the item keeps it from being done twice. A refusal settles it too; what may go better
// later leaves it, and is returned.
func (r *Register) workOn(ctx context.Context, i registry.BatchItem) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = errors.Join(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()), r.failItem(ctx, i, Problem{Code: "internal"}))
		}
	}()
	if err = r.doItem(ctx, i); err == nil {
		return nil
	}
	if passes(err, passing) || passes(err, passingForAll) {
		return err
	}
	problem := Problem{Code: registry.Code(err)}
	var invalid *licence.RequestError
	if errors.As(err, &invalid) {
		problem.Fields = invalid.Fields
	}
	var fault *registry.SealFault
	if errors.As(err, &fault) {
		problem.Detail = fault.Error()
	}
	if problem.Code == "internal" {
		return errors.Join(err, r.failItem(ctx, i, problem))
	}
	return r.failItem(ctx, i, problem)
}

// doItem issues or renews.
func (r *Register) doItem(ctx context.Context, i registry.BatchItem) error {
	c, err := r.registry.CallerFor(ctx, i.Client, "batch-"+i.Batch)
	var it item
	if err == nil {
		it, err = parseItem(i.Body)
	} else if errors.Is(err, registry.ErrUnauthenticated) {
		c = registry.Caller{Principal: i.Client, RequestID: "batch-" + i.Batch}
	} else {
		return err
	}
	if err != nil { // nothing is asked for that could be refused at its own gate
		_, err = r.gate.Refuse(ctx, c, &registry.Access{Action: registry.ActionIssue, Object: i.IdempotencyKey()}, err)
		return err
	}
	return inRequest(r.registry.CarryOut(ctx, c, i, it.op, it.id, it.body))
}

// inRequest says of faults of a request that they are inside the item.
func inRequest(err error) error {
	var invalid *licence.RequestError
	if !errors.As(err, &invalid) {
		return err
	}
	inside := &licence.RequestError{Fields: append([]licence.FieldError{}, invalid.Fields...)}
	for n := range inside.Fields {
		f := &inside.Fields[n]
		if f.Field = "request." + f.Field; f.Field == "request." {
			f.Field = "request"
		}
	}
	return inside
}

// failItem notes why an item failed.
func (r *Register) failItem(ctx context.Context, i registry.BatchItem, problem Problem) (err error) {
	i.State = registry.ItemFailed
	if i.Result, err = json.Marshal(problem); err != nil {
		return err
	}
	return r.gate.Unlogged(ctx, func(ctx context.Context, tx registry.Tx) error { return tx.SettleItem(ctx, i) })
}
