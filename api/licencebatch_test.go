package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"elicence/licence/registry"
	"elicence/licence/registry/batches"
)

const licenceBatchPath = "/api/v1/licences/batch"

// licenceBatch is a batch of licences as a client sees it.
type licenceBatch struct {
	ID, Status  string
	Items       int
	Counts      map[string]int
	Rate        float64
	SubmittedAt time.Time  `json:"submitted_at"`
	EndedAt     *time.Time `json:"ended_at"`
	KeptUntil   *time.Time `json:"kept_until"`
}

// outcomes are a page of what came of items.
type outcomes struct {
	Items []struct {
		Index      int
		Key, State string
		Licence    *registry.Issued
		Problem    *problem
	}
	NextCursor string `json:"next_cursor"`
}

// itemFor is an item to issue a sample; n makes it another one.
func (w *world) itemFor(key string, n int) string {
	body := strings.Replace(string(sample(w.t, food)), `"case_number"`, fmt.Sprintf(`"case_number":"N%d","x"`, n), 1)
	at := strings.Index(body, `"x"`)
	end := at + strings.Index(body[at:], ",")
	body = strings.ReplaceAll(body[:at-1]+body[end:], "\n", " ")
	return fmt.Sprintf(`{"operation":"issue","key":%q,"request":%s}`, key, body)
}

func (w *world) submitBatch(q ask) licenceBatch {
	w.t.Helper()
	q.method, q.path = "POST", licenceBatchPath
	a := w.do(q)
	var b licenceBatch
	if a.json(w.t, &b); a.StatusCode != http.StatusAccepted || a.Header.Get("Location") != licenceBatchPath+"/"+b.ID || a.Header.Get("Elicence-Log-Index") == "" {
		w.t.Fatalf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	return b
}

func (w *world) read(path string, into any) {
	w.t.Helper()
	a := w.do(ask{method: "GET", path: path, as: approval})
	if a.json(w.t, into); a.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
	}
}

// TestLicenceBatch sends batches in both forms, and fetches what came of them page by page.
func TestLicenceBatch(t *testing.T) {
	w := open(t)
	items := []string{w.itemFor("a", 1), w.itemFor("b", 2), `{"operation":"issue","request":{"type_code":"1"}}`, w.itemFor("c", 1), w.itemFor("d", 3)}
	states := []string{"issued", "issued", "failed", "duplicate", "issued"}
	for i, q := range []ask{
		{mediaType: "application/x-ndjson", body: []byte("\n" + strings.Join(items, "\n\n") + "\n")},
		{mediaType: "application/json", body: []byte(" [ " + strings.Join(items, " , ") + " ] ")},
	} {
		q.as, q.key = approval, fmt.Sprint("k", i)
		sent := w.submitBatch(q)
		if sent.Status != "running" || sent.Items != len(items) || sent.Counts["waiting"] != 4 || sent.Counts["duplicate"] != 1 {
			t.Errorf("%+v", sent)
		}
		if again := w.submitBatch(q); again.ID != sent.ID {
			t.Errorf("repeated: %s, then %s", sent.ID, again.ID)
		}
		for range 2 { // the second ends it
			must(t, w.Batches().Work(t.Context()))
		}
		var got licenceBatch
		if w.read(licenceBatchPath+"/"+sent.ID, &got); got.Status != "done" || got.Counts["issued"] != 3 || got.Counts["failed"] != 1 || got.EndedAt == nil || !got.KeptUntil.Equal(got.EndedAt.Add(batches.Kept)) {
			t.Errorf("%+v", got)
		}
		next := "?limit=2"
		for n := 0; n < len(items); {
			var page outcomes
			w.read(licenceBatchPath+"/"+sent.ID+"/items"+next, &page)
			for _, o := range page.Items {
				if o.Index != n || o.State != states[n] || (o.Licence != nil) != (o.State == "issued") || (o.Problem != nil) != (o.State == "failed" || o.State == "duplicate") {
					t.Errorf("item %d: %+v", n, o)
				}
				if o.Licence != nil && !strings.Contains(string(w.download(o.Licence.Identifier)), "%PDF") {
					t.Errorf("item %d has no file", n)
				}
				if n == 2 && (o.Problem.Code != "invalid_request" || o.Problem.Status != 422 || o.Problem.Errors[0].Field != "request.case_number") {
					t.Errorf("item %d: %+v", n, o.Problem)
				}
				n++
			}
			if (page.NextCursor == "") != (n == len(items)) {
				t.Fatalf("cursor %q after %d", page.NextCursor, n)
			}
			next = "?limit=2&after=" + page.NextCursor
		}
	}
}

