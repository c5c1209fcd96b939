package api_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"elicence/api"
	"elicence/audit"
	"elicence/licence/person"
	"elicence/licence/registry"
)

// noAccess are the routes that are no access to the register, with the reason of each.
// What is neither here nor in walked fails the walk.
var noAccess = map[string]string{
	"GET /openapi.yaml":        "the description of the interface",
	"GET /healthz":             "says that the process answers",
	"GET /readyz":              "says whether storage and log can be reached; shows nothing of a licence",
	"GET /metrics":             "counts, for those who watch",
	"GET /":                    "a page without data",
	"GET /V":                   "a page without data: what is verified comes by another request",
	"GET /v":                   "a page without data: what is verified comes by another request",
	"GET /V/":                  "leads to /V",
	"GET /v/":                  "leads to /V",
	"GET /pages/style.css":     "a static file",
	"GET /pages/verify.js":     "a static file",
	"GET /pages/live.js":       "a static file",
	"GET /pages/icon.svg":      "a static file",
	"GET /S/:code":             "a page without data: what the code presents is asked for by another request",
	"GET /holder/sign-in":      "says that a link is good; it is spent by another request",
	"GET /sign-in/holder":      "leads to the identity provider",
	"GET /sign-in/official":    "leads to the identity provider",
	"GET /official":            "tells an official who they are; a session that ended leaves an entry, see TestBadOfficialForms",
	"GET /official/grants/new": "a form without data, of what the catalogue says; what is asked for comes by another request",
	"GET /official/log":        "a form without data: what is searched for comes by another request",
	"POST /api/gbt36906/downloadUrlsByHolderCode": "refuses, and logs that; see TestSharing",
}

// walkStep is how a route is walked: a request that is allowed and one that is refused.
type walkStep struct{ allowed, refused ask }

