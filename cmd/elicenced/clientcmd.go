package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"elicence/internal/private"
	"elicence/licence"
	"elicence/licence/brake"
	"elicence/licence/registry"
)

// clientCmd looks after the clients of the register, beside the running service.
type clientCmd struct {
	Add     clientAddCmd     `cmd:"" help:"Register a client and print its secret, once."`
	List    clientListCmd    `cmd:"" help:"List the clients."`
	Rotate  clientRotateCmd  `cmd:"" help:"Give a client a new secret and print it, once; the present one may stay good for a while."`
	Disable clientDisableCmd `cmd:"" help:"End a client: it gets no token, and its tokens no answer."`
}

// commandKey is an idempotency key of one command.
func commandKey() string { return "command-" + rand.Text() }

type clientAddCmd struct {
	onRegister
	ID          string   `arg:"" help:"What it is called, in the log too."`
	Role        []string `required:"" help:"Its roles: approval_system, partner, verifier, auditor, authority."`
	Name        string   `help:"Name of the authority that it belongs to."`
	Authority   string   `help:"Unified social credit code of that authority."`
	Division    string   `help:"The authority's administrative division: six digits, nine of a township."`
	Type        []string `help:"Codes of the licence types that it issues, or decides on."`
	Person      string   `help:"Identifier of the person who answers for it."`
	DailyReuses int64    `help:"How many reuses a day are usual for it (default: 2000)."`
}

func (a *clientAddCmd) Run(ctx context.Context) error {
	c := registry.Client{ID: a.ID, Person: a.Person, Types: a.Type, DailyReuses: a.DailyReuses, Authority: licence.IssuingAuthority{Name: a.Name, Code: a.Authority, Division: a.Division}}
	for _, role := range a.Role {
		c.Roles = append(c.Roles, registry.Role(role))
	}
	return a.with(ctx, func(in *instance) error {
		secret, _, err := in.registry.AddClient(ctx, registry.System("command-line"), registry.ClientRequest{Key: commandKey(), Client: c})
		if err == nil {
			fmt.Println(secret)
		}
		return err
	})
}

type clientListCmd struct{ onRegister }

func (l *clientListCmd) Run(ctx context.Context) error {
	return l.with(ctx, func(in *instance) error {
		fmt.Println("id\troles\ttypes\tdivision\tauthority\tname\tdaily reuses\tstate")
		for q := (registry.ClientQuery{Limit: registry.MaxPage}); ; {
			clients, _, err := in.registry.Clients(ctx, registry.System("command-line"), q)
			for _, c := range clients {
				q.After = c.ID
				state := cmp.Or(map[bool]string{c.Brake.Standing: "braked", c.Disabled: "disabled"}[true], "active")
				fmt.Printf("%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", c.ID, strings.Trim(fmt.Sprint(c.Roles), "[]"), strings.Join(c.Types, " "), c.Authority.Division, c.Authority.Code, c.Authority.Name,
					cmp.Or(c.DailyReuses, brake.DefaultReuses), state)
			}
			if err != nil || len(clients) < q.Limit {
				return err
			}
		}
	})
}

type clientRotateCmd struct {
	onRegister
	ID      string        `arg:"" help:"The client."`
	Overlap time.Duration `help:"How long the present secret stays good, as 24h (default: it ends at once)."`
}

func (r *clientRotateCmd) Run(ctx context.Context) error {
	return r.with(ctx, func(in *instance) error {
		var until time.Time
		if r.Overlap > 0 {
			until = time.Now().Add(r.Overlap)
		}
		secret, _, err := in.registry.RotateClient(ctx, registry.System("command-line"), r.ID, until, registry.StatusRequest{Key: commandKey()})
		if err == nil {
			fmt.Println(secret)
		}
		return missing("client", r.ID, err)
	})
}

// missing says what the register has none of.
func missing(what, id string, err error) error {
	if errors.Is(err, licence.ErrNotFound) {
		return fmt.Errorf("%w: there is no %s %s, or no more", errUsage, what, id)
	}
	return err
}

type clientDisableCmd struct {
	onRegister
	ID     string `arg:"" help:"The client."`
	Reason string `required:"" help:"Why; it stands in the log."`
}

func (d *clientDisableCmd) Run(ctx context.Context) error {
	return d.done(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, err := r.DisableClient(ctx, c, d.ID, registry.StatusRequest{Key: commandKey(), Reason: d.Reason})
		return missing("client", d.ID, err)
	})
}

// brakeCmd shows who was stopped for the way they reuse, and lets them go on.
type brakeCmd struct {
	List brakeListCmd `cmd:"" help:"List the brakes, the newest first."`
	Lift brakeLiftCmd `cmd:"" help:"Let a client go on."`
}

type brakeListCmd struct {
	onRegister
	All bool `help:"Those that were lifted too."`
}

func (l *brakeListCmd) Run(ctx context.Context) error {
	return l.with(ctx, func(in *instance) error {
		for q := (registry.BrakeQuery{Standing: !l.All, Limit: registry.MaxPage}); ; {
			brakes, _, err := in.registry.Brakes(ctx, registry.System("command-line"), q)
			for _, b := range brakes {
				q.After = b.ID
				lifted := ""
				if b.LiftedBy != "" {
					lifted = b.LiftedAt.Format(time.RFC3339) + " " + b.LiftedBy + ": " + b.Reason
				}
				fmt.Printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\n", b.ID, b.BrakedAt.Format(time.RFC3339), b.Client, b.Authority.Name, b.Alarm, b.Detail, lifted)
			}
			if err != nil || len(brakes) < q.Limit {
				return err
			}
		}
	})
}

