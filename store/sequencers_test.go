package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
)

// TestTwoSequencers has two processes' logs, each over its own connections and with its own
// clock, an hour apart, append to one database at once: no index is given out twice, every
// receipt stands, and the log is good, its times included.
func TestTwoSequencers(t *testing.T) {
	for _, e := range rawEngines(t) {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			key, err := pki.GenerateKey(rand.Reader)
			must(t, err)
			config := audit.Config{LogID: "log", Signer: audit.Signer{Name: "log", Key: key}, Rand: rand.Reader, MaxBatch: 3}
			var logs []*audit.Log
			for i := range 2 {
				config.Storage = migrated(t, e.engine)
				config.Now = func() time.Time { return time.Now().Add(time.Duration(i) * time.Hour) }
				l, err := audit.Open(t.Context(), config)
				must(t, err)
				defer l.Close()
				logs = append(logs, l)
			}
			receipts := appendAtOnce(t, logs, 5, 12)
			var export bytes.Buffer
			must(t, audit.Export(t.Context(), config.Storage, "log", 0, 0, false, &export))
			vkey, err := config.Signer.VerifierKey()
			must(t, err)
			policy, err := audit.NewPolicy(vkey)
			must(t, err)
			if s, err := audit.VerifyExport(policy, &export); err != nil || s.To != uint64(len(receipts)) {
				t.Errorf("%d receipts; the log: %+v, %v", len(receipts), s, err)
			}
			must(t, config.Storage.Rows(t.Context(), "log", 0, 1<<62, func(row audit.Row) error {
				if receipts[row.Index].LeafHash != row.Leaf {
					t.Errorf("entry %d is not that of its receipt", row.Index)
				}
				return nil
			}))
		})
	}
}

// appendAtOnce has so many callers of each log append so many entries each, and returns the
// receipts by their indexes.
func appendAtOnce(t *testing.T, logs []*audit.Log, callers, each int) map[uint64]audit.Receipt {
	var mu sync.Mutex
	receipts := map[uint64]audit.Receipt{}
	var all sync.WaitGroup
	for c := range callers * len(logs) {
		all.Go(func() {
			for i := range each {
				e := &audit.Entry{Principal: fmt.Sprint("p", c), Action: "read", Object: fmt.Sprint(i), Result: audit.ResultAllowed}
				r, err := logs[c%len(logs)].Append(context.Background(), e, nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if _, twice := receipts[r.Index]; twice {
					t.Errorf("index %d was given out twice", r.Index)
				}
				receipts[r.Index] = r
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return receipts
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
