package api_test

import (
	"net/http"
	"strings"
	"testing"

	"elicence/crypto/pki"
)

// TestUnusableSeal: who cannot seal for one authority says so, and is ready for the rest.
func TestUnusableSeal(t *testing.T) {
	w := open(t)
	w.token(approval)
	code := w.callerAuthority(t)
	metrics := func() string { return string(w.do(ask{method: "GET", path: "/metrics"}).body) }
	if a := w.do(ask{method: "GET", path: "/readyz"}); strings.TrimSpace(string(a.body)) != `{"status":"ready"}` {
		t.Errorf("all seals usable: %s", a.body)
	}
	if m := metrics(); !strings.Contains(m, `elicence_seal_usable{authority="`+code+`",use="licences"} 1`) || !strings.Contains(m, `elicence_seal_expiry_days{authority="`+code+`",use="licences"} 1461`) {
		t.Errorf("metrics lack the seal, or its days:\n%s", m)
	}
	_, revoked := w.PKI.MustAnchors(t, pki.Revoked{SerialNumber: w.Config.Seals[code].Certificate.SerialNumber, At: w.Now(), Reason: pki.KeyCompromise})
	w.Trust(revoked)
	a := w.do(ask{method: "GET", path: "/readyz"})
	for _, want := range []string{`"status":"ready"`, `"authority":"` + code + `"`, `"reason":"signer_revoked"`, "keyCompromise"} {
		if a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), want) {
			t.Errorf("%d %s lacks %s", a.StatusCode, a.body, want)
		}
	}
	if m := metrics(); !strings.Contains(m, `elicence_seal_usable{authority="`+code+`",use="licences"} 0`) || strings.Count(m, "elicence_seal_usable{") != strings.Count(m, "elicence_seal_expiry_days{") {
		t.Errorf("metrics:\n%s", m)
	}
	refused := w.do(ask{method: "POST", path: "/api/v1/licences", as: approval, key: "k", body: sample(t, food)})
	if p := problemIn(t, refused); p.Code != "signer_not_usable" || p.Status != http.StatusConflict || !strings.Contains(p.Detail, "revoked: keyCompromise") {
		t.Errorf("%+v", p)
	}
}

// callerAuthority is the code of the authority that the approval client issues for.
func (w *world) callerAuthority(t *testing.T) string {
	t.Helper()
	client, err := w.Backend.Client(t.Context(), approval)
	must(t, err)
	return client.Authority.Code
}
