package api_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/event"
	"elicence/licence/registry"

	"github.com/google/go-cmp/cmp"
)

// subscriptionBody asks to be told of licences.
func subscriptionBody(t testing.TB, members map[string]any) []byte {
	return with(t, map[string]any{"url": "https://receiver.example.gov.cn/events?token=secret", "types": []string{foodType}}, members)
}

// subscribed is a new subscription of a client.
func (w *world) subscribed(client string) string {
	w.t.Helper()
	w.token(client)
	return w.made("/api/v1/subscriptions", client, fmt.Sprint("subscribe-", w.size()), subscriptionBody(w.t, nil))
}

// disableSubscription disables one, as when its receiver is gone.
func (w *world) disableSubscription(id string) {
	w.t.Helper()
	must(w.t, w.Backend.Batch(w.t.Context(), func(tx audit.Tx) error {
		return tx.(registry.Tx).DisableSubscription(w.t.Context(), id, event.ReasonGone, w.Now())
	}))
}

// allSubscriptions are those of all departments.
func (w *world) allSubscriptions() []event.Subscription {
	w.t.Helper()
	all, err := w.Backend.Subscriptions(w.t.Context(), registry.SubscriptionQuery{Limit: 1000})
	must(w.t, err)
	return all
}

// TestSubscriptions walks a subscription through its life: its secret is not shown, what was not
// told is listed in pages and told again, and metrics count it.
func TestSubscriptions(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.token(approval)
	first := w.subscribed(approval)
	for i := range 3 {
		w.issue(food, fmt.Sprint("s", i))
	}
	claimed, err := w.Subscriptions().Claim(t.Context(), w.allSubscriptions()[0], time.Minute, 2)
	must(t, err)
	must(t, w.Subscriptions().Settle(t.Context(), claimed[0], event.Outcome{Fault: "http_410", Gone: true}, 0))
	must(t, w.Subscriptions().Tidy(t.Context()))

	get := func(path string, into any) answer {
		t.Helper()
		a := w.do(ask{method: "GET", path: path, as: approval})
		if a.json(t, into); a.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
		}
		return a
	}
	var list struct {
		Subscriptions []struct{ ID, URL, Status, Reason string }
		NextCursor    string `json:"next_cursor"`
	}
	a := get("/api/v1/subscriptions", &list)
	want := struct{ ID, URL, Status, Reason string }{first, "https://receiver.example.gov.cn/events?…", "disabled", event.ReasonGone}
	if len(list.Subscriptions) != 1 || list.Subscriptions[0] != want || strings.Contains(string(a.body), "secret") {
		t.Errorf("listed: %s", a.body)
	}
	if metrics := w.do(ask{method: "GET", path: "/metrics"}); !strings.Contains(string(metrics.body), `elicence_event_subscriptions_disabled{reason="receiver_gone"} 1`) ||
		!strings.Contains(string(metrics.body), "elicence_events_dead 3") || !strings.Contains(string(metrics.body), "elicence_events_due 0") {
		t.Errorf("metrics: %s", metrics.body)
	}
	post := func(action, key string, body string, status int) answer {
		t.Helper()
		a := w.do(ask{method: "POST", path: "/api/v1/subscriptions/" + first + "/" + action, as: approval, key: key, body: []byte(body)})
		if a.StatusCode != status {
			t.Fatalf("%s: %d %s", action, a.StatusCode, a.body)
		}
		return a
	}
	post("replay", "k1", `{}`, http.StatusConflict)
	post("enable", "k2", `{}`, http.StatusUnprocessableEntity)
	post("enable", "k2", `{"reason":"r"}`, http.StatusOK)
	var faults []string
	var ids []string
	for cursor, more := "", true; more; more = cursor != "" {
		var page struct {
			Events     []struct{ ID, Fault, Subject string }
			NextCursor string `json:"next_cursor"`
		}
		get("/api/v1/subscriptions/"+first+"/dead?limit=2&cursor="+cursor, &page)
		for _, e := range page.Events {
			faults, ids = append(faults, e.Fault), append(ids, e.ID)
			if _, err := licence.ParseIdentifier(e.Subject); err != nil {
				t.Error(err)
			}
		}
		cursor = page.NextCursor
	}
	if diff := cmp.Diff(faults, []string{"http_410", event.ReasonGone, event.ReasonGone}); diff != "" {
		t.Errorf("dead: %s", diff)
	}
	for _, c := range []struct {
		body string
		want int
	}{{`{"event":"` + ids[1] + `"}`, 1}, {`{"event":"` + ids[1] + `"}`, 0}, {`{"reason":"r"}`, 2}, {`{}`, 0}} {
		var done struct{ Events int }
		post("replay", fmt.Sprint("r", w.size()), c.body, http.StatusOK).json(t, &done)
		if done.Events != c.want {
			t.Errorf("%s: %d told again, want %d", c.body, done.Events, c.want)
		}
	}
	post("remove", "k3", `{"reason":"r"}`, http.StatusOK)
	post("remove", "k3", `{"reason":"r"}`, http.StatusOK) // a repetition
	post("remove", "k4", `{"reason":"r"}`, http.StatusNotFound)
}

