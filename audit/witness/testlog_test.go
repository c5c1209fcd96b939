package witness_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/audit/witness"
	"elicence/crypto/pki"

	"github.com/emmansun/gmsm/sm3"
)

const origin = "log.example/city"

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// testLog is a log written from docs/log-format.md and RFC 6962 §2.1, apart from
// package audit.
type testLog struct {
	signer audit.Signer
	leaves [][]byte
}

// newTestLog has the leaves 0 to n-1 of a history.
func newTestLog(signer audit.Signer, history string, n int) *testLog {
	l := &testLog{signer: signer}
	for i := range n {
		leaf := sm3.Sum(fmt.Appendf(nil, "\x00%s %d", history, i))
		l.leaves = append(l.leaves, leaf[:])
	}
	return l
}

func newSigner(t testing.TB, name string) audit.Signer {
	t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	return audit.Signer{Name: name, Key: key}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// split is the largest power of two below n.
func split(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}

func root(leaves [][]byte) []byte {
	switch n := len(leaves); n {
	case 0:
		empty := sm3.Sum(nil)
		return empty[:]
	case 1:
		return leaves[0]
	default:
		node := sm3.Sum(bytes.Join([][]byte{{1}, root(leaves[:split(n)]), root(leaves[split(n):])}, nil))
		return node[:]
	}
}

// proof is PROOF(from, D[to]) of RFC 6962 §2.1.2.
func (l *testLog) proof(from, to int) [][]byte {
	if from == 0 {
		return nil
	}
	return subproof(from, l.leaves[:to], true)
}

func subproof(m int, leaves [][]byte, whole bool) [][]byte {
	n := len(leaves)
	switch {
	case m == n && whole:
		return nil
	case m == n:
		return [][]byte{root(leaves)}
	case m <= split(n):
		return append(subproof(m, leaves[:split(n)], whole), root(leaves[split(n):]))
	default:
		return append(subproof(m-split(n), leaves[split(n):], false), root(leaves[:split(n)]))
	}
}

func (l *testLog) text(size int) string {
	return fmt.Sprintf("%s\n%d\n%s\n", l.signer.Name, size, base64.StdEncoding.EncodeToString(root(l.leaves[:size])))
}

// checkpoint is the signed checkpoint of a size.
func (l *testLog) checkpoint(t testing.TB, size int) []byte { return l.sign(t, l.text(size)) }

// sign makes a note of a text.
func (l *testLog) sign(t testing.TB, text string) []byte {
	t.Helper()
	vkey, err := l.signer.VerifierKey()
	must(t, err)
	id, err := hex.DecodeString(strings.Split(vkey, "+")[1])
	must(t, err)
	der, err := pki.SignMessage(rand.Reader, l.signer.Key, []byte(text))
	must(t, err)
	raw, err := pki.RawSignature(der)
	must(t, err)
	return fmt.Appendf(nil, "%s\n— %s %s\n", text, l.signer.Name, base64.StdEncoding.EncodeToString(append(id, raw[:]...)))
}

// body is the body of add-checkpoint.
func (l *testLog) body(t testing.TB, from, to int) []byte {
	return body(from, l.proof(from, to), l.checkpoint(t, to))
}

func body(old any, proof [][]byte, signed []byte) []byte {
	b := fmt.Appendf(nil, "old %v\n", old)
	for _, h := range proof {
		b = append(base64.StdEncoding.AppendEncode(b, h), '\n')
	}
	return append(append(b, '\n'), signed...)
}

func policyOf(t testing.TB, logs ...audit.Signer) *audit.Policy {
	t.Helper()
	var keys []string
	for _, s := range logs {
		key, err := s.VerifierKey()
		must(t, err)
		keys = append(keys, key)
	}
	p, err := audit.NewPolicy(keys...)
	must(t, err)
	return p
}

// withWitnesses is a policy with witnesses, called by their own names.
func withWitnesses(t testing.TB, p *audit.Policy, quorum int, witnesses ...audit.Signer) *audit.Policy {
	t.Helper()
	for i, w := range witnesses {
		key, err := w.WitnessKey()
		must(t, err)
		p, err = p.WithWitness(w.Name, key, min(quorum, i+1))
		must(t, err)
	}
	return p
}

// memStore is a witness.Store in memory with failures on demand.
type memStore struct {
	// fail says what Keep does: "" it works, "failed", "persisted": it fails and the
	// checkpoint is kept all the same.
	fail string

	mu   sync.Mutex
	kept map[string][]byte
	all  []string // everything that was ever kept, in order
}

func newMemStore() *memStore { return &memStore{kept: map[string][]byte{}} }

func (s *memStore) Latest(origin string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[origin], nil
}

func (s *memStore) Keep(origin string, signed []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != "failed" {
		s.kept[origin] = bytes.Clone(signed)
		s.all = append(s.all, string(signed))
	}
	if s.fail != "" {
		return fmt.Errorf("disk: %s", s.fail)
	}
	return nil
}

// fixture is a witness of one log.
type fixture struct {
	*witness.Witness
	log    *testLog
	config witness.Config
	store  *memStore
	now    time.Time
	faults []error
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{log: newTestLog(newSigner(t, origin), "the history", 80), store: newMemStore(), now: start}
	f.config = witness.Config{
		Signer: newSigner(t, "w1.example"), Policy: policyOf(t, f.log.signer), Store: f.store, Rand: rand.Reader,
		Now: func() time.Time { return f.now }, Failed: func(err error) { f.faults = append(f.faults, err) },
	}
	f.open(t)
	return f
}

// open opens the witness anew, as after a crash.
func (f *fixture) open(t testing.TB) {
	t.Helper()
	var err error
	f.Witness, err = witness.Open(f.config)
	must(t, err)
}
