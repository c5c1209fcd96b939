package registry_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// consent asks for a consent of the walk's holder, to reuse, changed by change.
func (w *walker) consent(change func(*consent.Consent)) registry.ConsentRequest {
	k := consent.Consent{Kind: consent.Reuse, Licences: []licence.Identifier{w.issued.Identifier}, Fields: []string{"number", "holder.name"}, Purpose: "办理租房补贴", Uses: 1}
	if change != nil {
		change(&k)
	}
	return registry.ConsentRequest{Key: w.next(), Consent: k, Life: 10 * time.Minute}
}

// agree has the walk's holder make one.
func (w *walker) agree(change func(*consent.Consent)) consent.Consent {
	w.t.Helper()
	k, _, err := w.MakeConsent(w.t.Context(), w.holder, w.consent(change))
	must(w.t, err)
	return k
}

// shows is a code that the walk's holder shows.
func (w *walker) shows(k consent.Consent) string {
	w.t.Helper()
	code, _, err := w.NewConsentCode(w.t.Context(), w.holder, k.ID)
	must(w.t, err)
	return code.Code
}

// byCode asks for a reuse by a code, in matter "agreed".
func (w *walker) byCode(code string) registry.ReuseRequest {
	return registry.ReuseRequest{TypeCode: w.issued.TypeCode, Code: code, Use: registry.Use{Purpose: purpose, Matter: "agreed", Operator: "王五"}}
}

// openConsents is a walker whose department has a grant by consent in matter "agreed".
func openConsents(t *testing.T) *walker {
	w := newWalker(t, open(t))
	w.Service.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: w.issued.TypeCode, MatterCode: "agreed",
		Fields: []string{"number", "status", "holder.name", "fields.premises"}, How: registry.HowConsent})
	return w
}

// trailOf are the last entries about a holder: action, result, code and case of each.
func (w *walker) trailOf(from uint64) (trail []string) {
	for _, r := range entries(w.t, w.Service, from) {
		trail = append(trail, strings.TrimSpace(strings.Join([]string{string(r.Entry.Action), string(r.Entry.Result), r.Entry.Code, r.Entry.Case}, " ")))
	}
	return trail
}

