package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/brake"
	"elicence/licence/consent"
	"elicence/licence/event"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// matrix is the table of docs/access.md: by route and role, of whose things it is permitted.
func matrix(t *testing.T) (roles []string, table map[string]map[string][]string) {
	text, err := os.ReadFile("../docs/access.md")
	must(t, err)
	table = map[string]map[string][]string{}
	for _, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == "operation":
			roles = cells[1:]
		case strings.HasPrefix(line, "| `"):
			route := regexp.MustCompile(`\{([a-z]+)\}`).ReplaceAllString(strings.Trim(cells[0], "`"), ":$1")
			table[route] = map[string][]string{}
			if len(cells) != len(roles)+1 {
				t.Fatalf("%d cells in %q", len(cells), line)
			}
			for i, role := range roles {
				whose := strings.Fields(cells[i+1])
				if cells[i+1] == "—" {
					whose = nil
				}
				for _, w := range whose {
					if !slices.Contains([]string{"own", "above", "other"}, w) {
						t.Fatalf("%s, %s: %q", route, role, w)
					}
				}
				table[route][role] = whose
			}
		}
	}
	return roles, table
}

// accessWorld is a service with a client of each role in three departments: the one whose
// things are concerned, one above it, and another.
type accessWorld struct {
	*world
	own                     licence.IssuingAuthority
	valid, suspended, grant string
	kase, batch             string
	disputed, consent       string
	external, copy          string
	n                       int
}

func (w *accessWorld) next() string { w.n++; return fmt.Sprint("matrix-", w.n) }

// remote is an address of its own for each call, so that no rate limit is met.
func (w *accessWorld) remote() string { w.n++; return fmt.Sprintf("10.0.%d.%d:1", w.n/250, w.n%250) }

func openMatrix(t *testing.T) *accessWorld {
	w := &accessWorld{world: openTransferable(t)}
	w.own = registrytest.Authorities[foodType]
	other := registrytest.Authorities[birthType]
	other.Division = "330200"
	holderOf := map[string]licence.Holder{}
	first, err := w.Backend.Client(t.Context(), holder)
	must(t, err)
	holderOf["own"] = licence.Holder{Code: first.HolderCode, CodeType: first.HolderCodeType}
	holderOf["above"] = licence.Holder{Code: "91110000600037341L", CodeType: licence.CodeTypeUSCC}
	holderOf["other"] = licence.Holder{Code: "11100000000013338W", CodeType: licence.CodeTypeUSCC}
	for whose, a := range map[string]licence.IssuingAuthority{"own": w.own, "above": registrytest.Authorities["11100000000013338W901"], "other": other} {
		for _, role := range registry.Registrable {
			c := registry.Client{ID: "matrix-" + string(role) + "-" + whose, Roles: []registry.Role{role}, Authority: a, Salt: []byte("s")}
			switch role {
			case registry.RoleApprovalSystem, registry.RoleAuthority:
				c.Types = []string{foodType, keptType, registrytest.DocumentType}
			case registry.RoleHolder:
				c.Authority, c.HolderCode, c.HolderCodeType = licence.IssuingAuthority{}, holderOf[whose].Code, holderOf[whose].CodeType
			case registry.RoleAuditor:
				c.Authority = licence.IssuingAuthority{}
			}
			c.SecretHash = registry.HashSecret(c.Salt, c.ID)
			_, err := w.PutClient(t.Context(), registry.System("test"), c)
			must(t, err)
			w.token(c.ID)
		}
	}
	w.Grant(t, registry.Grant{Authority: w.own, TypeCode: foodType, MatterCode: matter, Fields: []string{"number", registry.FieldCopy}, Questions: []string{"valid"}})
	w.Case(t, w.own, registry.Case{Number: "C-own", MatterCode: matter, Holder: holderOf["own"], Types: []string{foodType}})
	w.valid, w.suspended = string(w.issue(food, w.next()).Identifier), string(w.issue(food, w.next()).Identifier)
	w.act(licence.Identifier(w.suspended), "suspend", w.next(), `{"reason":"r"}`)
	w.external = string(w.imported("", map[string]any{"existing": true}).Identifier)
	w.grant, w.kase = w.newGrantOf(), w.newCaseOf()
	w.disputed = w.newDisputeOf("")
	w.consent = w.newConsentOf()
	made := w.makeCopyAs("matrix-partner-own", copyBody(t, licence.Identifier(w.valid), map[string]any{"case_number": "C-own"}))
	w.copy = string(made.Copy)
	w.batch = w.submitBatch(ask{as: "matrix-approval_system-own", key: w.next(), body: []byte("[" + w.itemFor(w.next(), 1) + "]")}).ID
	return w
}

