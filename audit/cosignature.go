package audit

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Cosign returns the signed note with the cosignature of a witness added as its last
// line, made at the given time (to the second). It checks nothing about the log: that
// is the witness's work, before.
func Cosign(rand io.Reader, s Signer, signed []byte, at time.Time) ([]byte, error) {
	n, err := unverified(signed)
	if err != nil {
		return nil, err
	}
	v, err := s.verifier(witnessIdentifier)
	if err != nil {
		return nil, err
	}
	if at.Unix() < 0 {
		return nil, errors.New("audit: time of a cosignature is before 1970")
	}
	cosigned, err := note.Sign(n, noteSigner{v, rand, s.Key, uint64(at.Unix())})
	if err != nil {
		return nil, fmt.Errorf("cosigning checkpoint: %w", err)
	}
	return cosigned, nil
}

// unverified opens a checkpoint without checking a signature.
func unverified(signed []byte) (*note.Note, error) {
	if _, err := ParseCheckpoint(signed); err != nil {
		return nil, err
	}
	return openNote(signed)
}

// Strip returns the checkpoint with the signatures of the policy's keys, all of them
// verified, and no others: what strangers add to a note is not worth keeping. Errors
// are those of OpenCheckpoint; the quorum is not asked for.
func (p *Policy) Strip(signed []byte) ([]byte, error) {
	_, n, err := p.open(signed)
	if err != nil {
		return nil, err
	}
	n.UnverifiedSigs = nil
	stripped, err := note.Sign(n)
	if err != nil {
		return nil, fmt.Errorf("stripping checkpoint: %w", err)
	}
	return stripped, nil
}

// OpenCosigned parses a checkpoint that a log of the policy has signed and the
// witness of that name has cosigned, and returns when the witness did. Errors wrap
// ErrUnknownLog or ErrBadSignature, unless the note is malformed; the quorum is not
// asked for.
func (p *Policy) OpenCosigned(signed []byte, name string) (Checkpoint, time.Time, error) {
	c, n, err := p.open(signed)
	if err != nil {
		return Checkpoint{}, time.Time{}, err
	}
	w, err := p.witness(name)
	if err != nil {
		return Checkpoint{}, time.Time{}, err
	}
	s := signatureBy(n, w)
	if s == nil {
		return Checkpoint{}, time.Time{}, fmt.Errorf("%w: not cosigned by %q", ErrBadSignature, name)
	}
	_, at, err := cosignature(s)
	return c, at, err
}

// AddCosignature adds the cosignature of the witness of that name to a checkpoint.
// lines are signature lines as a witness answers them; those of other keys are
// ignored. An error wraps ErrBadSignature unless the checkpoint is malformed.
func (p *Policy) AddCosignature(signed []byte, name string, lines []byte) ([]byte, error) {
	n, err := unverified(signed)
	if err != nil {
		return nil, err
	}
	w, err := p.witness(name)
	if err != nil {
		return nil, err
	}
	answered, err := note.Open([]byte(n.Text+"\n"+string(lines)), note.VerifierList(w))
	if err != nil {
		return nil, fmt.Errorf("%w: cosignature of %q: %w", ErrBadSignature, name, err)
	}
	s, _, err := cosignature(&answered.Sigs[0])
	if err != nil {
		return nil, err
	}
	n.UnverifiedSigs = slices.DeleteFunc(n.UnverifiedSigs, func(old note.Signature) bool { return old.Name == s.Name && old.Hash == s.Hash })
	n.UnverifiedSigs = append(n.UnverifiedSigs, s)
	cosigned, err := note.Sign(n)
	if err == nil {
		_, err = ParseCheckpoint(cosigned) // that it did not become too large
	}
	return cosigned, err
}

func (p *Policy) witness(name string) (*verifier, error) {
	for _, w := range p.witnesses {
		if w.name == name {
			return w.key, nil
		}
	}
	return nil, fmt.Errorf("audit: no witness %q in the policy", name)
}

// cosignature returns a verified cosignature in canonical base64, and its time.
func cosignature(s *note.Signature) (note.Signature, time.Time, error) {
	raw, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(raw) != 4+8+64 {
		return note.Signature{}, time.Time{}, fmt.Errorf("%w: malformed cosignature", ErrBadSignature)
	}
	at := binary.BigEndian.Uint64(raw[4:])
	if at > math.MaxInt64 {
		return note.Signature{}, time.Time{}, fmt.Errorf("%w: time of a cosignature", ErrBadSignature)
	}
	return note.Signature{Name: s.Name, Hash: s.Hash, Base64: base64.StdEncoding.EncodeToString(raw)}, time.Unix(int64(at), 0).UTC(), nil
}
