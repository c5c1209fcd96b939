package api

import (
	"context"
	"net/http"
	"time"

	"elicence/audit"
	"elicence/licence/brake"
	"elicence/licence/registry"

	"github.com/prometheus/client_golang/prometheus"
)

// brakeJSON is a brake on a client.
type brakeJSON struct {
	ID            string     `json:"id"`
	Client        string     `json:"client"`
	AuthorityCode string     `json:"authority_code"`
	AuthorityName string     `json:"authority_name"`
	Alarm         string     `json:"alarm"`
	Detail        string     `json:"detail"`
	BrakedAt      time.Time  `json:"braked_at"`
	LiftedBy      string     `json:"lifted_by"`
	LiftedAt      *time.Time `json:"lifted_at,omitempty"`
	Reason        string     `json:"reason"`
}

func newBrake(b registry.Brake) brakeJSON {
	return brakeJSON{ID: b.ID, Client: b.Client, AuthorityCode: b.Authority.Code, AuthorityName: b.Authority.Name, Alarm: b.Alarm, Detail: b.Detail,
		BrakedAt: b.BrakedAt.UTC(), LiftedBy: b.LiftedBy, LiftedAt: givenInstant(b.LiftedAt), Reason: b.Reason}
}

// brakesAnswer is one page of brakes, newest first.
type brakesAnswer struct {
	Brakes []brakeJSON `json:"brakes"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"next_cursor"`
}

// brakes lists brakes.
func (x *exchange) brakes() (func(), audit.Receipt, error) {
	q := registry.BrakeQuery{Limit: defaultPage}
	err := x.listQuery(nameForm, &q.After, &q.Limit, func(name, value string) bool {
		q.Standing = value == "true"
		return name == "standing" && (q.Standing || value == "false")
	})
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	brakes, receipt, err := x.cfg.Registry.Brakes(x.r.Context(), x.caller, q)
	a := brakesAnswer{Brakes: make([]brakeJSON, 0, len(brakes))}
	for _, b := range brakes {
		a.Brakes = append(a.Brakes, newBrake(b))
	}
	if len(brakes) == q.Limit {
		a.NextCursor = strictBase64.EncodeToString([]byte(brakes[len(brakes)-1].ID))
	}
	return func() { x.json(http.StatusOK, a) }, receipt, err
}

// brakeGauge shows how many clients are braked when metrics are asked for.
type brakeGauge struct {
	standing func(context.Context) (map[string]int, error)
}

var braked = prometheus.NewDesc("elicence_reuse_brakes", "Clients that are stopped for the way they reuse, by alarm, until a person lifts the brake.", []string{"alarm"}, nil)

// metricTime bounds how long one look at metrics waits for the register.
const metricTime = 2 * time.Second

// Describe implements prometheus.Collector.
func (g brakeGauge) Describe(ch chan<- *prometheus.Desc) { ch <- braked }

// Collect implements prometheus.Collector. Every alarm has a value: one that is missing
// would look like a register that could not be asked.
func (g brakeGauge) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricTime)
	defer cancel()
	counts, err := g.standing(ctx)
	if err != nil {
		return
	}
	for _, alarm := range brake.Alarms() {
		ch <- prometheus.MustNewConstMetric(braked, prometheus.GaugeValue, float64(counts[alarm]), alarm)
	}
}
