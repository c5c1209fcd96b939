package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"elicence/crypto/pki"
	"elicence/internal/durable"
)

// ownAnchors and outsideAnchors are the two parts of what an instance trusts: the
// first it writes itself, the second, if there, holds what its operator adds, such as
// the anchors and CRLs of an outside CA or timestamp authority. The lists in ownAnchors
// are also where an instance remembers what it revoked. What foreignAnchors holds, if there,
// is trusted for the files of other platforms alone.
const (
	ownAnchors     = "anchors.pem"
	outsideAnchors = "outside-anchors.pem"
	foreignAnchors = "foreign-anchors.pem"
	anchorsLock    = "anchors.lock"
)

// caNames are the keys of an instance that sign certificates and CRLs.
var caNames = []string{"root", "issuing"}

// ca opens one of the instance's certification authorities.
func (k keyring) ca(name string) (*pki.CA, error) {
	cert, key, err := k.pair(name)
	return &pki.CA{Certificate: cert, Key: key}, err
}

// refreshCRLs renews the revocation lists when they are older than a day.
func refreshCRLs(k keyring, now time.Time) error { return renewCRLs(k, now, now.Add(-crlRenewal)) }

// renewCRLs makes new revocation lists of both CAs and the anchor file, unless the
// present ones were made after since. What was revoked stays revoked.
func renewCRLs(k keyring, now, since time.Time) error {
	if k.listedSince(since) {
		return nil
	}
	return k.lockAnchors(func() error {
		if k.listedSince(since) { // somebody else was first
			return nil
		}
		return k.writeCRLs(now, func(_ *pki.Certificate, revoked []pki.Revoked) ([]pki.Revoked, error) { return revoked, nil })
	})
}

// listedSince reports whether the lists of both CAs were made after since, as they say
// themselves: the time of the file is that of whoever copied it last.
func (k keyring) listedSince(since time.Time) bool {
	anchors, err := readAnchors(k.path(ownAnchors))
	if err != nil {
		return false
	}
	for _, name := range caNames {
		ca, err := k.certificate(name)
		if err != nil {
			return false
		}
		if list, ok := anchors.CRL(ca); !ok || !list.ThisUpdate.Add(datedBack).After(since) {
			return false
		}
	}
	return true
}

// datedBack is how much older than they are lists say that they are, for clocks that are behind.
const datedBack = time.Minute

// lockAnchors runs do while no other process rewrites ownAnchors: of two that read,
// change and write it at once, one would lose a revocation.
func (k keyring) lockAnchors(do func() error) (err error) {
	f, err := os.OpenFile(k.path(anchorsLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }() // which unlocks it
	if err := durable.Lock(f); err != nil {
		return fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	return do()
}

// writeCRLs signs new lists of both CAs, with what change makes of the lines that a CA
// had, and replaces the anchor file in one step. The caller holds the lock.
func (k keyring) writeCRLs(now time.Time, change func(ca *pki.Certificate, revoked []pki.Revoked) ([]pki.Revoked, error)) error {
	file := k.path(ownAnchors)
	before, err := readAnchors(file)
	if err != nil {
		return err
	}
	var certs []*pki.Certificate
	var lists [][]byte
	for _, name := range caNames {
		ca, err := k.ca(name)
		if err != nil {
			return err
		}
		lines, err := change(ca.Certificate, before.Revoked(ca.Certificate))
		if err != nil {
			return err
		}
		list, err := ca.CRL(rand.Reader, nextNumber(before, ca.Certificate, now), lines, now.Add(-datedBack), now.Add(crlLife))
		if err != nil {
			return fmt.Errorf("making the CRL of %s: %w", name, err)
		}
		certs, lists = append(certs, ca.Certificate), append(lists, list)
	}
	return durable.Replace(file, pki.MarshalTrustAnchors(certs, lists))
}

// nextNumber numbers CRLs by the second, and always upwards.
func nextNumber(before *pki.TrustAnchors, ca *pki.Certificate, now time.Time) int64 {
	next := now.Unix()
	if last, ok := before.CRL(ca); ok && last.Number.IsInt64() {
		next = max(next, last.Number.Int64()+1)
	}
	return next
}

// readAnchors reads trust anchors; a file that is not there holds none. One that
// cannot be read stops whoever wants to replace it: its revocations would be lost.
func readAnchors(file string) (*pki.TrustAnchors, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	anchors, err := pki.ParseTrustAnchors(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return anchors, nil
}

// anchorText is our own anchors and those from outside as one file.
func (k keyring) anchorText() ([]byte, error) {
	own, err := os.ReadFile(k.path(ownAnchors))
	if err != nil {
		return nil, err
	}
	outside, err := os.ReadFile(k.path(outsideAnchors))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return append(append(own, '\n'), outside...), nil
}

// anchors reads all that the instance trusts.
func (k keyring) anchors() (*pki.TrustAnchors, error) {
	text, err := k.anchorText()
	if err != nil {
		return nil, err
	}
	return parseAnchors(text)
}

// foreignAnchors reads all that the instance trusts for the files of other platforms.
func (k keyring) foreignAnchors() (*pki.TrustAnchors, error) {
	text, err := k.anchorText()
	if err != nil {
		return nil, err
	}
	foreign, err := os.ReadFile(k.path(foreignAnchors))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return parseAnchors(append(append(text, '\n'), foreign...))
}

func parseAnchors(text []byte) (*pki.TrustAnchors, error) {
	anchors, err := pki.ParseTrustAnchors(text)
	if err != nil {
		return nil, fmt.Errorf("reading the trust anchors: %w", err)
	}
	return anchors, nil
}

// anchorStamp tells versions of the anchor files apart without reading them.
type anchorStamp [3]struct {
	modified time.Time
	size     int64
}

func (k keyring) anchorStamp() (s anchorStamp) {
	for i, name := range []string{ownAnchors, outsideAnchors, foreignAnchors} {
		if st, err := os.Stat(k.path(name)); err == nil {
			s[i].modified, s[i].size = st.ModTime(), st.Size()
		}
	}
	return s
}
