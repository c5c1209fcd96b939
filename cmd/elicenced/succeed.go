package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"elicence/audit"
	"elicence/audit/witness"
	"elicence/internal/durable"
	"elicence/licence/registry"
)

// logCommand is the request id of what the commands of the log enter.
const logCommand = "elicenced log"

// nextLog is the name of the key of the log that is to succeed, while its declaration is
// being approved.
const nextLog = "log-next"

// succeedCmd begins a new log in the place of one whose last entries are lost for good
// (依法接续). It is called twice: once to draw the declaration up, and once with the
// declaration that two approvers have signed.
type succeedCmd struct {
	location
	witnessFlags
	PassphraseFile string  `help:"File that holds the passphrase of the keys." type:"path"`
	Reason         string  `help:"What happened; it stands in the log for ever. With -o."`
	Output         string  `short:"o" help:"File to write the declaration into, for the approvers; it must not be there yet." type:"path"`
	SkipNumbers    *uint64 `help:"How many licence numbers of each series are passed over, as the lost entries may have given them out (default: as many as there are lost entries)."`
	Approved       string  `help:"The declaration with the approvers' signatures: carry it out." type:"path"`
}

// Run draws up, or carries out.
func (s *succeedCmd) Run(ctx context.Context) error {
	drawUp := s.Reason != "" && s.Output != ""
	if drawUp == (s.Approved != "") || s.Approved != "" && (s.Reason != "" || s.Output != "" || s.SkipNumbers != nil) {
		return fmt.Errorf("%w: either --reason with -o, or --approved", errUsage)
	}
	keys, err := s.keys(s.PassphraseFile)
	if err != nil {
		return err
	}
	defer keys.devices.close()
	d := &disaster{location: s.location, keys: keys}
	if d.settings, err = s.settings(); err != nil {
		return err
	}
	secrets, err := keys.secrets()
	if err != nil {
		return err
	}
	if d.database, err = s.openDatabase(ctx, secrets); err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	err = d.database.Migrate(ctx)
	switch {
	case err != nil:
	case drawUp:
		err = s.drawUp(ctx, d)
	default:
		err = s.carryOut(ctx, d)
	}
	return errors.Join(err, d.database.Close())
}

// disaster is an instance whose log lost entries, opened without the checks of a start.
type disaster struct {
	location
	settings settings
	keys     keyring
	database database
	signer   audit.Signer // of the log that lost entries
	remains  audit.Remains
	known    []audit.Known // what was kept outside the database
}

// examine finds out what is left of the log and what is lost. What is known of the log must be the same that
// a start of the service goes by.
func (s *succeedCmd) examine(ctx context.Context, d *disaster) error {
	key, err := d.keys.key("log")
	if err != nil {
		return err
	}
	d.signer = audit.Signer{Name: d.settings.LogID, Key: key}
	memory := checkpointFile{path: filepath.Join(d.Dir, "checkpoint")}
	known, err := memory.read()
	if err != nil {
		return err
	}
	server := serveCmd{location: s.location, witnessFlags: s.witnessFlags, PassphraseFile: s.PassphraseFile}
	stopWitness, err := server.startWitness()
	if err != nil {
		return err
	}
	defer stopWitness()
	_, submitter, err := server.open(d.signer)
	if err != nil {
		return err
	}
	witnessed, err := d.witnessed(ctx, submitter)
	if err != nil {
		return err
	}
	d.known = append(known, witnessed...)
	d.remains, err = audit.ExamineRemains(ctx, audit.Config{
		LogID: d.settings.LogID, Storage: d.database, Signer: d.signer, Now: time.Now, Rand: rand.Reader, Known: known,
	}, witnessed)
	return err
}

