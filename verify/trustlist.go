package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"elicence/crypto/pki"
	"elicence/licence"
)

// TrustList (信任列表) tells an offline verifier what it cannot know by itself: fresh
// revocation lists, the certificates of QR signers, and the state of every licence that
// is not simply valid among those of the authorities it speaks for. A licence is named
// by a digest of its identifier, so that the list gives no register away.
//
// A listed state counts whoever issued the licence. A licence that is not listed was
// valid, its dates apart, when the list was issued, but only if one of Authorities
// issued it, for of another's the list knows nothing; and only if it had been sealed
// by then, for of a later one the list knows nothing either. So whoever makes a list
// lists pending and voided licences too.
//
// A list that has expired still tells the states that are final: a revoked licence
// does not come back because nobody fetched the newest list.
//
// Nothing in it is an anchor because the list says so: its signer works unattended
// every few minutes, and must not be able to bring in a root. See Anchors.
type TrustList struct {
	// Counter grows with every list. A caller that has seen a higher one holds an old list.
	Counter int64
	// IssuedAt is when the states were so; from ExpiresAt on only final ones count.
	IssuedAt, ExpiresAt time.Time
	// Authorities are the unified social credit codes of the issuing authorities that
	// the list speaks for: its scope. One at least, in any order; parsed, ascending.
	Authorities []string
	// Certificates are those of CAs, CRLs (DER) their newest lists.
	Certificates []*pki.Certificate
	CRLs         [][]byte
	// QRSigners are certificates to look QR key ids up in. Their paths are followed all the same.
	QRSigners []*pki.Certificate
	// States are the licences that are not simply valid.
	States States

	// Anchors are those that ParseTrustList was given, with what they vouch for of
	// Certificates and CRLs (see [pki.TrustAnchors.With]): what to verify with.
	// SignTrustList does not look at them.
	Anchors *pki.TrustAnchors
}

// StateKey names a licence in a trust list: the first 16 bytes of SM3 of its
// identifier. Two identifiers with one key would give a licence the other's bad state,
// never hide its own; among a million licences the odds are below 10^-26.
type StateKey [16]byte

// StateKeyOf returns the key of a licence.
func StateKeyOf(id licence.Identifier) StateKey {
	full := digest([]byte(id))
	return StateKey(full[:len(StateKey{})])
}

func (k StateKey) compare(other StateKey) int { return bytes.Compare(k[:], other[:]) }

// States are licences by their status; parsed, each status's in ascending order.
type States map[licence.Status][]StateKey

// listable are the statuses that a trust list tells, the gravest first: a valid licence
// is not listed, and what the dates tell is derived.
var listable = []licence.Status{licence.StatusRevoked, licence.StatusWithdrawn, licence.StatusCancelled, licence.StatusSuperseded,
	licence.StatusVoided, licence.StatusSuspended, licence.StatusPending}

// find looks a licence up in ordered states.
func (s States) find(key StateKey) (licence.Status, bool) {
	for _, status := range listable {
		if _, found := slices.BinarySearchFunc(s[status], key, StateKey.compare); found {
			return status, true
		}
	}
	return "", false
}

// Digest is SM3 of the states as they stand in the file of a list: the member's value,
// braces included. It ties a list to the log entry that permitted it.
func (s States) Digest() [32]byte {
	text, _ := json.Marshal(s.marshal()) // texts and base64 always have a form
	return digest(text)
}

// count is how many licences are listed.
func (s States) count() (n int) {
	for _, keys := range s {
		n += len(keys)
	}
	return n
}

// State returns the state of a listed licence in a parsed list; found is false when it
// is not listed.
func (t *TrustList) State(id licence.Identifier) (status licence.Status, found bool) {
	return t.States.find(StateKeyOf(id))
}

// SpeaksFor reports whether the list knows of every licence of the authority with
// this unified social credit code.
func (t *TrustList) SpeaksFor(authorityCode string) bool {
	return slices.Contains(t.Authorities, authorityCode)
}

// Stale reports whether the list has expired at the instant at, and tells nothing
// any more but final states.
func (t *TrustList) Stale(at time.Time) bool { return !at.Before(t.ExpiresAt) }

// qrSigners is QRSigners, of no list none.
func (t *TrustList) qrSigners() []*pki.Certificate {
	if t == nil {
		return nil
	}
	return t.QRSigners
}

// describe says which list it is, and how old at the instant at.
func (t *TrustList) describe(at time.Time) string {
	return fmt.Sprintf("trust list %d, issued %s, %s before the validation time, expires %s, %d authorities, %d states",
		t.Counter, instant(t.IssuedAt), at.Sub(t.IssuedAt).Round(time.Second), instant(t.ExpiresAt), len(t.Authorities), t.States.count())
}
