package api

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/verify"
)

// The bounds of batches of verifications. A batch is worked off by the process that took
// it, which shares what came of it so far with the other servers, until batchLife is over.
// What a process had not judged when it was killed stays waiting.
const (
	maxBatch      = 2 * MaxFile // bytes of a whole batch
	maxBatchItems = 100
	batchLife     = 15 * time.Minute
	// maxClientItems is how many items one client may have in batches at once, and
	// maxKeptItems all clients together: some 8 kB of memory each.
	maxClientItems, maxKeptItems = 2000, 5000
	// maxBatchStop is how long Close waits for the items at work.
	maxBatchStop = 10 * time.Second
	// sharedBatch is the kind under which batches are shared, and shareEvery how often one is
	// while it is worked off.
	sharedBatch = "batch"
	shareEvery  = time.Second
)

// verificationBatches holds the batches of this process.
type verificationBatches struct {
	stop context.CancelFunc
	ctx  context.Context // of all work on batches
	work sync.WaitGroup

	mu   sync.Mutex // guards what follows, and the items of every batch
	byID map[string]*batch
	kept map[string]int // items by client
	all  int            // items
}

func newBatches() *verificationBatches {
	b := &verificationBatches{byID: map[string]*batch{}, kept: map[string]int{}}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// close ends the work: an item that is not judged by now is never judged.
func (b *verificationBatches) close() {
	b.stop()
	ended := make(chan struct{})
	go func() {
		b.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(maxBatchStop):
	}
}

// batch is what one request asked to verify, and what came of it.
type batch struct {
	id, requestID string
	caller        registry.Caller
	accepted      time.Time
	inputs        []verify.Input // each let go when it was judged
	items         []batchItem
}

// batchItem is one item of a batch as the client sees it.
type batchItem struct {
	Index int `json:"index"`
	// Name is the name that the file came with; empty for a QR code.
	Name string `json:"name"`
	// Status is waiting, done or failed; then Report or Problem says more.
	Status  string       `json:"status"`
	Report  *reportJSON  `json:"report,omitempty"`
	Receipt *receiptJSON `json:"receipt,omitempty"`
	Problem *problem     `json:"problem,omitempty"`
}

// receiptJSON is a receipt of the log where it does not go into a header.
type receiptJSON struct {
	Index      uint64 `json:"index"`
	Leaf       string `json:"leaf"`
	Checkpoint string `json:"checkpoint"`
}

func newReceipt(r audit.Receipt) *receiptJSON {
	if len(r.Checkpoint) == 0 {
		return nil
	}
	return &receiptJSON{r.Index, hex.EncodeToString(r.LeafHash[:]), base64.StdEncoding.EncodeToString(r.Checkpoint)}
}

// batchJSON is a batch as the client sees it.
type batchJSON struct {
	ID         string      `json:"id"`
	Status     string      `json:"status"` // running or done
	AcceptedAt time.Time   `json:"accepted_at"`
	ExpiresAt  time.Time   `json:"expires_at"`
	Items      []batchItem `json:"items"`
}

// view is the batch as it stands.
func (b *verificationBatches) view(one *batch) batchJSON {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := batchJSON{one.id, "done", one.accepted, one.accepted.Add(batchLife), append([]batchItem{}, one.items...)}
	for _, i := range v.Items {
		if i.Status == "waiting" {
			v.Status = "running"
		}
	}
	return v
}

// keep takes a batch in, until its time is over. It reports whether there is room.
func (b *verificationBatches) keep(one *batch) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, client := len(one.items), one.caller.Principal
	if b.all+n > maxKeptItems || b.kept[client]+n > maxClientItems {
		return false
	}
	b.byID[one.id] = one
	b.all += n
	b.kept[client] += n
	time.AfterFunc(batchLife, func() { b.forget(one) })
	return true
}

func (b *verificationBatches) forget(one *batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byID[one.id] == nil {
		return
	}
	delete(b.byID, one.id)
	b.all -= len(one.items)
	if b.kept[one.caller.Principal] -= len(one.items); b.kept[one.caller.Principal] == 0 {
		delete(b.kept, one.caller.Principal)
	}
}

// find returns a client's batch, nil when there is none: of another client's it says no more.
func (b *verificationBatches) find(id, client string, now time.Time) *batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.byID[id]
	if one == nil || one.caller.Principal != client || !now.Before(one.accepted.Add(batchLife)) {
		return nil
	}
	return one
}

// settle notes what came of an item, and lets go of what was judged.
func (b *verificationBatches) settle(one *batch, i int, item batchItem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	item.Index, item.Name = i, one.items[i].Name
	one.items[i], one.inputs[i] = item, verify.Input{}
}

// verificationBatch accepts a batch: 202, and the results are fetched by its id.
func (x *exchange) verificationBatch() {
	if err := x.authenticate(); err != nil {
		x.refuse(err)
		return
	}
	if !x.caller.MayAct(registry.ActionVerify) {
		x.refuse(fmt.Errorf("%w: your role may not %s", registry.ErrForbidden, registry.ActionVerify))
		return
	}
	room, sender := x.room()
	body := &lodger{ReadCloser: x.r.Body, room: room}
	x.r.Body = body
	one, err := receive(x, room, sender, x.readBatch)
	if err == nil && !x.batches.keep(one) {
		err = errKept
	}
	if err == nil {
		if err = x.share(one); err != nil {
			x.batches.forget(one)
		}
	}
	if err != nil {
		room.free(body.size)
		x.refuse(err)
		return
	}
	room.free(body.size - one.size())
	x.batches.work.Go(func() { x.workOff(one, room) })
	x.w.Header().Set("Location", "/api/v1/verifications/batch/"+one.id)
	x.json(http.StatusAccepted, x.batches.view(one))
}