// TestSubscriptionBad tries what is no subscription, and no page.
func TestSubscriptionBad(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.token(approval)
	for what, c := range map[string]struct {
		members map[string]any
		status  int
		code    string
	}{
		"no url":          {map[string]any{"url": nil}, 422, "invalid_request"},
		"http":            {map[string]any{"url": "http://receiver.example.gov.cn/"}, 422, "invalid_request"},
		"loopback":        {map[string]any{"url": "https://127.0.0.1/"}, 422, "invalid_request"},
		"mapped":          {map[string]any{"url": "https://[::ffff:10.0.0.1]/"}, 422, "invalid_request"},
		"link-local":      {map[string]any{"url": "https://169.254.169.254/"}, 422, "invalid_request"},
		"unknown host":    {map[string]any{"url": "https://nowhere.example.com/"}, 422, "invalid_request"},
		"header in url":   {map[string]any{"url": "https://receiver.example.gov.cn/\r\nX: y"}, 422, "invalid_request"},
		"long url":        {map[string]any{"url": "https://receiver.example.gov.cn/" + strings.Repeat("a", 1024)}, 422, "invalid_request"},
		"no types":        {map[string]any{"types": nil}, 422, "invalid_request"},
		"wildcard type":   {map[string]any{"types": []string{"%"}}, 422, "invalid_request"},
		"another's type":  {map[string]any{"types": []string{birthType}}, 403, "forbidden"},
		"unknown event":   {map[string]any{"events": []string{"elicence.licence.read"}}, 422, "invalid_request"},
		"wildcard event":  {map[string]any{"events": []string{"*"}}, 422, "invalid_request"},
		"client":          {map[string]any{"client": partner}, 422, "invalid_request"},
		"status":          {map[string]any{"status": "active"}, 422, "invalid_request"},
		"types no list":   {map[string]any{"types": foodType}, 422, "invalid_request"},
		"too many events": {map[string]any{"events": make([]string, 20)}, 422, "invalid_request"},
	} {
		a := w.do(ask{method: "POST", path: "/api/v1/subscriptions", as: approval, key: "bad", body: subscriptionBody(t, c.members)})
		var problem struct{ Code string }
		if a.json(t, &problem); a.StatusCode != c.status || problem.Code != c.code {
			t.Errorf("%s: %d %s, want %d %s", what, a.StatusCode, a.body, c.status, c.code)
		}
	}
	if len(w.allSubscriptions()) != 0 {
		t.Errorf("made: %+v", w.allSubscriptions())
	}
	id := w.subscribed(approval)
	for _, query := range []string{"?cursor=x", "?cursor=" + base64.RawURLEncoding.EncodeToString([]byte("-1")), "?limit=0", "?limit=101", "?limit=1&limit=2", "?state=dead"} {
		if a := w.do(ask{method: "GET", path: "/api/v1/subscriptions/" + id + "/dead" + query, as: approval}); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, a.StatusCode, a.body)
		}
	}
	for _, name := range []string{"x", strings.Repeat("0", 32), "%27%20OR%201=1"} {
		if a := w.do(ask{method: "GET", path: "/api/v1/subscriptions/" + name + "/dead", as: approval}); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	for range event.MaxSubscriptions - 1 {
		w.subscribed(approval)
	}
	a := w.do(ask{method: "POST", path: "/api/v1/subscriptions", as: approval, key: "one-more", body: subscriptionBody(t, nil)})
	if a.StatusCode != http.StatusConflict || !strings.Contains(string(a.body), "too_many_subscriptions") {
		t.Errorf("one more: %d %s", a.StatusCode, a.body)
	}
}
