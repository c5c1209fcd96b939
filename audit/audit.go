// Package audit is the access log: who used which licence, for what, provably.
//
// One entry is one record, a deterministic CBOR array (RFC 8949 §4.2) that
// begins with the leaf hash of the record before it. The same leaf hashes,
// SM3(0x00 ‖ record), are the leaves of a Merkle tree of RFC 6962's shape, so
// that chain and tree cost one hash and one root commits to both. Every
// committed batch ends in a checkpoint: a C2SP tlog-checkpoint of three lines
// as a C2SP signed note under an SM2 key. docs/log-format.md describes every
// byte, for people who write a verifier of their own.
//
// # Invariants
//
//   - Append returns a receipt only after the entry, and whatever its caller
//     changed with it, are durable; it returns an error for everyone else.
//   - Indexes have no gaps and times never decrease, in the order of indexes.
//   - No personal value is in a record: one salted commitment stands for all
//     of an entry's, and its opening can be erased without touching the chain.
//   - What parses (record, opening, checkpoint, verifier key, export) marshals to
//     the same bytes.
//   - The log's state is taken from storage inside each transaction, so several
//     processes may append to one log.
//
// The package does not decide who may do what and stores nothing itself: the
// gate of licence/registry calls it, and Storage is implemented by store.
// Whoever holds the database and the log's key can still rewrite everything;
// only checkpoints kept elsewhere and witnesses show that.
package audit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Action names the operation that an entry records, such as "issue" or
// "download": lower-case words joined by underscores, chosen by the caller.
type Action string

// Result is the outcome of the operation that an entry records.
type Result string

// The outcomes that a record can hold.
const (
	ResultAllowed Result = "allowed" // authorised, and done or about to be done
	ResultRefused Result = "refused" // not authorised, or wrongly asked for
	ResultFailed  Result = "failed"  // authorised, but could not be done
)

// Entry is one operation to be logged. Texts are UTF-8 and may be empty unless
// it is said otherwise; the limits in bytes are those of docs/log-format.md.
type Entry struct {
	Principal string // who acted; required, at most 256 bytes
	Authority string // the authority that the principal belongs to; 128
	Action    Action // required; 64
	Object    string // what was acted on, such as a licence identifier; 256
	Purpose   string // the purpose stated for the use; 512
	Case      string // the case number that the use belongs to; 128
	Matter    string // the government service matter (事项) of the case; 256
	Result    Result // required
	Code      string // the stable reason code of a refusal or failure; 64
	RequestID string // correlates the entry with other logs; 128
	Digest    []byte // a digest that the entry vouches for, or a signature value; at most 64 bytes

	// Personal holds personal values by name (at most 32 names of 64 bytes,
	// values of 1,024 bytes). The record holds a salted commitment to them.
	Personal map[string]string

	// Time is when the entry was put into the log, in UTC microseconds. The
	// log sets it; what the caller puts here is ignored.
	Time time.Time
}

// clone returns a copy of e that shares no memory with it.
func (e *Entry) clone() Entry {
	c := *e
	c.Digest = slices.Clone(e.Digest)
	c.Personal = maps.Clone(e.Personal)
	return c
}

// Receipt is the proof a caller can show for one entry: with an inclusion
// proof to the checkpoint's root, it commits the log to having logged it.
type Receipt struct {
	Index      uint64
	LeafHash   [32]byte
	Checkpoint []byte // signed note covering the entry; shared by its batch, not to be changed
}

// Errors that callers tell apart.
var (
	// ErrInvalidEntry is wrapped by Append's error when an entry lacks a
	// required field, exceeds a limit or is not UTF-8. Nothing was stored.
	ErrInvalidEntry = errors.New("audit: invalid entry")
	// ErrStopped is wrapped by every error of a Log that was closed, or that
	// saw its storage go backwards or fork: it appends nothing any more.
	ErrStopped = errors.New("audit: the log has stopped")
	// ErrOutcomeUnknown is wrapped by Append's error when the commit itself went wrong:
	// the entry, and what its caller changed with it, may be stored or not. Without it
	// nothing of a caller who got an error is stored.
	ErrOutcomeUnknown = errors.New("audit: unknown whether the entry is stored")
	// ErrBackwards says that storage holds fewer entries than a checkpoint covers.
	ErrBackwards = errors.New("audit: the log went backwards")
	// ErrForked says that storage holds other entries than a checkpoint covers.
	ErrForked = errors.New("audit: the log differs from its checkpoint")
	// ErrOutOfRange says that an index or size is beyond the log, or that a
	// range is empty.
	ErrOutOfRange = errors.New("audit: index or size out of range")
	// ErrUnknownLog says that a checkpoint's origin is no log of the policy.
	ErrUnknownLog = errors.New("audit: unknown log")
	// ErrBadSignature says that a checkpoint lacks a valid signature of its
	// log, or carries an invalid one of a key that the policy names.
	ErrBadSignature = errors.New("audit: bad checkpoint signature")
	// ErrNoQuorum says that fewer witnesses than the policy's quorum cosigned.
	ErrNoQuorum = errors.New("audit: too few cosignatures")
	// ErrBadExport is wrapped by every verdict of VerifyExport against an
	// export; an error without it means that the export could not be read.
	ErrBadExport = errors.New("audit: bad export")
)

// EntryError is VerifyExport's verdict that names the entry at fault.
type EntryError struct {
	Index  uint64
	Reason string
}

// Error returns "entry N: reason", the form that the command line prints.
func (e *EntryError) Error() string { return fmt.Sprintf("entry %d: %s", e.Index, e.Reason) }

// Is reports whether target is ErrBadExport.
func (e *EntryError) Is(target error) bool { return target == ErrBadExport }