// newGrantOf requests a grant for the department whose things are concerned.
func (w *accessWorld) newGrantOf() string {
	g, _, err := w.RequestGrant(w.t.Context(), registrytest.Requester(w.own), registry.GrantRequest{Key: w.next(), Grant: registry.Grant{
		TypeCode: foodType, MatterCode: w.next(), Scenario: "s", Fields: []string{"number"}, How: registry.HowFunction, LegalBasis: "test"}})
	must(w.t, err)
	return g.ID
}

func (w *accessWorld) newCaseOf() string {
	return w.Case(w.t, w.own, registry.Case{Number: w.next(), MatterCode: matter, Holder: licence.Holder{Code: "91110000600037341L", CodeType: licence.CodeTypeUSCC}, Types: []string{foodType}})
}

// newClientOf is a partner of that department.
func (w *accessWorld) newClientOf() string {
	id := w.next()
	_, err := w.PutClient(w.t.Context(), registry.System("test"), registry.Client{ID: id, Roles: []registry.Role{registry.RolePartner}, Authority: w.own, Salt: []byte("s"), SecretHash: []byte("h")})
	must(w.t, err)
	return id
}

// newDisputeOf has the holder dispute a licence of that department, ready for a step.
func (w *accessWorld) newDisputeOf(step string) string {
	id := w.issue(food, w.next()).Identifier
	a := w.do(ask{method: "POST", path: "/api/v1/disputes", as: "matrix-holder-own", key: w.next(), body: disputeBody(id), remote: w.remote()})
	var d struct{ ID string }
	if a.json(w.t, &d); step == "close" {
		w.do(ask{method: "POST", path: "/api/v1/disputes/" + d.ID + "/accept", as: "matrix-authority-own", key: w.next(), body: []byte(`{"reason":"r"}`), remote: w.remote()})
		w.act(id, "withdraw", w.next(), `{"reason":"r"}`)
	}
	return d.ID
}

// holderCaller is the holder whose things are concerned.
func (w *accessWorld) holderCaller() registry.Caller {
	c, err := w.CallerFor(w.t.Context(), "matrix-holder-own", "test")
	must(w.t, err)
	return c
}

// newConsentOf is a presentation of the holder whose things are concerned.
func (w *accessWorld) newConsentOf() string {
	k, _, err := w.MakeConsent(w.t.Context(), w.holderCaller(), registry.ConsentRequest{Key: w.next(), Life: time.Minute, Consent: consent.Consent{
		Kind: consent.Presentation, Licences: []licence.Identifier{licence.Identifier(w.valid)}, Fields: []string{"number"}, Purpose: "出示", Uses: 1}})
	must(w.t, err)
	return k.ID
}

// subscriptionOf is an active subscription of that department.
func (w *accessWorld) subscriptionOf() string {
	for _, s := range w.allSubscriptions() {
		if s.Authority.Code == w.own.Code && s.Status == event.Active {
			return s.ID
		}
	}
	return w.subscribed("matrix-approval_system-own")
}

// newBrakeOf brakes a client of that department.
func (w *accessWorld) newBrakeOf() string {
	w.n++
	b := registry.Brake{ID: fmt.Sprintf("%028x", w.n), Client: w.next(), Authority: w.own, Alarm: brake.AlarmBurst, BrakedAt: w.Now()}
	must(w.t, w.Backend.Batch(w.t.Context(), func(tx audit.Tx) error { return tx.(registry.Tx).InsertBrake(w.t.Context(), b) }))
	return b.ID
}

