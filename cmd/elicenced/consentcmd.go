package main

import (
	"context"
	"fmt"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
)

// consentCmd looks after the consents of authorities whose seals stand on licences that
// others issue (联合用印授权).
type consentCmd struct {
	List consentListCmd `cmd:"" help:"List the consents."`
	Give consentGiveCmd `cmd:"" help:"Enter the consent of an authority, or replace the one in its place."`
	End  consentEndCmd  `cmd:"" help:"Take a consent back; what it sealed stays good."`
}

type consentListCmd struct{ onRegister }

func (l *consentListCmd) Run(ctx context.Context) error {
	return l.with(ctx, func(in *instance) error {
		consents, err := in.registry.SealConsents(ctx)
		for _, c := range consents {
			fmt.Printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.TypeCode, c.Issuing, c.Kind, c.CoSealer.Code, c.CoSealer.Name, c.ValidFrom, c.ValidTo, c.Basis)
		}
		return err
	})
}

// consentAt names a consent.
type consentAt struct {
	onRegister
	Type    string `required:"" help:"Code of the licence type."`
	Issuing string `required:"" help:"Unified social credit code of the authority that issues."`
	Kind    string `required:"" help:"Kind of co-seal, as in the type's co_seals."`
}

type consentGiveCmd struct {
	consentAt
	Authority string `required:"" help:"Unified social credit code of the authority that consents; its seal must be kept here."`
	Name      string `required:"" help:"Its name, as it stands on the licences."`
	Basis     string `required:"" help:"The document in which it consents; it stands in the log."`
	From      string `placeholder:"YYYY-MM-DD" help:"First day (default: today)."`
	Until     string `placeholder:"YYYY-MM-DD" help:"Last day (default: none)."`
}

func (g *consentGiveCmd) Run(ctx context.Context) error {
	return g.done(ctx, func(r *registry.Registry, c registry.Caller) error {
		consent := registry.SealConsent{TypeCode: g.Type, Issuing: g.Issuing, Kind: g.Kind, Basis: g.Basis,
			CoSealer: licence.CoSealer{Name: g.Name, Code: g.Authority}, ValidFrom: licence.DateOf(time.Now())}
		for _, d := range []struct {
			flag, text string
			to         *licence.Date
		}{{"--from", g.From, &consent.ValidFrom}, {"--until", g.Until, &consent.ValidTo}} {
			if d.text == "" {
				continue
			}
			var err error
			if *d.to, err = licence.ParseDate(d.text); err != nil {
				return fmt.Errorf("%w: %s: %w", errUsage, d.flag, err)
			}
		}
		_, err := r.PutSealConsent(ctx, c, consent)
		return err
	})
}

type consentEndCmd struct {
	consentAt
	Reason string `required:"" help:"Why; it stands in the log."`
}

func (e *consentEndCmd) Run(ctx context.Context) error {
	return e.done(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, err := r.EndSealConsent(ctx, c, e.Type, e.Issuing, e.Kind, e.Reason)
		return err
	})
}
