// Package bundles makes evidence bundles (证据包): a licence's file with all that proves it when
// no server answers any more. Their form is that of licence/bundle.
//
// Invariants: no bundle leaves that was not verified as it will be years later; the log holds
// the digest of its evidence from before it leaves.
package bundles

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/crypto/tsa"
	"elicence/licence"
	"elicence/licence/bundle"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
)

// Relied is a certificate that a licence file relies on.
type Relied struct {
	Certificate   *pki.Certificate
	Usage         pki.Usage
	At            time.Time          // when it was used, as far as is proved
	Intermediates []*pki.Certificate // that came along with it
}

// Evidence is what proves certificates later: those of their CAs, and what these say of
// revocation, all DER.
type Evidence struct {
	Certificates, CRLs, OCSP [][]byte
}

// Register is the part of the register that makes evidence bundles. Its methods may be called
// concurrently.
type Register struct {
	gate     *registry.Gate
	evidence func(ctx context.Context, relied []Relied) (Evidence, error)
	check    func(ctx context.Context, raw []byte) error
}

// New returns the part of a register. evidence gives what proves certificates later: statements
// on the revocation of each that are not older than its use; an error wraps
// registry.ErrEvidence when they cannot be had now. check verifies a bundle as a stranger would
// years later, against the pinned anchors and the log's own policy; an error keeps it back.
func New(r *registry.Registry, evidence func(ctx context.Context, relied []Relied) (Evidence, error), check func(ctx context.Context, raw []byte) error) *Register {
	return &Register{r.Gate(), evidence, check}
}

// Make returns an evidence bundle of a licence: its file, the evidence of its
// certificates, and the log's entries with their proofs. The entry of this very read
// holds the digest of the evidence, so that the log proves when it was put together.
// licence.ErrNotFound while the licence has no file, ErrEvidence when something is
// missing for the time being.
func (r *Register) Make(ctx context.Context, c registry.Caller, id licence.Identifier, use registry.Use) ([]byte, audit.Receipt, error) {
	rec, found := r.gate.Store().Licence(ctx, id)
	b := &bundle.Bundle{Identifier: id, Status: rec.Status}
	a := &registry.Access{Action: registry.ActionBundle, Object: string(id), Use: use, Holder: rec.Holder}
	a.Check = func() error {
		switch {
		case found != nil:
			return found
		case !c.Reaches(&rec):
			return registry.ErrOutOfReach
		case rec.Importer != "":
			return registry.ErrExternal
		case rec.File.Digest == ([32]byte{}):
			return fmt.Errorf("%w: the licence has no file", licence.ErrNotFound)
		}
		err := r.gather(ctx, &rec, b)
		manifest := sm3.Sum(b.Manifest())
		a.Digest = manifest[:]
		return err
	}
	receipt, err := r.gate.Pass(ctx, c, a)
	if err != nil {
		return nil, receipt, err
	}
	raw, err := r.prove(ctx, b, receipt)
	return raw, receipt, err
}

// gather fills a bundle with everything but the proofs.
func (r *Register) gather(ctx context.Context, rec *registry.Record, b *bundle.Bundle) (err error) {
	if b.File, err = r.gate.LicenceFile(ctx, *rec); err != nil {
		return err
	}
	entries, err := r.fileEntries(ctx, rec)
	if err != nil {
		return err
	}
	for _, row := range entries {
		b.Entries = append(b.Entries, bundle.Entry{Record: row.Record})
	}
	last, err := audit.ParseRecord(entries[len(entries)-1].Record)
	if err != nil {
		return err
	}
	relied, err := reliedOn(b.File, last.Entry.Time)
	if err != nil {
		return fmt.Errorf("reading the certificates of %s: %w", rec.Identifier, err)
	}
	evidence, err := r.evidence(ctx, relied)
	b.Certificates, b.CRLs, b.OCSP = evidence.Certificates, evidence.CRLs, evidence.OCSP
	return err
}

// fileEntries finds the log entries of a licence's issue and, where it got its token
// later, of that. The last is about the current file.
func (r *Register) fileEntries(ctx context.Context, rec *registry.Record) ([]audit.Row, error) {
	find := func(since time.Time, digest []byte, actions ...audit.Action) (audit.Row, error) {
		// An entry is logged just after the instant that the register keeps.
		return r.gate.Log().Find(ctx, since.Add(-time.Second), func(e *audit.Record) bool {
			return slices.Contains(actions, e.Entry.Action) && e.Entry.Object == string(rec.Identifier) && e.Entry.Result == audit.ResultAllowed &&
				(digest == nil || string(e.Entry.Digest) == string(digest))
		})
	}
	current, err := find(rec.File.CreatedAt, rec.File.Digest[:], registry.ActionIssued, registry.ActionTimestamp)
	if errors.Is(err, audit.ErrNoEntry) && len(r.gate.Logs()) > 1 {
		// A bundle has one checkpoint, and that of this log covers nothing of another.
		return nil, fmt.Errorf("%w: its log entries are in a log that this one succeeds (%w)", registry.ErrEvidence, err)
	}
	if err != nil {
		return nil, fmt.Errorf("finding the log entry of the file: %w", err)
	}
	issued, err := find(rec.File.SealedAt, nil, registry.ActionIssued)
	switch {
	case err != nil:
		return nil, fmt.Errorf("finding the log entry of the issue: %w", err)
	case issued.Index == current.Index:
		return []audit.Row{current}, nil
	}
	return []audit.Row{issued, current}, nil
}

