package registry_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"
	"elicence/templates"
)

// padesCatalogue is the catalogue, with a PAdES signature on every type.
func padesCatalogue(t *testing.T) *licence.Catalogue {
	t.Helper()
	c, err := licence.LoadCatalogue(registrytest.Edited(t, templates.Catalogue(), "item.json", "{", `{"pades": true,`))
	must(t, err)
	return c
}

// TestPAdES issues with a signature for readers without SM2 below the seal, which is
// logged before its key is touched, and upgrades the seal of a pending file.
func TestPAdES(t *testing.T) {
	s := open(t)
	cfg := s.Config
	cfg.Catalogue, cfg.PAdES, cfg.TSA = padesCatalogue(t), s.PAdESKey(t), awayTSA{}
	pending, err := registry.New(cfg)
	must(t, err)
	body, c := sample(t, "food-retail.json")
	from := size(t, s)
	issued, _, err := pending.Issue(t.Context(), c, registry.IssueRequest{Key: "k", Body: body})
	must(t, err)
	wantTrail(t, s, from, "issue allowed", "reserved allowed", "pades_signing allowed", "sealing allowed", "issued allowed")
	if n, err := s.Upgrade(t.Context()); n != 1 || err != nil {
		t.Fatalf("upgraded %d: %v", n, err)
	}
	file, _, err := s.Download(t.Context(), c, issued.Identifier, registry.Use{})
	must(t, err)
	f, err := pdfsig.Read(file)
	must(t, err)
	must(t, stranger(s.PKI.Anchors)(t.Context(), f, s.Now()))
	if len(f.Signatures) != 2 || f.Signatures[0].SubFilter != pdfsig.SubFilterPAdES || f.Signatures[1].SubFilter != pdfsig.SubFilter {
		t.Errorf("signatures: %+v", f.Signatures)
	}
	path := filepath.Join(t.TempDir(), "a.pdf")
	must(t, os.WriteFile(path, file, 0o600))
	out, err := exec.Command("pdfsig", "-nocert", path).CombinedOutput()
	if err != nil || strings.Count(string(out), "Signature is Valid") != 1 {
		t.Errorf("pdfsig: %v\n%s", err, out)
	}
}

// TestPAdESRefused: without a key, or with one that has run out, before a number is used.
func TestPAdESRefused(t *testing.T) {
	s := open(t)
	body, c := sample(t, "food-retail.json")
	old := s.PAdESKey(t)
	old.Chain[0].NotAfter = s.Now().Add(-time.Minute)
	for name, key := range map[string]*registry.PAdESKey{"none": nil, "expired": old} {
		cfg := s.Config
		cfg.Catalogue, cfg.PAdES = padesCatalogue(t), key
		r, err := registry.New(cfg)
		must(t, err)
		from := size(t, s)
		if _, _, err := r.Issue(t.Context(), c, registry.IssueRequest{Key: name, Body: body}); !errors.Is(err, registry.ErrNoSeal) {
			t.Errorf("%s: %v", name, err)
		}
		wantTrail(t, s, from, "issue refused no_seal")
	}
}
