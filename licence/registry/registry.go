// Package registry is the licence register (证照库): issue, read, reuse and
// change licences, each under one gate that authorises and logs.
//
// # The order of issue
//
//  1. authorise the caller; check the request against the catalogue item, every
//     character against the fonts and every text against its box, and whether
//     the seal and its certificates can be used now; make the portrait of a
//     photograph; take a document that the licence is drawn on apart, and prove that
//     it can be sealed; log the attempt, allowed or not. Nothing is reserved yet; of
//     photograph and document what was made of them is stored.
//  2. one transaction: identifier and number reserved, licence pending,
//     idempotency key bound, digest of the licence data, log entry "reserved",
//     which permits the QR signature.
//  3. sign the QR payload, render, and log "sealing" with the digest to be
//     sealed, before the seal key is touched.
//  4. seal, timestamp, embed; steps 3 and 4 once for each co-seal, in the catalogue
//     item's order, then for the issuing authority's seal.
//  5. verify the finished file as a stranger would, decode the drawn QR symbol,
//     and compare the digest with the logged one.
//  6. one transaction: file reference, status valid, answer of the idempotency
//     key, log entry "issued", outgoing event.
//  7. answer.
//
// A new version of a licence (amend, renew, reissue, correct, transfer) takes the same
// way. Step 2 reserves the next identifier; step 6 makes the old version superseded in its
// transaction, with a log entry "superseded" before the other. Until then the old one is as
// it was: when it is suspended, revoked or the like meanwhile, that stands, and the pending version
// is voided.
//
// A crash before step 2 commits leaves a log entry. A crash between 2 and 6
// leaves a pending licence with a lease: when that lapses, the retry with the
// same key or Recover finishes it by the same code, or voids it with a logged
// reason. What was sealed of it by then, a co-seal say, was in memory alone: the keys
// are used again, each behind a log entry of its own. A file stored before step 6 committed is garbage that nothing refers
// to. A crash after 6 leaves a valid licence; the retry gets its answer.
//
// A licence that another platform issued is imported: metadata, and the file as it came, in one
// transaction. It is read, reused, suspended and ended like others, by the authority that
// imported it, and is labelled everywhere; nothing of it is drawn, sealed or timestamped here.
//
// An annotated copy takes a way of its own, in copy.go, in the same order: its file is
// another for each receiver, and nothing of it becomes valid without the entry "copied".
//
// A batch is many of these, each with a key of the register's own, which no request from outside
// can have. The item is settled in the transaction of step 6, so that it is either to be done or
// done; a crash before that leaves it claimed, and it is claimed again when its lease has lapsed.
// A crash while a batch comes in leaves items that nobody works on, and that are forgotten.
//
// # Invariants
//
//   - every identifier ever reserved is pending, voided, or was issued; none is used twice
//   - no status "valid" without a file and a log entry "issued", committed together
//   - of all versions of a licence one at most is valid or suspended, and one at most pending
//   - no answer, refusals included, before its log entry is durable
//   - no key is used before the entry that permits it is durable
//   - no seal is used for another authority without its owner's standing consent
//   - nothing is sealed with what is expired, revoked, or not known to be unrevoked
//
// The registry does no HTTP and writes no SQL. Time, randomness, keys and trust
// come in by Config.
package registry

import (
	"context"
	"crypto"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"elicence/audit"
	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/tsa"
	"elicence/licence"
	"elicence/licence/brake"
	"elicence/licence/render"
)

// Lease is how long one attempt at an issue may take before another may finish it.
const Lease = 30 * time.Second

// QRKey signs QR payloads.
type QRKey struct {
	Certificate *pki.Certificate
	Key         crypto.Signer
}

// Timestamper gives a timestamp token over a message, or an error when the TSA
// is away; a local clock never stands in for it.
type Timestamper interface {
	Timestamp(ctx context.Context, message []byte) (*tsa.Token, error)
}

