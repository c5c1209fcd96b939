package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/batches"
	"elicence/licence/registry/registrytest"
	"elicence/licence/registry/statistics"

	"github.com/google/go-cmp/cmp"
)

// batching is a service with a registered client that sends batches.
type batching struct {
	*registrytest.Service
	t      *testing.T
	client registry.Caller
	n      int
}

func newBatching(t *testing.T) *batching {
	b := &batching{Service: open(t), t: t}
	_, b.client = sample(t, "food-retail.json")
	b.register(b.client, false)
	return b
}

func (b *batching) register(c registry.Caller, disabled bool) {
	b.t.Helper()
	_, err := b.PutClient(b.t.Context(), registry.System("test"), registry.Client{ID: c.Principal, Roles: c.Roles, Authority: c.Authority, Types: c.Types,
		Salt: []byte("s"), SecretHash: []byte("h"), Disabled: disabled})
	must(b.t, err)
}

// itemJSON is an item to issue a sample, changed by members, with a case number of its own.
func (b *batching) itemJSON(key string, members map[string]any) []byte {
	b.t.Helper()
	b.n++
	body, _ := sample(b.t, "food-retail.json")
	var request map[string]any
	must(b.t, json.Unmarshal(body, &request))
	request["case_number"] = fmt.Sprint("batch-", b.n)
	for name, value := range members {
		request[name] = value
	}
	item := map[string]any{"operation": "issue", "request": request}
	if key != "" {
		item["key"] = key
	}
	raw, err := json.Marshal(item)
	must(b.t, err)
	return raw
}

func renewal(id licence.Identifier, body string) []byte {
	return fmt.Appendf(nil, `{"operation":"renew","identifier":%q,"request":%s}`, id, body)
}

// those are items that end with an error, unless it is nil.
func those(items [][]byte, fault error) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, i := range items {
			if !yield(i, nil) {
				return
			}
		}
		if fault != nil {
			yield(nil, fault)
		}
	}
}

func (b *batching) submit(key string, items ...[]byte) registry.Batch {
	b.t.Helper()
	batch, _, err := b.Batches().Submit(b.t.Context(), b.client, batches.Request{Key: key, Items: those(items, nil)})
	must(b.t, err)
	return batch
}

// outcomes are those of a batch, a line each: state, code, fields.
func (b *batching) outcomes(id string) (lines []string, all []batches.Outcome) {
	b.t.Helper()
	for {
		page, _, err := b.Batches().Items(b.t.Context(), b.client, id, len(all), 7)
		must(b.t, err)
		if len(page) == 0 {
			return lines, all
		}
		for _, o := range page {
			line := string(o.State)
			if o.Problem != nil {
				line += " " + o.Problem.Code
				for _, f := range o.Problem.Fields {
					line += " " + f.Field + "=" + f.Code
				}
			}
			lines = append(lines, line)
		}
		all = append(all, page...)
	}
}

// work works on all batches, and once more for the last to be ended.
func (b *batching) work(r *registry.Registry) {
	b.t.Helper()
	must(b.t, errors.Join(batches.New(r).Work(b.t.Context()), batches.New(r).Work(b.t.Context())))
}

func (b *batching) wantCounts(id string, want map[registry.ItemState]int) registry.Batch {
	b.t.Helper()
	batch, _, err := b.Batches().Read(b.t.Context(), b.client, id)
	if diff := cmp.Diff(batch.Counts, want); err != nil || diff != "" {
		b.t.Errorf("counts (-got +want): %v\n%s", err, diff)
	}
	return batch
}

