package registry_test

import (
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"testing"

	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"

	"github.com/emmansun/gmsm/sm3"
)

// madeFor is a seal for the signer of an authority's present one, under another
// identifier and name.
func madeFor(t testing.TB, s *registrytest.Service, authority, id, name string) *seal.Seal {
	t.Helper()
	own := s.Config.Seals[authority]
	made, err := seal.Make(rand.Reader, s.PKI.SealMaker.Certificate, s.PKI.SealMaker.Key, seal.Template{
		ID: id, Vendor: "test", Type: seal.TypeUnit, Name: name, Signers: []*pki.Certificate{own.Certificate},
		CreatedAt: s.Now(), ValidFrom: s.Now(), ValidTo: s.Now().AddDate(3, 0, 0), Picture: own.Seal.Picture})
	must(t, err)
	return made
}

// TestMakeSeal: the maker's key is not touched before the entry that permits it, and a
// seal that could not be made, or is another than was applied for, stays applied for.
func TestMakeSeal(t *testing.T) {
	s := open(t)
	_, c := sample(t, "food-retail.json")
	system, code := registry.System("test"), c.Authority.Code
	picture := sm3.Sum([]byte("picture"))
	apply := func(id string) {
		t.Helper()
		_, err := s.ApplySeal(t.Context(), system, registry.SealRecord{ID: id, Authority: code, Name: "专用章", Reason: "r"})
		must(t, err)
	}
	apply("ZY-1")
	broken := errors.New("the device is away")
	for _, w := range []struct {
		name, id, reason string
		caller           registry.Caller
		make             func() ([]byte, error)
		want             error
		trail            string
	}{
		{"by an approval system", "ZY-1", "r", c, nil, registry.ErrForbidden, "seal_making refused forbidden"},
		{"without reason", "ZY-1", "", system, nil, registry.ErrReasonMissing, "seal_making refused reason_missing"},
		{"not applied for", "ZY-2", "r", system, nil, licence.ErrNotFound, "seal_making refused not_found"},
		{"in use", s.Config.Seals[code].Seal.ID, "r", system, nil, licence.ErrWrongStatus, "seal_making refused wrong_status"},
		{"maker away", "ZY-1", "r", system, func() ([]byte, error) { return nil, broken }, broken, "seal_making allowed"},
		{"another's", "ZY-1", "r", system, func() ([]byte, error) { return madeFor(t, s, code, "ZY-3", "专用章").Raw, nil }, nil,
			"seal_making allowed,seal_make refused invalid_request"},
		{"good", "ZY-1", "r", system, func() ([]byte, error) { return madeFor(t, s, code, "ZY-1", "专用章").Raw, nil }, nil, "seal_making allowed,seal_make allowed"},
		{"twice", "ZY-1", "r", system, nil, licence.ErrWrongStatus, "seal_making refused wrong_status"},
	} {
		from := size(t, s)
		_, err := s.MakeSeal(t.Context(), w.caller, w.id, w.reason, picture, func() ([]byte, error) {
			if w.make == nil {
				t.Fatalf("%s: the maker is called", w.name)
			}
			if size(t, s) == from {
				t.Errorf("%s: the maker is called before the log says so", w.name)
			}
			return w.make()
		})
		if w.name == "good" && err != nil || w.name != "good" && err == nil || w.want != nil && !errors.Is(err, w.want) {
			t.Errorf("%s: %v", w.name, err)
		}
		if got := strings.Join(trail(t, s, from), ","); got != w.trail {
			t.Errorf("%s: log %s, want %s", w.name, got, w.trail)
		}
		want := registry.SealApplied
		if w.name == "good" || w.name == "twice" {
			want = registry.SealMade
		}
		if rec, err := s.Seal(t.Context(), "ZY-1"); err != nil || rec.Status != want || (rec.DER != nil) != (want == registry.SealMade) {
			t.Errorf("%s: %s, %v", w.name, rec.Status, err)
		}
	}
}

// TestSealReplaced puts a seal of another name in the place of the present one, as it
// was applied for.
func TestSealReplaced(t *testing.T) {
	s := open(t)
	body, c := sample(t, "food-retail.json")
	system, code := registry.System("test"), c.Authority.Code
	old := s.Config.Seals[code]
	made := madeFor(t, s, code, "ZY-1", "西湖市场监管行政审批专用章")
	_, err := s.ApplySeal(t.Context(), system, registry.SealRecord{ID: "ZY-1", Authority: code, Name: made.Name, Replaces: old.Seal.ID, Reason: "r"})
	must(t, err)
	_, err = s.AcceptSeal(t.Context(), system, "ZY-1", made.Raw, "r")
	must(t, err)
	_, err = s.PutSealOnRecord(t.Context(), system, "ZY-1", "3301060099", "r")
	must(t, err)
	_, err = s.ChangeSeal(t.Context(), system, "ZY-1", registry.SealInUse, "r")
	must(t, err)
	issue(t, s, "food-retail.json", "with-the-old-one") // which the running service goes on with
	next := s.Config
	next.Seals = maps.Clone(next.Seals)
	next.Seals[code] = &registry.SealKey{Seal: made, Certificate: old.Certificate, Key: old.Key, Appearance: old.Appearance, Picture: old.Picture}
	r, err := registry.New(next)
	must(t, err)
	from := size(t, s)
	must(t, r.RegisterSeals(t.Context(), system))
	wantTrail(t, s, from, "seal_revoke allowed")
	if rec, err := s.Seal(t.Context(), old.Seal.ID); err != nil || rec.Status != registry.SealRevoked || rec.Reason != "replaced by ZY-1" {
		t.Errorf("the old seal: %+v, %v", rec, err)
	}
	if _, _, err := r.Issue(t.Context(), c, registry.IssueRequest{Key: "with-the-new-one", Body: body}); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Issue(t.Context(), c, registry.IssueRequest{Key: "old-again", Body: body}); !errors.Is(err, registry.ErrNoSeal) {
		t.Errorf("the old seal still seals: %v", err)
	}
}

// TestSealDoesNotFit: a seal too large for its place is refused before a number is used.
func TestSealDoesNotFit(t *testing.T) {
	s := open(t)
	body, c := sample(t, "food-retail.json")
	for _, w := range []struct {
		width, height float64 // mm
		says          string
	}{{60, 60, ""}, {45, 30, ""}, {300, 20, "page"}, {50, 290, "page"}, {100, 45, "QR symbol"}} {
		cfg := s.Config
		cfg.Seals = maps.Clone(cfg.Seals)
		large := *cfg.Seals[c.Authority.Code]
		large.Appearance.Width, large.Appearance.Height = w.width/25.4*72, w.height/25.4*72
		cfg.Seals[c.Authority.Code] = &large
		r, err := registry.New(cfg)
		must(t, err)
		from := size(t, s)
		_, _, err = r.Issue(t.Context(), c, registry.IssueRequest{Key: rand.Text(), Body: body})
		if w.says == "" {
			must(t, err)
			continue
		}
		var fault *registry.SealFault
		if !errors.As(err, &fault) || fault.Reason != "seal_misplaced" || !strings.Contains(err.Error(), w.says) {
			t.Errorf("%g by %g mm: %v", w.width, w.height, err)
		}
		wantTrail(t, s, from, "issue refused no_seal")
	}
}
