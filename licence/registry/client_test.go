package registry_test

import (
	"testing"
	"time"

	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// TestClientSecrets: a secret is told once; after a rotation the one before is good as long
// as was said, and a disabled client has none.
func TestClientSecrets(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	signsIn := func(secret string) string {
		t.Helper()
		_, _, err := s.Authenticate(t.Context(), "c", secret, "r")
		if err != nil {
			return registry.Code(err)
		}
		return ""
	}
	add := registry.ClientRequest{Key: w.next(), Client: registry.Client{ID: "c", Roles: []registry.Role{registry.RolePartner}, Authority: registrytest.Department}}
	first, _, err := s.AddClient(t.Context(), walkSystem, add)
	must(t, err)
	if again, _, err := s.AddClient(t.Context(), walkSystem, add); err != nil || again != "" || len(first) != 64 {
		t.Errorf("a repeat is told %q, %v", again, err)
	}
	_, _, err = s.AddClient(t.Context(), walkSystem, registry.ClientRequest{Key: w.next(), Client: add.Client})
	wantCode(t, "the identifier again", err, "client_taken")
	own, err := s.CallerFor(t.Context(), "c", "r")
	must(t, err)
	second, _, err := s.RotateClient(t.Context(), own, "c", s.Now().Add(time.Hour), w.status())
	must(t, err)
	for secret, want := range map[string]string{first: "", second: "", "": "unauthenticated", first[:63]: "unauthenticated"} {
		if got := signsIn(secret); got != want {
			t.Errorf("during the overlap %.4q: %q", secret, got)
		}
	}
	s.Move(time.Hour)
	if signsIn(first) != "unauthenticated" || signsIn(second) != "" {
		t.Error("the overlap does not end")
	}
	third, _, err := s.RotateClient(t.Context(), walkSystem, "c", time.Time{}, w.status())
	must(t, err)
	if signsIn(second) != "unauthenticated" || signsIn(third) != "" {
		t.Error("a rotation without overlap leaves the secret before")
	}
	_, _, err = s.RotateClient(t.Context(), walkSystem, "c", s.Now().Add(registry.MaxOverlap+time.Hour), w.status())
	wantCode(t, "an overlap too long", err, "invalid_request")
	_, err = s.DisableClient(t.Context(), own, "c", w.status())
	wantCode(t, "a client disables itself", err, "forbidden")
	_, err = s.DisableClient(t.Context(), walkSystem, "c", w.status())
	must(t, err)
	if signsIn(third) != "unauthenticated" {
		t.Error("a disabled client signs in")
	}
}

// TestClientReach: nobody gives more than they have, and no client has roles that check
// each other.
func TestClientReach(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	food, birth := w.issued.TypeCode, "11100000MB19000005901"
	city, district := registrytest.Approver(food), registrytest.Requester(registrytest.Authorities[food])
	partner, approvals := []registry.Role{registry.RolePartner}, []registry.Role{registry.RoleApprovalSystem}
	for _, c := range []struct {
		name   string
		caller registry.Caller
		change func(*registry.Client)
		want   string
	}{
		{"a partner below", city, func(n *registry.Client) { n.Authority = registrytest.Authorities[food] }, ""},
		{"an approval system of a type one has", city, func(n *registry.Client) { n.Roles, n.Types = approvals, []string{food} }, ""},
		{"of a type one has not", city, func(n *registry.Client) { n.Roles, n.Types = approvals, []string{birth} }, "forbidden"},
		{"a department above", district, func(*registry.Client) {}, "forbidden"},
		{"an authority", city, func(n *registry.Client) { n.Roles = []registry.Role{registry.RoleAuthority} }, "forbidden"},
		{"an auditor", city, func(n *registry.Client) { n.Roles = []registry.Role{registry.RoleAuditor} }, "forbidden"},
		{"more than usual", city, func(n *registry.Client) { n.DailyReuses = 1_000_000 }, "forbidden"},
		{"more than usual, by the operator", walkSystem, func(n *registry.Client) { n.DailyReuses = 1_000_000 }, ""},
		{"by a partner", registrytest.Partner(), func(*registry.Client) {}, "forbidden"},
		{"who registers cases and reuses", walkSystem, func(n *registry.Client) { n.Roles = append(approvals, partner...) }, "invalid_request"},
		{"who grants and audits", walkSystem, func(n *registry.Client) { n.Roles = []registry.Role{registry.RoleAuthority, registry.RoleAuditor} }, "invalid_request"},
		{"the system", walkSystem, func(n *registry.Client) { n.Roles = []registry.Role{registry.RoleSystem} }, "invalid_request"},
		{"no role", walkSystem, func(n *registry.Client) { n.Roles = nil }, "invalid_request"},
		{"a name of the service's own", walkSystem, func(n *registry.Client) { n.ID = "system" }, "invalid_request"},
		{"a name that is a path", walkSystem, func(n *registry.Client) { n.ID = "../x" }, "invalid_request"},
		{"a wrong code", walkSystem, func(n *registry.Client) { n.Authority.Code = "11330100002490082H" }, "invalid_request"},
		{"no division", walkSystem, func(n *registry.Client) { n.Authority.Division = "" }, "invalid_request"},
		{"an unknown type", walkSystem, func(n *registry.Client) { n.Types = []string{"x"} }, "invalid_request"},
	} {
		n := registry.Client{ID: w.next(), Roles: partner, Authority: registrytest.Department}
		c.change(&n)
		from := size(t, s)
		secret, _, err := s.AddClient(t.Context(), c.caller, registry.ClientRequest{Key: w.next(), Client: n})
		wantCode(t, c.name, err, c.want)
		if (secret != "") != (c.want == "") || size(t, s) != from+1 {
			t.Errorf("%s: secret of %d characters, %d entries", c.name, len(secret), size(t, s)-from)
		}
	}
	listed, _, err := s.Clients(t.Context(), district, registry.ClientQuery{Limit: 50})
	must(t, err)
	if len(listed) != 1 || listed[0].SecretHash != nil || listed[0].Salt != nil || listed[0].Authority != registrytest.Authorities[food] {
		t.Errorf("a district sees %+v", listed)
	}
}