// request makes the request of a route. What an allowed one uses up is made anew for it.
func (w *accessWorld) request(route, role string, allowed bool) (q ask) {
	var path string
	q.method, path, _ = strings.Cut(route, " ")
	id, name := w.valid, ""
	op := path[strings.LastIndexByte(path, '/')+1:]
	file := []byte("%PDF-1.7\nno licence\n")
	switch {
	case strings.HasPrefix(path, "/api/v1/licences/:identifier/") && q.method == "POST":
		if q.key, q.body = w.next(), []byte(`{"reason":"r"}`); versionBodies[op] != "" {
			q.body = []byte(versionBodies[op])
		}
		switch {
		case op == "resume" && !allowed:
			id = w.suspended
		case allowed:
			id = string(w.issue(food, w.next()).Identifier)
			if op == "resume" {
				w.act(licence.Identifier(id), "suspend", w.next(), `{"reason":"r"}`)
			}
		}
	case path == "/api/v1/catalogue" && q.method == "POST":
		q.key, q.body = w.next(), importBody(w.t, nil)
	case strings.Contains(path, ":type") && q.method == "POST":
		name, q.key, q.body = keptType, w.next(), fmt.Appendf(nil, `{"version":%d,"reason":"r"}`, w.draft())
	case strings.Contains(path, ":type"):
		name, path = keptType, path+fmt.Sprint("?version=", w.draft())
	case path == licenceBatchPath:
		q.key, q.body = w.next(), []byte("["+w.itemFor(w.next(), 1)+"]")
	case strings.HasPrefix(path, licenceBatchPath):
		if name = w.batch; q.method == "POST" {
			q.key, q.body = w.next(), []byte(`{}`)
		}
	case path == "/api/v1/licences":
		q.key, q.body = w.next(), sample(w.t, food)
	case path == "/api/v1/licences/documents":
		form := documentForm(w.t)
		q.key, q.mediaType, q.body = w.next(), form.mediaType, form.body
	case path == "/api/v1/licences/imports":
		form := externalForm(w.t, "", map[string]any{"existing": true, "number": w.next()})
		q.key, q.mediaType, q.body = w.next(), form.mediaType, form.body
	case path == "/api/v1/licences/:identifier/import":
		id = w.external
	case path == "/api/v1/licences/search":
		q.body = []byte(`{"holder":` + holderCode(w.t) + `}`)
	case path == "/api/v1/reuse":
		q.body = reuseBody(w.t, map[string]any{"case_number": "C-own"})
	case strings.HasPrefix(path, "/api/gbt36906/"):
		q.body = sharingBody(w.t, op, "C-own", licence.Identifier(w.valid), w.download(licence.Identifier(w.valid)))
	case path == "/api/v1/questions":
		q.body = questionBody(w.t, map[string]any{"case_number": "C-own"})
	case path == "/api/v1/consents" && q.method == "POST":
		q.key, q.body = w.next(), consentBody(w.t, w.valid, nil)
	case strings.Contains(path, ":consent"):
		q.key, q.body, name = w.next(), []byte(`{}`), w.consent
		if allowed {
			name = w.newConsentOf()
		}
	case path == "/api/v1/presentations":
		code, _, err := w.NewConsentCode(w.t.Context(), w.holderCaller(), w.newConsentOf())
		must(w.t, err)
		q.body = []byte(`{"code":"` + code.Code + `","operator":"王五"}`)
	case path == "/api/v1/reuse/copies":
		q.key, q.body = w.next(), copyBody(w.t, licence.Identifier(w.valid), map[string]any{"case_number": "C-own"})
	case strings.Contains(path, ":copy"):
		name = w.copy
	case path == "/api/v1/clients" && q.method == "POST":
		// A verifier: while a brake of the department stands, as others here make, it gets no partner.
		q.key, q.body = w.next(), bytes.Replace(clientBody(w.t, w.next()), []byte(`"partner"`), []byte(`"verifier"`), 1)
	case path == "/api/v1/people" && q.method == "POST":
		q.key, q.body = w.next(), personBody(w.t, w.next())
	case strings.Contains(path, ":person"):
		q.key, q.body, name = w.next(), []byte(`{"reason":"r"}`), w.newPersonOf()
	case strings.Contains(path, ":client"):
		q.key, q.body, name = w.next(), []byte(`{"reason":"r"}`), w.newClientOf()
	case path == "/api/v1/grants" && q.method == "POST":
		q.key, q.body = w.next(), grantBody(w.t, nil)
	case strings.Contains(path, ":grant"):
		q.key, q.body, name = w.next(), []byte(`{"reason":"r"}`), w.grant
		if allowed {
			name = w.newGrantOf()
		}
	case path == "/api/v1/cases":
		q.key, q.body = w.next(), caseBody(w.t, map[string]any{"case_number": w.next()})
	case strings.Contains(path, ":case"):
		q.key, q.body, name = w.next(), []byte(`{"reason":"r"}`), w.kase
		if allowed {
			name = w.newCaseOf()
		}
	case path == "/api/v1/subscriptions" && q.method == "POST":
		q.key, q.body = w.next(), subscriptionBody(w.t, nil)
	case strings.Contains(path, ":subscription"):
		if name = w.subscriptionOf(); op == "enable" && allowed {
			w.disableSubscription(name)
		}
		if q.method == "POST" {
			q.key, q.body = w.next(), []byte(`{"reason":"r"}`)
		}
	case strings.Contains(path, ":brake"):
		q.key, q.body, name = w.next(), []byte(`{"reason":"r"}`), w.newBrakeOf()
	case path == "/api/v1/disputes" && q.method == "POST":
		q.key, q.body = w.next(), disputeBody(licence.Identifier(w.valid))
	case strings.Contains(path, ":dispute"):
		if name = w.disputed; q.method == "POST" {
			q.key, q.body = w.next(), []byte(`{"reason":"r"}`)
			if allowed {
				name = w.newDisputeOf(op)
			}
		}
	case path == "/api/v1/verifications" || path == "/api/v1/verifications/report":
		q.mediaType, q.body = "application/pdf", file
	case path == batchPath:
		form := formOf(w.t, part{"file", "a.pdf", string(file)})
		q.mediaType, q.body, q.header = form.mediaType, form.body, form.header
	case strings.Contains(path, ":batch"):
		sender := "matrix-" + role + "-own"
		if role == "auditor" || role == "authority" || role == "anybody" {
			sender = "matrix-verifier-own"
		}
		name = w.send(sender, nil, part{"file", "a.pdf", string(file)}).ID
		w.results(sender, nil, name)
	case path == "/api/v1/log/proof":
		path += "?index=0&size=1"
	case path == "/api/v1/log/search":
		q.body = []byte(`{}`)
	}
	q.path = strings.NewReplacer(":identifier", id, ":grant", name, ":case", name, ":brake", name, ":dispute", name, ":consent", name, ":batch", name, ":client", name, ":person", name, ":copy", name, ":subscription", name, ":type", name).Replace(path)
	q.remote = w.remote()
	return q
}

