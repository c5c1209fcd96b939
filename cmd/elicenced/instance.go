package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"elicence/api"
	"elicence/api/identity"
	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/crypto/pki/ocsp"
	"elicence/crypto/tsa"
	"elicence/internal/private"
	"elicence/licence"
	"elicence/licence/dispute"
	"elicence/licence/event/deliver"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
	"elicence/licence/registry/batches"
	"elicence/licence/registry/bundles"
	"elicence/licence/registry/disputes"
	"elicence/licence/registry/statistics"
	"elicence/licence/registry/subscriptions"
	"elicence/licence/render"
	"elicence/store"
	"elicence/templates"
	"elicence/verify"

	"golang.org/x/time/rate"
)

// database is what both engines are to an instance.
type database interface {
	registry.Store
	audit.Storage
	Migrate(ctx context.Context) error
	Ready(ctx context.Context) error
	Close() error
	Lowest(ctx context.Context, logID string) (uint64, bool, error)
	RemoveArchived(ctx context.Context, logID string, to uint64) ([]string, error)
	PutBack(ctx context.Context, logID string, rows []audit.Row) error
	Cut(ctx context.Context) error
}

// openDatabase opens PostgreSQL when a DSN is given, else SQLite in the folder.
func (l location) openDatabase(ctx context.Context, s secrets) (database, error) {
	cipher, err := pki.NewCipher(s.storage)
	if err != nil {
		return nil, err
	}
	at := store.Secrets{Cipher: cipher, IndexKey: s.index}
	if l.Database != "" {
		return opened(store.OpenPostgres(ctx, l.Database, at))
	}
	return opened(store.OpenSQLite(ctx, filepath.Join(l.Dir, "elicence.db"), at))
}

// opened is no database at all when it could not be opened, and not a nil pointer to one.
func opened[T database](db T, err error) (database, error) {
	if err != nil {
		return nil, err
	}
	return db, nil
}

// keys is the keyring of the location, opened with its passphrase. It first finishes
// a rotation that was cut short. Where no instance is, it says so rather than that a
// passphrase is missing.
func (l location) keys(passphraseFile string) (keyring, error) {
	if _, err := l.settings(); err != nil {
		return keyring{}, err
	}
	if passphraseFile == "" {
		passphraseFile = filepath.Join(l.Dir, "passphrase")
	}
	passphrase, err := private.Passphrase(passphraseVariable, passphraseFile)
	if err != nil {
		return keyring{}, err
	}
	dir := filepath.Join(l.Dir, "keys")
	return keyring{dir, passphrase, new(devices)}, finishRotation(dir)
}

// settings reads instance.json.
func (l location) settings() (settings, error) {
	var s settings
	b, err := os.ReadFile(filepath.Join(l.Dir, "keys", "instance.json"))
	if err != nil {
		return s, fmt.Errorf("%w: no instance in %s (make one with: elicenced demo --dir %s): %w", errUsage, l.Dir, l.Dir, err)
	}
	return s, json.Unmarshal(b, &s)
}

// instance is everything a running service holds, in the order it is closed.
type instance struct {
	settings settings
	keys     keyring
	database database
	log      *audit.Log
	logKey   audit.Signer
	registry *registry.Registry
	// The parts of the register that are packages of their own.
	accessLog     *accesslog.Register
	disputes      *disputes.Register
	batches       *batches.Register
	subscriptions *subscriptions.Register
	server        *api.Server
	sender        *deliver.Sender // nil when no events are sent
	anchors       atomic.Pointer[pki.TrustAnchors]
	foreign       atomic.Pointer[pki.TrustAnchors] // for the files of other platforms
	evidence      *ocsp.Evidence
	// published is the newest trust list; nil until one was made.
	published atomic.Pointer[publishedList]
	// trusted and untrusted are the anchor files as loaded and the fault reported last;
	// for open, then for the goroutine of watchTrust alone.
	trusted   anchorStamp
	untrusted string
	// uncatalogued is the fault of the catalogue reported last; for watchCatalogue alone.
	uncatalogued string
	authority    *tsa.Authority // our own; nil when nobody asks it
	tsaFaults    rate.Sometimes
	tsa          *http.Server // the authority's listener for ourselves; nil with an outside one
	memory       checkpointFile
	// clockBehind says that watchClock has said so; for its goroutine alone.
	clockBehind bool
	witnessing
	files filesWatch
	stop  context.CancelFunc
	idle  sync.WaitGroup
}

// options are what differs between starts of one instance.
type options struct {
	location
	passphraseFile, publicURL, tsaURL string
	behindProxy, tsaForOthers         bool
	sealMargin                        time.Duration
	disputeRules                      *dispute.Rules // nil: the program's
	witnesses                         witnessFlags
	files                             fileFlags
	events                            eventFlags
	identity, officials               *identity.Provider // nil: nobody signs in at one
	registerOnly                      bool               // for a command beside the service: no upkeep, no server, nothing entered
	fonts                             *render.Fonts      // nil with registerOnly
}

