// Command elicence-witness is the independent witness of access logs: a party with a
// key and a memory of its own, best run by somebody else than the service, on another
// machine.
//
//	elicence-witness init --dir DIR --name NAME     makes its key, prints its verifier key
//	elicence-witness serve --dir DIR --policy FILE  cosigns for the logs that FILE names
//
// What a person started it for goes to standard output; faults go to standard error
// with the prefix "elicence-witness: ". Exit codes follow sysexits: 64 usage, 70
// anything else.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"elicence/audit"
	"elicence/audit/witness"
	"elicence/internal/listen"
	"elicence/internal/private"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitUsage    = 64
	exitInternal = 70
)

// folder says where a witness lives; every command takes it.
type folder struct {
	Dir            string `help:"Folder of the witness: its key and what it has cosigned." default:"witness" type:"path"`
	PassphraseFile string `help:"File that holds the passphrase of the key (or set ELICENCE_WITNESS_PASSPHRASE; default: passphrase in the folder)." type:"path"`
}

func (f folder) passphraseFile() string {
	if f.PassphraseFile != "" {
		return f.PassphraseFile
	}
	return filepath.Join(f.Dir, "passphrase")
}

// open opens the folder, and keeps other witnesses out of it.
func (f folder) open() (*witness.Folder, error) {
	if _, err := os.Stat(f.Dir); err != nil {
		return nil, fmt.Errorf("%w: no witness in %s (make one with: elicence-witness init --dir %s): %w", listen.ErrUsage, f.Dir, f.Dir, err)
	}
	passphrase, err := private.Passphrase(witness.PassphraseVariable, f.passphraseFile())
	if err != nil {
		return nil, err
	}
	return witness.OpenFolder(f.Dir, passphrase)
}

type initCmd struct {
	folder
	Name string `required:"" help:"Name of the witness in its signatures, such as an address without scheme; it cannot be changed."`
}

// Run makes the key. Without a passphrase anywhere it draws one.
func (c *initCmd) Run() error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	passphrase, err := private.EnsurePassphrase(witness.PassphraseVariable, c.passphraseFile())
	if err != nil {
		return err
	}
	vkey, err := witness.Create(c.Dir, c.Name, passphrase)
	if err != nil {
		return err
	}
	fmt.Println(vkey)
	return nil
}

type serveCmd struct {
	folder
	listen.TLS
	Listen string `help:"Address to listen on." default:"127.0.0.1:8081"`
	Policy string `required:"" help:"File that names the logs to witness, a line 'log <vkey>' for each (docs/log-format.md)." type:"path"`
}

// Run serves until the context ends.
func (c *serveCmd) Run(ctx context.Context) error {
	text, err := os.ReadFile(c.Policy)
	if err != nil {
		return err
	}
	policy, err := audit.ParsePolicy(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Policy, err)
	}
	f, err := c.open()
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := witness.Open(witness.Config{
		Signer: f.Signer, Policy: policy, Store: f, Now: time.Now, Rand: rand.Reader,
		Failed: func(err error) { slog.Error("no cosignature", "fault", err) },
	})
	if err != nil {
		return err
	}
	return c.serve(ctx, w.HTTPServer())
}

func (c *serveCmd) serve(ctx context.Context, server *http.Server) error {
	listener, address, err := c.Open("--listen", c.Listen)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- c.Serve(server, listener) }()
	fmt.Printf("serving %s\n", address)
	select {
	case <-ctx.Done():
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	}
	last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(last)
}

type commands struct {
	Init  initCmd  `cmd:"" help:"Make the key of a new witness and print its verifier key."`
	Serve serveCmd `cmd:"" help:"Cosign the checkpoints of logs."`
}

func main() {
	var c commands
	parser, err := kong.New(&c, kong.Name("elicence-witness"), kong.Description("The independent witness of access logs."), kong.UsageOnError())
	if err != nil {
		fail(exitInternal, err)
	}
	call, err := parser.Parse(os.Args[1:])
	if err != nil {
		fail(exitUsage, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	call.BindTo(ctx, (*context.Context)(nil))
	if err := call.Run(); err != nil {
		code := exitInternal
		if errors.Is(err, listen.ErrUsage) {
			code = exitUsage
		}
		fail(code, err)
	}
}

// fail prints a fault and ends the process.
func fail(code int, err error) {
	fmt.Fprintf(os.Stderr, "elicence-witness: %v\n", err)
	os.Exit(code)
}