// TestAccessMatrix tries every role on every operation, with a thing of the own
// department, of one below and of another: it is allowed or refused as docs/access.md
// says, and logged.
func TestAccessMatrix(t *testing.T) {
	t.Parallel()
	w := openMatrix(t)
	roles, table := matrix(t)
	for _, role := range registry.Registrable {
		if !slices.Contains(roles, string(role)) {
			t.Errorf("docs/access.md has no role %s", role)
		}
	}
	for method, path := range w.server.Routes() {
		if route := method + " " + path; strings.HasPrefix(path, "/api/") && path != "/api/v1/oauth/token" && table[route] == nil {
			t.Errorf("docs/access.md has no operation %s", route)
		}
	}
	tried := 0
	for route, cells := range table {
		for role, permitted := range cells {
			for _, whose := range []string{"own", "above", "other"} {
				tried++
				w.try(route, role, whose, slices.Contains(permitted, whose))
			}
		}
	}
	t.Logf("%d operations, %d roles, %d attempts", len(table), len(roles), tried)
}

// try tries one cell.
func (w *accessWorld) try(route, role, whose string, permitted bool) {
	w.t.Helper()
	q := w.request(route, role, permitted)
	principal := "anonymous"
	if role != "anybody" {
		q.as = "matrix-" + role + "-" + whose
		principal = q.as
	}
	at := fmt.Sprintf("%s as %s, %s", route, role, whose)
	before := w.size()
	a := w.do(q)
	refusal := a.StatusCode == http.StatusForbidden || a.StatusCode == http.StatusNotFound || a.StatusCode == http.StatusUnauthorized
	if a.StatusCode/100 == 2 != permitted || !permitted && !refusal {
		w.t.Errorf("%s: %d, permitted %v: %.300s", at, a.StatusCode, permitted, a.body)
		return
	}
	if route == "POST "+batchPath && permitted {
		var sent struct {
			ID string `json:"id"`
		}
		a.json(w.t, &sent)
		w.results(q.as, nil, sent.ID)
	}
	want := audit.ResultRefused
	if permitted {
		want = audit.ResultAllowed
	}
	logged := w.since(before)
	if permitted && unrecorded[route] != "" {
		return
	}
	if len(logged) == 0 || !permitted && len(logged) != 1 || logged[len(logged)-1].Result != want || logged[len(logged)-1].Principal != principal {
		w.t.Errorf("%s: the log has %+v", at, logged)
	}
}
