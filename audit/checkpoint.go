package audit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	// MaxNote is the largest signed note, in bytes.
	MaxNote       = 32 << 10
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
	n, err := openNote(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	return parseText(n.Text)
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

// openNote checks the form of a signed note, and no signature.
func openNote(signed []byte) (*note.Note, error) {
	if len(signed) > MaxNote {
		return nil, fmt.Errorf("audit: malformed note: longer than %d bytes", MaxNote)
	}
	_, err := note.Open(signed, nil)
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return nil, errors.New("audit: malformed note")
	}
	n := unverified.Note
	if len(n.UnverifiedSigs) > maxSignatures {
		return nil, errors.New("audit: malformed note: too many signatures")
	}
	type keyID struct {
		name string
		hash uint32
	}
	seen := map[keyID]bool{}
	for _, s := range n.UnverifiedSigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil || !validName(s.Name) {
			return nil, errors.New("audit: malformed note: signature line")
		}
		if id := (keyID{s.Name, s.Hash}); seen[id] {
			return nil, errors.New("audit: malformed note: two signatures of one key")
		} else {
			seen[id] = true
		}
	}
	// note.Open drops repeated lines silently; a canonical note has none.
	if again, err := note.Sign(n); err != nil || !bytes.Equal(again, signed) {
		return nil, errors.New("audit: malformed note: not in canonical form")
	}
	return n, nil
}

// sign returns c as a note signed by the log.
func (l *Log) sign(c Checkpoint) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: c.text()}, l.signer)
	if err != nil {
		return nil, fmt.Errorf("signing checkpoint: %w", err)
	}
	return signed, nil
}
