package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
)

// memoryLog is an audit.Storage of one log that only its sequencer writes.
type memoryLog struct {
	rows  []audit.Row
	heads []audit.Head
}

func (m *memoryLog) Batch(_ context.Context, fn func(audit.Tx) error) error { return fn(m) }

func (m *memoryLog) Rows(_ context.Context, _ string, from, to uint64, fn func(audit.Row) error) error {
	for _, row := range m.rows[from:min(to, uint64(len(m.rows)))] {
		if err := fn(row); err != nil {
			return err
		}
	}
	return nil
}

func (m *memoryLog) Head(context.Context, string) (audit.Head, error) {
	if len(m.heads) == 0 {
		return audit.Head{}, nil
	}
	return m.heads[len(m.heads)-1], nil
}

func (m *memoryLog) CheckpointAt(_ context.Context, _ string, size uint64) (audit.Head, error) {
	for _, head := range m.heads {
		if head.Size >= size {
			return head, nil
		}
	}
	return audit.Head{}, audit.ErrNoCheckpoint
}

func (m *memoryLog) Savepoint(_ context.Context, fn func() error) error { return fn() }

func (m *memoryLog) Append(_ context.Context, _ string, rows []audit.Row, head audit.Head) error {
	m.rows, m.heads = append(m.rows, rows...), append(m.heads, head)
	return nil
}

// mustLog returns policy and export of a log of three entries, and an export
// whose second entry was edited.
func mustLog(t testing.TB) (policy, export, edited []byte) {
	t.Helper()
	const id = "licence.example.gov.cn/log"
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	signer, storage, ctx := audit.Signer{Name: id, Key: key}, &memoryLog{}, context.Background()
	log, err := audit.Open(ctx, audit.Config{LogID: id, Storage: storage, Signer: signer, Now: time.Now, Rand: rand.Reader})
	must(t, err)
	for _, object := range []string{"first", "second", "third"} {
		_, err := log.Append(ctx, &audit.Entry{Principal: "clerk", Authority: "330105", Action: "verify", Object: object, Result: "allowed"}, nil)
		must(t, err)
	}
	must(t, log.Close())
	vkey, err := signer.VerifierKey()
	must(t, err)
	policy, err = audit.NewPolicy(vkey)
	must(t, err)
	write := func() []byte {
		var out bytes.Buffer
		must(t, audit.Export(ctx, storage, id, 0, 0, &out))
		return out.Bytes()
	}
	export = write()
	storage.rows[1].Record = bytes.Replace(storage.rows[1].Record, []byte("second"), []byte("secomd"), 1)
	return policy, export, write()
}
