package registry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/brake"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// purpose is one that says something.
const purpose = "为企业办理社会保险登记，核对经营许可"

// registrar is the approval system of the department that reuses.
func (w *walker) registrar() registry.Caller {
	return registry.Caller{Principal: "approval-" + registrytest.Department.Code, Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: registrytest.Department, RequestID: "walk"}
}

// newCase is a case of the walk's holder.
func (w *walker) newCase(number string) registry.Case {
	return registry.Case{Number: number, MatterCode: "m", MatterName: "社会保险登记", Holder: w.holder.Holder, Types: []string{w.issued.TypeCode}, ValidTo: licence.DateOf(w.Now().AddDate(0, 1, 0))}
}

// openCase registers one, unless that was done.
func (w *walker) openCase(number string) string {
	w.t.Helper()
	return w.Case(w.t, registrytest.Department, w.newCase(number))
}

// reuse asks for a reuse in a case.
func (w *walker) reuse(number string) registry.ReuseRequest {
	return registry.ReuseRequest{Holder: w.holder.Holder, TypeCode: w.issued.TypeCode, Use: registry.Use{Purpose: purpose, Case: number, Matter: "m", Operator: "王五"}}
}

// grant is a grant to ask for.
func (w *walker) grant() registry.Grant {
	return registry.Grant{TypeCode: w.issued.TypeCode, MatterCode: w.next(), Scenario: "s", Fields: []string{"number", "fields.premises"}, How: registry.HowFunction, LegalBasis: "test"}
}

// ifDone is an answer of what succeeded, and nothing otherwise.
func ifDone[A any](answer A, receipt audit.Receipt, err error) (A, audit.Receipt, error) {
	var none A
	if err != nil {
		answer = none
	}
	return answer, receipt, err
}

// changingGrant prepares a change of a grant that was requested.
func changingGrant(change func(*registry.Registry, context.Context, registry.Caller, string, registry.StatusRequest) (registry.Grant, audit.Receipt, error)) func(*walker, context.Context) call {
	return func(w *walker, ctx context.Context) call {
		g, _, err := w.RequestGrant(ctx, registrytest.Requester(registrytest.Department), registry.GrantRequest{Key: w.next(), Grant: w.grant()})
		must(w.t, err)
		q := w.status()
		return only(func(r *registry.Registry) (audit.Receipt, error) {
			_, receipt, err := change(r, ctx, registrytest.Approver(w.issued.TypeCode), g.ID, q)
			return receipt, err
		})
	}
}

// braked is a brake on a client.
func (w *walker) braked(client string) string {
	w.t.Helper()
	b := registry.Brake{ID: w.next(), Client: client, Authority: registrytest.Department, Alarm: brake.AlarmBurst, BrakedAt: w.Now()}
	must(w.t, w.Backend.Batch(w.t.Context(), func(tx audit.Tx) error {
		if err := tx.(registry.Tx).InsertBrake(w.t.Context(), b); !errors.Is(err, registry.ErrBraked) {
			return err
		}
		return nil
	}))
	return b.ID
}

