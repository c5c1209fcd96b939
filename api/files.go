package api

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// filesAway adds since when files cannot be reached.
func (r *readiness) filesAway(since time.Time) {
	if !since.IsZero() {
		since = since.UTC()
		r.FilesUnreachableSince = &since
	}
}

// filesGauge shows whether files can be reached when metrics are asked for.
func filesGauge(away func() time.Time) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "elicence_files_reachable", Help: "1 when licence files could be read at the last look, else 0; /readyz says since when they cannot.",
	}, func() float64 { return oneIf(away().IsZero()) })
}
