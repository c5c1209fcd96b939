package api_test

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"elicence/api"
	"elicence/audit"
	"elicence/audit/witness"
	"elicence/crypto/pki"
	"elicence/licence/registry"
)

// TestStaleWitnesses: late witnesses are named; reads go on without them.
func TestStaleWitnesses(t *testing.T) {
	w := open(t)
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	states, since := []witness.State{{Name: "one", Size: 7, AnsweredAt: at}}, time.Time{}
	w.server = w.serve(func(c *api.Config) {
		c.Witnesses = func() ([]witness.State, time.Time) { return states, since }
	})
	show := func() (ready, metrics string) {
		a := w.do(ask{method: "GET", path: "/readyz"})
		if a.StatusCode != http.StatusOK {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		return strings.TrimSpace(string(a.body)), string(w.do(ask{method: "GET", path: "/metrics"}).body)
	}
	ready, metrics := show()
	if ready != `{"status":"ready"}` {
		t.Errorf("nobody is late: %s", ready)
	}
	for _, want := range []string{`elicence_witness_stale{witness="one"} 0`, `elicence_witness_size{witness="one"} 7`, `elicence_witness_answered_timestamp_seconds{witness="one"} 1.772352e+09`, "elicence_log_unwitnessed 0"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	states[0].Stale, states[0].Fault, since = true, "asking http://10.0.0.7", at.In(time.FixedZone("", 8*3600))
	ready, metrics = show()
	if want := `{"status":"ready","stale_witnesses":[{"name":"one","answered_at":"2026-03-01T08:00:00Z"}],"unwitnessed_since":"2026-03-01T08:00:00Z"}`; ready != want {
		t.Errorf("got %s\nwant %s", ready, want)
	}
	if !strings.Contains(metrics, `elicence_witness_stale{witness="one"} 1`) || !strings.Contains(metrics, "elicence_log_unwitnessed 1") {
		t.Errorf("metrics:\n%s", metrics)
	}
}

// TestWitnessedLog: with witnesses, checkpoint and export end where they have cosigned;
// receipts do not wait for them.
func TestWitnessedLog(t *testing.T) {
	w := open(t)
	parts := w.Config
	parts.Witnessed = true
	r, err := registry.New(parts)
	must(t, err)
	w.server = w.serve(func(c *api.Config) { w.over(c, r) })
	checkpoint := func() []byte { return w.do(ask{method: "GET", path: "/api/v1/log/checkpoint", as: auditor}).body }

	size, _ := head(t, checkpoint())
	if grown, _ := head(t, checkpoint()); grown <= size {
		t.Errorf("before anything is cosigned: size %d after %d", grown, size)
	}
	key, err := pki.GenerateKey(rand.Reader)
	must(t, err)
	newest, err := w.Config.Log.Checkpoint(t.Context())
	must(t, err)
	cosigned, err := audit.Cosign(rand.Reader, audit.Signer{Name: "w1.example", Key: key}, newest, w.Now())
	must(t, err)
	must(t, w.Config.Log.PutCosigned(t.Context(), cosigned))
	size, _ = head(t, cosigned)
	w.issue(food, "later")
	if got := checkpoint(); !bytes.Equal(got, cosigned) {
		t.Errorf("checkpoint:\n%s\nwant\n%s", got, cosigned)
	}
	vkey, err := w.LogKey.VerifierKey()
	must(t, err)
	policy, err := audit.NewPolicy(vkey)
	must(t, err)
	for query, want := range map[string]func(uint64, []byte) bool{
		"":             func(to uint64, b []byte) bool { return to == size && bytes.HasSuffix(b, cosigned) },
		"?from=0&to=2": func(to uint64, b []byte) bool { return to == size && bytes.HasSuffix(b, cosigned) },
		"?from=1":      func(to uint64, b []byte) bool { return to == size && bytes.HasSuffix(b, cosigned) },
		"?from=1&to=" + strconv.FormatUint(size+1, 10): func(to uint64, _ []byte) bool { return to == size+1 },
	} {
		a := w.do(ask{method: "GET", path: "/api/v1/log/export" + query, as: auditor})
		summary, err := audit.VerifyExport(policy, bytes.NewReader(a.body))
		if err != nil || !want(summary.To, a.body) {
			t.Errorf("%q: to %d of cosigned %d, %v", query, summary.To, size, err)
		}
	}
}
