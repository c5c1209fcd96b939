package api_test

import (
	"bytes"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"elicence/crypto/httpsig"
	"elicence/crypto/pki"
	"elicence/licence/registry"
)

// BenchmarkSignedRequest measures the check of a signed request on the interface's own path: its
// form, what it covers, its base, key and client from the register (SQLite), the signature, and
// the digest of its body. beyond-ms is what that takes beyond the SM2 verification
// alone, of the same message with the same key; all in processor time.
func BenchmarkSignedRequest(b *testing.B) {
	w := open(b)
	key := w.signer(approval, registry.ByEither)
	body := []byte(`{"holder":{"code":"91330106MA0000A19Q","code_type":"001"},"type_code":"` + foodType + `","purpose":"办理社会保险登记，核对经营范围","case_number":"2026-001","matter_code":"` + matter + `","operator":"窗口-01"}`)
	sent := w.signed(key, ask{method: "POST", path: "/api/v1/reuse", body: body})
	request := httptest.NewRequest(sent.method, sent.path, bytes.NewReader(body))
	for name, value := range sent.header {
		request.Header.Set(name, value)
	}
	request.Header.Set("Content-Type", "application/json")
	took := func(do func()) float64 {
		before := processorTime(b)
		for range b.N {
			do()
		}
		return float64((processorTime(b) - before).Microseconds()) / 1000 / float64(b.N)
	}
	signature, err := httpsig.Parse(request.Header)
	must(b, err)
	base := w.baseOf(signature, sent)
	der := pki.DERSignature(signature.Value)
	b.ResetTimer()
	check := took(func() {
		r := request.Clone(b.Context())
		r.Body = httptest.NewRequest("POST", "/", bytes.NewReader(body)).Body
		if c, err := w.server.Authenticate(r); err != nil || c.Principal != approval {
			b.Fatal(c.Principal, err)
		}
	})
	sm2 := took(func() {
		if !pki.VerifyMessage(key.Public(), base, der) {
			b.Fatal("refused")
		}
	})
	b.ReportMetric(check, "check-ms")
	b.ReportMetric(sm2, "sm2-ms")
	b.ReportMetric(check-sm2, "beyond-ms")
}

// baseOf is what the signature of a request is over.
func (w *world) baseOf(s *httpsig.Signature, q ask) []byte {
	w.t.Helper()
	m, _ := w.message(q)
	base, err := s.Base(m)
	must(w.t, err)
	return []byte(base)
}

// processorTime is what this process has taken of the processors.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