// TestReuse: case, grant, purpose and fields each open a reuse or keep it shut.
func TestReuse(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	today := licence.DateOf(s.Now())
	s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: w.issued.TypeCode, MatterCode: "m",
		Fields: []string{"holder.name", "fields.premises"}, ValidFrom: today, ValidTo: today})
	s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: w.issued.TypeCode, MatterCode: "consent", Fields: []string{"number"}, How: registry.HowConsent})
	s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: w.issued.TypeCode, MatterCode: "later", Fields: []string{"number"}, ValidFrom: licence.DateOf(s.Now().AddDate(0, 0, 3))})
	_, _, err := s.RequestGrant(t.Context(), registrytest.Requester(registrytest.Department), registry.GrantRequest{Key: "unapproved", Grant: registry.Grant{TypeCode: w.issued.TypeCode, MatterCode: "asked", Scenario: "s", Fields: []string{"number"}, How: registry.HowFunction, LegalBasis: "test"}})
	must(t, err)
	withdrawn := s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: w.issued.TypeCode, MatterCode: "gone", Fields: []string{"number"}})
	_, _, err = s.WithdrawGrant(t.Context(), registrytest.Requester(registrytest.Department), withdrawn.ID, registry.StatusRequest{Key: "gone", Reason: "r"})
	must(t, err)
	for number, change := range map[string]func(*registry.Case){
		"c": func(*registry.Case) {}, "other type": func(k *registry.Case) { k.Types = []string{"11100000MB19000005901"} },
		"other holder": func(k *registry.Case) {
			k.Holder = licence.Holder{Code: "11330100002490082C", CodeType: licence.CodeTypeUSCC}
		},
		"consent": func(k *registry.Case) { k.MatterCode = "consent" }, "later": func(k *registry.Case) { k.MatterCode = "later" },
		"asked": func(k *registry.Case) { k.MatterCode = "asked" }, "gone": func(k *registry.Case) { k.MatterCode = "gone" },
		"short": func(k *registry.Case) { k.ValidTo = today },
	} {
		k := w.newCase(number)
		change(&k)
		s.Case(t, registrytest.Department, k)
	}
	closed := w.openCase("closed")
	_, _, err = s.CloseCase(t.Context(), w.registrar(), closed, registry.StatusRequest{Key: "closed", Reason: "办结"})
	must(t, err)
	stranger := registrytest.Partner()
	stranger.Principal, stranger.Authority.Code = "p2", "11330100002490170T"
	partner := registrytest.Partner()
	in := func(number, matter string) func(*registry.ReuseRequest) {
		return func(q *registry.ReuseRequest) { q.Use.Case, q.Use.Matter = number, matter }
	}
	forPurpose := func(text string) func(*registry.ReuseRequest) {
		return func(q *registry.ReuseRequest) { q.Use.Purpose = text }
	}
	for _, tt := range []struct {
		name   string
		c      registry.Caller
		change func(*registry.ReuseRequest)
		want   string
		fields int
	}{
		{"all that is granted", partner, func(q *registry.ReuseRequest) {}, "", 3},
		{"one field", partner, func(q *registry.ReuseRequest) { q.Fields = []string{"number"} }, "", 1},
		{"a field not granted", partner, func(q *registry.ReuseRequest) { q.Fields = []string{"number", "holder.code"} }, "forbidden", 0},
		{"another matter than the case's", partner, in("c", "later"), "case_mismatch", 0},
		{"a case of another holder", partner, in("other holder", "m"), "case_mismatch", 0},
		{"a case of other types", partner, in("other type", "m"), "case_mismatch", 0},
		{"a closed case", partner, in("closed", "m"), "case_closed", 0},
		{"no such case", partner, in("none", "m"), "case_unknown", 0},
		{"another department's case", stranger, in("c", "m"), "case_unknown", 0},
		{"a grant by consent", partner, in("consent", "consent"), "consent_required", 0},
		{"a grant that has not begun", partner, in("later", "later"), "forbidden", 0},
		{"a grant that nobody approved", partner, in("asked", "asked"), "forbidden", 0},
		{"a grant that was withdrawn", partner, in("gone", "gone"), "forbidden", 0},
		{"no purpose", partner, forPurpose(""), "purpose_missing", 0},
		{"an empty phrase", partner, forPurpose("查询"), "invalid_request", 0},
		{"an empty phrase with trimmings", partner, forPurpose("【 证照 查询 】。"), "invalid_request", 0},
		{"test", partner, forPurpose("TEST-"), "invalid_request", 0},
		{"too short", partner, forPurpose("经营许可"), "invalid_request", 0},
		{"one character", partner, forPurpose(strings.Repeat("核", 50)), "invalid_request", 0},
		{"a number", partner, forPurpose("20260301"), "invalid_request", 0},
		{"the matter's name", partner, forPurpose("社会保险-登记"), "invalid_request", 0},
		{"no operator", partner, func(q *registry.ReuseRequest) { q.Use.Operator = "" }, "purpose_missing", 0},
		{"no case", partner, func(q *registry.ReuseRequest) { q.Use.Case = "" }, "purpose_missing", 0},
		{"another type", partner, func(q *registry.ReuseRequest) { q.TypeCode = "11100000MB19000005901" }, "case_mismatch", 0},
		{"a holder's code that fails its check digit", partner, func(q *registry.ReuseRequest) { q.Holder.Code = "92330106MA0000A27H" }, "invalid_request", 0},
		{"no partner", registry.Anonymous("r"), func(q *registry.ReuseRequest) {}, "forbidden", 0},
		{"who registers the case", w.registrar(), func(q *registry.ReuseRequest) {}, "forbidden", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := size(t, s)
			q := w.reuse("c")
			tt.change(&q)
			got, _, err := s.Reuse(t.Context(), tt.c, q)
			wantCode(t, "reuse", err, tt.want)
			if n := size(t, s) - from; n != 1 {
				t.Errorf("%d log entries", n)
			}
			if tt.want == "" && (len(got) != 1 || len(got[0].Fields) != tt.fields) {
				t.Errorf("got %+v", got)
			}
		})
	}
	s.Move(48 * time.Hour)
	_, _, err = s.Reuse(t.Context(), partner, w.reuse("short"))
	wantCode(t, "a case whose time is over", err, "case_closed")
	got, _, err := s.Reuse(t.Context(), partner, w.reuse("c"))
	must(t, err)
	if len(got[0].Fields) != 1 {
		t.Errorf("one of two grants has ended: %+v", got)
	}
}

