package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/batches"
)

// The bounds of a body of a batch of licences. An item has licence.MaxJSON bytes at most: of a
// photograph it holds less than a request by itself.
const (
	maxLicenceBatch  = 256 << 20
	licenceBatchTime = 10 * time.Minute
)

// licenceBatch takes a batch in as it comes, and answers 202 once all of it has.
func (x *exchange) licenceBatch() {
	if err := x.authenticate(); err != nil {
		x.refuse(err)
		return
	}
	key, err := x.idempotencyKey()
	if err != nil {
		x.refuse(err)
		return
	}
	items, err := x.batchItems()
	if err != nil {
		x.refuse(err)
		return
	}
	batch, receipt, err := x.cfg.Batches.Submit(x.r.Context(), x.caller, batches.Request{Key: key, Items: items})
	if x.settle(receipt, err) {
		x.w.Header().Set("Location", "/api/v1/licences/batch/"+batch.ID)
		x.json(http.StatusAccepted, x.licenceBatchJSON(batch))
	}
}

// batchItems are the items of the body, which is read as they are asked for.
func (x *exchange) batchItems() (iter.Seq2[[]byte, error], error) {
	mediaType, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || x.r.Header.Get("Content-Encoding") != "" || mediaType != "application/json" && mediaType != "application/x-ndjson" {
		return nil, errMediaType("application/x-ndjson", "application/json")
	}
	if x.r.ContentLength > maxLicenceBatch {
		return nil, errTooLarge
	}
	x.extend(licenceBatchTime + time.Minute)
	x.body.last = time.Now().Add(licenceBatchTime)
	body := http.MaxBytesReader(x.w, x.r.Body, maxLicenceBatch)
	if mediaType == "application/json" {
		return arrayItems(body), nil
	}
	return lineItems(body), nil
}

// lineItems are the lines of a body that are not empty, each an item.
func lineItems(body io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, licence.MaxJSON)
		for lines.Scan() {
			if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 && !yield(bytes.Clone(line), nil) {
				return
			}
		}
		if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
			yield(nil, errTooLarge)
		} else if err != nil {
			yield(nil, bodyFault(err, errUnreadable))
		}
	}
}

// arrayItems are the elements of a body that is one JSON array.
func arrayItems(body io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := &itemReader{from: body}
		in.decoder = json.NewDecoder(in)
		if begin, err := in.decoder.Token(); err != nil || begin != json.Delim('[') {
			yield(nil, bodyFault(err, errMalformed))
			return
		}
		for in.decoder.More() {
			var item json.RawMessage
			if err := in.decoder.Decode(&item); err != nil {
				yield(nil, bodyFault(err, errMalformed))
				return
			}
			if !yield(item, nil) {
				return
			}
		}
		if _, err := in.decoder.Token(); err != nil { // the array is not closed
			yield(nil, bodyFault(err, errMalformed))
		} else if _, err := in.decoder.Token(); !errors.Is(err, io.EOF) {
			yield(nil, bodyFault(err, errMalformed))
		}
	}
}

// itemReader lets a decoder read no more of an element than an item may have.
type itemReader struct {
	from    io.Reader
	decoder *json.Decoder
	read    int64
}

// Read ends with errTooLarge when what came since the last element is longer than an item may be.
func (i *itemReader) Read(b []byte) (int, error) {
	if i.read-i.decoder.InputOffset() > licence.MaxJSON {
		return 0, errTooLarge
	}
	n, err := i.from.Read(b)
	i.read += int64(n)
	return n, err
}

// licenceBatchJSON is a batch of licences as its client sees it.
type licenceBatchJSON struct {
	ID     string `json:"id"`
	Status string `json:"status"` // running, cancelling, cancelled or done
	Items  int    `json:"items"`
	// Counts has every state.
	Counts map[registry.ItemState]int `json:"counts"`
	// Rate is how many items were settled in a second, from when the batch was submitted.
	Rate        float64    `json:"rate"`
	SubmittedAt time.Time  `json:"submitted_at"`
	CancelledAt *time.Time `json:"cancelled_at,omitempty"`
	EndedAt     *time.Time `json:"ended_at,omitempty"`
	// KeptUntil is when what came of it is forgotten; absent until it has ended.
	KeptUntil *time.Time `json:"kept_until,omitempty"`
}

