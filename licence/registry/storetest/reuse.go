package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/brake"
	"elicence/licence/registry"
)

func testGrants(t *testing.T, b Backend) {
	department := licence.IssuingAuthority{Name: "人力资源和社会保障局", Code: "11440300MB2C92008N", Division: "440300"}
	g := registry.Grant{
		ID: "g1", Authority: department, TypeCode: typeCode, MatterCode: "440300-001", Scenario: "社会保险登记", Fields: []string{"number", "fields.business_scope"},
		How: registry.HowFunction, LegalBasis: "《食品安全法》第一百一十条", ValidFrom: day("2026-01-01"), ValidTo: day("2026-12-31"),
		Status: registry.GrantRequested, RequestedBy: "r", RequestedAt: base,
	}
	_, err := b.Grant(t.Context(), g.ID)
	wantError(t, "unknown grant", err, licence.ErrNotFound)
	unbounded, otherMatter, otherType, elsewhere := g, g, g, g
	unbounded.ID, unbounded.ValidTo = "g2", licence.Date{}
	unbounded.Masked, unbounded.Questions = true, []string{"valid", "equals:number"}
	otherMatter.ID, otherMatter.MatterCode = "g3", "440300-002"
	otherType.ID, otherType.TypeCode = "g4", "another type"
	elsewhere.ID, elsewhere.Authority.Code, elsewhere.Authority.Division = "g5", "another", "330100"
	for _, want := range []registry.Grant{g, unbounded, otherMatter, otherType, elsewhere} {
		change(t, b, func(tx Tx) error { return tx.InsertGrant(t.Context(), want) })
		got, err := b.Grant(t.Context(), want.ID)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("grant differs (got, want): %v\n%s", err, diff)
		}
	}
	ids := func(grants []registry.Grant, err error) string {
		t.Helper()
		return grantIDs(t, grants, err)
	}
	approved := func() string {
		t.Helper()
		found, err := b.ForReuse(t.Context(), registry.ReuseQuery{Authority: department.Code, TypeCode: typeCode, Matter: g.MatterCode})
		return ids(found.Grants, err)
	}
	if got := approved(); got != "" {
		t.Errorf("not approved, and yet: %s", got)
	}
	g.Status, g.ApprovedBy, g.ApprovedAt = registry.GrantApproved, "a", after(time.Hour)
	change(t, b, func(tx Tx) error { return tx.UpdateGrant(t.Context(), g, registry.GrantRequested) })
	err = rerun(t.Context(), b, func(tx Tx) error { return tx.UpdateGrant(t.Context(), g, registry.GrantRequested) })
	wantError(t, "approved twice", err, licence.ErrWrongStatus)
	change(t, b, func(tx Tx) error {
		got, err := tx.Grant(t.Context(), g.ID)
		if diff := cmp.Diff(got, g); diff != "" {
			t.Errorf("approved (got, want):\n%s", diff)
		}
		return err
	})
	for what, list := range map[string]struct{ got, want string }{
		"approved":          {approved(), "g1 "},
		"of the department": {ids(b.Grants(t.Context(), registry.GrantQuery{Authority: department.Code, Limit: 10})), "g1 g2 g3 g4 "},
		"its next page":     {ids(b.Grants(t.Context(), registry.GrantQuery{Authority: department.Code, After: "g2", Limit: 1})), "g3 "},
		"of the type":       {ids(b.Grants(t.Context(), registry.GrantQuery{TypeCode: typeCode, Division: "440000", Limit: 10})), "g1 g2 g3 "},
		"asked for":         {ids(b.Grants(t.Context(), registry.GrantQuery{TypeCode: typeCode, Division: "440000", Status: registry.GrantRequested, Limit: 10})), "g2 g3 "},
		"past the end":      {ids(b.Grants(t.Context(), registry.GrantQuery{TypeCode: typeCode, Division: "440000", After: "g9", Limit: 10})), ""},
	} {
		if list.got != list.want {
			t.Errorf("%s: %s, want %s", what, list.got, list.want)
		}
	}
}