// reliedOn lists the certificates of every seal and timestamp of a file and of its QR
// code, with when they were used: at the time of a token, or else when the file was logged.
func reliedOn(file []byte, logged time.Time) (all []Relied, err error) {
	f, err := pdfsig.Read(file)
	if err != nil {
		return nil, err
	}
	proved := logged
	for i, last := len(f.Signatures)-1, true; i >= 0; i, last = i-1, false {
		if f.Signatures[i].SubFilter != pdfsig.SubFilter {
			continue
		}
		relied, at, err := reliedBy(f.Signatures[i].Contents, proved)
		if err != nil {
			return nil, err
		}
		if last { // which covers all the others, and so dates them
			proved = at
		}
		all = append(all, relied...)
	}
	qr, err := pki.ParseCertificate(f.Attachments[registry.QRSignerFile])
	return append(all, Relied{Certificate: qr, Usage: pki.UsageQR, At: proved}), err
}

// reliedBy lists the certificates of one seal signature, and when it was there: at the
// time of its token, else at proved.
func reliedBy(contents []byte, proved time.Time) (all []Relied, at time.Time, err error) {
	signature, err := seal.ParseSignature(contents)
	if err != nil {
		return nil, proved, err
	}
	if len(signature.Timestamp) > 0 {
		token, err := tsa.ParseToken(signature.Timestamp)
		if err != nil {
			return nil, proved, err
		}
		proved = token.Time
		all = append(all, Relied{token.Certificate, pki.UsageTimestamp, proved, token.Intermediates})
	}
	return append(all, Relied{Certificate: signature.Certificate, Usage: pki.UsageSealSigner, At: proved},
		Relied{Certificate: signature.Seal.Maker, Usage: pki.UsageSealMaker, At: proved}), proved, nil
}

const (
	witnessTime  = 10 * time.Second // how long a bundle waits for the witnesses
	witnessPause = 200 * time.Millisecond
)

// covering returns a checkpoint that covers a receipt's entry: its own or, where the
// log has witnesses, the next that a quorum of them has cosigned. A bundle is for years
// in which nobody else may vouch for the log, so that it waits for them.
func (r *Register) covering(ctx context.Context, receipt audit.Receipt) ([]byte, error) {
	if !r.gate.Witnessed() {
		return receipt.Checkpoint, nil
	}
	ctx, cancel := context.WithTimeout(ctx, witnessTime)
	defer cancel()
	for {
		c, err := r.gate.LogReader().CosignedAt(ctx, r.gate.Logs()[0], receipt.Index+1)
		if !errors.Is(err, audit.ErrNoCheckpoint) {
			return c.Checkpoint, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: no quorum of witnesses has cosigned the log's entry %d yet", registry.ErrEvidence, receipt.Index)
		case <-time.After(witnessPause):
		}
	}
}

// prove adds the entry that permitted the bundle, and the way from every entry to the
// checkpoint; then it verifies the bundle as a stranger would.
func (r *Register) prove(ctx context.Context, b *bundle.Bundle, receipt audit.Receipt) ([]byte, error) {
	row, err := r.gate.Log().Entry(ctx, receipt.Index)
	if err != nil {
		return nil, err
	}
	b.Entries = append(b.Entries, bundle.Entry{Record: row.Record})
	if b.Checkpoint, err = r.covering(ctx, receipt); err != nil {
		return nil, err
	}
	checkpoint, err := audit.ParseCheckpoint(b.Checkpoint)
	if err != nil {
		return nil, err
	}
	for i := range b.Entries {
		e := &b.Entries[i]
		record, err := audit.ParseRecord(e.Record)
		if err != nil {
			return nil, err
		}
		if e.Proof, err = r.gate.Log().InclusionProof(ctx, record.Index, checkpoint.Size); err != nil {
			return nil, fmt.Errorf("proving entry %d: %w", record.Index, err)
		}
	}
	raw, err := b.Marshal()
	if err != nil {
		return nil, err
	}
	if err := r.check(ctx, raw); err != nil {
		return nil, fmt.Errorf("%w: verifying the bundle: %w", registry.ErrEvidence, err)
	}
	return raw, nil
}
