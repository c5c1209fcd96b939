package audit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
)

const logID = "log.example/city"

var start = time.Date(2026, 3, 1, 8, 0, 0, 123456000, time.UTC)

func newSigner(t testing.TB, name string) audit.Signer {
	t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return audit.Signer{Name: name, Key: key}
}

// fixture is a log over a memStorage.
type fixture struct {
	storage *memStorage
	config  audit.Config
	log     *audit.Log
	policy  *audit.Policy
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{storage: newMemStorage()}
	f.config = audit.Config{
		LogID: logID, Storage: f.storage, Signer: newSigner(t, logID),
		Now: func() time.Time { return start }, Rand: rand.Reader,
	}
	f.log = f.mustOpen(t)
	f.policy = mustPolicy(t, f.config.Signer)
	return f
}

func (f *fixture) mustOpen(t testing.TB) *audit.Log {
	t.Helper()
	l, err := audit.Open(t.Context(), f.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func mustPolicy(t testing.TB, signers ...audit.Signer) *audit.Policy {
	t.Helper()
	var keys []string
	for _, s := range signers {
		key, err := s.VerifierKey()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	p, err := audit.NewPolicy(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newEntry(i int) *audit.Entry {
	return &audit.Entry{
		Principal: "client/food-approval", Authority: "11330100MB0000000X", Action: "download",
		Object: fmt.Sprintf("1.2.156.3005.2.11330100.%06d.1", i), Purpose: "办理食品经营许可变更",
		Case: "330100-2026-000123", Result: audit.ResultAllowed, RequestID: fmt.Sprintf("req-%08d", i),
		Digest: bytes.Repeat([]byte{byte(i)}, 32),
	}
}

// mustAppend appends n entries, one batch each.
func mustAppend(t testing.TB, l *audit.Log, n int) []audit.Receipt {
	t.Helper()
	var receipts []audit.Receipt
	for i := range n {
		r, err := l.Append(context.Background(), newEntry(i), nil)
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
	}
	return receipts
}

func (f *fixture) mustExport(t testing.TB, from, to uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := audit.Export(t.Context(), f.storage, logID, from, to, false, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mustVerify checks the whole log as a stranger would.
func (f *fixture) mustVerify(t testing.TB, size uint64) {
	t.Helper()
	s, err := audit.VerifyExport(f.policy, bytes.NewReader(f.mustExport(t, 0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if s.To != size {
		t.Errorf("log has %d entries, want %d", s.To, size)
	}
}