// grantIDs are the identifiers of grants, each with a space behind it.
func grantIDs(t *testing.T, grants []registry.Grant, err error) (ids string) {
	t.Helper()
	for _, g := range grants {
		ids += g.ID + " "
	}
	if err != nil {
		t.Error(err)
	}
	return ids
}

func testCases(t *testing.T, b Backend) {
	k := registry.Case{
		Authority: authority, Number: "2026-0301", MatterCode: "440300-001", MatterName: "社会保险登记",
		Holder: licence.Holder{Code: "11010519491231002X", CodeType: licence.CodeTypeCitizenNumber},
		Types:  []string{typeCode, "another type"}, OpenedAt: base, ValidTo: day("2026-04-01"),
	}
	id := registry.CaseID(k.Authority, k.Number)
	_, err := b.Case(t.Context(), id)
	wantError(t, "unknown case", err, licence.ErrNotFound)
	change(t, b, func(tx Tx) error { return tx.InsertCase(t.Context(), k) })
	change(t, b, func(tx Tx) error {
		wantError(t, "the same again", tx.InsertCase(t.Context(), k), registry.ErrCaseTaken)
		other := k
		other.Authority = "another"
		return tx.InsertCase(t.Context(), other) // which the transaction still takes
	})
	closed := k
	closed.ClosedAt = after(time.Minute)
	for _, want := range []registry.Case{k, closed} {
		got, err := b.Case(t.Context(), id)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("case differs (got, want): %v\n%s", err, diff)
		}
		if want.ClosedAt.IsZero() {
			change(t, b, func(tx Tx) error { return tx.CloseCase(t.Context(), id, closed.ClosedAt) })
		}
	}
	for _, again := range []string{id, "no such case"} {
		err := rerun(t.Context(), b, func(tx Tx) error { return tx.CloseCase(t.Context(), again, base) })
		wantError(t, "closing "+again, err, licence.ErrWrongStatus)
	}
}

// testBasis changes one thing after the other that a reuse rests on.
func testBasis(t *testing.T, b Backend) {
	k := registry.Case{Authority: authority, Number: "basis", Holder: licence.Holder{Code: "11010519491231002X", CodeType: licence.CodeTypeCitizenNumber}, Types: []string{typeCode}, OpenedAt: base, ValidTo: day("2026-04-01")}
	id := registry.CaseID(authority, k.Number)
	g := registry.Grant{ID: "basis-1", TypeCode: typeCode, Fields: []string{"number"}, How: registry.HowFunction, Status: registry.GrantApproved}
	other := g
	other.ID = "basis-2"
	client := registry.Client{ID: "basis", Roles: []registry.Role{registry.RolePartner}, Salt: []byte("s"), SecretHash: []byte("h")}
	brake := registry.Brake{ID: "basis", Client: client.ID, Alarm: brake.AlarmBurst, BrakedAt: base}
	withdrawn := other
	withdrawn.Status = registry.GrantWithdrawn
	whole := registry.Basis{Client: client.ID, Case: id, Grants: []string{g.ID, other.ID}}
	agreed := agreed("basis") // to two uses
	using := registry.Basis{Client: client.ID, Consent: agreed.ID, Grants: whole.Grants}
	for _, step := range []struct {
		name   string
		change func(tx Tx) error
		of     registry.Basis
		want   registry.BasisState
	}{
		{"nothing", nil, whole, registry.BasisState{}},
		{"all", func(tx Tx) error {
			return errors.Join(tx.PutClient(t.Context(), client), tx.InsertCase(t.Context(), k), tx.InsertGrant(t.Context(), g), tx.InsertGrant(t.Context(), other), tx.InsertConsent(t.Context(), agreed))
		}, whole, registry.BasisState{CaseOpen: true, Grants: 2}},
		{"no grants", nil, registry.Basis{Client: client.ID}, registry.BasisState{}},
		{"a use of a consent", nil, using, registry.BasisState{Grants: 2, Used: true}},
		{"a grant withdrawn", func(tx Tx) error { return tx.UpdateGrant(t.Context(), withdrawn, registry.GrantApproved) }, whole, registry.BasisState{CaseOpen: true, Grants: 1}},
		{"braked", func(tx Tx) error { return tx.InsertBrake(t.Context(), brake) }, whole, registry.BasisState{CaseOpen: true, Grants: 1, Braked: true}},
		{"the brake of another", nil, registry.Basis{Client: "another", Case: id}, registry.BasisState{CaseOpen: true}},
		{"the last use of it, braked", nil, using, registry.BasisState{Grants: 1, Braked: true, Used: true}},
		{"a use too many", nil, using, registry.BasisState{Grants: 1, Braked: true}},
		{"a consent that is none", nil, registry.Basis{Client: client.ID, Case: id, Consent: "none"}, registry.BasisState{CaseOpen: true, Braked: true}},
		{"lifted", func(tx Tx) error {
			brake.LiftedBy, brake.LiftedAt = "x", base
			return tx.LiftBrake(t.Context(), brake)
		}, whole, registry.BasisState{CaseOpen: true, Grants: 1}},
		{"closed", func(tx Tx) error { return tx.CloseCase(t.Context(), id, base) }, whole, registry.BasisState{Grants: 1}},
		{"disabled", func(tx Tx) error { return tx.DisableClient(t.Context(), client.ID) }, whole, registry.BasisState{Grants: 1, Disabled: true}},
	} {
		change(t, b, func(tx Tx) error {
			if step.change != nil {
				if err := step.change(tx); err != nil {
					return err
				}
			}
			if got, err := tx.Basis(t.Context(), step.of, base); err != nil || got != step.want {
				t.Errorf("%s: %+v %v, want %+v", step.name, got, err, step.want)
			}
			return nil
		})
	}
}

