package registry_test

import (
	"errors"
	"testing"
	"time"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/person"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

const issuer = "https://id.example.gov.cn"

// aPerson is somebody of the authority that decides on food licences, who is nobody yet.
func (w *walker) aPerson() person.Person {
	id := w.next()
	return person.Person{ID: id, Issuer: issuer, Subject: "s-" + id, Name: "张三", Roles: []person.Role{person.Authority},
		Authority: w.approval.Authority, Types: []string{w.issued.TypeCode}}
}

func (w *walker) addPerson() person.Person {
	w.t.Helper()
	p := w.aPerson()
	_, err := w.AddPerson(w.t.Context(), walkSystem, registry.PersonRequest{Key: w.next(), Person: p})
	must(w.t, err)
	return p
}

// inSession signs a person in.
func (w *walker) inSession(p person.Person) registry.Caller {
	w.t.Helper()
	name := w.next()
	_, err := w.SignInPerson(w.t.Context(), p.Issuer, p.Subject, name, w.Now().Add(time.Hour), "r")
	must(w.t, err)
	_, c, err := w.PersonInSession(w.t.Context(), name, "r")
	must(w.t, err)
	return c
}

// TestAddPerson: who registers whom, and what is refused leaves nobody.
func TestAddPerson(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	food := w.issued.TypeCode
	own := registrytest.Approver(food)
	// Who decides for a city, and whose types are the test's.
	above := registry.Caller{Principal: "city", Roles: []registry.Role{registry.RoleAuthority}, Types: []string{food},
		Authority: licence.IssuingAuthority{Name: "市", Code: "11330100002491064M", Division: "330100"}, RequestID: "r"}
	same := w.addPerson()
	for _, c := range []struct {
		name   string
		by     registry.Caller
		change func(*person.Person)
		code   string
	}{
		{"its own", own, func(*person.Person) {}, ""},
		{"an auditor, by the system", walkSystem, func(p *person.Person) { p.Roles, p.Types = []person.Role{person.Auditor}, nil }, ""},
		{"of no types", own, func(p *person.Person) { p.Types = nil }, ""},
		{"an auditor", own, func(p *person.Person) { p.Roles, p.Types = []person.Role{person.Auditor}, nil }, "forbidden"},
		{"a system operator", own, func(p *person.Person) { p.Roles, p.Types = []person.Role{person.System}, nil }, "forbidden"},
		{"of a type that it has not", own, func(p *person.Person) { p.Types = []string{registrytest.DocumentType} }, "forbidden"},
		{"of another department", own, func(p *person.Person) { p.Authority = registrytest.Department }, "forbidden"},
		{"with both duties, by the system", walkSystem, func(p *person.Person) { p.Roles = append(p.Roles, person.Auditor) }, "invalid_request"},
		{"a machine's role, by the system", walkSystem, func(p *person.Person) { p.Roles = []person.Role{registry.RolePartner} }, "invalid_request"},
		{"an unknown type", walkSystem, func(p *person.Person) { p.Types = []string{"x"} }, "invalid_request"},
		{"a type twice", walkSystem, func(p *person.Person) { p.Types = []string{food, food} }, "invalid_request"},
		{"a header in the name", walkSystem, func(p *person.Person) { p.Name = "a\r\nSet-Cookie: x=y" }, "invalid_request"},
		{"the same subject", walkSystem, func(p *person.Person) { p.Subject = same.Subject }, "person_taken"},
		{"the same identifier", walkSystem, func(p *person.Person) { p.ID = same.ID }, "person_taken"},
		{"by an auditor", walkAuditor, func(*person.Person) {}, "forbidden"},
		{"by a partner", registrytest.Partner(), func(*person.Person) {}, "forbidden"},
		{"beside", above, func(p *person.Person) { p.Authority.Division = "330200" }, "forbidden"},
	} {
		p := w.aPerson()
		c.change(&p)
		from := size(t, s)
		_, err := s.AddPerson(t.Context(), c.by, registry.PersonRequest{Key: w.next(), Person: p})
		if got := registry.Code(err); (err == nil) != (c.code == "") || err != nil && got != c.code {
			t.Errorf("%s: %v, want %q", c.name, err, c.code)
		}
		want := "person_add allowed"
		if c.code != "" {
			want = "person_add refused " + c.code
		}
		wantTrail(t, s, from, want)
		if _, err := s.Backend.PersonBySubject(t.Context(), p.Issuer, p.Subject); (err == nil) != (c.code == "" || p.Subject == same.Subject) {
			t.Errorf("%s: afterwards %v", c.name, err)
		}
	}
	if _, err := s.AddPerson(t.Context(), walkSystem, registry.PersonRequest{Person: w.aPerson()}); !errors.Is(err, registry.ErrKeyMissing) {
		t.Errorf("without a key: %v", err)
	}
	people, _, err := s.People(t.Context(), own, registry.PersonQuery{Limit: 100})
	must(t, err)
	for _, p := range people {
		if p.Subject != "" || !licence.Within(p.Authority.Division, own.Authority.Division) {
			t.Errorf("an authority is shown %+v", p)
		}
	}
	if len(people) < 3 {
		t.Errorf("an authority is shown %d people", len(people))
	}
}

// TestPersonSignIn: a person is let in as themselves while they are active; each sign-in and
// each refusal is an entry, which names them where they are known and never their subject.
func TestPersonSignIn(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	p := w.addPerson()
	later, both := w.aPerson(), w.aPerson()
	later.From, later.Until = s.Now().Add(time.Hour), s.Now().Add(2*time.Hour)
	_, err := s.AddPerson(t.Context(), walkSystem, registry.PersonRequest{Key: w.next(), Person: later})
	must(t, err)
	// Whom nobody registers, but a hand in the database.
	both.Roles = append(both.Roles, person.Auditor)
	must(t, s.Backend.Batch(t.Context(), func(tx audit.Tx) error { return tx.(registry.Tx).InsertPerson(t.Context(), both) }))
	from := size(t, s)
	c := w.inSession(p)
	wantTrail(t, s, from, "authenticate allowed")
	if e := trailEntry(t, s, from); e.Principal != "person."+p.ID || e.Object != "person/"+p.ID || e.Authority != p.Authority.Code {
		t.Errorf("entry %+v", e)
	}
	if c.Person != p.ID || len(c.Roles) != 1 || c.Authority != p.Authority {
		t.Errorf("caller %+v", c)
	}
	for name, subject := range map[string]string{"unknown": "nobody", "not yet": later.Subject, "both duties": both.Subject} {
		from := size(t, s)
		if _, err := s.SignInPerson(t.Context(), issuer, subject, "n", s.Now().Add(time.Hour), "r"); !errors.Is(err, registry.ErrPersonUnknown) {
			t.Errorf("%s: %v", name, err)
		}
		wantTrail(t, s, from, "authenticate refused person_unknown")
		if _, _, err := s.PersonInSession(t.Context(), "n", "r"); !errors.Is(err, registry.ErrUnauthenticated) {
			t.Errorf("%s: a session: %v", name, err)
		}
	}
	if _, err := s.SignInPerson(t.Context(), issuer+"/2", p.Subject, "n", s.Now().Add(time.Hour), "r"); !errors.Is(err, registry.ErrPersonUnknown) {
		t.Errorf("the subject of another provider: %v", err)
	}
	name := w.next()
	_, err = s.SignInPerson(t.Context(), p.Issuer, p.Subject, name, s.Now().Add(time.Hour), "r")
	must(t, err)
	_, err = s.DisablePerson(t.Context(), walkSystem, p.ID, w.status())
	must(t, err)
	if _, gone, err := s.PersonInSession(t.Context(), name, "r"); !errors.Is(err, registry.ErrPersonUnknown) || gone.Principal != p.Principal() || gone.MayAct(registry.ActionGrantRead) {
		t.Errorf("the session of a disabled person: %+v, %v", gone, err)
	}
	s.Move(90 * time.Minute)
	w.inSession(later)
	s.Move(31 * time.Minute)
	if _, err := s.SignInPerson(t.Context(), issuer, later.Subject, "n", s.Now().Add(time.Hour), "r"); !errors.Is(err, registry.ErrPersonUnknown) {
		t.Errorf("after the end: %v", err)
	}
}

// trailEntry is one entry of the log.
func trailEntry(t *testing.T, s *registrytest.Service, index uint64) audit.Entry {
	t.Helper()
	row, err := s.Config.Log.Entry(t.Context(), index)
	must(t, err)
	record, err := audit.ParseRecord(row.Record)
	must(t, err)
	return record.Entry
}

// TestDisabledMeanwhile: a person is disabled while a client is registered that they answer
// for. Whose entry stands first, the client is of nobody's use.
func TestDisabledMeanwhile(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	p, by := w.addPerson(), w.inSession(w.addPerson())
	disable := func() {
		_, err := s.DisablePerson(t.Context(), walkSystem, p.ID, registry.StatusRequest{Key: w.next(), Reason: "离职"})
		must(t, err)
	}
	config := s.Config
	config.Store = meddled{config.Store, &disable}
	r, err := registry.New(config)
	must(t, err)
	added := registry.Client{ID: w.next(), Person: p.ID, Roles: []registry.Role{registry.RolePartner}, Authority: p.Authority}
	secret, _, err := r.AddClient(t.Context(), by, registry.ClientRequest{Key: w.next(), Client: added})
	if disable != nil || registry.Code(err) != "invalid_request" || secret != "" {
		t.Errorf("secret %q, %v", secret, err)
	}
	if _, err := s.Config.Store.Client(t.Context(), added.ID); !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("the client is there: %v", err)
	}
}