// TestGrantSteps: a grant is requested by one and approved by another within whose reach
// it lies, and each step is taken once.
func TestGrantSteps(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	requester, approver := registrytest.Requester(registrytest.Department), registrytest.Approver(w.issued.TypeCode)
	both := approver
	both.Principal = requester.Principal
	district := approver
	district.Principal, district.Authority = "district", registrytest.Authorities["11100000MB0143028R901"]
	ask := func(change func(*registry.Grant)) (registry.Grant, error) {
		g := w.grant()
		change(&g)
		g, _, err := s.RequestGrant(t.Context(), requester, registry.GrantRequest{Key: w.next(), Grant: g})
		return g, err
	}
	for name, change := range map[string]func(*registry.Grant){
		"an unknown type":    func(g *registry.Grant) { g.TypeCode = "x" },
		"no field":           func(g *registry.Grant) { g.Fields = nil },
		"an unknown field":   func(g *registry.Grant) { g.Fields = []string{"fields.colour"} },
		"a name of no field": func(g *registry.Grant) { g.Fields = []string{"data"} },
		"a field twice":      func(g *registry.Grant) { g.Fields = []string{"number", "number"} },
		"no matter":          func(g *registry.Grant) { g.MatterCode = " " },
		"no scenario":        func(g *registry.Grant) { g.Scenario = "" },
		"no legal basis":     func(g *registry.Grant) { g.LegalBasis = "" },
		"no how":             func(g *registry.Grant) { g.How = "" },
		"dates that cross":   func(g *registry.Grant) { g.ValidTo = licence.DateOf(s.Now().AddDate(0, 0, -1)) },
	} {
		from := size(t, s)
		_, err := ask(change)
		wantCode(t, name, err, "invalid_request")
		wantTrail(t, s, from, "grant_request refused invalid_request")
	}
	g, err := ask(func(*registry.Grant) {})
	must(t, err)
	if g.Status != registry.GrantRequested || g.Authority != registrytest.Department {
		t.Errorf("%+v", g)
	}
	for _, c := range []struct {
		name   string
		caller registry.Caller
		want   string
	}{
		{"the requester", both, "forbidden"},
		{"the requester's department", requester, "not_found"},
		{"a district for a city", district, "not_found"},
		{"an authority of other types", registrytest.Approver("11100000MB19000005901"), "not_found"},
		{"an auditor", walkAuditor, "forbidden"},
		{"the system", walkSystem, "forbidden"},
	} {
		from := size(t, s)
		_, _, err := s.ApproveGrant(t.Context(), c.caller, g.ID, registry.StatusRequest{Key: w.next()})
		wantCode(t, c.name, err, c.want)
		if n := size(t, s) - from; n != 1 {
			t.Errorf("%s: %d entries", c.name, n)
		}
	}
	q := registry.StatusRequest{Key: w.next()}
	approved, _, err := s.ApproveGrant(t.Context(), approver, g.ID, q)
	must(t, err)
	again, _, err := s.ApproveGrant(t.Context(), approver, g.ID, q)
	if diff := cmp.Diff(again, approved); err != nil || diff != "" || approved.ApprovedBy != approver.Principal {
		t.Errorf("a repeat (-again +first): %v\n%s", err, diff)
	}
	_, _, err = s.ApproveGrant(t.Context(), approver, g.ID, w.status())
	wantCode(t, "approved twice", err, "wrong_status")
	_, _, err = s.WithdrawGrant(t.Context(), approver, g.ID, registry.StatusRequest{Key: w.next()})
	wantCode(t, "withdrawn without a reason", err, "reason_missing")
	_, _, err = s.WithdrawGrant(t.Context(), approver, g.ID, w.status())
	must(t, err)
	_, _, err = s.WithdrawGrant(t.Context(), requester, g.ID, w.status())
	wantCode(t, "withdrawn twice", err, "wrong_status")
	_, _, err = s.ApproveGrant(t.Context(), approver, g.ID, w.status())
	wantCode(t, "approved after it was withdrawn", err, "wrong_status")

	brief := s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: w.issued.TypeCode, MatterCode: "brief", Fields: []string{"number"}, ValidTo: licence.DateOf(s.Now())})
	s.Move(48 * time.Hour)
	listed, _, err := s.Grants(t.Context(), approver, registry.GrantQuery{TypeCode: w.issued.TypeCode, Limit: 50})
	must(t, err)
	var found registry.GrantStatus
	for _, l := range listed {
		if l.ID == brief.ID {
			found = l.Status
		}
	}
	if found != registry.GrantExpired {
		t.Errorf("past its last day it is %q", found)
	}
}

