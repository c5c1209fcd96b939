package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"elicence/audit"
	"elicence/internal/listen"
	"elicence/licence/render"
)

// serveCmd serves an instance that exists.
type serveCmd struct {
	location
	listen.TLS
	witnessFlags
	fileFlags
	identityFlags
	officialFlags
	disputeFlags
	eventFlags
	PassphraseFile string        `help:"File that holds the passphrase of the keys (or set ELICENCE_PASSPHRASE; default: passphrase in the folder)." type:"path"`
	Listen         string        `help:"Address to listen on." default:"127.0.0.1:8080"`
	PublicURL      string        `name:"public-url" help:"Scheme and host that QR codes lead to (default: the address listened on)."`
	TSAURL         string        `name:"tsa-url" help:"An outside timestamp authority (default: our own, on a loopback listener)."`
	TSAListen      string        `name:"tsa-listen" help:"Address to give timestamps to others at (default: to nobody)."`
	Fonts          string        `help:"Folder of the fonts." type:"path"`
	SealMargin     time.Duration `help:"Seal nothing more so long before a seal or its signer's certificate ends; 0 seals to the last moment." default:"168h"`
}

// Run serves until the context ends.
func (s *serveCmd) Run(ctx context.Context) error {
	fonts, err := openFonts(s.Fonts)
	if err != nil {
		return err
	}
	return s.serve(ctx, fonts, func(string) error { return nil }, func(in *instance, baseURL string) error {
		fmt.Printf("serving %s\n", baseURL)
		<-ctx.Done()
		return nil
	})
}

// serve opens the listener, prepares and opens the instance, calls use while it is
// served, and then closes both: requests under way get ten seconds.
func (s *serveCmd) serve(ctx context.Context, fonts *render.Fonts, prepare func(baseURL string) error, use func(in *instance, baseURL string) error) (err error) {
	tuneMemory()
	tuneThreads()
	listener, baseURL, err := s.Open("--listen", s.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	var forOthers net.Listener // of the timestamp authority
	var tsaURL string
	if s.TSAListen != "" {
		if forOthers, tsaURL, err = s.Open("--tsa-listen", s.TSAListen); err != nil {
			return err
		}
		defer forOthers.Close()
	}
	if err := prepare(baseURL); err != nil {
		return err
	}
	stopWitness, err := s.startWitness()
	if err != nil {
		return err
	}
	defer stopWitness()
	o, err := s.options(baseURL)
	if err != nil {
		return err
	}
	o.fonts, o.tsaForOthers = fonts, forOthers != nil
	in, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.close()) }()
	server, authority := in.server.HTTPServer(), &http.Server{}
	if server.Handler, err = in.withStatus(server.Handler); err != nil {
		return err
	}
	served := make(chan error, 2)
	go func() { served <- s.Serve(server, listener) }()
	if forOthers != nil {
		authority = in.tsaServer()
		go func() { served <- s.Serve(authority, forOthers) }()
		fmt.Printf("timestamps for others at %s/\n", tsaURL)
	}
	used := make(chan error, 1)
	go func() { used <- use(in, baseURL) }()
	select {
	case err = <-used:
	case err = <-in.failed:
	case err = <-served:
		return fmt.Errorf("serving: %w", err)
	}
	last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(last), authority.Shutdown(last))
}

// options are what the flags say of an instance that is reached at baseURL.
func (s *serveCmd) options(baseURL string) (o options, err error) {
	o = options{location: s.location, passphraseFile: s.PassphraseFile, tsaURL: s.TSAURL, sealMargin: s.SealMargin, behindProxy: s.BehindProxy,
		witnesses: s.witnessFlags, files: s.fileFlags, events: s.eventFlags}
	if o.publicURL, err = s.public(baseURL); err != nil {
		return o, err
	}
	if o.identity, err = s.provider(o.publicURL); err != nil {
		return o, err
	}
	if o.officials, err = s.officialProvider(o.publicURL); err != nil {
		return o, err
	}
	o.disputeRules, err = s.rules()
	return o, err
}

// public is where QR codes lead: scheme and host, for a payload takes the rest of the
// symbol.
func (s *serveCmd) public(baseURL string) (string, error) {
	if s.PublicURL == "" {
		return baseURL, nil
	}
	if !publicURL.MatchString(s.PublicURL) {
		return "", fmt.Errorf("%w: --public-url %q is not http or https with a host and nothing else", errUsage, s.PublicURL)
	}
	return s.PublicURL, nil
}

