package registry_test

import (
	"strings"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// TestGrantBoard: people see what awaits their approval first, in all their types and once,
// then the newest; page by page, in one logged reading each.
func TestGrantBoard(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	types := s.PublishedTypes()
	food, other := w.issued.TypeCode, types[0].TypeCode
	if other == food {
		other = types[1].TypeCode
	}
	ask := func(c registry.Caller, typeCode, matter string) registry.Grant {
		s.Move(time.Minute)
		g, _, err := s.RequestGrant(t.Context(), c, registry.GrantRequest{Key: w.next(), Grant: registry.Grant{TypeCode: typeCode, MatterCode: matter, Scenario: "s", Fields: []string{"number"}, How: registry.HowFunction, LegalBasis: "b"}})
		must(t, err)
		return g
	}
	approver := registrytest.Approver(food, other)
	requester, city := registrytest.Requester(registrytest.Department), registrytest.Requester(registrytest.Platform)
	first := ask(requester, food, "1")
	ask(requester, other, "2")
	ask(approver, food, "3") // whose own it is
	ask(city, food, "4")     // of the approver's department, by somebody else
	_, _, err := s.ApproveGrant(t.Context(), approver, first.ID, registry.StatusRequest{Key: w.next()})
	must(t, err)
	ask(requester, food, "5")
	matters := func(grants []registry.Grant) string {
		var all []string
		for _, g := range grants {
			if g.RequestedAt.Before(first.RequestedAt) { // of the walker's world
				continue
			}
			all = append(all, g.MatterCode)
		}
		return strings.Join(all, " ")
	}
	for name, c := range map[string]struct {
		caller           registry.Caller
		q                registry.GrantQuery
		awaiting, listed string
	}{
		"of all types":     {approver, registry.GrantQuery{Limit: 10}, "5 4 2", "3"},
		"of a type":        {approver, registry.GrantQuery{TypeCode: food, Limit: 10}, "", "5 4 3 1"},
		"its first page":   {approver, registry.GrantQuery{TypeCode: food, Limit: 2}, "", "5 4"},
		"its second page":  {approver, registry.GrantQuery{TypeCode: food, Limit: 2, After: "4"}, "", "3 1"},
		"of no type":       {requester, registry.GrantQuery{Limit: 10}, "", "5 2 1"},
		"of another place": {district(approver), registry.GrantQuery{Limit: 10}, "", ""},
	} {
		all, _, err := s.Grants(t.Context(), approver, registry.GrantQuery{TypeCode: food, Limit: 100})
		must(t, err)
		for _, g := range all {
			if g.MatterCode == c.q.After {
				c.q.After = g.ID
			}
		}
		from := size(t, s)
		b, _, err := s.GrantBoard(t.Context(), c.caller, c.q)
		if got := matters(b.Awaiting); err != nil || got != c.awaiting {
			t.Errorf("%s: awaiting %s, want %s, %v", name, got, c.awaiting, err)
		}
		if got := matters(b.Listed); got != c.listed {
			t.Errorf("%s: listed %s, want %s", name, got, c.listed)
		}
		if n := size(t, s) - from; n != 1 {
			t.Errorf("%s: %d entries", name, n)
		}
	}
	for name, c := range map[string]registry.Caller{"an auditor": walkAuditor, "of no department": {Principal: "x", Roles: approver.Roles, RequestID: "r"}} {
		if b, _, err := s.GrantBoard(t.Context(), c, registry.GrantQuery{}); err == nil || b.Listed != nil {
			t.Errorf("%s sees %v", name, b)
		}
	}
	if _, _, err := s.GrantBoard(t.Context(), requester, registry.GrantQuery{TypeCode: food}); err == nil {
		t.Error("a type of others")
	}
}

// district is a caller in a division where nobody asked for anything.
func district(c registry.Caller) registry.Caller {
	c.Authority = licence.IssuingAuthority{Name: "x", Code: "11330782002609844X", Division: "330782"}
	return c
}