// TestCaseSteps: who registers a case, what of, and who closes it.
func TestCaseSteps(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	ask := func(c registry.Caller, change func(*registry.Case)) (registry.CaseState, error) {
		k := w.newCase(w.next())
		change(&k)
		state, _, err := s.OpenCase(t.Context(), c, registry.CaseRequest{Key: w.next(), Case: k})
		return state, err
	}
	for name, change := range map[string]func(*registry.Case){
		"no number":                func(k *registry.Case) { k.Number = "" },
		"no matter":                func(k *registry.Case) { k.MatterCode = "" },
		"no matter's name":         func(k *registry.Case) { k.MatterName = "" },
		"a wrong check digit":      func(k *registry.Case) { k.Holder.Code = "92330106MA0000A27H" },
		"no type":                  func(k *registry.Case) { k.Types = nil },
		"an unknown type":          func(k *registry.Case) { k.Types = []string{"x"} },
		"a type twice":             func(k *registry.Case) { k.Types = append(k.Types, k.Types...) },
		"no last day":              func(k *registry.Case) { k.ValidTo = licence.Date{} },
		"a last day that is past":  func(k *registry.Case) { k.ValidTo = licence.DateOf(s.Now().AddDate(0, 0, -1)) },
		"a case for two years":     func(k *registry.Case) { k.ValidTo = licence.DateOf(s.Now().AddDate(2, 0, 0)) },
		"a number too long to log": func(k *registry.Case) { k.Number = strings.Repeat("案", 50) },
	} {
		from := size(t, s)
		_, err := ask(w.registrar(), change)
		wantCode(t, name, err, "invalid_request")
		wantTrail(t, s, from, "case_open refused invalid_request")
	}
	_, err := ask(registrytest.Partner(), func(*registry.Case) {})
	wantCode(t, "a partner", err, "forbidden")
	homeless := w.registrar()
	homeless.Authority = licence.IssuingAuthority{}
	_, err = ask(homeless, func(*registry.Case) {})
	wantCode(t, "of no department", err, "forbidden")
	state, err := ask(w.registrar(), func(k *registry.Case) { k.Number = "once" })
	must(t, err)
	_, err = ask(w.registrar(), func(k *registry.Case) { k.Number = "once" })
	wantCode(t, "the number again", err, "case_taken")
	other := w.registrar()
	other.Principal, other.Authority.Code = "other", "11330100002490170T"
	_, err = ask(other, func(k *registry.Case) { k.Number = "once" })
	must(t, err) // which is another department's
	_, _, err = s.CloseCase(t.Context(), other, state.ID, w.status())
	wantCode(t, "closed by another department", err, "not_found")
	_, _, err = s.CloseCase(t.Context(), w.registrar(), state.ID, registry.StatusRequest{Key: w.next()})
	wantCode(t, "closed without a reason", err, "reason_missing")
	q := w.status()
	closed, _, err := s.CloseCase(t.Context(), w.registrar(), state.ID, q)
	must(t, err)
	s.Move(time.Minute)
	again, _, err := s.CloseCase(t.Context(), w.registrar(), state.ID, q)
	if diff := cmp.Diff(again, closed); err != nil || diff != "" || closed.Status != "closed" || closed.ClosedAt == nil {
		t.Errorf("a repeat (-again +first): %v\n%s", err, diff)
	}
	_, _, err = s.CloseCase(t.Context(), w.registrar(), state.ID, w.status())
	wantCode(t, "closed twice", err, "wrong_status")
	if strings.Contains(state.ID, "once") || len(state.ID) != 32 {
		t.Error("the identifier tells the number:", state.ID)
	}
}

