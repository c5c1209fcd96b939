package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"elicence/api"
	"elicence/crypto/tsa"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
)

// joint is a request for a licence with two seals, which the client elsewhere issues.
func joint(t testing.TB, key string) ask {
	return ask{method: "POST", path: "/api/v1/licences", as: elsewhere, key: key, body: sample(t, "joint-dwellings.json")}
}

// TestCoSealedLicence issues and verifies one over HTTP: reader, report and page name
// who co-sealed.
func TestCoSealedLicence(t *testing.T) {
	w := open(t)
	a := w.do(joint(t, "k"))
	var issued registry.Issued
	if a.json(t, &issued); a.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	path := "/api/v1/licences/" + string(issued.Identifier)
	read := string(w.do(ask{method: "GET", path: path, as: elsewhere}).body)
	if want := `"certificateCoSealingAuthorities":[{"code":"` + registrytest.CoSealer.Code + `","name":"` + registrytest.CoSealer.Name + `"}]`; !strings.Contains(read, want) {
		t.Errorf("%s lacks %s", read, want)
	}
	file := w.do(ask{method: "GET", path: path + "/file", as: elsewhere}).body
	var r struct {
		Indication string `json:"indication"`
		Licence    struct {
			CoSealerNames string `json:"co_sealer_names"`
		} `json:"licence"`
		Seals []struct{ Field, Code string } `json:"seals"`
	}
	w.do(ask{method: "POST", path: "/api/v1/verifications", mediaType: "application/pdf", body: file}).json(t, &r)
	if r.Indication != "TotalPassed" || r.Licence.CoSealerNames != registrytest.CoSealer.Name || len(r.Seals) != 2 || r.Seals[0].Code != registrytest.CoSealer.Code {
		t.Errorf("%+v", r)
	}
	page := w.upload(file)
	for _, want := range []string{"<dt>联合用印机构</dt><dd>" + registrytest.CoSealer.Name + "</dd>", "联合用印机构都已盖章"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// upload has the verification page judge a file, as a browser without scripts would.
func (w *world) upload(file []byte) string {
	w.t.Helper()
	body := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n" + string(file) + "\r\n--x--\r\n"
	a := w.do(ask{method: "POST", path: "/V", mediaType: "multipart/form-data; boundary=x", body: []byte(body)})
	if a.StatusCode != http.StatusOK {
		w.t.Fatalf("page: %d %s", a.StatusCode, a.body)
	}
	return string(a.body)
}

// noTSA is a timestamp authority that cannot be reached.
type noTSA struct{}

func (noTSA) Timestamp(context.Context, []byte) (*tsa.Token, error) {
	return nil, errors.New("connection refused")
}

// TestCoSealProblems: what a client is told when a licence with two seals cannot be
// issued now, or ever.
func TestCoSealProblems(t *testing.T) {
	w := open(t)
	away := w.Config
	away.TSA = noTSA{}
	r, err := registry.New(away)
	must(t, err)
	waiting := w.serve(func(c *api.Config) { w.over(c, r) })

	q := joint(t, "waits")
	q.handler = waiting
	a := w.do(q)
	if p := problemIn(t, a); p.Status != 503 || p.Code != "timestamp_awaited" || a.Header.Get("Retry-After") != "30" || !strings.Contains(p.Detail, "Idempotency-Key") {
		t.Errorf("%+v, Retry-After %q", p, a.Header.Get("Retry-After"))
	}
	w.Move(registry.Lease + 1e9)
	if a := w.do(joint(t, "waits")); a.StatusCode != http.StatusCreated || !strings.Contains(string(a.body), "00001号") {
		t.Errorf("the repeat: %d %s", a.StatusCode, a.body)
	}

	seal := w.Config.Seals[registrytest.CoSealer.Code].Seal.ID
	_, err = w.ChangeSeal(t.Context(), registry.System("test"), seal, registry.SealSuspended, "盘点")
	must(t, err)
	if p := problemIn(t, w.do(joint(t, "suspended"))); p.Status != 409 || p.Code != "co_seal_not_usable" || !strings.Contains(p.Detail, registrytest.CoSealer.Name) {
		t.Errorf("%+v", p)
	}
	consent := w.SealConsent(t)
	_, err = w.EndSealConsent(t.Context(), registry.System("test"), consent.TypeCode, consent.Issuing, consent.Kind, "r")
	must(t, err)
	if p := problemIn(t, w.do(joint(t, "without"))); p.Status != 403 || p.Code != "no_consent" || !strings.Contains(p.Detail, consent.Kind) {
		t.Errorf("%+v", p)
	}
}
