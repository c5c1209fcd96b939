package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"elicence/crypto/seal"
	"elicence/licence/registry"
)

// sealCmd looks after the seals of the register, beside the running service: what it
// changes holds for the next licence.
type sealCmd struct {
	List    sealListCmd   `cmd:"" help:"List the seals and their stages."`
	Apply   sealApplyCmd  `cmd:"" help:"Enter a seal that is to be made (申请)."`
	Accept  sealAcceptCmd `cmd:"" help:"Take in a seal that was made, here or elsewhere (制作)."`
	Record  sealRecordCmd `cmd:"" help:"Note the number it is on record under (备案)."`
	Use     sealUseCmd    `cmd:"" help:"Put a seal into use, or into use again (启用)."`
	Suspend sealStopCmd   `cmd:"" help:"Take a seal out of use for a time (停用)."`
	Revoke  sealEndCmd    `cmd:"" help:"End a seal for ever; what it sealed stays good (注销)."`
	Destroy sealGoneCmd   `cmd:"" help:"Note that a revoked seal's key is destroyed (销毁)."`
	Consent consentCmd    `cmd:"" help:"Who may have an authority's seal on licences of their own: list, give, end (联合用印授权)."`
}

// onRegister is what every command takes that opens the register beside the service.
type onRegister struct {
	location
	PassphraseFile string `help:"File that holds the passphrase of the keys." type:"path"`
	Fonts          string `help:"Folder of the fonts." type:"path"`
}

// sealAt is what every command on one seal takes.
type sealAt struct {
	onRegister
	ID     string `arg:"" help:"The seal's identifier (esID)."`
	Reason string `required:"" help:"Why; it stands in the log."`
}

// change opens the instance beside the service and changes a seal.
func (s *sealAt) change(ctx context.Context, change func(*registry.Registry, registry.Caller) error) error {
	return s.with(ctx, func(r *registry.Registry) error {
		if err := change(r, registry.System("command-line")); err != nil {
			return err
		}
		fmt.Printf("%s: done, and logged\n", s.ID)
		return nil
	})
}

// with opens an instance for one command.
func (o *onRegister) with(ctx context.Context, use func(*registry.Registry) error) error {
	fonts, err := openFonts(o.Fonts)
	if err != nil {
		return err
	}
	in, err := open(ctx, options{location: o.location, passphraseFile: o.PassphraseFile, fonts: fonts, registerOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(use(in.registry), in.close())
}

type sealListCmd struct{ onRegister }

func (l *sealListCmd) Run(ctx context.Context) error {
	return l.with(ctx, func(r *registry.Registry) error {
		seals, err := r.Seals(ctx)
		for _, s := range seals {
			fmt.Printf("%s\t%s\t%s\t%s\t%s\t%s\n", s.Authority, s.ID, s.Status, s.Name, s.At.Format("2006-01-02"), s.Reason)
		}
		return err
	})
}

type sealApplyCmd struct {
	sealAt
	Authority string `required:"" help:"Unified social credit code of whom it is for."`
	Name      string `required:"" help:"The seal's name."`
	Replaces  string `help:"Identifier of the seal whose place it takes."`
}

func (a *sealApplyCmd) Run(ctx context.Context) error {
	return a.change(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, err := r.ApplySeal(ctx, c, registry.SealRecord{ID: a.ID, Authority: a.Authority, Name: a.Name, Replaces: a.Replaces, Reason: a.Reason})
		return err
	})
}

type sealAcceptCmd struct {
	sealAt
	File string `required:"" help:"The SESeal, DER." type:"path"`
}

func (a *sealAcceptCmd) Run(ctx context.Context) error {
	der, err := os.ReadFile(a.File)
	if err != nil {
		return err
	}
	if _, err := seal.ParseSeal(der); err != nil {
		return fmt.Errorf("reading %s: %w", a.File, err)
	}
	return a.change(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, err := r.AcceptSeal(ctx, c, a.ID, der, a.Reason)
		return err
	})
}

type sealRecordCmd struct {
	sealAt
	Number string `required:"" help:"The number it is on record under."`
}

func (a *sealRecordCmd) Run(ctx context.Context) error {
	return a.change(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, err := r.PutSealOnRecord(ctx, c, a.ID, a.Number, a.Reason)
		return err
	})
}

// The commands that need nothing but a reason.
type (
	sealUseCmd  struct{ sealAt }
	sealStopCmd struct{ sealAt }
	sealEndCmd  struct{ sealAt }
	sealGoneCmd struct{ sealAt }
)

func (a *sealUseCmd) Run(ctx context.Context) error  { return a.to(ctx, registry.SealInUse) }
func (a *sealStopCmd) Run(ctx context.Context) error { return a.to(ctx, registry.SealSuspended) }
func (a *sealEndCmd) Run(ctx context.Context) error  { return a.to(ctx, registry.SealRevoked) }
func (a *sealGoneCmd) Run(ctx context.Context) error { return a.to(ctx, registry.SealDestroyed) }

func (s *sealAt) to(ctx context.Context, status registry.SealStatus) error {
	return s.change(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, err := r.ChangeSeal(ctx, c, s.ID, status, s.Reason)
		return err
	})
}