func (x *exchange) licenceBatchJSON(b registry.Batch) licenceBatchJSON {
	v := licenceBatchJSON{ID: b.ID, Status: "running", Items: b.Items, Counts: map[registry.ItemState]int{}, SubmittedAt: b.SubmittedAt,
		CancelledAt: givenInstant(b.CancelledAt), EndedAt: givenInstant(b.EndedAt)}
	for _, state := range []registry.ItemState{registry.ItemWaiting, registry.ItemRunning, registry.ItemIssued, registry.ItemFailed, registry.ItemDuplicate, registry.ItemCancelled} {
		v.Counts[state] = b.Counts[state]
	}
	until := x.now()
	if v.EndedAt != nil {
		kept := v.EndedAt.Add(batches.Kept)
		v.KeptUntil, until = &kept, *v.EndedAt
	}
	switch {
	case v.CancelledAt != nil && v.EndedAt != nil:
		v.Status = "cancelled"
	case v.CancelledAt != nil:
		v.Status = "cancelling"
	case v.EndedAt != nil:
		v.Status = "done"
	}
	if elapsed := until.Sub(b.SubmittedAt).Seconds(); elapsed > 0 {
		settled := float64(b.Counts[registry.ItemIssued] + b.Counts[registry.ItemFailed])
		v.Rate = float64(int(10*settled/elapsed)) / 10
	}
	return v
}

// licenceBatchProgress tells how far a batch has come.
func (x *exchange) licenceBatchProgress() (func(), audit.Receipt, error) {
	b, receipt, err := x.cfg.Batches.Read(x.r.Context(), x.caller, x.name)
	return func() { x.json(http.StatusOK, x.licenceBatchJSON(b)) }, receipt, err
}

// cancelLicenceBatch keeps what waits in a batch from being begun.
func (x *exchange) cancelLicenceBatch(struct{}) (licenceBatchJSON, audit.Receipt, error) {
	key, err := x.idempotencyKey()
	if err != nil {
		return licenceBatchJSON{}, audit.Receipt{}, err
	}
	b, receipt, err := x.cfg.Batches.Cancel(x.r.Context(), x.caller, x.name, key)
	return x.licenceBatchJSON(b), receipt, err
}

// parseNothing reads a body of an empty object.
func parseNothing(body []byte) (struct{}, error) {
	return parseJSON(body, func(*reader) struct{} { return struct{}{} })
}

// outcomeJSON is what came of one item.
type outcomeJSON struct {
	Index int `json:"index"`
	// Key is the client's own name for the item.
	Key     string             `json:"key,omitempty"`
	State   registry.ItemState `json:"state"`
	Licence *registry.Issued   `json:"licence,omitempty"`
	Problem *problem           `json:"problem,omitempty"`
}

// outcomesJSON is one page of what came of items.
type outcomesJSON struct {
	Items []outcomeJSON `json:"items"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor"`
}

// licenceBatchItems tells what came of the items of a batch.
func (x *exchange) licenceBatchItems() (func(), audit.Receipt, error) {
	from, limit, err := x.itemPage()
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	items, receipt, err := x.cfg.Batches.Items(x.r.Context(), x.caller, x.name, from, limit)
	page := outcomesJSON{Items: make([]outcomeJSON, 0, len(items))}
	for _, i := range items {
		o := outcomeJSON{Index: i.Position, Key: i.Key, State: i.State, Licence: i.Issued}
		if i.Problem != nil {
			o.Problem = itemProblem(*i.Problem, "batch-"+x.name)
		}
		page.Items = append(page.Items, o)
	}
	if len(items) == limit {
		page.NextCursor = strictBase64.EncodeToString([]byte(strconv.Itoa(from + limit)))
	}
	return func() { x.json(http.StatusOK, page) }, receipt, err
}

// itemPage reads the query parameters after, a cursor, and limit.
func (x *exchange) itemPage() (from, limit int, err error) {
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	limit = registry.MaxPage
	for name, given := range values {
		number := given[0]
		if name == "after" {
			var raw []byte
			raw, err = strictBase64.DecodeString(number)
			number = string(raw)
		}
		n, fault := strconv.Atoi(number)
		switch {
		case err != nil || fault != nil || len(given) > 1 || n < 0 || n > registry.MaxBatchItems:
			return 0, 0, errBadParameter
		case name == "after":
			from = n
		case name == "limit" && n > 0 && n <= registry.MaxPage:
			limit = n
		default:
			return 0, 0, errBadParameter
		}
	}
	if err != nil {
		return 0, 0, errBadParameter
	}
	return from, limit, nil
}

// itemProblem is the problem document that the item would have met by itself.
func itemProblem(p batches.Problem, requestID string) *problem {
	code := p.Code
	known, ok := statuses[code]
	if !ok {
		known.status, known.title, code = http.StatusInternalServerError, "Internal error", "internal"
	}
	doc := problem{Type: "urn:elicence:problem:" + code, Title: known.title, Status: known.status, Detail: p.Detail, Code: code, RequestID: requestID}
	if doc.Detail == "" {
		doc.Detail = details[code]
	}
	for _, f := range p.Fields {
		doc.Errors = append(doc.Errors, problemField(f))
	}
	return &doc
}
