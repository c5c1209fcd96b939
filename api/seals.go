package api

import (
	"time"

	"elicence/licence/registry"

	"github.com/prometheus/client_golang/prometheus"
)

// readiness is the answer of /readyz.
type readiness struct {
	Status string `json:"status"`
	// UnusableSeals names the authorities for which nothing is issued, or copied, now, and why.
	UnusableSeals []unusableSeal `json:"unusable_seals,omitempty"`
	// StaleWitnesses names the witnesses of the access log that have not cosigned for too
	// long; UnwitnessedSince is when a quorum did last, if that is too long ago.
	StaleWitnesses   []staleWitness `json:"stale_witnesses,omitempty"`
	UnwitnessedSince *time.Time     `json:"unwitnessed_since,omitempty"`
	// FilesUnreachableSince is when licence files could not be reached first.
	FilesUnreachableSince *time.Time `json:"files_unreachable_since,omitempty"`
}

type unusableSeal struct {
	Authority string `json:"authority"`
	Use       string `json:"use"`
	Reason    string `json:"reason"`
	Detail    string `json:"detail"`
}

func unusable(states []registry.SealState) (seals []unusableSeal) {
	for _, s := range states {
		if s.Fault != nil {
			seals = append(seals, unusableSeal{s.Authority, s.Use, s.Fault.Reason, s.Fault.Detail})
		}
	}
	return seals
}

// sealGauges shows the state of every seal when metrics are asked for.
type sealGauges struct {
	states func() []registry.SealState
	now    func() time.Time
}

var (
	sealUsable = prometheus.NewDesc("elicence_seal_usable",
		"1 when the authority's seal can be used, for licences or for annotated copies, else 0; /readyz says why.", []string{"authority", "use"}, nil)
	sealDays = prometheus.NewDesc("elicence_seal_expiry_days",
		"Days until the authority's seal or its signer's certificate ends; negative when it did.", []string{"authority", "use"}, nil)
)

// Describe implements prometheus.Collector.
func (g sealGauges) Describe(ch chan<- *prometheus.Desc) { ch <- sealUsable; ch <- sealDays }

// Collect implements prometheus.Collector.
func (g sealGauges) Collect(ch chan<- prometheus.Metric) {
	now := g.now()
	for _, s := range g.states() {
		ch <- prometheus.MustNewConstMetric(sealUsable, prometheus.GaugeValue, oneIf(s.Fault == nil), s.Authority, s.Use)
		ch <- prometheus.MustNewConstMetric(sealDays, prometheus.GaugeValue, s.ExpiresAt.Sub(now).Hours()/24, s.Authority, s.Use)
	}
}