// TestLicenceBatchRefused: what cannot be read to its end is no batch.
func TestLicenceBatchRefused(t *testing.T) {
	w := open(t)
	for _, client := range []string{approval, partner, elsewhere} {
		w.token(client)
	}
	good := w.itemFor("a", 1)
	lines, array := "application/x-ndjson", "application/json"
	for name, c := range map[string]struct {
		q      ask
		status int
		code   string
	}{
		"no token":           {ask{mediaType: lines, key: "k", body: []byte(good)}, 401, "unauthenticated"},
		"partner":            {ask{as: partner, mediaType: lines, key: "k", body: []byte(good)}, 403, "forbidden"},
		"no key":             {ask{as: approval, mediaType: lines, body: []byte(good)}, 400, "idempotency_key_missing"},
		"media type":         {ask{as: approval, mediaType: "text/plain", key: "k", body: []byte(good)}, 415, "unsupported_media_type"},
		"no lines":           {ask{as: approval, mediaType: lines, key: "k", body: []byte("\n\n")}, 422, "batch_size"},
		"no elements":        {ask{as: approval, mediaType: array, key: "k", body: []byte("[]")}, 422, "batch_size"},
		"no array":           {ask{as: approval, mediaType: array, key: "k", body: []byte(good)}, 400, "malformed_json"},
		"cut":                {ask{as: approval, mediaType: array, key: "k", body: []byte("[" + good + "," + good[:40])}, 400, "malformed_json"},
		"never closed":       {ask{as: approval, mediaType: array, key: "k", body: []byte("[" + good)}, 400, "malformed_json"},
		"more behind":        {ask{as: approval, mediaType: array, key: "k", body: []byte("[" + good + "] []")}, 400, "malformed_json"},
		"an endless line":    {ask{as: approval, mediaType: lines, key: "k", body: []byte(good + "\n" + strings.Repeat("x", 300<<10))}, 413, "too_large"},
		"an endless element": {ask{as: approval, mediaType: array, key: "k", body: []byte("[" + good + `,"` + strings.Repeat("x", 1<<20) + `"]`)}, 413, "too_large"},
	} {
		before := w.size()
		c.q.method, c.q.path = "POST", licenceBatchPath
		a := w.do(c.q)
		if a.StatusCode < 400 {
			t.Errorf("%s: %d", name, a.StatusCode)
			continue
		}
		if p := problemIn(t, a); p.Status != c.status || p.Code != c.code {
			t.Errorf("%s: %+v", name, p)
		}
		if e := w.since(before); len(e) != 1 || e[0].Action != registry.ActionBatch {
			t.Errorf("%s: the log has %+v", name, e)
		}
	}
	if open, err := w.Backend.OpenBatches(t.Context(), ""); err != nil || len(open) > 0 {
		t.Errorf("left: %+v, %v", open, err)
	}
	sent := w.submitBatch(ask{as: approval, mediaType: lines, key: "k", body: []byte(good)})
	items := licenceBatchPath + "/" + sent.ID + "/items"
	for _, query := range []string{"?limit=0", "?limit=101", "?limit=x", "?after=!", "?after=LTE", "?limit=1&limit=2", "?x=1", "?after=%zz"} {
		if p := problemIn(t, w.do(ask{method: "GET", path: items + query, as: approval})); p.Code != "malformed_parameter" {
			t.Errorf("%s: %+v", query, p)
		}
	}
	for _, q := range []ask{{method: "GET", path: licenceBatchPath + "/" + sent.ID}, {method: "GET", path: items}, {method: "POST", path: licenceBatchPath + "/" + sent.ID + "/cancel", key: "c", body: []byte("{}")}} {
		q.as = elsewhere
		if p := problemIn(t, w.do(q)); p.Status != 404 || p.Code != "no_such_batch" {
			t.Errorf("%s: %+v", q.path, p)
		}
	}
	a := w.do(ask{method: "POST", path: licenceBatchPath + "/" + sent.ID + "/cancel", as: approval, key: "c", body: []byte("{}")})
	var got licenceBatch
	if a.json(t, &got); a.StatusCode != 200 || got.Status != "cancelling" || got.Counts["cancelled"] != 1 {
		t.Errorf("cancelled: %d %s", a.StatusCode, a.body)
	}
}