// TestReuseByConsent: a code opens what is both granted and agreed to, and nothing else; each
// refusal has its own code, is logged once, and the holder finds it.
func TestReuseByConsent(t *testing.T) {
	w := openConsents(t)
	other := registrytest.Partner()
	other.Principal, other.Authority = "p2", registrytest.Authorities["11100000000013338W901"]
	w.Service.Grant(t, registry.Grant{Authority: other.Authority, TypeCode: w.issued.TypeCode, MatterCode: "agreed", Fields: []string{"number"}, How: registry.HowConsent})
	partner := registrytest.Partner()
	standing := func(change func(*consent.Consent)) func() string {
		return func() string { return w.shows(w.agree(change)) }
	}
	revoked := func() string {
		k := w.agree(nil)
		code := w.shows(k)
		_, _, err := w.RevokeConsent(t.Context(), w.holder, k.ID, w.status())
		must(t, err)
		return code
	}
	spent := func() string {
		code := standing(nil)()
		_, _, err := w.Reuse(t.Context(), partner, w.byCode(code))
		must(t, err)
		return code
	}
	later := func(d time.Duration) func() string {
		return func() string {
			code := standing(nil)()
			w.Move(d)
			return code
		}
	}
	forOther := func(k *consent.Consent) { k.Receiver = other.Authority.Code }
	same := func(*registry.ReuseRequest) {}
	for _, tt := range []struct {
		name   string
		c      registry.Caller
		code   func() string
		change func(*registry.ReuseRequest)
		want   string
		fields []string
		about  bool // the holder, even when it is refused
	}{
		{"what both name", partner, standing(nil), same, "", []string{"holder.name", "number"}, true},
		{"out of the symbol", partner, func() string { return "HTTPS://X/S/" + standing(nil)() }, same, "", []string{"holder.name", "number"}, true},
		{"one field", partner, standing(nil), func(q *registry.ReuseRequest) { q.Fields = []string{"number"} }, "", []string{"number"}, true},
		{"the holder named", partner, standing(nil), func(q *registry.ReuseRequest) { q.Holder = w.holder.Holder }, "", []string{"holder.name", "number"}, true},
		{"at its last moment", partner, later(consent.CodeLife - time.Second), same, "", []string{"holder.name", "number"}, true},
		{"for this department", partner, standing(func(k *consent.Consent) { k.Receiver = registrytest.Department.Code }), same, "", []string{"holder.name", "number"}, true},
		{"a field that is granted and not agreed to", partner, standing(nil), func(q *registry.ReuseRequest) { q.Fields = []string{"fields.premises"} }, "forbidden", nil, true},
		{"a field that is agreed to and not granted", partner, standing(func(k *consent.Consent) { k.Fields = []string{"holder.code"} }), same, "forbidden", nil, true},
		{"no such code", partner, func() string { return strings.Repeat("A", 32) }, same, "consent_unknown", nil, false},
		{"no code at all", partner, func() string { return "x" }, same, "consent_unknown", nil, false},
		{"a consent's identifier", partner, func() string { return w.agree(nil).ID }, same, "consent_unknown", nil, false},
		{"a code that has lapsed", partner, later(consent.CodeLife), same, "consent_expired", nil, true},
		{"a consent that is over", partner, later(time.Hour), same, "consent_expired", nil, true},
		{"a code long forgotten", partner, later(25 * time.Hour), same, "consent_unknown", nil, false},
		{"revoked", partner, revoked, same, "consent_revoked", nil, true},
		{"spent", partner, spent, same, "consent_spent", nil, true},
		{"another department's", partner, standing(forOther), same, "consent_mismatch", nil, true},
		{"a presentation's", partner, standing(func(k *consent.Consent) { k.Kind = consent.Presentation }), same, "consent_mismatch", nil, true},
		{"another holder named", partner, standing(nil), func(q *registry.ReuseRequest) {
			q.Holder = licence.Holder{Code: "11330100002490082C", CodeType: licence.CodeTypeUSCC}
		}, "consent_mismatch", nil, true},
		{"a holder's code that is none", partner, standing(nil), func(q *registry.ReuseRequest) { q.Holder = licence.Holder{Code: "x", CodeType: licence.CodeTypeUSCC} }, "invalid_request", nil, false},
		{"another matter", partner, standing(nil), func(q *registry.ReuseRequest) { q.Use.Matter = "none" }, "forbidden", nil, true},
		{"a grant by function", partner, standing(nil), func(q *registry.ReuseRequest) { q.Use.Matter = "m" }, "forbidden", nil, true},
		{"another type", partner, standing(nil), func(q *registry.ReuseRequest) { q.TypeCode = "11100000MB19000005901" }, "forbidden", nil, true},
		{"a case beside it", partner, standing(nil), func(q *registry.ReuseRequest) { q.Use.Case = "c" }, "invalid_request", nil, false},
		{"an instant beside it", partner, standing(nil), func(q *registry.ReuseRequest) { q.AsOf = w.Now() }, "invalid_request", nil, false},
		{"a page beside it", partner, standing(nil), func(q *registry.ReuseRequest) { q.After = w.issued.Identifier }, "invalid_request", nil, false},
		{"no purpose", partner, standing(nil), func(q *registry.ReuseRequest) { q.Use.Purpose = "" }, "purpose_missing", nil, false},
		{"an empty phrase", partner, standing(nil), func(q *registry.ReuseRequest) { q.Use.Purpose = "查询" }, "invalid_request", nil, false},
		{"no operator", partner, standing(nil), func(q *registry.ReuseRequest) { q.Use.Operator = "" }, "purpose_missing", nil, false},
		{"neither code nor case", partner, func() string { return "" }, func(q *registry.ReuseRequest) { q.Holder = w.holder.Holder }, "purpose_missing", nil, false},
		{"no partner", w.registrar(), standing(nil), same, "forbidden", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			q := w.byCode(tt.code())
			tt.change(&q)
			from := size(t, w.Service)
			got, _, err := w.Reuse(t.Context(), tt.c, q)
			wantCode(t, "reuse", err, tt.want)
			logged := entries(t, w.Service, from)
			if len(logged) != 1 || (logged[0].Commitment != nil && strings.HasPrefix(logged[0].Entry.Case, "consent/")) != tt.about {
				t.Errorf("the log has %v", w.trailOf(from))
			}
			if tt.want != "" {
				if len(got) > 0 {
					t.Errorf("got %+v", got)
				}
				return
			}
			if names := fieldNames(got); !slices.Equal(names, tt.fields) || got[0].Identifier != w.issued.Identifier {
				t.Errorf("got %+v, want %q", got, tt.fields)
			}
		})
	}
}

