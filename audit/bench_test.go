package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"elicence/audit"
)

// BenchmarkAppend measures the sequencer itself: storage is memory, so what is
// left is hashing, encoding, one signature a batch and the hand-overs.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			f := newFixture(b)
			work := make(chan int, 2*callers)
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for i := range work {
						if _, err := f.log.Append(context.Background(), newEntry(i), nil); err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ResetTimer()
			for i := range b.N {
				work <- i
			}
			close(work)
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(float64(b.N)/float64(f.storage.tried), "entries/batch")
		})
	}
}

// BenchmarkVerifyExport measures one core: VerifyExport starts no goroutine.
func BenchmarkVerifyExport(b *testing.B) {
	const entries = 100_000
	f := newFixture(b)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() { mustAppendAll(b, f.log, entries/200) })
	}
	wg.Wait()
	export := f.mustExport(b, 0, 0)
	b.SetBytes(int64(len(export)))
	b.ReportAllocs()
	for b.Loop() {
		if s, err := audit.VerifyExport(f.policy, bytes.NewReader(export)); err != nil || s.To != entries {
			b.Fatalf("%d entries: %v", s.To, err)
		}
	}
	b.ReportMetric(float64(len(f.storage.rows[entries-1].Record)), "record-bytes")
	b.ReportMetric(float64(entries)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

func mustAppendAll(b *testing.B, l *audit.Log, n int) {
	for i := range n {
		if _, err := l.Append(context.Background(), newEntry(i), nil); err != nil {
			b.Error(err)
		}
	}
}
