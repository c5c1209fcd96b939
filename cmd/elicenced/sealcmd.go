package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/render"
)

// sealCmd looks after the seals of the register, beside the running service. A stage
// holds for the next licence; a seal that takes another's place, from the next start of
// the service on.
type sealCmd struct {
	List    sealListCmd   `cmd:"" help:"List the seals and their stages."`
	Draw    sealDrawCmd   `cmd:"" help:"Draw a seal as a PNG to look at; nothing is made."`
	Apply   sealApplyCmd  `cmd:"" help:"Enter a seal that is to be made (申请)."`
	Make    sealMakeCmd   `cmd:"" help:"Make a seal that was applied for, drawn or with the picture it has (制作)."`
	Accept  sealAcceptCmd `cmd:"" help:"Take in a seal that was made elsewhere (制作)."`
	Record  sealRecordCmd `cmd:"" help:"Note the number it is on record under (备案)."`
	Use     sealUseCmd    `cmd:"" help:"Put a seal into use, or into use again (启用)."`
	Suspend sealStopCmd   `cmd:"" help:"Take a seal out of use for a time (停用)."`
	Revoke  sealEndCmd    `cmd:"" help:"End a seal for ever; what it sealed stays good (注销)."`
	Destroy sealGoneCmd   `cmd:"" help:"Note that a revoked seal's key is destroyed (销毁)."`
	Consent consentCmd    `cmd:"" help:"Who may have an authority's seal on licences of their own: list, give, end (联合用印授权)."`
}

// onRegister is what every command takes that opens the register beside the service. It
// needs no fonts, for a seal must be stopped from wherever one is.
type onRegister struct {
	location
	PassphraseFile string `help:"File that holds the passphrase of the keys." type:"path"`
}

// sealAt is what every command on one seal takes.
type sealAt struct {
	onRegister
	ID     string `arg:"" help:"The seal's identifier (esID)."`
	Reason string `required:"" help:"Why; it stands in the log."`
}

// change opens the instance beside the service and changes a seal.
func (s *sealAt) change(ctx context.Context, change func(*registry.Registry, registry.Caller) error) error {
	return s.use(ctx, func(in *instance) error { return change(in.registry, registry.System("command-line")) })
}

// errNoSeal: the register has no seal of that identifier.
var errNoSeal = errors.New("not found")

// use opens the instance beside the service, and says when it is done, or that there is
// no such seal.
func (s *sealAt) use(ctx context.Context, use func(*instance) error) error {
	err := s.with(ctx, use)
	switch {
	case err == nil:
		fmt.Printf("%s: done, and logged\n", s.ID)
	case errors.Is(err, licence.ErrNotFound):
		return fmt.Errorf("seal %s: %w", s.ID, errNoSeal)
	}
	return err
}

// with opens an instance for one command.
func (o *onRegister) with(ctx context.Context, use func(*instance) error) error {
	in, err := open(ctx, options{location: o.location, passphraseFile: o.PassphraseFile, registerOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(use(in), in.close())
}

// done opens an instance for one change, and says when it is made.
func (o *onRegister) done(ctx context.Context, do func(*registry.Registry, registry.Caller) error) error {
	return o.with(ctx, func(in *instance) error {
		err := do(in.registry, registry.System("command-line"))
		if err == nil {
			fmt.Println("done, and logged")
		}
		return err
	})
}

type sealListCmd struct{ onRegister }

func (l *sealListCmd) Run(ctx context.Context) error {
	return l.with(ctx, func(in *instance) error {
		seals, err := in.registry.Seals(ctx)
		if err == nil {
			fmt.Println("authority\tid\tstatus\tname\tnumber\tchanged\treason")
		}
		for _, s := range seals {
			fmt.Printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Authority, s.ID, s.Status, s.Name, s.RecordNumber, s.At.Format("2006-01-02"), s.Reason)
		}
		return err
	})
}

// copiesFlag says which of the platform's two seals is meant.
type copiesFlag struct {
	Copies bool `help:"The seal of annotated copies (加注专用章), of the platform alone."`
}

// check refuses the seal of copies to all but the platform.
func (f copiesFlag) check(s settings, code string) error {
	if f.Copies && (s.Platform == "" || code != s.Platform) {
		return fmt.Errorf("%w: %s is not the platform, which alone seals annotated copies", errUsage, code)
	}
	return nil
}

// forCopies is the name of the authority's seal that is meant.
func (f copiesFlag) forCopies(a authority) string {
	if f.Copies {
		return copySeal
	}
	return ownSealName(a.Code)
}

type sealApplyCmd struct {
	sealAt
	copiesFlag
	Authority string `required:"" help:"Unified social credit code of whom it is for."`
	Name      string `required:"" help:"The seal's name."`
	Replaces  string `help:"Identifier of the seal whose place it takes (default: the one that the authority's licences are sealed with)."`
}

func (a *sealApplyCmd) Run(ctx context.Context) error {
	return a.use(ctx, func(in *instance) error {
		own := in.settings.authority(a.Authority)
		if err := a.check(in.settings, a.Authority); err != nil {
			return err
		}
		if a.Replaces == "" && own.Code != "" {
			switch present, err := in.keys.present(a.forCopies(own)); {
			case err == nil:
				a.Replaces = present.ID
			case !a.Copies || !errors.Is(err, fs.ErrNotExist): // the first of copies replaces none
				return err
			}
		}
		_, err := in.registry.ApplySeal(ctx, registry.System("command-line"),
			registry.SealRecord{ID: a.ID, Authority: a.Authority, Name: a.Name, Replaces: a.Replaces, Reason: a.Reason})
		return err
	})
}

// maxSealFile is as much as crypto/seal reads.
const maxSealFile = 1 << 20

type sealAcceptCmd struct {
	sealAt
	File string `required:"" help:"The SESeal, DER." type:"path"`
}

func (a *sealAcceptCmd) Run(ctx context.Context) error {
	der, err := readAtMost(a.File, maxSealFile)
	if err != nil {
		return err
	}
	made, err := seal.ParseSeal(der)
	if err != nil {
		return fmt.Errorf("reading %s: %w", a.File, err)
	}
	return a.use(ctx, func(in *instance) error {
		if _, _, err := render.ImportSeal(made.Picture.Data, made.Picture.Width, made.Picture.Height); err != nil {
			return fmt.Errorf("its picture cannot be shown on a licence: %w", err)
		}
		_, err := in.registry.AcceptSeal(ctx, registry.System("command-line"), a.ID, der, a.Reason)
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
	sealUseCmd struct {
		sealAt
		copiesFlag
	}
	sealStopCmd struct{ sealAt }
	sealEndCmd  struct{ sealAt }
	sealGoneCmd struct{ sealAt }
)

func (a *sealStopCmd) Run(ctx context.Context) error { return a.to(ctx, registry.SealSuspended) }
func (a *sealEndCmd) Run(ctx context.Context) error  { return a.to(ctx, registry.SealRevoked) }
func (a *sealGoneCmd) Run(ctx context.Context) error { return a.to(ctx, registry.SealDestroyed) }

func (s *sealAt) to(ctx context.Context, status registry.SealStatus) error {
	return s.change(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, err := r.ChangeSeal(ctx, c, s.ID, status, s.Reason)
		return err
	})
}