// TestBatch: whatever is wrong with an item is that item's own affair.
func TestBatch(t *testing.T) {
	b := newBatching(t)
	renewed, again := issue(t, b.Service, "food-retail.json", "a").Identifier, issue(t, b.Service, "food-retail.json", "b").Identifier
	other := issue(t, b.Service, "qualification-one.json", "c").Identifier
	twin := b.itemJSON("", nil)
	twisted := []byte(strings.Replace(string(twin), `{"operation"`, `{ "operation"`, 1))
	_, stranger := sample(t, "qualification-one.json")
	cases := []struct {
		item []byte
		want string
	}{
		{b.itemJSON("first", nil), "issued"},
		{twin, "issued"},
		{twisted, "duplicate duplicate_item"},
		{b.itemJSON("first", nil), "duplicate duplicate_item"},
		{b.itemJSON("", map[string]any{"issued_on": "2026-02-30"}), "failed invalid_request request.issued_on=bad_format"},
		{b.itemJSON("", map[string]any{"holder": 1, "x": 1}), "failed invalid_request request.holder=wrong_type request.holder.code=missing"},
		{b.itemJSON("", map[string]any{"type_code": stranger.Types[0]}), "failed forbidden"},
		{b.itemJSON("", map[string]any{"type_code": "1"}), "failed invalid_request request.type_code=unknown_type"},
		{[]byte(`{"operation":"issue",`), "failed invalid_request =malformed_json"},
		{[]byte(`{"operation":"issue","operation":"issue","request":{}}`), "failed invalid_request operation=duplicate_member"},
		{[]byte(`[]`), "failed invalid_request =wrong_type operation=not_allowed request=missing"},
		{[]byte(`{"operation":"revoke","request":{}}`), "failed invalid_request operation=not_allowed"},
		{[]byte(`{"operation":"issue","request":{},"identifier":"1"}`), "failed invalid_request =unknown_field"},
		{[]byte(`{"operation":"issue","request":[],"key":"two words"}`), "failed invalid_request key=bad_format request=missing"},
		{[]byte(`{"operation":1,"request":{},"key":2}`), "failed invalid_request key=wrong_type operation=wrong_type operation=not_allowed"},
		{[]byte(`{"operation":"renew","request":{}}`), "failed invalid_request identifier=bad_format"},
		{renewal(renewed, bodies[licence.OpRenew]), "issued"},
		{renewal(renewed, bodies[licence.OpRenew]), "duplicate duplicate_item"},
		{renewal(again, `{"reason":"r"}`), "failed invalid_request"},
		{renewal(other, bodies[licence.OpRenew]), "failed not_found"},
		{renewal("1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U", bodies[licence.OpRenew]), "failed not_found"},
		{b.itemJSON("last", nil), "issued"},
	}
	var items [][]byte
	for _, c := range cases {
		items = append(items, c.item)
	}
	from := size(t, b.Service)
	batch := b.submit("k", items...)
	if batch.Items != len(cases) || batch.Counts[registry.ItemWaiting] != len(cases)-3 || batch.Counts[registry.ItemDuplicate] != 3 {
		t.Errorf("submitted: %+v", batch)
	}
	wantTrail(t, b.Service, from, "batch allowed")
	from = size(t, b.Service)
	b.work(b.Registry)
	refused := 0
	for _, line := range trail(t, b.Service, from) {
		if strings.Contains(line, "refused") {
			refused++
		}
	}
	lines, all := b.outcomes(batch.ID)
	for i, c := range cases {
		if !strings.HasPrefix(lines[i], c.want) {
			t.Errorf("item %d is %q, want %q: %s", i, lines[i], c.want, c.item)
		}
	}
	batch = b.wantCounts(batch.ID, map[registry.ItemState]int{registry.ItemIssued: 4, registry.ItemFailed: 15, registry.ItemDuplicate: 3})
	if refused != 15 || batch.EndedAt.IsZero() {
		t.Errorf("%d refusals in the log; ended %v", refused, batch.EndedAt)
	}
	if all[0].Key != "first" || all[0].Issued.Status != licence.StatusValid || all[16].Issued.Supersedes != renewed || !strings.Contains(all[2].Problem.Detail, "item 1") {
		t.Errorf("outcomes %+v", all)
	}
	file, _, err := b.Download(t.Context(), b.client, all[21].Issued.Identifier, registry.Use{})
	must(t, err)
	passes(t, b.Service, file)
}

// TestBatchResumed: what is at work when a server dies is finished by another, once.
func TestBatchResumed(t *testing.T) {
	b := newBatching(t)
	dying := b.Config
	var checked atomic.Int32
	dying.Check = func(ctx context.Context, f *pdfsig.File, at time.Time) error {
		if checked.Add(1)%2 == 0 {
			return errors.New("killed here")
		}
		return b.Config.Check(ctx, f, at)
	}
	dead, err := registry.New(dying)
	must(t, err)
	var items [][]byte
	for range 10 {
		items = append(items, b.itemJSON("", nil))
	}
	batch := b.submit("k", items...)
	if err := batches.New(dead).Work(t.Context()); !errors.Is(err, registry.ErrUnfinished) {
		t.Fatal(err)
	}
	batch, _, err = b.Batches().Read(t.Context(), b.client, batch.ID)
	must(t, err)
	leased := batch.Counts[registry.ItemRunning]
	b.work(b.Registry) // the leases have not lapsed
	b.wantCounts(batch.ID, map[registry.ItemState]int{registry.ItemIssued: 10 - leased, registry.ItemRunning: leased})
	b.Move(registry.Lease + time.Second)
	finished, voided, err := b.Recover(t.Context())
	if finished == 0 || voided != 0 || err != nil {
		t.Errorf("recovered %d, voided %d, %v", finished, voided, err)
	}
	b.work(b.Registry) // what was claimed and not begun
	if batch = b.wantCounts(batch.ID, map[registry.ItemState]int{registry.ItemIssued: 10}); batch.EndedAt.IsZero() {
		t.Error("the batch has not ended")
	}
	b.wantEachOnce(batch.ID, 10)
}

