package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emmansun/gmsm/sm3"
	"golang.org/x/mod/sumdb/note"
)

const (
	successionMagic = "elicence-log-succession/1"
	// minApprovals is how many persons must approve a succession.
	minApprovals = 2
)

// Succession is the declaration that the last entries of a log are lost for good, and
// that another log goes on in its place. A log cannot say so itself: whatever it appended
// after what is left would contradict what its witnesses have cosigned.
type Succession struct {
	Origin    string     // of the log that lost entries
	Recovered Checkpoint // all that is left of it
	Witnessed Checkpoint // the newest that any witness has cosigned; of size 0 when there are none
	Last      Checkpoint // the newest that is known: the entries from Recovered.Size on are lost
	Successor string     // verifier key of the log that goes on
	// Skip is how many numbers of every series the register passes over, since the lost
	// entries may have given them out.
	Skip   uint64
	Reason string // 1 to 512 bytes, without control characters
}

// Text returns the declaration as the approvers sign it.
func (s *Succession) Text() string {
	return fmt.Sprintf("%s\nlog %s\nrecovered %s\nwitnessed %s\nlast %s\nsuccessor %s\nskip %d\nreason %s\n", successionMagic,
		s.Origin, sized(s.Recovered), sized(s.Witnessed), sized(s.Last), s.Successor, s.Skip, s.Reason)
}

// sized is a checkpoint without its origin.
func sized(c Checkpoint) string {
	return fmt.Sprintf("%d %s", c.Size, base64.StdEncoding.EncodeToString(c.RootHash[:]))
}

// matter is the part of a declaration that stands in the matter of its entry.
func (s *Succession) matter() string {
	return fmt.Sprintf("%s %s %s %d", sized(s.Recovered), sized(s.Witnessed), sized(s.Last), s.Skip)
}

// parseMatter sets what matter wrote. Only its canonical form is taken.
func (s *Succession) parseMatter(text string) error {
	var roots [3]string
	_, err := fmt.Sscanf(text, "%d %s %d %s %d %s %d", &s.Recovered.Size, &roots[0], &s.Witnessed.Size, &roots[1], &s.Last.Size, &roots[2], &s.Skip)
	for i, c := range []*Checkpoint{&s.Recovered, &s.Witnessed, &s.Last} {
		c.Origin = s.Origin
		root, fault := base64.StdEncoding.DecodeString(roots[i])
		if fault != nil || len(root) != len(c.RootHash) {
			return errors.New("audit: malformed succession: root hash")
		}
		copy(c.RootHash[:], root)
	}
	if err != nil || s.matter() != text {
		return errors.New("audit: malformed succession: not three checkpoints and a number")
	}
	return nil
}

// ParseSuccession parses a declaration.
func ParseSuccession(text string) (Succession, error) {
	var s Succession
	var part [7]string
	lines := strings.Split(text, "\n")
	if len(lines) != len(part)+2 || lines[0] != successionMagic {
		return s, fmt.Errorf("audit: malformed succession: it does not begin with %s, or has too few lines or too many", successionMagic)
	}
	for i, name := range []string{"log", "recovered", "witnessed", "last", "successor", "skip", "reason"} {
		var ok bool
		if part[i], ok = strings.CutPrefix(lines[i+1], name+" "); !ok {
			return s, fmt.Errorf("audit: malformed succession: want a line of %s", name)
		}
	}
	s.Origin, s.Successor, s.Reason = part[0], part[4], part[6]
	if err := s.parseMatter(strings.Join([]string{part[1], part[2], part[3], part[5]}, " ")); err != nil {
		return s, err
	}
	if err := s.check(); err != nil {
		return s, err
	}
	if s.Text() != text {
		return s, errors.New("audit: malformed succession: not in canonical form")
	}
	return s, nil
}

// check checks what a declaration says against itself.
func (s *Succession) check() error {
	key, err := parseVerifier(s.Successor)
	switch {
	case err != nil:
		return fmt.Errorf("audit: malformed succession: successor: %w", err)
	case !validName(s.Origin) || key.identifier != logIdentifier || key.name == s.Origin:
		return errors.New("audit: malformed succession: the successor must be another log")
	case s.Recovered.Size == 0 || s.Recovered.Size >= s.Last.Size || s.Last.Size < s.Witnessed.Size || s.Last.Size >= 1<<63:
		return errors.New("audit: malformed succession: no entry is lost, or none is left, or the last checkpoint is older than the witnessed one")
	case s.Last.Size == s.Witnessed.Size && s.Last.RootHash != s.Witnessed.RootHash:
		return errors.New("audit: malformed succession: two checkpoints of one size differ")
	case s.Witnessed.Size == 0 && s.Witnessed.RootHash != sm3.Sum(nil):
		return errors.New("audit: malformed succession: the root of an empty log is another")
	case s.Skip >= 1<<62:
		return errors.New("audit: malformed succession: it skips too many numbers")
	case s.Reason == "" || len(s.Reason) > textFields[4].max || !utf8.ValidString(s.Reason) || strings.ContainsFunc(s.Reason, unicode.IsControl):
		return fmt.Errorf("audit: malformed succession: the reason must have 1 to %d bytes without control characters", textFields[4].max)
	}
	return nil
}

