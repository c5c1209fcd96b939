package registry_test

import (
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence/brake"
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
		{"an approval system, which reads originals", city, func(n *registry.Client) {
			n.Authority, n.Roles, n.Types = registrytest.Platform, approvals, []string{food}
		}, "forbidden"},
		{"an approval system, which registers cases", city, func(n *registry.Client) { n.Authority, n.Roles = registrytest.Platform, approvals }, "forbidden"},
		{"an approval system, by the operator", walkSystem, func(n *registry.Client) { n.Roles, n.Types = approvals, []string{food} }, ""},
		{"of a type one has not", city, func(n *registry.Client) { n.Authority, n.Types = registrytest.Platform, []string{birth} }, "forbidden"},
		{"the own department by another's name", city, func(n *registry.Client) {
			n.Authority = registrytest.Platform
			n.Authority.Name = "杭州市公安局"
		}, "invalid_request"},
		{"one below by another's name", city, func(n *registry.Client) {
			n.Authority = registrytest.Authorities[food]
			n.Authority.Name = "杭州市公安局"
		}, "invalid_request"},
		{"a person's name", walkSystem, func(n *registry.Client) { n.ID = "Holder.0123456789abcdef0123456789abcdef" }, "invalid_request"},
		{"a session's name", walkSystem, func(n *registry.Client) { n.ID = "session-of-x" }, "invalid_request"},
		{"the service's name in capitals", walkSystem, func(n *registry.Client) { n.ID = "System" }, "invalid_request"},
		{"a department beside", city, func(*registry.Client) {}, "forbidden"},
		{"a department beside, said to be below", city, func(n *registry.Client) { n.Authority.Division = "330106" }, "forbidden"},
		{"the ministry, said to be below", city, func(n *registry.Client) {
			n.Authority.Code, n.Authority.Division = "11100000000013338W", "330106"
		}, "forbidden"},
		{"a department below, said to be of the city", city, func(n *registry.Client) {
			n.Authority = registrytest.Authorities[food]
			n.Authority.Division = "330100"
		}, "forbidden"},
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

// TestClientOfOthers: whoever gets a client's secret is that client, so nobody rotates one
// that they could not have registered.
func TestClientOfOthers(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	food := w.issued.TypeCode
	below := registrytest.Authorities[food]
	for _, c := range []struct {
		name   string
		caller registry.Caller
		client registry.Client
		want   string
	}{
		{"the own", registrytest.Approver(food), registry.Client{Authority: registrytest.Platform}, ""},
		{"one below", registrytest.Approver(food), registry.Client{Authority: below, Types: []string{food}}, ""},
		{"one below, of a type one has not", registrytest.Approver(), registry.Client{Authority: below, Types: []string{food}}, "not_found"},
		{"one beside", registrytest.Approver(food), registry.Client{Authority: registrytest.Department}, "not_found"},
		{"one beside, of a type one has", registrytest.Requester(registrytest.Department), registry.Client{Authority: registrytest.Platform}, "not_found"},
	} {
		for role, rotates := range map[registry.Role]string{registry.RolePartner: c.want, registry.RoleApprovalSystem: "not_found"} {
			c.client.ID, c.client.Roles = w.next(), []registry.Role{role}
			_, _, err := s.AddClient(t.Context(), walkSystem, registry.ClientRequest{Key: w.next(), Client: c.client})
			must(t, err)
			secret, _, err := s.RotateClient(t.Context(), c.caller, c.client.ID, time.Time{}, w.status())
			wantCode(t, "rotate "+c.name, err, rotates)
			if (secret != "") != (rotates == "") {
				t.Errorf("rotate %s: a secret of %d characters", c.name, len(secret))
			}
			if rotates == "" { // the client must notice
				_, _, err = s.RotateClient(t.Context(), c.caller, c.client.ID, s.Now().Add(time.Hour), w.status())
				wantCode(t, "rotate unnoticed "+c.name, err, "invalid_request")
			}
			_, err = s.DisableClient(t.Context(), c.caller, c.client.ID, w.status())
			wantCode(t, "disable "+c.name, err, c.want)
		}
	}
}

// TestClientOfBraked: a department that was stopped does not go on with a new client.
func TestClientOfBraked(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	of := registrytest.Requester(registrytest.Department)
	add := func(c registry.Caller, want string) {
		t.Helper()
		_, _, err := s.AddClient(t.Context(), c, registry.ClientRequest{Key: w.next(),
			Client: registry.Client{ID: w.next(), Roles: []registry.Role{registry.RolePartner}, Authority: registrytest.Department}})
		wantCode(t, "a partner by "+c.Principal, err, want)
	}
	add(of, "")
	must(t, s.Backend.Batch(t.Context(), func(tx audit.Tx) error {
		return tx.(registry.Tx).InsertBrake(t.Context(), registry.Brake{ID: "b", Client: "partner", Authority: registrytest.Department, Alarm: brake.AlarmBurst, BrakedAt: s.Now()})
	}))
	add(of, "forbidden")
	add(walkSystem, "")
}

// TestClientsOfDepartment: budgets are a client's, so that nobody multiplies them by clients.
func TestClientsOfDepartment(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	of := registrytest.Requester(registrytest.Department)
	for n := range 7 {
		q := registry.ClientRequest{Key: w.next(), Client: registry.Client{ID: w.next(), Roles: []registry.Role{registry.RolePartner}, Authority: registrytest.Department}}
		want := ""
		if n >= 5 {
			want = "forbidden"
		}
		for range 2 { // a repeat is answered as the first
			_, _, err := s.AddClient(t.Context(), of, q)
			wantCode(t, q.Client.ID, err, want)
		}
	}
}