type brakeLiftCmd struct {
	onRegister
	ID     string `arg:"" help:"The brake."`
	Reason string `required:"" help:"Why; it stands in the log."`
}

func (l *brakeLiftCmd) Run(ctx context.Context) error {
	return l.done(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, _, err := r.LiftBrake(ctx, c, l.ID, registry.StatusRequest{Key: commandKey(), Reason: l.Reason})
		return missing("brake", l.ID, err)
	})
}

// grantCmd looks after grants. Whoever gives the command says who they are, for one
// requests and another approves.
type grantCmd struct {
	Request  grantRequestCmd  `cmd:"" help:"Request a grant for one's own department."`
	Approve  grantApproveCmd  `cmd:"" help:"Approve a grant that somebody else requested."`
	Withdraw grantWithdrawCmd `cmd:"" help:"Take a grant back."`
	List     grantListCmd     `cmd:"" help:"List the grants of one's own department, or of a licence type."`
}

// asPerson is what a command takes that is somebody's own.
type asPerson struct {
	onRegister
	As         string `required:"" help:"Client that gives the command, of role authority."`
	SecretFile string `required:"" help:"File that holds its secret." type:"path"`
}

// act opens the instance for somebody whose secret is right, which is logged like a token.
func (p *asPerson) act(ctx context.Context, do func(*registry.Registry, registry.Caller) error) error {
	secret, err := private.ReadFile(p.SecretFile)
	if err != nil {
		return fmt.Errorf("%w: --secret-file: %w", errUsage, err)
	}
	return p.with(ctx, func(in *instance) error {
		c, _, err := in.registry.Authenticate(ctx, p.As, strings.TrimSpace(string(secret)), "elicenced-grant")
		if err != nil {
			return err
		}
		return do(in.registry, c)
	})
}

func printGrant(g registry.Grant) {
	fields := fmt.Sprint(g.Fields)
	if g.Masked {
		fields += " masked"
	}
	fmt.Printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%v\t%s\t%s\t%s\n", g.ID, g.Status, g.Authority.Name, g.TypeCode, g.MatterCode, g.How, fields, g.Questions, g.ValidFrom, g.ValidTo, g.LegalBasis)
}

type grantRequestCmd struct {
	asPerson
	Type     string   `required:"" help:"Code of the licence type."`
	Matter   string   `required:"" help:"Code of the matter."`
	Scenario string   `required:"" help:"What the licence is needed for in it."`
	Field    []string `help:"Fields: number, status, holder.name, fields.NAME and so on."`
	Masked   bool     `help:"Show these fields masked alone."`
	Question []string `help:"Questions answered by yes or no: valid, over:18, equals:number and so on."`
	How      string   `default:"function" help:"function or consent."`
	Basis    string   `required:"" help:"The legal basis; it stands in the log."`
	Until    string   `placeholder:"YYYY-MM-DD" help:"Last day (default: none)."`
}

func (q *grantRequestCmd) Run(ctx context.Context) error {
	g := registry.Grant{TypeCode: q.Type, MatterCode: q.Matter, Scenario: q.Scenario, Fields: q.Field, Masked: q.Masked, Questions: q.Question, How: registry.How(q.How), LegalBasis: q.Basis}
	if q.Until != "" {
		var err error
		if g.ValidTo, err = licence.ParseDate(q.Until); err != nil {
			return fmt.Errorf("%w: --until: %w", errUsage, err)
		}
	}
	return q.act(ctx, func(r *registry.Registry, c registry.Caller) error {
		g, _, err := r.RequestGrant(ctx, c, registry.GrantRequest{Key: commandKey(), Grant: g})
		if err == nil {
			printGrant(g)
		}
		return err
	})
}

type grantApproveCmd struct {
	asPerson
	ID string `arg:"" help:"The grant."`
}

func (a *grantApproveCmd) Run(ctx context.Context) error {
	return a.act(ctx, func(r *registry.Registry, c registry.Caller) error {
		g, _, err := r.ApproveGrant(ctx, c, a.ID, registry.StatusRequest{Key: commandKey()})
		if err == nil {
			printGrant(g)
		}
		return missing("grant", a.ID, err)
	})
}

type grantWithdrawCmd struct {
	asPerson
	ID     string `arg:"" help:"The grant."`
	Reason string `required:"" help:"Why; it stands in the log."`
}

func (w *grantWithdrawCmd) Run(ctx context.Context) error {
	return w.act(ctx, func(r *registry.Registry, c registry.Caller) error {
		g, _, err := r.WithdrawGrant(ctx, c, w.ID, registry.StatusRequest{Key: commandKey(), Reason: w.Reason})
		if err == nil {
			printGrant(g)
		}
		return missing("grant", w.ID, err)
	})
}

type grantListCmd struct {
	asPerson
	Type string `help:"Code of a licence type that one decides on."`
}

func (l *grantListCmd) Run(ctx context.Context) error {
	return l.act(ctx, func(r *registry.Registry, c registry.Caller) error {
		for q := (registry.GrantQuery{TypeCode: l.Type, Limit: registry.MaxPage}); ; {
			grants, _, err := r.Grants(ctx, c, q)
			for _, g := range grants {
				q.After = g.ID
				printGrant(g)
			}
			if err != nil || len(grants) < q.Limit {
				return err
			}
		}
	})
}