// Draft returns the declaration as a note signed by the log that lost entries, for the
// approvers to sign.
func (s *Succession) Draft(rand io.Reader, log Signer) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	v, err := log.verifier(logIdentifier)
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: s.Text()}, noteSigner{verifier: v, rand: rand, key: log.Key})
	return signed, doing("signing the declaration", err)
}

// Approve adds a person's signature to a declaration.
func Approve(rand io.Reader, person Signer, signed []byte) ([]byte, error) {
	n, err := openNote(signed)
	if err != nil {
		return nil, err
	}
	if _, err := ParseSuccession(n.Text); err != nil {
		return nil, err
	}
	v, err := person.verifier(approverIdentifier)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(n.UnverifiedSigs, func(s note.Signature) bool { return s.Name == v.name && s.Hash == v.hash }) {
		return nil, fmt.Errorf("audit: %s has signed it already", v.name)
	}
	approved, err := note.Sign(n, noteSigner{verifier: v, rand: rand, key: person.Key})
	return approved, doing("signing the declaration", err)
}

// Approval is a person's signature on a declaration.
type Approval struct {
	key       *verifier
	signature []byte // r ‖ s
}

// Name returns the person's.
func (a Approval) Name() string { return a.key.name }

// ErrNotApproved says that fewer than two of a log's approvers have signed a declaration.
var ErrNotApproved = errors.New("audit: not approved by two persons")

// OpenSuccession parses a declaration, and returns it with the signatures of approvers,
// which are all valid and of two persons at least; else the error wraps ErrNotApproved.
// Signatures of others are ignored.
func OpenSuccession(signed []byte, approvers Approvers) (Succession, []Approval, error) {
	n, err := openNote(signed)
	if err != nil {
		return Succession{}, nil, err
	}
	s, err := ParseSuccession(n.Text)
	if err != nil {
		return s, nil, err
	}
	var known []note.Verifier
	for _, v := range approvers.keys {
		known = append(known, v)
	}
	opened, err := note.Open(signed, note.VerifierList(known...))
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		opened, err = unverified.Note, nil
	}
	if err != nil {
		return s, nil, fmt.Errorf("%w: %w", ErrNotApproved, err)
	}
	var approvals []Approval
	for _, v := range approvers.keys {
		if sig := signatureBy(opened, v); sig != nil {
			raw, err := base64.StdEncoding.DecodeString(sig.Base64)
			if err != nil || len(raw) != 4+64 {
				return s, nil, fmt.Errorf("%w: malformed signature of %s", ErrNotApproved, v.name)
			}
			approvals = append(approvals, Approval{v, raw[4:]})
		}
	}
	if len(approvals) < minApprovals {
		return s, nil, fmt.Errorf("%w: %d of the log's %d approvers have signed it", ErrNotApproved, len(approvals), len(approvers.keys))
	}
	return s, approvals, nil
}

// entries are those that a successor begins with.
func (s *Succession) entries(approvals []Approval) []Entry {
	sum := sm3.Sum([]byte(s.Text()))
	all := []Entry{{Principal: "system", Action: ActionSucceed, Object: s.Origin, Purpose: s.Reason, Matter: s.matter(),
		Result: ResultAllowed, RequestID: "elicenced log", Digest: sum[:]}}
	for _, a := range approvals {
		all = append(all, Entry{Principal: a.key.name, Action: ActionApprove, Object: a.key.String(),
			Result: ResultAllowed, RequestID: "elicenced log", Digest: a.signature})
	}
	return all
}

// Succeed begins the log as the successor that s names. apply runs in the transaction of the
// first entry. When an earlier call was cut short it goes on from there; a log that has
// begun otherwise is an error. One caller at a time.
func (l *Log) Succeed(ctx context.Context, s Succession, approvals []Approval, apply func(Tx) error) error {
	if own := l.own.logs[0].String(); own != s.Successor {
		return fmt.Errorf("audit: the declaration names the successor %s, this log is %s", s.Successor, own)
	}
	for i, e := range s.entries(approvals) {
		row, err := l.Entry(ctx, uint64(i))
		if errors.Is(err, ErrNoEntry) {
			_, err = l.Append(ctx, &e, apply)
		} else if err == nil {
			var stored Record
			if stored, err = parseStored(row); err == nil && (stored.Entry.Action != e.Action || !bytes.Equal(stored.Entry.Digest, e.Digest)) {
				err = fmt.Errorf("audit: entry %d of %s is another than the declaration asks for", i, l.cfg.LogID)
			}
		}
		if err != nil {
			return err
		}
		apply = nil
	}
	return nil
}
