package registry_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/registry/accesslog"
)

// TestHold: what is under a hold is logged at once, and the holder is told of it when
// the hold has ended, by its day or before; of what came before it and after it, at once.
func TestHold(t *testing.T) {
	for _, lifted := range []bool{false, true} {
		t.Run(fmt.Sprintf("lifted=%v", lifted), func(t *testing.T) {
			s := open(t)
			w := newWalker(t, s)
			ctx := t.Context()
			investigator := registry.Caller{Principal: "client", Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: w.approval.Authority, Types: w.approval.Types}
			read := func(caseNumber string) {
				t.Helper()
				s.Move(time.Minute)
				_, _, err := s.Get(ctx, investigator, w.issued.Identifier, useFor(caseNumber))
				must(t, err)
			}
			base := len(told(t, s, w.holder))
			expect := func(what string, cases ...string) {
				t.Helper()
				var got []string
				for _, line := range told(t, s, w.holder)[base:] {
					got = append(got, line[strings.LastIndex(line, " ")+1:])
				}
				if diff := cmp.Diff(got, cases); diff != "" {
					t.Errorf("%s: told (-got +want):\n%s", what, diff)
				}
			}
			hold := registry.Hold{Principal: "client", Case: "x", OrderedBy: "某局", Basis: "函〔2026〕1号", Until: s.Now().Add(24 * time.Hour)}
			read("x")
			s.Move(time.Minute)
			from := size(t, s)
			_, err := s.AccessLog().PlaceHold(ctx, walkSystem, hold)
			must(t, err)
			e := entries(t, s, from)[0]
			if e.Entry.Purpose != "until "+hold.Until.UTC().Format(time.RFC3339)+", ordered by 某局: 函〔2026〕1号" || e.Entry.Case != "x" || e.Entry.Object != "hold/client" {
				t.Errorf("the hold is logged as %+v", e.Entry)
			}
			read("x")
			read("y")
			read("x")
			expect("under the hold", "x", "y")
			logged := size(t, s)

			s.Move(12 * time.Hour)
			hold.Until = hold.Until.Add(24 * time.Hour)
			_, err = s.AccessLog().PlaceHold(ctx, walkSystem, hold) // prolonged
			must(t, err)
			s.Move(20 * time.Hour)
			expect("prolonged", "x", "y")
			if lifted {
				_, err := s.AccessLog().LiftHold(ctx, walkSystem, "client", "x", "结案")
				must(t, err)
			} else {
				s.Move(16 * time.Hour)
			}
			expect("afterwards", "x", "x", "y", "x")
			read("x")
			expect("after the end", "x", "x", "y", "x", "x")

			page, _, err := s.AccessLog().Own(ctx, w.holder, accesslog.Query{Below: logged, Limit: 2}, registry.Use{})
			must(t, err)
			for _, e := range page.Entries {
				if held := e.Entry.Case == "x"; held == e.HeldUntil.IsZero() {
					t.Errorf("entry %d of case %s is shown as held until %v", e.Index, e.Entry.Case, e.HeldUntil)
				}
			}
			if _, err := s.AccessLog().LiftHold(ctx, walkSystem, "client", "x", "r"); !errors.Is(err, licence.ErrNotFound) {
				t.Errorf("lifting one that ended: %v", err)
			}
		})
	}
}

// TestHeldPage: a page is as long with held entries among it as without them.
func TestHeldPage(t *testing.T) {
	s := open(t)
	w := newWalker(t, s)
	ctx := t.Context()
	_, err := s.AccessLog().PlaceHold(ctx, walkSystem, registry.Hold{Principal: "client", Case: "x", OrderedBy: "局", Basis: "函", Until: s.Now().Add(time.Hour)})
	must(t, err)
	investigator := registry.Caller{Principal: "client", Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: w.approval.Authority, Types: w.approval.Types}
	for range 30 {
		_, _, err := s.Get(ctx, investigator, w.issued.Identifier, useFor("x"))
		must(t, err)
	}
	page, _, err := s.AccessLog().Own(ctx, w.holder, accesslog.Query{Limit: 4}, registry.Use{})
	must(t, err)
	if len(page.Entries) != 4 || page.Next != 0 || page.Entries[0].Entry.Action != registry.ActionIssued {
		t.Errorf("%d entries, next %d: %+v", len(page.Entries), page.Next, page.Entries)
	}
}

// TestHoldRefused is a table of holds that are not placed.
func TestHoldRefused(t *testing.T) {
	s := open(t)
	newWalker(t, s)
	good := registry.Hold{Principal: "client", Case: "x", OrderedBy: "局", Basis: "函", Until: s.Now().Add(time.Hour)}
	for name, spoil := range map[string]func(*registry.Hold){
		"no principal":                  func(h *registry.Hold) { h.Principal = "" },
		"no case":                       func(h *registry.Hold) { h.Case = "" },
		"nobody ordered it":             func(h *registry.Hold) { h.OrderedBy = "" },
		"no basis":                      func(h *registry.Hold) { h.Basis = "" },
		"over already":                  func(h *registry.Hold) { h.Until = s.Now() },
		"for ever":                      func(h *registry.Hold) { h.Until = s.Now().Add(accesslog.MaxHold + time.Second) },
		"no end":                        func(h *registry.Hold) { h.Until = time.Time{} },
		"a principal that is no client": func(h *registry.Hold) { h.Principal = "clint" },
		"an invisible character":        func(h *registry.Hold) { h.Basis = "函\u200b" },
		"a long basis":                  func(h *registry.Hold) { h.Basis = strings.Repeat("函", 200) },
		"a long case":                   func(h *registry.Hold) { h.Case = strings.Repeat("x", 129) },
	} {
		h := good
		spoil(&h)
		from := size(t, s)
		if _, err := s.AccessLog().PlaceHold(t.Context(), walkSystem, h); registry.Code(err) != "invalid_request" {
			t.Errorf("%s: %v", name, err)
		}
		wantTrail(t, s, from, "hold refused invalid_request")
	}
	for reason, want := range map[string]error{"": registry.ErrReasonMissing, "r": nil} {
		s.Move(time.Second)
		if _, err := s.AccessLog().PlaceHold(t.Context(), walkSystem, good); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AccessLog().LiftHold(t.Context(), walkSystem, "client", "x", reason); !errors.Is(err, want) {
			t.Errorf("lifting for %q: %v", reason, err)
		}
	}
}
