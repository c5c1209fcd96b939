package store_test

import (
	"crypto/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
)

// BenchmarkInclusionProof proves an entry in the middle and one near the end of a
// log of ELICENCE_PROOF_ENTRIES entries (100,000 unless it is set), of which each has
// the usual size.
func BenchmarkInclusionProof(b *testing.B) {
	size, err := strconv.ParseUint(os.Getenv("ELICENCE_PROOF_ENTRIES"), 10, 63)
	if err != nil {
		size = 100_000
	}
	key, err := pki.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	for _, open := range engines {
		e := open(b)
		b.Run(e.name, func(b *testing.B) {
			db := migrated(b, e)
			log, err := audit.Open(b.Context(), audit.Config{
				LogID: "log", Storage: db, Signer: audit.Signer{Name: "log", Key: key}, Now: time.Now, Rand: rand.Reader, MaxBatch: 1 << 14,
			})
			if err != nil {
				b.Fatal(err)
			}
			fill(b, log, size)
			for name, index := range map[string]uint64{"middle": size/2 - 1, "end": size - 100} {
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						if _, err := log.InclusionProof(b.Context(), index, size); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}

// fill appends entries up to a size, many at once.
func fill(b *testing.B, log *audit.Log, size uint64) {
	b.Helper()
	var callers sync.WaitGroup
	next := make(chan struct{}, 1<<14)
	for range 1 << 13 {
		callers.Go(func() {
			for range next {
				_, err := log.Append(b.Context(), &audit.Entry{
					Principal: "client/food-approval", Action: "download", Object: "1.2.156.3005.2.11330100.000001.1", Result: audit.ResultAllowed,
					Purpose: strings.Repeat("purpose ", 30), Personal: map[string]string{"holder_code": "11010119900307123X"},
				}, nil)
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range size {
		next <- struct{}{}
	}
	close(next)
	callers.Wait()
}