// witnessed asks the witnesses, of whom none may be left out.
func (d *disaster) witnessed(ctx context.Context, submitter *witness.Submitter) ([]audit.Known, error) {
	if submitter != nil {
		return submitter.Known(ctx, false)
	}
	_, err := d.database.NewestCosigned(ctx, d.settings.LogID)
	if err == nil {
		return nil, fmt.Errorf("%w: witnesses have cosigned this log: name them, by --log-policy and --witness", errUsage)
	}
	if errors.Is(err, audit.ErrNoCheckpoint) {
		err = nil
	}
	return nil, err
}

// drawUp writes the declaration. The key that it names is made anew each time, so that no
// older declaration can be carried out besides.
func (s *succeedCmd) drawUp(ctx context.Context, d *disaster) error {
	if err := s.examine(ctx, d); err != nil {
		return err
	}
	if n := len(d.remains.Approvers.Keys()); n < 2 {
		return fmt.Errorf("what is left of the log appoints %d approvers, and two must sign: put back a database that is newer than their appointment", n)
	}
	key, err := newLogKey()
	if err != nil {
		return err
	}
	vkey, err := key.VerifierKey()
	if err != nil {
		return err
	}
	r := d.remains
	declared := audit.Succession{Origin: d.settings.LogID, Recovered: r.Recovered, Witnessed: r.Witnessed, Last: r.Last,
		Successor: vkey, Skip: r.Last.Size - r.Recovered.Size, Reason: s.Reason}
	if s.SkipNumbers != nil {
		declared.Skip = *s.SkipNumbers
	}
	draft, err := declared.Draft(rand.Reader, d.signer)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if err := errors.Join(d.keys.saveKey(nextLog, key.Key), durable.Sync(d.keys.path(nextLog+softwareKey)), durable.Sync(d.keys.dir)); err != nil {
		return err
	}
	if err := durable.WriteNew(s.Output, draft); err != nil {
		return err
	}
	fmt.Printf("%s\n%s: have two of these sign it (elicenced log approve --key FILE %s):\n", declared.Text(), s.Output, s.Output)
	for _, approver := range r.Approvers.Keys() {
		fmt.Println(approver)
	}
	return nil
}

// carryOut begins the new log and makes it the instance's. A crash between two steps leaves
// the old log, which still does not start, or the new one; the command may be given again.
func (s *succeedCmd) carryOut(ctx context.Context, d *disaster) error {
	signed, err := readAtMost(s.Approved, audit.MaxNote)
	if err != nil {
		return err
	}
	text, _, _ := strings.Cut(string(signed), "\n\n")
	declared, err := audit.ParseSuccession(text + "\n")
	if err != nil {
		return fmt.Errorf("%s: %w", s.Approved, err)
	}
	successor := logName(declared.Successor)
	if d.settings.LogID == successor { // an earlier call came so far
		return d.finish(ctx, declared)
	}
	if err := s.examine(ctx, d); err != nil {
		return err
	}
	r := d.remains
	if declared.Origin != d.settings.LogID || declared.Recovered != r.Recovered || declared.Witnessed != r.Witnessed || declared.Last != r.Last {
		return fmt.Errorf("%s declares other checkpoints than there are now: of %s, recovered %d, witnessed %d, last known %d", s.Approved, d.settings.LogID, r.Recovered.Size, r.Witnessed.Size, r.Last.Size)
	}
	declared, approvals, err := audit.OpenSuccession(signed, r.Approvers)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Approved, err)
	}
	staged, err := d.keys.stage() // which keeps a second call out
	if err != nil {
		return err
	}
	err = d.begin(ctx, declared, approvals)
	if err == nil {
		err = errors.Join(d.keepEvidence(signed), d.change(staged, declared))
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(staged.dir))
	}
	if err := commitRotation(d.keys.dir); err != nil {
		return err
	}
	for _, a := range approvals {
		fmt.Printf("approved by %s\n", a.Name())
	}
	return d.finish(ctx, declared)
}