// share lets the other servers know what came of a batch so far.
func (s *Server) share(one *batch) error {
	view, err := json.Marshal(s.batches.view(one))
	if err != nil {
		return fmt.Errorf("encoding batch %s: %w", one.id, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxBatchStop)
	defer cancel()
	return s.cfg.Registry.Share(ctx, sharedBatch, one.caller.Principal+"/"+one.id, view, one.accepted.Add(batchLife))
}

// size is the bytes of what is still to be judged.
func (one *batch) size() (n int) {
	for _, in := range one.inputs {
		n += len(in.File) + len(in.QR)
	}
	return n
}

// workOff judges one item after the other, until the server stops. The item at work by
// then is finished, and logged.
func (s *Server) workOff(one *batch, room *room) {
	shared := s.cfg.Now()
	for i, in := range one.inputs {
		item := one.failed(context.Canceled)
		if s.batches.ctx.Err() == nil {
			item = s.workOn(context.WithoutCancel(s.batches.ctx), one, room, in)
		}
		s.batches.settle(one, i, item)
		room.free(len(in.File) + len(in.QR))
		if last := i == len(one.inputs)-1; last || s.cfg.Now().Sub(shared) > shareEvery && s.batches.ctx.Err() == nil {
			shared = s.cfg.Now()
			if err := s.share(one); err != nil {
				s.tell(one.requestID, err)
			}
		}
	}
}

func (one *batch) failed(err error) batchItem {
	p := problemOf(err, one.requestID)
	return batchItem{Status: "failed", Problem: &p}
}

// workOn judges one item. Whatever goes wrong is that item's problem.
func (s *Server) workOn(ctx context.Context, one *batch, room *room, in verify.Input) (item batchItem) {
	failed := func(err error) batchItem {
		item := one.failed(err)
		if item.Problem.Status >= 500 {
			s.fault(ctx, one.requestID, err)
		}
		return item
	}
	defer func() {
		if cause := recover(); cause != nil {
			item = failed(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
	}()
	report, receipt, err := s.judge(ctx, one.caller, room, in)
	if err != nil {
		item = failed(err)
	} else {
		item = batchItem{Status: "done", Report: report}
	}
	item.Receipt = newReceipt(receipt)
	return item
}

// batchResults tells what came of a batch so far. It is no operation on a licence, and
// not logged: each item was, when it was verified.
func (x *exchange) batchResults() {
	if err := x.authenticate(); err != nil {
		x.refuse(err)
		return
	}
	if one := x.batches.find(x.name, x.caller.Principal, x.now()); one != nil {
		x.json(http.StatusOK, x.batches.view(one))
		return
	}
	view, err := x.cfg.Registry.Shared(x.r.Context(), sharedBatch, x.caller.Principal+"/"+x.name)
	if errors.Is(err, licence.ErrNotFound) {
		err = errNoBatch
	}
	if err != nil {
		x.refuse(err)
		return
	}
	x.json(http.StatusOK, json.RawMessage(view))
}

// readBatch reads the form of a batch: parts file and qr in any order, each an item,
// and one as_of for all of them.
func (x *exchange) readBatch() (*batch, error) {
	if mediaType, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type")); err != nil || mediaType != "multipart/form-data" {
		return nil, errMediaType("multipart/form-data")
	}
	if x.r.ContentLength > maxBatch {
		return nil, errTooLarge
	}
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, maxBatch)
	form, err := x.r.MultipartReader()
	if err != nil {
		return nil, errBadBatch
	}
	one := &batch{requestID: x.requestID, caller: x.caller, accepted: x.now().UTC().Truncate(time.Second)}
	day := map[string]any{}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, bodyFault(err, errBadBatch)
		}
		if err := one.readPart(part, day); err != nil {
			return nil, err
		}
	}
	if err := x.drained(); err != nil {
		return nil, err
	}
	if len(one.items) == 0 {
		return nil, errBadBatch
	}
	if one.id, err = newBatchID(x.cfg.Rand); err != nil {
		return nil, err
	}
	return one, one.ask(day, licence.DateOf(x.now()))
}

// newBatchID draws an id that nobody guesses.
func newBatchID(rand io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("drawing the id of a batch: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// readPart reads one part into the batch.
func (one *batch) readPart(part *multipart.Part, day map[string]any) error {
	name, most := part.FormName(), int64(maxText)
	if name == "file" {
		most = MaxFile
	}
	if _, twice := day[name]; twice || name != "file" && name != "qr" && name != "as_of" {
		return errBadBatch
	}
	b, err := readAll(http.MaxBytesReader(nil, part, most), -1)
	if err != nil {
		return err
	}
	if name == "as_of" {
		day[name] = string(b)
		return nil
	}
	in := verify.Input{File: b}
	if name == "qr" {
		if in = (verify.Input{QR: string(b)}); in.QR == "" {
			return errBadBatch
		}
	}
	if len(one.items) == maxBatchItems {
		return errBadBatch
	}
	one.inputs = append(one.inputs, in)
	fileName := part.FileName()
	fileName = strings.ToValidUTF8(fileName[:min(len(fileName), 255)], "\ufffd")
	one.items = append(one.items, batchItem{Index: len(one.items), Name: fileName, Status: "waiting"})
	return nil
}

// ask asks the same past day of every item.
func (one *batch) ask(day map[string]any, today licence.Date) error {
	asOf, err := parseMembers(day, func(r *reader) licence.Date { return r.pastDay("as_of", today) })
	for i := range one.inputs {
		one.inputs[i].AsOf = asOf
	}
	return err
}