// walked makes the requests of each route.
var walked = map[string]func(w *routeWalk) walkStep{
	"POST /api/v1/oauth/token": func(w *routeWalk) walkStep {
		form := "grant_type=client_credentials&client_id=" + verifier + "&client_secret="
		token := ask{mediaType: "application/x-www-form-urlencoded", body: []byte(form + verifier)}
		wrong := token
		wrong.body = []byte(form + "wrong")
		return walkStep{token, wrong}
	},
	"POST /api/v1/licences": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: approval, key: w.next(), body: sample(w.t, food)})
	},
	"POST /api/v1/licences/documents": func(w *routeWalk) walkStep {
		q := documentForm(w.t)
		q.as, q.key = elsewhere, w.next()
		return w.withToken(q)
	},
	"POST /api/v1/licences/imports": func(w *routeWalk) walkStep {
		q := externalForm(w.t, "sealed.ofd", map[string]any{"number": w.next()})
		q.key = w.next()
		return w.withToken(q)
	},
	"POST /api/v1/licences/search": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: holder, body: []byte(`{}`)})
	},
	"POST /api/v1/licences/batch": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: approval, key: w.next(), mediaType: "application/x-ndjson", body: []byte("{}")})
	},
	"GET /api/v1/licences/batch/:batch":       func(w *routeWalk) walkStep { return w.ofBatch(ask{as: approval}) },
	"GET /api/v1/licences/batch/:batch/items": func(w *routeWalk) walkStep { return w.ofBatch(ask{as: approval}) },
	"POST /api/v1/licences/batch/:batch/cancel": func(w *routeWalk) walkStep {
		return w.ofBatch(ask{as: approval, key: w.next(), body: []byte("{}")})
	},
	"GET /api/v1/licences/:identifier":         (*routeWalk).reads,
	"GET /api/v1/licences/:identifier/file":    (*routeWalk).reads,
	"GET /api/v1/licences/:identifier/bundle":  (*routeWalk).reads,
	"GET /api/v1/licences/:identifier/history": (*routeWalk).reads,
	"GET /api/v1/licences/:identifier/import": func(w *routeWalk) walkStep {
		w.id = string(w.imported("two-seals.ofd", map[string]any{"number": w.next()}).Identifier)
		return w.withToken(ask{as: approval})
	},
	"POST /api/v1/licences/:identifier/suspend": (*routeWalk).changes,
	"POST /api/v1/licences/:identifier/resume": func(w *routeWalk) walkStep {
		step := w.changes()
		w.do(ask{method: "POST", path: "/api/v1/licences/" + w.id + "/suspend", as: approval, key: w.next(), body: []byte(`{"reason":"r"}`)})
		return step
	},
	"POST /api/v1/licences/:identifier/revoke":   (*routeWalk).changes,
	"POST /api/v1/licences/:identifier/withdraw": (*routeWalk).changes,
	"POST /api/v1/licences/:identifier/cancel":   (*routeWalk).changes,
	"POST /api/v1/licences/:identifier/amend":    replaces("amend"),
	"POST /api/v1/licences/:identifier/renew":    replaces("renew"),
	"POST /api/v1/licences/:identifier/reissue":  replaces("reissue"),
	"POST /api/v1/licences/:identifier/correct":  replaces("correct"),
	"POST /api/v1/licences/:identifier/transfer": replaces("transfer"),
	"GET /api/v1/statistics":                     func(w *routeWalk) walkStep { return w.withToken(ask{as: approval}) },
	"POST /api/v1/reuse": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: partner, body: reuseBody(w.t, nil)})
	},
	"POST /api/v1/questions": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: partner, body: questionBody(w.t, nil)})
	},
	"POST /api/gbt36906/searchCert":                shares("searchCert"),
	"POST /api/gbt36906/queryCertInfo":             shares("queryCertInfo"),
	"POST /api/gbt36906/queryCertInfoByHolderCode": shares("queryCertInfoByHolderCode"),
	"POST /api/gbt36906/queryCertInfoByQRcode":     shares("queryCertInfoByQRcode"),
	"POST /api/gbt36906/verifyCertInfo":            shares("verifyCertInfo"),
	"POST /api/gbt36906/verifyFile":                shares("verifyFile"),
	"POST /api/v1/consents": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: holder, key: w.next(), body: consentBody(w.t, w.held(), nil)})
	},
	"GET /api/v1/consents": func(w *routeWalk) walkStep { return w.withToken(ask{as: holder}) },
	"POST /api/v1/consents/:consent/code": func(w *routeWalk) walkStep {
		w.name = w.agree(nil)
		return w.withToken(ask{as: holder, body: []byte("{}")})
	},
	"POST /api/v1/consents/:consent/revoke": func(w *routeWalk) walkStep {
		w.name = w.agree(nil)
		return w.withToken(ask{as: holder, key: w.next(), body: []byte("{}")})
	},
	"POST /api/v1/presentations": func(w *routeWalk) walkStep {
		body, err := json.Marshal(map[string]string{"code": w.codeOf(w.agree(presented)), "operator": "王五"})
		must(w.t, err)
		return w.withToken(ask{as: verifier, body: body})
	},
	"POST /S": func(w *routeWalk) walkStep {
		q := ask{mediaType: "application/x-www-form-urlencoded", body: []byte("code=" + w.codeOf(w.agree(presented)))}
		wrong := q
		wrong.body = []byte("code=x")
		return walkStep{q, wrong}
	},
	"GET /holder/consents": (*routeWalk).own,
	"GET /holder/consents/new": func(w *routeWalk) walkStep {
		step := w.own()
		step.allowed.query = "?licence=" + w.id
		step.refused.query = step.allowed.query
		return step
	},
	"GET /holder/consents/:consent": func(w *routeWalk) walkStep {
		step := w.own()
		w.name = w.agree(presented)
		return step
	},
	"POST /holder/consents": func(w *routeWalk) walkStep {
		form := w.ownForm()
		form.body = []byte("kind=reuse&licence=" + w.id + "&field=number&purpose=租房&uses=1&minutes=5&key=" + w.next())
		return w.fromElsewhere(form)
	},
	"POST /holder/consents/:consent/revoke": func(w *routeWalk) walkStep {
		form := w.ownForm()
		w.name = w.agree(nil)
		return w.fromElsewhere(form)
	},
	"POST /api/gbt36906/downloadUrl": shares("downloadUrl"),
	"POST /api/v1/reuse/copies": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: partner, key: w.next(), body: copyBody(w.t, w.world.issue(food, w.next()).Identifier, nil)})
	},
	"GET /api/v1/reuse/copies/:copy": func(w *routeWalk) walkStep {
		w.name = string(w.makeCopy(w.world.issue(food, w.next()).Identifier).Copy)
		return w.withToken(ask{as: partner})
	},
	"POST /api/v1/clients": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: approver, key: w.next(), body: clientBody(w.t, w.next())})
	},
	"GET /api/v1/clients":                  func(w *routeWalk) walkStep { return w.withToken(ask{as: approver}) },
	"POST /api/v1/clients/:client/rotate":  (*routeWalk).changesClient,
	"POST /api/v1/clients/:client/disable": (*routeWalk).changesClient,
	"POST /api/v1/grants": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: requester, key: w.next(), body: grantBody(w.t, nil)})
	},
	"GET /api/v1/grants":                  func(w *routeWalk) walkStep { return w.withToken(ask{as: partner}) },
	"POST /api/v1/grants/:grant/approve":  (*routeWalk).decidesGrant,
	"POST /api/v1/grants/:grant/withdraw": (*routeWalk).decidesGrant,
	"POST /api/v1/cases": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: elsewhere, key: w.next(), body: caseBody(w.t, map[string]any{"case_number": w.next()})})
	},
	"POST /api/v1/cases/:case/close": func(w *routeWalk) walkStep {
		w.name = w.newCase(w.next())
		return w.withToken(ask{as: elsewhere, key: w.next(), body: []byte(`{"reason":"办结"}`)})
	},
	"POST /api/v1/subscriptions": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: approval, key: w.next(), body: subscriptionBody(w.t, nil)})
	},
	"GET /api/v1/subscriptions": func(w *routeWalk) walkStep { return w.withToken(ask{as: partner}) },
	"POST /api/v1/subscriptions/:subscription/remove": func(w *routeWalk) walkStep {
		w.name = w.subscribed(approval)
		return w.withToken(ask{as: approval, key: w.next(), body: []byte(`{"reason":"系统下线"}`)})
	},
	"POST /api/v1/subscriptions/:subscription/enable": func(w *routeWalk) walkStep {
		w.name = w.subscribed(approval)
		w.disableSubscription(w.name)
		return w.withToken(ask{as: approval, key: w.next(), body: []byte(`{"reason":"接收端已恢复"}`)})
	},
	"GET /api/v1/subscriptions/:subscription/dead": func(w *routeWalk) walkStep {
		w.name = w.subscribed(approval)
		return w.withToken(ask{as: approval})
	},
	"POST /api/v1/subscriptions/:subscription/replay": func(w *routeWalk) walkStep {
		w.name = w.subscribed(approval)
		return w.withToken(ask{as: approval, key: w.next(), body: []byte(`{}`)})
	},
	"GET /api/v1/brakes": func(w *routeWalk) walkStep { return w.withToken(ask{as: auditor}) },
	"POST /api/v1/brakes/:brake/lift": func(w *routeWalk) walkStep {
		w.name = w.brake(partner)
		return w.withToken(ask{as: auditor, key: w.next(), body: []byte(`{"reason":"核实无误"}`)})
	},
	"POST /api/v1/disputes": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: holder, key: w.next(), body: disputeBody(w.issue(food, w.next()).Identifier)})
	},
	"GET /api/v1/disputes":                    func(w *routeWalk) walkStep { return w.withToken(ask{as: auditor}) },
	"GET /api/v1/disputes/:dispute":           func(w *routeWalk) walkStep { return w.ofDispute(ask{as: holder}) },
	"POST /api/v1/disputes/:dispute/withdraw": func(w *routeWalk) walkStep { return w.ofDispute(ask{as: holder, key: w.next(), body: []byte("{}")}) },
	"POST /api/v1/disputes/:dispute/accept":   (*routeWalk).answers,
	"POST /api/v1/disputes/:dispute/reject":   (*routeWalk).answers,
	"POST /api/v1/disputes/:dispute/close": func(w *routeWalk) walkStep {
		id := w.issue(food, w.next()).Identifier
		w.name = w.dispute(w.next(), id)
		w.do(ask{method: "POST", path: "/api/v1/disputes/" + w.name + "/accept", as: keeper, key: w.next(), body: []byte(`{"reason":"属实"}`)})
		w.act(id, "withdraw", w.next(), `{"reason":"r"}`)
		return w.withToken(ask{as: keeper, key: w.next(), body: []byte(`{"reason":"已撤销"}`)})
	},
	"GET /holder/disputes": (*routeWalk).own,
	"GET /holder/disputes/new": func(w *routeWalk) walkStep {
		step := w.own()
		step.allowed.query = "?licence=" + w.id
		return step
	},
	"POST /holder/disputes": func(w *routeWalk) walkStep {
		return w.posts("kind=wrong_licence&text=r&licence=" + string(w.issue(food, w.next()).Identifier))
	},
	"POST /holder/disputes/:dispute/withdraw": func(w *routeWalk) walkStep {
		w.name = w.dispute(w.next(), w.issue(food, w.next()).Identifier)
		return w.posts("")
	},
	"POST /api/v1/verifications":        (*routeWalk).verifies,
	"POST /api/v1/verifications/report": (*routeWalk).verifies,
	"POST /V":                           (*routeWalk).sends,
	"POST /v":                           (*routeWalk).sends,
	"POST /V/report":                    (*routeWalk).sends,
	"POST /v/report":                    (*routeWalk).sends,
	"GET /api/v1/catalogue":             func(w *routeWalk) walkStep { return w.withToken(ask{as: approval}) },
	"POST /api/v1/catalogue": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: keeper, key: w.next(), body: importBody(w.t, nil)})
	},
	"GET /api/v1/catalogue/:type":          (*routeWalk).keeps,
	"GET /api/v1/catalogue/:type/preview":  (*routeWalk).keeps,
	"GET /api/v1/catalogue/:type/dry-run":  (*routeWalk).keeps,
	"POST /api/v1/catalogue/:type/publish": (*routeWalk).moves,
	"POST /api/v1/catalogue/:type/retire":  (*routeWalk).moves,
	"POST /api/v1/verifications/batch": func(w *routeWalk) walkStep {
		q := formOf(w.t, part{"file", "a.pdf", string(w.file)})
		q.as = verifier
		return w.withToken(q)
	},
	"GET /api/v1/verifications/batch/:batch": func(w *routeWalk) walkStep {
		sent := w.send(verifier, nil, part{"file", "a.pdf", string(w.file)})
		w.results(verifier, nil, sent.ID)
		w.name = sent.ID
		return w.withToken(ask{as: verifier})
	},
	"GET /api/v1/log/checkpoint":            func(w *routeWalk) walkStep { return w.withToken(ask{as: auditor}) },
	"GET /api/v1/log/proof":                 func(w *routeWalk) walkStep { return w.withToken(ask{as: auditor, query: "?index=0&size=2"}) },
	"GET /api/v1/log/export":                func(w *routeWalk) walkStep { return w.withToken(ask{as: auditor}) },
	"POST /api/v1/log/search":               func(w *routeWalk) walkStep { return w.withToken(ask{as: auditor, body: []byte(`{}`)}) },
	"GET /api/v1/log/own":                   func(w *routeWalk) walkStep { return w.withToken(ask{as: holder}) },
	"GET /R/:report":                        (*routeWalk).looksUp,
	"GET /r/:report":                        (*routeWalk).looksUp,
	"GET /holder":                           (*routeWalk).own,
	"GET /holder/log":                       (*routeWalk).own,
	"GET /holder/log.json":                  (*routeWalk).own,
	"GET /holder/licences/:identifier/file": (*routeWalk).own,
	"POST /holder/sign-out": func(w *routeWalk) walkStep {
		return w.fromElsewhere(w.own().allowed)
	},
	"GET /sign-in/return": func(w *routeWalk) walkStep {
		// Allowed once for each server: a code is good once.
		p, _ := provider(w.t, citizen)
		v := &visitor{w.world, w.serve(func(c *api.Config) { c.Identity = p }), map[string]string{}}
		_, query, _ := strings.Cut(v.signsIn(citizen), "?")
		cookie := map[string]string{"Cookie": "elicence_sign_in=" + v.cookies["elicence_sign_in"]}
		w.identity = p
		return walkStep{ask{query: "?" + query, header: cookie, handler: v.handler}, ask{query: "?code=x&state=x", header: cookie, handler: v.handler}}
	},
	"GET /sign-in/official/return": func(w *routeWalk) walkStep {
		p, _ := providerAt(w.t, api.OfficialReturn, "", "walk")
		w.identity = p
		w.registers(p, w.next(), func(q *person.Person) { q.Subject = "walk" })
		v := &visitor{w.world, w.serve(func(c *api.Config) { c.Officials = p }), map[string]string{}}
		_, query, _ := strings.Cut(v.signsInAt("/sign-in/official", "walk"), "?")
		cookie := map[string]string{"Cookie": "elicence_official_sign_in=" + v.cookies["elicence_official_sign_in"]}
		return walkStep{ask{query: "?" + query, header: cookie, handler: v.handler}, ask{query: "?code=x&state=x", header: cookie, handler: v.handler}}
	},
	"GET /official/grants": func(w *routeWalk) walkStep { return w.ofOfficials("authority", "auditor") },
	"POST /official/grants": func(w *routeWalk) walkStep {
		s := w.ofOfficials("authority", "auditor")
		s.allowed.body = append(s.allowed.body, "&type_code="+foodType+"&matter_code=m&scenario=s&fields=number&how=function&legal_basis=b"...)
		return s
	},
	"POST /official/grants/:grant/approve": func(w *routeWalk) walkStep {
		w.name = w.grantOfPerson()
		return w.ofOfficials("authority", "auditor")
	},
	"POST /official/grants/:grant/withdraw": func(w *routeWalk) walkStep {
		w.name = w.grantOfPerson()
		return w.ofOfficials("authority", "auditor")
	},
	"GET /official/brakes": func(w *routeWalk) walkStep { return w.ofOfficials("auditor", "gone") },
	"POST /official/brakes/:brake/lift": func(w *routeWalk) walkStep {
		w.name = w.brakeNamed("0000000000000000000000000002", verifier)
		return w.ofOfficials("auditor", "gone")
	},
	"POST /official/log":      func(w *routeWalk) walkStep { return w.ofOfficials("auditor", "authority") },
	"POST /official/sign-out": func(w *routeWalk) walkStep { return w.fromElsewhere(w.ofOfficials("auditor", "authority").allowed) },
	"POST /api/v1/people": func(w *routeWalk) walkStep {
		return w.withToken(ask{as: approver, key: w.next(), body: personBody(w.t, w.next())})
	},
	"GET /api/v1/people": func(w *routeWalk) walkStep { return w.withToken(ask{as: approver}) },
	"POST /api/v1/people/:person/disable": func(w *routeWalk) walkStep {
		w.name = w.made("/api/v1/people", approver, w.next(), personBody(w.t, w.next()))
		return w.withToken(ask{as: approver, key: w.next(), body: []byte(`{"reason":"r"}`)})
	},
	"POST /holder/sign-in": func(w *routeWalk) walkStep {
		q := ask{mediaType: "application/x-www-form-urlencoded", body: []byte(strings.TrimPrefix(linkOf(w.t, w.server, holder), "/holder/sign-in?"))}
		spent := q
		spent.body = []byte("code=spent")
		return walkStep{q, spent}
	},
}