func testQuestions(t *testing.T, b Backend) {
	count := func(id string, add map[string]int) error {
		return rerun(t.Context(), b, func(tx Tx) error { return tx.CountQuestions(t.Context(), id, add, 2) })
	}
	for i, step := range []struct {
		id   string
		add  map[string]int
		want error
	}{
		{"c1", map[string]int{"a": 1, "b": 0}, nil},
		{"c1", map[string]int{"a": 0}, nil},
		{"c1", map[string]int{"a": 1}, nil},
		{"c1", map[string]int{"a": 1}, registry.ErrQuestionsSpent},
		{"c1", map[string]int{"a": 0}, registry.ErrQuestionsSpent},
		{"c1", map[string]int{"a": 0, "b": 1}, registry.ErrQuestionsSpent},
		{"c1", map[string]int{"b": 1, "z": 0, "a": 0}, registry.ErrQuestionsSpent}, // and b is not counted
		{"c1", map[string]int{"b": 1}, nil},
		{"c1", map[string]int{"b": 1}, nil},
		{"c1", map[string]int{"b": 0}, registry.ErrQuestionsSpent},
		{"c2", map[string]int{"a": 1}, nil},
	} {
		if err := count(step.id, step.add); !errors.Is(err, step.want) || (err == nil) != (step.want == nil) {
			t.Errorf("step %d: %v, want %v", i, err, step.want)
		}
	}
}

