package audit

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

const (
	maxPolicy     = 64 << 10
	maxPolicyKeys = 64
)

// Policy says whose checkpoints to believe. Its file has one item a line, in
// any order; empty lines and lines that begin with # say nothing:
//
//	log <vkey>
//	witness <name> <vkey>
//	quorum <n>
//
// A log's origin is the name of its key; a log may have several keys. The
// quorum is the number of witnesses who must have cosigned; it is required when there
// are witnesses, and 0 when there are none. A Policy is immutable.
type Policy struct {
	logs      []*verifier
	witnesses []witness
	quorum    int
}

// witness is a witness line. The name is the reader's own; the key has another.
type witness struct {
	name string
	key  *verifier
}

// NewPolicy returns the policy that trusts the logs with the given verifier keys,
// without witnesses.
func NewPolicy(logKeys ...string) (*Policy, error) {
	var b strings.Builder
	for _, key := range logKeys {
		fmt.Fprintf(&b, "log %s\n", key)
	}
	return ParsePolicy([]byte(b.String()))
}

// WithWitness returns the policy with one more witness, called name, and another
// quorum.
func (p *Policy) WithWitness(name, key string, quorum int) (*Policy, error) {
	text, _, _ := strings.Cut(string(p.Marshal()), "quorum ")
	return ParsePolicy(fmt.Appendf(nil, "%switness %s %s\nquorum %d\n", text, name, key, quorum))
}

// ParsePolicy parses a policy file. Errors name the line.
func ParsePolicy(b []byte) (*Policy, error) {
	if len(b) > maxPolicy || !utf8.Valid(b) {
		return nil, fmt.Errorf("audit: malformed policy: longer than %d bytes, or not UTF-8", maxPolicy)
	}
	p := &Policy{quorum: -1}
	number := 0
	for line := range strings.Lines(string(b)) {
		number++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := p.parseLine(strings.Split(line, " ")); err != nil {
			return nil, fmt.Errorf("audit: malformed policy: line %d: %w", number, err)
		}
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("audit: malformed policy: %w", err)
	}
	return p, nil
}

func (p *Policy) parseLine(fields []string) error {
	switch {
	case fields[0] == "log" && len(fields) == 2:
		key, err := parseVerifier(fields[1])
		if err != nil {
			return err
		}
		if key.identifier != logIdentifier {
			return errors.New("a witness's key in a log line")
		}
		p.logs = append(p.logs, key)
	case fields[0] == "witness" && len(fields) == 3 && validName(fields[1]):
		key, err := parseVerifier(fields[2])
		if err != nil {
			return err
		}
		if key.identifier != witnessIdentifier {
			return errors.New("a log's key in a witness line")
		}
		p.witnesses = append(p.witnesses, witness{fields[1], key})
	case fields[0] == "quorum" && len(fields) == 2 && p.quorum < 0:
		n, err := strconv.ParseUint(fields[1], 10, 16)
		if err != nil || strconv.FormatUint(n, 10) != fields[1] {
			return errors.New("quorum is not a number")
		}
		p.quorum = int(n)
	default:
		return errors.New("want log <vkey>, witness <name> <vkey>, or one quorum <n>")
	}
	if len(p.logs)+len(p.witnesses) > maxPolicyKeys {
		return fmt.Errorf("more than %d keys", maxPolicyKeys)
	}
	return nil
}

// check completes a policy and checks it as a whole. A witness counts once,
// whatever names his key is given.
func (p *Policy) check() error {
	if len(p.logs) == 0 {
		return errors.New("no log")
	}
	if p.quorum < 0 && len(p.witnesses) == 0 {
		p.quorum = 0
	}
	if p.quorum < 0 || p.quorum > len(p.witnesses) {
		return errors.New("no quorum, or one larger than the number of witnesses")
	}
	var names, keys, ids []string
	for _, w := range p.witnesses {
		names = append(names, w.name)
		keys = append(keys, string(w.key.public))
	}
	for _, v := range p.logs {
		if slices.Contains(keys, string(v.public)) {
			return errors.New("a log's key is also a witness's")
		}
	}
	for _, v := range p.verifiers() {
		ids = append(ids, fmt.Sprintf("%s+%08x", v.Name(), v.KeyHash()))
	}
	if repeats(names) || repeats(keys) || repeats(ids) {
		return errors.New("a name or a key stands twice")
	}
	return nil
}

