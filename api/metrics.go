package api

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics shows. Labels hold route patterns, never addresses.
type metrics struct {
	handler   http.Handler
	durations *prometheus.HistogramVec
	logSize   atomic.Uint64
}

func newMetrics(gauges ...prometheus.Collector) *metrics {
	m := &metrics{durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "elicence_http_request_duration_seconds", Help: "Time to answer, by route, method and status.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"route", "method", "status"})}
	r := prometheus.NewRegistry()
	r.MustRegister(gauges...)
	r.MustRegister(m.durations, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "elicence_log_size", Help: "Entries of the access log, by the newest receipt this process gave; 0 before the first.",
		}, func() float64 { return float64(m.logSize.Load()) }))
	m.handler = promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	return m
}

// observe counts one answer. A route that does not exist is one label, and so
// are the methods nobody has heard of: else an outsider could make series at will.
func (m *metrics) observe(route, method string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
	default:
		method = "other"
	}
	m.durations.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}

// Observed counts and times the answers of a handler outside this interface, under a
// route of that name.
func (s *Server) Observed(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, answer := time.Now(), &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, r)
		s.metrics.observe(route, r.Method, answer.status, time.Since(began))
	})
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// logged notes that the log has the entry index.
func (m *metrics) logged(index uint64) {
	for {
		size := m.logSize.Load()
		if index < size || m.logSize.CompareAndSwap(size, index+1) {
			return
		}
	}
}

// showMetrics answers in the format that the client asks for.
func (x *exchange) showMetrics() { x.metrics.handler.ServeHTTP(x.w, x.r) }

// health says that the process answers, and nothing more.
func (x *exchange) health() { x.json(http.StatusOK, map[string]string{"status": "ok"}) }

// ready says whether storage can be reached, and the log written where it could
// not be before; and which seals cannot be used, which witnesses are late and that files are
// away: reads, reuses and verifications go on without them. One storage serves all servers, so
// that to take each out for it would end the service. The operator is told once, not by every probe.
func (x *exchange) ready() {
	err := x.unlogged.flush()
	if err == nil && x.cfg.Ready != nil {
		err = x.cfg.Ready(x.r.Context())
	}
	if before := x.unready.Swap(err != nil); err != nil && !before {
		x.report(err)
	}
	if err != nil {
		x.fail(errNotReady)
		return
	}
	r := readiness{Status: "ready", UnusableSeals: unusable(x.cfg.Registry.SealStates())}
	r.witnessed(x.cfg.Witnesses())
	r.filesAway(x.cfg.FilesAway())
	x.json(http.StatusOK, r)
}
