package cryptotest

import (
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

// Timed is one of the things that Alternate measures. Before is not timed, and may be nil.
type Timed struct {
	Name        string
	Before, Run func()
}

// Alternate runs several things by turns and reports the median of each in microseconds,
// and of what each takes beyond the first of the same turn: a noisy machine is as noisy
// for one as for the other. It returns the medians in the order of the things.
func Alternate(b *testing.B, things ...Timed) (medians []time.Duration) {
	b.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as elicenced does
	times, beyond := make([][]time.Duration, len(things)), make([][]time.Duration, len(things))
	for b.Loop() {
		for i, thing := range things {
			if thing.Before != nil {
				thing.Before()
			}
			start := time.Now()
			thing.Run()
			took := time.Since(start)
			times[i] = append(times[i], took)
			beyond[i] = append(beyond[i], took-times[0][len(times[0])-1])
		}
	}
	for i, thing := range things {
		medians = append(medians, median(times[i]))
		b.ReportMetric(float64(medians[i].Nanoseconds())/1000, "µs-"+thing.Name)
		if i > 0 {
			b.ReportMetric(float64(median(beyond[i]).Nanoseconds())/1000, "µs-"+thing.Name+"-beyond")
		}
	}
	return medians
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}
