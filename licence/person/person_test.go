package person_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"elicence/licence"
	"elicence/licence/person"
)

// zhang is somebody of an authority.
func zhang() person.Person {
	return person.Person{ID: "330100-0412", Issuer: "https://id.example.gov.cn/oidc", Subject: "sub 1", Name: "张三", Roles: []person.Role{person.Authority},
		Authority: licence.IssuingAuthority{Name: "杭州市住房保障和房产管理局", Code: "113301000024903302", Division: "330100"}, Types: []string{"t"}}
}

// TestCheck changes one thing at a time; an empty field is one that is in order.
func TestCheck(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*person.Person)
		field  string
	}{
		"as it is": {func(*person.Person) {}, ""},
		"auditor": {func(p *person.Person) {
			p.Roles, p.Types, p.Authority = []person.Role{person.Auditor}, nil, licence.IssuingAuthority{}
		}, ""},
		"operator":          {func(p *person.Person) { p.Roles, p.Types = []person.Role{person.System}, nil }, ""},
		"own machine":       {func(p *person.Person) { p.Issuer = "http://127.0.0.1:9998/" }, ""},
		"until":             {func(p *person.Person) { p.From, p.Until = now, now.Add(1) }, ""},
		"no id":             {func(p *person.Person) { p.ID = "" }, "id"},
		"long id":           {func(p *person.Person) { p.ID = strings.Repeat("a", 51) }, "id"},
		"id with a break":   {func(p *person.Person) { p.ID = "a\r\nSet-Cookie: x" }, "id"},
		"id with a newline": {func(p *person.Person) { p.ID = "a\n" }, "id"},
		"http":              {func(p *person.Person) { p.Issuer = "http://id.example.gov.cn" }, "issuer"},
		"issuer with user":  {func(p *person.Person) { p.Issuer = "https://u:p@id.example.gov.cn" }, "issuer"},
		"issuer with query": {func(p *person.Person) { p.Issuer = "https://id.example.gov.cn?x" }, "issuer"},
		"no issuer":         {func(p *person.Person) { p.Issuer = "" }, "issuer"},
		"no subject":        {func(p *person.Person) { p.Subject = "" }, "subject"},
		"subject in spaces": {func(p *person.Person) { p.Subject = " a" }, "subject"},
		"long subject":      {func(p *person.Person) { p.Subject = strings.Repeat("a", 256) }, "subject"},
		"no name":           {func(p *person.Person) { p.Name = "" }, "name"},
		"hidden name":       {func(p *person.Person) { p.Name = "张\u202e三" }, "name"},
		"not UTF-8":         {func(p *person.Person) { p.Name = "\xff" }, "name"},
		"no role":           {func(p *person.Person) { p.Roles = nil }, "roles"},
		"machine's role":    {func(p *person.Person) { p.Roles = []person.Role{"partner"} }, "roles[0]"},
		"twice":             {func(p *person.Person) { p.Roles = []person.Role{person.Authority, person.Authority} }, "roles[1]"},
		"grants and audits": {func(p *person.Person) { p.Roles = []person.Role{person.Authority, person.Auditor} }, "roles"},
		"runs and audits":   {func(p *person.Person) { p.Roles, p.Types = []person.Role{person.Auditor, person.System}, nil }, "roles"},
		"runs and grants":   {func(p *person.Person) { p.Roles = []person.Role{person.System, person.Authority} }, "roles"},
		"auditor of types":  {func(p *person.Person) { p.Roles = []person.Role{person.Auditor} }, "types"},
		"no department":     {func(p *person.Person) { p.Authority = licence.IssuingAuthority{} }, "authority.code"},
		"wrong code":        {func(p *person.Person) { p.Authority.Code = "113301000024903303" }, "authority.code"},
		"ends as it begins": {func(p *person.Person) { p.From, p.Until = now, now }, "until"},
	} {
		p := zhang()
		c.change(&p)
		err := p.Check()
		var wrong *licence.RequestError
		if c.field == "" && err != nil || c.field != "" && (!errors.As(err, &wrong) || wrong.Fields[0].Field != c.field) {
			t.Errorf("%s: %v, want %q", name, err, c.field)
		}
	}
}

// TestActive: at the edges of the time, and never with roles that do not go together.
func TestActive(t *testing.T) {
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	p := zhang()
	p.From, p.Until = from, from.Add(time.Hour)
	for at, want := range map[time.Duration]bool{-1: false, 0: true, time.Hour - 1: true, time.Hour: false} {
		if got := p.Active(from.Add(at)); got != want {
			t.Errorf("%v: %v", at, got)
		}
	}
	if p.Until = (time.Time{}); !p.Active(from.AddDate(50, 0, 0)) {
		t.Error("without end: not active")
	}
	both := p
	both.Roles = []person.Role{person.Authority, person.Auditor}
	gone := p
	gone.Disabled = true
	if both.Active(from) || gone.Active(from) {
		t.Error("somebody is active who grants and audits, or was disabled")
	}
}

// TestSame: one to the provider is one, whatever the identifier.
func TestSame(t *testing.T) {
	p, again := zhang(), zhang()
	again.ID = "other"
	elsewhere := zhang()
	elsewhere.Issuer += "/2"
	if !p.Same(again) || p.Same(elsewhere) || p.Principal() != "person.330100-0412" {
		t.Errorf("%v %v %s", p.Same(again), p.Same(elsewhere), p.Principal())
	}
}
