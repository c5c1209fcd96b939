package api

import (
	"time"

	"elicence/audit/witness"

	"github.com/prometheus/client_golang/prometheus"
)

// staleWitness is a witness in the answer of /readyz. Why it is stale may name
// addresses, and is for the operator's own log.
type staleWitness struct {
	Name       string    `json:"name"`
	AnsweredAt time.Time `json:"answered_at"`
}

// witnessed adds what the witnesses are late with.
func (r *readiness) witnessed(states []witness.State, since time.Time) {
	for _, s := range states {
		if s.Stale {
			r.StaleWitnesses = append(r.StaleWitnesses, staleWitness{s.Name, s.AnsweredAt.UTC()})
		}
	}
	if !since.IsZero() {
		since = since.UTC()
		r.UnwitnessedSince = &since
	}
}

// witnessGauges shows the state of every witness when metrics are asked for.
type witnessGauges struct {
	states func() ([]witness.State, time.Time)
}

var (
	witnessStale = prometheus.NewDesc("elicence_witness_stale",
		"1 when the witness has not cosigned for longer than is allowed, else 0.", []string{"witness"}, nil)
	witnessSize = prometheus.NewDesc("elicence_witness_size",
		"Entries of the access log that the witness has cosigned, as far as this process knows.", []string{"witness"}, nil)
	witnessAnswered = prometheus.NewDesc("elicence_witness_answered_timestamp_seconds",
		"When the witness answered with a cosignature last.", []string{"witness"}, nil)
	logUnwitnessed = prometheus.NewDesc("elicence_log_unwitnessed",
		"1 when no quorum of witnesses has cosigned for longer than is allowed, else 0.", nil, nil)
)

// Describe implements prometheus.Collector.
func (g witnessGauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{witnessStale, witnessSize, witnessAnswered, logUnwitnessed} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. Without witnesses there is nothing to show.
func (g witnessGauges) Collect(ch chan<- prometheus.Metric) {
	states, since := g.states()
	if len(states) == 0 {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, s := range states {
		gauge(witnessStale, oneIf(s.Stale), s.Name)
		gauge(witnessSize, float64(s.Size), s.Name)
		gauge(witnessAnswered, float64(s.AnsweredAt.Unix()), s.Name)
	}
	gauge(logUnwitnessed, oneIf(!since.IsZero()))
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
