package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
)

// logCmd looks after the access log.
type logCmd struct {
	Export   exportCmd     `cmd:"" help:"Write the access log as one file, as it is stored, without start-up checks."`
	Archive  logArchiveCmd `cmd:"" help:"Move the oldest entries from the database into a file with their proofs (归档)."`
	Restore  logRestoreCmd `cmd:"" help:"Put the entries of an archive file back into the database, checked against the log."`
	Retain   logRetainCmd  `cmd:"" help:"Apply the instance's rules on retention: erase personal values, name archive files, that are past their time."`
	Hold     logHoldCmd    `cmd:"" help:"Keep what a client does under a case number from holders until a day (依法暂缓告知), or longer."`
	Lift     logLiftCmd    `cmd:"" help:"End a hold before its day."`
	Erase    logEraseCmd   `cmd:"" help:"Erase the personal values of a holder's entries; the code is read from standard input."`
	Request  logRequestCmd `cmd:"" help:"Write the signed request of an entry as a file that convinces a stranger."`
	Approver approverCmd   `cmd:"" help:"The persons who may approve that the log is succeeded: new, appoint, dismiss, list."`
	Approve  approveCmd    `cmd:"" help:"Sign, as an approver, the declaration that the log is succeeded (依法接续)."`
	Succeed  succeedCmd    `cmd:"" help:"After a disaster: begin a new log that declares what the present one has lost."`
}

// holdAt names a hold.
type holdAt struct {
	onRegister
	Principal string `required:"" help:"The client whose accesses are held."`
	Case      string `required:"" help:"The case number that they carry."`
}

type logHoldCmd struct {
	holdAt
	Until string `required:"" placeholder:"YYYY-MM-DD" help:"Last day."`
	By    string `required:"" help:"The authority that ordered it; it stands in the log."`
	Basis string `required:"" help:"The document in which it did; it stands in the log."`
}

func (h *logHoldCmd) Run(ctx context.Context) error {
	until, err := licence.ParseDate(h.Until)
	if err != nil {
		return fmt.Errorf("%w: --until: %w", errUsage, err)
	}
	return h.done(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, err := accesslog.New(r).PlaceHold(ctx, c, registry.Hold{Principal: h.Principal, Case: h.Case, OrderedBy: h.By, Basis: h.Basis, Until: until.EndsAt()})
		return err
	})
}

type logLiftCmd struct {
	holdAt
	Reason string `required:"" help:"Why; it stands in the log."`
}

func (l *logLiftCmd) Run(ctx context.Context) error {
	return l.done(ctx, func(r *registry.Registry, c registry.Caller) error {
		_, err := accesslog.New(r).LiftHold(ctx, c, l.Principal, l.Case, l.Reason)
		return err
	})
}

type logEraseCmd struct {
	onRegister
	CodeType string `required:"" help:"Type of the holder's code (GB/T 36903): 001 unified social credit code, 111 citizen number."`
	Before   string `required:"" placeholder:"YYYY-MM-DD" help:"Erase what was logged before this day."`
	Reason   string `required:"" help:"Why; it stands in the log."`
}

// maxHolderCode bounds what is read of standard input.
const maxHolderCode = 128

func (e *logEraseCmd) Run(ctx context.Context) error {
	before, err := licence.ParseDate(e.Before)
	if err != nil {
		return fmt.Errorf("%w: --before: %w", errUsage, err)
	}
	code, err := io.ReadAll(io.LimitReader(os.Stdin, maxHolderCode))
	if err != nil {
		return fmt.Errorf("reading the holder's code from standard input: %w", err)
	}
	q := accesslog.EraseRequest{Before: before.StartsAt(), Reason: e.Reason,
		Holder: licence.Holder{CodeType: licence.HolderCodeType(e.CodeType), Code: strings.TrimSpace(string(code))}}
	return e.with(ctx, func(in *instance) error {
		all := 0
		for {
			n, _, err := in.accessLog.ErasePersonal(ctx, registry.System("command-line"), q)
			if all += n; err != nil || n == 0 {
				fmt.Printf("the personal values of %d entries are erased, and that is logged\n", all)
				return err
			}
		}
	})
}