// begin enters the succession into the new log, in the transaction that skips the numbers.
func (d *disaster) begin(ctx context.Context, declared audit.Succession, approvals []audit.Approval) error {
	key, err := d.keys.key(nextLog)
	if err != nil {
		return err
	}
	name := logName(declared.Successor)
	next, err := audit.Open(ctx, audit.Config{
		LogID: name, Storage: d.database, Signer: audit.Signer{Name: name, Key: key}, Now: time.Now, Rand: rand.Reader,
	})
	if err != nil {
		return err
	}
	err = next.Succeed(ctx, declared, approvals, func(tx audit.Tx) error {
		return tx.(registry.Tx).SkipNumbers(context.WithoutCancel(ctx), declared.Skip)
	})
	return errors.Join(err, next.Close())
}

// change stages the keys and settings of the new log. The old log's key is kept among the
// retired: it signs nothing any more, but what it signed may have to be explained.
func (d *disaster) change(staged keyring, declared audit.Succession) error {
	old, err := d.signer.VerifierKey()
	if err != nil {
		return err
	}
	id := strings.Split(old, "+")[1]
	for _, suffix := range []string{softwareKey, deviceKeyNote} {
		if err := copyIfThere(d.keys.path("log"+suffix), staged.path(filepath.Join(retiredDir, "log-"+id+suffix))); err != nil {
			return err
		}
	}
	if err := copyIfThere(d.keys.path(nextLog+softwareKey), staged.path("log"+softwareKey)); err != nil {
		return err
	}
	d.settings.LogID, d.settings.Succeeded = logName(declared.Successor), slices.Insert(d.settings.Succeeded, 0, old)
	return errors.Join(staged.drop(nextLog+softwareKey), staged.drop("log"+deviceKeyNote), d.settings.save(staged))
}

// copyIfThere copies a private file, if there is one.
func copyIfThere(from, to string) error {
	content, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

// keepEvidence keeps the declaration, and what was known of the old log, for auditors.
func (d *disaster) keepEvidence(signed []byte) error {
	dir := filepath.Join(d.Dir, "succeeded", strings.ReplaceAll(d.remains.Recovered.Origin, "/", "-"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	err := durable.Replace(filepath.Join(dir, "declaration"), signed)
	for i, k := range d.known {
		err = errors.Join(err, durable.Replace(filepath.Join(dir, fmt.Sprintf("checkpoint-%d", i)), k.Checkpoint))
	}
	return err
}

// finish replaces the checkpoint kept outside the database, and says what is left to do.
func (d *disaster) finish(ctx context.Context, declared audit.Succession) error {
	head, err := d.database.Head(ctx, logName(declared.Successor))
	if err != nil {
		return err
	}
	if head.Size == 0 {
		return fmt.Errorf("the database has no log %s: it was put back after the succession", logName(declared.Successor))
	}
	if err := durable.Replace(filepath.Join(d.Dir, "checkpoint"), head.Checkpoint); err != nil {
		return err
	}
	fmt.Printf("entries %d to %d of %s are lost, and %d numbers of each series are passed over; the log goes on as\n  log %s\n",
		declared.Recovered.Size, declared.Last.Size-1, declared.Origin, declared.Skip, declared.Successor)
	fmt.Println("add this line to every policy, the service's and the auditors', and to the file of logs of every witness, below the old one; then start the service with --new-witnesses, once")
	fmt.Println("enter anew what the lost entries changed, and make a new backup of the keys (docs/operations.md)")
	return nil
}

// logName is the name of the log that a verifier key is of.
func logName(vkey string) string {
	name, _, _ := strings.Cut(vkey, "+")
	return name
}

// succeeded are the names of the logs before the present one.
func (s settings) succeeded() (names []string) {
	for _, vkey := range s.Succeeded {
		names = append(names, logName(vkey))
	}
	return names
}

// save writes instance.json into a keyring.
func (s settings) save(k keyring) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(k.path("instance.json"), b, 0o644)
}
