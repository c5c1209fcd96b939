package api_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/api"
	"elicence/audit"
	"elicence/verify"
)

// batch is a batch of verifications as a client sees it.
type batch struct {
	ID, Status string
	ExpiresAt  time.Time `json:"expires_at"`
	Items      []struct {
		Index        int
		Name, Status string
		Report       map[string]any
		Problem      *problem
		Receipt      *struct {
			Index uint64
			Leaf  string
		}
	}
}

const batchPath = "/api/v1/verifications/batch"

// send sends a batch, which is accepted.
func (w *world) send(as string, handler http.Handler, parts ...part) batch {
	w.t.Helper()
	q := formOf(w.t, parts...)
	q.method, q.path, q.as, q.handler = "POST", batchPath, as, handler
	a := w.do(q)
	var b batch
	if a.json(w.t, &b); a.StatusCode != http.StatusAccepted || a.Header.Get("Location") != batchPath+"/"+b.ID || len(b.Items) == 0 {
		w.t.Fatalf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	return b
}

// results fetches a batch until it is done.
func (w *world) results(as string, handler http.Handler, id string) (b batch) {
	w.t.Helper()
	for range 2000 {
		a := w.do(ask{method: "GET", path: batchPath + "/" + id, as: as, handler: handler})
		if a.json(w.t, &b); a.StatusCode != http.StatusOK {
			w.t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		if b.Status == "done" {
			return b
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.t.Fatalf("never done: %+v", b)
	return b
}

// TestBatch verifies several things at once: each gets the verdict that it would get by
// itself, and its own log entry; nobody else sees the results, and nobody for ever.
func TestBatch(t *testing.T) {
	w := open(t)
	issued := w.issue(food, "v")
	file := w.download(issued.Identifier)
	changed := bytes.Clone(file)
	changed[len(file)/3] ^= 1
	w.token(verifier)
	w.token(partner)
	parts := []part{{"file", "好.pdf", string(file)}, {"qr", "", qrText(t, file)}, {"file", "b.pdf", string(changed)}, {"file", "c.pdf", "hello"},
		{"as_of", "", "2026-06-01"}, {"qr", "", "nonsense"}, {"file", "empty.pdf", ""}}
	before := w.size()
	sent := w.send(verifier, nil, parts...)
	got := w.results(verifier, nil, sent.ID)
	want := []struct{ name, indication, object string }{
		{"好.pdf", "TotalPassed", string(issued.Identifier)}, {"", "TotalPassed", string(issued.Identifier)}, {"b.pdf", "TotalFailed", ""},
		{"c.pdf", "TotalFailed", ""}, {"", "TotalFailed", ""}, {"empty.pdf", "TotalFailed", ""},
	}
	entries := w.since(before)
	if len(got.Items) != len(want) || len(entries) != len(want) || len(sent.Items) != len(want) {
		t.Fatalf("%d items, %d entries", len(got.Items), len(entries))
	}
	for i, item := range got.Items {
		if item.Index != i || item.Name != want[i].name || item.Status != "done" || item.Report["indication"] != want[i].indication || item.Report["as_of"] == nil {
			t.Errorf("item %d: %+v", i, item)
		}
		e := entries[i]
		if item.Receipt == nil || item.Receipt.Index != before+uint64(i) || e.Action != "verify" || e.Principal != verifier || e.Object != want[i].object || e.Result != audit.ResultAllowed {
			t.Errorf("item %d: receipt %+v, log %+v", i, item.Receipt, e)
		}
		if digest := item.Report["file_digest"]; digest != nil && digest != hex.EncodeToString(e.Digest) {
			t.Errorf("item %d: the log has another digest", i)
		}
	}
	if w.server.Held() != 0 {
		t.Errorf("%d bytes are still held", w.server.Held())
	}
	for name, q := range map[string]ask{
		"another client": {as: partner}, "another id": {as: verifier, path: batchPath + "/" + strings.Repeat("0", 32)}, "no id": {as: verifier, path: batchPath + "/x"},
	} {
		if q.method = "GET"; q.path == "" {
			q.path = batchPath + "/" + sent.ID
		}
		before := w.size()
		if p := problemIn(t, w.do(q)); p.Status != 404 || p.Code != "no_such_batch" || w.size() != before+1 {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if p := problemIn(t, w.do(ask{method: "GET", path: batchPath + "/" + sent.ID})); p.Code != "unauthenticated" {
		t.Errorf("anonymous: %+v", p)
	}
	elsewhere := w.serve(func(*api.Config) {})
	if diff := cmp.Diff(w.results(verifier, elsewhere, sent.ID), got); diff != "" {
		t.Errorf("from another server (-got +want):\n%s", diff)
	}
	if p := problemIn(t, w.do(ask{method: "GET", path: batchPath + "/" + sent.ID, as: partner, handler: elsewhere})); p.Code != "no_such_batch" {
		t.Errorf("another client's, from another server: %+v", p)
	}
	w.Move(9 * time.Minute)
	w.results(verifier, nil, sent.ID)
	w.tokens[verifier] = ""
	w.Move(6 * time.Minute)
	if p := problemIn(t, w.do(ask{method: "GET", path: batchPath + "/" + sent.ID, as: verifier})); p.Code != "no_such_batch" {
		t.Errorf("after a quarter of an hour: %+v", p)
	}
}

// TestBadBatch: what is no batch, or too much of one, is refused whole: one entry.
func TestBadBatch(t *testing.T) {
	w := open(t)
	w.token(verifier)
	w.token(auditor)
	many := make([]part, 101)
	for i := range many {
		many[i] = part{"qr", "", "x"}
	}
	as := func(client string, q ask) ask { q.as = client; return q }
	one := part{"qr", "", "x"}
	for name, c := range map[string]struct {
		ask
		code string
	}{
		"nothing":          {as(verifier, formOf(t)), "malformed_upload"},
		"a day alone":      {as(verifier, formOf(t, part{"as_of", "", "2026-05-01"})), "malformed_upload"},
		"101 items":        {as(verifier, formOf(t, many...)), "malformed_upload"},
		"another part":     {as(verifier, formOf(t, one, part{"colour", "", "red"})), "malformed_upload"},
		"two days":         {as(verifier, formOf(t, one, part{"as_of", "", ""}, part{"as_of", "", "2026-05-01"})), "malformed_upload"},
		"an empty text":    {as(verifier, formOf(t, part{"qr", "", ""})), "malformed_upload"},
		"a day to come":    {as(verifier, formOf(t, one, part{"as_of", "", "2126-05-01"})), "invalid_request"},
		"a long text":      {as(verifier, formOf(t, part{"qr", "", strings.Repeat("9", 5000)})), "too_large"},
		"a file too large": {as(verifier, formOf(t, part{"file", "a", strings.Repeat("x", api.MaxFile+1)})), "too_large"},
		"too much":         {as(verifier, formOf(t, part{"file", "a", strings.Repeat("x", api.MaxFile)}, part{"file", "a", strings.Repeat("x", api.MaxFile)})), "too_large"},
		"no form":          {ask{as: verifier, body: []byte(`{"qr":"x"}`)}, "unsupported_media_type"},
		"anonymous":        {formOf(t, one), "unauthenticated"},
		"an auditor":       {as(auditor, formOf(t, one)), "forbidden"},
	} {
		q := c.ask
		q.method, q.path = "POST", batchPath
		before := w.size()
		p := problemIn(t, w.do(q))
		if p.Code != c.code || p.Status != api.Statuses()[c.code] {
			t.Errorf("%s: %+v", name, p)
		}
		w.loggedOnce(t, before, p.RequestID, "verify")
		if w.server.Held() != 0 {
			t.Fatalf("%s: %d bytes are still held", name, w.server.Held())
		}
	}
}

// TestBatchBounds: a client, and all together, have only so many items at once.
func TestBatchBounds(t *testing.T) {
	w := open(t)
	w.token(verifier)
	w.token(partner)
	try := func(as string) string {
		q := formOf(t, part{"qr", "", "x"}, part{"qr", "", "y"})
		q.method, q.path, q.as = "POST", batchPath, as
		a := w.do(q)
		if a.StatusCode == http.StatusAccepted {
			return ""
		}
		if a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		return problemIn(t, a).Code
	}
	w.server.Crowd(verifier, api.MaxClientItems-3)
	if first, second, other := try(verifier), try(verifier), try(partner); first != "" || second != "rate_limited" || other != "" {
		t.Errorf("with room for one batch: %q, then %q, another client %q", first, second, other)
	}
	w.server.Crowd("others", api.MaxKeptItems-api.MaxClientItems)
	if got := try(partner); got != "rate_limited" {
		t.Errorf("with no room: %q", got)
	}
	w.server.Close()
}

// TestBatchStops: Close ends a batch after the item that is at work; a panic ends that
// item alone; the expired batch gives its room back.
func TestBatchStops(t *testing.T) {
	w := open(t)
	w.token(verifier)
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := w.serveOver(w.Backend, func(c *api.Config) {
			verifier := c.Verifier
			c.Verifier = func(r verify.Register) *verify.Verifier {
				if calls++; calls == 1 {
					panic("spoilt")
				}
				time.Sleep(time.Second)
				return verifier(r)
			}
		})
		sent := w.send(verifier, s, part{"qr", "", "1"}, part{"qr", "", "2"}, part{"qr", "", "3"}, part{"qr", "", "4"})
		time.Sleep(1500 * time.Millisecond) // the third is at work
		began := time.Now()
		s.Close()
		if took := time.Since(began); took != 500*time.Millisecond {
			t.Errorf("stopped after %s", took)
		}
		got := w.results(verifier, s, sent.ID)
		var seen []string
		for _, item := range got.Items {
			code := ""
			if item.Problem != nil {
				code = " " + item.Problem.Code
			}
			seen = append(seen, item.Status+code)
		}
		if want := "[failed internal done done failed cancelled]"; fmt.Sprint(seen) != want || len(w.failed.all()) == 0 || !strings.Contains(w.failed.all()[0].Error(), "spoilt") {
			t.Errorf("got %v, want %s; told %v", seen, want, w.failed.all())
		}
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		if s.Held() != 0 || s.Kept() != 0 {
			t.Errorf("%d bytes and %d items are kept", s.Held(), s.Kept())
		}
	})
}