func repeats(s []string) bool {
	slices.Sort(s)
	return len(slices.Compact(s)) != len(s)
}

// Marshal returns the policy file in its plainest form: logs, witnesses,
// quorum, without comments.
func (p *Policy) Marshal() []byte {
	var b strings.Builder
	for _, v := range p.logs {
		fmt.Fprintf(&b, "log %s\n", v)
	}
	for _, w := range p.witnesses {
		fmt.Fprintf(&b, "witness %s %s\n", w.name, w.key)
	}
	fmt.Fprintf(&b, "quorum %d\n", p.quorum)
	return []byte(b.String())
}

func (p *Policy) verifiers() []note.Verifier {
	var all []note.Verifier
	for _, v := range p.logs {
		all = append(all, v)
	}
	for _, w := range p.witnesses {
		all = append(all, w.key)
	}
	return all
}

// knows reports whether origin is a log of the policy.
func (p *Policy) knows(origin string) bool {
	return slices.ContainsFunc(p.logs, func(v *verifier) bool { return v.name == origin })
}

// Origins returns the logs of the policy, each once.
func (p *Policy) Origins() (origins []string) {
	for _, v := range p.logs {
		if !slices.Contains(origins, v.name) {
			origins = append(origins, v.name)
		}
	}
	return origins
}

// Witnesses returns the names that the policy gives to its witnesses.
func (p *Policy) Witnesses() (names []string) {
	for _, w := range p.witnesses {
		names = append(names, w.name)
	}
	return names
}

// Quorum returns how many witnesses must have cosigned.
func (p *Policy) Quorum() int { return p.quorum }

// open parses a checkpoint and verifies all its signatures by keys of the policy; one
// is the log's. Errors wrap ErrUnknownLog or ErrBadSignature, unless the note is malformed.
func (p *Policy) open(signed []byte) (Checkpoint, *note.Note, error) {
	c, err := ParseCheckpoint(signed)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	if !p.knows(c.Origin) {
		return Checkpoint{}, nil, fmt.Errorf("%w: %q", ErrUnknownLog, c.Origin)
	}
	n, err := note.Open(signed, note.VerifierList(p.verifiers()...))
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("%w: %w", ErrBadSignature, err)
	}
	if !slices.ContainsFunc(p.logs, func(v *verifier) bool { return v.name == c.Origin && signatureBy(n, v) != nil }) {
		return Checkpoint{}, nil, fmt.Errorf("%w: not signed by %q", ErrBadSignature, c.Origin)
	}
	return c, n, nil
}

// OpenSigned is OpenCheckpoint that does not ask for the quorum: a receipt's checkpoint
// is given out before any witness has seen it, and binds the log all the same.
func (p *Policy) OpenSigned(signed []byte) (Checkpoint, error) {
	c, _, err := p.open(signed)
	return c, err
}

// OpenCheckpoint parses a checkpoint and checks it against the policy. It
// returns the names of the policy's witnesses who cosigned it, in the policy's order. Errors
// wrap ErrUnknownLog, ErrBadSignature or ErrNoQuorum, unless the note is malformed.
func (p *Policy) OpenCheckpoint(signed []byte) (Checkpoint, []string, error) {
	c, n, err := p.open(signed)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	var cosigners []string
	for _, w := range p.witnesses {
		if signatureBy(n, w.key) != nil {
			cosigners = append(cosigners, w.name)
		}
	}
	if len(cosigners) < p.quorum {
		return Checkpoint{}, nil, fmt.Errorf("%w: %d of %d", ErrNoQuorum, len(cosigners), p.quorum)
	}
	return c, cosigners, nil
}

// signatureBy returns the signature by v among those that were verified, or nil.
func signatureBy(n *note.Note, v *verifier) *note.Signature {
	i := slices.IndexFunc(n.Sigs, func(s note.Signature) bool { return s.Name == v.name && s.Hash == v.hash })
	if i < 0 {
		return nil
	}
	return &n.Sigs[i]
}