// open starts everything but the listener of the API.
func open(ctx context.Context, o options) (_ *instance, err error) {
	in := &instance{memory: checkpointFile{path: filepath.Join(o.Dir, "checkpoint")}, tsaFaults: rate.Sometimes{Interval: time.Minute}}
	in.evidence = &ocsp.Evidence{Client: &ocsp.Client{Rand: rand.Reader, Now: time.Now}}
	defer func() {
		if err != nil {
			in.close()
		}
	}()
	if in.settings, err = o.settings(); err != nil {
		return in, err
	}
	if in.keys, err = o.keys(o.passphraseFile); err != nil {
		return in, err
	}
	if err = in.refreshTrust(); err != nil {
		return in, err
	}
	secrets, err := in.keys.secrets()
	if err != nil {
		return in, err
	}
	if err = in.openStorage(ctx, o, secrets); err != nil {
		return in, err
	}
	if err = in.openRegistry(ctx, o, secrets); err != nil {
		return in, err
	}
	if o.registerOnly {
		in.watchCatalogue(ctx)
		return in, nil
	}
	if err = in.warnOfOwner(ctx); err != nil {
		return in, err
	}
	if err = errors.Join(in.shareRevocations(ctx), in.refreshTrust()); err != nil { // before anything is sealed
		return in, err
	}
	if err = in.registry.RegisterSeals(ctx, registry.System("set-up")); err != nil {
		return in, err
	}
	if err = in.enterCatalogue(ctx); err != nil {
		return in, fmt.Errorf("entering the catalogue: %w", err)
	}
	in.watchCatalogue(ctx) // a type that cannot be read is missing, and does not keep the others back
	if err = in.openServer(o, secrets); err != nil {
		return in, err
	}
	if in.sender, err = in.openSender(o); err != nil {
		return in, err
	}
	first, cancel := context.WithTimeout(ctx, evidenceInterval)
	defer cancel()
	in.refreshEvidence(first) // so that the first request is not refused for want of it
	in.startUpkeep()
	return in, nil
}

// openStorage opens the database, brings it up to date and opens the log over it.
func (in *instance) openStorage(ctx context.Context, o options, s secrets) (err error) {
	if in.database, err = o.openDatabase(ctx, s); err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	if err = in.database.Migrate(ctx); err != nil {
		return fmt.Errorf("migrating the database: %w", err)
	}
	key, err := in.keys.key("log")
	if err != nil {
		return err
	}
	in.logKey = audit.Signer{Name: in.settings.LogID, Key: key}
	return in.openLog(ctx, o)
}

// warnOfOwner tells whoever watches that the database does not keep this process from
// changing its log. It serves all the same: SQLite has no users, and a demo needs but one.
func (in *instance) warnOfOwner(ctx context.Context) error {
	db, ok := in.database.(*store.Postgres)
	if !ok {
		return nil
	}
	user, may, err := db.MayRewrite(ctx)
	if may {
		slog.Warn("this database user could change the access log; serve as a member of elicence_server instead (docs/operations.md)", "user", user)
	}
	return err
}

// openRegistry opens files, catalogue and layouts, and the registry over them.
func (in *instance) openRegistry(ctx context.Context, o options, s secrets) error {
	cipher, err := pki.NewCipher(s.storage)
	if err != nil {
		return err
	}
	c := registry.Config{
		Store: in.database, Log: in.log, LogID: in.settings.LogID, LogReader: in.database, Succeeded: in.settings.succeeded(), Witnessed: in.submitter != nil,
		Fonts: o.fonts, Check: in.check, JudgeImport: in.judgeImport, Trusted: in.trusts, SealMargin: o.sealMargin,
		PublicURL: o.publicURL, Now: time.Now, Rand: rand.Reader,
		Failed: func(id licence.Identifier, step string, err error) {
			slog.Warn("issue stopped", "identifier", id, "step", step, "cause", err)
		},
	}
	if !o.registerOnly { // a command beside the service touches no files
		if in.files.storage, err = o.files.openFiles(ctx, o.location, cipher); err != nil {
			return err
		}
		c.Files = in.files.storage
	}
	if c.Catalogue, err = licence.LoadCatalogue(templates.Catalogue()); err != nil {
		return err
	}
	if c.Layouts, err = render.LoadLayouts(templates.Layouts()); err != nil {
		return err
	}
	documents, err := documentRewriter()
	if err != nil {
		return err
	}
	c.Rewrite = documents.Rewrite
	if err := in.openSigners(o, &c); err != nil {
		return err
	}
	if in.registry, err = registry.New(c); err != nil {
		return err
	}
	in.accessLog, in.disputes, in.batches = accesslog.New(in.registry), disputes.New(in.registry, o.disputeRules), batches.New(in.registry)
	return in.openSubscriptions(o.events)
}

