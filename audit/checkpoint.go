package audit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

const (
	maxNote       = 32 << 10
	maxSignatures = 64
)

// Checkpoint is a log's statement about its whole content at one size, in the
// three-line form of C2SP tlog-checkpoint:
//
//	<origin>
//	<size in decimal>
//	<root hash in base64>
//
// There are no extension lines.
type Checkpoint struct {
	Origin   string // the log's id, and the name of its key
	Size     uint64
	RootHash [32]byte
}

// text returns the signed text.
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.RootHash[:]))
}

// ParseCheckpoint parses a checkpoint in its signed note and checks no
// signature. It refuses every note that signing would not produce so: other
// base64, two signatures of one key, extension lines.
func ParseCheckpoint(signed []byte) (Checkpoint, error) {
	text, err := parseNote(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	return parseText(text)
}

func parseText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || !validName(lines[0]) {
		return Checkpoint{}, errors.New("audit: malformed checkpoint: not origin, size and root hash")
	}
	size, err1 := strconv.ParseUint(lines[1], 10, 63)
	root, err2 := base64.StdEncoding.DecodeString(lines[2])
	if err1 != nil || err2 != nil || len(root) != 32 {
		return Checkpoint{}, errors.New("audit: malformed checkpoint: size or root hash")
	}
	c := Checkpoint{Origin: lines[0], Size: size, RootHash: [32]byte(root)}
	if c.text() != text {
		return Checkpoint{}, errors.New("audit: malformed checkpoint: not in canonical form")
	}
	return c, nil
}

// parseNote checks the form of a signed note and returns its text.
func parseNote(signed []byte) (string, error) {
	if len(signed) > maxNote {
		return "", fmt.Errorf("audit: malformed note: longer than %d bytes", maxNote)
	}
	_, err := note.Open(signed, nil)
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return "", errors.New("audit: malformed note")
	}
	n := unverified.Note
	if len(n.UnverifiedSigs) > maxSignatures {
		return "", errors.New("audit: malformed note: too many signatures")
	}
	type keyID struct {
		name string
		hash uint32
	}
	seen := map[keyID]bool{}
	for _, s := range n.UnverifiedSigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil || !validName(s.Name) {
			return "", errors.New("audit: malformed note: signature line")
		}
		if id := (keyID{s.Name, s.Hash}); seen[id] {
			return "", errors.New("audit: malformed note: two signatures of one key")
		} else {
			seen[id] = true
		}
	}
	// note.Open drops repeated lines silently; a canonical note has none.
	if again, err := note.Sign(n); err != nil || !bytes.Equal(again, signed) {
		return "", errors.New("audit: malformed note: not in canonical form")
	}
	return n.Text, nil
}

// Cosign returns the signed note with the cosignature of a witness added, made
// at the given time (to the second). It checks nothing about the log: that is
// the witness's work, before.
func Cosign(rand io.Reader, s Signer, signed []byte, at time.Time) ([]byte, error) {
	if _, err := ParseCheckpoint(signed); err != nil {
		return nil, err
	}
	v, err := s.verifier(witnessIdentifier)
	if err != nil {
		return nil, err
	}
	if at.Unix() < 0 {
		return nil, errors.New("audit: time of a cosignature is before 1970")
	}
	_, err = note.Open(signed, nil)
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return nil, errors.New("audit: malformed note")
	}
	cosigned, err := note.Sign(unverified.Note, noteSigner{v, rand, s.Key, uint64(at.Unix())})
	if err != nil {
		return nil, fmt.Errorf("cosigning checkpoint: %w", err)
	}
	return cosigned, nil
}

// sign returns c as a note signed by the log.
func (l *Log) sign(c Checkpoint) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: c.text()}, l.signer)
	if err != nil {
		return nil, fmt.Errorf("signing checkpoint: %w", err)
	}
	return signed, nil
}
