package audit

import (
	"io"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Hooks for the tests of package audit_test.

// CheckpointText is the text that is signed for c.
func CheckpointText(c Checkpoint) string { return c.text() }

// ParseOpening parses an opening without a record that commits to it.
func ParseOpening(b []byte) (salt []byte, personal map[string]string, err error) {
	o, err := parseOpening(b)
	return o.Salt, o.Personal, err
}

// SignText signs any text as a log would a checkpoint's, and witnesses after it.
func SignText(rand io.Reader, text string, at time.Time, log Signer, witnesses ...Signer) ([]byte, error) {
	v, err := log.verifier(logIdentifier)
	if err != nil {
		return nil, err
	}
	signers := []note.Signer{noteSigner{v, rand, log.Key, 0}}
	for _, w := range witnesses {
		if v, err = w.verifier(witnessIdentifier); err != nil {
			return nil, err
		}
		signers = append(signers, noteSigner{v, rand, w.Key, uint64(at.Unix())})
	}
	return note.Sign(&note.Note{Text: text}, signers...)
}

// SuccessionEntries are the entries that a successor begins with.
func SuccessionEntries(s Succession, approvals []Approval) []Entry { return s.entries(approvals) }