// Config is what a Registry needs. All fields must be set unless they say otherwise.
type Config struct {
	Store     Store
	Log       *audit.Log
	LogID     string
	LogReader audit.Storage
	// Succeeded are the logs that this one succeeds, the newest first: their entries are
	// still searched, shown to holders with proofs in them, and erased, and reports printed
	// from them are compared. No evidence bundle is made from them. It may be empty.
	Succeeded []string
	// Witnessed makes checkpoints and exports end where a quorum of witnesses has
	// cosigned, once there is such a place; else they are the newest.
	Witnessed bool
	Files     Files
	// Catalogue and Layouts are what the program ships, for types that the register has no
	// version of; see EnterCatalogue.
	Catalogue *licence.Catalogue
	Layouts   map[string]*render.Layout
	Fonts     *render.Fonts
	// Seals holds the seal of each issuing authority, by its USCC.
	Seals map[string]*SealKey
	QR    QRKey
	// Reporter seals verification reports; nil when nobody does.
	Reporter *Reporter
	// Annotator makes annotated copies; nil when nobody does.
	Annotator *Annotator
	// PAdES signs licences of the types that ask for it; nil when there is no key.
	PAdES *PAdESKey
	TSA   Timestamper
	// TSAResting says why no token is to be had for the moment; nil, as a nil func: ask for
	// one. A licence with co-seals, which cannot go on without, then waits with no key used.
	TSAResting func() error
	// Trusted says why a certificate cannot be relied on for a usage at a time, as a
	// *pki.PathError; nil when it can. It is asked for every issue, so it must not wait
	// for a network. A nil Trusted: validity alone counts.
	Trusted func(cert *pki.Certificate, usage pki.Usage, at time.Time) error
	// SealMargin is how long before its end a seal, or its signer's certificate, takes
	// no new licences. Zero: to the last moment.
	SealMargin time.Duration
	// Check verifies a finished file as a stranger would, offline, against the
	// pinned anchors; an error keeps the file from being issued.
	Check func(ctx context.Context, f *pdfsig.File, at time.Time) error
	// Rewrite takes a document that others made apart, with every limit that such work
	// needs; what is wrong with the file is a *licence.RequestError about the field "file".
	// Nil: no licence is drawn on a document.
	Rewrite func(ctx context.Context, file []byte) (*render.Document, error)
	// JudgeImport verifies the file of a licence that another platform issued, of which the
	// licence is stated. Nil: no file is imported.
	JudgeImport func(ctx context.Context, file []byte, l *licence.Licence) (Judgement, error)
	// PublicURL is the scheme and host printed in QR codes.
	PublicURL string
	Now       func() time.Time
	Rand      io.Reader
	// Failed is told of an issue that stopped between two steps; it may be nil.
	Failed func(id licence.Identifier, step string, err error)
}

// Registry is the register. Its methods may be called concurrently.
type Registry struct {
	cfg  Config
	gate *Gate
	// compared says when the register's seal, last found equal to ours, was changed.
	compared sync.Map // *SealKey to time.Time
	// clients is who is asked for at once: a partner's programs call side by side as one client.
	clients together[Client]
	// licences is what verifications ask of the register at once.
	licences together[Record]
	// files is the same, of licences by their files.
	files together[Filed]
	// seals is how far their seals are: many licences at once are sealed by few authorities.
	seals together[SealRecord]
	// interactive is how many callers wait for a licence, items of batches not counted.
	interactive atomic.Int32
	// keys is the same, of the keys that requests are signed with.
	keys   together[ClientKey]
	brakes brake.Counter
	catalogues
}

// New returns a Registry over c. It is an error when a catalogue item names a
// layout that there is none of, or one without a place for each of its co-seals, or
// one that draws the seal while a seal has no picture: a request must never be the
// first to find out.
func New(c Config) (*Registry, error) {
	r := &Registry{cfg: c}
	r.gate = &Gate{cfg: &r.cfg}
	for _, item := range c.Catalogue.Items() {
		e := &edition{item: item, layout: c.Layouts[item.Layout]}
		if err := e.check(c.Seals); err != nil {
			return nil, err
		}
		r.shipped = append(r.shipped, e)
	}
	if err := c.Reporter.check(c.Seals); err != nil {
		return nil, err
	}
	if err := c.Annotator.check(); err != nil {
		return nil, err
	}
	r.editions.Store(newEditions(0, r.shipped, nil))
	return r, nil
}

// Gate is where the operations of the packages beside this one pass.
func (r *Registry) Gate() *Gate { return r.gate }

func (r *Registry) now() time.Time { return r.gate.Now() }

func (r *Registry) today() licence.Date { return r.gate.Today() }
