package api_test

import (
	"strings"
	"testing"
	"time"

	"elicence/api"
)

// TestFilesAway: that files cannot be reached is said, and who says so is ready for the rest.
func TestFilesAway(t *testing.T) {
	w := open(t)
	var since time.Time
	w.server = w.serve(func(c *api.Config) { c.FilesAway = func() time.Time { return since } })
	for _, tt := range []struct {
		since         time.Time
		ready, metric string
	}{
		{time.Time{}, `{"status":"ready"}`, "elicence_files_reachable 1"},
		{time.Date(2026, 3, 1, 16, 0, 0, 0, time.FixedZone("", 8*3600)), `{"status":"ready","files_unreachable_since":"2026-03-01T08:00:00Z"}`, "elicence_files_reachable 0"},
	} {
		since = tt.since
		if a := w.do(ask{method: "GET", path: "/readyz"}); a.StatusCode != 200 || strings.TrimSpace(string(a.body)) != tt.ready {
			t.Errorf("%d %s, want %s", a.StatusCode, a.body, tt.ready)
		}
		if m := string(w.do(ask{method: "GET", path: "/metrics"}).body); !strings.Contains(m, tt.metric) {
			t.Errorf("metrics lack %s", tt.metric)
		}
	}
}
