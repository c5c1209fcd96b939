package store_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"elicence/audit"
	"elicence/crypto/pki"
)

// BenchmarkLogOf fills a log with ELICENCE_LOG_ENTRIES entries of the usual size (100,000
// unless it is set) and measures what is asked of a log of that size.
func BenchmarkLogOf(b *testing.B) {
	size, err := strconv.ParseUint(os.Getenv("ELICENCE_LOG_ENTRIES"), 10, 63)
	if err != nil {
		size = 100_000
	}
	for i := range 2 {
		e := rawEngines(b)[1-i] // PostgreSQL first
		b.Run(fmt.Sprintf("%s/%d", e.name, size), func(b *testing.B) {
			key, err := pki.GenerateKey(rand.Reader)
			must(b, err)
			big := bigLog{migrated(b, e.engine), audit.Config{LogID: "log", Signer: audit.Signer{Name: "log", Key: key}, Now: time.Now, Rand: rand.Reader, MaxBatch: 1 << 14}, nil, size}
			big.config.Storage = big.db
			big.log, err = audit.Open(b.Context(), big.config)
			must(b, err)
			began := time.Now()
			big.fill(b)
			took := time.Since(began)
			var bytes float64
			must(b, e.raw.QueryRow(logBytes[e.name]).Scan(&bytes))
			shown(b, "append", float64(size)/took.Seconds(), "entries/s")
			shown(b, "stored", bytes/float64(size), "B/entry")
			big.proofs(b)
			big.searches(b)
			big.export(b)
		})
	}
}

// bigLog is a log that is measured.
type bigLog struct {
	db     backend
	config audit.Config
	log    *audit.Log
	size   uint64
}

// fill appends up to the size, many at once.
func (l *bigLog) fill(b *testing.B) {
	var callers sync.WaitGroup
	next := make(chan int64, 1<<14)
	for range 1 << 13 {
		callers.Go(func() {
			for n := range next {
				if _, err := l.log.Append(b.Context(), used(n), nil); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for n := range int64(l.size) {
		next <- n
	}
	close(next)
	callers.Wait()
}

func (l *bigLog) proofs(b *testing.B) {
	for name, index := range map[string]uint64{"middle": l.size/2 - 1, "end": l.size - 100} {
		b.Run("inclusion/"+name, func(b *testing.B) {
			for b.Loop() {
				_, err := l.log.InclusionProof(b.Context(), index, l.size)
				must(b, err)
			}
		})
		b.Run("consistency/"+name, func(b *testing.B) {
			for b.Loop() {
				_, err := l.log.ConsistencyProof(b.Context(), index, l.size)
				must(b, err)
			}
		})
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			_, err := audit.Open(b.Context(), l.config)
			must(b, err)
		}
	})
	b.Run("head", func(b *testing.B) {
		for b.Loop() {
			_, err := l.db.Head(b.Context(), "log")
			must(b, err)
		}
	})
}

// searches look for the newest 20 entries by each key; the case is that of one entry in the
// middle, and of two keys together none is found for long.
func (l *bigLog) searches(b *testing.B) {
	middle := used(int64(l.size / 2))
	keys := map[string][]audit.Key{
		"principal": {{Kind: audit.KeyPrincipal, Value: middle.Principal}}, "action": {{Kind: audit.KeyAction, Value: string(middle.Action)}},
		"object": {{Kind: audit.KeyObject, Value: middle.Object}}, "case": {{Kind: audit.KeyCase, Value: middle.Case}},
		"holder":         {audit.HolderKey("111", middle.Personal["holder_code"])},
		"case+principal": {{Kind: audit.KeyCase, Value: middle.Case}, {Kind: audit.KeyPrincipal, Value: middle.Principal}},
	}
	for name, keys := range keys {
		b.Run("search/"+name, func(b *testing.B) {
			for b.Loop() {
				found, _, err := l.log.Search(b.Context(), audit.Query{Keys: keys, Below: l.size, Limit: 20})
				must(b, err)
				if len(found) == 0 {
					b.Fatal("nothing found")
				}
			}
		})
	}
	b.Run("search/time", func(b *testing.B) {
		now := time.Now()
		for b.Loop() {
			_, _, err := l.log.Search(b.Context(), audit.Query{To: now.Add(-time.Second), Below: l.size, Limit: 20})
			must(b, err)
		}
	})
}

func (l *bigLog) export(b *testing.B) {
	vkey, err := l.config.Signer.VerifierKey()
	must(b, err)
	policy, err := audit.NewPolicy(vkey)
	must(b, err)
	f, err := os.Create(filepath.Join(b.TempDir(), "export"))
	must(b, err)
	defer f.Close()
	b.Run("export", func(b *testing.B) {
		for b.Loop() {
			must(b, f.Truncate(0))
			_, err := f.Seek(0, io.SeekStart)
			must(b, err)
			must(b, audit.Export(b.Context(), l.db, "log", 0, 0, false, f))
		}
		b.ReportMetric(float64(l.size)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			_, err := f.Seek(0, io.SeekStart)
			must(b, err)
			_, err = audit.VerifyExport(policy, f)
			must(b, err)
		}
		b.ReportMetric(float64(l.size)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	})
}

// shown reports what was measured once, in a line like the others.
func shown(b *testing.B, name string, value float64, unit string) {
	b.Run(name, func(b *testing.B) {
		for b.Loop() { // what was measured is over
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(value, unit)
	})
}
