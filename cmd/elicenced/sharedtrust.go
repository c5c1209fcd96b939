package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"elicence/crypto/pki"
	"elicence/licence"
)

const (
	// sharedRevocations is the kind under which servers share an anchor file that names all
	// that was revoked.
	sharedRevocations = "revocations"
	// revocationInterval is how soon what one server's machine revoked is revoked on all.
	revocationInterval = 5 * time.Second
)

// shareRevocations takes over what another server of the register knows to be revoked, and
// lets the others know what this one does. Each signs lists of its own, since each has the
// keys; what they name is the same. What was shared counts as far as our CAs signed it, and
// only ever adds: an older value put back takes no revocation back.
func (in *instance) shareRevocations(ctx context.Context) error {
	text, err := os.ReadFile(in.keys.path(ownAnchors))
	if err != nil {
		return err
	}
	own, err := pki.ParseTrustAnchors(text)
	if err != nil {
		return fmt.Errorf("reading %s: %w", ownAnchors, err)
	}
	shared, err := in.registry.Shared(ctx, sharedRevocations, "")
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		return err
	}
	theirs, err := pki.ParseTrustAnchors(shared)
	if err != nil {
		return fmt.Errorf("reading the shared revocations: %w", err)
	}
	if lacks, err := in.keys.lacks(own, theirs); err != nil || lacks {
		return errors.Join(err, in.keys.addRevocations(theirs))
	}
	if lack, err := in.keys.lacks(theirs, own); err != nil || !lack {
		return err
	}
	return in.registry.Share(ctx, sharedRevocations, "", text, time.Now().Add(caLife))
}

// addRevocations makes new lists with what others of our CAs name as well.
func (k keyring) addRevocations(others *pki.TrustAnchors) error {
	return k.lockAnchors(func() error {
		return k.writeCRLs(time.Now(), func(ca *pki.Certificate, revoked []pki.Revoked) ([]pki.Revoked, error) {
			revoked, _ = withRevoked(revoked, others.Revoked(ca))
			return revoked, nil
		})
	})
}

// lacks reports whether some lists of our CAs do not name all that others of them do.
func (k keyring) lacks(some, others *pki.TrustAnchors) (bool, error) {
	for _, name := range caNames {
		ca, err := k.certificate(name)
		if err != nil {
			return false, err
		}
		if _, more := withRevoked(some.Revoked(ca), others.Revoked(ca)); more {
			return true, nil
		}
	}
	return false, nil
}

// withRevoked adds lines to those of a list, and reports whether that changes it.
func withRevoked(lines, others []pki.Revoked) (_ []pki.Revoked, more bool) {
	lines = slices.Clone(lines)
	for _, line := range others {
		if added, err := addRevoked(lines, line); err == nil {
			lines, more = added, true
		}
	}
	return lines, more
}

// keepRevocations shares revocations, and reports what goes wrong.
func (in *instance) keepRevocations(ctx context.Context) {
	if err := in.shareRevocations(ctx); err != nil && ctx.Err() == nil {
		slog.Error("revocations not shared with other servers", "fault", err)
	}
}
