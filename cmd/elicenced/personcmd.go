package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"elicence/licence"
	"elicence/licence/person"
	"elicence/licence/registry"
)

// personCmd looks after the officials who sign in, beside the running service.
type personCmd struct {
	Add     personAddCmd     `cmd:"" help:"Register an official, who signs in at the identity provider."`
	List    personListCmd    `cmd:"" help:"List the officials."`
	Disable personDisableCmd `cmd:"" help:"End an official's access for good, and that of the clients they answer for."`
}

type personAddCmd struct {
	onRegister
	ID        string    `arg:"" help:"What the person is called in the log, as a work number; never given twice."`
	Issuer    string    `required:"" help:"URL of the identity provider."`
	Subject   string    `required:"" help:"What the provider calls the person (claim sub)."`
	Name      string    `required:"" help:"The person's name."`
	Role      []string  `required:"" help:"Roles: authority; or auditor or system, each alone."`
	Authority string    `help:"Unified social credit code of the department."`
	Of        string    `help:"Name of the department."`
	Division  string    `help:"The department's administrative division: six digits, nine of a township."`
	Type      []string  `help:"Codes of the licence types that the person decides on."`
	From      time.Time `help:"When the person may first sign in, as 2026-03-01T08:00:00+08:00 (default: now)."`
	Until     time.Time `help:"When the person may sign in no more (default: no end)."`
}

func (a *personAddCmd) Run(ctx context.Context) error {
	p := person.Person{ID: a.ID, Issuer: a.Issuer, Subject: a.Subject, Name: a.Name, Types: a.Type, From: a.From, Until: a.Until,
		Authority: licence.IssuingAuthority{Name: a.Of, Code: a.Authority, Division: a.Division}}
	for _, role := range a.Role {
		p.Roles = append(p.Roles, person.Role(role))
	}
	return a.done(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, err := r.AddPerson(ctx, c, registry.PersonRequest{Key: commandKey(), Person: p})
		return err
	})
}

type personListCmd struct{ onRegister }

func (l *personListCmd) Run(ctx context.Context) error {
	return l.with(ctx, func(in *instance) error {
		r, c := in.registry, registry.System("command-line")
		fmt.Println("id\tname\troles\ttypes\tdivision\tauthority\tdepartment\tfrom\tuntil\tstate")
		for q := (registry.PersonQuery{Limit: registry.MaxPage}); ; {
			people, _, err := r.People(ctx, c, q)
			for _, p := range people {
				q.After = p.ID
				fmt.Printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.Name, strings.Trim(fmt.Sprint(p.Roles), "[]"), strings.Join(p.Types, " "), p.Authority.Division, p.Authority.Code, p.Authority.Name,
					shownInstant(p.From), shownInstant(p.Until), map[bool]string{true: "disabled", false: "active"}[p.Disabled])
			}
			if err != nil || len(people) < q.Limit {
				return err
			}
		}
	})
}

// shownInstant is an instant as people are shown it; a hyphen for none.
func shownInstant(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.RFC3339)
}

type personDisableCmd struct {
	onRegister
	ID     string `arg:"" help:"The person."`
	Reason string `required:"" help:"Why; it stands in the log."`
}

func (d *personDisableCmd) Run(ctx context.Context) error {
	return d.done(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, err := r.DisablePerson(ctx, c, d.ID, registry.StatusRequest{Key: commandKey(), Reason: d.Reason})
		return missing("person", d.ID, err)
	})
}