var publicURL = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$`)

// tuneMemory trades memory for speed, within bounds: drawing a licence allocates
// some megabytes that are garbage at once, and collecting after every few costs a
// quarter of the time. GOGC and GOMEMLIMIT still win.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(192 << 20)
	}
}

// tuneThreads runs one thread more than there are processors. What the database answered is taken up
// when a thread has nothing else to run, and drawing keeps a thread for milliseconds: with as many as
// processors the log waited for its own answers while all were drawing. GOMAXPROCS still wins.
func tuneThreads() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

// migrateCmd brings the tables up to date and does nothing else.
type migrateCmd struct {
	location
	PassphraseFile string `help:"File that holds the passphrase of the keys." type:"path"`
}

// Run migrates.
func (m *migrateCmd) Run(ctx context.Context) error {
	keys, err := m.keys(m.PassphraseFile)
	if err != nil {
		return err
	}
	secrets, err := keys.secrets()
	if err != nil {
		return err
	}
	db, err := m.openDatabase(ctx, secrets)
	if err != nil {
		return err
	}
	if err := errors.Join(db.Migrate(ctx), db.Close()); err != nil {
		return err
	}
	fmt.Println("the tables are up to date")
	return nil
}

// exportCmd writes the log as stored. It starts nothing and checks nothing, so
// that a log somebody spoilt can still be shown to an auditor.
type exportCmd struct {
	location
	Output string `short:"o" required:"" help:"File to write." type:"path"`
	Origin string `help:"Name of the log, for one that the present log succeeds: all that is left of it (default: the present log)."`
	From   uint64 `help:"First index."`
	To     uint64 `help:"Index after the last (default: all that witnesses have cosigned; without witnesses all)."`
}

// Run exports.
func (e *exportCmd) Run(ctx context.Context) error {
	s, err := e.settings()
	if err != nil {
		return err
	}
	// Nothing encrypted is read, so no passphrase is needed.
	db, err := e.openDatabase(ctx, secrets{storage: make([]byte, 16), index: make([]byte, 32)})
	if err != nil {
		return err
	}
	defer db.Close()
	if e.Origin != "" && e.Origin != s.LogID {
		return e.exportSucceeded(ctx, db)
	}
	if err := exportLog(ctx, db, s.LogID, e.From, e.To, e.Output); err != nil {
		return err
	}
	return e.sayWhatIsLeft(ctx, db, s.LogID)
}

// exportSucceeded exports a log that the present one succeeds to its very end, which the
// present one vouches for.
func (e *exportCmd) exportSucceeded(ctx context.Context, db database) error {
	head, err := db.Head(ctx, e.Origin)
	if err != nil {
		return err
	}
	return exportLog(ctx, db, e.Origin, e.From, cmp.Or(e.To, head.Size), e.Output)
}

// sayWhatIsLeft says which entries an export of all does not hold.
func (e *exportCmd) sayWhatIsLeft(ctx context.Context, db database, logID string) error {
	head, err := db.Head(ctx, logID)
	if err != nil {
		return err
	}
	cosigned, err := db.NewestCosigned(ctx, logID)
	if e.To == 0 && err == nil && cosigned.Size < head.Size {
		fmt.Fprintf(os.Stderr, "elicenced: entries %d to %d are not in the export: no quorum of witnesses has cosigned them (--to %d exports them)\n",
			cosigned.Size, head.Size-1, head.Size)
	}
	return nil
}

// exportLog writes an export beside the file and renames it into place.
func exportLog(ctx context.Context, from audit.Storage, logID string, first, last uint64, file string) error {
	f, err := os.Create(file + ".new")
	if err != nil {
		return err
	}
	err = errors.Join(audit.Export(ctx, from, logID, first, last, true, f), f.Close())
	if err != nil {
		return errors.Join(fmt.Errorf("exporting the log: %w", err), os.Remove(file+".new"))
	}
	return os.Rename(file+".new", file)
}

// errFontsMissing ends a command with exit code 69.
var errFontsMissing = errors.New("fonts missing: run `make fonts`, or name their folder with --fonts or ELICENCE_FONTS")

// openFonts looks in --fonts, ELICENCE_FONTS, ./fonts and the system's folders,
// the first that is given or there.
func openFonts(dir string) (*render.Fonts, error) {
	dirs := []string{dir}
	if dir == "" {
		dirs = []string{os.Getenv("ELICENCE_FONTS"), "fonts", "/usr/share/fonts", "/usr/local/share/fonts"}
	}
	var given []string
	for _, d := range dirs {
		if d != "" {
			given = append(given, d)
		}
	}
	fonts, err := render.OpenFonts(given...)
	if err != nil {
		return nil, fmt.Errorf("%w (looked in %s): %w", errFontsMissing, strings.Join(given, ", "), err)
	}
	return fonts, nil
}

// fetchFonts runs the same script as `make fonts`, where there is one.
func fetchFonts(ctx context.Context) error {
	script := filepath.Join("scripts", "fonts.sh")
	if _, err := os.Stat(script); err != nil {
		return errFontsMissing
	}
	fmt.Println("fetching fonts …")
	cmd := exec.CommandContext(ctx, "bash", script)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s: %w", errFontsMissing, script, err)
	}
	return nil
}
