// Package audittest gives tests an access log in memory.
//
// Only tests import it. It promises nothing about concurrent batches or failures: the
// tests of package audit and the stores have means of their own for that.
package audittest

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"

	"github.com/transparency-dev/merkle/compact"
)

// Storage is an audit.Storage of one log that only its sequencer writes.
type Storage struct {
	Stored []audit.Row
	Heads  []audit.Head
}

// Batch implements audit.Storage.
func (s *Storage) Batch(_ context.Context, fn func(audit.Tx) error) error { return fn(s) }

// Rows implements audit.Storage.
func (s *Storage) Rows(_ context.Context, _ string, from, to uint64, fn func(audit.Row) error) error {
	end := uint64(len(s.Stored))
	for _, row := range s.Stored[min(from, end):min(to, end)] {
		if err := fn(row); err != nil {
			return err
		}
	}
	return nil
}

// Leaves implements audit.Storage.
func (s *Storage) Leaves(ctx context.Context, id string, from, to uint64, fn func(uint64, [32]byte) error) error {
	return s.Rows(ctx, id, from, to, func(row audit.Row) error { return fn(row.Index, row.Leaf) })
}

// Nodes implements audit.Storage: none is stored.
func (s *Storage) Nodes(context.Context, string, []compact.NodeID) ([]audit.Node, error) {
	return nil, nil
}

// Head implements audit.Storage and audit.Tx.
func (s *Storage) Head(context.Context, string) (audit.Head, error) {
	if len(s.Heads) == 0 {
		return audit.Head{}, nil
	}
	return s.Heads[len(s.Heads)-1], nil
}

// HeadIs implements audit.Tx.
func (s *Storage) HeadIs(ctx context.Context, id string, size uint64, lastLeaf [32]byte) (bool, error) {
	head, err := s.Head(ctx, id)
	return head.Size == size && head.LastLeaf == lastLeaf, err
}

// CheckpointAt implements audit.Storage.
func (s *Storage) CheckpointAt(_ context.Context, _ string, size uint64) (audit.Head, error) {
	for _, head := range s.Heads {
		if head.Size >= size {
			return head, nil
		}
	}
	return audit.Head{}, audit.ErrNoCheckpoint
}

// CosignedAt implements audit.Storage: nothing is cosigned.
func (s *Storage) CosignedAt(context.Context, string, uint64) (audit.Cosigned, error) {
	return audit.Cosigned{}, audit.ErrNoCheckpoint
}

// NewestCosigned implements audit.Storage: nothing is cosigned.
func (s *Storage) NewestCosigned(context.Context, string) (audit.Cosigned, error) {
	return audit.Cosigned{}, audit.ErrNoCheckpoint
}

// Keyed implements audit.Storage.
func (s *Storage) Keyed(_ context.Context, _ string, key audit.Key, below uint64, limit int) (indexes []uint64, err error) {
	for i := min(below, uint64(len(s.Stored))); i > 0 && len(indexes) < limit; i-- {
		if slices.Contains(s.Stored[i-1].Keys, key) {
			indexes = append(indexes, i-1)
		}
	}
	return indexes, nil
}

// Archived implements audit.Storage: nothing is archived.
func (s *Storage) Archived(context.Context, string) (audit.Archive, error) {
	return audit.Archive{}, nil
}

// Opening implements audit.Storage.
func (s *Storage) Opening(_ context.Context, _ string, index uint64) ([]byte, error) {
	if index >= uint64(len(s.Stored)) {
		return nil, nil
	}
	return s.Stored[index].Opening, nil
}

// PutCosigned implements audit.Tx.
func (s *Storage) PutCosigned(context.Context, string, audit.Cosigned) error {
	return errors.New("audittest: no log of a test has witnesses")
}

// Leaf implements audit.Tx.
func (s *Storage) Leaf(_ context.Context, _ string, index uint64) (leaf [32]byte, err error) {
	if index < uint64(len(s.Stored)) {
		leaf = s.Stored[index].Leaf
	}
	return leaf, nil
}

// Savepoint implements audit.Tx.
func (s *Storage) Savepoint(_ context.Context, fn func() error) error { return fn() }

// Append implements audit.Tx.
func (s *Storage) Append(_ context.Context, _ string, rows []audit.Row, _ []audit.Node, head audit.Head) error {
	s.Stored = append(s.Stored, rows...)
	if head.Size > 0 {
		s.Heads = append(s.Heads, head)
	}
	return nil
}

// Log is a log with its policy. Now may be set between entries.
type Log struct {
	*audit.Log
	Storage *Storage
	Now     time.Time
	Signer  audit.Signer
	Policy  []byte // trusts this log's key, without witnesses
}

// New opens an empty log named id under a random key.
func New(t testing.TB, id string, now time.Time) *Log {
	t.Helper()
	return Open(t, NewSigner(t, id), now)
}

// NewSigner makes a random key.
func NewSigner(t testing.TB, name string) audit.Signer {
	t.Helper()
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	return audit.Signer{Name: name, Key: key}
}

// Open opens an empty log under a key.
func Open(t testing.TB, signer audit.Signer, now time.Time) *Log {
	t.Helper()
	id := signer.Name
	l := &Log{Storage: &Storage{}, Now: now, Signer: signer}
	var err error
	l.Log, err = audit.Open(t.Context(), audit.Config{LogID: id, Storage: l.Storage, Signer: signer, Rand: rand.Reader,
		Now: func() time.Time { return l.Now }})
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	vkey, err := signer.VerifierKey()
	must(t, err)
	policy, err := audit.NewPolicy(vkey)
	must(t, err)
	l.Policy = policy.Marshal()
	return l
}

// MustAppend logs an entry.
func (l *Log) MustAppend(t testing.TB, e audit.Entry) audit.Receipt {
	t.Helper()
	receipt, err := l.Append(context.Background(), &e, nil)
	must(t, err)
	return receipt
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
