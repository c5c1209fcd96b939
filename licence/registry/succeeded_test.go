package registry_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"

	"elicence/audit"
	"elicence/crypto/pki"
	"elicence/licence"
	"elicence/licence/registry"
)

// TestSucceededLog: a register whose log succeeds another still compares reports with the
// entries of the other, and says of a licence entered there why it has no bundle.
func TestSucceededLog(t *testing.T) {
	s := open(t)
	issued := issue(t, s, "food-retail.json", "k")
	receipt, err := s.Verify(t.Context(), registry.Anonymous("r"), func() [32]byte { return [32]byte{1} }, func(registry.Lookup) registry.Verdict {
		return registry.Verdict{Code: "TotalPassed", Object: string(issued.Identifier)}
	})
	must(t, err)
	_, _, err = s.SealReport(t.Context(), registry.Anonymous("r"), registry.ReportRequest{Verification: receipt, Data: []byte("{}"), Fields: map[string]any{}})
	must(t, err)
	leaf := hex.EncodeToString(receipt.LeafHash[:])
	succeeding := func(succeeded ...string) *registry.Registry {
		t.Helper()
		c := s.Config
		key, err := pki.GenerateKey(rand.Reader)
		must(t, err)
		c.LogID, c.Succeeded = "elicence/next-"+rand.Text(), succeeded
		c.Log, err = audit.Open(t.Context(), audit.Config{LogID: c.LogID, Storage: s.Backend, Signer: audit.Signer{Name: c.LogID, Key: key}, Now: s.Now, Rand: rand.Reader})
		must(t, err)
		t.Cleanup(func() { c.Log.Close() })
		r, err := registry.New(c)
		must(t, err)
		return r
	}
	next, stranger := succeeding(s.Config.LogID), succeeding()
	anybody := registry.Anonymous("r")
	if e, _, err := next.ReadReport(t.Context(), anybody, receipt.Index, leaf); err != nil || e.Code != "TotalPassed" || e.Identifier != string(issued.Identifier) {
		t.Errorf("report of the log before: %+v, %v", e, err)
	}
	if _, _, err := next.ReadReport(t.Context(), anybody, receipt.Index, leaf[2:]+"00"); !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("another leaf: %v", err)
	}
	if _, _, err := stranger.ReadReport(t.Context(), anybody, receipt.Index, leaf); !errors.Is(err, licence.ErrNotFound) {
		t.Errorf("report of a log that is none of its own: %v", err)
	}
	_, approval := sample(t, "food-retail.json")
	if _, _, err := next.Bundle(t.Context(), approval, issued.Identifier, registry.Use{Purpose: "p"}); !errors.Is(err, registry.ErrEvidence) {
		t.Errorf("bundle: %v, want ErrEvidence", err)
	}
	if _, _, err := stranger.Bundle(t.Context(), approval, issued.Identifier, registry.Use{Purpose: "p"}); err == nil || errors.Is(err, registry.ErrEvidence) {
		t.Errorf("bundle without the log's entries: %v", err)
	}
}