// unrecorded are the allowed requests that leave no entry of their own, with the reason.
var unrecorded = map[string]string{
	"GET /api/v1/verifications/batch/:batch": "shows, to whoever sent them, verifications that have entries already",
}

// TestWalkRoutes walks every route, once allowed and once refused: each leaves an entry
// of that outcome, which the answer's receipt names. While the log cannot commit the same
// requests are refused.
func TestWalkRoutes(t *testing.T) {
	w := &routeWalk{world: openTransferable(t)}
	_, err := w.PutClient(t.Context(), registry.System("test"), registry.Client{ID: "gone", Disabled: true, Salt: []byte("s"), SecretHash: []byte("h")})
	must(t, err)
	w.file = w.download(w.issue(food, "walk").Identifier)
	for _, client := range []string{approval, elsewhere, partner, verifier, holder, auditor, requester, approver, keeper, publisher} {
		w.token(client)
	}
	var routes []string
	for method, path := range w.server.Routes() {
		routes = append(routes, method+" "+path)
	}
	for _, route := range routes {
		if (walked[route] == nil) == (noAccess[route] == "") {
			t.Errorf("%s must be either a route of the walk or listed as no access, with the reason", route)
		}
	}
	for _, route := range slices.Concat(slices.Collect(maps.Keys(walked)), slices.Collect(maps.Keys(noAccess)), slices.Collect(maps.Keys(unrecorded))) {
		if !slices.Contains(routes, route) {
			t.Errorf("%s is listed, but there is no such route", route)
		}
	}
	for _, route := range slices.Sorted(maps.Keys(walked)) {
		t.Run(strings.ReplaceAll(route, "/", "|"), func(t *testing.T) {
			w.t = t
			step := walked[route](w)
			w.unlogged(route, step.allowed)
			if unrecorded[route] == "" {
				w.logs(route, step.allowed, audit.ResultAllowed)
			}
			w.logs(route, step.refused, audit.ResultRefused)
		})
	}
	text, err := os.ReadFile("../docs/log-format.md")
	must(t, err)
	m := regexp.MustCompile(`(\d+) routes`).FindSubmatch(text)
	if m == nil || string(m[1]) != strconv.Itoa(len(walked)) {
		t.Errorf("docs/log-format.md states %q, %d routes are walked", m, len(walked))
	}
	t.Logf("%d routes walked; %d are no access", len(walked), len(noAccess))
}