// TestCatalogueOfRegister: a type that the register alone has is granted, named in cases and
// by clients, and its licences reused, also after it was retired.
func TestCatalogueOfRegister(t *testing.T) {
	s := open(t)
	_, publisher, approval := keepers()
	named := func() error {
		_, _, err := s.RequestGrant(t.Context(), registrytest.Requester(registrytest.Department), registry.GrantRequest{Key: fmt.Sprint("named-", size(t, s)),
			Grant: registry.Grant{TypeCode: newType, MatterCode: "m", Scenario: "s", Fields: []string{"number"}, How: registry.HowFunction, LegalBasis: "test"}})
		return err
	}
	wantCode(t, "a type that is not there", named(), "invalid_request")
	version := published(t, s.Registry, typeFiles(t))
	issued, _, err := s.Issue(t.Context(), approval, requestFor(t, "registered"))
	must(t, err)
	rec, err := s.Backend.Licence(t.Context(), issued.Identifier)
	must(t, err)
	holder := licence.Holder{Code: rec.Holder.Code, CodeType: rec.Holder.CodeType}
	reused := func(name string) {
		t.Helper()
		_, _, err := s.AddClient(t.Context(), walkSystem, registry.ClientRequest{Key: name, Client: registry.Client{
			ID: name, Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: registrytest.Department, Types: []string{newType}}})
		must(t, err)
		s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: newType, MatterCode: name, Fields: []string{"number"}})
		s.Case(t, registrytest.Department, registry.Case{Number: name, MatterCode: name, Holder: holder, Types: []string{newType}})
		got, _, err := s.Reuse(t.Context(), registrytest.Partner(), registry.ReuseRequest{Holder: holder, TypeCode: newType,
			Use: registry.Use{Purpose: purpose, Case: name, Matter: name, Operator: "王五"}})
		must(t, err)
		if len(got) != 1 || got[0].Fields["number"] != issued.Number {
			t.Errorf("%s: %+v, want number %s", name, got, issued.Number)
		}
	}
	reused("published")
	_, _, err = s.RetireCatalogue(t.Context(), publisher, newType, version, reasoned())
	must(t, err)
	reused("retired")
}