// openSigners opens what the registry signs with: seals, keys and the timestamp authority.
func (in *instance) openSigners(o options, c *registry.Config) (err error) {
	if c.Seals, err = in.openSeals(o.fonts); err != nil {
		return err
	}
	if c.Annotator, err = in.annotator(o.fonts); err != nil {
		return err
	}
	if c.QR.Certificate, c.QR.Key, err = in.keys.pair("qr"); err != nil {
		return err
	}
	if c.PAdES, err = in.keys.pades(); err != nil {
		return err
	}
	if c.Reporter, err = in.settings.reporter(); err != nil {
		return err
	}
	if o.tsaURL == "" || o.tsaForOthers {
		if err := in.openAuthority(); err != nil {
			return err
		}
	}
	stamper, err := in.timestamper(o.tsaURL)
	if err != nil {
		return err
	}
	c.TSA, c.TSAResting = stamper, stamper.Resting
	return nil
}

// openServer makes the HTTP interface.
func (in *instance) openServer(o options, s secrets) (err error) {
	qr, err := in.keys.everCertified("qr")
	if err != nil {
		return err
	}
	answers, err := in.keys.answerSigner()
	if err != nil {
		return err
	}
	config := api.Config{
		Registry: in.registry, AccessLog: in.accessLog, Disputes: in.disputes, Batches: in.batches, Statistics: statistics.New(in.registry),
		Bundles: bundles.New(in.registry, in.gatherEvidence, in.checkBundle), Subscriptions: in.subscriptions,
		Answers: answers, TokenKey: s.token, PublicURL: o.publicURL, Now: time.Now, Rand: rand.Reader,
		Ready: in.database.Ready, FilesAway: in.files.away, Rasterise: rasterise, BehindProxy: o.behindProxy, Identity: o.identity, Officials: o.officials,
		Failed: func(requestID string, err error) { slog.Error("request failed", "request_id", requestID, "cause", err) },
		Verifier: func(r verify.Register) *verify.Verifier {
			return &verify.Verifier{Anchors: in.anchors.Load(), ForeignAnchors: in.foreign.Load(), Status: in.evidence.Asking, Register: r, QRSigners: qr}
		},
	}
	if in.submitter != nil {
		config.Witnesses = in.submitter.States
	}
	in.server, err = api.New(config)
	return err
}

// trusts implements registry.Config.Trusted.
func (in *instance) trusts(cert *pki.Certificate, usage pki.Usage, at time.Time) error {
	_, err := in.anchors.Load().CheckPath(cert, pki.PathOptions{Usage: usage, At: at, Now: at, Status: in.evidence.Known})
	return err
}

// trustInterval is how soon a changed anchor file is noticed: at the latest so long
// after "ca revoke" nothing more is sealed with what it revoked.
const trustInterval = time.Second

// refreshTrust renews the CRLs when they are a day old, and loads the anchors when a
// file of theirs changed. While one cannot be read, those loaded before stay.
func (in *instance) refreshTrust() error {
	if err := refreshCRLs(in.keys, time.Now()); err != nil {
		return err
	}
	stamp := in.keys.anchorStamp()
	if in.anchors.Load() != nil && stamp == in.trusted {
		return nil
	}
	anchors, err := in.keys.anchors()
	if err != nil {
		return err
	}
	foreign, err := in.keys.foreignAnchors()
	if err != nil {
		return err
	}
	in.anchors.Store(anchors)
	in.foreign.Store(foreign)
	in.trusted = stamp
	return nil
}

// watchTrust refreshes the trust, and reports a fault when it is another than the last.
func (in *instance) watchTrust() {
	err := in.refreshTrust()
	if err != nil && err.Error() != in.untrusted {
		slog.Error("trust anchors or revocation lists not renewed", "fault", err)
	}
	in.untrusted = ""
	if err != nil {
		in.untrusted = err.Error()
	}
}

// close stops in the reverse order of open; what was never opened is passed over.
func (in *instance) close() error {
	var errs []error
	if in.stop != nil {
		in.stop()
		in.idle.Wait()
	}
	if in.server != nil {
		in.server.Close()
	}
	if in.log != nil {
		errs = append(errs, in.log.Close(), in.memory.keep(context.Background(), in.log), in.lastRound())
	}
	if in.tsa != nil {
		errs = append(errs, in.tsa.Close())
	}
	if in.database != nil {
		errs = append(errs, in.database.Close())
	}
	in.keys.devices.close()
	return errors.Join(errs...)
}
