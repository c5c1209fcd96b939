// Command elicenced is the licence service: serve it, try it, look after it.
//
// Rules of its output: what a person started it for goes to standard output, in
// short lines; faults go to standard error with the prefix "elicenced: ", name
// the thing and the fault, and say what to do. Nothing personal is printed. Exit
// codes follow sysexits: 64 usage, 69 something that must be installed is
// missing, 70 anything else.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"elicence/audit"
	"elicence/internal/listen"
	"elicence/licence"
	"elicence/licence/registry"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitUsage       = 64
	exitUnavailable = 69
	exitInternal    = 70
)

// location says where an instance lives; every command takes it.
type location struct {
	Dir      string `help:"Folder of the instance: keys, certificates, files and, by default, the database." default:"demo" type:"path"`
	Database string `help:"PostgreSQL DSN (default: SQLite in the folder)." env:"ELICENCE_DATABASE"`
}

type commands struct {
	Demo      demoCmd      `cmd:"" help:"Make an instance with sample licences, show what it does, and serve it."`
	Serve     serveCmd     `cmd:"" help:"Serve an instance that exists."`
	Rewrite   rewriteCmd   `cmd:"" name:"rewrite-pdf" hidden:"" help:"Take a PDF apart; the server runs it."`
	Migrate   migrateCmd   `cmd:"" help:"Bring the database's tables up to date."`
	PAdES     padesCmd     `cmd:"" name:"pades" help:"Install the certificate and key that sign for PDF readers without SM2."`
	Seal      sealCmd      `cmd:"" help:"The seals of the register: draw, apply, make, accept, record, use, suspend, revoke, destroy; and consents to their use."`
	Person    personCmd    `cmd:"" help:"The officials who sign in: add, list, disable."`
	Client    clientCmd    `cmd:"" help:"The clients of the register: add, list, rotate, disable."`
	Grant     grantCmd     `cmd:"" help:"Who may reuse what: request, approve, withdraw, list."`
	Brake     brakeCmd     `cmd:"" help:"Clients that were stopped for the way they reuse: list, lift."`
	Event     eventCmd     `cmd:"" help:"Who is told of licences by events: subscribe, list, unsubscribe, enable; and what was not told: dead, replay."`
	Catalogue catalogueCmd `cmd:"" help:"The licence types: list, import, export, preview, dry-run, publish, retire, allow."`
	Log       logCmd       `cmd:"" help:"The access log: export, archive, restore, retain, hold, lift, erase, request; and who approves that it is succeeded, approve, succeed."`
	Database  struct {
		Backup databaseBackupCmd `cmd:"" help:"Copy the SQLite database, beside the service."`
	} `cmd:"" help:"The database of an instance."`
	Signer signerCmd  `cmd:"" help:"The keys that clients sign their requests with: add, list, end; and what a client must use: require."`
	CA     caCommands `cmd:"" name:"ca" help:"Certificates: ask for one, issue, revoke, take in an outside CA's."`
	Keys   struct {
		Rotate  rotateCmd  `cmd:"" help:"Give a certificate a new key, in a file or in a device."`
		Backup  backupCmd  `cmd:"" help:"Write an encrypted backup of all keys, whose secret is split among several persons."`
		Restore restoreCmd `cmd:"" help:"Make the keys of a new instance folder from a backup."`
	} `cmd:"" help:"The keys of an instance."`
}

func main() {
	var c commands
	parser, err := kong.New(&c, kong.Name("elicenced"), kong.Description("An electronic licence and signature service."), kong.UsageOnError())
	if err != nil {
		fail(exitInternal, err)
	}
	call, err := parser.Parse(os.Args[1:])
	if err != nil {
		fail(exitUsage, fmt.Errorf("%w; see elicenced --help", err))
	}
	if err := checkOutput(call); err != nil {
		fail(exitCode(err), err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	call.BindTo(ctx, (*context.Context)(nil))
	if err := call.Run(); err != nil && !errors.Is(err, context.Canceled) {
		fail(exitCode(err), err)
	}
}

// exitCode is the exit code of a fault.
func exitCode(err error) int {
	if errors.Is(err, errFontsMissing) || errors.Is(err, registry.ErrNoRaster) {
		return exitUnavailable
	}
	// The command line, or a value on it.
	for _, usage := range []error{errUsage, errNoSeal, listen.ErrUsage, licence.ErrWrongStatus, registry.ErrWrongStage, registry.ErrKeyTaken, registry.ErrClientTaken, registry.ErrPersonTaken,
		registry.ErrUnauthenticated, registry.ErrForbidden, registry.ErrHeld, licence.ErrNotFound, audit.ErrArchived, audit.ErrOutOfRange, audit.ErrNothingLost} {
		if errors.Is(err, usage) {
			return exitUsage
		}
	}
	if refused := (*licence.RequestError)(nil); errors.As(err, &refused) {
		return exitUsage
	}
	return exitInternal
}

// errUsage marks faults of the command line that kong cannot see.
var errUsage = errors.New("wrong usage")

// fail prints a fault and ends the process.
func fail(code int, err error) {
	fmt.Fprintf(os.Stderr, "elicenced: %v\n", err)
	os.Exit(code)
}