// fieldNames are the names of the fields of the one licence that a reuse gave.
func fieldNames(got []registry.Reused) (names []string) {
	if len(got) != 1 {
		return nil
	}
	for name := range got[0].Fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestConsentSeen: the holder sees each step with a code, refusals and a stranger's attempt
// too, in the order in which they were.
func TestConsentSeen(t *testing.T) {
	w := openConsents(t)
	k := w.agree(nil)
	code := w.shows(k)
	other := registrytest.Partner()
	other.Principal, other.Authority.Code = "p2", "11330100002490170T"
	_, _, err := w.Reuse(t.Context(), other, w.byCode(code))
	wantCode(t, "a department without a grant", err, "forbidden")
	_, _, err = w.Reuse(t.Context(), registrytest.Partner(), w.byCode(code))
	must(t, err)
	_, _, err = w.Look(t.Context(), registry.Anonymous("r"), registry.LookRequest{Code: code})
	wantCode(t, "a look by a code for reuse", err, "consent_mismatch")
	_, _, err = w.Reuse(t.Context(), registrytest.Partner(), w.byCode(code))
	wantCode(t, "twice", err, "consent_spent")
	page, _, err := w.AccessLog().Own(t.Context(), w.holder, accesslog.Query{Limit: 6}, registry.Use{})
	must(t, err)
	var got []string
	for _, e := range page.Entries {
		if len(e.Proof) == 0 {
			t.Errorf("entry %d has no proof", e.Index)
		}
		got = append(got, strings.TrimSpace(string(e.Entry.Action)+" "+string(e.Entry.Result)+" "+e.Entry.Code))
	}
	want := []string{"reuse refused consent_spent", "present refused consent_mismatch", "reuse allowed", "reuse refused forbidden", "consent_code allowed", "consent allowed"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("the holder sees (-got +want):\n%s", diff)
	}
	if e := page.Entries[2].Entry; e.Case != "consent/"+k.ID || e.Object != string(w.issued.Identifier) || e.Purpose != purpose || e.Matter != "agreed" {
		t.Errorf("the reuse is logged as %+v", e)
	}
	from := size(t, w.Service)
	_, _, err = w.OpenCase(t.Context(), w.registrar(), registry.CaseRequest{Key: "k", Case: w.newCase("consent/" + k.ID)})
	wantCode(t, "a case that is called like a consent", err, "invalid_request")
	wantTrail(t, w.Service, from, "case_open refused invalid_request")
}

// TestConsentOnce: of many at once with a code for one use, one gets the licence.
func TestConsentOnce(t *testing.T) {
	w := openConsents(t)
	for _, kind := range []consent.Kind{consent.Reuse, consent.Presentation} {
		code := w.shows(w.agree(func(k *consent.Consent) { k.Kind = kind }))
		var done, refused atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				var err error
				if kind == consent.Reuse {
					_, _, err = w.Reuse(t.Context(), registrytest.Partner(), w.byCode(code))
				} else {
					_, _, err = w.Look(t.Context(), registry.Anonymous("r"), registry.LookRequest{Code: code})
				}
				switch {
				case err == nil:
					done.Add(1)
				case errors.Is(err, consent.ErrSpent):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if done.Load() != 1 || refused.Load() != 7 {
			t.Errorf("%s: %d got it, %d were refused", kind, done.Load(), refused.Load())
		}
	}
}

// TestStoredCode: what is kept under a code opens its consent alone. One of an older server, which names
// no licences, has lapsed; a licence that the consent does not name is not shown, whoever's it is.
func TestStoredCode(t *testing.T) {
	w := openConsents(t)
	k := w.agree(func(k *consent.Consent) { k.Uses = 9 })
	body, caller := sample(t, "food-retail.json")
	second, _, err := w.Issue(t.Context(), caller, registry.IssueRequest{Key: w.next(), Body: body})
	must(t, err)
	for name, tt := range map[string]struct{ licences, until, want string }{
		"as it is made":      {fmt.Sprintf("[%q]", w.issued.Identifier), "2099-01-01", ""},
		"with another too":   {fmt.Sprintf("[%q, %q]", second.Identifier, w.issued.Identifier), "2099-01-01", ""},
		"another's alone":    {fmt.Sprintf("[%q]", second.Identifier), "2099-01-01", "consent_mismatch"},
		"of an older server": {"null", "2099-01-01", "consent_expired"},
		"lapsed":             {fmt.Sprintf("[%q]", w.issued.Identifier), "2000-01-01", "consent_expired"},
	} {
		code, err := consent.NewCode(rand.Reader)
		must(t, err)
		must(t, w.Share(t.Context(), "consent_code", code, fmt.Appendf(nil, `{"consent": %q, "licences": %s, "until": "%sT00:00:00Z"}`, k.ID, tt.licences, tt.until), w.Now().Add(time.Hour)))
		got, _, err := w.Reuse(t.Context(), registrytest.Partner(), w.byCode(code))
		if tt.want != "" {
			wantCode(t, name, err, tt.want)
		} else if err != nil || len(got) != 1 || got[0].Identifier != w.issued.Identifier {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestMakeConsent: what a consent must not say, and of whose licences.
func TestMakeConsent(t *testing.T) {
	w := openConsents(t)
	elsewhere := issue(t, w.Service, "birth-two-parents.json", "birth")
	for name, change := range map[string]func(*consent.Consent){
		"no licence":            func(k *consent.Consent) { k.Licences = nil },
		"a licence twice":       func(k *consent.Consent) { k.Licences = slices.Repeat(k.Licences, 2) },
		"too many licences":     func(k *consent.Consent) { k.Licences = slices.Repeat(k.Licences, 21) },
		"a field of no licence": func(k *consent.Consent) { k.Fields = []string{"fields.colour"} },
		"no kind":               func(k *consent.Consent) { k.Kind = "" },
	} {
		from := size(t, w.Service)
		_, _, err := w.MakeConsent(t.Context(), w.holder, w.consent(change))
		wantCode(t, name, err, "invalid_request")
		wantTrail(t, w.Service, from, "consent refused invalid_request")
	}
	for name, id := range map[string]licence.Identifier{"another's licence": elsewhere.Identifier, "no such licence": "x"} {
		from := size(t, w.Service)
		_, _, err := w.MakeConsent(t.Context(), w.holder, w.consent(func(k *consent.Consent) { k.Licences = append(k.Licences, id) }))
		wantCode(t, name, err, "not_found")
		if n := size(t, w.Service) - from; n != 1 {
			t.Errorf("%s: %d entries", name, n)
		}
	}
	q := w.consent(nil)
	q.Life = 8 * 24 * time.Hour
	_, _, err := w.MakeConsent(t.Context(), w.holder, q)
	wantCode(t, "too long", err, "invalid_request")
	q = w.consent(nil)
	first, _, err := w.MakeConsent(t.Context(), w.holder, q)
	must(t, err)
	again, _, err := w.MakeConsent(t.Context(), w.holder, q)
	if diff := cmp.Diff(again, first); err != nil || diff != "" {
		t.Errorf("a repeat (-again +first): %v\n%s", err, diff)
	}
	stranger := w.holder
	stranger.Principal, stranger.Holder.Code, stranger.Holder.CodeType = "other", "11010519491231002X", licence.CodeTypeCitizenNumber
	_, _, err = w.NewConsentCode(t.Context(), stranger, first.ID)
	wantCode(t, "a code of another's", err, "not_found")
	_, _, err = w.RevokeConsent(t.Context(), stranger, first.ID, w.status())
	wantCode(t, "another's revoked", err, "not_found")
	_, _, err = w.RevokeConsent(t.Context(), w.holder, first.ID, registry.StatusRequest{})
	wantCode(t, "revoked without a key", err, "idempotency_key_missing")
	if all, _, err := w.Consents(t.Context(), stranger, registry.ConsentQuery{Limit: 9}); err != nil || len(all) > 0 {
		t.Errorf("another's consents: %v, %v", all, err)
	}
	_, _, err = w.RevokeConsent(t.Context(), w.holder, first.ID, w.status())
	must(t, err)
	_, _, err = w.RevokeConsent(t.Context(), w.holder, first.ID, w.status())
	wantCode(t, "revoked twice", err, "wrong_status")
	_, _, err = w.NewConsentCode(t.Context(), w.holder, first.ID)
	wantCode(t, "a code of what is revoked", err, "consent_revoked")
	for range consent.MaxStanding {
		w.agree(nil)
	}
	_, _, err = w.MakeConsent(t.Context(), w.holder, w.consent(nil))
	wantCode(t, "one too many", err, "too_many_consents")
	w.Move(time.Hour)
	w.agree(nil)
}

// TestLook: a presentation shows the fields agreed to and the status now, to its receiver.
func TestLook(t *testing.T) {
	w := openConsents(t)
	shown := w.agree(func(k *consent.Consent) {
		k.Kind, k.Fields, k.Uses = consent.Presentation, []string{"fields.premises", "number"}, 3
	})
	code := w.shows(shown)
	from := size(t, w.Service)
	p, _, err := w.Look(t.Context(), registry.Anonymous("r"), registry.LookRequest{Code: code, From: "address_public"})
	must(t, err)
	l := p.Licences[0]
	if len(p.Licences) != 1 || !slices.Equal(l.Names, []string{"fields.premises", "number"}) || l.Labels["number"] != "证照编号" || l.Labels["fields.premises"] == "" ||
		l.Status != licence.StatusValid || l.TypeName == "" || len(l.Fields) != 2 {
		t.Errorf("shown: %+v", l)
	}
	if e := entries(t, w.Service, from)[0].Entry; e.Action != registry.ActionPresent || e.Code != "address_public" || e.Case != "consent/"+shown.ID || e.Purpose != shown.Purpose {
		t.Errorf("logged as %+v", e)
	}
	_, _, err = w.Suspend(t.Context(), w.approval, w.issued.Identifier, w.status())
	must(t, err)
	p, _, err = w.Look(t.Context(), registrytest.Partner(), registry.LookRequest{Code: code, Operator: "王五"})
	if err != nil || p.Licences[0].Status != licence.StatusSuspended {
		t.Errorf("suspended meanwhile: %+v, %v", p, err)
	}
	for _, c := range []struct {
		name   string
		caller registry.Caller
		want   string
	}{
		{"an auditor", walkAuditor, "forbidden"},
		{"the holder", w.holder, "forbidden"},
		{"the system", walkSystem, "forbidden"},
	} {
		_, _, err := w.Look(t.Context(), c.caller, registry.LookRequest{Code: code})
		wantCode(t, c.name, err, c.want)
	}
	own := w.shows(w.agree(func(k *consent.Consent) {
		k.Kind, k.Receiver = consent.Presentation, registrytest.Department.Code
	}))
	_, _, err = w.Look(t.Context(), registry.Anonymous("r"), registry.LookRequest{Code: own})
	wantCode(t, "anybody, for a department", err, "consent_mismatch")
	_, _, err = w.Look(t.Context(), registrytest.Partner(), registry.LookRequest{Code: own})
	must(t, err)
	var wrong audit.Receipt
	_, wrong, err = w.Look(t.Context(), registry.Anonymous("r"), registry.LookRequest{Code: "x"})
	if wantCode(t, "no code", err, "consent_unknown"); len(wrong.Checkpoint) == 0 {
		t.Error("a guess leaves no entry")
	}
}

// TestGuessesBraked: a client that tries codes is slowed and then stopped, whatever codes.
func TestGuessesBraked(t *testing.T) {
	w := openConsents(t)
	var slowed, stopped int
	for i := range 200 {
		code, err := consent.NewCode(w.Config.Rand)
		must(t, err)
		_, _, err = w.Reuse(t.Context(), registrytest.Partner(), w.byCode(code))
		switch registry.Code(err) {
		case "consent_unknown":
		case "rate_limited":
			slowed++
		case "braked":
			stopped = i
		default:
			t.Fatal(err)
		}
		if stopped > 0 {
			break
		}
		w.Move(time.Second)
	}
	if stopped == 0 || slowed == 0 {
		t.Fatalf("slowed %d times, stopped after %d", slowed, stopped)
	}
	t.Logf("stopped after %d guesses, %d of them slowed", stopped, slowed)
}
