package registry_test

import (
	"errors"
	"testing"

	"elicence/licence"
	"elicence/licence/registry"

	"github.com/google/go-cmp/cmp"
)

// TestSealConsents is a table of consents that the register does not take, and who may give one.
func TestSealConsents(t *testing.T) {
	s := open(t)
	system := registry.System("test")
	good := s.SealConsent(t)
	for _, tt := range []struct {
		name, field string
		edit        func(*registry.SealConsent)
	}{
		{"no name", "co_sealer.name", func(c *registry.SealConsent) { c.CoSealer.Name = "" }},
		{"invisible character", "co_sealer.name", func(c *registry.SealConsent) { c.CoSealer.Name = "a\u200b" }},
		{"no code", "co_sealer.code", func(c *registry.SealConsent) { c.CoSealer.Code = "" }},
		{"check character", "co_sealer.code", func(c *registry.SealConsent) { c.CoSealer.Code = "11330100002491288X" }},
		{"to itself", "co_sealer.code", func(c *registry.SealConsent) { c.CoSealer.Code = c.Issuing }},
		{"without a seal here", "co_sealer.code", func(c *registry.SealConsent) { c.CoSealer.Code = "113301000024912379" }},
		{"issuing authority's code", "issuing", func(c *registry.SealConsent) { c.Issuing = "x" }},
		{"unknown type", "type_code", func(c *registry.SealConsent) { c.TypeCode = "x" }},
		{"type without co-seals", "kind", func(c *registry.SealConsent) { c.TypeCode = "11100000MB0143028R901" }},
		{"unknown kind", "kind", func(c *registry.SealConsent) { c.Kind = "财政部门" }},
		{"no basis", "basis", func(c *registry.SealConsent) { c.Basis = "" }},
		{"basis with a control", "basis", func(c *registry.SealConsent) { c.Basis = "a\nb" }},
		{"no first day", "valid_from", func(c *registry.SealConsent) { c.ValidFrom = licence.Date{} }},
		{"last day before the first", "valid_to", func(c *registry.SealConsent) { c.ValidTo = licence.DateOf(s.Now().AddDate(0, 0, -1)) }},
	} {
		c := good
		tt.edit(&c)
		from := size(t, s)
		_, err := s.PutSealConsent(t.Context(), system, c)
		var invalid *licence.RequestError
		if !errors.As(err, &invalid) || invalid.Fields[0].Field != tt.field {
			t.Errorf("%s: %v, want a fault with %s", tt.name, err, tt.field)
		}
		wantTrail(t, s, from, "seal_consent refused invalid_request")
	}
	end := func(c registry.Caller, kind, reason string) error {
		_, err := s.EndSealConsent(t.Context(), c, good.TypeCode, good.Issuing, kind, reason)
		return err
	}
	_, approval := sample(t, joint)
	_, err := s.PutSealConsent(t.Context(), approval, good)
	wantCode(t, "given by an approval system", err, "forbidden")
	wantCode(t, "ended by an approval system", end(approval, good.Kind, "r"), "forbidden")
	wantCode(t, "ended without a reason", end(system, good.Kind, ""), "reason_missing")
	wantCode(t, "of another kind", end(system, "财政部门", "r"), "not_found")
	if all, err := s.SealConsents(t.Context()); err != nil || len(all) != 1 || cmp.Diff(all[0], good) != "" {
		t.Errorf("%+v, %v", all, err)
	}
	from := size(t, s)
	wantCode(t, "ended", end(system, good.Kind, "r"), "")
	wantCode(t, "ended twice", end(system, good.Kind, "r"), "not_found")
	wantTrail(t, s, from, "seal_consent_end allowed", "seal_consent_end refused not_found")
	if e := entries(t, s, from)[0].Entry; e.Object != "consent/"+good.CoSealer.Code+"/"+good.TypeCode+"/"+good.Issuing || e.Purpose != "r" {
		t.Errorf("logged as %+v", e)
	}

	// One authority seals a licence once.
	three := over(t, s.Three(t))
	_, err = three.PutSealConsent(t.Context(), system, good)
	must(t, err)
	twice := good
	twice.Kind = "卫生健康主管部门"
	_, err = three.PutSealConsent(t.Context(), system, twice)
	wantCode(t, "a second kind", err, "invalid_request")
}