// logs sends a request and looks for the entry of its outcome.
func (w *routeWalk) logs(route string, q ask, want audit.Result) {
	w.t.Helper()
	before := w.size()
	a := w.along(route, q)
	if (a.StatusCode < 400) != (want == audit.ResultAllowed) {
		w.t.Fatalf("%s: %d %.200s", want, a.StatusCode, a.body)
	}
	for range 500 { // a batch is worked on behind its answer
		if w.size() > before || a.StatusCode != http.StatusAccepted {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	logged := w.since(before)
	if len(logged) == 0 || logged[len(logged)-1].Result != want {
		w.t.Fatalf("%s: the log has %+v", want, logged)
	}
	receipt := a.Header.Get("Elicence-Log-Index")
	if receipt != strconv.FormatUint(before+uint64(len(logged))-1, 10) && a.StatusCode != http.StatusAccepted {
		w.t.Errorf("%s: the receipt names entry %s, the log has those from %d: %+v", want, receipt, before, logged)
	}
}

// unlogged sends a request that is allowed, to a server whose log cannot commit: no
// answer, no receipt, no entry.
func (w *routeWalk) unlogged(route string, q ask) {
	w.t.Helper()
	if unrecorded[route] != "" || route == "POST /api/v1/verifications/batch" { // its items are refused one by one; see TestBatchUnlogged
		return
	}
	q.handler = w.serveOver(&flaky{Storage: w.Backend, away: true}, func(c *api.Config) { c.Identity, c.Officials = w.identity, w.identity })
	if route == "GET /sign-in/return" || route == "GET /sign-in/official/return" { // with a code of its own
		own := walked[route](w).allowed
		q.query, q.header = own.query, own.header
		q.handler = w.serveOver(&flaky{Storage: w.Backend, away: true}, func(c *api.Config) { c.Identity, c.Officials = w.identity, w.identity })
	}
	if route == "POST /holder/sign-in" {
		q.body = []byte(strings.TrimPrefix(linkOf(w.t, w.server, holder), "/holder/sign-in?"))
	}
	before := w.size()
	a := w.along(route, q)
	if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Elicence-Log-Index") != "" || strings.Contains(strings.Join(a.Header.Values("Set-Cookie"), "\n"), "elicence_session=") {
		w.t.Errorf("unlogged: %d %v", a.StatusCode, a.Header)
	}
	if w.size() != before {
		w.t.Errorf("unlogged: %d entries", w.size()-before)
	}
	if id := []byte(w.id); w.id != "" && bytes.Contains(a.body, id) || bytes.Contains(a.body, []byte("access_token")) || bytes.Contains(a.body, []byte("%PDF")) {
		w.t.Errorf("unlogged: the answer is %.200s", a.body)
	}
}

// TestBatchUnlogged: an item of a batch whose verification cannot be logged shows nothing.
func TestBatchUnlogged(t *testing.T) {
	w := open(t)
	file := w.download(w.issue(food, "b").Identifier)
	w.token(verifier)
	s := w.serveOver(&flaky{Storage: w.Backend, away: true}, func(*api.Config) {})
	b := w.results(verifier, s, w.send(verifier, s, part{"file", "a.pdf", string(file)}).ID)
	if item := b.Items[0]; item.Status != "failed" || item.Report != nil || item.Problem.Code != "log_unavailable" {
		t.Errorf("%+v", item)
	}
}
