package api_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"elicence/api"
	"elicence/api/identity"
	"elicence/licence"
)

// routeWalk is a service that the walk goes through.
type routeWalk struct {
	shared licence.Identifier // of the sharing services
	*world
	id, name string // of the path
	file     []byte
	n        int
	identity *identity.Provider // of the step
}

func (w *routeWalk) next() string { w.n++; return fmt.Sprint("walk-", w.n) }

// withToken is refused without its token.
func (w *routeWalk) withToken(q ask) walkStep {
	without := q
	without.as = ""
	return walkStep{q, without}
}

func (w *routeWalk) reads() walkStep {
	w.id = string(w.issue(food, w.next()).Identifier)
	return w.withToken(ask{as: approval})
}

// ofBatch asks about a batch of licences.
func (w *routeWalk) ofBatch(q ask) walkStep {
	w.name = w.submitBatch(ask{as: approval, key: w.next(), mediaType: "application/x-ndjson", body: []byte("{}")}).ID
	return w.withToken(q)
}

func (w *routeWalk) changes() walkStep {
	w.id = string(w.issue(food, w.next()).Identifier)
	return w.withToken(ask{as: approval, key: w.next(), body: []byte(`{"reason":"r"}`)})
}

// replaces is a new version.
func replaces(op string) func(w *routeWalk) walkStep {
	return func(w *routeWalk) walkStep {
		w.id = string(w.issue(food, w.next()).Identifier)
		return w.withToken(ask{as: approval, key: w.next(), body: []byte(versionBodies[op])})
	}
}

// keeps looks at a draft.
func (w *routeWalk) keeps() walkStep {
	w.name = keptType
	return w.withToken(ask{as: keeper, query: fmt.Sprint("?version=", w.draft())})
}

// moves moves a draft.
func (w *routeWalk) moves() walkStep {
	w.name = keptType
	return w.withToken(ask{as: publisher, key: w.next(), body: fmt.Appendf(nil, `{"version":%d,"reason":"r"}`, w.draft())})
}

// draft imports a version, and returns its number.
func (w *world) draft() int {
	a := w.do(ask{method: "POST", path: "/api/v1/catalogue", as: keeper, key: rand.Text(), body: importBody(w.t, nil)})
	var v struct{ Version int }
	if a.json(w.t, &v); a.StatusCode != http.StatusCreated {
		w.t.Fatalf("import: %d %s", a.StatusCode, a.body)
	}
	return v.Version
}

// verifies is refused for a body that nobody can read.
func (w *routeWalk) verifies() walkStep {
	return walkStep{ask{mediaType: "application/pdf", body: w.file}, ask{mediaType: "text/plain", body: []byte("x")}}
}

// sends is refused when another site sends the form.
func (w *routeWalk) sends() walkStep {
	q := formOf(w.t, part{"file", "a.pdf", string(w.file)})
	foreign := q
	foreign.header = map[string]string{"Sec-Fetch-Site": "cross-site"}
	return walkStep{q, foreign}
}

// looksUp is refused for a leaf hash that is none.
func (w *routeWalk) looksUp() walkStep {
	verified := w.size()
	w.do(ask{method: "POST", path: reportPath, mediaType: "application/pdf", body: w.file, remote: w.remote()})
	index := strconv.FormatUint(verified, 10)
	w.name = index + "-" + w.leaf(verified)
	return walkStep{ask{}, ask{name: index + "-" + strings.Repeat("0", 64)}}
}

// own is refused to a client that was disabled since it signed in.
func (w *routeWalk) own() walkStep {
	w.id = string(w.issue(food, w.next()).Identifier)
	session := func(client string) ask {
		return ask{header: map[string]string{"Cookie": "elicence_session=" + api.Mint(bytes.Repeat([]byte{7}, 32), 2, client, w.Now())}}
	}
	return walkStep{session(holder), session("gone")}
}

// ofDispute asks about a dispute.
func (w *routeWalk) ofDispute(q ask) walkStep {
	w.name = w.dispute(w.next(), w.issue(food, w.next()).Identifier)
	return w.withToken(q)
}

func (w *routeWalk) answers() walkStep {
	return w.ofDispute(ask{as: keeper, key: w.next(), body: []byte(`{"reason":"经核实"}`)})
}

// posts sends a form about a dispute.
func (w *routeWalk) posts(form string) walkStep {
	step := w.own()
	for _, q := range []*ask{&step.allowed, &step.refused} {
		q.mediaType, q.body = "application/x-www-form-urlencoded", []byte(form+"&key="+w.next())
	}
	return step
}

// ownForm is a form that the holder sends.
func (w *routeWalk) ownForm() ask {
	q := w.own().allowed
	q.mediaType = "application/x-www-form-urlencoded"
	return q
}

// fromElsewhere is refused when another site sends it.
func (w *routeWalk) fromElsewhere(q ask) walkStep {
	foreign := q
	foreign.header = maps.Clone(q.header)
	foreign.header["Sec-Fetch-Site"] = "cross-site"
	return walkStep{q, foreign}
}

// remote is an address that nothing came from yet, so that no rate limit is met.
func (w *routeWalk) remote() string {
	w.n++
	return fmt.Sprintf("198.18.%d.%d:1", w.n/250, w.n%250)
}

// along sends a request of the walk along a route.
func (w *routeWalk) along(route string, q ask) answer {
	q.method, q.path, _ = strings.Cut(route, " ")
	if q.name == "" {
		q.name = w.name
	}
	q.path = strings.NewReplacer(":identifier", w.id, ":batch", q.name, ":report", q.name, ":grant", q.name, ":case", q.name, ":brake", q.name, ":dispute", q.name, ":consent", q.name, ":copy", q.name, ":client", q.name, ":person", q.name, ":subscription", q.name, ":type", q.name).Replace(q.path) + q.query
	q.remote = w.remote()
	return w.do(q)
}
