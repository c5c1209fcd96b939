package registry_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// owned is a store with licences of holders' codes that a test chooses.
type owned struct {
	registry.Store
	of map[licence.Identifier]string
}

func (o owned) Licence(ctx context.Context, id licence.Identifier) (registry.Record, error) {
	code, known := o.of[id]
	if !known {
		return o.Store.Licence(ctx, id)
	}
	return registry.Record{Identifier: id, TypeCode: id.TypeCode(), Holder: licence.Holder{Code: code, CodeType: licence.CodeTypeUSCC}, Status: licence.StatusValid}, nil
}

// TestBrakeTellsNoHolder asks for licences by their identifiers that are not those of the
// case: what becomes of it is the same whoever holds them, and if nobody does. The brake, which
// compares holders, must not tell.
func TestBrakeTellsNoHolder(t *testing.T) {
	t.Parallel()
	s := open(t)
	w := newWalker(t, s)
	s.Grant(t, registry.Grant{Authority: registrytest.Department, TypeCode: w.issued.TypeCode, MatterCode: "m", Fields: []string{"number", registry.FieldCopy}})
	w.openCase("c")
	var ids []licence.Identifier
	for i := range 6 {
		id, err := licence.NewIdentifier(w.issued.TypeCode, "11330106002504122C", fmt.Sprintf("ORACLE%d", i), 1)
		must(t, err)
		ids = append(ids, id)
	}
	low, high := code(1), code(900000)
	type asked func(r *registry.Registry, c registry.Caller, id licence.Identifier) error
	// named asks for holders' codes, each greater than the one before, in no case.
	named := func(r *registry.Registry, c registry.Caller, n int) {
		for i := range n {
			q := w.reuse(fmt.Sprint("none ", i))
			q.Holder = licence.Holder{Code: code(1000 * (i + 1)), CodeType: licence.CodeTypeUSCC}
			_, _, err := r.Reuse(t.Context(), c, q)
			wantCode(t, "named", err, "case_unknown")
		}
	}
	for way, ask := range map[string]asked{
		"reuse": func(r *registry.Registry, c registry.Caller, id licence.Identifier) error {
			q := w.reuse("c")
			q.Identifier = id
			_, _, err := r.Reuse(t.Context(), c, q)
			return err
		},
		"copy": func(r *registry.Registry, c registry.Caller, id licence.Identifier) error {
			q := w.copyOf("c")
			q.Identifier = id
			_, _, err := r.MakeCopy(t.Context(), c, q)
			return err
		},
	} {
		for what, before := range map[string]int{"holders of one case": 0, "a run of rising numbers": 7} {
			outcomes := map[string][]string{}
			for whose, holders := range map[string][]string{
				"nobody's": nil, "one holder's": {low, low, low, low, low, low}, "two holders'": {low, high, low, high, low, high}, "a great code's": {high, high, high, high, high, high},
				"of several, mixed": {low, low, high, high, low, high},
			} {
				config := s.Config
				of := map[licence.Identifier]string{}
				for i, holder := range holders {
					of[ids[i]] = holder
				}
				config.Store = owned{config.Store, of}
				r, err := registry.New(config)
				must(t, err)
				c := registrytest.Partner()
				c.Principal = w.next()
				named(r, c, before)
				for _, id := range ids {
					outcomes[whose] = append(outcomes[whose], registry.Code(ask(r, c, id)))
				}
			}
			for whose, got := range outcomes {
				if diff := cmp.Diff(got, outcomes["nobody's"]); diff != "" {
					t.Errorf("%s, %s: licences that are %s are told from nobody's (-got +want):\n%s", way, what, whose, diff)
				}
			}
			if before == 0 && !slices.Contains(outcomes["nobody's"], "braked") {
				t.Errorf("%s: guessing identifiers under one case is not stopped: %q", way, outcomes["nobody's"])
			}
		}
	}
}