func testBrakes(t *testing.T, b Backend) {
	client := registry.Client{ID: "partner", SecretHash: []byte{1}, Salt: []byte{2}}
	change(t, b, func(tx Tx) error { return tx.PutClient(t.Context(), client) })
	first := registry.Brake{ID: "b1", Client: client.ID, Authority: licence.IssuingAuthority{Name: "局", Code: authority, Division: "440305"},
		Alarm: brake.AlarmBurst, Detail: "121", BrakedAt: base}
	other := first
	other.ID, other.Client, other.Authority.Code, other.Authority.Division = "b2", "other", "another", "330100"
	_, err := b.Brake(t.Context(), first.ID)
	wantError(t, "unknown brake", err, licence.ErrNotFound)
	change(t, b, func(tx Tx) error {
		return errors.Join(tx.InsertBrake(t.Context(), first), tx.InsertBrake(t.Context(), other))
	})
	state := func(want registry.BrakeState) {
		t.Helper()
		got, err := b.Client(t.Context(), client.ID)
		if diff := cmp.Diff(got.Brake, want); err != nil || diff != "" {
			t.Errorf("the client's brake (got, want): %v\n%s", err, diff)
		}
	}
	state(registry.BrakeState{Standing: true})
	again := first
	again.ID = "b3"
	err = rerun(t.Context(), b, func(tx Tx) error { return tx.InsertBrake(t.Context(), again) })
	wantError(t, "braked twice", err, registry.ErrBraked)
	if counts, err := b.StandingBrakes(t.Context()); err != nil || cmp.Diff(counts, map[string]int{brake.AlarmBurst: 2}) != "" {
		t.Errorf("standing: %v, %v", counts, err)
	}

	lifted := first
	lifted.LiftedBy, lifted.LiftedAt, lifted.Reason = "auditor", after(time.Hour), "checked"
	change(t, b, func(tx Tx) error { return tx.LiftBrake(t.Context(), lifted) })
	err = rerun(t.Context(), b, func(tx Tx) error { return tx.LiftBrake(t.Context(), lifted) })
	wantError(t, "lifted twice", err, licence.ErrWrongStatus)
	state(registry.BrakeState{LiftedAt: lifted.LiftedAt})
	got, err := b.Brake(t.Context(), first.ID)
	if diff := cmp.Diff(got, lifted); err != nil || diff != "" {
		t.Errorf("brake differs (got, want): %v\n%s", err, diff)
	}
	change(t, b, func(tx Tx) error { return tx.InsertBrake(t.Context(), again) })
	state(registry.BrakeState{Standing: true})
	for _, c := range []struct {
		q    registry.BrakeQuery
		want []registry.Brake
	}{
		{registry.BrakeQuery{Limit: 10}, []registry.Brake{again, other, lifted}},
		{registry.BrakeQuery{Limit: 1, After: "b3"}, []registry.Brake{other}},
		{registry.BrakeQuery{Standing: true, Division: "440000", Limit: 10}, []registry.Brake{again}},
		{registry.BrakeQuery{Authority: "another", Limit: 10}, []registry.Brake{other}},
		{registry.BrakeQuery{After: "b1", Limit: 10}, nil},
	} {
		got, err := b.Brakes(t.Context(), c.q)
		if diff := cmp.Diff(got, c.want); err != nil || diff != "" {
			t.Errorf("%+v (got, want): %v\n%s", c.q, err, diff)
		}
	}
}

func testReuseCounts(t *testing.T, b Backend) {
	hour := brake.Count{Subject: "client", Window: time.Hour, Since: base, N: 2}
	minute, operator := hour, hour
	minute.Window, operator.Subject, operator.N = time.Minute, "operator/王五", 5
	for _, c := range []struct {
		name, client string
		lifted       time.Time
		before       time.Time
		want         []int64
	}{
		{"first", "p", time.Time{}, base, []int64{2, 2, 5}},
		{"again", "p", time.Time{}, base, []int64{4, 4, 10}},
		{"another client", "q", time.Time{}, base, []int64{2, 2, 5}},
		{"after a brake was lifted", "p", after(time.Second), base, []int64{2, 2, 5}},
		{"and of the time before, nothing is lost", "p", time.Time{}, base, []int64{6, 6, 15}},
		{"forgotten", "p", time.Time{}, after(time.Nanosecond), []int64{2, 2, 5}},
	} {
		change(t, b, func(tx Tx) error {
			got, err := tx.CountReuses(t.Context(), c.client, c.lifted, []brake.Count{hour, minute, operator}, c.before)
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("%s (got, want):\n%s", c.name, diff)
			}
			return err
		})
	}
}