// TestTwoPeople: whoever requested a grant does not approve it, as a person, through
// clients that they answer for, or under another identifier; nor does anybody whose
// person is not known, where the other's is.
func TestTwoPeople(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	p, other := w.addPerson(), w.addPerson()
	client := func(who string) registry.Caller {
		id := w.next()
		secret, _, err := s.AddClient(t.Context(), walkSystem, registry.ClientRequest{Key: w.next(), Client: registry.Client{
			ID: id, Person: who, Roles: []registry.Role{registry.RoleAuthority}, Authority: p.Authority, Types: p.Types}})
		must(t, err)
		c, _, err := s.Authenticate(t.Context(), id, secret, "r")
		must(t, err)
		return c
	}
	first, second, colleague, nobody, nobodyElse := client(p.ID), client(p.ID), client(other.ID), client(""), client("")
	session, otherSession := w.inSession(p), w.inSession(other)
	for _, c := range []struct {
		name        string
		asks, signs registry.Caller
		ok          bool
	}{
		{"two people", session, otherSession, true},
		{"two people, by clients", first, colleague, true},
		{"two people, one by a client", first, otherSession, true},
		{"two clients of nobody", nobody, nobodyElse, true},
		{"one client", first, first, false},
		{"two clients of one person", first, second, false},
		{"a person and their client", session, first, false},
		{"a client and its person", first, session, false},
		{"one person", session, session, false},
		{"a client of nobody, then a person", nobody, session, false},
		{"a person, then a client of nobody", session, nobody, false},
		{"a client of somebody, then of nobody", first, nobody, false},
	} {
		if got := w.twoPeople(c.asks, c.signs); (got == "") != c.ok || !c.ok && got != "forbidden" {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	// The same person again, under another identifier.
	g := w.request(session)
	_, err := s.DisablePerson(t.Context(), walkSystem, p.ID, w.status())
	must(t, err)
	again := w.aPerson()
	again.Subject = p.Subject
	_, err = s.AddPerson(t.Context(), walkSystem, registry.PersonRequest{Key: w.next(), Person: again})
	must(t, err)
	if _, _, err := s.ApproveGrant(t.Context(), w.inSession(again), g.ID, w.status()); !errors.Is(err, registry.ErrForbidden) {
		t.Errorf("the same subject under another identifier: %v", err)
	}
	if _, err := s.CallerFor(t.Context(), first.Principal, "r"); !errors.Is(err, registry.ErrUnauthenticated) {
		t.Errorf("a client of a disabled person: %v", err)
	}
	// Nobody audits who grants through a client, nor the other way round.
	auditor := w.aPerson()
	auditor.Roles, auditor.Types = []person.Role{person.Auditor}, nil
	_, err = s.AddPerson(t.Context(), walkSystem, registry.PersonRequest{Key: w.next(), Person: auditor})
	must(t, err)
	for who, role := range map[string]registry.Role{auditor.ID: registry.RoleAuthority, other.ID: registry.RoleAuditor, p.ID: registry.RoleAuthority, "none": registry.RoleAuthority} {
		_, _, err := s.AddClient(t.Context(), walkSystem, registry.ClientRequest{Key: w.next(), Client: registry.Client{
			ID: w.next(), Person: who, Roles: []registry.Role{role}, Authority: p.Authority}})
		if registry.Code(err) != "invalid_request" {
			t.Errorf("a client of role %s of %s: %v", role, who, err)
		}
	}
}

// request asks for a grant.
func (w *walker) request(c registry.Caller) registry.Grant {
	w.t.Helper()
	g, _, err := w.RequestGrant(w.t.Context(), c, registry.GrantRequest{Key: w.next(), Grant: registry.Grant{
		TypeCode: w.issued.TypeCode, MatterCode: w.next(), Scenario: "s", Fields: []string{"number"}, How: registry.HowFunction, LegalBasis: "test"}})
	must(w.t, err)
	return g
}

// twoPeople has one request a grant and another approve it; empty where that is allowed, and
// the grant then says who they are.
func (w *walker) twoPeople(asks, signs registry.Caller) string {
	w.t.Helper()
	g := w.request(asks)
	if _, _, err := w.ApproveGrant(w.t.Context(), signs, g.ID, w.status()); err != nil {
		return registry.Code(err)
	}
	kept, err := w.Backend.Grant(w.t.Context(), g.ID)
	must(w.t, err)
	if kept.RequestedPerson != asks.Person || kept.ApprovedPerson != signs.Person || kept.ApprovedBy != signs.Principal {
		w.t.Errorf("the grant says %+v", kept)
	}
	return ""
}