// wantEachOnce compares the outcomes of a batch with the register.
func (b *batching) wantEachOnce(id string, want int) {
	b.t.Helper()
	_, all := b.outcomes(id)
	numbers := map[string]bool{}
	for _, o := range all {
		v, _, err := b.Get(b.t.Context(), b.client, o.Issued.Identifier, registry.Use{})
		must(b.t, err)
		if v.Status != licence.StatusValid || v.Number != o.Issued.Number {
			b.t.Errorf("%s is %s, number %s", v.Identifier, v.Status, v.Number)
		}
		numbers[v.Number] = true
	}
	counts, _, _, err := b.Statistics().Count(b.t.Context(), b.client, statistics.Query{}, registry.Use{})
	must(b.t, err)
	issued := 0
	for _, c := range counts {
		if c.Measure == "issued" {
			issued += int(c.Count)
		}
	}
	if len(numbers) != want || issued != want {
		b.t.Errorf("%d numbers, %d licences issued, want %d", len(numbers), issued, want)
	}
}

// TestBatchGivesWay: while a caller waits for a licence of his own, one item is worked on at a time.
func TestBatchGivesWay(t *testing.T) {
	b := newBatching(t)
	begun, release := make(chan struct{}), make(chan struct{})
	var calls, atOnce, most atomic.Int32
	parts := b.Config
	parts.Check = func(ctx context.Context, f *pdfsig.File, at time.Time) error {
		if calls.Add(1) == 1 { // the caller's
			close(begun)
			<-release
			return nil
		}
		most.Store(max(most.Load(), atOnce.Add(1))) // of one at a time; of more, any value over 1 does
		defer atOnce.Add(-1)
		time.Sleep(20 * time.Millisecond)
		return nil
	}
	r, err := registry.New(parts)
	must(t, err)
	var items [][]byte
	for range 16 {
		items = append(items, b.itemJSON("", nil))
	}
	batch := b.submit("k", items...)
	ended := make(chan error, 2)
	go func() {
		body, c := sample(t, "food-retail.json")
		_, _, err := r.Issue(t.Context(), c, registry.IssueRequest{Key: "own", Body: body})
		ended <- err
	}()
	<-begun
	go func() { ended <- batches.New(r).Work(t.Context()) }()
	for deadline := time.Now().Add(9 * time.Second); calls.Load() < 5 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if calls.Load() < 5 || most.Load() != 1 {
		t.Errorf("%d items were checked, %d at once", calls.Load()-1, most.Load())
	}
	close(release)
	must(t, errors.Join(<-ended, <-ended))
	b.wantCounts(batch.ID, map[registry.ItemState]int{registry.ItemIssued: 16})
	if most.Load() < 2 {
		t.Error("with nobody waiting, too, it worked on one item at a time")
	}
}

// TestBatchKilledBeforeIssue: an item that was claimed and not begun is claimed again.
func TestBatchKilledBeforeIssue(t *testing.T) {
	b := newBatching(t)
	batch := b.submit("k", b.itemJSON("", nil), b.itemJSON("", nil))
	claimed, err := b.Backend.ClaimItems(t.Context(), batch, b.Now(), b.Now().Add(registry.Lease), 1)
	if must(t, err); len(claimed) != 1 {
		t.Errorf("claimed %d", len(claimed))
	}
	b.work(b.Registry)
	b.wantCounts(batch.ID, map[registry.ItemState]int{registry.ItemIssued: 1, registry.ItemRunning: 1})
	b.Move(registry.Lease + time.Second)
	b.work(b.Registry)
	b.wantEachOnce(batch.ID, 2)
}

// TestBatchCancelled: what waits is never begun, what was begun is finished.
func TestBatchCancelled(t *testing.T) {
	b := newBatching(t)
	batch := b.submit("k", b.itemJSON("", nil), b.itemJSON("", nil), b.itemJSON("", nil))
	_, err := b.Backend.ClaimItems(t.Context(), batch, b.Now(), b.Now().Add(registry.Lease), 1)
	must(t, err)
	from := size(t, b.Service)
	for range 2 {
		_, _, err := b.Batches().Cancel(t.Context(), b.client, batch.ID, "c")
		must(t, err)
	}
	wantTrail(t, b.Service, from, "cancel_batch allowed", "cancel_batch allowed repeated")
	b.work(b.Registry)
	b.wantCounts(batch.ID, map[registry.ItemState]int{registry.ItemRunning: 1, registry.ItemCancelled: 2})
	b.Move(registry.Lease + time.Second)
	b.work(b.Registry)
	if got := b.wantCounts(batch.ID, map[registry.ItemState]int{registry.ItemIssued: 1, registry.ItemCancelled: 2}); got.EndedAt.IsZero() || got.CancelledAt.IsZero() {
		t.Errorf("%+v", got)
	}
	if lines, _ := b.outcomes(batch.ID); !slices.Equal(lines, []string{"issued", "cancelled", "cancelled"}) {
		t.Errorf("outcomes %v", lines)
	}
}
